// SPDX-License-Identifier: MIT
/** What the microcode calls declare (cpu/emit/microcode_calls.ts) against what the functions do. @module */
import { assertEquals } from "@std/assert";
import { GPR_NAMES } from "../base/vcpu.ts";
import { Random } from "../isa/_cases.ts";
import { levelFeatures } from "../base/cpu_model.ts";
import { FREE, TestCore, TSS_SELECTOR } from "../_test_core.ts";
import { MICROCODE, MICROCODE_NAMES, type MicrocodeCall, microcodeNumber } from "../emit/microcode_calls.ts";
import { SSE_OPERATIONS, sseCode } from "../fpu/sse/sse_unit.ts";
import { FLAG_IOPL, FLAG_VM, S } from "../state/state.ts";
import { DISPATCH, HALT, NEXT } from "../state/status.ts";
import { microcode } from "./microcode.ts";

Deno.test("every microcode has a function and a number of its own, and fits its arguments", () => {
  assertEquals(Object.keys(microcode).toSorted(), [...MICROCODE_NAMES].toSorted());
  assertEquals(new Set(MICROCODE_NAMES.map(microcodeNumber)).size, MICROCODE_NAMES.length);
  for (const name of MICROCODE_NAMES) assertEquals(Object.keys(MICROCODE[name].args).length <= 8, true, name);
});

/** Cores in which much of the microcode succeeds. */
const CORES: readonly (() => TestCore)[] = [
  () => new TestCore().long(),
  () => new TestCore().long(3),
  () => {
    const t = new TestCore({ features: levelFeatures("max") }).long();
    t.core.s.set64(S.cr4, 0x45_0620n); // OSXSAVE, FSGSBASE, PKE
    t.core.s.set64(S.xcr0, 7n);
    t.write32(FREE + 524, 0x8000_0000); // XCOMP_BV: an XSAVE area that is compacted
    return t;
  },
  () => new TestCore().protected32(),
  () => {
    const t = new TestCore().protected32(3); // in virtual-8086 mode, IOPL 3
    t.core.setRflags(FLAG_VM | FLAG_IOPL | 2);
    return t;
  },
  () => new TestCore(),
];

Deno.test("no microcode writes a general register or flag that it does not declare", () => {
  const random = new Random(0x5eed);
  const done = new Set<string>();
  for (const make of CORES) {
    for (const name of MICROCODE_NAMES) {
      const { args, writes } = MICROCODE[name] as MicrocodeCall;
      for (let round = 0; round < 8; round++) {
        const t = make(), { core } = t;
        const small = [0, 0x10, 0x2b, 4, 8, FREE, TSS_SELECTOR, 0];
        for (let r = 0; r < 16; r++) {
          if (r === 4) continue;
          core.s.setGpr(r, BigInt(random.u32()));
        }
        if (round < 4) {
          // RCX:RDX:RAX fit XCR0, an MSR (IA32_TSC_AUX), no performance counter.
          core.s.setGpr(0, 1n);
          core.s.setGpr(1, round < 2 ? 0n : 0xc000_0103n);
          core.s.setGpr(2, 0n);
        }
        core.setRflags((core.rflags & ~0x8d5) | (random.u32() & 0x8d5));
        const before = [...GPR_NAMES.map((_, r) => core.s.gpr(r)), BigInt(core.rflags & 0x8d5)];
        const given = Object.keys(args).map((_, i) => small[(round + 3 * i) % small.length] as number);
        // rows give constants there, as they do not in the others
        if (name.startsWith("sse_float")) {
          given[0] = sseCode(SSE_OPERATIONS[random.below(SSE_OPERATIONS.length)] ?? "add", "f64", "packed");
        }
        if (name === "invpcid") given[1] = 0;
        core.s.set64(S.sysenterCs, 8n);
        const status = t.run(name, ...given);
        if (status === NEXT || status === DISPATCH || status === HALT) done.add(name);
        const after = [...GPR_NAMES.map((_, r) => core.s.gpr(r)), BigInt(core.rflags & 0x8d5)];
        [...GPR_NAMES, "flags" as const].forEach((register, i) => {
          if (!writes.includes(register)) assertEquals(after[i], before[i], `${name} and ${register}`);
        });
      }
    }
  }
  assertEquals(MICROCODE_NAMES.filter((name) => !done.has(name)), ["rdpmc"]); // which never succeeds
});
