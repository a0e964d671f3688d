// SPDX-License-Identifier: MIT
/**
 * What `cpu/kvm/` needs of Linux: system calls, handed in by whoever may touch the host. A result below 0 is minus errno.
 * @module
 */

import { ConfigError } from "./assert.ts";

/** KVM cannot be used. `why`: for those who did not ask for it; the message is for those who did. */
export class NoKvmError extends ConfigError {
  /** `advice`: what they can do. */
  constructor(readonly why: string, advice?: string) {
    super(`Cannot use --engine kvm: ${why}${advice === undefined ? "" : `; ${advice}`}`, "host");
  }
}

/** System calls. Requests and structures are those of linux/kvm.h, known to `cpu/kvm/` alone. */
export interface KvmHost {
  /** Opens /dev/kvm. Throws NoKvmError. */
  open(): number;
  close(fd: number): void;
  /** `argument`: a number, or a structure that the kernel reads and writes during the call. */
  ioctl(fd: number, request: number, argument: number | Uint8Array<ArrayBuffer>): number;
  /** Shares `bytes` of what the file descriptor stands for. Nobody may look at them after `unmap`. */
  map(fd: number, bytes: number): { readonly buffer: ArrayBuffer; unmap(): void };
  /** Address of a buffer's first byte in this process; the buffer never moves. */
  addressOf(buffer: ArrayBufferLike): number;
  /** Has the kernel back memory by large pages where it can (madvise): each is one fault, and one entry of a TLB. */
  preferLargePages(address: number, bytes: number): void;
  /**
   * Makes KVM_RUN of this thread end with EINTR after `ns`, once, be it running by then or not. An alarm before that is
   * forgotten.
   */
  setAlarm(ns: number): void;
  /** Nanoseconds since some fixed time, of the host: a machine's own clock may be another. */
  nowNs(): number;
  /** Takes the signal of an alarm that went off. */
  takeAlarm(): void;
  /** An errno in words. */
  strerror(errno: number): string;
}
