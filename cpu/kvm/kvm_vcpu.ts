// SPDX-License-Identifier: MIT
/**
 * The processor as `xen/` and the devices see it.
 * @module
 */
import { type Gpa, type Gva, PAGE_MASK, PAGE_SIZE } from "../base/bits.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import type { GprName, Vcpu } from "../base/vcpu.ts";
import { walkPages } from "./page_walk.ts";
import type { KvmRegisters } from "./registers.ts";

const EFER_LMA = 1n << 10n;
const ATTRIBUTE_L = 1 << 13, ATTRIBUTE_DB = 1 << 14;

/** What the engine does for it. */
export interface KvmVcpuParts {
  readonly id: number;
  readonly memory: GuestMemory;
  readonly registers: KvmRegisters;
  readonly tscHz: number;
  /** Finishes an instruction that has left for us, so that the registers are as after it. */
  settle(): void;
  retry(): void;
  readTsc(): bigint;
}

/** See the module's description. */
export class KvmVcpu implements Vcpu {
  readonly id: number;
  readonly tscHz: number;
  readonly #parts: KvmVcpuParts;

  constructor(parts: KvmVcpuParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.tscHz = parts.tscHz;
  }
  get #registers(): KvmRegisters {
    this.#parts.settle();
    return this.#parts.registers;
  }

  get codeBits(): 16 | 32 | 64 {
    const { attributes } = this.#registers.segment("cs");
    if (this.longMode && (attributes & ATTRIBUTE_L) !== 0) return 64;
    return (attributes & ATTRIBUTE_DB) !== 0 ? 32 : 16;
  }
  get longMode(): boolean {
    return (this.#registers.control("efer") & EFER_LMA) !== 0n;
  }
  get cpl(): number {
    return (this.#registers.segment("ss").attributes >> 5) & 3; // as for the processor
  }
  readGpr(reg: GprName): bigint {
    return this.#registers.get(reg);
  }
  writeGpr(reg: GprName, value: bigint): void {
    this.#registers.set(reg, value);
  }
  get rip(): bigint {
    return this.#registers.get("rip");
  }
  get rflags(): number {
    return Number(this.#registers.get("rflags"));
  }
  translate(gva: Gva, write: boolean): Gpa | undefined {
    const r = this.#registers;
    const [cr0, cr3, cr4, efer] = [r.control("cr0"), r.control("cr3"), r.control("cr4"), r.control("efer")];
    return walkPages(this.#parts.memory, { cr0, cr3, cr4, efer }, gva, write);
  }
  copyFromGuest(gva: Gva, into: Uint8Array): boolean {
    return this.#eachPage(gva, into, false, (gpa, bytes) => this.#parts.memory.read(gpa, bytes));
  }
  copyToGuest(gva: Gva, bytes: Uint8Array): boolean {
    return this.#eachPage(gva, bytes, true, (gpa, piece) => this.#parts.memory.write(gpa, piece));
  }
  #eachPage(
    gva: Gva,
    all: Uint8Array,
    write: boolean,
    copy: (gpa: Gpa, piece: Uint8Array) => boolean,
  ): boolean {
    for (let done = 0; done < all.length;) {
      const at = gva + BigInt(done);
      const n = Math.min(all.length - done, PAGE_SIZE - Number(at & BigInt(PAGE_MASK)));
      const gpa = this.translate(at, write);
      if (gpa === undefined || !copy(gpa, all.subarray(done, done + n))) return false;
      done += n;
    }
    return true;
  }
  readTsc(): bigint {
    return this.#parts.readTsc();
  }
  retryInstruction(): void {
    this.#parts.retry();
  }
}
