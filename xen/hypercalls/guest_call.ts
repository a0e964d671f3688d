// SPDX-License-Identifier: MIT
/**
 * One hypercall as its implementation sees it: arguments, the caller's width, and copies from and to guest memory
 * through one long-lived buffer. Structures are copied in once and only the copy is looked at.
 *
 * A call whose length the guest chooses spends of `budget` as it goes. (Xen asks whether something is due,
 * hypercall_preempt_check; here work is counted, so that runs repeat exactly.) Once that is exhausted it leaves the rest for
 * later with {@linkcode GuestCall.continueWith}, as Xen's hypercall_create_continuation does: the instruction is executed
 * once more, with arguments that say how far the call has come.
 * @module
 */
import type { GprName, Vcpu } from "../../cpu/base/vcpu.ts";
import { type GuestBits, longBytes } from "../public/abi.ts";
import { getU64 } from "../public/words.ts";

const ARGUMENTS_64: readonly GprName[] = ["rdi", "rsi", "rdx", "r10", "r8", "r9"];
const ARGUMENTS_32: readonly GprName[] = ["rbx", "rcx", "rdx", "rsi", "rdi", "rbp"];
const MASK_32 = 0xffff_ffffn;
const BUFFER_BYTES = 4096;
/** Prefixes of the buffer up to this size have a view each, made when first needed. */
const CACHED_VIEWS = 128;

/** Units of work, of roughly a microsecond each: an entry ends after about a millisecond. */
export const WORK_PER_ENTRY = 1000;

/** The work left; shared by a multicall and the calls in it. */
export class WorkBudget {
  #left = WORK_PER_ENTRY;

  /** A new entry. */
  refill(): void {
    this.#left = WORK_PER_ENTRY;
  }

  /** Work of `units` is about to be done, or was done. */
  spend(units: number): void {
    this.#left -= units;
  }

  /** True when what is left to do has to wait for another entry. Ask after some work was done, or it never gets done. */
  get exhausted(): boolean {
    return this.#left <= 0;
  }
}

/** See the module's description. Reused for every hypercall of a vCPU. */
export class GuestCall {
  readonly vcpu: Vcpu;
  /** What load() filled and store() writes. */
  readonly view: DataView<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Work it may do, together with the other calls of the same entry. */
  readonly budget: WorkBudget;
  /** True once the call has put off its rest. */
  preempted = false;
  /** Width of the caller's ABI. */
  bits: GuestBits = 64;
  /** Arguments of a call out of a multicall; undefined: they are in registers. */
  #list: bigint[] | undefined;
  readonly #prefixes: (Uint8Array<ArrayBuffer> | undefined)[] = [];

  constructor(vcpu: Vcpu, budget = new WorkBudget()) {
    this.vcpu = vcpu;
    this.budget = budget;
    this.bytes = new Uint8Array(BUFFER_BYTES);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Takes arguments from registers (no list) or from a multicall entry. */
  begin(bits: GuestBits, list?: bigint[]): void {
    this.bits = bits;
    this.preempted = false;
    this.#list = list;
  }

  /** Argument `i` in full. */
  arg(i: number): bigint {
    if (this.#list !== undefined) return this.#list[i] ?? 0n;
    const names = this.bits === 64 ? ARGUMENTS_64 : ARGUMENTS_32;
    const value = this.vcpu.readGpr(names[i] as GprName);
    return this.bits === 64 ? value : value & MASK_32;
  }

  /**
   * Ends this leg of a long call: the same hypercall comes again with these arguments (the others stay). Return what
   * this returns; the guest does not see it.
   */
  continueWith(...args: readonly (bigint | number)[]): number {
    const names = this.bits === 64 ? ARGUMENTS_64 : ARGUMENTS_32;
    args.forEach((arg, i) => {
      const value = BigInt.asUintN(this.bits, BigInt(arg));
      if (this.#list !== undefined) this.#list[i] = value;
      else this.vcpu.writeGpr(names[i] as GprName, value);
    });
    this.preempted = true;
    return 0;
  }

  /** Argument `i` as an unsigned int. */
  u32(i: number): number {
    return Number(this.arg(i) & MASK_32);
  }

  /** Copies `length` bytes at `gva` to the start of the buffer; false when memory is missing (-EFAULT). */
  load(gva: bigint, length: number): boolean {
    return this.vcpu.copyFromGuest(gva, this.#prefix(length));
  }

  /** Like load, from the address in argument `i`. */
  loadArg(i: number, length: number): boolean {
    return this.vcpu.copyFromGuest(this.arg(i), this.#prefix(length));
  }

  /** Copies `length` bytes of the buffer from `at` on to `gva`; false when memory is missing (-EFAULT). */
  store(gva: bigint, length: number, at = 0): boolean {
    const bytes = at === 0 ? this.#prefix(length) : this.bytes.subarray(at, at + length);
    return this.vcpu.copyToGuest(gva, bytes);
  }

  /** Writes back the part [at, at+length) of a structure whose address is in argument `i`. */
  storeArg(i: number, length: number, at = 0): boolean {
    return this.store(this.arg(i) + BigInt(at), length, at);
  }

  /** A C `unsigned long` in the buffer; exact below 2^53. */
  long(at: number): number {
    return this.bits === 64 ? getU64(this.view, at) : this.view.getUint32(at, true);
  }

  /** A pointer in the buffer. */
  pointer(at: number): bigint {
    return this.bits === 64 ? this.view.getBigUint64(at, true) : BigInt(this.view.getUint32(at, true));
  }

  /** Writes a C `unsigned long` to the buffer. */
  setLong(at: number, value: bigint): void {
    if (this.bits === 64) this.view.setBigUint64(at, value, true);
    else this.view.setUint32(at, Number(value & MASK_32), true);
  }

  /** Bytes of a C `long`. */
  get longBytes(): 4 | 8 {
    return longBytes(this.bits);
  }

  #prefix(length: number): Uint8Array<ArrayBuffer> {
    if (length > CACHED_VIEWS) return this.bytes.subarray(0, length);
    return this.#prefixes[length] ??= this.bytes.subarray(0, length);
  }
}
