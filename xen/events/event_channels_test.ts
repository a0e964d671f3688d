// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import {
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_pirq,
  EVTCHNOP_bind_vcpu,
  EVTCHNOP_bind_virq,
  EVTCHNOP_close,
  EVTCHNOP_expand_array,
  EVTCHNOP_init_control,
  EVTCHNOP_reset,
  EVTCHNOP_send,
  EVTCHNOP_set_priority,
  EVTCHNOP_status,
  EVTCHNOP_unmask,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from "../public/event_channel.ts";
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_hvm_op,
  __HYPERVISOR_memory_op,
  __HYPERVISOR_vcpu_op,
  DOMID_SELF,
  VIRQ_CONSOLE,
  VIRQ_TIMER,
} from "../public/xen.ts";
import { HVMOP_set_param } from "../public/hvm/hvm_op.ts";
import { XENMAPSPACE_shared_info, XENMEM_add_to_physmap } from "../public/memory.ts";
import { VCPUOP_register_vcpu_info } from "../public/vcpu.ts";
import {
  XEN_EEXIST,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_ENXIO,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from "../public/errno.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const ARGS = 0x1000;
/** Where tests have shared_info placed. */
const SHARED = 0x20_0000;
// Offsets in shared_info of a 64-bit guest: 32 vcpu_info of 64 bytes, then 4096 pending and 4096 mask bits.
const PENDING = SHARED + 2048;
const MASK = SHARED + 2560;
const SELECTOR = SHARED + 8;

function op(rig: XenRig, operation: number, ...words: number[]): number {
  words.forEach((word, i) => rig.ram.setUint32(ARGS + 4 * i, word, true));
  return rig.hypercall(__HYPERVISOR_event_channel_op, operation, ARGS);
}

function placeSharedInfo(rig: XenRig): void {
  rig.ram.setUint32(ARGS, DOMID_SELF, true);
  rig.ram.setUint32(ARGS + 4, XENMAPSPACE_shared_info, true);
  if (rig.vcpu.codeBits === 64) {
    rig.ram.setBigUint64(ARGS + 8, 0n, true);
    rig.ram.setBigUint64(ARGS + 16, BigInt(SHARED / 4096), true);
  } else {
    rig.ram.setUint32(ARGS + 8, 0, true);
    rig.ram.setUint32(ARGS + 12, SHARED / 4096, true);
  }
  assertEquals(rig.hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARGS), 0);
}

function callbackVia(rig: XenRig, via: bigint): void {
  rig.ram.setUint32(ARGS, DOMID_SELF, true);
  rig.ram.setUint32(ARGS + 4, 0, true);
  rig.ram.setBigUint64(ARGS + 8, via, true);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_set_param, ARGS), 0);
}

/** A byte of guest memory as the guest sees it, Xen pages included. */
function byte(rig: XenRig, gpa: number): number {
  return rig.memory.bytes[rig.memory.offsetOf(gpa)] as number;
}

function setByte(rig: XenRig, gpa: number, value: number): void {
  rig.memory.bytes[rig.memory.offsetOf(gpa)] = value;
}

function allocUnbound(rig: XenRig, remote: number): number {
  assertEquals(op(rig, EVTCHNOP_alloc_unbound, DOMID_SELF | (remote << 16), 0), 0);
  return rig.ram.getUint32(ARGS + 4, true);
}

/** [status, vcpu, domid, port or virq] of a port. */
function status(rig: XenRig, port: number): number[] {
  assertEquals(op(rig, EVTCHNOP_status, DOMID_SELF, port, 0xffff, 0xffff, 0, 0), 0);
  return [8, 12, 16, 20].map((at) => rig.ram.getUint32(ARGS + at, true));
}

