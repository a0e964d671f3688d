// SPDX-License-Identifier: MIT
/**
 * Runs streams on a TestCpu as the host runs them: in 64-bit or compatibility mode, at privilege 3 or 0, with nothing
 * mapped but the program. What is compared of the results, and how it is shown, is here, too.
 * @module
 */
import { CR4_OSXSAVE, CS, DS, ES, FLAG_CF, FS, GS, S, SS, XMM_BASE, YMM_HIGH } from "../state/state.ts";
import { type ENGINES, TestCpu } from "../_bare_cpu.ts";
import type { CpuVendor } from "../base/engine.ts";
import {
  codeAddress,
  IMAGE_BASE,
  type NativeResult,
  programEnd,
  scratchAddress,
  STREAM_SCRATCH_BYTES,
  YMM_AT,
} from "./_native_runner.ts";
import { STREAM, type Stream } from "./_streams.ts";
import { COMPARED_FLAGS } from "./_integer_suite.ts";
import { FX } from "./simd/_vector_cases.ts";

const PML4 = 0x1_0000, PDPT = PML4 + 0x1000, DIRECTORY = PDPT + 0x1000, TABLE = DIRECTORY + 0x1000;
/** FXSAVE for exceptions goes here. */
const SAVE_CODE = 0x2_0000, SAVE_AREA = 0x2_1000;
const PAGE = 4096, ENTRIES = 512;
const P = 1, RW = 2, US = 4;
/** As Linux has it. */
const CR0 = 0x8005_0033n, CR4 = 0x620n, EFER = 0xd01n;
const UD2 = [0x0f, 0x0b];
const UD = 6;

/** See the module's description. */
export class StreamCpu {
  readonly t: TestCpu;
  constructor(
    readonly bits: 32 | 64,
    readonly how: typeof ENGINES[number],
    readonly ring: 0 | 3,
    vendor: CpuVendor = "GenuineIntel",
  ) {
    this.t = new TestCpu(64, { ...how, vendor });
  }

  /** Puts a program's streams into memory. */
  load(streams: readonly Stream[]): void {
    const { t, bits, ring } = this, count = streams.length;
    t.reset();
    const { s } = t.cpu.core, long = bits === 64;
    const set = (gpa: number, value: number) =>
      t.memory.view.setBigUint64(t.memory.offsetOf(gpa), BigInt(value), true);
    const end = programEnd(count, STREAM_SCRATCH_BYTES);
    const rights = P | RW | US;
    t.write(PML4, new Uint8Array(4 * PAGE + 8 * PAGE));
    set(PML4, PDPT | rights);
    set(PDPT, DIRECTORY | rights);
    for (let page = IMAGE_BASE / PAGE; page * PAGE < end; page++) {
      const table = TABLE + Math.floor(page / ENTRIES) * PAGE;
      set(DIRECTORY + Math.floor(page / ENTRIES) * 8, table | rights);
      set(table + (page % ENTRIES) * 8, page * PAGE | rights);
    }
    set(TABLE + (SAVE_CODE / PAGE) * 8, SAVE_CODE | P | RW);
    set(TABLE + (SAVE_AREA / PAGE) * 8, SAVE_AREA | P | RW);
    set(DIRECTORY, TABLE | rights);
    const code = 0x9b | (ring << 5) | (1 << 7) | (1 << 15) | (long ? 1 << 13 : 1 << 14);
    const limit = 0xffff_ffff;
    s.setSegment(CS, { selector: 8 | ring, base: 0n, limit, attributes: code });
    for (const i of [ES, SS, DS, FS, GS]) {
      const isNull = !long && (i === FS || i === GS);
      const attributes = isNull ? 1 << 16 : 0x93 | (ring << 5) | (1 << 14) | (1 << 15);
      s.setSegment(i, { selector: isNull ? 0 : 16 | ring, base: 0n, limit, attributes });
    }
    s.set64(S.cr0, CR0);
    s.set64(S.cr4, CR4 | BigInt(CR4_OSXSAVE));
    s.set64(S.cr3, BigInt(PML4));
    s.set64(S.efer, EFER);
    s.set64(S.xcr0, 7n);
    t.cpu.core.setCpl(ring);
    t.cpu.core.mmu.flush();
    t.cpu.core.updateMode();
    streams.forEach(({ one }, i) => {
      t.write(scratchAddress(count, i, STREAM_SCRATCH_BYTES), one.memory);
      t.write(codeAddress(bits, i, STREAM_SCRATCH_BYTES), [...one.code, ...UD2]);
    });
  }

