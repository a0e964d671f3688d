// SPDX-License-Identifier: MIT
/**
 * Emits WebAssembly for values: every operation stores its result in a fresh local, so that code comes out in
 * program order and a value can be used any number of times (V8 turns locals into SSA values at no cost).
 * Integer operations at x86 widths; see cpu/emit/emit.ts for the conventions.
 * @module
 */
import { assert } from "../base/assert.ts";
import { ByteBuffer, type FunctionBody, Val } from "../wasm/encoder.ts";

export { Val };
import { type LaneName, type OpName, OPS, type ValueType } from "../wasm/opcodes.ts";
import type { Value, Variable, Width } from "./emit.ts";

/** The text of an assertion costs more than what is asserted here. */
function refuse(name: string): never {
  throw new Error(`Assertion failed: operands of ${name}`);
}

class Var implements Variable {
  constructor(readonly type: ValueType, readonly local: number) {}
}

/** The bits of an i32 that a width has. */
function mask(w: Width): number {
  return w === 8 ? 0xff : w === 16 ? 0xffff : -1;
}

/** Name of a load instruction. */
export type LoadName =
  | `i32.load${"" | "8_s" | "8_u" | "16_s" | "16_u"}`
  | `i64.load${"" | "32_s" | "32_u"}`
  | "f32.load"
  | "f64.load"
  | "v128.load";
/** Name of a store instruction. */
export type StoreName =
  | `i32.store${"" | "8" | "16"}`
  | `i64.store${"" | "32"}`
  | "f32.store"
  | "f64.store"
  | "v128.store";

// Opcodes by comparison, the usual ones first: V8 looks up properties of many names slowly.

/** Opcode of a load; that of vectors stands behind VECTOR. */
function loadOpcode(name: LoadName): number {
  switch (name) {
    case "i64.load":
      return I64_LOAD;
    case "i32.load":
      return I32_LOAD;
    case "i32.load8_u":
      return 0x2d;
    case "i32.load16_u":
      return 0x2f;
    case "v128.load":
      return 0;
    case "f32.load":
      return 0x2a;
    case "f64.load":
      return 0x2b;
    case "i32.load8_s":
      return 0x2c;
    case "i32.load16_s":
      return 0x2e;
    case "i64.load32_s":
      return 0x34;
    case "i64.load32_u":
      return 0x35;
  }
}
/** Type of what it loads. */
function loadType(name: LoadName): ValueType {
  switch (name) {
    case "v128.load":
      return "v128";
    case "f32.load":
      return "f32";
    case "f64.load":
      return "f64";
    case "i64.load":
    case "i64.load32_s":
    case "i64.load32_u":
      return "i64";
    default:
      return "i32";
  }
}
/** Opcode of a store; that of vectors stands behind VECTOR. */
function storeOpcode(name: StoreName): number {
  switch (name) {
    case "i64.store":
      return I64_STORE;
    case "i32.store":
      return I32_STORE;
    case "i32.store8":
      return 0x3a;
    case "i32.store16":
      return 0x3b;
    case "v128.store":
      return 11;
    case "f32.store":
      return 0x38;
    case "f64.store":
      return 0x39;
    case "i64.store32":
      return 0x3e;
  }
}
/** In front of the opcodes of vectors. */
const VECTOR = 0xfd;
const I32_LOAD = 0x28, I64_LOAD = 0x29, I32_STORE = 0x36, I64_STORE = 0x37;
const I32_CONST = 0x41, IF = 0x04, ELSE = 0x05, END = 0x0b, NO_RESULT = 0x40;

/** Operations that i32 and i64 have alike: their opcodes. */
const ADD = [0x6a, 0x7c], SUB = [0x6b, 0x7d], MUL = [0x6c, 0x7e], AND = [0x71, 0x83], OR = [0x72, 0x84];
const XOR = [0x73, 0x85], SHL = [0x74, 0x86], SHR_S = [0x75, 0x87], SHR_U = [0x76, 0x88];
const EQ = [0x46, 0x51], LT_S = [0x48, 0x53], LT_U = [0x49, 0x54];
type Alike = readonly number[];

/** Code that is emitted over and over: opcodes, and constants as [opcode, value]. */
export function ready(
  ...parts: readonly (number | readonly [opcode: 0x41 | 0x42, value: number])[]
): Uint8Array {
  const code = new ByteBuffer(64);
  for (const part of parts) {
    if (typeof part === "number") code.u8(part);
    else {
      code.u8(part[0]);
      code.s32(part[1]);
    }
  }
  return code.view();
}

