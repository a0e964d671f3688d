// SPDX-License-Identifier: MIT
/**
 * Emits WebAssembly for values: every operation stores its result in a fresh local, so that code comes out in
 * program order and a value can be used any number of times (V8 turns locals into SSA values at no cost).
 * Integer operations at x86 widths; see cpu/emit/emit.ts for the conventions.
 * @module
 */
import { assert } from "../base/assert.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import { type LaneName, type OpName, OPS, type ValueType } from "../wasm/opcodes.ts";
import type { Value, Variable, Width } from "./emit.ts";

/** A value: a local that is assigned once, or a constant. */
export class Val implements Value {
  constructor(readonly type: ValueType, readonly local: number, readonly constant: bigint | undefined) {}
}

/** The text of an assertion costs more than what is asserted here. */
function refuse(name: string): never {
  throw new Error(`Assertion failed: operands of ${name}`);
}

class Var implements Variable {
  constructor(readonly type: ValueType, readonly local: number) {}
}

const MASK: { readonly [W in Width]: bigint } = {
  8: 0xffn,
  16: 0xffffn,
  32: 0xffff_ffffn,
  64: 0xffff_ffff_ffff_ffffn,
};

/** WebAssembly memory instructions: opcode byte and type. */
const LOADS = {
  "i32.load": [0x28, "i32"],
  "i64.load": [0x29, "i64"],
  "f32.load": [0x2a, "f32"],
  "f64.load": [0x2b, "f64"],
  "i32.load8_s": [0x2c, "i32"],
  "i32.load8_u": [0x2d, "i32"],
  "i32.load16_s": [0x2e, "i32"],
  "i32.load16_u": [0x2f, "i32"],
  "i64.load32_s": [0x34, "i64"],
  "i64.load32_u": [0x35, "i64"],
} as const satisfies Record<string, readonly [number, ValueType]>;
const STORES = {
  "i32.store": 0x36,
  "i64.store": 0x37,
  "f32.store": 0x38,
  "f64.store": 0x39,
  "i32.store8": 0x3a,
  "i32.store16": 0x3b,
  "i64.store32": 0x3e,
} as const;
/** Name of a load instruction. */
export type LoadName = keyof typeof LOADS | "v128.load";
/** Name of a store instruction. */
export type StoreName = keyof typeof STORES | "v128.store";

/** Operations of two operands that i32 and i64 have alike. */
type BinaryName =
  | "add"
  | "sub"
  | "mul"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr_u"
  | "shr_s"
  | "eq"
  | "lt_u"
  | "lt_s";

/** See the module's description. */
export class WasmBuilder {
  /** How many conditional blocks enclose the code being emitted. */
  protected depth = 0;

  constructor(readonly body: FunctionBody) {}

  /** The value of parameter `index`. */
  parameter(index: number, type: ValueType): Val {
    return new Val(type, index, undefined);
  }

  i32(value: number): Val {
    return new Val("i32", -1, BigInt(value >>> 0));
  }
  i64(value: number | bigint): Val {
    return new Val("i64", -1, BigInt.asUintN(64, BigInt(value)));
  }
  k(w: Width, value: number | bigint): Val {
    return new Val(w === 64 ? "i64" : "i32", -1, BigInt(value) & MASK[w]);
  }
  v128(low: bigint, high: bigint): Val {
    const b = this.body.code;
    b.raw([0xfd, 12]);
    for (const half of [low, high]) for (let i = 0n; i < 64n; i += 8n) b.u8(Number((half >> i) & 0xffn));
    return this.popValue("v128");
  }

  known(value: Value): number | undefined {
    const { constant } = value as Val;
    return constant === undefined ? undefined : Number(constant);
  }

