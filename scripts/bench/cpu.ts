// SPDX-License-Identifier: MIT
/**
 * Runs the bench's programs on a bare CPU of ours, on QEMU TCG (as a kernel that starts by PVH), and on the host.
 * @module
 */
import { CODE_BASE, STACK_TOP, TestCpu } from "../../cpu/_bare_cpu.ts";
import type { WasmEngineName } from "../../cpu/base/engine.ts";
import type { CommandLine } from "../host/child.ts";
import { MEMORY_BYTES, type Program } from "./programs.ts";
import { QEMU } from "./qemu.ts";
import { qemuImage, RUN_BYTES } from "./qemu_image.ts";

/** One run of a program. */
export interface ProgramRun {
  readonly seconds: number;
  readonly result: bigint;
  /** How far the guest's TSC went, where it is read. */
  readonly ticks?: number;
  /** Guest instructions, where they are counted. */
  readonly instructions?: number;
}

/** Instructions between two looks at devices, as a machine has it. */
const SLICE = 1_000_000;
const MEMORY_AT = 0x40_0000;
const RAX = 0, RSP = 4, RSI = 6, RDI = 7;

/** Runs `program` on a new CPU: translation and V8's warming up are part of the time. */
export function runOnTestCpu(program: Program, engine: WasmEngineName): ProgramRun {
  const guest = new TestCpu(64, { engine, ramBytes: MEMORY_AT + MEMORY_BYTES });
  const { s } = guest.cpu.core;
  s.setGpr(RSP, BigInt(STACK_TOP));
  s.setGpr(RDI, BigInt(MEMORY_AT));
  s.setGpr(RSI, BigInt(program.amount));
  guest.write(CODE_BASE, [0xe8, 1, 0, 0, 0, 0xf4, ...program.code]); // call program; hlt; program:
  const start = performance.now();
  let why = guest.resume(SLICE);
  while (why === "budget") why = guest.cpu.run(SLICE);
  const seconds = (performance.now() - start) / 1000;
  if (why !== "halted") throw new Error(`${program.name} ended with ${why}`);
  return { seconds, result: s.gpr(RAX), instructions: guest.cpu.instructions };
}

const PROGRAM_TYPE = { parameters: ["buffer", "u32"], result: "u64" } as const;

/** Why programs cannot run on the host's own CPU, or undefined. */
export function whyNotNative(): string | undefined {
  return Deno.build.os === "linux" && Deno.build.arch === "x86_64" ? undefined : "not an x86-64 Linux host";
}

/** Runs `program` on the host's CPU, called through Deno's FFI. */
export function runNatively(program: Program): ProgramRun {
  const PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20;
  const libc = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    mprotect: { parameters: ["pointer", "usize", "i32"], result: "i32" },
    munmap: { parameters: ["pointer", "usize"], result: "i32" },
  });
  try {
    const length = 4096n;
    const anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    const page = libc.symbols.mmap(null, length, PROT_READ | PROT_WRITE, anonymous, -1, 0n);
    if (page === null || Deno.UnsafePointer.value(page) === 0xffff_ffff_ffff_ffffn) {
      throw new Error("no page");
    }
    new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(page, Number(length))).set(program.code);
    if (libc.symbols.mprotect(page, length, PROT_READ | PROT_EXEC) !== 0) {
      throw new Error("no executable page");
    }
    const call = new Deno.UnsafeFnPointer(page as Deno.PointerObject<typeof PROGRAM_TYPE>, PROGRAM_TYPE);
    const memory = new Uint8Array(MEMORY_BYTES);
    const start = performance.now();
    const result = BigInt(call.call(memory, program.amount));
    const seconds = (performance.now() - start) / 1000;
    libc.symbols.munmap(page, length);
    return { seconds, result };
  } finally {
    libc.close();
  }
}

/** Runs each program `times` times on QEMU TCG; the runs of one program follow each other. */
export async function runOnQemu(programs: readonly Program[], times: number): Promise<ProgramRun[][]> {
  return await runInGuest(programs, times, (image) => ({
    command: QEMU,
    args: [
      ...["-M", "pc", "-accel", "tcg", "-cpu", "max", "-m", "64M", "-nodefaults", "-display", "none"],
      ...["-no-reboot", "-debugcon", "stdio", "-kernel", image],
    ],
  }));
}

/** The same in the guest of any emulator that boots a PVH kernel and writes what comes to port 0xE9 to its output. */
export async function runInGuest(
  programs: readonly Program[],
  times: number,
  commandOf: (image: string) => CommandLine,
): Promise<ProgramRun[][]> {
  const image = await Deno.makeTempFile({ prefix: "xenner-bench-", suffix: ".elf" });
  await Deno.writeFile(image, qemuImage(programs, times));
  const { command, args } = commandOf(image);
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  })
    .spawn();
  try {
    const bytes: number[] = [];
    const at: number[] = [];
    const wanted = programs.length * times * RUN_BYTES;
    for await (const chunk of child.stdout) {
      const now = performance.now();
      for (const byte of chunk) bytes.push(byte), at.push(now);
      if (bytes.length >= wanted) break;
    }
    if (bytes.length < wanted) throw new Error(`${command} ended early`);
    const view = new DataView(Uint8Array.from(bytes).buffer);
    return programs.map((_, p) =>
      Array.from({ length: times }, (_, i) => {
        const first = (p * times + i) * RUN_BYTES;
        return {
          seconds: ((at[first + 1] as number) - (at[first] as number)) / 1000,
          result: view.getBigUint64(first + 2, true),
          ticks: Number(view.getBigUint64(first + 10, true)),
        };
      })
    );
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(image);
  }
}
