// SPDX-License-Identifier: MIT
/**
 * The decoded instruction record in the code arena. The decoder writes it, both back ends and the microcode
 * read it.
 * @module
 */
import { layout } from "../base/layout.ts";

/**
 * Offsets within a record. Operand fields (reg, rm, base, index, segment) are absolute byte addresses of the
 * operand in the state block. `poff` is the offset of the instruction in its physical page: RIP = codeBias +
 * poff. `count`: instructions of the block up to and including this one. Direct branches use `taken`/`fall`
 * (record addresses) in place of the immediate.
 */
export const record = layout({
  handler: "u32",
  poff: "u16",
  length: "u8",
  count: "u8",
  reg: "u16",
  rm: "u16",
  base: "u16",
  index: "u16",
  disp: "i32",
  scale: "u8",
  flags: "u8",
  segment: "u16",
  imm: "u64",
});
/** Bytes in a record. */
export const RECORD_BYTES = 32;
/** Offset of `taken` (u32) in a branch record: where `imm` is otherwise. */
export const RECORD_TAKEN = record.at.imm;
/** Offset of `fall` (u32) in a branch record. */
export const RECORD_FALL = record.at.imm + 4;
