// SPDX-License-Identifier: MIT
/** How long the guest runs before the machine has its turn. */
import { assertEquals, assertThrows } from "@std/assert";
import { noHooks } from "../_bare_cpu.ts";
import { ConfigError } from "../base/assert.ts";
import { GuestMemory } from "../base/guest_memory.ts";
import * as api from "./api.ts";
import { FakeHost } from "./_fake_host.ts";
import { KvmEngine } from "./kvm_engine.ts";

const EINTR = 4, HLT = 5;
const TSC_HZ = 1e9;

Deno.test("KvmEngine: a slice follows the budget, and is not shorter than the machine's own turn before it", () => {
  let tsc = 0n, halts = false;
  const host: FakeHost = new FakeHost(
    new Map([[api.KVM_RUN, () => {
      if (!halts) return -EINTR;
      new DataView(host.run).setUint32(api.kvm_run.at.exit_reason, HLT, true);
      return 0;
    }]]),
  );
  const hooks = { ...noHooks({ tscHz: TSC_HZ }), readTsc: () => tsc };
  const engine = new KvmEngine(new GuestMemory(0x1_0000), hooks, host, {});
  const slice = (budget: number, laterNs: number) => {
    tsc += BigInt(laterNs);
    assertEquals(engine.run(budget), halts ? "halted" : "budget");
    return host.alarms.at(-1);
  };
  try {
    assertEquals(slice(100_000, 0), 500_000); // 5 ns each
    assertEquals(slice(1, 0), 50_000);
    assertEquals(slice(10_000_000, 0), 4_000_000);
    assertEquals(slice(100_000, 20_000), 500_000); // a quick machine
    assertEquals(slice(100_000, 900_000), 900_000); // one that had something to do
    assertEquals(slice(100_000, 1_500_000), 1_500_000); // much
    assertEquals(slice(100_000, 900_000_000), 40_000_000);
    halts = true;
    assertEquals(slice(100_000, 0), 500_000);
    assertEquals(slice(100_000, 3_000_000), 500_000); // it slept meanwhile
  } finally {
    engine.close();
  }
});

Deno.test("KvmEngine: where an entry takes long, slices are longer by as much, within a limit", () => {
  for (const [entryNs, pace] of [[500, 1], [36_000, 18], [1_000_000, 25]] as const) {
    let tsc = 0n, slow = 10;
    const host: FakeHost = new FakeHost(
      new Map([[api.KVM_RUN, () => {
        if (new DataView(host.run).getUint8(api.kvm_run.at.immediate_exit) === 0) return -EINTR;
        host.now += slow-- > 0 ? 3_000_000 : entryNs; // the first ones are not translated yet
        return -EINTR;
      }]]),
    );
    const hooks = { ...noHooks({ tscHz: TSC_HZ }), readTsc: () => tsc }; // says nothing about the host
    const engine = new KvmEngine(new GuestMemory(0x1_0000), hooks, host, {});
    const slice = (budget: number, laterNs: number) => {
      tsc += BigInt(laterNs);
      assertEquals(engine.run(budget), "budget");
      return host.alarms.at(-1);
    };
    try {
      assertEquals(slice(100_000, 0), pace * 500_000);
      assertEquals(slice(1, 0), pace * 50_000);
      assertEquals(slice(10_000_000, 0), pace * 4_000_000);
      assertEquals(slice(1, 1_500_000), pace * 1_500_000);
      assertEquals(slice(1, 900_000_000), 40_000_000);
    } finally {
      engine.close();
    }
  }
});

Deno.test("KvmEngine: a slice ends when the machine has something due, also if the guest has just seen to that", () => {
  let now = 0, due = Infinity, exits = 0;
  const host: FakeHost = new FakeHost(
    new Map([[api.KVM_RUN, () => {
      if (exits-- <= 0) return -EINTR;
      now += 100_000;
      due = now + 300_000; // as a hypercall does
      new DataView(host.run).setUint32(api.kvm_run.at.exit_reason, api.KVM_EXIT_IRQ_WINDOW_OPEN, true);
      return 0;
    }]]),
  );
  const timers = { nowNs: () => now, nextDeadlineNs: () => due };
  const hooks = noHooks({ tscHz: TSC_HZ, readTsc: () => BigInt(now), timers });
  const engine = new KvmEngine(new GuestMemory(0x1_0000), hooks, host, {});
  const alarms = (later: number, set: number, left: number) => {
    now += later;
    due = set;
    exits = left;
    host.alarms.length = 0;
    assertEquals(engine.run(800_000), "budget");
    return host.alarms;
  };
  try {
    assertEquals(alarms(0, Infinity, 0), [4_000_000]);
    assertEquals(alarms(0, now + 700_000, 0), [700_000]);
    assertEquals(alarms(0, now - 1, 0), [50_000]); // the guest gets something all the same
    assertEquals(alarms(200_000, now, 0), [200_000]); // as much as the machine
    assertEquals(alarms(0, Infinity, 1), [4_000_000, 300_000]);
    assertEquals(alarms(0, now + 350_000, 1), [350_000]); // it would have ended by then
    assertEquals(alarms(1_100_000, Infinity, 1), [4_000_000, 1_000_000]); // not before its share is over
  } finally {
    engine.close();
  }
});

Deno.test("KvmEngine: a signal ends the slice whatever has become of errno; another error is one", () => {
  const ENOENT = 2;
  let reason: number = api.KVM_EXIT_INTR;
  const host: FakeHost = new FakeHost(
    new Map([[api.KVM_RUN, () => {
      if (reason !== 0) new DataView(host.run).setUint32(api.kvm_run.at.exit_reason, reason, true);
      return -ENOENT;
    }]]),
  );
  const engine = new KvmEngine(new GuestMemory(0x1_0000), noHooks(), host, {});
  try {
    assertEquals(engine.run(100_000), "budget");
    reason = 0; // KVM says nothing
    assertThrows(() => engine.run(100_000), ConfigError, "Cannot go on with KVM: KVM_RUN: errno 2");
  } finally {
    engine.close();
  }
});
