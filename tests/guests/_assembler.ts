// SPDX-License-Identifier: MIT
/**
 * A tiny assembler for guests that tests write themselves: the instructions they need and labels. What it emits are
 * 32-bit operations with encodings that 32-bit and 64-bit code share, so one program serves both modes; addresses
 * lie below 2 GiB. Rules: SDM Vol. 2. Left out: everything the guests in tests/ do not use.
 * @module
 */

/** General registers in encoding order. */
export const EAX = 0, ECX = 1, EDX = 2, EBX = 3, ESP = 4, EBP = 5, ESI = 6, EDI = 7;
/** A register's number. */
export type Register = number;
/** A number, or the address of a label. */
export type Value = number | string;
/** A memory operand: an absolute address, or a register and a displacement. */
export type Memory = Value | { readonly base: Register; readonly disp?: Value };

const ALU = { add: 0, or: 1, adc: 2, sbb: 3, and: 4, sub: 5, xor: 6, cmp: 7 } as const;
/** Operations of two operands. */
export type AluOperation = keyof typeof ALU;
const CONDITIONS = {
  b: 2,
  ae: 3,
  e: 4,
  ne: 5,
  be: 6,
  a: 7,
  s: 8,
  ns: 9,
  l: 12,
  ge: 13,
  le: 14,
  g: 15,
} as const;
/** Conditions of jumps. */
export type Condition = keyof typeof CONDITIONS;

interface Fixup {
  readonly at: number;
  readonly label: string;
  readonly relative: boolean;
}

/** Collects code and data; `assemble` resolves the labels. */
export class Assembler {
  /** Mode that the code being emitted runs in. */
  bits: 32 | 64 = 32;
  #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixups: Fixup[] = [];
  #unique = 0;

  constructor(readonly origin: number) {}

  /** Address of the next byte. */
  get here(): number {
    return this.origin + this.#bytes.length;
  }

  /** Names the next byte. */
  label(name: string): void {
    if (this.#labels.has(name)) throw new Error(`label ${name} is there already`);
    this.#labels.set(name, this.here);
  }
  /** A label nobody else has. */
  unique(stem: string): string {
    return `${stem}.${this.#unique++}`;
  }
  /** Where a label is; after everything has been emitted. */
  addressOf(name: string): number {
    const at = this.#labels.get(name);
    if (at === undefined) throw new Error(`no label ${name}`);
    return at;
  }
  /** All bytes, labels resolved. */
  assemble(): Uint8Array<ArrayBuffer> {
    const bytes = Uint8Array.from(this.#bytes);
    const view = new DataView(bytes.buffer);
    for (const { at, label, relative } of this.#fixups) {
      const target = this.addressOf(label);
      view.setUint32(at, relative ? target - (this.origin + at + 4) : target, true);
    }
    return bytes;
  }

  // Data

  /** Bytes as they are. */
  db(...bytes: readonly number[]): void {
    for (const byte of bytes) this.#bytes.push(byte & 0xff);
  }
  /** 32-bit words. */
  dd(...values: readonly Value[]): void {
    for (const value of values) {
      if (typeof value === "string") {
        this.#fixups.push({ at: this.#bytes.length, label: value, relative: false });
      }
      const n = typeof value === "string" ? 0 : value;
      this.db(n, n >>> 8, n >>> 16, n >>> 24);
    }
  }
  /** Latin-1 text. */
  text(text: string): void {
    this.db(...Array.from(text, (c) => c.charCodeAt(0)));
  }
  /** `count` zeros. */
  zeros(count: number): void {
    for (let i = 0; i < count; i++) this.#bytes.push(0);
  }
  /** Zeros up to a multiple of `n`. */
  align(n: number): void {
    while (this.here % n !== 0) this.#bytes.push(0);
  }

  // Operands

  #modrm(reg: number, memory: Memory): void {
    if (typeof memory === "object") {
      this.db(0x80 | (reg << 3) | memory.base);
      if (memory.base === ESP) this.db(0x24);
      this.dd(memory.disp ?? 0);
    } else {
      this.db(0x04 | (reg << 3), 0x25); // SIB without base and index: absolute in both modes
      this.dd(memory);
    }
  }
  #relative(label: string): void {
    this.#fixups.push({ at: this.#bytes.length, label, relative: true });
    this.db(0, 0, 0, 0);
  }

  // Moves

