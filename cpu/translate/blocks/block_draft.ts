// SPDX-License-Identifier: MIT
/**
 * A block while it is decoded: its records without their handlers, and the shape of each instruction. One is filled anew for
 * each block, because a boot decodes eighty thousand of them and what is made for each would be garbage at once.
 * @module
 */
import { assert } from "../../base/assert.ts";
import { encodingRow, type KnownEncodings } from "../../decode/known_encodings.ts";
import type { DecodeMode, Instruction } from "../../decode/instruction.ts";
import { record, RECORD_BYTES } from "../../state/record.ts";
import {
  areFused,
  type Shape,
  TRAIT_COUNTS_RUNS,
  TRAIT_DIRECT_BRANCH,
  TRAIT_ENDS,
  TRAIT_SHADOW,
  traitsOf,
} from "../shapes.ts";

/** Most instructions in a block; a record counts them in a byte. */
export const MAX_INSTRUCTIONS = 96;

const { at: AT } = record;
assert(
  AT.handler === 0 && AT.poff === 4 && AT.length === 6 && AT.count === 7 && AT.reg === 8 && AT.rm === 10 &&
    AT.index === 12 && AT.base === 14 && AT.imm === 16 && AT.scale === 24 && AT.bytes === 25 &&
    AT.segment === 26 && AT.disp === 28,
  "records are written a word at a time",
);
/** Words of a record, and where some fields of it are. */
export const RECORD_WORDS = RECORD_BYTES >> 2,
  SCALE_WORD = AT.scale >> 2,
  DISP_WORD = AT.disp >> 2,
  IMM_LOW_WORD = AT.imm >> 2,
  IMM_HIGH_WORD = IMM_LOW_WORD + 1;

/** What rows of known encodings have as notes: the traits of their shape, and its handler if that is known. */
const TRAITS = encodingRow.notes, SLOT = encodingRow.notes + 1;

/** See the module's description. */
export class BlockDraft {
  /** Instructions. */
  count = 0;
  /** A record for each. */
  readonly words = new Int32Array(MAX_INSTRUCTIONS * RECORD_WORDS);
  /** Of each its traits, and its row among the known encodings, or -1. */
  readonly #traits = new Int32Array(MAX_INSTRUCTIONS);
  readonly #rows = new Int32Array(MAX_INSTRUCTIONS);
  /** Of those without a row. */
  readonly #shapes: Shape[] = [];
  readonly #known: KnownEncodings;
  /** By number of the row. */
  readonly #shapesOfRows: (Shape | undefined)[] = [];
  mode: DecodeMode | undefined;
  /** Byte offset of its (first) page. */
  page = 0;
  /** That of its second page, when its one instruction crosses; else 0. */
  secondHost = 0;
  /** See Block. */
  leavesCanonical = false;
  /** Direct branches within the page may be linked record to record: nothing needs a look on the way. */
  links = false;
  /** Offset in the page of its first byte, and of what is behind the last one. */
  from = 0;
  end = 0;

  /** `known`: the encodings that `add` is told of. */
  constructor(known: KnownEncodings) {
    this.#known = known;
    known.onReplace = (row) => this.#release(row);
  }

  /** What has this row has none any more: whatever is decoded meanwhile may replace it. */
  #release(row: number): void {
    for (let i = 0; i < this.count; i++) {
      if (this.#rows[i] !== row) continue;
      this.#shapes[i] = this.shapeOf(i);
      this.#rows[i] = -1;
    }
  }

  /** Begins a block at the byte offset `host`. */
  begin(host: number, page: number, mode: DecodeMode): void {
    this.count = 0;
    this.mode = mode;
    this.page = page;
    this.secondHost = 0;
    this.leavesCanonical = this.links = false;
    this.from = this.end = host - page;
  }

  /** Does somebody know the shape of what has this row? */
  knows(row: number): boolean {
    return this.#known.rows[row + TRAITS] !== 0;
  }
  /** It is this one. */
  learn(row: number, shape: Shape): void {
    this.#known.rows[row + TRAITS] = traitsOf(shape);
    this.#shapesOfRows[row / encodingRow.size] = shape;
  }
  /** Handlers have other slots from now on. */
  forgetSlots(): void {
    const { rows } = this.#known;
    for (let i = 0; i < this.count; i++) this.setHandler(i, 0);
    for (let at = SLOT; at < rows.length; at += encodingRow.size) rows[at] = 0;
  }

