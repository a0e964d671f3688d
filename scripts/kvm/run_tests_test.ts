// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { outcomeOf } from "./run_tests.ts";

/** Lines of `deno test` 2.9.6 without colours. */
const LINES = [
  ["KVM: a guest, 64 bit ... ok (34s)", "passed"],
  ["KVM: a guest, 64 bit ... FAILED (516ms)", "failed"],
  ["KVM: a guest ... ok or not ... ignored (0ms)", "skipped"],
  ["KVM: a guest ...'KVM: a guest' has been running for over (1m0s)", undefined],
  ["'KVM: a guest' has been running for over (8m0s)", undefined],
  [" ok (9m42s)", "passed"],
  ["ok | 4 passed | 0 failed | 10 filtered out (34s)", undefined],
  ["running 4 tests from ./tests/kvm/kvm_guest_test.ts", undefined],
  ["----- output end -----", undefined],
] as const;

for (const [line, outcome] of LINES) {
  Deno.test(`outcomeOf: ${line}`, () => assertEquals(outcomeOf(line), outcome));
}
