// SPDX-License-Identifier: MIT
/**
 * Back end three: a function per region, many blocks with the control flow between them. General registers, lazy
 * flags and the budget live in locals from the region's entry to where it is left. Everything that is not plain
 * computation leaves by a side exit before it has changed anything: a TLB miss, a fault, microcode. Then the record's
 * own handler does the instruction (cpu/emit/interpreter.ts), and the records behind it go on until one is an entry
 * of a region again. So a region never calls TypeScript, and nobody changes mappings, modes or code while one runs.
 *
 * The budget is looked at where the region is entered and at loop headers, against the longest way to the next look:
 * with less left, the handlers run to the end of the slice. Slices so end where they end without regions.
 * @module
 */
import { PAGE_MASK, PAGE_SHIFT, PAGE_SIZE } from "../../base/bits.ts";
import { record } from "../../state/record.ts";
import {
  ARITHMETIC_FLAGS,
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeTlbEntry,
  FLAG_KIND_RAW,
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  REGION_STATES,
  S,
  SS,
  TLB_BITS,
  tlbEntry,
} from "../../state/state.ts";
import { DISPATCH } from "../../state/status.ts";
import type { FunctionBody } from "../../wasm/encoder.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import { type LoadName, type StoreName, Val } from "../builder.ts";
import { type Address, type ConditionCode, type FlagKind, RSP, type Value, type Width } from "../emit.ts";
import {
  carryOf,
  conditionOf,
  conditionOfImage,
  flagKindNumber,
  flagKindOf,
  type FlagSource,
  imageOf,
} from "../flags.ts";
import type { Slot } from "../form.ts";
import type { Links } from "../links.ts";
import { WasmEmit } from "../wasm_emit.ts";
import type { Label } from "./structure.ts";
import type { Described } from "./summary.ts";

/** What is known of the flags. With neither source nor image they are in the locals, of a known kind. */
interface KnownFlags {
  readonly number: number;
  readonly source?: FlagSource;
  readonly image?: Val;
}

const LOAD: { readonly [W in Width]: LoadName } = {
  8: "i32.load8_u",
  16: "i32.load16_u",
  32: "i32.load",
  64: "i64.load",
};
const STORE: { readonly [W in Width]: StoreName } = {
  8: "i32.store8",
  16: "i32.store16",
  32: "i32.store",
  64: "i64.store",
};
const GPRS = 16;
/** No page's address, with or without some of the lowest bits of an address in it. */
const NO_PAGE = PAGE_SIZE / 2;

/** A local that keeps its value across blocks. */
interface Cell {
  readonly type: ValueType;
  readonly local: number;
}

/** Where an instruction's record is, and the handler it has without the region. */
export interface Place {
  readonly record: number;
  /** Undefined: the handler that stands in the record then. */
  readonly handler: number | undefined;
}

/** From one page of code to another. */
export interface Crossing {
  /** Between their linear addresses. */
  readonly distance: number;
  /** Byte offset of the other page in the WebAssembly memory. */
  readonly page: number;
}

/** What holds for the whole region. */
export interface RegionLayout {
  /** Its function's number in the table. */
  readonly slot: number;
  /** Masks of the general registers it touches and changes. */
  readonly touched: number;
  readonly written: number;
  /** Some block needs flags, or CF alone, that come from before it. */
  readonly readsFlags: boolean;
}

/** See the module's description. */
export class RegionEmit extends WasmEmit {
  #insn!: Described;
  #place!: Place;
  /** Instructions of the current block. */
  #count = 0;

  readonly #registers: readonly (Cell | undefined)[];
  readonly #budget = this.#cell("i32");
  readonly #bias = this.#cell("i64");
  /** Byte offset of the running code's page in the WebAssembly memory: the page at #bias. */
  readonly #page = this.#cell("i32");
  readonly #tlb = this.#cell("i32");
  /** Linear address of a page of the stack that may be written, and where it is; NO_PAGE: none is known. */
  readonly #stackPage = this.#cell("i64");
  readonly #stackHost = this.#cell("i32");
  readonly #flagResult = this.#cell("i64");
  readonly #flagFirst = this.#cell("i64");
  readonly #flagAux = this.#cell("i32");
  readonly #flagKind = this.#cell("i32");
  /** CF of the flags in the locals, for code that does not know their kind. */
  readonly #carry = this.#cell("i32");
  readonly #exitRecord = this.#cell("i32");
  readonly #exitHandler = this.#cell("i32");
  readonly #target = this.#cell("i64");
  readonly #state = this.#cell("i32");

