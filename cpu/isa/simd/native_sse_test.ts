// SPDX-License-Identifier: MIT
/**
 * SSE, MMX and x87 rows against a real CPU: what it did is recorded; a host that can runs the same bytes too, and
 * must agree with the record.
 * @module
 */
import { testSuite } from "../_oracle.ts";
import { vectorSuite } from "./_vector_suite.ts";

for (const bits of [64, 32] as const) await testSuite(vectorSuite(bits));
