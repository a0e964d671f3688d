// SPDX-License-Identifier: MIT
/** What emission finds out about an instruction, and what follows from it for a block. @module */
import { ARITHMETIC_FLAGS } from "../state/state.ts";

/** What emission found out about an instruction. */
export interface Facts {
  /** Arithmetic flags read before they are written. */
  flagsRead: number;
  /** Flags written on every path. */
  flagsWritten: number;
  /** Flags written on some path. */
  flagsMayWrite: number;
  /** Can leave before it is done (memory, faults, microcode): flags must be exact before it. */
  canLeave: boolean;
  /** Nothing follows in the block. */
  ends: boolean;
  /** Writes memory: code behind it may have changed. */
  stores: boolean;
  /** Runs microcode. */
  calls: boolean;
  /** Can start again. */
  repeats: boolean;
  /** Counts the runs of its block: see RECORD_RUNS. */
  countsRuns: boolean;
  /** Which of the record's operand fields it reads, a bit for each. */
  operandFields: number;
}

/** Fresh facts: an instruction that does nothing. */
export function noFacts(): Facts {
  return {
    flagsRead: 0,
    flagsWritten: 0,
    flagsMayWrite: 0,
    canLeave: false,
    ends: false,
    stores: false,
    calls: false,
    repeats: false,
    countsRuns: false,
    operandFields: 0,
  };
}

/** Which instructions must leave the flags they write: the others' are overwritten before anybody can see them. */
export function liveFlags(facts: readonly Facts[]): boolean[] {
  const live: boolean[] = [];
  let needed = ARITHMETIC_FLAGS;
  for (let i = facts.length - 1; i >= 0; i--) {
    const f = facts[i] as Facts;
    // A store may change what comes behind it: then it is not what was decoded that sees the flags.
    if (f.stores) needed = ARITHMETIC_FLAGS;
    live[i] = (f.flagsMayWrite & needed) !== 0;
    needed &= ~f.flagsWritten;
    needed |= f.canLeave ? ARITHMETIC_FLAGS : f.flagsRead;
  }
  return live;
}
