// SPDX-License-Identifier: MIT
/**
 * One receive queue of netback: puts frames into the buffers the guest granted. Rules: Xen public/io/netif.h, "Guest
 * receive". Responses lie in the slots of their requests, as Linux's netfront expects.
 *
 * Buffers are offered to the end in advance (the window), so that a TAP reads into guest memory. How many, and
 * whether a slot is left out for GSO's extra info, is guessed from the last frame; a wrong guess costs a copy.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type { BackendPort, GrantAccess } from "../../xen/backend/host.ts";
import type { BackRing, BackRingState } from "../../xen/backend/ring.ts";
import {
  netif_extra_info,
  netif_extra_info_gso,
  NETIF_RSP_ERROR,
  netif_rx_request,
  netif_rx_response,
  NETRXF_csum_blank,
  NETRXF_data_validated,
  NETRXF_extra_info,
  NETRXF_more_data,
  XEN_NETIF_EXTRA_TYPE_GSO,
  XEN_NETIF_GSO_TYPE_TCPV4,
  XEN_NETIF_GSO_TYPE_TCPV6,
} from "../../xen/public/io/netif.ts";
import {
  type Frame,
  MAX_FRAME_BYTES,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
} from "../ends/end.ts";

/** Most buffers a frame needs, extra info not counted. */
const MAX_BUFFERS = Math.ceil(MAX_FRAME_BYTES / PAGE_SIZE);

const REQUEST = netif_rx_request.at;
const RESPONSE = netif_rx_response.at;
const EXTRA = netif_extra_info.at;
const GSO = netif_extra_info_gso.at;

/** What a queue works with. */
export interface RxWires {
  readonly ring: BackRing;
  readonly grants: GrantAccess;
  readonly port: BackendPort;
  /** The frontend takes frames in several buffers (feature-sg). */
  readonly sg: boolean;
  readonly name: string;
  readonly tracer: Tracer;
}

/** See the module's description. Methods may throw FrontendError. */
export class RxQueue {
  readonly #wires: RxWires;
  readonly #ring: BackRing;
  readonly #window: Uint8Array[] = [];
  /** Slots ahead of the consumer that were read and checked for the frame at hand; index 1 may be the extra's. */
  readonly #ids = new Uint16Array(MAX_BUFFERS + 1);
  readonly #buffers: (Uint8Array | undefined)[] = [];
  #guessBuffers = 1;
  #guessExtra = false;
  // counted until the flush
  #packets = 0;
  #bytes = 0;
  #gso = 0;

