// SPDX-License-Identifier: MIT
/**
 * VEX-encoded rows on vectors against a real CPU: what it did is recorded; a host that can runs the same bytes too, and
 * must agree with the record.
 * @module
 */
import { ENGINES } from "../../_bare_cpu.ts";
import { whyNotNative } from "../_native_runner.ts";
import { checkHost, checkOurs } from "../_oracle.ts";
import { avxSuite } from "./_avx_suite.ts";

for (const bits of [64, 32] as const) {
  const suite = avxSuite(bits);
  for (const how of ENGINES) {
    Deno.test(`${suite.name}: instructions do what a real CPU did (${how.name})`, (t) =>
      checkOurs(t, suite, how));
  }
  const reason = await whyNotNative(bits);
  Deno.test({
    name: `${suite.name}: the host's CPU does what is recorded${
      reason === "" ? "" : ` (skipped: ${reason})`
    }`,
    ignore: reason !== "",
    fn: (t) => checkHost(t, suite),
  });
}
