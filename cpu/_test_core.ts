// SPDX-License-Identifier: MIT
/**
 * A CpuCore for tests without an engine: memory, hooks that record, and makers of page tables, descriptors, IDT
 * gates, TSSs and of a record for microcode to run at.
 * @module
 */
import { GuestMemory } from "./base/guest_memory.ts";
import { CpuCore } from "./core/core.ts";
import type { EngineHooks, EngineOptions } from "./base/engine.ts";
import type { MicrocodeName } from "./emit/microcode_calls.ts";
import { record } from "./state/record.ts";
import { ARENA_BASE, CPU_RESERVED_BYTES, CS, DS, ES, FS, GS, S, SS, TR } from "./state/state.ts";
import { powerOn } from "./system/power_on.ts";
import { microcode } from "./system/microcode.ts";

/** Where things are in guest physical memory (RAM: 4 MiB). */
export const GDT = 0x1000, IDT = 0x2000, TSS = 0x3000, PML4 = 0x1_0000, STACK0 = 0x9000, IST1 = 0xa000;
export const STACK3 = 0xb000, RING0_TOP = 0xc000, FREE = 0x10_0000;

/** Selectors of the test GDT. */
export const CODE64 = 0x08,
  DATA0 = 0x10,
  CODE32 = 0x18,
  USER_DATA = 0x23,
  USER_CODE64 = 0x2b,
  USER_CODE32 = 0x33;
export const TSS_SELECTOR = 0x40, CONFORMING = 0x50, NOT_PRESENT = 0x58, CALL_GATE = 0x60;

const PRESENT = 1 << 15;
/** High dword of a flat descriptor: type, DPL, extra bits (L 21, D 22, G 23). */
export function flat(type: number, dpl: number, extra: number): bigint {
  const hi = (0x000f_0000 | PRESENT | (1 << 12) | (type << 8) | (dpl << 13) | (1 << 23) | extra) >>> 0;
  return (BigInt(hi) << 32n) | 0xffffn;
}
const L = 1 << 21, D = 1 << 22;

/** What the hooks saw. */
export interface Log {
  ports: string[];
  mmio: string[];
  exits: number;
  flushes: number;
}

/** See the module's description. */
export class TestCore {
  readonly memory: GuestMemory;
  readonly core: CpuCore;
  readonly log: Log = { ports: [], mmio: [], exits: 0, flushes: 0 };
  readonly interrupts = { pending: false, acknowledge: () => -1 };
  portValue = 0;
  tsc = 1000n;

  constructor(options: EngineOptions = {}, hooks: Partial<EngineHooks> = {}) {
    const log = this.log;
    this.memory = new GuestMemory(4 << 20, CPU_RESERVED_BYTES);
    this.core = new CpuCore(this.memory, {
      bus: {
        readPort: (port, size) => (log.ports.push(`in ${port.toString(16)} ${size}`), this.portValue),
        writePort: (port, size, v) => log.ports.push(`out ${port.toString(16)} ${size} ${v.toString(16)}`),
        readMmio: (gpa, size) => (log.mmio.push(`read ${gpa.toString(16)} ${size}`), 0x1122_3344),
        writeMmio: (gpa, size, v) => log.mmio.push(`write ${gpa.toString(16)} ${size} ${v.toString(16)}`),
      },
      interrupts: this.interrupts,
      apicId: 0,
      tscHz: 2_000_000_000,
      readMsr: () => undefined,
      writeMsr: () => false,
      cpuid: () => undefined,
      hypercall: () => {},
      readTpr: () => 0,
      writeTpr: () => {},
      readTsc: () => this.tsc,
      ...hooks,
    }, options);
    powerOn(this.core);
    this.core.requestExit = () => log.exits++;
    this.core.mmu.onFlush = () => log.flushes++;
  }

  write64(gpa: number, value: bigint): void {
    this.memory.view.setBigUint64(this.memory.offsetOf(gpa), value, true);
  }
  read64(gpa: number): bigint {
    return this.memory.view.getBigUint64(this.memory.offsetOf(gpa), true);
  }
  write32(gpa: number, value: number): void {
    this.memory.view.setUint32(this.memory.offsetOf(gpa), value, true);
  }
  read32(gpa: number): number {
    return this.memory.view.getUint32(this.memory.offsetOf(gpa), true);
  }
  write16(gpa: number, value: number): void {
    this.memory.view.setUint16(this.memory.offsetOf(gpa), value, true);
  }
  read16(gpa: number): number {
    return this.memory.view.getUint16(this.memory.offsetOf(gpa), true);
  }

