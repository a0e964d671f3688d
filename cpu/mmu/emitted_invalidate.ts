// SPDX-License-Identifier: MIT
/**
 * INVLPG as emitted code, where no large page can be concerned: what Mmu.invalidatePage and the hook behind it
 * (cpu/translate/blocks/jump_cache.ts) do to the TLBs. SDM Vol. 3A §4.10.4.1.
 * @module
 */
import { PAGE_SHIFT } from "../base/bits.ts";
import type { Val, WasmBuilder } from "../emit/builder.ts";
import { forgetRegionPages } from "../emit/region_pages.ts";
import {
  CODE_INVALID,
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeTlbEntry,
  JUMP_CACHE_HASH,
  LARGE_BASE,
  LARGE_BITS,
  LARGE_SHIFT,
  LARGE_SHIFT_1G,
  TLB_BASE,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_INVALID,
  TLB_TABLES,
  tlbEntry,
} from "../state/state.ts";

/** Where it is noted which large pages may be cached of the 2^`shift` bytes around a linear address, from LARGE_BASE on. */
export function largeBucket(b: WasmBuilder, linear: Val, shift: Val): Val {
  const piece = b.op("i32.wrap_i64", b.op("i64.shr_u", linear, b.zeroExtend(32, 64, shift)));
  return b.op("i32.shr_u", b.op("i32.mul", piece, b.i32(JUMP_CACHE_HASH)), b.i32(32 - LARGE_BITS));
}

/** Body of a function: linear address (its halves) to 1, or 0 when it has changed nothing and TypeScript has to do it. */
export function invalidatePage(b: WasmBuilder): void {
  const low = b.parameter(0, "i32"), high = b.parameter(1, "i32");
  const linear = b.or(64, b.shl(64, b.zeroExtend(32, 64, high), b.i64(32)), b.zeroExtend(32, 64, low));
  const giveUpIf = (condition: Val) => b.if(condition, () => b.return(b.i32(0)));
  giveUpIf(b.op("i64.ne", b.op("i64.shr_s", b.op("i64.shl", linear, b.i64(16)), b.i64(16)), linear));
  const large = (shift: number) => b.loadRaw("i32.load8_u", largeBucket(b, linear, b.i32(shift)), LARGE_BASE);
  giveUpIf(b.or(32, large(LARGE_SHIFT), large(LARGE_SHIFT_1G)));

  forgetRegionPages(b);
  const number = b.op("i32.shr_u", low, b.i32(PAGE_SHIFT));
  const entry = b.op("i32.mul", b.and(32, number, b.i32(TLB_ENTRIES - 1)), b.i32(tlbEntry.size));
  // The upper halves of tags stay: see emitted_walk.ts.
  const { readTag, writeTag, execTag } = tlbEntry.at;
  for (let mode = 0; mode < TLB_TABLES; mode++) {
    for (const tag of [readTag, writeTag, execTag]) {
      b.storeRaw("i32.store", entry, b.i32(Number(TLB_INVALID)), TLB_BASE + mode * TLB_BYTES + tag);
    }
  }
  const code = b.and(32, number, b.i32((1 << CODE_TLB_BITS) - 1));
  const codeEntry = b.op("i32.mul", code, b.i32(codeTlbEntry.size));
  b.storeRaw("i32.store", codeEntry, b.i32(CODE_INVALID), CODE_TLB_BASE + codeTlbEntry.at.tag);
  b.return(b.i32(1));
}
