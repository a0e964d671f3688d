// SPDX-License-Identifier: MIT
/**
 * Groups of instructions with results of a real processor: recorded (tests/vectors/), and from the host's own where
 * it can run them. Both ways of judging are here; which cases, and what the manuals leave open, a suite says.
 * @module
 */
import { assertEquals } from "@std/assert";
import type { CpuFeature } from "../base/cpu_features.ts";
import type { CpuVendor } from "../base/engine.ts";
import { ENGINES, TestCpu } from "../_bare_cpu.ts";
import { digest, readRecording, recordedBytes, type RecordedGroup } from "../../tests/vectors/_recording.ts";
import { runHere } from "./_emulated_runner.ts";
import {
  codeAddress,
  type NativeCase,
  type NativeResult,
  runNative,
  SCRATCH_BYTES,
  scratchAddress,
  whyNotNative,
  XM,
} from "./_native_runner.ts";
import { Random } from "./_cases.ts";
import type { Row } from "./row/row.ts";

/** Cases that are recorded together, in one program; other groups do not change them. */
export interface Group {
  readonly name: string;
  readonly cases: readonly NativeCase[];
  /** What a processor must have to judge. */
  readonly needs: readonly CpuFeature[];
  /**
   * `result` without what the manuals leave open. With a `judge`, an approximation that is as near to the judge's as
   * the manual promises becomes the judge's.
   */
  settle(one: NativeCase, result: NativeResult, judge?: NativeResult): NativeResult;
  /** AMD's processors are known to give the second result where Intel's, and ours, give the first. */
  readonly isAmds?: (intels: NativeResult, amds: NativeResult) => boolean;
}
/** Groups of one file in tests/vectors/. */
export interface Suite {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly groups: readonly Group[];
  /** A settled result as readable text. */
  show(result: NativeResult): Readonly<Record<string, string>>;
}

/** The name of a row's group: texts alone are not unique. */
export function groupName(row: Row): string {
  const opcode = ["", "0f ", "0f 38 ", "0f 3a "][row.map] + row.opcode.toString(16).padStart(2, "0");
  const vex = row.vex === undefined ? undefined : `vex.${row.vex}`;
  const parts = [vex, row.prefix, row.rexW === undefined ? undefined : row.rexW ? "w1" : "w0", opcode];
  if (row.extension !== undefined) parts.push(`/${row.extension}`);
  if (row.exactModrm !== undefined) parts.push(`=${row.exactModrm.toString(16)}`);
  if (row.modrmForm !== "any") parts.push(row.modrmForm);
  return `${row.text} [${parts.filter((part) => part !== undefined).join(" ")}]`;
}

/** `count` cases that depend on nothing but their place in a group of this name. */
export function makeCases(
  { name, bits, count, scratchBytes }: {
    readonly name: string;
    readonly bits: 32 | 64;
    readonly count: number;
    readonly scratchBytes?: number;
  },
  make: (random: Random, place: { bits: 32 | 64; code: number; scratch: number }) => NativeCase,
): NativeCase[] {
  const random = new Random(digest([new TextEncoder().encode(`${bits} ${name}`)]));
  return Array.from(
    { length: count },
    (_, i) =>
      make(random, { bits, code: codeAddress(bits, i), scratch: scratchAddress(count, i, scratchBytes) }),
  );
}

/** After an exception nothing but its vector counts, but after #XM everything does. */
function hasState(vector: number): boolean {
  return vector === -1 || vector === XM;
}

const PACKED = { vector: 0, flags: 1, gpr: 5, memory: 5 + 16 * 8 };
const packedBytes = (cases: readonly NativeCase[]) => PACKED.memory + memoryBytes(cases);
function memoryBytes(cases: readonly NativeCase[]): number {
  return cases[0]?.memory.length ?? SCRATCH_BYTES;
}

/** Results, differences from the inputs only: they are nearly all zero then. */
export function packResults(cases: readonly NativeCase[], results: readonly NativeResult[]): Uint8Array {
  const size = packedBytes(cases);
  const bytes = new Uint8Array(cases.length * size), view = new DataView(bytes.buffer);
  cases.forEach((one, i) => {
    const at = i * size, { vector, flags, gpr, memory } = results[i] as NativeResult;
    bytes[at] = vector + 1;
    if (!hasState(vector)) return;
    view.setUint32(at + PACKED.flags, flags ^ one.flags, true);
    for (let r = 0; r < 16; r++) {
      view.setBigUint64(at + PACKED.gpr + r * 8, (gpr[r] ?? 0n) ^ (one.gpr[r] ?? 0n), true);
    }
    for (let n = 0; n < memory.length; n++) {
      bytes[at + PACKED.memory + n] = (memory[n] as number) ^ (one.memory[n] as number);
    }
  });
  return bytes;
}
function unpackResults(cases: readonly NativeCase[], bytes: Uint8Array): NativeResult[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), size = packedBytes(cases);
  return cases.map((one, i) => {
    const at = i * size;
    return {
      vector: view.getUint8(at) - 1,
      flags: view.getUint32(at + PACKED.flags, true) ^ one.flags,
      gpr: Array.from(
        { length: 16 },
        (_, r) => view.getBigUint64(at + PACKED.gpr + r * 8, true) ^ (one.gpr[r] ?? 0n),
      ),
      memory: one.memory.map((byte, n) => byte ^ view.getUint8(at + PACKED.memory + n)),
    };
  });
}

