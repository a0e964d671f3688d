// SPDX-License-Identifier: MIT
/**
 * One connection of a block backend with a frontend, from its Initialised to its end: the ring, the event channel, and
 * the requests on their way through the store. Rules: Xen public/io/blkif.h.
 * @module
 */
import { MiB, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import {
  BLKIF_OP_READ,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  type BlkifLayouts,
  blkifLayouts,
} from "../public/io/blkif.ts";
import { XEN_IO_PROTO_ABI_X86_32, XEN_IO_PROTO_ABI_X86_64 } from "../public/io/protocols.ts";
import { type BlockRequest, copySegments, parseRequest, readAtOnce, withRoom } from "./blkback_request.ts";
import { type BlockWork, saveRequest } from "./blkback_work.ts";
import type { BackendHost, BackendPort, MappedGrant } from "./host.ts";
import { BackRing, type BackRingState } from "./ring.ts";
import { type Frontend, FrontendError } from "./xenbus.ts";

/** log2 of the most pages a ring may have. */
export const MAX_RING_PAGE_ORDER = 4;

/** Most rings of one disk. */
export const MAX_QUEUES = 4;

/** What one event of the guest's may move: its ring may ask for 512 MiB. */
const TURN_BYTES = 4 * MiB;

/** What a frontend has told about its ring. */
export interface BlockRingAddress {
  /** Value of the node "protocol", "" when it is missing. */
  readonly protocol: string;
  /** Grant references of the ring's pages. */
  readonly ringRefs: readonly number[];
  readonly eventChannel: number;
}

/** What a snapshot keeps of a connection. */
export interface BlkbackConnectionState {
  readonly address: BlockRingAddress;
  readonly ring: BackRingState;
  /** Requests under way: they are submitted once more. */
  readonly requests: readonly BlockRequest[];
}

/** What a connection needs of its device. */
export interface BlkbackDevice {
  readonly host: BackendHost;
  readonly tracer: Tracer | undefined;
  readonly maxBytesUnderWay: number;
  /** True while requests of earlier connections are under way. */
  readonly draining: boolean;
  /** Requests of this connection and its sisters that are under way. */
  readonly underWay: number;
  /** Runs `pump`, at once or soon: the guest has sent something. */
  event(pump: () => void): void;
  /** Runs an event handler: a FrontendError closes the device. */
  guard(fn: () => void): void;
  /** Runs `fn` soon, but not now. */
  defer(fn: () => void): void;
  /** The store has finished with a request that had to wait, and it is answered. */
  finished(): void;
  /** The store has finished with a request of a connection that was closed. */
  drained(): void;
}

/** See the module's description. */
export class BlkbackConnection {
  readonly #layouts: BlkifLayouts;
  readonly #pages: MappedGrant[] = [];
  #ring: BackRing | undefined;
  #port: BackendPort | undefined;
  /** Requests taken from the ring so far. */
  taken = 0;
  #pumping = false;
  #later = false;
  /** Requests of a snapshot that the store has not been given again yet. */
  #again: BlockRequest[] = [];
  /** A write barrier: waits for all that is under way, and everything behind it waits for it. */
  #barrier: BlockRequest | undefined;
  #barrierRuns = false;
  readonly #request: Uint8Array<ArrayBuffer>;
  readonly #requestView: DataView<ArrayBuffer>;
  readonly #response: Uint8Array<ArrayBuffer>;
  readonly #responseView: DataView<ArrayBuffer>;

  readonly #pumpOnEvent = () => this.#guardedPump();

  /** Nothing is mapped before {@linkcode open}. */
  constructor(readonly device: BlkbackDevice, readonly work: BlockWork, readonly address: BlockRingAddress) {
    this.#layouts = layoutsFor(address.protocol);
    this.#request = new Uint8Array(this.#layouts.blkif_request.size);
    this.#requestView = new DataView(this.#request.buffer);
    this.#response = new Uint8Array(this.#layouts.blkif_response.size);
    this.#responseView = new DataView(this.#response.buffer);
  }

  /** Maps the ring and binds the event channel; what was taken before an error is given back by close. */
  open(state?: BlkbackConnectionState): void {
    const { grants, events } = this.device.host;
    const { ringRefs, eventChannel } = this.address;
    ringRefs.forEach((gref, i) => {
      const page = grants.map(gref, false);
      if (typeof page === "number") {
        throw new FrontendError(`Ring page ${i} cannot be mapped: status ${page}`);
      }
      this.#pages.push(page);
    });
    const port = events.bindInterdomain(eventChannel, () => this.device.event(this.#pumpOnEvent));
    if (port === undefined) throw new FrontendError(`Event channel ${eventChannel} cannot be bound`);
    this.#port = port;
    this.#ring = new BackRing(this.#pages, this.#layouts.entryBytes);
    if (state !== undefined) {
      this.#ring.restore(state.ring);
      this.#again = state.requests.map(saveRequest);
    }
    this.pump();
  }

  /** Gives everything back. Requests under way end without an answer. */
  close(): void {
    this.#ring = undefined;
    this.#again = [];
    this.#barrier = undefined;
    this.#port?.close();
    this.#port = undefined;
    for (const page of this.#pages.splice(0)) page.unmap();
  }

  /** The plain record of a snapshot; undefined when the connection is closed. */
  save(): BlkbackConnectionState | undefined {
    if (this.#ring === undefined) return undefined;
    return {
      address: structuredClone(this.address),
      ring: this.#ring.save(),
      requests: [
        ...this.work.save(),
        ...this.#again.map(saveRequest),
        ...(this.#barrier === undefined ? [] : [saveRequest(this.#barrier)]),
      ],
    };
  }

  /** Serves what is in the ring. Stores that answer at once are answered within. */
  pump(): void {
    const ring = this.#ring;
    if (ring === undefined || this.#pumping || this.device.draining) return;
    this.#pumping = true;
    let left = TURN_BYTES;
    try {
      for (const request of this.#again.splice(0)) this.#begin(request);
      do {
        while (left > 0 && this.#hasRoom() && ring.unconsumedRequests() > 0) {
          ring.copyRequest(this.#request);
          this.taken++;
          left -= PAGE_SIZE + this.#serve();
        }
        if (ring.pushResponses()) this.#port?.notify();
        if (left <= 0 && this.#hasRoom()) return this.#pumpLater();
      } while (this.#hasRoom() && ring.finalCheckForRequests());
    } finally {
      this.#pumping = false;
    }
  }

  #hasRoom(): boolean {
    return this.#passBarrier() && this.work.bytes < this.device.maxBytesUnderWay;
  }

  /** False while a barrier waits, or is under way. */
  #passBarrier(): boolean {
    const barrier = this.#barrier;
    if (barrier === undefined) return !this.#barrierRuns;
    if (this.device.underWay > 0) return false;
    this.#barrier = undefined;
    this.#barrierRuns = true;
    this.#submit(barrier);
    return !this.#barrierRuns;
  }

  #guardedPump(): void {
    this.device.guard(() => this.pump());
  }

  /** The guest filled the ring with more than one event may cost: it gets its turn first. */
  #pumpLater(): void {
    if (this.#later) return;
    this.#later = true;
    this.device.defer(() => {
      this.#later = false;
      this.#guardedPump();
    });
  }

  /** Takes up the request that was copied out. Returns how much it moves, in bytes. */
  #serve(): number {
    const { host: { grants }, tracer } = this.device;
    const request = parseRequest(this.#requestView, this.#layouts, this.work.store, grants);
    if (!("status" in request)) {
      if (!this.work.ordered && readAtOnce(grants, this.work.store, request)) {
        tracer?.counters.add("blkback.done");
        this.#answer(request, BLKIF_RSP_OKAY);
      } else this.#begin(withRoom(request));
      return request.length;
    }
    tracer?.counters.add("blkback.refused");
    this.#answer(request, request.status);
    return 0;
  }

  #begin(request: BlockRequest): void {
    if (request.operation === BLKIF_OP_WRITE_BARRIER) this.#barrier = request;
    else this.#submit(request);
  }

  #submit(request: BlockRequest): void {
    this.work.submit(request, (status, later) => {
      if (request.operation === BLKIF_OP_WRITE_BARRIER) this.#barrierRuns = false;
      if (this.#ring !== undefined) { // else the frontend has gone
        const copied = status !== BLKIF_RSP_OKAY || request.operation !== BLKIF_OP_READ ||
          copySegments(this.device.host.grants, request, true);
        const result = copied ? status : BLKIF_RSP_ERROR;
        this.device.tracer?.counters.add(result === BLKIF_RSP_OKAY ? "blkback.done" : "blkback.refused");
        this.#answer(request, result);
        if (!later) return;
        this.#guardedPump();
        this.device.finished();
      } else if (later) this.device.drained();
    });
  }

  /** Puts the response into the ring; the pump shows it to the frontend. */
  #answer(request: Pick<BlockRequest, "idLow" | "idHigh" | "operation">, status: number): void {
    const { at } = this.#layouts.blkif_response;
    const view = this.#responseView;
    view.setUint32(at.id, request.idLow, true);
    view.setUint32(at.id + 4, request.idHigh, true);
    view.setUint8(at.operation, request.operation);
    view.setInt16(at.status, status, true);
    this.#ring?.putResponse(this.#response);
  }
}

/** Reads where the rings are, one per queue; a frontend that does not tell is in error. */
export function readAddresses(frontend: Frontend): BlockRingAddress[] {
  const queues = frontend.readU32("multi-queue-num-queues") ?? 1;
  if (queues === 0 || queues > MAX_QUEUES) throw new FrontendError(`${queues} queues cannot be served`);
  if (queues === 1) return [readAddress(frontend, "")];
  return Array.from({ length: queues }, (_, i) => readAddress(frontend, `queue-${i}/`));
}

function readAddress(frontend: Frontend, queue: string): BlockRingAddress {
  const order = frontend.readU32("ring-page-order") ?? 0;
  if (order > MAX_RING_PAGE_ORDER) throw new FrontendError(`Ring of 2^${order} pages is too large`);
  const ringRefs = Array.from(
    { length: 1 << order },
    (_, i) => frontend.requireU32(queue + (order === 0 ? "ring-ref" : `ring-ref${i}`)),
  );
  return {
    protocol: frontend.read("protocol") ?? "",
    ringRefs,
    eventChannel: frontend.requireU32(`${queue}event-channel`),
  };
}

function layoutsFor(protocol: string): BlkifLayouts {
  switch (protocol) {
    case XEN_IO_PROTO_ABI_X86_32:
      return blkifLayouts.x86_32;
    case "":
    case XEN_IO_PROTO_ABI_X86_64:
      return blkifLayouts.x86_64;
    default:
      throw new FrontendError('Frontend node "protocol" names no known ABI');
  }
}
