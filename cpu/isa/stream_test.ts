// SPDX-License-Identifier: MIT
/**
 * A few streams of instructions of all groups, at both privileges and in both sizes of code: every engine does what the
 * interpreter does, and where the host can, what its CPU does. More of them: deno task fuzz --groups=streams,streams0
 * @module
 */
import { assertEquals } from "@std/assert";
import { ENGINES } from "../_bare_cpu.ts";
import { Random } from "./_cases.ts";
import {
  codeAddress,
  runNative,
  scratchAddress,
  STREAM_SCRATCH_BYTES,
  whyNotNative,
} from "./_native_runner.ts";
import { hostFeatures, hostVendor } from "./_oracle.ts";
import { rows } from "./mod.ts";
import { needsOf } from "./row/row.ts";
import { shownStream, StreamCpu } from "./_stream_cpu.ts";
import { fitsStream, randomStream } from "./_streams.ts";

const STREAMS = 20;
const native = { 64: await whyNotNative(64) === "", 32: await whyNotNative(32) === "" };
const features = native[64] ? await hostFeatures() : undefined;
const vendor = native[64] ? await hostVendor() : "GenuineIntel";

for (const [bits, ring] of [[64, 3], [32, 3], [64, 0], [32, 0]] as const) {
  const judgeIsHost = ring === 3 && native[bits] && features !== undefined;
  const who = judgeIsHost ? "the host's CPU" : "the interpreter";
  Deno.test(`streams of ${bits}-bit code at privilege ${ring} do what they do on ${who}`, async () => {
    const candidates = rows.filter((row) =>
      fitsStream(row, bits) && (!judgeIsHost || needsOf(row).every((name) => features.includes(name)))
    );
    const random = new Random(bits + ring);
    const addresses = Array.from({ length: STREAMS }, (_, i) => ({
      code: codeAddress(bits, i, STREAM_SCRATCH_BYTES),
      scratch: scratchAddress(STREAMS, i, STREAM_SCRATCH_BYTES),
    }));
    const streams = addresses.map((place) => randomStream(candidates, random, { bits, ...place }));
    const on = (how: typeof ENGINES[number]) => {
      const cpu = new StreamCpu(bits, how, ring, vendor);
      cpu.load(streams);
      return streams.map((stream, i) => cpu.run(stream, i, STREAMS));
    };
    const judged = judgeIsHost ? await runNative(bits, streams.map(({ one }) => one)) : on(ENGINES[0]);
    // Most get to their end.
    assertEquals(judged.filter(({ vector }) => vector === -1).length > STREAMS / 3, true);
    for (const how of ENGINES) {
      on(how).forEach((result, i) => {
        const [stream, start] = [streams[i]!, addresses[i]!.code];
        assertEquals(
          shownStream({ bits }, stream, start, result),
          shownStream({ bits }, stream, start, judged[i]!),
          `${how.name}, stream ${i}`,
        );
      });
    }
  });
}
