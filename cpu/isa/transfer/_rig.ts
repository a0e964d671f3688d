// SPDX-License-Identifier: MIT
/**
 * Transfers of privilege and loads of segments by emitted code and by microcode, in random states, for the tests beside
 * this. Microcode is judged by cpu/segments/ and cpu/system/fast_system_call_test.ts.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { MiB } from "../../base/bits.ts";
import type { CpuVendor } from "../../base/engine.ts";
import { ENGINES, GDT, PAGE_TABLES, STACK_TOP, TestCpu } from "../../_bare_cpu.ts";
import type { MicrocodeName } from "../../emit/microcode_calls.ts";
import { ACCESS_READ } from "../../mmu/mmu.ts";
import { deliverFault } from "../../segments/exceptions.ts";
import { BREAK_WRITE } from "../../state/breakpoints.ts";
import { record, RECORD_BYTES } from "../../state/record.ts";
import {
  ARENA_BASE,
  ARENA_BYTES,
  CR4_SMAP,
  DS,
  ES,
  FS,
  GS,
  S,
  type SegmentValue,
  SS,
  TLB_MODE_SUPERVISOR,
  TR,
} from "../../state/state.ts";
import { FAULT } from "../../state/status.ts";
import { microcode } from "../../system/microcode.ts";

/** Where the frames of IRET are, a TSS, where its stack is, and a handler of every exception. */
export const FRAME = 0x18_0000;
const TSS = 0x7000, RING0 = 0x19_0000, HANDLER = 0x1a_0000;
export const END_OF_MEMORY = 8 * MiB;
/** The code: in a page that users and, without SMEP, supervisors may execute. */
const USER_CODE = 0x20_1000;
export const GDT_ENTRIES = 16;
/** DR7 with a breakpoint for writes to where DR0 points: 0. */
const DR7_WRITES_AT_0 = 0x400 | 1 | BREAK_WRITE << 16;
/** A place for a record of our own, which no block gets that soon. */
const RECORD = ARENA_BASE + ARENA_BYTES - RECORD_BYTES;

