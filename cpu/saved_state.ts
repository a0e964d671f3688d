// SPDX-License-Identifier: MIT
/**
 * All of a CPU that outlives it, in the format of state/saved_state.ts. What follows from it (TLBs, modes, translations) is
 * made again.
 * @module
 */
import { ConfigError } from "./base/assert.ts";
import type { EngineState } from "./base/engine.ts";
import type { CpuCore } from "./core/core.ts";
import { type RunState, type SavedState, STATE_FORMAT } from "./state/saved_state.ts";
import { STATE_FIELDS } from "./state/state.ts";
import { powerOn } from "./system/power_on.ts";

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

/** Puts a saved state into the core; answers the rest. Throws ConfigError for another format. */
export function loadState(core: CpuCore, state: EngineState): RunState {
  if (state.format !== STATE_FORMAT) {
    throw new ConfigError(
      `Cannot load CPU state of format "${state.format}": this engine reads "${STATE_FORMAT}"`,
      "input",
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
