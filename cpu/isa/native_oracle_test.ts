// SPDX-License-Identifier: MIT
/**
 * Integer rows against a real CPU: the same bytes ran there and run here, and registers, flags, memory or the
 * exception must agree. What ran there is recorded; a host that can runs it too, and must agree with the record.
 * @module
 */
import { ENGINES } from "../_bare_cpu.ts";
import { integerSuites } from "./_integer_suite.ts";
import { whyNotNative } from "./_native_runner.ts";
import { checkHost, checkOurs } from "./_oracle.ts";

for (const bits of [64, 32] as const) {
  const reason = await whyNotNative(bits);
  for (const suite of integerSuites(bits)) {
    for (const how of ENGINES) {
      Deno.test(`${suite.name}: instructions do what a real CPU did (${how.name})`, (t) =>
        checkOurs(t, suite, how));
    }
    Deno.test({
      name: `${suite.name}: the host's CPU does what is recorded${
        reason === "" ? "" : ` (skipped: ${reason})`
      }`,
      ignore: reason !== "",
      fn: (t) => checkHost(t, suite),
    });
  }
}
