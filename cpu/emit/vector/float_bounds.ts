// SPDX-License-Identifier: MIT
/**
 * What is known of floating-point numbers without looking at them: zeros aside they lie between two powers of two, and all
 * are multiples of a third one. As long as that keeps results from being tiny and from overflowing, an operation of such
 * numbers raises nothing but inexactness, and its result needs no look: a zero is exact then, too.
 * @module
 */
/** Types of floating-point numbers and lanes. */
export type FloatType = "f32" | "f64";
/** Which numbers are to have bounds. */
export type Wanted = "any" | "no zeros" | "positive";

/** Numbers that are zeros, or multiples of 2^grain whose magnitude is 2^from to 2^to. */
export interface Bounds {
  readonly from: number;
  readonly grain: number;
  readonly to: number;
}

/** Bits of a significand; the least exponent that is not tiny however it was rounded; the greatest that is finite. */
const FORMATS = {
  f32: { precision: 24, least: -125, most: 127 },
  f64: { precision: 53, least: -1021, most: 1023 },
} as const;

/**
 * What is looked for: the middle quarter of the exponents, as two bits tell. An exponent is in there when `first` less has
 * these bits clear. Products of a few such numbers do not leave the format, and few programs' numbers lie elsewhere.
 */
export const WINDOW = {
  f32: { first: 96, bits: 0x6000_0000 },
  f64: { first: 768, bits: 0x6000_0000 },
} as const;
const BIAS = { f32: 127, f64: 1023 } as const;
const WINDOW_SIZE = { f32: 64, f64: 512 } as const;

/** Bounds of numbers of a format, of which `from` and `to` are known. */
function between(type: FloatType, from: number, to: number): Bounds {
  return { from, grain: from - FORMATS[type].precision + 1, to };
}
/** Of zeros and what is in the window. */
export function windowBounds(type: FloatType): Bounds {
  const from = WINDOW[type].first - BIAS[type];
  return between(type, from, from + WINDOW_SIZE[type]);
}
/** Integers up to 2^bits. */
export function integerBounds(bits: number): Bounds {
  return { from: 0, grain: 0, to: bits };
}
/** Neither overflows nor is tiny. */
export function fits(type: FloatType, { from, to }: Bounds): boolean {
  return from >= FORMATS[type].least && to <= FORMATS[type].most;
}
/** Of what is one or the other. */
export function either(a: Bounds, b: Bounds): Bounds {
  return {
    from: Math.min(a.from, b.from),
    grain: Math.min(a.grain, b.grain),
    to: Math.max(a.to, b.to),
  };
}
/** Of a + b and a - b, which may cancel. */
export function sumBounds(a: Bounds, b: Bounds): Bounds {
  const grain = Math.min(a.grain, b.grain);
  return { from: grain, grain, to: Math.max(a.to, b.to) + 1 };
}
/** Of a × b. */
export function productBounds(type: FloatType, a: Bounds, b: Bounds): Bounds {
  const { from, grain, to } = between(type, a.from + b.from, a.to + b.to);
  return { from, grain: Math.max(grain, a.grain + b.grain), to };
}
/** Of a × b + c, rounded once. */
export function fusedBounds(a: Bounds, b: Bounds, c: Bounds): Bounds {
  return sumBounds({ from: a.from + b.from, grain: a.grain + b.grain, to: a.to + b.to }, c);
}
/** Of a / b, where b is no zero. */
export function quotientBounds(type: FloatType, a: Bounds, b: Bounds): Bounds {
  return between(type, a.from - b.to, a.to - b.from);
}
/** Of a square root. */
export function rootBounds(type: FloatType, a: Bounds): Bounds {
  return between(type, Math.floor(a.from / 2), Math.ceil(a.to / 2));
}
