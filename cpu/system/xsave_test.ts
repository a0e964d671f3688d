// SPDX-License-Identifier: MIT
// Expected values: a real processor's (Intel, by a program of a few lines in C), and SDM Vol. 1 §13.4-13.12.
import { assertEquals } from "@std/assert";
import { FREE, PML4, TestCore } from "../_test_core.ts";
import { levelFeatures } from "../base/cpu_model.ts";
import { initState, X87_STATE } from "../fpu/x87_state.ts";
import { S, XMM_BASE, YMM_HIGH } from "../state/state.ts";
import { FAULT, NEXT } from "../state/status.ts";
import { cpuidLeaf } from "./cpuid.ts";

const HIGH = XMM_BASE + YMM_HIGH, X87_FTW = S.x87 + X87_STATE.at.ftw;
const MXCSR = 24, XMM = 160, XSTATE_BV = 512, XCOMP_BV = 520, YMM = 576;
const COMPACTED = 1n << 63n;

/** 64-bit mode, XSAVE on, with something in each component. */
function machine(xcr0 = 7n): TestCore {
  const t = new TestCore({ features: levelFeatures("max") }).long(), v = t.memory.view;
  t.core.s.set64(S.cr4, 0x4_0620n);
  t.core.s.set64(S.xcr0, xcr0);
  for (let i = 0; i < 16; i++) {
    v.setBigUint64(XMM_BASE + i * 16, BigInt(i) + 0x100n, true);
    v.setBigUint64(HIGH + i * 16, BigInt(i) + 0x200n, true);
  }
  t.core.s.set32(S.mxcsr, 0x1fa0);
  v.setUint16(S.x87 + X87_STATE.at.fsw, 7 << 11, true); // TOP 7
  v.setUint8(X87_FTW, 0x80);
  return t;
}

/**
 * What the processor did, for components in use 0 to 7, then MXCSR 1F80H and 1FA0H, then EAX 1 to 7, as two digits:
 * XSTATE_BV, and what was written of FCW (1), XMM0 (2), YMM0 (4), MXCSR (8).
 */
const SAVED = {
  xsave: [
    "010a0b0c0d0e0f 010a0b0c0d0e0f 110a1b0c1d0e1f 110a1b0c1d0e1f",
    "012a2b0c0d2e2f 012a2b0c0d2e2f 112a3b0c1d2e3f 112a3b0c1d2e3f",
    "010a0b4c4d4e4f 010a0b4c4d4e4f 110a1b4c5d4e5f 110a1b4c5d4e5f",
    "012a2b4c4d6e6f 012a2b4c4d6e6f 112a3b4c5d6e7f 112a3b4c5d6e7f",
  ],
  xsaveopt: [
    "00080808080808 00080808080808 11081908190819 11081908190819",
    "002a2a08082a2a 002a2a08082a2a 112a3b08192a3b 112a3b08192a3b",
    "0008084c4c4c4c 0008084c4c4c4c 1108194c5d4c5d 1108194c5d4c5d",
    "002a2a4c4c6e6e 002a2a4c4c6e6e 112a3b4c5d6e7f 112a3b4c5d6e7f",
  ],
  xsavec: [
    "00000000000000 002a2a00002a2a 11001100110011 112a3b00112a3b",
    "002a2a00002a2a 002a2a00002a2a 112a3b00112a3b 112a3b00112a3b",
    "00000044444444 002a2a44446e6e 11001144554455 112a3b44556e7f",
    "002a2a44446e6e 002a2a44446e6e 112a3b44556e7f 112a3b44556e7f",
  ],
} as const;
for (const name of ["xsave", "xsaveopt", "xsavec", "xsaves"] as const) {
  Deno.test(`${name} writes what is asked for and, as it optimizes, in use`, () => {
    const t = machine(), { s } = t.core, { view, bytes } = t.memory, at = t.memory.offsetOf(FREE);
    const compacts = name === "xsavec" || name === "xsaves";
    const groups: string[] = [];
    for (let inUse = 0; inUse < 8; inUse++) {
      for (const mxcsr of [0x1f80, 0x1fa0]) {
        let group = "";
        for (let asked = 1; asked < 8; asked++) {
          bytes.fill(0, S.x87, S.x87 + X87_STATE.size);
          initState(view, S.x87);
          view.setUint8(X87_FTW, inUse & 1);
          bytes.fill(0, XMM_BASE, HIGH + 256);
          view.setUint8(XMM_BASE, (inUse & 2) * 0x33);
          view.setUint8(HIGH, (inUse & 4) * 0x11);
          s.set32(S.mxcsr, mxcsr);
          bytes.fill(0xa5, at, at + 1024);
          bytes.fill(0, at + 512, at + 576);
          s.setGpr(0, BigInt(asked));
          assertEquals(t.run(name, FREE, 1), NEXT);
          const written = (t.read16(FREE) === 0x37f ? 1 : 0) | (bytes[at + XMM] !== 0xa5 ? 2 : 0) |
            (bytes[at + YMM] !== 0xa5 ? 4 : 0) | (t.read32(FREE + MXCSR) === mxcsr ? 8 : 0);
          assertEquals(t.read64(FREE + XCOMP_BV), compacts ? COMPACTED | BigInt(asked) : 0n);
          group += t.read64(FREE + XSTATE_BV).toString(16) + written.toString(16);
        }
        groups.push(group);
      }
    }
    const wanted = SAVED[name === "xsaves" ? "xsavec" : name].flatMap((line) => line.split(" "));
    assertEquals(groups, wanted);
  });
}