Deno.test("evtchn: the guest sends to a backend, and the backend to the guest", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  callbackVia(rig, (2n << 56n) | 0xf3n);
  const port = allocUnbound(rig, 0);
  assertEquals(status(rig, port), [EVTCHNSTAT_unbound, 0, 0, 0]);
  assertEquals(op(rig, EVTCHNOP_send, port), 0); // nobody there: dropped
  let heard = 0;
  const backend = rig.platform.events.bindInterdomain(port, () => heard++);
  assertEquals(op(rig, EVTCHNOP_send, port), 0);
  assertEquals(heard, 1);
  assertEquals(rig.platform.upcall.pending, false);

  backend?.notify();
  assertEquals(byte(rig, PENDING + (port >> 3)), 1 << (port & 7));
  assertEquals(byte(rig, SELECTOR), 1); // word 0
  assertEquals(byte(rig, SHARED), 1); // evtchn_upcall_pending
  assertEquals(rig.platform.upcall.pending, true);
  assertEquals(rig.platform.upcall.acknowledge(), 0xf3);
  assertEquals(rig.platform.upcall.pending, true); // until the guest clears it
  setByte(rig, SHARED, 0);
  assertEquals(rig.platform.upcall.pending, false);
  assertEquals(rig.platform.upcall.acknowledge(), -1);
});

Deno.test("evtchn: a pending event raises one upcall; a masked one none until it is unmasked", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  callbackVia(rig, (2n << 56n) | 0xf3n);
  const port = allocUnbound(rig, 0);
  const backend = rig.platform.events.bindInterdomain(port, () => {});
  const before = rig.wires.interruptsChanged;
  setByte(rig, MASK + (port >> 3), 1 << (port & 7));
  backend?.notify();
  backend?.notify();
  assertEquals([byte(rig, SHARED), byte(rig, SELECTOR)], [0, 0]);
  assertEquals(rig.wires.interruptsChanged, before);
  assertEquals(op(rig, EVTCHNOP_unmask, port), 0);
  assertEquals(byte(rig, MASK + (port >> 3)), 0);
  assertEquals([byte(rig, SHARED), byte(rig, SELECTOR)], [1, 1]);
  assertEquals(rig.wires.interruptsChanged, before + 1);
  backend?.notify();
  assertEquals(op(rig, EVTCHNOP_unmask, port), 0);
  assertEquals(rig.wires.interruptsChanged, before + 1);
  assertEquals(op(rig, EVTCHNOP_unmask, 4096), -XEN_EINVAL);
});

Deno.test("evtchn: a 32-bit guest has 32-bit words, so that port 35 is in word 1", () => {
  const rig = xenRig();
  rig.vcpu.codeBits = 32;
  placeSharedInfo(rig);
  let port = 0;
  while (port < 35) port = allocUnbound(rig, 0);
  rig.platform.events.bindInterdomain(35, () => {})?.notify();
  assertEquals(byte(rig, SHARED + 2048 + 4), 1 << 3);
  assertEquals(byte(rig, SHARED + 4), 1 << 1); // evtchn_pending_sel follows the two bytes and padding
  // 1024 ports in all.
  let result = 0;
  while (result === 0) result = op(rig, EVTCHNOP_alloc_unbound, DOMID_SELF, 0);
  assertEquals(result, -XEN_ENOSPC);
  assertEquals(op(rig, EVTCHNOP_status, DOMID_SELF, 1023), 0);
  assertEquals(op(rig, EVTCHNOP_status, DOMID_SELF, 1024), -XEN_EINVAL);
});

Deno.test("evtchn: loopback channels connect two ports of the guest", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  const a = allocUnbound(rig, DOMID_SELF);
  assertEquals(op(rig, EVTCHNOP_bind_interdomain, DOMID_SELF, a, 0), 0);
  const b = rig.ram.getUint32(ARGS + 8, true);
  assertEquals(status(rig, a), [EVTCHNSTAT_interdomain, 0, 1, b]);
  assertEquals(status(rig, b), [EVTCHNSTAT_interdomain, 0, 1, a]);
  assertEquals(rig.platform.events.isPending(b), true); // Xen always notifies the binder
  assertEquals(op(rig, EVTCHNOP_send, b), 0);
  assertEquals(rig.platform.events.isPending(a), true);
  assertEquals(op(rig, EVTCHNOP_close, b), 0);
  assertEquals(status(rig, a), [EVTCHNSTAT_unbound, 0, 1, 0]);
  assertEquals(status(rig, b), [EVTCHNSTAT_closed, 0, 0, 0]);
  assertEquals(rig.platform.events.isPending(b), false);
});

