// SPDX-License-Identifier: MIT
/**
 * The interface instruction descriptions (cpu/isa) are written against. They do not know whether operands come
 * from a decoded record (the interpreter's handlers) or are constants (the JIT): both back ends implement this.
 *
 * Conventions: a Value of width 8, 16 or 32 is an i32, zero-extended from its width; width 64 is an i64. Linear
 * addresses and offsets are i64. Conditions are i32, 0 or 1. Every operation takes effect where it is written.
 * @module
 */
import type {
  LaneArguments,
  LaneName,
  LaneResult,
  OpArguments,
  OpName,
  OpResult,
  ValueType,
} from "../wasm/opcodes.ts";
import type { Bounds, FloatType, Wanted } from "./vector/float_bounds.ts";
import type { CoreFunction, VectorFunction } from "./links.ts";
import type { MICROCODE, MicrocodeName } from "./microcode_calls.ts";

export type { FloatType };

/** Operand width in bits. */
export type Width = 8 | 16 | 32 | 64;

/**
 * A value computed by emitted code. `T` is what is known of its type when the description is compiled: where it follows
 * from an operand width it is i32 or i64, and the value goes where either is wanted (emission checks again).
 */
export interface Value<T extends ValueType = ValueType> {
  readonly type: ValueType;
  /** Never called: as a method it lets `T` be wider or narrower than what is wanted, but not something else. */
  isOf?(type: T): void;
}
/** A value of some operand width. */
export type IntValue = Value<"i32" | "i64">;

/** Computes what flags follow from, out of values that are at hand. */
export interface LazyFlags {
  (): IntValue;
  /** It is CF and OF of the signed product of these (productFlags in ./flags.ts): costly, and rarely wanted. */
  readonly product?: readonly [Value<"i64">, Value<"i64">];
}
/** The value of a width: i64 for 64, i32 for others. */
export type ValueOf<W extends Width> = Value<W extends 64 ? "i64" : "i32">;

/** A mutable variable of emitted code; read it with get. */
export interface Variable<T extends ValueType = ValueType> {
  readonly type: ValueType;
  /** See Value. */
  isOf?(type: T): void;
}

/** A memory operand: segment and offset; turned into a linear address when accessed. */
export interface Address {
  readonly offset: Value<"i64">;
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
  /** CS, DS, ES and SS are plain 4 GiB segments: how DS:rSI, ES:rDI and the stack are addressed. */
  readonly flat: boolean;
  /** A relative branch of 64-bit code whose target may be no canonical address. */
  readonly leavesCanonical?: boolean;
  /** ModRM names memory. */
  readonly isMemory: boolean;
  /** REP/REPE (0xf3), REPNE (0xf2) or none, for instructions where they are not part of the opcode. */
  readonly rep: 0 | 0xf2 | 0xf3;
  /** REX.W was given. */
  readonly rexW: boolean;
  /** x87, MMX and SSE instructions may fault because of CR0 or CR4, AVX because of XCR0: check before they do anything. */
  readonly fpuTrap: boolean;
  /** The immediate is a shift count that is not zero once masked. */
  readonly countNonZero: boolean;
  /** The condition code: low four bits of the opcode, for Jcc, SETcc, CMOVcc. */
  readonly opcodeLow: number;
  /** Bits of the vectors of a VEX-encoded instruction; 0: it is not VEX-encoded. */
  readonly vector: 0 | 128 | 256;
  /** VEX.vvvv names an operand: the first source, of which ModRM.reg (or ModRM.rm) is the destination only. */
  readonly threeOperands: boolean;
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

/** When #AC is on, an operand that is not aligned raises it; or it never does, or not on Intel's processors. */
export type AlignmentCheck = "checked" | "unchecked" | "unchecked by Intel";

/** Fields of an encoding that name vector registers; is4: the immediate of that kind. */
export type VectorField = "reg" | "rm" | "vvvv" | "is4";
/** Options of {@linkcode Emit.halves}. */
export interface HalvesOptions {
  /** The second source has 128 bits: for the halves, its lower 64 bits and its upper ones. */
  readonly widens?: boolean;
  /** The result has 128 bits: the lower 64 bits of each half's. */
  readonly narrows?: boolean;
}
/** Types of numbers that fit into an XMM register beside others. */
export type Scalar = "i32" | "i64" | "f32" | "f64";

/** What cpu/translate/sse_look.ts looks at. */
export interface SecondLook {
  readonly how: number;
  readonly a: Value<"v128">;
  readonly b: Value<"v128">;
  readonly result: Value<"v128">;
  /** Gets the result when that is another one. */
  readonly right?: Variable;
}

/** What a region does of an instruction that is not plain computation: see {@linkcode Emit.atOnce}. */
export interface AtOnce {
  /** The region leaves before the instruction if `condition` holds. */
  leaveIf(condition: Value<"i32">): void;
  /**
   * Where `bytes` bytes (or one) at `address` are in the WebAssembly memory. The region leaves unless they are in one page
   * for which the TLB allows the access.
   */
  span(address: Address, bytes: Value<"i32">, write: boolean): Value<"i32">;
}

type OperandsOf<A extends readonly ValueType[]> = { [I in keyof A]: Value<A[I]> };
type ArgumentsOf<A> = keyof A extends never ? Readonly<Record<string, never>>
  : { readonly [P in keyof A]: A[P] extends ValueType ? Value<A[P]> : never };
/** The arguments of a microcode, by name. */
export type MicrocodeArguments<N extends MicrocodeName> = ArgumentsOf<(typeof MICROCODE)[N]["args"]>;

/** See the module's description. */
export interface Emit {
  readonly form: Form;
  /** False: nobody reads the arithmetic flags this instruction writes. Costly inputs of setFlags may be left out. */
  readonly flagsLive: boolean;

