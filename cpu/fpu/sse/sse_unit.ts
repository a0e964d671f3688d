// SPDX-License-Identifier: MIT
/**
 * SSE floating-point instructions done with {@linkcode soft_float}: what emitted code leaves because flags, rounding
 * or operands are not ordinary. Rules: SDM Vol. 2; several lanes' exceptions: Vol. 1 §11.5.3, §11.5.4 (flags of all
 * lanes, those found before there are results first).
 * @module
 */
import {
  add,
  compare,
  convert,
  divide,
  DOUBLE,
  EQUAL,
  extremum,
  type Format,
  fromInteger,
  GREATER,
  LESS,
  multiply,
  roundToIntegral,
  SINGLE,
  squareRoot,
  toInteger,
  UNORDERED,
} from "./soft_float.ts";
import { fromHalf, fusedMultiplyAdd, type FusedSigns, toHalf } from "./fused.ts";
import { RC_ZERO, SseEnv } from "./mxcsr.ts";

/** What an instruction does, apart from the type and number of its lanes. */
export const SSE_OPERATIONS = [
  "add",
  "sub",
  "mul",
  "div",
  "min",
  "max",
  "sqrt",
  "cmp",
  "comi",
  "ucomi",
  "round",
  "addsub",
  "hadd",
  "hsub",
  "dp",
  /** To the other format. */
  "convert",
  /** To and from integers of 32 and 64 bits; "truncate" whatever the rounding mode. */
  "to_i32",
  "truncate_i32",
  "to_i64",
  "truncate_i64",
  "from_i32",
  "from_i64",
  /** Products with a third operand; "n": with the product's other sign. */
  "fmadd",
  "fmsub",
  "fnmadd",
  "fnmsub",
  "fmaddsub",
  "fmsubadd",
  /** To and from binary16. */
  "to_f16",
  "from_f16",
] as const;
/** See {@linkcode SSE_OPERATIONS}. */
export type SseOperation = typeof SSE_OPERATIONS[number];
/** Which lanes: the lowest, all, or the two of an MM register. */
export type SseLanes = "scalar" | "packed" | "mmx";
const LANES: readonly SseLanes[] = ["scalar", "packed", "mmx"];

/** Bits of an operation's code: its place in {@linkcode SSE_OPERATIONS}. */
export const SSE_OPERATION: number = 0x3f;
/** f64; the second operand is an argument, and not ModRM.rm's register. */
export const SSE_DOUBLE_BIT = 6, SSE_DOUBLE: number = 1 << SSE_DOUBLE_BIT, SSE_VALUE: number = 1 << 9;
/** Of a VEX-encoded instruction: the result has an upper half; there are two sources; it has 256 bits. */
export const SSE_VEX: number = 1 << 10, SSE_VVVV: number = 1 << 11, SSE_256: number = 1 << 12;
/** From here on in a code: in which order the operands of a fused operation are taken. */
export const FUSED_ORDER_SHIFT: number = 13;
/** Orders: numbers of the operands (0 the destination, 1 VEX.vvvv, 2 ModRM.rm) that are multiplied, and of the third. */
export const FUSED_ORDERS = [[0, 2, 1], [1, 0, 2], [1, 2, 0]] as const;
/** What of a fused operation is taken with the other sign, in even lanes and in odd ones. */
export const FUSED_SIGNS: Readonly<Partial<Record<SseOperation, readonly [FusedSigns, FusedSigns]>>> =
  (() => {
    const signs = (product: boolean, ...terms: readonly [boolean, boolean]) =>
      terms.map((term) => ({ product, term })) as [FusedSigns, FusedSigns];
    return {
      fmadd: signs(false, false, false),
      fmsub: signs(false, true, true),
      fnmadd: signs(true, false, false),
      fnmsub: signs(true, true, true),
      fmaddsub: signs(false, true, false),
      fmsubadd: signs(false, false, true),
    };
  })();
/** Bits of its lanes. */
export const SSE_PACKED: number = 1 << 7;
/** From here on they are. */
export const LANES_SHIFT = 7;

