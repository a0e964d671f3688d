// SPDX-License-Identifier: MIT
/** What blocks of a region know of vectors, by programs that show it. */
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { S, XMM_BASE } from "../../state/state.ts";

const TURNS = 200;
// next: movapd xmm0, [rsi]; add rsi, 16; test cl, 1; jz even; addsd xmm1, xmm0; jmp on
// even: addsd xmm2, xmm0
// on: dec ecx; jnz next; hlt
const PROGRAM = "660f2806 4883c610 f6c101 7406 f20f58c8 eb04 f20f58d0 ffc9 75e5 f4";

for (const how of ENGINES) {
  Deno.test(`two blocks take the low lane out of a vector that one in front of both has read (${how.name})`, () => {
    const t = new TestCpu(64, how);
    const { core } = t.cpu;
    const { view } = t.memory;
    t.write(CODE_BASE, (PROGRAM.match(/[0-9a-f]{2}/g) ?? []).map((byte) => parseInt(byte, 16)));
    const sums = [0, 0];
    for (let i = 0; i < TURNS; i++) {
      view.setFloat64(t.memory.offsetOf(DATA_BASE + 16 * i), i, true);
      sums[(TURNS - i) & 1]! += i;
    }
    core.s.setGpr(6, BigInt(DATA_BASE));
    core.s.setGpr(1, BigInt(TURNS));
    core.s.set64(S.rip, BigInt(CODE_BASE));
    t.cpu.halted = false;
    assertEquals(t.cpu.run(100_000), "halted");
    const low = (register: number) => view.getFloat64(XMM_BASE + 16 * register, true);
    assertEquals([low(2), low(1)], sums);
  });
}
