// SPDX-License-Identifier: MIT
/**
 * How microcode and memory slow paths answer the emitted code, and why the engine left it. Faults are values
 * here, never exceptions: kernels fault by the million.
 * @module
 */

/** Done; go on with the next record. */
export const NEXT = 0;
/** Done; RIP (S.rip) or the mode changed: find the block at S.rip. */
export const DISPATCH = 1;
/** Nothing happened architecturally but a fault was recorded in the core (vector, error code, CR2). */
export const FAULT = 2;
/** HLT: S.rip is the next instruction; wait for an interrupt. */
export const HALT = 3;
/** Triple fault. */
export const SHUTDOWN = 4;
/** The slice is over or an interrupt waits; S.rip is where to go on. */
export const SLICE_END = 5;
/** The machine asked to stop at an instruction boundary (power-off, a blocked hypercall); S.rip is set. */
export const STOP = 6;
/** As DISPATCH, but in the shadow of STI, MOV SS or POP SS: one instruction is executed before anything can come. */
export const SHADOW = 7;

/** One of the constants above. */
export type Status = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;
