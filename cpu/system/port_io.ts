// SPDX-License-Identifier: MIT
/**
 * IN, OUT, INS, OUTS with the I/O permission checks. Rules: SDM Vol. 1 §18.5, Vol. 2A INS, Vol. 2B OUTS.
 * Strings are precise to the iteration, and give interrupts a chance every MAX_ITERATIONS.
 * @module
 */
import type { AccessSize } from "../base/bus.ts";
import type { CpuCore } from "../core/core.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import { BREAK_IO, breakpointsMet } from "../state/breakpoints.ts";
import { SYS_TSS } from "../state/descriptor.ts";
import { linearAddress } from "../segments/segmentation.ts";
import { ES, EXC_GP, FLAG_DF, FLAG_TF, FS, S, segmentLayout, TR } from "../state/state.ts";
import { DISPATCH, FAULT, NEXT, type Status } from "../state/status.ts";

/** Most iterations of a REP INS or OUTS in one go. */
export const MAX_ITERATIONS = 1024;
/** Instructions that one go costs: a port access takes as long as some hundred instructions. */
const COST_OF_ONE_GO = MAX_ITERATIONS * 16;

/** May the current privilege use these ports? Else a fault is recorded. */
function allowed(core: CpuCore, port: number, size: number): boolean {
  if (core.realMode || (core.protectedMode && core.cpl <= core.iopl)) return true;
  const at = S.es + TR * segmentLayout.size, s = core.s;
  const limit = s.get32(at + segmentLayout.at.limit), lo = s.get32(at), hi = s.get32(at + 4);
  const read16 = (offset: number) => {
    const sum = lo + offset;
    return core.mem.read16(sum >>> 0, core.longMode ? (hi + (sum > 0xffff_ffff ? 1 : 0)) >>> 0 : 0, IMPLICIT);
  };
  if ((core.attributes(TR) & 0xd) === SYS_TSS && limit >= 103) {
    const map = read16(102);
    if (map === -1) return false;
    const offset = map + (port >> 3);
    if (offset + 1 <= limit) {
      const bits = read16(offset);
      if (bits === -1) return false;
      if (((bits >> (port & 7)) & ((1 << size) - 1)) === 0) return true;
    }
  }
  core.raise(EXC_GP, 0);
  return false;
}

/** I/O breakpoints trap behind the instruction. */
function watch(core: CpuCore, port: number, size: number): void {
  if (core.armed) core.debugTraps |= breakpointsMet(core.u32, BREAK_IO, BigInt(port), size);
}

/** IN: port, size. Result 0. */
export function portIn(core: CpuCore, rec: number): Status {
  const s = core.s, port = s.arg32(0) & 0xffff, size = s.arg32(1) as AccessSize;
  if (!allowed(core, port, size)) return FAULT;
  core.setRipBehind(rec);
  watch(core, port, size);
  const value = core.hooks.bus.readPort(port, size);
  s.set32(S.arg, value);
  s.set32(S.arg + 4, 0);
  return core.afterSideEffects();
}

/** OUT: port, size, value. */
export function portOut(core: CpuCore, rec: number): Status {
  const s = core.s, port = s.arg32(0) & 0xffff, size = s.arg32(1) as AccessSize;
  if (!allowed(core, port, size)) return FAULT;
  core.setRipBehind(rec);
  watch(core, port, size);
  const value = s.arg32(2);
  core.retryRequested = false;
  core.hooks.bus.writePort(port, size, size === 4 ? value : value & ((1 << (size * 8)) - 1));
  return core.afterCall(rec);
}

/** Register `index` moved by `delta`, in `bytes`. */
function advance(core: CpuCore, index: number, delta: number, bytes: number): void {
  const s = core.s;
  if (bytes === 8) s.setGpr(index, BigInt.asUintN(64, s.gpr(index) + BigInt(delta)));
  else if (bytes === 4) s.setGpr32(index, (s.gpr32(index) + delta) >>> 0);
  else s.set32(S.gpr + index * 8, (s.gpr32(index) & 0xffff_0000) | ((s.gpr32(index) + delta) & 0xffff));
}

/** Linear address of the string operand in core.mem.lo/hi. False: fault recorded. */
function operand(
  core: CpuCore,
  segment: number,
  index: number,
  bytes: number,
  size: number,
  write: boolean,
): boolean {
  const s = core.s, mem = core.mem;
  const lo = bytes === 2 ? s.gpr32(index) & 0xffff : s.gpr32(index);
  if (core.codeBits === 64) {
    const hi = bytes === 8 ? s.get32(S.gpr + index * 8 + 4) : 0;
    const at = S.es + segment * segmentLayout.size;
    const sum = lo + (segment >= FS ? s.get32(at) : 0);
    mem.lo = sum >>> 0;
    mem.hi = (hi + (segment >= FS ? s.get32(at + 4) : 0) + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
    return true;
  }
  const linear = linearAddress(core, segment, lo, size, write);
  mem.lo = linear >>> 0;
  mem.hi = 0;
  return linear >= 0;
}

/** Is RCX (in `bytes`) zero? */
function exhausted(core: CpuCore, bytes: number): boolean {
  const s = core.s, lo = s.gpr32(1);
  if (bytes === 2) return (lo & 0xffff) === 0;
  return lo === 0 && (bytes === 4 || s.get32(S.gpr + 12) === 0);
}

/** INS (RDI is 7) and OUTS (RSI is 6): size, rep, address bytes, segment of OUTS. */
export function portString(core: CpuCore, rec: number, input: boolean): Status {
  const s = core.s, bus = core.hooks.bus, mem = core.mem;
  const size = s.arg32(0) as AccessSize, rep = s.arg32(1) !== 0, bytes = s.arg32(2);
  const segment = input ? ES : s.arg32(3), index = input ? 7 : 6;
  const port = s.gpr32(2) & 0xffff;
  if (rep && exhausted(core, bytes)) return NEXT;
  if (!allowed(core, port, size)) return FAULT;
  const delta = (s.get32(S.eflags) & FLAG_DF) !== 0 ? -size : size;
  const most = (s.get32(S.eflags) & FLAG_TF) !== 0 || core.armed ? 1 : MAX_ITERATIONS; // a trap after each
  core.retryRequested = false;
  for (let n = 0; n < most; n++) {
    if (!operand(core, segment, index, bytes, size, input)) return FAULT;
    const lo = mem.lo, hi = mem.hi;
    if (!mem.isAligned(lo, size)) return FAULT;
    watch(core, port, size);
    // S.rip is where the guest goes on should the access stop the machine.
    core.setRipBehind(rec);
    if (input) {
      if (!mem.probe(lo, hi, size, true, core.dataMode)) return FAULT;
      const value = bus.readPort(port, size);
      mem.write(lo, hi, size, value, core.dataMode);
    } else {
      const value = size === 4
        ? mem.read32(lo, hi, core.dataMode)
        : size === 2
        ? mem.read16(lo, hi, core.dataMode)
        : mem.read8(lo, hi, core.dataMode);
      if (value === -1) return FAULT;
      bus.writePort(port, size, value);
      if (core.retryRequested) return core.afterCall(rec);
    }
    advance(core, index, delta, bytes);
    if (!rep) return core.afterSideEffects();
    advance(core, 1, -1, bytes);
    if (exhausted(core, bytes)) return core.afterSideEffects();
    const status = core.afterSideEffects();
    if (status !== NEXT) {
      core.setRipTo(rec);
      return status;
    }
  }
  core.setRipTo(rec);
  if (most > 1) s.set32(S.budget, (s.get32(S.budget) - COST_OF_ONE_GO) >>> 0);
  return DISPATCH;
}
