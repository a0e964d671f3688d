// SPDX-License-Identifier: MIT
/**
 * Random streams of instructions of every group: XRSTOR, some twenty instructions that work on what the ones before
 * left, with branches over some of them and often a loop around all, XSAVE. Each is made by the case builders of its
 * group, behind moves that load what it relies on. What a manual leaves undefined is defined anew before somebody reads
 * it; results that only nearly agree between processors do not occur.
 * @module
 */
import { ARITHMETIC_FLAGS, FLAG_AC, FLAG_AF, FLAG_CF, FLAG_DF } from "../state/state.ts";
import { avxCase, isAvxRow } from "./avx/_avx_cases.ts";
import { CaseCode } from "./_case_code.ts";
import { isComparable, Random, randomCase } from "./_cases.ts";
import { MAX_STREAM, type NativeCase, STREAM_SCRATCH_BYTES } from "./_native_runner.ts";
import type { Row } from "./row/row.ts";
import { FX, isVectorRow, vectorCase } from "./simd/_vector_cases.ts";
import { isApproximate, isDotProduct, isSha } from "./simd/_vector_suite.ts";

/** Places in scratch memory: the XSAVE area, operands of vectors, operands of the others, what is kept apart. */
export const STREAM = {
  operands: 832,
  data: 1024,
  stack: 2048,
  end: 3072,
  turns: 3584,
  rax: 3600,
  rdx: 3608,
  mxcsr: 3616,
};
const XSTATE_BV = 512, STATES = 7;
const RAX = 0, RDX = 2, RSP = 4;
const ALWAYS = 0x202;

/** One instruction, with what it needs in front of it. */
export interface Unit {
  readonly at: number;
  readonly length: number;
  readonly text: string;
  /** Arithmetic flags that are undefined when it starts. */
  readonly undefined: number;
}
/** A stream, and of what it is made. */
export interface Stream {
  readonly one: NativeCase;
  readonly units: readonly Unit[];
  /** Flags that are undefined at its end. */
  readonly undefined: number;
}

/** Rows that streams are made of. */
export function fitsStream(row: Row, bits: 32 | 64): boolean {
  if (row.options.vsib === true || isApproximate(row) || isDotProduct(row)) return false;
  return isComparable(row, bits) || isVectorRow(row, bits) || isAvxRow(row, bits);
}

const wordOf = (row: Row) => row.text.split(" ")[0] as string;
const SETS_ALL = new Set("ADD SUB ADC SBB CMP NEG XADD CMPXCHG AND OR XOR TEST".split(" "));
/** What of the flags an instruction reads; what all readers of a condition leave out is AF. */
function flagsRead(word: string): number {
  if (/^(LAHF|PUSHF|DAA|DAS|AAA|AAS)$/.test(word)) return ARITHMETIC_FLAGS;
  if (/^(Jcc|CMOVcc|SETcc|LOOPN?E|x87|ADOX)$/.test(word)) return ARITHMETIC_FLAGS & ~FLAG_AF;
  if (/^(ADC|SBB|RCL|RCR|SALC|ADCX|CMC)$/.test(word)) return FLAG_CF;
  return 0;
}

const le = (value: number | bigint, bytes: number) =>
  Array.from(
    { length: bytes },
    (_, i) => Number((BigInt.asUintN(64, BigInt(value)) >> BigInt(8 * i)) & 0xffn),
  );
/** ModRM (and SIB) of an absolute address. */
function absolute(bits: 32 | 64, field: number, address: number): readonly number[] {
  const writer = new CaseCode(bits);
  writer.absolute(field, address);
  return writer.bytes;
}
/** MOV r, imm. */
function load(bits: 32 | 64, r: number, value: bigint): number[] {
  const short = bits === 32 || value < 1n << 32n;
  const rex = (r >> 3) | (short ? 0 : 8);
  return [...(rex === 0 ? [] : [0x40 | rex]), 0xb8 | (r & 7), ...le(value, short ? 4 : 8)];
}

interface Place {
  readonly bits: 32 | 64;
  readonly code: number;
  readonly scratch: number;
}

/** Those that push or pop, and leave the stack pointer near where it was. */
const isImplicitStack = (word: string) => /^(PUSH|POP|CALL|RET|PUSHA|POPA|PUSHF|POPF)$/.test(word);

