// SPDX-License-Identifier: MIT
/**
 * A file of the host's that a disk's image lies in. A door to the host: Linux's own calls by FFI, because reading at an
 * offset, reading only what is in memory already, syncing, punching holes and locking are needed, and Deno's file API has
 * none of them in one place.
 *
 * Reading first asks for what the page cache has (RWF_NOWAIT), which takes some 4 µs and never waits for the device; the
 * rest goes to a thread of the runtime's pool. A small write goes into the page cache at once, as long as that is quick:
 * when the host makes writers wait, it has made us wait once, and the next writes are the business of threads, as large
 * ones always are. The CPU's thread waits for no device.
 *
 * Not done: other systems than Linux.
 * @module
 */
import type { ConfigError } from "../../cpu/base/assert.ts";
import {
  cannotUse,
  describeErrno,
  DiskError,
  EACCES,
  EAGAIN,
  EDQUOT,
  EINTR,
  EINVAL,
  EIO,
  ENODEV,
  ENOSPC,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  EROFS,
} from "./disk_error.ts";
import { addressOf, type Calls, type Libc, libc } from "./libc.ts";

const O_RDONLY = 0;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_CLOEXEC = 0o2000000;
const SEEK_END = 2;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const RWF_NOWAIT = 8;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const FALLOC_FL_ZERO_RANGE = 16;

/** Most bytes of one system call. */
const CHUNK = 1 << 24;
/** Most pieces of one call; Linux has 1024. */
const MOST_IOVECS = 512;
/** Most bytes that are written at once: some 10 µs. */
const SMALL_WRITE = 1 << 16;
/** A write that took longer was made to wait; so many that follow go to threads. */
const SLOW_WRITE_MS = 2;
const AFTER_SLOW_WRITE = 256;
/** Bytes that QEMU's file locks use; see lockFor. */
const QEMU_CONSISTENT_READ = 100;
const QEMU_NO_WRITERS = 201;

/** How a file is opened. */
export interface OpenFile {
  readonly write: boolean;
  /** Makes it; "new": fails when it exists. */
  readonly create?: boolean | "new";
  /** Gone from its folder as soon as it is open. */
  readonly temporary?: boolean;
}

/** See the module's description. */
export class HostFile {
  readonly #call: Calls;
  readonly #errno: Int32Array;
  readonly #fd: number;
  /** struct iovec */
  readonly #iovec = new Uint8Array(16);
  readonly #iovecWords = new BigUint64Array(this.#iovec.buffer);
  /** Many of them, made when they are first needed. */
  #manyIovecs = new Uint8Array(0);
  #manyWords = new BigUint64Array(0);
  /** The buffer whose pieces were read last, and where it is. */
  #base: { readonly buffer: ArrayBuffer; readonly address: bigint } | undefined;
  #nowait = true;
  #punches = true;
  #closed = false;
  /** Writes that go to threads because one was slow. */
  #patient = 0;
  /** Calls of other threads that use the descriptor. */
  #under = 0;
  readonly #settling: (() => void)[] = [];
  /** Tells the same file by another name. */
  readonly identity: string;

