// SPDX-License-Identifier: MIT
/**
 * The second look for the block at a linear address, when the jump cache has it not, or the code TLB not its page: emitted
 * code of the core module. It fills the code TLB from the TLB of the mode that runs or the page tables, and the jump cache
 * from the block table; what is not there is for TypeScript (cpu/translate/blocks/block_cache.ts).
 * @module
 */
import { PAGE_SHIFT } from "../base/bits.ts";
import type { Val, WasmBuilder } from "../emit/builder.ts";
import { ACCESS_EXEC } from "../mmu/mmu.ts";
import { MODE_TF, MODE_USER } from "../state/registers.ts";
import {
  BLOCK_TABLE_BASE,
  BLOCK_TABLE_BITS,
  blockTableEntry,
  CODE_GLOBAL,
  CODE_LIST_BASE,
  CODE_LISTED,
  CODE_LISTED_GLOBAL,
  CODE_TLB_BASE,
  CODE_TLB_BITS,
  codeLists,
  codeTlbEntry,
  JUMP_CACHE_BASE,
  JUMP_CACHE_BITS,
  JUMP_CACHE_HASH,
  jumpCacheEntry,
  S,
  TLB_ENTRIES,
  tlbEntry,
} from "../state/state.ts";
import { MODES_OF_PAGES } from "./blocks/jump_cache.ts";

/** modeKey has the mode bits from here on. */
const MODES_SHIFT = 48n;

/** Body of a function: linear address (i64) to record, or 0. `walk`: see pageWalk. */
export function findBlock(b: WasmBuilder, walk: number): void {
  const linear = b.parameter(0, "i64");
  const low = b.op("i32.wrap_i64", linear);
  const modeKey = b.loadRaw("i64.load", b.i32(S.modeKey));
  const giveUpIf = (condition: Val) => b.if(condition, () => b.return(b.i32(0)));
  // Breakpoints are looked for in TypeScript.
  giveUpIf(b.op("i64.ne", b.and(64, modeKey, b.i64(BigInt(MODE_TF) << MODES_SHIFT)), b.i64(0)));

  const missing = (entry: Val, page: Val) => {
    b.if(b.op("i64.ne", b.loadRaw("i64.load", entry, tlbEntry.at.execTag), page), () => {
      giveUpIf(b.eqz(32, b.call(walk, [linear, b.i32(ACCESS_EXEC)], "i32") as Val));
    });
  };
  const host = hostOf(b, linear, low, modeKey, missing);
  const mode = b.and(64, modeKey, b.i64(~(BigInt(MODE_USER) << MODES_SHIFT)));
  const key = b.or(64, b.zeroExtend(32, 64, host), mode);
  const set = b.op("i32.mul", hash(b, host, BLOCK_TABLE_BITS), b.i32(2 * blockTableEntry.size));
  const field = (way: number, name: "tag" | "record") =>
    b.loadRaw(
      name === "tag" ? "i64.load" : "i32.load",
      set,
      BLOCK_TABLE_BASE + way * blockTableEntry.size + blockTableEntry.at[name],
    );
  const rec = b.variable(field(0, "record"));
  b.if(b.op("i64.ne", field(0, "tag"), key), () => {
    giveUpIf(b.op("i64.ne", field(1, "tag"), key));
    b.set(rec, field(1, "record"));
  });
  const found = b.get(rec);

  const entry = b.op("i32.mul", hash(b, low, JUMP_CACHE_BITS), b.i32(jumpCacheEntry.size));
  const { tag, record, host: place } = jumpCacheEntry.at;
  b.storeRaw("i64.store", entry, b.xor(64, linear, modeKey), JUMP_CACHE_BASE + tag);
  b.storeRaw("i32.store", entry, found, JUMP_CACHE_BASE + record);
  b.storeRaw("i32.store", entry, host, JUMP_CACHE_BASE + place);
  b.return(found);
}

function hash(b: WasmBuilder, value: Val, bits: number): Val {
  return b.op("i32.shr_u", b.op("i32.mul", value, b.i32(JUMP_CACHE_HASH)), b.i32(32 - bits));
}

/** Where the code at `linear` is in this memory; it is in the code TLB from then on. `fill` fills the TLB. */
function hostOf(
  b: WasmBuilder,
  linear: Val,
  low: Val,
  modeKey: Val,
  fill: (entry: Val, page: Val) => void,
): Val {
  const page = b.and(64, linear, b.i64(-1n << BigInt(PAGE_SHIFT)));
  const pageTag = b.xor(64, page, modeKey);
  const number = b.op("i32.shr_u", low, b.i32(PAGE_SHIFT));
  const code = b.op(
    "i32.mul",
    b.and(32, number, b.i32((1 << CODE_TLB_BITS) - 1)),
    b.i32(codeTlbEntry.size),
  );
  const { tag, addend, marks } = codeTlbEntry.at;
  const known = b.loadRaw("i64.load", code, CODE_TLB_BASE + tag);
  const otherPage = b.and(64, b.xor(64, known, pageTag), b.i64(~(BigInt(MODES_OF_PAGES) << 32n)));
  const extended = b.op("i64.shr_s", b.op("i64.shl", linear, b.i64(16)), b.i64(16));
  const isOther = b.or(
    32,
    b.op("i64.ne", otherPage, b.i64(0)),
    b.op("i64.ne", extended, linear),
  );
  b.if(isOther, () => {
    const inTlb = b.op("i32.mul", b.and(32, number, b.i32(TLB_ENTRIES - 1)), b.i32(tlbEntry.size));
    const entry = b.add(32, inTlb, b.loadRaw("i32.load", b.i32(S.tlbBase)));
    fill(entry, page);
    const listed = b.variable(
      b.and(
        32,
        b.loadRaw("i32.load", code, CODE_TLB_BASE + marks),
        b.i32(CODE_LISTED | CODE_LISTED_GLOBAL),
      ),
    );
    const enlist = (mark: number, count: number, first: number) => {
      const old = b.get(listed);
      b.if(b.eqz(32, b.and(32, old, b.i32(mark))), () => {
        const known = b.loadRaw("i32.load", b.i32(CODE_LIST_BASE + count));
        b.storeRaw("i32.store", b.i32(CODE_LIST_BASE + count), b.add(32, known, b.i32(1)));
        b.storeRaw("i32.store", b.shl(32, known, b.i32(2)), code, CODE_LIST_BASE + first);
        b.set(listed, b.or(32, old, b.i32(mark)));
      });
    };
    // Global pages are marked by the same bit in both.
    const isGlobal = b.and(32, b.loadRaw("i32.load", entry, tlbEntry.at.pad), b.i32(CODE_GLOBAL));
    b.if(
      isGlobal,
      () => enlist(CODE_LISTED_GLOBAL, codeLists.globals, codeLists.firstGlobal),
      () => enlist(CODE_LISTED, codeLists.count, codeLists.first),
    );
    b.storeRaw("i32.store", code, b.or(32, isGlobal, b.get(listed)), CODE_TLB_BASE + marks);
    b.storeRaw(
      "i32.store",
      code,
      b.loadRaw("i32.load", entry, tlbEntry.at.addend),
      CODE_TLB_BASE + addend,
    );
  });
  b.storeRaw("i64.store", code, pageTag, CODE_TLB_BASE + tag);
  return b.add(32, low, b.loadRaw("i32.load", code, CODE_TLB_BASE + addend));
}
