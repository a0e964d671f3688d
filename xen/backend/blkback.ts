// SPDX-License-Identifier: MIT
/**
 * Block backend over a {@linkcode BlockStore}. Rules: Xen public/io/blkif.h. Reads, writes, flush, write barriers,
 * discard, indirect segments, several rings of several pages each, 32- and 64-bit frontends, sectors of 512 and 4096
 * bytes, a size that grows.
 *
 * A request is copied out of the ring, checked, and answered with BLKIF_RSP_ERROR when it asks for what cannot
 * be; only an impossible ring index closes the device. Data passes through a buffer of ours unless the store reads
 * at once, because it may take its time and the guest may take its grants back meanwhile: grants are used for the
 * moment of the copy alone. A frontend with persistent grants is therefore served like any other; announcing feature-persistent
 * (an option, off by default) makes the guest copy each page itself, which costs an emulated guest more than
 * granting it.
 *
 * Not done: secure discard. There is no request for writing zeros in this protocol.
 * @module
 */
import type { Tracer } from "../../cpu/base/trace.ts";
import { VDISK_READONLY } from "../public/io/blkif.ts";
import {
  BlkbackConnection,
  type BlkbackConnectionState,
  type BlkbackDevice,
  type BlockRingAddress,
  MAX_QUEUES,
  MAX_RING_PAGE_ORDER,
  readAddresses,
} from "./blkback_connection.ts";
import { type BlockRequest, MAX_INDIRECT_SEGMENTS, SECTOR } from "./blkback_request.ts";
import { BlockWork, saveRequest } from "./blkback_work.ts";
import type { BlockStore } from "./block_store.ts";
import type { BackendHost } from "./host.ts";
import {
  type BackendDriver,
  type Frontend,
  type Nodes,
  XenbusBackend,
  type XenbusBackendState,
} from "./xenbus.ts";

export type { BlockStore } from "./block_store.ts";

/** Default of {@linkcode BlkbackOptions.maxBytesUnderWay}. */
const MAX_BYTES_UNDER_WAY = 32 * 1024 * 1024;