  /** Runs the stream in place `i` of those that were loaded. */
  run({ one }: Stream, i: number, count: number): NativeResult {
    const { t, bits, ring } = this, { cpu } = t, { core } = cpu, { s } = core;
    const start = codeAddress(bits, i, STREAM_SCRATCH_BYTES),
      scratch = scratchAddress(count, i, STREAM_SCRATCH_BYTES);
    one.gpr.forEach((value, r) => s.setGpr(r, value));
    core.setRflags(one.flags);
    s.set64(S.rip, BigInt(start));
    cpu.exceptions.fill(0);
    cpu.halted = false;
    const end = cpu.run(200_000);
    // Without an IDT an exception is a shutdown, and the counters tell which it was.
    const raised = cpu.exceptions.findIndex((n) => n > 0);
    const gpr = Array.from({ length: 16 }, (_, r) => s.gpr(r)), flags = core.rflags;
    const rip = Number(s.get64(S.rip));
    const done = end === "shutdown" && raised === UD && rip === start + one.code.length;
    const vector = done ? -1 : end === "shutdown" ? raised : 99;
    const at = t.memory.offsetOf(scratch);
    if (!done) {
      // FXSAVE64 [SAVE_AREA], in the mode that can always do it
      const save = [0x48, 0x0f, 0xae, 0x04, 0x25, ...new Uint8Array(Uint32Array.of(SAVE_AREA).buffer), 0xf4];
      t.write(SAVE_CODE, save);
      const segments = [CS, SS].map((n) => [n, s.segment(n)] as const);
      s.setSegment(CS, { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xa09b });
      core.setCpl(0);
      core.setRflags(2);
      core.updateMode();
      s.set64(S.rip, BigInt(SAVE_CODE));
      cpu.halted = false;
      cpu.run(1000);
      segments.forEach(([n, value]) => s.setSegment(n, value));
      core.setCpl(ring);
      core.setRflags(2);
      core.updateMode();
      const image = t.memory.bytes.slice(
        t.memory.offsetOf(SAVE_AREA),
        t.memory.offsetOf(SAVE_AREA) + FX.available,
      );
      t.write(scratch, image);
      const high = XMM_BASE + YMM_HIGH;
      t.write(scratch + YMM_AT, t.memory.bytes.slice(high, high + 256));
    }
    return { vector, gpr, flags, rip, memory: t.memory.bytes.slice(at, at + STREAM_SCRATCH_BYTES) };
  }
}

const REGISTERS = "ax cx dx bx sp bp si di r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const hex = (bytes: Uint8Array) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** All of a result that counts, as text by name. */
export function shownStream(
  { bits }: { bits: 32 | 64 },
  stream: Stream,
  start: number,
  result: NativeResult,
): Record<string, string> {
  const { vector, memory } = result;
  const out: Record<string, string> = { vector: String(vector) };
  const registers = bits === 64 ? 16 : 8;
  let open = stream.undefined;
  if (vector >= 0) {
    const offset = (result.rip as number) - start;
    out.rip = offset.toString(16);
    open = stream.units.find((unit) => unit.at <= offset && offset < unit.at + unit.length)?.undefined ??
      FLAG_CF;
  }
  out.flags = (result.flags & COMPARED_FLAGS & ~open).toString(16);
  const mask = bits === 64 ? ~0n : 0xffff_ffffn;
  for (let r = 0; r < registers; r++) {
    out[REGISTERS[r] as string] = BigInt.asUintN(64, (result.gpr[r] as bigint) & mask).toString(16);
  }
  const field = (name: string, at: number, length: number) => {
    out[name] = hex(memory.subarray(at, at + length).toReversed());
  };
  field("fcw", FX.fcw, 2);
  field("fsw", FX.fsw, 2);
  field("ftw", FX.ftw, 1);
  field("mxcsr", FX.mxcsr, 4);
  for (let i = 0; i < 8; i++) field(`st${i}`, FX.st + 16 * i, 10);
  for (let i = 0; i < registers; i++) {
    field(`xmm${i}`, FX.xmm + 16 * i, 16);
    field(`ymm${i}h`, YMM_AT + 16 * i, 16);
  }
  for (let at = STREAM.operands; at < STREAM.end; at += 32) {
    out[`memory+${at}`] = hex(memory.subarray(at, at + 32));
  }
  field("rax at the end", STREAM.rax, 8);
  field("rdx at the end", STREAM.rdx, 8);
  field("turns", STREAM.turns, 4);
  return out;
}
