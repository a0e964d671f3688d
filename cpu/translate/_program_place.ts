// SPDX-License-Identifier: MIT
/**
 * Places where random programs run (see _control_flow.ts): what is mapped where, handlers, descriptors, what registers
 * hold at the start. 64-bit code, 32-bit code in compatibility mode, and 32-bit code of protected mode with PAE paging.
 * @module
 */
import { MiB } from "../base/bits.ts";
import { CR4_PGE, CS, DS, ES, EXC_DB, FS, GS, S, SEG_DPL_SHIFT, SS, TR } from "../state/state.ts";
import type { TestCpu } from "../_bare_cpu.ts";

/** Linear addresses; frames are the same unless said otherwise. All are mapped by PAGE_TABLE, 4 KiB each. */
export const AREA = 0x40_0000;
/** The same once more in PAE paging: the last PDPTE leads to the first one's directory. */
export const TOP_ALIAS = 0xc000_0000;
/** Tables; what is outside of the area has large pages, for the supervisor. */
const PML4 = 0x1000, TSS = 0xc000, IDT = 0xa000, IDT_LIMIT = 0xfff;
export const GDT = 0xb000, PDPT = 0x2000, DIRECTORY = 0x3000;
const PAGE_TABLE = 0x8000;
/** Pages of the area. */
export const CODE_PAGES = 4,
  CODE_ALIAS = 16,
  DATA = 32,
  ABSENT = 34,
  READ_ONLY = 35,
  DATA_ALIAS = 36,
  DEVICE = 37,
  TABLES_VIEW = 40,
  JUMP_TABLE = 41,
  STACK = 48,
  PAGES = 64,
  LARGE = 512; // in a large page
/** Handlers with their counters, the end of their stack; a program at privilege 3 and its stack; SYSENTER's stack. */
const HANDLERS = 8, HANDLERS_STACK = 10, OUTER_PROGRAM = 11, OUTER_STACK = 12, SYSENTER_STACK = 15;
export const at = (page: number): number => AREA + page * 4096;
const LARGE_PAGE = at(LARGE);
export const RAM_BYTES = 8 * MiB;
/** What engines are compared by: addresses, and how many pages. */
export const IN_USE = [[AREA, PAGES], [LARGE_PAGE, 1], [PAGE_TABLE, 1], [DIRECTORY, 1]] as const;
const STACK_START = at(STACK) + 64;
/** A frame outside of memory: accesses go to the bus. */
const NO_MEMORY = 0x4000_0000;
export const PTE_P = 1, PTE_RW = 2, PTE_US = 4, PTE_USED = 0x60; // accessed and dirty, so that nobody needs to set them
const PTE_PS = 0x80, PTE_G = 0x100;
export const VECTOR = 0x40;

const RSP = 4, R13 = 13;
/**
 * By size of code: registers that programs change at will, and those that hold DATA, pseudo-random bits, an offset. R13
 * holds JUMP_TABLE. Comments name the registers of 64-bit code.
 */
export const REGISTERS = {
  64: {
    free: [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11],
    looped: [0, 2, 3, 5, 8, 9],
    data: 12,
    bits: 14,
    offset: 15,
  },
  32: { free: [0, 1, 2, 3], looped: [0, 2, 3], data: 5, bits: 7, offset: 6 },
} as const;
export const le32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];

/** Flat segments at privilege 0, of all kernels, and a TSS. */
export const KERNEL_CODE = 8, KERNEL_DATA = 0x10, USER_DATA = 0x23, TASK = 0x28;
/** Of 32-bit kernels: where SYSEXIT looks for code, data that begin a page later, flat data nobody has accessed yet. */
export const USER_CODE_32 = 0x1b, SHIFTED_DATA = 0x33, FRESH_DATA = 0x3b;
const CODE = { 64: 0x00af_9b00_0000_ffffn, 32: 0x00cf_9b00_0000_ffffn } as const;
const FLAT_DATA = 0x00cf_9300_0000_ffffn, DPL_3 = 3n << 45n, ACCESSED = 1n << 40n;

