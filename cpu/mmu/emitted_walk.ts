// SPDX-License-Identifier: MIT
/**
 * The page walk as emitted code, for what misses the TLB most often: an access that is allowed, to memory. It does what
 * Mmu.translate does then (cpu/mmu/mmu.ts), accessed and dirty bits and the TLB entry included. For everything else it
 * says 0 and has changed nothing: faults, addresses without paging, page tables in pages with code, breakpoints and
 * checked alignment are for TypeScript.
 * All paging modes are one walk: long mode and PAE differ above their page directories, 32-bit paging in its entries.
 * @module
 */
import { PAGE_SHIFT, PAGE_SIZE } from "../base/bits.ts";
import { type MemoryMap, PAGE_HAS_CODE } from "../base/guest_memory.ts";
import type { Val, WasmBuilder } from "../emit/builder.ts";
import { forgetRegionPages } from "../emit/region_pages.ts";
import { DR7_ENABLES } from "../state/breakpoints.ts";
import { MODE_TF } from "../state/registers.ts";
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
  LARGE_BASE,
  LARGE_CODE,
  LARGE_DATA,
  LARGE_GLOBAL_SHIFT,
  LARGE_SHIFT,
  LARGE_SHIFT_1G,
  MARK_1G,
  MARK_2M,
  MARK_4M,
  MARK_GLOBAL,
  MARK_LISTED,
  MARK_LISTED_GLOBAL,
  PDPTES,
  S,
  TLB_BASE,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_GLOBALS,
  TLB_INVALID,
  TLB_LIST_BASE,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_USER,
  TLB_MODE_USER_AC,
  tlbEntry,
  tlbList,
} from "../state/state.ts";
import { largeBucket } from "./emitted_invalidate.ts";
import { ACCESS_EXEC, ACCESS_WRITE, PKRU_AD, PKRU_WD } from "./mmu.ts";

const PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100;
const NX = 1n << 63n;
/** Place and width of the protection key. */
const KEY_SHIFT = 59n, KEY_MASK = 15;
/** Address bits that physical memory has not, and what PAE paging reserves besides. */
const RESERVED = 0x000f_ffff_0000_0000n, RESERVED_PAE = 0x7ff0_0000_0000_0000n;

/** A level of the tables: the lowest address bit that its index is made of, how many bits, and how an entry is read. */
interface Level {
  readonly number: 1 | 2 | 3 | 4;
  readonly shift: number;
  readonly indexBits: number;
  readonly load: "i64.load" | "i64.load32_u";
  /** What an entry with PS is, if not a table with that bit set in vain: nothing, or a page. */
  readonly large?: Leaf | "reserved";
}
/** Bits of a large page's entry that must be 0, those of the offset, and its mark in the TLB. */
interface Leaf {
  readonly reserved: number;
  readonly offset: number;
  readonly mark: number;
}
function wide(number: Level["number"], large?: Level["large"]): Level {
  const shift = PAGE_SHIFT + 9 * (number - 1);
  return { number, shift, indexBits: 9, load: "i64.load", ...(large === undefined ? {} : { large }) };
}
const TABLE_4 = wide(4, "reserved");
const TABLE_3 = wide(3, { reserved: 0x3fff_e000, offset: 0x3fff_ffff, mark: MARK_1G });
const TABLE_2 = wide(2, { reserved: 0x001f_e000, offset: 0x001f_ffff, mark: MARK_2M });
const TABLE_1 = wide(1);
/** 32-bit paging. The address bits of PSE-36 are beyond physical memory, and bit 21 is reserved. */
const NARROW_2: Level = {
  number: 2,
  shift: 22,
  indexBits: 10,
  load: "i64.load32_u",
  large: { reserved: 0x003f_e000, offset: 0x003f_ffff, mark: MARK_4M },
};
const NARROW_1: Level = { number: 1, shift: PAGE_SHIFT, indexBits: 10, load: "i64.load32_u" };

/** Where the walk finds memory. */
export type WalkMap = Pick<MemoryMap, "frameTable" | "pageAttributes" | "codeMap">;

/**
 * Body of a function: linear address (i64) and kind of access (i32) to byte offset of the address in the
 * WebAssembly memory, or 0. The TLB of the mode that runs has the page then, though not for writes if code is there.
 */
