// SPDX-License-Identifier: MIT
/**
 * PCMPxSTRx written element by element, as SDM Vol. 2B §4.1 tells it: what tests compare the vector version with.
 * @module
 */
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF } from "../../state/state.ts";

/** imm8 fields. */
const FORMAT_WORDS = 1 << 0, FORMAT_SIGNED = 1 << 1;
const POLARITY_NEGATIVE = 1 << 4, POLARITY_MASKED = 1 << 5;
const OUTPUT_HIGH = 1 << 6;
const EQUAL_ANY = 0, RANGES = 1, EQUAL_EACH = 2;

/** Operands; lengths are given for PCMPESTRx. */
export interface Compare {
  readonly imm: number;
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  readonly lengths?: readonly [bigint, bigint];
}

/** What comes out: the index for ECX, the mask for XMM0, the flags. */
export interface Compared {
  readonly index: number;
  readonly mask: Uint8Array;
  readonly flags: number;
}

function elements(bytes: Uint8Array, imm: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const signed = (imm & FORMAT_SIGNED) !== 0;
  if ((imm & FORMAT_WORDS) === 0) {
    return Array.from({ length: 16 }, (_, i) => signed ? view.getInt8(i) : view.getUint8(i));
  }
  return Array.from(
    { length: 8 },
    (_, i) => signed ? view.getInt16(2 * i, true) : view.getUint16(2 * i, true),
  );
}

function lengthOf(values: readonly number[], given: bigint | undefined): number {
  if (given === undefined) return values.includes(0) ? values.indexOf(0) : values.length;
  const size = given < 0n ? -given : given;
  return size < BigInt(values.length) ? Number(size) : values.length;
}

/** IntRes1 for element j of b. */
function holds(
  kind: number,
  a: readonly number[],
  b: readonly number[],
  la: number,
  lb: number,
  j: number,
): boolean {
  const value = b[j] as number, known = a.slice(0, la);
  if (kind === EQUAL_ANY) return j < lb && known.includes(value);
  if (kind === RANGES) {
    return j < lb &&
      known.some((low, i) => i % 2 === 0 && i + 1 < la && low <= value && value <= (known[i + 1] as number));
  }
  if (kind === EQUAL_EACH) return j < la && j < lb ? known[j] === value : j >= la && j >= lb;
  return known.every((one, i) => j + i >= b.length || (j + i < lb && one === b[j + i]));
}

/** Both outputs at once. */
export function compareStrings({ imm, first, second, lengths }: Compare): Compared {
  const a = elements(first, imm), b = elements(second, imm), n = a.length;
  const la = lengthOf(a, lengths?.[0]), lb = lengthOf(b, lengths?.[1]);
  const bits = b.map((_, j) => {
    const negated = (imm & POLARITY_NEGATIVE) !== 0 && ((imm & POLARITY_MASKED) === 0 || j < lb);
    return holds((imm >>> 2) & 3, a, b, la, lb, j) !== negated;
  });
  const high = (imm & OUTPUT_HIGH) !== 0;
  const found = high ? bits.lastIndexOf(true) : bits.indexOf(true);
  const mask = new Uint8Array(16);
  bits.forEach((bit, j) => {
    if (!bit) return;
    if (high) mask.fill(0xff, j * 16 / n, (j + 1) * 16 / n);
    else mask[j >> 3]! |= 1 << (j & 7);
  });
  const flags = (bits.includes(true) ? FLAG_CF : 0) | (lb < n ? FLAG_ZF : 0) | (la < n ? FLAG_SF : 0) |
    (bits[0] ? FLAG_OF : 0);
  return { index: found < 0 ? n : found, mask, flags };
}
