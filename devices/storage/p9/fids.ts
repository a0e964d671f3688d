// SPDX-License-Identifier: MIT
/**
 * The fids of one client, and the files they stand for. A fid keeps the folder it was found in, so that ".." never
 * asks the host and stops at the root. The number of handles is bounded, and so are fids.
 * @module
 */
import type { P9FidState } from "../../../xen/backend/p9/service.ts";
import {
  type Attributes,
  ENFILE,
  ENOENT,
  ESTALE,
  type Handle,
  O_EXCL,
  O_TRUNC,
  type P9FileSystem,
} from "./file_system.ts";

/** Most files a client may hold, open or not. */
export const MAX_HANDLES = 8192;
/** Most fids: several may stand for one file. */
export const MAX_FIDS = 16384;

/** Most bytes of extended attributes that fids may hold together. */
export const MAX_ATTRIBUTE_BYTES = 1 << 20;

/** Whoever attached did not say who it is: P9_NONUNAME. */
export const NONUNAME = 0xffff_ffff;

/** A snapshot keeps fids that are not deeper than this. */
const MAX_SAVED_DEPTH = 1024;

/** A file somebody has found. */
export interface Node {
  readonly handle: Handle;
  /** Device and inode. */
  readonly id: string;
  /** Where it was found; absent: the root. */
  parent?: Node | undefined;
  name: string;
  uses: number;
}

/** A fid. */
export interface Fid {
  node: Node;
  /** Who attached: what is made by this fid is theirs. */
  readonly uid: number;
  /** For reading and writing. */
  open?: { readonly handle: Handle; readonly flags: number };
  /** It stands for an extended attribute of its file, not for the file. */
  attribute?: AttributeUse;
}

/** An extended attribute that is read, or one that is collected to be set. */
export interface AttributeUse {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What becomes of the bytes when the fid is let go; absent: they are there to be read. */
  readonly set?: { readonly name: string; readonly flags: number };
  /** So many bytes of it have come. */
  filled: number;
}

/** See the module's description. */
export class Fids {
  readonly #fids = new Map<number, Fid | undefined>(); // undefined: stale since a snapshot was restored
  readonly #nodes = new Set<Node>();
  #opens = 0;
  #attributeBytes = 0;

  constructor(readonly files: P9FileSystem, readonly maxHandles = MAX_HANDLES) {}