Deno.test("evtchn: errors are Xen's", () => {
  const rig = xenRig();
  const foreign = allocUnbound(rig, 0);
  assertEquals(op(rig, EVTCHNOP_send, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_send, 4000), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_send, 0xffff_ffff), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_close, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_close, 4000), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_alloc_unbound, 0, 0), -XEN_EPERM);
  assertEquals(op(rig, EVTCHNOP_alloc_unbound, 77, 0), -XEN_ESRCH);
  assertEquals(op(rig, EVTCHNOP_bind_interdomain, 0, 1, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_bind_interdomain, 77, 1, 0), -XEN_ESRCH);
  assertEquals(op(rig, EVTCHNOP_bind_interdomain, DOMID_SELF, foreign, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_bind_interdomain, DOMID_SELF, 0xffff_ffff, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_bind_pirq, 9, 0, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_bind_ipi, 1, 0), -XEN_ENOENT);
  assertEquals(op(rig, EVTCHNOP_bind_vcpu, foreign, 1), -XEN_ENOENT);
  assertEquals(op(rig, EVTCHNOP_bind_vcpu, foreign, 0), 0);
  assertEquals(op(rig, EVTCHNOP_expand_array, 1, 0), -XEN_EOPNOTSUPP);
  assertEquals(op(rig, EVTCHNOP_set_priority, foreign, 0), -XEN_ENOSYS);
  assertEquals(op(rig, EVTCHNOP_reset, 0), -XEN_EPERM);
  assertEquals(rig.hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, 0xf000_0000n), -XEN_EFAULT);
  assertEquals(rig.hypercall(__HYPERVISOR_event_channel_op, 99, ARGS), -XEN_ENOSYS);
});

Deno.test("evtchn: virtual interrupts bind once; per-vCPU ones stay where they are", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  assertEquals(op(rig, EVTCHNOP_bind_virq, VIRQ_TIMER, 0, 0), 0);
  const timer = rig.ram.getUint32(ARGS + 8, true);
  assertEquals(status(rig, timer).slice(0, 3), [EVTCHNSTAT_virq, 0, VIRQ_TIMER]);
  assertEquals(op(rig, EVTCHNOP_bind_virq, VIRQ_TIMER, 0, 0), -XEN_EEXIST);
  assertEquals(op(rig, EVTCHNOP_bind_virq, VIRQ_TIMER, 1, 0), -XEN_ENOENT);
  assertEquals(op(rig, EVTCHNOP_bind_virq, VIRQ_CONSOLE, 1, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_bind_virq, 24, 0, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_bind_vcpu, timer, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_send, timer), -XEN_EINVAL);
  rig.platform.events.raiseVirq(VIRQ_TIMER);
  assertEquals(rig.platform.events.isPending(timer), true);
  assertEquals(op(rig, EVTCHNOP_close, timer), 0);
  assertEquals(rig.platform.events.isPending(timer), false);
  rig.platform.events.raiseVirq(VIRQ_TIMER);
  assertEquals(rig.platform.events.isPending(timer), false);
  assertEquals(op(rig, EVTCHNOP_bind_virq, VIRQ_TIMER, 0, 0), 0);
});

Deno.test("evtchn: a port sent to by the guest itself (IPI)", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  assertEquals(op(rig, EVTCHNOP_bind_ipi, 0, 0), 0);
  const port = rig.ram.getUint32(ARGS + 4, true);
  assertEquals(status(rig, port)[0], EVTCHNSTAT_ipi);
  assertEquals(op(rig, EVTCHNOP_send, port), 0);
  assertEquals(rig.platform.events.isPending(port), true);
});

