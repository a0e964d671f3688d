// SPDX-License-Identifier: MIT
/**
 * Encodings that have been decoded: prefixes, opcode, ModRM and SIB decide all of an instruction but its displacement and
 * its immediate, and code repeats them: nine of ten instructions of a kernel have an encoding that has been seen. What is
 * unusual (two prefixes, VEX, 16-bit addresses, two immediates) is never remembered.
 *
 * A guest chooses which there are; the table is of fixed size and the newest entry of a place stays.
 * @module
 */
import type { Row } from "../isa/row/row.ts";
import { S } from "../state/state.ts";
import { type DecodeMode, type Instruction, MAX_LENGTH, mayUseFpu } from "./instruction.ts";

const TABLE_BITS = 16;
/** Numbers of rows fit 16 bits. */
const MOST_ROWS = (1 << TABLE_BITS) - 1;
/** Legacy prefixes; the position in this list and 1 is part of an encoding's key. */
const PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** What an opcode has behind it: the rows disagree, or it is a prefix; nothing; ModRM. */
const UNKNOWN = 0, NO_MODRM = 1, MODRM = 2;
/** The meaning of the opcode depends on DecodeMode.fpuTrap. */
const USES_FPU = 4;

/** How an immediate is read; LOW_32 has an upper half of 0. */
const NONE = 0,
  SIGNED_8 = 1,
  UNSIGNED_8 = 2,
  UNSIGNED_16 = 3,
  SIGNED_16 = 4,
  SIGNED_32 = 5,
  LOW_32 = 6,
  ALL_64 = 7;
const IMMEDIATE_BYTES = [0, 1, 1, 2, 2, 4, 4, 8];

/**
 * Words of a row: the key (two halves); those of the record (cpu/state/record.ts) with the register fields, with the address
 * fields, with scale and segment; the immediate when there is none (RowOptions.passModrm); how the rest is read; from
 * `notes` on some that are for whoever decodes, 0 at first.
 */
export const encodingRow = {
  encoding: 0,
  detail: 1,
  registers: 2,
  addresses: 3,
  scale: 4,
  immLow: 5,
  rest: 6,
  notes: 8,
  size: 16,
} as const;
const ROW_SHIFT = Math.log2(encodingRow.size);
const { encoding: ENCODING, detail: DETAIL, rest: REST } = encodingRow;
/**
 * Bits of `rest`: bytes of displacement (0, 1 or 4); how an immediate is read; the base is RIP; of a shift count, these bits
 * of the immediate are not all zero.
 */
const DISP_BYTES = 7, IMMEDIATE_AT = 3, IMMEDIATE = 7, RIP_RELATIVE = 1 << 6, COUNT_MASK_AT = 7;

/** See the module's description. */
export class KnownEncodings {
  readonly #opcodes = new Uint8Array(4 * 256);
  readonly #prefixes = new Uint8Array(256);
  /** Number of the row by hash; 0: there is none. */
  readonly #numbers = new Uint16Array(1 << TABLE_BITS);
  /**
   * See encodingRow. They are taken one after the other, so that those of a guest lie together; the first one is nobody's,
   * and has no mode in its key.
   */
  readonly rows = new Int32Array(1 << (TABLE_BITS + ROW_SHIFT));
  #last = 0;
  /** An instruction of each, by the number of its row. */
  readonly #samples: (Instruction | undefined)[] = [];
  /** The mode of the last instruction, and its part of the keys. */
  #mode: DecodeMode | undefined;
  #modeKey = 0;
  /** Of the bytes looked at last: the key (two halves) and its hash, and where it ends. */
  #encoding = 0;
  #detail = 0;
  #end = 0;
  #hash = 0;
  /** The row is about to be another encoding's. */
  onReplace: (row: number) => void = () => {};
  /** Of the instruction that `scan` found: bytes, displacement, halves of the immediate. */
  length = 0;
  disp = 0;
  immLow = 0;
  immHigh = 0;

