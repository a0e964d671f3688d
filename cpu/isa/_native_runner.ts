// SPDX-License-Identifier: MIT
/**
 * Runs instruction bytes on the host's own CPU: builds a static ELF program by hand (no toolchain needed) that for
 * each case loads registers and flags, runs the bytes, and stores registers and flags; exceptions come in as
 * signals. Linux on x86-64 only. ELF: System V ABI; signal frames: Linux uapi asm/sigcontext.h.
 * @module
 */

/** What runs, and on what. All of a program have equally much memory. In 32-bit mode only the first eight registers and their low halves count. */
export interface NativeCase {
  readonly code: readonly number[];
  readonly gpr: readonly bigint[];
  readonly flags: number;
  readonly memory: Uint8Array;
  /** Registers whose values the instruction relies on, and what has to be in memory: for whoever uses the code alone. */
  readonly uses?: readonly number[];
  /** General registers that are its operands: it may write them. */
  readonly operands?: readonly number[];
  readonly stores?: readonly { readonly at: number; readonly value: number }[];
}
/**
 * What came of it. `vector`: the exception raised, or -1; after an exception registers mean nothing. After #XM of a
 * 64-bit case they do, and memory holds the FXSAVE image of that moment, and the upper halves of YMM registers. After
 * any exception of a case with STREAM_SCRATCH_BYTES that is so, and `rip` is known.
 */
export interface NativeResult {
  readonly vector: number;
  readonly gpr: readonly bigint[];
  readonly flags: number;
  readonly memory: Uint8Array;
  readonly rip?: number;
}

/** The vector of a SIMD floating-point exception. */
export const XM = 19;
/** Bytes of an FXSAVE image that mean something to the processor. */
const FX_STATE_BYTES = 464;
/** Bytes of scratch memory per case: an FXSAVE image; or an XSAVE area with AVX state and room behind it. */
export const SCRATCH_BYTES = 512, WIDE_SCRATCH_BYTES = 1024;
/** The same for streams of instructions, whose code may have MAX_STREAM bytes. */
export const STREAM_SCRATCH_BYTES = 4096;
/** Where in it the handler puts the registers of an exception: `gregs` of ucontext_t. */
const GREGS_AT = 3072;
/** Where the upper halves of YMM registers are in the latter. */
export const YMM_AT = 576;
const YMM_BYTES = 256;
/** Most instruction bytes in a case. */
export const MAX_CODE = 200, MAX_STREAM = 1600;
/** Where the program is. */
export const IMAGE_BASE = 0x40_0000;
const SLOTS = IMAGE_BASE + 0x1000;
/**
 * Where it has outputs and the signal stack: far from the rest, so that no case gets there that adds to RSP (RET imm16
 * adds up to 64 KiB). Linux takes who has RSP in the signal stack for a handler, and goes on there.
 */
const APART = 0x5a00_0000;
const slotBits = (scratchBytes: number) => scratchBytes === STREAM_SCRATCH_BYTES ? 11 : 9;
const BLOCK_BYTES = 256; // registers in encoding order, then flags and trap number
const BLOCK_FLAGS = 128, BLOCK_TRAP = 144;
const ALT_STACK_BYTES = 64 * 1024;
/** Registers are loaded in front of the case's code. */
const PROLOGUE_BYTES = { 32: 6 + 8 * 6, 64: 6 + 16 * 8 } as const;

/** Where case `i` of a program has its code. */
export function codeAddress(bits: 32 | 64, i: number, bytes: number = SCRATCH_BYTES): number {
  return SLOTS + (i << slotBits(bytes)) + PROLOGUE_BYTES[bits];
}
/** The end of what a program's cases may address: of its scratch memory. */
export function programEnd(count: number, bytes: number): number {
  return scratchAddress(count, count, bytes);
}
/** Where case `i` of `count` has its scratch memory. */
export function scratchAddress(count: number, i: number, bytes: number = SCRATCH_BYTES): number {
  return regions(count, bytes).scratch + i * bytes;
}
function regions(count: number, scratchBytes: number) {
  const inputs = SLOTS + ((count + 1) << slotBits(scratchBytes));
  const scratch = inputs + count * BLOCK_BYTES;
  const outputs = APART;
  const altStack = outputs + count * BLOCK_BYTES;
  return { inputs, scratch, outputs, altStack, end: altStack + ALT_STACK_BYTES };
}

function scratchBytesOf(cases: readonly NativeCase[]): number {
  return cases[0]?.memory.length ?? SCRATCH_BYTES;
}

const PAGE = 4096;
/** The end of what Linux lets a program map. */
const USER_END = { 32: 0xffff_e000, 64: 0x7fff_ffff_f000 } as const;
const words = (value: number) => [value % 2 ** 32, Math.floor(value / 2 ** 32)];

