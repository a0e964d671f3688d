// SPDX-License-Identifier: MIT
/**
 * `deno task vectors [NAME]...`: runs the cases of the oracle tests on this host's CPU and writes what it did to
 * tests/vectors/*.gz, without the bits that the manuals leave open. Linux on x86-64; what the host cannot run keeps
 * its recording. See CONTRIBUTING.md.
 * @module
 */
import { avxSuite } from "../../cpu/isa/avx/_avx_suite.ts";
import { integerSuites } from "../../cpu/isa/_integer_suite.ts";
import { whyNotNative } from "../../cpu/isa/_native_runner.ts";
import { hostLacks, inputsOf, judgeNatively, packResults, type Suite } from "../../cpu/isa/_oracle.ts";
import { vectorSuite } from "../../cpu/isa/simd/_vector_suite.ts";
import { type RecordedGroup, writeRecording } from "../../tests/vectors/_recording.ts";
import { recordX87, whyNot } from "../../tests/_x87_native.ts";

async function record(suite: Suite, cpu: string): Promise<void> {
  const groups: RecordedGroup[] = [];
  const lacks = new Set((await Promise.all(suite.groups.map(hostLacks))).flat());
  if (lacks.size > 0) {
    return console.log(`${suite.name}: not recorded: this CPU has no ${Array.from(lacks).join(", ")}`);
  }
  for (const group of suite.groups) {
    const bytes = packResults(group.cases, await judgeNatively(suite, group));
    groups.push({ name: group.name, inputs: inputsOf(group.cases), bytes });
  }
  const about =
    `${suite.name}: results of cpu/isa/_oracle.ts's cases on a real CPU, packed by packResults there; ` +
    "by scripts/vectors/record.ts";
  await writeRecording(suite.name, { about, cpu, groups });
  console.log(`${suite.name}: ${groups.length} groups`);
}

async function main(): Promise<void> {
  const wants = (name: string) => Deno.args.length === 0 || Deno.args.includes(name);
  const cpu = /model name\s*: (.*)/.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "unknown";
  for (const bits of [64, 32] as const) {
    const reason = await whyNotNative(bits);
    const suites = [...integerSuites(bits), vectorSuite(bits), avxSuite(bits)].filter(({ name }) =>
      wants(name)
    );
    if (reason === "") { for (const suite of suites) await record(suite, cpu); }
    else console.log(`${suites.map(({ name }) => name).join(", ")}: not recorded: ${reason}`);
  }
  if (!wants("x87")) return;
  const reason = whyNot();
  if (reason === undefined) console.log(`x87: ${await recordX87(cpu)} groups`);
  else console.log(`x87: not recorded: ${reason}`);
}

if (import.meta.main) await main();
