// SPDX-License-Identifier: MIT
/**
 * The x87 in emitted code against microcode, in random states: every opcode, numbers of all kinds and near to each other,
 * all controls, tags, flags and places of the operand. Microcode is judged by cpu/fpu/x87_test.ts, both by a real
 * processor in cpu/isa/simd/native_sse_test.ts.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { X87_STATE } from "../../fpu/x87_state.ts";
import { ACCESS_READ, ACCESS_WRITE } from "../../mmu/mmu.ts";
import { deliverFault } from "../../segments/exceptions.ts";
import { record, RECORD_BYTES } from "../../state/record.ts";
import { ARENA_BASE, ARENA_BYTES, DS, S, segmentLayout, TLB_MODE_SUPERVISOR } from "../../state/state.ts";
import { FAULT } from "../../state/status.ts";
import { microcode } from "../../system/microcode.ts";
import { TRIG_COSINE, TRIG_ERROR, TRIG_SINE } from "./trigonometry.ts";

const AT = X87_STATE.at;
const HANDLER = 0x1a_0000;
const RECORD = ARENA_BASE + ARENA_BYTES - RECORD_BYTES;
const END_OF_MEMORY = 8 << 20;

/** Mulberry32. */
function generator(seed: number) {
  const u32 = (): number => {
    seed = seed + 0x6d2b_79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return (t ^ t >>> 14) >>> 0;
  };
  const below = (n: number) => u32() % n;
  const u64 = () => BigInt(u32()) << 32n | BigInt(u32());
  const of = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  return { u32, u64, below, of, once: (n: number) => below(n) === 0 };
}
type Random = ReturnType<typeof generator>;

/** Significands whose sums, products and roundings are interesting, and random ones. */
function significand(r: Random): bigint {
  const j = 1n << 63n;
  switch (r.below(6)) {
    case 0:
      return j | BigInt(r.below(3));
    case 1:
      return (1n << 64n) - 1n - BigInt(r.below(3));
    case 2:
      return j | BigInt(r.u32()) << BigInt(r.of([0, 8, 11, 31, 39, 40]));
    case 3:
      return j | 1n << BigInt(r.below(63));
    default:
      return j | r.u64();
  }
}
/** 80 bits; mostly normal numbers near to 1. */
function real(r: Random): { se: number; significand: bigint } {
  const sign = r.of([0, 0x8000]);
  switch (r.below(12)) {
    case 0:
      return { se: sign, significand: 0n };
    case 1:
      return {
        se: sign | r.of([0x7fff, 0, 1, 0x7ffe, 0x3fff]),
        significand: r.once(2) ? significand(r) : r.u64(),
      };
    case 2:
      return { se: sign | 0x7fff, significand: 1n << 63n };
    case 3:
      return { se: sign | r.of([1, 2, 0x40, 0x7ffd, 0x7ffe, r.below(0x7fff)]), significand: significand(r) };
    case 4:
      return { se: sign | 0x3fff + r.below(70), significand: significand(r) };
    default:
      return { se: sign | 0x3fff - 3 + r.below(6), significand: significand(r) };
  }
}
/** Sixteen bytes that mean something as one of the formats. */
function operand(r: Random): Uint8Array {
  const bytes = new Uint8Array(16), view = new DataView(bytes.buffer);
  switch (r.below(6)) {
    case 0:
      view.setFloat32(0, r.of([1, -1.5, 0.1, 0, -0, 1e-40, Infinity, NaN, r.u32() / 1e6]), true);
      break;
    case 1:
      view.setFloat64(0, r.of([1, -1.5, 0.1, 0, -0, 1e-310, -Infinity, NaN, r.u32() / 1e6]), true);
      break;
    case 2: {
      const { se, significand } = real(r);
      view.setBigUint64(0, significand, true);
      view.setUint16(8, se, true);
      break;
    }
    case 3:
      view.setBigInt64(0, r.of([0n, 1n, -1n, 127n, -32768n, 1n << 31n, -(1n << 63n)]), true);
      break;
    default:
      view.setBigUint64(0, r.u64(), true);
      view.setBigUint64(8, r.u64(), true);
  }
  return bytes;
}

interface State {
  readonly code: readonly number[];
  readonly opcode: number;
  readonly modrm: number;
  readonly registers: readonly { se: number; significand: bigint }[];
  readonly words: { fcw: number; fsw: number; ftw: number };
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly flags: number;
  readonly cold: boolean;
}