Deno.test("evtchn: closing either end leaves the other unbound, and notifications go nowhere", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  const first = allocUnbound(rig, 0);
  const backend = rig.platform.events.bindInterdomain(first, () => {});
  assertEquals(rig.platform.events.bindInterdomain(first, () => {}), undefined);
  assertEquals(op(rig, EVTCHNOP_close, first), 0);
  backend?.notify();
  assertEquals(rig.platform.events.isPending(first), false);
  backend?.close(); // harmless
  assertEquals(status(rig, first)[0], EVTCHNSTAT_closed);

  const second = allocUnbound(rig, 0);
  rig.platform.events.bindInterdomain(second, () => {})?.close();
  assertEquals(status(rig, second), [EVTCHNSTAT_unbound, 0, 0, 0]);
  assertEquals(rig.platform.events.bindInterdomain(second, () => {}) === undefined, false);
  assertEquals(rig.platform.events.bindInterdomain(allocUnbound(rig, 5), () => {}), undefined);
  assertEquals(rig.platform.events.bindInterdomain(0xffff_ffff, () => {}), undefined);

  assertEquals(op(rig, EVTCHNOP_reset, DOMID_SELF), 0);
  assertEquals(status(rig, second)[0], EVTCHNSTAT_closed);
  assertEquals(rig.platform.events.bindInterdomain(rig.platform.store.port, () => {}), undefined);
});

Deno.test("evtchn: registering vcpu_info moves the selector and marks everything pending, once", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  const port = allocUnbound(rig, 0);
  const backend = rig.platform.events.bindInterdomain(port, () => {});
  backend?.notify();
  rig.ram.setBigUint64(ARGS, 0x30n, true);
  for (const offset of [4096 - 56, 4096, 0xffff_fff8, 0x41, 0x44]) { // beyond the page, and not aligned
    rig.ram.setUint32(ARGS + 8, offset, true);
    assertEquals(rig.hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARGS), -XEN_ENXIO);
  }
  rig.ram.setUint32(ARGS + 8, 0x40, true);
  rig.ram.setBigUint64(ARGS, 0x9_9999n, true); // no memory there
  assertEquals(rig.hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARGS), -XEN_EINVAL);
  rig.ram.setBigUint64(ARGS, 0x30n, true);
  rig.ram.setUint32(ARGS + 8, 0x40, true);
  assertEquals(rig.hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARGS), 0);
  assertEquals(rig.ram.getUint8(0x30040), 1);
  assertEquals(rig.ram.getBigUint64(0x30048, true), 0xffff_ffff_ffff_ffffn);
  rig.ram.setBigUint64(0x30048, 0n, true);
  rig.ram.setUint8(0x30040, 0);
  setByte(rig, PENDING + (port >> 3), 0);
  backend?.notify();
  assertEquals([rig.ram.getUint8(0x30040), rig.ram.getUint8(0x30048)], [1, 1]);
  assertEquals(rig.hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARGS), -XEN_EINVAL);
});

Deno.test("upcall by GSI is a level that follows evtchn_upcall_pending", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  callbackVia(rig, 9n);
  const port = allocUnbound(rig, 0);
  const backend = rig.platform.events.bindInterdomain(port, () => {});
  assertEquals(rig.wires.lines.get("gsi 9") ?? false, false);
  backend?.notify();
  assertEquals(rig.wires.lines.get("gsi 9"), true);
  assertEquals(rig.platform.upcall.pending, false);
  setByte(rig, SHARED, 0);
  rig.platform.resample();
  assertEquals(rig.wires.lines.get("gsi 9"), false);
  setByte(rig, PENDING + (port >> 3), 0);
  setByte(rig, SELECTOR, 0);
  backend?.notify();
  assertEquals(rig.wires.lines.get("gsi 9"), true);
  // Device 3 (bits 15:11), INTB#: the old line falls, the new one rises.
  callbackVia(rig, (1n << 56n) | (3n << 11n) | 1n);
  assertEquals(rig.wires.lines.get("gsi 9"), false);
  assertEquals(rig.wires.lines.get("intx 3.1"), true);
  callbackVia(rig, 0n);
  assertEquals(rig.wires.lines.get("intx 3.1"), false);
});