  constructor(wires: RxWires) {
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

  /** Buffers for the next frame, undefined when there are none. */
  window(): readonly Uint8Array[] | undefined {
    for (;;) {
      const available = this.#ring.unconsumedRequests();
      if (available === 0) {
        this.#ring.requestEventAfter(1);
        return undefined;
      }
      let extra = this.#guessExtra;
      let buffers = this.#guessBuffers;
      if (buffers + Number(extra) > available) {
        buffers = 1;
        extra = false;
      }
      if (!this.#take(buffers, extra)) continue; // answered with errors: look at the next ones
      this.#window.length = 0;
      for (const buffer of this.#buffers) if (buffer !== undefined) this.#window.push(buffer);
      return this.#window;
    }
  }

  /** Puts a frame in the ring; its first `inPlace` bytes lie in the window. False: too few buffers now. */
  deliver(frame: Frame, inPlace: number): boolean {
    const buffers = Math.ceil(frame.length / PAGE_SIZE);
    const extra = frame.gsoType !== VIRTIO_NET_HDR_GSO_NONE;
    if (buffers > (this.#wires.sg ? MAX_BUFFERS : 1)) {
      this.#wires.tracer.counters.add("net.rx.dropped");
      return true;
    }
    const shaped = extra === (this.#buffers.length > 1 && this.#buffers[1] === undefined);
    let source = frame;
    let placed = inPlace;
    if (placed > PAGE_SIZE && !shaped) { // the guess was wrong: what lies behind the first buffer must move
      source = frame.clone();
      placed = PAGE_SIZE;
    }
    if (placed === 0 || !shaped || this.#buffers.length < buffers + Number(extra)) {
      for (;;) {
        if (this.#ring.unconsumedRequests() < buffers + Number(extra)) {
          this.#ring.requestEventAfter(buffers + Number(extra));
          this.#wires.tracer.counters.add("net.rx.no_buffers");
          return false;
        }
        if (this.#take(buffers, extra)) break;
        if (placed > 0) { // the buffers with the frame's start were answered with errors
          source = source === frame ? frame.clone() : source;
          placed = 0;
        }
      }
    }
    this.#fill(source, placed, buffers, extra);
    this.#guessBuffers = buffers;
    this.#guessExtra = extra;
    this.#packets++;
    this.#bytes += frame.length;
    if (extra) this.#gso++;
    if (this.#wires.tracer.on("net")) this.#trace(frame, buffers);
    return true;
  }

  /**
   * Reads the next slots and gets access to their buffers. When the guest granted one badly, answers it and those before
   * it with errors (they must be answered in order) and returns false.
   */
  #take(buffers: number, extra: boolean): boolean {
    const { grants } = this.#wires;
    const ring = this.#ring;
    const slots = buffers + Number(extra);
    this.#buffers.length = 0;
    for (let i = 0; i < slots; i++) {
      const at = ring.slotAt(ring.reqCons + i);
      this.#ids[i] = ring.view.getUint16(at + REQUEST.id, true);
      if (extra && i === 1) {
        this.#buffers.push(undefined);
        continue;
      }
      const buffer = grants.access(ring.view.getUint32(at + REQUEST.gref, true), 0, PAGE_SIZE, true);
      if (typeof buffer === "number") {
        this.#refuse(i + 1);
        return false;
      }
      this.#buffers.push(buffer);
    }
    return true;
  }

  #refuse(slots: number): void {
    const { tracer, name } = this.#wires;
    tracer.counters.add("net.rx.errors", slots);
    tracer.warnOnce("net.rx.bad_grant", `${name}: bad receive buffer, answered with an error`);
    for (let i = 0; i < slots; i++) {
      this.#ring.takeRequest();
      this.#respond(i, 0, NETIF_RSP_ERROR);
    }
    this.#buffers.length = 0;
  }

  #fill(frame: Frame, placed: number, buffers: number, extra: boolean): void {
    const slots = buffers + Number(extra);
    let flags = extra ? NETRXF_extra_info : 0;
    if ((frame.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) flags |= NETRXF_csum_blank | NETRXF_data_validated;
    else if ((frame.flags & VIRTIO_NET_HDR_F_DATA_VALID) !== 0) flags |= NETRXF_data_validated;
    let done = 0;
    for (let i = 0; i < slots; i++) {
      this.#ring.takeRequest();
      const buffer = this.#buffers[i];
      if (buffer === undefined) {
        this.#putGso(frame);
        continue;
      }
      const size = Math.min(PAGE_SIZE, frame.length - done);
      if (done + size > placed) {
        frame.copyTo(buffer.subarray(Math.max(0, placed - done), size), Math.max(done, placed));
      }
      done += size;
      this.#respond(i, flags | (done < frame.length ? NETRXF_more_data : 0), size);
      flags = 0;
    }
    this.#buffers.length = 0; // answered: theirs again
  }

  #respond(slot: number, flags: number, status: number): void {
    const at = this.#ring.nextResponse();
    const view = this.#ring.view;
    view.setUint16(at + RESPONSE.id, this.#ids[slot] as number, true);
    view.setUint16(at + RESPONSE.offset, 0, true);
    view.setUint16(at + RESPONSE.flags, flags, true);
    view.setInt16(at + RESPONSE.status, status, true);
  }

  #putGso(frame: Frame): void {
    const at = this.#ring.nextResponse();
    const view = this.#ring.view;
    const v4 = frame.gsoType === VIRTIO_NET_HDR_GSO_TCPV4;
    view.setUint8(at + EXTRA.type, XEN_NETIF_EXTRA_TYPE_GSO);
    view.setUint8(at + EXTRA.flags, 0);
    view.setUint16(at + EXTRA.u + GSO.size, frame.gsoSize, true);
    view.setUint8(at + EXTRA.u + GSO.type, v4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6);
    view.setUint8(at + EXTRA.u + GSO.pad, 0);
    view.setUint16(at + EXTRA.u + GSO.features, 0, true);
  }

  /** Shows the responses and notifies the guest if it wants. */
  flush(): void {
    const { counters } = this.#wires.tracer;
    if (this.#packets > 0) {
      counters.add("net.rx.packets", this.#packets);
      counters.add("net.rx.bytes", this.#bytes);
      if (this.#gso > 0) counters.add("net.rx.gso", this.#gso);
      this.#packets = this.#bytes = this.#gso = 0;
    }
    if (this.#ring.pushResponses()) this.#wires.port.notify();
  }

  #trace(frame: Frame, buffers: number): void {
    const { name, tracer } = this.#wires;
    const gso = frame.gsoSize > 0 ? ` gso ${frame.gsoSize}` : "";
    tracer.log("net", `${name} rx ${frame.length} bytes in ${buffers} buffers, flags ${frame.flags}${gso}`);
  }
}
