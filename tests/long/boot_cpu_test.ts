// SPDX-License-Identifier: MIT
/** Linux on every model of the processor, of both vendors. @module */
import { testCpuBoots } from "../_cpu_boot.ts";

const MODELS = ["x86-64-v1", "x86-64-v2", "x86-64-v3", "max", "v3,-umip,-smap,-fsgsbase,+rdrand"];
testCpuBoots(
  MODELS.flatMap((cpu) =>
    (["intel", "amd"] as const).map((cpuVendor) => ({ guest: "cloud", cpu, cpuVendor }))
  ),
);
