// SPDX-License-Identifier: MIT
/** The integer rows as suites for _oracle.ts, one instruction at a time and in sequences. @module */
import { ARITHMETIC_FLAGS, FLAG_DF, FLAG_ID } from "../state/state.ts";
import { fitsSequence, isComparable, randomCase, randomSequence } from "./_cases.ts";
import type { NativeCase, NativeResult } from "./_native_runner.ts";
import { type Group, groupName, makeCases, type Suite } from "./_oracle.ts";
import { type Row, rows } from "./mod.ts";
import { needsOf } from "./row/row.ts";

/** Strings have a count, a direction and a repetition on top of what others have. */
const CASES_PER_ROW = 16, CASES_PER_STRING = 80;
const SEQUENCES = 20, CASES_PER_SEQUENCE = 100;
/** Flags that programs may change. */
export const COMPARED_FLAGS = ARITHMETIC_FLAGS | FLAG_DF | FLAG_ID;
const RCX = 1, RSI = 6, RDI = 7;

/**
 * REP with ECX = 0 under a 32-bit address size in 64-bit mode: whether RCX, RSI and RDI are written, and so lose
 * their high halves, no manual says. Intel's processors write RCX (and for MOVS, STOS the pointers), AMD's do not.
 */
function isEmptyRepeat(row: Row, bits: 32 | 64, { code, gpr }: NativeCase): boolean {
  if (bits !== 64 || row.options.repeats !== true) return false;
  const prefixes = code.slice(0, code.indexOf(row.opcode));
  return prefixes.includes(0x67) && (prefixes.includes(0xf2) || prefixes.includes(0xf3)) &&
    ((gpr[RCX] as bigint) & 0xffff_ffffn) === 0n;
}

function settled(bits: 32 | 64, result: NativeResult, undefinedFlags: number, halves: readonly number[]) {
  const registers = bits === 64 ? ~0n : 0xffff_ffffn;
  return {
    ...result,
    flags: result.flags & COMPARED_FLAGS & ~undefinedFlags,
    gpr: result.gpr.map((value, r) =>
      bits === 32 && r >= 8 ? 0n : value & (halves.includes(r) ? 0xffff_ffffn : registers)
    ),
  };
}

function rowGroup(row: Row, bits: 32 | 64): Group {
  const name = groupName(row), count = row.options.repeats === true ? CASES_PER_STRING : CASES_PER_ROW;
  return {
    name,
    needs: needsOf(row),
    cases: makeCases({ name, bits, count }, (random, place) => randomCase(row, random, place)),
    settle: (one, result) => {
      const halves = isEmptyRepeat(row, bits, one) ? [RCX, RSI, RDI] : [];
      return settled(bits, result, row.options.undefinedFlags ?? 0, halves);
    },
  };
}

function sequenceGroup(fitting: readonly Row[], bits: 32 | 64, n: number): Group {
  const name = `sequences ${n}`;
  return {
    name,
    needs: fitting.flatMap(needsOf),
    cases: makeCases(
      { name, bits, count: CASES_PER_SEQUENCE },
      (random, place) => randomSequence(fitting, random, place),
    ),
    settle: (_, result) => settled(bits, result, 0, []),
  };
}

/** A settled result as text. */
function show(bits: 32 | 64, { vector, gpr, flags, memory }: NativeResult): Record<string, string> {
  if (vector >= 0) return { vector: String(vector) };
  const names = "ax cx dx bx sp bp si di r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
  const out: Record<string, string> = { flags: flags.toString(16) };
  for (let r = 0; r < (bits === 64 ? 16 : 8); r++) out[names[r] as string] = (gpr[r] as bigint).toString(16);
  out.memory = Array.from(memory, (b) => b.toString(16).padStart(2, "0")).join("");
  return out;
}

/** The suites for `bits`-bit code: single instructions, sequences. */
export function integerSuites(bits: 32 | 64): readonly Suite[] {
  const single = rows.filter((row) => isComparable(row, bits));
  const fitting = rows.filter((row) => fitsSequence(row, bits));
  const suite = (name: string, groups: readonly Group[]): Suite => ({
    name: `${name}_${bits}`,
    bits,
    groups,
    show: (result) => show(bits, result),
  });
  return [
    suite("integer", single.map((row) => rowGroup(row, bits))),
    suite("sequences", Array.from({ length: SEQUENCES }, (_, n) => sequenceGroup(fitting, bits, n))),
  ];
}
