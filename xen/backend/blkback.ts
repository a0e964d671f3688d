// SPDX-License-Identifier: MIT
/**
 * Block backend over a {@linkcode BlockStore}. Rules: Xen public/io/blkif.h. Reads, writes, flush, discard,
 * indirect segments, rings of several pages, 32- and 64-bit frontends.
 *
 * A request is copied out of the ring, checked, and answered with BLKIF_RSP_ERROR when it asks for what cannot
 * be; only an impossible ring index closes the device. Data passes through a buffer of ours, because the store may
 * take its time and the guest may take its grants back meanwhile: grants are used for the moment of the copy
 * alone. A frontend with persistent grants is therefore served like any other; announcing feature-persistent
 * (an option, off by default) makes the guest copy each page itself, which costs an emulated guest more than
 * granting it.
 *
 * Not done: several queues, BLKIF_OP_WRITE_BARRIER (not announced, answered with BLKIF_RSP_EOPNOTSUPP), sectors
 * of other than 512 bytes, secure discard, resizing.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  blkif_request_segment,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  type BlkifLayouts,
  blkifLayouts,
  VDISK_READONLY,
} from "../public/io/blkif.ts";
import { XEN_IO_PROTO_ABI_X86_32, XEN_IO_PROTO_ABI_X86_64 } from "../public/io/protocols.ts";
import type { BlockStore } from "./block_store.ts";
import type { BackendHost, BackendPort, GrantAccess, MappedGrant } from "./host.ts";
import { BackRing } from "./ring.ts";
import { type BackendDriver, type Frontend, FrontendError, type Nodes, XenbusBackend } from "./xenbus.ts";

export type { BlockStore } from "./block_store.ts";

const SECTOR = 512;
const SECTORS_PER_PAGE = PAGE_SIZE / SECTOR;
/** Segments in an indirect request, as Linux offers. */
const MAX_INDIRECT_SEGMENTS = 256;
/** log2 of the most pages a ring may have. */
const MAX_RING_PAGE_ORDER = 4;
/** Default of {@linkcode BlkbackOptions.maxBytesUnderWay}. */
const MAX_BYTES_UNDER_WAY = 32 * 1024 * 1024;
const SEG = blkif_request_segment.at;

/** A disk to plug in. */
export interface BlkbackOptions {
  readonly store: BlockStore;
  /** "xvda" and so on; chooses the device number. */
  readonly device: string;
  readonly persistentGrants?: boolean;
  /** Data of requests under way; once reached, further requests wait in the ring. */
  readonly maxBytesUnderWay?: number;
  readonly tracer?: Tracer;
}

/** Number of a virtual device "xvdN" or "xvdNp", as docs/man/xen-vbd-interface.7 assigns them. */
export function virtualDevice(name: string): number | undefined {
  const match = /^xvd([a-z]{1,2})([0-9]{0,2})$/.exec(name);
  if (match === null) return undefined;
  let disk = 0;
  for (const letter of match[1] as string) disk = disk * 26 + letter.charCodeAt(0) - 96;
  disk--;
  const partition = Number(match[2]);
  return disk < 16 && partition < 16
    ? (202 << 8) | (disk << 4) | partition
    : (1 << 28) | (disk << 8) | partition;
}

/** The backend of one virtual disk. */
export class Blkback implements BackendDriver {
  readonly xenbus: XenbusBackend;
  #connection: Connection | undefined;

  /** Throws a RangeError for a device name that is none. */
  constructor(readonly host: BackendHost, readonly options: BlkbackOptions) {
    const { device, store, tracer } = options;
    const devid = virtualDevice(device);
    if (devid === undefined) throw new RangeError(`Cannot plug in "${device}": not a name like xvda`);
    this.xenbus = new XenbusBackend(host, this, {
      type: "vbd",
      devid,
      backendNodes: {
        dev: device,
        "device-type": "disk",
        mode: store.readonly ? "r" : "w",
        removable: 0,
        bootable: 1,
      },
      frontendNodes: { "virtual-device": devid, "device-type": "disk" },
      ...(tracer === undefined ? {} : { tracer }),
    });
  }

  /** Makes the device appear. */
  start(): void {
    this.xenbus.start();
  }

