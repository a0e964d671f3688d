// SPDX-License-Identifier: MIT
/**
 * The microcode that emitted code can call, said once: arguments, in the order in which they lie in S.arg, and which
 * registers a call reads and writes besides them. The rows call by these names, cpu/system/microcode.ts has a function
 * for each; a missing or misspelt one does not compile.
 * Results lie in S.arg too (Emit.microcodeResult); faults are not among the effects: delivering them comes later.
 * @module
 */
import { GPR_NAMES } from "../base/vcpu.ts";

/** What a call may touch: a general register, the six arithmetic flags, all of the x87 (MMX too), all of SSE. */
export type Register = typeof GPR_NAMES[number] | "flags" | "x87" | "sse";

/** Type of an argument. A narrow one is zero-extended. */
export type ArgumentType = "i32" | "i64";

/** One microcode. */
export interface MicrocodeCall {
  readonly args: Readonly<Record<string, ArgumentType>>;
  readonly reads: readonly Register[];
  readonly writes: readonly Register[];
  /** Touches no memory of the guest and does not stop the block unless it faults. */
  readonly quiet?: boolean;
}

/** Everything. */
export const ALL: readonly Register[] = [...GPR_NAMES, "flags", "x87", "sse"];
const NOTHING: readonly Register[] = [];

/** Touches no register that it is not given. */
function pure<A extends MicrocodeCall["args"]>(args: A) {
  return { args, reads: NOTHING, writes: NOTHING };
}
/** Reaches code that may look at and change every register: task switches, devices, hypercalls. */
function everything<A extends MicrocodeCall["args"]>(args: A) {
  return { args, reads: ALL, writes: ALL };
}
function touching<A extends MicrocodeCall["args"]>(
  args: A,
  reads: readonly Register[],
  writes: readonly Register[],
) {
  return { args, reads, writes };
}

