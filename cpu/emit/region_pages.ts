// SPDX-License-Identifier: MIT
/** Pages of data that regions know (REGION_PAGES), for emitted code that changes what the TLB says. @module */
import { REGION_PAGE_COUNT, regionPageAt } from "../state/state.ts";
import type { WasmBuilder } from "./builder.ts";

/** Forgets all of them. */
export function forgetRegionPages(b: WasmBuilder): void {
  const none = b.v128(0n, 0n);
  for (let n = 0; n < REGION_PAGE_COUNT; n += 2) {
    b.storeRaw("v128.store", b.i32(regionPageAt(n).limit), none);
  }
}
