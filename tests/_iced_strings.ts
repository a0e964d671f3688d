// SPDX-License-Identifier: MIT
/** Random instruction bytes for the comparison with iced-x86, and a report of what differs. @module */
import type { Bits, Oracle } from "./_iced_oracle.ts";

/** Bytes as text. */
export const hex = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Collects differences, one for each kind: the first bytes show it, the rest are counted. */
export class Report {
  readonly #kinds = new Map<string, { first: string; count: number }>();
  add(bits: number, bytes: Uint8Array, difference: string | undefined): void {
    if (difference === undefined) return;
    const kind = difference.replace(/-?\d{3,}/g, "N");
    const seen = this.#kinds.get(kind);
    if (seen !== undefined) seen.count++;
    else this.#kinds.set(kind, { first: `${bits}-bit ${hex(bytes)}: ${difference}`, count: 1 });
  }
  get lines(): string[] {
    return Array.from(this.#kinds.values(), ({ first, count }) => `${first} (${count} like it)`);
  }
}

/** SplitMix32. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x9e37_79b9) | 0;
    let z = seed ^ (seed >>> 16);
    z = Math.imul(z, 0x21f0_aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a_2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
}

/** Bytes of a string: an instruction has 15 at most. */
export const STRING_BYTES = 20;
const PREFIXES = [0x66, 0xf3, 0xf2, 0x67, 0xf0, 0x2e, 0x36, 0x64, 0x65, 0x48, 0x41, 0x4f];

/** Fills `bytes` with strings: up to three prefixes (now and then more), 0F or VEX in many, all else random. */
function fill(bytes: Uint8Array, next: () => number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = next();
  for (let start = 0; start < bytes.length; start += STRING_BYTES) {
    const heads = next() % 8;
    let at = start;
    const end = start + heads - 4 + (next() % 16 === 0 ? 10 : 0);
    for (; heads > 4 && at < end; at++) bytes[at] = PREFIXES[next() % PREFIXES.length] as number;
    if (next() % 2 === 0) bytes[at] = 0x0f;
    else if (next() % 4 === 0) {
      bytes[at] = 0xc5 - next() % 2;
      if (next() % 4 !== 0) bytes[at + 1] = (bytes[at + 1] as number) & 0x03 | 0xc0 | next() & 0x3c;
    }
  }
}

/** Compares `count` random strings, a thousand at a time; `progress` is told how many are done. */
export function compareRandom(
  oracle: Oracle,
  { bits, count, seed }: { readonly bits: Bits; readonly count: number; readonly seed: number },
  progress: (done: number) => void = () => {},
): Report {
  const report = new Report();
  const next = random(seed);
  for (let done = 0; done < count;) {
    const strings = Math.min(1000, count - done);
    const bytes = new Uint8Array(strings * STRING_BYTES);
    fill(bytes, next);
    oracle.compareAll(bits, bytes, STRING_BYTES, (difference, at) => {
      report.add(bits, bytes.subarray(at, at + STRING_BYTES), difference);
    });
    progress(done += strings);
  }
  return report;
}
