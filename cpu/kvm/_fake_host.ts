// SPDX-License-Identifier: MIT
/** KVM without a kernel below it. Tests only. @module */
import { assertEquals } from "@std/assert";
import type { KvmHost } from "../base/kvm_host.ts";
import * as api from "./api.ts";

/** A KVM that answers as it is told, and knows which file descriptors are open. */
export class FakeHost implements KvmHost {
  readonly open_ = new Set<number>();
  readonly alarms: number[] = [];
  /** For what large pages are preferred: address and bytes. */
  readonly large: (readonly [number, number])[] = [];
  /** struct kvm_run of the last processor. */
  run: ArrayBuffer = new ArrayBuffer(0);
  constructor(readonly answers: ReadonlyMap<number, number | ((argument: unknown) => number)>) {}
  #next = 10;
  #give(): number {
    this.open_.add(this.#next);
    return this.#next++;
  }
  open(): number {
    return this.#give();
  }
  close(fd: number): void {
    assertEquals(this.open_.delete(fd), true, "closed once");
  }
  ioctl(fd: number, request: number, argument: number | Uint8Array): number {
    assertEquals(this.open_.has(fd), true, "of an open file");
    const answer = this.answers.get(request);
    if (answer !== undefined) return typeof answer === "function" ? answer(argument) : answer;
    if (request === api.KVM_GET_API_VERSION) return 12;
    if (request === api.KVM_CHECK_EXTENSION) return 1;
    if (request === api.KVM_CREATE_VM || request === api.KVM_CREATE_VCPU) return this.#give();
    if (request === api.KVM_GET_VCPU_MMAP_SIZE) return 8192;
    return 0;
  }
  map(_fd: number, bytes: number): { buffer: ArrayBuffer; unmap(): void } {
    return { buffer: this.run = new ArrayBuffer(bytes), unmap: () => {} };
  }
  addressOf(): number {
    return 0x1000;
  }
  preferLargePages(address: number, bytes: number): void {
    this.large.push([address, bytes]);
  }
  setAlarm(ns: number): void {
    this.alarms.push(ns);
  }
  /** What the clock says. */
  now = 0;
  nowNs(): number {
    return this.now;
  }
  takeAlarm(): void {}
  strerror(errno: number): string {
    return `errno ${errno}`;
  }
}
