// SPDX-License-Identifier: MIT
/** What decoding fixes about an instruction, as far as emission depends on it. @module */
import type { Form } from "./emit.ts";

/**
 * A relative branch of `osize` may have to cut its target to 16 bits, to look at the limit of CS, or at whether the
 * target is canonical: then its target is computed when it is executed.
 */
export function isComputedBranch(form: Form, osize: number): boolean {
  return osize === 16 || form.leavesCanonical === true || (form.codeBits !== 64 && !form.flat);
}

/** How a memory operand is addressed; part of a handler's identity. */
export interface AddressForm {
  readonly hasIndex: boolean;
  /** none: base 0 and no limit; base: add the base; checked: base, limit and type, by TypeScript if they are unusual. */
  readonly segment: "none" | "base" | "checked";
}

/** Everything decoding fixed that emission may depend on. */
export interface InstructionForm extends Form {
  readonly addressForm: AddressForm;
}

/** Operands of one instruction. Registers are addresses in the state block, as in the record (cpu/state/record.ts). */
export interface Operands {
  readonly form: InstructionForm;
  /** Offset of the first byte in its physical page. */
  readonly poff: number;
  readonly length: number;
  readonly reg: number;
  readonly rm: number;
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly disp: number;
  readonly segment: number;
  readonly immLow: number;
  readonly immHigh: number;
  /** The register that VEX.vvvv names. */
  readonly vvvv: number;
}

/** Fields of the decoded record an instruction reads as numbers. */
export type Slot =
  | "reg"
  | "rm"
  | "vvvv"
  | "base"
  | "index"
  | "segment"
  | "disp"
  | "scale"
  | "poff"
  | "length"
  | "count";
