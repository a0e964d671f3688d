// SPDX-License-Identifier: MIT
/** A netfront driven by hand, over FakeHost: for tests and benches of netback. @module */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { FakeHost, FrontRing, type GrantedPage } from "../../xen/backend/_fake_host.ts";
import {
  netif_extra_info,
  netif_extra_info_gso,
  NETIF_RX_ENTRY,
  netif_rx_request,
  netif_rx_response,
  NETIF_TX_ENTRY,
  netif_tx_request,
  netif_tx_response,
  NETRXF_extra_info,
  NETRXF_more_data,
  XEN_NETIF_EXTRA_TYPE_GSO,
} from "../../xen/public/io/netif.ts";
import { XenbusStateConnected } from "../../xen/public/io/xenbus.ts";
import { type NetEnd, OFFLOAD_ALL } from "../ends/end.ts";
import { Hub } from "../ends/hub.ts";
import { Collector } from "../frames/_frames.ts";
import { Netback, type NetbackOptions } from "./netback.ts";

export type { GrantedPage } from "../../xen/backend/_fake_host.ts";

/** A transmit slot, or an extra info. */
export type TxSlot =
  | { gref: number; offset?: number; flags?: number; id?: number; size: number }
  | { type: number; flags?: number; u?: readonly number[] };

/** A packet the guest received. */
export interface RxPacket {
  readonly status: number[];
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly gso?: { size: number; type: number };
}

/** One queue of the guest's. */
export class FrontQueue {
  readonly txPage: GrantedPage;
  readonly rxPage: GrantedPage;
  readonly tx: FrontRing;
  readonly rx: FrontRing;
  readonly txPort: number;
  readonly rxPort: number;
  /** Granted receive buffers by ring slot. */
  readonly buffers = new Map<number, GrantedPage>();

  /** A new queue, or the copy of `from` in a host that is the copy of its host. */
  constructor(readonly host: FakeHost, split: boolean, from?: FrontQueue) {
    this.txPage = from ? host.samePage(from.txPage) : host.grantPage();
    this.rxPage = from ? host.samePage(from.rxPage) : host.grantPage();
    this.tx = new FrontRing(this.txPage.view, NETIF_TX_ENTRY, from?.tx);
    this.rx = new FrontRing(this.rxPage.view, NETIF_RX_ENTRY, from?.rx);
    this.txPort = from ? from.txPort : host.events.allocate();
    this.rxPort = from ? from.rxPort : split ? host.events.allocate() : this.txPort;
    from?.buffers.forEach((page, slot) => this.buffers.set(slot, host.samePage(page)));
  }

  /** Writes slots in the transmit ring and sends the event if it is wanted. */
  send(slots: readonly TxSlot[]): void {
    if (this.push(slots)) this.host.events.send(this.txPort);
  }

  /** Writes slots in the transmit ring; true when the backend wants an event, which is not sent. */
  push(slots: readonly TxSlot[]): boolean {
    const view = this.tx.view;
    slots.forEach((slot, i) => {
      const at = this.tx.nextRequest();
      if ("gref" in slot) {
        view.setUint32(at + netif_tx_request.at.gref, slot.gref, true);
        view.setUint16(at + netif_tx_request.at.offset, slot.offset ?? 0, true);
        view.setUint16(at + netif_tx_request.at.flags, slot.flags ?? 0, true);
        view.setUint16(at + netif_tx_request.at.id, slot.id ?? i, true);
        view.setUint16(at + netif_tx_request.at.size, slot.size, true);
      } else {
        view.setUint8(at + netif_extra_info.at.type, slot.type);
        view.setUint8(at + netif_extra_info.at.flags, slot.flags ?? 0);
        (slot.u ?? []).forEach((byte, j) => view.setUint8(at + netif_extra_info.at.u + j, byte));
      }
    });
    return this.tx.pushRequests();
  }

  /** Status of each transmit response there is, with its id. */
  responses(): { id: number; status: number }[] {
    return this.tx.takeResponses().map((at) => ({
      id: this.tx.view.getUint16(at + netif_tx_response.at.id, true),
      status: this.tx.view.getInt16(at + netif_tx_response.at.status, true),
    }));
  }

  /** Posts receive buffers; `gref` overrides a good grant. */
  post(count: number, gref?: number): void {
    for (let i = 0; i < count; i++) {
      const slot = this.rx.reqProdPvt & (this.rx.size - 1);
      const page = this.buffers.get(slot) ?? this.host.grantPage();
      this.buffers.set(slot, page);
      const at = this.rx.nextRequest();
      this.rx.view.setUint16(at + netif_rx_request.at.id, slot, true);
      this.rx.view.setUint32(at + netif_rx_request.at.gref, gref ?? page.gref, true);
    }
    if (this.rx.pushRequests()) this.host.events.send(this.rxPort);
  }

