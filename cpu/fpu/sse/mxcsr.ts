// SPDX-License-Identifier: MIT
/** MXCSR and what an SSE floating-point operation raises. SDM Vol. 1 §10.2.3, §11.5. @module */

/** Invalid operation; the same bits as masks are `IE << MXCSR_MASKS`. */
export const IE = 1 << 0;
/** Denormal operand. */
export const DE = 1 << 1;
/** Zero divide. */
export const ZE = 1 << 2;
/** Overflow. */
export const OE = 1 << 3;
/** Underflow. */
export const UE = 1 << 4;
/** Precision (inexact). */
export const PE = 1 << 5;
/** Denormals are zeros. */
export const MXCSR_DAZ = 1 << 6;
/** Shift from a flag to its mask. */
export const MXCSR_MASKS = 7;
/** Rounding control, bits 14:13. */
export const MXCSR_RC_SHIFT = 13;
/** Flush to zero. */
export const MXCSR_FTZ = 1 << 15;
/** All flags. */
export const MXCSR_FLAGS = 0x3f;

/** Rounding control. */
export const RC_NEAREST = 0, RC_DOWN = 1, RC_UP = 2, RC_ZERO = 3;

/** Exceptions that are found before there is a result. */
const BEFORE = IE | DE | ZE;

/** Control in, exceptions out. */
export class SseEnv {
  mxcsr = 0x1f80;
  /** Exceptions of the step at hand: operations add to them. */
  raised = 0;
  /** Exceptions of the steps that are over. */
  settled = 0;
  /** MXCSR.RC, or what an immediate says instead. */
  rounding = RC_NEAREST;

  /** Begins an instruction. */
  begin(mxcsr: number): void {
    this.mxcsr = mxcsr;
    this.raised = 0;
    this.settled = 0;
    this.rounding = (mxcsr >> MXCSR_RC_SHIFT) & 3;
  }
  /** Exceptions in `flags` that are not masked. */
  unmasked(flags: number): number {
    return flags & ~(this.mxcsr >> MXCSR_MASKS) & MXCSR_FLAGS;
  }
  /**
   * Ends a step (all lanes at once): an unmasked exception that is found before there are results keeps the others from
   * being found. False when the instruction ends here, without a result.
   */
  endStep(): boolean {
    if (this.unmasked(this.raised & BEFORE) !== 0) this.raised &= BEFORE;
    const completes = this.unmasked(this.raised) === 0;
    this.settled |= this.raised;
    this.raised = 0;
    return completes;
  }
}
