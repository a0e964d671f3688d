// SPDX-License-Identifier: MIT
/**
 * SYSCALL, SYSRET and IRETQ in emitted code against microcode, in random states: descriptors, selectors, flags, modes,
 * stacks that are not there. That the usual ones need no microcode is tested, too. Microcode is judged by
 * cpu/segments/interrupt_return_test.ts and cpu/system/fast_system_call_test.ts.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { MiB } from "../../base/bits.ts";
import { ENGINES, GDT, STACK_TOP, TestCpu } from "../../_bare_cpu.ts";
import type { MicrocodeName } from "../../emit/microcode_calls.ts";
import { ACCESS_READ } from "../../mmu/mmu.ts";
import { deliverFault } from "../../segments/exceptions.ts";
import { record, RECORD_BYTES } from "../../state/record.ts";
import {
  ARENA_BASE,
  ARENA_BYTES,
  CR4_SMAP,
  DS,
  EFER_SCE,
  ES,
  FLAG_AC,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FS,
  GS,
  S,
  SEG_UNUSABLE,
  SS,
  TLB_MODE_SUPERVISOR,
  TR,
} from "../../state/state.ts";
import { FAULT } from "../../state/status.ts";
import { microcode } from "../../system/microcode.ts";

/** Where the frames of IRET are, a TSS, where its stack is, and a handler of every exception. */
const FRAME = 0x18_0000, TSS = 0x7000, RING0 = 0x19_0000, HANDLER = 0x1a_0000;
const END_OF_MEMORY = 8 * MiB;
/** The code: in a page that users and, without SMEP, supervisors may execute. */
const USER_CODE = 0x20_1000;
const PAGE_TABLES = 0x1000;
const GDT_ENTRIES = 16;
/** A place for a record of our own, which no block gets that soon. */
const RECORD = ARENA_BASE + ARENA_BYTES - RECORD_BYTES;

const CODE0 = 0x00af_9b00_0000_ffffn, DATA0 = 0x00cf_9300_0000_ffffn;
const DPL3 = 3n << 45n, AVL = 1n << 52n, L = 1n << 53n, D = 1n << 54n, P = 1n << 47n;
const DESCRIPTORS = [
  CODE0,
  DATA0,
  CODE0 | DPL3,
  DATA0 | DPL3,
  CODE0 | DPL3 | AVL,
  DATA0 | DPL3 | AVL,
  CODE0 | AVL,
  DATA0 & ~(1n << 40n), // not accessed yet
  (CODE0 | DPL3) & ~(1n << 40n),
  CODE0 & ~P,
  (DATA0 | DPL3) & ~P,
  (CODE0 | DPL3 | D) & ~L, // compatibility mode
  CODE0 | DPL3 | D,
  CODE0 | 1n << 42n, // conforming
  CODE0 | DPL3 | 1n << 42n,
  (DATA0 | DPL3) & ~(1n << 41n), // read-only
  CODE0 | DPL3 | 0x1234n << 16n, // with a base
  (DATA0 | DPL3) & ~0xffffn, // another limit
  CODE0 | 1n << 45n,
  0n,
];
/** What a GDT has mostly: selectors 8, 10H, 1bH, 23H. */
const USUAL = [0n, CODE0, DATA0, CODE0 | DPL3, DATA0 | DPL3];