  offer(): Nodes {
    const { store, persistentGrants } = this.options;
    const discard: Nodes = store.discard === undefined || store.readonly
      ? {}
      : { "feature-discard": 1, "discard-granularity": SECTOR, "discard-alignment": 0, "discard-secure": 0 };
    return {
      "feature-flush-cache": 1,
      "feature-barrier": 0,
      "feature-persistent": persistentGrants === true ? 1 : 0,
      "feature-max-indirect-segments": MAX_INDIRECT_SEGMENTS,
      "max-ring-page-order": MAX_RING_PAGE_ORDER,
      ...discard,
    };
  }

  connect(frontend: Frontend): Nodes {
    const { store } = this.options;
    this.#connection = new Connection(this, frontend);
    this.#connection.open(frontend);
    return {
      sectors: Math.floor(store.sizeBytes / SECTOR),
      "sector-size": SECTOR,
      "physical-sector-size": SECTOR,
      info: store.readonly ? VDISK_READONLY : 0,
    };
  }

  disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** A request under way: the id as it came, and where its data goes. */
interface Request {
  readonly operation: number;
  readonly idLow: number;
  readonly idHigh: number;
  /** Reference, first byte and length of each piece: three numbers per segment. */
  readonly segments: Uint32Array | undefined;
  readonly data: Uint8Array<ArrayBuffer> | undefined;
}

/** One connection with a frontend: from its Initialised to its end. */
class Connection {
  readonly #layouts: BlkifLayouts;
  readonly #store: BlockStore;
  readonly #grants: GrantAccess;
  readonly #pages: MappedGrant[] = [];
  #ring: BackRing | undefined;
  #port: BackendPort | undefined;
  #bytesUnderWay = 0;
  readonly #maxBytes: number;
  #pumping = false;
  readonly #request: Uint8Array<ArrayBuffer>;
  readonly #requestView: DataView<ArrayBuffer>;
  readonly #response: Uint8Array<ArrayBuffer>;
  readonly #responseView: DataView<ArrayBuffer>;

  constructor(readonly blkback: Blkback, frontend: Frontend) {
    this.#store = blkback.options.store;
    this.#maxBytes = blkback.options.maxBytesUnderWay ?? MAX_BYTES_UNDER_WAY;
    this.#grants = blkback.host.grants;
    this.#layouts = layoutsFor(frontend.read("protocol"));
    this.#request = new Uint8Array(this.#layouts.blkif_request.size);
    this.#requestView = new DataView(this.#request.buffer);
    this.#response = new Uint8Array(this.#layouts.blkif_response.size);
    this.#responseView = new DataView(this.#response.buffer);
  }

  /** Maps the ring and binds the event channel; what was taken before an error is given back by close. */
  open(frontend: Frontend): void {
    const order = frontend.readU32("ring-page-order") ?? 0;
    if (order > MAX_RING_PAGE_ORDER) throw new FrontendError(`Ring of 2^${order} pages is too large`);
    for (let i = 0; i < 1 << order; i++) {
      const page = this.#grants.map(frontend.requireU32(order === 0 ? "ring-ref" : `ring-ref${i}`), false);
      if (typeof page === "number") {
        throw new FrontendError(`Ring page ${i} cannot be mapped: status ${page}`);
      }
      this.#pages.push(page);
    }
    const remotePort = frontend.requireU32("event-channel");
    const handler = () => this.#guardedPump();
    const port = this.blkback.host.events.bindInterdomain(remotePort, handler);
    if (port === undefined) throw new FrontendError(`Event channel ${remotePort} cannot be bound`);
    this.#port = port;
    this.#ring = new BackRing(this.#pages, this.#layouts.entryBytes);
    this.#pump();
  }

