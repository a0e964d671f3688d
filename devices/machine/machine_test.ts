// SPDX-License-Identifier: MIT
/**
 * The machine over an engine that is not a CPU: everything outside `cpu/` works through cpu/base/engine.ts alone. What a
 * reset, an INIT and a snapshot do to the parts.
 * @module
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Hub } from "../../net/ends/hub.ts";
import { NoneEnd } from "../../net/ends/none.ts";
import { SPIN, tinyGuest } from "../../tests/_tiny_guest.ts";
import { EVTCHNSTAT_interdomain } from "../../xen/public/event_channel.ts";
import { HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_STORE_EVTCHN } from "../../xen/public/hvm/params.ts";
import {
  __HYPERVISOR_console_io,
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_vcpu_op,
  __HYPERVISOR_xen_version,
} from "../../xen/public/xen.ts";
import { type ScriptEngine, scriptEngine, type Step } from "./_script_engine.ts";
import { Machine } from "./machine.ts";
import type { HostClock, MachineOptions } from "./machine_options.ts";

const MiB = 1 << 20;
const text = (s: string) => new TextEncoder().encode(s);
const BUFFER = 0x8000;
const COM1 = 0x3f8, RESET_PORT = 0xcf9, PM1_CNT = 0xb004;
/** evtchn_alloc_unbound. */
const DOMID_SELF_FOR_DOM0 = Uint8Array.of(0xf0, 0x7f, 0, 0, 0, 0, 0, 0);
const POWER_OFF: Step = { out: [PM1_CNT, 1 << 13, 2] };
/** 8259 with vectors from 0x20 on, IRQ 0 alone; PIT: one shot in 10 ms. */
const TIMER: Step[] = [
  ...([[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1], [0x21, 0xfe]] as const).map((out) => ({ out })),
  ...([[0x43, 0x30], [0x40, 0x9c], [0x40, 0x2e]] as const).map((out) => ({ out })),
];
const print = (s: string): Step[] => [...text(s)].map((byte) => ({ out: [COM1, byte] }));

class Clock implements HostClock {
  sleeps = 0;
  monotonicNs = () => 0;
  unixSeconds = () => 1_700_000_000;
  sleep(): Promise<void> {
    return ++this.sleeps < 100 ? Promise.resolve() : Promise.reject(new Error("the guest sleeps for ever"));
  }
  breathe = () => Promise.resolve();
}

async function scripted(script: readonly Step[], more: Partial<MachineOptions> = {}) {
  const printed = { serial: "", console: "" };
  const sink = (name: "serial" | "console") => ({
    output: (bytes: Uint8Array) => void (printed[name] += new TextDecoder().decode(bytes)),
  });
  const machine = await Machine.create({
    kernel: { name: "script", bytes: tinyGuest(SPIN) },
    clock: new Clock(),
    icount: true,
    memoryBytes: 4 * MiB,
    type: "hvm",
    engineFactory: scriptEngine(script),
    serial: sink("serial"),
    console: sink("console"),
    ...more,
  });
  return { machine, engine: machine.board.engine as ScriptEngine, printed };
}

const SCRIPT: readonly Step[] = [
  ...print("hello"),
  { store: [BUFFER, text("by hypercall")] },
  { hypercall: [__HYPERVISOR_console_io, 0, 12, BUFFER], by: "vmcall" },
  { hypercall: [__HYPERVISOR_xen_version, 0, 0], by: "port" },
  ...TIMER,
  "sti",
  "hlt", // the timer ends it
  ...print("!"),
  { hypercall: [__HYPERVISOR_sched_op, 9, 0], by: "port" }, // no such operation
  POWER_OFF,
];
const RESULTS = [0, 0x4_0011, -38];

Deno.test("a machine runs on an engine of another kind: ports, hypercalls, interrupts, power", async () => {
  const { machine, engine, printed } = await scripted(SCRIPT);
  assertEquals(await machine.run(), { reason: "poweroff" });
  assertEquals(printed, { serial: "hello!", console: "by hypercall" });
  assertEquals([engine.state.results, engine.state.vectors], [RESULTS, [0x20]]);
  assertEquals(machine.stats().counters.steps, SCRIPT.length);
  assertEquals(machine.registers().rcx, 0n);
  machine.close();
});

