// SPDX-License-Identifier: MIT
/** The code TLB (cpu/state/state.ts) as emitted code asks it where a page of code is now. @module */
import { PAGE_SHIFT } from "../../base/bits.ts";
import { CODE_TLB_BASE, CODE_TLB_BITS, codeTlbEntry, S } from "../../state/state.ts";
import type { Val, WasmBuilder } from "../builder.ts";

/**
 * Whether the code TLB does not know a linear page, and where the address in it whose lower half is `low` is in this
 * memory if it does.
 */
export function mappedCode(
  b: WasmBuilder,
  page: Val,
  low: Val,
): { readonly elsewhere: Val; readonly host: Val } {
  const number = b.shrU(32, low, b.k(8, PAGE_SHIFT));
  const masked = b.and(32, number, b.i32((1 << CODE_TLB_BITS) - 1));
  const entry = b.mul(32, masked, b.i32(codeTlbEntry.size));
  const tag = b.loadRaw("i64.load", entry, CODE_TLB_BASE + codeTlbEntry.at.tag);
  const expected = b.xor(64, page, b.loadRaw("i64.load", b.i32(S.modeKey))) as Val;
  const addend = b.loadRaw("i32.load", entry, CODE_TLB_BASE + codeTlbEntry.at.addend);
  return { elsewhere: b.op("i64.ne", tag, expected), host: b.add(32, low, addend) as Val };
}
