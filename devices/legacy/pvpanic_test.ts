// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Pvpanic, PVPANIC_CRASH_LOADED, PVPANIC_PANICKED } from "./pvpanic.ts";

function rig() {
  const seen: string[] = [];
  const device = new Pvpanic("pvpanic", {
    panicked: () => seen.push("panicked"),
    crashLoaded: () => seen.push("crash loaded"),
  });
  return { device, seen };
}

Deno.test("Pvpanic says which events it understands; bytes beside it float", () => {
  const { device } = rig();
  assertEquals([device.readPort(0, 1), device.readPort(0, 2), device.readPort(0, 4)], [
    3,
    0xff03,
    0xffff_ff03,
  ]);
});

Deno.test("Pvpanic tells of what is written, each bit alone, and ignores others", () => {
  const { device, seen } = rig();
  device.writePort(0, 1, 0xfc);
  assertEquals(seen, []);
  device.writePort(0, 1, PVPANIC_PANICKED);
  device.writePort(0, 4, PVPANIC_CRASH_LOADED);
  assertEquals(seen, ["panicked", "crash loaded"]);
});

Deno.test("Pvpanic has no state: nothing happens again when it is reset or restored", () => {
  const { device, seen } = rig();
  device.writePort(0, 1, PVPANIC_PANICKED);
  const saved = structuredClone(device.save());
  device.reset();
  device.restore(saved);
  assertEquals([device.readPort(0, 1), seen], [3, ["panicked"]]);
});
