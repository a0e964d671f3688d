// SPDX-License-Identifier: MIT
/**
 * Changes of privilege that 64-bit kernels make all the time, in emitted code: SYSCALL, SYSRET and IRETQ between flat
 * 64-bit code at privileges 0 and 3. Each has conditions under which nothing can fault, no trap or interrupt can come
 * behind it, and the segments are the usual ones; when one does not hold, microcode does the instruction, having found
 * everything as it was. SDM Vol. 2A IRET, Vol. 2B SYSCALL and SYSRET, Vol. 3A §5.8.8.
 * @module
 */
import { PAGE_MASK, PAGE_SIZE } from "../../base/bits.ts";
import type { Emit, Value } from "../../emit/emit.ts";
import { R11, RCX, RSP } from "../../emit/emit.ts";
import {
  MODE_CODE,
  MODE_SEGMENTED,
  MODE_STACK_WIDE,
  MODE_TF,
  MODE_USER,
  modeKeyOf,
} from "../../state/registers.ts";
import {
  ARITHMETIC_FLAGS,
  ATTENTION_INTERRUPT,
  ATTENTION_NMI_BLOCKED,
  CR4_SMAP,
  CS,
  DS,
  EFER_SCE,
  ES,
  FLAG_AC,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  FS,
  GS,
  S,
  SEG_DB,
  SEG_DPL_SHIFT,
  SEG_G,
  SEG_L,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
  SYSTEM_FLAGS,
  TLB_BASE,
  TLB_BYTES,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_SUPERVISOR_AC,
  TLB_MODE_USER,
} from "../../state/state.ts";
import { isNotCanonical, nonZero } from "../row/values.ts";

type Int = Value<"i32">;

/** Upper half of S.modeKey for 64-bit code without TF, breakpoints and the like. */
const KERNEL_KEY = modeKeyOf(2 | MODE_STACK_WIDE), USER_KEY = modeKeyOf(2 | MODE_STACK_WIDE | MODE_USER);
const USER_BIT = modeKeyOf(MODE_USER);
/** The bits that matter; others say which instructions trap. */
const LOOKED_AT = modeKeyOf(MODE_CODE | MODE_STACK_WIDE | MODE_USER | MODE_TF | MODE_SEGMENTED);
const MODE = S.modeKey + 4;
/** What EFLAGS keeps besides the arithmetic flags. */
const KEPT = SYSTEM_FLAGS & ~(FLAG_RF | FLAG_VM);
/** Flat segments as SYSCALL and SYSRET make them. */
const CODE = 0x9b | SEG_G | SEG_L, DATA = 0x93 | SEG_G | SEG_DB;
/** Limit and attributes of such an SS at privilege 0. */
const FLAT_STACK = BigInt(DATA) << 32n | 0xffff_ffffn;
const segmentAt = (index: number) => S.es + index * segmentLayout.size;

const clear = (e: Emit, value: Int, mask: number): Int => e.eqz(32, e.and(32, value, e.i32(mask)));
const modeIs = (e: Emit, key: number): Int =>
  e.eq(32, e.and(32, e.state32(MODE), e.i32(LOOKED_AT)), e.i32(key));
/** No NMI is blocked, and no interrupt can be due. */
const undisturbed = (e: Emit): Int =>
  clear(e, e.state32(S.attention), ATTENTION_INTERRUPT | ATTENTION_NMI_BLOCKED);
const canCallSystem = (e: Emit): Int => nonZero(e, 32, e.and(32, e.state32(S.efer), e.i32(EFER_SCE)));
const isCanonical = (e: Emit, address: Value<"i64">): Int => e.eqz(32, isNotCanonical(e, address));

/** A flat segment register. */
function setFlat(e: Emit, index: number, selector: Int, attributes: number): void {
  const at = segmentAt(index);
  e.setState64(at, e.i64(0));
  e.setState64(at + segmentLayout.at.limit, e.i64((BigInt(attributes) << 32n) | 0xffff_ffffn));
  e.setState32(at + segmentLayout.at.selector, selector);
}
function setFlags(e: Emit, flags: Int): void {
  e.setFlagsImage(e.and(32, flags, e.i32(ARITHMETIC_FLAGS)));
  e.setState32(S.eflags, e.or(32, e.and(32, flags, e.i32(KEPT)), e.i32(2)));
}
/** Privilege 0 or 3 in 64-bit code. */
function setPrivilege(e: Emit, cpl: 0 | 3): void {
  e.setState32(S.cpl, e.i32(cpl));
  const mode = e.state32(MODE);
  e.setState32(MODE, cpl === 3 ? e.or(32, mode, e.i32(USER_BIT)) : e.and(32, mode, e.i32(~USER_BIT)));
  if (cpl === 3) e.setTlbBase(e.i32(TLB_BASE + TLB_MODE_USER * TLB_BYTES));
}

