// SPDX-License-Identifier: MIT
/** What whole-block functions must not lose: flags at faults, changes of their own code, interrupts in loops. @module */
import { assertEquals } from "@std/assert";
import { EXC_PF, FLAG_CF, FLAG_IF, FLAG_ZF, S } from "../state/state.ts";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
/** Linear address with nothing mapped: the test tables end at 1 GiB. */
const ABSENT = 0x4000_0000;

for (const how of ENGINES) {
  Deno.test(`a fault sees the flags of the instruction before it (${how.name})`, () => {
    const t = new TestCpu(64, how);
    // mov eax, -1; add eax, 1 (CF, ZF); mov ecx, [ABSENT]; sub eax, 5
    const code = [0xb8, ...le32(-1), 0x83, 0xc0, 1, 0x8b, 0x0c, 0x25, ...le32(ABSENT), 0x83, 0xe8, 5];
    assertEquals(t.run(code), "shutdown"); // no IDT: the fault cannot be delivered
    assertEquals(t.cpu.exceptions[EXC_PF], 1);
    assertEquals(t.cpu.core.rflags & (FLAG_CF | FLAG_ZF), FLAG_CF | FLAG_ZF);
    assertEquals(t.cpu.core.s.gpr(0), 0n);
  });

  Deno.test(`INC keeps the carry of an ADD whose other flags nobody reads (${how.name})`, () => {
    const t = new TestCpu(64, how);
    // mov eax, -1; add eax, 1; inc ebx; adc edx, 0
    t.run([0xb8, ...le32(-1), 0x83, 0xc0, 1, 0xff, 0xc3, 0x83, 0xd2, 0]);
    assertEquals(
      t.cpu.core.s.gpr(2),
      BigInt(t.cpu.core.vendor === "GenuineIntel" ? 0x0003_0661 : 0x0006_0fb1) + 1n,
    );
  });

  Deno.test(`a block that changes its own next instruction runs the new one (${how.name})`, () => {
    const t = new TestCpu(64, how);
    const code = [
      0xb9,
      ...le32(3), // mov ecx, 3
      0xb8,
      ...le32(0), // mov eax, 0
      // loop: mov dword [patch + 1], ecx
      0x89,
      0x0c,
      0x25,
      ...le32(CODE_BASE + 18),
      0xba,
      ...le32(0x7777), // patch: mov edx, imm32
      0x01,
      0xd0, // add eax, edx
      0xff,
      0xc9, // dec ecx
      0x75,
      0xee, // jnz loop
    ];
    assertEquals(t.run(code), "halted");
    assertEquals(t.cpu.core.s.gpr(0), 6n);
  });

  Deno.test(`a loop of one block leaves for an interrupt (${how.name})`, () => {
    let pending = false;
    const taken: number[] = [];
    const t = new TestCpu(64, {
      ...how,
      hooks: {
        interrupts: {
          get pending() {
            return pending;
          },
          acknowledge: () => {
            pending = false;
            taken.push(t.cpu.instructions);
            return -1; // spurious: nothing to deliver, but it was seen
          },
        },
      },
    });
    t.write(CODE_BASE, [0xff, 0xc0, 0xeb, 0xfc]); // inc eax; jmp back
    t.cpu.core.setRflags(FLAG_IF | 2);
    assertEquals(t.resume(100_000), "budget");
    pending = true;
    t.cpu.interruptsChanged();
    assertEquals(t.cpu.run(100_000), "budget");
    assertEquals(taken.length, 1);
    assertEquals(BigInt(t.cpu.core.s.gpr32(0)) > 50_000n, true);
  });

  Deno.test(`partial registers are merged (${how.name})`, () => {
    const t = new TestCpu(64, how);
    // mov rax, 0x1122334455667788; mov ah, 0x99; mov al, 0xaa; mov bx, ax; mov [DATA], rax
    t.run([
      ...[0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xb4, 0x99, 0xb0, 0xaa],
      ...[0x66, 0x89, 0xc3, 0x48, 0x89, 0x04, 0x25, ...le32(DATA_BASE)],
    ]);
    assertEquals(t.memory.view.getBigUint64(t.memory.offsetOf(DATA_BASE), true), 0x1122_3344_5566_99aan);
    assertEquals(t.cpu.core.s.get64(S.gpr + 3 * 8), 0x99aan);
  });
}
