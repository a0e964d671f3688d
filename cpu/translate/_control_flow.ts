// SPDX-License-Identifier: MIT
/**
 * Random programs of many small blocks for comparing engines: branches, calls, computed jumps, loops, code that
 * changes itself, faults in the middle of blocks, accesses and instructions that cross pages, the same code at two
 * addresses, mappings that change, interrupts, and slices that end anywhere. 64-bit code at privilege 0 or 3, or 32-bit
 * code at privilege 3, in compatibility mode.
 *
 * What a program does is no use to anybody; that two engines do the same, instruction for instruction, is. Faults and
 * interrupts have handlers: a fault goes on at the first block with a fresh stack.
 * @module
 */
import { MiB } from "../base/bits.ts";
import type { WasmEngineName } from "../base/engine.ts";
import { Random } from "../isa/_cases.ts";
import { BREAK_ACCESS, BREAK_WRITE } from "../state/breakpoints.ts";
import { CS, DS, ES, EXC_DB, FS, GS, S, SS, TR, XMM_BASE } from "../state/state.ts";
import { privileged } from "./_privileged.ts";
import { TestCpu } from "../_bare_cpu.ts";

/** Linear addresses; frames are the same unless said otherwise. All are mapped by PAGE_TABLE, 4 KiB each. */
const AREA = 0x40_0000,
  PAGE_TABLE = 0x8000,
  PML4 = 0x1000,
  PDPT = 0x2000,
  DIRECTORY = 0x3000,
  IDT = 0xa000,
  GDT = 0xb000,
  TSS = 0xc000,
  IDT_LIMIT = 0xfff;
const CODE_PAGES = 4,
  CODE_ALIAS = 16,
  HANDLERS = 8,
  DATA = 32,
  ABSENT = 34,
  READ_ONLY = 35,
  DATA_ALIAS = 36,
  DEVICE = 37;
const TABLES_VIEW = 40, JUMP_TABLE = 41, STACK = 48, PAGES = 64;
const at = (page: number) => AREA + page * 4096;
const RAM_BYTES = 8 * MiB;
const STACK_START = at(STACK) + 64;
/** What breakpoints and INVLPG of privileged programs are about. */
const ADDRESSES = [DATA, DATA + 1, DATA_ALIAS, STACK, READ_ONLY, CODE_ALIAS, 0].map((page) =>
  at(page) + 0x40
);
/** A frame outside of memory: accesses go to the bus. */
const NO_MEMORY = 0x4000_0000;
const PTE_P = 1, PTE_RW = 2, PTE_US = 4, PTE_USED = 0x60; // accessed and dirty, so that nobody needs to set them
const VECTOR = 0x40, XMM1 = XMM_BASE + 16, XMM2 = XMM_BASE + 32;

const RSP = 4, R13 = 13;
/**
 * By size of code: registers that programs change at will, and those that hold DATA, pseudo-random bits, an offset. R13
 * holds JUMP_TABLE. Comments name the registers of 64-bit code.
 */
const REGISTERS = {
  64: {
    free: [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11],
    looped: [0, 2, 3, 5, 8, 9],
    data: 12,
    bits: 14,
    offset: 15,
  },
  32: { free: [0, 1, 2, 3], looped: [0, 2, 3], data: 5, bits: 7, offset: 6 },
} as const;
/** Selectors at privilege 3, and that of the TSS. */
const USER_CODE = { 64: 0x1b, 32: 0x3b }, USER_DATA = 0x23, TASK = 0x28;
const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];

/** A program's bytes by page, and where to start. */
export interface ControlFlowProgram {
  readonly code: Uint8Array<ArrayBuffer>;
  readonly jumpTable: readonly number[];
  readonly registers: readonly bigint[];
  /** Frames at the second address of the code. */
  readonly aliases: readonly number[];
  /** Addresses of its blocks. */
  readonly blocks: readonly number[];
}

/** Where programs run; 32-bit code at privilege 3 only. */
export interface ControlFlowPlace {
  readonly ring: 0 | 3;
  readonly bits: 64 | 32;
}
const USUAL_PLACE: ControlFlowPlace = { ring: 0, bits: 64 };

/** One program being written. */
class Writer {
  readonly bytes: number[] = [];
  readonly blockAt: number[] = [];
  readonly #targets: { readonly at: number; readonly block: number }[] = [];
  /** Offsets of 32-bit immediates that other code may overwrite, filled in when all are known. */
  readonly #immediates: number[] = [];
  readonly #patches: number[] = [];
  readonly #long: boolean;
  readonly #registers: typeof REGISTERS[64 | 32];

