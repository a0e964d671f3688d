// SPDX-License-Identifier: MIT
/**
 * Sleeping until the host has something for us: ppoll(2) on a thread of the runtime's pool (about 50 µs per call),
 * so that Deno's event loop goes on meanwhile. A door to the host, like libc.ts.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { IoVec, libc, strerror } from "./libc.ts";

const POLLIN = 1;
const POLLFD_BYTES = 8; // struct pollfd: int fd; short events, revents
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;

/**
 * Waits until one of `fds` is readable (or broken: reading it will tell) or `timeoutMs` is over (fractions count;
 * negative or Infinity: no limit). Returns those that are ready; none on timeout, or when a signal came in between.
 */
export async function waitReadable(fds: readonly number[], timeoutMs: number): Promise<number[]> {
  const pollfds = new Uint8Array(new ArrayBuffer(Math.max(1, fds.length) * POLLFD_BYTES));
  const view = new DataView(pollfds.buffer);
  fds.forEach((fd, i) => {
    view.setInt32(i * POLLFD_BYTES, fd, true);
    view.setInt16(i * POLLFD_BYTES + 4, POLLIN, true);
  });
  let timeout: Uint8Array<ArrayBuffer> | null = null; // struct timespec
  if (timeoutMs >= 0 && timeoutMs < Infinity) {
    const seconds = Math.floor(timeoutMs / 1000);
    const ns = Math.min(999_999_999, Math.ceil((timeoutMs - seconds * 1000) * 1e6));
    timeout = new Uint8Array(new BigInt64Array([BigInt(seconds), BigInt(ns)]).buffer);
  }
  const ready = await libc().call.ppoll(pollfds, BigInt(fds.length), timeout, null);
  if (ready <= 0) return [];
  return fds.filter((_, i) => view.getInt16(i * POLLFD_BYTES + 6, true) !== 0);
}

/** Ends a waitReadable from elsewhere in the program: put `fd` among its descriptors and call `wake`. */
export class Waker {
  /** An eventfd(2). */
  readonly fd: number;
  readonly #counter = new BigUint64Array(1);
  readonly #vec = new IoVec(1);

  constructor() {
    const { call, errno } = libc();
    this.fd = call.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (this.fd < 0) throw new ConfigError(`Cannot create an eventfd: ${strerror(errno())}`, "host");
    this.#vec.add(new Uint8Array(this.#counter.buffer));
  }

  /** Makes `fd` readable. A counter that is full is readable already. */
  wake(): void {
    this.#counter[0] = 1n;
    libc().call.writev(this.fd, this.#vec.bytes, 1);
  }

  /** Makes `fd` unreadable again; harmless when it is. */
  clear(): void {
    libc().call.readv(this.fd, this.#vec.bytes, 1);
  }

  close(): void {
    libc().call.close(this.fd);
  }
}
