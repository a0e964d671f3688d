// SPDX-License-Identifier: MIT
/**
 * What straight code knows of floating-point numbers: the bounds of those it has met (./float_bounds.ts). They hold as long
 * as `calm` says so: inexact results raise nothing new, rounding is to nearest, and every number that was to be in the
 * window when it was met is there. The instructions of such code look at nothing but that; while it does not hold, each
 * looks at its operands and its result by itself.
 * @module
 */
import { MXCSR_MASKS, MXCSR_RC_SHIFT, PE } from "../../fpu/sse/mxcsr.ts";
import { S, VECTOR_CONSTANTS } from "../../state/state.ts";
import { type Val, WasmBuilder } from "../builder.ts";
import type { Value, Variable } from "../emit.ts";
import { type Bounds, either, type FloatType, type Wanted, WINDOW, windowBounds } from "./float_bounds.ts";

const PRECISION_KNOWN = PE | (PE << MXCSR_MASKS), ROUNDING = 3 << MXCSR_RC_SHIFT;
const INEXACT_COUNTS = 2;
const SHAPES = { f32: "f32x4", f64: "f64x2" } as const;
const LANES = { f32: "i32x4", f64: "i64x2" } as const;

/** What is known at some place. */
export interface FloatKnowledge {
  readonly quiet: Val | undefined;
  readonly wild: Variable | undefined;
  readonly bounds: ReadonlyMap<Value, Readonly<Record<FloatType, Bounds | undefined>>>;
}

/** See the module's description. */
export abstract class FloatEmit extends WasmBuilder {
  #quiet: Val | undefined;
  /** Not 0: something is not as `#bounds` has it, but for INEXACT_COUNTS. */
  #wild: Variable | undefined;
  #bounds = new Map<Value, Readonly<Record<FloatType, Bounds | undefined>>>();

  /** Registers with constant addresses are all there are, and code runs from its beginning to here. */
  protected abstract get remembersVectors(): boolean;

