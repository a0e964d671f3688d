// SPDX-License-Identifier: MIT
/**
 * What second looks at results of SSE have in common (./sse_look.ts, ./convert_look.ts): masks with all bits of a lane or
 * none, and what the lanes raise. A scalar comes in every lane.
 * @module
 */
import { type Val, WasmBuilder } from "../emit/builder.ts";
import type { Variable } from "../emit/emit.ts";
import { LOOK_RESULT } from "../emit/links.ts";
import { MXCSR_DAZ, MXCSR_FLAGS, MXCSR_MASKS, MXCSR_RC_SHIFT, PE } from "../fpu/sse/mxcsr.ts";
import { LOOK_REPLACED, LOOK_UNSURE } from "../fpu/sse/sse_unit.ts";
import { S } from "../state/state.ts";
import type { FunctionBody } from "../wasm/encoder.ts";

const PRECISION_KNOWN = PE | (PE << MXCSR_MASKS);
/** Between these, powers of two, the error of a product of doubles is a number, and none of its parts overflows. */
export const SAFE = { least: 0x0800_0000_0000_0000n, most: 0x7800_0000_0000_0000n } as const;
/** MXCSR.RC. */
export const ROUNDING = 3 << MXCSR_RC_SHIFT;
const FORMATS = {
  f32: {
    shape: "f32x4",
    lanes: "i32x4",
    sign: 0x8000_0000n,
    least: 0x0080_0000n,
    infinity: 0x7f80_0000n,
    huge: 0x7e00_0000n,
    quiet: 0x0040_0000n,
  },
  f64: {
    shape: "f64x2",
    lanes: "i64x2",
    sign: 0x8000_0000_0000_0000n,
    least: 0x0010_0000_0000_0000n,
    infinity: 0x7ff0_0000_0000_0000n,
    huge: 0x7fc0_0000_0000_0000n,
    quiet: 0x0008_0000_0000_0000n,
  },
} as const;

/** The lower halves of 64-bit lanes, then those of another vector. */
export const LOW_WORDS: readonly number[] = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
/** The upper half, twice. */
export const UPPER: readonly number[] = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

/** Emits one look at numbers of `type`. */
export abstract class LookEmit {
  protected readonly b: WasmBuilder;
  protected readonly mxcsr: Val;
  readonly #raised: Variable;

  constructor(body: FunctionBody, readonly type: "f32" | "f64") {
    const b = this.b = new WasmBuilder(body);
    this.mxcsr = b.loadRaw("i32.load", b.i32(S.mxcsr));
    this.#raised = b.variable(b.i32(0));
  }
  /** Emits the function's body. */
  abstract emit(): void;

