// SPDX-License-Identifier: MIT
/** Random states of the x87, and the comparison of emitted code with microcode in them, for tests. @module */
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, TestCpu } from "../../_bare_cpu.ts";
import { X87_STATE } from "../../fpu/x87_state.ts";
import { ACCESS_READ, ACCESS_WRITE } from "../../mmu/mmu.ts";
import { deliverFault } from "../../segments/exceptions.ts";
import { record, RECORD_BYTES } from "../../state/record.ts";
import { ARENA_BASE, ARENA_BYTES, DS, S, segmentLayout, TLB_MODE_SUPERVISOR } from "../../state/state.ts";
import { FAULT } from "../../state/status.ts";
import { microcode } from "../../system/microcode.ts";

const AT = X87_STATE.at;
const HANDLER = 0x1a_0000;
const RECORD = ARENA_BASE + ARENA_BYTES - RECORD_BYTES;
const END_OF_MEMORY = 8 << 20;

/** Mulberry32. */
export function generator(seed: number) {
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
export type Random = ReturnType<typeof generator>;

/** Significands whose sums, products and roundings are interesting, and random ones. */
export function significand(r: Random): bigint {
  const j = 1n << 63n;
  switch (r.below(6)) {
    case 0:
      return j | BigInt(r.below(3));
    case 1:
      return (1n << 64n) - 1n - BigInt(r.below(3));
    case 2:
      return BigInt.asUintN(64, j | BigInt(r.u32()) << BigInt(r.of([0, 8, 11, 31, 39, 40])));
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

/** Before an instruction. */
export interface State {
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

/** Any state for an instruction. */
export function randomState(r: Random, opcode: number, modrm: number): State {
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

/** Brings a CPU into a state. */
export function prepare(t: TestCpu, state: State): void {
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

/** Runs the instruction in emitted code and by microcode, from the same state. */
export function runBoth(t: TestCpu, reference: TestCpu, state: State): void {
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

/** How often microcode did an x87 instruction. */
export function microcodeCalls({ cpu }: TestCpu): number {
  return cpu.microcodeNames.reduce(
    (sum, name, i) => sum + (name.startsWith("x87") ? cpu.microcodeCounts[i] as number : 0),
    0,
  );
}