/** SYSCALL from 64-bit code at privilege 3. */
export function systemCall(e: Emit): void {
  const slow = () => e.microcode("syscall", {}, { ends: true });
  if (e.form.codeBits !== 64) return slow();
  const notMasked = () => e.not(32, e.state32(S.fmask));
  e.ifAll([
    () => modeIs(e, USER_KEY),
    () => canCallSystem(e),
    () => clear(e, e.and(32, e.state32(S.eflags), notMasked()), FLAG_AC),
  ], () => {
    const flags = e.or(32, e.state32(S.eflags), e.flagsImage());
    const selector = e.state32(S.star + 4);
    e.setGpr(RCX, 64, e.nextRip());
    e.setGpr(R11, 64, e.zeroExtend(32, 64, flags));
    setFlat(e, CS, e.and(32, selector, e.i32(0xfffc)), CODE);
    setFlat(e, SS, e.and(32, e.add(32, selector, e.i32(8)), e.i32(0xfffc)), DATA);
    setFlags(e, e.and(32, flags, notMasked()));
    setPrivilege(e, 0);
    e.setTlbBase(e.i32(TLB_BASE + TLB_MODE_SUPERVISOR * TLB_BYTES));
    e.jumpFar(e.state64(S.lstar));
  }, slow);
}

/** SYSRET to 64-bit code. */
export function systemReturn(e: Emit): void {
  const slow = () => e.microcode("sysret", { opBytes: e.i32(e.form.rexW ? 8 : 4) }, { ends: true });
  if (e.form.codeBits !== 64 || !e.form.rexW) return slow();
  e.ifAll([
    () => modeIs(e, KERNEL_KEY),
    () => e.eqz(32, e.state32(S.cpl)),
    () => canCallSystem(e),
    () => undisturbed(e),
    () => clear(e, e.gpr(R11, 32), FLAG_TF | FLAG_AC),
    () => isCanonical(e, e.gpr(RCX, 64)),
    // AMD's leave the stack segment as it is.
    () => e.eq(64, e.state64(segmentAt(SS) + segmentLayout.at.limit), e.i64(FLAT_STACK)),
  ], () => {
    const selector = (plus: number) => {
      const base = e.op("i32.shr_u", e.state32(S.star + 4), e.i32(16));
      return e.or(32, e.and(32, e.add(32, base, e.i32(plus)), e.i32(0xfffc)), e.i32(3));
    };
    setFlat(e, CS, selector(16), CODE | (3 << SEG_DPL_SHIFT));
    setFlat(e, SS, selector(8), DATA | (3 << SEG_DPL_SHIFT));
    setFlags(e, e.gpr(R11, 32));
    setPrivilege(e, 3);
    e.jumpFar(e.gpr(RCX, 64));
  }, slow);
}

/** What descriptors of flat segments look like, but for AVL; they have been accessed. */
const flatCode = (dpl: number) => 0x00af_9b00_0000_ffffn | BigInt(dpl) << 45n;
const flatData = (dpl: number) => 0x00cf_9300_0000_ffffn | BigInt(dpl) << 45n;
const AVL = 1n << 52n;

/** Where `bytes` at a linear address can be read by a supervisor, as far as the TLB knows and within a page; else 0. */
function readable(e: Emit, linear: Value<"i64">, bytes: number): Int {
  const host = e.hostSpan(e.segmentAddress(DS, linear), false) as Int;
  const offset = e.and(32, e.op("i32.wrap_i64", linear), e.i32(PAGE_MASK));
  return e.select(e.op("i32.gt_u", offset, e.i32(PAGE_SIZE - bytes)), e.i32(0), host);
}
/** The descriptor of `selector` in the GDT when the TLB has it; else 0, which is no usable one. */
function descriptor(e: Emit, selector: Int): Value<"i64"> {
  const offset = e.and(32, selector, e.i32(0xfff8));
  const found = e.variable(e.i64(0));
  const inside = e.op("i32.le_u", e.add(32, offset, e.i32(7)), e.state32(S.gdtrLimit));
  e.if(e.and(32, inside, clear(e, selector, 4)), () => {
    const host = readable(e, e.add(64, e.state64(S.gdtrBase), e.zeroExtend(32, 64, offset)), 8);
    e.if(host, () => e.set(found, e.hostLoad(64, host)));
  });
  return e.get(found);
}
/** A flat segment of the descriptor, which is `like` but for AVL. */
function loadFlat(e: Emit, index: number, selector: Int, like: bigint, descriptor: Value<"i64">): void {
  setFlat(e, index, selector, 0);
  const attributes = e.op("i32.wrap_i64", e.op("i64.shr_u", e.and(64, descriptor, e.i64(AVL)), e.i64(40)));
  const at = segmentAt(index) + segmentLayout.at.attributes;
  e.setState32(at, e.or(32, attributes, e.i32(Number(like >> 40n) & 0xf0ff)));
}
const isLike = (e: Emit, descriptor: Value<"i64">, like: bigint): Int =>
  e.eq(64, e.and(64, descriptor, e.i64(~AVL)), e.i64(like));

