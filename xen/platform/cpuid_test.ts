// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { xenRig } from "../_rig.ts";

function leaf(rig: ReturnType<typeof xenRig>, number: number, subleaf = 0): number[] | undefined {
  const out = new Uint32Array(4).fill(0xa5a5_a5a5);
  return rig.platform.cpuid(number, subleaf, out) ? [...out] : undefined;
}

Deno.test("cpuid: signature, version and hypercall pages", () => {
  const rig = xenRig({ hypercallPages: 2, xenVersion: { major: 4, minor: 19 } });
  const [max, ...text] = leaf(rig, 0x4000_0000) as number[];
  assertEquals(max, 0x4000_0004);
  assertEquals(new TextDecoder().decode(new Uint32Array(text)), "XenVMMXenVMM");
  assertEquals(leaf(rig, 0x4000_0001), [0x0004_0013, 0, 0, 0]);
  assertEquals(leaf(rig, 0x4000_0002), [2, 0x4000_0000, 0, 0]);
  assertEquals((leaf(xenRig(), 0x4000_0002) as number[])[0], 1);
});

Deno.test("cpuid: the TSC needs no calibration", () => {
  const rig = xenRig(); // 2 GHz
  assertEquals(leaf(rig, 0x4000_0003, 0), [0b110, 2, 2_000_000, 0]);
  assertEquals(leaf(rig, 0x4000_0003, 1), [0, 0, 0x8000_0000, 0]);
  assertEquals(leaf(rig, 0x4000_0003, 2), [2_000_000, 0, 0, 0]);
  assertEquals(leaf(rig, 0x4000_0003, 3), [0, 0, 0, 0]);
});

Deno.test("cpuid: HVM features are the vCPU id, the domain id, and the upcall vector if asked for", () => {
  assertEquals(leaf(xenRig({ domid: 7 }), 0x4000_0004), [0b11000, 0, 7, 0]);
  assertEquals(leaf(xenRig({ advertiseUpcallVector: true }), 0x4000_0004), [0b101_1000, 0, 1, 0]);
});

Deno.test("cpuid: leaves that are not ours, and empty ones", () => {
  const rig = xenRig();
  assertEquals(leaf(rig, 0x4000_0005), [0, 0, 0, 0]);
  assertEquals(leaf(rig, 0x3fff_ffff), undefined);
  assertEquals(leaf(rig, 0x4000_0100), undefined);
  assertEquals(leaf(rig, 1), undefined);
});