Deno.test("XSAVE and back, in both formats; outside 64-bit code eight registers of each kind", () => {
  for (const name of ["xsave", "xsavec", "xsaves"] as const) {
    const t = machine(), { view, bytes } = t.memory;
    const before = bytes.slice(XMM_BASE, HIGH + 256);
    t.core.s.setGpr(0, 7n);
    assertEquals(t.run(name, FREE, 1), NEXT);
    assertEquals([t.read64(FREE + YMM), t.read64(FREE + YMM + 15 * 16)], [0x200n, 0x20fn]);
    bytes.fill(0xee, XMM_BASE, HIGH + 256);
    t.core.s.set32(S.mxcsr, 0x1f80);
    assertEquals(t.run(name === "xsaves" ? "xrstors" : "xrstor", FREE, 1), NEXT);
    assertEquals(bytes.slice(XMM_BASE, HIGH + 256), before);
    assertEquals([t.core.s.get32(S.mxcsr), view.getUint8(X87_FTW)], [0x1fa0, 0x80]);
  }
  const t = new TestCore({ features: levelFeatures("max") }).protected32(), { view, bytes } = t.memory;
  t.core.s.set64(S.cr4, t.core.s.get64(S.cr4) | 0x4_0600n);
  t.core.s.set64(S.xcr0, 7n);
  bytes.fill(0x77, XMM_BASE, HIGH + 256);
  bytes.fill(0xa5, t.memory.offsetOf(FREE + YMM), t.memory.offsetOf(FREE + YMM + 256));
  t.core.s.setGpr(0, 7n);
  assertEquals(t.run("xsave", FREE, 0), NEXT);
  assertEquals([t.read32(FREE + YMM + 127 - 3), t.read32(FREE + YMM + 128)], [0x7777_7777, 0xa5a5_a5a5]);
  t.write64(FREE + XSTATE_BV, 0n);
  assertEquals(t.run("xrstor", FREE, 0), NEXT);
  assertEquals([view.getUint8(HIGH + 127), view.getUint8(HIGH + 128)], [0, 0x77]);
  assertEquals([view.getUint8(XMM_BASE + 127), view.getUint8(XMM_BASE + 128)], [0, 0x77]);
});

Deno.test("in a compacted area a component lies where those before it end; MXCSR is part of SSE there", () => {
  const t = machine(), { s } = t.core, { view } = t.memory;
  t.write64(FREE + XSTATE_BV, 4n);
  t.write64(FREE + XCOMP_BV, COMPACTED | 6n);
  t.write64(FREE + YMM, 0x1234n);
  t.write64(FREE + MXCSR, 0xffff_ffffn); // nobody looks: SSE is not there
  s.setGpr(0, 6n);
  assertEquals(t.run("xrstor", FREE, 1), NEXT);
  assertEquals([view.getBigUint64(HIGH, true), view.getBigUint64(XMM_BASE, true)], [0x1234n, 0n]);
  assertEquals([s.get32(S.mxcsr), view.getUint8(X87_FTW)], [0x1f80, 0x80]);
});