  /** Undefined: the locals hold them, of some kind. */
  #known: KnownFlags | undefined;
  /** The locals hold the flags. */
  #synced = true;
  #open = 0;
  readonly #constructs: ("block" | "loop")[] = [];
  #leave!: Label;
  #indirect!: Label;

  readonly #layout: RegionLayout;

  constructor(body: FunctionBody, links: Links, layout: RegionLayout) {
    super(body, links);
    this.#layout = layout;
    const { touched } = layout;
    this.#registers = Array.from(
      { length: GPRS },
      (_, r) => (touched >> r) & 1 ? this.#cell("i64") : undefined,
    );
  }

  #cell(type: ValueType): Cell {
    return { type, local: this.body.pinned(type) };
  }
  #read(cell: Cell): Val {
    this.body.get(cell.local);
    return this.popValue(cell.type);
  }
  #write(cell: Cell, value: Value): void {
    this.pushValue(value);
    this.body.set(cell.local);
  }

  // The frame of the function

  /** Everything around the region's code, which `inner` emits; it never runs past its end. */
  frame(inner: () => void): void {
    const rec = this.parameter(0, "i32");
    this.#loadState(rec);
    this.#registers.forEach((cell, r) => {
      if (cell !== undefined) this.#write(cell, this.loadRaw("i64.load", this.i32(S.gpr + r * 8)));
    });
    this.#flags((cell, at, name) => this.#write(cell, this.loadRaw(`${name}.load`, this.i32(at))));
    if (this.#layout.readsFlags) this.#write(this.#carry, this.call(this.links.carry, [], "i32") as Val);
    this.#write(this.#budget, this.state32(S.budget));
    this.#write(this.#bias, this.loadRaw("i64.load", this.i32(S.codeBias)));
    this.#write(this.#tlb, this.state32(S.tlbBase));
    this.#write(this.#stackPage, this.i64(NO_PAGE));
    this.#leave = this.block();
    inner();
    this.end();
    this.#spill();
    const to = this.#read(this.#exitRecord);
    this.returnCallIndirect(this.links.handlerType, [to], this.#read(this.#exitHandler));
    this.unreachable();
  }
  /** Opens the block whose end near branches to computed targets go to. */
  openIndirect(): void {
    this.#indirect = this.block();
  }
  /**
   * Goes where #target says: by the jump cache (cpu/translate/block_cache.ts), and back to `top` when the block found is
   * an entry of this region.
   */
  closeIndirect(top: Label): void {
    this.end();
    const { slot } = this.#layout;
    const miss = this.block();
    const missIf = (condition: Value) => {
      this.pushValue(condition);
      this.body.hint(0);
      this.body.code.u8(0x0d); // br_if
      this.body.code.u32(this.#open + this.depth - 1 - miss);
    };
    const rip = this.#read(this.#target), low = this.op("i32.wrap_i64", rip);
    const hash = this.op("i32.mul", low, this.i32(JUMP_CACHE_HASH));
    const index = this.op("i32.shr_u", hash, this.i32(32 - JUMP_CACHE_BITS));
    const entry = this.op("i32.mul", index, this.i32(jumpCacheEntry.size));
    const modeKey = this.state64(S.modeKey);
    const cached = this.loadRaw("i64.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.tag);
    missIf(this.op("i64.ne", cached, this.xor(64, rip, modeKey)));
    const host = this.variable(this.add(32, this.and(32, low, this.i32(PAGE_MASK)), this.#read(this.#page)));
    const ripPage = this.and(64, rip, this.i64(-4096n));
    // The running code's page is where it was; of others the code TLB knows.
    this.if(this.op("i64.ne", ripPage, this.#read(this.#bias)), () => {
      const mapped = this.#mappedCode(ripPage, low);
      missIf(mapped.elsewhere);
      this.set(host, mapped.host);
    });
    const expected = this.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.host);
    missIf(this.op("i32.ne", this.get(host), expected));
    const rec = this.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.record);
    const handler = this.loadRaw("i32.load", rec, record.at.handler);
    this.#write(this.#bias, ripPage);
    this.if(this.eq(32, handler, this.i32(slot)), () => {
      this.#loadState(rec);
      this.goTo(top);
    });
    this.#write(this.#exitRecord, rec);
    this.#write(this.#exitHandler, handler);
    this.goTo(this.#leave);
    this.end();
    this.#spill();
    this.storeRaw("i64.store", this.i32(S.rip), rip);
    this.return(this.i32(DISPATCH));
  }
  /** By the code TLB: whether it does not know the linear page, and where its byte at `low` is if it does. */
  #mappedCode(linearPage: Val, low: Val): { elsewhere: Val; host: Val } {
    const number = this.op("i32.shr_u", low, this.i32(PAGE_SHIFT));
    const masked = this.and(32, number, this.i32((1 << CODE_TLB_BITS) - 1));
    const entry = this.op("i32.mul", masked, this.i32(codeTlbEntry.size));
    const tag = this.loadRaw("i64.load", entry, CODE_TLB_BASE + codeTlbEntry.at.tag);
    const elsewhere = this.op("i64.ne", tag, this.xor(64, linearPage, this.state64(S.modeKey)));
    const addend = this.loadRaw("i32.load", entry, CODE_TLB_BASE + codeTlbEntry.at.addend);
    return { elsewhere, host: this.add(32, low, addend) };
  }
  /**
   * Goes on in the page `distance` bytes away, when its code is at `page` still; `otherwise` leaves. Nobody changes
   * mappings while a region runs, but the region may have been entered by another address or after a change.
   */
  cross({ distance, page }: Crossing, otherwise: () => void): void {
    const sum = this.add(64, this.#read(this.#bias), this.i64(distance));
    const linear = this.form.codeBits === 64 ? sum : this.and(64, sum, this.i64(0xffff_ffffn));
    const { elsewhere, host } = this.#mappedCode(linear, this.op("i32.wrap_i64", linear));
    this.#unlikely(
      this.or(32, elsewhere, this.op("i32.ne", host, this.i32(page))),
      () => this.nested(otherwise),
    );
    this.#write(this.#bias, linear);
    this.#write(this.#page, this.i32(page));
  }
  #loadState(rec: Val): void {
    const index = this.op("i32.shr_u", rec, this.i32(5));
    this.#write(this.#state, this.loadRaw("i32.load8_u", index, REGION_STATES));
  }
  #flags(each: (cell: Cell, at: number, name: "i32" | "i64") => void): void {
    each(this.#flagResult, S.flagResult, "i64");
    each(this.#flagFirst, S.flagFirst, "i64");
    each(this.#flagAux, S.flagAux, "i32");
    each(this.#flagKind, S.flagKind, "i32");
  }
  #storeFlags(): void {
    this.#flags((cell, at, name) => this.storeRaw(`${name}.store`, this.i32(at), this.#read(cell)));
  }
  #spill(): void {
    this.#registers.forEach((cell, r) => {
      if (cell === undefined || ((this.#layout.written >> r) & 1) === 0) return;
      this.storeRaw("i64.store", this.i32(S.gpr + r * 8), this.#read(cell));
    });
    this.#storeFlags();
    this.setState32(S.budget, this.#read(this.#budget));
    this.storeRaw("i64.store", this.i32(S.codeBias), this.#read(this.#bias));
  }

  // Structure

  block(): Label {
    this.body.code.raw([0x02, 0x40]);
    this.#constructs.push("block");
    return this.#open++ as Label;
  }
  loop(): Label {
    this.body.loop();
    this.#constructs.push("loop");
    return this.#open++ as Label;
  }
  end(): void {
    this.#open--;
    if (this.#constructs.pop() === "loop") this.body.endLoop();
    else this.body.code.u8(0x0b);
  }
  goTo(label: Label): void {
    this.body.code.u8(0x0c);
    this.body.code.u32(this.#open + this.depth - 1 - label);
  }
  branchByState(labels: readonly Label[]): void {
    this.body.get(this.#state.local);
    const depths = labels.map((label) => this.#open - 1 - label);
    this.body.brTable(depths, depths[0] as number);
  }
  setState(state: number): void {
    this.#write(this.#state, this.i32(state));
  }
  /** `inner` emits blocks that are not part of the current instruction, under whatever conditions are open. */
  nested(inner: () => void): void {
    const { depth } = this;
    for (let i = 0; i < depth; i++) this.#constructs.push("block");
    this.#open += depth;
    this.depth = 0;
    inner();
    this.depth = depth;
    this.#open -= depth;
    this.#constructs.length -= depth;
  }

  // Blocks

  /** A block begins; `kind`: of the flags in the locals, when all ways here agree. */
  beginBlock(kind: number | undefined, count: number): void {
    this.#known = kind === undefined ? undefined : { number: kind };
    this.#synced = true;
    this.#count = count;
  }
  /** An entry, in the page at `page`: leaves for the handlers at `place` when less than `needed` is left of the budget. */
  checkBudget(place: Place, needed: number, page: number): void {
    this.#place = place;
    this.#write(this.#page, this.i32(page));
    this.#leaveIf(this.op("i32.lt_s", this.#read(this.#budget), this.i32(needed)));
  }
  /** Goes to the instruction at `place`. `mayWrite`: it writes flags on some paths only. */
  instruction(insn: Described, place: Place, flagsLive: boolean, mayWrite: boolean): void {
    this.#insn = insn;
    this.#place = place;
    this.form = insn.form;
    this.flagsLive = flagsLive;
    if (mayWrite) this.sync();
    insn.row.semantics(this, insn.width);
  }
  /** Leaves for the handlers at `place`. */
  leaveAt(place: Place): void {
    this.#place = place;
    this.#exit();
  }
  /** Leaves for the record that `field` of the record at `at` names. The flags are in the locals. */
  leaveBy(at: number, field: number): void {
    this.#write(this.#exitRecord, this.loadRaw("i32.load", this.i32(at), field));
    this.#exitTo();
  }
  /** Takes the current block's instructions from the budget. */
  charge(): void {
    this.#write(this.#budget, this.op("i32.sub", this.#read(this.#budget), this.i32(this.#count)));
  }
  /** How the current block's last instruction goes on: set before it is emitted. */
  ways: { readonly taken: () => void; readonly fall: () => void } | undefined;
  /** Kind of the flags now, when it is known. */
  get kind(): number | undefined {
    return this.#known?.number;
  }

  #exitTo(): void {
    this.#write(this.#exitHandler, this.loadRaw("i32.load", this.#read(this.#exitRecord)));
    this.goTo(this.#leave);
  }
  #exit(): void {
    this.#syncHere();
    const { record: at, handler } = this.#place;
    this.#write(this.#exitRecord, this.i32(at));
    if (handler === undefined) return this.#exitTo();
    this.#write(this.#exitHandler, this.i32(handler));
    this.goTo(this.#leave);
  }
  #leaveIf(condition: Value): void {
    this.#unlikely(condition, () => this.#exit());
  }
  #unlikely(condition: Value, then: () => void): void {
    this.pushValue(condition);
    this.body.hint(0);
    this.body.code.raw([0x04, 0x40]);
    this.depth++;
    then();
    this.depth--;
    this.body.code.u8(0x0b);
  }

  // Operands

  protected override firstRecord(): Val {
    return this.i32(this.#place.record);
  }
  protected override recordAt(): Val {
    return this.firstRecord();
  }
  protected override slot(name: Slot): Val {
    return this.i32(name === "count" ? this.#count : this.#insn[name as Exclude<Slot, "count">]);
  }
  protected override immediate(): Val {
    return this.i64((BigInt(this.#insn.immHigh) << 32n) | BigInt(this.#insn.immLow >>> 0));
  }
  protected override loadRegister(w: Width, address: Val): Val {
    const at = Number(address.constant);
    if (at === S.zero) return this.k(w, 0);
    if (at === S.constant8192) return this.k(w, 8192);
    if (at === S.codeBias) return this.#read(this.#bias);
    const cell = this.#registers[registerAt(at)];
    if (cell === undefined) return super.loadRegister(w, address);
    const full = this.#read(cell);
    if (w === 64) return full;
    const low = this.op("i32.wrap_i64", full);
    if (w === 32) return low;
    const shifted = (at & 7) === 1 ? this.op("i32.shr_u", low, this.i32(8)) : low;
    return this.and(32, shifted, this.i32(w === 8 ? 0xff : 0xffff));
  }
  protected override storeRegister(w: Width, address: Val, value: Value): void {
    const at = Number(address.constant);
    const cell = this.#registers[registerAt(at)];
    if (cell === undefined) return super.storeRegister(w, address, value);
    if (w === 64) return this.#write(cell, value);
    if (w === 32) return this.#write(cell, this.zeroExtend(32, 64, value));
    const shift = (at & 7) * 8;
    const mask = (w === 8 ? 0xffn : 0xffffn) << BigInt(shift);
    const kept = this.and(64, this.#read(cell), this.i64(~mask));
    const field = this.shl(64, this.zeroExtend(32, 64, value), this.k(8, shift));
    this.#write(cell, this.or(64, kept, field));
  }
  override setState32(address: number, value: Value): void {
    super.setState32(address, value);
    if (address !== S.tlbBase) return;
    this.#write(this.#tlb, value);
    this.#write(this.#stackPage, this.i64(NO_PAGE));
  }
  override rip(): Value {
    return this.#ripAt(this.#insn.poff);
  }
  override nextRip(): Value {
    return this.#ripAt(this.#insn.poff + this.#insn.length);
  }
  #ripAt(poff: number): Val {
    const rip = this.add(64, this.#read(this.#bias), this.i64(poff));
    return this.form.codeBits === 64 ? rip : this.and(64, rip, this.i64(0xffff_ffffn));
  }

  // Memory: what misses the TLB leaves

  override address(): Address {
    const address = super.address();
    return this.#insn.base === S.gpr + RSP * 8 && !this.form.addressForm.hasIndex
      ? { ...address, isStack: true } as Address
      : address;
  }
  override segmentAddress(index: number, offset: Value): Address {
    const address = super.segmentAddress(index, offset);
    return index === SS ? { ...address, isStack: true } as Address : address;
  }
  /** Where the bytes are in the WebAssembly memory. */
  #host(address: Address, bytes: number, write: boolean): Val {
    const linear = this.linear(address) as Val;
    if ((address as { isStack?: boolean }).isStack !== true) return this.#lookUp(linear, bytes, write).host;
    // The stack's page is the same nearly always: no need to look it up each time. An access that is not aligned, and so
    // might cross into another page, takes the other way, too.
    const page = this.and(64, linear, this.i64(-PAGE_SIZE | (bytes - 1)));
    this.#unlikely(this.op("i64.ne", page, this.#read(this.#stackPage)), () => {
      this.#fillStackPage(linear, bytes, write);
    });
    return this.add(32, this.op("i32.wrap_i64", linear), this.#read(this.#stackHost));
  }
  /** Leaves unless the access is allowed; #stackPage is the page if it may be written, and #stackHost right anyway. */
  #fillStackPage(linear: Val, bytes: number, write: boolean): void {
    const { page, entry } = this.#lookUp(linear, bytes, write);
    this.#write(this.#stackHost, this.loadRaw("i32.load", entry, tlbEntry.at.addend));
    const known = write ? page : this.select(
      this.eq(64, page, this.loadRaw("i64.load", entry, tlbEntry.at.writeTag)),
      page,
      this.i64(NO_PAGE),
    );
    this.#write(this.#stackPage, known);
  }
  #lookUp(linear: Val, bytes: number, write: boolean): { entry: Val; page: Val; host: Val } {
    const shift = 12 - Math.log2(tlbEntry.size);
    const index = this.op("i32.shr_u", this.op("i32.wrap_i64", linear), this.i32(shift));
    const masked = this.and(32, index, this.i32(((1 << TLB_BITS) - 1) * tlbEntry.size));
    const entry = this.add(32, masked, this.#read(this.#tlb));
    const tag = this.loadRaw("i64.load", entry, write ? tlbEntry.at.writeTag : tlbEntry.at.readTag);
    const last = bytes === 1 ? linear : this.add(64, linear, this.i64(bytes - 1));
    const page = this.and(64, last, this.i64(-PAGE_SIZE));
    this.#leaveIf(this.op("i64.ne", page, tag));
    const addend = this.loadRaw("i32.load", entry, tlbEntry.at.addend);
    return { entry, page, host: this.add(32, this.op("i32.wrap_i64", linear), addend) };
  }
  override load(w: Width, address: Address): Value {
    return this.loadRaw(LOAD[w], this.#host(address, w / 8, false));
  }
  override store(w: Width, address: Address, value: Value): void {
    this.storeRaw(STORE[w], this.#host(address, w / 8, true), value);
  }
  override loadForUpdate(w: Width, address: Address): { readonly value: Value; store(value: Value): void } {
    const host = this.#host(address, w / 8, true);
    return { value: this.loadRaw(LOAD[w], host), store: (v) => this.storeRaw(STORE[w], host, v) };
  }
  #requireAligned(address: Address): void {
    const linear = this.linear(address);
    this.faultIf(this.op("i32.wrap_i64", this.and(64, linear, this.i64(15))));
  }
  override load128(address: Address, aligned = false): Value {
    if (aligned) this.#requireAligned(address);
    return this.loadRaw("v128.load", this.#host(address, 16, false));
  }
  override store128(address: Address, value: Value, aligned = false): void {
    if (aligned) this.#requireAligned(address);
    this.storeRaw("v128.store", this.#host(address, 16, true), value);
  }

  // Flags

  /** Puts the flags into the locals here; what is known of them stays true on other paths. */
  #syncHere(): void {
    if (this.#synced || this.#known === undefined) return;
    const { number, source, image } = this.#known;
    const wide = (w: Width, v: Value) => this.zeroExtend(w === 64 ? 64 : 32, 64, v);
    if (source !== undefined) {
      this.#write(this.#flagResult, wide(source.w, source.result));
      if (source.first !== undefined) this.#write(this.#flagFirst, wide(source.w, source.first));
      if (source.aux !== undefined) this.#write(this.#flagAux, source.aux);
    } else if (image !== undefined) this.#write(this.#flagAux, image);
    this.#write(this.#flagKind, this.i32(number));
  }
  /** Puts the flags into the locals. */
  sync(): void {
    if (this.#synced) return;
    this.#write(this.#carry, this.carry());
    this.#syncHere();
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
    const value = (cell: Cell) =>
      kind.w === 64 ? this.#read(cell) : this.op("i32.wrap_i64", this.#read(cell));
    return {
      ...kind,
      result: value(this.#flagResult),
      first: value(this.#flagFirst),
      aux: this.#read(this.#flagAux),
    };
  }
  /** The image, when the flags are known to be one. */
  #rawImage(): Val | undefined {
    const known = this.#known;
    if (known?.number !== FLAG_KIND_RAW) return undefined;
    return known.image ?? this.#read(this.#flagAux);
  }
  override flagsImage(): Value {
    const source = this.#source();
    if (source !== undefined) return imageOf(this, source);
    const image = this.#rawImage();
    if (image !== undefined) return image;
    this.#storeFlags();
    return this.call(this.links.flags, [], "i32") as Val;
  }
  override carry(): Value {
    const source = this.#source();
    if (source !== undefined) return carryOf(this, source);
    const image = this.#rawImage();
    return image !== undefined ? this.bit(image, 0) : this.#read(this.#carry);
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

  // Going elsewhere

  override jumpDirect(): void {
    this.charge();
    this.ways!.taken();
  }
  override branch(condition: Value): void {
    this.charge();
    const ways = this.ways!;
    this.if(condition, () => this.nested(ways.taken), () => this.nested(ways.fall));
    this.unreachable();
  }
  override jump(target: Value): void {
    this.charge();
    this.sync();
    this.#write(this.#target, target);
    this.goTo(this.#indirect);
  }
  override repeat(): void {
    this.#exit();
  }
  override microcode(): void {
    this.#exit();
  }
  override faultIf(condition: Value): void {
    this.#leaveIf(condition);
  }
  override fault(): void {
    this.#exit();
  }
}

/** Number of the general register whose bytes include address `at`; -1: none. */
function registerAt(at: number): number {
  return at >= S.gpr && at < S.gpr + GPRS * 8 ? (at - S.gpr) >> 3 : -1;
}