  /** MXCSR may have changed, or code begins that is reached from elsewhere. */
  protected forgetFloats(): void {
    this.#quiet = undefined;
    this.#wild = undefined;
    if (this.#bounds.size > 0) this.#bounds.clear();
  }
  protected get knowsNoFloats(): boolean {
    return this.#quiet === undefined && this.#wild === undefined && this.#bounds.size === 0;
  }
  /** For code that is reached from here alone. */
  protected get floatKnowledge(): FloatKnowledge {
    return { quiet: this.#quiet, wild: this.#wild, bounds: new Map(this.#bounds) };
  }
  protected recallFloats({ quiet, wild, bounds }: FloatKnowledge): void {
    this.#quiet = quiet;
    this.#wild = wild;
    this.#bounds = new Map(bounds);
  }

  roundsQuietly(): Value {
    if (this.#quiet !== undefined) return this.#quiet;
    const mxcsr = this.loadRaw("i32.load", this.i32(S.mxcsr));
    const bits = this.and(32, mxcsr, this.i32(PRECISION_KNOWN | ROUNDING));
    const quiet = this.eq(32, bits, this.i32(PRECISION_KNOWN));
    if (this.depth === 0 && this.remembersVectors) this.#quiet = quiet;
    return quiet;
  }
  get knowsFloats(): boolean {
    return this.remembersVectors && this.depth === 0;
  }
  calm(): Value {
    return this.eqz(32, this.get(this.#wildness()));
  }
  isWithin(): Value {
    return this.eqz(32, this.and(32, this.get(this.#wildness()), this.i32(~INEXACT_COUNTS)));
  }
  /** 1 when rounding is not to nearest or precision exceptions are not masked, INEXACT_COUNTS when just PE is clear. */
  #wildness(): Variable {
    if (this.#wild !== undefined) return this.#wild;
    const quiet = this.roundsQuietly();
    const mxcsr = this.loadRaw("i32.load", this.i32(S.mxcsr));
    const bits = this.and(32, mxcsr, this.i32(PRECISION_KNOWN | ROUNDING));
    const clear = this.eq(32, bits, this.i32(PRECISION_KNOWN & ~PE));
    return this.#wild = this.variable(this.shl(32, this.eqz(32, quiet), clear));
  }
  bounds(type: FloatType, value: Value): Bounds | undefined {
    return this.#bounds.get(value)?.[type];
  }
  noteBounds(type: FloatType, value: Value, bounds: Bounds): void {
    if (!this.knowsFloats) return;
    this.#bounds.set(value, { f32: undefined, f64: undefined, ...this.#bounds.get(value), [type]: bounds });
  }
  /** `to` has numbers of `from` only. */
  protected sameBounds(from: Value, to: Value): void {
    const bounds = this.#bounds.get(from);
    if (bounds !== undefined && this.knowsFloats) this.#bounds.set(to, bounds);
  }
  override shuffle(lanes: readonly number[], a: Value, b: Value): Val {
    const result = super.shuffle(lanes, a, b);
    for (const type of ["f32", "f64"] as const) {
      const used = [a, b].filter((_, i) => lanes.some((lane) => lane >> 4 === i));
      const [first, second = first] = used.map((v) => this.bounds(type, v));
      if (first === undefined || second === undefined || !keepsLanes(lanes, type === "f32" ? 4 : 8)) continue;
      this.noteBounds(type, result, either(first, second));
    }
    return result;
  }

  meet(type: FloatType, values: readonly Value[], wanted: Wanted = "any"): void {
    const unknown = values.filter((v, i) =>
      values.indexOf(v) === i && (wanted !== "any" || this.bounds(type, v) === undefined)
    );
    if (unknown.length === 0) return;
    const wild = this.#wildness();
    const isVector = (unknown[0] as Val).type === "v128";
    const found = isVector ? this.#lanes(type, unknown, wanted) : this.#scalars(type, unknown, wanted);
    const note = (outside: Val) => this.set(wild, this.or(32, this.get(wild), outside));
    // Zeros among lanes are common, and no processor predicts where.
    if (isVector && wanted === "any") note(found.otherThanZeros());
    else {
      this.body.push(found.outside());
      this.body.hint(0);
      this.body.code.raw([0x04, 0x40]);
      this.depth++;
      note(wanted === "any" ? found.otherThanZeros() : this.i32(1));
      this.depth--;
      this.body.code.u8(0x0b);
    }
    for (const v of unknown) this.noteBounds(type, v, windowBounds(type));
  }
  /** Conditions that some lane is not in the window, and that it is no zero either. */
  #lanes(type: FloatType, values: readonly Value[], wanted: Wanted): Outside {
    const first = this.state128(vectorConstant(type, "first"));
    const bits = this.state128(vectorConstant(type, wanted === "positive" ? "signed" : "unsigned"));
    const differences = values.map((v) => this.op(`${LANES[type]}.sub`, v, first));
    const some = (masks: readonly Val[]) => {
      const all = masks.reduce((a, b) => this.op("v128.or", a, b));
      return this.op("v128.any_true", this.op("v128.and", all, bits));
    };
    const zero = () => this.v128(0n, 0n);
    return {
      outside: () => some(differences),
      otherThanZeros: () =>
        some(differences.map((difference, i) => {
          return this.op(
            "v128.andnot",
            difference,
            this.op(`${SHAPES[type]}.eq`, values[i] as Value, zero()),
          );
        })),
    };
  }
  #scalars(type: FloatType, values: readonly Value[], wanted: Wanted): Outside {
    const { first, bits } = WINDOW[type];
    const differences = values.map((v) => {
      const high = type === "f32"
        ? this.op("i32.reinterpret_f32", v)
        : this.op("i32.wrap_i64", this.op("i64.shr_u", this.op("i64.reinterpret_f64", v), this.i64(32)));
      return this.sub(32, high, this.i32(first << (type === "f32" ? 23 : 20)));
    });
    const mask = this.i32(wanted === "positive" ? bits | 0x8000_0000 : bits);
    const some = (masks: readonly Val[]) =>
      this.and(32, masks.reduce((a, b) => this.or(32, a, b)), mask) as Val;
    return {
      outside: () => some(differences),
      otherThanZeros: () =>
        some(differences.map((difference, i) => {
          const isZero = this.op(`${type}.eq`, values[i] as Value, this.#zero(type));
          return this.select(isZero, this.i32(0), difference);
        })),
    };
  }
  #zero(type: FloatType): Val {
    return type === "f32"
      ? this.op("f32.reinterpret_i32", this.i32(0))
      : this.op("f64.reinterpret_i64", this.i64(0));
  }
}

/** What is looked for in some numbers: conditions, emitted where they are asked for. */
interface Outside {
  outside(): Val;
  otherThanZeros(): Val;
}

/** Every lane of `bytes` bytes comes from one. */
function keepsLanes(lanes: readonly number[], bytes: 4 | 8): boolean {
  return lanes.every((lane, i) =>
    lane % bytes === i % bytes && (i % bytes === 0 || lane === (lanes[i - 1] as number) + 1)
  );
}

const VECTORS = ["first", "unsigned", "signed"] as const;
/** Where in the constant pool a vector of the window is: a load is cheaper than making it. */
export function vectorConstant(type: FloatType, what: (typeof VECTORS)[number]): number {
  return VECTOR_CONSTANTS + 16 * (VECTORS.indexOf(what) + (type === "f32" ? 0 : VECTORS.length));
}
/** Fills that part of the constant pool. */
export function fillWindowConstants(view: DataView): void {
  for (const type of ["f32", "f64"] as const) {
    const { first, bits } = WINDOW[type], single = type === "f32";
    const words = { first: first << (single ? 23 : 20), unsigned: bits, signed: bits | 0x8000_0000 };
    for (const what of VECTORS) {
      for (let at = 0; at < 16; at += 4) {
        const value = single || at % 8 === 4 ? words[what] : 0;
        view.setInt32(vectorConstant(type, what) + at, value, true);
      }
    }
  }
}
