// SPDX-License-Identifier: MIT
/**
 * One transmit queue of netback: takes packets from the ring, checks every field, sends the granted bytes without
 * copying them. Rules: Xen public/io/netif.h, "Guest transmit". Where the header leaves open what is an error and what
 * ends the connection, this does as Linux's xen-netback does.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { FrontendError } from "../../xen/backend/frontend_error.ts";
import type { BackendPort, GrantAccess } from "../../xen/backend/host.ts";
import type { BackRing, BackRingState } from "../../xen/backend/ring.ts";
import {
  netif_extra_info,
  netif_extra_info_gso,
  netif_extra_info_mcast,
  NETIF_RSP_DROPPED,
  NETIF_RSP_ERROR,
  NETIF_RSP_NULL,
  NETIF_RSP_OKAY,
  netif_tx_request,
  netif_tx_response,
  NETTXF_csum_blank,
  NETTXF_data_validated,
  NETTXF_extra_info,
  NETTXF_more_data,
  XEN_NETIF_EXTRA_FLAG_MORE,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_EXTRA_TYPE_MAX,
  XEN_NETIF_EXTRA_TYPE_MCAST_ADD,
  XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
  XEN_NETIF_EXTRA_TYPE_NONE,
  XEN_NETIF_GSO_TYPE_NONE,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
  XEN_NETIF_NR_SLOTS_MIN,
} from "../../xen/public/io/netif.ts";
import {
  Frame,
  MIN_FRAME_BYTES,
  type NetEnd,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from "../ends/end.ts";
import { conform, setUpChecksum, takesAsIs } from "../frames/gso.ts";
import { Headers, IPPROTO_TCP } from "../frames/headers.ts";

/** Packets of more slots than netif.h promises are answered with an error; beyond this it is malice. */
export const FATAL_SLOTS = 20;
/** Slots taken per turn: four rings' worth, should the guest refill it while we look. */
const TURN_BUDGET = 1024;

const REQUEST = netif_tx_request.at;
const RESPONSE = netif_tx_response.at;
const EXTRA = netif_extra_info.at;
const GSO_SIZE = EXTRA.u + netif_extra_info_gso.at.size;
const GSO_TYPE = EXTRA.u + netif_extra_info_gso.at.type;
const MCAST_ADDR = EXTRA.u + netif_extra_info_mcast.at.addr;

/** The guest's list of multicast addresses it wants. */
export interface MulticastFilter {
  /** False when there is no room for it. */
  add(address: Uint8Array): boolean;
  remove(address: Uint8Array): void;
}

/** What a queue works with. */
export interface TxWires {
  readonly ring: BackRing;
  readonly grants: GrantAccess;
  readonly end: NetEnd;
  readonly port: BackendPort;
  readonly multicast: MulticastFilter;
  /** False while the link is down. */
  readonly linkUp: () => boolean;
  readonly name: string;
  readonly tracer: Tracer;
  /** Does something a little later, before the guest goes to sleep. */
  readonly defer?: ((work: () => void) => void) | undefined;
}

/** See the module's description. */
export class TxQueue {
  /** Set when the device is disconnected, perhaps from within a send of ours. */
  closed = false;
  readonly #wires: TxWires;
  readonly #ring: BackRing;
  readonly #frame = new Frame();
  readonly #headers = new Headers();
  // the packet at hand, one entry per data slot; copied from the ring before anything is checked
  readonly #gref = new Uint32Array(FATAL_SLOTS);
  readonly #offset = new Uint16Array(FATAL_SLOTS);
  readonly #size = new Uint16Array(FATAL_SLOTS);
  readonly #id = new Uint16Array(FATAL_SLOTS);
  readonly #multicastAddress = new Uint8Array(6);
  /** Responses will be shown later. */
  #putOff = false;
  #slots = 0;
  #extras = 0;
  #gsoSize = 0;
  #gsoType = XEN_NETIF_GSO_TYPE_NONE;
  #multicast = XEN_NETIF_EXTRA_TYPE_NONE;
  // counted per turn
  #packets = 0;
  #bytes = 0;
  #gso = 0;
  #blank = 0;

  constructor(wires: TxWires) {
    this.#wires = wires;
    this.#ring = wires.ring;
  }

  /** How far the ring is worked off: all that a queue keeps between turns. */
  save(): BackRingState {
    return this.#ring.save();
  }

  /** Restores what `save` gave. */
  restore(state: BackRingState): void {
    this.#ring.restore(state);
  }

