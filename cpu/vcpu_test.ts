// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { FREE, TestCore } from "./_test_core.ts";
import { CoreVcpu } from "./vcpu.ts";

Deno.test("as a Vcpu: registers and memory", () => {
  const t = new TestCore().long(), vcpu = new CoreVcpu(0, t.core);
  vcpu.writeGpr("r10", 0xffff_ffff_ffff_ffffn);
  assertEquals([t.gpr(10), vcpu.readGpr("r10")], [0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn]);
  assertEquals(vcpu.copyToGuest(BigInt(FREE), Uint8Array.of(1, 2, 3)), true);
  assertEquals(t.read32(FREE), 0x3_0201);
});
