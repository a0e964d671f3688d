// SPDX-License-Identifier: MIT
/**
 * Changes of privilege that 64-bit kernels make all the time, in emitted code: SYSCALL, SYSRET and IRETQ between flat
 * code at privileges 0 and 3; programs may be 32-bit ones, which come by SYSENTER. Each has conditions under which nothing
 * can fault, no trap or interrupt can come behind it, and the segments are the usual ones; when one does not hold,
 * microcode does the instruction, having found everything as it was. SDM Vol. 2A IRET, Vol. 2B SYSCALL, SYSRET and
 * SYSENTER, Vol. 3A §5.8.7 and §5.8.8.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { R11, RCX, RSP } from "../../emit/emit.ts";
import {
  CS,
  DS,
  EFER_SCE,
  ES,
  FLAG_AC,
  FLAG_NT,
  FLAG_TF,
  FS,
  GS,
  S,
  SEG_DPL_SHIFT,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
} from "../../state/state.ts";
import { isNotCanonical, nonZero } from "../row/values.ts";
import { returnWithin32Bits } from "./protected_mode.ts";
import { clear, dropsRf, modeIs, setFlags, toKernel, toUser, undisturbed } from "./mode_emit.ts";
import {
  CODE_32,
  CODE_64,
  DATA,
  descriptor,
  findLike,
  flatCode,
  flatData,
  isFlat,
  isLike,
  loadFlat,
  readable,
  segmentAt,
  setFlat,
  stays,
} from "./segment_emit.ts";

type Int = Value<"i32">;

/** Limit and attributes of a flat SS at privilege 0. */
const FLAT_STACK = BigInt(DATA) << 32n | 0xffff_ffffn;
const canCallSystem = (e: Emit): Int => nonZero(e, 32, e.and(32, e.state32(S.efer), e.i32(EFER_SCE)));
const isCanonical = (e: Emit, address: Value<"i64">): Int => e.eqz(32, isNotCanonical(e, address));

/** SYSCALL from 64-bit code at privilege 3. */
export function systemCall(e: Emit): void {
  const slow = () => e.microcode("syscall", {}, { ends: true });
  if (e.form.codeBits !== 64) return slow();
  const notMasked = () => e.not(32, e.state32(S.fmask));
  e.ifAll([
    () => modeIs(e, 64, 3),
    () => canCallSystem(e),
    () => clear(e, e.and(32, e.state32(S.eflags), notMasked()), FLAG_AC),
  ], () => {
    const flags = e.or(32, e.state32(S.eflags), e.flagsImage());
    const selector = e.state32(S.star + 4);
    e.setGpr(RCX, 64, e.nextRip());
    e.setGpr(R11, 64, e.zeroExtend(32, 64, flags));
    setFlat(e, CS, e.and(32, selector, e.i32(0xfffc)), CODE_64);
    setFlat(e, SS, e.and(32, e.add(32, selector, e.i32(8)), e.i32(0xfffc)), DATA);
    setFlags(e, e.and(32, flags, notMasked()));
    toKernel(e, 64, 64);
    e.jumpFar(e.state64(S.lstar));
  }, slow);
}

/** SYSRET to 64-bit code, or to flat 32-bit code. */
export function systemReturn(e: Emit): void {
  const wide = e.form.rexW, bits = wide ? 64 : 32;
  const slow = () => e.microcode("sysret", { opBytes: e.i32(wide ? 8 : 4) }, { ends: true });
  if (e.form.codeBits !== 64) return slow();
  e.ifAll([
    () => modeIs(e, 64, 0),
    () => e.eqz(32, e.state32(S.cpl)),
    () => canCallSystem(e),
    () => undisturbed(e),
    () => clear(e, e.gpr(R11, 32), FLAG_TF | FLAG_AC),
    ...(wide ? [() => isCanonical(e, e.gpr(RCX, 64))] : [ES, DS].map((index) => () => isFlat(e, index))),
    // AMD's leave the stack segment as it is.
    () => e.eq(64, e.state64(segmentAt(SS) + segmentLayout.at.limit), e.i64(FLAT_STACK)),
    () => e.eqz(64, e.state64(segmentAt(SS))),
  ], () => {
    const selector = (plus: number) => {
      const base = e.op("i32.shr_u", e.state32(S.star + 4), e.i32(16));
      return e.or(32, e.and(32, e.add(32, base, e.i32(plus)), e.i32(0xfffc)), e.i32(3));
    };
    setFlat(e, CS, selector(wide ? 16 : 0), (wide ? CODE_64 : CODE_32) | (3 << SEG_DPL_SHIFT));
    setFlat(e, SS, selector(8), DATA | (3 << SEG_DPL_SHIFT));
    setFlags(e, e.gpr(R11, 32));
    toUser(e, 64, bits);
    e.jumpFar(e.zeroExtend(bits, 64, e.gpr(RCX, bits)));
  }, slow);
}