export function pageWalk(b: WasmBuilder, map: WalkMap): void {
  const linear = b.parameter(0, "i64"), access = b.parameter(1, "i32");
  const low = b.op("i32.wrap_i64", linear);
  const state = (at: number) => b.loadRaw("i32.load", b.i32(at));
  const any = (value: Val, mask: number) => b.op("i32.ne", b.and(32, value, b.i32(mask)), b.i32(0));
  const not = (condition: Val) => b.eqz(32, condition);
  const giveUpIf = (condition: Val) => b.if(condition, () => b.return(b.i32(0)));
  const frame = (gpa: Val) =>
    b.loadRaw("i32.load", b.shl(32, b.op("i32.shr_u", gpa, b.i32(PAGE_SHIFT)), b.i32(2)), map.frameTable);
  const hasCode = (at: Val) =>
    any(
      b.loadRaw("i32.load8_u", b.op("i32.shr_u", at, b.i32(PAGE_SHIFT)), map.pageAttributes),
      PAGE_HAS_CODE,
    );

  const cr0 = state(S.cr0), cr4 = state(S.cr4), efer = state(S.efer), tlbBase = state(S.tlbBase);
  giveUpIf(not(any(cr0, CR0_PG)));
  giveUpIf(any(state(S.modeKey + 4), MODE_TF << 16));
  giveUpIf(any(state(S.dr + 7 * 8), DR7_ENABLES));
  giveUpIf(b.eq(32, tlbBase, b.i32(TLB_BASE + TLB_MODE_USER_AC * TLB_BYTES)));
  const isLong = any(efer, EFER_LMA), isPae = any(cr4, CR4_PAE);
  const extended = b.op("i64.shr_s", b.op("i64.shl", linear, b.i64(16)), b.i64(16));
  const lower = b.and(64, linear, b.i64(0xffff_ffffn));
  giveUpIf(b.op("i64.ne", b.select(isLong, extended, lower), linear));
  const always = b.select(isLong, b.i64(RESERVED), b.i64(RESERVED | RESERVED_PAE));
  const reserved = b.select(any(efer, EFER_NXE), always, b.or(64, always, b.i64(NX)));

  // What the levels agree on, and what any of them says
  const all = b.variable(b.i64(-1)), some = b.variable(b.i64(0));
  const path = [1, 2, 3, 4].map(() => b.variable(b.i32(0)));
  const leaf = b.variable(b.i64(0)), page = b.variable(b.i32(0)), marks = b.variable(b.i32(0));
  /** Where the next table is in this memory; 0: the leaf has been found. */
  const table = b.variable(b.i32(0));
  const goTo = (gpa: Val) => {
    b.set(table, frame(b.and(32, gpa, b.i32(-PAGE_SIZE))));
    giveUpIf(not(b.get(table)));
  };
  const step = ({ number, shift, indexBits, load, large }: Level, mayBeLarge?: Val): void => {
    const index = b.and(
      32,
      b.op("i32.wrap_i64", b.op("i64.shr_u", linear, b.i64(shift))),
      b.i32((1 << indexBits) - 1),
    );
    const place = b.add(32, b.get(table), b.shl(32, index, b.i32(load === "i64.load" ? 3 : 2)));
    b.set(path[number - 1]!, place);
    const entry = b.loadRaw(load, place);
    const entryLow = b.op("i32.wrap_i64", entry);
    giveUpIf(not(any(entryLow, PTE_P)));
    giveUpIf(b.op("i64.ne", b.and(64, entry, reserved), b.i64(0)));
    b.set(some, b.or(64, b.get(some), entry));
    const isLeaf = (offsetMask: number) => {
      // The accessed bit of the leaf is looked at with its dirty bit.
      b.set(all, b.and(64, b.get(all), b.or(64, entry, b.i64(PTE_A))));
      b.set(leaf, entry);
      const from = b.and(32, entryLow, b.i32(~offsetMask));
      b.set(page, b.and(32, b.or(32, from, b.and(32, low, b.i32(offsetMask))), b.i32(-PAGE_SIZE)));
    };
    if (number === 1) return isLeaf(PAGE_SIZE - 1);
    const next = () => {
      b.set(all, b.and(64, b.get(all), entry));
      goTo(entryLow);
    };
    if (large === undefined) return next();
    const isLarge = any(entryLow, PTE_PS);
    if (large === "reserved") {
      giveUpIf(isLarge);
      return next();
    }
    b.if(mayBeLarge === undefined ? isLarge : b.and(32, isLarge, mayBeLarge), () => {
      giveUpIf(any(entryLow, large.reserved));
      b.set(marks, b.i32(large.mark));
      b.set(table, b.i32(0));
      isLeaf(large.offset);
    }, next);
  };
  const unlessFound = (then: () => void) => b.if(b.get(table), then);
  b.if(b.or(32, isLong, isPae), () => {
    b.if(isLong, () => {
      giveUpIf(state(S.cr3 + 4));
      goTo(state(S.cr3));
      step(TABLE_4);
      step(TABLE_3);
    }, () => {
      // No rights and no accessed bit: SDM Vol. 3A §4.4.1.
      const pdpte = b.loadRaw("i64.load", b.shl(32, b.op("i32.shr_u", low, b.i32(30)), b.i32(3)), PDPTES);
      const pdpteLow = b.op("i32.wrap_i64", pdpte);
      giveUpIf(not(any(pdpteLow, PTE_P)));
      giveUpIf(b.op("i64.ne", b.op("i64.shr_u", pdpte, b.i64(32)), b.i64(0)));
      goTo(pdpteLow);
    });
    unlessFound(() => step(TABLE_2));
    unlessFound(() => step(TABLE_1));
  }, () => {
    goTo(state(S.cr3));
    step(NARROW_2, any(cr4, CR4_PSE));
    unlessFound(() => step(NARROW_1));
  });

  // Rights: SDM Vol. 3A §4.6.1
  const common = b.op("i32.wrap_i64", b.get(all));
  const user = any(common, PTE_U), writable = any(common, PTE_W);
  const executable = b.op("i64.ge_s", b.get(some), b.i64(0));
  const isUser = b.eq(32, tlbBase, b.i32(TLB_BASE + TLB_MODE_USER * TLB_BYTES));
  const isPlain = b.eq(32, tlbBase, b.i32(TLB_BASE + TLB_MODE_SUPERVISOR * TLB_BYTES));
  const mapped = b.and(32, b.and(32, user, isPlain), any(cr4, CR4_SMAP));
  const minds = b.or(32, isUser, any(cr0, CR0_WP)); // what may not be written
  // Protection keys: §4.6.2
  const rights = b.variable(b.i32(0)), keys = b.variable(b.i32(0));
  b.body.hint(0);
  b.if(b.and(32, b.and(32, user, isLong), any(cr4, CR4_PKE)), () => {
    const key = b.and(
      32,
      b.op("i32.wrap_i64", b.op("i64.shr_u", b.get(leaf), b.i64(KEY_SHIFT))),
      b.i32(KEY_MASK),
    );
    b.set(keys, b.shl(32, b.i32(1), key));
    b.set(rights, b.op("i32.shr_u", state(S.pkru), b.shl(32, key, b.i32(1))));
  });
  const keyReads = not(any(b.get(rights), PKRU_AD));
  const keyWrites = not(b.and(32, any(b.get(rights), PKRU_WD), minds));
  const canRead = b.and(32, keyReads, b.select(isUser, user, not(mapped)));
  const readOnly = b.and(32, not(writable), minds);
  const canWrite = b.and(32, b.and(32, canRead, keyWrites), not(readOnly));
  const kept = b.and(32, user, any(cr4, CR4_SMEP));
  const canExecute = b.and(32, executable, b.select(isUser, user, not(kept)));
  const isWrite = b.eq(32, access, b.i32(ACCESS_WRITE)), isExec = b.eq(32, access, b.i32(ACCESS_EXEC));
  giveUpIf(not(b.select(isWrite, canWrite, b.select(isExec, canExecute, canRead))));
  const host = frame(b.get(page));
  giveUpIf(not(host));

  // Accessed and dirty bits: §4.8. The lowest entry of the path is the leaf.
  const leafLow = b.op("i32.wrap_i64", b.get(leaf));
  const wanted = b.select(isWrite, b.i32(PTE_A | PTE_D), b.i32(PTE_A));
  const missing = b.or(
    32,
    b.op("i32.ne", b.and(32, leafLow, wanted), wanted),
    not(any(common, PTE_A)),
  );
  b.body.hint(0);
  b.if(missing, () => {
    for (const place of path) giveUpIf(b.and(32, nonZero(b, b.get(place)), hasCode(b.get(place))));
    const bits = b.variable(wanted);
    for (const place of path) {
      const at = b.get(place);
      b.if(at, () => {
        const entry = b.loadRaw("i32.load", at);
        const more = b.or(32, entry, b.get(bits));
        b.if(b.op("i32.ne", entry, more), () => b.storeRaw("i32.store", at, more));
        b.set(bits, b.i32(PTE_A));
      });
    }
  });

  // The TLB entry
  const inTlb = b.and(32, b.op("i32.shr_u", low, b.i32(PAGE_SHIFT)), b.i32(TLB_ENTRIES - 1));
  const entry = b.add(32, tlbBase, b.op("i32.mul", inTlb, b.i32(tlbEntry.size)));
  const isGlobal = b.and(32, any(leafLow, PTE_G), any(cr4, CR4_PGE));
  const listed = b.variable(
    b.and(32, b.loadRaw("i32.load", entry, tlbEntry.at.pad), b.i32(MARK_LISTED | MARK_LISTED_GLOBAL)),
  );
  const enlist = (mark: number, count: number, first: number) => {
    const old = b.get(listed);
    b.if(not(any(old, mark)), () => {
      const known = b.loadRaw("i32.load", b.i32(TLB_LIST_BASE + count));
      b.storeRaw("i32.store", b.shl(32, known, b.i32(2)), entry, TLB_LIST_BASE + first);
      b.storeRaw("i32.store", b.i32(TLB_LIST_BASE + count), b.add(32, known, b.i32(1)));
      b.set(listed, b.or(32, old, b.i32(mark)));
    });
  };
  const { count, globals } = tlbList.at;
  b.if(
    isGlobal,
    () => enlist(MARK_LISTED_GLOBAL, globals, tlbList.size + TLB_GLOBALS),
    () => enlist(MARK_LISTED, count, tlbList.size),
  );
  const mark = b.get(marks);
  b.if(any(mark, MARK_1G | MARK_2M | MARK_4M), () => {
    const pieces = b.select(any(mark, MARK_1G), b.i32(LARGE_SHIFT_1G), b.i32(LARGE_SHIFT));
    const kinds = b.select(canExecute, b.i32(LARGE_DATA | LARGE_CODE), b.i32(LARGE_DATA));
    const shift = b.select(isGlobal, b.i32(LARGE_GLOBAL_SHIFT), b.i32(0));
    const more = b.shl(32, kinds, shift);
    const bucket = largeBucket(b, linear, pieces);
    b.storeRaw(
      "i32.store8",
      bucket,
      b.or(32, b.loadRaw("i32.load8_u", bucket, LARGE_BASE), more),
      LARGE_BASE,
    );
    const all = b.i32(TLB_LIST_BASE + tlbList.at.large);
    b.storeRaw("i32.store", all, b.or(32, b.loadRaw("i32.load", all), more));
  });
  const keysAt = b.i32(TLB_LIST_BASE + tlbList.at.keys);
  b.body.hint(0);
  b.if(b.get(keys), () => {
    const known = b.loadRaw("i32.load", keysAt);
    b.storeRaw("i32.store", keysAt, b.or(32, known, b.get(keys)));
  });
  const kind = b.or(32, mark, b.select(isGlobal, b.i32(MARK_GLOBAL), b.i32(0)));
  const marked = b.or(32, kind, b.get(listed));
  b.storeRaw("i32.store", entry, marked, tlbEntry.at.pad);
  const tag = b.and(64, linear, b.i64(-PAGE_SIZE));
  // Invalid tags have the upper half of the address, too: INVLPG looks at that.
  const invalid = b.or(64, b.and(64, tag, b.i64(0xffff_ffff_0000_0000n)), b.i64(TLB_INVALID));
  const put = (at: number, granted: Val) =>
    b.storeRaw("i64.store", entry, b.select(granted, tag, invalid), at);
  const dirty = b.or(32, isWrite, any(leafLow, PTE_D));
  put(tlbEntry.at.readTag, canRead);
  put(tlbEntry.at.writeTag, b.and(32, b.and(32, canWrite, dirty), not(hasCode(host))));
  put(tlbEntry.at.execTag, canExecute);
  b.storeRaw("i32.store", entry, b.op("i32.sub", host, b.op("i32.wrap_i64", tag)), tlbEntry.at.addend);
  // as Mmu's: what the entry said before may be another truth
  forgetRegionPages(b);
  b.return(b.add(32, host, b.and(32, low, b.i32(PAGE_SIZE - 1))));
}

function nonZero(b: WasmBuilder, value: Val): Val {
  return b.op("i32.ne", value, b.i32(0));
}