Deno.test("a standard area's MXCSR comes with SSE or AVX, also without its component", () => {
  for (const [asked, wanted] of [[1n, 0x1fa0], [2n, 0x1f83], [4n, 0x1f83]] as const) {
    const t = machine();
    t.write64(FREE + MXCSR, 0x1f83n);
    t.core.s.setGpr(0, asked);
    assertEquals([t.run("xrstor", FREE, 1), t.core.s.get32(S.mxcsr)], [NEXT, wanted]);
  }
});

// byte offset and value that make XRSTOR of a compacted area fault
const COMPACTED_HEADERS: readonly (readonly [string, number, bigint])[] = [
  ["a component that XCOMP_BV lacks", XSTATE_BV, 4n],
  ["XCOMP_BV with a component that XCR0 lacks", XCOMP_BV, COMPACTED | 8n],
  ["XCOMP_BV's upper bits", XCOMP_BV, COMPACTED | (1n << 62n)],
  ["XSTATE_BV's upper bits", XSTATE_BV + 4, 1n],
  ["reserved bytes at the end of the header", 568, 1n],
];
for (const [what, at, value] of COMPACTED_HEADERS) {
  Deno.test(`XRSTOR of a compacted area refuses ${what}`, () => {
    const t = machine();
    t.core.s.setGpr(0, 7n);
    t.write64(FREE + XCOMP_BV, COMPACTED | 3n);
    assertEquals(t.run("xrstor", FREE, 1), NEXT);
    t.write64(FREE + at, value);
    t.memory.view.setBigUint64(XMM_BASE, 0x100n, true);
    assertEquals([t.run("xrstor", FREE, 1), t.fault], [FAULT, "13:0"]);
    assertEquals(t.memory.view.getBigUint64(XMM_BASE, true), 0x100n);
  });
}

Deno.test("XSAVES and XRSTORS are privileged, XRSTORS wants a compacted area", () => {
  const user = new TestCore({ features: levelFeatures("max") }).long(3);
  user.core.s.set64(S.cr4, 0x4_0620n);
  user.core.s.set64(S.xcr0, 7n);
  assertEquals([user.run("xsaves", FREE, 1), user.fault], [FAULT, "13:0"]);
  assertEquals([user.run("xrstors", FREE, 1), user.fault], [FAULT, "13:0"]);
  const t = machine();
  t.core.s.setGpr(0, 7n);
  assertEquals([t.run("xrstors", FREE, 1), t.fault], [FAULT, "13:0"]);
});

Deno.test("without XSAVEC a compacted area is refused", () => {
  const t = new TestCore({ features: levelFeatures("x86-64-v3") }).long();
  t.core.s.set64(S.cr4, 0x4_0620n);
  t.core.s.set64(S.xcr0, 7n);
  t.core.s.setGpr(0, 7n);
  t.write64(FREE + XCOMP_BV, COMPACTED | 7n);
  assertEquals([t.run("xrstor", FREE, 1), t.fault], [FAULT, "13:0"]);
});

Deno.test("XGETBV 1 says which components of XCR0 are in use, XSETBV which may be", () => {
  const t = machine(), { s } = t.core;
  const get = () => [t.run("xgetbv"), s.gpr(0), s.gpr(2)];
  s.setGpr(1, 1n);
  assertEquals(get(), [NEXT, 7n, 0n]);
  t.memory.bytes.fill(0, HIGH, HIGH + 256);
  assertEquals(get(), [NEXT, 3n, 0n]);
  s.setGpr(1, 0n);
  assertEquals(get(), [NEXT, 7n, 0n]);
  s.setGpr(1, 2n);
  assertEquals([t.run("xgetbv"), t.fault], [FAULT, "13:0"]);
  s.setGpr(1, 0n);
  s.setGpr(2, 0n);
  for (const [value, status] of [[5n, FAULT], [6n, FAULT], [0xfn, FAULT], [3n, NEXT]] as const) {
    s.setGpr(0, value); // AVX without SSE; no x87; an unknown component
    t.core.updateMode();
    const is = t.run("xsetbv");
    assertEquals(is === FAULT ? FAULT : NEXT, status);
  }
  assertEquals(s.get64(S.xcr0), 3n);
});

