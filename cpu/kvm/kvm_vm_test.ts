// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../base/assert.ts";
import type { KvmHost } from "../base/kvm_host.ts";
import * as api from "./api.ts";
import { KvmVm } from "./kvm_vm.ts";

/** A KVM that answers as it is told, and knows which file descriptors are open. */
class FakeHost implements KvmHost {
  readonly open_ = new Set<number>();
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
    return { buffer: new ArrayBuffer(bytes), unmap: () => {} };
  }
  addressOf(): number {
    return 0x1000;
  }
  setAlarm(): void {}
  takeAlarm(): void {}
  strerror(errno: number): string {
    return `errno ${errno}`;
  }
}

const without = (capability: number) => (asked: unknown) => asked === capability ? 0 : 1;
const FAILURES: readonly (readonly [number, number | ((argument: unknown) => number), RegExp])[] = [
  [api.KVM_GET_API_VERSION, 11, /^Cannot use --engine kvm: KVM has API version 11, not 12$/],
  [api.KVM_CHECK_EXTENSION, without(api.KVM_CAP_SYNC_REGS), /lacks KVM_CAP_SYNC_REGS \(Linux 4\.17\)$/],
  [api.KVM_CHECK_EXTENSION, without(api.KVM_CAP_X86_USER_SPACE_MSR), /lacks KVM_CAP_X86_USER_SPACE_MSR/],
  [api.KVM_CREATE_VM, -16, /^Cannot go on with KVM: KVM_CREATE_VM: errno 16$/],
  [api.KVM_CREATE_VCPU, -12, /KVM_CREATE_VCPU: errno 12$/],
  [api.KVM_X86_SET_MSR_FILTER, -22, /KVM_X86_SET_MSR_FILTER: errno 22$/],
  [api.KVM_GET_SUPPORTED_CPUID, -7, /KVM_GET_SUPPORTED_CPUID: errno 7$/],
];
for (const [request, answer, message] of FAILURES) {
  Deno.test(`KvmVm: one line when a host cannot do it, and nothing stays open: ${message.source}`, () => {
    const host = new FakeHost(new Map([[request, answer]]));
    const error = assertThrows(() => new KvmVm(host), ConfigError);
    assertEquals([message.test(error.message), error.kind], [true, "host"], error.message);
    assertEquals(host.open_.size, 0);
  });
}

Deno.test("KvmVm gives everything back once", () => {
  const host = new FakeHost(new Map());
  const vm = new KvmVm(host);
  assertEquals(host.open_.size, 3);
  vm.close();
  vm.close();
  assertEquals(host.open_.size, 0);
});
