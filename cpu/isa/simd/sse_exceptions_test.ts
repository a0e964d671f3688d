// SPDX-License-Identifier: MIT
/** What the host's CPU cannot be asked about SSE exceptions: delivery, CR4.OSXMMEXCPT, and how the fast path is left. @module */
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { CR4_OSXMMEXCPT, CR4_OSXSAVE, EXC_UD, EXC_XM, S, XMM_BASE, YMM_HIGH } from "../../state/state.ts";

const HANDLER = CODE_BASE + 0x1000;
/** divsd xmm0, xmm1 behind a NOP. */
const DIVIDE = [0x90, 0xf2, 0x0f, 0x5e, 0xc1];
const ZM_CLEAR = 0x1f80 & ~(1 << 9), IE = 1 << 0, ZE = 1 << 2, PE = 1 << 5;

function prepare(t: TestCpu, a: number, b: number, mxcsr: number): void {
  t.reset();
  const view = t.memory.view;
  view.setFloat64(XMM_BASE, a, true);
  view.setFloat64(XMM_BASE + 16, b, true);
  t.cpu.core.s.set32(S.mxcsr, mxcsr);
}
const xmm0 = (t: TestCpu) => t.memory.view.getFloat64(XMM_BASE, true);

for (const how of ENGINES) {
  for (const [vector, name] of [[EXC_XM, "#XM"], [EXC_UD, "#UD without CR4.OSXMMEXCPT"]] as const) {
    Deno.test(`an unmasked division by zero is ${name}, at the instruction, and leaves the destination (${how.name})`, () => {
      const t = new TestCpu(64, how);
      prepare(t, 3, 0, ZM_CLEAR);
      const { s } = t.cpu.core;
      if (vector === EXC_UD) s.set64(S.cr4, s.get64(S.cr4) & ~BigInt(CR4_OSXMMEXCPT));
      t.handlers({ [vector]: HANDLER });
      t.write(HANDLER, [0x58, 0xf4]); // pop rax; hlt
      t.run(DIVIDE);
      assertEquals(s.gpr(0), BigInt(CODE_BASE + 1), "saved RIP");
      assertEquals(xmm0(t), 3);
      assertEquals(s.get32(S.mxcsr), ZM_CLEAR | ZE);
    });
  }

  Deno.test(`ordinary arithmetic never leaves emitted code, not even to set PE (${how.name})`, () => {
    const t = new TestCpu(64, how);
    prepare(t, 1, 3, 0x1f80);
    const { sse } = t.cpu.core;
    const execute = sse.execute.bind(sse);
    let calls = 0;
    sse.execute = (code, mxcsr, operands) => {
      calls++;
      return execute(code, mxcsr, operands);
    };
    // mov ecx, 1000; loop: divsd xmm0, xmm1; mulsd xmm0, xmm1; addsd xmm0, xmm1; subsd xmm0, xmm1;
    // sqrtsd xmm2, xmm0; comisd xmm0, xmm1; cvtsd2ss xmm3, xmm0; loop
    const body = [
      ...[0xf2, 0x0f, 0x5e, 0xc1],
      ...[0xf2, 0x0f, 0x59, 0xc1],
      ...[0xf2, 0x0f, 0x58, 0xc1],
      ...[0xf2, 0x0f, 0x5c, 0xc1],
      ...[0xf2, 0x0f, 0x51, 0xd0],
      ...[0x66, 0x0f, 0x2f, 0xc1],
      ...[0xf2, 0x0f, 0x5a, 0xd8],
      ...[0x66, 0x0f, 0x59, 0xe5], // mulpd xmm4, xmm5: zeros
      ...[0x0f, 0x58, 0xf3], // addps xmm6, xmm3
    ];
    t.run([0xb9, 0xe8, 3, 0, 0, ...body, 0xff, 0xc9, 0x75, 0x100 - body.length - 4]);
    assertEquals(t.cpu.core.s.gpr(1), 0n, "the loop ended");
    assertEquals(calls, 0);
    assertEquals(t.cpu.core.s.get32(S.mxcsr), 0x1f80 | PE);
  });

  Deno.test(`exact arithmetic never leaves emitted code, and leaves PE clear (${how.name})`, () => {
    const t = new TestCpu(64, how);
    prepare(t, 12, 4, 0x1f80);
    const { sse } = t.cpu.core;
    sse.execute = () => {
      throw new Error("left emitted code");
    };
    const body = [
      ...[0xf2, 0x0f, 0x5e, 0xc1], // divsd xmm0, xmm1: 3
      ...[0xf2, 0x0f, 0x59, 0xc1], // mulsd xmm0, xmm1: 12
      ...[0xf2, 0x0f, 0x5c, 0xc1], // subsd xmm0, xmm1: 8
      ...[0xf2, 0x0f, 0x58, 0xc1], // addsd xmm0, xmm1: 12
      ...[0xf2, 0x0f, 0x51, 0xd1], // sqrtsd xmm2, xmm1: 2
      ...[0xf2, 0x0f, 0x5a, 0xd9], // cvtsd2ss xmm3, xmm1
      ...[0xf3, 0x0f, 0x59, 0xe3], // mulss xmm4, xmm3
      ...[0xf3, 0x0f, 0x58, 0xe3], // addss xmm4, xmm3
      ...[0xf3, 0x0f, 0x5e, 0xe3], // divss xmm4, xmm3
    ];
    t.run([0xb9, 10, 0, 0, 0, ...body, 0xff, 0xc9, 0x75, 0x100 - body.length - 4]);
    assertEquals([xmm0(t), t.memory.view.getFloat64(XMM_BASE + 32, true)], [12, 2]);
    assertEquals(t.cpu.core.s.get32(S.mxcsr), 0x1f80);
  });

  Deno.test(`infinities, NaNs and what has no integer never leave emitted code (${how.name})`, () => {
    const t = new TestCpu(64, how);
    prepare(t, 1, 0, 0x1f80);
    const { sse, s } = t.cpu.core;
    sse.execute = () => {
      throw new Error("left emitted code");
    };
    t.run([
      ...[0xf2, 0x0f, 0x5e, 0xc1], // divsd xmm0, xmm1: infinity
      ...[0x66, 0x0f, 0x28, 0xd0], // movapd xmm2, xmm0
      ...[0xf2, 0x0f, 0x5c, 0xd0], // subsd xmm2, xmm0: NaN
      ...[0xf2, 0x0f, 0x59, 0xd1], // mulsd xmm2, xmm1
      ...[0xf2, 0x0f, 0x2c, 0xc0], // cvttsd2si eax, xmm0
      ...[0xf2, 0x0f, 0x2c, 0xca], // cvttsd2si ecx, xmm2
      ...[0x66, 0x0f, 0x2f, 0xd0], // comisd xmm2, xmm0
      ...[0x9c, 0x5a], // pushfq; pop rdx
    ]);
    assertEquals(t.memory.view.getBigUint64(XMM_BASE + 32, true), 0xfff8_0000_0000_0000n);
    assertEquals([s.gpr(0), s.gpr(1), s.gpr(2) & 0x8d5n], [0x8000_0000n, 0x8000_0000n, 0x45n]);
    assertEquals(s.get32(S.mxcsr), 0x1f80 | IE | ZE);
  });

  Deno.test(`LDMXCSR counts for the instruction behind it, VLDMXCSR too (${how.name})`, () => {
    for (
      const [ldmxcsr, addsd] of [[[0x0f, 0xae, 0x13], [0xf2, 0x0f, 0x58]], [[0xc5, 0xf8, 0xae, 0x13], [
        0xc5,
        0xeb,
        0x58,
      ]]]
    ) {
      const t = new TestCpu(64, how), { s } = t.cpu.core, { view } = t.memory;
      prepare(t, 1, 2 ** -60, 0x1f80 | PE);
      s.set32(S.cr4, s.get32(S.cr4) | CR4_OSXSAVE);
      s.set32(S.xcr0, 7);
      t.cpu.core.updateMode();
      s.setGpr(3, BigInt(DATA_BASE));
      view.setUint32(t.memory.offsetOf(DATA_BASE), 0x5f80 | PE, true); // rounding up
      view.setFloat64(XMM_BASE + 32, 1, true);
      // addsd xmm0, xmm1; ldmxcsr [rbx]; addsd xmm2, xmm1
      t.run([0xf2, 0x0f, 0x58, 0xc1, ...(ldmxcsr as number[]), ...(addsd as number[]), 0xd1]);
      assertEquals([xmm0(t), view.getFloat64(XMM_BASE + 32, true)], [1, 1 + 2 ** -52]);
    }
  });

  Deno.test(`an exception of one half of a YMM register keeps the other's precision flag away (${how.name})`, () => {
    const t = new TestCpu(64, how), { s } = t.cpu.core, { view } = t.memory;
    const masked = 0x1f80, invalid = 1 << 7, IE = 1;
    for (
      const [mxcsr, vector, wanted] of [[masked, 0, masked | PE | IE], [
        masked & ~invalid,
        1,
        masked & ~invalid | IE,
      ]]
    ) {
      t.reset();
      s.set32(S.cr4, s.get32(S.cr4) | CR4_OSXSAVE);
      s.set32(S.xcr0, 7);
      t.cpu.core.updateMode();
      s.set32(S.mxcsr, mxcsr as number);
      for (let lane = 0; lane < 8; lane++) {
        const at = XMM_BASE + (lane < 4 ? 0 : YMM_HIGH - 16) + 4 * lane;
        view.setFloat32(at + 16, lane === 4 ? 0 : 1, true); // 1 / 3, in the upper half once 0 / 0
        view.setFloat32(at + 32, lane === 4 ? 0 : 3, true);
      }
      t.cpu.exceptions.fill(0);
      t.run([0xc5, 0xf4, 0x5e, 0xc2]); // vdivps ymm0, ymm1, ymm2
      assertEquals([t.cpu.exceptions[EXC_XM], s.get32(S.mxcsr)], [vector, wanted]);
    }
  });
}