/** An operation on two values of a width. */
function binary(body: FunctionBody, ops: Alike, w: Width, a: Value, b: Value): Val {
  return result(body, ops, w, a, b, w === 64 ? "i64" : "i32");
}
function compare(body: FunctionBody, ops: Alike, w: Width, a: Value, b: Value): Val {
  return result(body, ops, w, a, b, "i32");
}
function result(body: FunctionBody, ops: Alike, w: Width, a: Value, b: Value, type: ValueType): Val {
  const wide = w === 64, wanted = wide ? "i64" : "i32";
  if (a.type !== wanted || b.type !== wanted) refuse("an integer operation");
  body.push(a);
  body.push(b);
  body.code.u8((wide ? ops[1] : ops[0]) as number);
  return body.pop(type);
}
function unary(body: FunctionBody, opcode: number, from: ValueType, a: Value, to: ValueType): Val {
  if (a.type !== from) refuse("an integer operation");
  body.push(a);
  body.code.u8(opcode);
  return body.pop(to);
}
function masked(body: FunctionBody, w: Width, v: Val): Val {
  return w >= 32 ? v : binary(body, AND, 32, v, Val.i32(mask(w)));
}
/** A shift's count, of the type that the shifted value has. */
function counted(body: FunctionBody, w: Width, count: Value): Val {
  const v = count as Val;
  if (w !== 64) return v;
  return v.isConstant ? Val.i64(v.low, 0) : unary(body, 0xad, "i32", v, "i64");
}
/** The i32 holding `a` sign-extended from 8 or 16 bits; other widths unchanged. */
function signed(body: FunctionBody, w: Width, a: Value): Val {
  return w >= 32 ? a as Val : unary(body, w === 8 ? 0xc0 : 0xc1, "i32", a, "i32");
}

/** See the module's description. */
export class WasmBuilder {
  /** How many conditional blocks enclose the code being emitted. */
  protected depth = 0;

  constructor(readonly body: FunctionBody) {}

  /** The value of parameter `index`. */
  parameter(index: number, type: ValueType): Val {
    return Val.of(type, index);
  }