function randomState(r: Random, opcode: number, modrm: number): State {
  const registers = Array.from({ length: 8 }, () => real(r));
  // something to cancel, or to compare equal
  if (r.once(4)) registers[r.below(8)] = { ...registers[r.below(8)]! };
  const masks = r.once(6) ? r.below(64) : 0x3f;
  const fcw = 0x40 | masks | r.of([3, 3, 2, 0, 1]) << 8 | (r.once(2) ? 0 : r.below(4)) << 10;
  const flags = r.below(64), pending = (flags & ~masks) !== 0;
  const fsw = r.below(8) << 11 | (r.u32() & 0x4700) | flags | (pending ? 0x8080 : 0);
  const ftw = r.once(3) ? r.below(256) : r.of([0xff, 0x7f, 0xfe, 0x3f]);
  const near = DATA_BASE + r.below(64);
  const address = r.once(8)
    ? r.of([DATA_BASE + 4096 - r.below(20), END_OF_MEMORY - r.below(12), 0x4000_0000])
    : near;
  return {
    code: [...(r.once(10) ? [0x66] : []), opcode, modrm],
    opcode,
    modrm,
    registers,
    words: { fcw, fsw, ftw },
    bytes: operand(r),
    address,
    flags: r.u32() & 0x8d5,
    cold: r.once(12),
  };
}

function prepare(t: TestCpu, state: State): void {
  const { core } = t.cpu, { s } = core, { view, bytes } = core.memory;
  t.reset();
  t.handlers(Object.fromEntries(Array.from({ length: 20 }, (_, vector) => [vector, HANDLER])));
  s.setGpr(0, 0x1122_3344_5566_7788n);
  s.setGpr(3, BigInt(state.address));
  bytes.fill(0, S.x87, S.x87 + X87_STATE.size);
  view.setUint16(S.x87 + AT.fcw, state.words.fcw, true);
  view.setUint16(S.x87 + AT.fsw, state.words.fsw, true);
  view.setUint8(S.x87 + AT.ftw, state.words.ftw);
  state.registers.forEach(({ se, significand }, n) => {
    view.setBigUint64(S.x87 + AT.r + n * 16, significand, true);
    view.setUint16(S.x87 + AT.r + n * 16 + 8, se, true);
  });
  const from = t.memory.offsetOf(DATA_BASE);
  bytes.fill(0xa5, from, from + 2 * 4096);
  const room = Math.min(16, END_OF_MEMORY - state.address);
  if (room > 0) bytes.set(state.bytes.subarray(0, room), t.memory.offsetOf(state.address));
  core.setRflags(state.flags | 2);
  core.mmu.flush();
  if (state.cold) return;
  for (const page of [DATA_BASE, DATA_BASE + 4096, END_OF_MEMORY - 1]) {
    for (const access of [ACCESS_READ, ACCESS_WRITE]) {
      core.mmu.translate(page, 0, access, TLB_MODE_SUPERVISOR);
    }
  }
}

function seen(t: TestCpu): Record<string, unknown> {
  const { core } = t.cpu, { bytes } = core.memory;
  const at = t.memory.offsetOf(DATA_BASE), end = t.memory.offsetOf(END_OF_MEMORY - 16);
  const { gprs, rip, rflags, control } = t.cpu.readRegisters();
  return {
    gprs,
    rip,
    rflags,
    cr2: control.cr2,
    x87: bytes.slice(S.x87, S.x87 + X87_STATE.size).toString(),
    data: bytes.slice(at, at + 128).toString(),
    behind: bytes.slice(at + 4096 - 32, at + 4096 + 32).toString(),
    end: bytes.slice(end, end + 16).toString(),
  };
}

function runBoth(t: TestCpu, reference: TestCpu, state: State): void {
  prepare(t, state);
  t.run(state.code, 0);
  prepare(reference, state);
  const { core } = reference.cpu, { s, memory: { view } } = core;
  const isMemory = state.modrm < 0xc0;
  const short = state.code[0] === 0x66 ? 1 << 16 : 0;
  s.set64(S.arg, BigInt(short | state.opcode << 8 | state.modrm));
  s.set64(S.arg + 8, BigInt(state.address));
  s.set64(S.arg + 16, BigInt(state.address));
  view.setUint16(RECORD + record.at.poff, CODE_BASE & 0xfff, true);
  view.setUint8(RECORD + record.at.length, state.code.length);
  view.setUint16(RECORD + record.at.segment, S.es + DS * segmentLayout.size, true);
  s.set64(S.codeBias, BigInt(CODE_BASE - (CODE_BASE & 0xfff)));
  core.setRipBehind(RECORD);
  if (microcode[isMemory ? "x87_memory" : "x87"](core, RECORD) === FAULT) {
    core.setRipTo(RECORD);
    deliverFault(core);
  } else s.set64(S.rip, BigInt(CODE_BASE + state.code.length + 1)); // behind HLT
  const what = JSON.stringify(
    { ...state, bytes: [...state.bytes] },
    (_, v) => typeof v === "bigint" ? v.toString(16) : v,
  );
  assertEquals(seen(t), seen(reference), what);
}

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

