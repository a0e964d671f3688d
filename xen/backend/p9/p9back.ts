// SPDX-License-Identifier: MIT
/**
 * Backend of Xen's transport for 9P: takes messages out of the rings, has a {@linkcode P9Service} answer them, one at
 * a time for all rings of a share, and puts the answers where the requests came from. Rules: Xen docs/misc/9pfs.pandoc,
 * version 1. Because nothing overtakes, a Tflush always finds its request answered.
 *
 * A message whose size cannot be closes the device; what is inside is the service's business.
 * @module
 */
import type { Tracer } from "../../../cpu/base/trace.ts";
import type { BackendHost } from "../host.ts";
import {
  type BackendDriver,
  type Frontend,
  FrontendError,
  type Nodes,
  XenbusBackend,
  type XenbusBackendState,
} from "../xenbus.ts";
import { FlexRing, MAX_RING_PAGE_ORDER } from "./flex_ring.ts";
import type { P9Service, P9ServiceState } from "./service.ts";

/** Linux wants two. */
const MAX_RINGS = 4;
/** Messages that one event of the guest's may move before the guest gets its turn. */
const TURN_MESSAGES = 64;

/** A share to plug in. */
export interface P9backOptions {
  readonly service: P9Service;
  readonly devid: number;
  /** What the guest mounts it by. */
  readonly tag: string;
  readonly tracer?: Tracer;
  /** Runs `fn` soon, but not now. Default: a microtask. */
  readonly defer?: (fn: () => void) => void;
  /** The guest has sent an event, inside its hypercall: runs `pump` at once (the default) or soon. */
  readonly event?: (pump: () => void) => void;
  /** A request that had to wait for the host is answered. */
  readonly finished?: () => void;
}

interface RingAddress {
  readonly ringRef: number;
  readonly eventChannel: number;
}

/** What a snapshot keeps of a share's backend. */
export interface P9backState {
  readonly xenbus: XenbusBackendState;
  /** None without a frontend. */
  readonly rings: readonly (RingAddress & {
    /** An answer that waits for room. */
    readonly waiting?: Uint8Array;
    /** The request the host works on: it is done once more. */
    readonly request?: Uint8Array<ArrayBuffer>;
  })[];
  readonly service: P9ServiceState;
}

/** The backend of one shared folder. */
export class P9back implements BackendDriver {
  readonly xenbus: XenbusBackend;
  #addresses: RingAddress[] = [];
  #rings: FlexRing[] = [];
  /** The request under way, for this connection or an earlier one; nothing else is begun meanwhile. */
  #working: { readonly ring: FlexRing; readonly request: Uint8Array<ArrayBuffer> } | undefined;
  #pumping = false;
  #later = false;
  /** Whose turn it is: no ring starves another. */
  #next = 0;
  readonly #pumpOnEvent = () => this.#guardedPump();

  constructor(readonly host: BackendHost, readonly options: P9backOptions) {
    const { devid, tag, tracer } = options;
    this.xenbus = new XenbusBackend(host, this, {
      type: "9pfs",
      devid,
      backendNodes: { security_model: "none" },
      frontendNodes: { tag },
      ...(tracer === undefined ? {} : { tracer }),
    });
  }

  /** Makes the device appear. */
  start(): void {
    this.xenbus.start();
  }

  offer(): Nodes {
    return { versions: "1", "max-rings": MAX_RINGS, "max-ring-page-order": MAX_RING_PAGE_ORDER };
  }

  connect(frontend: Frontend): Nodes {
    const version = frontend.read("version");
    if (version !== "1") throw new FrontendError("Frontend speaks another version of the protocol");
    const count = frontend.requireU32("num-rings");
    if (count < 1 || count > MAX_RINGS) throw new FrontendError(`${count} rings cannot be served`);
    const addresses = Array.from({ length: count }, (_, i) => ({
      ringRef: frontend.requireU32(`ring-ref${i}`),
      eventChannel: frontend.requireU32(`event-channel-${i}`),
    }));
    this.#open(addresses);
    this.#pump();
    return {};
  }

