// SPDX-License-Identifier: MIT
/**
 * `deno task fuzz [--seconds=N] [--seed=N] [--rows=REGEXP]`: random cases of the SSE, AVX, MMX and x87 rows on the host's
 * CPU and on every engine, until time is up. Says what differs, and how to have it again.
 * @module
 */
import { parseArgs } from "node:util";
import { ENGINES, TestCpu } from "../../cpu/_bare_cpu.ts";
import { Random } from "../../cpu/isa/_cases.ts";
import { runHere } from "../../cpu/isa/_emulated_runner.ts";
import {
  codeAddress,
  runNative,
  SCRATCH_BYTES,
  scratchAddress,
  whyNotNative,
  WIDE_SCRATCH_BYTES,
} from "../../cpu/isa/_native_runner.ts";
import { type Group, isSame } from "../../cpu/isa/_oracle.ts";
import { rows } from "../../cpu/isa/mod.ts";
import { avxCase, isAvxRow } from "../../cpu/isa/avx/_avx_cases.ts";
import { avxSuite } from "../../cpu/isa/avx/_avx_suite.ts";
import { isVectorRow, vectorCase } from "../../cpu/isa/simd/_vector_cases.ts";
import { vectorSuite } from "../../cpu/isa/simd/_vector_suite.ts";

/** Cases in one program: what they differ in is told from the round's seed alone. */
const CASES = 1000;

/** A number given as an option. */
function number(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name}=${text}: give a whole number`);
  return Number(text);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: "1" },
      rows: { type: "string", default: "" },
    },
  });
  const bits = 64;
  const reason = await whyNotNative(bits);
  if (reason !== "") throw new Error(reason);
  const wanted = new RegExp(values.rows);
  // A program has cases of one kind: they take turns.
  const kinds = [
    { suite: vectorSuite(bits), has: isVectorRow, make: vectorCase, bytes: SCRATCH_BYTES },
    { suite: avxSuite(bits), has: isAvxRow, make: avxCase, bytes: WIDE_SCRATCH_BYTES },
  ].map(({ suite, has, make, bytes }) => {
    const candidates = rows.filter((row) => has(row, bits))
      .map((row, i) => ({ row, group: suite.groups[i] as Group }))
      .filter(({ row }) => wanted.test(row.text));
    return { suite, candidates, make, bytes };
  }).filter(({ candidates }) => candidates.length > 0);
  if (kinds.length === 0) throw new Error(`--rows=${values.rows}: no row's text is like that`);
  const machines = ENGINES.map((how) => ({ name: how.name, cpu: new TestCpu(bits, how) }));
  const end = performance.now() + number("seconds", values.seconds) * 1000;
  const differences = new Map<string, number>();
  let seed = number("seed", values.seed), count = 0;
  for (; performance.now() < end; seed++) {
    const random = new Random(seed);
    const { suite, candidates, make, bytes } = kinds[seed % kinds.length] as typeof kinds[number];
    const scratchOf = (i: number) => scratchAddress(CASES, i, bytes);
    const cases = Array.from({ length: CASES }, (_, i) => {
      const chosen = candidates[random.below(candidates.length)] as typeof candidates[number];
      return { ...chosen, one: make(chosen.row, random, { bits, scratch: scratchOf(i) }) };
    });
    const native = await runNative(bits, cases.map(({ one }) => one));
    for (const [i, { row, group, one }] of cases.entries()) {
      const judge = group.settle(one, native[i] as typeof native[number]);
      for (const { name, cpu } of machines) {
        count++;
        const here = runHere(cpu, one, codeAddress(bits, i), scratchOf(i), 100_000);
        const ours = group.settle(one, here, judge);
        if (isSame(ours, judge)) continue;
        const seen = (differences.get(row.text) ?? 0) + 1;
        differences.set(row.text, seen);
        if (seen > 3) continue;
        console.log(`${row.text} (${name}; --seed=${seed}, case ${i}): ${hex(one.code)}`);
        const before = suite.show({ vector: -1, gpr: one.gpr, flags: one.flags, memory: one.memory });
        const theirs = suite.show(judge), is = suite.show(ours);
        for (const key of new Set([...Object.keys(theirs), ...Object.keys(is)])) {
          if (theirs[key] === is[key]) continue;
          console.log(`  ${key}: ${is[key]}, the host ${theirs[key]}, before ${before[key]}`);
        }
        const inputs = Object.entries(before).filter(([key]) => /^[xy]mm|mxcsr|memory/.test(key));
        if (seen === 1) console.log("  " + inputs.map(([key, value]) => `${key}=${value}`).join(" "));
      }
    }
  }
  for (const [text, seen] of differences) console.log(`${seen} × ${text}`);
  console.log(`${count} runs, seeds ${values.seed} to ${seed - 1}, ${differences.size} rows differ`);
  return differences.size === 0 ? 0 : 1;
}
function hex(bytes: Iterable<number>): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main();
  } catch (error) {
    console.error((error as Error).message);
    Deno.exitCode = 2;
  }
}