/** Digest of a group's inputs. */
export function inputsOf(cases: readonly NativeCase[]): number {
  return digest((function* () {
    for (const { code, gpr, flags, memory } of cases) {
      yield code;
      yield new Uint8Array(BigUint64Array.from(gpr).buffer);
      yield new Uint8Array(Uint32Array.of(flags).buffer);
      yield memory;
    }
  })());
}

/** What this host's CPU has, as Linux names it. */
export async function hostFeatures(): Promise<readonly string[]> {
  return /^flags\s*: (.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1]?.split(" ") ?? [];
}
/** Whose ways the host's CPU has, as far as we know any. */
export async function hostVendor(): Promise<CpuVendor> {
  return /AuthenticAMD/.test(await Deno.readTextFile("/proc/cpuinfo")) ? "AuthenticAMD" : "GenuineIntel";
}
/** Features that `group` needs and this host's CPU lacks. Linux names them as we do. */
export async function hostLacks(group: Group): Promise<readonly CpuFeature[]> {
  const flags = await hostFeatures();
  return group.needs.filter((name) => !flags.includes(name));
}

/** Runs a group on the host's CPU and settles the results. */
export async function judgeNatively(suite: Suite, { cases, settle }: Group): Promise<NativeResult[]> {
  const results = await runNative(suite.bits, cases);
  return results.map((result, i) => settle(cases[i] as NativeCase, result));
}

/** Each group is a step that `check`s the recorded results; `lacks`: what it cannot be checked without. */
async function withRecorded(
  t: Deno.TestContext,
  suite: Suite,
  check: (group: Group, recorded: readonly NativeResult[]) => void | Promise<void>,
  lacks: (group: Group) => Promise<readonly string[]> = () => Promise.resolve([]),
): Promise<void> {
  const { groups } = await readRecording(suite.name);
  const byName = new Map<string, RecordedGroup>(groups.map((group) => [group.name, group]));
  for (const group of suite.groups) {
    const missing = await lacks(group);
    await t.step({
      name: missing.length === 0
        ? group.name
        : `${group.name} (skipped: this CPU has no ${missing.join(", ")})`,
      ignore: missing.length > 0,
      fn: async () => {
        const bytes = recordedBytes(suite.name, byName, group.name, inputsOf(group.cases));
        await check(group, unpackResults(group.cases, bytes));
      },
    });
  }
}

/** Equal in every bit that counts. */
export function isSame(a: NativeResult, b: NativeResult): boolean {
  if (a.vector !== b.vector || !hasState(a.vector)) return a.vector === b.vector;
  return a.flags === b.flags && a.gpr.every((value, r) => value === b.gpr[r]) &&
    a.memory.every((byte, n) => byte === b.memory[n]);
}

function compare(
  suite: Suite,
  { settle }: Group,
  one: NativeCase,
  is: NativeResult,
  judge: NativeResult,
): void {
  const settled = settle(one, is, judge);
  if (isSame(settled, judge)) return;
  const hex = (bytes: Iterable<number>) =>
    Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");
  assertEquals(
    suite.show(settled),
    suite.show(judge),
    `${hex(one.code)} with flags ${one.flags.toString(16)}, registers ${
      one.gpr.map((v) => v.toString(16))
    }, memory ${hex(one.memory)}`,
  );
  throw new Error("results differ in what is not shown");
}

/** Our CPU against the recorded results. */
async function checkOurs(
  t: Deno.TestContext,
  suite: Suite,
  how: typeof ENGINES[number],
): Promise<void> {
  const { bits } = suite;
  const cpu = new TestCpu(bits, how);
  await withRecorded(t, suite, (group, recorded) => {
    group.cases.forEach((one, i) => {
      const scratch = scratchAddress(group.cases.length, i, one.memory.length);
      const here = runHere(cpu, one, codeAddress(bits, i), scratch, 100_000);
      compare(suite, group, one, here, recorded[i] as NativeResult);
    });
  });
}

/** The host's CPU against the recorded results. */
async function checkHost(t: Deno.TestContext, suite: Suite): Promise<void> {
  const amd = await hostVendor() === "AuthenticAMD";
  await withRecorded(t, suite, async (group, recorded) => {
    const native = await judgeNatively(suite, group);
    group.cases.forEach((one, i) => {
      const [is, record] = [native[i] as NativeResult, recorded[i] as NativeResult];
      if (!amd || group.isAmds?.(record, is) !== true) compare(suite, group, one, is, record);
    });
  }, hostLacks);
}

/** The tests of a suite: our CPU in each way of running it, and the host's where it can, against what is recorded. */
export async function testSuite(suite: Suite): Promise<void> {
  for (const how of ENGINES) {
    Deno.test(`${suite.name}: instructions do what a real CPU did (${how.name})`, (t) =>
      checkOurs(t, suite, how));
  }
  const reason = await whyNotNative(suite.bits);
  Deno.test({
    name: `${suite.name}: the host's CPU does what is recorded${
      reason === "" ? "" : ` (skipped: ${reason})`
    }`,
    ignore: reason !== "",
    fn: (t) => checkHost(t, suite),
  });
}