/** How often microcode did an x87 instruction. */
function microcodeCalls({ cpu }: TestCpu): number {
  return cpu.microcodeNames.reduce(
    (sum, name, i) => sum + (name.startsWith("x87") ? cpu.microcodeCounts[i] as number : 0),
    0,
  );
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

/** Operands of FSIN and its like: of every size that is done in emitted code and beyond, and near to multiples of pi/4. */
function angle(r: Random): { se: number; significand: bigint } {
  const sign = r.of([0, 0x8000]);
  if (!r.once(3)) return { se: sign | 0x3fff - 34 + r.below(70), significand: significand(r) };
  // k × pi/4 rounded, or a little beside it
  const k = BigInt(r.of([1, 2, 3, 4, 5, 7, 8, 100, 1 + r.below(1 << 30)]));
  const product = k * 0x3_243f_6a88_85a3_08d3n, bits = product.toString(2).length;
  const near = (product >> BigInt(bits - 64)) + BigInt(r.below(5)) - 2n;
  return { se: sign | 0x3fff + bits - 1 - 66, significand: near };
}

Deno.test("FSIN, FCOS and FSINCOS in emitted code are those of microcode, and need none for most operands", () => {
  const t = new TestCpu(64), reference = new TestCpu(64);
  const r = generator(0x51);
  const x87 = t.cpu.microcodeNames.indexOf("x87");
  const CASES = 600;
  for (let n = 0; n < CASES; n++) {
    const state = randomState(r, 0xd9, r.of([0xfb, 0xfe, 0xff]));
    const top = state.words.fsw >> 11 & 7;
    const registers = state.registers.map((value, i) => i === top ? angle(r) : value);
    const words = { fcw: state.words.fcw | 0x3f, fsw: state.words.fsw & 0x7f00, ftw: 1 << top };
    runBoth(t, reference, { ...state, registers, words, cold: false });
  }
  // a third: below 2^-30, from 2^31 on, and as near to a multiple of pi/2
  const left = t.cpu.microcodeCounts[x87] as number;
  assert(left < CASES / 2, `${left} of ${CASES} left to microcode`);
});

Deno.test("sine and cosine as fractions of 128 bits are right to TRIG_ERROR of the last place", () => {
  const t = new TestCpu(64), r = generator(0x7a);
  const BITS = 256n, ONE = 1n << BITS, HALF_TURN = 0x3_243f_6a88_85a3_08d3n << (BITS - 65n);
  const series = (first: bigint, x: bigint, from: bigint) => {
    let sum = first, term = first;
    for (let k = from; term !== 0n && term !== -1n; k += 2n) {
      term = -((term * ((x * x) >> BITS)) >> BITS) / (k * (k + 1n));
      sum += term;
    }
    return sum;
  };
  let compared = 0;
  for (let n = 0; n < 150; n++) {
    const { se, significand } = angle(r);
    const state = randomState(r, 0xd9, 0xfb);
    const fsw = 7 << 11, registers = state.registers.map((value, i) => i === 7 ? { se, significand } : value);
    prepare(t, { ...state, registers, words: { fcw: 0x37f, fsw, ftw: 0x80 }, cold: false });
    const x87 = t.cpu.microcodeNames.indexOf("x87"), before = t.cpu.microcodeCounts[x87];
    t.run([0xd9, 0xfb], 0);
    if (t.cpu.microcodeCounts[x87] !== before) continue;
    const x = BigInt.asUintN(64, significand) << (BITS - 63n + BigInt((se & 0x7fff) - 0x3fff));
    const k = (x + (HALF_TURN >> 1n)) / HALF_TURN, reduced = x - k * HALF_TURN;
    const angleOf = reduced < 0n ? -reduced : reduced;
    const { view } = t.memory;
    for (
      const [at, want] of [[TRIG_SINE, series(angleOf, angleOf, 2n)], [
        TRIG_COSINE,
        series(ONE, angleOf, 1n),
      ]] as const
    ) {
      const got = view.getBigUint64(at, true) | view.getBigUint64(at + 8, true) << 64n;
      const error = got - (want >> (BITS - 128n));
      assert(error < BigInt(TRIG_ERROR) && error > -BigInt(TRIG_ERROR), `${error} of ${significand} ${se}`);
    }
    compared++;
  }
  assert(compared > 60, `${compared} compared`);
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
      assertEquals(sse(), 0);
    }
  });
}