const SIGNALS = [4, 5, 7, 8, 11]; // ILL TRAP BUS FPE SEGV
const SA_FLAGS = 0x4c00_0004; // SIGINFO RESTORER ONSTACK NODEFER

class Writer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at = 0;
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }
  /** Bytes; a string is hex, an array element beyond a byte is a little-endian u32. */
  put(...parts: (string | number)[]): void {
    for (const part of parts) {
      if (typeof part === "number") {
        this.view.setUint32(this.at, part, true);
        this.at += 4;
      } else {
        for (const byte of part.split(" ")) this.bytes[this.at++] = parseInt(byte, 16);
      }
    }
  }
}

/** The program as an ELF file. */
export function buildProgram(bits: 32 | 64, cases: readonly NativeCase[]): Uint8Array<ArrayBuffer> {
  const count = cases.length;
  const scratchBytes = scratchBytesOf(cases), wide = scratchBytes === WIDE_SCRATCH_BYTES;
  const stream = scratchBytes === STREAM_SCRATCH_BYTES, shift = slotBits(scratchBytes);
  const shiftByte = shift.toString(16).padStart(2, "0");
  const { inputs, scratch, outputs, altStack, end } = regions(count, scratchBytes);
  const scratchEnd = programEnd(count, scratchBytes);
  const long = bits === 64;
  const w = new Writer(scratchEnd - IMAGE_BASE);
  const seek = (address: number) => w.at = address - IMAGE_BASE;
  const here = () => IMAGE_BASE + w.at;
  const call = long ? "0f 05" : "cd 80";

  // Signal handling: sigaction and stack_t structures, handler, restorer
  const action = IMAGE_BASE + 0x100, altInfo = IMAGE_BASE + 0x140, entry = IMAGE_BASE + 0x180;
  const handler = IMAGE_BASE + 0x400, restorer = IMAGE_BASE + 0x600;
  seek(action);
  if (long) w.put(handler, 0, SA_FLAGS, 0, restorer, 0, 0, 0);
  else w.put(handler, SA_FLAGS, restorer, 0, 0);
  seek(altInfo);
  if (long) w.put(altStack, 0, 0, 0, ALT_STACK_BYTES, 0);
  else w.put(altStack, 0, ALT_STACK_BYTES);
  seek(restorer);
  w.put("b8", long ? 15 : 173, call); // rt_sigreturn
  seek(handler);
  if (long) w.put("48 8b 82", 168); // mov rax, uc.rip
  else w.put("8b 54 24 0c", "8b 42 4c");
  w.put("2d", SLOTS, `c1 e8 ${shiftByte}`); // eax = case
  if (long) w.put("8b 8a", 200); // mov ecx, uc.trapno
  else w.put("8b 4a 44");
  w.put("ff c1", "89 c6", "c1 e6 08", "89 8e", outputs + BLOCK_TRAP); // its block.trap = trapno + 1
  if (stream) {
    // The registers, and the FXSAVE image and the upper halves in uc.fpstate: behind 112 bytes of another format in 32-bit code.
    w.put("c1 e6 04"); // esi = 4096 * case
    w.put("8d be", scratch + GREGS_AT, "56", long ? "48 8d b2" : "8d b2", long ? 40 : 20);
    w.put("b9", long ? 46 : 20, "f3 a5", "5f", "81 c7", scratch); // edi = scratch memory
    if (long) w.put("48 8b b2", 224);
    else w.put("8b b2", 96, "83 c6 70");
    const between = (YMM_AT - FX_STATE_BYTES).toString(16), rex = long ? "48 " : "";
    w.put("b9", FX_STATE_BYTES / 4, "f3 a5", `${rex}83 c6 ${between}`, `${rex}83 c7 ${between}`);
    w.put("b9", YMM_BYTES / 4, "f3 a5");
  } else if (long) {
    // After #XM the state counts: the FXSAVE image in uc.fpstate, without the part that belongs to software.
    w.put("83 f9", "14", wide ? "75 26" : "75 17"); // cmp ecx, 20; jne
    w.put(
      wide ? "c1 e6 02" : "c1 e6 01",
      "8d be",
      scratch,
      "48 8b b2",
      224,
      "b9",
      FX_STATE_BYTES / 4,
      "f3 a5",
    );
    const between = (YMM_AT - FX_STATE_BYTES).toString(16); // add rsi, rdi; mov ecx; rep movsd
    if (wide) w.put(`48 83 c6 ${between}`, `48 83 c7 ${between}`, "b9", YMM_BYTES / 4, "f3 a5");
  }
  w.put("ff c0", `c1 e0 ${shiftByte}`, "05", SLOTS); // next case
  if (long) w.put("48 89 82", 168);
  else w.put("89 42 4c");
  // The case is over, and its RSP may be anything: some kernels cannot resume with one that is not canonical.
  if (long) w.put("48 c7 82", 160, altStack); // mov qword uc.rsp, altStack
  else w.put("c7 42 30", altStack);
  w.put("c3");

  seek(entry);
  // mmap(outputs, bytes, all rights, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, no file)
  if (long) {
    w.put("bf", outputs, "be", end - outputs, "ba", 7, "41 ba", 0x32, "41 b8", 0xffff_ffff, "45 31 c9");
    w.put("b8", 9, call);
  } else {
    w.put("bb", outputs, "b9", end - outputs, "ba", 7, "be", 0x32, "bf", 0xffff_ffff, "31 ed");
    w.put("b8", 192, call);
  }
  if (long) w.put("bf", altInfo, "31 f6", "b8", 131, call);
  else w.put("bb", altInfo, "31 c9", "b8", 186, call);
  for (const signal of SIGNALS) {
    if (long) w.put("bf", signal, "be", action, "31 d2", "41 ba", 8, "b8", 13, call);
    else w.put("bb", signal, "b9", action, "31 d2", "be", 8, "b8", 174, call);
  }
  // Nothing but the program is mapped then: a case may lead anywhere. munmap(from, bytes)
  for (const [from, to] of [[scratchEnd, outputs], [end, USER_END[bits]]] as const) {
    const rest = Math.ceil(from / PAGE) * PAGE;
    if (long) w.put("bf", rest, "48 be", ...words(to - rest), "b8", 11, call);
    else w.put("bb", rest, "b9", to - rest, "b8", 91, call);
  }
  w.put("e9", SLOTS - (here() + 5));

  const registers = long ? 16 : 8;
  const move = (opcode: "8b" | "89", r: number, address: number) => {
    if (long) {
      w.put(r < 8 ? "48" : "4c", opcode, (((r & 7) << 3) | 4).toString(16), "25", address);
    } else w.put(opcode, ((r << 3) | 5).toString(16), address);
  };
  cases.forEach((one, i) => {
    const input = inputs + i * BLOCK_BYTES, output = outputs + i * BLOCK_BYTES;
    seek(SLOTS + (i << shift));
    w.put("bc", input + BLOCK_FLAGS, "9d"); // mov esp, &flags; popf
    for (let r = 0; r < registers; r++) if (r !== 4) move("8b", r, input + r * 8);
    move("8b", 4, input + 4 * 8);
    w.bytes.set(one.code, w.at);
    w.at += one.code.length;
    for (let r = 0; r < registers; r++) move("89", r, output + r * 8);
    w.put("bc", output + BLOCK_FLAGS + (long ? 8 : 4), "9c");
    w.put("e9", SLOTS + ((i + 1) << shift) - (here() + 5));
    seek(input);
    for (let r = 0; r < 16; r++) w.view.setBigUint64(w.at + r * 8, one.gpr[r] ?? 0n, true);
    w.view.setUint32(w.at + BLOCK_FLAGS, one.flags, true);
    w.bytes.set(one.memory, scratch + i * scratchBytes - IMAGE_BASE);
  });

  // Writes scratch and outputs to the standard output
  seek(SLOTS + (count << shift));
  for (const [from, to] of [[scratch, scratchEnd], [outputs, altStack]] as const) {
    w.put("bb", from, "bd", to - from);
    const again = here();
    if (long) w.put("bf", 1, "89 de", "89 ea", "b8", 1, call, "85 c0", "7e 06", "01 c3", "29 c5");
    else {
      w.put("53", "89 d9", "bb", 1, "89 ea", "b8", 4, call, "5b", "85 c0", "7e 06", "01 c3", "29 c5");
    }
    w.put("75", (again - (here() + 2) & 0xff).toString(16));
  }
  w.put(long ? "31 ff" : "31 db", "b8", long ? 60 : 1, call);

  // ELF header and one program header
  seek(IMAGE_BASE);
  w.put(0x464c_457f, long ? "02 01 01 00" : "01 01 01 00", 0, 0, "02 00", long ? "3e 00" : "03 00", 1);
  const size = w.bytes.length;
  if (long) {
    w.put(entry, 0, 64, 0, 0, 0, 0, "40 00 38 00 01 00 00 00 00 00 00 00");
    w.put(1, 7, 0, 0, IMAGE_BASE, 0, IMAGE_BASE, 0, size, 0, size, 0, 0x1000, 0);
  } else {
    w.put(entry, 52, 0, 0, "34 00 20 00 01 00 00 00 00 00 00 00");
    w.put(1, 0, IMAGE_BASE, IMAGE_BASE, size, size, 7, 0x1000);
  }
  return w.bytes as Uint8Array<ArrayBuffer>;
}

