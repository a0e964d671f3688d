// SPDX-License-Identifier: MIT
/**
 * A bare CPU for tests and benches: flat 64-bit (identity-mapped by 2 MiB pages) or 32-bit code at privilege 0,
 * no devices, no interrupts. Code runs from CODE_BASE until HLT.
 * @module
 */
import { MiB } from "./base/bits.ts";
import { ALL_FEATURES, type CpuFeatures } from "./base/cpu_features.ts";

import { GuestMemory } from "./base/guest_memory.ts";
import type { Tracer } from "./base/trace.ts";
import type { CpuVendor, EngineHooks, RunResult, WasmEngineName } from "./base/engine.ts";
import { Cpu, type CpuOptions } from "./cpu.ts";
import { CPU_RESERVED_BYTES, CS, DS, ES, FS, GS, S, SS } from "./state/state.ts";

/** Where test code goes. */
export const CODE_BASE = 0x10_0000;
/** Where the stack ends. */
export const STACK_TOP = 0x20_0000;
/** Scratch memory for operands. */
export const DATA_BASE = 0x30_0000;
/** The level 4 table, and what hangs on it. */
export const PAGE_TABLES = 0x1000;
/** Tables of {@linkcode TestCpu.handlers}. */
export const GDT = 0x5000, IDT = 0x6000;

/** Hooks of a machine without anything. */
export function noHooks(overrides: Partial<EngineHooks> = {}): EngineHooks {
  return {
    bus: {
      readPort: () => 0xffff_ffff,
      writePort: () => {},
      readMmio: () => 0xffff_ffff,
      writeMmio: () => {},
    },
    interrupts: { pending: false, acknowledge: () => -1 },
    apicId: 0,
    tscHz: 1_000_000_000,
    readMsr: () => undefined,
    writeMsr: () => false,
    cpuid: () => undefined,
    hypercall: () => {},
    readTpr: () => 0,
    writeTpr: () => {},
    readTsc: () => 0n,
    ...overrides,
  };
}

/** Ways to run code that must all agree: a handler per instruction, a handler per block, compiled blocks. */
export const ENGINES = [
  { name: "interp", engine: "interp", compileAtOnce: false },
  { name: "interp, whole blocks", engine: "interp", compileAtOnce: true },
  { name: "jit", engine: "jit", compileAtOnce: true },
] as const satisfies readonly { name: string; engine: WasmEngineName; compileAtOnce: boolean }[];

/** See the module's description. */
export class TestCpu {
  readonly memory: GuestMemory;
  readonly cpu: Cpu;

  constructor(
    readonly bits: 32 | 64,
    options: {
      engine?: WasmEngineName;
      compileAtOnce?: boolean;
      instead?: CpuOptions["instead"];
      tableSize?: number;
      codeBytes?: number;
      ramBytes?: number;
      hooks?: Partial<EngineHooks>;
      tracer?: Tracer;
      /** Default: all there are names for, emulated or not. */
      features?: CpuFeatures;
      vendor?: CpuVendor;
      /** Functions for floating point are made when the guest computes, not at once. */
      floatsLater?: boolean;
    } = {},
  ) {
    this.memory = new GuestMemory(options.ramBytes ?? 8 * MiB, CPU_RESERVED_BYTES);
    this.cpu = new Cpu(this.memory, noHooks(options.hooks), {
      engine: options.engine ?? "interp",
      compileAtOnce: options.compileAtOnce ?? false,
      features: options.features ?? new Set(ALL_FEATURES),
      ...(options.vendor === undefined ? {} : { vendor: options.vendor }),
      ...(options.tracer === undefined ? {} : { tracer: options.tracer }),
      ...(options.instead === undefined ? {} : { instead: options.instead }),
      ...(options.tableSize === undefined ? {} : { tableSize: options.tableSize }),
      ...(options.codeBytes === undefined ? {} : { codeBytes: options.codeBytes }),
    });
    if (options.floatsLater !== true) {
      for (const unit of ["x87", "sse"] as const) this.cpu.modules.addFloatFunctions(unit);
    }
    this.reset();
  }

  /** Registers and modes as at the start; memory stays. */
  reset(): void {
    const { core } = this.cpu;
    this.cpu.reset();
    const s = core.s;
    const long = this.bits === 64;
    const code = 0x9b | (1 << 7) | (1 << 15) | (long ? 1 << 13 : 1 << 14);
    s.setSegment(CS, { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: code });
    for (const i of [ES, SS, DS, FS, GS]) {
      s.setSegment(i, {
        selector: 16,
        base: 0n,
        limit: 0xffff_ffff,
        attributes: 0x93 | (1 << 14) | (1 << 15),
      });
    }
    s.set64(S.cr0, long ? 0x8000_0011n : 0x11n);
    s.set64(S.cr4, (1n << 5n) | (1n << 9n) | (1n << 10n));
    if (long) {
      const view = this.memory.view;
      const at = (gpa: number) => this.memory.offsetOf(gpa);
      view.setBigUint64(at(PAGE_TABLES), BigInt(PAGE_TABLES + 0x1000) | 3n, true);
      view.setBigUint64(at(PAGE_TABLES + 0x1000), BigInt(PAGE_TABLES + 0x2000) | 3n, true);
      for (let i = 0; i < 512; i++) {
        view.setBigUint64(at(PAGE_TABLES + 0x2000) + i * 8, BigInt(i) * 0x20_0000n | 0x83n, true);
      }
      s.set64(S.cr3, BigInt(PAGE_TABLES));
      s.set64(S.efer, 0x501n);
    }
    core.mmu.flush();
    core.updateMode();
    s.setGpr(4, BigInt(STACK_TOP));
  }

  /** Makes a GDT with the flat segments in use, and an IDT with interrupt gates at privilege 0. */
  handlers(entries: Readonly<Record<number, number>>): void {
    const view = this.memory.view, long = this.bits === 64;
    const at = (gpa: number) => this.memory.offsetOf(gpa);
    view.setBigUint64(at(GDT + 8), long ? 0x00af_9b00_0000_ffffn : 0x00cf_9b00_0000_ffffn, true);
    view.setBigUint64(at(GDT + 16), 0x00cf_9300_0000_ffffn, true);
    for (const [vector, address] of Object.entries(entries)) {
      const gate = at(IDT + Number(vector) * (long ? 16 : 8));
      view.setUint32(gate, (8 << 16) | (address & 0xffff), true);
      view.setUint32(gate + 4, (address & 0xffff_0000) | 0x8e00, true);
    }
    this.cpu.writeRegisters({
      gdtr: { base: BigInt(GDT), limit: 0x17 },
      idtr: { base: BigInt(IDT), limit: 256 * (long ? 16 : 8) - 1 },
    });
  }

  /** Puts bytes into guest memory. */
  write(gpa: number, bytes: ArrayLike<number>): void {
    this.memory.write(gpa, Uint8Array.from(bytes));
  }

  /** Runs `code` (HLT is appended) at CODE_BASE. */
  run(code: ArrayLike<number>, budget = 1_000_000): RunResult {
    this.write(CODE_BASE, [...Array.from(code), 0xf4]);
    return this.resume(budget);
  }

  /** Runs what is at CODE_BASE. */
  resume(budget = 1_000_000): RunResult {
    this.cpu.halted = false;
    this.cpu.core.s.set64(S.rip, BigInt(CODE_BASE));
    return this.cpu.run(budget);
  }
}
