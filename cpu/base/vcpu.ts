// SPDX-License-Identifier: MIT
/**
 * A virtual CPU as Xen and the devices see it: registers and memory through the guest's own page tables, no
 * instruction set. Any engine can implement it.
 * @module
 */
import type { Gpa, Gva } from "./bits.ts";

/** General registers, in encoding order. */
export const GPR_NAMES = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const; // deno-fmt-ignore
/** Name of a general register. */
export type GprName = typeof GPR_NAMES[number];

/** The interface `xen/` works through. */
export interface Vcpu {
  readonly id: number;
  /** Width of the code that is running: CS.L and CS.D. */
  readonly codeBits: 16 | 32 | 64;
  /** True when EFER.LMA is set. */
  readonly longMode: boolean;
  /** Current privilege level, 0..3. */
  readonly cpl: number;
  /** Full 64-bit register, zero-extended. */
  readGpr(reg: GprName): bigint;
  writeGpr(reg: GprName, value: bigint): void;
  readonly rip: bigint;
  readonly rflags: number;
  /** Page-table walk as a supervisor data access; undefined when not mapped (or not writable for `write`). */
  translate(gva: Gva, write: boolean): Gpa | undefined;
  /** Copies guest virtual memory out (`into.length` bytes); false when a page is missing. */
  copyFromGuest(gva: Gva, into: Uint8Array): boolean;
  /** Copies into guest virtual memory; false when a page is missing or read-only (then a prefix may be written). */
  copyToGuest(gva: Gva, bytes: Uint8Array): boolean;
  /** The guest's TSC now. */
  readTsc(): bigint;
  /** Nominal TSC frequency in Hz. */
  readonly tscHz: number;
  /**
   * To be called from within a hypercall or a port write: the instruction that caused it is executed once more, with the
   * registers as they are then, after pending interrupts had their chance (as Xen continues a long hypercall).
   */
  retryInstruction(): void;
}
