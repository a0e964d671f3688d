// SPDX-License-Identifier: MIT
/**
 * The interface instruction descriptions (cpu/isa) are written against. They do not know whether operands come
 * from a decoded record (the interpreter's handlers) or are constants (the JIT): both back ends implement this.
 *
 * Conventions: a Value of width 8, 16 or 32 is an i32, zero-extended from its width; width 64 is an i64. Linear
 * addresses and offsets are i64. Conditions are i32, 0 or 1. Every operation takes effect where it is written.
 * @module
 */
import type { ValueType } from "../wasm/opcodes.ts";

/** Operand width in bits. */
export type Width = 8 | 16 | 32 | 64;

/** A value computed by emitted code. */
export interface Value {
  readonly type: ValueType;
}

/** A mutable variable of emitted code; read it with get. */
export interface Variable {
  readonly type: ValueType;
}

/** A memory operand: segment and offset; turned into a linear address when accessed. */
export interface Address {
  readonly offset: Value;
}

/** Lazy flag kinds; see cpu/emit/flags.ts for what each one stores. */
export type FlagKind = "add" | "sub" | "carry" | "borrow" | "logic" | "inc" | "dec" | "result";

/** Condition codes in encoding order: O NO B NB E NE BE NBE S NS P NP L NL LE NLE. */
export type ConditionCode = number;

/** What decoding fixed about the instruction: the same for every execution of a handler. */
export interface Form {
  /** Operand size in bits. */
  readonly osize: 16 | 32 | 64;
  /** Address size in bits. */
  readonly asize: 16 | 32 | 64;
  readonly codeBits: 16 | 32 | 64;
  readonly stackBits: 16 | 32 | 64;
  /** ModRM names memory. */
  readonly isMemory: boolean;
  /** REP/REPE (0xf3), REPNE (0xf2) or none, for instructions where they are not part of the opcode. */
  readonly rep: 0 | 0xf2 | 0xf3;
  /** REX.W was given. */
  readonly rexW: boolean;
  /** x87, MMX and SSE instructions may fault because of CR0 or CR4: check before they do anything. */
  readonly fpuTrap: boolean;
  /** The immediate is a shift count that is not zero once masked. */
  readonly countNonZero: boolean;
  /** The condition code: low four bits of the opcode, for Jcc, SETcc, CMOVcc. */
  readonly opcodeLow: number;
}

/** Registers by encoding number. */
export const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7, R11 = 11;

/** Options of {@linkcode Emit.microcode}. */
export interface MicrocodeOptions {
  /** It never goes on with the next instruction of the block. */
  readonly ends?: boolean;
  /** Code to run after success, before anything else of the guest runs. */
  readonly commit?: () => void;
}

/** See the module's description. */
export interface Emit {
  readonly form: Form;
  /** False: nobody reads the arithmetic flags this instruction writes. Costly inputs of setFlags may be left out. */
  readonly flagsLive: boolean;

  // Constants
  i32(value: number): Value;
  i64(value: number | bigint): Value;
  /** Constant of width `w`. */
  k(w: Width, value: number | bigint): Value;
  v128(low: bigint, high: bigint): Value;

  // WebAssembly operations, by their name in the specification
  op(name: string, ...args: Value[]): Value;
  lane(name: string, lane: number, ...args: Value[]): Value;
  shuffle(lanes: readonly number[], a: Value, b: Value): Value;
  select(condition: Value, then: Value, otherwise: Value): Value;

  // Integer operations at a width
  add(w: Width, a: Value, b: Value): Value;
  sub(w: Width, a: Value, b: Value): Value;
  mul(w: Width, a: Value, b: Value): Value;
  and(w: Width, a: Value, b: Value): Value;
  or(w: Width, a: Value, b: Value): Value;
  xor(w: Width, a: Value, b: Value): Value;
  not(w: Width, a: Value): Value;
  /** Shifts; the count (width 8) must be below 64 for w=64, below 32 otherwise. */
  shl(w: Width, a: Value, count: Value): Value;
  shrU(w: Width, a: Value, count: Value): Value;
  shrS(w: Width, a: Value, count: Value): Value;
  eqz(w: Width, a: Value): Value;
  eq(w: Width, a: Value, b: Value): Value;
  ltU(w: Width, a: Value, b: Value): Value;
  ltS(w: Width, a: Value, b: Value): Value;
  /** Sign bit as 0 or 1. */
  sign(w: Width, a: Value): Value;
  zeroExtend(from: Width, to: Width, a: Value): Value;
  signExtend(from: Width, to: Width, a: Value): Value;
  truncate(from: Width, to: Width, a: Value): Value;
  /** Bit tests on i32: (a >> bit) & 1. */
  bit(a: Value, bit: number): Value;

  // Control flow inside the instruction
  if(condition: Value, then: () => void, otherwise?: () => void): void;
  /** Runs `body` while it says so: `body` returns the condition to go on. */
  doWhile(body: () => Value): void;
  variable(initial: Value): Variable;
  get(variable: Variable): Value;
  set(variable: Variable, value: Value): void;