/** Where programs run. */
export interface ControlFlowPlace {
  readonly ring: 0 | 3;
  /** Of the code; with a 64-bit kernel 32 at privilege 3 only. */
  readonly bits: 64 | 32;
  /** Long mode, or protected mode with PAE paging. */
  readonly kernel: 64 | 32;
}
export const USUAL_PLACE: ControlFlowPlace = { ring: 0, bits: 64, kernel: 64 };

/** What a place has to know of a program. */
export interface PlacedProgram {
  readonly code: Uint8Array<ArrayBuffer>;
  readonly jumpTable: readonly number[];
  readonly registers: readonly bigint[];
  /** Frames at the second address of the code. */
  readonly aliases: readonly number[];
}

/** Selector of a place's code. */
function codeSelector({ ring, bits, kernel }: ControlFlowPlace): number {
  if (ring === 0) return KERNEL_CODE;
  return kernel === 32 ? USER_CODE_32 : { 64: 0x1b, 32: 0x3b }[bits];
}
function put64(t: TestCpu, gpa: number, value: number | bigint): void {
  t.memory.view.setBigUint64(t.memory.offsetOf(gpa), BigInt(value), true);
}

function pageTables(t: TestCpu, { ring, kernel }: ControlFlowPlace, aliases: readonly number[]): void {
  const user = ring === 3 ? PTE_US : 0, long = kernel === 64;
  if (long) {
    for (const [table, next] of [[PML4, PDPT], [PDPT, DIRECTORY]] as const) {
      put64(t, table, next | PTE_P | PTE_RW | PTE_USED | user);
    }
    // Who strays to the tables faults: without INVLPG engines may go on by what their TLBs have, the judge does not.
    put64(t, DIRECTORY, PTE_P | PTE_USED | PTE_PS);
  } else {
    // Whoever strays finds faults: INT3 around the tables, nothing in most of the address space.
    for (const [at, rights] of [[0, 0], [LARGE_PAGE, user]] as const) {
      put64(t, DIRECTORY + (at >> 21) * 8, at | PTE_P | PTE_RW | PTE_PS | rights);
    }
    for (let i = 0; i < 4; i++) put64(t, PDPT + i * 8, DIRECTORY | (i === 0 || i === 3 ? PTE_P : 0));
  }
  put64(t, DIRECTORY + (AREA >> 21) * 8, PAGE_TABLE | PTE_P | PTE_RW | PTE_USED | (long ? user : PTE_US));
  for (let page = 0; page < 512; page++) {
    let frame = at(page), rights = PTE_P | PTE_RW | PTE_USED | user;
    // The second address of the code has its pages in another order, the stack's pages are backwards.
    if (page >= CODE_ALIAS && page < CODE_ALIAS + CODE_PAGES) {
      frame = at(aliases[page - CODE_ALIAS] as number);
    }
    if (page >= STACK - 2 && page < STACK + 2) frame = at(2 * STACK - 1 - page);
    if (page === DATA_ALIAS) frame = at(DATA);
    if (page === TABLES_VIEW) frame = PAGE_TABLE;
    if (page === DEVICE) frame = NO_MEMORY;
    if (page === READ_ONLY) rights &= ~PTE_RW;
    if (!long) {
      if (page === OUTER_PROGRAM || page === OUTER_STACK) rights |= PTE_US;
      // No program maps these anew, so that it may forget that they are global.
      if (page === READ_ONLY || page === JUMP_TABLE || page >= STACK) rights |= PTE_G;
      if (page === DATA + 1 || page === STACK - 1) rights &= ~PTE_USED;
    }
    put64(t, PAGE_TABLE + page * 8, page === ABSENT || page >= PAGES ? 0 : frame | rights);
  }
}