Deno.test("CPUID leaf 0DH follows XCR0; IA32_XSS is zero", () => {
  const t = machine(), leaf = (n: number) => cpuidLeaf(t.core, 0xd, n);
  const supported = leaf(0)[0];
  assertEquals([supported & 7, leaf(0)[1]], [7, 832]);
  assertEquals([leaf(1)[0], leaf(1)[1], leaf(1)[2]], [15, 832, 0]);
  assertEquals(leaf(2), [256, 576, 0, 0]);
  t.core.s.set64(S.xcr0, 3n);
  assertEquals([leaf(0)[1], leaf(1)[1]], [576, 576]);
});

Deno.test("XSAVE across pages writes all or nothing", () => {
  const t = machine(3n);
  const PD = PML4 + 0x2000, PT = PML4 + 0x3000;
  t.write64(PML4 + 0x1000, BigInt(PD) | 3n);
  t.write64(PD, 0x83n);
  t.write64(PD + 16, BigInt(PT) | 3n);
  t.write64(PT, BigInt(FREE) | 3n);
  t.core.mmu.flush();
  t.core.s.setGpr(0, 7n);
  assertEquals([t.run("xsave", 0x40_0e00, 1), t.fault], [FAULT, "14:2"]);
  assertEquals([t.core.fault.addressLo, t.read32(FREE + 0xe00)], [0x40_1000, 0]);
  t.write64(PT + 8, BigInt(FREE + 0x5000) | 3n);
  assertEquals(t.run("xsave", 0x40_0e00, 1), NEXT);
  assertEquals([t.read16(FREE + 0xe00), t.read64(FREE + 0x5000)], [0x37f, 3n]); // XSTATE_BV at 512
  assertEquals(t.read64(FREE + 0xe00 + 160), 0x100n);
});

Deno.test("XSAVE saves only what is asked for; XRSTOR initializes what is absent", () => {
  const t = machine(3n), s = t.core.s;
  s.setGpr(0, 2n); // SSE
  assertEquals(t.run("xsave", FREE, 1), NEXT);
  assertEquals([t.read16(FREE), t.read64(FREE + 160), t.read64(FREE + 512)], [0, 0x100n, 2n]);
  s.setGpr(0, 3n);
  assertEquals(t.run("xrstor", FREE, 1), NEXT);
  assertEquals(t.memory.view.getUint16(S.x87 + X87_STATE.at.fsw, true), 0); // x87 initialized
  assertEquals(t.memory.view.getBigUint64(XMM_BASE, true), 0x100n);
  t.write64(FREE + 512, 0n);
  assertEquals(t.run("xrstor", FREE, 1), NEXT);
  assertEquals(t.memory.view.getBigUint64(XMM_BASE, true), 0n);
});

// byte offset and value that make XRSTOR fault
const HEADERS: [string, number, bigint][] = [
  ["a component that XCR0 lacks", 512, 8n],
  ["XCOMP_BV of a standard area", 520, 1n],
  ["reserved header bytes", 528, 1n],
  ["reserved MXCSR bits", 24, 0x8000_0000n],
];
for (const [what, at, value] of HEADERS) {
  Deno.test(`XRSTOR refuses ${what}`, () => {
    const t = machine(3n);
    t.core.s.setGpr(0, 3n);
    t.write64(FREE + at, value);
    assertEquals([t.run("xrstor", FREE, 1), t.fault], [FAULT, "13:0"]);
    assertEquals(t.memory.view.getBigUint64(XMM_BASE, true), 0x100n);
  });
}

Deno.test("XSAVE needs CR4.OSXSAVE and 64-byte alignment", () => {
  const t = machine(3n);
  assertEquals([t.run("xsave", FREE + 16, 1), t.fault], [FAULT, "13:0"]);
  t.core.s.set64(S.cr4, 0x620n);
  assertEquals([t.run("xsave", FREE, 1), t.fault], [FAULT, "6:-1"]);
});
