// SPDX-License-Identifier: MIT
/**
 * The engine that others are compared with: the interpreter, which leaves to TypeScript what emitted code of all engines
 * shares otherwise: accesses that miss the TLB, INVLPG, loads of segments and IRET, whose descriptors no TLB has. Not so:
 * page walks where code is looked for (find_block.ts) and in strings, transfers that look at registers alone.
 * @module
 */
import { S, TLB_BASE, TLB_BYTES, TLB_ENTRIES, TLB_INVALID, tlbEntry } from "../state/state.ts";
import { ControlFlowCpu } from "./_control_flow.ts";
import { type ControlFlowPlace, GDT } from "./_program_place.ts";
import type { Instead } from "./handler_table.ts";

const isInGdt = (low: number) => (low & -4096) === GDT;

const leaveToTypeScript: Instead = (core, { slowLoad, slowStore, slowUpdate }, { view }) => {
  const span = core.span as (bytes: number) => number;
  return {
    ...{ slowLoad, slowStore, slowUpdate },
    span: (bytes: number) => isInGdt(view.getUint32(S.memAddr, true)) ? 0 : span(bytes),
    invalidatePage: () => 0,
  };
};

/** See the module's description. */
export function judge(place: ControlFlowPlace): ControlFlowCpu {
  const cpu = new ControlFlowCpu(
    { engine: "interp", compileAtOnce: false, instead: leaveToTypeScript },
    place,
  );
  const { mmu, memory } = cpu.t.cpu.core, translate = mmu.translate.bind(mmu);
  mmu.translate = (lo, hi, access, tlbMode) => {
    const gpa = translate(lo, hi, access, tlbMode);
    if (isInGdt(lo)) {
      const entry = TLB_BASE + tlbMode * TLB_BYTES + ((lo >>> 12) & (TLB_ENTRIES - 1)) * tlbEntry.size;
      memory.view.setBigUint64(entry + tlbEntry.at.readTag, TLB_INVALID, true);
    }
    return gpa;
  };
  return cpu;
}
