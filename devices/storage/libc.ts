// SPDX-License-Identifier: MIT
/**
 * The calls of the C library that disks in files and shared folders need, by Deno's FFI. A door to the host. Loaded on
 * first use; importing needs no permission.
 *
 * `*_thread` are the same calls on a thread of the runtime's pool: errno is that thread's, and is lost.
 *
 * Not done: other systems than Linux.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";

const symbols = {
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  lseek: { name: "lseek64", parameters: ["i32", "i64", "i32"], result: "i64" },
  fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  // ssize_t, but never more than a chunk: 32 bits hold it and spare a BigInt
  preadv2: { name: "preadv64v2", parameters: ["i32", "buffer", "i32", "i64", "i32"], result: "i32" },
  pread: { name: "pread64", parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  pwrite: { name: "pwrite64", parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  pread_thread: {
    name: "pread64",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i32",
    nonblocking: true,
  },
  pwrite_thread: {
    name: "pwrite64",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i32",
    nonblocking: true,
  },
  fsync_thread: { name: "fsync", parameters: ["i32"], result: "i32", nonblocking: true },
  fdatasync: { parameters: ["i32"], result: "i32" },
  fdatasync_thread: { name: "fdatasync", parameters: ["i32"], result: "i32", nonblocking: true },
  ftruncate: { name: "ftruncate64", parameters: ["i32", "i64"], result: "i32" },
  fallocate: { name: "fallocate64", parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  fallocate_thread: {
    name: "fallocate64",
    parameters: ["i32", "i32", "i64", "i64"],
    result: "i32",
    nonblocking: true,
  },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  fstatfs: { name: "fstatfs64", parameters: ["i32", "buffer"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  truncate: { name: "truncate64", parameters: ["buffer", "i64"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  fchownat: { parameters: ["i32", "buffer", "u32", "u32", "i32"], result: "i32" },
  utimensat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  mknodat: { parameters: ["i32", "buffer", "u32", "u64"], result: "i32" },
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" },
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" },
  linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
  renameat: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  getxattr: { parameters: ["buffer", "buffer", "buffer", "usize"], result: "i32" },
  listxattr: { parameters: ["buffer", "buffer", "usize"], result: "i32" },
  setxattr: { parameters: ["buffer", "buffer", "buffer", "usize", "i32"], result: "i32" },
  removexattr: { parameters: ["buffer", "buffer"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The calls. */
export type Calls = Deno.DynamicLibrary<typeof symbols>["symbols"];

/** The C library. */
export interface Libc {
  readonly call: Calls;
  /** errno of this thread, as plain memory: element 0, read right after the call that failed. */
  readonly errno: Int32Array;
}

let loaded: Libc | undefined;

/** Loads it once. `cannot` makes the error where there is none, or no right to use it. */
export function libc(cannot: (why: string) => ConfigError): Libc {
  if (loaded !== undefined) return loaded;
  if (Deno.build.os !== "linux") throw cannot(`that needs Linux, this is ${Deno.build.os}`);
  try {
    const call = Deno.dlopen("libc.so.6", symbols).symbols;
    const where = call.__errno_location();
    if (where === null) throw new Error("__errno_location returned NULL");
    return loaded = { call, errno: new Int32Array(Deno.UnsafePointerView.getArrayBuffer(where, 4)) };
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cannot("run with --allow-ffi");
    throw new ConfigError(cannot("the C library cannot be loaded").message, "host", { cause });
  }
}

/** Address of the first byte. A buffer whose address was taken does not move while it lives. */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}