  private constructor(readonly path: string, readonly writable: boolean, fd: number, identity: string) {
    ({ call: this.#call, errno: this.#errno } = hostCalls(path));
    this.#fd = fd;
    this.identity = identity;
  }

  /** Opens a regular file or a block device, and locks it. Throws {@linkcode ConfigError} in one clear line. */
  static open(path: string, { write, create = false, temporary = false }: OpenFile): HostFile {
    if (path.includes("\0")) throw cannotUse(path, "its name has a zero byte");
    const { call, errno } = hostCalls(path);
    const before = statOf(path);
    if (before === undefined && !create) throw cannotUse(path, "no such file");
    if (before !== undefined && create === "new") throw cannotUse(path, "it exists already");
    if (before?.isDirectory) throw cannotUse(path, "it is a directory");
    if (before !== undefined && !before.isFile && before.isBlockDevice !== true) {
      throw cannotUse(path, "it is neither a file nor a block device");
    }
    const flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC |
      (create === false ? 0 : O_CREAT | (create === "new" || temporary ? O_EXCL : O_TRUNC));
    const name = new TextEncoder().encode(path + "\0");
    const fd = call.open(name, flags, temporary ? 0o600 : 0o666);
    if (fd < 0) throw openError(path, errno[0] as number, write);
    if (temporary) call.unlink(name);
    const stat = temporary ? undefined : statOf(path);
    const file = new HostFile(path, write, fd, stat === undefined ? path : `${stat.dev}:${stat.ino}`);
    const problem = temporary ? undefined : file.#lock();
    if (problem !== undefined) {
      file.close();
      throw problem;
    }
    return file;
  }

  /**
   * Against a second writer, and a reader beside a writer. Open file description locks, which QEMU takes too: a writer has
   * all bytes; a reader has those by which QEMU's readers say that they read and want nobody to write.
   */
  #lock(): ConfigError | undefined {
    const whole = [[0, 0]] as const;
    const some = [[QEMU_CONSISTENT_READ, 1], [QEMU_NO_WRITERS, 1]] as const;
    for (const [start, length] of this.writable ? whole : some) {
      if (this.#setLock(this.writable ? F_WRLCK : F_RDLCK, start, length)) continue;
      const errno = this.#errno[0] as number;
      if (errno !== EAGAIN && errno !== EACCES) return undefined; // a file system without locks
      return cannotUse(this.path, "it is in use by another program, or given twice", "host");
    }
    return undefined;
  }

  /** False: errno says why not. `length` 0: to the end, wherever that is. */
  #setLock(type: number, start: number, length: number): boolean {
    const flock = new Uint8Array(32); // short type, whence; long start, len; int pid
    const view = new DataView(flock.buffer);
    view.setInt16(0, type, true);
    view.setBigInt64(8, BigInt(start), true);
    view.setBigInt64(16, BigInt(length), true);
    return this.#call.fcntl(this.#fd, F_OFD_SETLK, flock) === 0;
  }

  /**
   * The lock goes first, by a call of its own: a process that is being started, by whichever thread, has a copy of the
   * descriptor until its exec, and with the copy the lock would stay.
   */
  #letGo(): void {
    this.#setLock(F_UNLCK, 0, 0);
    this.#call.close(this.#fd);
  }

