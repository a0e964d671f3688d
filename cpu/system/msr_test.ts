// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 4, Vol. 3A §12.11-12.12, §18.17.
import { assertEquals } from "@std/assert";
import { TestCore } from "../_test_core.ts";
import {
  IA32_EFER,
  IA32_FMASK,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_MISC_ENABLE,
  IA32_MTRR_DEF_TYPE,
  IA32_PAT,
  IA32_STAR,
  IA32_TIME_STAMP_COUNTER,
  IA32_TSC_ADJUST,
  readMsr,
  writeMsr,
} from "./msr.ts";
import { S } from "../state/state.ts";
import { FAULT, NEXT } from "../state/status.ts";

// MSR, value, accepted
const WRITES: [string, number, bigint, boolean][] = [
  ["STAR", IA32_STAR, 0x0023_0010_0000_0000n, true],
  ["LSTAR", IA32_LSTAR, 0xffff_ffff_8160_0000n, true],
  ["LSTAR, non-canonical", IA32_LSTAR, 0x8000_0000_0000n, false],
  ["KERNEL_GS_BASE, non-canonical", IA32_KERNEL_GS_BASE, 1n << 60n, false],
  ["FMASK, high bits", IA32_FMASK, 1n << 32n, false],
  ["PAT of Linux", IA32_PAT, 0x0407_0506_0007_0106n, true],
  ["PAT with type 2", IA32_PAT, 0x0007_0406_0007_0402n, false],
  ["PAT with type 8", IA32_PAT, 0x0800_0000_0000_0000n, false],
  ["EFER with SVME", IA32_EFER, 0x1d01n, false],
  ["MTRR_DEF_TYPE", IA32_MTRR_DEF_TYPE, 0xc06n, true],
  ["MTRR_DEF_TYPE, reserved", IA32_MTRR_DEF_TYPE, 0x1006n, false],
  ["MTRR_DEF_TYPE, type 2", IA32_MTRR_DEF_TYPE, 0xc02n, false],
  ["MTRR_PHYSBASE0", 0x200, 0xe000_0000n, true],
  ["MTRR_PHYSBASE0, bit 32", 0x200, 1n << 32n, false],
  ["MTRR_PHYSMASK0", 0x201, 0xe000_0800n, true],
  ["MTRR_PHYSMASK0, bit 10", 0x201, 0xe000_0c00n, false],
  ["MTRR_FIX4K_F8000", 0x26f, 0x0606_0606_0606_0606n, true],
  ["MTRR_FIX4K_F8000, type 3", 0x26f, 3n, false],
  ["MTRRCAP", 0xfe, 0n, false],
];
for (const [name, index, value, ok] of WRITES) {
  Deno.test(`wrmsr ${name} ${ok ? "is kept" : "is refused"}`, () => {
    const t = new TestCore().long();
    const before = readMsr(t.core, index);
    assertEquals(writeMsr(t.core, index, value), ok);
    assertEquals(readMsr(t.core, index), ok ? value : before);
  });
}

Deno.test("rdmsr and wrmsr use EDX:EAX, and ask the machine for what is not the CPU's", () => {
  const seen: bigint[] = [];
  const t = new TestCore({}, {
    readMsr: (i) => i === 0x1b ? 0xfee0_0900n : undefined,
    writeMsr: (i, v) => i === 0x1b && (seen.push(v), true),
  }).long();
  const s = t.core.s;
  s.setGpr(0, ~0n & 0xffff_ffff_ffff_ffffn);
  s.setGpr(1, 0xffff_ffff_0000_001bn);
  assertEquals([t.run("rdmsr"), t.gpr(0), t.gpr(2)], [NEXT, 0xfee0_0900n, 0n]);
  s.setGpr(2, 1n);
  assertEquals([t.run("wrmsr"), seen], [NEXT, [0x1_fee0_0900n]]);
  s.setGpr(1, 0x9999n);
  assertEquals([t.run("rdmsr"), t.fault], [FAULT, "13:0"]);
  assertEquals([t.run("wrmsr"), t.fault], [FAULT, "13:0"]);
  const lines: string[] = [];
  t.core.tracer.configure((category, message) => lines.push(`${category}: ${message}`), ["cpu"]);
  assertEquals([t.run("rdmsr"), t.fault], [FAULT, "13:0"]);
  assertEquals([t.core.tracer.counters.get("cpu.msr.refused"), lines], [3, ["cpu: read of MSR 0x9999: #GP"]]);
  t.core.setCpl(3);
  s.setGpr(1, BigInt(IA32_PAT));
  assertEquals([t.run("rdmsr"), t.fault], [FAULT, "13:0"]);
});

Deno.test("EFER.LMA is not for software", () => {
  const t = new TestCore().long();
  assertEquals(writeMsr(t.core, IA32_EFER, 0x901n), true);
  assertEquals(readMsr(t.core, IA32_EFER), 0xd01n);
});

Deno.test("TSC and TSC_ADJUST move together", () => {
  const t = new TestCore().long();
  t.tsc = 1000n;
  assertEquals(readMsr(t.core, IA32_TIME_STAMP_COUNTER), 1000n);
  writeMsr(t.core, IA32_TIME_STAMP_COUNTER, 0n);
  assertEquals(readMsr(t.core, IA32_TSC_ADJUST), BigInt.asUintN(64, -1000n));
  t.tsc = 1500n;
  assertEquals([t.run("rdtsc"), t.gpr(0), t.gpr(2)], [NEXT, 500n, 0n]);
  writeMsr(t.core, IA32_TSC_ADJUST, 0n);
  assertEquals(t.core.readTsc(), 1500n);
  t.core.s.set64(S.tscAux, 7n);
  assertEquals([t.run("rdtscp"), t.gpr(1)], [NEXT, 7n]);
  t.core.s.set64(S.cr4, t.core.s.get64(S.cr4) | 4n);
  assertEquals(t.run("rdtsc"), NEXT); // TSD is about users
  t.core.setCpl(3);
  assertEquals([t.run("rdtsc"), t.fault], [FAULT, "13:0"]);
});

Deno.test("fast strings are on: Linux drops ERMS otherwise", () => {
  assertEquals((readMsr(new TestCore().core, IA32_MISC_ENABLE) ?? 0n) & 1n, 1n);
});

Deno.test("AMD's own MSRs exist for AMD only", () => {
  const amd = new TestCore({ vendor: "AuthenticAMD" }), intel = new TestCore();
  assertEquals([readMsr(amd.core, 0xc001_0015), readMsr(intel.core, 0xc001_0015)], [0n, undefined]);
  assertEquals([readMsr(amd.core, 0x10a), typeof readMsr(intel.core, 0x10a)], [undefined, "bigint"]);
});
