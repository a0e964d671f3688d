// SPDX-License-Identifier: MIT
/** event_channel_op and both event ABIs. Rules: Xen public/event_channel.h. @module */
import { layout } from "../../cpu/base/layout.ts";

/** Operations of event_channel_op. */
export const EVTCHNOP_bind_interdomain = 0;
export const EVTCHNOP_bind_virq = 1;
export const EVTCHNOP_bind_pirq = 2;
export const EVTCHNOP_close = 3;
export const EVTCHNOP_send = 4;
export const EVTCHNOP_status = 5;
export const EVTCHNOP_alloc_unbound = 6;
export const EVTCHNOP_bind_ipi = 7;
export const EVTCHNOP_bind_vcpu = 8;
export const EVTCHNOP_unmask = 9;
export const EVTCHNOP_reset = 10;
export const EVTCHNOP_init_control = 11;
export const EVTCHNOP_expand_array = 12;
export const EVTCHNOP_set_priority = 13;

/** Channel is not in use. */
export const EVTCHNSTAT_closed = 0;
/** Waits for the other domain to bind. */
export const EVTCHNSTAT_unbound = 1;
/** Connected to another domain. */
export const EVTCHNSTAT_interdomain = 2;
/** Bound to a physical interrupt. */
export const EVTCHNSTAT_pirq = 3;
/** Bound to a virtual interrupt. */
export const EVTCHNSTAT_virq = 4;
/** Bound to an interprocessor interrupt. */
export const EVTCHNSTAT_ipi = 5;

/** struct evtchn_alloc_unbound. */
export const evtchn_alloc_unbound = layout({ dom: "u16", remote_dom: "u16", port: "u32" });
/** struct evtchn_bind_interdomain. */
export const evtchn_bind_interdomain = layout({ remote_dom: "u16", remote_port: "u32", local_port: "u32" });
/** struct evtchn_bind_virq. */
export const evtchn_bind_virq = layout({ virq: "u32", vcpu: "u32", port: "u32" });
/** struct evtchn_bind_pirq. */
export const evtchn_bind_pirq = layout({ pirq: "u32", flags: "u32", port: "u32" });
/** struct evtchn_bind_ipi. */
export const evtchn_bind_ipi = layout({ vcpu: "u32", port: "u32" });
/** struct evtchn_close. */
export const evtchn_close = layout({ port: "u32" });
/** struct evtchn_send. */
export const evtchn_send = layout({ port: "u32" });
/** struct evtchn_status with the largest member of its union; u.unbound.dom, u.virq start where it does. */
export const evtchn_status = layout({
  dom: "u16",
  port: "u32",
  status: "u32",
  vcpu: "u32",
  "u.interdomain.dom": "u16",
  "u.interdomain.port": "u32",
});
/** struct evtchn_bind_vcpu. */
export const evtchn_bind_vcpu = layout({ port: "u32", vcpu: "u32" });
/** struct evtchn_unmask. */
export const evtchn_unmask = layout({ port: "u32" });
/** struct evtchn_reset. */
export const evtchn_reset = layout({ dom: "u16" });
/** struct evtchn_init_control; Xen takes the 64-bit layout from every guest. */
export const evtchn_init_control = layout({
  control_gfn: "u64",
  offset: "u32",
  vcpu: "u32",
  link_bits: "u8",
  _pad: ["u8", 7],
});
/** struct evtchn_expand_array. */
export const evtchn_expand_array = layout({ array_gfn: "u64" });
/** struct evtchn_set_priority. */
export const evtchn_set_priority = layout({ port: "u32", priority: "u32" });

/** Highest priority of the FIFO ABI. */
export const EVTCHN_FIFO_PRIORITY_MAX = 0;
/** Priority of a new port. */
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7;
/** Lowest priority. */
export const EVTCHN_FIFO_PRIORITY_MIN = 15;
/** Queues per vCPU. */
export const EVTCHN_FIFO_MAX_QUEUES = EVTCHN_FIFO_PRIORITY_MIN + 1;
/** Bit of an event word: the event is pending. */
export const EVTCHN_FIFO_PENDING = 31;
/** Bit of an event word: masked by the guest. */
export const EVTCHN_FIFO_MASKED = 30;
/** Bit of an event word: in a queue. */
export const EVTCHN_FIFO_LINKED = 29;
/** Bit of an event word: the guest is unmasking it. */
export const EVTCHN_FIFO_BUSY = 28;
/** Bits of the link to the next port. */
export const EVTCHN_FIFO_LINK_BITS = 17;
/** Mask of the link. */
export const EVTCHN_FIFO_LINK_MASK = (1 << EVTCHN_FIFO_LINK_BITS) - 1;
/** Ports of the FIFO ABI. */
export const EVTCHN_FIFO_NR_CHANNELS = 1 << EVTCHN_FIFO_LINK_BITS;
/** struct evtchn_fifo_control_block. */
export const evtchn_fifo_control_block = layout({
  ready: "u32",
  _rsvd: "u32",
  head: ["u32", EVTCHN_FIFO_MAX_QUEUES],
});
