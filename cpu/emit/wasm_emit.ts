// SPDX-License-Identifier: MIT
/**
 * The part of Emit that both WebAssembly back ends share: registers, memory through the inline TLB check, lazy
 * flags, leaving a block. Where the operand addresses come from (`slot`) and what follows an instruction
 * (`next`) is left to cpu/emit/interpreter.ts and cpu/emit/region/.
 *
 * An instruction has changed nothing when it leaves with FAULT: descriptions put their last faulting access
 * before their first write, and loadForUpdate/peek/commit exist for those that cannot.
 * @module
 */
import { assert } from "../base/assert.ts";
import {
  H_SSE_LOOK,
  H_STALE,
  H_VECTOR_FUNCTION,
  record,
  RECORD_BYTES,
  RECORD_FALL,
  RECORD_TAKEN,
} from "../state/record.ts";
import {
  ARITHMETIC_FLAGS,
  DS,
  EXC_GP,
  FLAG_CF,
  FLAG_KIND_RAW,
  S,
  segmentLayout,
  SS,
  TLB_BITS,
  tlbEntry,
  XMM_BASE,
  YMM_HIGH,
} from "../state/state.ts";
import { DISPATCH, FAULT } from "../state/status.ts";
import { SSE_256, SSE_VALUE, SSE_VEX, SSE_VVVV, sseLookNumber } from "../fpu/sse/sse_unit.ts";
import type { FunctionBody } from "../wasm/encoder.ts";
import { type LoadName, type StoreName, Val } from "./builder.ts";
import type {
  Address,
  ConditionCode,
  Emit,
  FlagKind,
  HalvesOptions,
  MicrocodeArguments,
  MicrocodeOptions,
  Scalar,
  SecondLook,
  Value,
  Variable,
  VectorField,
  Width,
} from "./emit.ts";
import { type Facts, noFacts } from "./facts.ts";
import { carryOf, conditionOf, conditionOfImage, flagKindNumber, type FlagSource, imageOf } from "./flags.ts";
import type { InstructionForm, Operands, Slot } from "./form.ts";
import { type CoreFunction, type Links, VECTOR_FUNCTIONS, type VectorFunction } from "./links.ts";
import {
  MICROCODE,
  type MicrocodeCall,
  type MicrocodeName,
  microcodeNumber,
  type Register,
} from "./microcode_calls.ts";
import { VectorEmit } from "./vector_emit.ts";

/** What is known of the flags: S.flagKind, and the values if they are at hand. */
interface KnownFlags {
  readonly number: number;
  readonly source?: FlagSource;
  /** For the kind raw: the six flags. */
  readonly image?: Val;
}

interface Place extends Address {
  readonly offset: Val;
  /** Address of the segment register in the state block (i32). */
  readonly segment: Val;
  readonly how: "none" | "base" | "checked";
}

/** What describing a 256-bit instruction by halves has come to. */
interface Halves {
  /** What to write, and where. */
  field: VectorField;
  readonly results: Value[];
  readonly widens: boolean;
  /** The second source, once it has been read. */
  second?: readonly [Value, Value];
  /** MXCSR before the first half's second look, which may set PE; -1: there was none. */
  readonly mxcsr: Variable;
}

const LOWER_PARTS = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const UPPER_PART = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

/** Size flag of the slow paths: a stack access (#SS instead of #GP). */
export const STACK_ACCESS = 0x100;

/** See the module's description. */
export abstract class WasmEmit extends VectorEmit implements Emit {
  form!: InstructionForm;
  facts: Facts = noFacts();
  /** Number of the instruction in its function, from 0: its record is that many behind the first. */
  protected position = 0;
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

  /** The immediate: i64. */
  protected abstract immediate(): Val;
  /** Address of the first record: i32. */
  protected abstract firstRecord(): Val;
  /** Address of record `position`: i32. */
  protected abstract recordAt(position: number): Val;
  /** Address of the current record. */
  protected record(): Val {
    return this.recordAt(this.position);
  }