Deno.test("what an engine puts off is done when the guest has slept for a moment, and not while something is due soon", async () => {
  const MS = 1e6;
  for (const { work, sleeps } of [{ work: 2, sleeps: [1, "work", "work", 9] }, { work: 0, sleeps: [10] }]) {
    const seen: (number | string)[] = [];
    let now = 0, left = work;
    const clock = {
      monotonicNs: () => now,
      unixSeconds: () => 1_700_000_000,
      sleep: (ms: number) => {
        seen.push(Math.round(ms));
        now += ms * MS;
        return Promise.resolve();
      },
      breathe: () => Promise.resolve(),
    };
    const { machine, engine } = await scripted([...TIMER, "sti", "hlt", POWER_OFF], { icount: false, clock });
    Object.defineProperty(engine, "hasIdleWork", { get: () => left > 0 });
    Object.assign(engine, { doIdleWork: () => void (seen.push("work"), left--) });
    assertEquals(await machine.run(), { reason: "poweroff" });
    assertEquals([seen, engine.state.vectors], [sleeps, [0x20]]);
    machine.close();
  }
});

Deno.test("what answers a packet at once is asked before the guest goes on; else its slice ends", async () => {
  for (
    const { icount, frames, asked } of [
      { icount: false, frames: 1, asked: ["poll"] },
      { icount: false, frames: 0, asked: ["poll", "stop"] },
      { icount: true, frames: 1, asked: [] },
    ]
  ) {
    const seen: string[] = [];
    const end = Object.assign(new NoneEnd(), { poll: () => (seen.push("poll"), frames) });
    const { machine, engine } = await scripted([], { icount, nets: [{ end }] });
    Object.assign(engine, { requestStop: () => void seen.push("stop") });
    machine.board.options.events.netNotified();
    assertEquals(seen, asked);
    machine.close();
  }
});

Deno.test("a machine on another engine is saved at every step, and each goes on to the same end", async () => {
  const whole = await scripted(SCRIPT);
  await whole.machine.run();
  const end = whole.machine.board.clock.nowNs();
  for (let steps = 0; steps < SCRIPT.length; steps++) {
    const first = await scripted(SCRIPT);
    first.engine.run(steps);
    const snapshot = structuredClone(first.machine.save());
    const second = await scripted(SCRIPT);
    second.machine.restore(snapshot);
    assertEquals(await second.machine.run(), { reason: "poweroff" }, `after ${steps}`);
    assertEquals([second.engine.state.results, second.engine.state.vectors], [RESULTS, [0x20]]);
    assertEquals(second.machine.board.clock.nowNs(), end);
    first.machine.close();
    second.machine.close();
  }
  whole.machine.close();
});

