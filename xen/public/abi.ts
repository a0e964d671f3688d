// SPDX-License-Identifier: MIT
/**
 * Structures that differ between 32-bit and 64-bit guests: both layouts side by side, and the names behind an
 * operation number for traces.
 * @module
 */
import { ABI32, ABI64, type Field, type Layout, layout } from "../../cpu/base/layout.ts";

/** Width of the guest's ABI. */
export type GuestBits = 32 | 64;

/** One structure as each kind of guest lays it out: `pair[64]`, `pair[32]`. */
export interface LayoutPair<K extends string> {
  readonly 64: Layout<K>;
  readonly 32: Layout<K>;
}

/** Lays the same fields out for both ABIs. */
export function layouts<K extends string>(fields: { readonly [P in K]: Field }): LayoutPair<K> {
  return { 64: layout(fields, ABI64), 32: layout(fields, ABI32) };
}

/** Like {@linkcode layouts}, for structures that contain such structures. */
export function layoutsOf<K extends string>(
  fields: (bits: GuestBits) => { readonly [P in K]: Field },
): LayoutPair<K> {
  return { 64: layout(fields(64), ABI64), 32: layout(fields(32), ABI32) };
}

/** Bytes of a C `long`, a pointer, xen_ulong_t and xen_pfn_t. */
export function longBytes(bits: GuestBits): 4 | 8 {
  return bits === 64 ? 8 : 4;
}

/** Names of the constants of a header that start with `prefix`, by value, without the prefix. */
export function namesOf(header: object, prefix: string): readonly (string | undefined)[] {
  const names: (string | undefined)[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name.startsWith(prefix) && typeof value === "number") names[value] ??= name.slice(prefix.length);
  }
  return names;
}
