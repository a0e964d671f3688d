// SPDX-License-Identifier: MIT
/**
 * The format in which the state of a CPU is kept, whichever engine it comes from: the state block field by field, and what
 * is beside it. New fields need no other format: where they are missing they are as after power-on.
 * @module
 */

/** Changes when a field is kept in another way. */
export const STATE_FORMAT = "wasm/1";

/** What an engine keeps besides the processor. */
export interface RunState {
  readonly halted: boolean;
  readonly instructions: number;
}

/** The record itself. */
export interface SavedState {
  /** Bytes of each field of the state block. */
  readonly fields: Readonly<Record<string, Uint8Array>>;
  readonly pdptes: Uint32Array;
  /** The fault that was recorded last; empty: of no interest. */
  readonly fault: object;
  readonly resumeFlag: boolean;
  readonly nmiPending: boolean;
  readonly nmiBlocked: boolean;
  readonly stopRequested: boolean;
  readonly run: RunState;
  /** All of it once more as Linux' KVM has it, for KVM. */
  readonly kvm?: unknown;
}
