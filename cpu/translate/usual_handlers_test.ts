// SPDX-License-Identifier: MIT
/** A guest with many handlers gets the usual ones at once, in one module, and only once. @module */
import { assertEquals } from "@std/assert";
import { H_FIRST } from "../state/record.ts";
import { DATA_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";

const RAX = 0, RCX = 1, RBX = 3;
/** ADD, OR, ADC, SBB, AND, SUB, XOR, CMP of every width, with registers, memory and immediates: shifts: some 200 forms. */
function arithmetic(): number[] {
  const code: number[] = [];
  for (let op = 0; op < 8; op++) {
    for (const modrm of [0xc1, 0x03]) { // eax, ecx and [rbx]
      for (const prefix of [[], [0x66], [0x48]]) {
        code.push(...prefix, op * 8 + 1, modrm, ...prefix, op * 8 + 3, modrm);
        code.push(...prefix, 0x83, (modrm & 0xc7) | (op << 3), 1);
      }
      if (op > 3 && op !== 6) {
        code.push(0xd1, (modrm & 0xc7) | (op << 3), 0x48, 0xd3, (modrm & 0xc7) | (op << 3)); // shifts
      }
      code.push(op * 8, modrm, op * 8 + 2, modrm, 0x80, (modrm & 0xc7) | (op << 3), 1);
    }
  }
  return code;
}
/** XCHG, which no list of forms of a boot has at 16 bits with memory. */
const RARE = [0x66, 0x87, 0x03];

for (const how of ENGINES) {
  Deno.test(`the usual handlers are made together when there are many (${how.name})`, () => {
    const t = new TestCpu(64, how);
    const { modules, core } = t.cpu;
    core.s.setGpr(RBX, BigInt(DATA_BASE));
    assertEquals(t.run(RARE), "halted");
    const few = modules.handlerCount;
    assertEquals([few < 100, modules.wantsUsual], [true, false]);
    assertEquals(t.run(arithmetic()), "halted");
    assertEquals(t.run([0x0f, 0xa3, 0xc8]), "halted"); // bt eax, ecx: a block more
    const many = modules.handlerCount;
    assertEquals([many > 1000, modules.wantsUsual], [true, false]);
    // Now a form that nothing has run yet has its handler, and what ran before has the same one.
    core.s.setGpr(RAX, 0n);
    core.s.setGpr(RBX, BigInt(DATA_BASE));
    t.memory.write(DATA_BASE, new Uint8Array(16));
    assertEquals(t.run([0x48, 0x63, 0xc1, 0x0f, 0xb6, 0xc0, 0x48, 0x8d, 0x43, 1]), "halted"); // movsxd, movzx, lea
    assertEquals([modules.handlerCount, core.s.gpr(RAX)], [many, BigInt(DATA_BASE + 1)]);
  });
}

Deno.test("handlers that are usual and came before the others move into their module, in their slots", () => {
  const t = new TestCpu(64, { engine: "interp" });
  const { modules: { slots }, core } = t.cpu;
  const ADD = [0x48, 0x01, 0xc8],
    filled = () => Array.from({ length: slots.used }, (_, i) => slots.table.get(H_FIRST + i));
  const set = () => [RAX, RCX].forEach((register, i) => core.s.setGpr(register, BigInt(5 + i)));
  assertEquals(t.run(ADD), "halted");
  const before = filled();
  core.s.setGpr(RBX, BigInt(DATA_BASE));
  assertEquals(t.run(arithmetic()), "halted");
  assertEquals(t.run([0x0f, 0xa3, 0xc8]), "halted");
  const after = filled();
  assertEquals(before.some((handler, i) => handler !== after[i]), true);
  set();
  assertEquals([t.run(ADD), core.s.gpr(RAX)], ["halted", 11n]);
  // Nothing moves twice.
  assertEquals(filled().slice(0, after.length), after);
});

Deno.test("a small table keeps its slots for what runs", () => {
  const t = new TestCpu(64, { tableSize: 1024 });
  t.cpu.core.s.setGpr(RBX, BigInt(DATA_BASE));
  assertEquals(t.run([...arithmetic(), ...RARE]), "halted");
  assertEquals(t.cpu.modules.handlerCount < 1000, true);
});
