// SPDX-License-Identifier: MIT
/**
 * Emitted code for accesses that miss the inline TLB check, as far as they lie within a page of memory that may be
 * accessed: walk, and go on. Page crossings, devices, faults and writes to code are for TypeScript
 * (cpu/mmu/linear_memory.ts), which is called as if nothing had been tried.
 * @module
 */
import { PAGE_SHIFT, PAGE_SIZE } from "../base/bits.ts";
import { PAGE_HAS_CODE } from "../base/guest_memory.ts";
import type { LoadName, StoreName, Val, WasmBuilder } from "../emit/builder.ts";
import { SPAN_READ, SPAN_WITHOUT_CODE } from "../emit/links.ts";
import { S, TLB_ENTRIES, tlbEntry } from "../state/state.ts";
import { NEXT } from "../state/status.ts";
import type { WalkMap } from "./emitted_walk.ts";
import { ACCESS_READ, ACCESS_WRITE } from "./mmu.ts";

/** The functions of links.ts that are done here first; all have the parameters rec and size. */
export const SLOW_ACCESSES = ["slowLoad", "slowStore", "slowUpdate"] as const;

/** The page walk's function, and where it finds memory. */
interface Walk {
  readonly walk: number;
  readonly map: WalkMap;
}

const MOVES: readonly (readonly [bytes: number, load: LoadName, store: StoreName])[] = [
  [8, "i64.load", "i64.store"],
  [4, "i32.load", "i32.store"],
  [1, "i32.load8_u", "i32.store8"],
  [2, "i32.load16_u", "i32.store16"],
  [16, "v128.load", "v128.store"],
];

/** Pieces of a page in the code map. */
const PIECE_SHIFT = 6, PIECES = PAGE_SIZE >> PIECE_SHIFT;

/** Whether there is code from `host` up to `last`, both in one page. */
function hasCode(b: WasmBuilder, map: WalkMap, host: Val, last: Val): Val {
  const page = b.op("i32.shr_u", host, b.i32(PAGE_SHIFT));
  const some = b.variable(
    b.and(32, b.loadRaw("i32.load8_u", page, map.pageAttributes), b.i32(PAGE_HAS_CODE)),
  );
  b.if(b.get(some), () => {
    const piece = (at: Val) => b.and(32, b.op("i32.shr_u", at, b.i32(PIECE_SHIFT)), b.i32(PIECES - 1));
    const pieces = b.loadRaw("i64.load", b.shl(32, page, b.i32(3)), map.codeMap);
    const from = b.shrU(64, pieces, piece(host));
    const length = b.op("i32.sub", piece(last), piece(host));
    const kept = b.and(64, from, b.op("i64.sub", b.shl(64, b.i64(2), length), b.i64(1)));
    b.set(some, b.op("i64.ne", kept, b.i64(0)));
  });
  return b.get(some);
}

/** Body of one of SLOW_ACCESSES; `otherwise`: that of TypeScript. */
export function slowAccess(
  b: WasmBuilder,
  name: typeof SLOW_ACCESSES[number],
  { walk, map, otherwise }: Walk & { readonly otherwise: number },
): void {
  const rec = b.parameter(0, "i32"), size = b.parameter(1, "i32");
  const elsewhereIf = (condition: Val) => b.if(condition, () => b.returnCall(otherwise, [rec, size]));
  const address = b.loadRaw("i64.load", b.i32(S.memAddr));
  const isLong = b.eq(32, b.loadRaw("i32.load", b.i32(S.codeBits)), b.i32(64));
  const linear = b.select(isLong, address, b.and(64, address, b.i64(0xffff_ffffn)));
  const low = b.op("i32.wrap_i64", linear);
  const bytes = b.and(32, size, b.i32(0xff));
  const end = b.add(32, b.and(32, low, b.i32(PAGE_SIZE - 1)), bytes);
  elsewhereIf(b.ltU(32, b.i32(PAGE_SIZE), end));

  // The store of an update finds what the update has filled in.
  const number = b.and(32, b.op("i32.shr_u", low, b.i32(PAGE_SHIFT)), b.i32(TLB_ENTRIES - 1));
  const inTlb = b.op("i32.mul", number, b.i32(tlbEntry.size));
  const entry = b.add(32, inTlb, b.loadRaw("i32.load", b.i32(S.tlbBase)));
  const isWrite = name !== "slowLoad";
  const tag = b.loadRaw("i64.load", entry, isWrite ? tlbEntry.at.writeTag : tlbEntry.at.readTag);
  const host = b.variable(b.add(32, low, b.loadRaw("i32.load", entry, tlbEntry.at.addend)));
  b.if(b.op("i64.ne", tag, b.and(64, linear, b.i64(-PAGE_SIZE))), () => {
    const access = b.i32(isWrite ? ACCESS_WRITE : ACCESS_READ);
    const found = b.call(walk, [linear, access], "i32") as Val;
    elsewhereIf(b.eqz(32, found));
    if (name === "slowStore") {
      elsewhereIf(hasCode(b, map, found, b.add(32, found, b.op("i32.sub", bytes, b.i32(1)))));
    }
    b.set(host, found);
  });
  const data = b.i32(S.memData), at = b.get(host);
  const [to, from] = name === "slowStore" ? [at, data] : [data, at];
  for (const [width, load, store] of MOVES) {
    b.if(b.eq(32, bytes, b.i32(width)), () => {
      b.storeRaw(store, to, b.loadRaw(load, from));
      b.return(b.i32(NEXT));
    });
  }
  b.copyRaw(to, from, bytes);
  b.return(b.i32(NEXT));
}

/** Body of `span` (links.ts); `written`: tells TypeScript that bytes from an offset on are about to be written. */
export function spanOf(b: WasmBuilder, { walk, map, written }: Walk & { readonly written: number }): void {
  const wanted = b.parameter(0, "i32"); // see links.ts
  const address = b.loadRaw("i64.load", b.i32(S.memAddr));
  const access = b.select(b.eq(32, wanted, b.i32(SPAN_READ)), b.i32(ACCESS_READ), b.i32(ACCESS_WRITE));
  const host = b.call(walk, [address, access], "i32") as Val;
  b.if(b.and(32, b.op("i32.ne", wanted, b.i32(SPAN_READ)), b.op("i32.ne", host, b.i32(0))), () => {
    const room = b.op("i32.sub", b.i32(PAGE_SIZE), b.and(32, host, b.i32(PAGE_SIZE - 1)));
    const bytes = b.select(b.ltU(32, wanted, room), wanted, room);
    b.if(hasCode(b, map, host, b.add(32, host, b.op("i32.sub", bytes, b.i32(1)))), () => {
      b.if(b.eq(32, wanted, b.i32(SPAN_WITHOUT_CODE)), () => b.return(b.i32(0)));
      void b.call(written, [host, bytes], "i32");
    });
  });
  b.return(host);
}
