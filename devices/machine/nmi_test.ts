// SPDX-License-Identifier: MIT
// The NMI button. PC firmware leaves it on LINT1 of the local APIC, delivery mode NMI (SDM Vol. 3A §11.5.1); bit 7 of port
// 0x70 masks it (82371SB datasheet, RTCI).
import { assertEquals } from "@std/assert";
import { debugPrint, tinyGuest } from "../../tests/_tiny_guest.ts";
import { Machine } from "./machine.ts";
import type { HostClock } from "./machine_options.ts";

const CRASH = { reason: "crash", detail: "triple fault" } as const;
/** sti; hlt; jmp back to hlt */
const WAIT = [0xfb, 0xf4, 0xeb, 0xfd];

/** Presses the button each time the guest sleeps, `most` times, then stops the machine; how it ends without an IDT. */
async function end(code: readonly number[], engine: "interp" | "jit", most = 3) {
  let sleeps = 0;
  const clock: HostClock = {
    monotonicNs: () => performance.now() * 1e6,
    unixSeconds: () => 1_700_000_000,
    breathe: () => Promise.resolve(),
    sleep: () => {
      if (++sleeps > most) machine.stop();
      else machine.sendNmi();
      return Promise.resolve();
    },
  };
  const machine = await Machine.create({
    kernel: { name: "nmi", bytes: tinyGuest([...code, ...debugPrint("up"), ...WAIT]) },
    memoryBytes: 4 << 20,
    type: "hvm",
    engine,
    clock,
  });
  const { reason, detail } = await machine.run();
  machine.close();
  return { reason, detail, sleeps };
}

for (const engine of ["interp", "jit"] as const) {
  Deno.test(`the NMI button wakes the guest and reaches its vector 2, ${engine}`, async () => {
    assertEquals(await end([], engine), { ...CRASH, sleeps: 1 });
  });
  Deno.test(`the NMI button does nothing while port 0x70 masks it, or LINT1 is masked, ${engine}`, async () => {
    // mov al,8fh; out 70h,al
    assertEquals((await end([0xb0, 0x8f, 0xe6, 0x70], engine)).reason, "stopped");
    // mov dword [0fee00360h],10400h
    assertEquals((await end([0xc7, 0x05, 0x60, 3, 0xe0, 0xfe, 0, 4, 1, 0], engine)).reason, "stopped");
    // fixed, vector 0: mov dword [0fee00360h],0; an illegal vector is an error of the APIC, not an NMI
    assertEquals((await end([0xc7, 0x05, 0x60, 3, 0xe0, 0xfe, 0, 0, 0, 0], engine)).reason, "stopped");
  });
}