/**
 * A row's instruction behind what it needs; undefined: this one has an outcome that processors differ in.
 * `isInStack`: the stack pointer is in the stream's stack.
 */
function unitCode(
  row: Row,
  seed: number,
  isInStack: boolean,
  { bits, code, scratch }: Place,
): { readonly bytes: number[]; readonly isInStack: boolean } | undefined {
  const word = wordOf(row);
  /** It is most often what it was. */
  const keepsStack = isInStack && seed % 2 === 0;
  const inScratch = (value: bigint) =>
    value >= BigInt(scratch) && value < BigInt(scratch + STREAM_SCRATCH_BYTES);
  const make = (at: number): { one: NativeCase; front: number[] } => {
    const random = new Random(seed);
    // See isAmds in _vector_suite.ts about SHA.
    const shift = random.chance(92) || isSha(row) ? 0 : random.below(32);
    const operand = /LDMXCSR/.test(word)
      ? scratch + STREAM.mxcsr
      : scratch + STREAM.operands + 32 * random.below(3) + shift;
    const one = isVectorRow(row, bits)
      ? vectorCase(row, random, { bits, scratch, operand })
      : isAvxRow(row, bits)
      ? avxCase(row, random, { bits, scratch, operand })
      : randomCase(row, random, { bits, code: at, scratch: scratch + STREAM.data });
    const front: number[] = [];
    const relies = (one.stores ?? []).length > 0;
    for (const { at, value } of one.stores ?? []) {
      front.push(...(bits === 64 ? [0x48] : []), 0xc7, ...absolute(bits, 0, at), ...le(value, 4));
    }
    if (row.options.repeats === true) front.push((one.flags & FLAG_DF) !== 0 ? 0xfd : 0xfc);
    for (const r of one.uses ?? []) {
      const short = row.options.repeats === true && one.code.includes(0x67);
      const value = BigInt.asUintN(short ? 32 : bits, one.gpr[r] as bigint);
      if (r === RSP && isImplicitStack(word) && keepsStack && !relies && inScratch(value)) continue;
      front.push(...load(bits, r, value));
    }
    return { one, front };
  };
  const size = make(code).front.length;
  const { one, front } = make(code + size);
  if (front.length !== size) return undefined;
  // REP with a count of zero and a 32-bit address size: see isEmptyRepeat in _integer_suite.ts. Upper halves of registers
  // that such an instruction counts with are lost, too, when it faults at once.
  if (
    bits === 64 && row.options.repeats === true && one.code.includes(0x67) &&
    ((one.gpr[1] as bigint) & 0xffff_ffffn) === 0n
  ) {
    return undefined;
  }
  const holds = (one.uses ?? []).includes(RSP) ? inScratch(one.gpr[RSP] as bigint) : isInStack;
  return {
    bytes: [...front, ...one.code],
    isInStack: holds && one.operands?.includes(RSP) !== true,
  };
}

