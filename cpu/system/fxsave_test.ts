// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 1 table 10-2 (FXSAVE image).
import { assertEquals } from "@std/assert";
import { powerOn } from "./power_on.ts";
import { FREE, TestCore } from "../_test_core.ts";
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import { S, XMM_BASE } from "../state/state.ts";
import { FAULT, NEXT } from "../state/status.ts";
import { X87_STATE } from "../fpu/x87_state.ts";

/** 64-bit mode, XMM0..15 and ST0 with something in them. */
function machine(): TestCore {
  const t = new TestCore().long(), v = t.memory.view;
  t.core.s.set64(S.cr4, 0x620n);
  for (let i = 0; i < 16; i++) {
    v.setBigUint64(XMM_BASE + i * 16, BigInt(i) + 0x100n, true);
    v.setBigUint64(XMM_BASE + i * 16 + 8, BigInt(i) + 0x200n, true);
  }
  t.core.s.set32(S.mxcsr, 0x1fa0);
  v.setUint16(S.x87 + X87_STATE.at.fsw, 7 << 11, true); // TOP 7
  v.setUint8(S.x87 + X87_STATE.at.ftw, 0x80);
  v.setBigUint64(S.x87 + X87_STATE.at.r + 7 * 16, 0xc000_0000_0000_0000n, true);
  v.setUint16(S.x87 + X87_STATE.at.r + 7 * 16 + 8, 0x4000, true); // R7 = 3.0
  return t;
}

Deno.test("FXSAVE64 image and FXRSTOR back", () => {
  const t = machine(), bytes = t.memory.bytes, at = t.memory.offsetOf(FREE);
  bytes.fill(0xa5, at, at + 512);
  assertEquals(t.run("fxsave", FREE, 1), NEXT);
  assertEquals([t.read16(FREE), t.read16(FREE + 2), bytes[at + 4]], [0x37f, 7 << 11, 0x80]);
  assertEquals([t.read32(FREE + 24), t.read32(FREE + 28)], [0x1fa0, 0xffff]);
  assertEquals([t.read64(FREE + 32), t.read16(FREE + 40)], [0xc000_0000_0000_0000n, 0x4000]); // ST0
  assertEquals([t.read64(FREE + 160), t.read64(FREE + 160 + 15 * 16 + 8)], [0x100n, 0x20fn]);
  assertEquals([bytes[at + 416], bytes[at + 511]], [0xa5, 0xa5]);
  powerOn(t.core);
  t.long();
  assertEquals([t.run("fxrstor", FREE, 1), t.core.s.get32(S.mxcsr)], [NEXT, 0x1fa0]);
  assertEquals(t.memory.view.getBigUint64(XMM_BASE + 15 * 16 + 8, true), 0x20fn);
  assertEquals(t.memory.view.getUint16(S.x87 + X87_STATE.at.r + 7 * 16 + 8, true), 0x4000);
});

Deno.test("FXSAVE in 32-bit code saves eight XMM registers", () => {
  const t = new TestCore().protected32();
  t.memory.bytes.fill(0xa5, t.memory.offsetOf(FREE), t.memory.offsetOf(FREE) + 512);
  assertEquals(t.run("fxsave", FREE, 0), NEXT);
  assertEquals([t.read32(FREE + 160 + 7 * 16), t.read32(FREE + 160 + 8 * 16)], [0, 0xa5a5_a5a5]);
});

Deno.test("FXRSTOR refuses reserved MXCSR bits and misaligned images, changing nothing", () => {
  const t = machine();
  t.run("fxsave", FREE, 1);
  t.write32(FREE + 24, 0x1_1f80);
  t.write64(FREE + 160, 0xdeadn);
  assertEquals([t.run("fxrstor", FREE, 1), t.fault], [FAULT, "13:0"]);
  assertEquals(t.memory.view.getBigUint64(XMM_BASE, true), 0x100n);
  assertEquals([t.run("fxsave", FREE + 8, 1), t.fault], [FAULT, "13:0"]);
  t.core.s.set64(S.cr0, t.core.s.get64(S.cr0) | 8n);
  assertEquals([t.run("fxsave", FREE, 1), t.fault], [FAULT, "7:-1"]);
});

Deno.test("FXSAVE over code is announced", () => {
  const t = machine();
  let announced = 0;
  t.memory.setAttribute(t.memory.offsetOf(FREE), PAGE_HAS_CODE, true);
  t.memory.onCodeWrite = () => announced++;
  assertEquals([t.run("fxsave", FREE, 1), announced], [NEXT, 1]);
});