  /** Sends what is in the ring. True when the turn's budget ran out before the ring did. */
  process(): boolean {
    const ring = this.#ring;
    const before = ring.rspProdPvt;
    let budget = TURN_BUDGET;
    while (!this.closed && budget > 0 && ring.finalCheckForRequests()) {
      for (let n = ring.unconsumedRequests(); n > 0 && budget > 0; n = ring.unconsumedRequests()) {
        const from = ring.reqCons;
        this.#packet(n);
        if (this.closed) return false;
        budget -= (ring.reqCons - from) >>> 0;
      }
    }
    this.#count();
    if (!this.closed && ring.rspProdPvt !== before) this.#answer();
    return budget <= 0;
  }

  /**
   * Shows the responses and notifies the guest if it wants. Those of a stream under way are shown together a little later:
   * that spares the guest most interrupts, and its TCP, which has no more than two frames in a queue (TCP small queues),
   * fills frames meanwhile instead of sending the rest of each write as one.
   */
  #answer(): void {
    const { defer, end } = this.#wires;
    if (defer === undefined || !(end.unhurried ?? false)) return this.#show();
    if (this.#putOff) return;
    this.#putOff = true;
    defer(() => {
      if (this.#putOff) this.#show();
    });
  }
  #show(): void {
    this.#putOff = false;
    if (!this.closed && this.#ring.pushResponses()) this.#wires.port.notify();
  }

  /** Takes one packet of at most `available` slots. */
  #packet(available: number): void {
    const view = this.#ring.view;
    const at = this.#ring.takeRequest();
    const flags = view.getUint16(at + REQUEST.flags, true);
    this.#slots = 0;
    this.#extras = 0;
    this.#gsoSize = 0;
    this.#gsoType = XEN_NETIF_GSO_TYPE_NONE;
    this.#multicast = XEN_NETIF_EXTRA_TYPE_NONE;
    this.#readSlot(at);
    if ((flags & NETTXF_extra_info) !== 0) this.#readExtras(available);
    if (this.#multicast !== XEN_NETIF_EXTRA_TYPE_NONE) return this.#respond(this.#changeFilter());
    const sound = (flags & NETTXF_more_data) === 0 || this.#readChain(available);
    for (let i = 0; i < this.#slots; i++) {
      if ((this.#offset[i] as number) + (this.#size[i] as number) > PAGE_SIZE) {
        throw new FrontendError(
          `Transmit slot of ${this.#size[i]} bytes at ${this.#offset[i]} crosses its page`,
        );
      }
    }
    this.#respond(sound ? this.#send(flags) : this.#error("chain"));
  }

  #readSlot(at: number): void {
    const view = this.#ring.view;
    const i = this.#slots++;
    this.#gref[i] = view.getUint32(at + REQUEST.gref, true);
    this.#offset[i] = view.getUint16(at + REQUEST.offset, true);
    this.#size[i] = view.getUint16(at + REQUEST.size, true);
    this.#id[i] = view.getUint16(at + REQUEST.id, true);
  }

  #readExtras(available: number): void {
    const view = this.#ring.view;
    let flags: number;
    do {
      if (++this.#extras >= available) throw new FrontendError("Transmit request without its extra info");
      const at = this.#ring.takeRequest();
      const type = view.getUint8(at + EXTRA.type);
      flags = view.getUint8(at + EXTRA.flags);
      switch (type) {
        case XEN_NETIF_EXTRA_TYPE_GSO:
          this.#gsoSize = view.getUint16(at + GSO_SIZE, true);
          this.#gsoType = view.getUint8(at + GSO_TYPE);
          if (this.#gsoType !== XEN_NETIF_GSO_TYPE_TCPV4 && this.#gsoType !== XEN_NETIF_GSO_TYPE_TCPV6) {
            throw new FrontendError(`Unknown GSO type ${this.#gsoType}`);
          }
          if (this.#gsoSize === 0) throw new FrontendError("GSO size is zero");
          break;
        case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
        case XEN_NETIF_EXTRA_TYPE_MCAST_DEL:
          this.#multicast = type;
          for (let i = 0; i < 6; i++) this.#multicastAddress[i] = view.getUint8(at + MCAST_ADDR + i);
          break;
        default: // a hash is known and of no use to us
          if (type === XEN_NETIF_EXTRA_TYPE_NONE || type >= XEN_NETIF_EXTRA_TYPE_MAX) {
            throw new FrontendError(`Unknown extra info type ${type}`);
          }
      }
    } while ((flags & XEN_NETIF_EXTRA_FLAG_MORE) !== 0);
  }

  /** Reads the slots after the first; the first then gets its own size. False: answer with an error. */
  #readChain(available: number): boolean {
    const view = this.#ring.view;
    let rest = 0;
    let flags: number;
    do {
      if (this.#slots + this.#extras >= available) {
        throw new FrontendError(`Transmit chain leaves the ring after ${this.#slots} slots`);
      }
      if (this.#slots === FATAL_SLOTS) {
        throw new FrontendError(`Transmit chain of more than ${FATAL_SLOTS} slots`);
      }
      const at = this.#ring.takeRequest();
      flags = view.getUint16(at + REQUEST.flags, true);
      this.#readSlot(at);
      rest += this.#size[this.#slots - 1] as number;
    } while ((flags & NETTXF_more_data) !== 0);
    const total = this.#size[0] as number;
    if (rest > total || this.#slots > XEN_NETIF_NR_SLOTS_MIN) {
      this.#size[0] = 0; // never looked at again, and its own size is not known
      return false;
    }
    this.#size[0] = total - rest;
    return true;
  }

  /** Sends the packet at hand; returns the status to answer. */
  #send(flags: number): number {
    const { grants, end } = this.#wires;
    const frame = this.#frame.reset();
    for (let i = 0; i < this.#slots; i++) {
      const size = this.#size[i] as number;
      if (size === 0) continue;
      const bytes = grants.access(this.#gref[i] as number, this.#offset[i] as number, size, false);
      if (typeof bytes === "number") return this.#error("grant");
      frame.append(bytes);
    }
    const { length } = frame;
    if (length < MIN_FRAME_BYTES) return this.#error("runt");
    const gso = this.#gsoType !== XEN_NETIF_GSO_TYPE_NONE;
    const blank = (flags & NETTXF_csum_blank) !== 0;
    let ready: Frame | undefined = frame;
    if (gso || blank) {
      ready = setUpChecksum(frame, this.#headers, !blank);
      if (ready === undefined) return this.#error("headers");
      this.#blank++;
      if (gso) {
        const version = this.#gsoType === XEN_NETIF_GSO_TYPE_TCPV4 ? 4 : 6;
        if (this.#headers.version !== version || this.#headers.protocol !== IPPROTO_TCP) {
          return this.#error("gso");
        }
        ready.gsoType = version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
        ready.gsoSize = this.#gsoSize;
        this.#gso++;
      }
    } else if ((flags & NETTXF_data_validated) !== 0) {
      frame.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    }
    this.#packets++;
    this.#bytes += length;
    if (this.#wires.tracer.on("net")) this.#trace(ready);
    const sent = this.#wires.linkUp() &&
      (takesAsIs(ready, end.offloads)
        ? end.send(ready)
        : conform(ready, end.offloads, (piece) => end.send(piece)));
    if (sent) return NETIF_RSP_OKAY;
    this.#wires.tracer.counters.add("net.tx.dropped");
    return NETIF_RSP_DROPPED;
  }

  #changeFilter(): number {
    const { multicast } = this.#wires;
    if (this.#multicast === XEN_NETIF_EXTRA_TYPE_MCAST_ADD) {
      return multicast.add(this.#multicastAddress) ? NETIF_RSP_OKAY : NETIF_RSP_ERROR;
    }
    multicast.remove(this.#multicastAddress);
    return NETIF_RSP_OKAY;
  }

  #error(why: string): number {
    const { tracer, name } = this.#wires;
    tracer.counters.add("net.tx.errors");
    tracer.warnOnce(`net.tx.bad_${why}`, `${name}: bad transmit request (${why}), answered with an error`);
    return NETIF_RSP_ERROR;
  }

  /** Answers every slot of the packet at hand. */
  #respond(status: number): void {
    if (this.closed) return;
    this.#put(this.#id[0] as number, status);
    for (let i = 0; i < this.#extras; i++) this.#put(this.#id[0] as number, NETIF_RSP_NULL);
    for (let i = 1; i < this.#slots; i++) this.#put(this.#id[i] as number, status);
  }

  #put(id: number, status: number): void {
    const at = this.#ring.nextResponse();
    const view = this.#ring.view;
    view.setUint16(at + RESPONSE.id, id, true);
    view.setInt16(at + RESPONSE.status, status, true);
  }

  #count(): void {
    const { counters } = this.#wires.tracer;
    if (this.#packets > 0) {
      counters.add("net.tx.packets", this.#packets);
      counters.add("net.tx.bytes", this.#bytes);
      if (this.#gso > 0) counters.add("net.tx.gso", this.#gso);
      if (this.#blank > 0) counters.add("net.tx.csum_blank", this.#blank);
    }
    this.#packets =
      this.#bytes =
      this.#gso =
      this.#blank =
        0;
  }

  #trace(frame: Frame): void {
    const { name, tracer } = this.#wires;
    const gso = frame.gsoSize > 0 ? ` gso ${frame.gsoSize}` : "";
    tracer.log("net", `${name} tx ${frame.length} bytes in ${this.#slots} slots, flags ${frame.flags}${gso}`);
  }
}
