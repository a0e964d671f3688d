// SPDX-License-Identifier: MIT
/**
 * The frame of a region's function: what lives in locals from its entry to where it is left, the blocks and loops of its
 * structure, and the ways out. A side exit hands over to the handlers at some record with the state as it was before
 * that instruction; a computed branch looks into the jump cache and may come back into the function.
 * @module
 */
import { PAGE_MASK, PAGE_SIZE } from "../../base/bits.ts";
import { NO_ENTRY, record, RECORD_ENTRY } from "../../state/record.ts";
import {
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  REGION_INSTRUCTIONS,
  S,
} from "../../state/state.ts";
import type { FunctionBody } from "../../wasm/encoder.ts";
import { Val } from "../builder.ts";
import type { Value } from "../emit.ts";
import { productFlags } from "../flags.ts";
import type { Links } from "../links.ts";
import { mappedCode } from "./mapped_code.ts";
import { WasmEmit } from "../wasm_emit.ts";
import type { Label } from "./structure.ts";

const GPRS = 16;
/** How far an access of at most 32 bytes may begin from the start of a page to lie within it, and no more. */
export const PAGE_LIMIT = PAGE_SIZE - 32 + 1;

/** See RegionFrame.carryCell. */
export const CARRY_UNKNOWN = 2;

/** See RegionFrame.productCells: no flags, nor anything else that stands there. */
export const AUX_OF_PRODUCT = 1 << 30;

/** A local that keeps its value across blocks, or a field of the state block. */
export class Cell {
  private constructor(
    readonly type: "i32" | "i64",
    readonly local: number,
    /** Of a field: its address. */
    readonly at: number,
    /** Of a local: what it holds, to be used before it changes. */
    readonly now: Val | undefined,
  ) {}
  /** A local that keeps its value. */
  static local(type: "i32" | "i64", local: number): Cell {
    return new Cell(type, local, -1, Val.of(type, local));
  }
  /** A field of the state block. */
  static field(type: "i32" | "i64", at: number): Cell {
    return new Cell(type, -1, at, undefined);
  }
}

const FLAG_RESULT = Cell.field("i64", S.flagResult), FLAG_FIRST = Cell.field("i64", S.flagFirst);
const FLAG_AUX = Cell.field("i32", S.flagAux), FLAG_KIND = Cell.field("i32", S.flagKind);

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

/** A block of another region that a direct branch goes to. */
export interface Neighbour {
  /** Its first record. */
  readonly record: number;
  /** Byte offset of its page in the WebAssembly memory. */
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
  /** Some instruction sets flags by a product of 64 bits. */
  readonly products: boolean;
  /** Some direct branch leads to a neighbour. */
  readonly neighbours: boolean;
}

/** See the module's description. */
export abstract class RegionFrame extends WasmEmit {
  /** The current instruction. */
  protected place!: Place;
  protected readonly registers: readonly (Cell | undefined)[];
  protected readonly budgetCell: Cell = this.#cell("i32");
  /** RIP minus the offset in the page, of the code that runs. */
  protected readonly biasCell: Cell = this.#cell("i64");
  /** Byte offset of that page in the WebAssembly memory. */
  protected readonly pageCell: Cell = this.#cell("i32");
  protected readonly tlbCell: Cell = this.#cell("i32");
  protected readonly flagResultCell: Cell = FLAG_RESULT;
  protected readonly flagFirstCell: Cell = FLAG_FIRST;
  protected readonly flagAuxCell: Cell = FLAG_AUX;
  protected readonly flagKindCell: Cell = FLAG_KIND;
  /** The factors of the product that flagAuxCell is about while it is AUX_OF_PRODUCT; none without RegionLayout.products. */
  protected readonly productCells: readonly Cell[];
  /** CF of the flags in the state block, for code that does not know their kind; CARRY_UNKNOWN: not computed yet. */
  protected readonly carryCell: Cell = this.#cell("i32");
  protected readonly exitRecordCell: Cell = this.#cell("i32");
  protected readonly exitHandlerCell: Cell = this.#cell("i32");
  /** Where a computed branch goes. */
  protected readonly targetCell: Cell = this.#cell("i64");
  protected readonly stateCell: Cell = this.#cell("i32");