export class Random {
  #x: number;
  constructor(seed: number) {
    this.#x = seed;
  }
  u32(): number {
    this.#x ^= this.#x << 13;
    this.#x ^= this.#x >>> 17;
    this.#x ^= this.#x << 5;
    return this.#x >>> 0;
  }
  u64(): bigint {
    return BigInt(this.u32()) << 32n | BigInt(this.u32());
  }
  below(n: number): number {
    return this.u32() % n;
  }
  /** Once in `n`. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
  flags(): number {
    return this.once(2) ? this.of([0x202, 0x246, 0x2, 0x1_0202, 0x4_0202]) : this.u32() & 0x3f_ffff;
  }
  address(): bigint {
    return this.of([0x7fff_1234_5678n, 0xffff_8000_0000_1000n, 0x40_1000n, 0x8000_0000_0000n, this.u64()]);
  }
}

/** How a case is set up and what it runs. */
export interface Case {
  readonly name: MicrocodeName;
  readonly code: readonly number[];
  readonly args: readonly number[];
  /** It goes on with the next instruction: where that ends is not looked at. */
  readonly falls?: boolean;
  prepare(t: TestCpu): void;
  /** What follows on success. */
  commit?(t: TestCpu): void;
}

/** Everything a guest could see afterwards, and what emitted code derives from it. */
function seen(t: TestCpu): Record<string, unknown> {
  const { core } = t.cpu, { memory } = t;
  const at = (gpa: number, bytes: number) =>
    new TextDecoder("latin1").decode(memory.bytes.slice(memory.offsetOf(gpa), memory.offsetOf(gpa) + bytes));
  return {
    ...t.cpu.readRegisters(),
    cpl: core.cpl,
    mode: core.modeBits,
    codeBits: core.codeBits,
    dataMode: core.dataMode,
    nmiBlocked: core.nmiBlocked,
    resumes: core.resumeFlag && core.armed,
    gdt: at(GDT, GDT_ENTRIES * 8),
    stack: at(STACK_TOP - 64, 64),
    ring0: at(RING0 - 64, 64),
    frame: at(FRAME, 4096),
  };
}

/** Tables, a TSS, user pages; the rest of the state is the case's. */
export function common(t: TestCpu, descriptors: readonly bigint[]): void {
  const { core } = t.cpu, view = t.memory.view;
  const at = (gpa: number) => t.memory.offsetOf(gpa);
  t.reset();
  for (const top of [STACK_TOP, RING0]) t.memory.bytes.fill(0, at(top - 4096), at(top));
  t.handlers(Object.fromEntries(Array.from({ length: 20 }, (_, vector) => [vector, HANDLER])));
  if (t.bits === 64) {
    for (const table of [PAGE_TABLES, PAGE_TABLES + 0x1000]) {
      view.setUint8(at(table), view.getUint8(at(table)) | 4);
    }
    view.setUint8(at(PAGE_TABLES + 0x2008), 0x87); // 2 to 4 MiB
  }
  descriptors.forEach((d, i) => i > 2 && view.setBigUint64(at(GDT) + i * 8, d, true));
  t.cpu.writeRegisters({ gdtr: { base: BigInt(GDT), limit: descriptors.length * 8 - 1 } });
  view.setBigUint64(at(TSS) + 4, BigInt(RING0), true); // RSP0, or ESP0
  if (t.bits === 32) view.setUint32(at(TSS) + 8, 0x10, true);
  core.s.setSegment(TR, { selector: 0x78, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
}

/** At privilege `cpl`. */
export function atPrivilege(t: TestCpu, cpl: number): void {
  const { core } = t.cpu;
  core.setCpl(cpl);
  for (const i of [ES, DS, SS, FS, GS]) {
    const old = core.s.segment(i);
    core.s.setSegment(i, { ...old, attributes: (old.attributes & ~0x60) | cpl << 5 });
  }
  core.updateMode();
}

/** What is unusual about a return: one thing at a time, so that nothing else keeps it from emitted code. */
export const RETURN_ODDITIES = [
  "descriptors",
  "limit",
  "cs",
  "ss",
  "flags",
  "frame",
  "no memory",
  "privilege",
  "present flags",
  "cold",
  "blocked",
  "breakpoint",
  "size",
  "segments",
  "everything",
] as const;
export type ReturnOddity = typeof RETURN_ODDITIES[number];

/** How IRET finds things. */
export interface ReturnState {
  readonly descriptors: readonly bigint[];
  /** Of the GDT. */
  readonly limit: number;
  readonly cpl: number;
  /** RAX, RCX, RDX. */
  readonly gprs: readonly (number | bigint)[];
  readonly rsp: number;
  /** What it pops, from RSP on, as far as there is memory. */
  readonly frame: readonly (number | bigint)[];
  readonly segments: readonly (SegmentValue & { readonly index: number })[];
  readonly flags: number;
  readonly smap: boolean;
  /** NMIs are blocked. */
  readonly blocked: boolean;
  /** A breakpoint for data is enabled. */
  readonly armed: boolean;
  /** The TLB has nothing. */
  readonly cold: boolean;
}
/** Makes it so: descriptors, a frame at RSP, the TLB. */
export function prepareReturn(t: TestCpu, how: ReturnState): void {
  const { core } = t.cpu, { s } = core, { memory } = t, bytes = t.bits / 8;
  common(t, how.descriptors);
  t.cpu.writeRegisters({ gdtr: { base: BigInt(GDT), limit: how.limit } });
  atPrivilege(t, how.cpl);
  how.gprs.forEach((value, i) => s.setGpr(i, BigInt(value)));
  s.setGpr(4, BigInt(how.rsp));
  memory.bytes.fill(0, memory.offsetOf(FRAME), memory.offsetOf(FRAME) + 2 * 4096);
  how.frame.forEach((word, i) => {
    const to = how.rsp + i * bytes;
    if (to >= END_OF_MEMORY) return;
    if (bytes === 8) memory.view.setBigUint64(memory.offsetOf(to), BigInt(word), true);
    else memory.view.setUint32(memory.offsetOf(to), Number(word), true);
  });
  for (const { index, ...segment } of how.segments) s.setSegment(index, segment);
  if (how.smap) s.set32(S.cr4, s.get32(S.cr4) | CR4_SMAP);
  core.setRflags(how.flags);
  if (how.armed) s.set32(S.dr + 7 * 8, DR7_WRITES_AT_0);
  core.updateMode();
  core.nmiBlocked = how.blocked;
  core.mmu.flush();
  if (how.cold) return;
  for (const page of [GDT, FRAME, FRAME + 4096, END_OF_MEMORY - 1]) {
    core.mmu.translate(page, 0, ACCESS_READ, TLB_MODE_SUPERVISOR);
  }
}

/** add edx, ecx: flags that are not computed yet. */
const BEFORE = [0x01, 0xca], HERE = [0xeb, 0];

/** Runs it in emitted code, and by microcode in `reference`. */
export function runBoth(t: TestCpu, reference: TestCpu, c: Case, what: string): void {
  for (const cpu of [t, reference]) {
    c.prepare(cpu);
    cpu.write(USER_CODE, [...BEFORE, ...(cpu === t ? [...c.code, ...HERE] : HERE)]);
    cpu.cpu.core.s.set64(S.rip, BigInt(USER_CODE));
    cpu.cpu.halted = false;
    cpu.cpu.run(0);
  }
  const { core } = reference.cpu, rip = USER_CODE + BEFORE.length;
  c.args.forEach((arg, i) => core.s.set64(S.arg + i * 8, BigInt(arg)));
  const view = core.memory.view;
  view.setUint16(RECORD + record.at.poff, rip & 0xfff, true);
  view.setUint8(RECORD + record.at.length, c.code.length);
  core.s.set64(S.codeBias, BigInt(rip - (rip & 0xfff)));
  const fails = microcode[c.name](core, RECORD) === FAULT;
  if (fails) {
    core.setRipTo(RECORD);
    deliverFault(core);
  } else c.commit?.(reference);
  const emitted = seen(t), right = seen(reference);
  if (c.falls === true && !fails) emitted["rip"] = right["rip"] = "anywhere";
  assertEquals(emitted, right, what);
}

/** A GDT with `usual` in it, or others in their place. */
export function table(r: Random, usual: readonly bigint[], others?: readonly bigint[]): bigint[] {
  return Array.from(
    { length: GDT_ENTRIES },
    (_, i) => others !== undefined && r.once(2) ? r.of(others) : usual[i] ?? 0n,
  );
}

/** Tests each under each engine: the same as microcode, and `usual` cases, at least `least` of 50, without any. */
export function testTransfers(
  cases: Readonly<Record<string, (r: Random, usual: boolean) => Case>>,
  bits: 32 | 64,
  { vendor = "GenuineIntel", least = 15, rounds = 400 }: {
    readonly vendor?: CpuVendor;
    readonly least?: number;
    readonly rounds?: number;
  } = {},
): void {
  const names = Object.keys(cases).join(", ");
  for (const { name, ...options } of ENGINES) {
    Deno.test(`${names} in emitted code and in microcode, ${bits} bits, ${vendor}, ${name}`, () => {
      const t = new TestCpu(bits, { ...options, vendor }), reference = new TestCpu(bits, { vendor });
      const count = (what: MicrocodeName) =>
        t.cpu.microcodeCounts[t.cpu.microcodeNames.indexOf(what)] as number;
      for (const [mnemonic, make] of Object.entries(cases)) {
        const r = new Random(0xc0ffee);
        for (let n = 0; n < rounds; n++) runBoth(t, reference, make(r, false), `${mnemonic} ${n}`);
        let fast = 0;
        for (let n = 0; n < 50; n++) {
          const c = make(r, true), before = count(c.name);
          runBoth(t, reference, c, `${mnemonic}, usual ${n}`);
          if (count(c.name) === before) fast++;
        }
        // others have AC, RF or TF in their flags, or go nowhere
        assert(fast >= least, `${mnemonic} as kernels use it: ${fast} of 50 need no microcode`);
      }
    });
  }
}