  /** Bytes in it. */
  get size(): number {
    const size = Number(this.#call.lseek(this.#fd, 0n, SEEK_END));
    if (size < 0) throw this.#failure("size");
    return size;
  }

  /** Fills `into`; what lies behind the end is zero. */
  read(at: number, into: Uint8Array<ArrayBuffer>): void | Promise<void> {
    this.#check();
    const done = this.#readNow(at, into);
    if (done < into.length) return this.#readLater(at + done, into.subarray(done));
  }

  /** Reads what is in memory: how much that was. */
  #readNow(at: number, into: Uint8Array<ArrayBuffer>): number {
    if (!this.#nowait) return 0;
    this.#iovecWords[0] = addressOf(into);
    this.#iovecWords[1] = BigInt(Math.min(into.length, CHUNK));
    const n = this.#call.preadv2(this.#fd, this.#iovec, 1, BigInt(at), RWF_NOWAIT);
    if (n >= 0) return n; // 0 at the end: the thread finds that out too
    const errno = this.#errno[0] as number;
    if (errno === EOPNOTSUPP || errno === EINVAL || errno === ENOSYS) this.#nowait = false;
    return 0;
  }

  /**
   * Fills all of `pieces`, which lie in one buffer, with what is in memory, by one call; false when something is not there, or
   * lies behind the end.
   */
  readAtOnce(at: number, pieces: readonly Uint8Array<ArrayBuffer>[]): boolean {
    this.#check();
    const [first] = pieces;
    if (!this.#nowait || first === undefined) return false;
    if (this.#base?.buffer !== first.buffer) {
      this.#base = { buffer: first.buffer, address: addressOf(new Uint8Array(first.buffer)) };
    }
    if (this.#manyWords.length === 0) {
      this.#manyIovecs = new Uint8Array(16 * MOST_IOVECS);
      this.#manyWords = new BigUint64Array(this.#manyIovecs.buffer);
    }
    let count = 0, total = 0, from = 0, end = 0;
    const add = () => {
      this.#manyWords[2 * count] = (this.#base?.address ?? 0n) + BigInt(from);
      this.#manyWords[2 * count++ + 1] = BigInt(end - from);
    };
    for (const { buffer, byteOffset, length } of pieces) {
      if (buffer !== first.buffer || count === MOST_IOVECS - 1) return false;
      if (byteOffset !== end) {
        if (end > from) add();
        from = byteOffset;
      }
      end = byteOffset + length;
      total += length;
    }
    add();
    return total <= CHUNK &&
      this.#call.preadv2(this.#fd, this.#manyIovecs, count, BigInt(at), RWF_NOWAIT) === total;
  }

  async #readLater(at: number, into: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let done = 0; done < into.length;) {
      const part = into.subarray(done, done + CHUNK);
      let n = await this.#thread(
        this.#call.pread_thread(this.#fd, part, BigInt(part.length), BigInt(at + done)),
      );
      // errno is the other thread's: ask once more on this one
      if (n < 0) n = this.#call.pread(this.#fd, part, BigInt(part.length), BigInt(at + done));
      if (n < 0) {
        if (this.#errno[0] === EINTR) continue;
        throw this.#failure("read");
      }
      if (n === 0) return void into.fill(0, done);
      done += n;
    }
  }

  /** Reads at once, and waits for the device: for metadata when an image is opened. What lies behind the end is zero. */
  readSync(at: number, into: Uint8Array<ArrayBuffer>): void {
    this.#check();
    for (let done = 0; done < into.length;) {
      const part = into.subarray(done, done + CHUNK);
      const n = this.#call.pread(this.#fd, part, BigInt(part.length), BigInt(at + done));
      if (n < 0 && this.#errno[0] !== EINTR) throw this.#failure("read");
      if (n === 0) return void into.fill(0, done);
      if (n > 0) done += n;
    }
  }

  /** Writes all of `from`. */
  write(at: number, from: Uint8Array<ArrayBuffer>): void | Promise<void> {
    this.#check();
    if (from.length > SMALL_WRITE || this.#patient > 0) {
      this.#patient = Math.max(0, this.#patient - 1);
      return this.#writeLater(at, from);
    }
    const before = performance.now();
    const n = this.#call.pwrite(this.#fd, from, BigInt(from.length), BigInt(at));
    if (performance.now() - before > SLOW_WRITE_MS) this.#patient = AFTER_SLOW_WRITE;
    if (n === from.length) return;
    if (n < 0 && this.#errno[0] !== EINTR) throw this.#failure("write");
    return this.#writeLater(at + Math.max(n, 0), from.subarray(Math.max(n, 0)));
  }

  async #writeLater(at: number, from: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let done = 0; done < from.length;) {
      const part = from.subarray(done, done + CHUNK);
      let n = await this.#thread(
        this.#call.pwrite_thread(this.#fd, part, BigInt(part.length), BigInt(at + done)),
      );
      if (n <= 0) n = this.#call.pwrite(this.#fd, part, BigInt(part.length), BigInt(at + done));
      if (n > 0) done += n;
      else if (n === 0 || this.#errno[0] !== EINTR) throw this.#failure("write");
    }
  }

