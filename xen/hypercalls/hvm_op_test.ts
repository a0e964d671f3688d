// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import {
  HVMMEM_mmio_dm,
  HVMMEM_ram_rw,
  HVMOP_altp2m,
  HVMOP_flush_tlbs,
  HVMOP_get_mem_type,
  HVMOP_get_param,
  HVMOP_get_time,
  HVMOP_guest_request_vm_event,
  HVMOP_pagetable_dying,
  HVMOP_set_evtchn_upcall_vector,
  HVMOP_set_param,
} from "../public/hvm/hvm_op.ts";
import {
  HVM_PARAM_CALLBACK_IRQ,
  HVM_PARAM_CONSOLE_EVTCHN,
  HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM_IDENT_PT,
  HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM_STORE_PFN,
} from "../public/hvm/params.ts";
import { __HYPERVISOR_hvm_op, DOMID_SELF } from "../public/xen.ts";
import {
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from "../public/errno.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const ARGS = 0x1000;

function param(rig: XenRig, operation: number, index: number, value = 0n, domid = DOMID_SELF): number {
  rig.ram.setUint32(ARGS, domid, true);
  rig.ram.setUint32(ARGS + 4, index, true);
  rig.ram.setBigUint64(ARGS + 8, value, true);
  return rig.hypercall(__HYPERVISOR_hvm_op, operation, ARGS);
}

function get(rig: XenRig, index: number): bigint {
  assertEquals(param(rig, HVMOP_get_param, index), 0);
  return rig.ram.getBigUint64(ARGS + 8, true);
}

Deno.test("HVM params: store and console are preset with frames and unbound ports", () => {
  const rig = xenRig();
  const { store, console, events } = rig.platform;
  assertEquals(get(rig, HVM_PARAM_STORE_PFN), 0xf_effcn);
  assertEquals(get(rig, HVM_PARAM_CONSOLE_PFN), 0xf_efffn);
  assertEquals(get(rig, HVM_PARAM_STORE_EVTCHN), BigInt(store.port));
  assertEquals(get(rig, HVM_PARAM_CONSOLE_EVTCHN), BigInt(console.port));
  assertEquals(rig.memory.offsetOf(0xfeff_c000), store.page);
  for (const { port } of [store, console]) {
    assertEquals(events.bindInterdomain(port, () => {}) !== undefined, true);
  }
  // The guest may change the parameter, which does not change where the port is.
  assertEquals(param(rig, HVMOP_set_param, HVM_PARAM_STORE_EVTCHN, 77n), 0);
  assertEquals(get(rig, HVM_PARAM_STORE_EVTCHN), 77n);
  assertEquals(rig.platform.store.port, store.port);
});

Deno.test("HVM params: what the guest may not do", () => {
  const rig = xenRig();
  assertEquals(param(rig, HVMOP_set_param, HVM_PARAM_STORE_PFN, 1n), -XEN_EPERM);
  assertEquals(param(rig, HVMOP_set_param, HVM_PARAM_IDENT_PT, 1n), -XEN_EPERM);
  assertEquals(param(rig, HVMOP_get_param, HVM_PARAM_IDENT_PT), -XEN_EPERM);
  for (const deprecated of [4, 13, 20, 21, 22, 23, 24, 25, 26, 30]) {
    assertEquals(param(rig, HVMOP_get_param, deprecated), -XEN_EINVAL);
    assertEquals(param(rig, HVMOP_set_param, deprecated), -XEN_EINVAL);
    assertEquals(param(rig, HVMOP_set_param, deprecated, 1n, 0), -XEN_EPERM);
  }
  assertEquals(param(rig, HVMOP_get_param, 39), -XEN_EINVAL);
  assertEquals(param(rig, HVMOP_set_param, 0xffff_ffff), -XEN_EINVAL);
  assertEquals(param(rig, HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 1n, 0), -XEN_EPERM);
  assertEquals(param(rig, HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 1n, 9), -XEN_ESRCH);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_get_param, 0xf000_0000n), -XEN_EFAULT);
});

Deno.test("setting the callback latches the caller's width", () => {
  const rig = xenRig();
  rig.vcpu.codeBits = 32;
  assertEquals(param(rig, HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, (2n << 56n) | 0x31n), 0);
  assertEquals(rig.platform.sharedInfo.bits, 32);
  assertEquals(get(rig, HVM_PARAM_CALLBACK_IRQ), (2n << 56n) | 0x31n);
});

Deno.test("HVMOP_set_evtchn_upcall_vector delivers through the local APIC, in preference to the callback", () => {
  const rig = xenRig();
  const vector = (vcpu: number, value: number) => {
    rig.ram.setUint32(ARGS, vcpu, true);
    rig.ram.setUint8(ARGS + 4, value);
    return rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, ARGS);
  };
  assertEquals(param(rig, HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, (2n << 56n) | 0xf3n), 0);
  assertEquals(vector(0, 0x0f), -XEN_EINVAL);
  assertEquals(vector(1, 0x40), -XEN_ENOENT);
  assertEquals(vector(0, 0x40), 0);
  assertEquals(rig.wires.vectors, [0x40]); // Xen raises it at once
  const backend = rig.platform.events.bindInterdomain(rig.platform.store.port, () => {});
  backend?.notify();
  assertEquals(rig.wires.vectors, [0x40, 0x40]);
  assertEquals(rig.platform.upcall.pending, false);
});

Deno.test("HVMOP_get_time, get_mem_type, flush_tlbs and the unknown", () => {
  const rig = xenRig();
  rig.clock.advance(12_345_678_901_234);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_get_time, ARGS), 0);
  assertEquals(rig.ram.getBigUint64(ARGS, true), 12_345_678_901_234n);
  const type = (gfn: bigint) => {
    rig.ram.setUint16(ARGS, DOMID_SELF, true);
    rig.ram.setBigUint64(ARGS + 8, gfn, true);
    assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_get_mem_type, ARGS), 0);
    return rig.ram.getUint16(ARGS + 2, true);
  };
  assertEquals([type(5n), type(0xf_0000n), type(1n << 60n)], [HVMMEM_ram_rw, HVMMEM_mmio_dm, HVMMEM_mmio_dm]);
  let flushes = 0;
  rig.memory.onRemap = () => flushes++;
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_flush_tlbs, 0), 0);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_flush_tlbs, ARGS), -XEN_EINVAL);
  assertEquals(flushes, 1);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_altp2m, ARGS), -XEN_ENOSYS);
  assertEquals(rig.tracer.counters.get("unimplemented.HVMOP_altp2m"), 1);
});

Deno.test("HVMOP_pagetable_dying is refused quietly, as by Xen without shadow page tables", () => {
  const rig = xenRig();
  const lines: string[] = [];
  rig.tracer.configure((_, line) => lines.push(line));
  const dying = (domid: number, at = ARGS) => {
    rig.ram.setUint16(ARGS, domid, true);
    return rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_pagetable_dying, at);
  };
  assertEquals([dying(DOMID_SELF), dying(0), dying(77), dying(DOMID_SELF, 0xfff_f000)], [
    -XEN_EINVAL,
    -XEN_EOPNOTSUPP,
    -XEN_ESRCH,
    -XEN_EFAULT,
  ]);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_guest_request_vm_event, 0), 0);
  assertEquals(rig.hypercall(__HYPERVISOR_hvm_op, HVMOP_guest_request_vm_event, ARGS), -XEN_EINVAL);
  assertEquals(lines, []);
});
