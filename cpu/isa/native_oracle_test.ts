// SPDX-License-Identifier: MIT
/**
 * Integer rows against a real CPU: the same bytes ran there and run here, and registers, flags, memory or the
 * exception must agree. What ran there is recorded; a host that can runs it too, and must agree with the record.
 * @module
 */
import { integerSuites } from "./_integer_suite.ts";
import { testSuite } from "./_oracle.ts";

for (const bits of [64, 32] as const) {
  for (const suite of integerSuites(bits)) await testSuite(suite);
}