  constructor(
    readonly random: Random,
    readonly blocks: number,
    readonly system: boolean,
    readonly place: ControlFlowPlace,
  ) {
    this.#long = place.bits === 64;
    this.#registers = REGISTERS[place.bits];
  }

  put(...bytes: number[]): void {
    this.bytes.push(...bytes);
  }
  /** What 64-bit code and what 32-bit code has. */
  #either(long: readonly number[], short: readonly number[]): void {
    this.put(...this.#long ? long : short);
  }
  reg(): number {
    return this.#one(this.#registers.free);
  }
  #one(list: readonly number[]): number {
    return list[this.random.below(list.length)] as number;
  }
  /** REX with these bits 2 to 0; what is wide in 64-bit code has 16 bits in 32-bit code. */
  #prefix(wide: boolean, extends_: number): void {
    this.#either([0x40 | (wide ? 8 : 0) | extends_], wide ? [0x66] : []);
  }
  /** REX and opcode and ModRM for two registers. */
  rr(opcode: readonly number[], wide: boolean, reg: number, rm: number): void {
    this.#prefix(wide, ((reg >> 3) << 2) | (rm >> 3));
    this.put(...opcode, 0xc0 | ((reg & 7) << 3) | (rm & 7));
  }
  /** The same with [R12 + R15 + disp8]. */
  rm(opcode: readonly number[], wide: boolean, reg: number, disp: number): void {
    this.#prefix(wide, 3 | ((reg >> 3) << 2));
    this.put(...opcode, 0x44 | ((reg & 7) << 3), this.#long ? 0x3c : 0x35, disp);
  }
  rel32(block: number): void {
    this.#targets.push({ at: this.bytes.length, block });
    this.put(0, 0, 0, 0);
  }
  /** A block near `here`, or any. */
  near(here: number): number {
    const { random } = this;
    if (random.chance(30)) return random.below(this.blocks);
    return Math.min(this.blocks - 1, Math.max(0, here + random.below(6) - 2));
  }
  /** For whom a page is mapped anew: at privilege 3 mostly for whoever runs. */
  #user(): number {
    return this.place.ring === 3 && this.random.chance(85) ? PTE_US : 0;
  }
  #offset(mask: number): void {
    this.rr([0x89], false, this.reg(), this.#registers.offset); // mov r15d, reg
    this.#either([0x41, 0x81, 0xe7], [0x81, 0xe6]); // and r15d, mask
    this.put(...le32(mask));
  }

  instruction(): void {
    const { random } = this;
    if (this.system && random.chance(30)) return this.put(...privileged(random, ADDRESSES));
    const wide = random.chance(50);
    const a = this.reg(), b = this.reg();
    const kind = random.below(34);
    if (kind < 6) return this.rr([random.below(8) * 8 + 1], wide, a, b); // arithmetic
    if (kind < 8) return this.rr([random.below(8) * 8], wide, a, b); // on bytes
    if (kind === 8) return this.rr([0xff], wide, random.below(2), a); // inc, dec
    if (kind === 9) {
      this.rr([0xc1], wide, [0, 1, 2, 3, 4, 5, 7][random.below(7)] as number, a);
      return this.put(random.below(40));
    }
    if (kind === 10) return this.rr([0xd3], wide, [0, 1, 4, 5, 7][random.below(5)] as number, a); // by CL
    if (kind === 11) return this.rr([0x0f, 0xaf], wide, a, b); // imul
    if (kind === 12) return this.rr([0x0f, 0x40 + random.below(16)], wide, a, b); // cmovcc
    if (kind === 13) return this.rr([0x0f, 0x90 + random.below(16)], false, 0, a); // setcc
    if (kind === 14) {
      this.#prefix(false, a >> 3);
      this.put(0xb8 | (a & 7));
      this.#immediates.push(this.bytes.length);
      return this.put(...le32(random.u32()));
    }
    if (kind === 15) {
      return this.put(...[[0xf8], [0xf9], [0xf5], [0x9f], [0x9e], [0x98]][random.below(6)] as number[]);
    }
    if (kind === 16) {
      const popBits = this.#long ? [0x41, 0x5e] : [0x5f];
      return this.put(
        ...[[0x9c, ...popBits], [0xfb], [0xfa], [0x0f, 0xa2], [0x9c, 0x9d]][random.below(5)] as number[],
      );
    }
    if (kind === 17) {
      // sse: movd xmm1, r; paddd xmm1, xmm1; movd r, xmm1
      this.put(0x66);
      this.rr([0x0f, 0x6e], wide, 1, a);
      this.put(0x66, 0x0f, 0xfe, 0xc9, 0x66);
      return this.rr([0x0f, 0x7e], wide, 1, b);
    }
    if (kind === 18 && random.chance(15)) return this.#copyCode();
    if (kind === 18 && random.chance(30)) {
      // string copy or fill of a few bytes within the data
      this.#either([0x49, 0x8d, 0xbc, 0x24], [0x8d, 0xbd]);
      this.put(...le32(random.below(8200)));
      this.#either([0x49, 0x8d, 0xb4, 0x24], [0x8d, 0xb5]);
      this.put(...le32(random.below(8000)));
      this.put(0xb9, ...le32(random.below(40)), 0xfc);
      return this.put(0xf3, [0xa4, 0xaa, 0xa6, 0xae][random.below(4)] as number);
    }
    if (kind === 19 && random.chance(15)) return this.rr([0xf7], wide, 6, a); // div: mostly faults
    if (kind === 20 && random.chance(25)) {
      // Code changes: an immediate somewhere gets another value.
      const alias = random.chance(30) ? (CODE_ALIAS << 12) : 0;
      if (random.chance(50)) {
        this.#prefix(false, a >> 3 << 2);
        this.put(0x89, 0x04 | ((a & 7) << 3), 0x25);
      } else this.put(0xc7, 0x04, 0x25);
      const isImmediate = this.bytes[this.bytes.length - 3] === 0xc7;
      this.#patches.push(this.bytes.length);
      this.put(...le32(AREA + alias));
      return isImmediate ? this.put(...le32(random.u32())) : undefined;
    }
    if (kind === 21 && random.chance(20)) {
      // A mapping changes: of the absent page, of an alias of data, or of an alias of code.
      const page = [ABSENT, DATA_ALIAS, CODE_ALIAS + random.below(CODE_PAGES)][random.below(3)] as number;
      const frame = page >= DATA ? DATA + random.below(2) : random.below(CODE_PAGES);
      const writable = random.chance(25) ? undefined : random.chance(70);
      const entry = writable === undefined
        ? 0
        : at(frame) | PTE_USED | PTE_P | (writable ? PTE_RW : 0) | this.#user();
      return this.#map(page, entry);
    }
    if (kind >= 28) return this.#throughBase(kind - 28, wide);
    if (kind >= 26) {
      // The stack: read, written, or moved, also by odd distances and into other pages.
      const disp = random.below(16) * (random.chance(80) ? 8 : 7);
      if (random.chance(25)) {
        const by = random.below(24) * (random.chance(80) ? 8 : 3) - (random.chance(50) ? 90 : 96);
        this.#prefix(this.#long, 0);
        return this.put(0x8d, 0x64, 0x24, by & 0xff); // lea rsp, [rsp + by]
      }
      const opcode = [0x89, 0x01, 0x03, 0x8b][random.below(4)] as number;
      this.#prefix(wide, a >> 3 << 2);
      return this.put(opcode, 0x44 | ((a & 7) << 3), 0x24, disp);
    }
    // Memory: mostly within two pages, sometimes beyond.
    this.#offset(random.chance(90) ? 0x1ff8 : random.chance(50) ? 0x1fff : 0x3fff);
    const disp = random.below(8) * (random.chance(80) ? 1 : 5);
    if (kind === 22) return this.rm([random.below(8) * 8 + 1], wide, a, disp); // read and write
    if (kind === 23) {
      return this.rm([0x0f, [0xb6, 0xb7, 0xbe, 0xc1][random.below(4)] as number], wide, a, disp);
    }
    if (kind === 24) return this.rm([0x89], wide, a, disp);
    return this.rm([0x03 + random.below(8) * 8], wide, a, disp);
  }

  /** Writes some code again as it is, at its second address perhaps, by steps of some size. */
  #copyCode(): void {
    const { random } = this;
    const offset = random.below(0xcd0), alias = random.chance(30) ? CODE_ALIAS << 12 : 0;
    this.put(0xbe, ...le32(AREA + offset), 0xbf, ...le32(AREA + alias + offset)); // mov esi, from; mov edi, to
    this.put(0xb9, ...le32(1 + random.below(100)), 0xfc);
    const way = random.below(4);
    if (way === 0) this.put(0xf3, 0xa4); // rep movsb
    else if (way === 1) this.#either([0xf3, 0x48, 0xa5], [0xf3, 0xa5]);
    else if (way === 2) this.put(0xac, 0xaa, 0xff, 0xc9, 0x75, 0xfa); // lodsb; stosb; dec ecx; jnz
    else this.put(0xa5, 0xff, 0xc9, 0x75, 0xfb); // movsd; dec ecx; jnz
  }
  /** With [R12 + disp8], or with an index: R15, or RCX times 8. `prefix`: before REX. */
  #near(
    { prefix = [], opcode, wide = false, reg, disp, index = "none" }: {
      readonly prefix?: readonly number[];
      readonly opcode: readonly number[];
      readonly wide?: boolean;
      readonly reg: number;
      readonly disp: number;
      readonly index?: "none" | "r15" | "rcx";
    },
  ): void {
    this.put(...prefix);
    this.#prefix(wide, 1 | ((reg >> 3) << 2) | (index === "r15" ? 2 : 0));
    this.put(...opcode);
    if (this.#long) this.put(0x44 | ((reg & 7) << 3), { none: 0x24, r15: 0x3c, rcx: 0xcc }[index]);
    else if (index === "none") this.put(0x45 | (reg << 3));
    else this.put(0x44 | (reg << 3), { r15: 0x35, rcx: 0xcd }[index]);
    this.put(disp & 0xff);
  }
  /** Changes the entry of a page table, mostly with INVLPG, else with a load of CR3. */
  #map(page: number, entry: number): void {
    if (this.#long) this.put(0x48);
    this.put(0xc7, 0x04, 0x25, ...le32(at(TABLES_VIEW) + page * 8), ...le32(entry)); // mov qword [pte], entry
    if (this.random.chance(70)) this.put(0x0f, 0x01, 0x3c, 0x25, ...le32(at(page))); // invlpg
    else this.put(0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8); // mov rax, cr3; mov cr3, rax
  }
  /** An access to memory near R12, whose page a region may know. */
  #access(index: "none" | "r15" | "rcx"): void {
    const { random } = this;
    const disp = random.below(16) * (random.chance(80) ? 8 : 7) - 16;
    if (random.chance(25)) {
      const [prefix, opcode] = [[[], 0x10], [[], 0x11], [[0x66], 0xfe], [[], 0x28]][random.below(4)] as [
        number[],
        number,
      ];
      const reg = 1 + random.below(2); // movups, its store, paddd and movaps: the last two want alignment
      return this.#near({ prefix, opcode: [0x0f, opcode], reg, disp, index });
    }
    const opcode = [[0x8b], [0x89], [0x03], [0x01], [0x8a], [0x88], [
      0x0f,
      0xb7,
    ]][random.below(7)] as number[];
    this.#near({ opcode, wide: random.chance(50), reg: this.reg(), disp, index });
  }
  /** R12 moves by a small step. */
  #step(): void {
    const by = (1 + this.random.below(15)) * (this.random.chance(80) ? 8 : 1) & 0x7f;
    const way = this.random.below(4);
    if (way === 0) this.#either([0x49, 0x83, 0xc4, by], [0x83, 0xc5, by]); // add r12, by
    else if (way === 1) this.#either([0x49, 0x83, 0xec, by], [0x83, 0xed, by]); // sub
    else if (way === 2) this.#either([0x4d, 0x8d, 0x64, 0x24, by], [0x8d, 0x6d, by]); // lea r12, [r12 + by]
    else this.#either([0x49, 0xff, 0xc4], [0x45]); // inc
  }
  /** What page caches are about: accesses by one base, steps of it, other pages, loops, and mappings that change. */
  #throughBase(kind: number, wide: boolean): void {
    const { random } = this;
    if (kind === 0) { for (let n = 1 + random.below(4); n > 0; n--) this.#access("none"); }
    else if (kind === 1) this.#step();
    else if (kind === 2 && random.chance(40)) {
      const pages = [DATA, DATA, DATA + 1, DATA_ALIAS, READ_ONLY, DEVICE, STACK, CODE_ALIAS, 0, JUMP_TABLE];
      const page = random.chance(3) ? TABLES_VIEW : pages[random.below(pages.length)] as number;
      const offset = random.chance(30) ? 0xfe0 + random.below(64) : random.below(512) * 8;
      this.#either([0x41, 0xbc], [0xbd]); // mov r12d, address
      this.put(...le32(at(page) + offset));
    } else if (kind === 3) {
      this.#offset(0x1ff8);
      this.#access("r15");
    } else if (kind === 4) {
      this.put(0xb9, ...le32(1 + random.below(40))); // mov ecx, turns
      const start = this.bytes.length;
      for (let n = random.below(3); n >= 0; n--) this.#access(random.chance(30) ? "rcx" : "none");
      if (random.chance(60)) this.#step();
      this.put(0xff, 0xc9, 0x75, start - this.bytes.length - 4); // dec ecx; jnz start
    } else if (kind === 5 && random.chance(15)) {
      // A page of data is another one, or may not be written any more; the device's may become data.
      const page = [DATA, DATA + 1, DATA_ALIAS, DEVICE][random.below(4)] as number;
      const entry = at(DATA + random.below(3)) | PTE_USED | PTE_P | (random.chance(75) ? PTE_RW : 0) |
        this.#user();
      this.#map(page, entry);
    } else this.rr([0x89], wide, this.reg(), this.reg());
  }

  block(here: number): void {
    const { random } = this;
    this.blockAt[here] = this.bytes.length;
    for (let n = random.below(7); n > 0; n--) this.instruction();
    const kind = random.below(100);
    if (kind < 45) {
      if (random.chance(70)) this.#toss();
      this.put(0x0f, 0x80 + random.below(16));
      this.rel32(this.near(here));
    } else if (kind < 57) {
      this.put(0xe9);
      this.rel32(random.chance(80) ? Math.min(this.blocks - 1, here + 1 + random.below(5)) : this.near(here));
    } else if (kind < 68) {
      this.put(0xe8);
      this.rel32(this.near(here));
    } else if (kind < 78) this.put(0xc3);
    else if (kind < 86) {
      this.#toss();
      // mov r15, r14; shr r15, 40; and r15d, 15
      this.#either([0x4d, 0x89, 0xf7, 0x49, 0xc1, 0xef, 40, 0x41], [0x89, 0xfe, 0xc1, 0xee, 20]);
      this.put(0x83, this.#long ? 0xe7 : 0xe6, 15);
      const jumps = random.chance(50); // or calls [r13 + r15 * 8]
      if (this.#long) this.put(0x43, 0xff, jumps ? 0x64 : 0x54, 0xfd, 0);
      else this.put(0xff, jumps ? 0x24 : 0x14, 0xf5, ...le32(at(JUMP_TABLE)));
    } else if (kind < 92) {
      // A short loop inside.
      this.put(0xb9, ...le32(1 + random.below(60)));
      const start = this.bytes.length;
      for (let n = random.below(3); n >= 0; n--) this.#loopBody();
      this.put(0xe2, start - this.bytes.length - 2);
    } else if (kind < 96) {
      this.put(random.chance(50) ? 0x50 : 0x58); // push or pop
    } // else the block goes on into the next
    if (random.chance(25)) { for (let n = random.below(60); n > 0; n--) this.put(0x90); }
  }
  /** New pseudo-random bits, and flags from some of them. */
  #toss(): void {
    const { random } = this;
    this.#either([0x4d, 0x69, 0xf6], [0x69, 0xff]); // imul r14, r14, imm
    this.put(...le32((random.u32() & 0x7fff_ff00) | 5));
    this.#either([0x49, 0x81, 0xc6], [0x81, 0xc7]); // add r14, imm
    this.put(...le32(random.u32() | 1));
    this.#either([0x49, 0x0f, 0xba, 0xe6], [0x0f, 0xba, 0xe7]); // bt r14, bit
    this.put(20 + random.below(40));
    if (random.chance(60)) {
      this.#either([0x41, 0xf7, 0xc6], [0xf7, 0xc7]); // test r14d, bit
      this.put(...le32(1 << (8 + random.below(20))));
    }
  }
  #loopBody(): void {
    this.rr(
      [this.random.below(8) * 8 + 1],
      this.random.chance(50),
      this.reg(),
      this.#one(this.#registers.looped),
    );
  }

  finish(): ControlFlowProgram {
    const { random } = this;
    for (const { at, block } of this.#targets) {
      const to = this.blockAt[block] as number;
      this.bytes.splice(at, 4, ...le32(to - at - 4));
    }
    for (const at of this.#patches) {
      const immediate = this.#immediates[random.below(Math.max(1, this.#immediates.length))] ??
        this.bytes.length;
      const address = (this.bytes[at] as number) | (this.bytes[at + 1] as number) << 8 |
        (this.bytes[at + 2] as number) << 16 | (this.bytes[at + 3] as number) << 24;
      this.bytes.splice(at, 4, ...le32(address + immediate));
    }
    const jumpTable = Array.from({ length: 16 }, () => {
      const alias = random.chance(25) ? CODE_ALIAS << 12 : 0;
      return AREA + alias + (this.blockAt[random.below(this.blocks)] as number);
    });
    const aliases = [0, 1, 2, 3];
    if (random.chance(60)) [aliases[1], aliases[2]] = [2, 1];
    const registers = Array.from({ length: 16 }, () => random.value());
    return {
      code: Uint8Array.from(this.bytes.slice(0, CODE_PAGES * 4096)),
      jumpTable,
      registers,
      aliases,
      blocks: this.blockAt.flatMap((offset) => [AREA + offset, AREA + (CODE_ALIAS << 12) + offset]),
    };
  }
}

