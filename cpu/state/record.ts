// SPDX-License-Identifier: MIT
/**
 * The decoded instruction record in the code arena. The decoder writes it, both back ends and the microcode
 * read it. A record's handler is a slot of the function table; the first slots are the same everywhere.
 * @module
 */
import { layout } from "../base/layout.ts";

/**
 * Offsets within a record. Operand fields (reg, rm, base, index, segment) are absolute byte addresses of the
 * operand in the state block. `poff` is the offset of the instruction in its physical page: RIP = codeBias +
 * poff. `count`: instructions of the block up to and including this one. Direct branches use `taken`/`fall`
 * (record addresses) in place of the immediate. `bytes`, in the first record of a block of segmented code, which is no
 * longer than 255: bytes of code in the block, which the limit of CS is checked against. Elsewhere see RECORD_ENTRY.
 *
 * Each load costs a check of bounds, so handlers take several fields by one: the operand fields, and `disp` with the
 * handler of the record behind (cpu/emit/interpreter.ts).
 */
export const record = layout({
  handler: "u32",
  poff: "u16",
  length: "u8",
  count: "u8",
  reg: "u16",
  rm: "u16",
  index: "u16",
  base: "u16",
  imm: "u64",
  scale: "u8",
  bytes: "u8",
  segment: "u16",
  disp: "i32",
});
/** Offset of the address (u16) of the register that VEX.vvvv names: above an immediate, which has 8 bits then. */
export const RECORD_VVVV = record.at.imm + 4;
/**
 * Offset (u8), in records where a region is entered (cpu/emit/region/): at which of its entries. In the first record of a
 * block that is no entry it is NO_ENTRY. Segmented code has no regions.
 */
export const RECORD_ENTRY = record.at.bytes;
/** See RECORD_ENTRY. */
export const NO_ENTRY = 255;
/** Bytes in a record. */
export const RECORD_BYTES = 32;
/** Offset of `taken` (u32) in a branch record: where `imm` is otherwise. */
export const RECORD_TAKEN = record.at.imm;
/** Offset of `fall` (u32) in a branch record. */
export const RECORD_FALL = record.at.imm + 4;

/**
 * Of a record with H_GOTO: the first record of the block that it led to last (u32), and where that block's code lies in the
 * WebAssembly memory (u32; 0: nowhere yet). It stands there still while the code TLB says that its page is mapped there.
 */
export const RECORD_GOES_TO = record.at.index;
export const RECORD_GOES_HOST = record.at.disp;
/**
 * Offset, in the last record of a block that ends with a near branch or without one, of how many runs are left (u16) until
 * somebody wants to know: such records have no register operand.
 */
export const RECORD_RUNS = record.at.reg;

/** Handler of a direct branch that is not linked yet: `imm` is the address of the link field, `disp` the page. */
export const H_LINK = 1;
/** Handler that goes to codeBias + imm, charging `count` instructions. */
export const H_GOTO = 2;
/** Handler of a record whose code has changed, and of every slot that is free. */
export const H_STALE = 3;
/** Marks a record that another record's handler covers; never entered. */
export const H_COVERED = 4;
/** Like H_GOTO, but looks for no interrupt on the way. */
export const H_SHADOW = 5;
/**
 * First record of a block whose code has changed: links to it lead on to the block that stands there now. `disp` is
 * the page.
 */
export const H_RELINK = 6;
/** Goes to the record at `imm`. */
export const H_FORWARD = 7;
/** Like H_GOTO where linear addresses are not RIP. */
export const H_GOTO_SEGMENTED = 8;
/**
 * First record of a block whose one instruction crosses into another page: goes to the next record when that page is
 * still where it was, at byte offset `imm` of the WebAssembly memory. Its other fields are those of the instruction.
 */
export const H_CROSSING = 9;
/** Not handlers: functions of vectors, see VECTOR_FUNCTIONS in cpu/emit/links.ts. */
export const H_VECTOR_FUNCTION = 48;
/** Nor these: functions of x87 instructions, by opcode, kind of operand and ModRM.reg; see x87Number. */
export const H_X87 = 64, X87_FUNCTIONS = 128;
/** In the other table, too: functions that look at results of SSE a second time; see cpu/translate/sse_look.ts. */
export const H_SSE_LOOK = 64, SSE_LOOKS = 256;
/** Number of the function for a group of x87 instructions; `opcode`: its lowest three bits. */
export function x87Number({ opcode, isMemory, reg }: {
  readonly opcode: number;
  readonly isMemory: boolean;
  readonly reg: number;
}): number {
  return (opcode << 4) | (isMemory ? 0 : 8) | reg;
}
/** First slot for functions of instructions and blocks. */
export const H_FIRST = 192;
