// SPDX-License-Identifier: MIT
/**
 * Lazy flags in a region. Within a block they are values, of a kind known when the code is emitted; between blocks, and
 * where the region is left, they are in locals, with a kind that is known where all ways agree.
 * @module
 */
import { ARITHMETIC_FLAGS, FLAG_KIND_RAW } from "../../state/state.ts";
import type { Val } from "../builder.ts";
import type { ConditionCode, FlagKind, Value, Width } from "../emit.ts";
import {
  carryOf,
  conditionOf,
  conditionOfImage,
  flagKindNumber,
  flagKindOf,
  type FlagSource,
  imageOf,
} from "../flags.ts";
import { type Cell, RegionFrame } from "./region_frame.ts";

/** What is known of the flags. With neither source nor image they are in the locals, of a known kind. */
interface KnownFlags {
  readonly number: number;
  readonly source?: FlagSource;
  readonly image?: Val;
}

/** See the module's description. */
export abstract class RegionFlags extends RegionFrame {
  /** Undefined: the locals hold them, of some kind. */
  #known: KnownFlags | undefined;
  /** The locals hold the flags. */
  #synced = true;

  /** The locals hold the flags, of `kind` if that is known. */
  protected flagsInLocals(kind: number | undefined): void {
    this.#known = kind === undefined ? undefined : { number: kind };
    this.#synced = true;
  }
  /** Kind of the flags now, when it is known. */
  get kind(): number | undefined {
    return this.#known?.number;
  }
  /** Puts the flags into the locals here; what is known of them stays true on other paths. */
  protected override syncHere(): void {
    if (this.#synced || this.#known === undefined) return;
    const { number, source, image } = this.#known;
    const wide = (w: Width, v: Value) => this.zeroExtend(w === 64 ? 64 : 32, 64, v);
    if (source !== undefined) {
      this.write(this.flagResultCell, wide(source.w, source.result));
      if (source.first !== undefined) this.write(this.flagFirstCell, wide(source.w, source.first));
      if (source.aux !== undefined) this.write(this.flagAuxCell, source.aux);
    } else if (image !== undefined) this.write(this.flagAuxCell, image);
    this.write(this.flagKindCell, this.i32(number));
  }
  /** Puts the flags into the locals. */
  sync(): void {
    if (this.#synced) return;
    this.write(this.carryCell, this.carry());
    this.syncHere();
    this.#synced = true;
  }
  #define(known: KnownFlags): void {
    this.#known = known;
    this.#synced = false;
    if (this.depth === 0) return;
    // On other paths they are what the locals hold: sync() went before.
    this.sync();
    this.#known = undefined;
  }
  override setFlags(kind: FlagKind, w: Width, result: Value, first?: Value, second?: Value): void {
    if (!this.flagsLive) return;
    const number = flagKindNumber(kind, w);
    if (kind === "inc" || kind === "dec") {
      return this.#define({ number, source: { kind, w, result, aux: this.carry() } });
    }
    const aux = kind === "result" ? first : undefined;
    const operand = kind === "result" || kind === "logic" ? undefined : first;
    this.#define({ number, source: { kind, w, result, first: operand, second: operand && second, aux } });
  }
  override setFlagsImage(image: Value): void {
    if (this.flagsLive) this.#define({ number: FLAG_KIND_RAW, image: image as Val });
  }
  override setFlagsPart(mask: number, bits: Value): void {
    if (!this.flagsLive) return;
    const kept = this.and(32, this.flagsImage(), this.i32(ARITHMETIC_FLAGS & ~mask));
    this.setFlagsImage(this.or(32, kept, bits));
  }
  /** The values the flags follow from, when their kind is known and not raw. */
  #source(): FlagSource | undefined {
    const known = this.#known;
    if (known === undefined || known.source !== undefined) return known?.source;
    const kind = flagKindOf(known.number);
    if (kind === undefined) return undefined;
    const value = (cell: Cell) => kind.w === 64 ? this.read(cell) : this.op("i32.wrap_i64", this.read(cell));
    return {
      ...kind,
      result: value(this.flagResultCell),
      first: value(this.flagFirstCell),
      aux: this.read(this.flagAuxCell),
    };
  }
  /** The image, when the flags are known to be one. */
  #rawImage(): Val | undefined {
    const known = this.#known;
    if (known?.number !== FLAG_KIND_RAW) return undefined;
    return known.image ?? this.read(this.flagAuxCell);
  }
  override flagsImage(): Value {
    const source = this.#source();
    if (source !== undefined) return imageOf(this, source);
    const image = this.#rawImage();
    if (image !== undefined) return image;
    this.storeFlags();
    return this.call(this.links.flags, [], "i32") as Val;
  }
  override carry(): Value {
    const source = this.#source();
    if (source !== undefined) return carryOf(this, source);
    const image = this.#rawImage();
    return image !== undefined ? this.bit(image, 0) : this.read(this.carryCell);
  }
  override condition(cc: ConditionCode): Value {
    if ((cc >> 1) === 1) {
      const carry = this.carry();
      return cc & 1 ? this.eqz(32, carry) : carry;
    }
    const source = this.#source();
    return source !== undefined
      ? conditionOf(this, source, cc)
      : conditionOfImage(this, this.flagsImage(), cc);
  }
}