/** A disk to plug in. */
export interface BlkbackOptions {
  readonly store: BlockStore;
  /** "xvda" and so on; chooses the device number. */
  readonly device: string;
  readonly persistentGrants?: boolean;
  /** Data of requests under way; once reached, further requests wait in the ring. */
  readonly maxBytesUnderWay?: number;
  readonly tracer?: Tracer;
  /** Runs `fn` soon, but not now: how a full ring is gone on with. Default: a microtask. */
  readonly defer?: (fn: () => void) => void;
  /** The guest has sent an event, inside its hypercall: runs `pump` at once (the default) or soon. */
  readonly event?: (pump: () => void) => void;
  /** Answers come in the order of the requests, and never within the event: see {@linkcode BlockWork}. */
  readonly ordered?: boolean;
  /** A request that had to wait for the store is answered. */
  readonly finished?: () => void;
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

/** What a snapshot keeps of a disk's backend. */
export interface BlkbackState {
  readonly xenbus: XenbusBackendState;
  /** One per ring; none without a frontend. */
  readonly connections: readonly BlkbackConnectionState[];
  /** Requests of earlier connections that the store has not finished. */
  readonly draining: readonly BlockRequest[];
}

/** The backend of one virtual disk. */
export class Blkback implements BackendDriver {
  readonly xenbus: XenbusBackend;
  /** One per ring. */
  #connections: BlkbackConnection[] = [];
  /** What the store still does for connections that were closed; while it does, the present one waits. */
  readonly #draining = new Set<BlockWork>();
  readonly #device: BlkbackDevice;

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
    this.#device = this.#makeDevice();
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
      "feature-barrier": 1,
      "feature-persistent": persistentGrants === true ? 1 : 0,
      "feature-max-indirect-segments": MAX_INDIRECT_SEGMENTS,
      "max-ring-page-order": MAX_RING_PAGE_ORDER,
      "multi-queue-max-queues": MAX_QUEUES,
      ...discard,
    };
  }

  connect(frontend: Frontend): Nodes {
    const { store } = this.options;
    const { sectorBytes = SECTOR } = store;
    this.#open(readAddresses(frontend));
    return {
      sectors: this.#sectors(), // of 512 bytes, whatever sector-size says
      "sector-size": sectorBytes,
      "physical-sector-size": sectorBytes,
      info: store.readonly ? VDISK_READONLY : 0,
    };
  }

  get draining(): boolean {
    return this.#draining.size > 0;
  }

  disconnect(): void {
    for (const connection of this.#connections.splice(0)) {
      connection.close();
      if (connection.work.count > 0) this.#draining.add(connection.work);
    }
  }

  /** The store has grown: tells the guest, as xen-blkback does. */
  resized(): void {
    if (this.#connections.length === 0) return;
    this.xenbus.publish({ sectors: this.#sectors() });
    this.xenbus.publish({ state: this.xenbus.state }); // the frontend looks when this node changes
  }

  #sectors(): number {
    return Math.floor(this.options.store.size / SECTOR);
  }

  /** Requests taken from the present rings so far. */
  get taken(): number {
    return this.#connections.reduce((sum, { taken }) => sum + taken, 0);
  }

  /** Requests the store works on, for whomever. */
  get underWay(): number {
    let count = 0;
    for (const { work } of this.#connections) count += work.count;
    for (const work of this.#draining) count += work.count;
    return count;
  }

  /** Lets go of the frontend and offers the disk anew; see {@linkcode XenbusBackend.reset}. */
  reset(): void {
    this.xenbus.reset();
  }

  /** The plain record of a snapshot; what is on the disk is the store's. */
  save(): BlkbackState {
    return {
      xenbus: this.xenbus.save(),
      connections: this.#connections.flatMap((connection) => connection.save() ?? []),
      draining: [...this.#draining].flatMap((work) => work.save()),
    };
  }

  /** Restores what `save` gave, after xenstore, grants and event channels. Requests under way begin anew. */
  restore(state: BlkbackState): void {
    this.xenbus.restore(state.xenbus);
    if (state.draining.length > 0) {
      const work = this.#makeWork();
      for (const request of state.draining) {
        work.submit(saveRequest(request), (_status, later) => {
          if (later) this.#drained();
        });
      }
      if (work.count > 0) this.#draining.add(work);
    }
    const { connections } = state;
    if (connections.length === 0) return;
    this.xenbus.guard(() => this.#open(connections.map(({ address }) => address), connections));
  }

  #open(addresses: readonly BlockRingAddress[], states?: readonly BlkbackConnectionState[]): void {
    addresses.forEach((address, i) => {
      const connection = new BlkbackConnection(this.#device, this.#makeWork(), address);
      this.#connections.push(connection); // before it is open: what it took is given back when it fails
      connection.open(states?.[i]);
    });
  }

  #makeWork(): BlockWork {
    const { store, device, tracer, ordered = false } = this.options;
    return new BlockWork(
      store,
      (error) => tracer?.warnOnce(`blkback.${device}.io_error`, `${device}: ${reason(error)}`),
      ordered,
    );
  }

  /** The store has finished with something of an earlier connection: the present one may begin. */
  #drained(): void {
    for (const work of this.#draining) if (work.count === 0) this.#draining.delete(work);
    if (this.#draining.size === 0) {
      this.xenbus.drained();
      this.#pumpAll();
    }
    this.options.finished?.();
  }

  #pumpAll(): void {
    this.xenbus.guard(() => {
      for (const connection of [...this.#connections]) connection.pump();
    });
  }

  /** A barrier of one ring waits for the requests of all. */
  #finished(): void {
    if (this.#connections.length > 1) this.#pumpAll();
    this.options.finished?.();
  }

  #makeDevice(): BlkbackDevice {
    const {
      host,
      xenbus,
      options: { tracer, maxBytesUnderWay = MAX_BYTES_UNDER_WAY, defer = queueMicrotask, event = now },
    } = this;
    const isDraining = () => this.#draining.size > 0;
    const underWay = () => this.#connections.reduce((sum, { work }) => sum + work.count, 0);
    return {
      host,
      tracer,
      maxBytesUnderWay,
      get draining() {
        return isDraining();
      },
      get underWay() {
        return underWay();
      },
      guard: (fn) => xenbus.guard(fn),
      defer,
      event,
      finished: () => this.#finished(),
      drained: () => this.#drained(),
    };
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function now(pump: () => void): void {
  pump();
}