  /** Takes the packets received, as Linux's netfront reads them. */
  received(): RxPacket[] {
    const packets: RxPacket[] = [];
    const view = this.rx.view;
    const first = this.rx.rspCons;
    const offsets = this.rx.takeResponses();
    const slotOf = (i: number) => (first + i) & (this.rx.size - 1);
    for (let i = 0; i < offsets.length;) {
      const status: number[] = [];
      const parts: Uint8Array[] = [];
      let gso: { size: number; type: number } | undefined;
      let packetFlags = 0;
      let flags: number;
      do {
        const at = offsets[i] as number;
        if (view.getUint16(at + netif_rx_response.at.id, true) !== slotOf(i)) {
          throw new Error("response in a wrong slot");
        }
        flags = view.getUint16(at + netif_rx_response.at.flags, true);
        const size = view.getInt16(at + netif_rx_response.at.status, true);
        const offset = view.getUint16(at + netif_rx_response.at.offset, true);
        if (status.length === 0) packetFlags = flags;
        status.push(size);
        if (size > 0) {
          parts.push(this.buffers.get(slotOf(i))?.bytes.slice(offset, offset + size) ?? new Uint8Array());
        }
        i++;
        if ((flags & NETRXF_extra_info) !== 0) {
          const u = (offsets[i] as number) + netif_extra_info.at.u;
          gso = {
            size: view.getUint16(u + netif_extra_info_gso.at.size, true),
            type: view.getUint8(u + netif_extra_info_gso.at.type),
          };
          i++;
        }
      } while ((flags & NETRXF_more_data) !== 0);
      const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
      packets.push({ status, flags: packetFlags, bytes, ...(gso === undefined ? {} : { gso }) });
    }
    return packets;
  }
}

/** How the frontend behaves. */
export interface RigOptions {
  /** Nodes of the frontend; null leaves a standard one out. */
  readonly nodes?: Record<string, string | number | null>;
  readonly queues?: number;
  readonly split?: boolean;
  readonly connect?: boolean;
  readonly netback?: Partial<NetbackOptions>;
}

/** Netback on one side, a frontend on the other. */
export class Rig {
  readonly host: FakeHost;
  readonly tracer = new Tracer();
  readonly netback: Netback;
  readonly queues: FrontQueue[];

  constructor(readonly end: NetEnd, options: RigOptions = {}, domid = 1) {
    this.host = new FakeHost(domid, 1024);
    this.netback = new Netback(this.host, end, {
      devid: 0,
      mac: "00:16:3e:00:00:01",
      tracer: this.tracer,
      ...options.netback,
    });
    this.netback.start();
    this.host.settle();
    const split = options.split ?? true;
    const count = options.queues ?? 1;
    this.queues = Array.from({ length: count }, () => new FrontQueue(this.host, split));
    const nodes: Record<string, string | number | null> = {
      "request-rx-copy": 1,
      "feature-rx-notify": 1,
      "feature-sg": 1,
      "feature-gso-tcpv4": 1,
      "feature-gso-tcpv6": 1,
      "feature-ipv6-csum-offload": 1,
    };
    if (count > 1) nodes["multi-queue-num-queues"] = count;
    this.queues.forEach((queue, i) => {
      const prefix = count === 1 ? "" : `queue-${i}/`;
      nodes[`${prefix}tx-ring-ref`] = queue.txPage.gref;
      nodes[`${prefix}rx-ring-ref`] = queue.rxPage.gref;
      if (split) {
        nodes[`${prefix}event-channel-tx`] = queue.txPort;
        nodes[`${prefix}event-channel-rx`] = queue.rxPort;
      } else {
        nodes[`${prefix}event-channel`] = queue.txPort;
      }
    });
    for (const [name, value] of Object.entries({ ...nodes, ...options.nodes })) {
      if (value !== null) this.write(name, value);
    }
    if (options.connect ?? true) this.setState(XenbusStateConnected);
  }

  /** The first queue. */
  get queue(): FrontQueue {
    return this.queues[0] as FrontQueue;
  }
  /** Writes a node of the frontend. */
  write(name: string, value: string | number): void {
    this.host.guestWrite(`/local/domain/${this.host.domid}/device/vif/0/${name}`, value);
  }
  /** Sets the frontend's state and lets the backend react. */
  setState(state: number): void {
    this.write("state", state);
    this.host.settle();
  }
  /** A node of the backend, as the guest sees it. */
  offered(name: string): string | undefined {
    return this.host.guestRead(`/local/domain/0/backend/vif/${this.host.domid}/0/${name}`);
  }
  /** The backend's state. */
  get state(): number {
    return Number(this.offered("state"));
  }
  /** A granted page that holds `bytes` at `offset`. */
  page(bytes: Uint8Array, offset = 0, readonly = true): GrantedPage {
    const page = this.host.grantPage(readonly);
    page.bytes.set(bytes, offset);
    return page;
  }
  /** Slots for a whole packet spread over pages, without extra infos. `flags` go in the first. */
  chain(
    bytes: Uint8Array,
    flags = 0,
  ): { gref: number; offset: number; flags: number; id: number; size: number }[] {
    const slots = [];
    for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
      const part = bytes.subarray(at, at + PAGE_SIZE);
      const more = at + PAGE_SIZE < bytes.length ? 4 : 0; // NETTXF_more_data
      slots.push({
        gref: this.page(part).gref,
        offset: 0,
        flags: (at === 0 ? flags : 0) | more,
        id: slots.length,
        size: at === 0 ? bytes.length : part.length,
      });
    }
    return slots;
  }
}

/** A frontend whose backend is on a hub, with another port that collects what is sent there. */
export function rigOnHub(options: RigOptions = {}, accepts: number = OFFLOAD_ALL) {
  const hub = new Hub();
  const peer = hub.port("peer");
  const seen = new Collector(peer, accepts);
  const r = new Rig(hub.port("end"), options);
  return { r, peer, seen, queue: r.queue };
}

/** Bytes of a frame that is no IP. */
export function plain(length: number, seed = 1): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
  bytes.set([0x02, 0, 0, 0, 0, 9, 0x02, 0, 0, 0, 0, 8, 0x88, 0xb5]);
  return bytes;
}

/** Extra info that makes a packet a GSO one. */
export function gsoExtra(size: number, type: number, flags = 0): TxSlot {
  return { type: XEN_NETIF_EXTRA_TYPE_GSO, flags, u: [size & 0xff, size >>> 8, type, 0, 0, 0] };
}