/** What a second look says of a result: it is to be done elsewhere, or right, or another one is at LOOK_RESULT. */
export const LOOK_UNSURE = 0, LOOK_RIGHT = 1, LOOK_REPLACED = 2;
/** Bits of an operation's code that say which look it has, but for scalar or packed. */
export const SSE_LOOK: number = SSE_OPERATION | SSE_DOUBLE;
/** Number of an operation's second look: that of packed operands stands behind that of scalars. */
export function sseLookNumber(code: number): number {
  return ((code & SSE_LOOK) << 1) | ((code >> LANES_SHIFT) & 1);
}
/** An operation as emitted code names it. */
export function sseCode(operation: SseOperation, type: "f32" | "f64", lanes: SseLanes): number {
  return SSE_OPERATIONS.indexOf(operation) | (type === "f64" ? SSE_DOUBLE : 0) |
    (LANES.indexOf(lanes) << LANES_SHIFT);
}
/** The opposite of {@linkcode sseCode}. */
function decode(code: number): { operation: SseOperation; double: boolean; lanes: SseLanes } {
  return {
    operation: SSE_OPERATIONS[code & SSE_OPERATION] as SseOperation,
    double: (code & SSE_DOUBLE) !== 0,
    lanes: LANES[(code >> LANES_SHIFT) & 3] as SseLanes,
  };
}
/** A 256-bit instruction's result has 128 bits: half of each half. */
export function narrows(code: number): boolean {
  const { operation, double } = decode(code);
  return double && (operation === "convert" || operation === "to_i32" || operation === "truncate_i32");
}
/** Where the result goes: the register of ModRM.reg, XMM or general; or it is a number for whoever called. */
export function resultOf(code: number): "xmm" | "gpr" | "number" {
  const { operation, lanes } = decode(code);
  if (operation === "comi" || operation === "ucomi" || operation === "to_f16") return "number";
  if (lanes === "packed" || !/^(to|truncate)_/.test(operation)) return "xmm";
  return lanes === "mmx" ? "number" : "gpr";
}

const PREDICATES: readonly ((order: number) => boolean)[] = [
  (order) => order === EQUAL,
  (order) => order === LESS,
  (order) => order === LESS || order === EQUAL,
  (order) => order === UNORDERED,
];
/** Predicates, without bit 4, that hold when a NaN is compared: SDM Vol. 2, CMPPD, table 3-1. */
const HOLD_UNORDERED = 0x8778;
/** All ones or zero, by one of the 32 predicates. Half of them raise invalid operation for quiet NaNs, too. */
function compared(f: Format, env: SseEnv, [a, b]: readonly [bigint, bigint], predicate: number): bigint {
  const low = predicate & 3, signals = (low === 1 || low === 2) !== ((predicate & 16) !== 0);
  const order = compare(f, env, a, b, signals);
  const holds = order === UNORDERED
    ? (HOLD_UNORDERED >> (predicate & 15) & 1) !== 0
    : (PREDICATES[low] as (order: number) => boolean)(order) !== ((predicate & 4) !== 0);
  return holds ? f.sign | (f.sign - 1n) : 0n;
}
/** EFLAGS after a comparison, by its result. */
const COMPARED: Readonly<Record<number, number>> = {
  [LESS]: 1,
  [EQUAL]: 0x40,
  [GREATER]: 0,
  [UNORDERED]: 0x45,
};

/** Where an instruction's operands are, 128 bits of each. */
export interface SseOperands {
  readonly view: DataView;
  /** The first operand, which gives what the result does not replace. */
  readonly first: number;
  readonly second: number;
  readonly imm: number;
  /** Of a fused operation: the destination, which gives what the result does not replace. */
  readonly third?: number;
}

/** See the module's description. */
export class SseUnit {
  readonly #env = new SseEnv();
  /** The result: the whole XMM register, or a number in the low half; the upper half of a YMM register behind it. */
  readonly result: DataView = new DataView(new ArrayBuffer(32));
  readonly #halves = [0, 16].map((at) => new DataView(this.result.buffer, at, 16));
  /** Exceptions of the last instruction. */
  get raised(): number {
    return this.#env.settled;
  }

