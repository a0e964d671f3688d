// SPDX-License-Identifier: MIT
/** What `deno task fuzz` compares: groups of rows one instruction at a time, streams of all, control flow. @module */
import { TestCpu } from "../../cpu/_bare_cpu.ts";
import { avxCase, isAvxRow } from "../../cpu/isa/avx/_avx_cases.ts";
import { avxSuite } from "../../cpu/isa/avx/_avx_suite.ts";
import { isComparable, Random, randomCase } from "../../cpu/isa/_cases.ts";
import { runHere } from "../../cpu/isa/_emulated_runner.ts";
import { integerSuites } from "../../cpu/isa/_integer_suite.ts";
import {
  codeAddress,
  type NativeCase,
  runNative,
  SCRATCH_BYTES,
  scratchAddress,
  whyNotNative,
  WIDE_SCRATCH_BYTES,
} from "../../cpu/isa/_native_runner.ts";
import { type Group, hostLacks, hostVendor, isSame, type Suite } from "../../cpu/isa/_oracle.ts";
import { type Row, rows } from "../../cpu/isa/mod.ts";
import { isVectorRow, vectorCase } from "../../cpu/isa/simd/_vector_cases.ts";
import { vectorSuite } from "../../cpu/isa/simd/_vector_suite.ts";
import type { Round, Wanted } from "./fuzz_round.ts";
import { controlFlow } from "./fuzz_control_flow.ts";
import { streams } from "./fuzz_streams.ts";

/** Something to compare; `start` says why not when it cannot be. */
interface FuzzGroup {
  readonly name: string;
  start(wanted: Wanted): Promise<Round | string>;
}

/** Cases in one program: what they differ in is told from the round's seed alone. */
const CASES = 200;
const hex = (bytes: Iterable<number>) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");

interface Singles {
  readonly suite: (bits: 32 | 64) => Suite;
  readonly has: (row: Row, bits: 32 | 64) => boolean;
  readonly make: (
    row: Row,
    random: Random,
    place: { bits: 32 | 64; code: number; scratch: number },
  ) => NativeCase;
  readonly bytes: number;
}

/** One instruction at a time against the host. */
function singles({ suite: suiteOf, has, make, bytes }: Singles): FuzzGroup["start"] {
  return async ({ bits, rows: pattern, engines }) => {
    const reason = await whyNotNative(bits);
    if (reason !== "") return reason;
    const suite = suiteOf(bits);
    const candidates: { row: Row; group: Group }[] = [];
    for (const [i, row] of rows.filter((row) => has(row, bits)).entries()) {
      const group = suite.groups[i] as Group;
      if (pattern.test(row.text) && (await hostLacks(group)).length === 0) candidates.push({ row, group });
    }
    if (candidates.length === 0) return `no row that this CPU has is like ${pattern}`;
    const vendor = await hostVendor(), amd = vendor === "AuthenticAMD";
    const machines = engines.map((how) => ({ name: how.name, cpu: new TestCpu(bits, { ...how, vendor }) }));
    return async (seed) => {
      const random = new Random(seed);
      const scratchOf = (i: number) => scratchAddress(CASES, i, bytes);
      const cases = Array.from({ length: CASES }, (_, i) => {
        const chosen = candidates[random.below(candidates.length)] as typeof candidates[number];
        const place = { bits, code: codeAddress(bits, i), scratch: scratchOf(i) };
        return { ...chosen, one: make(chosen.row, random, place) };
      });
      const native = await runNative(bits, cases.map(({ one }) => one));
      const different: { what: string; text: string }[] = [];
      const before = machines.map(({ cpu }) => cpu.cpu.instructions);
      for (const [i, { row, group, one }] of cases.entries()) {
        const judge = group.settle(one, native[i] as typeof native[number]);
        for (const { name, cpu } of machines) {
          const here = runHere(cpu, one, codeAddress(bits, i), scratchOf(i), 100_000);
          const ours = group.settle(one, here, judge);
          if (isSame(ours, judge) || (amd && group.isAmds?.(ours, judge) === true)) continue;
          const input = suite.show({ vector: -1, gpr: one.gpr, flags: one.flags, memory: one.memory });
          const theirs = suite.show(judge), is = suite.show(ours);
          const lines = [`  ${name}, case ${i}: ${hex(one.code)}`];
          for (const key of new Set([...Object.keys(theirs), ...Object.keys(is)])) {
            if (theirs[key] === is[key]) continue;
            lines.push(`  ${key}: ${is[key]}, the host ${theirs[key]}, before ${input[key]}`);
          }
          lines.push("  " + Object.entries(input).map(([key, value]) => `${key}=${value}`).join(" "));
          different.push({ what: row.text, text: lines.join("\n") });
        }
      }
      const instructions = new Map(
        machines.map(({ name, cpu }, i) => [name, cpu.cpu.instructions - (before[i] as number)]),
      );
      return { runs: CASES * machines.length, instructions, different };
    };
  };
}

/** Everything there is. */
export const GROUPS: readonly FuzzGroup[] = [
  {
    name: "integer",
    start: singles({
      suite: (bits) => integerSuites(bits)[0] as Suite,
      has: isComparable,
      make: randomCase,
      bytes: SCRATCH_BYTES,
    }),
  },
  {
    name: "simd",
    start: singles({ suite: vectorSuite, has: isVectorRow, make: vectorCase, bytes: SCRATCH_BYTES }),
  },
  {
    name: "avx",
    start: singles({ suite: avxSuite, has: isAvxRow, make: avxCase, bytes: WIDE_SCRATCH_BYTES }),
  },
  { name: "streams", start: streams(3) },
  { name: "streams0", start: streams(0) },
  { name: "control", start: (wanted) => controlFlow(wanted, false) },
  { name: "control3", start: (wanted) => controlFlow(wanted, false, 3) },
  { name: "system", start: (wanted) => controlFlow(wanted, true) },
];