// The FIFO ABI. Event words: pending 31, masked 30, linked 29, link in bits 16:0; control block: ready, then
// heads from byte 8. The judge for the queue's shape is the comment in Xen's public/event_channel.h.
const CONTROL = 0x40_000;
const ARRAY = 0x41_000;
const FIFO_PENDING = 0x8000_0000;
const FIFO_MASKED = 0x4000_0000;
const FIFO_LINKED = 0x2000_0000;

function startFifo(rig: XenRig): void {
  placeSharedInfo(rig);
  callbackVia(rig, (2n << 56n) | 0xf3n);
  assertEquals(op(rig, EVTCHNOP_init_control, CONTROL / 4096, 0, 0, 0, 0, 0), 0);
  assertEquals(rig.ram.getUint8(ARGS + 16), 17);
  assertEquals(op(rig, EVTCHNOP_expand_array, ARRAY / 4096, 0), 0);
}

Deno.test("evtchn FIFO: ports queue up behind the head of their priority", () => {
  const rig = xenRig();
  startFifo(rig);
  const ports = [allocUnbound(rig, 0), allocUnbound(rig, 0), allocUnbound(rig, 0)];
  const [a, b, c] = ports as [number, number, number];
  const word = (port: number) => rig.ram.getUint32(ARRAY + 4 * port, true);
  const backends = ports.map((port) => rig.platform.events.bindInterdomain(port, () => {}));
  assertEquals(op(rig, EVTCHNOP_set_priority, c, 3), 0);
  backends.forEach((backend) => backend?.notify());
  backends.forEach((backend) => backend?.notify());
  assertEquals(word(a), (FIFO_PENDING | FIFO_LINKED | b) >>> 0);
  assertEquals(word(b), (FIFO_PENDING | FIFO_LINKED) >>> 0);
  assertEquals(word(c), (FIFO_PENDING | FIFO_LINKED) >>> 0);
  assertEquals(rig.ram.getUint32(CONTROL, true), (1 << 7) | (1 << 3));
  assertEquals(rig.ram.getUint32(CONTROL + 8 + 4 * 7, true), a);
  assertEquals(rig.ram.getUint32(CONTROL + 8 + 4 * 3, true), c);
  assertEquals(rig.platform.upcall.pending, true);

  // The guest takes a off the queue (clears link, LINKED, PENDING); a notified again goes behind b.
  rig.ram.setUint32(CONTROL, 0, true);
  rig.ram.setUint32(ARRAY + 4 * a, 0, true);
  rig.ram.setUint32(CONTROL + 8 + 4 * 7, b, true);
  backends[0]?.notify();
  assertEquals(word(b), (FIFO_PENDING | FIFO_LINKED | a) >>> 0);
  assertEquals(rig.ram.getUint32(CONTROL, true), 0); // not empty, so no new READY
  // The guest drains the queue; then a, its old tail, becomes a new head.
  rig.ram.setUint32(ARRAY + 4 * b, 0, true);
  rig.ram.setUint32(ARRAY + 4 * a, 0, true);
  backends[0]?.notify();
  assertEquals(rig.ram.getUint32(CONTROL + 8 + 4 * 7, true), a);
  assertEquals(rig.ram.getUint32(CONTROL, true), 1 << 7);
  assertEquals(word(a), (FIFO_PENDING | FIFO_LINKED) >>> 0);
});

Deno.test("evtchn FIFO: a closed port that is still linked is not handed out before the guest has taken it out", () => {
  const rig = xenRig();
  startFifo(rig);
  const [a, b] = [allocUnbound(rig, 0), allocUnbound(rig, 0)] as [number, number];
  for (const port of [a, b]) rig.platform.events.bindInterdomain(port, () => {})?.notify();
  assertEquals(op(rig, EVTCHNOP_close, a), 0);
  assertEquals(rig.ram.getUint32(ARRAY + 4 * a, true), (FIFO_LINKED | b) >>> 0);
  assertEquals(allocUnbound(rig, 0), b + 1);
  rig.ram.setUint32(ARRAY + 4 * a, 0, true); // the guest gets there
  assertEquals(allocUnbound(rig, 0), a);
});