/** RIP, CS, RFLAGS, RSP, SS. */
const FRAME_BYTES = 40;

/** IRETQ at privilege 0, to 64-bit code at privilege 0 or 3. RF in the frame matters to breakpoints only, which none is here. */
export function interruptReturn(e: Emit): void {
  const slow = () => e.microcode("iret", { opBytes: e.i32(e.form.osize / 8) }, { ends: true });
  if (e.form.codeBits !== 64 || e.form.osize !== 64) return slow();
  const frame = e.variable(e.i32(0)), code = e.variable(e.i64(0)), data = e.variable(e.i64(0));
  const at = (i: number) => e.add(32, e.get(frame), e.i32(i * 8));
  const cs = () => e.hostLoad(16, at(1)),
    image = () => e.hostLoad(32, at(2)),
    ss = () => e.hostLoad(16, at(4));
  const find = (into: typeof code, selector: Int, like: bigint): Int => {
    e.set(into, descriptor(e, selector));
    return isLike(e, e.get(into), like);
  };
  const leave = (cpl: 0 | 3) => {
    const rip = e.hostLoad(64, at(0)), rsp = e.hostLoad(64, at(3));
    setFlags(e, image());
    setPrivilege(e, cpl);
    e.setGpr(RSP, 64, rsp);
    e.jumpFar(rip);
  };
  const toUser = () => {
    loadFlat(e, CS, cs(), flatCode(3), e.get(code));
    loadFlat(e, SS, ss(), flatData(3), e.get(data));
    leave(3);
  };
  const toKernel = () => {
    loadFlat(e, CS, cs(), flatCode(0), e.get(code));
    e.if(e.and(32, ss(), e.i32(0xfffc)), () => loadFlat(e, SS, ss(), flatData(0), e.get(data)), () => {
      e.setState64(segmentAt(SS), e.i64(0));
      e.setState64(segmentAt(SS) + segmentLayout.at.limit, e.i64(BigInt(SEG_UNUSABLE) << 32n));
      e.setState32(segmentAt(SS) + segmentLayout.at.selector, ss());
    });
    const supervisor = e.i32(TLB_BASE + TLB_MODE_SUPERVISOR * TLB_BYTES);
    const withAccess = e.i32(TLB_BASE + TLB_MODE_SUPERVISOR_AC * TLB_BYTES);
    const smap = nonZero(e, 32, e.and(32, e.state32(S.cr4), e.i32(CR4_SMAP)));
    const access = nonZero(e, 32, e.and(32, image(), e.i32(FLAG_AC)));
    e.setTlbBase(e.select(e.and(32, smap, access), withAccess, supervisor));
    leave(0);
  };
  /** A data segment stays as it is when it is null or may be used at privilege 3. */
  const stays = (index: number) => (): Int => {
    const attributes = e.state32(segmentAt(index) + segmentLayout.at.attributes);
    const outer = e.eq(32, e.and(32, attributes, e.i32(3 << SEG_DPL_SHIFT)), e.i32(3 << SEG_DPL_SHIFT));
    return e.or(32, outer, nonZero(e, 32, e.and(32, attributes, e.i32(SEG_UNUSABLE))));
  };
  const kernel = () =>
    e.ifAll(
      [
        () => clear(e, cs(), 3),
        () => find(code, cs(), flatCode(0)),
        () => {
          e.set(data, descriptor(e, ss()));
          const isNull = e.eqz(32, ss());
          return e.or(32, isNull, e.and(32, clear(e, ss(), 3), isLike(e, e.get(data), flatData(0))));
        },
      ],
      toKernel,
      slow,
    );
  e.ifAll([
    () => modeIs(e, KERNEL_KEY),
    () => e.eqz(32, e.state32(S.cpl)),
    () => undisturbed(e),
    () => clear(e, e.state32(S.eflags), FLAG_NT | FLAG_AC),
    () => {
      e.set(frame, readable(e, e.gpr(RSP, 64), FRAME_BYTES));
      return e.get(frame);
    },
    () => clear(e, image(), FLAG_TF),
    () => isCanonical(e, e.hostLoad(64, at(0))),
  ], () => {
    e.ifAll(
      [
        () => clear(e, e.not(32, cs()), 3),
        () => clear(e, e.not(32, ss()), 3),
        () => clear(e, image(), FLAG_AC),
        () => find(code, cs(), flatCode(3)),
        () => find(data, ss(), flatData(3)),
        ...[ES, DS, FS, GS].map(stays),
      ],
      toUser,
      kernel,
    );
  }, slow);
}
