// SPDX-License-Identifier: MIT
/**
 * The second look at FMA, of hosts that fuse: NaNs, infinities, overflow, exact results, inexact ones while PE is clear, DAZ.
 * The parameters are the operands in the order of their use, signs as they were. Left to the SSE unit are directed rounding,
 * exceptions that are not masked, tiny results but denormal ones without FTZ, and doubles near the ends of the range. Rules:
 * SDM Vol. 1 §14.5.2.
 * @module
 */
import type { Val } from "../emit/builder.ts";
import { DE, IE, MXCSR_FTZ, MXCSR_MASKS, OE, PE, UE } from "../fpu/sse/mxcsr.ts";
import type { FusedSigns } from "../fpu/sse/fused.ts";
import { FUSED_SIGNS, LOOK_UNSURE, type SseOperation } from "../fpu/sse/sse_unit.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import { LookEmit, LOW_WORDS, ROUNDING, SAFE, UPPER } from "./look_emit.ts";

/** What is looked at so. */
export const FUSED_OPERATIONS = ["fmadd", "fmsub", "fnmadd", "fnmsub", "fmaddsub", "fmsubadd"] as const;
/** See {@linkcode FUSED_OPERATIONS}. */
export type FusedOperation = typeof FUSED_OPERATIONS[number] & SseOperation;

/** Emits one. */
export class FusedLook extends LookEmit {
  readonly #operands: readonly [Val, Val, Val];

  constructor(body: FunctionBody, readonly operation: FusedOperation, type: "f32" | "f64") {
    super(body, type);
    this.#operands = [0, 1, 2].map((i) => this.b.parameter(i, "v128")) as [Val, Val, Val];
  }

  emit(): void {
    const b = this.b;
    this.returnIf(this.mxcsrHas(ROUNDING), LOOK_UNSURE);
    const [x, y, z] = this.#operands.map((v) => this.flushed(v)) as [Val, Val, Val];
    const [even, odd] = FUSED_SIGNS[this.operation] as readonly [FusedSigns, FusedSigns];
    const p = even.product ? this.#negative(x) : x;
    const term = even.term === odd.term
      ? even.term ? this.#negative(z) : z
      : b.op("v128.xor", z, this.and(this.splat(this.format.sign), this.#lanes(even.term)));
    const r = b.op(`${this.format.shape}.relaxed_madd`, p, y, term);
    const nans = [x, y, z].map((v) => this.isNan(v)) as [Val, Val, Val];
    const nan = this.or(...nans), invalid = this.without(this.isNan(r), nan), none = this.or(nan, invalid);
    const signaling = [x, y, z].map((v, i) => this.isSignaling(v, nans[i] as Val));
    this.raise(this.or(invalid, ...signaling), IE);
    this.raise(this.without(this.or(...[x, y, z].map((v) => this.isDenormal(v))), none), DE);
    const finite = this.and(...[x, y, z].map((v) => this.isFinite(v)));
    this.raise(this.and(finite, this.isInfinite(r)), OE | PE);
    const looked = this.and(finite, this.isFinite(r));
    const size = this.magnitude(r), least = this.splat(this.format.least);
    const small = this.and(looked, this.compare("le", size, least)), isSmall = this.any(small);
    b.if(b.or(32, isSmall, b.eqz(32, this.inexactIsQuiet())), () => {
      const inexact = this.and(looked, this.#differs([p, y, term], r, looked));
      this.raise(inexact, PE);
      const isLeast = this.compare("eq", size, least);
      const tiny = this.without(small, this.without(this.or(this.isZero(r), isLeast), inexact));
      b.if(this.any(tiny), () => {
        this.returnIf(this.mxcsrHas(MXCSR_FTZ), LOOK_UNSURE);
        this.returnIf(b.eqz(32, this.mxcsrHas(UE << MXCSR_MASKS)), LOOK_UNSURE);
        this.returnIf(this.any(this.and(tiny, isLeast)), LOOK_UNSURE); // once rounded, or before
        this.raise(this.and(tiny, inexact), UE | PE);
      });
    });
    this.settle();
    const { sign, infinity, quiet: silent } = this.format;
    const first = this.choose(nans[0], x, this.choose(nans[1], y, z));
    const other = this.choose(invalid, this.splat(sign | infinity | silent), r);
    this.replace(this.choose(nan, this.or(first, this.splat(silent)), other));
    b.unreachable();
  }
  #negative(v: Val): Val {
    return this.b.op(`${this.format.shape}.neg`, v);
  }
  /** The even lanes, or the odd ones. */
  #lanes(even: boolean): Val {
    const b = this.b;
    if (this.type === "f64") return even ? b.v128(-1n, 0n) : b.v128(0n, -1n);
    return b.op("i64x2.splat", b.i64(even ? 0xffff_ffffn : -1n << 32n));
  }
  /** Lanes where p × q + t is not r. */
  #differs([p, q, t]: readonly [Val, Val, Val], r: Val, looked: Val): Val {
    const b = this.b;
    if (this.type === "f64") return this.#doublesDiffer([p, q, t], r, looked);
    // The product is one double, and so is the sum if it is a float.
    const half = (upper: boolean) => {
      const [u, v, w, wanted] = [p, q, t, r].map((n) =>
        b.op("f64x2.promote_low_f32x4", upper ? b.shuffle(UPPER, n, n) : n)
      ) as [Val, Val, Val, Val];
      const [sum, error] = this.#twoSum(b.op("f64x2.mul", u, v), w);
      return this.or(b.op("f64x2.ne", error, b.v128(0n, 0n)), b.op("f64x2.ne", sum, wanted));
    };
    return b.shuffle(LOW_WORDS, half(false), half(true));
  }
  /**
   * S. Boldo, J.-M. Muller, "Exact and approximated error of the FMA" (2011): what is computed of the error is exact but for
   * the last sum, which is zero when the error is.
   */
  #doublesDiffer([p, q, t]: readonly [Val, Val, Val], r: Val, looked: Val): Val {
    const b = this.b, product = b.op("f64x2.mul", p, q), size = this.magnitude(product);
    const inside = this.and(
      this.compare("gt", size, this.splat(SAFE.least)),
      this.compare("lt", size, this.splat(SAFE.most)),
      this.compare("lt", this.magnitude(t), this.splat(SAFE.most)),
    );
    const safe = this.or(inside, this.isZero(p), this.isZero(q));
    this.returnIf(this.any(this.without(looked, safe)), LOOK_UNSURE);
    const below = b.op("f64x2.relaxed_madd", p, q, this.#negative(product));
    const [high, low] = this.#twoSum(t, below), [sum, rest] = this.#twoSum(product, high);
    const error = b.op("f64x2.add", b.op("f64x2.sub", sum, r), rest);
    return this.compare("ne", b.op("f64x2.add", error, low), this.splat(0n));
  }
  /** A sum of doubles, and what it lacks. */
  #twoSum(x: Val, y: Val): [Val, Val] {
    const sum = this.b.op("f64x2.add", x, y);
    return [sum, this.sumError("f64x2", x, y, sum)];
  }
}
