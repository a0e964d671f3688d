// SPDX-License-Identifier: MIT
/**
 * Emits WebAssembly for values: every operation stores its result in a fresh local, so that code comes out in
 * program order and a value can be used any number of times (V8 turns locals into SSA values at no cost).
 * Integer operations at x86 widths; see cpu/emit/emit.ts for the conventions.
 * @module
 */
import { assert } from "../base/assert.ts";
import { ByteBuffer, type FunctionBody } from "../wasm/encoder.ts";
import { type LaneName, type OpName, OPS, type ValueType } from "../wasm/opcodes.ts";
import type { Value, Variable, Width } from "./emit.ts";

/** A value: a local that is assigned once, or a constant. */
export class Val implements Value {
  /** Number of the local; CONSTANT: there is none, but the low and high 32 bits of a constant, signed. */
  constructor(
    readonly type: ValueType,
    readonly local: number,
    readonly low: number = 0,
    readonly high: number = 0,
  ) {}
  /** The constant without a sign, rounded beyond 2^53; undefined: it is none. */
  get constant(): number | undefined {
    return this.local === CONSTANT ? (this.high >>> 0) * 2 ** 32 + (this.low >>> 0) : undefined;
  }
}
const CONSTANT = -1;

/** The text of an assertion costs more than what is asserted here. */
function refuse(name: string): never {
  throw new Error(`Assertion failed: operands of ${name}`);
}

class Var implements Variable {
  constructor(readonly type: ValueType, readonly local: number) {}
}

/** The bits of an i32 that a width has. */
const MASK: { readonly [W in Width]: number } = { 8: 0xff, 16: 0xffff, 32: -1, 64: -1 };

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

/** Operations that i32 and i64 have alike: their opcodes. */
const ADD = [0x6a, 0x7c], SUB = [0x6b, 0x7d], MUL = [0x6c, 0x7e], AND = [0x71, 0x83], OR = [0x72, 0x84];
const XOR = [0x73, 0x85], SHL = [0x74, 0x86], SHR_S = [0x75, 0x87], SHR_U = [0x76, 0x88];
const EQ = [0x46, 0x51], LT_S = [0x48, 0x53], LT_U = [0x49, 0x54];
type Alike = readonly number[];

/** Code for {@linkcode WasmBuilder.sequence}: opcodes, and constants as [opcode, value]. */
export function ready(
  ...parts: readonly (number | readonly [opcode: 0x41 | 0x42, value: number])[]
): Uint8Array {
  const code = new ByteBuffer();
  for (const part of parts) {
    if (typeof part === "number") code.u8(part);
    else {
      code.u8(part[0]);
      code.s32(part[1]);
    }
  }
  return code.view();
}

/** See the module's description. */
export class WasmBuilder {
  /** How many conditional blocks enclose the code being emitted. */
  protected depth = 0;

  constructor(readonly body: FunctionBody) {}

  /** The value of parameter `index`. */
  parameter(index: number, type: ValueType): Val {
    return new Val(type, index);
  }

  i32(value: number): Val {
    return new Val("i32", CONSTANT, value | 0);
  }
  i64(value: number | bigint): Val {
    if (typeof value === "number") {
      return new Val("i64", CONSTANT, value | 0, Math.floor(value / 2 ** 32) | 0);
    }
    return this.i64Halves(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }
  /** A constant from its signed halves. */
  protected i64Halves(low: number, high: number): Val {
    return new Val("i64", CONSTANT, low, high);
  }
  k(w: Width, value: number | bigint): Val {
    if (w === 64) return this.i64(value);
    const low = typeof value === "number" ? value : Number(BigInt.asIntN(32, value));
    return new Val("i32", CONSTANT, low & MASK[w]);
  }
  v128(low: bigint, high: bigint): Val {
    const b = this.body.code;
    b.raw([0xfd, 12]);
    for (const half of [low, high]) for (let i = 0n; i < 64n; i += 8n) b.u8(Number((half >> i) & 0xffn));
    return this.popValue("v128");
  }

  known(value: Value): number | undefined {
    return (value as Val).constant;
  }

  /** Pushes a value on the WebAssembly stack. */
  pushValue(value: Value): void {
    const v = value as Val;
    if (v.local !== CONSTANT) return this.body.get(v.local);
    const b = this.body.code;
    if (v.type === "i32") {
      b.u8(0x41);
      b.s32(v.low);
    } else {
      b.u8(0x42);
      b.s64(v.low, v.high);
    }
  }
  /** Takes the top of the WebAssembly stack into a fresh local. */
  popValue(type: ValueType): Val {
    return new Val(type, this.body.take(type));
  }

  /**
   * What values and code that is ready make one after the other. For what is emitted over and over: values in between take
   * time. Nothing looks whether it is right.
   */
  protected sequence(type: ValueType, ...parts: readonly (Value | Uint8Array)[]): Val {
    for (const part of parts) {
      if (part instanceof Val) this.pushValue(part);
      else this.body.code.raw(part as Uint8Array);
    }
    return this.popValue(type);
  }
  op(name: OpName, ...args: Value[]): Val {
    const op = OPS.get(name);
    if (op === undefined || op.params.length !== args.length || op.lane) return refuse(name);
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] as Val;
      if (arg.type !== op.params[i]) return refuse(name);
      this.pushValue(arg);
    }
    const { bytes } = op;
    if (bytes.length === 1) this.body.code.u8(bytes[0] as number);
    else this.body.code.raw(bytes);
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