  protected get format(): typeof FORMATS["f32" | "f64"] {
    return FORMATS[this.type];
  }
  protected splat(bits: bigint): Val {
    const b = this.b;
    return this.type === "f32" ? b.op("i32x4.splat", b.i32(Number(bits))) : b.op("i64x2.splat", b.i64(bits));
  }
  protected compare(name: "eq" | "ne" | "lt" | "le" | "gt" | "ge", x: Val, y: Val): Val {
    return this.b.op(`${this.format.shape}.${name}`, x, y);
  }
  protected float(name: "add" | "sub" | "mul", x: Val, y: Val): Val {
    return this.b.op(`${this.format.shape}.${name}`, x, y);
  }
  protected and(...masks: readonly Val[]): Val {
    return masks.reduce((x, y) => this.b.op("v128.and", x, y));
  }
  protected or(...masks: readonly Val[]): Val {
    return masks.reduce((x, y) => this.b.op("v128.or", x, y));
  }
  protected without(x: Val, y: Val): Val {
    return this.b.op("v128.andnot", x, y);
  }
  /** Lanes of `one` where the mask is set, else those of `other`. */
  protected choose(mask: Val, one: Val, other: Val): Val {
    return this.b.op("v128.bitselect", one, other, mask);
  }
  protected any(mask: Val): Val {
    return this.b.op("v128.any_true", mask);
  }
  protected magnitude(v: Val): Val {
    return this.b.op(`${this.format.shape}.abs`, v);
  }
  protected signs(v: Val): Val {
    return this.and(v, this.splat(this.format.sign));
  }
  protected isZero(v: Val): Val {
    return this.compare("eq", v, this.splat(0n));
  }
  protected isNan(v: Val): Val {
    return this.compare("ne", v, v);
  }
  protected isInfinite(v: Val): Val {
    return this.compare("eq", this.magnitude(v), this.splat(this.format.infinity));
  }
  protected isFinite(v: Val): Val {
    return this.compare("lt", this.magnitude(v), this.splat(this.format.infinity));
  }
  protected isDenormal(v: Val): Val {
    const small = this.compare("lt", this.magnitude(v), this.splat(this.format.least));
    return this.without(small, this.isZero(v));
  }
  protected isSignaling(v: Val, nan: Val): Val {
    const quiet = this.splat(this.format.quiet);
    const silent = this.b.op(`${this.format.lanes}.eq`, this.and(v, quiet), quiet);
    return this.without(nan, silent);
  }
  /** The operand as DAZ has it. */
  protected flushed(v: Val): Val {
    const b = this.b, flushed = b.variable(v);
    b.if(this.mxcsrHas(MXCSR_DAZ), () => b.set(flushed, this.choose(this.isDenormal(v), this.signs(v), v)));
    return b.get(flushed);
  }
  protected returnIf(condition: Val, what: number): void {
    this.b.if(condition, () => this.b.return(this.b.i32(what)));
  }
  /** Some of these bits are set. */
  protected mxcsrHas(bits: number): Val {
    return this.b.op("i32.ne", this.b.and(32, this.mxcsr, this.b.i32(bits)), this.b.i32(0));
  }
  /** An inexact result raises nothing new. */
  protected inexactIsQuiet(): Val {
    const b = this.b, known = b.i32(PRECISION_KNOWN);
    return b.eq(32, b.and(32, this.mxcsr, known), known);
  }
  /** All lanes of a mask, or none, as MXCSR.RC is `rc`. */
  protected rounds(rc: number): Val {
    const b = this.b, is = b.eq(32, b.and(32, this.mxcsr, b.i32(ROUNDING)), b.i32(rc << MXCSR_RC_SHIFT));
    return b.op("i32x4.splat", b.sub(32, b.i32(0), is));
  }
  /** What `sum` lacks of x + y: Knuth's TwoSum. */
  protected sumError(shape: "f32x4" | "f64x2", x: Val, y: Val, sum: Val): Val {
    const op = (name: "add" | "sub", u: Val, v: Val) => this.b.op(`${shape}.${name}`, u, v);
    const taken = op("sub", sum, x);
    return op("add", op("sub", x, op("sub", sum, taken)), op("sub", y, taken));
  }
  /** Raises `flags` when some lane of the mask is set. */
  protected raise(mask: Val, flags: number): void {
    const b = this.b;
    const found = b.select(this.any(mask), b.i32(flags), b.i32(0));
    b.set(this.#raised, b.or(32, b.get(this.#raised), found));
  }
  /** Into MXCSR with what was raised, if all of it is masked. */
  protected settle(): void {
    const b = this.b, raised = b.get(this.#raised);
    const masks = b.op("i32.shr_u", this.mxcsr, b.i32(MXCSR_MASKS));
    const flags = b.and(32, raised, b.i32(MXCSR_FLAGS));
    this.returnIf(b.and(32, flags, b.op("i32.xor", masks, b.i32(-1))), LOOK_UNSURE);
    b.storeRaw("i32.store", b.i32(S.mxcsr), b.or(32, this.mxcsr, flags));
  }
  /** This is the result. */
  protected replace(result: Val): void {
    this.b.storeRaw("v128.store", this.b.i32(LOOK_RESULT), result);
    this.b.return(this.b.i32(LOOK_REPLACED));
  }
}