  /** The fid, or an errno. */
  get(fid: number): Fid | number {
    const found = this.#fids.get(fid);
    return found ?? (this.#fids.has(fid) ? -ESTALE : -ENOENT);
  }

  has(fid: number): boolean {
    return this.#fids.has(fid);
  }

  /** Makes `fid` stand for `node`, whose use becomes the fid's, on behalf of user `uid` of the guest. */
  set(fid: number, node: Node, uid: number): number {
    if (!this.#fids.has(fid) && this.#fids.size >= MAX_FIDS) {
      this.release(node);
      return -ENFILE;
    }
    this.clunk(fid);
    this.#fids.set(fid, { node, uid });
    return 0;
  }

  /** Forgets a fid; false when there is none. */
  clunk(fid: number): boolean {
    const found = this.#fids.get(fid);
    if (found !== undefined) {
      this.closeFid(found);
      this.release(found.node);
    }
    return this.#fids.delete(fid);
  }

  clear(): void {
    for (const fid of [...this.#fids.keys()]) this.clunk(fid);
  }

  /** Notes that a fid is open now. */
  opened(fid: Fid, handle: Handle, flags: number): void {
    fid.open = { handle, flags };
    this.#opens++;
  }

  /** Makes the fid stand for an attribute; an errno when attributes take too much already. */
  useAttribute(fid: Fid, attribute: AttributeUse): number {
    if (this.#attributeBytes + attribute.bytes.length > MAX_ATTRIBUTE_BYTES) return -ENFILE;
    this.#attributeBytes += attribute.bytes.length;
    fid.attribute = attribute;
    return 0;
  }

  /** The fid is not open any more. */
  closeFid(fid: Fid): void {
    this.#attributeBytes -= fid.attribute?.bytes.length ?? 0;
    delete fid.attribute;
    if (fid.open === undefined) return;
    this.files.close(fid.open.handle);
    delete fid.open;
    this.#opens--;
  }

  /** There is room for another handle. */
  get room(): boolean {
    return this.#nodes.size + this.#opens < this.maxHandles;
  }

  root(): Node | number {
    return this.#node(this.room ? this.files.root() : -ENFILE, "", undefined);
  }

  /** What `name` is in `folder`; ".." is where the folder was found. Uses of a result are released. */
  walk(folder: Node, name: string): Node | number {
    if (name === "..") return this.use(folder.parent ?? folder);
    return this.#node(this.room ? this.files.walk(folder.handle, name) : -ENFILE, name, folder);
  }

  /** `handle` is the node's file. */
  is(node: Node, handle: Handle): boolean {
    const stat = this.files.stat(handle);
    return typeof stat !== "number" && idOf(stat) === node.id;
  }

  use(node: Node): Node {
    node.uses++;
    return node;
  }

  release(node: Node): void {
    for (let at: Node | undefined = node; at !== undefined && --at.uses === 0; at = at.parent) {
      this.#nodes.delete(at);
      this.files.close(at.handle);
    }
  }

  /** The folder and the name by which `node` can be had right now; names may have changed behind our back. */
  place(node: Node): { readonly parent: Node; readonly name: string } | number {
    const { parent, name } = node;
    if (parent === undefined) return -ENOENT;
    const now = this.walk(parent, name);
    if (typeof now === "number") return now;
    const same = now.id === node.id;
    this.release(now);
    return same ? { parent, name } : -ENOENT;
  }

  /** The file `id` that was `oldName` in a folder is `newName` in another one. */
  renamed(id: string, from: Node, oldName: string, to: Node, newName: string): void {
    for (const node of this.#nodes) {
      if (node.id !== id || node.parent?.id !== from.id || node.name !== oldName) continue;
      // where the host has moved things, too, what we remember could bite its own tail
      if (isAbove(node, to)) continue;
      const before = node.parent;
      node.parent = this.use(to);
      node.name = newName;
      this.release(before);
    }
  }

  save(): P9FidState[] {
    return [...this.#fids].map(([fid, found]) => {
      const path = found && pathOf(found.node);
      if (found === undefined || path === undefined || found.attribute !== undefined) {
        return { fid, path: [], id: "" };
      }
      const { node: { id }, uid, open } = found;
      return { fid, path, id, uid, ...(open !== undefined && { flags: open.flags }) };
    });
  }

  /** Finds everything anew; what is not there any more, or is another file, is stale. */
  restore(states: readonly P9FidState[]): void {
    this.clear();
    for (const { fid, path, id, flags, uid = NONUNAME } of states.slice(0, MAX_FIDS)) {
      this.#fids.set(fid, undefined);
      const node = this.#find(path);
      if (typeof node === "number") continue;
      const found: Fid = { node, uid };
      if (node.id === id && (flags === undefined || this.#reopen(found, flags))) this.#fids.set(fid, found);
      else this.release(node);
    }
  }

  #reopen(fid: Fid, flags: number): boolean {
    const handle = this.room ? this.files.open(fid.node.handle, flags & ~(O_TRUNC | O_EXCL)) : -ENFILE;
    if (handle >= 0) this.opened(fid, handle, flags);
    return handle >= 0;
  }

  #find(path: readonly string[]): Node | number {
    let node = this.root();
    for (const name of path) {
      if (typeof node === "number") return node;
      const next: Node | number = this.walk(node, name);
      this.release(node);
      node = next;
    }
    return node;
  }

  #node(handle: Handle, name: string, parent: Node | undefined): Node | number {
    if (handle < 0) return handle;
    const stat = this.files.stat(handle);
    if (typeof stat === "number") {
      this.files.close(handle);
      return stat;
    }
    const node: Node = { handle, id: idOf(stat), name, uses: 1, parent: parent && this.use(parent) };
    this.#nodes.add(node);
    return node;
  }
}

function idOf({ dev, ino }: Attributes): string {
  return `${dev}:${ino}`;
}

function isAbove(node: Node, below: Node): boolean {
  for (let at: Node | undefined = below; at !== undefined; at = at.parent) if (at === node) return true;
  return false;
}

/** Undefined: too deep to be remembered. */
function pathOf(node: Node): string[] | undefined {
  const names: string[] = [];
  for (let at = node; at.parent !== undefined; at = at.parent) {
    if (names.push(at.name) > MAX_SAVED_DEPTH) return undefined;
  }
  return names.reverse();
}
