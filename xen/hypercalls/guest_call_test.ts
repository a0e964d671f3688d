// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { FakeVcpu } from "../_rig.ts";
import { GuestCall, WORK_PER_ENTRY } from "./guest_call.ts";

function setUp() {
  const memory = new GuestMemory(0x1_0000);
  const vcpu = new FakeVcpu(memory, new ManualClock());
  return { vcpu, call: new GuestCall(vcpu), ram: new DataView(memory.view.buffer, memory.map.ram, 0x1_0000) };
}

Deno.test("guest call: arguments come from the registers of the caller's ABI, or from a list", () => {
  const { vcpu, call } = setUp();
  (["rdi", "rsi", "rdx", "r10", "r8", "r9"] as const).forEach((name, i) =>
    vcpu.writeGpr(name, BigInt(100 + i))
  );
  call.begin(64);
  assertEquals([0, 1, 2, 3, 4, 5].map((i) => Number(call.arg(i))), [100, 101, 102, 103, 104, 105]);
  (["rbx", "rcx", "rdx", "rsi", "rdi", "rbp"] as const).forEach((name, i) =>
    vcpu.writeGpr(name, 0xffff_ffff_0000_0000n + BigInt(i))
  );
  call.begin(32); // the upper halves mean nothing
  assertEquals([0, 1, 2, 3, 4, 5].map((i) => call.arg(i)), [0n, 1n, 2n, 3n, 4n, 5n]);
  call.begin(64, [7n, 0x1_0000_0008n]);
  assertEquals([call.arg(0), call.u32(1), call.arg(2)], [7n, 8, 0n]);
});

Deno.test("guest call: memory that is missing is told, what is there is copied once", () => {
  const { vcpu, call, ram } = setUp();
  call.begin(64);
  vcpu.writeGpr("rsi", 0x2000n);
  ram.setBigUint64(0x2008, 0x1122_3344_5566_7788n, true);
  assertEquals(call.loadArg(1, 16), true);
  ram.setBigUint64(0x2008, 0n, true);
  assertEquals([call.pointer(8), call.long(0), call.longBytes], [0x1122_3344_5566_7788n, 0, 8]);
  assertEquals([call.load(0xfff8n, 8), call.load(0xfff8n, 9), call.load(1n << 63n, 1)], [true, false, false]);
  call.view.setUint32(4, 99, true);
  assertEquals(call.storeArg(1, 4, 4), true);
  assertEquals([ram.getUint32(0x2004, true), ram.getUint32(0x2000, true)], [99, 0]);
  call.begin(32);
  call.setLong(0, 0x1_0000_0005n);
  assertEquals([call.long(0), call.pointer(0), call.longBytes], [5, 5n, 4]);
});

Deno.test("guest call: to be continued, it writes the arguments where it had them from", () => {
  const { vcpu, call } = setUp();
  vcpu.writeGpr("rdi", 1n);
  vcpu.writeGpr("rsi", 2n);
  vcpu.writeGpr("rdx", 3n);
  call.begin(64);
  assertEquals([call.preempted, call.continueWith(10, 20n), call.preempted], [false, 0, true]);
  assertEquals((["rdi", "rsi", "rdx"] as const).map((name) => vcpu.readGpr(name)), [10n, 20n, 3n]);
  call.begin(32);
  assertEquals(call.preempted, false);
  call.continueWith(0x1_0000_0001n);
  assertEquals(vcpu.readGpr("rbx"), 1n);
  const list = [5n, 6n, 7n];
  call.begin(64, list);
  call.continueWith(50, 60);
  assertEquals(list, [50n, 60n, 7n]);
});

Deno.test("guest call: the budget is for one entry", () => {
  const { call } = setUp();
  call.budget.spend(WORK_PER_ENTRY - 1);
  assertEquals(call.budget.exhausted, false);
  call.budget.spend(1);
  assertEquals(call.budget.exhausted, true);
  call.budget.refill();
  assertEquals(call.budget.exhausted, false);
});
