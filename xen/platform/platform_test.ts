// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { EVTCHNOP_bind_virq, EVTCHNOP_expand_array, EVTCHNOP_init_control } from "../public/event_channel.ts";
import { GTF_permit_access } from "../public/grant_table.ts";
import { HVMOP_set_param } from "../public/hvm/hvm_op.ts";
import { XENMAPSPACE_grant_table, XENMAPSPACE_shared_info, XENMEM_add_to_physmap } from "../public/memory.ts";
import { VCPUOP_register_vcpu_info, VCPUOP_set_singleshot_timer } from "../public/vcpu.ts";
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_hvm_op,
  __HYPERVISOR_memory_op,
  __HYPERVISOR_vcpu_op,
  DOMID_SELF,
  VIRQ_TIMER,
} from "../public/xen.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const ARGS = 0x1000;

function place(rig: XenRig, space: number, index: number, gfn: number): void {
  rig.ram.setUint32(ARGS, DOMID_SELF, true);
  rig.ram.setUint32(ARGS + 4, space, true);
  rig.ram.setBigUint64(ARGS + 8, BigInt(index), true);
  rig.ram.setBigUint64(ARGS + 16, BigInt(gfn), true);
  assertEquals(rig.hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARGS), 0);
}

/** What a PV-on-HVM kernel sets up while it boots; returns its timer's port. */
function boot(rig: XenRig): number {
  place(rig, XENMAPSPACE_shared_info, 0, 0xf_e700);
  place(rig, XENMAPSPACE_grant_table, 0, 0xf_e701);
  place(rig, XENMAPSPACE_grant_table, 1, 0x3f0); // over RAM
  rig.ram.setUint32(ARGS + 4, 0, true);
  rig.ram.setBigUint64(ARGS + 8, (2n << 56n) | 0xf3n, true);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_set_param, ARGS), 0);
  rig.ram.setBigUint64(ARGS, 0x50n, true);
  rig.ram.setBigUint64(ARGS + 8, 0x80n, true);
  assertEquals(rig.hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARGS), 0);
  rig.ram.setUint8(0x50_080, 0);
  [0x40, 0, 0, 0].forEach((word, i) => rig.ram.setUint32(ARGS + 4 * i, word, true));
  assertEquals(rig.hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_init_control, ARGS), 0);
  rig.ram.setBigUint64(ARGS, 0x41n, true);
  assertEquals(rig.hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, ARGS), 0);
  rig.ram.setBigUint64(ARGS, BigInt(VIRQ_TIMER), true);
  assertEquals(rig.hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, ARGS), 0);
  const port = rig.ram.getUint32(ARGS + 8, true);
  rig.ram.setBigUint64(ARGS, 5_000_000n, true);
  rig.ram.setUint32(ARGS + 8, 0, true);
  assertEquals(rig.hypercall(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ARGS), 0);
  rig.memory.view.setUint32(rig.memory.offsetOf(0xfe70_1000) + 64, GTF_permit_access, true);
  rig.memory.view.setUint32(rig.memory.offsetOf(0xfe70_1000) + 68, 0x60, true);
  return port;
}

Deno.test("a snapshot taken mid-way goes on in a fresh machine", () => {
  const first = xenRig();
  const port = boot(first);
  first.platform.physmap.decrease(0x3e0);
  first.memory.view.setUint8(first.platform.store.page + 77, 0x42);
  const state = structuredClone(first.platform.save());

  const second = xenRig();
  const { ram, ramBytes } = first.memory.map;
  second.memory.bytes.set(first.memory.bytes.subarray(ram, ram + ramBytes), second.memory.map.ram);
  second.platform.restore(state);
  assertEquals(second.platform.sharedInfo.page, second.memory.offsetOf(0xfe70_0000));
  assertEquals(second.memory.hasFrame(0x3e0), false);
  assertEquals(second.platform.physmap.gfnOf(second.platform.grants.framePage(1) as number), 0x3f0);
  assertEquals(second.platform.grants.locate(8, 0, 16, true), second.memory.offsetOf(0x60_000));
  assertEquals(second.memory.view.getUint8(second.platform.store.page + 77), 0x42);
  assertEquals(second.platform.store.port, first.platform.store.port);
  assertEquals(second.platform.upcall.pending, false);
  second.clock.advance(5_000_000);
  assertEquals(second.platform.events.isPending(port), true);
  assertEquals(second.ram.getUint32(0x41_000 + 4 * port, true), 0xa000_0000); // PENDING and LINKED
  assertEquals(second.platform.upcall.acknowledge(), 0xf3);
  assertEquals(
    second.platform.events.bindInterdomain(second.platform.store.port, () => {}) !== undefined,
    true,
  );
});

Deno.test("a snapshot of another version is refused", () => {
  const rig = xenRig();
  const state = { ...rig.platform.save(), version: 99 };
  assertThrows(() => rig.platform.restore(state), RangeError, "version 99");
});

Deno.test("reset gives the machine's start back", () => {
  const rig = xenRig();
  const start = rig.memory.frames.slice();
  const ports = [rig.platform.store.port, rig.platform.console.port];
  boot(rig);
  rig.platform.reset();
  assertEquals(start.findIndex((page, gfn) => page !== rig.memory.frames[gfn]), -1);
  assertEquals([rig.platform.store.port, rig.platform.console.port], ports);
  assertEquals(rig.platform.events.usesFifo, false);
  assertEquals(rig.platform.grants.frameCount, 1);
  assertEquals(rig.clock.nextDeadlineNs(), Infinity);
  assertEquals(rig.platform.upcall.pending, false);
  boot(rig); // and it boots again
});

Deno.test("pages of Xen's own are given back when they go, so that resets do not use them up", () => {
  const rig = xenRig();
  for (let i = 0; i < 100; i++) {
    place(rig, XENMAPSPACE_grant_table, 63, 0xf_e701);
    rig.platform.reset();
  }
  assertEquals(rig.platform.grants.framePage(63) !== undefined, true);
});
