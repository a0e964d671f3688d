// SPDX-License-Identifier: MIT
/**
 * The few functions of the C library that Linux host ends need, by Deno's FFI. A door to the host: nothing else in
 * net/ but tap.ts and other host ends may import it. Loaded on first use; importing needs no permission.
 *
 * Not done: other systems than Linux (no TAP with offloads there).
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";

const symbols = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  ioctl_value: { name: "ioctl", parameters: ["i32", "u64", "u64"], result: "i32" },
  // ssize_t, but never more than a frame: 32 bits hold it and spare a BigInt
  readv: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  writev: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  ppoll: { parameters: ["buffer", "u64", "buffer", "pointer"], result: "i32", nonblocking: true },
  // addresses and plain memory, without the right to use any pointer that Deno.UnsafePointer asks for
  address_of: { name: "memmove", parameters: ["buffer", "buffer", "usize"], result: "usize" },
  copy_from: { name: "memmove", parameters: ["buffer", "pointer", "usize"], result: "void" },
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The C library, with errno. */
export interface Libc {
  readonly call: Deno.DynamicLibrary<typeof symbols>["symbols"];
  /**
   * errno of this thread, as plain memory: read it right after the call that failed. (Calling __errno_location anew
   * for each error would leave time for the runtime to change errno in between.)
   */
  errno(): number;
}

let loaded: Libc | undefined;

/** Where the C library is: by name for those who may load anything, else where a permission for one file can name it. */
function names(): string[] {
  const { arch } = Deno.build;
  const musl = `libc.musl-${arch}.so.1`;
  const folders = [
    `/lib/${arch}-linux-gnu`,
    "/lib64",
    "/usr/lib64",
    `/usr/lib/${arch}-linux-gnu`,
    "/usr/lib",
  ];
  return ["libc.so.6", musl, ...folders.map((folder) => `${folder}/libc.so.6`), `/lib/${musl}`];
}

/** True when loading it is allowed; asks nobody. */
export function mayUseLibc(): boolean {
  return Deno.build.os === "linux" && names().some((path) => mayLoad(path));
}

function mayLoad(path: string): boolean {
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") return true;
  // of a bare name Deno thinks that it is a file of the working directory
  return path.startsWith("/") && Deno.permissions.querySync({ name: "ffi", path }).state === "granted";
}

/** Loads the C library once. Throws ConfigError where there is none or no right to use it. */
export function libc(): Libc {
  if (loaded !== undefined) return loaded;
  if (Deno.build.os !== "linux") {
    throw new ConfigError(`Cannot use TAP devices on ${Deno.build.os}: they need Linux`, "host");
  }
  let failure: unknown;
  const allowed = names().filter((path) => mayLoad(path));
  for (const name of allowed) {
    try {
      const call = Deno.dlopen(name, symbols).symbols;
      return loaded = { call, errno: errnoReader(call) };
    } catch (error) {
      failure ??= error;
    }
  }
  if (allowed.length === 0) throw new ConfigError("Cannot load the C library: run with --allow-ffi", "host");
  throw new ConfigError("Cannot load the C library: neither glibc nor musl was found", "host", {
    cause: failure,
  });
}

function errnoReader(call: Libc["call"]): () => number {
  const where = call.__errno_location();
  if (where === null) throw new Error("__errno_location returned NULL");
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") {
    const errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(where, 4));
    return () => errno[0] as number;
  }
  const errno = new Int32Array(1);
  return () => {
    call.copy_from(errno, where, 4n);
    return errno[0] as number;
  };
}

/** errno values, with their messages. */
export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EBADF = 9;
export const EAGAIN = 11;
export const EACCES = 13;
export const EBUSY = 16;
export const ENODEV = 19;
export const EINVAL = 22;
export const EBADFD = 77;
export const ENETDOWN = 100;

const MESSAGES = new Map([
  [EPERM, "operation not permitted"],
  [ENOENT, "no such file"],
  [EIO, "input/output error"],
  [ENXIO, "no such device"],
  [EBADF, "bad file descriptor"],
  [EACCES, "permission denied"],
  [EBUSY, "device or resource busy"],
  [ENODEV, "no such device"],
  [EINVAL, "invalid argument"],
  [EBADFD, "file descriptor in bad state"],
  [ENETDOWN, "network is down"],
]);

/** What an errno means, in words. */
export function strerror(errno: number): string {
  return MESSAGES.get(errno) ?? `errno ${errno}`;
}

/** A C string. */
export function cstring(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

const bases = new WeakMap<ArrayBufferLike, number>();
let lastBuffer: ArrayBufferLike | undefined;
let lastBase = 0;

/**
 * Address of a buffer's first byte. Remembered: a buffer whose `buffer` property was read never moves, and when it
 * is detached its views have no length any more, so that a stale address is never used.
 */
function baseAddress(buffer: ArrayBufferLike): number {
  if (buffer === lastBuffer) return lastBase;
  let base = bases.get(buffer);
  if (base === undefined) {
    const bytes = new Uint8Array(buffer as ArrayBuffer);
    base = Number(libc().call.address_of(bytes, bytes, 0n));
    bases.set(buffer, base);
  }
  lastBuffer = buffer;
  lastBase = base;
  return base;
}

/** struct iovec[], filled without allocating. */
export class IoVec {
  /** What goes to readv and writev. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Entries filled. */
  count = 0;
  readonly #words: Uint32Array; // two per pointer, low word first: every Linux Deno runs on is little-endian

  constructor(readonly capacity: number) {
    this.#words = new Uint32Array(capacity * 4);
    this.bytes = new Uint8Array(this.#words.buffer as ArrayBuffer);
  }

  /** Adds a range; the caller keeps it alive until the system call is over. False when full. */
  add(range: Uint8Array): boolean {
    if (this.count === this.capacity) return false;
    const address = baseAddress(range.buffer) + range.byteOffset;
    const w = this.#words;
    const i = this.count++ * 4;
    w[i] = address;
    w[i + 1] = address / 2 ** 32;
    w[i + 2] = range.length;
    w[i + 3] = 0;
    return true;
  }
}
