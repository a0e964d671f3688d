// SPDX-License-Identifier: MIT
/**
 * Vector registers and what is known of them. They live in the state block, and every write goes there. Code whose
 * operands are known when it is emitted (a block's, a region's) also remembers what it last read or wrote, until code
 * begins that is reached from several places: then nothing waits for the store to be read back, and a load of 128 bits not for the store of
 * a scalar, which processors cannot forward to it.
 * @module
 */
import { S, XMM_BASE, YMM_HIGH } from "../../state/state.ts";
import type { LoadName, StoreName, Val } from "../builder.ts";
import type { FloatType, Value } from "../emit.ts";
import { FloatEmit, type FloatKnowledge } from "./float_emit.ts";
import type { Slot } from "../form.ts";

const SHAPES = { f32: "f32x4", f64: "f64x2", i32: "i32x4", i64: "i64x2" } as const;

/** What is at hand of 128 bits of a register. */
interface Contents {
  /** All of it, but for the lowest lane when `low` is there. */
  whole: Value | undefined;
  /** The lowest 32 or 64 bits: read or written last. */
  low: Value | undefined;
}

/** What is known of vector registers at some place. */
export interface VectorKnowledge {
  readonly contents: ReadonlyMap<number, Readonly<Contents>>;
  readonly lowOf: ReadonlyMap<Value, Value>;
  readonly floats: FloatKnowledge;
}

/** An XMM register, or the upper half of a YMM register, is at this address in the state block. */
export function isVectorRegister(at: number): boolean {
  return at >= XMM_BASE && at < XMM_BASE + 2 * YMM_HIGH;
}
function width(value: Value): number {
  return value.type === "i32" || value.type === "f32" ? 32 : 64;
}

/** See the module's description. */
export abstract class VectorEmit extends FloatEmit {
  #contents = new Map<number, Contents>();
  /** Scalars that vectors begin with. */
  #lowOf = new Map<Value, Value>();

  /** A field of the current record: i32. */
  protected abstract slot(name: Slot): Val;
  /** Somebody else may have changed registers and MXCSR, or code begins that is reached from elsewhere. */
  protected forgetVectors(): void {
    if (this.#contents.size > 0) this.#contents.clear();
    this.forgetFloats();
  }
  /** What is known here, for code that is reached from here alone; undefined: nothing. */
  get vectorKnowledge(): VectorKnowledge | undefined {
    if (this.#contents.size === 0 && this.#lowOf.size === 0 && this.knowsNoFloats) return undefined;
    const contents = new Map([...this.#contents].map(([at, known]) => [at, { ...known }]));
    return { contents, lowOf: new Map(this.#lowOf), floats: this.floatKnowledge };
  }
  /** Code begins that is reached from one place alone, where that was known; without it, from others, too. */
  protected recallVectors(known: VectorKnowledge | undefined): void {
    this.forgetVectors();
    if (known === undefined && this.#lowOf.size === 0) return;
    // What another block took out of a vector that both have inherited is in a local that was not set on the way here.
    this.#lowOf = new Map(known?.lowOf);
    if (known === undefined) return;
    this.#contents = new Map([...known.contents].map(([at, contents]) => [at, { ...contents }]));
    this.recallFloats(known.floats);
  }
  #at(address: Val, offset: number): Contents | undefined {
    if (!this.remembersVectors) return undefined;
    const { constant } = address;
    if (constant === undefined) return undefined;
    const at = (constant + offset) & ~15;
    if (!isVectorRegister(at)) return undefined;
    let contents = this.#contents.get(at);
    if (contents === undefined) this.#contents.set(at, contents = { whole: undefined, low: undefined });
    return contents;
  }

  override setState32(address: number, value: Value): void {
    if (address === S.mxcsr || isVectorRegister(address)) this.forgetVectors();
    super.setState32(address, value);
  }
  override setState64(address: number, value: Value): void {
    if (isVectorRegister(address)) this.forgetVectors();
    super.setState64(address, value);
  }
  override setState128(address: number, value: Value): void {
    if (isVectorRegister(address)) this.forgetVectors();
    super.setState128(address, value);
  }

  /** A vector register, or part of one, at an address in the state block. */
  protected loadVector(name: LoadName, address: Val, offset: number): Value {
    const contents = this.#at(address, offset);
    if (contents === undefined) return this.loadRaw(name, address, offset);
    if (name === "v128.load") return this.#whole(contents, address, offset);
    const type = name === "f32.load" ? "f32" : name === "f64.load" ? "f64" : undefined;
    if (type !== undefined && (offset & 15) === 0) return this.#low(contents, type, address, offset);
    return this.loadRaw(name, address, offset);
  }
  protected storeVector(name: StoreName, address: Val, value: Value, offset: number): void {
    this.storeRaw(name, address, value, offset);
    const contents = this.#at(address, offset);
    if (contents === undefined) return;
    const narrower = contents.low !== undefined && width(contents.low) > width(value);
    if (name === "v128.store") {
      contents.whole = value;
      contents.low = undefined;
    } else if ((offset & 15) === 0 && !narrower) contents.low = value;
    else contents.whole = contents.low = undefined;
    if (this.depth > 0) contents.whole = contents.low = undefined;
  }

  #whole(contents: Contents, address: Val, offset: number): Value {
    const { whole, low } = contents;
    if (whole !== undefined && low === undefined) return whole;
    const value = low === undefined
      ? this.loadRaw("v128.load", address, offset)
      : this.#joined(whole, low, address, offset);
    if (this.depth === 0) {
      contents.whole = value;
      contents.low = undefined;
    }
    return value;
  }
  /** `low` with what is above it. */
  #joined(whole: Value | undefined, low: Value, address: Val, offset: number): Value {
    const shape = SHAPES[low.type as keyof typeof SHAPES];
    let joined: Value;
    if (whole !== undefined) joined = this.lane(`${shape}.replace_lane`, 0, whole, low);
    else if (shape === "f64x2" || shape === "i64x2") {
      const high = this.loadRaw(shape === "f64x2" ? "f64.load" : "i64.load", address, offset + 8);
      joined = this.lane(`${shape}.replace_lane`, 1, this.op(`${shape}.splat`, low), high);
    } else {
      const upper = this.op("i64x2.splat", this.loadRaw("i64.load", address, offset + 8));
      const second = this.loadRaw("i32.load", address, offset + 4);
      const above = this.lane("i32x4.replace_lane", 1, upper, second);
      joined = this.lane(`${shape}.replace_lane`, 0, above, low);
    }
    if (low.type === "f32" || low.type === "f64") this.#lowOf.set(joined, low);
    return joined;
  }
  #low(contents: Contents, type: FloatType, address: Val, offset: number): Value {
    const { whole, low } = contents;
    if (low?.type === type) return low;
    if (whole === undefined || low !== undefined) {
      const value = this.loadRaw(`${type}.load`, address, offset);
      if (this.depth === 0 && low === undefined) contents.low = value;
      return value;
    }
    const known = this.#lowOf.get(whole);
    if (known?.type === type) return known;
    const lane = this.lane(type === "f64" ? "f64x2.extract_lane" : "f32x4.extract_lane", 0, whole);
    this.sameBounds(whole, lane);
    if (this.depth === 0) this.#lowOf.set(whole, lane);
    return lane;
  }
}
