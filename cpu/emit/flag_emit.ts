// SPDX-License-Identifier: MIT
/**
 * Lazy flags: S.flagKind and the values they follow from, in the state block or still at hand. Functions of whole
 * blocks store them only where the block can be left.
 * @module
 */
import { assert } from "../base/assert.ts";
import { ARITHMETIC_FLAGS, FLAG_CF, FLAG_KIND_RAW, S } from "../state/state.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import type { Val } from "./builder.ts";
import type { ConditionCode, FlagKind, Value, Width } from "./emit.ts";
import { type Facts, noFacts } from "./facts.ts";
import { carryOf, conditionOf, conditionOfImage, flagKindNumber, type FlagSource, imageOf } from "./flags.ts";
import type { InstructionForm } from "./form.ts";
import type { Links } from "./links.ts";
import { VectorEmit } from "./vector/vector_emit.ts";

/** What is known of the flags: S.flagKind, and the values if they are at hand. */
export interface KnownFlags {
  readonly number: number;
  readonly source?: FlagSource;
  /** For the kind raw: the six flags. */
  readonly image?: Val;
}

/** See the module's description. */
export abstract class FlagEmit extends VectorEmit {
  form!: InstructionForm;
  facts: Facts = noFacts();
  /** False: nobody reads the flags this instruction writes. */
  flagsLive = true;
  /** S.flagKind at this point when known, and values still at hand. */
  protected flags: KnownFlags | undefined;
  /**
   * Functions of whole blocks keep new flags in values and store them only where the block can be left: most flags
   * are overwritten before that.
   */
  protected sinksFlags = false;
  /** Flags that are not in the state block yet. */
  #pending: KnownFlags | undefined;

  constructor(body: FunctionBody, protected readonly links: Links) {
    super(body);
  }

  protected readsFlags(mask: number): void {
    this.facts.flagsRead |= mask & ~this.facts.flagsWritten;
  }
  /** The instruction defines the flags in `mask` to be `known`. */
  #writes(mask: number, known: KnownFlags): void {
    this.facts.flagsMayWrite |= mask;
    if (this.depth === 0) this.facts.flagsWritten |= mask;
    if (!this.flagsLive) return;
    this.#pending = known;
    if (this.depth === 0) {
      this.flags = known;
      if (!this.sinksFlags) this.flushFlags();
    } else {
      this.storePending();
      this.#pending = undefined;
      this.flags = undefined;
    }
  }
  /** Puts pending flags into the state block, here; they stay pending on other paths. */
  protected storePending(): void {
    const known = this.#pending;
    if (known === undefined) return;
    const { source, image } = known;
    if (source !== undefined) {
      const name = source.w === 64 ? "i64.store" : "i32.store";
      this.storeRaw(name, this.i32(S.flagResult), source.result);
      if (source.first !== undefined) this.storeRaw(name, this.i32(S.flagFirst), source.first);
      if (source.aux !== undefined) this.setState32(S.flagAux, source.aux);
    } else if (image !== undefined) {
      this.setState32(S.flagAux, image);
    }
    this.setState32(S.flagKind, this.i32(known.number));
  }
  /** Puts pending flags into the state block. */
  protected flushFlags(): void {
    this.storePending();
    this.#pending = undefined;
  }
  /** The values the flags follow from, when this code has them. */
  #source(): FlagSource | undefined {
    return this.flags?.source;
  }
  setFlags(kind: FlagKind, w: Width, result: Value, given?: Value | (() => Value), second?: Value): void {
    const keepsCarry = kind === "inc" || kind === "dec";
    const number = flagKindNumber(kind, w);
    const mask = keepsCarry ? ARITHMETIC_FLAGS & ~FLAG_CF : ARITHMETIC_FLAGS;
    if (!this.flagsLive) return this.#writes(mask, { number });
    const first = typeof given === "function" ? given() : given;
    assert(kind === "logic" || keepsCarry || first !== undefined, "first operand given");
    const aux = keepsCarry ? this.#carryValue() : kind === "result" ? first : undefined;
    const operand = kind === "result" || kind === "logic" || keepsCarry ? undefined : first;
    this.#writes(mask, { number, source: { kind, w, result, first: operand, second, aux } });
  }
  setFlagsImage(image: Value): void {
    this.#writes(ARITHMETIC_FLAGS, { number: FLAG_KIND_RAW, image: image as Val });
  }
  setFlagsPart(mask: number, bits: Value): void {
    if (!this.flagsLive) return this.#writes(mask, { number: FLAG_KIND_RAW });
    const kept = this.and(32, this.#image(), this.i32(ARITHMETIC_FLAGS & ~mask));
    this.#writes(mask, { number: FLAG_KIND_RAW, image: this.or(32, kept, bits) });
  }
  #image(): Val {
    const source = this.#source();
    if (source !== undefined) return imageOf(this, source) as Val;
    if (this.flags?.image !== undefined) return this.flags.image;
    return this.call(this.links.flags, [], "i32") as Val;
  }
  flagsImage(): Value {
    this.readsFlags(ARITHMETIC_FLAGS);
    return this.#image();
  }
  /** CF without counting as a read: for INC and DEC, which pass it on. */
  #carryValue(): Value {
    const source = this.#source();
    if (source !== undefined) return carryOf(this, source);
    if (this.flags?.image !== undefined) return this.bit(this.flags.image, 0);
    return this.call(this.links.carry, [], "i32") as Val;
  }
  carry(): Value {
    this.readsFlags(FLAG_CF);
    return this.#carryValue();
  }
  condition(cc: ConditionCode): Value {
    this.readsFlags(ARITHMETIC_FLAGS);
    const source = this.#source();
    return source !== undefined ? conditionOf(this, source, cc) : conditionOfImage(this, this.#image(), cc);
  }
}
