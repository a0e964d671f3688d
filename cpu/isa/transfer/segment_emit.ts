// SPDX-License-Identifier: MIT
/**
 * Segment registers in emitted code: descriptors that the TLB has, flat segments, loads by MOV, POP and LDS. What is
 * unusual is left to microcode (cpu/segments/segmentation.ts), which finds everything as it was. SDM Vol. 3A §3.4, §5.4;
 * Vol. 2A MOV.
 * @module
 */
import { PAGE_MASK, PAGE_SIZE } from "../../base/bits.ts";
import type { Emit, Value, Variable } from "../../emit/emit.ts";
import {
  CR0_PE,
  DS,
  FS,
  GS,
  S,
  SEG_DB,
  SEG_DPL_SHIFT,
  SEG_G,
  SEG_L,
  SEG_P,
  SEG_S,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
  VENDOR_IS_AMD,
} from "../../state/state.ts";
import { TYPE_ACCESSED, TYPE_CODE } from "../../state/descriptor.ts";
import { FLAT_DATA, FLAT_DATA_MASK } from "../../state/registers.ts";
import { nonZero } from "../row/values.ts";
import { clear } from "./mode_emit.ts";

type Int = Value<"i32">;

/** Address of segment register `index` in the state block. */
export const segmentAt = (index: number) => S.es + index * segmentLayout.size;
/** Attributes of flat segments at privilege 0, as SYSCALL and its like make them. */
export const CODE_64 = 0x9b | SEG_G | SEG_L, CODE_32 = 0x9b | SEG_G | SEG_DB, DATA = 0x93 | SEG_G | SEG_DB;

/** Makes a segment register flat. */
export function setFlat(e: Emit, index: number, selector: Int, attributes: number): void {
  const at = segmentAt(index);
  e.setState64(at, e.i64(0));
  e.setState64(at + segmentLayout.at.limit, e.i64((BigInt(attributes) << 32n) | 0xffff_ffffn));
  e.setState32(at + segmentLayout.at.selector, selector);
}
/** What descriptors of flat segments look like, but for AVL; they have been accessed. */
export const flatCode = (dpl: number, bits: 32 | 64) =>
  (bits === 64 ? 0x00af_9b00_0000_ffffn : 0x00cf_9b00_0000_ffffn) | BigInt(dpl) << 45n;
/** See flatCode. */
export const flatData = (dpl: number) => 0x00cf_9300_0000_ffffn | BigInt(dpl) << 45n;
const AVL = 1n << 52n;

/** Where `bytes` at a linear address can be read by a supervisor, as far as the TLB knows and within a page; else 0. */
export function readable(e: Emit, linear: Value<"i64">, bytes: number): Int {
  const host = e.hostSpan(e.segmentAddress(DS, linear), false) as Int;
  const offset = e.and(32, e.op("i32.wrap_i64", linear), e.i32(PAGE_MASK));
  return e.select(e.op("i32.gt_u", offset, e.i32(PAGE_SIZE - bytes)), e.i32(0), host);
}
/** The descriptor of `selector` in the GDT when the TLB has it; else 0, which is no usable one. */
export function descriptor(e: Emit, selector: Int): Value<"i64"> {
  const offset = e.and(32, selector, e.i32(0xfff8));
  const found = e.variable(e.i64(0));
  const inside = e.op("i32.le_u", e.add(32, offset, e.i32(7)), e.state32(S.gdtrLimit));
  e.if(e.and(32, inside, clear(e, selector, 4)), () => {
    const host = readable(e, e.add(64, e.state64(S.gdtrBase), e.zeroExtend(32, 64, offset)), 8);
    e.if(host, () => e.set(found, e.hostLoad(64, host)));
  });
  return e.get(found);
}
/** The flat segment of a descriptor. */
export function loadFlat(e: Emit, index: number, selector: Int, descriptor: Value<"i64">): void {
  setFlat(e, index, selector, 0);
  const attributes = e.op("i32.wrap_i64", e.op("i64.shr_u", descriptor, e.i64(40)));
  e.setState32(segmentAt(index) + segmentLayout.at.attributes, e.and(32, attributes, e.i32(0xf0ff)));
}
/** Whether it is `like`, but for AVL. */
export const isLike = (e: Emit, descriptor: Value<"i64">, like: bigint): Int =>
  e.eq(64, e.and(64, descriptor, e.i64(~AVL)), e.i64(like));

/** Looks for the descriptor of `selector`, which is left in `into`; whether it is `like`, but for AVL. */
export function findLike(e: Emit, into: Variable<"i64">, selector: Int, like: bigint): Int {
  e.set(into, descriptor(e, selector));
  return isLike(e, e.get(into), like);
}