/** Handlers: an error code is dropped, a fault goes on at the first block. Answers where they are. */
function handlers(t: TestCpu, { ring, bits, kernel }: ControlFlowPlace) {
  const long = kernel === 64;
  const withCode = at(HANDLERS),
    irq = withCode + 0x80,
    recovery = withCode + 0x100,
    sysenter = withCode + 0x200;
  const drop = long ? [0x48, 0x83, 0xc4, 8] : [0x83, 0xc4, 4];
  // inc qword [counter]; inc dword ss:[counter], as DS may be anything
  const count = (n: number) => [
    ...(long ? [0x48, 0xff, 0x04, 0x25] : [0x36, 0xff, 0x05]),
    ...le32(at(HANDLERS) + 0x800 + n * 8),
  ];
  const iret = long ? [0x48, 0xcf] : [0xcf];
  // mov [rsp], recovery; with CS, as a program at privilege 0 goes to privilege 3 and does not want to stay there
  const goOn = [
    ...(long ? [0x48] : []),
    ...[0xc7, 0x04, 0x24, ...le32(recovery)],
    ...(!long && ring === 0 ? [0xc7, 0x44, 0x24, 4, ...le32(KERNEL_CODE)] : []),
  ];
  t.write(withCode, [...drop, ...count(0), ...goOn, ...iret]);
  t.write(irq, [...count(1), ...iret]);
  const stack = le32(STACK_START), data = le32(at(DATA)), table = le32(at(JUMP_TABLE));
  const segments = [0x6a, USER_DATA, 0x1f, 0x6a, USER_DATA, 0x07]; // push USER_DATA; pop ds, and es
  // 32-bit kernels have interrupts on: while one waits, emitted code does no IRET.
  const refresh = bits === 64
    ? [0x48, 0xc7, 0xc4, ...stack, 0x49, 0xc7, 0xc4, ...data, 0x49, 0xc7, 0xc5, ...table, 0x48, 0xff, 0xc0]
    : [0xbc, ...stack, ...(long ? [] : [0xfb, ...segments]), 0xbd, ...data, 0xff, 0xc0];
  t.write(recovery, [...refresh, 0xe9, ...le32(AREA - (recovery + refresh.length + 5))]);
  // What SYSENTER leads to: back by SYSEXIT, or with ESP of before to where the program wants to go on. See _transfers.ts.
  t.write(sysenter, [0xfb, ...(ring === 3 ? [...count(2), 0x0f, 0x35] : [...segments, 0x89, 0xfc, 0xc3])]);
  t.write(at(OUTER_PROGRAM), [0x01, 0xc8, 0x50, 0x5a, 0x0f, 0x34]); // add eax, ecx; push eax; pop edx; sysenter
  return { withCode, without: withCode + drop.length, irq, sysenter };
}