Deno.test("evtchn: EVTCHNOP_set_priority of a port that cannot be, then of an ABI without priorities", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  assertEquals(op(rig, EVTCHNOP_set_priority, 0xffff_ffff, 1), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_set_priority, allocUnbound(rig, 0), 1), -XEN_ENOSYS);
});

Deno.test("evtchn FIFO: masked events wait for unmask", () => {
  const rig = xenRig();
  startFifo(rig);
  const port = allocUnbound(rig, 0);
  const backend = rig.platform.events.bindInterdomain(port, () => {});
  rig.ram.setUint32(ARRAY + 4 * port, FIFO_MASKED, true);
  backend?.notify();
  assertEquals(rig.ram.getUint32(ARRAY + 4 * port, true), (FIFO_MASKED | FIFO_PENDING) >>> 0);
  assertEquals(rig.platform.upcall.pending, false);
  assertEquals(op(rig, EVTCHNOP_unmask, port), 0);
  assertEquals(rig.ram.getUint32(ARRAY + 4 * port, true), (FIFO_LINKED | FIFO_PENDING) >>> 0);
  assertEquals(rig.platform.upcall.pending, true);
});

Deno.test("evtchn FIFO: events from before the switch and before the array page are kept", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  const early = allocUnbound(rig, 0);
  const late = allocUnbound(rig, 0);
  rig.platform.events.bindInterdomain(early, () => {})?.notify();
  assertEquals(op(rig, EVTCHNOP_init_control, CONTROL / 4096, 0, 0, 0, 0, 0), 0);
  rig.platform.events.bindInterdomain(late, () => {})?.notify();
  assertEquals(rig.platform.events.isPending(late), true);
  assertEquals(op(rig, EVTCHNOP_expand_array, ARRAY / 4096, 0), 0);
  assertEquals(rig.ram.getUint32(CONTROL + 8 + 4 * 7, true), early);
  assertEquals(rig.ram.getUint32(ARRAY + 4 * early, true), (FIFO_PENDING | FIFO_LINKED | late) >>> 0);
});

Deno.test("evtchn FIFO: bad control blocks and priorities are refused; reset goes back to two levels", () => {
  const rig = xenRig();
  placeSharedInfo(rig);
  assertEquals(op(rig, EVTCHNOP_init_control, CONTROL / 4096, 0, 0, 1, 0, 0), -XEN_ENOENT);
  assertEquals(op(rig, EVTCHNOP_init_control, CONTROL / 4096, 0, 4096 - 64, 0, 0, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_init_control, CONTROL / 4096, 0, 4, 0, 0, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_init_control, 0xf_ffff, 0, 0, 0, 0, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_init_control, 0, 1, 0, 0, 0, 0), -XEN_EINVAL);
  assertEquals(rig.platform.events.usesFifo, false);
  assertEquals(op(rig, EVTCHNOP_init_control, CONTROL / 4096, 0, 8, 0, 0, 0), 0);
  assertEquals(op(rig, EVTCHNOP_init_control, CONTROL / 4096, 0, 8, 0, 0, 0), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_expand_array, 0xf_ffff, 0), -XEN_EINVAL);
  const port = allocUnbound(rig, 0);
  assertEquals(op(rig, EVTCHNOP_set_priority, port, 16), -XEN_EINVAL);
  assertEquals(op(rig, EVTCHNOP_set_priority, 4096, 0), -XEN_EINVAL);
  for (let page = 0; page < 128; page++) assertEquals(op(rig, EVTCHNOP_expand_array, 0x50, 0), 0);
  assertEquals(op(rig, EVTCHNOP_expand_array, 0x50, 0), -XEN_ENOSPC);
  assertEquals(op(rig, EVTCHNOP_reset, DOMID_SELF), 0);
  assertEquals(rig.platform.events.usesFifo, false);
  const again = allocUnbound(rig, 0);
  rig.platform.events.bindInterdomain(again, () => {})?.notify();
  assertEquals(byte(rig, PENDING + (again >> 3)), 1 << (again & 7));
});
