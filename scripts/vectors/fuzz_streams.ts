// SPDX-License-Identifier: MIT
/**
 * Streams of instructions for `deno task fuzz`: at privilege 3 against the host, at privilege 0, or where the host
 * cannot, against the interpreter. What differs loses its instructions one after another as long as it differs.
 * @module
 */
import { ENGINES } from "../../cpu/_bare_cpu.ts";
import { Random } from "../../cpu/isa/_cases.ts";
import {
  codeAddress,
  type NativeResult,
  runNative,
  scratchAddress,
  STREAM_SCRATCH_BYTES,
  whyNotNative,
} from "../../cpu/isa/_native_runner.ts";
import { hostFeatures, hostVendor } from "../../cpu/isa/_oracle.ts";
import { rows } from "../../cpu/isa/mod.ts";
import { needsOf } from "../../cpu/isa/row/row.ts";
import { shownStream, StreamCpu } from "../../cpu/isa/_stream_cpu.ts";
import { fitsStream, randomStream, type Stream } from "../../cpu/isa/_streams.ts";
import type { Outcome, Round, Wanted } from "./fuzz_round.ts";

/** Streams in one program. */
const STREAMS = 100;
const NOP = 0x90;

type Shown = Readonly<Record<string, string>>;
type Judge = (streams: readonly Stream[]) => Promise<readonly NativeResult[]>;

/** What two results differ in; empty: nothing. */
function difference(is: Shown, judge: Shown): string[] {
  return [...new Set([...Object.keys(is), ...Object.keys(judge)])].filter((key) => is[key] !== judge[key])
    .map((key) => `  ${key}: ${is[key]}, and should be ${judge[key]}`);
}

/** A stream without one of its instructions. */
function without(stream: Stream, n: number): Stream {
  const unit = stream.units[n] as Stream["units"][number];
  const code = [...stream.one.code];
  code.fill(NOP, unit.at, unit.at + unit.length);
  return { ...stream, one: { ...stream.one, code }, units: stream.units.toSpliced(n, 1) };
}
const NOTHING: Stream = {
  one: { code: [], gpr: Array(16).fill(0n), flags: 0x202, memory: new Uint8Array(STREAM_SCRATCH_BYTES) },
  units: [],
  undefined: 0,
};

/** Streams at this privilege. */
export function streams(ring: 0 | 3): (wanted: Wanted) => Promise<Round | string> {
  return async ({ bits, rows: pattern, engines }) => {
    const byHost = ring === 3 && await whyNotNative(bits) === "";
    const features = byHost ? await hostFeatures() : undefined;
    const candidates = rows.filter((row) =>
      fitsStream(row, bits) && pattern.test(row.text) &&
      (features === undefined || needsOf(row).every((name) => features.includes(name)))
    );
    if (candidates.length === 0) return `no row is like ${pattern}`;
    const vendor = byHost ? await hostVendor() : "GenuineIntel";
    const interpreter = new StreamCpu(bits, ENGINES[0], ring, vendor);
    const judge: Judge = byHost ? (streams) => runNative(bits, streams.map(({ one }) => one)) : (streams) => {
      interpreter.load(streams);
      return Promise.resolve(streams.map((stream, i) => interpreter.run(stream, i, streams.length)));
    };
    const machines = engines.filter((how) => byHost || how !== ENGINES[0]).map((how) =>
      new StreamCpu(bits, how, ring, vendor)
    );
    if (machines.length === 0) return "the interpreter would be compared with itself";
    const addressOf = (i: number) => codeAddress(bits, i, STREAM_SCRATCH_BYTES);
    const shown = (stream: Stream, i: number, result: NativeResult) =>
      shownStream({ bits }, stream, addressOf(i), result);

    /** What one machine does differently with a stream in its place, all others being empty. */
    const alone = async (machine: StreamCpu, stream: Stream, i: number): Promise<string[]> => {
      const all = Array.from({ length: STREAMS }, (_, n) => n === i ? stream : NOTHING);
      const judged = await judge(all);
      machine.load(all);
      const is = machine.run(stream, i, STREAMS);
      return difference(shown(stream, i, is), shown(stream, i, judged[i] as NativeResult));
    };
    const shrunk = async (machine: StreamCpu, stream: Stream, i: number): Promise<Stream> => {
      let least = stream;
      for (let n = stream.units.length - 1; n >= 0; n--) {
        const less = without(least, n);
        if ((await alone(machine, less, i)).length > 0) least = less;
      }
      return least;
    };

    return async (seed): Promise<Outcome> => {
      const random = new Random(seed);
      const all = Array.from({ length: STREAMS }, (_, i) =>
        randomStream(candidates, random, {
          bits,
          code: addressOf(i),
          scratch: scratchAddress(STREAMS, i, STREAM_SCRATCH_BYTES),
        }));
      const judged = await judge(all);
      const instructions = new Map<string, number>();
      const different: { what: string; text: string }[] = [];
      for (const machine of machines) {
        const before = machine.t.cpu.instructions;
        machine.load(all);
        for (const [i, stream] of all.entries()) {
          const is = machine.run(stream, i, STREAMS);
          const differs = difference(shown(stream, i, is), shown(stream, i, judged[i] as NativeResult));
          if (differs.length === 0) continue;
          const again = await alone(machine, stream, i);
          if (again.length === 0) {
            // Only among the others: what another stream did to memory outside of its own, or a fault of this engine's.
            different.push({
              what: "together only",
              text: [`  ${machine.how.name}, stream ${i}`, ...differs].join("\n"),
            });
          } else {
            const least = await shrunk(machine, stream, i);
            const lines = [`  ${machine.how.name}, stream ${i}, left of it:`];
            for (const { at, length, text } of least.units) {
              const bytes = least.one.code.slice(at, at + length).map((b) => b.toString(16).padStart(2, "0"));
              lines.push(`    +${at.toString(16)} ${text}: ${bytes.join(" ")}`);
            }
            different.push({
              what: least.units.map(({ text }) => text).join(" / "),
              text: [...lines, ...await alone(machine, least, i)].join("\n"),
            });
          }
          machine.load(all);
        }
        instructions.set(machine.how.name, machine.t.cpu.instructions - before);
      }
      return { runs: STREAMS * machines.length, instructions, different };
    };
  };
}