  /** Descriptors and the table registers, for both modes. */
  tables(): void {
    const s = this.core.s;
    const gdt = (selector: number, value: bigint) => this.write64(GDT + (selector & 0xfff8), value);
    gdt(CODE64, flat(0xa, 0, L));
    gdt(DATA0, flat(2, 0, D));
    gdt(CODE32, flat(0xa, 0, D));
    gdt(USER_DATA, flat(2, 3, D));
    gdt(USER_CODE64, flat(0xa, 3, L));
    gdt(USER_CODE32, flat(0xa, 3, D));
    gdt(TSS_SELECTOR, (0x89n << 40n) | (BigInt(TSS) << 16n) | 0x207fn);
    gdt(TSS_SELECTOR + 8, 0n);
    gdt(CONFORMING, flat(0xe, 0, D));
    gdt(NOT_PRESENT, flat(2, 0, D) & ~(1n << 47n));
    s.set64(S.gdtrBase, BigInt(GDT));
    s.set32(S.gdtrLimit, 0x7f);
    s.set64(S.idtrBase, BigInt(IDT));
    s.set32(S.idtrLimit, 0xfff);
    this.core.setSegment(TR, TSS_SELECTOR, TSS, 0, 0x207f, 0x8b);
  }

  /** 64-bit mode, CPL 0, paging on: 1 GiB identity-mapped as supervisor, and the same at 1 GiB for users. */
  long(cpl = 0): this {
    this.tables();
    const s = this.core.s;
    this.write64(PML4, BigInt(PML4 + 0x1000) | 7n);
    this.write64(PML4 + 0x1000, 0x83n);
    this.write64(PML4 + 0x1008, 0x87n);
    s.set64(S.cr0, 0x8001_0011n);
    s.set64(S.cr4, 0x620n);
    s.set64(S.cr3, BigInt(PML4));
    s.set64(S.efer, 0xd01n);
    this.write64(TSS + 4, BigInt(STACK0));
    this.write64(TSS + 0x24, BigInt(IST1));
    this.segments(cpl === 0 ? CODE64 : USER_CODE64, cpl === 0 ? DATA0 : USER_DATA, cpl, 0xaf00);
    return this.finish(cpl);
  }

  /** 32-bit protected mode without paging. */
  protected32(cpl = 0): this {
    this.tables();
    const s = this.core.s;
    s.set64(S.cr0, 0x11n);
    s.set64(S.cr4, 0x600n);
    this.write32(TSS + 4, STACK0);
    this.write32(TSS + 8, DATA0);
    this.segments(cpl === 0 ? CODE32 : USER_CODE32, cpl === 0 ? DATA0 : USER_DATA, cpl, 0xcf00);
    return this.finish(cpl);
  }

  private segments(code: number, data: number, cpl: number, flags: number): void {
    const high = flags & 0xf000;
    this.core.setSegment(CS, code, 0, 0, 0xffff_ffff, high | 0x9b | (cpl << 5));
    for (const i of [ES, SS, DS, FS, GS]) {
      this.core.setSegment(i, data, 0, 0, 0xffff_ffff, 0xc093 | (cpl << 5));
    }
  }

  private finish(cpl: number): this {
    this.core.setCpl(cpl);
    this.core.setRflags(0x202);
    this.core.updateMode();
    this.core.mmu.flush();
    this.core.s.setGpr(4, BigInt(cpl === 0 ? RING0_TOP : 0x4000_0000 + STACK3));
    this.at(0x1000_0000n, 2);
    return this;
  }

  /** Identity-maps guest frame `gpa` as user memory in long mode at 1 GiB + gpa. */
  static user(gpa: number): number {
    return 0x4000_0000 + gpa;
  }

  /** An IDT gate: 64-bit ones of 16 bytes in long mode, else of 8. */
  gate(vector: number, selector: number, offset: bigint, type = 0xe, dpl = 0, ist = 0): void {
    const low = (offset & 0xffffn) | (BigInt(selector) << 16n) | (BigInt(ist) << 32n) |
      (BigInt(0x80 | type | (dpl << 5)) << 40n) | (((offset >> 16n) & 0xffffn) << 48n);
    if (this.core.longMode) {
      this.write64(IDT + vector * 16, low);
      this.write64(IDT + vector * 16 + 8, offset >> 32n);
    } else this.write64(IDT + vector * 8, low);
  }

  /** The instruction that runs: its RIP and length. */
  at(rip: bigint, length: number): void {
    const view = this.memory.view;
    const poff = Number(rip & 0xfffn);
    view.setUint16(ARENA_BASE + record.at.poff, poff, true);
    view.setUint8(ARENA_BASE + record.at.length, length);
    this.core.s.set64(S.codeBias, BigInt.asUintN(64, rip - BigInt(poff)));
    this.core.s.set64(S.rip, rip);
  }

  /** Runs microcode `name`; bigint arguments are 64-bit. */
  run(name: MicrocodeName, ...args: (number | bigint)[]): number {
    args.forEach((a, i) => this.core.s.set64(S.arg + i * 8, BigInt.asUintN(64, BigInt(a))));
    return microcode[name](this.core, ARENA_BASE);
  }

  /** "vector:error" of the recorded fault. */
  get fault(): string {
    return `${this.core.fault.vector}:${this.core.fault.errorCode}`;
  }
  get rip(): bigint {
    return this.core.s.get64(S.rip);
  }
  gpr(i: number): bigint {
    return this.core.s.gpr(i);
  }
}
