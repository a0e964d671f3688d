// SPDX-License-Identifier: MIT
/** sched_op. Rules: Xen public/sched.h; behavior of common/sched/core.c for an unprivileged domain. @module */
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { BACKEND_DOMID } from "../backend/host.ts";
import { namesOf } from "../public/abi.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from "../public/errno.ts";
import * as sched_h from "../public/sched.ts";
import {
  sched_poll,
  sched_remote_shutdown,
  sched_shutdown,
  sched_watchdog,
  SCHEDOP_block,
  SCHEDOP_pin_override,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown,
  SCHEDOP_shutdown_code,
  SCHEDOP_watchdog,
  SCHEDOP_yield,
  SHUTDOWN_suspend,
} from "../public/sched.ts";
import { getU64 } from "../public/words.ts";

/** Ports SCHEDOP_poll takes: Xen's own limit. */
const MAX_POLL_PORTS = 128;
/** Interrupt flag in RFLAGS. */
const RFLAGS_IF = 1 << 9;
const OPERATIONS = namesOf(sched_h, "SCHEDOP_");

/** Builds sched_op. */
export function schedOp(parts: XenParts): Hypercall {
  return { name: "sched_op", operations: OPERATIONS, run: (call) => run(parts, call) };
}

function run(parts: XenParts, call: GuestCall): number {
  const { scheduler, timers } = parts;
  const { view } = call;
  switch (call.u32(0)) {
    case SCHEDOP_yield:
      return 0;
    case SCHEDOP_block:
      parts.shared.enableUpcalls();
      if (!interruptDeliverable(parts, call)) scheduler.block();
      return 0;
    case SCHEDOP_shutdown: {
      if (!call.loadArg(1, sched_shutdown.size)) return -XEN_EFAULT;
      const reason = view.getUint32(0, true) & 0xff; // Xen keeps a byte of it
      if (parts.shutdown(reason)) {
        scheduler.stop();
        return 0;
      }
      return reason === SHUTDOWN_suspend ? 1 : 0;
    }
    case SCHEDOP_poll:
      return poll(parts, call);
    case SCHEDOP_remote_shutdown: {
      const { at, size } = sched_remote_shutdown;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const target = view.getUint16(at.domain_id, true);
      return target === BACKEND_DOMID || target === parts.domid ? -XEN_EPERM : -XEN_ESRCH;
    }
    case SCHEDOP_shutdown_code:
      if (!call.loadArg(1, sched_shutdown.size)) return -XEN_EFAULT;
      parts.tracer.log("xen", `shutdown code ${view.getUint32(0, true) & 0xff}`);
      return 0;
    case SCHEDOP_watchdog: {
      const { at, size } = sched_watchdog;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      return timers.watchdog(view.getUint32(at.id, true), view.getUint32(at.timeout, true));
    }
    case SCHEDOP_pin_override:
      return -XEN_EPERM;
    default:
      return -XEN_ENOSYS;
  }
}

/**
 * True when a vCPU that wants to sleep would take an interrupt instead (hvm_local_events_need_delivery). With
 * interrupts off it sleeps although an upcall is pending: so Linux's spinlocks wait for one port.
 */
function interruptDeliverable(parts: XenParts, call: GuestCall): boolean {
  return (call.vcpu.rflags & RFLAGS_IF) !== 0 && (parts.upcall.pending || parts.interruptPending());
}

function poll(parts: XenParts, call: GuestCall): number {
  const { at, size } = sched_poll[call.bits];
  const { events, scheduler } = parts;
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const list = call.pointer(at.ports);
  const count = call.view.getUint32(at.nr_ports, true);
  const deadline = getU64(call.view, at.timeout);
  if (count > MAX_POLL_PORTS) return -XEN_EINVAL;
  if (interruptDeliverable(parts, call)) return 0;
  const ports: number[] = [];
  for (let i = 0; i < count; i++) {
    call.budget.spend(1);
    if (!call.load(list + BigInt(4 * i), 4)) return -XEN_EFAULT;
    const port = call.view.getUint32(0, true);
    if (port >= events.portLimit) return -XEN_EINVAL;
    if (events.isPending(port)) return 0;
    ports.push(port);
  }
  scheduler.poll(ports, deadline);
  return 0;
}
