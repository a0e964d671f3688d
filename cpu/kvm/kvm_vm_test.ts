// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../base/assert.ts";
import * as api from "./api.ts";
import { FakeHost } from "./_fake_host.ts";
import { KvmVm, whyNoVm } from "./kvm_vm.ts";

const without = (capability: number) => (asked: unknown) => asked === capability ? 0 : 1;
const FAILURES: readonly (readonly [number, number | ((argument: unknown) => number), RegExp])[] = [
  [api.KVM_GET_API_VERSION, 11, /^Cannot use --engine kvm: KVM has API version 11, not 12$/],
  [api.KVM_CHECK_EXTENSION, without(api.KVM_CAP_SYNC_REGS), /lacks KVM_CAP_SYNC_REGS \(Linux 4\.17\)$/],
  [api.KVM_CHECK_EXTENSION, without(api.KVM_CAP_X86_USER_SPACE_MSR), /lacks KVM_CAP_X86_USER_SPACE_MSR/],
  [api.KVM_CREATE_VM, -16, /^Cannot use --engine kvm: KVM_CREATE_VM: errno 16$/],
  [api.KVM_CREATE_VCPU, -12, /KVM_CREATE_VCPU: errno 12$/],
  [api.KVM_X86_SET_MSR_FILTER, -22, /KVM_X86_SET_MSR_FILTER: errno 22$/],
  [api.KVM_GET_SUPPORTED_CPUID, -7, /KVM_GET_SUPPORTED_CPUID: errno 7$/],
];
for (const [request, answer, message] of FAILURES) {
  Deno.test(`KvmVm: one line when a host cannot do it, and nothing stays open: ${message.source}`, () => {
    const host = new FakeHost(new Map([[request, answer]]));
    const error = assertThrows(() => new KvmVm(host), ConfigError);
    assertEquals([message.test(error.message), error.kind], [true, "host"], error.message);
    assertEquals(error.message, `Cannot use --engine kvm: ${whyNoVm(host)}`);
    assertEquals(host.open_.size, 0);
  });
}

Deno.test("whyNoVm: where a machine can be made it makes one, and gives it back", () => {
  const host = new FakeHost(new Map());
  assertEquals([whyNoVm(host), host.open_.size], [undefined, 0]);
});

Deno.test("KvmVm gives everything back once", () => {
  const host = new FakeHost(new Map());
  const vm = new KvmVm(host);
  assertEquals(host.open_.size, 3);
  vm.close();
  vm.close();
  assertEquals(host.open_.size, 0);
});