/** RIP, CS, RFLAGS, RSP, SS. */
const FRAME_BYTES = 40;

/**
 * IRETQ at privilege 0, to flat code at privilege 0 or 3, which is 32-bit or 64-bit there.
 */
export function interruptReturn(e: Emit): void {
  const slow = () => e.microcode("iret", { opBytes: e.i32(e.form.osize / 8) }, { ends: true });
  if (e.form.codeBits === 32) return returnWithin32Bits(e, slow);
  if (e.form.codeBits !== 64 || e.form.osize !== 64) return slow();
  const frame = e.variable(e.i32(0)), code = e.variable(e.i64(0)), data = e.variable(e.i64(0));
  const at = (i: number) => e.add(32, e.get(frame), e.i32(i * 8));
  const rip = () => e.hostLoad(64, at(0)),
    cs = () => e.hostLoad(16, at(1)),
    image = () => e.hostLoad(32, at(2)),
    rsp = () => e.hostLoad(64, at(3)),
    ss = () => e.hostLoad(16, at(4));
  const leave = (target: Value<"i64">, stack: Value<"i64">) => {
    setFlags(e, image());
    e.setGpr(RSP, 64, stack);
    e.jumpFar(target);
  };
  const load = () => {
    loadFlat(e, CS, cs(), e.get(code));
    loadFlat(e, SS, ss(), e.get(data));
  };
  const to64Bits = () => {
    load();
    toUser(e, 64, 64);
    leave(rip(), rsp());
  };
  const low = (value: Value<"i64">) => e.and(64, value, e.i64(0xffff_ffff));
  const to32Bits = () => {
    load();
    toUser(e, 64, 32);
    leave(rip(), low(rsp()));
  };
  const toItself = () => {
    loadFlat(e, CS, cs(), e.get(code));
    e.if(e.and(32, ss(), e.i32(0xfffc)), () => loadFlat(e, SS, ss(), e.get(data)), () => {
      e.setState64(segmentAt(SS), e.i64(0));
      e.setState64(segmentAt(SS) + segmentLayout.at.limit, e.i64(BigInt(SEG_UNUSABLE) << 32n));
      e.setState32(segmentAt(SS) + segmentLayout.at.selector, ss());
    });
    toKernel(e, 64, 64, image());
    leave(rip(), rsp());
  };
  const kernel = () =>
    e.ifAll(
      [
        () => clear(e, cs(), 3),
        () => findLike(e, code, cs(), flatCode(0, 64)),
        () => {
          e.set(data, descriptor(e, ss()));
          const isNull = e.eqz(32, ss());
          return e.or(32, isNull, e.and(32, clear(e, ss(), 3), isLike(e, e.get(data), flatData(0))));
        },
      ],
      toItself,
      slow,
    );
  const user = () =>
    e.ifAll(
      [
        () => clear(e, e.not(32, ss()), 3),
        () => clear(e, image(), FLAG_AC),
        () => findLike(e, data, ss(), flatData(3)),
        ...[ES, DS, FS, GS].map((index) => () => stays(e, index)),
      ],
      () => e.ifAll([() => findLike(e, code, cs(), flatCode(3, 64))], to64Bits, program),
      slow,
    );
  const program = () =>
    e.ifAll(
      [
        () => isLike(e, e.get(code), flatCode(3, 32)),
        () => e.eq(64, rip(), low(rip())),
        ...[ES, DS].map((index) => () => isFlat(e, index)),
      ],
      to32Bits,
      slow,
    );
  e.ifAll(
    [
      () => modeIs(e, 64, 0),
      () => e.eqz(32, e.state32(S.cpl)),
      () => undisturbed(e),
      () => clear(e, e.state32(S.eflags), FLAG_NT | FLAG_AC),
      () => {
        e.set(frame, readable(e, e.gpr(RSP, 64), FRAME_BYTES));
        return e.get(frame);
      },
      () => clear(e, image(), FLAG_TF),
      () => dropsRf(e, image()),
      () => isCanonical(e, rip()),
    ],
    () => e.ifAll([() => clear(e, e.not(32, cs()), 3)], user, kernel),
    slow,
  );
}
