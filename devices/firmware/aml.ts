// SPDX-License-Identifier: MIT
/**
 * Encoder for the part of the ACPI Machine Language our DSDT needs: every function returns bytes. Rules: ACPI
 * 6.4 §20.2 (AML), §6.4 (resource descriptors), §19.3.4 (EISA identifiers).
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";

/** Encoded AML. */
export type Aml = readonly number[];

const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const STRING_PREFIX = 0x0d;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const METHOD_OP = 0x14;
const DUAL_NAME_PREFIX = 0x2e;
const EXT_OP_PREFIX = 0x5b;
const ARG0_OP = 0x68;
const STORE_OP = 0x70;
const DEVICE_OP = 0x82; // after EXT_OP_PREFIX
const IF_OP = 0xa0;
const RETURN_OP = 0xa4;

function le(value: number, bytes: number): number[] {
  const out: number[] = [];
  for (let rest = value; out.length < bytes; rest = Math.floor(rest / 256)) out.push(rest & 0xff);
  return out;
}

/** PkgLength of §20.2.4, which counts itself. */
function withLength(content: Aml): number[] {
  const n = content.length;
  if (n + 1 < 0x40) return [n + 1, ...content];
  for (let extra = 1; extra <= 3; extra++) {
    const total = n + 1 + extra;
    if (total < 2 ** (4 + 8 * extra)) {
      return [(extra << 6) | (total & 0xf), ...le(Math.floor(total / 16), extra), ...content];
    }
  }
  throw new RangeError("Cannot encode an AML package this long");
}

function segment(name: string): number[] {
  assert(/^[A-Z_][A-Z0-9_]{0,3}$/.test(name), `AML name segment ${name}`);
  return [...name.padEnd(4, "_")].map((c) => c.charCodeAt(0));
}

/** A name: up to two segments, after `\` for the root. */
export function path(text: string): Aml {
  const root = text.startsWith("\\");
  const segments = (root ? text.slice(1) : text).split(".").map(segment);
  assert(segments.length <= 2, "AML path of one or two segments");
  return [
    ...(root ? [0x5c] : []),
    ...(segments.length === 2 ? [DUAL_NAME_PREFIX] : []),
    ...segments.flat(),
  ];
}

/** An integer in its shortest form. */
export function int(value: number): Aml {
  if (value === 0) return [ZERO_OP];
  if (value === 1) return [ONE_OP];
  if (value < 0x100) return [BYTE_PREFIX, value];
  if (value < 0x1_0000) return [WORD_PREFIX, ...le(value, 2)];
  return [DWORD_PREFIX, ...le(value, 4)];
}

/** A string. */
export function string(text: string): Aml {
  return [STRING_PREFIX, ...[...text].map((c) => c.charCodeAt(0)), 0];
}

/** An EISA identifier, such as "PNP0A03". */
export function eisaId(id: string): Aml {
  assert(/^[A-Z]{3}[0-9A-F]{4}$/.test(id), `EISA identifier ${id}`);
  const letter = (i: number) => id.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = parseInt(id.slice(3), 16);
  return [DWORD_PREFIX, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

/** Name (`name`, `value`). */
export function name(text: string, value: Aml): Aml {
  return [NAME_OP, ...path(text), ...value];
}

/** Package of up to 255 elements. */
export function pkg(...elements: Aml[]): Aml {
  assert(elements.length < 256, "AML package of up to 255 elements");
  return [PACKAGE_OP, ...withLength([elements.length, ...elements.flat()])];
}

/** Scope (`where`) { ... }. */
export function scope(where: string, ...terms: Aml[]): Aml {
  return [SCOPE_OP, ...withLength([...path(where), ...terms.flat()])];
}

/** Device (`text`) { ... }. */
export function device(text: string, ...terms: Aml[]): Aml {
  return [EXT_OP_PREFIX, DEVICE_OP, ...withLength([...path(text), ...terms.flat()])];
}

/** Method (`text`, `args`) { ... }. */
export function method(text: string, args: number, ...terms: Aml[]): Aml {
  return [METHOD_OP, ...withLength([...path(text), args, ...terms.flat()])];
}

/** Arg0. */
export const arg0: Aml = [ARG0_OP];

/** Store (`value`, `target`). */
export function store(value: Aml, target: Aml): Aml {
  return [STORE_OP, ...value, ...target];
}

/** Return (`value`). */
export function ret(value: Aml): Aml {
  return [RETURN_OP, ...value];
}

/** If (`predicate`) { ... }. */
export function iff(predicate: Aml, ...terms: Aml[]): Aml {
  return [IF_OP, ...withLength([...predicate, ...terms.flat()])];
}

/** ResourceTemplate () { ... }: descriptors and the end tag, in a buffer. */
export function resources(...descriptors: Aml[]): Aml {
  const bytes = [...descriptors.flat(), 0x79, 0x00]; // end tag; checksum 0 means unchecked
  return [BUFFER_OP, ...withLength([...int(bytes.length), ...bytes])];
}

/** IO (Decode16, `base`, `base`, 1, `length`). */
export function io(base: number, length: number): Aml {
  return [0x47, 0x01, ...le(base, 2), ...le(base, 2), 0x01, length];
}

/** IRQNoFlags () { `irq` }: edge, active high, exclusive. */
export function irqNoFlags(irq: number): Aml {
  return [0x22, ...le(1 << irq, 2)];
}

const RESOURCE_PRODUCER_FIXED = 0x0c; // minimum and maximum are fixed, positive decode

/** WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, ...): `first` to `last`. */
export function busNumbers(first: number, last: number): Aml {
  return addressSpace(0x88, 2, RESOURCE_PRODUCER_FIXED, 0x02, 0x00, first, last);
}

/** WordIO (ResourceProducer, ..., EntireRange). */
export function wordIo(first: number, last: number): Aml {
  return addressSpace(0x88, 2, RESOURCE_PRODUCER_FIXED, 0x01, 0x03, first, last);
}

/** DWordMemory (ResourceProducer, ..., ReadWrite). */
export function dwordMemory(first: number, last: number, cacheable: boolean): Aml {
  return addressSpace(0x87, 4, RESOURCE_PRODUCER_FIXED, 0x00, cacheable ? 0x03 : 0x01, first, last);
}

/** An address space descriptor (§6.4.3.5) of `width`-byte fields. */
function addressSpace(
  tag: number,
  width: 2 | 4,
  general: number,
  type: number,
  specific: number,
  first: number,
  last: number,
): Aml {
  const fields = [0, first, last, 0, last - first + 1].flatMap((value) => le(value, width));
  return [tag, ...le(3 + fields.length, 2), type, general, specific, ...fields];
}
