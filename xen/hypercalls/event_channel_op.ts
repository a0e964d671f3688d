// SPDX-License-Identifier: MIT
/** event_channel_op: structures in and out; the work is done by EventChannels. Rules: Xen public/event_channel.h. @module */
import { checkDomid, isSelf } from "./domain.ts";
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { namesOf } from "../public/abi.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from "../public/errno.ts";
import * as event_channel_h from "../public/event_channel.ts";
import {
  evtchn_alloc_unbound,
  evtchn_bind_interdomain,
  evtchn_bind_ipi,
  evtchn_bind_pirq,
  evtchn_bind_vcpu,
  evtchn_bind_virq,
  evtchn_close,
  evtchn_expand_array,
  EVTCHN_FIFO_LINK_BITS,
  evtchn_init_control,
  evtchn_reset,
  evtchn_send,
  evtchn_set_priority,
  evtchn_status,
  evtchn_unmask,
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
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from "../public/event_channel.ts";
import { getU64 } from "../public/words.ts";

const OPERATIONS = namesOf(event_channel_h, "EVTCHNOP_");
/** Work beyond that of any call: looking at every port there may be; a backend that is told of an event. */
const ALL_PORTS_WORK = 40;
const SEND_WORK = 10;

/** Builds event_channel_op. */
export function eventChannelOp(parts: XenParts): Hypercall {
  return { name: "event_channel_op", operations: OPERATIONS, run: (call) => run(parts, call) };
}

/** Stores a new port, or gives up the port again when the guest's structure went away. */
function storePort(parts: XenParts, call: GuestCall, at: number, port: number): number {
  call.budget.spend(ALL_PORTS_WORK / 8); // the first free one was looked for
  if (port < 0) return port;
  call.view.setUint32(at, port, true);
  if (call.storeArg(1, 4, at)) return 0;
  parts.events.close(port);
  return -XEN_EFAULT;
}

function run(parts: XenParts, call: GuestCall): number {
  const { events, domid } = parts;
  const { view } = call;
  switch (call.u32(0)) {
    case EVTCHNOP_send:
      if (!call.loadArg(1, evtchn_send.size)) return -XEN_EFAULT;
      call.budget.spend(SEND_WORK);
      return events.send(view.getUint32(evtchn_send.at.port, true));
    case EVTCHNOP_unmask:
      if (!call.loadArg(1, evtchn_unmask.size)) return -XEN_EFAULT;
      return events.unmask(view.getUint32(evtchn_unmask.at.port, true));
    case EVTCHNOP_alloc_unbound: {
      const { at, size } = evtchn_alloc_unbound;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const error = checkDomid(view.getUint16(at.dom, true), domid);
      if (error !== 0) return error;
      const remote = view.getUint16(at.remote_dom, true);
      return storePort(parts, call, at.port, events.allocUnbound(isSelf(remote, domid) ? domid : remote));
    }
    case EVTCHNOP_bind_interdomain: {
      const { at, size } = evtchn_bind_interdomain;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const remote = view.getUint16(at.remote_dom, true);
      const remotePort = view.getUint32(at.remote_port, true);
      const port = events.bindInterdomainFromGuest(isSelf(remote, domid) ? domid : remote, remotePort);
      return storePort(parts, call, at.local_port, port);
    }
    case EVTCHNOP_bind_virq: {
      const { at, size } = evtchn_bind_virq;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const port = events.bindVirq(view.getUint32(at.virq, true), view.getUint32(at.vcpu, true));
      return storePort(parts, call, at.port, port);
    }
    case EVTCHNOP_bind_ipi: {
      const { at, size } = evtchn_bind_ipi;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      return storePort(parts, call, at.port, events.bindIpi(view.getUint32(at.vcpu, true)));
    }
    case EVTCHNOP_bind_pirq: // the domain has no pirqs
      return call.loadArg(1, evtchn_bind_pirq.size) ? -XEN_EINVAL : -XEN_EFAULT;
    case EVTCHNOP_close:
      if (!call.loadArg(1, evtchn_close.size)) return -XEN_EFAULT;
      return events.close(view.getUint32(evtchn_close.at.port, true));
    case EVTCHNOP_status:
      return status(parts, call);
    case EVTCHNOP_bind_vcpu: {
      const { at, size } = evtchn_bind_vcpu;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      return events.bindVcpu(view.getUint32(at.port, true), view.getUint32(at.vcpu, true));
    }
    case EVTCHNOP_reset: {
      if (!call.loadArg(1, evtchn_reset.size)) return -XEN_EFAULT;
      const error = checkDomid(view.getUint16(evtchn_reset.at.dom, true), domid);
      if (error !== 0) return error;
      call.budget.spend(ALL_PORTS_WORK);
      events.closeAll();
      return 0;
    }
    case EVTCHNOP_init_control: {
      const { at, size } = evtchn_init_control;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      call.budget.spend(ALL_PORTS_WORK);
      const result = events.initControl(
        getU64(view, at.control_gfn),
        view.getUint32(at.offset, true),
        view.getUint32(at.vcpu, true),
      );
      if (result !== 0) return result;
      view.setUint8(at.link_bits, EVTCHN_FIFO_LINK_BITS);
      return call.storeArg(1, 1, at.link_bits) ? 0 : -XEN_EFAULT;
    }
    case EVTCHNOP_expand_array: {
      const { at, size } = evtchn_expand_array;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      call.budget.spend(ALL_PORTS_WORK);
      return events.expandArray(getU64(view, at.array_gfn));
    }
    case EVTCHNOP_set_priority: {
      const { at, size } = evtchn_set_priority;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      return events.setPriority(view.getUint32(at.port, true), view.getUint32(at.priority, true));
    }
    default:
      return -XEN_ENOSYS;
  }
}

function status(parts: XenParts, call: GuestCall): number {
  const { at, size } = evtchn_status;
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const error = checkDomid(call.view.getUint16(at.dom, true), parts.domid);
  if (error !== 0) return error;
  const found = parts.events.status(call.view.getUint32(at.port, true));
  if (typeof found === "number") return found;
  call.view.setUint32(at.status, found.status, true);
  call.view.setUint32(at.vcpu, 0, true);
  if (found.status === EVTCHNSTAT_unbound || found.status === EVTCHNSTAT_interdomain) {
    call.view.setUint16(at["u.interdomain.dom"], found.domid, true);
  }
  if (found.status === EVTCHNSTAT_interdomain) {
    call.view.setUint32(at["u.interdomain.port"], found.port, true);
  }
  if (found.status === EVTCHNSTAT_virq) call.view.setUint32(at["u.interdomain.dom"], found.virq, true);
  return call.storeArg(1, size) ? 0 : -XEN_EFAULT;
}
