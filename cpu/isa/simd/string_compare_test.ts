// SPDX-License-Identifier: MIT
/** Every imm8 of the four instructions, against the manual's pseudocode; a real processor judges in native_sse_test.ts. */
import { assertEquals } from "@std/assert";
import { DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { ARITHMETIC_FLAGS, XMM_BASE } from "../../state/state.ts";
import { compareStrings } from "./_string_compare.ts";

const OPCODES = { PCMPESTRM: 0x60, PCMPESTRI: 0x61, PCMPISTRM: 0x62, PCMPISTRI: 0x63 } as const;
/** Lengths that matter: around 8 and 16, negative, and those that only fit 64 bits. */
const LENGTHS = [0n, 1n, 3n, 7n, 8n, 9n, 15n, 16n, 17n, -1n, -5n, -16n, 1n << 31n, -(1n << 63n), 1n << 32n];

/** A reproducible sequence of u32. */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** Few different values, so that something is equal, and zeros now and then. */
function string(next: () => number): Uint8Array {
  const pool = [0, 0x41, 0x42, 0x61, 0x7f, 0x80, 0xff, 1];
  const many = 2 + next() % 7, wide = next() % 2 === 0;
  return Uint8Array.from({ length: 16 }, (_, i) => wide && i % 2 === 1 ? 0 : pool[next() % many] as number);
}

for (const { name, ...options } of ENGINES) {
  Deno.test(`PCMPxSTRx with every imm8, ${name}`, () => {
    const t = new TestCpu(64, options);
    const { core } = t.cpu;
    const next = random(0x5eed);
    for (const [mnemonic, opcode] of Object.entries(OPCODES)) {
      const explicit = opcode < 0x62, isMask = (opcode & 1) === 0;
      for (let imm = 0; imm < 256; imm++) {
        // REX.W: lengths of 64 bits. pcmpXstrX xmm1, [rbx], imm8
        t.write(0x10_0000, [0x66, 0x48, 0x0f, 0x3a, opcode, 0x0b, imm, 0xf4]);
        for (let n = 0; n < 3; n++) {
          const first = string(next), second = n === 0 ? first.slice() : string(next);
          if (n === 0) second[next() % 16]! ^= next() % 2;
          const lengths = [0, 1].map(() => LENGTHS[next() % LENGTHS.length] as bigint) as [bigint, bigint];
          const s = core.s;
          core.memory.bytes.set(first, XMM_BASE + 16);
          t.write(DATA_BASE + n, second);
          s.setGpr(0, BigInt.asUintN(64, lengths[0]));
          s.setGpr(1, 0x1122_3344_5566_7788n);
          s.setGpr(2, BigInt.asUintN(64, lengths[1]));
          s.setGpr(3, BigInt(DATA_BASE + n));
          core.setRflags(2 | ARITHMETIC_FLAGS);
          t.resume();
          const want = compareStrings({ imm, first, second, ...(explicit ? { lengths } : {}) });
          const what = `${mnemonic} ${imm} ${first} | ${second} | ${lengths}`;
          assertEquals(core.rflags & ARITHMETIC_FLAGS, want.flags, what);
          if (isMask) assertEquals(core.memory.bytes.slice(XMM_BASE, XMM_BASE + 16), want.mask, what);
          else assertEquals(s.gpr(1), BigInt(want.index), what);
        }
      }
    }
  });
}
