// SPDX-License-Identifier: MIT
/**
 * The second look at SSE conversions and roundings, which does all of them: NaNs, infinities, denormals, overflow, underflow,
 * every rounding mode, DAZ and FTZ. Emitted code only lets through what raises nothing new (cpu/isa/simd/sse_convert.ts);
 * exceptions that are not masked are left to the SSE unit. Rules: SDM Vol. 1 §4.8.4 (rounding), table 4-7 (NaNs), §4.9.1.5
 * (a result is tiny once it is rounded), §11.5.2; Vol. 2: what has no integer.
 * @module
 */
import type { Val } from "../emit/builder.ts";
import {
  DE,
  IE,
  MXCSR_FTZ,
  MXCSR_MASKS,
  MXCSR_RC_SHIFT,
  OE,
  PE,
  RC_DOWN,
  RC_UP,
  RC_ZERO,
  UE,
} from "../fpu/sse/mxcsr.ts";
import { LOOK_UNSURE } from "../fpu/sse/sse_unit.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import { LookEmit, LOW_WORDS, ROUNDING, UPPER } from "./look_emit.ts";

/** Doubles of binary32: from 2^128 on there are none; its least normal number; what becomes that to nearest, and upwards. */
const SINGLES = {
  end: 0x47f0_0000_0000_0000n,
  least: 0x3810_0000_0000_0000n,
  leastToNearest: 0x380f_ffff_f000_0000n,
  leastAway: 0x380f_ffff_e000_0001n,
} as const;
/** 2^31 and 2^63. */
const LIMITS = {
  f32: { 32: 0x4f00_0000n, 64: 0x5f00_0000n },
  f64: { 32: 0x41e0_0000_0000_0000n, 64: 0x43e0_0000_0000_0000n },
} as const;
const SINGLE_INFINITY = 0x7f80_0000n, SINGLE_QUIET = 0x7fc0_0000n;

/** What is looked at so. */
export const CONVERSIONS = [
  "convert",
  "round",
  "to_i32",
  "truncate_i32",
  "to_i64",
  "truncate_i64",
  "from_i32",
  "from_i64",
] as const;
/** See {@linkcode CONVERSIONS}. */
export type Conversion = typeof CONVERSIONS[number];

/** Emits one. "round" has the immediate in the lanes of the first parameter. */
export class ConversionLook extends LookEmit {
  readonly #operand: Val;

  constructor(
    body: FunctionBody,
    readonly operation: Conversion,
    type: "f32" | "f64",
    readonly packed: boolean,
  ) {
    super(body, type);
    this.#operand = this.b.parameter(1, "v128");
  }

  emit(): void {
    switch (this.operation) {
      case "convert":
        if (this.type === "f32") this.#promote();
        else this.#demote();
        break;
      case "round":
        this.#round();
        break;
      case "from_i32":
        this.#fromWords();
        break;
      case "from_i64":
        this.#fromLong();
        break;
      default:
        this.#toIntegers(this.operation);
    }
    this.b.unreachable();
  }