  disconnect(): void {
    for (const ring of this.#rings.splice(0)) ring.close();
    this.#addresses = [];
    this.#next = 0;
    this.options.service.reset();
  }

  /** Requests that the host works on, for whomever: 0 or 1. */
  get underWay(): number {
    return this.#working === undefined ? 0 : 1;
  }

  /** Lets go of the frontend and offers the share anew; see {@linkcode XenbusBackend.reset}. */
  reset(): void {
    this.xenbus.reset();
  }

  /** The plain record of a snapshot; what is in the folder is the host's. */
  save(): P9backState {
    return {
      xenbus: this.xenbus.save(),
      rings: this.#rings.map((ring, i) => ({
        ...this.#addresses[i] as RingAddress,
        ...(ring.waiting !== undefined && { waiting: ring.waiting.slice() }),
        ...(this.#working?.ring === ring && { request: this.#working.request.slice() }),
      })),
      service: this.options.service.save(),
    };
  }

  /** Restores what `save` gave, after xenstore, grants and event channels. */
  restore(state: P9backState): void {
    this.xenbus.restore(state.xenbus);
    if (state.rings.length === 0) return;
    this.xenbus.guard(() => {
      this.#open(state.rings);
      this.options.service.restore(state.service);
      state.rings.forEach(({ waiting, request }, i) => {
        const ring = this.#rings[i] as FlexRing;
        if (waiting !== undefined) ring.waiting = waiting.slice();
        if (request !== undefined) this.#handle(ring, request.slice());
      });
      this.#pump();
    });
  }

  #open(addresses: readonly RingAddress[]): void {
    const { host, options: { event = now } } = this;
    this.#addresses = addresses.map(({ ringRef, eventChannel }) => ({ ringRef, eventChannel }));
    for (const { ringRef, eventChannel } of addresses) {
      const ring = new FlexRing();
      this.#rings.push(ring); // before it is open: what it took is given back when it fails
      ring.open(host.grants, ringRef);
      ring.port = host.events.bindInterdomain(eventChannel, () => event(this.#pumpOnEvent));
      if (ring.port === undefined) throw new FrontendError(`Event channel ${eventChannel} cannot be bound`);
    }
  }

  #guardedPump(): void {
    this.xenbus.guard(() => this.#pump());
  }

  /** Serves what is in the rings until the host takes its time, a turn is over, or nothing is left. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      for (let left = TURN_MESSAGES; this.#working === undefined;) {
        const [ring, request] = this.#take();
        if (ring === undefined || request === undefined) return;
        this.#handle(ring, request);
        if (--left === 0) return this.#pumpLater();
      }
    } finally {
      this.#pumping = false;
    }
  }

  #take(): [ring?: FlexRing, request?: Uint8Array<ArrayBuffer>] {
    for (let i = 0; i < this.#rings.length; i++) {
      const at = (this.#next + i) % this.#rings.length;
      const ring = this.#rings[at] as FlexRing;
      if (ring.waiting !== undefined && !ring.put(ring.waiting)) continue;
      const request = ring.take();
      if (request === undefined) continue;
      this.#next = at + 1;
      return [ring, request];
    }
    return [];
  }

  #handle(ring: FlexRing, request: Uint8Array<ArrayBuffer>): void {
    const { service, tracer } = this.options;
    tracer?.counters.add("p9back.requests");
    const answer = service.handle(request, ring.size);
    if (answer instanceof Uint8Array) return void ring.put(answer);
    const work = this.#working = { ring, request };
    answer.then((bytes) => {
      ring.put(bytes); // a ring that was closed meanwhile drops it
      if (this.#working !== work) return; // a snapshot was restored
      this.#working = undefined;
      this.#guardedPump();
      this.options.finished?.();
    });
  }

  #pumpLater(): void {
    if (this.#later) return;
    this.#later = true;
    (this.options.defer ?? queueMicrotask)(() => {
      this.#later = false;
      this.#guardedPump();
    });
  }
}

function now(pump: () => void): void {
  pump();
}
