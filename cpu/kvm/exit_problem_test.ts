// SPDX-License-Identifier: MIT
/** What KVM cannot go on with is said in one line, of a host's problem. */
import { assertEquals, assertThrows } from "@std/assert";
import { noHooks } from "../_bare_cpu.ts";
import { ConfigError } from "../base/assert.ts";
import { GuestMemory } from "../base/guest_memory.ts";
import * as api from "./api.ts";
import { FakeHost } from "./_fake_host.ts";
import { KvmEngine } from "./kvm_engine.ts";

const RIP = 0x1234_5678n;
/** As in linux/kvm.h, behind struct kvm_run's own fields. */
const UNION = 32;

/** Name, exit reason, what is in the union as 32-bit words, and the line. */
const EXITS: readonly (readonly [string, number, readonly number[], string])[] = [
  [
    "KVM_EXIT_FAIL_ENTRY",
    9,
    [0x8000_0021, 0, 1],
    "the processor refuses to enter the guest (hardware reason 0x80000021)",
  ],
  [
    "KVM_INTERNAL_ERROR_EMULATION with the instruction",
    17,
    // suberror, ndata, flags, and from there on the instruction's size and bytes
    [1, 4, 1, 0, 0x20ae_0f03, 0],
    "internal error 1, KVM cannot emulate an instruction (bytes 0f ae 20)",
  ],
  [
    "KVM_INTERNAL_ERROR_EMULATION of an older kernel",
    17,
    [1, 0],
    "internal error 1, KVM cannot emulate an instruction (data none)",
  ],
  [
    "KVM_INTERNAL_ERROR_DELIVERY_EV",
    17,
    [3, 2, 0x8000_030e, 0, 0x31, 0],
    "internal error 3, the guest left while an event was delivered (data 8000030e 31)",
  ],
  [
    "an internal error of the future",
    17,
    [99, 0],
    "internal error 99, an error that is unknown here (data none)",
  ],
  ["a reason of the future", 77, [], "it left for reason 77, which is unknown here,"],
];

for (const [name, reason, words, line] of EXITS) {
  Deno.test(`KvmEngine: ${name} ends the run with one line`, () => {
    const host: FakeHost = new FakeHost(
      new Map([[api.KVM_RUN, () => {
        const run = new DataView(host.run);
        run.setUint32(api.kvm_run.at.exit_reason, reason, true);
        words.forEach((word, i) => run.setUint32(UNION + i * 4, word, true));
        run.setBigUint64(api.kvm_run.at.s + api.kvm_regs.at.rip, RIP, true);
        return 0;
      }]]),
    );
    const engine = new KvmEngine(new GuestMemory(0x1_0000), noHooks(), host, {});
    try {
      const error = assertThrows(() => engine.run(1000), ConfigError);
      assertEquals([error.message, error.kind], [`Cannot go on with KVM: ${line} at RIP 0x12345678`, "host"]);
    } finally {
      engine.close();
    }
    assertEquals(host.open_.size, 0);
  });
}
