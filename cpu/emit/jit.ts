// SPDX-License-Identifier: MIT
/**
 * Back end two: one function per hot basic block. Operands are constants, instructions follow each other without
 * dispatch, lazy flags of one instruction are at hand for the next, and general registers are read from the state
 * block once and kept in locals (every write goes to the state block too, so that leaving needs no spilling).
 * Experimental: nothing is compiled across blocks; that is the region compiler's work.
 * @module
 */
import { GPR_NAMES, type GprName } from "../base/vcpu.ts";
import { RECORD_BYTES } from "../state/record.ts";
import { S } from "../state/state.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import type { Val } from "./builder.ts";
import type { Value, Width } from "./emit.ts";
import type { Facts } from "./facts.ts";
import type { Operands, Slot } from "./form.ts";
import type { Links } from "./links.ts";
import type { Register } from "./microcode_calls.ts";
import { WasmEmit } from "./wasm_emit.ts";

/** See the module's description. */
export class JitEmit extends WasmEmit {
  #operands!: Operands;
  /** Values of general registers by number. A change on some path only, or by TypeScript, drops the entry. */
  readonly #registers = new Map<number, Val>();

  /** The block's first record is at `start`. */
  constructor(body: FunctionBody, links: Links, readonly start: number) {
    super(body, links);
  }

  override begin(operands: Operands, position: number, facts?: Facts, flagsLive?: boolean): void {
    super.begin(operands, position, facts, flagsLive);
    this.#operands = operands;
  }
  protected override loadRegister(w: Width, address: Val): Val {
    const at = Number(address.constant);
    if (at === S.zero) return this.k(w, 0);
    const number = registerAt(at);
    if (number < 0) return super.loadRegister(w, address);
    let full = this.#registers.get(number);
    if (full === undefined) {
      if (this.depth > 0) return super.loadRegister(w, address);
      full = super.loadRegister(64, this.i32(S.gpr + number * 8));
      this.#registers.set(number, full);
    }
    if (w === 64) return full;
    const low = this.op("i32.wrap_i64", full);
    if (w === 32) return low;
    const shifted = (at & 7) === 1 ? this.op("i32.shr_u", low, this.i32(8)) : low;
    return this.and(32, shifted, this.i32(w === 8 ? 0xff : 0xffff));
  }
  protected override storeRegister(w: Width, address: Val, value: Value): void {
    super.storeRegister(w, address, value);
    const number = registerAt(Number(address.constant));
    if (number < 0) return;
    if (this.depth > 0) this.#registers.delete(number);
    else if (w === 64) this.#registers.set(number, value as Val);
    else if (w === 32) this.#registers.set(number, this.zeroExtend(32, 64, value));
    else {
      const old = this.#registers.get(number);
      if (old === undefined) return;
      const shift = (Number(address.constant) & 7) * 8;
      const mask = (w === 8 ? 0xffn : 0xffffn) << BigInt(shift);
      const kept = this.and(64, old, this.i64(~mask));
      const field = this.shl(64, this.zeroExtend(32, 64, value), this.k(8, shift));
      this.#registers.set(number, this.or(64, kept, field));
    }
  }
  protected override registersChanged(registers: readonly Register[]): void {
    for (const name of registers) this.#registers.delete(GPR_NAMES.indexOf(name as GprName));
  }
  /** The body of a loop may read a register it has written in an earlier turn. */
  override doWhile(body: () => Value): void {
    this.#registers.clear();
    super.doWhile(body);
  }

  protected override firstRecord(): Val {
    return this.recordAt(0);
  }
  protected override recordAt(position: number): Val {
    return this.i32(this.start + position * RECORD_BYTES);
  }
  protected override slot(name: Slot): Val {
    return this.i32(name === "count" ? this.position + 1 : this.#operands[name]);
  }
  protected override immediate(): Val {
    return this.i64((BigInt(this.#operands.immHigh) << 32n) | BigInt(this.#operands.immLow >>> 0));
  }
}

/** Number of the general register whose bytes include address `at`; -1: none. */
function registerAt(at: number): number {
  return at >= S.gpr && at < S.gpr + 16 * 8 ? (at - S.gpr) >> 3 : -1;
}