Deno.test("a system reset happens in place: RAM and time stay, chips, Xen and CPU are as new, the kernel is loaded", async () => {
  const KEPT = 0x20_0000;
  const script: readonly Step[] = [
    { store: [KEPT, text("kept")] },
    { store: [0x10_0000, text("overwritten")] }, // where the kernel was
    { out: [0x80, 0x55] },
    { out: [COM1 + 7, 0x77] }, // scratch
    ...TIMER,
    { store: [BUFFER, DOMID_SELF_FOR_DOM0] },
    { hypercall: [__HYPERVISOR_event_channel_op, 6, BUFFER], by: "port" }, // EVTCHNOP_alloc_unbound
    { out: [RESET_PORT, 0x06] },
  ];
  const { machine, engine } = await scripted(script);
  const { board } = machine;
  const fresh = board.save();
  const parts = [board.memory, board.memory.memory, board.engine, board.xen.store, ...board.chips.list];
  const states: number[] = [];
  let portBefore = 0;
  // stopped before the first step of the second boot
  const reset = board.reset.bind(board);
  board.reset = () => {
    states.push(board.bus.readPort(0x80, 1), board.bus.readPort(COM1 + 7, 1));
    portBefore = new DataView(machine.readMemory(BUFFER, 8).buffer).getUint32(4, true);
    machine.stop();
    return reset();
  };
  assertEquals(await machine.run(), { reason: "stopped" });
  assertEquals(states, [0x55, 0x77]);
  assertEquals([board.bus.readPort(0x80, 1), board.bus.readPort(COM1 + 7, 1)], [0, 0]);
  assertEquals(machine.tracer.counters.get("machine.resets"), 1);
  assertEquals([...board.chips.list].every((chip, i) => chip === parts[4 + i]), true);
  assertEquals([board.memory, board.memory.memory, board.engine, board.xen.store], parts.slice(0, 4));
  assertEquals(machine.readMemory(KEPT, 4), text("kept"));
  assertEquals(machine.readMemory(0x10_0000, 2), Uint8Array.from(SPIN));
  assertEquals(engine.state.at, 0);
  assertEquals(portBefore, 3); // the script's, besides store and console
  assert(board.clock.nowNs() > 0 && board.time.tscAt(board.clock.nowNs()) === 0n);
  // chips are as after the first power-on
  const again = board.save();
  for (const name of Object.keys(fresh.chips)) {
    if (["pit", "pm", "rtc", "interrupts"].includes(name)) continue; // they remember the time
    assertEquals(again.chips[name], fresh.chips[name], name);
  }
  assertEquals([...again.xen.store.tree.nodes.keys()], [...fresh.xen.store.tree.nodes.keys()]);
  assertEquals(again.xen.platform.events.status, fresh.xen.platform.events.status);
  machine.close();
});

Deno.test("INIT resets the CPU and its local APIC, and leaves the other chips and Xen alone", async () => {
  const script: readonly Step[] = [
    { out: [0x80, 0x55] },
    ...TIMER,
    { store: [BUFFER, DOMID_SELF_FOR_DOM0] },
    { hypercall: [__HYPERVISOR_event_channel_op, 6, BUFFER], by: "port" },
    "sti",
  ];
  const { machine, engine } = await scripted(script);
  engine.run(script.length);
  const before = machine.board.save();
  machine.board.init();
  const after = machine.board.save();
  assertEquals([engine.state.at, engine.state.rflags], [0, 2]);
  const { interrupts: irqBefore, ...chipsBefore } = before.chips as Record<string, Record<string, unknown>>;
  const { interrupts: irqAfter, ...chipsAfter } = after.chips as Record<string, Record<string, unknown>>;
  assertEquals(chipsAfter, chipsBefore);
  assertEquals([irqAfter?.pic, irqAfter?.ioapic], [irqBefore?.pic, irqBefore?.ioapic]);
  assertNotEquals(irqAfter?.lapic, irqBefore?.lapic);
  assertEquals([after.xen, after.ram, after.time], [before.xen, before.ram, before.time]);
  machine.close();
});