  #push(type: ValueType, value: Value): void {
    if (value.type !== type) refuse("an integer operation");
    this.pushValue(value);
  }
  #binary(ops: Alike, w: Width, a: Value, b: Value): Val {
    return this.#result(ops, w, a, b, w === 64 ? "i64" : "i32");
  }
  #compare(ops: Alike, w: Width, a: Value, b: Value): Val {
    return this.#result(ops, w, a, b, "i32");
  }
  #result(ops: Alike, w: Width, a: Value, b: Value, result: ValueType): Val {
    const type = w === 64 ? "i64" : "i32";
    this.#push(type, a);
    this.#push(type, b);
    this.body.code.u8(ops[w === 64 ? 1 : 0] as number);
    return this.popValue(result);
  }
  #unary(opcode: number, from: ValueType, a: Value, to: ValueType): Val {
    this.#push(from, a);
    this.body.code.u8(opcode);
    return this.popValue(to);
  }
  #masked(w: Width, v: Val): Val {
    return w >= 32 ? v : this.#binary(AND, 32, v, this.i32(MASK[w]));
  }
  add(w: Width, a: Value, b: Value): Val {
    return this.#masked(w, this.#binary(ADD, w, a, b));
  }
  sub(w: Width, a: Value, b: Value): Val {
    return this.#masked(w, this.#binary(SUB, w, a, b));
  }
  mul(w: Width, a: Value, b: Value): Val {
    return this.#masked(w, this.#binary(MUL, w, a, b));
  }
  and(w: Width, a: Value, b: Value): Val {
    return this.#binary(AND, w, a, b);
  }
  or(w: Width, a: Value, b: Value): Val {
    return this.#binary(OR, w, a, b);
  }
  xor(w: Width, a: Value, b: Value): Val {
    return this.#binary(XOR, w, a, b);
  }
  not(w: Width, a: Value): Val {
    return this.#binary(XOR, w, a, this.k(w, -1));
  }
  #count(w: Width, count: Value): Val {
    return w === 64 ? this.zeroExtend(32, 64, count) : count as Val;
  }
  shl(w: Width, a: Value, count: Value): Val {
    return this.#masked(w, this.#binary(SHL, w, a, this.#count(w, count)));
  }
  shrU(w: Width, a: Value, count: Value): Val {
    return this.#binary(SHR_U, w, a, this.#count(w, count));
  }
  shrS(w: Width, a: Value, count: Value): Val {
    return this.#masked(w, this.#binary(SHR_S, w, this.#signed(w, a), this.#count(w, count)));
  }
  /** The i32 holding `a` sign-extended from 8 or 16 bits; other widths unchanged. */
  #signed(w: Width, a: Value): Val {
    return w >= 32 ? a as Val : this.#unary(w === 8 ? 0xc0 : 0xc1, "i32", a, "i32");
  }
  eqz(w: Width, a: Value): Val {
    return w === 64 ? this.#unary(0x50, "i64", a, "i32") : this.#unary(0x45, "i32", a, "i32");
  }
  eq(w: Width, a: Value, b: Value): Val {
    return this.#compare(EQ, w, a, b);
  }
  ltU(w: Width, a: Value, b: Value): Val {
    return this.#compare(LT_U, w, a, b);
  }
  ltS(w: Width, a: Value, b: Value): Val {
    return this.#compare(LT_S, w, this.#signed(w, a), this.#signed(w, b));
  }
  sign(w: Width, a: Value): Val {
    if (w !== 64) return this.#binary(SHR_U, 32, a, this.i32(w - 1));
    return this.wrap64(this.#binary(SHR_U, 64, a, this.i64(63)));
  }
  /** i32.wrap_i64 */
  protected wrap64(a: Value): Val {
    return this.#unary(0xa7, "i64", a, "i32");
  }
  zeroExtend(from: Width, to: Width, a: Value): Val {
    if (from > to) refuse("zero extension, which widens");
    const v = a as Val;
    if (to !== 64 || from === 64) return v;
    return v.local === CONSTANT ? this.i64Halves(v.low, 0) : this.#unary(0xad, "i32", a, "i64");
  }
  signExtend(from: Width, to: Width, a: Value): Val {
    if (from > to) refuse("sign extension, which widens");
    if (from === to) return a as Val;
    const wide = this.#signed(from, a);
    return to === 64 ? this.#unary(0xac, "i32", wide, "i64") : this.#masked(to, wide);
  }
  truncate(from: Width, to: Width, a: Value): Val {
    if (from < to) refuse("truncation, which narrows");
    const v = a as Val;
    if (from === to) return v;
    if (v.local === CONSTANT) return new Val("i32", CONSTANT, v.low & MASK[to]);
    return this.#masked(to, from === 64 ? this.wrap64(v) : v);
  }
  bit(a: Value, bit: number): Val {
    const shifted = bit === 0 ? a : this.#binary(SHR_U, 32, a, this.i32(bit));
    return this.#binary(AND, 32, shifted, this.i32(1));
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
    return offset + constant;
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
  /** Call through a table. */
  callIndirect(type: number, args: readonly Value[], slot: Value, result: ValueType, table = 0): Val {
    args.forEach((a) => this.pushValue(a));
    this.pushValue(slot);
    this.body.code.u8(0x11);
    this.body.code.u32(type);
    this.body.code.u32(table);
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
