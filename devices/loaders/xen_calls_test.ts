// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import * as iced from "npm:iced-x86@1.21.0";
import { GUEST_KERNELS, guestFiles, type GuestName } from "../../scripts/guests/manifest.ts";
import { PORT_CALL } from "../../xen/platform/hypercall_page.ts";
import { type ElfFile, parseElf, PF_X, PT_LOAD } from "./elf.ts";
import { findXenCalls, replaceXenCalls } from "./xen_calls.ts";

const VMCALL = [0x0f, 0x01, 0xc1], VMMCALL = [0x0f, 0x01, 0xd9];
const RET = 0xc3, INT3 = 0xcc;

/** A file with one segment of everything in it. */
function elfOf(bytes: readonly number[], flags = PF_X): ElfFile {
  const file = { name: "test", bytes: Uint8Array.from([...bytes, ...Array(16).fill(INT3)]) };
  const size = file.bytes.length;
  const segment = { type: PT_LOAD, flags, offset: 0, paddr: 0, fileBytes: size, memoryBytes: size };
  return { file, bits: 64, entry: 0n, segments: [segment], notes: [], notesBroken: false };
}
const jmp = (rel: number) => [0xe9, rel & 0xff, (rel >> 8) & 0xff, (rel >> 16) & 0xff, (rel >> 24) & 0xff];
const pad = (n: number) => Array<number>(n).fill(INT3);

const CASES: readonly (readonly [what: string, bytes: readonly number[], places: readonly number[]])[] = [
  ["both with RET", [...VMMCALL, RET, ...VMCALL, RET], [0, 4]],
  ["the other order", [...VMCALL, RET, ...VMMCALL, RET], [0, 4]],
  ["both with a JMP to the same place", [...VMMCALL, ...jmp(100), ...pad(8), ...VMCALL, ...jmp(84)], [0, 16]],
  ["with JMPs to different places", [...VMMCALL, ...jmp(100), ...pad(8), ...VMCALL, ...jmp(100)], []],
  ["one alone", [...VMCALL, RET, ...pad(60)], []],
  ["the same twice", [...VMCALL, RET, ...VMCALL, RET], []],
  ["too far apart", [...VMCALL, RET, ...pad(61), ...VMMCALL, RET], []],
  ["as far apart as can be", [...VMCALL, RET, ...pad(60), ...VMMCALL, RET], [0, 64]],
  ["code between them", [...VMMCALL, RET, 0x31, 0xc0, ...VMCALL, RET], []],
  ["ENDBR64 and NOPs between", [
    ...VMMCALL,
    RET,
    0x66,
    0x90,
    0x0f,
    0x1f,
    0x40,
    0,
    0xf3,
    0x0f,
    0x1e,
    0xfa,
    ...VMCALL,
    RET,
  ], [0, 14]],
  ["code goes on", [...VMCALL, 0x5b, RET, ...VMMCALL, 0x5b, RET], []],
];
for (const [what, bytes, places] of CASES) {
  Deno.test(`findXenCalls: ${what}`, () => assertEquals(findXenCalls(elfOf(bytes)), places));
}

Deno.test("findXenCalls: not in what is no code, and not beyond a segment's end", () => {
  const bytes = [...VMMCALL, RET, ...VMCALL, RET];
  assertEquals(findXenCalls(elfOf(bytes, 6)), []);
  for (let length = 0; length < 12; length++) {
    const elf = elfOf(bytes);
    const cut = elf.segments.map((segment) => ({ ...segment, fileBytes: length }));
    assertEquals(findXenCalls({ ...elf, segments: cut }), [], String(length));
  }
});

/** Instructions of `bytes` from `from` up to `to`, as iced-x86 decodes them: each as [offset, text]. */
function disassemble(bits: 32 | 64, bytes: Uint8Array, from: number, to: number): [number, string][] {
  const decoder = new iced.Decoder(bits, bytes.subarray(from, to + 16), iced.DecoderOptions.None);
  const formatter = new iced.Formatter(iced.FormatterSyntax.Nasm);
  const out: [number, string][] = [];
  decoder.ip = BigInt(from);
  const instruction = new iced.Instruction();
  for (let at = from; at < to; at += instruction.length) {
    decoder.decodeOut(instruction);
    out.push([at, formatter.format(instruction)]);
  }
  for (const each of [instruction, formatter, decoder]) each.free();
  return out;
}

/** Kernels of Debian's that call Xen by VMCALL or VMMCALL themselves, and one that does not. */
const KERNELS: readonly (readonly [GuestName, number])[] = [
  ["cloud", 2],
  ["generic", 2],
  ["backports", 2],
  ["trixie", 2],
  ["sid", 2],
  ["rt", 2],
  ["pae", 2],
  ["bullseye", 0],
];
for (const [name, count] of KERNELS) {
  let bytes: Uint8Array | undefined;
  try {
    bytes = Deno.readFileSync(guestFiles(name).vmlinux);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { metaPackage } = GUEST_KERNELS[name];
  const skipped = bytes === undefined ? ` (skipped: no such guest: run deno task guests ${name})` : "";
  Deno.test({
    name:
      `${count} calls of Xen in ${name} (${metaPackage}) become OUT, as iced-x86 disassembles it${skipped}`,
    ignore: skipped !== "",
    fn() {
      const elf = parseElf({ name, bytes: bytes ?? new Uint8Array() });
      const places = findXenCalls(elf);
      assertEquals(places.length, count);
      const after = replaceXenCalls(elf, PORT_CALL);
      assertEquals(after.count, count);
      for (const at of places) {
        const from = (at & ~15) - 64; // some functions earlier: all start at multiples of 16
        const old = disassemble(elf.bits, elf.file.bytes, from, at + 8);
        const i = old.findIndex(([offset]) => offset === at);
        assertEquals(["vmcall", "vmmcall"].includes(old[i]?.[1] ?? ""), true, Deno.inspect(old));
        const changed = disassemble(elf.bits, after.bytes, from, at + 8);
        // all else is as it was
        const expected = [...old.slice(0, i), [at, "out 0E4h,eax"], [at + 2, "nop"], ...old.slice(i + 1)];
        const others = places.filter((other) => other !== at && other >= from && other < at + 8);
        if (others.length === 0) assertEquals(changed, expected as [number, string][]);
      }
      const differing = after.bytes.reduce((sum, byte, k) => sum + (byte !== elf.file.bytes[k] ? 1 : 0), 0);
      assertEquals(differing, count * 3);
    },
  });
}
