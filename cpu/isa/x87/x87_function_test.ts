// SPDX-License-Identifier: MIT
/**
 * The x87 in emitted code against microcode, in random states: every opcode, numbers of all kinds and near to each other,
 * all controls, tags, flags and places of the operand. Microcode is judged by cpu/fpu/x87_test.ts, both by a real
 * processor in cpu/isa/simd/native_sse_test.ts.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { X87_STATE } from "../../fpu/x87_state.ts";
import { ACCESS_WRITE } from "../../mmu/mmu.ts";
import { S, TLB_MODE_SUPERVISOR } from "../../state/state.ts";
import { generator, microcodeCalls, prepare, randomState, runBoth, significand } from "./_x87_states.ts";

const AT = X87_STATE.at;

/** One of each /r with memory at RBX, all of the others. */
const MODRMS = [
  ...Array.from({ length: 8 }, (_, reg) => reg << 3 | 3),
  ...Array.from({ length: 64 }, (_, i) => 0xc0 + i),
];

for (const { name, ...options } of ENGINES) {
  Deno.test(`x87 in emitted code does what microcode does, ${name}`, () => {
    const t = new TestCpu(64, options), reference = new TestCpu(64);
    const r = generator(0x87);
    const rounds = options.compileAtOnce ? 1 : 4;
    for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
      for (const modrm of MODRMS) {
        const times = modrm < 0xc0 ? 6 * rounds : rounds;
        for (let n = 0; n < times; n++) runBoth(t, reference, randomState(r, opcode, modrm));
      }
    }
  });
}

Deno.test("FSQRT, FXTRACT, FSCALE, FPREM and FPREM1 in emitted code are those of microcode, and mostly need none", () => {
  const t = new TestCpu(64), reference = new TestCpu(64);
  const r = generator(0xfa);
  const ROUNDS = 300;
  for (const modrm of [0xf4, 0xf5, 0xf8, 0xfa, 0xfd]) {
    const before = microcodeCalls(t);
    for (let n = 0; n < ROUNDS; n++) {
      const state = randomState(r, 0xd9, modrm);
      const registers = state.registers.map(() => {
        const exponent = 0x3fff + (modrm === 0xfd ? r.below(12) : r.below(r.of([3, 70, 300]))) -
          (r.once(2) ? 0 : 40);
        const sign = modrm === 0xfa ? 0 : r.of([0, 0x8000]);
        return { se: sign | exponent, significand: significand(r) };
      });
      if (r.once(3)) registers[r.below(8)] = { ...registers[r.below(8)]!, se: registers[r.below(8)]!.se };
      const words = { ...state.words, fsw: state.words.fsw & 0x7f00, ftw: modrm === 0xf4 ? 0x55 : 0xff };
      runBoth(t, reference, { ...state, registers, words });
    }
    const calls = microcodeCalls(t) - before;
    assert(calls < ROUNDS * 0.75, `${modrm.toString(16)} called microcode ${calls} times`);
  }
});

