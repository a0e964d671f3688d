// SPDX-License-Identifier: MIT
/**
 * Linux 5.10 of bullseye: it writes the address of a page to the MSR, and every hypercall goes through what Xen (here:
 * xenner) puts there, an OUT to a port. Later kernels execute VMCALL themselves (XSA-466).
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Boot, bothWays, testRows } from "./_boot.ts";

function checkHypercallPage({ errors }: Boot): void {
  assertMatch(errors, /^\[ *[0-9.]+\] xen: hypercall page 0 at 0x[0-9a-f]+$/m);
  const stats = errors.split("\n").find((line) => line.startsWith("{"));
  assert(stats !== undefined, errors);
  const counters: Record<string, number> = JSON.parse(stats ?? "").counters;
  const names = ["vcpu_op", "event_channel_op", "grant_table_op", "hvm_op", "xen_version", "memory_op"];
  const calls = names.map((name) => counters[`hypercall.${name}`] ?? 0);
  assert(calls.every((count) => count > 0), `${names} ${calls}`);
  const total = calls.reduce((sum, count) => sum + count, 0);
  assertEquals(counters["microcode.vmcall"] ?? 0, 0);
  assert(
    (counters["microcode.out"] ?? 0) >= total,
    `${counters["microcode.out"]} OUTs for ${total} hypercalls`,
  );
}

testRows(bothWays("bullseye", { options: ["--trace", "xen", "--stats=json"], check: checkHypercallPage }));
