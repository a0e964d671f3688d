// SPDX-License-Identifier: MIT
/**
 * VEX-encoded rows on vectors against a real CPU: what it did is recorded; a host that can runs the same bytes too, and
 * must agree with the record.
 * @module
 */
import { testSuite } from "../_oracle.ts";
import { avxSuite } from "./_avx_suite.ts";

for (const bits of [64, 32] as const) await testSuite(avxSuite(bits));