  i32(value: number): Val {
    return Val.i32(value);
  }
  i64(value: number | bigint): Val {
    if (typeof value === "number") {
      return Val.i64(value | 0, Math.floor(value / 2 ** 32) | 0);
    }
    return Val.i64(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }
  k(w: Width, value: number | bigint): Val {
    if (w === 64) return this.i64(value);
    const low = typeof value === "number" ? value : Number(BigInt.asIntN(32, value));
    return Val.i32(low & mask(w));
  }
  v128(low: bigint, high: bigint): Val {
    const b = this.body.code;
    b.raw([0xfd, 12]);
    for (const half of [low, high]) for (let i = 0n; i < 64n; i += 8n) b.u8(Number((half >> i) & 0xffn));
    return this.body.pop("v128");
  }

  known(value: Value): number | undefined {
    return (value as Val).constant;
  }

  /**
   * What code that is ready makes of a value, or of two. For what is emitted over and over: values in between take time.
   * Nothing looks whether it is right.
   */
  protected made(type: ValueType, code: Uint8Array, first: Value, second?: Value): Val {
    const b = this.body;
    b.push(first);
    if (second !== undefined) b.push(second);
    b.code.raw(code);
    return b.pop(type);
  }
  op(name: OpName, ...args: Value[]): Val {
    const op = OPS.get(name);
    if (op === undefined || op.params.length !== args.length || op.lane) return refuse(name);
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] as Val;
      if (arg.type !== op.params[i]) return refuse(name);
      this.body.push(arg);
    }
    const { bytes } = op;
    if (bytes.length === 1) this.body.code.u8(bytes[0] as number);
    else this.body.code.raw(bytes);
    return this.body.pop(op.result);
  }
  lane(name: LaneName, lane: number, ...args: Value[]): Val {
    const op = OPS.get(name);
    assert(op !== undefined && op.params.length === args.length && op.lane, `lane operation ${name}`);
    args.forEach((a, i) => {
      assert(a.type === op.params[i], `operand ${i} of ${name}`);
      this.body.push(a);
    });
    this.body.code.raw(op.bytes);
    this.body.code.u8(lane);
    return this.body.pop(op.result);
  }
  shuffle(lanes: readonly number[], a: Value, b: Value): Val {
    assert(lanes.length === 16 && lanes.every((l) => l >= 0 && l < 32), "sixteen lanes below 32");
    this.body.push(a);
    this.body.push(b);
    this.body.code.raw([0xfd, 13, ...lanes]);
    return this.body.pop("v128");
  }
  select(condition: Value, then: Value, otherwise: Value): Val {
    assert(then.type === otherwise.type, "select of one type");
    this.body.push(then);
    this.body.push(otherwise);
    this.body.push(condition);
    this.body.code.raw(then.type === "v128" ? [0x1c, 1, 0x7b] : [0x1b]);
    return this.body.pop(then.type);
  }

  // Integer arithmetic at a width

  add(w: Width, a: Value, b: Value): Val {
    return masked(this.body, w, binary(this.body, ADD, w, a, b));
  }
  sub(w: Width, a: Value, b: Value): Val {
    return masked(this.body, w, binary(this.body, SUB, w, a, b));
  }
  mul(w: Width, a: Value, b: Value): Val {
    return masked(this.body, w, binary(this.body, MUL, w, a, b));
  }
  and(w: Width, a: Value, b: Value): Val {
    return binary(this.body, AND, w, a, b);
  }
  or(w: Width, a: Value, b: Value): Val {
    return binary(this.body, OR, w, a, b);
  }
  xor(w: Width, a: Value, b: Value): Val {
    return binary(this.body, XOR, w, a, b);
  }
  not(w: Width, a: Value): Val {
    return binary(this.body, XOR, w, a, this.k(w, -1));
  }
  shl(w: Width, a: Value, count: Value): Val {
    return masked(this.body, w, binary(this.body, SHL, w, a, counted(this.body, w, count)));
  }
  shrU(w: Width, a: Value, count: Value): Val {
    return binary(this.body, SHR_U, w, a, counted(this.body, w, count));
  }
  shrS(w: Width, a: Value, count: Value): Val {
    return masked(
      this.body,
      w,
      binary(this.body, SHR_S, w, signed(this.body, w, a), counted(this.body, w, count)),
    );
  }
  eqz(w: Width, a: Value): Val {
    return w === 64 ? unary(this.body, 0x50, "i64", a, "i32") : unary(this.body, 0x45, "i32", a, "i32");
  }
  eq(w: Width, a: Value, b: Value): Val {
    return compare(this.body, EQ, w, a, b);
  }
  ltU(w: Width, a: Value, b: Value): Val {
    return compare(this.body, LT_U, w, a, b);
  }
  ltS(w: Width, a: Value, b: Value): Val {
    return compare(this.body, LT_S, w, signed(this.body, w, a), signed(this.body, w, b));
  }
  sign(w: Width, a: Value): Val {
    if (w !== 64) return binary(this.body, SHR_U, 32, a, this.i32(w - 1));
    return this.wrap64(binary(this.body, SHR_U, 64, a, this.i64(63)));
  }
  /** i32.wrap_i64 */
  protected wrap64(a: Value): Val {
    return unary(this.body, 0xa7, "i64", a, "i32");
  }
  zeroExtend(from: Width, to: Width, a: Value): Val {
    if (from > to) refuse("zero extension, which widens");
    const v = a as Val;
    if (to !== 64 || from === 64) return v;
    return v.isConstant ? Val.i64(v.low, 0) : unary(this.body, 0xad, "i32", a, "i64");
  }
  signExtend(from: Width, to: Width, a: Value): Val {
    if (from > to) refuse("sign extension, which widens");
    if (from === to) return a as Val;
    const wide = signed(this.body, from, a);
    return to === 64 ? unary(this.body, 0xac, "i32", wide, "i64") : masked(this.body, to, wide);
  }
  truncate(from: Width, to: Width, a: Value): Val {
    if (from < to) refuse("truncation, which narrows");
    const v = a as Val;
    if (from === to) return v;
    if (v.isConstant) return Val.i32(v.low & mask(to));
    return masked(this.body, to, from === 64 ? this.wrap64(v) : v);
  }
  bit(a: Value, bit: number): Val {
    const shifted = bit === 0 ? a : binary(this.body, SHR_U, 32, a, this.i32(bit));
    return binary(this.body, AND, 32, shifted, this.i32(1));
  }

  // Control flow

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    const b = this.body.code;
    this.body.push(condition);
    b.pair(IF, NO_RESULT);
    this.depth++;
    then();
    if (otherwise !== undefined) {
      b.u8(ELSE);
      otherwise();
    }
    this.depth--;
    b.u8(END);
  }
  ifAll(conditions: readonly (() => Value)[], then: () => void, otherwise: () => void): void {
    const b = this.body.code;
    for (let i = 0; i < 2; i++) b.raw([0x02, 0x40]); // block: past everything; block: to `otherwise`
    this.depth += 2;
    for (const condition of conditions) {
      this.body.push(condition());
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
    this.body.push(body());
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
    return this.body.pop(variable.type);
  }
  set(variable: Variable, value: Value): void {
    assert(variable.type === value.type, "variable keeps its type");
    this.body.push(value);
    this.body.set((variable as Var).local);
  }

  // Memory of the WebAssembly instance: base (i32) plus constant offset

  loadRaw(name: LoadName, base: Value, offset = 0): Val {
    const b = this.body.code;
    offset = this.#base(base, offset);
    if (name === "v128.load") b.u8(VECTOR);
    b.access(loadOpcode(name), offset);
    return this.body.pop(loadType(name));
  }
  storeRaw(name: StoreName, base: Value, value: Value, offset = 0): void {
    const b = this.body.code;
    offset = this.#base(base, offset);
    this.body.push(value);
    if (name === "v128.store") b.u8(VECTOR);
    b.access(storeOpcode(name), offset);
  }
  /** Pushes the base; a constant base moves into the offset. */
  #base(base: Value, offset: number): number {
    const v = base as Val;
    if (!v.isConstant) {
      this.body.get(v.local);
      return offset;
    }
    this.body.code.pair(I32_CONST, 0);
    return offset + (v.low >>> 0);
  }
  // The state block

  state32(address: number): Val {
    return this.readState("i32", address);
  }
  setState32(address: number, value: Value): void {
    this.writeState("i32", address, value);
  }
  state64(address: number): Val {
    return this.readState("i64", address);
  }
  setState64(address: number, value: Value): void {
    this.writeState("i64", address, value);
  }
  protected readState(type: "i32" | "i64", address: number): Val {
    const b = this.body.code;
    b.pair(I32_CONST, 0);
    b.access(type === "i64" ? I64_LOAD : I32_LOAD, address);
    return this.body.pop(type);
  }
  protected writeState(type: "i32" | "i64", address: number, value: Value): void {
    const b = this.body.code;
    b.pair(I32_CONST, 0);
    this.body.push(value);
    b.access(type === "i64" ? I64_STORE : I32_STORE, address);
  }
  state128(address: number): Val {
    return this.loadRaw("v128.load", this.i32(address));
  }
  setState128(address: number, value: Value): void {
    this.storeRaw("v128.store", this.i32(address), value);
  }
  /** memory.copy(to, from, length), all i32. */
  copyRaw(to: Value, from: Value, length: Value): void {
    [to, from, length].forEach((v) => this.body.push(v));
    this.body.code.raw([0xfc, 10, 0, 0]);
  }
  /** memory.fill(to, byte, length). */
  fillRaw(to: Value, byte: Value, length: Value): void {
    [to, byte, length].forEach((v) => this.body.push(v));
    this.body.code.raw([0xfc, 11, 0]);
  }

  // Calls and exits

  call(index: number, args: readonly Value[], result?: ValueType): Val | undefined {
    args.forEach((a) => this.body.push(a));
    this.body.code.u8(0x10);
    this.body.code.u32(index);
    return result === undefined ? undefined : this.body.pop(result);
  }
  /** Call through a table. */
  callIndirect(type: number, args: readonly Value[], slot: Value, result: ValueType, table = 0): Val {
    args.forEach((a) => this.body.push(a));
    this.body.push(slot);
    this.body.code.u8(0x11);
    this.body.code.u32(type);
    this.body.code.u32(table);
    return this.body.pop(result);
  }
  returnCall(index: number, args: readonly Value[]): void {
    args.forEach((a) => this.body.push(a));
    this.body.code.u8(0x12);
    this.body.code.u32(index);
  }
  /** Tail call through table 0. */
  returnCallIndirect(type: number, args: readonly Value[], slot: Value): void {
    args.forEach((a) => this.body.push(a));
    this.body.push(slot);
    this.body.code.u8(0x13);
    this.body.code.u32(type);
    this.body.code.u8(0);
  }
  return(value: Value): void {
    this.body.push(value);
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
