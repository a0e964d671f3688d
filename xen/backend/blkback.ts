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
import type { Tracer } from "../../cpu/base/trace.ts";
import { VDISK_READONLY } from "../public/io/blkif.ts";
import {
  BlkbackConnection,
  type BlkbackConnectionState,
  type BlkbackDevice,
  type BlockRingAddress,
  MAX_RING_PAGE_ORDER,
  readAddress,
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
  readonly connection: BlkbackConnectionState | null;
  /** Requests of earlier connections that the store has not finished. */
  readonly draining: readonly BlockRequest[];
}

/** The backend of one virtual disk. */
export class Blkback implements BackendDriver {
  readonly xenbus: XenbusBackend;
  #connection: BlkbackConnection | undefined;
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
      "feature-barrier": 0,
      "feature-persistent": persistentGrants === true ? 1 : 0,
      "feature-max-indirect-segments": MAX_INDIRECT_SEGMENTS,
      "max-ring-page-order": MAX_RING_PAGE_ORDER,
      ...discard,
    };
  }

  connect(frontend: Frontend): Nodes {
    const { store } = this.options;
    this.#open(readAddress(frontend));
    return {
      sectors: Math.floor(store.sizeBytes / SECTOR),
      "sector-size": SECTOR,
      "physical-sector-size": SECTOR,
      info: store.readonly ? VDISK_READONLY : 0,
    };
  }

  disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    connection.close();
    if (connection.work.count > 0) this.#draining.add(connection.work);
  }

  /** Lets go of the frontend and offers the disk anew; see {@linkcode XenbusBackend.reset}. */
  reset(): void {
    this.xenbus.reset();
  }

  /** The plain record of a snapshot; what is on the disk is the store's. */
  save(): BlkbackState {
    return {
      xenbus: this.xenbus.save(),
      connection: this.#connection?.save() ?? null,
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
    const { connection } = state;
    if (connection !== null) this.xenbus.guard(() => this.#open(connection.address, connection));
  }

  #open(address: BlockRingAddress, state?: BlkbackConnectionState): void {
    this.#connection = new BlkbackConnection(this.#device, this.#makeWork(), address);
    this.#connection.open(state);
  }

  #makeWork(): BlockWork {
    const { store, device, tracer } = this.options;
    return new BlockWork(
      store,
      (error) => tracer?.warnOnce("blkback.io_error", `${device}: ${String(error)}`),
    );
  }

  /** The store has finished with something of an earlier connection: the present one may begin. */
  #drained(): void {
    for (const work of this.#draining) if (work.count === 0) this.#draining.delete(work);
    if (this.#draining.size === 0) this.xenbus.guard(() => this.#connection?.pump());
  }

  #makeDevice(): BlkbackDevice {
    const {
      host,
      xenbus,
      options: { tracer, maxBytesUnderWay = MAX_BYTES_UNDER_WAY, defer = queueMicrotask },
    } = this;
    const isDraining = () => this.#draining.size > 0;
    return {
      host,
      tracer,
      maxBytesUnderWay,
      get draining() {
        return isDraining();
      },
      guard: (fn) => xenbus.guard(fn),
      defer,
      drained: () => this.#drained(),
    };
  }
}
