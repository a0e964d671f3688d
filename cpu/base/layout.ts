// SPDX-License-Identifier: MIT
/**
 * Structure layouts as a C compiler for x86 lays them out: natural alignment and tail padding. Declared once,
 * imported by everybody who reads or writes the structure.
 * @module
 */

/** Scalar field types. `ptr` and `long` have the guest's width. */
export type Scalar = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "u64" | "i64" | "f64" | "long";
/** A field: a scalar, `[scalar or layout, count]` for an array, or another layout. */
export type Field = Scalar | Layout<string> | readonly [Scalar | Layout<string>, number];

/** Offsets and size in bytes of a structure. */
export interface Layout<K extends string> {
  /** Byte offset of each field. */
  readonly at: { readonly [P in K]: number };
  /** Size in bytes, tail padding included. */
  readonly size: number;
  /** Alignment in bytes. */
  readonly align: number;
}

/** How wide a C `long` or pointer is, and how 64-bit integers are aligned (4 in the i386 ABI). */
export interface Abi {
  readonly longBytes: 4 | 8;
  readonly align64: 4 | 8;
}
/** x86-64 System V. */
export const ABI64: Abi = { longBytes: 8, align64: 8 };
/** i386 System V. Xen's public headers force 8-byte alignment where they say `uint64_aligned_t`. */
export const ABI32: Abi = { longBytes: 4, align64: 4 };

const SCALAR_SIZE: { readonly [S in Exclude<Scalar, "long">]: number } = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};

function measure(field: Scalar | Layout<string>, abi: Abi): { size: number; align: number } {
  if (typeof field !== "string") return field;
  const size = field === "long" ? abi.longBytes : SCALAR_SIZE[field];
  return { size, align: size === 8 ? abi.align64 : size };
}

/** Lays out `fields` in order. */
export function layout<K extends string>(fields: { readonly [P in K]: Field }, abi: Abi = ABI64): Layout<K> {
  const at = {} as { [P in K]: number };
  let offset = 0;
  let align = 1;
  for (const name of Object.keys(fields) as K[]) {
    const field = fields[name] as Field;
    const [element, count] = Array.isArray(field)
      ? field as readonly [Scalar | Layout<string>, number]
      : [field as Scalar | Layout<string>, 1] as const;
    const m = measure(element, abi);
    offset = Math.ceil(offset / m.align) * m.align;
    at[name] = offset;
    offset += m.size * count;
    align = Math.max(align, m.align);
  }
  return { at, size: Math.ceil(offset / align) * align, align };
}