  // The instructions of a function, in order

  /** The function covers a whole block; `loops`: one that branches to itself. */
  wholeBlock(loops: boolean): void {
    this.sinksFlags = true;
    if (!loops) return;
    this.body.loop();
    this.#loopStart = this.firstRecord();
  }
  /**
   * Goes on with the instruction of record `position`. `facts`: what is known of it, in functions of whole blocks;
   * `flagsLive`: whether somebody reads the flags it writes.
   */
  begin(operands: Operands, position: number, facts?: Facts, flagsLive = true): void {
    this.form = operands.form;
    this.position = position;
    this.facts = noFacts();
    this.flagsLive = flagsLive;
    if (facts !== undefined) this.#beforeInstruction(facts);
  }
  /** Pending flags must not meet code that writes some flags on some paths. */
  #beforeInstruction(facts: Facts): void {
    if (facts.flagsMayWrite !== facts.flagsWritten || facts.calls || facts.ends || facts.repeats) {
      this.#flushFlags();
    }
  }
  /** After a store: leaves before the next instruction when the store hit its code. */
  checkNext(): void {
    const offset = (this.position + 1) * RECORD_BYTES + record.at.handler;
    const handler = this.loadRaw("i32.load", this.firstRecord(), offset);
    this.if(this.eq(32, handler, this.i32(H_STALE)), () => {
      this.#storePending();
      this.setState64(S.rip, this.nextRip());
      this.return(this.i32(DISPATCH));
    });
  }
  /** Ends the function: goes to the record behind the last one, unless the instruction never does. */
  finish(): void {
    if (this.facts.ends) this.unreachable();
    else {
      this.#flushFlags();
      const next = this.position + 1;
      const slot = this.loadRaw("i32.load", this.firstRecord(), next * RECORD_BYTES + record.at.handler);
      this.returnCallIndirect(this.links.handlerType, [this.recordAt(next)], slot);
    }
    if (this.#loopStart === undefined) return;
    this.body.endLoop();
    this.unreachable();
  }

  protected override get remembersVectors(): boolean {
    return this.sinksFlags;
  }

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
  rm(w: Width): Value {
    return this.form.isMemory ? this.load(w, this.address()) : this.loadRegister(w, this.slot("rm"));
  }
  setRm(w: Width, value: Value): void {
    if (this.form.isMemory) this.store(w, this.address(), value);
    else this.storeRegister(w, this.slot("rm"), value);
  }
  updateRm(w: Width, f: (old: Value) => Value): void {
    if (!this.form.isMemory) {
      return this.storeRegister(w, this.slot("rm"), f(this.loadRegister(w, this.slot("rm"))));
    }
    const access = this.loadForUpdate(w, this.address());
    // The store cannot fault, but flags set by f must not be lost to it either: it comes right after.
    access.store(f(access.value));
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

  // Vector registers

  /** Address of the register in `field`. */
  #vectorAt(field: VectorField): Val {
    return field === "is4" ? this.truncate(64, 32, this.immediate()) : this.slot(field);
  }
  /** The field that xmmReg and setXmmRm mean. */
  #firstOr(field: "reg" | "rm"): VectorField {
    return this.form.threeOperands ? "vvvv" : field;
  }
  vector(field: VectorField, half: 0 | 1 = 0): Value {
    return this.loadVector("v128.load", this.#vectorAt(field), half * YMM_HIGH);
  }
  setVector(field: VectorField, low: Value, high?: Value): void {
    const at = this.#vectorAt(field);
    this.storeVector("v128.store", at, low, 0);
    this.storeVector("v128.store", at, high ?? this.v128(0n, 0n), YMM_HIGH);
  }
  vectorPart(field: VectorField, type: Scalar, offset: number, half: 0 | 1): Value {
    return this.loadVector(`${type}.load`, this.#vectorAt(field), offset + half * YMM_HIGH);
  }
  setVectorPart(field: VectorField, value: Value, offset: number, half: 0 | 1): void {
    const name = `${value.type}.store` as StoreName;
    this.storeVector(name, this.#vectorAt(field), value, offset + half * YMM_HIGH);
  }
  #setDestination(field: VectorField, value: Value): void {
    if (this.form.vector === 0) return this.storeVector("v128.store", this.slot(field as Slot), value, 0);
    const halves = this.#halves;
    if (halves === undefined) return this.setVector(field, value);
    assert(this.depth === 0, "a half has its result on every path");
    halves.field = field;
    halves.results[this.half] = value;
  }
  xmmReg(): Value {
    return this.vector(this.#firstOr("reg"), this.half);
  }
  setXmmReg(value: Value): void {
    this.#setDestination("reg", value);
  }
  xmmRm(): Value {
    const halves = this.#halves;
    return halves?.widens === true ? this.#second(halves)[this.half] : this.vector("rm", this.half);
  }
  setXmmRm(value: Value): void {
    this.#setDestination(this.#firstOr("rm"), value);
  }
  xmmPart(field: "reg" | "rm", type: Scalar, offset = 0): Value {
    const from = field === "reg" ? this.#firstOr("reg") : "rm";
    return this.loadVector(`${type}.load`, this.slot(from as Slot), offset);
  }
  setXmmPart(field: "reg" | "rm", value: Value, offset = 0): void {
    if (this.form.vector !== 0) this.setVector(field, this.vector(this.#firstOr(field)));
    this.storeVector(`${value.type}.store` as StoreName, this.slot(field), value, offset);
  }
  xmm(index: number): Value {
    return this.loadVector("v128.load", this.i32(XMM_BASE + index * 16), 0);
  }
  setXmm(index: number, value: Value): void {
    this.storeVector("v128.store", this.i32(XMM_BASE + index * 16), value, 0);
    if (this.form.vector !== 0) this.zeroHigh(index);
  }
  zeroHigh(index: number): void {
    this.storeVector("v128.store", this.i32(XMM_BASE + index * 16), this.v128(0n, 0n), YMM_HIGH);
  }
  xmmMemory(): Value {
    const halves = this.#halves;
    if (halves === undefined) return this.load128(this.address(), this.form.vector === 0);
    return this.#second(halves)[this.half];
  }
  half: 0 | 1 = 0;
  #halves: Halves | undefined;
  halves(lane: () => void, { widens = false, narrows = false }: HalvesOptions = {}): void {
    if (this.form.vector !== 256) return lane();
    const halves: Halves = this.#halves = {
      field: "reg",
      results: [],
      widens,
      mxcsr: this.variable(this.i32(-1)),
    };
    lane();
    this.half = 1;
    lane();
    this.half = 0;
    this.#halves = undefined;
    const [low, high] = halves.results as [Value, Value];
    if (narrows) this.setVector(halves.field, this.shuffle(LOWER_PARTS, low, high));
    else this.setVector(halves.field, low, high);
  }
  /** Both halves of ModRM.rm: all of a memory operand is read before anything is done. */
  #second(halves: Halves): readonly [Value, Value] {
    const { isMemory } = this.form;
    if (!isMemory && !halves.widens) return [this.vector("rm", 0), this.vector("rm", 1)];
    if (halves.second !== undefined) return halves.second;
    assert(this.depth === 0, "the second source is read on every path");
    if (!halves.widens) return halves.second = this.load256(this.address());
    const all = isMemory ? this.load128(this.address()) : this.vector("rm");
    return halves.second = [all, this.shuffle(UPPER_PART, all, all)];
  }
  vvvv(w: Width): Value {
    return this.loadRegister(w, this.slot("vvvv"));
  }
  setVvvv(w: Width, value: Value): void {
    this.storeRegister(w, this.slot("vvvv"), value);
  }

  // Addresses

  #wrap(bits: 16 | 32 | 64, offset: Val): Val {
    return bits === 64 ? offset : this.and(64, offset, this.i64(bits === 32 ? 0xffff_ffffn : 0xffffn));
  }
  address(): Address {
    const { asize, addressForm } = this.form;
    let offset = this.loadRegister(64, this.slot("base"));
    if (addressForm.hasIndex) {
      const index = this.loadRegister(64, this.slot("index"));
      offset = this.add(64, offset, this.shl(64, index, this.slot("scale")));
    }
    offset = this.add(64, offset, this.op("i64.extend_i32_s", this.slot("disp")));
    const how = addressForm.segment;
    const segment = how === "none" ? this.i32(0) : this.slot("segment");
    return { offset: this.#wrap(asize, offset), segment, how } as Place;
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
    return { offset: this.#wrap(asize, offset), segment, how } as Place;
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
    return { ...place, offset: this.#wrap(this.form.asize, this.add(64, place.offset, delta)) } as Place;
  }
  linear(address: Address): Value {
    const place = address as Place;
    if (place.how === "none") return place.offset;
    const base = this.loadRaw("i64.load", place.segment, segmentLayout.at.base);
    return this.#wrap(this.form.codeBits === 64 ? 64 : 32, this.add(64, place.offset, base));
  }
  /** Linear address for an access of `bytes`, with the segment checks where they are not trivially true. */
  #checkedLinear(address: Address, bytes: number, write: boolean): Val {
    const place = address as Place;
    if (place.how !== "checked") return this.linear(address) as Val;
    this.facts.canLeave = true;
    this.setState64(S.memAddr, place.offset);
    const mode = this.i32(bytes | (write ? 0x100 : 0));
    this.#orFault(this.call(this.links.segmented, [this.record(), place.segment, mode], "i32") as Val);
    return this.state64(S.memAddr) as Val;
  }

  // Memory

  /** Leaves with FAULT when `status` is not NEXT. */
  #orFault(status: Val): void {
    this.if(status, () => {
      this.#storePending();
      this.return(status);
    });
  }
  /** Address of the TLB entry for `linear`. */
  #tlbEntry(linear: Val): Val {
    const shift = 12 - Math.log2(tlbEntry.size);
    const index = this.op("i32.shr_u", this.op("i32.wrap_i64", linear), this.i32(shift));
    const masked = this.and(32, index, this.i32(((1 << TLB_BITS) - 1) * tlbEntry.size));
    return this.add(32, masked, this.loadRaw("i32.load", this.i32(S.tlbBase)));
  }
  /** 1 when the entry's tag allows an access of `bytes` at `linear` without leaving the page. */
  #hit(linear: Val, entry: Val, bytes: number, tag: number): Val {
    const last = bytes === 1 ? linear : this.add(64, linear, this.i64(bytes - 1));
    return this.op("i64.eq", this.and(64, last, this.i64(-4096n)), this.loadRaw("i64.load", entry, tag));
  }
  #host(linear: Val, entry: Val): Val {
    return this.add(32, this.op("i32.wrap_i64", linear), this.loadRaw("i32.load", entry, tlbEntry.at.addend));
  }
  #slow(index: number, linear: Val, bytes: number, isStack: boolean): void {
    this.setState64(S.memAddr, linear);
    const size = this.i32(bytes | (isStack ? STACK_ACCESS : 0));
    this.#orFault(this.call(index, [this.record(), size], "i32") as Val);
  }
  #isStack(address: Address): boolean {
    return (address as Place).segment.constant === BigInt(S.ss);
  }
  #loadMemory(address: Address, bytes: number, name: LoadName): Val {
    this.facts.canLeave = true;
    const linear = this.#checkedLinear(address, bytes, false);
    const entry = this.#tlbEntry(linear);
    const result = this.body.local(name === "v128.load" ? "v128" : name.startsWith("i64") ? "i64" : "i32");
    const put = (v: Val) => {
      this.pushValue(v);
      this.body.set(result);
    };
    const type = name === "v128.load" ? "v128" : name.startsWith("i64") ? "i64" : "i32";
    this.if(this.#hit(linear, entry, bytes, tlbEntry.at.readTag), () => {
      put(this.loadRaw(name, this.#host(linear, entry)));
    }, () => {
      this.#slow(this.links.slowLoad, linear, bytes, this.#isStack(address));
      put(this.loadRaw(name, this.i32(S.memData)));
    });
    return new Val(type, result, undefined);
  }
  #storeMemory(address: Address, bytes: number, name: StoreName, value: Value): void {
    this.facts.canLeave = true;
    this.facts.stores = true;
    const linear = this.#checkedLinear(address, bytes, true);
    const entry = this.#tlbEntry(linear);
    this.if(this.#hit(linear, entry, bytes, tlbEntry.at.writeTag), () => {
      this.storeRaw(name, this.#host(linear, entry), value);
    }, () => {
      this.storeRaw(name, this.i32(S.memData), value);
      this.#slow(this.links.slowStore, linear, bytes, this.#isStack(address));
    });
  }
  static readonly #LOAD: { readonly [W in Width]: LoadName } = {
    8: "i32.load8_u",
    16: "i32.load16_u",
    32: "i32.load",
    64: "i64.load",
  };
  static readonly #STORE: { readonly [W in Width]: StoreName } = {
    8: "i32.store8",
    16: "i32.store16",
    32: "i32.store",
    64: "i64.store",
  };
  load(w: Width, address: Address): Value {
    return this.#loadMemory(address, w / 8, WasmEmit.#LOAD[w]);
  }
  store(w: Width, address: Address, value: Value): void {
    this.#storeMemory(address, w / 8, WasmEmit.#STORE[w], value);
  }
  loadForUpdate(w: Width, address: Address): { readonly value: Value; store(value: Value): void } {
    this.facts.canLeave = true;
    this.facts.stores = true;
    const bytes = w / 8;
    const linear = this.#checkedLinear(address, bytes, true);
    const entry = this.#tlbEntry(linear);
    const hit = this.#hit(linear, entry, bytes, tlbEntry.at.writeTag);
    // `at` is where the bytes are: guest memory, or the state block's buffer on the slow path.
    const at = this.variable(this.i32(S.memData));
    this.if(hit, () => this.set(at, this.#host(linear, entry)), () => {
      this.#slow(this.links.slowUpdate, linear, bytes, this.#isStack(address));
    });
    const place = this.get(at);
    const value = this.loadRaw(WasmEmit.#LOAD[w], place);
    const store = (v: Value) => {
      this.storeRaw(WasmEmit.#STORE[w], place, v);
      this.if(
        this.eqz(32, hit),
        () => this.#slow(this.links.slowStore, linear, bytes, this.#isStack(address)),
      );
    };
    return { value, store };
  }
  #requireAligned(address: Address, bytes: 16 | 32): void {
    const linear = this.linear(address);
    this.faultIf(this.op("i32.wrap_i64", this.and(64, linear, this.i64(bytes - 1))), EXC_GP, 0);
  }
  load128(address: Address, aligned = false): Value {
    if (aligned) this.#requireAligned(address, 16);
    return this.#loadMemory(address, 16, "v128.load");
  }
  store128(address: Address, value: Value, aligned = false): void {
    if (aligned) this.#requireAligned(address, 16);
    this.#storeMemory(address, 16, "v128.store", value);
  }
  load256(address: Address, aligned = false): readonly [Value, Value] {
    if (aligned) this.#requireAligned(address, 32);
    this.facts.canLeave = true;
    const linear = this.#checkedLinear(address, 32, false);
    const entry = this.#tlbEntry(linear);
    const at = this.variable(this.i32(S.memData));
    this.if(
      this.#hit(linear, entry, 32, tlbEntry.at.readTag),
      () => this.set(at, this.#host(linear, entry)),
      () => this.#slow(this.links.slowLoad, linear, 32, this.#isStack(address)),
    );
    const place = this.get(at);
    return [this.loadRaw("v128.load", place), this.loadRaw("v128.load", place, 16)];
  }
  store256(address: Address, low: Value, high: Value, aligned = false): void {
    if (aligned) this.#requireAligned(address, 32);
    this.facts.canLeave = true;
    this.facts.stores = true;
    const linear = this.#checkedLinear(address, 32, true);
    const entry = this.#tlbEntry(linear);
    const put = (at: Val) => {
      this.storeRaw("v128.store", at, low);
      this.storeRaw("v128.store", at, high, 16);
    };
    this.if(this.#hit(linear, entry, 32, tlbEntry.at.writeTag), () => put(this.#host(linear, entry)), () => {
      put(this.i32(S.memData));
      this.#slow(this.links.slowStore, linear, 32, this.#isStack(address));
    });
  }
  hostSpan(address: Address, write: boolean): Value | undefined {
    if ((address as Place).how === "checked") return undefined;
    if (write) this.facts.stores = true;
    const linear = this.linear(address) as Val;
    const entry = this.#tlbEntry(linear);
    const hit = this.#hit(linear, entry, 1, write ? tlbEntry.at.writeTag : tlbEntry.at.readTag);
    const at = this.variable(this.#host(linear, entry));
    this.if(this.eqz(32, hit), () => {
      this.setState64(S.memAddr, linear);
      this.set(at, this.call(this.links.span, [this.i32(write ? 1 : 0)], "i32") as Val);
    });
    return this.get(at);
  }
  hostLoad(w: Width, at: Value): Value {
    return this.loadRaw(WasmEmit.#LOAD[w], at);
  }
  hostLoad128(at: Value): Value {
    return this.loadRaw("v128.load", at);
  }
  hostStore(w: Width, at: Value, value: Value): void {
    this.storeRaw(WasmEmit.#STORE[w], at, value);
  }
  hostCopy(to: Value, from: Value, bytes: Value): void {
    this.copyRaw(to, from, bytes);
  }
  hostFill(to: Value, byte: Value, bytes: Value): void {
    this.fillRaw(to, byte, bytes);
  }

  // Stack

  /** `rsp` moved by `bytes`, within the stack's width. */
  #movedStack(rsp: Val, bytes: number): Val {
    return this.#wrap(this.form.stackBits, this.add(64, rsp, this.i64(bytes)));
  }
  #setStack(rsp: Val, moved: Val): void {
    if (this.form.stackBits !== 16) return this.setGpr(4, 64, moved);
    const high = this.and(64, rsp, this.i64(~0xffffn));
    this.setGpr(4, 64, this.or(64, high, moved));
  }
  push(w: Width, value: Value): void {
    const rsp = this.gpr(4, 64) as Val;
    const moved = this.#movedStack(rsp, -w / 8);
    this.store(w, this.segmentAddress(SS, moved), value);
    this.#setStack(rsp, moved);
  }
  peek(w: Width): { readonly value: Value; drop(): void } {
    const rsp = this.gpr(4, 64) as Val;
    const value = this.load(w, this.segmentAddress(SS, this.#wrap(this.form.stackBits, rsp)));
    return { value, drop: () => this.#setStack(rsp, this.#movedStack(rsp, w / 8)) };
  }
  pop(w: Width): Value {
    const top = this.peek(w);
    top.drop();
    return top.value;
  }
  // Flags

  #reads(mask: number): void {
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
      if (!this.sinksFlags) this.#flushFlags();
    } else {
      this.#storePending();
      this.#pending = undefined;
      this.flags = undefined;
    }
  }
  /** Puts pending flags into the state block, here; they stay pending on other paths. */
  #storePending(): void {
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
  #flushFlags(): void {
    this.#storePending();
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
    this.#reads(ARITHMETIC_FLAGS);
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
    this.#reads(FLAG_CF);
    return this.#carryValue();
  }
  condition(cc: ConditionCode): Value {
    this.#reads(ARITHMETIC_FLAGS);
    const source = this.#source();
    return source !== undefined ? conditionOf(this, source, cc) : conditionOfImage(this, this.#image(), cc);
  }

  // Leaving

  rip(): Value {
    const rip = this.add(64, this.state64(S.codeBias), this.zeroExtend(32, 64, this.slot("poff")));
    return this.#wrap(this.form.codeBits === 64 ? 64 : 32, rip);
  }
  nextRip(): Value {
    const end = this.add(32, this.slot("poff"), this.slot("length"));
    const rip = this.add(64, this.state64(S.codeBias), this.zeroExtend(32, 64, end));
    return this.#wrap(this.form.codeBits === 64 ? 64 : 32, rip);
  }
  /** Charges the block's instructions; the remaining budget. */
  #charge(): Val {
    const left = this.op("i32.sub", this.state32(S.budget), this.slot("count"));
    this.setState32(S.budget, left);
    return left;
  }
  #ended(): void {
    this.facts.ends = true;
    this.facts.canLeave = true;
  }
  #enter(target: Val): void {
    const slot = this.loadRaw("i32.load", target, record.at.handler);
    this.returnCallIndirect(this.links.handlerType, [target], slot);
  }
  /** Goes to the record whose address is at `field` of this one; `left` is the budget. */
  #follow(field: number, left: Val): void {
    const target = this.loadRaw("i32.load", this.record(), field);
    this.if(this.op("i32.lt_s", left, this.i32(0)), () => this.returnCall(this.links.sliceEnd, [target]));
    const start = this.#loopStart;
    if (start !== undefined) this.if(this.eq(32, target, start), () => this.#continue());
    this.#enter(target);
  }

  /** The function is a loop: a direct branch to the block's first record stays inside. */
  #loopStart: Val | undefined;
  #continue(): void {
    this.body.code.u8(0x0c);
    this.body.code.u32(this.depth);
  }
  jumpDirect(): void {
    this.#ended();
    this.#follow(RECORD_TAKEN, this.#charge());
  }
  branch(condition: Value): void {
    this.#ended();
    const left = this.#charge();
    this.if(condition, () => this.#follow(RECORD_TAKEN, left), () => this.#follow(RECORD_FALL, left));
  }
  jump(target: Value, remember = false): void {
    this.#ended();
    if (remember) this.storeRaw("i64.store", this.record(), target, record.at.imm);
    this.setState64(S.rip, target);
    this.#charge();
    this.#leaveByRip();
  }
  jumpFar(target: Value): void {
    this.#ended();
    this.setState64(S.rip, target);
    this.#charge();
    this.returnCall(this.links.jumpSegmented, []);
  }
  /** Goes to the block at S.rip. */
  #leaveByRip(): void {
    const { codeBits, flat } = this.form;
    this.returnCall(codeBits === 64 || flat ? this.links.jump : this.links.jumpSegmented, []);
  }
  repeat(extra?: Value): void {
    this.facts.canLeave = true;
    this.facts.repeats = true;
    if (extra !== undefined) this.setState32(S.budget, this.op("i32.sub", this.state32(S.budget), extra));
    const left = this.#charge();
    this.if(
      this.op("i32.lt_s", left, this.i32(0)),
      () => this.returnCall(this.links.sliceEnd, [this.record()]),
    );
    this.#enter(this.record());
  }
  microcode<N extends MicrocodeName>(
    name: N,
    args: MicrocodeArguments<N>,
    options: MicrocodeOptions = {},
  ): void {
    const { args: types, reads, writes, quiet } = MICROCODE[name] as MicrocodeCall;
    this.facts.canLeave = true;
    if (quiet) this.#storePending();
    else {
      this.facts.stores = true;
      this.facts.calls = true;
    }
    if (reads.includes("flags")) this.#reads(ARITHMETIC_FLAGS);
    Object.keys(types).forEach((argument, i) => {
      const value = (args as Readonly<Record<string, Value>>)[argument] as Value;
      assert(value.type === types[argument], `${argument} of ${name}`);
      this.setState64(S.arg + i * 8, value.type === "i64" ? value : this.zeroExtend(32, 64, value));
    });
    const id = this.i32(microcodeNumber(name));
    const status = this.call(this.links.microcode, [id, this.record()], "i32") as Val;
    if (writes.includes("flags")) this.flags = undefined;
    this.registersChanged(writes);
    const { commit, ends } = options;
    if (commit === undefined) {
      this.if(status, () => this.returnCall(this.links.leave, [status, this.record()]));
    } else {
      this.if(this.eq(32, status, this.i32(FAULT)), () => this.return(status));
      commit();
      this.if(status, () => this.returnCall(this.links.leave, [status, this.record()]));
    }
    if (ends) {
      this.#ended();
      // NEXT from an instruction that ends its block: go to the next one by address.
      this.setState64(S.rip, this.nextRip());
      this.#charge();
      this.#leaveByRip();
    }
  }
  callVector(name: VectorFunction, ...args: Value[]): Val {
    const [first, second = first, third = first] = args as [Value, Value?, Value?];
    const slot = this.i32(H_VECTOR_FUNCTION + VECTOR_FUNCTIONS.indexOf(name));
    return this.callIndirect(this.links.vectorType, [first, second, third], slot, "v128");
  }
  callCore(name: CoreFunction, ...args: Value[]): Val {
    return this.call(this.links[name], args, "i32") as Val;
  }
  microcodeResult(w: Width, i = 0): Value {
    return this.truncate(64, w, this.state64(S.arg + i * 8));
  }
  faultIf(condition: Value, vector: number, errorCode = -1): void {
    this.if(condition, () => this.#raise(vector, errorCode));
  }
  fault(vector: number, errorCode = -1): void {
    this.#ended();
    this.#raise(vector, errorCode);
  }
  #raise(vector: number, errorCode: number): void {
    this.facts.canLeave = true;
    this.#storePending();
    const args = [this.record(), this.i32(vector), this.i32(errorCode)];
    this.return(this.call(this.links.raise, args, "i32") as Val);
  }
  floatElsewhere(how: number, value: Value, look?: SecondLook): void {
    this.facts.canLeave = true;
    const isVex = this.form.vector !== 0;
    const leave = (code: number, a: Value, result: Value) => {
      this.#storePending();
      this.returnCall(this.links.sseSlow, [this.record(), this.i32(code), a, value, result]);
    };
    const unseen = () => {
      this.undoLook();
      leave(how | SSE_VALUE | (isVex ? this.#storeHalves() : 0), value, value);
    };
    if (look === undefined) return unseen();
    // What is done elsewhere goes on elsewhere: a function of one instruction may leave at once.
    if (!this.sinksFlags && look.how === how && !isVex) return leave(how, look.a, look.result);
    this.if(this.eqz(32, this.secondLook(look)), unseen);
  }
  /** Tells the SSE unit of the operands of a VEX-encoded instruction, apart from a second one of 128 bits. */
  #storeHalves(): number {
    const first = this.form.threeOperands ? SSE_VVVV : 0, halves = this.#halves;
    if (halves === undefined) return SSE_VEX | first;
    this.#second(halves).forEach((second, half) => {
      this.storeRaw("v128.store", this.i32(S.arg + 24 + 16 * half), second);
    });
    return SSE_VEX | SSE_256 | first;
  }
  protected secondLook({ how, a, b, result }: SecondLook): Val {
    if (this.#halves !== undefined && this.half === 0) {
      this.set(this.#halves.mxcsr, this.state32(S.mxcsr));
    }
    return this.callIndirect(
      this.links.lookType,
      [a, b, result],
      this.i32(H_SSE_LOOK + sseLookNumber(how)),
      "i32",
    );
  }
  /** Before the second half leaves: the first one's flags are found again, unless an exception keeps them from being found. */
  protected undoLook(): void {
    if (this.#halves === undefined || this.half === 0) return;
    const before = this.get(this.#halves.mxcsr);
    this.if(this.op("i32.ge_s", before, this.i32(0)), () => this.setState32(S.mxcsr, before));
  }
  /** TypeScript may have changed these. */
  protected registersChanged(registers: readonly Register[]): void {
    if (registers.includes("sse")) this.forgetVectors();
  }
}