  /** Pushes a value on the WebAssembly stack. */
  pushValue(value: Value): void {
    const v = value as Val;
    const b = this.body.code;
    if (v.constant === undefined) {
      this.body.get(v.local);
    } else if (v.type === "i32") {
      b.u8(0x41);
      b.s32(Number(BigInt.asIntN(32, v.constant)));
    } else {
      b.u8(0x42);
      b.s64(v.constant);
    }
  }
  /** Takes the top of the WebAssembly stack into a fresh local. */
  popValue(type: ValueType): Val {
    const local = this.body.local(type);
    this.body.set(local);
    return new Val(type, local, undefined);
  }

  op(name: OpName, ...args: Value[]): Val {
    const op = OPS.get(name);
    if (op === undefined || op.params.length !== args.length || op.lane) return refuse(name);
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] as Val;
      if (arg.type !== op.params[i]) return refuse(name);
      this.pushValue(arg);
    }
    this.body.code.raw(op.bytes);
    return this.popValue(op.result);
  }
  lane(name: LaneName, lane: number, ...args: Value[]): Val {
    const op = OPS.get(name);
    assert(op !== undefined && op.params.length === args.length && op.lane, `lane operation ${name}`);
    args.forEach((a, i) => {
      assert(a.type === op.params[i], `operand ${i} of ${name}`);
      this.pushValue(a);
    });
    this.body.code.raw(op.bytes);
    this.body.code.u8(lane);
    return this.popValue(op.result);
  }
  shuffle(lanes: readonly number[], a: Value, b: Value): Val {
    assert(lanes.length === 16 && lanes.every((l) => l >= 0 && l < 32), "sixteen lanes below 32");
    this.pushValue(a);
    this.pushValue(b);
    this.body.code.raw([0xfd, 13, ...lanes]);
    return this.popValue("v128");
  }
  select(condition: Value, then: Value, otherwise: Value): Val {
    assert(then.type === otherwise.type, "select of one type");
    this.pushValue(then);
    this.pushValue(otherwise);
    this.pushValue(condition);
    this.body.code.raw(then.type === "v128" ? [0x1c, 1, 0x7b] : [0x1b]);
    return this.popValue(then.type);
  }

  // Integer arithmetic at a width

  #binary(name: BinaryName, w: Width, a: Value, b: Value): Val {
    return this.op(w === 64 ? `i64.${name}` : `i32.${name}`, a, b);
  }
  #masked(w: Width, v: Val): Val {
    return w >= 32 ? v : this.op("i32.and", v, this.i32(Number(MASK[w])));
  }
  add(w: Width, a: Value, b: Value): Val {
    return this.#masked(w, this.#binary("add", w, a, b));
  }
  sub(w: Width, a: Value, b: Value): Val {
    return this.#masked(w, this.#binary("sub", w, a, b));
  }
  mul(w: Width, a: Value, b: Value): Val {
    return this.#masked(w, this.#binary("mul", w, a, b));
  }
  and(w: Width, a: Value, b: Value): Val {
    return this.#binary("and", w, a, b);
  }
  or(w: Width, a: Value, b: Value): Val {
    return this.#binary("or", w, a, b);
  }
  xor(w: Width, a: Value, b: Value): Val {
    return this.#binary("xor", w, a, b);
  }
  not(w: Width, a: Value): Val {
    return this.#binary("xor", w, a, this.k(w, -1));
  }
  #count(w: Width, count: Value): Val {
    return w === 64 ? this.zeroExtend(32, 64, count) as Val : count as Val;
  }
  shl(w: Width, a: Value, count: Value): Val {
    return this.#masked(w, this.#binary("shl", w, a, this.#count(w, count)));
  }
  shrU(w: Width, a: Value, count: Value): Val {
    return this.#binary("shr_u", w, a, this.#count(w, count));
  }
  shrS(w: Width, a: Value, count: Value): Val {
    return this.#masked(w, this.#binary("shr_s", w, this.#signed(w, a), this.#count(w, count)));
  }
  /** The i32 holding `a` sign-extended from 8 or 16 bits; other widths unchanged. */
  #signed(w: Width, a: Value): Val {
    return w === 8 ? this.op("i32.extend8_s", a) : w === 16 ? this.op("i32.extend16_s", a) : a as Val;
  }
  eqz(w: Width, a: Value): Val {
    return this.op(w === 64 ? "i64.eqz" : "i32.eqz", a);
  }
  eq(w: Width, a: Value, b: Value): Val {
    return this.#binary("eq", w, a, b);
  }
  ltU(w: Width, a: Value, b: Value): Val {
    return this.#binary("lt_u", w, a, b);
  }
  ltS(w: Width, a: Value, b: Value): Val {
    return this.#binary("lt_s", w, this.#signed(w, a), this.#signed(w, b));
  }
  sign(w: Width, a: Value): Val {
    if (w === 64) return this.op("i32.wrap_i64", this.op("i64.shr_u", a, this.i64(63)));
    return this.op("i32.shr_u", a, this.i32(w - 1));
  }
  zeroExtend(from: Width, to: Width, a: Value): Val {
    assert(from <= to, "zero extension widens");
    const v = a as Val;
    if (to !== 64 || from === 64) return v;
    return v.constant !== undefined ? this.i64(v.constant) : this.op("i64.extend_i32_u", a);
  }
  signExtend(from: Width, to: Width, a: Value): Val {
    assert(from <= to, "sign extension widens");
    if (from === to) return a as Val;
    const wide = this.#signed(from, a);
    return to === 64 ? this.op("i64.extend_i32_s", wide) : this.#masked(to, wide);
  }
  truncate(from: Width, to: Width, a: Value): Val {
    assert(from >= to, "truncation narrows");
    const v = a as Val;
    if (from === to) return v;
    if (v.constant !== undefined) return this.k(to, v.constant);
    return this.#masked(to, from === 64 ? this.op("i32.wrap_i64", v) : v);
  }
  bit(a: Value, bit: number): Val {
    const shifted = bit === 0 ? a : this.op("i32.shr_u", a, this.i32(bit));
    return this.op("i32.and", shifted, this.i32(1));
  }

  // Control flow

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    const b = this.body.code;
    this.pushValue(condition);
    b.raw([0x04, 0x40]);
    this.depth++;
    then();
    if (otherwise !== undefined) {
      b.u8(0x05);
      otherwise();
    }
    this.depth--;
    b.u8(0x0b);
  }
  ifAll(conditions: readonly (() => Value)[], then: () => void, otherwise: () => void): void {
    const b = this.body.code;
    for (let i = 0; i < 2; i++) b.raw([0x02, 0x40]); // block: past everything; block: to `otherwise`
    this.depth += 2;
    for (const condition of conditions) {
      this.pushValue(condition());
      b.u8(0x45);
      this.body.hint(0);
      b.raw([0x0d, 0]);
    }
    then();
    b.raw([0x0c, 1]);
    b.u8(0x0b);
    this.depth--;
    otherwise();
    b.u8(0x0b);
    this.depth--;
  }
  expect(conditions: readonly (() => Value)[], otherwise: () => void): void {
    if (conditions.length > 0) this.ifAll(conditions, () => {}, otherwise);
  }
  doWhile(body: () => Value): void {
    this.body.loop();
    this.depth++;
    this.pushValue(body());
    this.body.code.raw([0x0d, 0]);
    this.depth--;
    this.body.endLoop();
  }
  variable(initial: Value): Variable {
    const v = new Var(initial.type, this.body.local(initial.type));
    this.set(v, initial);
    return v;
  }
  get(variable: Variable): Val {
    this.body.get((variable as Var).local);
    return this.popValue(variable.type);
  }
  set(variable: Variable, value: Value): void {
    assert(variable.type === value.type, "variable keeps its type");
    this.pushValue(value);
    this.body.set((variable as Var).local);
  }

  // Memory of the WebAssembly instance: base (i32) plus constant offset

  loadRaw(name: LoadName, base: Value, offset = 0): Val {
    const b = this.body.code;
    offset = this.#base(base, offset);
    if (name === "v128.load") b.raw([0xfd, 0]);
    else b.u8(LOADS[name][0]);
    b.u8(0); // alignment hint: none, guests are not aligned
    b.u32(offset);
    return this.popValue(name === "v128.load" ? "v128" : LOADS[name][1]);
  }
  storeRaw(name: StoreName, base: Value, value: Value, offset = 0): void {
    const b = this.body.code;
    offset = this.#base(base, offset);
    this.pushValue(value);
    if (name === "v128.store") b.raw([0xfd, 11]);
    else b.u8(STORES[name]);
    b.u8(0);
    b.u32(offset);
  }
  /** Pushes the base; a constant base moves into the offset. */
  #base(base: Value, offset: number): number {
    const constant = (base as Val).constant;
    if (constant === undefined) {
      this.pushValue(base);
      return offset;
    }
    this.pushValue(this.i32(0));
    return offset + Number(constant);
  }
  // The state block

  state32(address: number): Val {
    return this.loadRaw("i32.load", this.i32(address));
  }
  setState32(address: number, value: Value): void {
    this.storeRaw("i32.store", this.i32(address), value);
  }
  state64(address: number): Val {
    return this.loadRaw("i64.load", this.i32(address));
  }
  setState64(address: number, value: Value): void {
    this.storeRaw("i64.store", this.i32(address), value);
  }
  state128(address: number): Val {
    return this.loadRaw("v128.load", this.i32(address));
  }
  setState128(address: number, value: Value): void {
    this.storeRaw("v128.store", this.i32(address), value);
  }
  /** memory.copy(to, from, length), all i32. */
  copyRaw(to: Value, from: Value, length: Value): void {
    [to, from, length].forEach((v) => this.pushValue(v));
    this.body.code.raw([0xfc, 10, 0, 0]);
  }
  /** memory.fill(to, byte, length). */
  fillRaw(to: Value, byte: Value, length: Value): void {
    [to, byte, length].forEach((v) => this.pushValue(v));
    this.body.code.raw([0xfc, 11, 0]);
  }

  // Calls and exits

  call(index: number, args: readonly Value[], result?: ValueType): Val | undefined {
    args.forEach((a) => this.pushValue(a));
    this.body.code.u8(0x10);
    this.body.code.u32(index);
    return result === undefined ? undefined : this.popValue(result);
  }
  /** Call through table 0. */
  callIndirect(type: number, args: readonly Value[], slot: Value, result: ValueType): Val {
    args.forEach((a) => this.pushValue(a));
    this.pushValue(slot);
    this.body.code.u8(0x11);
    this.body.code.u32(type);
    this.body.code.u8(0);
    return this.popValue(result);
  }
  returnCall(index: number, args: readonly Value[]): void {
    args.forEach((a) => this.pushValue(a));
    this.body.code.u8(0x12);
    this.body.code.u32(index);
  }
  /** Tail call through table 0. */
  returnCallIndirect(type: number, args: readonly Value[], slot: Value): void {
    args.forEach((a) => this.pushValue(a));
    this.pushValue(slot);
    this.body.code.u8(0x13);
    this.body.code.u32(type);
    this.body.code.u8(0);
  }
  return(value: Value): void {
    this.pushValue(value);
    this.body.code.u8(0x0f);
  }
  /**
   * Code that never runs but counts: V8's baseline compiler decides that a function is worth optimizing after it has
   * passed some 13 MB of its machine code, which small functions take tens of thousands of calls for. The condition
   * is a constant that the baseline compiler does not fold and the optimizing one does.
   */
  weight(loads: number): void {
    const b = this.body.code;
    b.raw([0x41, 0, 0x45, 0x45, 0x04, 0x40]); // if (!!0)
    for (let i = 0; i < loads; i++) b.raw([0x41, 0, 0x28, 0, 0, 0x1a]); // drop(i32.load(0))
    b.u8(0x0b);
  }
  /** Marks the end of a body that never falls through. */
  unreachable(): void {
    this.body.code.u8(0x00);
  }
}
