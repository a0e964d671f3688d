// SPDX-License-Identifier: MIT
/**
 * What the comparison with iced-x86 (tests/decoder_iced_test.ts) does not look at: the ends of pages and
 * instructions, and what the decoder hands to emission. SDM Vol. 2A §2.1, §2.3.
 * @module
 */
import { ALL_FEATURES } from "../base/cpu_features.ts";
import { assertEquals } from "@std/assert";
import { S, segmentLayout } from "../state/state.ts";
import { Decoder, UNDEFINED_OPCODE } from "./decoder.ts";
import { type DecodeMode, type Instruction, MAX_LENGTH } from "./instruction.ts";

const LONG: DecodeMode = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false };
const FLAT32: DecodeMode = { codeBits: 32, stackBits: 32, flat: true, fpuTrap: false, avxTrap: false };
const REAL: DecodeMode = { codeBits: 16, stackBits: 16, flat: false, fpuTrap: true, avxTrap: true };
const decoder = new Decoder(new Set(ALL_FEATURES));

function decode(code: readonly number[], mode = LONG, limit = code.length): Instruction | undefined {
  return decoder.decode(Uint8Array.from(code), 0, limit, 0x100, mode);
}

Deno.test("an instruction needs all of its bytes, wherever it is cut off", () => {
  const whole = [0x66, 0x48, 0x81, 0x84, 0x8b, 0x10, 0, 0, 0, 1, 2, 3, 4]; // add qword [rbx+rcx*4+16], imm32
  for (let limit = 0; limit < whole.length; limit++) assertEquals(decode(whole, LONG, limit), undefined);
  assertEquals(decode(whole)?.length, whole.length);
});

Deno.test("fifteen bytes are an instruction, sixteen are not", () => {
  const nop = (prefixes: number) => [...Array(prefixes).fill(0x66), 0x90, 0x90];
  assertEquals(decode(nop(14))?.length, MAX_LENGTH);
  assertEquals(decode(nop(15)), undefined);
});

Deno.test("a REX prefix counts only right before the opcode", () => {
  assertEquals(decode([0x48, 0x89, 0xc8])?.width, 64);
  assertEquals(decode([0x48, 0x66, 0x89, 0xc8])?.width, 16);
  assertEquals(decode([0x40, 0x88, 0xe0])?.reg, S.gpr + 4 * 8); // SPL
  assertEquals(decode([0x88, 0xe0])?.reg, S.gpr + 1); // AH
});

Deno.test("LOCK is for instructions that change memory", () => {
  assertEquals(decode([0xf0, 0x01, 0x03])?.row === UNDEFINED_OPCODE, false);
  assertEquals(decode([0xf0, 0x01, 0xc3])?.row, UNDEFINED_OPCODE);
  assertEquals(decode([0xf0, 0x8b, 0x03])?.row, UNDEFINED_OPCODE);
});

Deno.test("segments: none where they are flat, the base of FS and GS, else checked", () => {
  const how = (code: readonly number[], mode: DecodeMode) => {
    const insn = decode(code, mode);
    return [insn?.form.addressForm.segment, ((insn?.segment ?? 0) - S.es) / segmentLayout.size];
  };
  const CS = 1, SS = 2, DS = 3, FS = 4;
  assertEquals(how([0x8b, 0x03], LONG), ["none", DS]);
  assertEquals(how([0x2e, 0x8b, 0x03], LONG), ["none", DS]); // ignored in 64-bit code
  assertEquals(how([0x64, 0x8b, 0x03], LONG), ["base", FS]);
  assertEquals(how([0x8b, 0x45, 0], FLAT32), ["none", SS]);
  assertEquals(how([0x64, 0x8b, 0x03], FLAT32), ["checked", FS]);
  assertEquals(how([0x2e, 0x8b, 0x07], REAL), ["checked", CS]);
});

Deno.test("RIP-relative operands count from the end of the instruction, also at the far end of a displacement", () => {
  const near = decode([0x8b, 0x05, 0x10, 0, 0, 0]);
  assertEquals([near?.base, near?.disp, near?.form.addressForm.hasIndex], [S.codeBias, 0x116, false]);
  const far = decode([0x8b, 0x05, 0xff, 0xff, 0xff, 0x7f]);
  assertEquals([far?.base, far?.index], [S.codeBias, S.constant8192]);
  assertEquals((far?.disp ?? 0) + 8192, 0x7fff_ffff + 0x106);
});

