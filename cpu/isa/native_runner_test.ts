// SPDX-License-Identifier: MIT
/** Cases that lead their stack pointer astray end as the host's CPU says, and do not end the runner. @module */
import { assertEquals } from "@std/assert";
import { EXC_PF } from "../state/state.ts";
import {
  type NativeCase,
  runNative,
  scratchAddress,
  STREAM_SCRATCH_BYTES,
  whyNotNative,
} from "./_native_runner.ts";

const CASES = 64, STEP = 0x800, RSP = 4;

for (const bits of [64, 32] as const) {
  const reason = await whyNotNative(bits);
  Deno.test({
    name: `a PUSH to anywhere in 128 KiB behind scratch memory faults on the host${
      reason === "" ? "" : ` (skipped: ${reason})`
    } (${bits} bits)`,
    ignore: reason !== "",
    fn: async () => {
      const first = scratchAddress(CASES, CASES, STREAM_SCRATCH_BYTES) + 2 * 4096;
      const cases = Array.from({ length: CASES }, (_, i): NativeCase => ({
        code: [0x50], // push rax
        gpr: Array.from({ length: 16 }, (_, r) => r === RSP ? BigInt(first + i * STEP + 8) : 0n),
        flags: 0x202,
        memory: new Uint8Array(STREAM_SCRATCH_BYTES),
      }));
      const results = await runNative(bits, cases);
      assertEquals(
        results.map(({ vector, gpr }) => [vector, gpr[RSP]]),
        cases.map(({ gpr }) => [EXC_PF, gpr[RSP]]),
      );
    },
  });
}
