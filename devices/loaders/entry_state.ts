// SPDX-License-Identifier: MIT
/**
 * The state in which a loader wants the boot CPU to start, as plain data, and the descriptor and page tables
 * that go with it. Rules: SDM Vol. 3A §3.4, §4.5; the boot protocols say which state they want.
 * @module
 */
import { type Gpa, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { GprName } from "../../cpu/base/vcpu.ts";
import type { BootPlan } from "./memory_map.ts";

/** A segment register with its hidden part. */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  /** In bytes, granularity applied. */
  readonly limit: number;
  /**
   * Access rights as in the second dword of a descriptor, shifted down by 8: type 3:0, S 4, DPL 6:5, P 7, AVL 12,
   * L 13, D/B 14, G 15; SEGMENT_UNUSABLE otherwise (the format of the VMCS).
   */
  readonly access: number;
}
export const SEGMENT_P = 1 << 7;
export const SEGMENT_L = 1 << 13; // 64-bit code
export const SEGMENT_DB = 1 << 14; // 32-bit
export const SEGMENT_G = 1 << 15; // limit in pages
export const SEGMENT_UNUSABLE = 1 << 16; // a null selector

/** Registers not named are 0; RFLAGS is 2 (interrupts off); IDT limit is 0. */
export interface EntryState {
  readonly mode: 16 | 32 | 64;
  readonly rip: number;
  readonly gprs: { readonly [R in GprName]?: number };
  readonly rflags: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly gdtBase: Gpa;
  readonly gdtLimit: number;
  /** Its base is 0. */
  readonly idtLimit: number;
  readonly cs: SegmentState;
  /** DS, ES, SS, FS and GS alike. */
  readonly data: SegmentState;
  readonly tr: SegmentState;
  readonly ldtr: SegmentState;
}

const CR0_PE = 1 << 0;
const CR0_ET = 1 << 4;
const CR0_PG = 0x8000_0000;
const CR4_PAE = 1 << 5;
const EFER_LME = 1 << 8;
const EFER_LMA = 1 << 10;
const RFLAGS_RESERVED = 1 << 1;

const REAL_MODE_LIMIT = 0xffff;
const VECTORS_LIMIT = 0x3ff;
/** Linux's __BOOT_CS and __BOOT_DS. */
const BOOT_CS = 0x10;
const BOOT_DS = 0x18;
const BOOT_TSS = 0x20; // two slots, for the 64-bit form
const GDT_BYTES = 0x30;
const TSS_BYTES = 0x68;

const CODE = 0x9b; // present, code, readable, accessed
const DATA = 0x93; // present, data, writable, accessed
const TSS_BUSY = 0x8b;
const LDT = 0x82;

const PTE_P = 1 << 0;
const PTE_RW = 1 << 1;
const PTE_PS = 1 << 7;
const PD_COVERS = 2 ** 30;
const IDENTITY_GIB = 4;

/** Bytes {@linkcode buildEntryState} wants for its tables. */
function tableBytes(mode: 32 | 64): number {
  return mode === 32 ? PAGE_SIZE : PAGE_SIZE * (3 + IDENTITY_GIB);
}

function descriptor(view: DataView, at: number, base: number, access: number, limit: number): void {
  const raw = access & SEGMENT_G ? Math.floor(limit / PAGE_SIZE) : limit;
  view.setUint16(at, raw & 0xffff, true);
  view.setUint16(at + 2, base & 0xffff, true);
  view.setUint8(at + 4, (base >>> 16) & 0xff);
  view.setUint8(at + 5, access & 0xff);
  view.setUint8(at + 6, ((access >>> 8) & 0xf0) | (raw >>> 16));
  view.setUint8(at + 7, base >>> 24);
}

/**
 * Flat segments at privilege 0. 32: protected mode without paging. 64: long mode, the first 4 GiB mapped one to
 * one. GDT, TSS and page tables are placed in low memory of `plan` and written.
 */
export function buildEntryState(
  plan: BootPlan,
  mode: 32 | 64,
  rip: number,
  gprs: EntryState["gprs"],
): EntryState {
  const bytes = new Uint8Array(tableBytes(mode));
  const view = new DataView(bytes.buffer);
  const base = plan.allocate(bytes.length, "boot tables");
  const flat = 0xffff_ffff;
  const codeAccess = CODE | SEGMENT_G | (mode === 64 ? SEGMENT_L : SEGMENT_DB);
  const dataAccess = DATA | SEGMENT_G | SEGMENT_DB;
  const tssBase = base + GDT_BYTES + 0x10;
  descriptor(view, BOOT_CS, 0, codeAccess, flat);
  descriptor(view, BOOT_DS, 0, dataAccess, flat);
  descriptor(view, BOOT_TSS, tssBase, TSS_BUSY, TSS_BYTES - 1);
  if (mode === 64) {
    const tables = base + PAGE_SIZE;
    const entry = (table: number, index: number, value: number) =>
      view.setBigUint64((1 + table) * PAGE_SIZE + index * 8, BigInt(value), true);
    entry(0, 0, (tables + PAGE_SIZE) | PTE_P | PTE_RW); // PML4
    for (let i = 0; i < IDENTITY_GIB; i++) {
      entry(1, i, (tables + (2 + i) * PAGE_SIZE) | PTE_P | PTE_RW); // page directory pointers
      for (let j = 0; j < 512; j++) entry(2 + i, j, i * PD_COVERS + j * 2 ** 21 + (PTE_P | PTE_RW | PTE_PS));
    }
  }
  plan.write(base, bytes);
  return {
    mode,
    rip,
    gprs,
    rflags: RFLAGS_RESERVED,
    cr0: mode === 64 ? (CR0_PE | CR0_ET | CR0_PG) >>> 0 : CR0_PE | CR0_ET,
    cr3: mode === 64 ? base + PAGE_SIZE : 0,
    cr4: mode === 64 ? CR4_PAE : 0,
    efer: mode === 64 ? EFER_LME | EFER_LMA : 0,
    gdtBase: base,
    gdtLimit: GDT_BYTES - 1,
    idtLimit: 0,
    cs: { selector: BOOT_CS, base: 0, limit: flat, access: codeAccess },
    data: { selector: BOOT_DS, base: 0, limit: flat, access: dataAccess },
    tr: { selector: BOOT_TSS, base: tssBase, limit: TSS_BYTES - 1, access: TSS_BUSY },
    ldtr: { selector: 0, base: 0, limit: 0, access: SEGMENT_UNUSABLE },
  };
}

/** Real mode, as at power-on and as a BIOS leaves it: all other segments at 0, the interrupt vectors at 0. */
export function realModeEntry(segment: number, rip: number, gprs: EntryState["gprs"]): EntryState {
  const at = (selector: number, access: number): SegmentState => ({
    selector,
    base: selector * 16,
    limit: REAL_MODE_LIMIT,
    access,
  });
  return {
    mode: 16,
    rip,
    gprs,
    rflags: RFLAGS_RESERVED,
    cr0: CR0_ET,
    cr3: 0,
    cr4: 0,
    efer: 0,
    gdtBase: 0,
    gdtLimit: REAL_MODE_LIMIT,
    idtLimit: VECTORS_LIMIT,
    cs: at(segment, CODE),
    data: at(0, DATA),
    tr: at(0, TSS_BUSY),
    ldtr: at(0, LDT),
  };
}
