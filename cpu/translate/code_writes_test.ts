// SPDX-License-Identifier: MIT
/**
 * Writes next to code cost little, writes to code are noticed, byte by byte. Rules: SDM Vol. 3A §9.3 (self-modifying
 * code).
 * @module
 */
import { assertEquals } from "@std/assert";
import { CODE_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";
import { S } from "../state/state.ts";

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const HLT = 0xf4, NOP = 0x90, RET = 0xc3;
/** A function of one block, and where it lies in its page: it begins with a piece of the code map and ends within one. */
const FUNCTION = CODE_BASE + 0x1000 + 0x80, NOPS = 90;
const FUNCTION_END = FUNCTION + NOPS + 1;

function go(t: TestCpu, rip: number): void {
  t.cpu.halted = false;
  t.cpu.core.s.set64(S.rip, BigInt(rip));
  assertEquals(t.cpu.run(10_000_000), "halted");
}
function withFunction(how: (typeof ENGINES)[number]): TestCpu {
  const t = new TestCpu(64, how);
  t.write(FUNCTION, [...Array(NOPS).fill(NOP), RET]);
  t.write(CODE_BASE, [0xff, 0xd0, HLT]); // call rax
  t.cpu.core.s.setGpr(0, BigInt(FUNCTION));
  go(t, CODE_BASE);
  return t;
}

for (const how of ENGINES) {
  const test = (name: string, f: () => void) => Deno.test(`${name} (${how.name})`, f);

  test("a block that calls itself until its return address lands on it goes on with that", () => {
    const depth = 60_000, handler = CODE_BASE - 0x1000;
    const t = new TestCpu(64, how);
    t.handlers({ 6: handler });
    t.write(handler, [HLT]);
    // 0: inc eax; call 0. The address of what is behind it is 07 00 10 00: 07 is no instruction of 64-bit code.
    const code = [0xff, 0xc0, 0xe8, 0xf9, 0xff, 0xff, 0xff];
    const { s } = t.cpu.core;
    for (const turns of [3, depth]) {
      t.write(CODE_BASE, code);
      s.setGpr(0, 0n);
      s.setGpr(4, BigInt(CODE_BASE + 8 * turns));
      go(t, CODE_BASE);
      assertEquals(s.gpr(0), BigInt(turns));
    }
  });

  test("a fill finds the code that it covers piece by piece, and none behind it", () => {
    const t = new TestCpu(64, how);
    const { s } = t.cpu.core, first = CODE_BASE + 0x1000, functions = 65, fill = CODE_BASE + 0x40;
    t.write(first, Array(functions).fill([NOP, NOP, NOP, RET]).flat());
    t.write(CODE_BASE, [0xff, 0xd0, HLT]); // call rax
    for (let n = 0; n < functions; n++) {
      s.setGpr(0, BigInt(first + 4 * n));
      go(t, CODE_BASE);
    }
    // mov [rdi],rcx; add rdi,8; dec edx; jnz to the start
    t.write(fill, [0x48, 0x89, 0x0f, 0x48, 0x83, 0xc7, 0x08, 0xff, 0xca, 0x75, 0xf5, HLT]);
    s.setGpr(1, 0n);
    s.setGpr(2, 32n);
    s.setGpr(7, BigInt(first));
    const before = { slow: t.cpu.slowAccesses, gone: t.cpu.blocks.invalidated };
    go(t, fill);
    assertEquals(t.cpu.blocks.invalidated - before.gone, functions - 1);
    // of four pieces; in the first one the second write shows that it is a fill
    assertEquals(t.cpu.slowAccesses - before.slow, 5);
  });

  for (
    const [name, code] of [["STOS", [0xf3, 0x48, 0xab, HLT]], ["MOVS", [0xf3, 0x48, 0xa5, HLT]]] as const
  ) {
    test(`REP ${name} over code forgets what it covers, and no more, and is as fast as elsewhere`, () => {
      const t = new TestCpu(64, how);
      const { s } = t.cpu.core, first = CODE_BASE + 0x1000, bytes = 0xf00, source = CODE_BASE + 0x4000;
      const functions = [...Array(9).keys()].map((n) => first + 8 + n * 0x1f0); // the last one lies behind
      const call = (at: number) => {
        s.setGpr(0, BigInt(at));
        go(t, CODE_BASE);
        return s.gpr32(3);
      };
      const returning = (n: number) => [0xb3, n, RET]; // mov bl, n
      t.write(CODE_BASE, [0xff, 0xd0, HLT]); // call rax
      functions.forEach((at, n) => t.write(at, returning(n)));
      functions.forEach((at, n) => assertEquals(call(at) & 0xff, n));
      t.write(CODE_BASE + 0x40, code);
      const fill = 0xc3_28_b3_c3_28_b3_c3n | 0x90n << 56n; // from its second byte on: mov bl, 28h; ret
      for (let i = 0; i < bytes; i += 8) {
        t.memory.view.setBigUint64(t.memory.offsetOf(source + i), fill, true);
      }
      s.setGpr(0, fill);
      s.setGpr(1, BigInt(bytes / 8));
      s.setGpr(6, BigInt(source));
      s.setGpr(7, BigInt(first));
      const before = { gone: t.cpu.blocks.invalidated, instructions: t.cpu.instructions };
      go(t, CODE_BASE + 0x40);
      assertEquals(t.cpu.instructions - before.instructions < bytes / 8 / 8, true);
      assertEquals([s.gpr(1), s.gpr(7)], [0n, BigInt(first + bytes)]);
      const covered = functions.filter((at) => at < first + bytes);
      assertEquals(t.cpu.blocks.invalidated - before.gone, covered.length);
      for (const at of covered) assertEquals(call(at + 1) & 0xff, 0x28);
      assertEquals(covered.length < functions.length, true);
      for (const at of functions.slice(covered.length)) assertEquals(call(at) & 0xff, functions.indexOf(at));
      assertEquals(t.cpu.blocks.invalidated - before.gone, covered.length);
    });
  }

  test("a store that changes the instruction behind it leaves its flags, whatever that was to do with them", () => {
    const t = new TestCpu(64, how);
    // xor edx, edx; add [next instruction], al; add ecx, ebx, which becomes mov ecx, ebx; lahf
    const code = [0x31, 0xd2, 0x00, 0x05, 0, 0, 0, 0, 0x01, 0xd9, 0x9f];
    t.cpu.core.s.setGpr(0, 0x88n);
    assertEquals(t.run(code), "halted");
    assertEquals(t.cpu.core.s.gpr32(0), 0x8288); // SF of 89h
  });

  test("stores of every size around a block hit it when they overlap, and only then", () => {
    const t = withFunction(how);
    const { s } = t.cpu.core;
    const stores = [
      { bytes: 1, code: [0xc6, 0x07, NOP] }, // mov byte [rdi], 0x90
      { bytes: 4, code: [0xc7, 0x07, NOP, NOP, NOP, NOP] }, // mov dword [rdi]
      { bytes: 8, code: [0x48, 0x89, 0x0f] }, // mov [rdi], rcx
      { bytes: 16, code: [0x0f, 0x11, 0x07] }, // movups [rdi], xmm0
    ];
    for (const { bytes, code } of stores) {
      const at = CODE_BASE + 0x40 * bytes;
      t.write(at, [...code, HLT]);
      const places = [-20, -1, 0, 1, 3, 4, 5, 67, 68, 69, NOPS - 1, NOPS, NOPS + 1, NOPS + 20].map((n) =>
        FUNCTION + n
      );
      for (const start of [...places, ...places.map((place) => place - bytes + 1)]) {
        t.write(FUNCTION, [...Array(NOPS).fill(NOP), RET]);
        s.setGpr(0, BigInt(FUNCTION));
        go(t, CODE_BASE);
        s.setGpr(7, BigInt(start));
        s.setGpr(1, 0x9090_9090_9090_9090n);
        go(t, at); // its own code is known from then on
        s.setGpr(0, BigInt(FUNCTION));
        t.write(FUNCTION, [...Array(NOPS).fill(NOP), RET]);
        go(t, CODE_BASE);
        const before = t.cpu.blocks.invalidated;
        go(t, at);
        const overlaps = start < FUNCTION_END && start + bytes > FUNCTION;
        assertEquals(
          t.cpu.blocks.invalidated - before,
          overlaps ? 1 : 0,
          `${bytes} bytes at ${start - FUNCTION}`,
        );
      }
    }
  });

  test("data in a page with code is written without TypeScript", () => {
    const t = withFunction(how);
    const { s } = t.cpu.core;
    const data = FUNCTION - 0x80; // the page's start
    const code = [
      ...[0xb9, ...le32(1000)], // mov ecx, 1000
      ...[0x89, 0x0f], // mov [rdi], ecx
      ...[0x01, 0x4f, 0x08], // add [rdi + 8], ecx
      ...[0xff, 0xc9], // dec ecx
      ...[0x75, 0xf7], // jnz
      HLT,
    ];
    t.write(CODE_BASE + 0x100, code);
    s.setGpr(7, BigInt(data));
    const before = t.cpu.slowAccesses, invalidated = t.cpu.blocks.invalidated;
    go(t, CODE_BASE + 0x100);
    const { view } = t.memory;
    assertEquals(view.getUint32(t.memory.offsetOf(data), true), 1);
    assertEquals(view.getUint32(t.memory.offsetOf(data + 8), true), 500_500);
    assertEquals([t.cpu.slowAccesses - before, t.cpu.blocks.invalidated - invalidated], [0, 0]);
  });

  test("STOS behind a block fills the rest of its page at once, and stops before the next block", () => {
    const t = withFunction(how);
    const { s } = t.cpu.core;
    t.write(CODE_BASE + 0x100, [0xf3, 0xaa, HLT]); // rep stosb
    const fill = (from: number, to: number) => {
      s.setGpr(0, BigInt(NOP));
      s.setGpr(1, BigInt(to - from));
      s.setGpr(7, BigInt(from));
      go(t, CODE_BASE + 0x100);
      s.setGpr(0, BigInt(FUNCTION));
    };
    fill(FUNCTION_END + 64, FUNCTION_END + 1000);
    const known = t.cpu.blocks.invalidated;
    fill(FUNCTION_END + 64, FUNCTION_END + 1000);
    assertEquals(t.cpu.blocks.invalidated, known);
    t.write(FUNCTION + NOPS + 1, [NOP, 0xb3, 7, RET]); // behind it: mov bl, 7
    fill(FUNCTION - 8, FUNCTION_END); // over all of it, the RET at its end too
    assertEquals(t.cpu.blocks.invalidated, known + 1);
    go(t, CODE_BASE);
    assertEquals(s.gpr32(3) & 0xff, 7);
  });
}
