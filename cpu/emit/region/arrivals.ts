// SPDX-License-Identifier: MIT
/**
 * Counts arrivals at blocks that are no entries of regions, by branches that look their target up: what is branched to
 * often and was not found by samples, since the program is broad, becomes hot by this (cpu/cpu.ts).
 * @module
 */
import { ARRIVALS, ARRIVALS_HOT } from "../../state/state.ts";
import type { Val, WasmBuilder } from "../builder.ts";

/** Counts one at the block that begins with record `rec`; 1 when somebody should look now. */
export function arrivedOften(b: WasmBuilder, rec: Val): Val {
  const at = b.shrU(32, rec, b.i32(5)) as Val;
  const count = b.loadRaw("i32.load8_u", at, ARRIVALS);
  const more = b.add(32, count, b.op("i32.lt_u", count, b.i32(ARRIVALS_HOT)));
  b.storeRaw("i32.store8", at, more, ARRIVALS);
  return b.eq(32, more, b.i32(ARRIVALS_HOT)) as Val;
}
