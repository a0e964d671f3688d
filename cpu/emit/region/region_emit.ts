// SPDX-License-Identifier: MIT
/**
 * Back end three: a function per region, many blocks with the control flow between them. General registers and the
 * budget live in locals from the region's entry to where it is left. Everything that is not plain
 * computation leaves by a side exit before it has changed anything: a TLB miss, a fault, microcode. Then the record's
 * own handler does the instruction (cpu/emit/interpreter.ts), and the records behind it go on until one is an entry
 * of a region again. So a region never calls TypeScript, and nobody changes mappings, modes or code while one runs.
 *
 * The budget is looked at where the region is entered and at loop headers, against the longest way to the next look:
 * with less left, the handlers run to the end of the slice. Slices so end where they end without regions.
 * @module
 */
import { PAGE_SIZE } from "../../base/bits.ts";
import { regionPageAt, S, SS, TLB_BITS, tlbEntry } from "../../state/state.ts";
import { leb } from "../../wasm/opcodes.ts";
import { type LoadName, ready, type StoreName, Val } from "../builder.ts";
import type { Facts } from "../facts.ts";
import { type Address, type AtOnce, RSP, type SecondLook, type Value, type Width } from "../emit.ts";
import type { Slot } from "../form.ts";
import type { VectorKnowledge } from "../vector/vector_emit.ts";
import type { Place as MemoryPlace } from "../register_emit.ts";
import { RegionFlags } from "./region_flags.ts";
import { mayBeWritten, type PageUse, type SharedPage, STACK_PAGE } from "./page_plan.ts";
import { PAGE_LIMIT, type Place } from "./region_frame.ts";
import type { Described } from "./summary.ts";

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

// Opcodes, and code for made()
const WRAP = 0xa7, ADD_32 = 0x6a;
/** Of a linear address: the offset of its entry in the TLB, and its page. */
const TLB_INDEX = ready(
  WRAP,
  [0x41, 12 - Math.log2(tlbEntry.size)],
  0x76,
  [0x41, ((1 << TLB_BITS) - 1) * tlbEntry.size],
  0x71,
);
const PAGE_OF = ready([0x42, -PAGE_SIZE], 0x83);
/** Of a page and a TLB entry. */
const IS_NOT_READABLE = ready(0x29, 0, tlbEntry.at.readTag, 0x52);
const LIMIT_OR_0 = ready([0x42, PAGE_LIMIT], [0x42, 0]),
  IF_WRITABLE = ready(0x29, 0, tlbEntry.at.writeTag, 0x51, 0x1b);
const IS_NOT_WRITABLE = ready(0x29, 0, tlbEntry.at.writeTag, 0x52);

/** Of a linear address: whether it is far from the page that a cache knows, and else where it is. */
interface CacheCode {
  readonly isFar: Uint8Array;
  readonly host: Uint8Array;
}
const codeByCache = new Map<number, CacheCode>();
function codeOfCache(number: number): CacheCode {
  const known = codeByCache.get(number);
  if (known !== undefined) return known;
  const load = (opcode: number, at: number) => [0x41, 0, opcode, 0, ...leb(at)];
  const { page, limit, host } = regionPageAt(number);
  const code = {
    isFar: ready(...load(0x29, page), 0x7d, ...load(0x29, limit), 0x5a),
    host: ready(0xa7, ...load(0x28, host), 0x6a),
  };
  codeByCache.set(number, code);
  return code;
}

/** Of a linear address and a page: whether it is far from that. */
const IS_FAR = ready(0x7d, [0x42, PAGE_LIMIT], 0x5a);

/** Where a node's last instruction goes. */
export interface Ways {
  readonly taken: () => void;
  readonly fall: () => void;
  /** Likely targets of a computed branch, from the start of the page that runs; `go` may go on with `otherwise`. */
  readonly computed: readonly { readonly offset: number; go(otherwise: () => void): void }[];
}

/** A memory operand with a page cache, or one that shares what others find in the TLB. */
interface Placed extends MemoryPlace {
  readonly page: PageUse | undefined;
}
const THE_STACK: PageUse = { how: "cache", number: STACK_PAGE };
/** What was found in the TLB: a page, which may be written or not, and what to add to a linear address in it. */
interface Found {
  /** SharedPage.key and mask. */
  readonly key: number;
  readonly mask: number;
  readonly page: Val;
  readonly addend: Val;
  readonly writable: boolean;
}
/** Pages that were found on the only way to where they are known: few, each with another key. */
export type FoundPages = readonly Found[];

