// SPDX-License-Identifier: MIT
/** What of other engines' states KVM refuses. */
import { assertThrows } from "@std/assert";
import { noHooks } from "../_bare_cpu.ts";
import { ConfigError } from "../base/assert.ts";
import { parseCpuModel } from "../base/cpu_model.ts";
import { GuestMemory } from "../base/guest_memory.ts";
import { STATE_FORMAT } from "../state/saved_state.ts";
import { FakeHost } from "./_fake_host.ts";
import { KvmEngine } from "./kvm_engine.ts";

Deno.test("KvmEngine refuses a guest that was shown what this host lacks: one line says what", () => {
  const { features } = parseCpuModel("v1,-rdtscp,-fsgsbase,-smep,-smap");
  const engine = new KvmEngine(new GuestMemory(0x1_0000), noHooks(), new FakeHost(new Map()), { features });
  try {
    assertThrows(
      () => engine.load({ format: STATE_FORMAT, data: { run: { halted: false } } }),
      ConfigError,
      "Cannot restore the snapshot under KVM: this host's processor lacks erms, umip; a machine made with --cpu " +
        "-erms,-umip could go on here",
    );
  } finally {
    engine.close();
  }
});
