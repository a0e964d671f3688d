// SPDX-License-Identifier: MIT
/** The interrupt line of the event callback, as the controllers that look at it see it. @module */
import { assertEquals } from "@std/assert";
import { type XenRig, xenRig } from "../_rig.ts";

const GSI = 0n << 56n, INTX = 1n << 56n, VECTOR = 2n << 56n;

const upcallPending = (rig: XenRig, value: number): void => {
  rig.memory.bytes[rig.platform.sharedInfo.vcpuInfo] = value;
};

const LINES: [name: string, via: bigint][] = [
  ["gsi 9", GSI | 9n],
  ["intx 3.0", INTX | 3n << 11n],
  ["intx 31.3", INTX | 31n << 11n | 3n],
];

for (const [name, via] of LINES) {
  Deno.test(`the callback by ${name} is up from an event until the guest clears its flag, and up again at the next`, () => {
    const rig = xenRig();
    const { upcall } = rig.platform;
    upcall.setCallbackVia(via);
    const level = rig.wires.levels.get(name) as () => boolean;
    assertEquals([level(), rig.wires.lines.get(name) ?? false], [false, false]);
    upcall.markPending();
    assertEquals([level(), rig.wires.lines.get(name)], [true, true]);
    upcallPending(rig, 0); // a plain write
    assertEquals(level(), false);
    rig.wires.lines.set(name, false); // what the controllers do then
    upcall.markPending();
    assertEquals([level(), rig.wires.lines.get(name)], [true, true]);
  });

  Deno.test(`another way of delivery takes down the callback by ${name}`, () => {
    for (const change of ["vector", "upcall vector", "reset"] as const) {
      const rig = xenRig();
      const { upcall } = rig.platform;
      upcall.setCallbackVia(via);
      upcall.markPending();
      if (change === "vector") upcall.setCallbackVia(VECTOR | 0xf3n);
      else if (change === "reset") upcall.reset();
      else upcall.setApicVector(0xf3);
      assertEquals(rig.wires.lines.get(name), false, change);
      if (change === "upcall vector") assertEquals((rig.wires.levels.get(name) as () => boolean)(), false);
    }
  });

  Deno.test(`a restored callback by ${name} drives its line anew, up or down`, () => {
    for (const flag of [1, 0]) {
      const rig = xenRig();
      rig.platform.upcall.setCallbackVia(via);
      rig.platform.upcall.markPending();
      upcallPending(rig, flag);
      const state = structuredClone(rig.platform.upcall.save());
      const two = xenRig();
      two.wires.lines.set(name, true); // as a bridge restored it
      upcallPending(two, flag);
      two.platform.upcall.restore(state);
      assertEquals(two.wires.lines.get(name), flag === 1);
    }
  });
}

Deno.test("setting the callback while an event is pending raises the new line", () => {
  const rig = xenRig();
  rig.platform.upcall.markPending();
  rig.platform.upcall.setCallbackVia(GSI | 5n);
  assertEquals(rig.wires.lines.get("gsi 5"), true);
});
