// SPDX-License-Identifier: MIT
/**
 * Changes of privilege between flat 32-bit code at privileges 3 and 0, and from there to 64-bit kernels, in emitted code:
 * SYSENTER, SYSEXIT, IRETD, as in long_mode.ts. SDM Vol. 2A IRET, Vol. 2B SYSENTER and SYSEXIT, Vol. 3A §5.8.7.
 * @module
 */
import { RCX, RDX, RSP } from "../../emit/emit.ts";
import type { Emit, Value } from "../../emit/emit.ts";
import {
  CS,
  DS,
  EFER_LMA,
  ES,
  FLAG_AC,
  FLAG_IF,
  FLAG_NT,
  FLAG_TF,
  FLAG_VM,
  FS,
  GS,
  S,
  SEG_DPL_SHIFT,
  SS,
  VENDOR_IS_AMD,
} from "../../state/state.ts";
import { nonZero } from "../row/values.ts";
import { clear, dropsRf, modeIs, setFlags, toKernel, toUser, undisturbed } from "./mode_emit.ts";
import {
  CODE_32,
  CODE_64,
  DATA,
  findLike,
  flatCode,
  flatData,
  loadFlat,
  readable,
  setFlat,
  stays,
} from "./segment_emit.ts";

type Int = Value<"i32">;

const isPlain32 = ({ form }: Emit) => form.codeBits === 32 && form.flat && form.stackBits === 32;
const isLegacy = (e: Emit): Int => clear(e, e.state32(S.efer), EFER_LMA);
/** IA32_SYSENTER_CS without RPL. */
const sysenterSelector = (e: Emit): Int => e.and(32, e.state32(S.sysenterCs), e.i32(0xfffc));
const plus = (e: Emit, selector: Int, bytes: number): Int =>
  e.and(32, e.add(32, selector, e.i32(bytes)), e.i32(0xfffc));
const wide = (e: Emit, value: Int): Value<"i64"> => e.zeroExtend(32, 64, value);

/** SYSENTER from 32-bit code at privilege 3. */
export function systemEnter(e: Emit): void {
  const slow = () => e.microcode("sysenter", {}, { ends: true });
  if (!isPlain32(e)) return slow();
  const enter = (to: 32 | 64) => {
    const selector = sysenterSelector(e);
    setFlat(e, CS, selector, to === 64 ? CODE_64 : CODE_32);
    setFlat(e, SS, plus(e, selector, 8), DATA);
    e.setState32(S.eflags, e.and(32, e.state32(S.eflags), e.i32(~FLAG_IF)));
    toKernel(e, 32, to);
    if (to === 64) {
      e.setGpr(RSP, 64, e.state64(S.sysenterEsp));
      e.jumpFar(e.state64(S.sysenterEip));
    } else {
      e.setGpr(RSP, 32, e.state32(S.sysenterEsp));
      e.jumpFar(wide(e, e.state32(S.sysenterEip)));
    }
  };
  e.ifAll(
    [
      () => modeIs(e, 32, 3),
      () => nonZero(e, 32, sysenterSelector(e)),
      () => clear(e, e.state32(S.eflags), FLAG_AC),
    ],
    () =>
      e.ifAll([() => isLegacy(e)], () => enter(32), () => {
        e.ifAll([() => e.eqz(32, e.state32(VENDOR_IS_AMD))], () => enter(64), slow);
      }),
    slow,
  );
}

/** SYSEXIT of a 32-bit kernel. */
export function systemExit(e: Emit): void {
  const slow = () => e.microcode("sysexit", { opBytes: e.i32(e.form.rexW ? 8 : 4) }, { ends: true });
  if (!isPlain32(e)) return slow();
  e.ifAll([
    () => modeIs(e, 32, 0),
    () => e.eqz(32, e.state32(S.cpl)),
    () => isLegacy(e),
    () => nonZero(e, 32, sysenterSelector(e)),
    () => clear(e, e.state32(S.eflags), FLAG_AC),
  ], () => {
    const selector = (bytes: number) => e.or(32, plus(e, sysenterSelector(e), bytes), e.i32(3));
    setFlat(e, CS, selector(16), CODE_32 | 3 << SEG_DPL_SHIFT);
    setFlat(e, SS, selector(24), DATA | 3 << SEG_DPL_SHIFT);
    toUser(e, 32, 32);
    e.setGpr(RSP, 32, e.gpr(RCX, 32));
    e.jumpFar(wide(e, e.gpr(RDX, 32)));
  }, slow);
}

/** EIP, CS, EFLAGS; then, for another privilege, ESP, SS. */
const SHORT_FRAME = 12, LONG_FRAME = 20;

/** IRETD of a 32-bit kernel, to code at privilege 0 or 3. `slow` leaves it to microcode. */
export function returnWithin32Bits(e: Emit, slow: () => void): void {
  if (!isPlain32(e) || e.form.osize !== 32) return slow();
  const frame = e.variable(e.i32(0)), code = e.variable(e.i64(0)), data = e.variable(e.i64(0));
  const word = (i: number) => e.hostLoad(32, e.add(32, e.get(frame), e.i32(i * 4)));
  const selector = (i: number) => e.hostLoad(16, e.add(32, e.get(frame), e.i32(i * 4)));
  const eip = () => word(0),
    cs = () => selector(1),
    image = () => word(2),
    esp = () => word(3),
    ss = () => selector(4);
  const locate = (bytes: number) => (): Int => {
    e.set(frame, readable(e, wide(e, e.gpr(RSP, 32)), bytes));
    return e.get(frame);
  };
  const leave = (stack: Int) => {
    loadFlat(e, CS, cs(), e.get(code));
    setFlags(e, image());
    e.setGpr(RSP, 32, stack);
    e.jumpFar(wide(e, eip()));
  };
  const outwards = () =>
    e.ifAll(
      [
        locate(LONG_FRAME),
        () => clear(e, e.not(32, ss()), 3),
        () => clear(e, image(), FLAG_AC),
        () => findLike(e, code, cs(), flatCode(3, 32)),
        () => findLike(e, data, ss(), flatData(3)),
        ...[ES, DS, FS, GS].map((index) => () => stays(e, index)),
      ],
      () => {
        loadFlat(e, SS, ss(), e.get(data));
        toUser(e, 32, 32);
        leave(esp());
      },
      slow,
    );
  const within = () =>
    e.ifAll(
      [() => clear(e, cs(), 3), () => findLike(e, code, cs(), flatCode(0, 32))],
      () => {
        toKernel(e, 32, 32, image());
        leave(e.add(32, e.gpr(RSP, 32), e.i32(SHORT_FRAME)));
      },
      slow,
    );
  e.ifAll(
    [
      () => modeIs(e, 32, 0),
      () => e.eqz(32, e.state32(S.cpl)),
      () => isLegacy(e),
      () => undisturbed(e),
      () => clear(e, e.state32(S.eflags), FLAG_NT | FLAG_AC),
      locate(SHORT_FRAME),
      () => clear(e, image(), FLAG_TF | FLAG_VM),
      () => dropsRf(e, image()),
    ],
    () => e.ifAll([() => clear(e, e.not(32, cs()), 3)], outwards, within),
    slow,
  );
}
