// SPDX-License-Identifier: MIT
/**
 * All of a CPU that outlives it: the state block field by field, and what is kept beside it. What follows from these
 * (TLBs, modes, translations) is made again.
 * @module
 */
import type { EngineState } from "./base/engine.ts";
import type { CpuCore } from "./core/core.ts";
import { STATE_FIELDS } from "./state/state.ts";
import { powerOn } from "./system/power_on.ts";

/** Changes when a field is kept in another way; new fields need no change: they are as after power-on. */
export const STATE_FORMAT = "wasm/1";

/** What a {@linkcode Cpu} keeps besides its core. */
export interface RunState {
  readonly halted: boolean;
  readonly instructions: number;
}

interface SavedState {
  /** Bytes of each field of the state block. */
  readonly fields: Readonly<Record<string, Uint8Array>>;
  readonly pdptes: Uint32Array;
  readonly fault: CpuCore["fault"];
  readonly resumeFlag: boolean;
  readonly nmiPending: boolean;
  readonly nmiBlocked: boolean;
  readonly stopRequested: boolean;
  readonly run: RunState;
}

/** A copy of everything. */
export function saveState(core: CpuCore, run: RunState): EngineState {
  core.materializeFlags(); // from now on they are stored explicitly
  const bytes = core.memory.bytes;
  const fields: Record<string, Uint8Array> = {};
  for (const { name, at, size } of STATE_FIELDS) fields[name] = bytes.slice(at, at + size);
  const data: SavedState = {
    fields,
    pdptes: core.mmu.pdptes.slice(),
    fault: { ...core.fault },
    resumeFlag: core.resumeFlag,
    nmiPending: core.nmiPending,
    nmiBlocked: core.nmiBlocked,
    stopRequested: core.stopRequested,
    run,
  };
  return { format: STATE_FORMAT, data };
}

/** Puts a saved state into the core; answers the rest. Throws RangeError for another format. */
export function loadState(core: CpuCore, state: EngineState): RunState {
  if (state.format !== STATE_FORMAT) {
    throw new RangeError(
      `Cannot load CPU state of format "${state.format}": this engine reads "${STATE_FORMAT}"`,
    );
  }
  const data = state.data as SavedState;
  powerOn(core);
  for (const { name, at, size } of STATE_FIELDS) {
    const field = data.fields[name];
    if (field?.length === size) core.memory.bytes.set(field, at);
  }
  core.mmu.pdptes.set(data.pdptes);
  Object.assign(core.fault, data.fault);
  core.resumeFlag = data.resumeFlag;
  core.nmiPending = data.nmiPending;
  core.nmiBlocked = data.nmiBlocked;
  core.stopRequested = data.stopRequested;
  core.retryRequested = false;
  core.mmu.flush();
  core.updateMode();
  return data.run;
}
