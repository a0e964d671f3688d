// SPDX-License-Identifier: MIT
/** What goes wrong with images and the files they are in. @module */
import { ConfigError } from "../../cpu/base/assert.ts";

/** errno values of the host that mean something here, with their messages. */
export const EPERM = 1;
export const EIO = 5;
export const EAGAIN = 11;
export const EACCES = 13;
export const EINTR = 4;
export const ENODEV = 19;
export const EINVAL = 22;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const ENOSYS = 38;
export const EOPNOTSUPP = 95;
export const EDQUOT = 122;

const MESSAGES = new Map([
  [EPERM, "operation not permitted"],
  [2, "no such file"],
  [EIO, "input/output error"],
  [EAGAIN, "in use by another program"],
  [EACCES, "permission denied"],
  [6, "no such device"],
  [20, "not a directory"],
  [21, "it is a directory"],
  [24, "too many open files"],
  [26, "it is being executed"],
  [EFBIG, "file too large"],
  [ENOSPC, "no space left on the device"],
  [EROFS, "read-only file system"],
  [40, "too many symbolic links"],
  [EDQUOT, "disk quota exceeded"],
]);

/** An operation on an image that failed: an I/O error for the guest, and a line in the log. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  /** `errno`: of the host, 0 when it was not the host. */
  constructor(message: string, readonly errno = 0) {
    super(message);
  }
}

/** What `errno` means, in words. */
export function describeErrno(errno: number): string {
  return MESSAGES.get(errno) ?? `errno ${errno}`;
}

/** The one line for a disk that cannot be used. */
export function cannotUse(path: string, why: string, kind: "input" | "host" = "input"): ConfigError {
  return new ConfigError(`Cannot use disk ${JSON.stringify(path)}: ${why}`, kind);
}
