// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { HYPERCALL_PORT, HypercallPages } from "./hypercall_page.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(" ");

/** `length` bytes of guest RAM at `gpa`. */
function at(rig: XenRig, gpa: number, length: number): string {
  return hex(rig.memory.slice(gpa, length) as Uint8Array);
}

// Encodings from the SDM: mov eax,imm32 = B8 id; out imm8,eax = E7 ib; ret = C3; jmp rel32 = E9 cd; ud2 = 0F 0B.
const STUB_12 = "b8 0c 00 00 00 e7 e4 c3 cc";
const STUB_127 = "b8 7f 00 00 00 e7 e4 c3 cc";
const JUMP = "e9 fb 0f 00 00 cc"; // 0xffb + 5 = 4096: the same offset in the next page

Deno.test("hypercall page 0 works alone: every entry point makes the call itself", () => {
  const rig = xenRig();
  assertEquals(HYPERCALL_PORT, 0xe4);
  assertEquals(rig.platform.ownsMsr(0x4000_0000), true);
  assertEquals(rig.platform.wrmsr(0x4000_0000, 0x30_0000n), true);
  assertEquals(at(rig, 0x30_0000 + 12 * 32, 9), STUB_12);
  assertEquals(at(rig, 0x30_0000 + 127 * 32, 9), STUB_127);
  assertEquals(at(rig, 0x30_0000 + 23 * 32, 3), "0f 0b cc");
  assertEquals(rig.platform.rdmsr(0x4000_0000), 0n);
});

Deno.test("hypercall pages 0 and 1: entry points jump to the next page", () => {
  for (const order of [[0, 1], [1, 0]]) {
    const rig = xenRig({ hypercallPages: 2 });
    for (const page of order) {
      assertEquals(rig.platform.wrmsr(0x4000_0000, BigInt(0x30_0000 + page * 4096 + page)), true);
    }
    assertEquals(at(rig, 0x30_0000 + 12 * 32, 6), JUMP);
    assertEquals(at(rig, 0x30_0000 + 23 * 32, 3), "0f 0b cc");
    assertEquals(at(rig, 0x30_1000 + 12 * 32, 9), STUB_12);
  }
});

Deno.test("a page 0 loaded by the next kernel stands alone again", () => {
  const rig = xenRig({ hypercallPages: 2 });
  const pages = new HypercallPages(rig.memory, 2);
  for (const value of [0x30_0000n, 0x30_1001n, 0x20_0000n]) assertEquals(pages.load(value), true);
  assertEquals(at(rig, 0x20_0000 + 12 * 32, 9), STUB_12);
  assertEquals(at(rig, 0x30_0000 + 12 * 32, 6), JUMP);
});

Deno.test("a page that the guest has reused since is not rewritten", () => {
  const rig = xenRig({ hypercallPages: 2 });
  const pages = new HypercallPages(rig.memory, 2);
  assertEquals(pages.load(0x30_0000n), true);
  rig.ram.setUint8(0x30_0000, 0x42);
  assertEquals(pages.load(0x20_1001n), true);
  assertEquals(at(rig, 0x30_0000 + 12 * 32, 9), STUB_12);
  assertEquals(at(rig, 0x20_1000 + 12 * 32, 9), STUB_12);
});

Deno.test("the MSR faults on page numbers out of range and addresses outside RAM", () => {
  const one = xenRig();
  const two = xenRig({ hypercallPages: 2 });
  const written = [
    one.platform.wrmsr(0x4000_0000, 0x30_0001n),
    two.platform.wrmsr(0x4000_0000, 0x30_0002n),
    two.platform.wrmsr(0x4000_0000, 0x30_0fffn),
    one.platform.wrmsr(0x4000_0000, 0x40_0000n), // end of RAM
    one.platform.wrmsr(0x4000_0000, 0x1_0000_0000n),
    one.platform.wrmsr(0x4000_0000, 0xffff_ffff_ffff_f000n),
  ];
  assertEquals(written, [false, false, false, false, false, false]);
  assertEquals(two.platform.wrmsr(0x4000_0000, 0x30_0001n), true);
});

Deno.test("loading a page latches the width of the code that does it and announces the write", () => {
  const rig = xenRig();
  const page = rig.memory.offsetOf(0x30_0000);
  rig.memory.setAttribute(page, 1, true);
  let announced = 0;
  rig.memory.onCodeWrite = () => announced++;
  rig.vcpu.codeBits = 32;
  rig.platform.wrmsr(0x4000_0000, 0x30_0000n);
  assertEquals([rig.platform.sharedInfo.bits, announced], [32, 1]);
});
