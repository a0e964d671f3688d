// SPDX-License-Identifier: MIT
import { assert, assertEquals } from "@std/assert";
import {
  SCHEDOP_block,
  SCHEDOP_pin_override,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown,
  SCHEDOP_shutdown_code,
  SCHEDOP_watchdog,
  SCHEDOP_yield,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_soft_reset,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from "../public/sched.ts";
import { __HYPERVISOR_sched_op } from "../public/xen.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSPC, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from "../public/errno.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const ARGS = 0x1000;
const PORTS = 0x2000;

function op(rig: XenRig, operation: number, ...words: number[]): number {
  words.forEach((word, i) => rig.ram.setUint32(ARGS + 4 * i, word, true));
  return rig.hypercall(__HYPERVISOR_sched_op, operation, ARGS);
}

function poll(rig: XenRig, ports: number[], timeoutNs: number, count = ports.length): number {
  ports.forEach((port, i) => rig.ram.setUint32(PORTS + 4 * i, port, true));
  rig.ram.setBigUint64(ARGS, BigInt(PORTS), true);
  rig.ram.setUint32(ARGS + 8, count, true);
  rig.ram.setBigUint64(ARGS + 16, BigInt(timeoutNs), true);
  return rig.hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, ARGS);
}

/** A bound port, masked, so that it makes no upcall. */
function maskedPort(rig: XenRig): { port: number; notify(): void } {
  const port = rig.platform.events.allocUnbound(0);
  const at = rig.platform.sharedInfo.evtchnMask + (port >> 3);
  rig.memory.bytes[at] = (rig.memory.bytes[at] as number) | (1 << (port & 7));
  const backend = rig.platform.events.bindInterdomain(port, () => {});
  return { port, notify: () => backend?.notify() };
}

Deno.test("SCHEDOP_block stops the vCPU until an event or an interrupt", () => {
  const rig = xenRig();
  rig.platform.upcall.setCallbackVia((2n << 56n) | 0xf3n);
  const port = rig.platform.events.allocUnbound(0);
  const backend = rig.platform.events.bindInterdomain(port, () => {});
  assertEquals(op(rig, SCHEDOP_yield), 0);
  assertEquals(rig.platform.blocked, false);
  assertEquals(op(rig, SCHEDOP_block), 0);
  assertEquals(rig.platform.blocked, true);
  backend?.notify();
  assertEquals(rig.platform.blocked, false);
  assertEquals(rig.wires.blocked, [true, false]);
  assertEquals(op(rig, SCHEDOP_block), 0); // the upcall is still pending: no sleep
  assertEquals(rig.platform.blocked, false);
  rig.memory.bytes[rig.platform.sharedInfo.vcpuInfo] = 0;
  assertEquals(op(rig, SCHEDOP_block), 0);
  assertEquals(rig.platform.blocked, true);
  rig.platform.wake();
  assertEquals(rig.platform.blocked, false);
});

Deno.test("SCHEDOP_poll waits for one of its ports, masked or not, or for its time", () => {
  const rig = xenRig();
  const a = maskedPort(rig);
  const b = maskedPort(rig);
  const other = maskedPort(rig);
  assertEquals(poll(rig, [a.port, b.port], 0), 0);
  assertEquals(rig.platform.blocked, true);
  other.notify();
  assertEquals(rig.platform.blocked, true);
  b.notify();
  assertEquals(rig.platform.blocked, false);
  assertEquals(poll(rig, [a.port, b.port], 0), 0); // b is pending
  assertEquals(rig.platform.blocked, false);
  assertEquals(poll(rig, [a.port], 5_000), 0);
  rig.clock.advance(4_999);
  assertEquals(rig.platform.blocked, true);
  rig.clock.advance(1);
  assertEquals(rig.platform.blocked, false);
  assertEquals(poll(rig, [a.port], 9_000), 0);
  a.notify();
  assertEquals(poll(rig, [], 0), 0); // no ports: until something wakes the vCPU; the old time is forgotten
  rig.clock.advance(10_000);
  assertEquals(rig.platform.blocked, true);
});

Deno.test("SCHEDOP_poll and SCHEDOP_block sleep with interrupts off, whatever upcall is pending", () => {
  // The vector callback; then an interrupt controller that has something.
  for (const pendingIn of ["upcall", "controller"] as const) {
    const waiting = { interrupt: false };
    const rig = xenRig();
    rig.wires.interruptPending = () => waiting.interrupt;
    const polled = maskedPort(rig);
    rig.platform.upcall.setCallbackVia((2n << 56n) | 0xf3n);
    if (pendingIn === "upcall") rig.platform.upcall.markPending();
    else waiting.interrupt = true;
    assertEquals(poll(rig, [polled.port], 0), 0);
    assertEquals(rig.platform.blocked, false); // interrupts are on: they are taken instead
    rig.vcpu.rflags = 0x2;
    assertEquals(poll(rig, [polled.port], 0), 0);
    assertEquals(rig.platform.blocked, true);
    polled.notify();
    assertEquals(rig.platform.blocked, false);
    assertEquals(op(rig, SCHEDOP_block), 0);
    assertEquals(rig.platform.blocked, true);
    rig.platform.wake();
    rig.vcpu.rflags = 0x202;
    assertEquals(op(rig, SCHEDOP_block), 0);
    assertEquals(rig.platform.blocked, false);
  }
});