function descriptors(t: TestCpu, place: ControlFlowPlace, where: ReturnType<typeof handlers>): void {
  const { ring, kernel } = place, long = kernel === 64, { s } = t.cpu.core;
  const gate = (vector: number, offset: number) => {
    const low = BigInt(offset & 0xffff) | 8n << 16n | 0x8e00n << 32n | BigInt(offset >>> 16) << 48n;
    put64(t, IDT + vector * (long ? 16 : 8), low);
    if (long) put64(t, IDT + vector * 16 + 8, 0);
  };
  for (let vector = 0; vector < 32; vector++) {
    gate(vector, [8, 10, 11, 12, 13, 14, 17].includes(vector) ? where.withCode : where.without);
  }
  gate(VECTOR, where.irq);
  gate(EXC_DB, where.irq); // a trap: the program goes on behind it
  put64(t, GDT, 0);
  put64(t, GDT + KERNEL_CODE, CODE[kernel]);
  put64(t, GDT + KERNEL_DATA, FLAT_DATA);
  s.set64(S.idtrBase, BigInt(IDT));
  s.set32(S.idtrLimit, IDT_LIMIT);
  s.set64(S.gdtrBase, BigInt(GDT));
  s.set32(S.gdtrLimit, 0x17);
  if (ring === 0 && long) return;
  put64(t, GDT + 0x18, CODE[kernel] | DPL_3);
  put64(t, GDT + (USER_DATA & ~7), FLAT_DATA | DPL_3);
  put64(t, GDT + TASK, 0x0000_8b00_0000_0067n | BigInt(TSS) << 16n);
  if (long) {
    put64(t, GDT + TASK + 8, 0);
    put64(t, GDT + 0x38, CODE[32] | DPL_3);
  } else {
    put64(t, GDT + (SHIFTED_DATA & ~7), FLAT_DATA | DPL_3 | 0x1000n << 16n);
    put64(t, GDT + (FRESH_DATA & ~7), (FLAT_DATA | DPL_3) & ~ACCESSED);
  }
  s.set32(S.gdtrLimit, 0x3f);
  // Handlers have a stack of their own.
  t.write(TSS, new Uint8Array(0x68));
  put64(t, TSS + 4, at(HANDLERS_STACK)); // RSP0, or ESP0
  if (!long) put64(t, TSS + 8, KERNEL_DATA);
  s.setSegment(TR, { selector: TASK, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
}

/** To the place's privilege, with its flat segments and stack. */
export function enterPlace(t: TestCpu, place: ControlFlowPlace): void {
  const { core } = t.cpu, { s } = core, { ring, bits, kernel } = place;
  if (ring === 3 || kernel === 32) {
    const flat = (index: number, selector: number, attributes: number) =>
      s.setSegment(index, { selector, base: 0n, limit: 0xffff_ffff, attributes });
    flat(CS, codeSelector(place), (bits === 64 ? 0xa09b : 0xc09b) | ring << SEG_DPL_SHIFT);
    for (const i of [ES, DS, FS, GS]) flat(i, USER_DATA, 0xc0f3);
    flat(SS, ring === 0 ? KERNEL_DATA : USER_DATA, 0xc093 | ring << SEG_DPL_SHIFT);
    core.setCpl(ring);
    core.updateMode();
  }
  s.setGpr(RSP, BigInt(STACK_START));
}

/** Puts a program there, and everything around it; of what was there before nothing is left. */
export function preparePlace(t: TestCpu, place: ControlFlowPlace, program: PlacedProgram): void {
  t.write(0, new Uint8Array(RAM_BYTES));
  t.reset();
  if (place.kernel === 32) {
    t.write(0, new Uint8Array(AREA).fill(0xcc));
    for (const table of [PDPT, DIRECTORY, PAGE_TABLE, IDT, GDT]) t.write(table, new Uint8Array(4096));
  }
  const { core } = t.cpu, { s } = core, { ring, bits, kernel } = place;
  t.write(AREA, program.code);
  pageTables(t, place, program.aliases);
  program.jumpTable.forEach((address, i) => put64(t, at(JUMP_TABLE) + i * 8, address));
  const where = handlers(t, place);
  descriptors(t, place, where);
  s.set64(S.cr0, 0x8001_0011n);
  program.registers.forEach((value, r) => s.setGpr(r, BigInt.asUintN(bits, value)));
  s.setGpr(REGISTERS[bits].data, BigInt(at(DATA)));
  s.setGpr(R13, BigInt(at(JUMP_TABLE)));
  if (kernel === 32) {
    s.set64(S.cr4, s.get64(S.cr4) | BigInt(CR4_PGE));
    s.set64(S.cr3, BigInt(PDPT));
    core.mmu.loadPdptes(PDPT);
    s.set64(S.sysenterCs, BigInt(KERNEL_CODE));
    s.set64(S.sysenterEsp, BigInt(at(SYSENTER_STACK)));
    s.set64(S.sysenterEip, BigInt(where.sysenter));
  }
  enterPlace(t, place);
  core.mmu.flush();
  core.setRflags(ring === 3 ? 0x3202 : 0x202); // CLI and STI work at privilege 3, too
  core.updateMode();
  s.set64(S.rip, BigInt(AREA));
}

/** Where a program at privilege 3 is that ends with SYSENTER, and its stack: see _transfers.ts. */
export const OUTER = { program: at(OUTER_PROGRAM), stack: at(OUTER_STACK + 1) } as const;