  // Operands of the instruction
  /** ModRM.reg (or the register in the opcode) at width `w`. */
  reg(w: Width): Value;
  setReg(w: Width, value: Value): void;
  /** ModRM.reg with REX.R as a number (i32), for rows whose option reg is "none". */
  regNumber(): Value;
  /** Whether the reg operand is RAX (rows of class gpr): i32. */
  regIsRax(): Value;
  /** ModRM.rm: register or memory. */
  rm(w: Width): Value;
  setRm(w: Width, value: Value): void;
  /** Read-modify-write of ModRM.rm: nothing is written unless `f` completes. */
  updateRm(w: Width, f: (old: Value) => Value): void;
  /** Immediate, sign-extended by the decoder, truncated to `w`. */
  imm(w: Width): Value;
  /** Second immediate (ENTER, far pointers' selector): u16 as i32. */
  imm2(): Value;
  gpr(index: number, w: Width): Value;
  setGpr(index: number, w: Width, value: Value): void;
  /** AH, CH, DH, BH for 4..7. */
  highByte(index: number): Value;
  setHighByte(index: number, value: Value): void;
  /** XMM operands: ModRM.reg and the register form of ModRM.rm, 128 bits. */
  xmmReg(): Value;
  setXmmReg(value: Value): void;
  xmmRm(): Value;
  setXmmRm(value: Value): void;
  /** Parts of an XMM operand in place: `field` "reg" or "rm", byte offset, i32/i64/f32/f64. */
  xmmPart(field: "reg" | "rm", type: "i32" | "i64" | "f32" | "f64", offset?: number): Value;
  setXmmPart(field: "reg" | "rm", value: Value, offset?: number): void;
  /** Numbered XMM register (XMM0 as implicit operand). */
  xmm(index: number): Value;

  // Memory
  /** The ModRM memory operand. */
  address(): Address;
  /** DS:rSI or its override. */
  sourceAddress(offset: Value): Address;
  /** Number of the segment that sourceAddress uses (i32). */
  sourceSegment(): Value;
  /** Segment `index` (ES..GS) at `offset`. */
  segmentAddress(index: number, offset: Value): Address;
  offsetBy(address: Address, bytes: number | Value): Address;
  /** Linear address of `address`, without a check. */
  linear(address: Address): Value;
  load(w: Width, address: Address): Value;
  store(w: Width, address: Address, value: Value): void;
  /** Loads with write permission checked; the store function that follows cannot fault. */
  loadForUpdate(w: Width, address: Address): { readonly value: Value; store(value: Value): void };
  /** 16 bytes; `aligned`: #GP(0) unless 16-byte aligned. */
  load128(address: Address, aligned?: boolean): Value;
  store128(address: Address, value: Value, aligned?: boolean): void;
  /**
   * Where the byte at `address` is in the WebAssembly memory (i32), or 0 when the TLB does not allow the access
   * right away. Good up to the end of the page. Undefined when the segment needs checks.
   */
  hostSpan(address: Address, write: boolean): Value | undefined;
  hostLoad(w: Width, at: Value): Value;
  hostStore(w: Width, at: Value, value: Value): void;
  /** Copies as if through a buffer; lengths are i32. */
  hostCopy(to: Value, from: Value, bytes: Value): void;
  hostFill(to: Value, byte: Value, bytes: Value): void;
  push(w: Width, value: Value): void;
  pop(w: Width): Value;
  /** Top of stack without popping; `drop` commits. */
  peek(w: Width): { readonly value: Value; drop(): void };

  // State block
  state32(address: number): Value;
  setState32(address: number, value: Value): void;
  state64(address: number): Value;
  setState64(address: number, value: Value): void;

  // Flags
  /** Defines all six flags as `kind` does from the values; nothing is emitted when they are dead. */
  setFlags(kind: FlagKind, w: Width, result: Value, first?: Value, second?: Value): void;
  /** Defines all six flags from an image in EFLAGS positions. */
  setFlagsImage(image: Value): void;
  /** Defines only the flags in `mask`, from their EFLAGS positions in `bits`; the others stay. */
  setFlagsPart(mask: number, bits: Value): void;
  /** The six flags in EFLAGS positions. */
  flagsImage(): Value;
  carry(): Value;
  condition(cc: ConditionCode): Value;

  // Leaving
  /** RIP of the next instruction. */
  nextRip(): Value;
  /** RIP of this instruction. */
  rip(): Value;
  /** Direct branch to the decoded target. */
  jumpDirect(): void;
  /** Conditional direct branch. */
  branch(condition: Value): void;
  /** Near branch to a computed RIP (i64, already cut to the operand size). */
  jump(target: Value): void;
  /** Starts this instruction again (a REP that gives interrupts a chance); `extra`: more budget it used up. */
  repeat(extra?: Value): void;
  /** Runs TypeScript; see cpu/system/microcode.ts for names and arguments (i32 or i64). */
  microcode(name: string, args: readonly Value[], options?: MicrocodeOptions): void;
  /** Result `i` of the last microcode. */
  microcodeResult(w: Width, i?: number): Value;
  /** Raises a fault when `condition` holds. */
  faultIf(condition: Value, vector: number, errorCode?: number): void;
  /** Raises a fault. */
  fault(vector: number, errorCode?: number): void;
}