Deno.test("SCHEDOP_block sleeps while an upcall is pending that no callback delivers", () => {
  const rig = xenRig();
  rig.platform.upcall.markPending();
  assertEquals(op(rig, SCHEDOP_block), 0);
  assertEquals(rig.platform.blocked, true);
});

Deno.test("SCHEDOP_poll with a pending port does not look at the ports behind it", () => {
  const rig = xenRig();
  const { port, notify } = maskedPort(rig);
  notify();
  assertEquals(poll(rig, [port, 4096], 0), 0);
  assertEquals(poll(rig, [4096, port], 0), -XEN_EINVAL);
});

Deno.test("SCHEDOP_poll leaves no timer behind, however often it is made", () => {
  const rig = xenRig();
  const { port } = maskedPort(rig);
  for (let i = 0; i < 1000; i++) rig.platform.scheduler.poll([port], 1e9 + i);
  assert(rig.clock.size < 200, `${rig.clock.size} timers are held`);
});

Deno.test("SCHEDOP_poll checks its list", () => {
  const rig = xenRig();
  assertEquals(poll(rig, [1], 0, 129), -XEN_EINVAL);
  assertEquals(poll(rig, [4096], 0), -XEN_EINVAL);
  rig.ram.setBigUint64(ARGS, 0xf000_0000n, true);
  assertEquals(rig.hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, ARGS), -XEN_EFAULT);
  assertEquals(rig.platform.blocked, false);
});

Deno.test("SCHEDOP_shutdown tells the machine and stops the vCPU", () => {
  const rig = xenRig();
  assertEquals(op(rig, SCHEDOP_shutdown, SHUTDOWN_reboot), 0);
  assertEquals([rig.wires.shutdowns, rig.platform.blocked], [[SHUTDOWN_reboot], true]);
  rig.platform.wake(); // events do not undo it
  assertEquals(rig.platform.blocked, true);
  rig.platform.scheduler.resume();
  assertEquals(rig.platform.blocked, false);
});

Deno.test("a suspend the machine declines counts as cancelled", () => {
  const rig = xenRig({ stop: false });
  assertEquals(op(rig, SCHEDOP_shutdown, SHUTDOWN_suspend), 1);
  assertEquals(op(rig, SCHEDOP_shutdown, SHUTDOWN_poweroff), 0);
  assertEquals(rig.platform.blocked, false);
});

Deno.test("a soft reset empties the Xen side and lets the guest go on", () => {
  const rig = xenRig();
  const { port } = maskedPort(rig);
  // RAM stays where the running kernel has it: a hole, a page that moved; what a page of Xen's covered is RAM again
  const { physmap } = rig.platform;
  physmap.decrease(0x300);
  rig.ram.setUint32(0x301 * 4096, 0x1234_5678, true);
  physmap.move(0x301, 0x302);
  physmap.place(0x303, rig.platform.sharedInfo.page);
  physmap.place(0xf_e700, rig.platform.grants.framePage(0) as number);
  assertEquals(op(rig, SCHEDOP_shutdown, SHUTDOWN_soft_reset), 0);
  assertEquals([rig.wires.shutdowns, rig.platform.blocked], [[SHUTDOWN_soft_reset], false]);
  assertEquals(rig.platform.events.send(port), -XEN_EINVAL);
  assertEquals([0x300, 0x301, 0x302, 0x303, 0xf_e700].map((gfn) => rig.memory.hasFrame(gfn)), [
    false,
    false,
    true,
    true,
    false,
  ]);
  assertEquals([physmap.isRam(0x302), physmap.isRam(0x303)], [true, true]);
  assertEquals(rig.memory.view.getUint32(rig.memory.offsetOf(0x302 * 4096), true), 0x1234_5678);
  assertEquals(rig.memory.offsetOf(0xfeff_c000), rig.platform.store.page);
});

Deno.test("watchdogs shut the domain down unless they are poked", () => {
  const rig = xenRig();
  assertEquals(op(rig, SCHEDOP_watchdog, 0, 10), 1);
  assertEquals(op(rig, SCHEDOP_watchdog, 0, 10), 2);
  assertEquals(op(rig, SCHEDOP_watchdog, 0, 10), -XEN_ENOSPC);
  assertEquals(op(rig, SCHEDOP_watchdog, 3, 10), -XEN_EINVAL);
  assertEquals(op(rig, SCHEDOP_watchdog, 2, 0), 0);
  assertEquals(op(rig, SCHEDOP_watchdog, 2, 0), -XEN_EINVAL);
  rig.clock.advance(9e9);
  assertEquals(op(rig, SCHEDOP_watchdog, 1, 10), 0);
  rig.clock.advance(9e9);
  assertEquals(rig.wires.shutdowns, []);
  rig.clock.advance(1e9);
  assertEquals([rig.wires.shutdowns, rig.platform.blocked], [[SHUTDOWN_watchdog], true]);
});

Deno.test("sched_op: what only others may do", () => {
  const rig = xenRig();
  assertEquals(op(rig, SCHEDOP_remote_shutdown, 1, 0), -XEN_EPERM);
  assertEquals(op(rig, SCHEDOP_remote_shutdown, 9, 0), -XEN_ESRCH);
  assertEquals(op(rig, SCHEDOP_pin_override, 0), -XEN_EPERM);
  assertEquals(op(rig, SCHEDOP_shutdown_code, 3), 0);
  assertEquals(op(rig, 99), -XEN_ENOSYS);
});