  /** Writes into the page cache at once: a few pages of metadata whose order counts. */
  writeSync(at: number, from: Uint8Array<ArrayBuffer>): void {
    this.#check();
    for (let done = 0; done < from.length;) {
      const part = from.subarray(done, done + CHUNK);
      const n = this.#call.pwrite(this.#fd, part, BigInt(part.length), BigInt(at + done));
      if (n > 0) done += n;
      else if (n === 0 || this.#errno[0] !== EINTR) throw this.#failure("write");
    }
  }

  /** fdatasync(2). A failure is final: the kernel reports it once and forgets the pages. */
  async sync(): Promise<void> {
    this.#check();
    if (await this.#thread(this.#call.fdatasync_thread(this.#fd)) !== 0) {
      throw new DiskError(`Cannot sync "${this.path}": the host lost what was written`, EIO);
    }
  }

  /** The range reads as zeros and takes no room; false when the file system cannot do that. */
  async punch(at: number, length: number): Promise<boolean> {
    return this.#punches &&
      (this.#punches = await this.#allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length));
  }

  /** The range reads as zeros. */
  async zero(at: number, length: number): Promise<void> {
    if (await this.#allocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, at, length)) return;
    const zeros = new Uint8Array(Math.min(length, 1 << 20));
    for (let done = 0; done < length; done += zeros.length) {
      await this.write(at + done, zeros.subarray(0, Math.min(zeros.length, length - done)));
    }
  }

  async #allocate(mode: number, at: number, length: number): Promise<boolean> {
    this.#check();
    if (await this.#thread(this.#call.fallocate_thread(this.#fd, mode, BigInt(at), BigInt(length))) === 0) {
      return true;
    }
    if (this.#call.fallocate(this.#fd, mode, BigInt(at), BigInt(length)) === 0) return true;
    const errno = this.#errno[0] as number;
    if ([EOPNOTSUPP, ENOSYS, ENODEV, EINVAL].includes(errno)) return false;
    throw this.#failure("allocate");
  }

  /** Makes the file `size` bytes long. */
  truncate(size: number): void {
    this.#check();
    if (this.#call.ftruncate(this.#fd, BigInt(size)) !== 0) throw this.#failure("resize");
  }

  /** Resolves when nothing is under way: only then does `close` let go of the file and its lock at once. */
  settle(): Promise<void> {
    return this.#under === 0
      ? Promise.resolve()
      : new Promise((resolve) => void this.#settling.push(resolve));
  }

  /** Lets go of it, and of the lock; after what is under way. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#under === 0) this.#letGo();
  }

  async #thread(call: Promise<number>): Promise<number> {
    this.#under++;
    const result = await call;
    if (--this.#under === 0) {
      if (this.#closed) this.#letGo();
      for (const resolve of this.#settling.splice(0)) resolve();
    }
    return result;
  }

  #check(): void {
    if (this.#closed) throw new DiskError(`Cannot use "${this.path}": it is closed`);
  }

  #failure(what: string): DiskError {
    const errno = this.#errno[0] as number;
    return new DiskError(`Cannot ${what} "${this.path}": ${describeErrno(errno)}`, errno);
  }
}

function hostCalls(path: string): Libc {
  return libc((why) => cannotUse(path, why, "host"));
}

function openError(path: string, errno: number, write: boolean): ConfigError {
  const readonly = write && (errno === EACCES || errno === EPERM || errno === EROFS);
  const why = describeErrno(errno) + (readonly ? "; with ,ro it is opened for reading only" : "");
  return cannotUse(path, why, errno === ENOSPC || errno === EDQUOT ? "host" : "input");
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.NotCapable) throw cannotUse(path, "run with --allow-read", "host");
    if (error instanceof Deno.errors.PermissionDenied) throw cannotUse(path, "permission denied");
    const message = error instanceof Error ? error.message : String(error);
    throw cannotUse(path, message.replace(/ \(os error \d+\).*$/s, "").toLowerCase());
  }
}

/** Tells the same file by another name; undefined when there is none. */
export function identityOf(path: string): string | undefined {
  const stat = statOf(path);
  return stat && `${stat.dev}:${stat.ino}`;
}

/** Where temporary files go. */
export function temporaryPath(): string {
  const folder = Deno.env.get("TMPDIR") ?? "/var/tmp";
  return `${folder}/xenner-${Deno.pid}-${crypto.randomUUID()}`;
}
