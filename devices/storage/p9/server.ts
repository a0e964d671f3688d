// SPDX-License-Identifier: MIT
/**
 * A 9P2000.L server for one client over a {@linkcode P9FileSystem}: what Linux's client asks for. Whatever is wrong with
 * a message, or not served, is answered with Rlerror. Every attach has the rights of whoever runs us: who may do what
 * inside the guest is the guest kernel's business, by the modes and owners it is shown.
 *
 * What the guest makes belongs to whoever runs us. With `owners`, as a guest's root file system wants it, it belongs to
 * the user and the group that made it in the guest, by the same numbers, as far as the host allows that (root may); then
 * set-user-id and set-group-id can be given, and FIFOs and sockets be made. Device nodes are never made: they would be the
 * host's devices. Those that are there are the guest's own devices to the guest.
 *
 * Locks hold among the programs of the guest alone: its kernel keeps them, we grant them all.
 *
 * Not done: authentication.
 * @module
 */
import type { P9Service, P9ServiceState } from "../../../xen/backend/p9/service.ts";
import { ExtendedAttributes } from "./extended_attributes.ts";
import { type AttributeUse, type Fid, Fids, type Node, NONUNAME } from "./fids.ts";
import {
  EBADF,
  EEXIST,
  EINVAL,
  EIO,
  EISDIR,
  ENAMETOOLONG,
  ENFILE,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  EPROTO,
  EROFS,
  O_ACCMODE,
  O_EXCL,
  O_TRUNC,
  type P9FileSystem,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "./file_system.ts";
import {
  ALL_MODE_BITS,
  attributesOf,
  changesFrom,
  entriesInto,
  PLAIN_MODE_BITS,
  qidOf,
  spaceOf,
} from "./records.ts";
import * as P from "./wire.ts";
import { HEADER, MAXWELEM, MessageReader, MessageWriter, NOFID } from "./wire.ts";

const VERSION = "9P2000.L";
/** Smallest message size that is agreed to. */
const MIN_MSIZE = 4096;
/** Before Tversion. */
const FIRST_MSIZE = 8192;
/** Rread and Rreaddir before their data: header and count[4]. */
const DATA_HEADER = HEADER + 4;
const AT_REMOVEDIR = 0x200;
const F_UNLCK = 2;
const P9_LOCK_SUCCESS = 0;

/** Requests that change the share. */
const WRITES: ReadonlySet<number> = new Set([
  P.Tlcreate,
  P.Tsymlink,
  P.Tmknod,
  P.Trename,
  P.Tsetattr,
  P.Tlink,
  P.Tmkdir,
  P.Trenameat,
  P.Tunlinkat,
  P.Twrite,
  P.Tremove,
  P.Txattrcreate,
]);

/** What a request came to: an answer without its header, or a negative errno. */
type Outcome = MessageWriter | number;

/** See the module's description. */
export class P9Server implements P9Service {
  readonly #fids: Fids;
  readonly #attributes: ExtendedAttributes;
  readonly #modeBits: number;
  #msize = 0;

  /** `owners`: see the module's description. */
  constructor(
    readonly files: P9FileSystem,
    readonly readonly = false,
    maxHandles?: number,
    readonly owners = false,
  ) {
    this.#fids = new Fids(files, maxHandles);
    this.#attributes = new ExtendedAttributes(files, this.#fids, owners);
    this.#modeBits = owners ? ALL_MODE_BITS : PLAIN_MODE_BITS;
  }

  handle(message: Uint8Array<ArrayBuffer>, limit: number): Uint8Array | Promise<Uint8Array> {
    const request = new MessageReader(message);
    const type = message[4] as number;
    const tag = (message[5] as number) | (message[6] as number) << 8;
    const finish = (outcome: Outcome): Uint8Array => {
      if (request.bad) outcome = -EPROTO;
      if (typeof outcome !== "number") return outcome.finish(type + 1, tag);
      return answer(4).u32(outcome < 0 ? -outcome : EIO).finish(P.Rlerror, tag);
    };
    if (message.length > (this.#msize || FIRST_MSIZE)) return finish(-EPROTO);
    if (this.readonly && WRITES.has(type)) return finish(-EROFS);
    const outcome = this.#dispatch(type, request, limit);
    return outcome instanceof Promise ? outcome.then(finish) : finish(outcome);
  }

  reset(): void {
    this.#fids.clear();
    this.#msize = 0;
  }

  save(): P9ServiceState {
    return { msize: this.#msize, fids: this.#fids.save() };
  }

  restore(state: P9ServiceState): void {
    this.#msize = state.msize;
    this.#fids.restore(state.fids);
  }

  close(): void {
    this.reset();
    this.files.end();
  }

  #dispatch(type: number, r: MessageReader, limit: number): Outcome | Promise<Outcome> {
    switch (type) {
      case P.Tversion:
        return this.#version(r, limit);
      case P.Tattach:
        return this.#attach(r);
      case P.Twalk:
        return this.#walk(r);
      case P.Tflush: // what it names is answered: requests are answered in order
        return answer(0);
      case P.Tclunk:
        return this.#clunk(r.u32());
    }
    if (!FID_REQUESTS.has(type)) return -EOPNOTSUPP;
    const fid = r.u32();
    const found = this.#fids.get(fid);
    if (r.bad) return -EPROTO;
    if (typeof found === "number") {
      this.#fids.clunk(type === P.Tremove ? fid : NOFID);
      return found;
    }
    if (found.attribute !== undefined) return this.#onAttribute(type, r, found.attribute, limit);
    switch (type) {
      case P.Tread:
        return this.#read(r, found, limit);
      case P.Twrite:
        return this.#write(r, found);
      case P.Treaddir:
        return this.#readdir(r, found, limit);
      case P.Tfsync:
        return this.#sync(r, found);
      case P.Tgetattr:
        return this.#getattr(found);
      case P.Tsetattr: {
        const changes = changesFrom(r, this.#modeBits);
        return r.bad ? -EPROTO : done(this.files.change(found.node.handle, changes));
      }
      case P.Tlopen:
        return this.#open(found, r.u32(), r);
      case P.Treadlink: {
        const target = this.files.readlink(found.node.handle);
        return typeof target === "number" ? target : answer(2 + target.length).string(target);
      }
      case P.Tstatfs:
        return spaceOf(this.files.space(found.node.handle));
      case P.Txattrwalk: {
        const newFid = r.u32(), name = r.string();
        const size = r.bad ? -EPROTO : this.#attributes.walk(found, newFid, name);
        return size < 0 ? size : answer(8).u64(BigInt(size));
      }
      case P.Txattrcreate: {
        const name = r.string(), size = r.u64(), flags = r.u32();
        return r.bad ? -EPROTO : done(this.#attributes.create(found, name, size, flags));
      }
      case P.Tlock:
        return answer(1).u8(P9_LOCK_SUCCESS);
      case P.Tgetlock:
        return getlock(r);
      case P.Tremove: {
        const outcome = this.#remove(found.node);
        this.#fids.clunk(fid); // whatever came of it
        return outcome;
      }
      default:
        return this.#inFolder(type, r, found);
    }
  }

  /** Requests that name something in a folder. */
  #inFolder(type: number, r: MessageReader, fid: Fid): Outcome {
    const { handle } = fid.node;
    if (type === P.Trename) return this.#renameFid(r, fid.node);
    const source = type === P.Tlink ? this.#fids.get(r.u32()) : undefined;
    if (typeof source === "number") return source;
    const name = r.string();
    const problem = r.bad ? -EPROTO : checkName(name);
    if (problem < 0) return problem;
    switch (type) {
      case P.Tlcreate:
        return this.#create(r, fid, name);
      case P.Tmkdir: {
        const mode = r.u32() & this.#modeBits, gid = r.u32();
        return r.bad ? -EPROTO : this.#made(fid, name, this.files.makeFolder(handle, name, mode), gid, mode);
      }
      case P.Tsymlink: {
        const target = r.string(), gid = r.u32();
        if (r.bad) return -EPROTO;
        if (target === "" || target.includes("\0")) return -EINVAL;
        return this.#made(fid, name, this.files.symlink(handle, name, target), gid);
      }
      case P.Tmknod: {
        const wanted = r.u32();
        r.u64(); // the device's numbers
        const gid = r.u32();
        if (r.bad) return -EPROTO;
        const kind = wanted & S_IFMT, mode = wanted & this.#modeBits;
        if (this.owners && (kind === S_IFIFO || kind === S_IFSOCK)) {
          return this.#made(fid, name, this.files.makeSpecial(handle, name, kind | mode), gid);
        }
        if (kind !== S_IFREG && kind !== 0) return -EPERM;
        const file = this.files.create(handle, name, 1 | O_EXCL, mode);
        if (file >= 0) this.files.close(file);
        return this.#made(fid, name, Math.min(file, 0), gid, mode);
      }
      case P.Tlink: {
        const place = this.#fids.place((source as Fid).node);
        if (typeof place === "number") return place;
        return done(this.files.link(place.parent.handle, place.name, handle, name));
      }
      case P.Trenameat: {
        const to = this.#fids.get(r.u32());
        const newName = r.string();
        if (r.bad) return -EPROTO;
        if (typeof to === "number") return to;
        return this.#rename(fid.node, name, to.node, newName);
      }
      default: { // Tunlinkat
        const flags = r.u32();
        if (r.bad) return -EPROTO;
        return done(this.files.remove(handle, name, (flags & AT_REMOVEDIR) !== 0));
      }
    }
  }

  #version(r: MessageReader, limit: number): Outcome {
    const asked = r.u32();
    const version = r.string();
    if (r.bad) return -EPROTO;
    if (asked < MIN_MSIZE) return -EINVAL;
    this.reset();
    const known = version === VERSION;
    const msize = Math.min(asked, limit);
    if (known) this.#msize = msize;
    return answer(32).u32(msize).string(known ? VERSION : "unknown");
  }

  #attach(r: MessageReader): Outcome {
    const fid = r.u32();
    const afid = r.u32();
    r.string(); // uname
    const aname = r.string();
    const uid = r.left >= 4 ? r.u32() : NONUNAME;
    if (r.bad || this.#msize === 0) return -EPROTO;
    if (afid !== NOFID) return -EOPNOTSUPP;
    if (aname !== "" && aname !== "/") return -ENOENT;
    if (fid === NOFID || this.#fids.has(fid)) return -EBADF;
    const root = this.#fids.root();
    if (typeof root === "number") return root;
    return this.#answerQid(fid, root, uid);
  }

  /** Gives `fid` the node, and answers with its qid. */
  #answerQid(fid: number, node: Node, uid: number): Outcome {
    const stat = this.files.stat(node.handle);
    const problem = this.#fids.set(fid, node, uid);
    if (problem < 0) return problem;
    return typeof stat === "number" ? stat : answer(13).qid(qidOf(stat));
  }

  #walk(r: MessageReader): Outcome {
    const fid = r.u32();
    const newFid = r.u32();
    const count = r.u16();
    if (count > MAXWELEM) return -EINVAL;
    const names = Array.from({ length: count }, () => r.string());
    const from = this.#fids.get(fid);
    if (r.bad) return -EPROTO;
    if (typeof from === "number") return from;
    if (newFid === NOFID || (newFid !== fid && this.#fids.has(newFid))) return -EBADF;
    if (from.open !== undefined && newFid === fid) return -EBADF;
    const out = answer(2 + 13 * count).u16(0);
    let node = this.#fids.use(from.node);
    let walked = 0;
    for (const name of names) {
      const step = this.#step(node, name);
      if (typeof step === "number") {
        this.#fids.release(node);
        if (walked === 0) return step;
        return relength(out, walked);
      }
      this.#fids.release(node);
      node = step;
      const stat = this.files.stat(node.handle);
      if (typeof stat === "number") {
        this.#fids.release(node);
        return stat;
      }
      out.qid(qidOf(stat));
      walked++;
    }
    const problem = this.#fids.set(newFid, node, from.uid);
    return problem < 0 ? problem : relength(out, walked);
  }

  #step(node: Node, name: string): Node | number {
    const problem = name === ".." ? 0 : checkName(name);
    return problem < 0 ? problem : this.#fids.walk(node, name);
  }

  #open(fid: Fid, flags: number, r: MessageReader): Outcome {
    if (r.bad) return -EPROTO;
    if (fid.open !== undefined) return -EBADF;
    if ((flags & O_ACCMODE) === O_ACCMODE) return -EINVAL;
    if (this.readonly && (flags & (O_ACCMODE | O_TRUNC)) !== 0) return -EROFS;
    if (!this.#fids.room) return -ENFILE;
    const handle = this.files.open(fid.node.handle, flags);
    if (handle < 0) return handle;
    this.#fids.opened(fid, handle, flags);
    return this.#opened(fid);
  }

  #opened(fid: Fid): Outcome {
    const stat = this.files.stat(fid.node.handle);
    return typeof stat === "number" ? stat : answer(17).qid(qidOf(stat)).u32(0);
  }

  /** The fid becomes the new file's. */
  #create(r: MessageReader, fid: Fid, name: string): Outcome {
    const flags = r.u32();
    const mode = r.u32() & this.#modeBits, gid = r.u32();
    if (r.bad) return -EPROTO;
    if (fid.open !== undefined) return -EBADF;
    if ((flags & O_ACCMODE) === O_ACCMODE) return -EINVAL;
    if (!this.#fids.room) return -ENFILE;
    const made = this.files.create(fid.node.handle, name, flags | O_EXCL, mode);
    const wasThere = made === -EEXIST && (flags & O_EXCL) === 0;
    if (made < 0 && !wasThere) return made;
    const node = this.#fids.walk(fid.node, name);
    // a new file may be written by who made it, whatever its mode says: it is not opened once more
    const handle = typeof node === "number" ? node : wasThere ? this.files.open(node.handle, flags) : made;
    if (made >= 0 && (typeof node === "number" || !this.#fids.is(node, made))) {
      this.files.close(made);
      if (typeof node !== "number") this.#fids.release(node);
      return -ENOENT; // somebody was quicker
    }
    if (typeof node === "number") return node;
    if (handle < 0) {
      this.#fids.release(node);
      return handle;
    }
    if (made >= 0) this.#own(node, fid.uid, gid, mode);
    this.#fids.release(fid.node);
    fid.node = node;
    this.#fids.opened(fid, handle, flags);
    return this.#opened(fid);
  }

  /** Something was made in a folder by fid `by`; `mode` when it has one of its own. */
  #made(by: Fid, name: string, result: number, gid: number, mode?: number): Outcome {
    if (result < 0) return result;
    const node = this.#fids.walk(by.node, name);
    if (typeof node === "number") return node;
    this.#own(node, by.uid, gid, mode);
    const stat = this.files.stat(node.handle);
    this.#fids.release(node);
    return typeof stat === "number" ? stat : answer(13).qid(qidOf(stat));
  }

  /** What is new gets the owner and the mode it has in the guest: our own umask does not count. */
  #own(node: Node, uid: number, gid: number, mode?: number): void {
    if (!this.owners) return;
    // without the right to do that, it stays with whoever runs us
    if (uid !== NONUNAME) this.files.change(node.handle, { uid, gid });
    if (mode !== undefined) this.files.change(node.handle, { mode });
  }

  #renameFid(r: MessageReader, node: Node): Outcome {
    const to = this.#fids.get(r.u32());
    const name = r.string();
    if (r.bad) return -EPROTO;
    if (typeof to === "number") return to;
    const place = this.#fids.place(node);
    return typeof place === "number" ? place : this.#rename(place.parent, place.name, to.node, name);
  }

  #rename(from: Node, oldName: string, to: Node, newName: string): Outcome {
    const problem = checkName(newName);
    if (problem < 0) return problem;
    const moved = this.#fids.walk(from, oldName);
    if (typeof moved === "number") return moved;
    const { id } = moved;
    this.#fids.release(moved);
    const result = this.files.rename(from.handle, oldName, to.handle, newName);
    if (result < 0) return result;
    this.#fids.renamed(id, from, oldName, to, newName);
    return answer(0);
  }

  #remove(node: Node): Outcome {
    const place = this.#fids.place(node);
    if (typeof place === "number") return place;
    const result = this.files.remove(place.parent.handle, place.name, false);
    return done(result === -EISDIR ? this.files.remove(place.parent.handle, place.name, true) : result);
  }

  #getattr(fid: Fid): Outcome {
    const stat = this.files.stat(fid.node.handle);
    return typeof stat === "number" ? stat : attributesOf(stat);
  }

  /** Room for data in an answer. */
  #room(count: number, limit: number): number {
    return Math.min(count, Math.min(this.#msize || FIRST_MSIZE, limit) - DATA_HEADER);
  }

  /** What is asked of a fid that stands for an extended attribute. */
  #onAttribute(type: number, r: MessageReader, use: AttributeUse, limit: number): Outcome {
    if (type !== P.Tread && type !== P.Twrite) return -EBADF;
    const at = r.u64(), count = r.u32();
    if (type === P.Twrite) {
      const data = r.data(count);
      const n = r.bad ? -EPROTO : this.#attributes.write(use, at, data);
      return n < 0 ? n : answer(4).u32(n);
    }
    const data = r.bad ? -EPROTO : this.#attributes.read(use, at, this.#room(count, limit));
    return typeof data === "number" ? data : answer(4 + data.length).u32(data.length).data(data);
  }

  /** The fid is let go, whatever comes of it. */
  #clunk(fid: number): Outcome {
    const found = this.#fids.get(fid);
    const outcome = typeof found === "number" ? 0 : this.#attributes.commit(found);
    return this.#fids.clunk(fid) ? done(outcome) : -EBADF;
  }

  #read(r: MessageReader, fid: Fid, limit: number): Outcome | Promise<Outcome> {
    const at = r.u64();
    const count = this.#room(r.u32(), limit);
    if (r.bad) return -EPROTO;
    if (fid.open === undefined) return -EBADF;
    if (at >= 2n ** 63n) return -EINVAL;
    const out = answer(4 + count).u32(0);
    const finish = (n: number): Outcome => n < 0 ? n : recount(out.skip(n), n);
    const n = this.files.read(fid.open.handle, out.room(count), at);
    return typeof n === "number" ? finish(n) : n.then(finish);
  }

  #write(r: MessageReader, fid: Fid): Outcome | Promise<Outcome> {
    const at = r.u64();
    const data = r.data(r.u32());
    if (r.bad) return -EPROTO;
    if (fid.open === undefined) return -EBADF;
    if (at >= 2n ** 63n) return -EINVAL;
    const finish = (n: number): Outcome => n < 0 ? n : answer(4).u32(n);
    const n = this.files.write(fid.open.handle, data, at);
    return typeof n === "number" ? finish(n) : n.then(finish);
  }

  #readdir(r: MessageReader, fid: Fid, limit: number): Outcome {
    const at = r.u64();
    const count = this.#room(r.u32(), limit);
    if (r.bad) return -EPROTO;
    if (fid.open === undefined) return -EBADF;
    if (count < 0) return -EINVAL;
    const entries = this.files.list(fid.open.handle, at, count);
    if (typeof entries === "number") return entries;
    const out = answer(4 + count).u32(0);
    const length = entriesInto(out, entries, count);
    return length < 0 ? length : recount(out, length);
  }

  #sync(r: MessageReader, fid: Fid): Outcome | Promise<Outcome> {
    const dataOnly = r.left >= 4 && r.u32() !== 0;
    if (fid.open === undefined) return -EBADF;
    const result = this.files.sync(fid.open.handle, dataOnly);
    return typeof result === "number" ? done(result) : result.then(done);
  }
}

