// SPDX-License-Identifier: MIT
/**
 * What a 9P server serves: a tree of files, by handles. A handle stands for a file itself, not for its name, and holds
 * whatever happens to names meanwhile. Methods answer with a negative errno when something does not work; they
 * never throw. Names are single components, checked by the caller: not empty, no "/", no NUL, neither "." nor "..".
 * @module
 */

/** A file or folder; not negative. */
export type Handle = number;

/** What stat tells. */
export interface Attributes {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: bigint;
  readonly size: bigint;
  readonly blockBytes: number;
  /** Of 512 bytes. */
  readonly blocks: bigint;
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
}

/** Seconds and nanoseconds. */
export interface Time {
  readonly sec: bigint;
  readonly nsec: number;
}

/** What to change; what is absent stays. */
export interface Changes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: bigint;
  readonly atime?: Time | "now";
  readonly mtime?: Time | "now";
}

/** One entry of a folder. */
export interface Entry {
  readonly name: string;
  readonly ino: bigint;
  /** DT_* of Linux. */
  readonly type: number;
  /** Where the next one is. */
  readonly next: bigint;
}

/** What statfs tells. */
export interface Space {
  readonly blockBytes: number;
  readonly blocks: bigint;
  readonly free: bigint;
  readonly available: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
}

/** See the module's description. Flags are those of Linux on x86: O_ACCMODE, O_TRUNC, O_EXCL, O_DSYNC, O_SYNC, O_DIRECTORY. */
export interface P9FileSystem {
  /** A handle of its own for the folder itself. */
  root(): Handle;
  /** Never follows a symbolic link, and never leaves the file system. */
  walk(folder: Handle, name: string): Handle;
  close(handle: Handle): void;
  stat(handle: Handle): Attributes | number;
  /** For reading and writing, or listing: regular files and folders alone. */
  open(handle: Handle, flags: number): Handle;
  /** Makes a regular file and opens it. */
  create(folder: Handle, name: string, flags: number, mode: number): Handle;
  read(open: Handle, into: Uint8Array<ArrayBuffer>, at: bigint): number | Promise<number>;
  write(open: Handle, from: Uint8Array<ArrayBuffer>, at: bigint): number | Promise<number>;
  sync(open: Handle, dataOnly: boolean): number | Promise<number>;
  /** Some entries from `at` on, 0 or where an entry says the next one is; none at the end. */
  list(open: Handle, at: bigint, bytes: number): readonly Entry[] | number;
  change(handle: Handle, changes: Changes): number;
  makeFolder(folder: Handle, name: string, mode: number): number;
  /** Makes a FIFO or a socket: S_IFIFO or S_IFSOCK, with permissions. */
  makeSpecial(folder: Handle, name: string, mode: number): number;
  symlink(folder: Handle, name: string, target: string): number;
  readlink(handle: Handle): string | number;
  link(from: Handle, fromName: string, folder: Handle, name: string): number;
  rename(from: Handle, fromName: string, to: Handle, toName: string): number;
  remove(folder: Handle, name: string, isFolder: boolean): number;
  space(handle: Handle): Space | number;
  /** The value of an extended attribute, whose name may be any; with no name all names, a NUL after each. */
  attribute(handle: Handle, name?: string): Uint8Array<ArrayBuffer> | number;
  /** Sets an extended attribute; `flags`: XATTR_CREATE, XATTR_REPLACE. */
  setAttribute(handle: Handle, name: string, value: Uint8Array<ArrayBuffer>, flags: number): number;
  removeAttribute(handle: Handle, name: string): number;
  /** Nothing follows. */
  end(): void;
}

/** errno values that the server itself gives. */
export const EPERM = 1;
export const ENOENT = 2;
export const EIO = 5;
export const E2BIG = 7;
export const EBADF = 9;
export const EEXIST = 17;
export const EXDEV = 18;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EROFS = 30;
export const ENAMETOOLONG = 36;
export const EPROTO = 71;
export const EOPNOTSUPP = 95;
export const ESTALE = 116;

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFIFO = 0o010000;
export const S_IFSOCK = 0o140000;

export const O_ACCMODE = 3;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