/** A stream of these rows. */
export function randomStream(rows: readonly Row[], random: Random, place: Place): Stream {
  const { bits, scratch } = place;
  const long = bits === 64;
  const memory = Uint8Array.from({ length: STREAM_SCRATCH_BYTES }, () => random.u32());
  const view = new DataView(memory.buffer);
  // Vector registers and operands as the builders of cases fill them.
  const someVector = rows.find((row) => isVectorRow(row, bits)),
    someAvx = rows.find((row) => isAvxRow(row, bits));
  memory.fill(0, 0, STREAM.operands);
  if (someAvx !== undefined) memory.set(avxCase(someAvx, random, { bits, scratch }).memory);
  if (someVector !== undefined) {
    memory.set(vectorCase(someVector, random, { bits, scratch }).memory.subarray(0, FX.available));
  }
  view.setUint16(FX.fcw, random.chance(85) ? 0x37f : 0x340 | (random.u32() & 0xc3f), true);
  view.setUint32(FX.mxcsr, random.chance(85) ? 0x1f80 | (random.u32() & 0xe07f) : 0x1f80, true);
  view.setUint32(STREAM.mxcsr, 0x1f80 | (random.u32() & (random.chance(10) ? 0xffff : 0xe07f)), true);
  view.setUint8(XSTATE_BV, STATES);
  view.setUint32(STREAM.turns, random.chance(40) ? 1 : 2 + random.below(random.chance(70) ? 4 : 400), true);
  view.setBigUint64(STREAM.rax, 0n, true);
  view.setBigUint64(STREAM.rdx, 0n, true);
  const gpr = Array.from({ length: 16 }, () => random.value());
  if (!long) { for (let r = 0; r < 16; r++) gpr[r] = r < 8 ? (gpr[r] as bigint) & 0xffff_ffffn : 0n; }
  const [rax, rdx] = [gpr[RAX] as bigint, gpr[RDX] as bigint];
  gpr[RAX] = BigInt(STATES);
  gpr[RDX] = 0n;
  const stack = BigInt(scratch + STREAM.stack + 512 + (random.chance(80) ? 0 : random.below(16)));
  gpr[RSP] = stack;

  const rexW = long ? [0x48] : [];
  const code = [
    ...rexW,
    0x0f,
    0xae,
    ...absolute(bits, 5, scratch),
    ...load(bits, RAX, rax),
    ...load(bits, RDX, rdx),
  ];
  const units: Unit[] = [];
  /** Flags that are undefined here; a jump over some instructions, and where it leads. */
  let open = 0, isInStack = true;
  let jump: { at: number; left: number; open: number; isInStack: boolean } | undefined;
  const registers = long ? 16 : 8;
  const define = () => { // CMP of any registers
    const a = random.below(registers), b = random.below(registers);
    code.push(...(long ? [0x48 | (a >> 3 << 2) | (b >> 3)] : []), 0x39, 0xc0 | (a & 7) << 3 | (b & 7));
    open = 0;
  };
  const start = code.length;
  code.push(...load(bits, RSP, stack)); // also for whoever comes here again
  define();
  const wanted = 4 + random.below(24);
  while (units.length < wanted && code.length < MAX_STREAM - 150) {
    const row = rows[random.below(rows.length)] as Row, word = wordOf(row);
    const at = code.length, before = open;
    if ((open & flagsRead(word)) !== 0) define();
    if (jump === undefined && random.chance(12)) {
      if ((open & ~FLAG_AF) !== 0) define();
      code.push(0x0f, 0x80 | random.below(16), 0, 0, 0, 0);
      jump = { at: code.length, left: 1 + random.below(3), open, isInStack };
    }
    const seed = random.u32();
    const unit = unitCode(row, seed, isInStack, { bits, code: place.code + code.length, scratch });
    if (unit === undefined) continue;
    code.push(...unit.bytes);
    isInStack = unit.isInStack;
    if (SETS_ALL.has(word)) open = 0;
    else open |= row.options.undefinedFlags ?? 0;
    units.push({ at, length: code.length - at, text: row.text, undefined: before });
    if (jump === undefined) continue;
    jump.open |= open;
    jump.isInStack &&= isInStack;
    if (--jump.left > 0) continue;
    code.splice(jump.at - 4, 4, ...le(code.length - jump.at, 4));
    open = jump.open;
    isInStack = jump.isInStack;
    jump = undefined;
  }
  if (jump !== undefined) {
    code.splice(jump.at - 4, 4, ...le(code.length - jump.at, 4));
    open |= jump.open;
  }
  code.push(0xff, ...absolute(bits, 1, scratch + STREAM.turns)); // dec dword [turns]; jnz start
  code.push(0x0f, 0x85, ...le(start - (code.length + 6), 4));
  // mov [rax], rax; mov [rdx], rdx; mov eax, states; mov edx, 0; xsave
  code.push(...rexW, 0x89, ...absolute(bits, RAX, scratch + STREAM.rax));
  code.push(...rexW, 0x89, ...absolute(bits, RDX, scratch + STREAM.rdx));
  code.push(
    ...load(bits, RAX, BigInt(STATES)),
    ...load(bits, RDX, 0n),
    ...rexW,
    0x0f,
    0xae,
    ...absolute(bits, 4, scratch),
  );
  const flags = ALWAYS | (random.u32() & ARITHMETIC_FLAGS) | (random.chance(5) ? FLAG_AC : 0);
  return { one: { code, gpr, flags, memory }, units, undefined: open & FLAG_CF };
}
