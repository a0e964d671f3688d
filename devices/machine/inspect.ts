// SPDX-License-Identifier: MIT
/** Looks into a machine that does not run: memory, registers, code, counters. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { hex } from "../../cpu/base/bits.ts";
import { CONTROL_NAMES, type Engine, type SegmentName } from "../../cpu/base/engine.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { GPR_NAMES, type GprName } from "../../cpu/base/vcpu.ts";
import type { MachineStats } from "./machine_options.ts";

/** Bytes in a {@linkcode CodeWindow}. */
const WINDOW_BYTES = 64;

/** Where the guest executes, for a disassembler. */
export interface CodeWindow {
  /** Address of the first byte, as the guest's RIP has it. */
  readonly rip: bigint;
  /** Size of the code segment. */
  readonly bits: 16 | 32 | 64;
  /** Fewer than asked for where memory ends. */
  readonly bytes: Uint8Array;
}

/** Copies guest physical memory; throws RangeError where there is none. */
export function readMemory(memory: GuestMemory, gpa: number, length: number): Uint8Array {
  const bytes = isRange(gpa, length) && memory.contains(gpa, length) ? new Uint8Array(length) : undefined;
  if (bytes === undefined || !memory.read(gpa, bytes)) {
    throw new RangeError(`Cannot read ${length} bytes at ${show(gpa)}: no memory there`);
  }
  return bytes;
}

/** Writes guest physical memory; throws RangeError where there is none. */
export function writeMemory(memory: GuestMemory, gpa: number, bytes: Uint8Array): void {
  if (!isRange(gpa, bytes.length) || !memory.contains(gpa, bytes.length) || !memory.write(gpa, bytes)) {
    throw new RangeError(`Cannot write ${bytes.length} bytes at ${show(gpa)}: no memory there`);
  }
}

/** Programs without types hand in anything. */
function isRange(gpa: unknown, length: unknown): boolean {
  return Number.isSafeInteger(gpa) && Number.isSafeInteger(length);
}
function show(gpa: unknown): string {
  return typeof gpa === "number" && Number.isSafeInteger(gpa) ? hex(gpa) : String(gpa);
}
/** Throws ConfigError. */
export function checkBigint(what: string, value: unknown): void {
  if (typeof value === "bigint") return;
  throw new ConfigError(`Cannot use ${String(value)} as ${what}: it is a bigint, like 0x1000n`);
}

/** General registers, RIP, RFLAGS, control registers. */
export function namedRegisters(engine: Engine): Record<string, bigint> {
  const { gprs, rip, rflags, control } = engine.readRegisters();
  const out: Record<string, bigint> = {};
  for (const name of GPR_NAMES) out[name] = gprs[name];
  out.rip = rip;
  out.rflags = rflags;
  for (const name of CONTROL_NAMES) out[name] = control[name];
  return out;
}

/** Sets a general register, rip or rflags. */
export function setRegister(engine: Engine, name: GprName | "rip" | "rflags", value: bigint): void {
  checkBigint("a register's value", value);
  if (name === "rip") engine.writeRegisters({ rip: BigInt.asUintN(64, value) });
  else if (name === "rflags") engine.writeRegisters({ rflags: BigInt.asUintN(32, value) });
  else if (GPR_NAMES.includes(name)) engine.writeRegisters({ gprs: { [name]: BigInt.asUintN(64, value) } });
  else throw new ConfigError(`Cannot set register "${String(name)}": there is none of that name`);
}

/** Up to 64 bytes of code from `rip` on. */
export function codeAt(engine: Engine, memory: GuestMemory, rip: bigint, bits: 16 | 32 | 64): CodeWindow {
  const base = bits === 64 ? 0n : engine.readRegisters().segments.cs.base;
  const bytes: number[] = [];
  const one = new Uint8Array(1);
  for (let i = 0n; i < WINDOW_BYTES; i++) {
    const gpa = engine.vcpu.translate(rip + base + i, false);
    if (gpa === undefined || !memory.read(gpa, one)) break;
    bytes.push(one[0] as number);
  }
  return { rip, bits, bytes: Uint8Array.from(bytes) };
}

/** Registers and where the guest was last, as text, for a crash. */
export function crashReport(engine: Engine): string {
  const regs = namedRegisters(engine);
  const { segments } = engine.readRegisters();
  const lines: string[] = [];
  const names = [...GPR_NAMES, "rip", "rflags", ...CONTROL_NAMES];
  for (let i = 0; i < names.length; i += 4) {
    lines.push(names.slice(i, i + 4).map((n) => `${n.padEnd(6)} ${hex(regs[n] ?? 0n, 16)}`).join("  "));
  }
  const segment = (name: SegmentName) => {
    const v = segments[name];
    return `${name} ${hex(v.selector, 4)} base ${hex(v.base, 16)} limit ${hex(v.limit, 8)} attributes ${
      hex(v.attributes, 5)
    }`;
  };
  lines.push(segment("cs"), segment("ss"), segment("tr"));
  const { vector, errorCode } = engine.lastFault;
  lines.push(
    `last fault: vector ${vector}${
      errorCode >= 0 ? ` error code ${hex(errorCode)}` : ""
    }, cpl ${engine.vcpu.cpl}, ${engine.vcpu.codeBits}-bit code`,
  );
  const places = engine.recentCode().map(({ rip }) => hex(rip, 16));
  lines.push("last blocks seen:");
  for (let i = 0; i < places.length; i += 4) lines.push(`  ${places.slice(i, i + 4).join("  ")}`);
  return lines.join("\n");
}

/** Counters so far; `instructionsBefore`: of the engine that a snapshot came from. */
export function machineStats(
  engine: Engine,
  tracer: Tracer,
  ns: number,
  instructionsBefore: number,
): MachineStats {
  const instructions = instructionsBefore + engine.instructions;
  const counters: Record<string, number> = { ...engine.counters() };
  for (const [name, count] of tracer.counters.values) counters[name] = count;
  return { instructions, seconds: ns / 1e9, mips: ns > 0 ? instructions / (ns / 1000) : 0, counters };
}
