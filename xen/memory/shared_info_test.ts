// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { xenRig } from "../_rig.ts";
import { XEN_EINVAL, XEN_ENXIO } from "../public/errno.ts";
import { timeScale } from "./shared_info.ts";

Deno.test("shared_info: the scale of a TSC gives nanoseconds, with the multiplier's top bit set", () => {
  for (const hz of [1_000_000, 999_999_999, 1_000_000_000, 1_000_000_001, 2_400_000_000, 5_000_000_000]) {
    const { tsc_to_system_mul, tsc_shift } = timeScale(hz);
    assertEquals(tsc_to_system_mul >= 0x8000_0000 && tsc_to_system_mul <= 0xffff_ffff, true);
    const ticks = BigInt(hz) * 10n; // ten seconds
    const shifted = tsc_shift < 0 ? ticks >> BigInt(-tsc_shift) : ticks << BigInt(tsc_shift);
    const ns = Number((shifted * BigInt(tsc_to_system_mul)) >> 32n);
    assertEquals(Math.abs(ns - 1e10) < 100, true);
  }
});

for (const [bits, aligned, misaligned] of [[64, 8, 4], [32, 4, 2]] as const) {
  Deno.test(`shared_info: vcpu_info of a ${bits}-bit guest moves once, to where it may`, () => {
    const { platform: { sharedInfo }, memory } = xenRig();
    sharedInfo.latch(bits);
    memory.view.setUint8(sharedInfo.page, 1);
    assertEquals(sharedInfo.registerVcpuInfo(0x30, misaligned), -XEN_ENXIO);
    assertEquals(sharedInfo.registerVcpuInfo(0x30, 4096 - 64 + aligned), -XEN_ENXIO);
    assertEquals(sharedInfo.registerVcpuInfo(0xf_0000, 0), -XEN_EINVAL); // no memory
    assertEquals(sharedInfo.registerVcpuInfo(0xf_efff, 0), -XEN_EINVAL); // a page of Xen's
    assertEquals(sharedInfo.registerVcpuInfo(0x30, 4096 - 64), 0);
    assertEquals(sharedInfo.vcpuInfo, memory.offsetOf(0x30_fc0));
    assertEquals(memory.view.getUint8(sharedInfo.vcpuInfo), 1); // with what it held
    // The offset is looked at first, also when it is too late anyway.
    assertEquals(sharedInfo.registerVcpuInfo(0x30, 1), -XEN_ENXIO);
    assertEquals(sharedInfo.registerVcpuInfo(0x31, 0), -XEN_EINVAL);
  });
}

Deno.test("shared_info: the wall clock is that of system time zero, in parts below a second", () => {
  const rig = xenRig({ wallclock: () => 1_000_000_000.25 });
  rig.clock.advance(3_500_000_000);
  rig.platform.sharedInfo.latch(64);
  const view = new DataView(rig.memory.view.buffer, rig.platform.sharedInfo.page, 4096);
  const at = 32 * 64 + 2 * 512; // wc_version, wc_sec, wc_nsec
  assertEquals(view.getUint32(at, true) % 2, 0);
  assertEquals([view.getUint32(at + 4, true), view.getUint32(at + 8, true)], [999_999_996, 750_000_000]);
});

Deno.test("shared_info: a snapshot has width, place and page; a reset forgets them", () => {
  const first = xenRig();
  first.platform.sharedInfo.latch(32);
  first.platform.sharedInfo.registerVcpuInfo(0x30, 0x80);
  first.memory.view.setUint8(first.platform.sharedInfo.page + 3000, 0x5a);
  const next = xenRig();
  next.platform.sharedInfo.restore(structuredClone(first.platform.sharedInfo.save()));
  const { sharedInfo } = next.platform;
  assertEquals([sharedInfo.bits, sharedInfo.vcpuInfo], [32, next.memory.offsetOf(0x30_080)]);
  assertEquals(next.memory.view.getUint8(sharedInfo.page + 3000), 0x5a);
  sharedInfo.reset();
  assertEquals([sharedInfo.bits, sharedInfo.vcpuInfo], [64, sharedInfo.page]);
  assertEquals(next.memory.view.getUint8(sharedInfo.page + 3000), 0);
});