/** Requests whose first field is a fid that must be there. */
const FID_REQUESTS: ReadonlySet<number> = new Set([
  ...[P.Tstatfs, P.Tlopen, P.Tlcreate, P.Tsymlink, P.Tmknod, P.Trename, P.Treadlink, P.Tgetattr, P.Tsetattr],
  ...[P.Treaddir, P.Tfsync, P.Tlock, P.Tgetlock, P.Tlink, P.Tmkdir, P.Trenameat, P.Tunlinkat, P.Tread],
  ...[P.Twrite, P.Tremove, P.Txattrwalk, P.Txattrcreate],
]);

/** An answer with room for `bytes` after its header. */
function answer(bytes: number): MessageWriter {
  return new MessageWriter(HEADER + bytes);
}

function done(result: number): Outcome {
  return result < 0 ? result : answer(0);
}

/** Names in a folder: what could lead anywhere else is none. */
function checkName(name: string): number {
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    return -EINVAL;
  }
  return name.length > 255 ? -ENAMETOOLONG : 0;
}

/** Nobody of ours holds a lock: says what was asked about, unlocked. */
function getlock(r: MessageReader): Outcome {
  r.u8();
  const start = r.u64(), length = r.u64(), process = r.u32(), client = r.string();
  if (r.bad) return -EPROTO;
  return answer(23 + client.length).u8(F_UNLCK).u64(start).u64(length).u32(process).string(client);
}

/** nwqid[2] of an Rwalk. */
function relength(out: MessageWriter, count: number): MessageWriter {
  return out.patch16(HEADER, count);
}

/** count[4] of an Rread. */
function recount(out: MessageWriter, count: number): MessageWriter {
  return out.patch32(HEADER, count);
}