  /**
   * Executes an operation on its operands, or on each half of them; false when an exception is not masked: there is no
   * result then.
   */
  execute(code: number, mxcsr: number, ...operands: readonly SseOperands[]): boolean {
    this.#env.begin(mxcsr);
    const { operation, double } = decode(code);
    const outs = this.#halves;
    if (operation === "dp") {
      const f = double ? DOUBLE : SINGLE;
      return this.#dotProduct(f, operands.map((half, i) => [half, outs[i] as DataView]));
    }
    operands.forEach((half, i) => this.#execute(code, half, outs[i] as DataView));
    return this.#env.endStep();
  }
  #execute(code: number, { view, first, second, imm, third }: SseOperands, out: DataView): void {
    const { operation, double, lanes } = decode(code);
    const env = this.#env, f = double ? DOUBLE : SINGLE, bytes = f.bits / 8;
    const signs = FUSED_SIGNS[operation], old = signs === undefined || third === undefined ? first : third;
    out.setBigUint64(0, view.getBigUint64(old, true), true);
    out.setBigUint64(8, view.getBigUint64(old + 8, true), true);
    const count = lanes === "scalar" ? 1 : lanes === "mmx" ? 2 : 16 / bytes;
    const a = (i: number) => get(f, view, first + i * bytes);
    const b = (i: number) => get(f, view, second + i * bytes);
    const each = (g: (i: number) => bigint) => {
      for (let i = 0; i < count; i++) set(f, out, i * bytes, g(i));
    };
    if (signs !== undefined) {
      const order = FUSED_ORDERS[(code >> FUSED_ORDER_SHIFT) & 3] as readonly number[];
      return each((i) => {
        const all = [old, first, second].map((at) => get(f, view, at + i * bytes));
        const [x, y, z] = order.map((n) => all[n]) as [bigint, bigint, bigint];
        return fusedMultiplyAdd(f, env, [x, y, z], signs[i & 1] as FusedSigns);
      });
    }
    switch (operation) {
      case "to_f16":
        if ((imm & 4) === 0) env.rounding = imm & 3;
        out.setBigUint64(0, 0n, true);
        for (let i = 0; i < 4; i++) out.setUint16(2 * i, Number(toHalf(env, b(i))), true);
        break;
      case "from_f16":
        each((i) => fromHalf(env, BigInt(view.getUint16(second + 2 * i, true))));
        break;
      case "add":
      case "sub":
        each((i) => add(f, env, a(i), b(i), operation === "sub"));
        break;
      case "addsub":
        each((i) => add(f, env, a(i), b(i), (i & 1) === 0));
        break;
      case "mul":
        each((i) => multiply(f, env, a(i), b(i)));
        break;
      case "div":
        each((i) => divide(f, env, a(i), b(i)));
        break;
      case "min":
      case "max":
        each((i) => extremum(f, env, a(i), b(i), operation === "min" ? LESS : GREATER));
        break;
      case "sqrt":
        each((i) => squareRoot(f, env, b(i)));
        break;
      case "cmp":
        each((i) => compared(f, env, [a(i), b(i)], imm & ((code & SSE_VEX) !== 0 ? 31 : 7)));
        break;
      case "comi":
      case "ucomi":
        out.setBigUint64(
          0,
          BigInt(COMPARED[compare(f, env, a(0), b(0), operation === "comi")] as number),
          true,
        );
        break;
      case "round":
        if ((imm & 4) === 0) env.rounding = imm & 3;
        each((i) => roundToIntegral(f, env, b(i), (imm & 8) !== 0));
        break;
      case "hadd":
      case "hsub":
        each((i) => {
          const half = count / 2, from = i < half ? a : b, at = 2 * (i % half);
          return add(f, env, from(at), from(at + 1), operation === "hsub");
        });
        break;
      case "convert":
        this.#convert(f, lanes, b, out);
        break;
      case "from_i32":
      case "from_i64":
        each((i) => {
          const n = operation === "from_i64"
            ? view.getBigInt64(second, true)
            : BigInt(view.getInt32(second + 4 * i, true));
          return fromInteger(f, env, n);
        });
        break;
      case "to_i32":
      case "to_i64":
      case "truncate_i32":
      case "truncate_i64": {
        if (operation.startsWith("truncate")) env.rounding = RC_ZERO;
        const bits = operation.endsWith("64") ? 64 : 32;
        out.setBigUint64(0, 0n, true);
        if (lanes === "packed") out.setBigUint64(8, 0n, true);
        for (let i = 0; i < count; i++) {
          const n = toInteger(f, env, b(i), bits);
          if (bits === 64) out.setBigUint64(0, n, true);
          else out.setUint32(4 * i, Number(n), true);
        }
      }
    }
  }

  #convert(f: Format, lanes: SseLanes, b: (i: number) => bigint, out: DataView): void {
    const to = f === DOUBLE ? SINGLE : DOUBLE;
    if (lanes === "scalar") return set(to, out, 0, convert(f, to, this.#env, b(0)));
    const results = [0, 1].map((i) => convert(f, to, this.#env, b(i)));
    out.setBigUint64(8, 0n, true);
    results.forEach((value, i) => set(to, out, i * to.bits / 8, value));
  }

  /** imm8 7:4 says which products count, 3:0 which lanes get the sum. Each step's exceptions come before the next. */
  #dotProduct(f: Format, halves: readonly (readonly [SseOperands, DataView])[]): boolean {
    const env = this.#env, bytes = f.bits / 8, count = 16 / bytes;
    const lanes = Array.from({ length: count }, (_, i) => i);
    let sums = halves.map(([{ view, first, second, imm }]) =>
      lanes.map((i) => {
        if ((imm >> (4 + i) & 1) === 0) return 0n;
        return multiply(f, env, get(f, view, first + i * bytes), get(f, view, second + i * bytes));
      })
    );
    for (let n = count; n > 1; n /= 2) {
      if (!env.endStep()) return false;
      sums = sums.map((terms) =>
        lanes.slice(0, n / 2).map((i) => {
          return add(f, env, terms[2 * i] as bigint, terms[2 * i + 1] as bigint, false);
        })
      );
    }
    halves.forEach(([{ imm }, out], h) => {
      const sum = (sums[h] as readonly bigint[])[0] as bigint;
      for (const i of lanes) set(f, out, i * bytes, (imm >> i & 1) !== 0 ? sum : 0n);
    });
    return env.endStep();
  }
}

function get(f: Format, view: DataView, at: number): bigint {
  return f === DOUBLE ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
}
function set(f: Format, view: DataView, at: number, value: bigint): void {
  if (f === DOUBLE) view.setBigUint64(at, value, true);
  else view.setUint32(at, Number(value), true);
}
