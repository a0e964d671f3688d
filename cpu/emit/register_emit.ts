// SPDX-License-Identifier: MIT
/** General registers, immediates, and addresses made of them. @module */
import { TYPE_CODE, TYPE_EXPAND_DOWN, TYPE_RW } from "../state/descriptor.ts";
import { DS, S, SEG_UNUSABLE, segmentLayout, YMM_HIGH } from "../state/state.ts";
import type { LoadName, Val } from "./builder.ts";
import type { Address, Scalar, Value, Width } from "./emit.ts";
import { FlagEmit } from "./flag_emit.ts";

/** Attributes that say whether a segment is one for data, and usable. */
const TYPE_AND_USE = TYPE_CODE | TYPE_EXPAND_DOWN | TYPE_RW | SEG_UNUSABLE;

/** An address, and what must be done about its segment. */
export interface Place extends Address {
  readonly offset: Val;
  /** Address of the segment register in the state block (i32). */
  readonly segment: Val;
  readonly how: "none" | "base" | "checked";
}

/** See the module's description. */
export abstract class RegisterEmit extends FlagEmit {
  /** The immediate: i64. */
  protected abstract immediate(): Val;

  // Registers

  /** A general register, or part of one, at an address in the state block. */
  protected loadRegister(w: Width, address: Val): Val {
    const names: { readonly [W in Width]: LoadName } = {
      8: "i32.load8_u",
      16: "i32.load16_u",
      32: "i32.load",
      64: "i64.load",
    };
    return this.loadRaw(names[w], address);
  }
  /** Writes a general register: 32-bit results zero-extend, 8 and 16 bits leave the rest alone. */
  protected storeRegister(w: Width, address: Val, value: Value): void {
    if (w === 32) this.storeRaw("i64.store", address, this.zeroExtend(32, 64, value));
    else this.storeRaw(w === 8 ? "i32.store8" : w === 16 ? "i32.store16" : "i64.store", address, value);
  }
  reg(w: Width): Value {
    return this.loadRegister(w, this.slot("reg"));
  }
  setReg(w: Width, value: Value): void {
    this.storeRegister(w, this.slot("reg"), value);
  }
  regNumber(): Value {
    return this.slot("reg");
  }
  regIsRax(): Value {
    return this.eq(32, this.slot("reg"), this.i32(S.gpr));
  }
  imm(w: Width): Value {
    return this.truncate(64, w, this.immediate());
  }
  imm2(): Value {
    return this.and(32, this.slot("disp"), this.i32(0xffff));
  }
  gpr(index: number, w: Width): Value {
    return this.loadRegister(w, this.i32(S.gpr + index * 8));
  }
  setGpr(index: number, w: Width, value: Value): void {
    this.storeRegister(w, this.i32(S.gpr + index * 8), value);
  }
  highByte(index: number): Value {
    return this.loadRegister(8, this.i32(S.gpr + (index & 3) * 8 + 1));
  }
  setHighByte(index: number, value: Value): void {
    this.storeRegister(8, this.i32(S.gpr + (index & 3) * 8 + 1), value);
  }
  // Addresses

  protected wrap(bits: 16 | 32 | 64, offset: Val): Val {
    return bits === 64 ? offset : this.and(64, offset, this.i64(bits === 32 ? 0xffff_ffffn : 0xffffn));
  }
  /** A general register, to be used before it changes. */
  protected registerNow(address: Val): Val {
    return this.loadRegister(64, address);
  }
  /** The displacement, where code is emitted for one instruction alone. */
  protected get knownDisplacement(): number | undefined {
    return undefined;
  }
  address(): Address {
    const { asize, addressForm } = this.form;
    const disp = this.knownDisplacement, moves = disp !== 0;
    // What is added to may be the register itself, else it is what the register holds now.
    let offset = addressForm.hasIndex || moves
      ? this.registerNow(this.slot("base"))
      : this.loadRegister(64, this.slot("base"));
    if (addressForm.hasIndex) {
      const index = this.registerNow(this.slot("index")), scale = this.slot("scale");
      offset = this.add(64, offset, scale.constant === 0 ? index : this.shl(64, index, scale));
    }
    if (moves) {
      offset = this.add(
        64,
        offset,
        disp === undefined ? this.signExtend(32, 64, this.slot("disp")) : this.i64(disp),
      );
    }
    const how = addressForm.segment;
    const segment = how === "none" ? this.i32(0) : this.slot("segment");
    return { offset: this.wrap(asize, offset), segment, how } as Place;
  }
  indexPart(type: Scalar, offset: number, half: 0 | 1): Value {
    return this.loadVector(`${type}.load`, this.slot("index"), offset + half * YMM_HIGH);
  }
  vsibAddress(index: Value): Address {
    const { asize, addressForm } = this.form;
    const base = this.loadRegister(64, this.slot("base"));
    const scaled = this.shl(64, index as Val, this.slot("scale"));
    const offset = this.add(64, this.add(64, base, scaled), this.op("i64.extend_i32_s", this.slot("disp")));
    const how = addressForm.segment;
    const segment = how === "none" ? this.i32(0) : this.slot("segment");
    return { offset: this.wrap(asize, offset), segment, how } as Place;
  }
  sourceAddress(offset: Value): Address {
    const how = this.form.addressForm.segment;
    return {
      offset: offset as Val,
      segment: how === "none" ? this.i32(0) : this.slot("segment"),
      how,
    } as Place;
  }
  sourceSegment(): Value {
    const offset = this.op("i32.sub", this.slot("segment"), this.i32(S.es));
    return this.op("i32.div_u", offset, this.i32(segmentLayout.size));
  }
  segmentAddress(index: number, offset: Value): Address {
    const segment = this.i32(S.es + index * segmentLayout.size);
    const needsBase = index > DS;
    const how = this.form.codeBits === 64
      ? (needsBase ? "base" : "none")
      : this.form.flat && !needsBase
      ? "none"
      : "checked";
    return { offset: offset as Val, segment, how } as Place;
  }
  offsetBy(address: Address, bytes: number | Value): Address {
    const place = address as Place;
    const delta = typeof bytes === "number" ? this.i64(bytes) : bytes as Val;
    return { ...place, offset: this.wrap(this.form.asize, this.add(64, place.offset, delta)) } as Place;
  }
  linear(address: Address): Value {
    return this.withBase(address as Place);
  }
  /** The linear address, nothing checked. */
  protected withBase(place: Place): Val {
    if (place.how === "none") return place.offset;
    const base = this.loadRaw("i64.load", place.segment, segmentLayout.at.base);
    return this.wrap(this.form.codeBits === 64 ? 64 : 32, this.add(64, place.offset, base));
  }
  /** Whether an access outside 64-bit code is one of `bytes` within a data segment that may be written and grows upwards. */
  protected isWithinData({ offset, segment }: Place, bytes: number): Val {
    const { attributes, limit } = segmentLayout.at;
    const type = this.and(32, this.loadRaw("i32.load", segment, attributes), this.i32(TYPE_AND_USE));
    const end = this.zeroExtend(32, 64, this.loadRaw("i32.load", segment, limit));
    const isBeyond = this.ltU(64, end, this.add(64, offset, this.i64(bytes - 1)));
    return this.and(32, this.eq(32, type, this.i32(TYPE_RW)), this.eqz(32, isBeyond));
  }
}
