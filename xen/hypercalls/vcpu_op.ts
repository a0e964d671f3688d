// SPDX-License-Identifier: MIT
/** vcpu_op, for a domain with one vCPU, number 0. Rules: Xen public/vcpu.h; behavior of common/domain.c. @module */
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { namesOf } from "../public/abi.ts";
import { XEN_EEXIST, XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS } from "../public/errno.ts";
import { SHUTDOWN_poweroff } from "../public/sched.ts";
import * as vcpu_h from "../public/vcpu.ts";
import {
  vcpu_register_memory_area,
  vcpu_register_vcpu_info,
  vcpu_runstate_info,
  vcpu_set_periodic_timer,
  vcpu_set_singleshot_timer,
  VCPU_SSHOTTMR_future,
  VCPUOP_down,
  VCPUOP_get_physid,
  VCPUOP_get_runstate_info,
  VCPUOP_initialise,
  VCPUOP_is_up,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_register_vcpu_info,
  VCPUOP_register_vcpu_time_memory_area,
  VCPUOP_send_nmi,
  VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_stop_singleshot_timer,
  VCPUOP_up,
} from "../public/vcpu.ts";
import { getU64 } from "../public/words.ts";

const OPERATIONS = namesOf(vcpu_h, "VCPUOP_");

/** Builds vcpu_op. */
export function vcpuOp(parts: XenParts): Hypercall {
  return { name: "vcpu_op", operations: OPERATIONS, run: (call) => run(parts, call) };
}

function run(parts: XenParts, call: GuestCall): number {
  const { timers, shared, events, scheduler } = parts;
  const { view } = call;
  if (call.u32(1) !== 0) return -XEN_ENOENT;
  switch (call.u32(0)) {
    case VCPUOP_set_singleshot_timer: {
      const { at, size } = vcpu_set_singleshot_timer[call.bits];
      if (!call.loadArg(2, size)) return -XEN_EFAULT;
      const future = (view.getUint32(at.flags, true) & VCPU_SSHOTTMR_future) !== 0;
      return timers.setSingleshot(getU64(view, at.timeout_abs_ns), future);
    }
    case VCPUOP_stop_singleshot_timer:
      timers.stopSingleshot();
      return 0;
    case VCPUOP_set_periodic_timer:
      if (!call.loadArg(2, vcpu_set_periodic_timer.size)) return -XEN_EFAULT;
      return timers.setPeriodic(getU64(view, 0));
    case VCPUOP_stop_periodic_timer:
      timers.stopPeriodic();
      return 0;
    case VCPUOP_register_vcpu_info: {
      const { at, size } = vcpu_register_vcpu_info;
      if (!call.loadArg(2, size)) return -XEN_EFAULT;
      const result = shared.registerVcpuInfo(getU64(view, at.mfn), view.getUint32(at.offset, true));
      if (result === 0) events.vcpuInfoMoved();
      return result;
    }
    case VCPUOP_register_runstate_memory_area:
      if (!call.loadArg(2, vcpu_register_memory_area.size)) return -XEN_EFAULT;
      scheduler.registerArea(call.pointer(0), call.bits);
      return 0; // also when the address means nothing now: it is written to when it does
    case VCPUOP_register_vcpu_time_memory_area:
      if (!call.loadArg(2, vcpu_register_memory_area.size)) return -XEN_EFAULT;
      shared.registerTimeArea(call.pointer(0));
      return 0;
    case VCPUOP_get_runstate_info:
      scheduler.writeRunstate(view, call.bits, true);
      return call.storeArg(2, vcpu_runstate_info[call.bits].size) ? 0 : -XEN_EFAULT;
    case VCPUOP_is_up:
      return 1;
    case VCPUOP_up:
      return 0;
    case VCPUOP_down: // the last vCPU to go down ends the domain
      if (parts.shutdown(SHUTDOWN_poweroff)) scheduler.stop();
      return 0;
    case VCPUOP_initialise:
      return -XEN_EEXIST;
    case VCPUOP_send_nmi:
      if (call.arg(2) !== 0n) return -XEN_EINVAL;
      if (parts.sendNmi()) return 0;
      parts.tracer.unimplemented("VCPUOP_send_nmi");
      return -XEN_ENOSYS;
    case VCPUOP_get_physid: // only for a vCPU pinned to a physical one
      return -XEN_EINVAL;
    default:
      return -XEN_ENOSYS;
  }
}