/** Each microcode by name. `opBytes`: operand size; `index`: number of a segment, control or debug register. */
export const MICROCODE = {
  // Software interrupts and far transfers: any of them may lead through a task gate
  int3: everything({}),
  int1: everything({}),
  int_n: everything({ vector: "i32" }),
  into: everything({}),
  iret: everything({ opBytes: "i32" }),
  far_jmp: everything({ opBytes: "i32", selector: "i32", offset: "i64" }),
  far_call: everything({ opBytes: "i32", selector: "i32", offset: "i64" }),
  /** release: bytes of parameters */
  far_ret: touching({ opBytes: "i32", release: "i32" }, ["rsp"], ["rsp"]),
  syscall: touching({}, ["flags"], ["rcx", "r11", "flags"]),
  sysret: touching({ opBytes: "i32" }, ["rcx", "r11", "flags"], ["flags"]),
  sysenter: touching({}, ["flags"], ["rsp", "flags"]),
  sysexit: touching({ opBytes: "i32" }, ["rcx", "rdx"], ["rsp"]),

  // Segments and tables
  load_segment: pure({ index: "i32", selector: "i32" }),
  lldt: pure({ selector: "i32" }),
  ltr: pure({ selector: "i32" }),
  lgdt: pure({ limit: "i32", base: "i64" }),
  lidt: pure({ limit: "i32", base: "i64" }),
  /** results: rights, ZF */
  lar: pure({ selector: "i32", opBytes: "i32" }),
  /** results: limit, ZF */
  lsl: pure({ selector: "i32", opBytes: "i32" }),
  /** result 1: ZF */
  verr: pure({ selector: "i32" }),
  /** result 1: ZF */
  verw: pure({ selector: "i32" }),

  // Control
  clts: pure({}),
  lmsw: pure({ value: "i32" }),
  mov_to_cr: pure({ index: "i32", value: "i64" }),
  mov_from_cr: pure({ index: "i32" }),
  mov_to_dr: pure({ index: "i32", value: "i64" }),
  mov_from_dr: pure({ index: "i32" }),
  xgetbv: touching({}, ["rcx"], ["rax", "rdx"]),
  xsetbv: touching({}, ["rax", "rcx", "rdx"], []),
  rdpkru: touching({}, ["rcx"], ["rax", "rdx"]),
  wrpkru: touching({}, ["rax", "rcx", "rdx"], []),
  rdmsr: touching({}, ["rcx"], ["rax", "rdx"]),
  wrmsr: touching({}, ["rax", "rcx", "rdx"], []),
  rdtsc: touching({}, [], ["rax", "rdx"]),
  rdtscp: touching({}, [], ["rax", "rcx", "rdx"]),
  rdpmc: pure({}),
  /** a result of 64 bits */
  random: { ...pure({}), quiet: true },
  cpuid: touching({}, ["rax", "rcx"], ["rax", "rbx", "rcx", "rdx"]),
  hlt: pure({}),
  invlpg: pure({ linear: "i64" }),
  invpcid: pure({ type: "i64", pcid: "i64", linear: "i64" }),
  invd: pure({}),
  wbinvd: pure({}),
  vmcall: everything({}),

  // Flags
  cli: pure({}),
  sti: pure({}),
  /** result: the image */
  pushf_virtual: touching({ opBytes: "i32" }, ["flags"], []),
  popf: touching({ opBytes: "i32", value: "i32" }, [], ["flags"]),

  // Ports: a write may be a hypercall
  /** a result */
  in: everything({ port: "i32", size: "i32" }),
  out: everything({ port: "i32", size: "i32", value: "i32" }),
  ins: everything({ size: "i32", rep: "i32", addressBytes: "i32" }),
  outs: everything({ size: "i32", rep: "i32", addressBytes: "i32", segment: "i32" }),

  // FPU and SSE state. rexW: whether REX.W was given
  fxsave: touching({ linear: "i64", rexW: "i32" }, ["x87", "sse"], []),
  fxrstor: touching({ linear: "i64", rexW: "i32" }, [], ["x87", "sse"]),
  xsave: touching({ linear: "i64", rexW: "i32" }, ["rax", "rdx", "x87", "sse"], []),
  xsaveopt: touching({ linear: "i64", rexW: "i32" }, ["rax", "rdx", "x87", "sse"], []),
  xsavec: touching({ linear: "i64", rexW: "i32" }, ["rax", "rdx", "x87", "sse"], []),
  xsaves: touching({ linear: "i64", rexW: "i32" }, ["rax", "rdx", "x87", "sse"], []),
  xrstor: touching({ linear: "i64", rexW: "i32" }, ["rax", "rdx", "x87", "sse"], ["x87", "sse"]),
  xrstors: touching({ linear: "i64", rexW: "i32" }, ["rax", "rdx", "x87", "sse"], ["x87", "sse"]),
  check_sse: pure({}),
  check_avx: pure({}),
  check_mmx: pure({}),
  /** how: see cpu/fpu/x87_unit.ts */
  x87: touching({ how: "i32" }, ["flags", "rax", "x87"], ["flags", "rax", "x87"]),
  x87_memory: touching({ how: "i32", offset: "i64", linear: "i64" }, ["x87"], ["x87"]),
  /** how: see cpu/fpu/sse/sse_unit.ts; low, high: the second operand; the result is in ModRM.reg, or it is a result */
  sse_float: {
    ...touching({ how: "i32", low: "i64", high: "i64" }, ["sse", "x87"], ["sse"]),
    quiet: true,
  },
} as const satisfies Record<string, MicrocodeCall>;

/** Name of a microcode. */
export type MicrocodeName = keyof typeof MICROCODE;

/** Every name; a microcode's number in emitted code is its place here. */
export const MICROCODE_NAMES = Object.keys(MICROCODE) as readonly MicrocodeName[];

const NUMBERS: ReadonlyMap<MicrocodeName, number> = new Map(MICROCODE_NAMES.map((name, i) => [name, i]));
/** A microcode's number in emitted code. */
export function microcodeNumber(name: MicrocodeName): number {
  return NUMBERS.get(name) as number;
}
