// SPDX-License-Identifier: MIT
/**
 * Lazy flags in a region. Within a block they are values, of a kind known when the code is emitted; between blocks, and
 * where the region is left, they are in the state block, with a kind that is known where all ways agree. In locals they
 * would have to be loaded and stored wherever the region is entered and left.
 * @module
 */
import { ARITHMETIC_FLAGS, FLAG_CF, FLAG_KIND_RAW } from "../../state/state.ts";
import type { Val } from "../builder.ts";
import type { ConditionCode, FlagKind, IntValue, LazyFlags, Value, Width } from "../emit.ts";
import {
  carryOf,
  conditionOf,
  conditionOfImage,
  flagKindNumber,
  flagKindOf,
  type FlagSource,
  imageOf,
} from "../flags.ts";
import { AUX_OF_PRODUCT, CARRY_UNKNOWN, type Cell, RegionFrame } from "./region_frame.ts";

/**
 * What is known of the flags. With neither source nor image they are in the state block, of a known kind. What is costly in
 * them (CF and OF of shifts and products, carries, flags that an instruction passes on) is emitted where it is read, which
 * mostly is where the region is left: computed at once it would have to be kept for every way out. It may be read from
 * the state block, so it is computed at the latest when these are about to change.
 */
interface KnownFlags {
  readonly number: number;
  readonly source: FlagSource | undefined;
  /** Of the kind raw: the six flags, and CF. */
  readonly image: Image | undefined;
  /** Factors that `source.aux` follows from, or the carry that it passes on: see LazyFlags. */
  readonly product: LazyFlags["product"];
}
function flagsOf(number: number, source: FlagSource | undefined, product?: LazyFlags["product"]): KnownFlags {
  return { number, source, image: undefined, product };
}
interface Image {
  bits(): Val;
  carry(): Val;
}

/** A source whose first operand or aux is emitted each time it is read. */
class PendingFlags implements FlagSource {
  constructor(
    readonly kind: FlagKind,
    readonly w: Width,
    readonly result: Value,
    private readonly computeFirst: (() => Value) | undefined,
    private readonly computeAux: (() => Value) | undefined,
  ) {}
  get first(): Value | undefined {
    return this.computeFirst?.();
  }
  get aux(): Value | undefined {
    return this.computeAux?.();
  }
}

/** See the module's description. */
export abstract class RegionFlags extends RegionFrame {
  /** Undefined: the state block holds them, of some kind. */
  #known: KnownFlags | undefined;
  /** The state block holds the flags. */
  #synced = true;

