// SPDX-License-Identifier: MIT
/** What the decoder is asked for and what it answers. @module */
import type { Operands } from "../emit/form.ts";
import type { Width } from "../emit/emit.ts";
import type { Row } from "../isa/row/row.ts";

/** Longest legal instruction. */
export const MAX_LENGTH = 15;

/** What decoding depends on besides the bytes. */
export interface DecodeMode {
  readonly codeBits: 16 | 32 | 64;
  readonly stackBits: 16 | 32 | 64;
  /** CS, DS, ES and SS have base 0 and no limit. */
  readonly flat: boolean;
  /** Form.fpuTrap of legacy instructions, and of VEX-encoded ones. */
  readonly fpuTrap: boolean;
  readonly avxTrap: boolean;
}

/** A decoded instruction. */
export interface Instruction extends Operands {
  readonly row: Row;
  /** Identifies `form` among all forms; below 2^28. */
  readonly formKey: number;
  readonly width: Width;
}

/** High halves of opcodes behind 0F without any that is of the FPU, MMX or SSE. */
const INTEGER_0F = [0x0, 0x3, 0x4, 0x8, 0x9, 0xb];
/**
 * Whether a legacy opcode may be an instruction of the FPU, MMX or SSE. Only their code depends on `fpuTrap`: a kernel
 * turns the FPU on when a third of its boot's forms have been seen, and all others need no second handler then.
 */
export function mayUseFpu(map: number, opcode: number): boolean {
  if (map === 0) return (opcode & 0xf8) === 0xd8;
  return map !== 1 || !(INTEGER_0F.includes(opcode >> 4) || opcode === 0x1f || opcode === 0xaf);
}
