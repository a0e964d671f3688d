// SPDX-License-Identifier: MIT
/** Writes a block's records: one per instruction, then where it goes on, or a stub per direction of its branch. @module */
import { PAGE_SIZE } from "../base/bits.ts";
import type { Instruction } from "../decode/decoder.ts";
import type { Facts } from "../emit/facts.ts";
import { isComputedBranch } from "../emit/form.ts";
import {
  H_COVERED,
  H_GOTO,
  H_GOTO_SEGMENTED,
  H_LINK,
  H_SHADOW,
  record,
  RECORD_BYTES,
  RECORD_FALL,
  RECORD_TAKEN,
} from "../state/record.ts";

/** The decoded code of a block. */
export interface BlockCode {
  readonly insns: readonly Instruction[];
  readonly facts: readonly Facts[];
  /** Byte offset of its (first) page. */
  readonly page: number;
  /** Direct branches within the page may be linked record to record: nothing needs a look on the way. */
  readonly links: boolean;
}

/** Does the last of these instructions keep interrupts off the next one? The second of a kind in a row does not. */
export function shadowed(insns: readonly Instruction[]): boolean {
  const before = insns[insns.length - 2]?.row.options.shadow,
    now = insns[insns.length - 1]?.row.options.shadow;
  return now !== undefined && now !== before;
}

/** A producer of flags and the conditional branch behind it make a group, every other instruction one of its own. */
export function groupsOf(insns: readonly Instruction[], facts: readonly Facts[]): Instruction[][] {
  const groups: Instruction[][] = [];
  for (let i = 0; i < insns.length;) {
    const fact = facts[i] as Facts, next = facts[i + 1];
    const fused = next !== undefined && fact.flagsWritten !== 0 && !fact.stores && !fact.ends &&
      next.flagsRead !== 0 && isDirectBranch(insns[i + 1] as Instruction);
    groups.push(insns.slice(i, fused ? i + 2 : i + 1));
    i += fused ? 2 : 1;
  }
  return groups;
}

/** Others, whose target is computed and checked: see cpu/isa/general/control.ts. */
export function isDirectBranch(insn: Instruction): boolean {
  const kind = insn.row.immediates[0];
  return (kind === "cb" || kind === "cz") && !isComputedBranch(insn.form, insn.form.osize);
}

/** How many records the block needs. */
export function recordsOf({ insns, facts }: BlockCode): number {
  if (!(facts[facts.length - 1] as Facts).ends) return insns.length + 1;
  return insns.length + (isDirectBranch(insns[insns.length - 1] as Instruction) ? 2 : 0);
}

/** Writes the records at `start`; the address behind the last one. */
export function layOut(
  view: DataView,
  start: number,
  code: BlockCode,
  groups: readonly (readonly Instruction[])[],
  slots: readonly number[],
): number {
  const { insns, facts } = code;
  let at = start;
  groups.forEach((group, n) =>
    group.forEach((insn, i) => {
      const count = (at - start) / RECORD_BYTES + 1;
      put(view, at, i === 0 ? slots[n] as number : H_COVERED, insn.poff, insn.length, count);
      view.setUint16(at + record.at.reg, insn.reg, true);
      view.setUint16(at + record.at.rm, insn.rm, true);
      view.setUint16(at + record.at.base, insn.base, true);
      view.setUint16(at + record.at.index, insn.index, true);
      view.setInt32(at + record.at.disp, insn.disp, true);
      view.setUint8(at + record.at.scale, insn.scale);
      view.setUint16(at + record.at.segment, insn.segment, true);
      view.setInt32(at + record.at.imm, insn.immLow, true);
      view.setInt32(at + record.at.imm + 4, insn.immHigh, true);
      at += RECORD_BYTES;
    })
  );
  const first = insns[0] as Instruction, last = insns[insns.length - 1] as Instruction;
  const end = last.poff + last.length;
  view.setUint8(start + record.at.bytes, Math.min(255, end - first.poff));
  const goTo = last.form.codeBits === 64 || last.form.flat ? H_GOTO : H_GOTO_SEGMENTED;
  const putGoTo = (handler: number, target: bigint, count: number) => {
    put(view, at, handler, 0, 0, count);
    view.setBigInt64(at + record.at.imm, target, true);
    at += RECORD_BYTES;
  };
  if (!(facts[facts.length - 1] as Facts).ends) {
    // Right behind STI or MOV SS no interrupt is taken, so the block's end must not look for one.
    putGoTo(shadowed(insns) ? H_SHADOW : goTo, BigInt(end), insns.length);
  } else if (isDirectBranch(last)) {
    const branch = at - RECORD_BYTES;
    const targets = [
      [branch + RECORD_TAKEN, BigInt(end) + immediate(last)],
      [branch + RECORD_FALL, BigInt(end)],
    ] as const;
    for (const [field, target] of targets) {
      view.setUint32(field, at, true);
      if (!code.links || target < 0n || target >= BigInt(PAGE_SIZE)) {
        putGoTo(goTo, target, 0);
        continue;
      }
      put(view, at, H_LINK, Number(target), 0, 0);
      view.setUint32(at + record.at.disp, code.page, true);
      view.setBigInt64(at + record.at.imm, BigInt(field), true);
      at += RECORD_BYTES;
    }
  }
  return at;
}

function put(view: DataView, at: number, handler: number, poff: number, length: number, count: number): void {
  view.setUint32(at + record.at.handler, handler, true);
  view.setUint16(at + record.at.poff, poff, true);
  view.setUint8(at + record.at.length, length);
  view.setUint8(at + record.at.count, count);
}

/** The immediate as decoded. */
export function immediate(insn: Instruction): bigint {
  return (BigInt(insn.immHigh) << 32n) | BigInt(insn.immLow >>> 0);
}