  /** `table`: rows by legacy map and opcode. */
  constructor(table: readonly (readonly Row[] | undefined)[]) {
    for (let opcode = 0; opcode < this.#opcodes.length; opcode++) {
      const rows = table[opcode] ?? [];
      const isVex = opcode === 0xc4 || opcode === 0xc5;
      if (rows.length === 0 || isVex || rows.some((r) => r.hasModrm !== rows[0]?.hasModrm)) continue;
      this.#opcodes[opcode] = (rows[0]?.hasModrm === true ? MODRM : NO_MODRM) |
        (mayUseFpu(opcode >> 8, opcode & 0xff) ? USES_FPU : 0);
    }
    PREFIXES.forEach((prefix, i) => this.#prefixes[prefix] = i + 1);
  }

  /** Looks at the bytes in front of displacement and immediate. False: they are unusual. */
  #look(bytes: Uint8Array, at: number, mode: DecodeMode): boolean {
    if (mode !== this.#mode) {
      this.#mode = mode;
      this.#modeKey = (mode.codeBits << 9) | (mode.stackBits << 16) | (mode.flat ? 1 << 8 : 0);
    }
    let byte = bytes[at++] as number;
    let encoding = 0;
    const prefix = this.#prefixes[byte] as number;
    if (prefix !== 0) {
      encoding = prefix << 15;
      byte = bytes[at++] as number;
    }
    if ((byte & 0xf0) === 0x40 && mode.codeBits === 64) {
      encoding |= (0x10 | (byte & 15)) << 10;
      byte = bytes[at++] as number;
    }
    let opcode = byte;
    if (byte === 0x0f) {
      byte = bytes[at++] as number;
      opcode = 0x100 | byte;
      if (byte === 0x38 || byte === 0x3a) {
        opcode = (byte === 0x38 ? 0x200 : 0x300) | bytes[at++] as number;
      }
    }
    const kind = this.#opcodes[opcode] as number;
    if (kind === UNKNOWN) return false;
    let detail = this.#modeKey | (mode.fpuTrap ? (kind & USES_FPU) << 24 : 0);
    if ((kind & MODRM) !== 0) {
      const modrm = bytes[at++] as number;
      encoding |= modrm << 19;
      if ((modrm & 7) === 4 && modrm < 0xc0) detail |= bytes[at++] as number;
    }
    this.#encoding = encoding |= opcode;
    this.#detail = detail;
    this.#end = at;
    this.#hash = (Math.imul(encoding, 0x9e37_79b1) ^ Math.imul(detail, 0x85eb_ca6b)) >>> (32 - TABLE_BITS);
    return true;
  }