Deno.test("the same form of the same row has the same key and object, another form another key", () => {
  const a = decode([0x01, 0x03]), b = decode([0x01, 0x0b]), c = decode([0x48, 0x01, 0x03]);
  assertEquals([a?.formKey === b?.formKey, a?.form === b?.form], [true, true]);
  assertEquals(a?.formKey === c?.formKey, false);
});

Deno.test("VEX: LES and LDS of memory are what they were; LOCK, 66, F2, F3 or REX in front is undefined", () => {
  const name = (code: readonly number[], mode = LONG) => decode([...code, 0, 0, 0, 0, 0, 0], mode)?.row.text;
  for (const mode of [FLAT32, REAL]) {
    assertEquals(name([0xc5, 0x06], mode), "LDS r, m");
    assertEquals(name([0xc4, 0x06], mode), "LES r, m");
    assertEquals(name([0xc5, 0xf8, 0x77], mode), "VZEROUPPER");
  }
  assertEquals(name([0xc5, 0x78, 0x77]), "VZEROUPPER"); // R is ignored where nothing is named
  assertEquals(name([0xc5, 0xfc, 0x77]), "VZEROALL");
  assertEquals(name([0xc4, 0xe1, 0x78, 0x77]), "VZEROUPPER");
  assertEquals(name([0x2e, 0x67, 0xc5, 0xf8, 0x77]), "VZEROUPPER");
  assertEquals(name([0x48, 0x65, 0xc5, 0xf8, 0x77]), "VZEROUPPER"); // that REX does not count
  for (const prefix of [0xf0, 0x66, 0xf2, 0xf3, 0x40, 0x48]) {
    assertEquals(decode([prefix, 0xc5, 0xf8, 0x77])?.row, UNDEFINED_OPCODE);
  }
  assertEquals(decode([0xc5, 0xf0, 0x77])?.row, UNDEFINED_OPCODE); // vvvv names nothing
  assertEquals(decode([0xc5, 0xf9, 0x77])?.row, UNDEFINED_OPCODE); // 66 is part of the opcode
  for (const map of [0, 4, 31]) assertEquals(decode([0xc4, 0xe0 | map, 0x78, 0x77])?.row, UNDEFINED_OPCODE);
  for (let limit = 0; limit < 4; limit++) {
    assertEquals(decode([0xc4, 0xe1, 0x78, 0x77], LONG, limit), undefined);
  }
});

Deno.test("REX.W before a far pointer, 66 before a near branch and MOVSXD: each vendor's way", () => {
  const amd = new Decoder(new Set(ALL_FEATURES), "AuthenticAMD");
  const widths = (...code: number[]) =>
    [decoder, amd].map((d) => {
      const insn = d.decode(Uint8Array.from(code), 0, code.length, 0x100, LONG);
      return [insn?.width, insn?.length];
    });
  for (
    const code of [[0xff, 0x2b], [0xff, 0x1b], [0x0f, 0xb2, 0x03], [0x0f, 0xb4, 0x03], [0x0f, 0xb5, 0x03]]
  ) {
    const n = code.length;
    assertEquals(widths(0x48, ...code), [[64, n + 1], [32, n + 1]]);
    assertEquals(widths(0x66, ...code), [[16, n + 1], [16, n + 1]]);
  }
  assertEquals(widths(0x66, 0xe9, 1, 2, 3, 4), [[64, 6], [16, 4]]);
  assertEquals(widths(0x66, 0x0f, 0x84, 1, 2, 3, 4), [[64, 7], [16, 5]]);
  assertEquals(widths(0x66, 0xc3), [[64, 2], [16, 2]]);
  assertEquals(widths(0x66, 0x48, 0xc3), [[64, 3], [64, 3]]);
  assertEquals(widths(0x66, 0x63, 0x03), [[16, 3], [32, 3]]);
  assertEquals(widths(0x48, 0x8b, 0x03), [[64, 3], [64, 3]]);
});
