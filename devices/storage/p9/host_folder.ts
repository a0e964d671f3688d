// SPDX-License-Identifier: MIT
/**
 * A folder of the host's as a tree of files. A door to the host: Linux's own calls by FFI. Deno's file API takes paths,
 * and between looking at a path and using it somebody may have put a symbolic link there; here a handle is a
 * descriptor of the file itself (O_PATH), every step is one openat(2) of one name that follows no link, and so nothing
 * is reached but what is below the folder. What is opened for reading and writing is the very file that was found
 * (/proc/self/fd/N), after it has turned out to be a regular file or a folder. Mounts inside the folder are not entered.
 *
 * Calls on names and attributes are made at once; reading first asks for what the page cache has (RWF_NOWAIT); other
 * reading, writing and syncing is left to a thread of the runtime's pool.
 *
 * A folder that the host moves out of the share while a guest holds it stays reachable until the guest lets go. A hard
 * link inside the folder to a file that is outside, too, is a file of the folder.
 *
 * Not done: other systems than Linux.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import {
  type Attributes,
  type Changes,
  EINVAL,
  EIO,
  EISDIR,
  type Entry,
  EPERM,
  EXDEV,
  type Handle,
  O_ACCMODE,
  O_EXCL,
  O_TRUNC,
  type P9FileSystem,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Space,
  type Time,
} from "./file_system.ts";
import { addressOf, type Calls, type Libc, libc } from "../libc.ts";
import { byteString, textBytes } from "./wire.ts";

const O_CREAT = 0o100;
const O_NONBLOCK = 0o4000;
const O_DSYNC = 0o10000;
const O_SYNC = 0o4010000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
// where the architectures differ
const O_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const O_NOFOLLOW = Deno.build.arch === "aarch64" ? 0o100000 : 0o400000;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const RWF_NOWAIT = 8;
const NOBODY = 0xffff_ffff; // chown(2): leave it
const UTIME_NOW = 0x3fff_ffffn;
const UTIME_OMIT = 0x3fff_fffen;
const EINTR = 4;
/** struct statx */
const STATX = {
  blksize: 4,
  nlink: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  ino: 32,
  size: 40,
  blocks: 48,
  atime: 64,
  ctime: 96,
  mtime: 112,
  rdev: 128,
  dev: 136,
};
/** struct linux_dirent64 */
const DIRENT = { ino: 0, off: 8, reclen: 16, type: 18, name: 19 };
const MAX_TARGET = 4096;
/** XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux. */
const MAX_ATTRIBUTE = 65536;
const EMPTY = new Uint8Array(1);

/** The one line for a folder that cannot be shared. */
function cannotShare(path: string, why: string, kind: "input" | "host" = "input"): ConfigError {
  return new ConfigError(`Cannot share ${JSON.stringify(path)}: ${why}`, kind);
}

function hostCalls(path: string): Libc {
  return libc((why) => cannotShare(path, why, "host"));
}

/** See the module's description. */
export class HostFolder implements P9FileSystem {
  readonly #call: Calls;
  readonly #errno: Int32Array;
  readonly #root: number;
  readonly #dev: bigint;
  readonly #statx = new DataView(new ArrayBuffer(256));
  readonly #attribute = new Uint8Array(MAX_ATTRIBUTE);
  /** Calls of other threads; descriptors are closed after them. */
  #under = 0;
  readonly #toClose: number[] = [];
  #ended = false;