  /** Gives everything back. Requests under way end without an answer. */
  close(): void {
    this.#ring = undefined;
    this.#port?.close();
    this.#port = undefined;
    for (const page of this.#pages.splice(0)) page.unmap();
  }

  #guardedPump(): void {
    this.blkback.xenbus.guard(() => this.#pump());
  }

  /** Serves what is in the ring. Stores that answer at once are answered within. */
  #pump(): void {
    const ring = this.#ring;
    if (ring === undefined || this.#pumping) return;
    this.#pumping = true;
    try {
      do {
        while (this.#bytesUnderWay < this.#maxBytes && ring.unconsumedRequests() > 0) {
          ring.copyRequest(this.#request);
          this.#serve();
        }
        if (ring.pushResponses()) this.#port?.notify();
      } while (this.#bytesUnderWay < this.#maxBytes && ring.finalCheckForRequests());
    } finally {
      this.#pumping = false;
    }
  }

  #serve(): void {
    const view = this.#requestView;
    const { blkif_request: { at }, blkif_request_indirect: indirect } = this.#layouts;
    const operation = view.getUint8(at.operation);
    const id = { operation, idLow: view.getUint32(at.id, true), idHigh: view.getUint32(at.id + 4, true) };
    const refuse = (status: number) => this.#answer({ ...id, segments: undefined, data: undefined }, status);
    const action = operation === BLKIF_OP_INDIRECT ? view.getUint8(indirect.at.indirect_op) : operation;
    switch (action) {
      case BLKIF_OP_READ:
      case BLKIF_OP_WRITE:
        break;
      case BLKIF_OP_FLUSH_DISKCACHE:
        if (operation === BLKIF_OP_INDIRECT) return refuse(BLKIF_RSP_ERROR);
        break;
      case BLKIF_OP_DISCARD:
        if (operation === BLKIF_OP_INDIRECT) return refuse(BLKIF_RSP_ERROR);
        return this.#discard({ ...id, segments: undefined, data: undefined });
      default:
        this.blkback.options.tracer?.counters.add("blkback.unsupported");
        return refuse(operation === BLKIF_OP_INDIRECT ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP);
    }
    const segments = this.#segments(operation);
    const length = segments === undefined ? -1 : totalLength(segments);
    const start = this.#u64(at.sector_number) * SECTOR; // at the same place in all kinds of requests
    if (segments === undefined || length < 0) return refuse(BLKIF_RSP_ERROR);
    if (length === 0 && action !== BLKIF_OP_FLUSH_DISKCACHE) return refuse(BLKIF_RSP_ERROR);
    if (length > 0 && !(start + length <= this.#store.sizeBytes)) return refuse(BLKIF_RSP_ERROR);
    if (action !== BLKIF_OP_READ && length > 0 && this.#store.readonly) return refuse(BLKIF_RSP_ERROR);
    const data = new Uint8Array(length);
    const request: Request = { ...id, segments, data };
    if (action === BLKIF_OP_READ) {
      return this.#run(request, () => this.#store.read(start, data), true);
    }
    if (!this.#copy(request, false)) return refuse(BLKIF_RSP_ERROR);
    if (action === BLKIF_OP_WRITE) return this.#run(request, () => this.#store.write(start, data), false);
    this.#run(request, () => {
      const flushed = this.#store.flush();
      if (length === 0) return flushed;
      const write = () => this.#store.write(start, data);
      return flushed === undefined ? write() : flushed.then(write);
    }, false);
  }

  #discard(request: Request): void {
    const { at } = this.#layouts.blkif_request_discard;
    const start = this.#u64(at.sector_number) * SECTOR;
    const length = this.#u64(at.nr_sectors) * SECTOR;
    const store = this.#store;
    if (store.discard === undefined) return this.#answer(request, BLKIF_RSP_EOPNOTSUPP);
    if (store.readonly || !(start + length <= store.sizeBytes)) return this.#answer(request, BLKIF_RSP_ERROR);
    this.#run(request, () => store.discard?.(start, length), false);
  }

  /** The request's pieces of memory; undefined when they are nonsense. */
  #segments(operation: number): Uint32Array | undefined {
    const { blkif_request: direct, blkif_request_indirect: indirect } = this.#layouts;
    const view = this.#requestView;
    if (operation !== BLKIF_OP_INDIRECT) {
      const count = view.getUint8(direct.at.nr_segments);
      if (count > BLKIF_MAX_SEGMENTS_PER_REQUEST) return undefined;
      const segments = new Uint32Array(3 * count);
      return parseSegments(view, direct.at.seg, count, segments, 0) ? segments : undefined;
    }
    const count = view.getUint16(indirect.at.nr_segments, true);
    if (count === 0 || count > MAX_INDIRECT_SEGMENTS) return undefined;
    const segments = new Uint32Array(3 * count);
    const perPage = PAGE_SIZE / blkif_request_segment.size;
    for (let done = 0, page = 0; done < count; done += perPage, page++) {
      const gref = view.getUint32(indirect.at.indirect_grefs + 4 * page, true);
      const n = Math.min(perPage, count - done);
      const live = this.#grants.access(gref, 0, n * blkif_request_segment.size, false);
      if (typeof live === "number") return undefined;
      const copy = live.slice(); // one look at what the guest may rewrite
      if (!parseSegments(new DataView(copy.buffer), 0, n, segments, 3 * done)) return undefined;
    }
    return segments;
  }

  /** A u64 of the request as a number: exact below 2^53, and too large for any disk above. */
  #u64(at: number): number {
    return this.#requestView.getUint32(at + 4, true) * 2 ** 32 + this.#requestView.getUint32(at, true);
  }

  /** Copies between the request's buffer and the guest; false when a grant does not allow it. */
  #copy(request: Request, toGuest: boolean): boolean {
    const { segments, data } = request;
    if (segments === undefined || data === undefined) return true;
    for (let i = 0, done = 0; i < segments.length; i += 3) {
      const length = segments[i + 2] as number;
      const page = this.#grants.access(segments[i] as number, segments[i + 1] as number, length, toGuest);
      if (typeof page === "number") return false;
      if (toGuest) page.set(data.subarray(done, done + length));
      else data.set(page, done);
      done += length;
    }
    return true;
  }

