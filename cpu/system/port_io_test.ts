// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 1 §18.5; Vol. 2A INS, OUTS.
import { assertEquals } from "@std/assert";
import { FREE, PML4, TestCore, TSS } from "../_test_core.ts";
import { MAX_ITERATIONS } from "./port_io.ts";
import { DS, FLAG_DF, S } from "../state/state.ts";
import { DISPATCH, FAULT, HALT, NEXT, SLICE_END, STOP } from "../state/status.ts";

const RCX = 1, RDX = 2, RSI = 6, RDI = 7;

Deno.test("IN and OUT", () => {
  const t = new TestCore().long();
  t.portValue = 0xfedc_ba98;
  assertEquals([t.run("in", 0x1_0cf8, 4), t.core.s.arg(0)], [NEXT, 0xfedc_ba98n]);
  assertEquals(t.run("out", 0x80, 1, 0x1234), NEXT);
  assertEquals(t.log.ports, ["in cf8 4", "out 80 1 34"]);
});

Deno.test("a port access that stops the machine leaves S.rip behind the instruction", () => {
  const t = new TestCore().long();
  t.core.stopRequested = true;
  assertEquals([t.run("out", 0xb0, 4, 0), t.rip], [STOP, 0x1000_0002n]);
});

Deno.test("users need IOPL or the TSS bitmap", () => {
  const t = new TestCore().long(3);
  t.write16(TSS + 102, 0x68);
  t.memory.bytes.fill(0xff, t.memory.offsetOf(TSS + 0x68), t.memory.offsetOf(TSS + 0x68) + 0x2000);
  assertEquals([t.run("in", 0x60, 1), t.fault], [FAULT, "13:0"]);
  t.write16(TSS + 0x68 + 0xc, 0xfffe); // port 0x60 only
  assertEquals([t.run("in", 0x60, 1), t.run("in", 0x60, 2)], [NEXT, FAULT]);
  t.write16(TSS + 0x68 + 0x7f, ~(0xf << 6) & 0xffff); // 0x3fe..0x401 straddle two bytes
  assertEquals([t.run("in", 0x3fe, 4), t.run("in", 0x3fd, 4)], [NEXT, FAULT]);
  t.write16(TSS + 102, 0x2080); // outside the TSS
  assertEquals(t.run("in", 0x60, 1), FAULT);
  t.core.setRflags(0x3202);
  assertEquals(t.run("in", 0x60, 1), NEXT);
});

Deno.test("REP OUTS and REP INS move registers and memory", () => {
  const t = new TestCore().long(), s = t.core.s;
  s.setGpr(RDX, 0x3f8n);
  s.setGpr(RSI, BigInt(FREE));
  s.setGpr(RCX, 3n);
  t.write32(FREE, 0x0043_4241);
  assertEquals(t.run("outs", 1, 1, 8, DS), NEXT);
  assertEquals(t.log.ports, ["out 3f8 1 41", "out 3f8 1 42", "out 3f8 1 43"]);
  assertEquals([t.gpr(RSI), t.gpr(RCX)], [BigInt(FREE + 3), 0n]);
  t.portValue = 0xabcd;
  t.core.setRflags(2 | FLAG_DF);
  s.setGpr(RDI, BigInt(FREE + 6));
  s.setGpr(RCX, 2n);
  assertEquals(t.run("ins", 2, 1, 8), NEXT);
  assertEquals([t.read32(FREE + 4), t.gpr(RDI)], [0xabcd_abcd, BigInt(FREE + 2)]);
  s.setGpr(RCX, 0n);
  assertEquals([t.run("ins", 2, 1, 8), t.gpr(RDI)], [NEXT, BigInt(FREE + 2)]);
});

Deno.test("16-bit addressing wraps SI and keeps the rest of RSI", () => {
  const t = new TestCore().protected32(), s = t.core.s;
  s.setGpr(RSI, 0xffff_ffffn);
  s.setGpr(RCX, 0xffff_0002n);
  assertEquals([t.run("outs", 1, 1, 2, DS), t.gpr(RSI), t.gpr(RCX)], [NEXT, 0xffff_0001n, 0xffff_0000n]);
});

Deno.test("a fault in a REP INS keeps the iterations done and reads no port", () => {
  const t = new TestCore().long(), s = t.core.s;
  const PD = PML4 + 0x2000, PT = PML4 + 0x3000;
  t.write64(PML4 + 0x1000, BigInt(PD) | 3n);
  t.write64(PD, 0x83n);
  t.write64(PD + 16, BigInt(PT) | 3n);
  t.write64(PT, BigInt(FREE) | 3n);
  t.core.mmu.flush();
  s.setGpr(RDI, 0x40_0ff8n);
  s.setGpr(RCX, 8n);
  assertEquals([t.run("ins", 4, 1, 8), t.fault, t.core.fault.addressLo], [FAULT, "14:2", 0x40_1000]);
  assertEquals([t.gpr(RCX), t.gpr(RDI), t.log.ports.length], [6n, 0x40_1000n, 2]);
});

Deno.test("a long REP is cut so that interrupts get a chance", () => {
  const t = new TestCore().long(), s = t.core.s;
  s.setGpr(RSI, BigInt(FREE));
  s.setGpr(RCX, BigInt(MAX_ITERATIONS + 1));
  t.interrupts.pending = true;
  // With an interrupt due after one iteration, else after many.
  assertEquals([t.run("outs", 1, 1, 8, DS), t.rip, t.gpr(RCX)], [SLICE_END, 0x1000_0000n, 1024n]);
  t.interrupts.pending = false;
  s.setGpr(RCX, BigInt(MAX_ITERATIONS + 1));
  assertEquals([t.run("outs", 1, 1, 8, DS), t.rip, t.gpr(RCX)], [DISPATCH, 0x1000_0000n, 1n]);
  assertEquals([t.run("outs", 1, 1, 8, DS), t.gpr(RCX)], [NEXT, 0n]);
});

Deno.test("HLT, INVD and WBINVD by privilege", () => {
  const t = new TestCore().long();
  assertEquals([t.run("hlt"), t.rip], [HALT, 0x1000_0002n]);
  assertEquals(t.run("wbinvd"), NEXT);
  t.core.setCpl(3);
  for (const name of ["hlt", "invd", "wbinvd"] as const) {
    assertEquals([t.run(name), t.fault], [FAULT, "13:0"]);
  }
});

Deno.test("VMCALL asks the machine with S.rip behind it", () => {
  let rip = 0n;
  const t: TestCore = new TestCore({}, { hypercall: () => (rip = t.core.s.get64(S.rip), NEXT) }).long();
  assertEquals([t.run("vmcall"), rip], [NEXT, 0x1000_0002n]);
  t.core.stopRequested = true;
  assertEquals(t.run("vmcall"), STOP);
});
