// SPDX-License-Identifier: MIT
/** Runs on a TestCpu what _native_runner.ts runs on the host; for tests. @module */
import { CR4_OSXSAVE, S, XMM_BASE, YMM_HIGH } from "../state/state.ts";
import type { TestCpu } from "../_bare_cpu.ts";
import { type NativeCase, type NativeResult, WIDE_SCRATCH_BYTES, XM, YMM_AT } from "./_native_runner.ts";

const HLT = 0xf4;

/** Runs a case, `budget` instructions at most; the result has the form of the native one. */
export function runHere(
  t: TestCpu,
  one: NativeCase,
  code: number,
  scratch: number,
  budget: number,
): NativeResult {
  const { cpu, memory } = t;
  const { core } = cpu;
  t.reset();
  const wide = one.memory.length === WIDE_SCRATCH_BYTES;
  if (wide) { // AVX is on
    core.s.set32(S.cr4, core.s.get32(S.cr4) | CR4_OSXSAVE);
    core.s.set32(S.xcr0, 7);
    core.updateMode();
  }
  one.gpr.forEach((value, r) => core.s.setGpr(r, value));
  core.setRflags(one.flags);
  t.write(scratch, one.memory);
  t.write(code, [...one.code, HLT]);
  core.s.set64(S.rip, BigInt(code));
  cpu.exceptions.fill(0);
  const end = cpu.run(budget);
  // Without an IDT an exception is a shutdown, and the counters tell which it was.
  const vector = end === "halted" ? -1 : cpu.exceptions.findIndex((n) => n > 0);
  const gpr = one.gpr.map((_, r) => core.s.gpr(r)), flags = core.rflags;
  if (vector === XM && t.bits === 64) { // FXSAVE64 [scratch]
    t.write(code, [0x48, 0x0f, 0xae, 0x04, 0x25, ...new Uint8Array(Uint32Array.of(scratch).buffer), HLT]);
    core.s.set64(S.rip, BigInt(code));
    cpu.run(budget);
    const high = XMM_BASE + YMM_HIGH;
    if (wide) t.write(scratch + YMM_AT, memory.bytes.slice(high, high + 256));
  }
  const at = memory.offsetOf(scratch);
  return {
    vector,
    gpr,
    flags,
    memory: memory.bytes.slice(at, at + one.memory.length),
  };
}
