// SPDX-License-Identifier: MIT
/**
 * What is decoded by an encoding that is known is what is decoded without: the judge is the long way, which the comparison
 * with iced-x86 (tests/decoder_iced_test.ts) looks at.
 * @module
 */
import { assertEquals } from "@std/assert";
import { ALL_FEATURES } from "../base/cpu_features.ts";
import type { CpuVendor } from "../base/engine.ts";
import { Random } from "../isa/_cases.ts";
import { Decoder } from "./decoder.ts";
import type { DecodeMode, Instruction } from "./instruction.ts";

const MODES: readonly DecodeMode[] = [
  { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false },
  { codeBits: 64, stackBits: 64, flat: true, fpuTrap: true, avxTrap: true },
  { codeBits: 32, stackBits: 32, flat: true, fpuTrap: false, avxTrap: false },
  { codeBits: 32, stackBits: 32, flat: false, fpuTrap: false, avxTrap: false },
  { codeBits: 32, stackBits: 16, flat: false, fpuTrap: false, avxTrap: false },
  { codeBits: 16, stackBits: 16, flat: false, fpuTrap: true, avxTrap: true },
];
const PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x64, 0x65, 0x48, 0x4c, 0x41, 0x40, 0x4f];

/** Bytes that are likely to be an instruction: up to two prefixes, an opcode, what follows. */
function randomCode(random: Random): Uint8Array {
  const code: number[] = [];
  for (let n = random.below(3); n > 0; n--) code.push(PREFIXES[random.below(PREFIXES.length)] as number);
  if (random.below(2) === 0) code.push(0x0f);
  while (code.length < 20) code.push(random.below(256));
  return Uint8Array.from(code);
}
/** The same in front; often what may be a displacement or an immediate is small, or at an edge. */
function otherTail(random: Random, code: Uint8Array): Uint8Array {
  const other = code.slice();
  const edges = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x40];
  for (let at = 1 + random.below(7); at < other.length; at++) {
    other[at] = random.below(2) === 0 ? random.below(256) : edges[random.below(edges.length)] as number;
  }
  // A displacement that the place in the page may take beyond 32 bits.
  if (random.below(4) === 0) other.set([0xff, 0xff, 0xff, 0x7f], 2 + random.below(6));
  return other;
}
/** All of it as text, the row by its number. */
function text(insn: Instruction | undefined): string {
  return insn === undefined ? "none" : JSON.stringify({ ...insn, row: insn.row.id });
}

for (const vendor of ["GenuineIntel", "AuthenticAMD"] satisfies CpuVendor[]) {
  Deno.test(`an encoding that is known means what it means anew (${vendor})`, () => {
    const features = new Set(ALL_FEATURES);
    // Each has seen another one of the two when it decodes the first, and the same one when it decodes the second.
    // One of them has seen all modes, the others one each.
    const forwards = new Decoder(features, vendor);
    const others = MODES.map(() => new Decoder(features, vendor));
    const random = new Random(20_261_127);
    let whole = 0;
    for (let i = 0; i < 15_000; i++) {
      const which = random.below(MODES.length);
      const mode = MODES[which] as DecodeMode, backwards = others[which] as Decoder;
      const head = randomCode(random);
      const code = otherTail(random, head), other = otherTail(random, head);
      const limits = new Map([code, other].map((c) => [c, random.below(8) === 0 ? random.below(16) : 20]));
      const poff = random.below(4096);
      const decode = (decoder: Decoder, bytes: Uint8Array) =>
        text(decoder.decode(bytes, 0, limits.get(bytes) as number, poff, mode));
      const first = decode(forwards, code), second = decode(forwards, other);
      const secondAnew = decode(backwards, other), firstAnew = decode(backwards, code);
      assertEquals(second, secondAnew, `${other.toHex()} after ${code.toHex()}`);
      assertEquals(first, firstAnew, `${code.toHex()} after ${other.toHex()}`);
      if (second !== "none") whole++;
    }
    assertEquals(whole > 7_000, true, `${whole}`);
  });
}
