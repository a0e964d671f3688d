// SPDX-License-Identifier: MIT
/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. Rules: SDM Vol. 2B §4.1 (imm8 fields, table 4-7 for elements behind
 * the end of a string).
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF, S } from "../state/state.ts";
import { NEXT, type Status } from "../state/status.ts";

/** imm8 fields. */
const FORMAT_WORDS = 1 << 0, FORMAT_SIGNED = 1 << 1;
const AGGREGATION = [3, 2] as const;
const POLARITY_NEGATIVE = 1 << 4, POLARITY_MASKED = 1 << 5;
const OUTPUT_HIGH = 1 << 6; // last index, or a mask of bytes or words
const EQUAL_ANY = 0, RANGES = 1, EQUAL_EACH = 2;

/** In argument 1. */
const EXPLICIT = 1, MASK = 2;
/** First bytes of the two operands among the arguments. */
const FIRST = S.arg + 16, SECOND = S.arg + 32;

const a = new Int32Array(16), b = new Int32Array(16);

/** Elements of the operand at `at`. */
function read(view: DataView, at: number, imm: number, into: Int32Array): void {
  if ((imm & FORMAT_WORDS) !== 0) {
    for (let i = 0; i < 8; i++) {
      into[i] = (imm & FORMAT_SIGNED) !== 0
        ? view.getInt16(at + 2 * i, true)
        : view.getUint16(at + 2 * i, true);
    }
  } else {
    for (let i = 0; i < 16; i++) {
      into[i] = (imm & FORMAT_SIGNED) !== 0 ? view.getInt8(at + i) : view.getUint8(at + i);
    }
  }
}

/** An explicit length: its absolute value, at most `limit`. */
function explicitLength(view: DataView, at: number, limit: number): number {
  const lo = view.getInt32(at, true), hi = view.getInt32(at + 4, true);
  if (hi !== lo >> 31) return limit;
  return Math.min(Math.abs(lo), limit);
}

function implicitLength(elements: Int32Array, limit: number): number {
  for (let i = 0; i < limit; i++) if (elements[i] === 0) return i;
  return limit;
}

/** IntRes1: one bit per element of b. */
function aggregate(kind: number, n: number, lengthA: number, lengthB: number): number {
  let result = 0;
  for (let j = 0; j < n; j++) {
    let bit = false;
    const value = b[j] as number;
    if (kind === EQUAL_ANY) {
      for (let i = 0; i < lengthA && j < lengthB; i++) bit ||= a[i] === value;
    } else if (kind === RANGES) {
      for (let i = 0; i + 1 < lengthA && j < lengthB; i += 2) {
        bit ||= (a[i] as number) <= value && value <= (a[i + 1] as number);
      }
    } else if (kind === EQUAL_EACH) {
      bit = j < lengthA && j < lengthB ? a[j] === value : j >= lengthA && j >= lengthB;
    } else { // the whole of a at j, as far as b goes
      bit = true;
      for (let i = 0; i < lengthA && j + i < n; i++) bit &&= j + i < lengthB && a[i] === b[j + i];
    }
    if (bit) result |= 1 << j;
  }
  return result;
}

/**
 * Arguments: imm8, flags (1 explicit lengths, 2 mask as result), first operand (2), second operand (2), RAX, RDX.
 * Results: index or 128-bit mask in 0 and 1, flags image in 2.
 */
export function pcmpstr(core: CpuCore): Status {
  const s = core.s, view = s.view;
  const imm = s.arg32(0), flags = s.arg32(1);
  const n = (imm & FORMAT_WORDS) !== 0 ? 8 : 16;
  read(view, FIRST, imm, a);
  read(view, SECOND, imm, b);
  const explicit = (flags & EXPLICIT) !== 0;
  const lengthA = explicit ? explicitLength(view, S.arg + 48, n) : implicitLength(a, n);
  const lengthB = explicit ? explicitLength(view, S.arg + 56, n) : implicitLength(b, n);
  let result = aggregate((imm >>> AGGREGATION[1]) & 3, n, lengthA, lengthB);
  if ((imm & POLARITY_NEGATIVE) !== 0) {
    result ^= (imm & POLARITY_MASKED) !== 0 ? (1 << lengthB) - 1 : (1 << n) - 1;
  }
  if ((flags & MASK) === 0) {
    let index = n;
    if (result !== 0) {
      index = 31 - Math.clz32((imm & OUTPUT_HIGH) !== 0 ? result : result & -result);
    }
    s.set32(S.arg, index);
  } else {
    for (let i = 0; i < 16; i += 4) s.set32(S.arg + i, 0);
    if ((imm & OUTPUT_HIGH) === 0) {
      s.set32(S.arg, result);
    } else {
      for (let i = 0; i < 16; i++) {
        const bit = n === 8 ? i >> 1 : i;
        view.setUint8(S.arg + i, (result >>> bit) & 1 ? 0xff : 0);
      }
    }
  }
  const image = (result !== 0 ? FLAG_CF : 0) | (lengthB < n ? FLAG_ZF : 0) | (lengthA < n ? FLAG_SF : 0) |
    ((result & 1) !== 0 ? FLAG_OF : 0);
  s.set32(S.arg + 16, image);
  return NEXT;
}
