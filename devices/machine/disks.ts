// SPDX-License-Identifier: MIT
/** Makes disks out of what people have: names of files, stores of their own. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { parseSize } from "../../cpu/base/sizes.ts";
import { type Blkback, virtualDevice } from "../../xen/backend/blkback.ts";
import type { BlockStore } from "../../xen/backend/block_store.ts";
import { hostPath } from "../loaders/host_file.ts";
import type { DiskFileOptions } from "../storage/open_disk.ts";
import type { DiskOptions } from "./machine_options.ts";

/** What every disk may have. */
export interface DiskCommon {
  /** "xvda" and so on, to "xvdp"; default: the first that is free. */
  readonly vdev?: string;
}

/** One disk of the guest: a file, a file with options, a store, a store with a name. */
export type DiskSpec =
  | string
  | URL
  | BlockStore
  | (DiskCommon & DiskFileOptions & { readonly path: string | URL })
  | (DiskCommon & { readonly store: BlockStore });

/** One letter's worth of whole disks: what every kernel's blkfront knows. */
const MOST_DISKS = 16;

/** A disk of a machine, as programs see it. */
export class MachineDisk {
  readonly #blkback: Blkback;

  /** `changed`: the guest has something to hear of. */
  constructor(blkback: Blkback, readonly changed: () => void) {
    this.#blkback = blkback;
  }

  /** "xvda" and so on. */
  get name(): string {
    return this.#blkback.options.device;
  }

  /** In bytes. */
  get size(): number {
    return this.#blkback.options.store.size;
  }

  /** The guest may not write. */
  get readonly(): boolean {
    return this.#blkback.options.store.readonly ?? false;
  }

  /**
   * Makes the disk `size` bytes long, like 2147483648 or "2G", and tells the guest, whether it runs or not. Disks only
   * grow. A store of your own without `resize` has grown before. Rejects with {@linkcode ConfigError}.
   */
  async resize(size: number | string): Promise<void> {
    const { store } = this.#blkback.options;
    const bytes = typeof size === "string" ? parseSize(size) : size;
    const wrong = (why: string) => new ConfigError(`Cannot resize ${this.name} to ${bytes} bytes: ${why}`);
    const unit = store.sectorBytes ?? 512;
    if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % unit !== 0) {
      throw wrong(`that is no multiple of ${unit}`);
    }
    if (store.resize === undefined) {
      if (store.size !== bytes) throw wrong(`its store has no resize, and ${store.size} bytes`);
    } else {
      if (bytes < store.size) throw wrong(`it has ${store.size}, and a disk only grows`);
      try {
        if (bytes > store.size) await store.resize(bytes);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new ConfigError(wrong(why).message, "host", { cause });
      }
    }
    this.#blkback.resized();
    this.changed();
  }
}

/** Opens all of them, or none. Rejects with {@linkcode ConfigError}. */
export async function openDisks(specs: readonly DiskSpec[]): Promise<DiskOptions[]> {
  const names = nameDisks(specs.map((spec) => (isObject(spec) && "vdev" in spec ? spec.vdev : undefined)));
  const disks: DiskOptions[] = [];
  try {
    for (const [i, spec] of specs.entries()) {
      disks.push({ store: await open(spec), device: names[i] as string });
    }
    return disks;
  } catch (error) {
    await closeDisks(disks);
    throw error;
  }
}

/** Lets go of them. */
export async function closeDisks(disks: readonly DiskOptions[]): Promise<void> {
  for (const { store } of disks) await store.close?.();
}

/** A name for each disk; throws ConfigError for names that are none, or twice there, and for too many. */
export function nameDisks(wanted: readonly (string | undefined)[]): string[] {
  if (wanted.length > MOST_DISKS) {
    throw new ConfigError(`Cannot attach ${wanted.length} disks: a guest has at most ${MOST_DISKS}`);
  }
  const taken = new Set<string>();
  for (const name of wanted) {
    if (name === undefined) continue;
    if (!/^xvd[a-p]$/.test(name) || virtualDevice(name) === undefined) {
      throw new ConfigError(`Cannot attach a disk as ${JSON.stringify(name)}: it is xvda to xvdp`);
    }
    if (taken.has(name)) throw new ConfigError(`Cannot attach two disks as ${name}`);
    taken.add(name);
  }
  return wanted.map((name) => {
    if (name !== undefined) return name;
    for (let i = 0;; i++) {
      const free = `xvd${String.fromCharCode(97 + i)}`;
      if (taken.has(free)) continue;
      taken.add(free);
      return free;
    }
  });
}

function isObject(spec: DiskSpec): spec is Exclude<DiskSpec, string | URL> {
  return typeof spec === "object" && !(spec instanceof URL);
}

async function open(spec: DiskSpec): Promise<BlockStore> {
  if (isObject(spec) && !("path" in spec)) return "store" in spec ? spec.store : spec;
  const { openDisk } = await import("../storage/open_disk.ts");
  return isObject(spec) ? await openDisk(pathOf(spec.path), spec) : await openDisk(pathOf(spec));
}

function pathOf(path: string | URL): string {
  const found = hostPath(path);
  if (found !== undefined) return found;
  throw new ConfigError(`Cannot use disk "${path}": it is not in a file here; bring a store that fetches it`);
}
