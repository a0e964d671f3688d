// SPDX-License-Identifier: MIT
/** Counts the runs of a block, in its last record: see RECORD_RUNS. @module */
import { RECORD_RUNS } from "../state/record.ts";
import type { Val, WasmBuilder } from "./builder.ts";

/** Counts one in the record `rec`; emits what `isWarm` does for when none is left. */
export function countRun(b: WasmBuilder, rec: () => Val, isWarm: () => void): void {
  const left = b.op("i32.sub", b.loadRaw("i32.load16_u", rec(), RECORD_RUNS), b.i32(1));
  b.storeRaw("i32.store16", rec(), left, RECORD_RUNS);
  const none = b.eqz(32, left);
  b.body.hint(0);
  b.if(none, isWarm);
}