/** Whether DS or ES is flat: what 32-bit code wants of them, as Registers.updateMode sees it. */
export function isFlat(e: Emit, index: number): Int {
  const at = segmentAt(index), { limit, attributes } = segmentLayout.at;
  const kind = e.and(32, e.state32(at + attributes), e.i32(FLAT_DATA_MASK));
  const wide = e.eq(32, e.state32(at + limit), e.i32(-1));
  return e.and(32, e.and(32, e.eqz(32, e.state32(at)), wide), e.eq(32, kind, e.i32(FLAT_DATA)));
}
/** A data segment stays as it is on the way out when it is null or may be used at privilege 3. */
export function stays(e: Emit, index: number): Int {
  const attributes = e.state32(segmentAt(index) + segmentLayout.at.attributes);
  const outer = e.eq(32, e.and(32, attributes, e.i32(3 << SEG_DPL_SHIFT)), e.i32(3 << SEG_DPL_SHIFT));
  return e.or(32, outer, nonZero(e, 32, e.and(32, attributes, e.i32(SEG_UNUSABLE))));
}
/** Conditions under which the descriptor in `found` makes a flat DS, ES or SS of 32-bit code. */
function isFlatFor(e: Emit, index: number, selector: Int, found: Value<"i64">): Int {
  const inner = e.eqz(32, e.or(32, e.state32(S.cpl), e.and(32, selector, e.i32(3))));
  const kernel = e.and(32, inner, isLike(e, found, flatData(0)));
  return index === SS ? kernel : e.or(32, kernel, isLike(e, found, flatData(3)));
}
/** Whether it is a data segment that has been accessed, and that this privilege and the selector's may use. */
function isData(e: Emit, selector: Int, found: Value<"i64">): Int {
  const high = e.op("i32.wrap_i64", e.op("i64.shr_u", found, e.i64(40)));
  const kind = e.and(32, high, e.i32(SEG_P | SEG_S | TYPE_CODE | TYPE_ACCESSED));
  const dpl = e.and(32, e.op("i32.shr_u", high, e.i32(SEG_DPL_SHIFT)), e.i32(3));
  const allowed = e.and(
    32,
    e.op("i32.le_u", e.state32(S.cpl), dpl),
    e.op("i32.le_u", e.and(32, selector, e.i32(3)), dpl),
  );
  return e.and(32, allowed, e.eq(32, kind, e.i32(SEG_P | SEG_S | TYPE_ACCESSED)));
}
/** The segment of a descriptor for which isData holds. */
function loadData(e: Emit, index: number, selector: Int, found: Value<"i64">): void {
  const low = e.op("i32.wrap_i64", found), high = e.op("i32.wrap_i64", e.op("i64.shr_u", found, e.i64(32)));
  const part = (value: Int, mask: number) => e.and(32, value, e.i32(mask));
  const base = e.or(
    32,
    e.or(32, e.op("i32.shr_u", low, e.i32(16)), e.shl(32, part(high, 0xff), e.i32(16))),
    part(high, 0xff00_0000 | 0),
  );
  const limit = e.or(32, part(low, 0xffff), part(high, 0xf_0000));
  const pages = e.or(32, e.shl(32, limit, e.i32(12)), e.i32(0xfff));
  const at = segmentAt(index), { attributes } = segmentLayout.at;
  e.setState64(at, e.zeroExtend(32, 64, base));
  e.setState32(at + segmentLayout.at.limit, e.select(part(high, 1 << 23), pages, limit));
  e.setState32(at + attributes, part(e.op("i32.shr_u", high, e.i32(8)), 0xf0ff));
  e.setState32(at + segmentLayout.at.selector, selector);
}
/** A null selector. */
function loadNull(e: Emit, index: number, selector: Int): void {
  const at = segmentAt(index);
  e.if(e.eqz(32, e.state32(VENDOR_IS_AMD)), () => {
    e.setState64(at, e.i64(0));
    e.setState32(at + segmentLayout.at.limit, e.i32(0));
  });
  e.setState32(at + segmentLayout.at.attributes, e.i32(SEG_UNUSABLE));
  e.setState32(at + segmentLayout.at.selector, selector);
}

/**
 * Loads ES, SS, DS, FS or GS; then `commit`. Emitted where the mode of the code stays as it is: DS, ES and SS of 32-bit code
 * are flat before and afterwards.
 */
export function loadSegment(e: Emit, index: number, value: Int, commit: () => void = () => {}): void {
  const slow = () => e.microcode("load_segment", { index: e.i32(index), selector: value }, { commit });
  const { codeBits, flat, stackBits } = e.form, long = codeBits === 64;
  const emitted = long ? index !== SS : codeBits === 32 && flat && stackBits === 32;
  if (!emitted) return slow();
  const selector = e.and(32, value, e.i32(0xffff));
  const found = e.variable(e.i64(0));
  const find = (isRight: (found: Value<"i64">) => Int) => (): Int => {
    e.set(found, descriptor(e, selector));
    return e.and(32, nonZero(e, 32, e.and(32, selector, e.i32(0xfffc))), isRight(e.get(found)));
  };
  const isProtected = long ? [] : [() => nonZero(e, 32, e.and(32, e.state32(S.cr0), e.i32(CR0_PE)))];
  if (!long && index !== FS && index !== GS) {
    return e.ifAll([...isProtected, find((found) => isFlatFor(e, index, selector, found))], () => {
      loadFlat(e, index, selector, e.get(found));
      commit();
    }, slow);
  }
  const load = () =>
    e.ifAll([...isProtected, find((found) => isData(e, selector, found))], () => {
      loadData(e, index, selector, e.get(found));
      commit();
    }, slow);
  e.ifAll([...isProtected, () => clear(e, selector, 0xfffc)], () => {
    loadNull(e, index, selector);
    commit();
  }, load);
}
