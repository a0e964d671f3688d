// SPDX-License-Identifier: MIT
/** Writes a block's records: one per instruction, then where it goes on, or a stub per direction of its branch. @module */
import { PAGE_SIZE } from "../../base/bits.ts";
import type { DecodeMode, Instruction } from "../../decode/instruction.ts";
import {
  H_CROSSING,
  H_GOTO,
  H_GOTO_SEGMENTED,
  H_LINK,
  H_SHADOW,
  NO_ENTRY,
  RECORD_FALL,
  RECORD_GOES_HOST,
  RECORD_GOES_TO,
  RECORD_RUNS,
  RECORD_TAKEN,
} from "../../state/record.ts";
import {
  type BlockDraft,
  DISP_WORD,
  IMM_HIGH_WORD,
  IMM_LOW_WORD,
  RECORD_WORDS,
  SCALE_WORD,
} from "./block_draft.ts";

/**
 * Runs of a block, by handlers, until it is warm, and gets a region with --engine jit. An instruction costs some 11 ns each
 * time in a handler, and once 8 µs of the main thread in a region and 30 of others; who has run often is likely to run as
 * often again. With 1,000 there are many small regions before samples find what is hot.
 */
export const WARM_RUNS = 1500;

const GOES_TO = RECORD_GOES_TO >> 2, GOES_HOST = RECORD_GOES_HOST >> 2, RUNS = RECORD_RUNS >> 2;

/** Writes the records at `start`; the address behind the last one. */
export function layOut(words: Int32Array, start: number, draft: BlockDraft): number {
  const { from, end } = draft;
  const { codeBits, flat } = draft.mode as DecodeMode;
  const isSegmented = codeBits !== 64 && !flat;
  const firstByte = isSegmented ? end - from : NO_ENTRY; // record.bytes, RECORD_ENTRY
  let at = start >> 2;
  if (draft.secondHost !== 0) {
    words[at] = H_CROSSING;
    words[at + 1] = from | ((end - from) << 16);
    words[at + SCALE_WORD] = firstByte << 8;
    words[at + IMM_LOW_WORD] = draft.secondHost;
    at += RECORD_WORDS;
  }
  const own = draft.words, first = at, ownWords = draft.count * RECORD_WORDS;
  for (let i = 0; i < ownWords; i++) words[at++] = own[i] as number;
  words[first + SCALE_WORD]! |= firstByte << 8;
  const goTo = isSegmented ? H_GOTO_SEGMENTED : H_GOTO;
  /** `high`: the upper half of `target`. */
  const putGoTo = (handler: number, target: number, high: number, count: number) => {
    words[at] = handler;
    words[at + 1] = count << 24;
    words[at + GOES_TO] = words[at + GOES_HOST] = 0;
    words[at + RUNS] = WARM_RUNS;
    words[at + IMM_LOW_WORD] = target;
    words[at + IMM_HIGH_WORD] = high;
    at += RECORD_WORDS;
  };
  if (draft.countsRuns) {
    const last = at - RECORD_WORDS;
    words[last + RUNS] = (words[last + RUNS] as number) & 0xffff_0000 | WARM_RUNS;
  }
  if (!draft.ends) {
    // Right behind STI or MOV SS no interrupt is taken, so the block's end must not look for one.
    putGoTo(draft.isShadowed ? H_SHADOW : goTo, end, 0, draft.count);
  } else if (draft.isDirectBranch) {
    const branch = at - RECORD_WORDS;
    for (let taken = 1; taken >= 0; taken--) {
      const field = taken === 1 ? RECORD_TAKEN : RECORD_FALL;
      const target = taken === 1 ? end + draft.lastImmediate : end;
      words[branch + (field >> 2)] = at * 4;
      if (!draft.links || target < 0 || target >= PAGE_SIZE) {
        putGoTo(goTo, target, target < 0 ? -1 : 0, 0);
        continue;
      }
      words[at] = H_LINK;
      words[at + 1] = target;
      words[at + DISP_WORD] = draft.page;
      words[at + IMM_LOW_WORD] = branch * 4 + field;
      words[at + IMM_HIGH_WORD] = 0;
      at += RECORD_WORDS;
    }
  }
  return at * 4;
}

/** The immediate as decoded. */
export function immediate(insn: Instruction): bigint {
  return (BigInt(insn.immHigh) << 32n) | BigInt(insn.immLow >>> 0);
}
