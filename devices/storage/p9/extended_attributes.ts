// SPDX-License-Identifier: MIT
/**
 * Extended attributes by 9P2000.L: a fid stands for one of them, or for the list of their names, after Txattrwalk, and
 * is read like a file; after Txattrcreate it is written like one, and the attribute is set when the fid is let go.
 *
 * A guest has those of the user's namespace. Others mean something to the host's kernel (`security.capability` makes a
 * program privileged), so only a guest whose root file system this is, with `owners`, has them, as it has set-user-id.
 * @module
 */
import type { AttributeUse, Fid, Fids } from "./fids.ts";
import { E2BIG, EBADF, EINVAL, EOPNOTSUPP, type P9FileSystem } from "./file_system.ts";
import { byteString, NOFID, textBytes } from "./wire.ts";

/** XATTR_SIZE_MAX of Linux. */
const MAX_BYTES = 65536;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

/** See the module's description. */
export class ExtendedAttributes {
  readonly #served: RegExp;

  constructor(readonly files: P9FileSystem, readonly fids: Fids, owners: boolean) {
    this.#served = owners ? /^(user|trusted|security|system)\../s : /^user\../s;
  }

  /** Makes `newFid` stand for an attribute of the file, with no name for the list of names. Its size or an errno. */
  walk(fid: Fid, newFid: number, name: string): number {
    if (newFid === NOFID || this.fids.has(newFid)) return -EBADF;
    const bytes = name === "" ? this.#names(fid) : this.#value(fid, name);
    if (typeof bytes === "number") return bytes;
    const problem = this.fids.set(newFid, this.fids.use(fid.node), fid.uid);
    if (problem < 0) return problem;
    const result = this.fids.useAttribute(this.fids.get(newFid) as Fid, { bytes, filled: bytes.length });
    if (result < 0) this.fids.clunk(newFid);
    return result < 0 ? result : bytes.length;
  }

  /** The fid collects `size` bytes for an attribute from now on. */
  create(fid: Fid, name: string, size: bigint, flags: number): number {
    if (fid.open !== undefined) return -EBADF;
    if (!this.#isServed(name)) return -EOPNOTSUPP;
    if (size > MAX_BYTES) return -E2BIG;
    const bytes = new Uint8Array(Number(size));
    return this.fids.useAttribute(fid, { bytes, filled: 0, set: { name, flags } });
  }

  /** What is at `at`, at most `count` bytes. */
  read({ bytes, set }: AttributeUse, at: bigint, count: number): Uint8Array | number {
    if (set !== undefined) return -EBADF;
    const from = at < BigInt(bytes.length) ? Number(at) : bytes.length;
    return bytes.subarray(from, from + Math.max(count, 0));
  }

  /** Takes the bytes that follow those that have come; how many, or an errno. */
  write(use: AttributeUse, at: bigint, data: Uint8Array): number {
    if (use.set === undefined) return -EBADF;
    if (at !== BigInt(use.filled) || data.length > use.bytes.length - use.filled) return -EINVAL;
    use.bytes.set(data, use.filled);
    use.filled += data.length;
    return data.length;
  }

  /** The fid is about to be let go: sets what it has collected. */
  commit({ node: { handle }, attribute }: Fid): number {
    if (attribute?.set === undefined) return 0;
    const { bytes, filled, set: { name, flags } } = attribute;
    if (filled !== bytes.length) return -EINVAL;
    // Linux's client removes one by this; an empty value that replaces another cannot be told from it
    if (bytes.length === 0 && (flags & XATTR_REPLACE) !== 0) return this.files.removeAttribute(handle, name);
    return this.files.setAttribute(handle, name, bytes, flags & (XATTR_CREATE | XATTR_REPLACE));
  }

  #isServed(name: string): boolean {
    return this.#served.test(name) && !name.includes("\0");
  }

  #value(fid: Fid, name: string): Uint8Array<ArrayBuffer> | number {
    return this.#isServed(name) ? this.files.attribute(fid.node.handle, name) : -EOPNOTSUPP;
  }

  #names(fid: Fid): Uint8Array<ArrayBuffer> | number {
    const all = this.files.attribute(fid.node.handle);
    if (typeof all === "number") return all;
    const served = byteString(all).split("\0").filter((name) => this.#isServed(name));
    return textBytes(served.map((name) => `${name}\0`).join(""));
  }
}