/** The program of a seed; `system`: with privileged instructions. */
function randomProgram(random: Random, system: boolean, place: ControlFlowPlace): ControlFlowProgram {
  const blocks = 3 + random.below(random.chance(50) ? 40 : 140);
  const writer = new Writer(random, blocks, system, place);
  if (random.chance(40)) { for (let n = random.below(4096); n > 0; n--) writer.put(0x90); // anywhere in a page
   }
  for (let block = 0; block < blocks; block++) writer.block(block);
  writer.put(0xe9);
  writer.rel32(0);
  return writer.finish();
}

/** A CPU that runs one program. */
export class ControlFlowCpu {
  readonly t: TestCpu;
  /** What the counters said when the program was loaded. */
  #before = { instructions: 0, interrupts: 0 };
  readonly #interrupts = { pending: false, acknowledge: () => (this.#interrupts.pending = false, VECTOR) };

  constructor(
    how: { readonly engine: WasmEngineName; readonly compileAtOnce: boolean },
    readonly place: ControlFlowPlace = USUAL_PLACE,
  ) {
    this.t = new TestCpu(64, { ...how, ramBytes: RAM_BYTES, hooks: { interrupts: this.#interrupts } });
  }

  load(program: ControlFlowProgram): void {
    const { t } = this;
    // Of the program before nothing is left, wherever it wrote.
    t.write(0, new Uint8Array(RAM_BYTES));
    t.reset();
    const { memory } = t;
    const { core } = t.cpu;
    const set64 = (gpa: number, value: number | bigint) =>
      memory.view.setBigUint64(memory.offsetOf(gpa), BigInt(value), true);
    t.write(AREA, program.code);
    const { ring, bits } = this.place, registers = REGISTERS[bits];
    const user = ring === 3 ? PTE_US : 0;
    for (const [table, next] of [[PML4, PDPT], [PDPT, DIRECTORY]] as const) {
      set64(table, next | PTE_P | PTE_RW | PTE_USED | user);
    }
    set64(DIRECTORY + (AREA >> 21) * 8, PAGE_TABLE | PTE_P | PTE_RW | PTE_USED | user);
    for (let page = 0; page < 512; page++) {
      let frame = at(page), rights = PTE_P | PTE_RW;
      // The second address of the code has its pages in another order, the stack's pages are backwards.
      if (page >= CODE_ALIAS && page < CODE_ALIAS + CODE_PAGES) {
        frame = at(program.aliases[page - CODE_ALIAS] as number);
      }
      if (page >= STACK - 2 && page < STACK + 2) frame = at(2 * STACK - 1 - page);
      if (page === DATA_ALIAS) frame = at(DATA);
      if (page === TABLES_VIEW) frame = PAGE_TABLE;
      if (page === DEVICE) frame = NO_MEMORY;
      if (page === READ_ONLY) rights = PTE_P;
      if (page === ABSENT || page >= PAGES) rights = 0;
      set64(PAGE_TABLE + page * 8, rights === 0 ? 0 : frame | rights | PTE_USED | user);
    }
    program.jumpTable.forEach((address, i) => set64(at(JUMP_TABLE) + i * 8, address));
    // Handlers: an error code is dropped, a fault goes on at the first block.
    const recovery = at(HANDLERS) + 0x100,
      irq = at(HANDLERS) + 0x80,
      withCode = at(HANDLERS),
      without = withCode + 4;
    t.write(withCode, [0x48, 0x83, 0xc4, 8, 0x48, 0xff, 0x04, 0x25, ...le32(at(HANDLERS) + 0x800)]);
    t.write(without + 8, [0x48, 0xc7, 0x04, 0x24, ...le32(recovery), 0x48, 0xcf]);
    t.write(irq, [0x48, 0xff, 0x04, 0x25, ...le32(at(HANDLERS) + 0x808), 0x48, 0xcf]);
    const stack = le32(STACK_START), data = le32(at(DATA)), table = le32(at(JUMP_TABLE));
    const refresh = bits === 64
      ? [0x48, 0xc7, 0xc4, ...stack, 0x49, 0xc7, 0xc4, ...data, 0x49, 0xc7, 0xc5, ...table, 0x48, 0xff, 0xc0]
      : [0xbc, ...stack, 0xbd, ...data, 0xff, 0xc0];
    t.write(recovery, [...refresh, 0xe9, ...le32(AREA - (recovery + refresh.length + 5))]);
    const gate = (vector: number, offset: number) => {
      set64(
        IDT + vector * 16,
        BigInt(offset & 0xffff) | 8n << 16n | 0x8e00n << 32n | BigInt(offset >>> 16) << 48n,
      );
      set64(IDT + vector * 16 + 8, 0);
    };
    for (let vector = 0; vector < 32; vector++) {
      gate(vector, [8, 10, 11, 12, 13, 14, 17].includes(vector) ? withCode : without);
    }
    gate(VECTOR, irq);
    gate(EXC_DB, irq); // a trap: the program goes on behind it
    set64(GDT, 0);
    set64(GDT + 8, 0x00af_9b00_0000_ffffn);
    set64(GDT + 16, 0x00cf_9300_0000_ffffn);
    const { s } = core;
    s.set64(S.idtrBase, BigInt(IDT));
    s.set32(S.idtrLimit, IDT_LIMIT);
    s.set64(S.gdtrBase, BigInt(GDT));
    s.set32(S.gdtrLimit, 0x17);
    if (ring === 3) {
      set64(GDT + (USER_CODE[64] & ~7), 0x00af_fb00_0000_ffffn);
      set64(GDT + (USER_CODE[32] & ~7), 0x00cf_fb00_0000_ffffn);
      set64(GDT + (USER_DATA & ~7), 0x00cf_f300_0000_ffffn);
      set64(GDT + TASK, 0x0000_8b00_0000_0067n | BigInt(TSS) << 16n);
      set64(GDT + TASK + 8, 0);
      s.set32(S.gdtrLimit, USER_CODE[32] | 7);
      // Handlers have a stack of their own.
      t.write(TSS, new Uint8Array(0x68));
      set64(TSS + 4, at(HANDLERS + 2));
      s.setSegment(TR, { selector: TASK, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
      this.#unprivileged();
    }
    s.set64(S.cr0, 0x8001_0011n);
    program.registers.forEach((value, r) => s.setGpr(r, BigInt.asUintN(bits, value)));
    s.setGpr(RSP, BigInt(STACK_START));
    s.setGpr(registers.data, BigInt(at(DATA)));
    s.setGpr(R13, BigInt(at(JUMP_TABLE)));
    core.mmu.flush();
    core.setRflags(ring === 3 ? 0x3202 : 0x202); // CLI and STI work at privilege 3, too
    core.updateMode();
    s.set64(S.rip, BigInt(AREA));
    t.cpu.exceptions.fill(0);
    this.#interrupts.pending = false;
    const { instructions, interrupts } = t.cpu;
    this.#before = { instructions, interrupts };
  }

  /** To privilege 3. */
  #unprivileged(): void {
    const { core } = this.t.cpu, { s } = core;
    const { bits } = this.place, attributes = bits === 64 ? 0xa0fb : 0xc0fb;
    s.setSegment(CS, { selector: USER_CODE[bits], base: 0n, limit: 0xffff_ffff, attributes });
    for (const i of [ES, SS, DS, FS, GS]) {
      s.setSegment(i, { selector: USER_DATA, base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 });
    }
    core.setCpl(3);
    core.updateMode();
  }

  /** Breakpoints for data in DR0 to DR3: where, and R/W and LEN as in DR7. */
  watch(breakpoints: readonly { readonly at: number; readonly how: number }[]): void {
    const { core } = this.t.cpu;
    let dr7 = 0x400;
    breakpoints.forEach(({ at, how }, n) => {
      core.s.set64(S.dr + 8 * n, BigInt(at));
      dr7 |= (how << (16 + 4 * n)) | (1 << (2 * n));
    });
    core.s.set32(S.dr + 7 * 8, dr7 >>> 0);
    core.mmu.flush();
    core.updateMode();
  }

  interrupt(): void {
    this.#interrupts.pending = true;
    this.t.cpu.interruptsChanged();
  }

  /** Goes on elsewhere; out of a handler of another privilege as it would return to the program's start. */
  goTo(address: number, bits: bigint): void {
    const { s, cpl } = this.t.cpu.core;
    const { ring, bits: size } = this.place;
    if (cpl !== ring) {
      this.#unprivileged();
      s.setGpr(RSP, BigInt(STACK_START));
    }
    s.set64(S.rip, BigInt(address));
    s.setGpr(REGISTERS[size].bits, BigInt.asUintN(size, bits));
  }

  /** Runs a slice; everything that must not depend on the engine. */
  run(budget: number): string {
    const { cpu } = this.t;
    cpu.halted = false;
    const end = cpu.run(budget);
    const { core } = cpu;
    const gpr = Array.from({ length: 16 }, (_, r) => core.s.gpr(r).toString(16));
    const xmm = [XMM1, XMM1 + 8, XMM2, XMM2 + 8].map((field) => core.s.get64(field).toString(16));
    return `${end} rip ${core.s.get64(S.rip).toString(16)} flags ${core.rflags.toString(16)} ` +
      `instructions ${cpu.instructions - this.#before.instructions} exceptions ${
        [...cpu.exceptions].join("")
      } interrupts ${cpu.interrupts - this.#before.interrupts} ` +
      `gpr ${gpr.join(" ")} xmm ${xmm.join(" ")} system ${systemState(core.s).join(" ")}`;
  }

  /** All of the memory a program uses. */
  memory(): Uint8Array {
    const start = this.t.memory.offsetOf(AREA);
    return this.t.memory.bytes.subarray(start, start + PAGES * 4096);
  }
}

const SYSTEM = [
  ...[S.cr0, S.cr2, S.cr3, S.cr4, S.efer, S.star, S.lstar, S.kernelGsBase, S.tscAux, S.sysenterEsp, S.pat],
  ...[0, 1, 2, 3, 6, 7].map((n) => S.dr + 8 * n),
];
function systemState(s: TestCpu["cpu"]["core"]["s"]): string[] {
  const segments = [CS, SS, DS, ES, FS, GS].map((n) => {
    const { selector, base, attributes } = s.segment(n);
    return `${selector.toString(16)}:${base.toString(16)}:${attributes.toString(16)}`;
  });
  return [...SYSTEM.map((field) => s.get64(field).toString(16)), ...segments];
}

/** Runs a program on both, slice by slice; what they differ in. `system`: with privileged instructions. */
export function compareControlFlow(
  random: Random,
  one: ControlFlowCpu,
  other: ControlFlowCpu,
  system = false,
): string | undefined {
  const program = randomProgram(random, system, one.place);
  one.load(program);
  other.load(program);
  if (random.chance(25)) {
    const pages = [DATA, DATA + 1, DATA_ALIAS, STACK - 1, STACK, JUMP_TABLE];
    const watched = Array.from({ length: 1 + random.below(4) }, () => ({
      at: at(pages[random.below(pages.length)] as number) + random.below(random.chance(50) ? 64 : 4096),
      how: (random.chance(50) ? BREAK_WRITE : BREAK_ACCESS) | (random.below(4) << 2),
    }));
    one.watch(watched);
    other.watch(watched);
  }
  for (let slice = 0; slice < 60; slice++) {
    const budget = random.below(random.chance(50) ? 60 : 4000);
    if (random.chance(15)) {
      one.interrupt();
      other.interrupt();
    }
    if (random.chance(30)) {
      const block = program.blocks[random.below(program.blocks.length)] as number, bits = random.u64();
      one.goTo(block, bits);
      other.goTo(block, bits);
    }
    const want = one.run(budget), got = other.run(budget);
    const where = `slice ${slice} of ${budget} instructions`;
    if (got !== want) return `${where}:\n${got}\n${want}`;
    if (slice % 10 === 0 || want.startsWith("shutdown")) {
      const theirs = other.memory(), differs = one.memory().findIndex((byte, i) => byte !== theirs[i]);
      if (differs >= 0) return `${where}: memory at offset 0x${differs.toString(16)}`;
    }
    if (want.startsWith("shutdown")) return undefined;
  }
  return undefined;
}
