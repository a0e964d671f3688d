// SPDX-License-Identifier: MIT
/**
 * The second look at a result of SSE arithmetic, for the core module: emitted code only lets through what is normal and may
 * be inexact without anybody noticing (cpu/isa/simd/ordinary.ts). Here infinities, NaNs, denormal operands and overflow are
 * dealt with, exact results are told from inexact ones, those that RC rounds another way are moved, and MXCSR gets what all
 * lanes raised. What is left to the SSE unit: directed rounding where more than that is special, what is or may be the least
 * normal number when it counts as tiny, comparisons that DAZ changes, exceptions that are not masked. Rules: SDM Vol. 1
 * table 4-7 (NaNs), §4.8.4 (rounding), §4.9.2 (which exception keeps others away), §11.5.2.
 *
 * A scalar comes in every lane.
 * @module
 */
import type { Val, WasmBuilder } from "../emit/builder.ts";
import { vectorConstant } from "../emit/vector/float_emit.ts";
import type { Variable } from "../emit/emit.ts";
import { linkType, LOOK_PARAMETERS, LOOK_RESULT, OTHER_TABLE } from "../emit/links.ts";
import {
  DE,
  IE,
  MXCSR_DAZ,
  MXCSR_FTZ,
  MXCSR_MASKS,
  OE,
  PE,
  RC_DOWN,
  RC_UP,
  UE,
  ZE,
} from "../fpu/sse/mxcsr.ts";
import {
  LOOK_REPLACED,
  LOOK_RIGHT,
  LOOK_UNSURE,
  SSE_DOUBLE,
  SSE_DOUBLE_BIT,
  SSE_OPERATION,
  SSE_PACKED,
  sseCode,
  sseLookNumber,
  type SseOperation,
} from "../fpu/sse/sse_unit.ts";
import { HOST_FUSES } from "../emit/vector/host_fuses.ts";
import { H_SSE_LOOK } from "../state/record.ts";
import { FunctionBody, type ModuleBuilder } from "../wasm/encoder.ts";
import { ConversionLook, CONVERSIONS } from "./convert_look.ts";
import { FUSED_OPERATIONS, FusedLook } from "./fused_look.ts";
import { LookEmit, LOW_WORDS, ROUNDING, SAFE, UPPER } from "./look_emit.ts";

type Arithmetic = "add" | "sub" | "addsub" | "mul" | "div" | "sqrt";
/** "cmp": only signaling NaNs are invalid; "comi": all are, as for "min" and "max". */
type Operation = Arithmetic | "min" | "max" | "cmp" | "comi";
const ARITHMETIC: readonly Operation[] = ["add", "sub", "addsub", "mul", "div", "sqrt"];
const TWO_TO_300 = 0x52b0_0000_0000_0000n; // as a double

/** Emits one look. */
class Look extends LookEmit {
  #first: Val;
  #second: Val;
  #result: Val;
  /** What is said of a result that is right: DAZ may have led to another one. */
  readonly #found: Variable;

  constructor(body: FunctionBody, readonly operation: Operation, type: "f32" | "f64") {
    super(body, type);
    this.#first = this.b.parameter(operation === "sqrt" ? 1 : 0, "v128");
    this.#second = this.b.parameter(1, "v128");
    this.#result = this.b.parameter(2, "v128");
    this.#found = this.b.variable(this.b.i32(LOOK_RIGHT));
  }