Deno.test("a soft reset gives back FIFO events and vcpu_info, and binds store and console to new ports, twice", async () => {
  const CONTROL = 0x9000, ARRAY = 0xa000, VCPU_INFO = 0xb000;
  const struct = (...words: number[]): Step => ({
    store: [BUFFER, new Uint8Array(Uint32Array.from(words).buffer)],
  });
  const events = (operation: number): Step => ({
    hypercall: [__HYPERVISOR_event_channel_op, operation, BUFFER],
    by: "vmcall",
  });
  const setUp: readonly Step[] = [
    struct(VCPU_INFO / 4096, 0, 0x40, 0),
    { hypercall: [__HYPERVISOR_vcpu_op, 10, 0, BUFFER], by: "vmcall" }, // VCPUOP_register_vcpu_info
    struct(CONTROL / 4096, 0, 0, 0, 0, 0),
    events(11), // EVTCHNOP_init_control
    struct(ARRAY / 4096, 0),
    events(12), // EVTCHNOP_expand_array
    struct(0x7ff0, 0), // DOMID_SELF, for dom0
    events(6), // EVTCHNOP_alloc_unbound
    { hypercall: [__HYPERVISOR_sched_op, 99, 0], by: "vmcall" }, // no such operation: a mark
  ];
  const softReset: readonly Step[] = [
    struct(5), // SHUTDOWN_soft_reset
    { hypercall: [__HYPERVISOR_sched_op, 2, BUFFER], by: "vmcall" },
    // what is there now must not be written any more
    { store: [VCPU_INFO, new Uint8Array(4096).fill(0x5a)] },
    { store: [CONTROL, new Uint8Array(8192).fill(0x5a)] },
  ];
  const { machine, engine } = await scripted([...setUp, ...softReset, ...setUp, ...softReset]);
  const { platform, store } = machine.board.xen;
  for (let round = 0; round < 2; round++) {
    engine.run(setUp.length);
    assertEquals(engine.state.results.splice(0), [0, 0, 0, 0, -38]);
    assertEquals([platform.events.usesFifo, platform.sharedInfo.vcpuInfo === platform.sharedInfo.page], [
      true,
      false,
    ]);
    store.write("/local/domain/1/data/left", "behind");
    engine.run(softReset.length);
    assertEquals(engine.state.results.splice(0), [0]);
    assertEquals([platform.events.usesFifo, platform.sharedInfo.vcpuInfo === platform.sharedInfo.page], [
      false,
      true,
    ]);
    const { store: ring, console } = platform;
    assertEquals([ring.port, console.port], [1, 2]);
    for (
      const [param, port] of [[HVM_PARAM_STORE_EVTCHN, ring.port], [HVM_PARAM_CONSOLE_EVTCHN, console.port]]
    ) {
      assertEquals(platform.params.get(param as number), BigInt(port as number));
      assertEquals(platform.events.send(port as number), 0);
      const status = platform.events.status(port as number);
      assertEquals(typeof status === "object" && status.status, EVTCHNSTAT_interdomain);
    }
    assertEquals(store.read("/local/domain/1/data/left"), undefined);
    assertEquals(store.read("/local/domain/1/store/port"), "1");
    machine.sendConsole(text("x")); // an event: nothing of it goes to the old places
    assert(machine.readMemory(VCPU_INFO, 4096).every((byte) => byte === 0x5a));
    assert(machine.readMemory(CONTROL, 8192).every((byte) => byte === 0x5a));
  }
  machine.close();
});

const SLICES:
  readonly (readonly [what: string, endsInTime: boolean, nets: number, budgets: readonly number[]])[] = [
    ["get shorter while they take long", false, 0, [200_000, 100_000, 50_000]],
    ["stay as long where the engine ends them in time", true, 0, [800_000, 800_000, 800_000]],
    ["are as long with a network device that no driver uses", true, 1, [800_000, 800_000, 800_000]],
  ];
for (const [what, endsInTime, nets, expected] of SLICES) {
  Deno.test(`Machine: slices ${what}`, async () => {
    const budgets: number[] = [];
    const { create, reservedBytes } = scriptEngine([...new Array<Step>(2_500_000).fill("cli"), POWER_OFF]);
    let now = 0;
    const clock = Object.assign(new Clock(), { monotonicNs: () => now += 10_000_000 }); // a slow host
    const { machine } = await scripted([], {
      icount: false,
      clock,
      nets: Array.from({ length: nets }, () => ({ end: new Hub().port() })),
      engineFactory: {
        reservedBytes,
        create(...all) {
          const engine = create(...all);
          const run = engine.run.bind(engine);
          return Object.assign(engine, {
            endsInTime,
            run: (budget: number) => {
              budgets.push(budget);
              return run(budget);
            },
          });
        },
      },
    });
    assertEquals(await machine.run(), { reason: "poweroff" });
    machine.close();
    assertEquals(budgets.slice(0, 3), expected);
  });
}