  /** reg = value */
  mov(reg: Register, value: Value): void {
    this.db(0xb8 + reg);
    this.dd(value);
  }
  /** to = from */
  movRegister(to: Register, from: Register): void {
    this.db(0x89, 0xc0 | (from << 3) | to);
  }
  /** reg = memory, zero-extended from `size` bytes */
  load(reg: Register, memory: Memory, size: 1 | 2 | 4 = 4): void {
    if (size === 4) this.db(0x8b);
    else this.db(0x0f, size === 1 ? 0xb6 : 0xb7);
    this.#modrm(reg, memory);
  }
  /** memory = reg. Bytes: EAX to EBX only. */
  store(memory: Memory, reg: Register, size: 1 | 2 | 4 = 4): void {
    if (size === 2) this.db(0x66);
    this.db(size === 1 ? 0x88 : 0x89);
    this.#modrm(reg, memory);
  }
  /** memory = value, 32 bits */
  storeValue(memory: Memory, value: Value): void {
    this.db(0xc7);
    this.#modrm(0, memory);
    this.dd(value);
  }
  push(reg: Register): void {
    this.db(0x50 + reg);
  }
  pop(reg: Register): void {
    this.db(0x58 + reg);
  }
  /** [EDI++] = [ESI++], ECX bytes */
  repMovsb(): void {
    this.db(0xf3, 0xa4);
  }

  // Arithmetic

  /** to = to op from */
  alu(operation: AluOperation, to: Register, from: Register): void {
    this.db(ALU[operation] * 8 + 1, 0xc0 | (from << 3) | to);
  }
  /** to = to op value */
  aluValue(operation: AluOperation, to: Register, value: Value): void {
    this.db(0x81, 0xc0 | (ALU[operation] << 3) | to);
    this.dd(value);
  }
  /** memory = memory op value */
  aluMemory(operation: AluOperation, memory: Memory, value: Value): void {
    this.db(0x81);
    this.#modrm(ALU[operation], memory);
    this.dd(value);
  }
  shl(reg: Register, count: number): void {
    this.db(0xc1, 0xe0 | reg, count);
  }
  shr(reg: Register, count: number): void {
    this.db(0xc1, 0xe8 | reg, count);
  }
  /** EAX = EDX:EAX / reg, EDX the rest */
  div(reg: Register): void {
    this.db(0xf7, 0xf0 | reg);
  }

  // Control

  jmp(label: string): void {
    this.db(0xe9);
    this.#relative(label);
  }
  j(condition: Condition, label: string): void {
    this.db(0x0f, 0x80 | CONDITIONS[condition]);
    this.#relative(label);
  }
  call(label: string): void {
    this.db(0xe8);
    this.#relative(label);
  }
  callRegister(reg: Register): void {
    this.db(0xff, 0xd0 | reg);
  }
  ret(): void {
    this.db(0xc3);
  }
  /** iretd, or iretq in 64-bit code */
  iret(): void {
    if (this.bits === 64) this.db(0x48);
    this.db(0xcf);
  }
  /** Far jump in 32-bit code. */
  jmpFar(selector: number, label: string): void {
    this.db(0xea);
    this.dd(label);
    this.db(selector, selector >> 8);
  }

  // System

  cpuid(): void {
    this.db(0x0f, 0xa2);
  }
  rdmsr(): void {
    this.db(0x0f, 0x32);
  }
  wrmsr(): void {
    this.db(0x0f, 0x30);
  }
  vmcall(): void {
    this.db(0x0f, 0x01, 0xc1);
  }
  vmmcall(): void {
    this.db(0x0f, 0x01, 0xd9);
  }
  pause(): void {
    this.db(0xf3, 0x90);
  }
  hlt(): void {
    this.db(0xf4);
  }
  ud2(): void {
    this.db(0x0f, 0x0b);
  }
  /** out port, eax */
  outEax(port: number): void {
    this.db(0xe7, port);
  }
  lgdt(memory: Memory): void {
    this.db(0x0f, 0x01);
    this.#modrm(2, memory);
  }
  lidt(memory: Memory): void {
    this.db(0x0f, 0x01);
    this.#modrm(3, memory);
  }
  /** Loads TR from AX. */
  ltrAx(): void {
    this.db(0x0f, 0x00, 0xd8);
  }
  /** Sreg = AX; 0 ES, 2 SS, 3 DS, 4 FS, 5 GS */
  movSegmentAx(segment: number): void {
    this.db(0x8e, 0xc0 | (segment << 3));
  }
  /** EAX (RAX) = CRn */
  readCr(n: number): void {
    this.db(0x0f, 0x20, 0xc0 | (n << 3));
  }
  /** CRn = EAX (RAX) */
  writeCr(n: number): void {
    this.db(0x0f, 0x22, 0xc0 | (n << 3));
  }
}