  /** The state block holds the flags, of `kind` if that is known. */
  protected flagsInLocals(kind: number | undefined): void {
    this.#known = kind === undefined ? undefined : flagsOf(kind, undefined);
    this.#synced = true;
  }
  /** Kind of the flags now, when it is known. */
  get kind(): number | undefined {
    return this.#known?.number;
  }
  /** Puts the flags into the state block here; what is known of them stays true on other paths. */
  protected override syncHere(): void {
    if (!this.#synced && this.#known !== undefined) this.#write(this.#computed(this.#known));
  }
  /** The same flags, with nothing left to compute. */
  #computed(known: KnownFlags): KnownFlags {
    const { number, source, image, product } = known;
    if (product !== undefined) return known;
    if (source instanceof PendingFlags) {
      const { kind, w, result, first, aux } = source; // once: reading them emits code
      return flagsOf(number, { kind, w, result, first, second: undefined, aux });
    }
    if (image === undefined) return known;
    const bits = image.bits();
    return {
      number,
      source: undefined,
      image: { bits: () => bits, carry: () => this.bit(bits, 0) },
      product,
    };
  }
  #write({ number, source, image, product }: KnownFlags): void {
    if (source !== undefined) {
      const w = source.w === 64 ? 64 : 32;
      this.write(this.flagResultCell, this.zeroExtend(w, 64, source.result));
      const { first } = source; // once: reading it may emit code
      if (first !== undefined) this.write(this.flagFirstCell, this.zeroExtend(w, 64, first));
      if (product !== undefined) {
        product.forEach((factor, i) => this.write(this.productCells[i] as Cell, factor));
        this.write(this.flagAuxCell, this.i32(AUX_OF_PRODUCT));
      } else if (source.aux !== undefined) this.write(this.flagAuxCell, source.aux);
    } else if (image !== undefined) this.write(this.flagAuxCell, image.bits());
    this.write(this.flagKindCell, this.i32(number));
  }
  /** Puts the flags into the state block. */
  sync(): void {
    if (this.#synced) return;
    const known = this.#known;
    if (known !== undefined) {
      const computed = this.#known = this.#computed(known);
      const carry = computed.product === undefined ? this.#carryOf(computed) : this.i32(CARRY_UNKNOWN);
      this.write(this.carryCell, carry);
      this.#write(computed);
    }
    this.#synced = true;
  }
  #define(known: KnownFlags): void {
    this.#known = known;
    this.#synced = false;
    if (this.depth === 0) return;
    // On other paths they are what the state block holds: sync() went before.
    this.sync();
    this.#known = undefined;
  }
  override setFlags(
    kind: FlagKind,
    w: Width,
    result: Value,
    first?: IntValue | LazyFlags,
    second?: Value,
  ): void {
    if (!this.flagsLive) return;
    const number = flagKindNumber(kind, w);
    if (kind === "inc" || kind === "dec") {
      const before = this.#known;
      const source = new PendingFlags(kind, w, result, undefined, () => this.#carryOf(before));
      return this.#define(flagsOf(number, source, before?.product));
    }
    if (typeof first === "function") {
      const isCarries = kind === "carry" || kind === "borrow";
      const source = isCarries
        ? new PendingFlags(kind, w, result, first, undefined)
        : new PendingFlags(kind, w, result, undefined, first);
      return this.#define(flagsOf(number, source, isCarries ? undefined : first.product));
    }
    const aux = kind === "result" ? first : undefined;
    const operand = kind === "result" || kind === "logic" ? undefined : first;
    this.#define(flagsOf(number, { kind, w, result, first: operand, second: operand && second, aux }));
  }
  override setFlagsImage(image: Value): void {
    if (!this.flagsLive) return;
    this.#defineImage({ bits: () => image as Val, carry: () => this.bit(image, 0) });
  }
  override setFlagsPart(mask: number, part: Value): void {
    if (!this.flagsLive) return;
    const before = this.#known;
    const bits = () => {
      const kept = this.and(32, this.#imageOf(before), this.i32(ARITHMETIC_FLAGS & ~mask));
      return this.or(32, kept, part);
    };
    const carry = () => (mask & FLAG_CF) !== 0 ? this.bit(part, 0) : this.#carryOf(before);
    this.#defineImage({ bits, carry });
  }
  #defineImage(image: Image): void {
    this.#define({ number: FLAG_KIND_RAW, source: undefined, image, product: undefined });
  }
  /** The values the flags follow from, when their kind is known and not raw. */
  #sourceOf(known: KnownFlags | undefined): FlagSource | undefined {
    if (known === undefined || known.source !== undefined) return known?.source;
    const kind = flagKindOf(known.number);
    if (kind === undefined) return undefined;
    const value = (cell: Cell) => kind.w === 64 ? this.read(cell) : this.wrap64(this.cellNow(cell));
    const aux = () => {
      this.computeAux();
      return this.read(this.flagAuxCell);
    };
    const result = value(this.flagResultCell), first = value(this.flagFirstCell);
    return new PendingFlags(kind.kind, kind.w, result, () => first, aux);
  }
  #imageOf(known: KnownFlags | undefined): Val {
    const source = this.#sourceOf(known);
    if (source !== undefined) return imageOf(this, source) as Val;
    if (known !== undefined) return known.image?.bits() ?? this.read(this.flagAuxCell);
    this.computeAux();
    return this.call(this.links.flags, [], "i32") as Val;
  }
  #carryOf(known: KnownFlags | undefined): Val {
    const source = this.#sourceOf(known);
    if (source !== undefined) return carryOf(this, source) as Val;
    if (known === undefined) return this.#carryInLocals();
    return known.image?.carry() ?? this.bit(this.read(this.flagAuxCell), 0);
  }
  /** Most regions are left before anybody wants to know, so it is not computed where they are entered. */
  #carryInLocals(): Val {
    this.unlikely(this.eq(32, this.cellNow(this.carryCell), this.i32(CARRY_UNKNOWN)), () => {
      this.computeAux();
      this.write(this.carryCell, this.call(this.links.carry, [], "i32") as Val);
    });
    return this.read(this.carryCell);
  }
  override flagsImage(): Value {
    return this.#imageOf(this.#known);
  }
  override carry(): Value {
    return this.#carryOf(this.#known);
  }
  override condition(cc: ConditionCode): Value {
    if ((cc >> 1) === 1) {
      const carry = this.carry();
      return cc & 1 ? this.eqz(32, carry) : carry;
    }
    const source = this.#sourceOf(this.#known);
    return source !== undefined
      ? conditionOf(this, source, cc)
      : conditionOfImage(this, this.flagsImage(), cc);
  }
}