  /** The next instruction: what has just been found to have this row, which is known. */
  add(row: number): void {
    const { words } = this, known = this.#known, { rows } = known;
    const at = this.#next(known.length, rows[row + TRAITS] as number, row);
    words[at] = rows[row + SLOT] as number;
    words[at + 2] = rows[row + encodingRow.registers] as number;
    words[at + 3] = rows[row + encodingRow.addresses] as number;
    words[at + IMM_LOW_WORD] = known.immLow;
    words[at + IMM_HIGH_WORD] = known.immHigh;
    words[at + SCALE_WORD] = rows[row + encodingRow.scale] as number;
    words[at + DISP_WORD] = known.disp;
  }
  /** The next instruction. */
  addInstruction(insn: Instruction, shape: Shape): void {
    const { words } = this, at = this.#next(insn.length, traitsOf(shape), -1);
    this.#shapes[this.count - 1] = shape;
    words[at] = shape.slot;
    words[at + 2] = insn.reg | (insn.rm << 16);
    words[at + 3] = insn.index | (insn.base << 16);
    words[at + IMM_LOW_WORD] = insn.immLow;
    words[at + IMM_HIGH_WORD] = insn.immHigh;
    words[at + SCALE_WORD] = insn.scale | (insn.segment << 16);
    words[at + DISP_WORD] = insn.disp;
  }
  #next(length: number, traits: number, row: number): number {
    const i = this.count++, at = i * RECORD_WORDS;
    this.#traits[i] = traits;
    this.#rows[i] = row;
    this.words[at + 1] = this.end | (length << 16) | (this.count << 24);
    this.end += length;
    return at;
  }

  /** The handler of instruction `i`: a table slot, or H_COVERED; 0: not known. */
  handlerOf(i: number): number {
    return this.words[i * RECORD_WORDS] as number;
  }
  setHandler(i: number, slot: number): void {
    this.words[i * RECORD_WORDS] = slot;
  }
  /** The handler of instruction `i` is that of its shape. */
  noteHandler(i: number, slot: number): void {
    this.setHandler(i, slot);
    const row = this.#rows[i] as number;
    if (row >= 0) this.#known.rows[row + SLOT] = slot;
  }
  shapeOf(i: number): Shape {
    const row = this.#rows[i] as number;
    return (row < 0 ? this.#shapes[i] : this.#shapesOfRows[row / encodingRow.size]) as Shape;
  }
  /** Does one handler do both instruction `i` and the next one? */
  isFused(i: number): boolean {
    return i + 1 < this.count && areFused(this.#traits[i] as number, this.#traits[i + 1] as number);
  }

  get #lastTraits(): number {
    return this.#traits[this.count - 1] as number;
  }
  /** Of the last instruction: does it end the block; is it a direct branch; does its record count the runs? */
  get ends(): boolean {
    return (this.#lastTraits & TRAIT_ENDS) !== 0;
  }
  get isDirectBranch(): boolean {
    return (this.#lastTraits & TRAIT_DIRECT_BRANCH) !== 0;
  }
  get countsRuns(): boolean {
    return (this.#lastTraits & TRAIT_COUNTS_RUNS) !== 0;
  }
  /** The lower half of its immediate. */
  get lastImmediate(): number {
    return this.words[(this.count - 1) * RECORD_WORDS + IMM_LOW_WORD] as number;
  }
  /** Does it keep anything off the next one? */
  get castsShadow(): boolean {
    return (this.#lastTraits & TRAIT_SHADOW) !== 0;
  }
  /** Does it keep interrupts off the next one? The second of a kind in a row does not. */
  get isShadowed(): boolean {
    const now = this.#lastTraits & TRAIT_SHADOW;
    return now !== 0 &&
      (this.count === 1 || now !== ((this.#traits[this.count - 2] as number) & TRAIT_SHADOW));
  }

  /** Bytes of its code. */
  get length(): number {
    return this.end - this.from;
  }
  /** Records of instructions, and of the crossing in front. */
  get #own(): number {
    return this.count + (this.secondHost === 0 ? 0 : 1);
  }
  /** How many records the block needs: one per instruction, then where it goes on, or a stub per direction of its branch. */
  get records(): number {
    return this.#own + (!this.ends ? 1 : this.isDirectBranch ? 2 : 0);
  }
  /** The record that counts the block's runs (RECORD_RUNS), from the end of its records: 1 is the last; 0: none does. */
  get counting(): number {
    if (!this.ends) return 1;
    return this.countsRuns ? 1 + this.records - this.#own : 0;
  }
}
