// SPDX-License-Identifier: MIT
/** Makes 9P servers out of names of folders. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { hostPath } from "../loaders/host_file.ts";
import type { ShareOptions } from "./machine_options.ts";

/** One folder of the host's. */
export interface ShareSpec {
  /** The folder; a URL is a file: URL. */
  readonly path: string | URL;
  /** What the guest mounts it by. */
  readonly tag: string;
  /** The guest may not write. */
  readonly readonly?: boolean;
  /** What the guest makes gets the owner it has in the guest, as far as the host allows: for a root file system. */
  readonly owners?: boolean;
}

/** Each takes a MiB of the guest's memory. */
const MOST_SHARES = 16;

/** For messages about {@linkcode isTag}. */
export const TAG_RULE = "1 to 31 letters, digits or . _ -";

/** True for a tag that needs no quotes on a guest's command line. */
export function isTag(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,31}$/.test(text);
}

/** Throws ConfigError for tags that are none or there twice, and for too many. */
export function checkShares(specs: readonly ShareSpec[]): void {
  if (specs.length > MOST_SHARES) {
    throw new ConfigError(`Cannot share ${specs.length} folders: a guest has at most ${MOST_SHARES}`);
  }
  const taken = new Set<string>();
  for (const { tag } of specs) {
    if (!isTag(tag)) throw new ConfigError(`Cannot use ${JSON.stringify(tag)} as tag: it is ${TAG_RULE}`);
    if (taken.has(tag)) throw new ConfigError(`Cannot share two folders as ${JSON.stringify(tag)}`);
    taken.add(tag);
  }
}

/** Opens all of them, or none. Throws {@linkcode ConfigError}. */
export async function openShares(specs: readonly ShareSpec[]): Promise<ShareOptions[]> {
  checkShares(specs);
  const shares: ShareOptions[] = [];
  if (specs.length === 0) return shares;
  const { HostFolder } = await import("../storage/p9/host_folder.ts");
  const { P9Server } = await import("../storage/p9/server.ts");
  try {
    for (const { path, tag, readonly = false, owners = false } of specs) {
      shares.push({ tag, service: new P9Server(HostFolder.open(pathOf(path)), readonly, undefined, owners) });
    }
    return shares;
  } catch (error) {
    closeShares(shares);
    throw error;
  }
}

/** Lets go of them. */
export function closeShares(shares: readonly ShareOptions[]): void {
  for (const { service } of shares) service.close();
}

/** The path that `path` stands for. Throws ConfigError. */
export function pathOf(path: string | URL): string {
  const found = hostPath(path);
  if (found === undefined) throw new ConfigError(`Cannot share "${path}": it is no folder of this host`);
  return found;
}