  /** Lets the store work and answers when it has. */
  #run(request: Request, work: () => void | Promise<void>, toGuest: boolean): void {
    const bytes = request.data?.length ?? 0;
    const finish = (status: number) => {
      if (this.#ring === undefined) return; // the frontend has gone
      this.#answer(
        request,
        status === BLKIF_RSP_OKAY && toGuest && !this.#copy(request, true) ? BLKIF_RSP_ERROR : status,
      );
    };
    let pending: void | Promise<void>;
    try {
      pending = work();
    } catch (error) {
      return finish(this.#storeFailed(error));
    }
    if (pending === undefined) return finish(BLKIF_RSP_OKAY);
    this.#bytesUnderWay += bytes;
    pending.then(() => BLKIF_RSP_OKAY, (error) => this.#storeFailed(error)).then((status) => {
      this.#bytesUnderWay -= bytes;
      finish(status);
      this.#guardedPump();
    });
  }

  #storeFailed(error: unknown): number {
    this.blkback.options.tracer?.warnOnce(
      "blkback.io_error",
      `${this.blkback.options.device}: ${String(error)}`,
    );
    return BLKIF_RSP_ERROR;
  }

  /** Puts the response into the ring; the pump shows it to the frontend. */
  #answer(request: Request, status: number): void {
    const { at } = this.#layouts.blkif_response;
    const view = this.#responseView;
    view.setUint32(at.id, request.idLow, true);
    view.setUint32(at.id + 4, request.idHigh, true);
    view.setUint8(at.operation, request.operation);
    view.setInt16(at.status, status, true);
    this.#ring?.putResponse(this.#response);
    this.blkback.options.tracer?.counters.add(status === BLKIF_RSP_OKAY ? "blkback.done" : "blkback.refused");
  }
}

function layoutsFor(protocol: string | undefined): BlkifLayouts {
  switch (protocol) {
    case XEN_IO_PROTO_ABI_X86_32:
      return blkifLayouts.x86_32;
    case undefined:
    case XEN_IO_PROTO_ABI_X86_64:
      return blkifLayouts.x86_64;
    default:
      throw new FrontendError('Frontend node "protocol" names no known ABI');
  }
}

/** Turns `count` segments at `from` into (reference, offset, length); false when one is no piece of a page. */
function parseSegments(view: DataView, from: number, count: number, into: Uint32Array, at: number): boolean {
  for (let i = 0; i < count; i++) {
    const segment = from + i * blkif_request_segment.size;
    const first = view.getUint8(segment + SEG.first_sect);
    const last = view.getUint8(segment + SEG.last_sect);
    if (first > last || last >= SECTORS_PER_PAGE) return false;
    into[at + 3 * i] = view.getUint32(segment + SEG.gref, true);
    into[at + 3 * i + 1] = first * SECTOR;
    into[at + 3 * i + 2] = (last - first + 1) * SECTOR;
  }
  return true;
}

function totalLength(segments: Uint32Array): number {
  let length = 0;
  for (let i = 2; i < segments.length; i += 3) length += segments[i] as number;
  return length;
}