  private constructor(readonly path: string, root: number, dev: bigint) {
    ({ call: this.#call, errno: this.#errno } = hostCalls(path));
    this.#root = root;
    this.#dev = dev;
  }

  /** Throws {@linkcode ConfigError} in one clear line. */
  static open(path: string): HostFolder {
    if (path === "" || path.includes("\0")) throw cannotShare(path, "that is no name of a folder");
    const { call } = hostCalls(path);
    let stat: Deno.FileInfo;
    try {
      stat = Deno.statSync(path);
      Deno.readDirSync(path)[Symbol.iterator]().next();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw cannotShare(path, "no such folder");
      if (error instanceof Deno.errors.NotCapable) throw cannotShare(path, "run with --allow-read", "host");
      if (error instanceof Deno.errors.PermissionDenied) throw cannotShare(path, "permission denied");
      if (error instanceof Deno.errors.NotADirectory) throw cannotShare(path, "it is no folder");
      const message = error instanceof Error ? error.message : String(error);
      throw cannotShare(path, message.replace(/ \(os error \d+\).*$/s, "").toLowerCase());
    }
    if (!stat.isDirectory) throw cannotShare(path, "it is no folder");
    const root = call.open(new TextEncoder().encode(path + "\0"), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (root < 0) throw cannotShare(path, "it cannot be opened");
    const probe = new HostFolder(path, root, 0n);
    const attributes = probe.stat(root);
    if (typeof attributes === "number") throw cannotShare(path, "it cannot be looked at");
    return new HostFolder(path, root, attributes.dev);
  }

  root(): Handle {
    return this.#result(this.#call.openat(this.#root, cstring("."), O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
  }

  walk(folder: Handle, name: string): Handle {
    const found = this.#result(
      this.#call.openat(folder, cstring(name), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0),
    );
    if (found < 0) return found;
    const stat = this.stat(found);
    const problem = typeof stat === "number" ? stat : stat.dev === this.#dev ? 0 : -EXDEV;
    if (problem === 0) return found;
    this.close(found);
    return problem;
  }

  close(handle: Handle): void {
    if (this.#under > 0) this.#toClose.push(handle);
    else this.#call.close(handle);
  }

  stat(handle: Handle): Attributes | number {
    const view = this.#statx;
    const flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
    const bytes = new Uint8Array(view.buffer);
    if (this.#call.statx(handle, EMPTY, flags, STATX_BASIC_STATS, bytes) !== 0) return this.#failure();
    const time = (at: number): Time => ({
      sec: view.getBigInt64(at, true),
      nsec: view.getUint32(at + 8, true),
    });
    const device = (at: number): bigint => makedev(view.getUint32(at, true), view.getUint32(at + 4, true));
    return {
      dev: device(STATX.dev),
      ino: view.getBigUint64(STATX.ino, true),
      mode: view.getUint16(STATX.mode, true),
      nlink: view.getUint32(STATX.nlink, true),
      uid: view.getUint32(STATX.uid, true),
      gid: view.getUint32(STATX.gid, true),
      rdev: device(STATX.rdev),
      size: view.getBigUint64(STATX.size, true),
      blockBytes: view.getUint32(STATX.blksize, true),
      blocks: view.getBigUint64(STATX.blocks, true),
      atime: time(STATX.atime),
      mtime: time(STATX.mtime),
      ctime: time(STATX.ctime),
    };
  }

  open(handle: Handle, flags: number): Handle {
    const kind = this.#kind(handle);
    if (kind < 0) return kind;
    if (kind !== S_IFREG && kind !== S_IFDIR) return -EPERM;
    if (kind === S_IFDIR && (flags & (O_ACCMODE | O_TRUNC)) !== 0) return -EISDIR;
    return this.#result(this.#call.open(procPath(handle), openFlags(flags & ~O_EXCL), 0));
  }

  create(folder: Handle, name: string, flags: number, mode: number): Handle {
    // O_EXCL: what is there already is not opened, whatever it is
    const how = openFlags(flags) | O_CREAT | O_EXCL | O_NOFOLLOW;
    return this.#result(this.#call.openat(folder, cstring(name), how, mode));
  }

  read(open: Handle, into: Uint8Array<ArrayBuffer>, at: bigint): number | Promise<number> {
    if (into.length === 0) return 0;
    const address = addressOf(into);
    for (let done = 0;;) {
      const iovec = new BigUint64Array([address + BigInt(done), BigInt(into.length - done)]);
      const n = this.#call.preadv2(open, new Uint8Array(iovec.buffer), 1, at + BigInt(done), RWF_NOWAIT);
      done += Math.max(n, 0);
      if (n === 0 || done === into.length) return done;
      if (n > 0) continue; // the rest is behind the end, or not in memory
      const rest = into.subarray(done);
      const length = BigInt(rest.length), from = at + BigInt(done);
      return this.#retried(
        () => this.#call.pread_thread(open, rest, length, from),
        () => this.#call.pread(open, rest, length, from),
      ).then((more) => more < 0 ? (done > 0 ? done : more) : done + more);
    }
  }

  write(open: Handle, from: Uint8Array<ArrayBuffer>, at: bigint): number | Promise<number> {
    if (from.length === 0) return 0;
    return this.#retried(
      () => this.#call.pwrite_thread(open, from, BigInt(from.length), at),
      () => this.#call.pwrite(open, from, BigInt(from.length), at),
    );
  }

  async sync(open: Handle, dataOnly: boolean): Promise<number> {
    const { fdatasync_thread, fsync_thread } = this.#call;
    // a second try would say that all is well: the host tells of lost pages once
    const sync = dataOnly ? fdatasync_thread : fsync_thread;
    return await this.#thread(() => sync(open)) === 0 ? 0 : -EIO;
  }

  list(open: Handle, at: bigint, bytes: number): readonly Entry[] | number {
    if (at >= 2n ** 63n) return -EINVAL;
    if (this.#call.lseek(open, at, 0) < 0n) return this.#failure();
    const buffer = new Uint8Array(Math.min(Math.max(bytes, 512), 1 << 16));
    const n = this.#result(this.#call.getdents64(open, buffer, BigInt(buffer.length)));
    if (n < 0) return n;
    const view = new DataView(buffer.buffer);
    const entries: Entry[] = [];
    for (let i = 0; i < n; i += view.getUint16(i + DIRENT.reclen, true)) {
      const name = buffer.subarray(i + DIRENT.name, buffer.indexOf(0, i + DIRENT.name));
      entries.push({
        name: byteString(name),
        ino: view.getBigUint64(i + DIRENT.ino, true),
        type: view.getUint8(i + DIRENT.type),
        next: view.getBigUint64(i + DIRENT.off, true),
      });
    }
    return entries;
  }

  change(handle: Handle, { mode, uid, gid, size, atime, mtime }: Changes): number {
    const kind = this.#kind(handle);
    if (kind < 0) return kind;
    const path = procPath(handle);
    if (size !== undefined) {
      if (kind !== S_IFREG) return kind === S_IFDIR ? -EISDIR : -EINVAL;
      if (size >= 2n ** 63n) return -EINVAL;
      if (this.#call.truncate(path, size) !== 0) return this.#failure();
    }
    if (uid !== undefined || gid !== undefined) {
      const flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
      const result = this.#call.fchownat(handle, EMPTY, uid ?? NOBODY, gid ?? NOBODY, flags);
      if (result !== 0) return this.#failure();
    }
    if (mode !== undefined) {
      if (kind !== S_IFREG && kind !== S_IFDIR) return -EPERM;
      if (this.#call.chmod(path, mode) !== 0) return this.#failure();
    }
    if (atime === undefined && mtime === undefined) return 0;
    const times = BigInt64Array.from([atime, mtime].flatMap(timespec));
    return this.#result(this.#call.utimensat(handle, EMPTY, new Uint8Array(times.buffer), AT_EMPTY_PATH));
  }

  makeFolder(folder: Handle, name: string, mode: number): number {
    return this.#result(this.#call.mkdirat(folder, cstring(name), mode));
  }

  makeSpecial(folder: Handle, name: string, mode: number): number {
    return this.#result(this.#call.mknodat(folder, cstring(name), mode, 0n));
  }

  symlink(folder: Handle, name: string, target: string): number {
    return this.#result(this.#call.symlinkat(cstring(target), folder, cstring(name)));
  }

  readlink(handle: Handle): string | number {
    if (this.#kind(handle) !== S_IFLNK) return -EINVAL;
    const target = new Uint8Array(MAX_TARGET);
    const n = this.#result(this.#call.readlinkat(handle, EMPTY, target, BigInt(target.length)));
    return n < 0 ? n : byteString(target.subarray(0, n));
  }

  link(from: Handle, fromName: string, folder: Handle, name: string): number {
    return this.#result(this.#call.linkat(from, cstring(fromName), folder, cstring(name), 0));
  }

  rename(from: Handle, fromName: string, to: Handle, toName: string): number {
    return this.#result(this.#call.renameat(from, cstring(fromName), to, cstring(toName)));
  }

  remove(folder: Handle, name: string, isFolder: boolean): number {
    return this.#result(this.#call.unlinkat(folder, cstring(name), isFolder ? AT_REMOVEDIR : 0));
  }

  space(handle: Handle): Space | number {
    const bytes = new Uint8Array(256); // struct statfs has 120
    if (this.#call.fstatfs(handle, bytes) !== 0) return this.#failure();
    const [, size = 0n, blocks = 0n, free = 0n, available = 0n, files = 0n, freeFiles = 0n] =
      new BigUint64Array(bytes.buffer);
    return { blockBytes: Number(size), blocks, free, available, files, freeFiles };
  }

  attribute(handle: Handle, name?: string): Uint8Array<ArrayBuffer> | number {
    const path = procPath(handle), into = this.#attribute, room = BigInt(into.length);
    const n = this.#result(
      name === undefined
        ? this.#call.listxattr(path, into, room)
        : this.#call.getxattr(path, cstring(name), into, room),
    );
    return n < 0 ? n : into.slice(0, n);
  }

  setAttribute(handle: Handle, name: string, value: Uint8Array<ArrayBuffer>, flags: number): number {
    // the FFI wants an address of an empty value, too
    const from = value.length === 0 ? EMPTY : value;
    const length = BigInt(value.length);
    return this.#result(this.#call.setxattr(procPath(handle), cstring(name), from, length, flags));
  }

  removeAttribute(handle: Handle, name: string): number {
    return this.#result(this.#call.removexattr(procPath(handle), cstring(name)));
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.close(this.#root);
  }

  #kind(handle: Handle): number {
    const stat = this.stat(handle);
    return typeof stat === "number" ? stat : stat.mode & S_IFMT;
  }

  /** By another thread; errno is that thread's, so what fails is tried once more by this one. */
  async #retried(thread: () => Promise<number>, here: () => number): Promise<number> {
    const n = await this.#thread(thread);
    if (n >= 0) return n;
    for (;;) {
      const again = this.#result(here());
      if (again !== -EINTR) return again;
    }
  }

  async #thread(call: () => Promise<number>): Promise<number> {
    this.#under++;
    const result = await call();
    this.#under--;
    for (const handle of this.#under === 0 ? this.#toClose.splice(0) : []) this.#call.close(handle);
    return result;
  }

  #result(result: number): number {
    return result < 0 ? this.#failure() : result;
  }

  #failure(): number {
    return -(this.#errno[0] as number) || -EIO;
  }
}

/** Only what means something here: no O_APPEND, since every write says where; no O_DIRECT, since it would ask for alignment. */
function openFlags(flags: number): number {
  const kept = flags & (O_ACCMODE | O_TRUNC | O_EXCL | O_DSYNC | O_SYNC);
  return kept | O_NONBLOCK | O_CLOEXEC;
}

/** The file a descriptor stands for, by a name that leads to nothing else. */
function procPath(handle: Handle): Uint8Array<ArrayBuffer> {
  return cstring(`/proc/self/fd/${handle}`);
}

function cstring(text: string): Uint8Array<ArrayBuffer> {
  return textBytes(text + "\0");
}

function timespec(time: Time | "now" | undefined): [bigint, bigint] {
  if (time === undefined) return [0n, UTIME_OMIT];
  return time === "now" ? [0n, UTIME_NOW] : [BigInt.asIntN(64, time.sec), BigInt(time.nsec)];
}

/** As Linux packs it for user programs. */
function makedev(major: number, minor: number): bigint {
  return BigInt(minor & 0xff) | BigInt(major & 0xfff) << 8n | BigInt(minor & ~0xff) << 12n;
}
