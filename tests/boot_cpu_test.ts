// SPDX-License-Identifier: MIT
/** Linux on another processor than the usual one; all models and both vendors are in tests/long/. @module */
import { testCpuBoots } from "./_cpu_boot.ts";

testCpuBoots([{ guest: "cloud", cpu: "max", cpuVendor: "amd" }]);