/**
 * Runs a program that this process has just written. Whoever forks at that moment, for another test, has the file open
 * for writing until it calls exec, and execve(2) says ETXTBSY for as long.
 */
async function outputOf(path: string): Promise<Deno.CommandOutput> {
  for (let tries = 1;; tries++) {
    try {
      return await new Deno.Command(path, { stdin: "null", stdout: "piped", stderr: "null" }).output();
    } catch (error) {
      if (tries === 1000 || !(error instanceof Error && /Text file busy|os error 26/.test(error.message))) {
        throw error;
      }
      await new Promise((done) => setTimeout(done, 5));
    }
  }
}

/** Runs the program of these cases; its output, or how it ended. */
async function runProgram(bits: 32 | 64, cases: readonly NativeCase[]): Promise<Uint8Array | string> {
  const path = await Deno.makeTempFile({ prefix: "xenner-native-" });
  try {
    await Deno.writeFile(path, buildProgram(bits, cases));
    await Deno.chmod(path, 0o755);
    const { stdout, signal, code } = await outputOf(path);
    const wanted = cases.length * (scratchBytesOf(cases) + BLOCK_BYTES);
    return code === 0 && stdout.length === wanted ? stdout : `it ended with ${signal ?? `status ${code}`}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await Deno.remove(path);
  }
}

/** A case that faults while RSP is no address. */
const PROBE: NativeCase = {
  code: [0x0f, 0x0b],
  gpr: Array(16).fill(0x1234_5678_9abc_def0n),
  flags: 0x202,
  memory: new Uint8Array(SCRATCH_BYTES),
};
/** Why the host cannot judge `bits`-bit code; empty when it can. XENNER_TEST_NO_NATIVE stands for a host that cannot. */
export async function whyNotNative(bits: 32 | 64): Promise<string> {
  if (Deno.env.has("XENNER_TEST_NO_NATIVE")) return "XENNER_TEST_NO_NATIVE is set";
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "the host is not Linux on x86-64";
  const output = await runProgram(bits, [PROBE, PROBE]);
  return typeof output === "string" ? `the host does not run ${bits}-bit programs that fault: ${output}` : "";
}

/** Runs the cases on the host's CPU. */
export async function runNative(
  bits: 32 | 64,
  cases: readonly NativeCase[],
): Promise<readonly NativeResult[]> {
  const output = await runProgram(bits, cases);
  if (typeof output === "string") throw new Error(`the native program failed: ${output}`);
  const scratchBytes = scratchBytesOf(cases);
  const view = new DataView(output.buffer, output.byteOffset);
  return cases.map((one, i) => {
    const at = cases.length * scratchBytes + i * BLOCK_BYTES;
    const vector = view.getUint32(at + BLOCK_TRAP, true) - 1;
    const memory = output.slice(i * scratchBytes, (i + 1) * scratchBytes);
    if (scratchBytes === STREAM_SCRATCH_BYTES && vector >= 0) {
      return { vector, memory, ...savedRegisters(bits, new DataView(memory.buffer, GREGS_AT)) };
    }
    return {
      vector,
      gpr: vector === XM
        ? one.gpr
        : Array.from({ length: 16 }, (_, r) => view.getBigUint64(at + r * 8, true)),
      flags: vector === XM ? one.flags : view.getUint32(at + BLOCK_FLAGS, true),
      memory,
    };
  });
}

/** Places of RAX, RCX ... in `gregs`: of 64-bit code in eight bytes each, from R8 on; of 32-bit code in four, from GS on. */
const GREGS = {
  64: { gpr: [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7], ip: 16, flags: 17, bytes: 8 },
  32: { gpr: [11, 10, 9, 8, 7, 6, 5, 4], ip: 14, flags: 16, bytes: 4 },
} as const;

function savedRegisters(bits: 32 | 64, view: DataView): Pick<NativeResult, "gpr" | "flags" | "rip"> {
  const { gpr, ip, flags, bytes } = GREGS[bits];
  const get = (n: number) =>
    bytes === 8 ? view.getBigUint64(n * 8, true) : BigInt(view.getUint32(n * 4, true));
  return {
    gpr: Array.from({ length: 16 }, (_, r) => gpr[r] === undefined ? 0n : get(gpr[r])),
    flags: view.getUint32(flags * bytes, true),
    rip: Number(get(ip)),
  };
}