class Random {
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
interface Case {
  readonly name: MicrocodeName;
  readonly code: readonly number[];
  readonly args: readonly number[];
  prepare(t: TestCpu): void;
}

/** Everything a guest could see afterwards, and what emitted code derives from it. */
function seen(t: TestCpu): Record<string, unknown> {
  const { core } = t.cpu, { memory } = t;
  const at = (gpa: number, bytes: number) =>
    memory.bytes.slice(memory.offsetOf(gpa), memory.offsetOf(gpa) + bytes).toString();
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
function common(t: TestCpu, descriptors: readonly bigint[]): void {
  const { core } = t.cpu, view = t.memory.view;
  const at = (gpa: number) => t.memory.offsetOf(gpa);
  t.reset();
  for (const top of [STACK_TOP, RING0]) t.memory.bytes.fill(0, at(top - 4096), at(top));
  t.handlers(Object.fromEntries(Array.from({ length: 20 }, (_, vector) => [vector, HANDLER])));
  for (const table of [PAGE_TABLES, PAGE_TABLES + 0x1000]) {
    view.setUint8(at(table), view.getUint8(at(table)) | 4);
  }
  view.setUint8(at(PAGE_TABLES + 0x2008), 0x87); // 2 to 4 MiB
  descriptors.forEach((d, i) => i > 2 && view.setBigUint64(at(GDT) + i * 8, d, true));
  t.cpu.writeRegisters({ gdtr: { base: BigInt(GDT), limit: descriptors.length * 8 - 1 } });
  view.setBigUint64(at(TSS) + 4, BigInt(RING0), true);
  core.s.setSegment(TR, { selector: 0x78, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
}

/** At privilege `cpl`. */
function atPrivilege(t: TestCpu, cpl: number): void {
  const { core } = t.cpu;
  core.setCpl(cpl);
  for (const i of [ES, DS, SS, FS, GS]) {
    const old = core.s.segment(i);
    core.s.setSegment(i, { ...old, attributes: (old.attributes & ~0x60) | cpl << 5 });
  }
  core.updateMode();
}

/** add rdx, rcx: flags that are not computed yet. */
const BEFORE = [0x48, 0x01, 0xca];

function runBoth(t: TestCpu, reference: TestCpu, c: Case, what: string): void {
  for (const cpu of [t, reference]) {
    c.prepare(cpu);
    cpu.write(USER_CODE, [...BEFORE, ...(cpu === t ? c.code : [0xeb, 0])]);
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
  if (microcode[c.name](core, RECORD) === FAULT) {
    core.setRipTo(RECORD);
    deliverFault(core);
  }
  assertEquals(seen(t), seen(reference), what);
}

/** What is unusual about a return: one thing at a time, so that nothing else keeps it from emitted code. */
const ODDITIES = [
  "descriptors",
  "limit",
  "cs",
  "ss",
  "rip",
  "flags",
  "frame",
  "no memory",
  "privilege",
  "present flags",
  "cold",
  "blocked",
  "size",
  "segments",
  "everything",
] as const;

const iretCase = (r: Random, usual: boolean): Case => {
  const oddity = usual ? undefined : r.of(ODDITIES);
  const is = (what: typeof ODDITIES[number]) => oddity === what || (oddity === "everything" && r.once(4)); // often enough nothing is
  const odd = is("descriptors");
  const descriptors = Array.from(
    { length: GDT_ENTRIES },
    (_, i) => odd && r.once(2) ? r.of(DESCRIPTORS) : USUAL[i] ?? 0n,
  );
  const limit = is("limit") ? r.below(40) : GDT_ENTRIES * 8 - 1;
  const user = r.once(2);
  const selector = (usual: number) =>
    r.of([usual ^ 4, usual ^ r.below(4), r.below(GDT_ENTRIES * 8), 1, 2, 3]);
  const cs = user ? 0x1b : 8, ss = user ? 0x23 : r.of([0x10, 0]);
  const image = is("flags") ? r.u32() & 0x3f_ffff : r.of([0x202, 0x246, 0x2, 0x18_0ed6, 0x1_0246]);
  const frame = [
    is("rip") ? r.address() : 0x40_1000n,
    BigInt(is("cs") ? selector(cs) : cs) | (r.once(3) ? r.u64() & ~0xffffn : 0n),
    BigInt(image) | (r.once(3) ? r.u64() & ~0xffff_ffffn : 0n),
    r.u64(),
    BigInt(is("ss") ? selector(ss) : ss) | (r.once(3) ? r.u64() & ~0xffffn : 0n),
  ];
  let rsp = FRAME + (is("frame") ? r.of([0, 8, 4096 - 40, 4096 - 39, 4096 - 24, 3]) : 64);
  if (is("no memory")) rsp = r.of([END_OF_MEMORY - 24, END_OF_MEMORY - 40, END_OF_MEMORY, 0x40_0000_0000]);
  const cpl = is("privilege") ? r.of([1, 3]) : 0;
  const now = r.flags() & ~(FLAG_TF | FLAG_RF), keeps = is("present flags"), smap = r.once(2);
  const cold = is("cold"), blocked = is("blocked"), rexW = !is("size");
  const attributes = [0x93 | SEG_UNUSABLE, 0xc0f3, 0xc093, 0x9f, 0xff, 0xb3];
  const segments = is("segments")
    ? [ES, DS, FS, GS].map((index) => ({
      index,
      selector: 0x10,
      base: r.u64(),
      limit: 0xffff,
      attributes: r.of(attributes),
    }))
    : [ES, DS, FS, GS].map((index) => ({ index, selector: 0, base: 0n, limit: 0, attributes: SEG_UNUSABLE }));
  const gprs = [r.u64(), r.u64(), r.u64()];
  return {
    name: "iret",
    code: rexW ? [0x48, 0xcf] : [0xcf],
    args: [rexW ? 8 : 4],
    prepare: (t) => {
      common(t, descriptors);
      const { core } = t.cpu, { memory } = t;
      t.cpu.writeRegisters({ gdtr: { base: BigInt(GDT), limit } });
      atPrivilege(t, cpl);
      gprs.forEach((value, i) => core.s.setGpr(i, value));
      core.s.setGpr(4, BigInt(rsp));
      memory.bytes.fill(0, memory.offsetOf(FRAME), memory.offsetOf(FRAME) + 2 * 4096);
      frame.forEach((word, i) => {
        if (rsp + i * 8 < END_OF_MEMORY) memory.view.setBigUint64(memory.offsetOf(rsp) + i * 8, word, true);
      });
      for (const { index, ...segment } of segments) core.s.setSegment(index, segment);
      if (smap) core.s.set32(S.cr4, core.s.get32(S.cr4) | CR4_SMAP);
      core.setRflags(keeps ? now : now & ~(FLAG_NT | FLAG_AC));
      core.updateMode();
      core.nmiBlocked = blocked;
      core.mmu.flush();
      if (cold) return;
      for (const page of [GDT, FRAME, FRAME + 4096, END_OF_MEMORY - 1]) {
        core.mmu.translate(page, 0, ACCESS_READ, TLB_MODE_SUPERVISOR);
      }
    },
  };
};

const syscallCase = (r: Random, usual: boolean): Case => {
  const cpl = usual || !r.once(5) ? 3 : r.of([0, 1]), enabled = usual || !r.once(6);
  const now = r.flags() & ~(FLAG_TF | FLAG_RF),
    star = r.u64(),
    fmask = BigInt(usual ? 0x4_7700 : r.u32() & 0x3f_ffff);
  const lstar = r.of([0xffff_ffff_8100_0000n, 0x40_1000n]), rdx = r.u64();
  const smap = r.once(2);
  return {
    name: "syscall",
    code: [0x0f, 0x05],
    args: [],
    prepare: (t) => {
      common(t, USUAL);
      const { core } = t.cpu, { s } = core;
      s.set64(S.star, star);
      s.set64(S.lstar, lstar);
      s.set64(S.fmask, fmask);
      if (!enabled) s.set32(S.efer, s.get32(S.efer) & ~EFER_SCE);
      s.setGpr(2, rdx);
      if (smap) s.set32(S.cr4, s.get32(S.cr4) | CR4_SMAP);
      core.setRflags(now);
      atPrivilege(t, cpl);
    },
  };
};

const sysretCase = (r: Random, usual: boolean): Case => {
  const cpl = usual || !r.once(6) ? 0 : r.of([1, 3]),
    enabled = usual || !r.once(6),
    rexW = usual || !r.once(4);
  const now = r.flags() & ~(FLAG_TF | FLAG_RF), star = r.u64(), rdx = r.u64();
  const rcx = usual ? 0x40_1000n : r.address(), r11 = usual ? 0x246n : BigInt(r.flags()) | r.u64() << 32n;
  const blocked = !usual && r.once(5);
  return {
    name: "sysret",
    code: rexW ? [0x48, 0x0f, 0x07] : [0x0f, 0x07],
    args: [rexW ? 8 : 4],
    prepare: (t) => {
      common(t, USUAL);
      const { core } = t.cpu, { s } = core;
      s.set64(S.star, star);
      if (!enabled) s.set32(S.efer, s.get32(S.efer) & ~EFER_SCE);
      s.setGpr(1, rcx);
      s.setGpr(2, rdx);
      s.setGpr(11, r11);
      core.setRflags(now);
      core.nmiBlocked = blocked;
      atPrivilege(t, cpl);
    },
  };
};

const CASES = { IRETQ: iretCase, SYSCALL: syscallCase, SYSRET: sysretCase } as const;

for (const { name, ...options } of ENGINES) {
  for (const [mnemonic, make] of Object.entries(CASES)) {
    Deno.test(`${mnemonic} in emitted code does what microcode does, ${name}`, () => {
      const t = new TestCpu(64, options), reference = new TestCpu(64);
      const r = new Random(0xc0ffee);
      for (let n = 0; n < 400; n++) runBoth(t, reference, make(r, false), `${mnemonic} ${n}`);
    });
    Deno.test(`${mnemonic} as kernels use it needs no microcode, ${name}`, () => {
      const t = new TestCpu(64, options), reference = new TestCpu(64);
      const r = new Random(0xbeef);
      const count = (what: MicrocodeName) =>
        t.cpu.microcodeCounts[t.cpu.microcodeNames.indexOf(what)] as number;
      let fast = 0;
      for (let n = 0; n < 50; n++) {
        const c = make(r, true), before = count(c.name);
        runBoth(t, reference, c, `${mnemonic} ${n}`);
        if (count(c.name) === before) fast++;
      }
      assert(fast >= 15, `${fast} of 50`); // others have AC, RF or TF in their flags, or go nowhere
    });
  }
}
