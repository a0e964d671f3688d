// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { S } from "./state/state.ts";
import { CODE_BASE, ENGINES, TestCpu } from "./_bare_cpu.ts";

const HLT = 0xf4;

for (const { name, engine, compileAtOnce } of ENGINES) {
  for (const bits of [32, 64] as const) {
    Deno.test(`Cpu remembers the last 16 places where blocks began, each once in a row: ${bits} bit, ${name}`, () => {
      const t = new TestCpu(bits, { engine, compileAtOnce });
      assertEquals(t.cpu.recentCode(), []);
      const places = Array.from({ length: 20 }, (_, i) => CODE_BASE + 64 * i);
      for (const rip of places) {
        t.write(rip, [HLT]);
        for (let turn = 0; turn < 2; turn++) {
          t.cpu.halted = false;
          t.cpu.core.s.set64(S.rip, BigInt(rip));
          assertEquals(t.cpu.run(100), "halted");
        }
      }
      const expected = places.slice(-16).map((rip) => ({ rip: BigInt(rip), codeBits: bits }));
      assertEquals(t.cpu.recentCode(), expected);
      t.cpu.reset();
      assertEquals(t.cpu.recentCode(), []);
    });
  }
}

Deno.test("Cpu remembers where the guest went when there is nothing", () => {
  const t = new TestCpu(64);
  t.run([0x48, 0xc7, 0xc0, 0x00, 0x00, 0x00, 0x70, 0xff, 0xe0]); // mov rax,0x70000000; jmp rax
  assertEquals(t.cpu.recentCode().map(({ rip }) => rip), [BigInt(CODE_BASE), 0x7000_0000n]);
});
