// SPDX-License-Identifier: MIT
/** hvm_op. Rules: Xen public/hvm/hvm_op.h; behavior of arch/x86/hvm/hvm.c for the guest itself. @module */
import { checkDomid } from "./domain.ts";
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { namesOf } from "../public/abi.ts";
import {
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
} from "../public/errno.ts";
import * as hvm_op_h from "../public/hvm/hvm_op.ts";
import {
  HVMMEM_mmio_dm,
  HVMMEM_ram_rw,
  HVMOP_flush_tlbs,
  HVMOP_get_mem_type,
  HVMOP_get_param,
  HVMOP_get_time,
  HVMOP_guest_request_vm_event,
  HVMOP_pagetable_dying,
  HVMOP_set_evtchn_upcall_vector,
  HVMOP_set_param,
  xen_hvm_evtchn_upcall_vector,
  xen_hvm_get_mem_type,
  xen_hvm_get_time,
  xen_hvm_pagetable_dying,
  xen_hvm_param,
} from "../public/hvm/hvm_op.ts";
import { HVM_NR_PARAMS, HVM_PARAM_CALLBACK_IRQ } from "../public/hvm/params.ts";
import { getU64, setU64 } from "../public/words.ts";

const OPERATIONS = namesOf(hvm_op_h, "HVMOP_");
/** Vectors below belong to exceptions. */
const FIRST_VECTOR = 0x10;
/** Work of flushing the TLB and of what must be looked up again. */
const FLUSH_WORK = 20;

/** Builds hvm_op. */
export function hvmOp(parts: XenParts): Hypercall {
  return { name: "hvm_op", operations: OPERATIONS, run: (call) => run(parts, call) };
}

function run(parts: XenParts, call: GuestCall): number {
  const { view } = call;
  const operation = call.u32(0);
  switch (operation) {
    case HVMOP_set_param:
    case HVMOP_get_param:
      return param(parts, call, operation === HVMOP_set_param);
    case HVMOP_set_evtchn_upcall_vector: {
      const { at, size } = xen_hvm_evtchn_upcall_vector;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const vector = view.getUint8(at.vector);
      if (vector < FIRST_VECTOR) return -XEN_EINVAL;
      if (view.getUint32(at.vcpu, true) !== 0) return -XEN_ENOENT;
      parts.upcall.setApicVector(vector);
      return 0;
    }
    case HVMOP_get_time:
      setU64(view, xen_hvm_get_time.at.now, parts.clock.nowNs());
      return call.storeArg(1, xen_hvm_get_time.size) ? 0 : -XEN_EFAULT;
    case HVMOP_flush_tlbs:
      if (call.arg(1) !== 0n) return -XEN_EINVAL;
      call.budget.spend(FLUSH_WORK);
      parts.memory.onRemap();
      return 0;
    case HVMOP_get_mem_type: {
      const { at, size } = xen_hvm_get_mem_type;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const error = checkDomid(view.getUint16(at.domid, true), parts.domid);
      if (error !== 0) return error;
      const type = parts.memory.hasFrame(getU64(view, at.pfn)) ? HVMMEM_ram_rw : HVMMEM_mmio_dm;
      view.setUint16(at.mem_type, type, true);
      return call.storeArg(1, size) ? 0 : -XEN_EFAULT;
    }
    case HVMOP_pagetable_dying: {
      // a hint for shadow page tables; Linux asks once whether it is welcome
      const { at, size } = xen_hvm_pagetable_dying;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const error = checkDomid(view.getUint16(at.domid, true), parts.domid);
      return error === 0 ? -XEN_EINVAL : error === -XEN_EPERM ? -XEN_EOPNOTSUPP : error;
    }
    case HVMOP_guest_request_vm_event: // nobody listens
      return call.arg(1) === 0n ? 0 : -XEN_EINVAL;
    default:
      parts.tracer.unimplemented(`HVMOP_${OPERATIONS[operation] ?? operation}`);
      return -XEN_ENOSYS;
  }
}

function param(parts: XenParts, call: GuestCall, set: boolean): number {
  const { params, upcall, shared } = parts;
  const { at, size } = xen_hvm_param;
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const index = call.view.getUint32(at.index, true);
  if (index >= HVM_NR_PARAMS) return -XEN_EINVAL;
  const error = checkDomid(call.view.getUint16(at.domid, true), parts.domid) ||
    (set ? params.maySet(index) : params.mayGet(index));
  if (error !== 0) return error;
  if (!set) {
    call.view.setBigUint64(at.value, params.get(index), true);
    return call.storeArg(1, size) ? 0 : -XEN_EFAULT;
  }
  const value = call.view.getBigUint64(at.value, true);
  params.set(index, value);
  if (index === HVM_PARAM_CALLBACK_IRQ) {
    upcall.setCallbackVia(value);
    shared.latch(call.bits);
  }
  return 0;
}
