// SPDX-License-Identifier: MIT
/**
 * A stack that microcode pushes to or pops from before anything is committed. Rules: SDM Vol. 1 §6.2, Vol. 3A
 * §6.12.1, §6.14.2.
 * @module
 */
import type { LinearMemory } from "../mmu/linear_memory.ts";
import { isCanonical } from "../mmu/mmu.ts";
import { attributesOf, baseOf, type Descriptor, limitOf, withinLimit } from "../state/descriptor.ts";
import type { Registers } from "../state/registers.ts";
import {
  EXC_SS,
  S,
  SEG_DB,
  SEG_UNUSABLE,
  segmentLayout,
  SS,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_USER_AC,
} from "../state/state.ts";

const RSP_AT = (S.gpr >> 2) + 8;

/** See the module's description. */
export class Stack {
  /** Stack pointer, moved by push and pop. */
  lo = 0;
  hi = 0;
  /** 64-bit: no base, no limit. */
  wide = false;
  #mask = 0xffff_ffff;
  #base = 0;
  #limit = 0xffff_ffff;
  #attributes = 0;
  #tlbMode = TLB_MODE_SUPERVISOR;
  /** Error code of the #SS a limit or canonical violation causes. */
  #errorCode = 0;

  constructor(readonly registers: Registers, readonly mem: LinearMemory) {}

  /** The stack in use. `errorCode`: of the #SS of an overflow. */
  useCurrent(errorCode = 0): this {
    const registers = this.registers, u32 = registers.u32;
    this.#tlbMode = registers.dataMode;
    this.#errorCode = errorCode;
    this.lo = u32[RSP_AT] as number;
    this.hi = u32[RSP_AT + 1] as number;
    this.wide = registers.codeBits === 64;
    if (this.wide) return this;
    const at = S.es + SS * segmentLayout.size;
    this.#base = u32[at >> 2] as number;
    this.#limit = u32[(at + segmentLayout.at.limit) >> 2] as number;
    this.#attributes = registers.attributes(SS);
    this.#mask = (this.#attributes & SEG_DB) !== 0 ? 0xffff_ffff : 0xffff;
    this.lo = (this.lo & this.#mask) >>> 0;
    this.hi = 0;
    return this;
  }

  /** A 64-bit stack of a privilege below 3. */
  useLong(lo: number, hi: number, errorCode = 0): this {
    this.lo = lo;
    this.hi = hi;
    this.wide = true;
    this.#tlbMode = TLB_MODE_SUPERVISOR;
    this.#errorCode = errorCode;
    return this;
  }

  /** A stack in a segment that is not loaded yet. */
  useSegment(d: Descriptor, sp: number, tlbMode: number, errorCode: number): this {
    this.wide = false;
    this.#attributes = attributesOf(d);
    this.#base = baseOf(d);
    this.#limit = limitOf(d);
    this.#mask = (this.#attributes & SEG_DB) !== 0 ? 0xffff_ffff : 0xffff;
    this.lo = (sp & this.#mask) >>> 0;
    this.hi = 0;
    this.#tlbMode = tlbMode;
    this.#errorCode = errorCode;
    return this;
  }

  /** Linear address of `size` bytes at the stack pointer in mem.lo/hi. False: #SS recorded. */
  #address(size: number): boolean {
    const mem = this.mem;
    if (this.wide) {
      if (!isCanonical(this.hi)) return this.#refuse();
      mem.lo = this.lo;
      mem.hi = this.hi;
      return true;
    }
    if (
      (this.#attributes & SEG_UNUSABLE) !== 0 || !withinLimit(this.#attributes, this.#limit, this.lo, size)
    ) return this.#refuse();
    mem.lo = (this.#base + this.lo) >>> 0;
    mem.hi = 0;
    return true;
  }

  /** For an address in mem.lo/hi. False: #AC recorded. */
  #isAligned(size: number): boolean {
    return this.#tlbMode !== TLB_MODE_USER_AC || this.mem.isAligned(this.mem.lo, size);
  }

  #refuse(): false {
    this.registers.raise(EXC_SS, this.#errorCode);
    return false;
  }

  /** Moves the stack pointer by `delta` bytes. */
  move(delta: number): void {
    const sum = this.lo + delta;
    if (this.wide) {
      this.hi = (this.hi + (sum < 0 ? -1 : sum > 0xffff_ffff ? 1 : 0)) >>> 0;
      this.lo = sum >>> 0;
    } else this.lo = (sum & this.#mask) >>> 0;
  }

  /** Pushes `size` (2, 4, 8) bytes. False: fault recorded. */
  push(size: number, lo: number, hi = 0): boolean {
    this.move(-size);
    const mem = this.mem;
    if (!this.#address(size)) return false;
    mem.setWord(0, lo);
    mem.setWord(1, hi);
    return this.#isAligned(size) && mem.store(mem.lo, mem.hi, size, this.#tlbMode, EXC_SS);
  }

  /** Pushes the first `bytes` of mem's words at once, lowest address first. False: fault recorded. */
  pushBlock(bytes: number): boolean {
    this.move(-bytes);
    const mem = this.mem;
    return this.#address(bytes) && mem.store(mem.lo, mem.hi, bytes, this.#tlbMode, EXC_SS);
  }

  /** Pops into mem.word(0), word(1). False: fault recorded. */
  pop(size: number): boolean {
    if (!this.popBlock(size, size)) return false;
    if (size < 8) {
      const mem = this.mem;
      mem.setWord(1, 0);
      if (size === 2) mem.setWord(0, mem.word(0) & 0xffff);
    }
    return true;
  }

  /** Pops `bytes`, so many at a time, into mem's words. False: fault recorded. */
  popBlock(bytes: number, size: number): boolean {
    const mem = this.mem;
    if (!this.#address(bytes) || !this.#isAligned(size)) return false;
    if (!mem.load(mem.lo, mem.hi, bytes, this.#tlbMode, EXC_SS)) return false;
    this.move(bytes);
    return true;
  }

  /** Makes the stack pointer architectural. A 16-bit stack keeps the upper bits of ESP. */
  commit(): void {
    const u32 = this.registers.u32;
    if (this.wide) {
      u32[RSP_AT] = this.lo;
      u32[RSP_AT + 1] = this.hi;
    } else if (this.#mask === 0xffff) u32[RSP_AT] = ((u32[RSP_AT] as number) & 0xffff_0000) | this.lo;
    else {
      u32[RSP_AT] = this.lo;
      u32[RSP_AT + 1] = 0;
    }
  }
}