  get #isSum(): boolean {
    return this.operation === "add" || this.operation === "sub" || this.operation === "addsub";
  }

  /** DAZ, when it changes operands: the operation is done again. */
  #flushOperands(): void {
    const b = this.b, operands = [this.#first, this.#second] as const;
    const [x, y, r] = [...operands, this.#result].map((v) => b.variable(v)) as [Variable, Variable, Variable];
    const denormal = () => this.any(this.or(...operands.map((v) => this.isDenormal(v))));
    b.if(this.mxcsrHas(MXCSR_DAZ), () =>
      b.if(denormal(), () => {
        b.set(x, this.flushed(operands[0]));
        b.set(y, this.flushed(operands[1]));
        const [u, v] = [b.get(x), b.get(y)];
        if (this.operation === "cmp" || this.operation === "comi") {
          const moved = (["lt", "eq"] as const).map((name) =>
            b.op("v128.xor", this.compare(name, ...operands), this.compare(name, u, v))
          );
          return this.returnIf(this.any(this.or(...moved)), LOOK_UNSURE);
        }
        b.set(r, this.#computed(u, v));
        b.storeRaw("v128.store", b.i32(LOOK_RESULT), b.get(r));
        b.set(this.#found, b.i32(LOOK_REPLACED));
      }));
    [this.#first, this.#second, this.#result] = [b.get(x), b.get(y), b.get(r)];
  }
  #computed(x: Val, y: Val): Val {
    const b = this.b, { shape } = this.format;
    switch (this.operation) {
      case "min":
      case "max":
        return b.op(`${shape}.p${this.operation}`, y, x); // the second one, if they are alike
      case "sqrt":
        return b.op(`${shape}.sqrt`, y);
      case "addsub":
        return this.float("add", x, this.#addend(y));
      case "cmp":
      case "comi":
        return this.#result;
      default:
        return b.op(`${shape}.${this.operation}`, x, y);
    }
  }
  /** What a sum adds. */
  #addend(y: Val): Val {
    const b = this.b, negative = b.op(`${this.format.shape}.neg`, y);
    if (this.operation === "add") return y;
    if (this.operation === "sub") return negative;
    const odd = this.type === "f32" ? b.op("i64x2.splat", b.i64(-1n << 32n)) : b.v128(0n, -1n);
    return this.choose(odd, y, negative);
  }

  emit(): void {
    this.#flushOperands();
    if (ARITHMETIC.includes(this.operation)) this.#arithmetic(this.operation as Arithmetic);
    else {
      const [a, b] = [this.#first, this.#second], nanA = this.isNan(a), nanB = this.isNan(b);
      const invalid = this.operation === "cmp"
        ? this.or(this.isSignaling(a, nanA), this.isSignaling(b, nanB))
        : this.or(nanA, nanB);
      this.raise(invalid, IE);
      this.#denormals(this.or(nanA, nanB));
      this.settle();
      this.b.return(this.b.get(this.#found));
    }
    this.b.unreachable();
  }
  /** Denormal operands of lanes where nothing comes before them. */
  #denormals(others: Val): void {
    const denormal = this.or(this.isDenormal(this.#first), this.isDenormal(this.#second));
    this.raise(this.without(denormal, others), DE);
  }
  #arithmetic(operation: Arithmetic): void {
    const b = this.b, [x, y, r] = [this.#first, this.#second, this.#result];
    const [zeroX, zeroY] = [this.isZero(x), this.isZero(y)];
    b.if(this.mxcsrHas(ROUNDING), () => this.#directed(operation, zeroX, zeroY));
    const quiet = this.inexactIsQuiet();
    this.#usualNumbers(operation, quiet, zeroX, zeroY);
    const finite = this.and(this.isFinite(x), this.isFinite(y));
    const tiny = this.#tiny(operation, finite, zeroX, zeroY), isTiny = this.any(tiny);
    const flushed = b.variable(this.splat(0n));
    b.if(isTiny, () => this.#underflow(operation, tiny, flushed));
    const denormal = this.or(this.isDenormal(x), this.isDenormal(y));
    const ordinary = this.without(this.and(finite, this.isFinite(r)), denormal);
    const usual = b.and(32, b.op(`${this.format.lanes}.all_true`, ordinary), b.eqz(32, isTiny));
    b.if(b.and(32, quiet, usual), () => b.return(b.get(this.#found)));
    const nanX = this.isNan(x), nanY = this.isNan(y), nan = this.or(nanX, nanY);
    const invalid = this.without(this.isNan(r), nan);
    b.if(b.eqz(32, usual), () => {
      const signaling = this.or(this.isSignaling(x, nanX), this.isSignaling(y, nanY));
      this.raise(this.or(invalid, signaling), IE);
      let first = this.or(nan, invalid), overflow = this.and(this.isInfinite(r), finite);
      if (operation === "div") {
        const byZero = this.without(this.and(zeroY, finite), zeroX);
        this.raise(byZero, ZE);
        first = this.or(first, byZero);
        overflow = this.without(overflow, zeroY);
      }
      this.#denormals(first);
      this.raise(overflow, OE | PE);
    });
    b.if(b.eqz(32, quiet), () => {
      this.#precision(operation, this.without(this.and(finite, this.isFinite(r)), tiny));
    });
    this.settle();
    const zeroes = b.get(flushed);
    b.if(this.any(this.or(nan, invalid, zeroes)), () => {
      const silenced = (v: Val) => this.or(v, this.splat(this.format.quiet));
      const { sign, infinity, quiet } = this.format;
      const zeros = this.choose(zeroes, this.signs(r), r);
      const indefinite = this.choose(invalid, this.splat(sign | infinity | quiet), zeros);
      this.replace(this.choose(nanX, silenced(x), this.choose(nanY, silenced(y), indefinite)));
    });
    b.return(b.get(this.#found));
  }

  /** Lanes whose results are below the normal numbers, or may have been before they were rounded; zeros of zeros are not. */
  #tiny(operation: Arithmetic, finite: Val, zeroX: Val, zeroY: Val): Val {
    const size = this.magnitude(this.#result), least = this.splat(this.format.least);
    const small = this.compare(this.#isSum ? "lt" : "le", size, least); // sums below it are exact
    const zeros = this.#isSum
      ? this.isZero(this.#result)
      : operation === "mul"
      ? this.or(zeroX, zeroY)
      : zeroX;
    return this.without(this.and(small, finite), zeros);
  }
  /** Some lanes are tiny: raises UE and PE, or has them flushed to zero. */
  #underflow(operation: Arithmetic, tiny: Val, flushed: Variable): void {
    const b = this.b;
    this.returnIf(b.eqz(32, this.mxcsrHas(UE << MXCSR_MASKS)), LOOK_UNSURE);
    const least = this.compare("eq", this.magnitude(this.#result), this.splat(this.format.least));
    this.returnIf(this.any(this.and(tiny, least)), LOOK_UNSURE);
    b.if(this.mxcsrHas(MXCSR_FTZ), () => {
      this.raise(tiny, UE | PE);
      b.set(flushed, tiny);
    }, () => {
      if (this.#isSum) return;
      const [p, q, wanted] = this.#inverse(operation);
      if (this.type === "f32") {
        return this.raise(this.and(tiny, this.#singleDiffers([p, q], wanted)), UE | PE);
      }
      if (!HOST_FUSES) return b.return(b.i32(LOOK_UNSURE));
      this.raise(this.and(tiny, this.#tinyDiffers([p, q], wanted)), UE | PE);
    });
  }
  /**
   * Lanes where p × q, a tiny double or one that was divided, is not `wanted`. Times 2^300 nothing of it is too small unless
   * the result is 0; the smaller factor is below 2^-500 then, or the result, so nothing overflows.
   */
  #tinyDiffers([p, q]: readonly [Val, Val], wanted: Val): Val {
    const scaled = (v: Val) => this.float("mul", v, this.splat(TWO_TO_300));
    const isLess = this.compare("lt", this.magnitude(p), this.magnitude(q));
    const small = this.choose(isLess, p, q), large = this.choose(isLess, q, p);
    const rest = this.#rest([scaled(small), large], scaled(wanted));
    return this.or(this.isZero(this.#result), this.compare("ne", rest, this.splat(0n)));
  }
  /** All lanes have numbers of the window or zeros (cpu/emit/vector/float_bounds.ts), none of which divides. */
  #areUsual(operation: Arithmetic, zeroX: Val, zeroY: Val): Val {
    const b = this.b, { lanes } = this.format;
    const outside = (v: Val) => {
      const difference = b.op(`${lanes}.sub`, v, b.state128(vectorConstant(this.type, "first")));
      const what = operation === "sqrt" ? "signed" : "unsigned";
      return this.and(difference, b.state128(vectorConstant(this.type, what)));
    };
    const inside = (v: Val, isZero: Val) => this.or(b.op(`${lanes}.eq`, outside(v), this.splat(0n)), isZero);
    const first = inside(this.#first, zeroX);
    const second = operation === "sqrt" ? first : inside(this.#second, zeroY);
    const usual = operation === "div" ? this.without(second, zeroY) : second;
    return b.op(`${lanes}.all_true`, this.and(first, usual));
  }
  /** Of usual numbers nothing but inexactness is to be looked for. */
  #usualNumbers(operation: Arithmetic, quiet: Val, zeroX: Val, zeroY: Val): void {
    const b = this.b;
    b.if(this.#areUsual(operation, zeroX, zeroY), () => {
      b.if(quiet, () => b.return(b.get(this.#found)));
      const [p, q, wanted] = this.#inverse(operation);
      const differs = this.#isSum
        ? this.without(this.splat(~0n), this.isZero(this.#sumError()))
        : this.type === "f32"
        ? this.#singleDiffers([p, q], wanted)
        : this.#productDiffers([p, q], wanted);
      b.if(b.eqz(32, this.any(differs)), () => b.return(b.get(this.#found)));
    });
  }

  /** Results of usual numbers as RC has them: what was rounded to nearest and the wrong way is moved by one place. */
  #directed(operation: Arithmetic, zeroX: Val, zeroY: Val): void {
    const b = this.b, r = this.#result, { lanes } = this.format, none = this.splat(0n);
    if (this.type === "f64" && !this.#isSum && !HOST_FUSES) return b.return(b.i32(LOOK_UNSURE));
    this.returnIf(b.eqz(32, this.#areUsual(operation, zeroX, zeroY)), LOOK_UNSURE);
    const error = this.#error(operation);
    const above = this.compare("gt", error, none), below = this.compare("lt", error, none);
    this.raise(this.or(above, below), PE);
    const down = this.rounds(RC_DOWN), up = this.rounds(RC_UP);
    const negative = this.compare("lt", r, none);
    const smaller = this.choose(negative, this.without(above, down), this.without(below, up));
    const larger = this.choose(negative, this.and(below, down), this.and(above, up));
    const moved = b.op(`${lanes}.sub`, b.op(`${lanes}.add`, r, smaller), larger);
    this.settle();
    if (!this.#isSum) return this.replace(moved);
    // Down, a sum of nothing is negative, unless both terms are +0.
    const plusZeros = this.or(this.#first, this.#addend(this.#second));
    const isNothing = this.without(this.isZero(r), b.op(`${lanes}.eq`, plusZeros, none));
    this.replace(this.or(moved, this.and(isNothing, down, this.splat(this.format.sign))));
  }
  /** The sign of what the truth is above a result of usual numbers. */
  #error(operation: Arithmetic): Val {
    const b = this.b;
    if (this.#isSum) return this.#sumError();
    const [p, q, wanted] = this.#inverse(operation);
    const rest = this.type === "f32" ? this.#singleRest([p, q], wanted) : this.#rest([p, q], wanted);
    if (operation === "mul") return rest;
    const negated = b.op(`${this.format.shape}.neg`, rest);
    return operation === "div" ? b.op("v128.xor", negated, this.signs(this.#second)) : negated;
  }

  // Exactness: of `finite` lanes, none of which is tiny unless it is exact

  /** What the result of a sum lacks. */
  #sumError(): Val {
    return this.sumError(this.format.shape, this.#first, this.#addend(this.#second), this.#result);
  }
  /** The inverse operation gives the operand back, if it does not round itself: two factors, and what their product is. */
  #inverse(operation: Arithmetic): readonly [Val, Val, Val] {
    const [x, y, r] = [this.#first, this.#second, this.#result];
    return operation === "mul" ? [x, y, r] : operation === "div" ? [r, y, x] : [r, r, x];
  }
  /** Raises PE for results that are not what the operation gives. */
  #precision(operation: Arithmetic, finite: Val): void {
    const [x, y, r] = [this.#first, this.#second, this.#result];
    if (this.#isSum) {
      const error = this.#sumError();
      // Near the end of the range a step may overflow where the sum does not.
      const huge = [x, y].map((v) => this.compare("gt", this.magnitude(v), this.splat(this.format.huge)));
      this.returnIf(this.any(this.and(finite, this.or(...huge))), LOOK_UNSURE);
      return this.raise(this.without(finite, this.isZero(error)), PE);
    }
    const [p, q, wanted] = this.#inverse(operation);
    // Zeros of zeros are exact, and divisions by zero infinite.
    const looked = this.without(finite, this.isZero(r));
    if (this.type === "f32") return this.raise(this.and(looked, this.#singleDiffers([p, q], wanted)), PE);
    const inside = [p, q, wanted].map((v) => {
      const size = this.magnitude(v);
      const large = this.compare("gt", size, this.splat(SAFE.least));
      return this.and(large, this.compare("lt", size, this.splat(SAFE.most)));
    });
    this.returnIf(this.any(this.without(looked, this.and(...inside))), LOOK_UNSURE);
    this.raise(this.and(looked, this.#productDiffers([p, q], wanted)), PE);
  }
  /** What `of` makes of p × q, which has 48 bits, and `wanted` as doubles, two lanes after the other. */
  #asDoubles(
    [p, q]: readonly [Val, Val],
    wanted: Val,
    of: (product: Val, wanted: Val) => Val,
  ): readonly [Val, Val] {
    const b = this.b;
    const half = (upper: boolean) => {
      const wide = (v: Val) => b.op("f64x2.promote_low_f32x4", upper ? b.shuffle(UPPER, v, v) : v);
      return of(b.op("f64x2.mul", wide(p), wide(q)), wide(wanted));
    };
    return [half(false), half(true)];
  }
  /** Lanes where p × q is not `wanted`. */
  #singleDiffers(factors: readonly [Val, Val], wanted: Val): Val {
    const b = this.b;
    const halves = this.#asDoubles(factors, wanted, (product, v) => b.op("f64x2.ne", product, v));
    return b.shuffle(LOW_WORDS, ...halves);
  }
  /** p × q - wanted of usual floats. */
  #singleRest(factors: readonly [Val, Val], wanted: Val): Val {
    const b = this.b;
    const [low, high] = this.#asDoubles(
      factors,
      wanted,
      (product, v) => b.op("f32x4.demote_f64x2_zero", b.op("f64x2.sub", product, v)),
    );
    return b.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23], low, high);
  }
  /** p × q - wanted of doubles, on hosts that fuse. */
  #rest([p, q]: readonly [Val, Val], wanted: Val): Val {
    return this.b.op("f64x2.relaxed_madd", p, q, this.b.op("f64x2.neg", wanted));
  }
  /** Lanes where p × q is not `wanted`. */
  #productDiffers([p, q]: readonly [Val, Val], wanted: Val): Val {
    if (HOST_FUSES) return this.compare("ne", this.#rest([p, q], wanted), this.splat(0n));
    // By Veltkamp's and Dekker's way.
    const factor = this.splat(0x41a0_0000_0200_0000n); // 2^27 + 1
    const split = (v: Val): [Val, Val] => {
      const scaled = this.float("mul", v, factor);
      const high = this.float("sub", scaled, this.float("sub", scaled, v));
      return [high, this.float("sub", v, high)];
    };
    const product = this.float("mul", p, q), [ph, pl] = split(p), [qh, ql] = split(q);
    const parts = [[ph, ql], [pl, qh], [pl, ql]] as const;
    let error = this.float("sub", this.float("mul", ph, qh), product);
    for (const [u, v] of parts) error = this.float("add", error, this.float("mul", u, v));
    return this.or(this.compare("ne", error, this.splat(0n)), this.compare("ne", product, wanted));
  }
}

/** Defines the looks, in the other table from H_SSE_LOOK on. */
export function defineLooks(module: ModuleBuilder): void {
  const lookType = linkType(module, LOOK_PARAMETERS);
  /** Most functions serve scalars, and packed operands behind them. */
  const define = (code: number, emit: (body: FunctionBody) => void, count = 2) => {
    const body = new FunctionBody(3);
    emit(body);
    const slot = H_SSE_LOOK + sseLookNumber(code);
    module.addFunction(lookType, body, { place: { table: OTHER_TABLE, slot, count } });
  };
  for (const type of ["f32", "f64"] as const) {
    for (const operation of [...ARITHMETIC, "min", "max", "cmp", "comi"] as const) {
      define(sseCode(operation, type, "scalar"), (body) => new Look(body, operation, type).emit());
    }
    for (const operation of CONVERSIONS) {
      const differs = operation === "to_i32" || operation === "truncate_i32";
      for (const lanes of differs ? ["scalar", "packed"] as const : ["scalar"] as const) {
        const packed = lanes === "packed";
        const emit = (body: FunctionBody) => new ConversionLook(body, operation, type, packed).emit();
        define(sseCode(operation, type, lanes), emit, differs ? 1 : 2);
      }
    }
    if (!HOST_FUSES) continue;
    for (const operation of FUSED_OPERATIONS) {
      define(sseCode(operation, type, "scalar"), (body) => new FusedLook(body, operation, type).emit());
    }
  }
}

/** From "to_i32" on. */
const INTEGER_OPERATIONS = 4;
/** Puts a result that was right into the register at `to`. */
export function storeResult(b: WasmBuilder, how: Val, to: Val, result: Val): void {
  const operation = b.and(32, how, b.i32(SSE_OPERATION));
  const code = (name: SseOperation) => b.i32(sseCode(name, "f32", "scalar"));
  const converts = b.eq(32, operation, code("convert"));
  const toInteger = b.ltU(32, b.sub(32, operation, code("to_i32")), b.i32(INTEGER_OPERATIONS));
  const toDouble = b.op(
    "i32.ne",
    b.and(32, how, b.i32(SSE_DOUBLE)),
    b.shl(32, converts, b.i32(SSE_DOUBLE_BIT)),
  );
  b.if(
    b.and(32, how, b.i32(SSE_PACKED)),
    () => b.storeRaw("v128.store", to, result),
    () =>
      b.if(
        b.or(32, toInteger, toDouble),
        () => b.storeRaw("i64.store", to, b.lane("i64x2.extract_lane", 0, result)),
        () => b.storeRaw("i32.store", to, b.lane("i32x4.extract_lane", 0, result)),
      ),
  );
}