  #long(bits: bigint): Val {
    return this.b.op("i64x2.splat", this.b.i64(bits));
  }
  #shifted(v: Val, direction: "shl" | "shr_u" | "shr_s", count: number): Val {
    return this.b.op(`i64x2.${direction}`, v, this.b.i32(count));
  }
  #doubles(name: "eq" | "ne" | "lt" | "gt" | "ge", x: Val, y: Val): Val {
    return this.b.op(`f64x2.${name}`, x, y);
  }
  #rounding(): Val {
    return this.b.and(32, this.b.shrU(32, this.mxcsr, this.b.i32(MXCSR_RC_SHIFT)), this.b.i32(3));
  }
  /** Integral values, as `rc` rounds. */
  #integral(x: Val, rc: Val): Val {
    const b = this.b, { shape } = this.format, integral = b.variable(b.op(`${shape}.nearest`, x));
    for (const [way, name] of [[RC_DOWN, "floor"], [RC_UP, "ceil"], [RC_ZERO, "trunc"]] as const) {
      b.if(b.eq(32, rc, b.i32(way)), () => b.set(integral, b.op(`${shape}.${name}`, x)));
    }
    return b.get(integral);
  }

  #round(): void {
    const b = this.b, imm = b.lane("i32x4.extract_lane", 0, b.parameter(0, "v128"));
    const x = this.flushed(this.#operand), nan = this.isNan(x);
    const rc = b.select(b.bit(imm, 2), this.#rounding(), b.and(32, imm, b.i32(3)));
    const integral = this.#integral(x, rc);
    this.raise(this.isSignaling(x, nan), IE);
    const inexact = this.without(this.compare("ne", integral, x), nan);
    b.if(b.eqz(32, b.bit(imm, 3)), () => this.raise(inexact, PE));
    this.settle();
    this.replace(this.choose(nan, this.or(x, this.splat(this.format.quiet)), integral));
  }

  /** Denormals raise nothing but inexactness here; what has no integer gives the least one. */
  #toIntegers(operation: "to_i32" | "truncate_i32" | "to_i64" | "truncate_i64"): void {
    const b = this.b, x = this.flushed(this.#operand), isLong = operation.endsWith("64");
    const integral = operation.startsWith("to")
      ? this.#integral(x, this.#rounding())
      : b.op(`${this.format.shape}.trunc`, x);
    const limit = LIMITS[this.type][isLong ? 64 : 32];
    const fit = this.and(
      this.compare("ge", integral, this.splat(limit | this.format.sign)),
      this.compare("lt", integral, this.splat(limit)),
    );
    this.raise(b.op("v128.not", fit), IE);
    this.raise(this.and(fit, this.compare("ne", integral, x)), PE);
    this.settle();
    if (isLong) {
      const one = b.lane(`${this.format.shape}.extract_lane`, 0, integral);
      const converted = b.op("i64x2.splat", b.op(`i64.trunc_sat_${this.type}_s`, one));
      return this.replace(this.choose(fit, converted, this.#long(1n << 63n)));
    }
    const indefinite = b.op("i32x4.splat", b.i32(0x8000_0000));
    const all = this.type === "f32"
      ? this.choose(fit, b.op("i32x4.trunc_sat_f32x4_s", integral), indefinite)
      : this.and(
        this.choose(
          b.shuffle(LOW_WORDS, fit, fit),
          b.op("i32x4.trunc_sat_f64x2_s_zero", integral),
          indefinite,
        ),
        b.v128(-1n, 0n),
      );
    this.replace(this.packed ? all : this.and(all, b.v128(0xffff_ffffn, 0n)));
  }

  /** Four integers to floats, by doubles, which have all of them. */
  #fromWords(): void {
    const b = this.b, n = this.#operand, away = b.variable(n);
    const halves = [n, b.shuffle(UPPER, n, n)].map((words) => {
      const exact = b.op("f64x2.convert_low_i32x4_s", words), size = b.op("f64x2.abs", exact);
      const nearest = this.#single(exact), rounded = b.variable(nearest.bits);
      b.if(this.mxcsrHas(ROUNDING), () => {
        b.set(away, this.#away(exact));
        b.set(rounded, this.#directed(nearest, size, b.get(away)));
      });
      this.raise(this.#doubles("ne", nearest.back, size), PE);
      return this.or(b.get(rounded), this.#shifted(this.and(exact, this.#long(1n << 63n)), "shr_u", 32));
    }) as [Val, Val];
    this.settle();
    this.replace(b.shuffle(LOW_WORDS, ...halves));
  }

  /** One integer of 64 bits. */
  #fromLong(): void {
    const b = this.b, { type } = this, n = b.lane("i64x2.extract_lane", 0, this.#operand);
    const nearest = b.op(`${type}.convert_i64_s`, n), back = b.op(`i64.trunc_sat_${type}_s`, nearest);
    const w = type === "f32" ? 32 : 64;
    const bits = b.op(type === "f32" ? "i32.reinterpret_f32" : "i64.reinterpret_f64", nearest);
    // 2^63 has no integer to go back to.
    const end = b.op(`i${w}.eq`, bits, b.k(w, LIMITS[type][64]));
    const above = b.or(32, end, b.ltS(64, n, back)), below = b.ltS(64, back, n);
    const inexact = b.or(32, above, below);
    const result = b.variable(bits);
    b.if(b.and(32, inexact, this.mxcsrHas(ROUNDING)), () => {
      const rc = this.#rounding(), negative = b.sign(64, n), is = (way: number) => b.eq(32, rc, b.i32(way));
      const up = b.or(32, is(RC_UP), b.and(32, is(RC_ZERO), negative));
      const step = b.sub(32, b.and(32, up, below), b.and(32, b.eqz(32, up), above));
      const outwards = b.select(negative, b.sub(32, b.i32(0), step), step);
      b.set(result, b.add(w, bits, b.signExtend(32, w, outwards)));
    });
    this.raise(b.op("i32x4.splat", inexact), PE);
    this.settle();
    this.replace(b.op(type === "f32" ? "i32x4.splat" : "i64x2.splat", b.get(result)));
  }

  /** Two floats to doubles, all of which there are. */
  #promote(): void {
    const b = this.b, v = this.#operand;
    const x = this.flushed(b.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7], v, v));
    this.raise(this.isSignaling(x, this.isNan(x)), IE);
    this.raise(this.isDenormal(x), DE);
    this.settle();
    const converted = b.op("f64x2.promote_low_f32x4", x), bits = b.op("i64x2.extend_low_i32x4_u", x);
    const sign = this.#shifted(this.and(bits, this.#long(1n << 31n)), "shl", 32);
    const payload = this.#shifted(this.and(bits, this.#long((1n << 31n) - 1n)), "shl", 29);
    const nan = this.or(sign, payload, this.#long(0x7ff8_0000_0000_0000n));
    this.replace(this.choose(this.#doubles("ne", converted, converted), nan, converted));
  }

  /** Two doubles to floats. */
  #demote(): void {
    const b = this.b, x = this.flushed(this.#operand), nan = this.isNan(x);
    this.raise(this.isSignaling(x, nan), IE);
    this.raise(this.isDenormal(x), DE);
    const size = this.magnitude(x), nearest = this.#single(x), finite = this.isFinite(x);
    const rounded = b.variable(nearest.bits);
    const away = b.variable(this.#long(0n)), least = b.variable(this.#long(SINGLES.leastToNearest));
    const overflow = b.variable(this.and(finite, this.#isInfiniteSingle(nearest.bits)));
    b.if(this.mxcsrHas(ROUNDING), () => {
      b.set(away, this.#away(x));
      b.set(rounded, this.#directed(nearest, size, b.get(away)));
      const limit = this.choose(b.get(away), this.#long(SINGLES.leastAway), this.#long(SINGLES.least));
      b.set(least, limit);
      const end = this.#doubles("ge", size, this.#long(SINGLES.end));
      const infinite = this.#isInfiniteSingle(b.get(rounded));
      b.set(overflow, this.and(finite, this.choose(b.get(away), infinite, end)));
    });
    const inexact = this.and(finite, this.#doubles("ne", nearest.back, size));
    const tiny = this.without(this.#doubles("lt", size, b.get(least)), this.isZero(x));
    this.raise(inexact, PE);
    this.raise(b.get(overflow), OE | PE);
    b.if(this.any(tiny), () => {
      this.returnIf(b.eqz(32, this.mxcsrHas(UE << MXCSR_MASKS)), LOOK_UNSURE);
      b.if(this.mxcsrHas(MXCSR_FTZ), () => {
        this.raise(tiny, UE | PE);
        b.set(rounded, this.without(b.get(rounded), tiny));
      }, () => this.raise(this.and(tiny, inexact), UE | PE));
    });
    this.settle();
    const payload = this.and(this.#shifted(x, "shr_u", 29), this.#long((1n << 22n) - 1n));
    const magnitude = this.choose(nan, this.or(payload, this.#long(SINGLE_QUIET)), b.get(rounded));
    const sign = this.and(this.#shifted(x, "shr_u", 32), this.#long(1n << 31n));
    this.replace(b.shuffle(LOW_WORDS, this.or(magnitude, sign), this.#long(0n)));
  }
  /** Magnitudes of doubles as floats, in 64-bit lanes, rounded to nearest; and as doubles again. */
  #single(x: Val): { readonly bits: Val; readonly back: Val } {
    const b = this.b, single = b.op("f32x4.abs", b.op("f32x4.demote_f64x2_zero", x));
    return {
      bits: b.op("i64x2.extend_low_i32x4_u", single),
      back: b.op("f64x2.promote_low_f32x4", single),
    };
  }
  #isInfiniteSingle(bits: Val): Val {
    return this.b.op("i64x2.eq", bits, this.#long(SINGLE_INFINITY));
  }
  /** Lanes that MXCSR.RC rounds away from zero. */
  #away(x: Val): Val {
    const negative = this.#shifted(x, "shr_s", 63);
    return this.or(
      this.and(this.rounds(RC_DOWN), negative),
      this.without(this.rounds(RC_UP), negative),
    );
  }
  /** The floats next to these magnitudes, where rounding to nearest took the wrong one. */
  #directed({ bits, back }: { readonly bits: Val; readonly back: Val }, size: Val, away: Val): Val {
    const b = this.b;
    const up = this.and(away, this.#doubles("lt", back, size));
    const down = this.without(this.#doubles("gt", back, size), away);
    return b.op("i64x2.add", b.op("i64x2.sub", bits, up), down); // masks are -1
  }
}
