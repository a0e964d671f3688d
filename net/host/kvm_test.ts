// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { hostCpuFlags, whyNotHardware } from "./kvm.ts";

Deno.test("whyNotHardware looks for VMX and SVM in Linux' list of features", () => {
  const features = Deno.readTextFileSync("/proc/cpuinfo");
  const hardware = /^flags\s*:.*\b(vmx|svm)\b/m.test(features);
  assertEquals(whyNotHardware() === undefined, hardware);
  assertEquals(hostCpuFlags()?.includes("sse2"), true); // x86-64 has it
});