  // Constants
  i32(value: number): Value<"i32">;
  i64(value: number | bigint): Value<"i64">;
  /** Constant of width `w`. */
  k<W extends Width>(w: W, value: number | bigint): ValueOf<W>;
  v128(low: bigint, high: bigint): Value<"v128">;
  /** The unsigned number that is known when the code is emitted, as immediates are in blocks and regions. */
  known(value: Value<"i32" | "i64">): number | undefined;

  // WebAssembly operations, by their name in the specification
  op<N extends OpName>(name: N, ...args: OperandsOf<OpArguments<N>>): Value<OpResult<N>>;
  /** Operations with a lane index. */
  lane<N extends LaneName>(
    name: N,
    lane: number,
    ...args: OperandsOf<LaneArguments<N>>
  ): Value<LaneResult<N>>;
  shuffle(lanes: readonly number[], a: Value<"v128">, b: Value<"v128">): Value<"v128">;
  select<T extends ValueType>(condition: Value<"i32">, then: Value<T>, otherwise: Value<T>): Value<T>;

  // Integer operations at a width
  add<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): ValueOf<W>;
  sub<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): ValueOf<W>;
  mul<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): ValueOf<W>;
  and<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): ValueOf<W>;
  or<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): ValueOf<W>;
  xor<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): ValueOf<W>;
  not<W extends Width>(w: W, a: ValueOf<W>): ValueOf<W>;
  /** Shifts; the count (width 8) must be below 64 for w=64, below 32 otherwise. */
  shl<W extends Width>(w: W, a: ValueOf<W>, count: Value<"i32">): ValueOf<W>;
  shrU<W extends Width>(w: W, a: ValueOf<W>, count: Value<"i32">): ValueOf<W>;
  shrS<W extends Width>(w: W, a: ValueOf<W>, count: Value<"i32">): ValueOf<W>;
  eqz<W extends Width>(w: W, a: ValueOf<W>): Value<"i32">;
  eq<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): Value<"i32">;
  ltU<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): Value<"i32">;
  ltS<W extends Width>(w: W, a: ValueOf<W>, b: ValueOf<W>): Value<"i32">;
  /** Sign bit as 0 or 1. */
  sign<W extends Width>(w: W, a: ValueOf<W>): Value<"i32">;
  zeroExtend<F extends Width, T extends Width>(from: F, to: T, a: ValueOf<F>): ValueOf<T>;
  signExtend<F extends Width, T extends Width>(from: F, to: T, a: ValueOf<F>): ValueOf<T>;
  truncate<F extends Width, T extends Width>(from: F, to: T, a: ValueOf<F>): ValueOf<T>;
  /** Bit tests on i32: (a >> bit) & 1. */
  bit(a: Value<"i32">, bit: number): Value<"i32">;

  // Control flow inside the instruction
  if(condition: Value<"i32">, then: () => void, otherwise?: () => void): void;
  /** Mostly `then`, which wants all conditions; one is not looked at, nor emitted code for it run, unless those before hold. */
  ifAll(conditions: readonly (() => Value<"i32">)[], then: () => void, otherwise: () => void): void;
  /** The same with nothing more to do: `otherwise` sees to the case that a condition does not hold. */
  expect(conditions: readonly (() => Value<"i32">)[], otherwise: () => void): void;
  /** Runs `body` while it says so: `body` returns the condition to go on. */
  doWhile(body: () => Value<"i32">): void;
  variable<T extends ValueType>(initial: Value<T>): Variable<T>;
  get<T extends ValueType>(variable: Variable<T>): Value<T>;
  set<T extends ValueType>(variable: Variable<T>, value: Value<T>): void;

  // Operands of the instruction
  /** ModRM.reg (or the register in the opcode) at width `w`. */
  reg<W extends Width>(w: W): ValueOf<W>;
  setReg<W extends Width>(w: W, value: ValueOf<W>): void;
  /** ModRM.reg with REX.R as a number, for rows whose option reg is "none". */
  regNumber(): Value<"i32">;
  /** Whether the reg operand is RAX (rows of class gpr). */
  regIsRax(): Value<"i32">;
  /** ModRM.rm: register or memory. */
  rm<W extends Width>(w: W): ValueOf<W>;
  setRm<W extends Width>(w: W, value: ValueOf<W>): void;
  /** Read-modify-write of ModRM.rm: nothing is written unless `f` completes. */
  updateRm<W extends Width>(w: W, f: (old: ValueOf<W>) => ValueOf<W>): void;
  /** Immediate, sign-extended by the decoder, truncated to `w`. */
  imm<W extends Width>(w: W): ValueOf<W>;
  /** Second immediate (ENTER, far pointers' selector): u16. */
  imm2(): Value<"i32">;
  gpr<W extends Width>(index: number, w: W): ValueOf<W>;
  setGpr<W extends Width>(index: number, w: W, value: ValueOf<W>): void;
  /** AH, CH, DH, BH for 4..7. */
  highByte(index: number): Value<"i32">;
  setHighByte(index: number, value: Value<"i32">): void;
  /**
   * XMM operands, 128 bits. What is written for legacy instructions serves their VEX-encoded forms, too: `xmmReg` is
   * VEX.vvvv where that is an operand, else ModRM.reg; `setXmmReg` writes ModRM.reg. `xmmRm` is the register form of
   * ModRM.rm; `setXmmRm` writes it, or VEX.vvvv where that is an operand. Legacy instructions leave the upper halves of
   * YMM registers alone, VEX-encoded ones write zeros.
   */
  xmmReg(): Value<"v128">;
  setXmmReg(value: Value<"v128">): void;
  xmmRm(): Value<"v128">;
  setXmmRm(value: Value<"v128">): void;
  /** Parts of these in place: `field` "reg" or "rm", byte offset. What is not set of a VEX destination is the first source's. */
  xmmPart<T extends Scalar>(field: "reg" | "rm", type: T, offset?: number): Value<T>;
  setXmmPart(field: "reg" | "rm", value: Value<Scalar>, offset?: number): void;
  /** Numbered XMM register (XMM0 as implicit operand). */
  xmm(index: number): Value<"v128">;
  setXmm(index: number, value: Value<"v128">): void;
  /** Zeros for the upper half of a numbered YMM register. */
  zeroHigh(index: number): void;
  /** The memory operand behind xmmRm: 16-byte aligned, else #GP(0), for legacy instructions only. */
  xmmMemory(): Value<"v128">;
  /**
   * Describes a 256-bit instruction whose halves do the same, by what describes its 128-bit form: `lane` runs for each
   * half, the operands above are that half's, and nothing is written before both are through. Meant for `form.vector`
   * 256; for others `lane` runs once.
   */
  halves(lane: () => void, how?: HalvesOptions): void;
  /** The half that is being described: 0 but in {@linkcode halves}. */
  readonly half: 0 | 1;
  /** One half of the vector register that a field of the encoding names, whatever it is used for. */
  vector(field: VectorField, half?: 0 | 1): Value<"v128">;
  /** Writes the register in `field`; no `high`: zeros. */
  setVector(field: VectorField, low: Value<"v128">, high?: Value<"v128">): void;
  /** A part of one half in place: `offset` in bytes. What is written changes nothing else, upper half included. */
  vectorPart<T extends Scalar>(field: VectorField, type: T, offset: number, half: 0 | 1): Value<T>;
  setVectorPart(field: VectorField, value: Value<Scalar>, offset: number, half: 0 | 1): void;
  /** VEX.vvvv at width `w`, for rows whose option vvvv is "gpr". */
  vvvv<W extends Width>(w: W): ValueOf<W>;
  setVvvv<W extends Width>(w: W, value: ValueOf<W>): void;

  // SSE floating point: cpu/isa/simd/ordinary.ts
  /** Whether an inexact result raises nothing new, and rounding is to nearest. */
  roundsQuietly(): Value<"i32">;
  /** Bounds are kept here, which hold while `calm` does. Else each instruction has to look for itself. */
  readonly knowsFloats: boolean;
  /** What has been met is within its bounds, and roundsQuietly. */
  calm(): Value<"i32">;
  /** The former, and rounding is to nearest; inexact results may have to set MXCSR.PE, and raise nothing else. */
  isWithin(): Value<"i32">;
  /** Bounds of `value`, a number of `type` or lanes of it. */
  bounds(type: FloatType, value: Value): Bounds | undefined;
  noteBounds(type: FloatType, value: Value, bounds: Bounds): void;
  /** Sees to it that values without bounds get those of the window. Zeros have no place there unless "any" are wanted. */
  meet(type: FloatType, values: readonly Value[], wanted?: Wanted): void;
  /**
   * Inside of `expect`. Comes back when a second look finds the result to be right all the same. Else the SSE unit does the
   * whole instruction with `value` as the second operand, and nothing behind this is run. `how`: see
   * cpu/fpu/sse/sse_unit.ts.
   */
  floatElsewhere(how: number, value: Value<"v128">, look?: SecondLook): void;
  /** Whether a second look finds the result to be right. MXCSR has what it raised then. */
  looksRight(look: SecondLook): Value<"i32">;

  // Memory
  /** The ModRM memory operand. */
  address(): Address;
  /** DS:rSI or its override. */
  sourceAddress(offset: Value<"i64">): Address;
  /** Number of the segment that sourceAddress uses. */
  sourceSegment(): Value<"i32">;
  /** Segment `index` (ES..GS) at `offset`. */
  segmentAddress(index: number, offset: Value<"i64">): Address;
  offsetBy(address: Address, bytes: number | Value<"i64">): Address;
  /** Linear address of `address`, without a check. */
  linear(address: Address): Value<"i64">;
  load<W extends Width>(w: W, address: Address, alignment?: AlignmentCheck): ValueOf<W>;
  store<W extends Width>(w: W, address: Address, value: ValueOf<W>, alignment?: AlignmentCheck): void;
  /** Loads with write permission checked; the store function that follows cannot fault. */
  loadForUpdate<W extends Width>(
    w: W,
    address: Address,
    alignment?: AlignmentCheck,
  ): { readonly value: ValueOf<W>; store(value: ValueOf<W>): void };
  /** 16 bytes; `aligned`: #GP(0) unless 16-byte aligned. */
  load128(address: Address, aligned?: boolean): Value<"v128">;
  store128(address: Address, value: Value<"v128">, aligned?: boolean): void;
  /** 32 bytes, lower half first; `aligned`: #GP(0) unless 32-byte aligned. */
  load256(address: Address, aligned?: boolean): readonly [Value<"v128">, Value<"v128">];
  store256(address: Address, low: Value<"v128">, high: Value<"v128">, aligned?: boolean): void;
  /** Part of the index of a row with option vsib: `offset` in bytes in one half. */
  indexPart<T extends Scalar>(type: T, offset: number, half: 0 | 1): Value<T>;
  /** The ModRM memory operand of a row with option vsib, for one index (sign-extended). */
  vsibAddress(index: Value<"i64">): Address;
  /**
   * Where the byte at `address` is in the WebAssembly memory, or 0 when the TLB does not allow the access right away.
   * Good up to the end of the page. Undefined when the segment needs checks. `bytes`, not 0: all of those, as far as they
   * lie in the page, will be written, code that was there is forgotten; else there is none to the end of a page to write.
   */
  hostSpan(address: Address, write: boolean, bytes?: Value<"i32">): Value<"i32"> | undefined;
  hostLoad<W extends Width>(w: W, at: Value<"i32">): ValueOf<W>;
  hostLoad128(at: Value<"i32">): Value<"v128">;
  hostStore<W extends Width>(w: W, at: Value<"i32">, value: ValueOf<W>): void;
  /** Copies as if through a buffer. */
  hostCopy(to: Value<"i32">, from: Value<"i32">, bytes: Value<"i32">): void;
  hostFill(to: Value<"i32">, byte: Value<"i32">, bytes: Value<"i32">): void;
  push<W extends Width>(w: W, value: ValueOf<W>): void;
  pop<W extends Width>(w: W): ValueOf<W>;
  /** Top of stack without popping; `drop` commits. */
  peek<W extends Width>(w: W): { readonly value: ValueOf<W>; drop(): void };

  // State block
  state32(address: number): Value<"i32">;
  setState32(address: number, value: Value<"i32">): void;
  state64(address: number): Value<"i64">;
  setState64(address: number, value: Value<"i64">): void;
  /** Another TLB counts for accesses to data: changes S.tlbBase. */
  setTlbBase(base: Value<"i32">): void;
  state128(address: number): Value<"v128">;
  setState128(address: number, value: Value<"v128">): void;

  // Flags
  /**
   * Defines all six flags as `kind` does from the values; nothing is emitted when they are dead. A function computes
   * `first` from values that are at hand, where it is needed, perhaps several times.
   */
  setFlags(
    kind: FlagKind,
    w: Width,
    result: IntValue,
    first?: IntValue | LazyFlags,
    second?: IntValue,
  ): void;
  /** Defines all six flags from an image in EFLAGS positions. */
  setFlagsImage(image: Value<"i32">): void;
  /** Defines only the flags in `mask`, from their EFLAGS positions in `bits`; the others stay. */
  setFlagsPart(mask: number, bits: Value<"i32">): void;
  /** The six flags in EFLAGS positions. */
  flagsImage(): Value<"i32">;
  carry(): Value<"i32">;
  condition(cc: ConditionCode): Value<"i32">;

  // Leaving
  /** RIP of the next instruction. */
  nextRip(): Value<"i64">;
  /** RIP of this instruction. */
  rip(): Value<"i64">;
  /** Direct branch to the decoded target. */
  jumpDirect(): void;
  /** Conditional direct branch. */
  branch(condition: Value<"i32">): void;
  /**
   * Near branch to a computed RIP (already cut to the operand size). `remember`: the record has no immediate and keeps
   * the target there, for whoever makes a region of the code.
   */
  jump(target: Value<"i64">, remember?: boolean): void;
  /** Branch to a computed RIP in a mode that has just changed. Conditions may have led here: microcode does the rest. */
  jumpFar(target: Value<"i64">): void;
  /**
   * An instruction that may take long. `all` is all of it; a region does what `usual` says, which changes nothing before the
   * last condition to leave.
   */
  atOnce(usual: (region: AtOnce) => void, all: () => void): void;
  /** Starts this instruction again (a REP that gives interrupts a chance); `extra`: more budget it used up. */
  repeat(extra?: Value<"i32">): void;
  /** Runs TypeScript. */
  microcode<N extends MicrocodeName>(
    name: N,
    args: MicrocodeArguments<N>,
    options?: MicrocodeOptions,
  ): void;
  /** Calls the function of the x87 instructions with this opcode and kind of operand (cpu/isa/x87/x87_function.ts). */
  callX87(opcode: number, isMemory: boolean, modrm: Value<"i32">): Value<"i32">;
  /** Calls a function of up to three vectors. */
  callVector(name: VectorFunction, ...args: readonly Value<"v128">[]): Value<"v128">;
  /** Calls a function that all emitted code shares; it touches nothing but its arguments and S.arg. */
  callCore(name: CoreFunction, ...args: readonly Value<"i32">[]): Value<"i32">;
  /** Result `i` of the last microcode. */
  microcodeResult<W extends Width>(w: W, i?: number): ValueOf<W>;
  /** Raises a fault when `condition` holds. */
  faultIf(condition: Value<"i32">, vector: number, errorCode?: number): void;
  /** Raises a fault. */
  fault(vector: number, errorCode?: number): void;
}