  /**
   * Where in `rows` the row of the instruction at `bytes[at]` begins; what else there is of it stands in `length`, `disp`,
   * `immLow` and `immHigh`. -1: it is not known, or does not end below `limit`. `poff`: its offset in the physical page.
   */
  scan(bytes: Uint8Array, at: number, limit: number, poff: number, mode: DecodeMode): number {
    if (!this.#look(bytes, at, mode)) return -1;
    const row = (this.#numbers[this.#hash] as number) << ROW_SHIFT, { rows } = this;
    if (rows[row] !== this.#encoding || rows[row + DETAIL] !== this.#detail) return -1;
    const rest = rows[row + REST] as number, dispBytes = rest & DISP_BYTES;
    let end = this.#end;
    let disp = 0;
    if (dispBytes === 1) disp = ((bytes[end++] as number) << 24) >> 24;
    else if (dispBytes === 4) {
      disp = word(bytes, end);
      end += 4;
    }
    let immLow = rows[row + encodingRow.immLow] as number, immHigh = 0;
    switch ((rest >> IMMEDIATE_AT) & IMMEDIATE) {
      case NONE:
        break;
      case SIGNED_8:
        immLow = ((bytes[end++] as number) << 24) >> 24;
        immHigh = immLow >> 31;
        break;
      case UNSIGNED_8:
        immLow = bytes[end++] as number;
        break;
      case UNSIGNED_16:
        immLow = (bytes[end] as number) | ((bytes[end + 1] as number) << 8);
        end += 2;
        break;
      case SIGNED_16:
        immLow = (((bytes[end] as number) << 16) | ((bytes[end + 1] as number) << 24)) >> 16;
        immHigh = immLow >> 31;
        end += 2;
        break;
      case SIGNED_32:
        immLow = word(bytes, end);
        immHigh = immLow >> 31;
        end += 4;
        break;
      case LOW_32:
        immLow = word(bytes, end);
        end += 4;
        break;
      case ALL_64:
        immLow = word(bytes, end);
        immHigh = word(bytes, end + 4);
        end += 8;
        break;
    }
    const length = end - at;
    if (end > limit || length > MAX_LENGTH) return -1;
    const countMask = rest >> COUNT_MASK_AT;
    if (countMask !== 0 && (immLow & countMask) === 0) return -1;
    if ((rest & RIP_RELATIVE) !== 0) {
      disp += poff + length;
      if (disp > 0x7fff_ffff) return -1;
    }
    this.length = length;
    this.disp = disp;
    this.immLow = immLow;
    this.immHigh = immHigh;
    return row;
  }

  /** The instruction at `bytes[at]`; see `scan`. */
  decode(
    bytes: Uint8Array,
    at: number,
    limit: number,
    poff: number,
    mode: DecodeMode,
  ): Instruction | undefined {
    const row = this.scan(bytes, at, limit, poff, mode);
    if (row < 0) return undefined;
    const sample = this.#samples[row >> ROW_SHIFT] as Instruction;
    return {
      row: sample.row,
      form: sample.form,
      formKey: sample.formKey,
      width: sample.width,
      poff,
      length: this.length,
      reg: sample.reg,
      rm: sample.rm,
      base: sample.base,
      index: sample.index,
      scale: sample.scale,
      disp: this.disp,
      segment: sample.segment,
      immLow: this.immLow,
      immHigh: this.immHigh,
      vvvv: 0,
    };
  }

  /** Remembers the encoding of the instruction at `bytes[at]`, `dispBytes` of which are its displacement. */
  learn(bytes: Uint8Array, at: number, mode: DecodeMode, insn: Instruction, dispBytes: number): void {
    const { row, form } = insn;
    const immediate = immediateOf(insn);
    if (immediate === undefined || insn.vvvv !== 0 || form.vector !== 0 || !this.#look(bytes, at, mode)) {
      return;
    }
    if (form.isMemory && insn.base === S.codeBias && insn.index === S.constant8192) return;
    // A REX in front of a REX: the bytes in front were taken for others.
    if (this.#end - at + dispBytes + (IMMEDIATE_BYTES[immediate] as number) !== insn.length) return;
    if (row.options.ignoresMod === true || (form.isMemory && form.asize === 16)) return;
    const isCount = row.options.shiftCount === true && immediate !== NONE;
    if (isCount && !form.countNonZero) return;
    if (this.#numbers[this.#hash] === 0) {
      if (this.#last === MOST_ROWS) return;
      this.#numbers[this.#hash] = ++this.#last;
    }
    const number = this.#numbers[this.#hash] as number;
    const { rows } = this, place = number << ROW_SHIFT;
    this.onReplace(place);
    rows.fill(0, place, place + encodingRow.size);
    rows[place + ENCODING] = this.#encoding;
    rows[place + DETAIL] = this.#detail;
    rows[place + encodingRow.registers] = insn.reg | (insn.rm << 16);
    rows[place + encodingRow.addresses] = insn.index | (insn.base << 16);
    rows[place + encodingRow.scale] = insn.scale | (insn.segment << 16);
    rows[place + encodingRow.immLow] = insn.immLow;
    rows[place + REST] = dispBytes | (immediate << IMMEDIATE_AT) |
      (form.isMemory && insn.base === S.codeBias ? RIP_RELATIVE : 0) |
      (isCount ? (insn.width === 64 ? 63 : 31) << COUNT_MASK_AT : 0);
    this.#samples[number] = insn;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24);
}

/** Undefined: it is not remembered. */
function immediateOf({ row: { immediates }, width }: Instruction): number | undefined {
  if (immediates.length > 1) return undefined;
  switch (immediates[0]) {
    case undefined:
      return NONE;
    case "ib":
    case "cb":
      return SIGNED_8;
    case "ub":
      return UNSIGNED_8;
    case "iw":
      return UNSIGNED_16;
    case "iz":
    case "cz":
      return width === 16 ? SIGNED_16 : SIGNED_32;
    case "iv":
      return width === 16 ? UNSIGNED_16 : width === 64 ? ALL_64 : LOW_32;
    default:
      return undefined;
  }
}
