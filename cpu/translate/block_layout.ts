// SPDX-License-Identifier: MIT
/** Writes a block's records: one per instruction, then where it goes on, or a stub per direction of its branch. @module */
import { assert } from "../base/assert.ts";
import { PAGE_SIZE } from "../base/bits.ts";
import type { Instruction } from "../decode/instruction.ts";
import {
  H_CROSSING,
  H_GOTO,
  H_GOTO_SEGMENTED,
  H_LINK,
  H_SHADOW,
  record,
  RECORD_BYTES,
  RECORD_FALL,
  RECORD_GOES_HOST,
  RECORD_GOES_TO,
  RECORD_RUNS,
  RECORD_TAKEN,
} from "../state/record.ts";
import type { Shape } from "./shapes.ts";

/**
 * Runs of a block, by handlers, until it is warm, and gets a region with --engine jit. An instruction costs some 11 ns each
 * time in a handler, and once 10 µs of the main thread in a region and 30 of others; who has run often is likely to run as
 * often again. With 1,000 there are many small regions before samples find what is hot.
 */
export const WARM_RUNS = 1500;

/** The record of a block that counts its runs (RECORD_RUNS); 0: none does. */
export function countingRecord(start: number, code: BlockCode): number {
  const { facts } = code.shapes[code.shapes.length - 1] as Shape;
  const behind = start + (code.insns.length + (code.secondHost === 0 ? 0 : 1)) * RECORD_BYTES;
  return !facts.ends ? behind : facts.countsRuns ? behind - RECORD_BYTES : 0;
}

/** Instructions that follow each other, and the shape of each. */
export interface Run {
  readonly insns: readonly Instruction[];
  readonly shapes: readonly Shape[];
}

/** The decoded code of a block. */
export interface BlockCode extends Run {
  /** Byte offset of its (first) page. */
  readonly page: number;
  /** That of its second page, when its one instruction crosses; else 0. */
  readonly secondHost: number;
  /** See Block. */
  readonly leavesCanonical: boolean;
  /** Direct branches within the page may be linked record to record: nothing needs a look on the way. */
  readonly links: boolean;
}

/** Does the last of these instructions keep interrupts off the next one? The second of a kind in a row does not. */
export function shadowed(shapes: readonly Shape[]): boolean {
  const now = shapes[shapes.length - 1]?.shadow;
  const before = now === undefined ? undefined : shapes[shapes.length - 2]?.shadow;
  return now !== undefined && now !== before;
}

/** A producer of flags and the conditional branch behind it have one handler, every other instruction one of its own. */
export function fusesWithNext(shapes: readonly Shape[], i: number): boolean {
  const next = shapes[i + 1];
  if (next === undefined || !next.isDirectBranch || next.facts.flagsRead === 0) return false;
  const { flagsWritten, stores, ends } = (shapes[i] as Shape).facts;
  return flagsWritten !== 0 && !stores && !ends;
}

/** How many records the block needs. */
export function recordsOf({ insns, shapes, secondHost }: BlockCode): number {
  const own = insns.length + (secondHost === 0 ? 0 : 1);
  const last = shapes[shapes.length - 1] as Shape;
  if (!last.facts.ends) return own + 1;
  return own + (last.isDirectBranch ? 2 : 0);
}

const { at: AT } = record;
assert(
  AT.poff === 4 && AT.length === 6 && AT.count === 7 && AT.reg === 8 && AT.rm === 10 && AT.index === 12 &&
    AT.base === 14 && AT.imm === 16 && AT.scale === 24 && AT.bytes === 25 && AT.segment === 26 &&
    AT.disp === 28,
  "records are written a word at a time",
);
const SCALE = AT.scale >> 2, DISP = AT.disp >> 2, IMM_LOW = AT.imm >> 2, IMM_HIGH = IMM_LOW + 1;
const GOES_TO = RECORD_GOES_TO >> 2, GOES_HOST = RECORD_GOES_HOST >> 2, RUNS = RECORD_RUNS >> 2;
const RECORD_WORDS = RECORD_BYTES >> 2;

/** Writes the records at `start`, with the handlers `slots`; the address behind the last one. */
export function layOut(
  words: Uint32Array,
  start: number,
  code: BlockCode,
  slots: readonly number[],
): number {
  const { insns, shapes } = code;
  const lastShape = shapes[shapes.length - 1] as Shape;
  const first = insns[0] as Instruction, last = insns[insns.length - 1] as Instruction;
  const end = last.poff + last.length;
  const bytes = Math.min(255, end - first.poff);
  let at = start >> 2;
  if (code.secondHost !== 0) {
    words[at] = H_CROSSING;
    words[at + 1] = first.poff | (first.length << 16);
    words[at + SCALE] = bytes << 8;
    words[at + IMM_LOW] = code.secondHost;
    at += RECORD_WORDS;
  }
  for (let i = 0; i < insns.length; i++, at += RECORD_WORDS) {
    const insn = insns[i] as Instruction;
    words[at] = slots[i] as number;
    words[at + 1] = insn.poff | (insn.length << 16) | ((i + 1) << 24);
    words[at + 2] = insn.reg | (insn.rm << 16);
    words[at + 3] = insn.index | (insn.base << 16);
    words[at + IMM_LOW] = insn.immLow;
    words[at + IMM_HIGH] = insn.immHigh;
    words[at + SCALE] = insn.scale | (i === 0 ? bytes << 8 : 0) | (insn.segment << 16);
    words[at + DISP] = insn.disp;
  }
  const goTo = last.form.codeBits === 64 || last.form.flat ? H_GOTO : H_GOTO_SEGMENTED;
  /** `high`: the upper half of `target`. */
  const putGoTo = (handler: number, target: number, high: number, count: number) => {
    words[at] = handler;
    words[at + 1] = count << 24;
    words[at + GOES_TO] = words[at + GOES_HOST] = 0;
    words[at + RUNS] = WARM_RUNS;
    words[at + IMM_LOW] = target;
    words[at + IMM_HIGH] = high;
    at += RECORD_WORDS;
  };
  if (lastShape.facts.countsRuns) {
    const own = at - RECORD_WORDS;
    words[own + RUNS] = (words[own + RUNS] as number) & 0xffff_0000 | WARM_RUNS;
  }
  if (!lastShape.facts.ends) {
    // Right behind STI or MOV SS no interrupt is taken, so the block's end must not look for one.
    putGoTo(shadowed(shapes) ? H_SHADOW : goTo, end, 0, insns.length);
  } else if (lastShape.isDirectBranch) {
    const branch = at - RECORD_WORDS;
    for (const field of [RECORD_TAKEN, RECORD_FALL]) {
      const target = field === RECORD_TAKEN ? end + last.immLow : end;
      words[branch + (field >> 2)] = at * 4;
      if (!code.links || target < 0 || target >= PAGE_SIZE) {
        putGoTo(goTo, target, target < 0 ? -1 : 0, 0);
        continue;
      }
      words[at] = H_LINK;
      words[at + 1] = target;
      words[at + DISP] = code.page;
      words[at + IMM_LOW] = branch * 4 + field;
      words[at + IMM_HIGH] = 0;
      at += RECORD_WORDS;
    }
  }
  return at * 4;
}

/** The immediate as decoded. */
export function immediate(insn: Instruction): bigint {
  return (BigInt(insn.immHigh) << 32n) | BigInt(insn.immLow >>> 0);
}