for (const { name, ...options } of ENGINES) {
  Deno.test(`FCMOVcc moves any number as the flags before it say, and needs no microcode, ${name}`, () => {
    const t = new TestCpu(64, options), r = generator(0xfc);
    const holds = [1n, 0x40n, 0x41n, 4n].map((mask) => (flags: bigint) => (flags & mask) !== 0n);
    for (const opcode of [0xda, 0xdb]) {
      for (let modrm = 0xc0; modrm < 0xe0; modrm++) {
        for (const [al, bl] of [[1, 1], [1, 2], [2, 1], [3, 0], [0x80, 1]] as const) {
          const state = randomState(r, opcode, modrm);
          prepare(t, { ...state, words: { fcw: 0x37f, fsw: state.words.fsw & 0x7f00, ftw: 0xff } });
          t.cpu.core.s.setGpr(0, BigInt(al));
          t.cpu.core.s.setGpr(3, BigInt(bl));
          const before = microcodeCalls(t);
          t.run([0x38, 0xd8, opcode, modrm], 0); // cmp al,bl; fcmovcc st0,sti
          assertEquals(microcodeCalls(t), before);
          const flags = t.cpu.readRegisters().rflags, top = state.words.fsw >> 11 & 7;
          const moves = holds[modrm >> 3 & 3]!(flags) === (opcode === 0xda);
          const from = state.registers[moves ? top + modrm & 7 : top]!;
          const at = S.x87 + AT.r + top * 16, { view } = t.cpu.core.memory;
          assertEquals(
            [view.getUint16(at + 8, true), view.getBigUint64(at, true)],
            [from.se, BigInt.asUintN(64, from.significand)],
            `${opcode.toString(16)} ${modrm.toString(16)} with ${al} and ${bl}`,
          );
          assertEquals(view.getUint16(S.x87 + AT.fsw, true), state.words.fsw & 0x7f00);
        }
      }
    }
  });
}

Deno.test("x87 arithmetic of numbers as programs have them needs no microcode", () => {
  const t = new TestCpu(64);
  const counts = () => microcodeCalls(t);
  t.run([0xdb, 0xe3]); // fninit
  t.memory.view.setFloat64(t.memory.offsetOf(DATA_BASE), 0.1, true);
  t.cpu.core.mmu.translate(DATA_BASE, 0, ACCESS_WRITE, TLB_MODE_SUPERVISOR);
  t.cpu.core.s.setGpr(3, BigInt(DATA_BASE));
  const before = counts();
  // fldz; fadd st0; fstp st0
  t.run([0xd9, 0xee, 0xd8, 0xc0, 0xdd, 0xd8]);
  // fld qword [rbx]; fld1; fadd st1; fmul qword [rbx]; fdivp; fcomi st0; frndint; fistp dword [rbx+8]
  t.run([0xdd, 0x03, 0xd9, 0xe8, 0xd8, 0xc1, 0xdc, 0x0b, 0xde, 0xf9, 0xdb, 0xf0, 0xd9, 0xfc, 0xdb, 0x5b, 8]);
  assertEquals(counts(), before);
  assertEquals(t.memory.view.getInt32(t.memory.offsetOf(DATA_BASE + 8), true), 1);
  assert(t.cpu.core.memory.view.getUint8(S.x87 + AT.ftw) === 0);
});

for (const { name, ...options } of ENGINES) {
  Deno.test(`floating point of a guest is microcode's at first, then done by functions made for it, ${name}`, () => {
    for (const floatsLater of [true, false]) {
      const t = new TestCpu(64, { ...options, floatsLater });
      const sse = () => t.cpu.microcodeCounts[t.cpu.microcodeNames.indexOf("sse_float")] as number;
      t.cpu.core.s.set64(S.cr4, t.cpu.core.s.get64(S.cr4) | 1n << 9n); // OSFXSR
      // fninit, which always is microcode; fld1; fadd st0 20 times
      t.run([0xdb, 0xe3, 0xd9, 0xe8, ...Array(20).fill([0xd8, 0xc0]).flat()]);
      assertEquals(microcodeCalls(t), floatsLater ? 8 : 1);
      // one more, for its value: fistp dword [rbx]
      t.cpu.core.s.setGpr(3, BigInt(DATA_BASE));
      t.run([0xdb, 0x1b]);
      assertEquals(t.memory.view.getInt32(t.memory.offsetOf(DATA_BASE), true), 1 << 20);
      // mov eax,0x7f800000 (infinity); movd xmm0,eax; addps xmm0,xmm0 20 times: a second look finds that right
      t.run([0xb8, 0, 0, 0x80, 0x7f, 0x66, 0x0f, 0x6e, 0xc0, ...Array(20).fill([0x0f, 0x58, 0xc0]).flat()]);
      assertEquals(sse(), floatsLater ? 8 : 0);
    }
  });
}