/** See the module's description. */
export class RegionEmit extends RegionFlags {
  #insn!: Described;
  #page: PageUse | undefined;
  #found: Found[] = [];
  /** Mask of the registers that the current instruction changes by more than small steps. */
  #moved = 0;
  /** Instructions of the current block. */
  #count = 0;

  // Blocks

  /**
   * A block begins; `kind`: of the flags in the state block, when all ways here agree; `vectors` and `pages`: what the block
   * knew of them that alone leads here.
   */
  beginBlock(
    kind: number | undefined,
    count: number,
    vectors: VectorKnowledge | undefined,
    pages: FoundPages | undefined,
  ): void {
    this.flagsInLocals(kind);
    this.recallVectors(vectors);
    this.#found = pages === undefined ? [] : [...pages];
    this.#count = count;
  }
  /** What is known of pages here, and changes with what the block goes on to do. */
  get foundPages(): FoundPages {
    return this.#found;
  }
  /** An entry, in the page at `page`: leaves for the handlers at `place` when less than `needed` is left of the budget. */
  checkBudget(place: Place, needed: number, page: number): void {
    this.place = place;
    this.writeNumber(this.pageCell, page);
    this.leaveIf(this.ltS(32, this.cellNow(this.budgetCell), this.i32(needed)));
  }
  /** Goes to the instruction at `place`. `page`, `moved`: see PagePlan. */
  instruction(
    insn: Described,
    place: Place,
    { flagsMayWrite, flagsWritten, ends }: Facts,
    flagsLive: boolean,
    page: PageUse | undefined,
    moved: number,
  ): void {
    this.#insn = insn;
    this.#page = page;
    this.place = place;
    this.form = insn.form;
    this.flagsLive = flagsLive;
    if (flagsMayWrite !== flagsWritten) this.sync();
    this.#moved = moved;
    // Where it ends its block, its code has that of other blocks in it.
    if (ends) this.#forgetMoved();
    insn.row.semantics(this, insn.width);
    if (!ends) this.#forgetMoved();
  }
  #forgetMoved(): void {
    if (this.#moved === 0) return;
    const found = this.#found;
    let kept = 0;
    for (const page of found) if ((page.mask & this.#moved) === 0) found[kept++] = page;
    found.length = kept;
  }
  /** Takes the current block's instructions from the budget. */
  charge(): void {
    this.write(this.budgetCell, this.sub(32, this.cellNow(this.budgetCell), this.i32(this.#count)));
  }
  /** How the current block's last instruction goes on: set before it is emitted. */
  ways: Ways | undefined;

  // Operands

  protected override firstRecord(): Val {
    return this.i32(this.place.record);
  }
  protected override recordAt(): Val {
    return this.firstRecord();
  }
  protected override slot(name: Slot): Val {
    return this.i32(this.#numberIn(name));
  }
  #numberIn(name: Slot): number {
    const insn = this.#insn;
    switch (name) {
      case "reg":
        return insn.reg;
      case "rm":
        return insn.rm;
      case "base":
        return insn.base;
      case "index":
        return insn.index;
      case "scale":
        return insn.scale;
      case "count":
        return this.#count;
      default:
        return insn[name];
    }
  }
  protected override get remembersVectors(): boolean {
    return true;
  }
  protected override immediate(): Val {
    return Val.i64(this.#insn.immLow | 0, this.#insn.immHigh | 0);
  }
  protected override loadRegister(w: Width, address: Val): Val {
    const at = address.constant as number;
    if (at === S.zero) return this.k(w, 0);
    if (at === S.constant8192) return this.k(w, 8192);
    if (at === S.codeBias) return this.read(this.biasCell);
    const cell = this.registers[registerAt(at)];
    if (cell === undefined) return super.loadRegister(w, address);
    if (w === 64) return this.read(cell);
    const low = this.wrap64(this.cellNow(cell));
    if (w === 32) return low;
    const shifted = (at & 7) === 1 ? this.shrU(32, low, this.k(8, 8)) : low;
    return this.and(32, shifted, this.i32(w === 8 ? 0xff : 0xffff));
  }
  protected override registerNow(address: Val): Val {
    const at = address.constant as number, cell = this.registers[registerAt(at)];
    if (cell !== undefined) return this.cellNow(cell);
    return at === S.codeBias ? this.cellNow(this.biasCell) : this.loadRegister(64, address);
  }
  protected override get knownDisplacement(): number {
    return this.#insn.disp | 0;
  }
  protected override storeRegister(w: Width, address: Val, value: Value): void {
    const at = address.constant as number;
    const cell = this.registers[registerAt(at)];
    if (cell === undefined) return super.storeRegister(w, address, value);
    if (w === 64) return this.write(cell, value);
    if (w === 32) return this.write(cell, this.zeroExtend(32, 64, value));
    const shift = (at & 7) * 8;
    const mask = (w === 8 ? 0xff : 0xffff) << shift;
    const kept = this.and(64, this.cellNow(cell), this.i64(~mask));
    const field = this.shl(64, this.zeroExtend(32, 64, value), this.k(8, shift));
    this.write(cell, this.or(64, kept, field));
  }
  override setTlbBase(base: Value): void {
    super.setTlbBase(base);
    this.write(this.tlbCell, base);
    this.#found.length = 0;
  }
  override rip(): Value {
    return this.#ripAt(this.#insn.poff);
  }
  override nextRip(): Value {
    return this.#ripAt(this.#insn.poff + this.#insn.length);
  }
  #ripAt(poff: number): Val {
    const rip = this.add(64, this.cellNow(this.biasCell), this.i64(poff));
    return this.form.codeBits === 64 ? rip : this.and(64, rip, this.i64(0xffff_ffffn));
  }

  // Memory: what misses the TLB leaves

  override address(): Address {
    const isStack = this.#insn.base === S.gpr + RSP * 8 && !this.form.addressForm.hasIndex;
    return placed(super.address(), this.#page ?? (isStack ? THE_STACK : undefined));
  }
  override segmentAddress(index: number, offset: Value): Address {
    return placed(super.segmentAddress(index, offset), index === SS ? THE_STACK : undefined);
  }
  /** Where the bytes are in the WebAssembly memory. */
  #host(address: Address, bytes: number, write: boolean): Val {
    const { page, how } = address as Placed;
    if (how === "checked") this.leaveIf(this.eqz(32, this.isWithinData(address as Placed, bytes)));
    const linear = this.linear(address) as Val;
    if (page === undefined) return this.#hostOf(linear, this.#lookUp(linear, bytes - 1, write).addend);
    if (page.how === "shared") return this.#lookUpShared(page, linear, bytes, write);
    const { isFar, host } = codeOfCache(page.number);
    this.openUnlikely(this.made("i32", isFar, linear));
    this.#fill(page.number, linear, bytes, write);
    this.closeUnlikely();
    return this.made("i32", host, linear);
  }
  /** Leaves unless the access is allowed; the cache has the page then if it allows all that it is used for. */
  #fill(cache: number, linear: Val, bytes: number, write: boolean): void {
    const { page, entry, addend } = this.#lookUp(linear, bytes - 1, write);
    const at = regionPageAt(cache);
    this.writeState("i64", at.page, page);
    this.writeState("i32", at.host, addend);
    const counts = write || !mayBeWritten(cache);
    this.writeState("i64", at.limit, counts ? this.i64(PAGE_LIMIT) : this.#limitIfWritable(page, entry));
  }
  #limitIfWritable(page: Val, entry: Val): Val {
    this.body.code.raw(LIMIT_OR_0);
    return this.made("i64", IF_WRITABLE, page, entry);
  }
  /** As #lookUp, which is needed only where the page is not the one that was found before. */
  #lookUpShared({ key, mask }: SharedPage, linear: Val, bytes: number, write: boolean): Val {
    const found = this.#found;
    let number = 0;
    while (number < found.length && (found[number] as Found).key !== key) number++;
    const before = found[number];
    if (before === undefined || (write && !before.writable)) {
      const { page, addend } = this.#lookUp(linear, bytes - 1, write);
      // Where a condition holds only, the locals are not set for all that follows.
      if (this.depth === 0 && (mask & this.#moved) === 0) {
        found[number] = { key, mask, page, addend, writable: write };
      }
      return this.#hostOf(linear, addend);
    }
    const addend = this.variable(before.addend);
    this.unlikely(this.made("i32", IS_FAR, linear, before.page), () => {
      this.set(addend, this.#lookUp(linear, bytes - 1, write).addend);
    });
    return this.#hostOf(linear, this.get(addend));
  }
  /** `toLast`: from the first byte to the last, a number or an i64. */
  #lookUp(
    linear: Val,
    toLast: number | Value,
    write: boolean,
  ): { readonly entry: Val; readonly page: Val; readonly addend: Val } {
    const code = this.body.code;
    this.body.push(linear);
    code.raw(TLB_INDEX);
    this.body.push(this.cellNow(this.tlbCell));
    code.u8(ADD_32);
    const entry = this.body.pop("i32");
    const distance = typeof toLast === "number" ? this.i64(toLast) : toLast;
    const page = this.made("i64", PAGE_OF, toLast === 0 ? linear : this.add(64, linear, distance));
    this.leaveIf(this.made("i32", write ? IS_NOT_WRITABLE : IS_NOT_READABLE, page, entry));
    const addend = this.loadRaw("i32.load", entry, tlbEntry.at.addend);
    return { entry, page, addend };
  }
  /** Where a linear address is in the WebAssembly memory. */
  #hostOf(linear: Val, addend: Val): Val {
    const code = this.body.code;
    this.body.push(linear);
    code.u8(WRAP);
    this.body.push(addend);
    code.u8(ADD_32);
    return this.body.pop("i32");
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
  #requireAligned(address: Address, bytes: 16 | 32): void {
    const linear = this.linear(address);
    this.faultIf(this.op("i32.wrap_i64", this.and(64, linear, this.i64(bytes - 1))));
  }
  override load128(address: Address, aligned = false): Value {
    if (aligned) this.#requireAligned(address, 16);
    return this.loadRaw("v128.load", this.#host(address, 16, false));
  }
  override store128(address: Address, value: Value, aligned = false): void {
    if (aligned) this.#requireAligned(address, 16);
    this.storeRaw("v128.store", this.#host(address, 16, true), value);
  }
  override load256(address: Address, aligned = false): readonly [Value, Value] {
    if (aligned) this.#requireAligned(address, 32);
    const host = this.#host(address, 32, false);
    return [this.loadRaw("v128.load", host), this.loadRaw("v128.load", host, 16)];
  }
  override store256(address: Address, low: Value, high: Value, aligned = false): void {
    if (aligned) this.#requireAligned(address, 32);
    const host = this.#host(address, 32, true);
    this.storeRaw("v128.store", host, low);
    this.storeRaw("v128.store", host, high, 16);
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
    this.write(this.targetCell, target);
    const computed = this.ways?.computed ?? [];
    if (computed.length > 0) {
      const distance = this.sub(64, target, this.cellNow(this.biasCell));
      for (const { offset, go } of computed) {
        this.if(
          this.eq(64, distance, this.i64(offset)),
          () => this.nested(() => go(() => this.goToTarget())),
        );
      }
    }
    this.goToTarget();
  }
  override jumpFar(): void {
    this.exit();
  }
  override atOnce(usual: (region: AtOnce) => void): void {
    usual({
      leaveIf: (condition) => this.leaveIf(condition),
      span: (address, bytes, write) => {
        const toLast = this.op("i32.sub", bytes, this.op("i32.ne", bytes, this.i32(0)));
        const linear = this.linear(address) as Val;
        return this.#hostOf(linear, this.#lookUp(linear, this.zeroExtend(32, 64, toLast), write).addend);
      },
    });
  }
  override repeat(): void {
    this.exit();
  }
  override microcode(): void {
    this.exit();
  }
  override floatElsewhere(_how: number, _value: Value, look?: SecondLook): void {
    const leave = () => {
      this.undoLook();
      this.exit();
    };
    if (look === undefined) return leave();
    this.if(this.eqz(32, this.looksRight(look)), leave);
  }
  override faultIf(condition: Value): void {
    this.leaveIf(condition);
  }
  override fault(): void {
    this.exit();
  }
}

function placed(address: Address, page: PageUse | undefined): Placed {
  const { offset, segment, how } = address as MemoryPlace;
  return { offset, segment, how, page };
}

/** Number of the general register whose bytes include address `at`; -1: none. */
function registerAt(at: number): number {
  return at >= S.gpr && at < S.gpr + 16 * 8 ? (at - S.gpr) >> 3 : -1;
}
