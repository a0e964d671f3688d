// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import type { KvmHost } from "../../cpu/base/kvm_host.ts";
import { whyNoKvm } from "./kvm.ts";

function hostThat(open: () => number): KvmHost & { readonly closed: number[] } {
  const closed: number[] = [];
  const never = () => {
    throw new Error("of no interest here");
  };
  return {
    closed,
    open,
    close: (fd) => closed.push(fd),
    ioctl: never,
    map: never,
    addressOf: never,
    setAlarm: never,
    takeAlarm: never,
    strerror: never,
  };
}

Deno.test("whyNoKvm says what is missing, without the words for those who asked for it", () => {
  const host = hostThat(() => {
    throw new ConfigError(
      "Cannot use --engine kvm: there is no /dev/kvm; load the module kvm_amd; --engine jit needs no KVM",
      "host",
    );
  });
  assertEquals(whyNoKvm(host), "there is no /dev/kvm; load the module kvm_amd");
});

Deno.test("whyNoKvm opens the device, closes it, and looks whether the processor is made for it", () => {
  const host = hostThat(() => 7);
  const features = Deno.readTextFileSync("/proc/cpuinfo");
  const hardware = /^flags\s*:.*\b(vmx|svm)\b/m.test(features);
  assertEquals(whyNoKvm(host) === undefined, hardware);
  assertEquals(host.closed, [7]);
});