  #open = 0;
  readonly #constructs: ("block" | "loop")[] = [];
  /** Behind what its block encloses the region is left, by the handler in exitHandlerCell or the one in the record. */
  #leave!: Label;
  #leaveByRecord!: Label;
  #indirect!: Label;
  #direct!: Label;

  constructor(body: FunctionBody, links: Links, readonly layout: RegionLayout) {
    super(body, links);
    const { touched } = layout;
    this.productCells = layout.products ? [this.#cell("i64"), this.#cell("i64")] : [];
    const registers: (Cell | undefined)[] = [];
    for (let r = 0; r < GPRS; r++) registers.push((touched >> r) & 1 ? this.#cell("i64") : undefined);
    this.registers = registers;
  }

  /** Puts the flags into the state block, on this path only. */
  protected abstract syncHere(): void;

  #cell(type: "i32" | "i64"): Cell {
    return Cell.local(type, this.body.pinned(type));
  }
  /** What the cell holds, to be used before it changes. */
  protected cellNow(cell: Cell): Val {
    return cell.now ?? this.readState(cell.type, cell.at);
  }
  protected read(cell: Cell): Val {
    if (cell.now === undefined) return this.readState(cell.type, cell.at);
    this.body.get(cell.local);
    return this.body.pop(cell.type);
  }
  protected write(cell: Cell, value: Value): void {
    if (cell.now === undefined) return this.writeState(cell.type, cell.at, value);
    this.body.push(value);
    this.body.set(cell.local);
  }
  /** Writes a number to a local of type i32. */
  protected writeNumber(cell: Cell, value: number): void {
    this.body.code.i32Const(value);
    this.body.set(cell.local);
  }

  // The frame of the function

  /** Everything around the region's code, which `inner` emits; it never runs past its end. */
  frame(inner: () => void): void {
    const rec = this.parameter(0, "i32");
    this.#loadState(rec);
    for (let r = 0; r < GPRS; r++) {
      const cell = this.registers[r];
      if (cell !== undefined) this.write(cell, this.readState("i64", S.gpr + r * 8));
    }
    if (this.layout.readsFlags) this.writeNumber(this.carryCell, CARRY_UNKNOWN);
    this.write(this.budgetCell, this.state32(S.budget));
    this.write(this.biasCell, this.readState("i64", S.codeBias));
    this.write(this.tlbCell, this.state32(S.tlbBase));
    this.#leave = this.block();
    this.#leaveByRecord = this.block();
    inner();
    this.end();
    this.write(this.exitHandlerCell, this.loadRaw("i32.load", this.cellNow(this.exitRecordCell)));
    this.end();
    this.#spill();
    const to = this.read(this.exitRecordCell);
    this.returnCallIndirect(this.links.handlerType, [to], this.read(this.exitHandlerCell));
    this.unreachable();
  }
  /** Opens the blocks whose ends near branches to computed targets and to neighbours go to. */
  openIndirect(): void {
    this.#indirect = this.block();
    if (this.layout.neighbours) this.#direct = this.block();
  }
  /**
   * Goes to the neighbour that exitRecordCell, targetCell and pageCell name: by its record as long as that is an entry of a
   * region and its page where it was, else as if its target were computed.
   */
  #closeDirect(): void {
    this.end();
    const rec = this.read(this.exitRecordCell);
    const state = this.loadRaw("i32.load8_u", rec, RECORD_ENTRY);
    const giveUpIf = (condition: Value) => {
      this.unlikely(condition, () => this.nested(() => this.goTo(this.#indirect)));
    };
    giveUpIf(this.eq(32, state, this.i32(NO_ENTRY)));
    const linear = this.and(64, this.read(this.targetCell), this.i64(-PAGE_SIZE));
    this.if(this.op("i64.ne", linear, this.read(this.biasCell)), () => {
      const { elsewhere, host } = mappedCode(this, linear, this.op("i32.wrap_i64", linear));
      giveUpIf(this.or(32, elsewhere, this.op("i32.ne", host, this.read(this.pageCell))));
      this.write(this.biasCell, linear);
    });
    this.goTo(this.#leaveByRecord);
  }
  /**
   * Goes where targetCell says: by the jump cache (cpu/translate/blocks/block_cache.ts), and back to `top` when the block found is
   * an entry of this region.
   */
  closeIndirect(top: Label): void {
    if (this.layout.neighbours) this.#closeDirect();
    this.end();
    const { slot } = this.layout;
    const miss = this.block();
    const missIf = (condition: Value) => {
      this.body.push(condition);
      this.body.hint(0);
      this.body.code.u8(0x0d); // br_if
      this.body.code.u32(this.#open + this.depth - 1 - miss);
    };
    const rip = this.read(this.targetCell), low = this.op("i32.wrap_i64", rip);
    const hash = this.op("i32.mul", low, this.i32(JUMP_CACHE_HASH));
    const index = this.op("i32.shr_u", hash, this.i32(32 - JUMP_CACHE_BITS));
    const entry = this.op("i32.mul", index, this.i32(jumpCacheEntry.size));
    const modeKey = this.state64(S.modeKey);
    const cached = this.loadRaw("i64.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.tag);
    missIf(this.op("i64.ne", cached, this.xor(64, rip, modeKey)));
    const host = this.variable(
      this.add(32, this.and(32, low, this.i32(PAGE_MASK)), this.read(this.pageCell)),
    );
    const ripPage = this.and(64, rip, this.i64(-PAGE_SIZE));
    // The running code's page is where it was; of others the code TLB knows.
    this.if(this.op("i64.ne", ripPage, this.read(this.biasCell)), () => {
      const mapped = mappedCode(this, ripPage, low);
      missIf(mapped.elsewhere);
      this.set(host, mapped.host);
    });
    const expected = this.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.host);
    missIf(this.op("i32.ne", this.get(host), expected));
    const rec = this.loadRaw("i32.load", entry, JUMP_CACHE_BASE + jumpCacheEntry.at.record);
    const handler = this.loadRaw("i32.load", rec, record.at.handler);
    this.write(this.biasCell, ripPage);
    this.if(this.eq(32, handler, this.i32(slot)), () => {
      this.#loadState(rec);
      this.goTo(top);
    });
    this.write(this.exitRecordCell, rec);
    this.write(this.exitHandlerCell, handler);
    this.goTo(this.#leave);
    this.end();
    this.#spill();
    this.storeRaw("i64.store", this.i32(S.rip), rip);
    this.returnCall(this.links.jump, []);
  }
  /**
   * Goes on in the page `distance` bytes away, when its code is at `page` still; `otherwise` leaves. Nobody changes
   * mappings while a region runs, but the region may have been entered by another address or after a change.
   */
  cross({ distance, page }: Crossing, otherwise: () => void): void {
    const { linear, elsewhere } = this.#lookAt({ distance, page });
    this.unlikely(elsewhere, () => this.nested(otherwise));
    this.write(this.biasCell, linear);
    this.writeNumber(this.pageCell, page);
  }
  /** Leaves for `place`, whose record looks again, unless the code of the next page is at `page` still. */
  requireNextPage(page: number, place: Place): void {
    this.place = place;
    this.leaveIf(this.#lookAt({ distance: PAGE_SIZE, page }).elsewhere);
  }
  /** The linear address of another page, and whether its code may be elsewhere now. */
  #lookAt({ distance, page }: Crossing): { readonly linear: Val; readonly elsewhere: Val } {
    const sum = this.add(64, this.cellNow(this.biasCell), this.i64(distance));
    const linear = this.form.codeBits === 64 ? sum : this.and(64, sum, this.i64(0xffff_ffffn));
    const { elsewhere, host } = mappedCode(this, linear, this.op("i32.wrap_i64", linear));
    return { linear, elsewhere: this.or(32, elsewhere, this.op("i32.ne", host, this.i32(page))) };
  }
  #loadState(rec: Val): void {
    this.write(this.stateCell, this.loadRaw("i32.load8_u", rec, RECORD_ENTRY));
  }
  /** Computes the flags of a product, which was put off. */
  protected computeAux(): void {
    if (!this.layout.products) return;
    this.unlikely(this.eq(32, this.read(this.flagAuxCell), this.i32(AUX_OF_PRODUCT)), () => {
      const [a, b] = this.productCells.map((cell) => this.read(cell)) as [Val, Val];
      this.write(this.flagAuxCell, productFlags(this, a, b));
    });
  }
  #spill(): void {
    for (let r = 0; r < GPRS; r++) {
      const cell = this.registers[r];
      if (cell === undefined || ((this.layout.written >> r) & 1) === 0) continue;
      this.writeState("i64", S.gpr + r * 8, this.read(cell));
    }
    this.computeAux();
    // What the region did: nobody changes the budget while it runs.
    const spent = this.op("i32.sub", this.state32(S.budget), this.read(this.budgetCell));
    const before = this.readState("i64", REGION_INSTRUCTIONS);
    const after = this.add(64, before, this.op("i64.extend_i32_s", spent));
    this.writeState("i64", REGION_INSTRUCTIONS, after);
    this.setState32(S.budget, this.read(this.budgetCell));
    this.writeState("i64", S.codeBias, this.read(this.biasCell));
  }

  // Structure

  block(): Label {
    this.body.code.pair(0x02, 0x40);
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
    this.body.get(this.stateCell.local);
    const depths = labels.map((label) => this.#open - 1 - label);
    this.body.brTable(depths, depths[0] as number);
  }
  setState(state: number): void {
    this.writeNumber(this.stateCell, state);
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

  // Ways out

  /** Leaves for the handlers at `place`. */
  leaveAt(place: Place): void {
    this.place = place;
    this.exit();
  }
  /**
   * Goes to `offset` from the start of the page of code that runs, where `neighbour` is, or by the jump cache. The flags are
   * in the state block.
   */
  leaveTo(offset: number, neighbour?: Neighbour): void {
    const sum = this.add(64, this.cellNow(this.biasCell), this.i64(offset));
    this.write(this.targetCell, this.form.codeBits === 64 ? sum : this.and(64, sum, this.i64(0xffff_ffffn)));
    if (neighbour === undefined) return this.goToTarget();
    this.writeNumber(this.exitRecordCell, neighbour.record);
    this.writeNumber(this.pageCell, neighbour.page);
    this.goTo(this.#direct);
  }
  /** Goes where targetCell says, by the jump cache. */
  protected goToTarget(): void {
    this.goTo(this.#indirect);
  }
  protected exit(): void {
    this.syncHere();
    const { record: at, handler } = this.place;
    this.writeNumber(this.exitRecordCell, at);
    if (handler === undefined) return this.goTo(this.#leaveByRecord);
    this.writeNumber(this.exitHandlerCell, handler);
    this.goTo(this.#leave);
  }
  protected leaveIf(condition: Value): void {
    this.openUnlikely(condition);
    this.exit();
    this.closeUnlikely();
  }
  protected unlikely(condition: Value, then: () => void): void {
    this.openUnlikely(condition);
    then();
    this.closeUnlikely();
  }
  /** What follows is not likely to be run, up to closeUnlikely(). */
  protected openUnlikely(condition: Value): void {
    this.body.push(condition);
    this.body.hint(0);
    this.body.code.pair(0x04, 0x40);
    this.depth++;
  }
  protected closeUnlikely(): void {
    this.depth--;
    this.body.code.u8(0x0b);
  }
}
