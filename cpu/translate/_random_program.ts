// SPDX-License-Identifier: MIT
/**
 * Random programs of many small blocks: what they do, see _control_flow.ts; where they run, _program_place.ts.
 * @module
 */
import { Random } from "../isa/_cases.ts";
import { privileged } from "./_privileged.ts";
import {
  ABSENT,
  AREA,
  at,
  CODE_ALIAS,
  CODE_PAGES,
  type ControlFlowPlace,
  DATA,
  DATA_ALIAS,
  DEVICE,
  DIRECTORY,
  JUMP_TABLE,
  LARGE,
  le32,
  PDPT,
  type PlacedProgram,
  PTE_P,
  PTE_RW,
  PTE_US,
  PTE_USED,
  READ_ONLY,
  REGISTERS,
  STACK,
  TABLES_VIEW,
  TOP_ALIAS,
} from "./_program_place.ts";
import { transfer } from "./_transfers.ts";

/** What breakpoints and INVLPG of privileged programs are about. */
const ADDRESSES = [DATA, DATA + 1, DATA_ALIAS, STACK, READ_ONLY, CODE_ALIAS, LARGE, 0].map((page) =>
  at(page) + 0x40
);

/** A program, and where it may be entered. */
export interface ControlFlowProgram extends PlacedProgram {
  /** Addresses of its blocks. */
  readonly blocks: readonly number[];
}

/** One program being written. */
class Writer {
  readonly bytes: number[] = [];
  readonly blockAt: number[] = [];
  readonly #targets: { readonly at: number; readonly block: number }[] = [];
  /** Offsets of 32-bit immediates that other code may overwrite, filled in when all are known. */
  readonly #immediates: number[] = [];
  readonly #patches: number[] = [];
  readonly #long: boolean;
  /** In protected mode with PAE paging. */
  readonly #short: boolean;
  readonly #registers: typeof REGISTERS[64 | 32];

  constructor(
    readonly random: Random,
    readonly blocks: number,
    readonly system: boolean,
    readonly place: ControlFlowPlace,
  ) {
    this.#long = place.bits === 64;
    this.#short = place.kernel === 32;
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
    if (this.system && random.chance(30)) return this.put(...privileged(random, ADDRESSES, this.place.bits));
    if (this.#short && random.chance(6)) return this.put(...transfer(random, this.place.ring));
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
    if (kind === 20 && this.#short && this.place.ring === 0 && random.chance(20)) return this.#mapQuarter();
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
  #store(address: number, value: number): void {
    this.put(0xc7, 0x04, 0x25, ...le32(address), ...le32(value)); // mov dword [address], value
  }
  #reloadTables(): void {
    // mov rax, cr3; mov cr3, rax; xor eax, eax: who strays into zeros writes to [rax], and without INVLPG engines may
    // differ in when they see other tables
    this.put(0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x31, 0xc0);
  }
  /** Changes the entry of a page table, mostly with INVLPG, else with a load of CR3. */
  #map(page: number, entry: number): void {
    if (this.#long) this.put(0x48); // mov qword
    this.#store(at(TABLES_VIEW) + page * 8, entry);
    if (this.random.chance(30)) return this.#reloadTables();
    for (const alias of this.#short ? [0, TOP_ALIAS] : [0]) {
      this.put(0x0f, 0x01, 0x3c, 0x25, ...le32(alias + at(page))); // invlpg
    }
  }
  /** Changes a PDPTE, which counts when CR3 is loaded; with a reserved bit that is refused. At privilege 0. */
  #mapQuarter(): void {
    const { random } = this;
    const entry = random.chance(70)
      ? DIRECTORY | PTE_P
      : [DIRECTORY, DIRECTORY | PTE_P | PTE_RW][random.below(2)] as number;
    this.#store(PDPT + (random.chance(80) ? 3 : 1 + random.below(2)) * 8, entry);
    if (random.chance(60)) this.#reloadTables();
  }
  /** Something to add to an address now and then: where PAE paging has it once more, or mostly not. */
  #top(): number {
    if (!this.#short || this.random.chance(75)) return 0;
    return this.random.chance(90) ? TOP_ALIAS : 2 ** 30;
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
      const pages = [
        DATA,
        DATA,
        DATA + 1,
        DATA_ALIAS,
        READ_ONLY,
        DEVICE,
        STACK,
        CODE_ALIAS,
        0,
        JUMP_TABLE,
        LARGE,
      ];
      const page = random.chance(3) ? TABLES_VIEW : pages[random.below(pages.length)] as number;
      const offset = random.chance(30) ? 0xfe0 + random.below(64) : random.below(512) * 8;
      this.#either([0x41, 0xbc], [0xbd]); // mov r12d, address
      this.put(...le32(this.#top() + at(page) + offset));
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
      return this.#top() + AREA + alias + (this.blockAt[random.below(this.blocks)] as number);
    });
    const aliases = [0, 1, 2, 3];
    if (random.chance(60)) [aliases[1], aliases[2]] = [2, 1];
    const registers = Array.from({ length: 16 }, () => random.value());
    return {
      code: Uint8Array.from(this.bytes.slice(0, CODE_PAGES * 4096)),
      jumpTable,
      registers,
      aliases,
      blocks: this.blockAt.flatMap((offset) => [
        ...[AREA + offset, AREA + (CODE_ALIAS << 12) + offset],
        ...(this.#short ? [TOP_ALIAS + AREA + offset] : []),
      ]),
    };
  }
}

/** The program of a seed; `system`: with privileged instructions. */
export function randomProgram(random: Random, system: boolean, place: ControlFlowPlace): ControlFlowProgram {
  const blocks = 3 + random.below(random.chance(50) ? 40 : 140);
  const writer = new Writer(random, blocks, system, place);
  if (random.chance(40)) { for (let n = random.below(4096); n > 0; n--) writer.put(0x90); // anywhere in a page
   }
  for (let block = 0; block < blocks; block++) writer.block(block);
  writer.put(0xe9);
  writer.rel32(0);
  return writer.finish();
}
