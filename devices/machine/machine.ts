// SPDX-License-Identifier: MIT
/**
 * A machine from power-on to power-off: loads the kernel, runs slices of CPU, timers and backends, sleeps when
 * the guest does, restarts on reset. The chips are in devices/machine/board.ts; host time and host devices come in through
 * the options.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import { hex, KiB, MiB } from "../../cpu/base/bits.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { GPR_NAMES, type GprName } from "../../cpu/base/vcpu.ts";
import type { RunResult } from "../../cpu/base/engine.ts";
import { CS, DS, ES, FLAG_IF, FS, GS, LDTR, S, SS, TR } from "../../cpu/state/state.ts";
import { formatMac } from "../../net/frames/addresses.ts";
import { type PacketEvent, PacketWatch } from "../../net/ends/observed_end.ts";
import type { HypercallEvent } from "../../xen/hypercalls/hypercalls.ts";
import {
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_soft_reset,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from "../../xen/public/sched.ts";
import { requestShutdown } from "../../xen/xenstore/domain.ts";
import { Board } from "./board.ts";
import type { EntryState, SegmentState } from "../loaders/entry_state.ts";
import { isBzImage } from "../loaders/bzimage.ts";
import { unpackKernel } from "../loaders/decompress.ts";
import { loadKernel } from "../loaders/kernel.ts";
import { checkRamBytes, pcMemoryMap } from "../loaders/memory_map.ts";
import type { ExitInfo, MachineOptions, MachineStats, MachineType } from "./machine_options.ts";

export type * from "./machine_options.ts";
export type { HypercallEvent, PacketEvent };

/** Guest instructions in one slice at most; about a millisecond. */
const SLICE_INSTRUCTIONS = 200_000;
/** And at least, however slow the instructions are that the guest runs. */
const SHORTEST_SLICE_INSTRUCTIONS = 2_000;
/** For this long after the guest sent a packet, slices are this short: answers on a LAN take some 50 µs. */
const ANSWER_NS = 1_000_000;
const ANSWER_INSTRUCTIONS = 16_384;
/** Longest time the event loop of the host waits for us. */
const BREATHE_EVERY_NS = 4_000_000;
/** Longest sleep: a missed wake-up costs no more. */
const LONGEST_SLEEP_MS = 500;
/** Bytes typed at the serial port that may wait for the guest. */
const SERIAL_INPUT_BYTES = 64 * KiB;

/**
 * Events and what listeners get. Listeners are called at once, from within what happens: what they throw ends the run.
 * Hypercalls and packets cost nothing while nobody listens.
 */
export interface MachineEvents {
  /** Bytes the guest printed; `which` is "serial", "console" or "debug". Copy them if you keep them. */
  console: (bytes: Uint8Array, which: "serial" | "console" | "debug") => void;
  /** The run has ended. */
  shutdown: (info: ExitInfo) => void;
  /** The guest made a hypercall. */
  hypercall: (event: HypercallEvent) => void;
  /** A frame passed between the guest and what one of its interfaces is connected to. */
  packet: (event: PacketEvent) => void;
}

/** Where the guest executes, for a disassembler. */
export interface CodeWindow {
  /** Address of the first byte, as the guest's RIP has it. */
  readonly rip: bigint;
  /** Size of the code segment. */
  readonly bits: 16 | 32 | 64;
  /** Fewer than asked for where memory ends. */
  readonly bytes: Uint8Array;
}

const REASONS: ReadonlyMap<number, ExitInfo["reason"]> = new Map([
  [SHUTDOWN_poweroff, "poweroff"],
  [SHUTDOWN_reboot, "reboot"],
  [SHUTDOWN_suspend, "suspend"],
  [SHUTDOWN_crash, "crash"],
  [SHUTDOWN_watchdog, "crash"],
]);

/** See the module's description. */
export class Machine {
  /** Counters, warnings and traces. */
  readonly tracer: Tracer;
  #options: MachineOptions;
  #type: MachineType;
  #memoryBytes: number;
  #board: Board;
  #exit: ExitInfo | undefined;
  #restart = false;
  #stopping = false;
  #running = false;
  #closed = false;
  #listeners = new Map<keyof MachineEvents, Set<(...args: never[]) => void>>();
  #wake: (() => void) | undefined;
  #serial: number[] = [];
  #debug: number[] = [];
  #serialInput = new Uint8Array();
  /** Around the network ends; they outlive boards. */
  readonly #watches: PacketWatch[];
  /** Host time at which guest time was 0. */
  #epochNs: number;
  /** icount: nanoseconds skipped while the guest slept. */
  #skippedNs = 0;
  #startedNs = 0;
  #answerUntilNs = 0;
  #ranNs = 0;
  #instructionsBefore = 0;
  #sliceInstructions = SLICE_INSTRUCTIONS;

  private constructor(options: MachineOptions, type: MachineType) {
    this.#options = options;
    this.#type = type;
    this.#memoryBytes = checkRamBytes(options.memoryBytes ?? 512 * MiB);
    this.tracer = options.tracer ?? new Tracer();
    this.#watches = (options.nets ?? []).map(({ end }, i) => new PacketWatch(end, i));
    this.#epochNs = options.clock.monotonicNs();
    this.#board = this.#makeBoard();
  }

  /** Builds the machine and loads the kernel. Rejects with ConfigError for input that cannot work. */
  static async create(options: MachineOptions): Promise<Machine> {
    const kernel = await unpackKernel(options.kernel);
    const type = options.type ?? (isBzImage(kernel.bytes) ? "hvm" : "pvh");
    const machine = new Machine({ ...options, kernel }, type);
    await machine.#load();
    return machine;
  }

  #makeBoard(): Board {
    const options = this.#options;
    const board = new Board({
      memoryBytes: this.#memoryBytes,
      type: this.#type,
      engine: options.engine ?? "interp",
      hypercallPages: options.hypercallPages ?? 1,
      xenVersion: options.xenVersion ?? { major: 4, minor: 17 },
      tracer: this.tracer,
      nowNs: (instructions) => this.#nowNs(instructions),
      wallclock: () => options.clock.unixSeconds(),
      nets: (options.nets ?? []).map((net, i) => ({
        end: this.#watches[i] as PacketWatch,
        mac: formatMac(net.mac ?? Uint8Array.of(0x00, 0x16, 0x3e, 0, 0, i + 1)),
        queues: net.queues ?? 1,
      })),
      events: {
        powerOff: () => this.#finish({ reason: "poweroff" }),
        reset: () => this.#reset(),
        shutdown: (reason) => this.#shutdown(reason),
        serial: (byte) => this.#serial.push(byte),
        console: (bytes) => this.#print(bytes, "console"),
        netNotified: () => this.#expectAnswer(),
        debugConsole: (byte) => this.#debug.push(byte),
      },
    });
    board.xen.onHypercall = this.#hypercallListener();
    return board;
  }

  /** A bzImage enters by the Linux boot protocol on hvm, by the PVH entry of the kernel inside it on pvh. */
  async #load(): Promise<void> {
    const { kernel, initrd, append } = this.#options;
    const board = this.#board;
    const entry = await loadKernel(board.memory, {
      kernel,
      initrd,
      cmdline: append ?? "",
      e820: pcMemoryMap(board.memory.ramBytes),
      rsdp: board.rsdp,
      protocol: this.#type === "pvh" ? "pvh" : "auto",
    });
    this.#applyEntry(entry);
  }

  #applyEntry(entry: EntryState): void {
    const { core } = this.#board.cpu;
    const s = core.s;
    const set = (index: number, v: SegmentState) =>
      s.setSegment(index, {
        selector: v.selector,
        base: BigInt(v.base),
        limit: v.limit,
        attributes: v.access,
      });
    set(CS, entry.cs);
    for (const index of [DS, ES, SS, FS, GS]) set(index, entry.data);
    set(TR, entry.tr);
    set(LDTR, entry.ldtr);
    for (const [i, name] of GPR_NAMES.entries()) s.setGpr(i, BigInt(entry.gprs[name] ?? 0));
    s.set64(S.rip, BigInt(entry.rip));
    s.set64(S.cr0, BigInt(entry.cr0));
    s.set64(S.cr3, BigInt(entry.cr3));
    s.set64(S.cr4, BigInt(entry.cr4));
    s.set64(S.efer, BigInt(entry.efer));
    s.set64(S.gdtrBase, BigInt(entry.gdtBase));
    s.set32(S.gdtrLimit, entry.gdtLimit);
    s.set32(S.idtrLimit, 0);
    core.setRflags(entry.rflags);
    core.setCpl(0);
    core.mmu.flush();
    core.updateMode();
  }

  /** hvm or pvh. */
  get type(): MachineType {
    return this.#type;
  }
  /**
   * The chips of the current boot, for tests and scripts of this project.
   * @internal
   */
  get board(): Board {
    return this.#board;
  }

  #nowNs(instructions: number): number {
    if (this.#options.icount) return Math.floor(instructions) + this.#skippedNs;
    return Math.floor(this.#options.clock.monotonicNs() - this.#epochNs);
  }

  // Ends

  #finish(info: ExitInfo): void {
    this.#exit ??= info;
    this.#board.cpu.requestStop();
  }
  #reset(): void {
    if (this.#options.noReboot) return this.#finish({ reason: "reboot" });
    this.#restart = true;
    this.#board.cpu.requestStop();
  }
  #shutdown(reason: number): void {
    if (reason === SHUTDOWN_soft_reset) return;
    if (reason === SHUTDOWN_reboot) return this.#reset();
    const known = REASONS.get(reason) ?? "poweroff";
    this.#finish(
      known === "crash"
        ? { reason: "crash", detail: "the guest reported a crash (SHUTDOWN_crash)" }
        : { reason: known },
    );
  }

  async #reboot(): Promise<void> {
    this.#flushConsoles();
    for (const netback of this.#board.netbacks) netback.xenbus.remove();
    this.#board.runDeferred();
    this.#instructionsBefore += this.#board.cpu.instructions;
    this.#epochNs = this.#options.clock.monotonicNs();
    this.#skippedNs = 0;
    this.tracer.counters.add("machine.resets");
    this.#board = this.#makeBoard();
    await this.#load();
    this.#restart = false;
  }

  /** Ends a running machine at the next instruction boundary; run() resolves to "stopped". */
  stop(): void {
    this.#stopping = true;
    this.#finish({ reason: "stopped" });
    this.#wake?.();
  }

  /** Asks the guest to shut down through xenstore's control/shutdown. */
  requestShutdown(what: "poweroff" | "reboot"): void {
    requestShutdown(this.#board.xenstore, this.#board.xen.domid, what);
    this.#wake?.();
  }

  /** Lets go of network ends and clock, for good. A machine that runs is stopped first; run() still resolves. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running) this.stop();
    else this.#release();
  }
  #release(): void {
    for (const netback of this.#board.netbacks) netback.close();
    this.#options.onClose?.();
  }

  // Running

  /** Runs until the guest ends or stop() is called. */
  async run(): Promise<ExitInfo> {
    assert(!this.#running && !this.#closed, "a machine runs once at a time, until it is closed");
    this.#running = true;
    const { clock } = this.#options;
    this.#startedNs = clock.monotonicNs();
    let breathedNs = this.#startedNs;
    try {
      while (this.#exit === undefined) {
        const board = this.#board;
        board.clock.poll();
        for (const netback of board.netbacks) netback.poll();
        board.runDeferred();
        this.#feedSerial();
        board.xen.resample();
        if (!board.xen.blocked) {
          const result = this.#runSlice();
          if (result === "shutdown") {
            this.#exit ??= { reason: "crash", detail: "triple fault" };
          }
        }
        board.runDeferred();
        this.#flushConsoles();
        if (this.#restart && this.#exit === undefined) await this.#reboot();
        if (this.#exit !== undefined) break;
        if (this.#idle()) {
          await this.#sleep();
          breathedNs = clock.monotonicNs();
        } else if (clock.monotonicNs() - breathedNs > BREATHE_EVERY_NS) {
          await clock.breathe();
          breathedNs = clock.monotonicNs();
        }
      }
    } finally {
      this.#running = false;
      this.#ranNs += clock.monotonicNs() - this.#startedNs;
      this.#flushConsoles();
      if (this.#closed) this.#release();
    }
    const info = this.#exit;
    if (this.#stopping) this.#exit = undefined;
    this.#stopping = false;
    this.#emit("shutdown", info);
    return info;
  }

  /** The guest has sent something: look for the answer soon. Guests spend a millisecond on their way to HLT. */
  #expectAnswer(): void {
    if (this.#options.icount) return;
    const now = this.#options.clock.monotonicNs();
    if (now > this.#answerUntilNs) this.#board.cpu.requestStop();
    this.#answerUntilNs = now + ANSWER_NS;
  }

  /** One slice. After a long one the next is shorter, unless what comes next must not depend on the host's time. */
  #runSlice(): RunResult {
    const { clock, icount } = this.#options;
    const { cpu } = this.#board;
    if (icount) return cpu.run(SLICE_INSTRUCTIONS);
    const before = clock.monotonicNs();
    const short = before < this.#answerUntilNs;
    const result = cpu.run(
      short ? Math.min(ANSWER_INSTRUCTIONS, this.#sliceInstructions) : this.#sliceInstructions,
    );
    if (short) return result;
    const tookNs = clock.monotonicNs() - before;
    if (tookNs > 2 * BREATHE_EVERY_NS) {
      this.#sliceInstructions = Math.max(SHORTEST_SLICE_INSTRUCTIONS, this.#sliceInstructions >> 1);
    } else if (tookNs < BREATHE_EVERY_NS / 2) {
      this.#sliceInstructions = Math.min(SLICE_INSTRUCTIONS, this.#sliceInstructions << 1);
    }
    return result;
  }

  /** True when the CPU waits for an interrupt. */
  #idle(): boolean {
    const { cpu, xen, interrupts } = this.#board;
    if (xen.blocked) return true;
    if (!cpu.halted) return false;
    const enabled = (cpu.core.s.get32(S.eflags) & FLAG_IF) !== 0;
    return !(enabled && interrupts.pending);
  }

  async #sleep(): Promise<void> {
    const board = this.#board;
    const next = board.clock.nextDeadlineNs();
    const now = board.clock.nowNs();
    if (next <= now) return;
    if (this.#options.icount && next !== Infinity) {
      // Nothing but time moves: skip it.
      this.#skippedNs += next - now;
      return;
    }
    const { cpu } = board;
    if (next === Infinity && cpu.halted && (cpu.core.s.get32(S.eflags) & FLAG_IF) === 0) {
      this.#exit = { reason: "crash", detail: "the guest halted with interrupts off" };
      return;
    }
    const ms = Math.min(LONGEST_SLEEP_MS, (next - now) / 1e6);
    const fds = board.netbacks.map((netback) => netback.end.pollFd()).filter((fd) => fd >= 0);
    const wake = new Promise<void>((resolve) => this.#wake = resolve);
    await this.#options.clock.sleep(ms, wake, fds);
    this.#wake = undefined;
  }

  // Consoles

  #print(bytes: Uint8Array, which: "serial" | "console" | "debug"): void {
    if (which === "serial") this.#options.serial?.output(bytes);
    else if (which === "console") this.#options.console?.output(bytes);
    this.#emit("console", bytes, which);
  }
  #flushConsoles(): void {
    if (this.#serial.length > 0) this.#print(Uint8Array.from(this.#serial.splice(0)), "serial");
    if (this.#debug.length > 0) this.#print(Uint8Array.from(this.#debug.splice(0)), "debug");
  }
  #feedSerial(): void {
    if (this.#serialInput.length === 0) return;
    this.#serialInput = this.#serialInput.subarray(this.#board.uart.receive(this.#serialInput));
  }
  /** Types at the first 16550; returns how many bytes were accepted: 64 KiB may wait for the guest. */
  sendSerial(bytes: Uint8Array): number {
    const waiting = this.#serialInput;
    const accepted = bytes.subarray(0, SERIAL_INPUT_BYTES - waiting.length);
    if (accepted.length === 0) return 0;
    const both = new Uint8Array(waiting.length + accepted.length);
    both.set(waiting);
    both.set(accepted, waiting.length);
    this.#serialInput = both;
    this.#wake?.();
    return accepted.length;
  }
  /** Types at the PV console; returns how many bytes were accepted. */
  sendConsole(bytes: Uint8Array): number {
    const accepted = this.#board.console.send(bytes);
    this.#wake?.();
    return accepted;
  }
  /** Ends a sleep early: something outside has changed. */
  wake(): void {
    this.#wake?.();
  }

  // Events

  /** Adds a listener; the result removes it. */
  on<E extends keyof MachineEvents>(event: E, listener: MachineEvents[E]): () => void {
    let set = this.#listeners.get(event);
    if (set === undefined) this.#listeners.set(event, set = new Set());
    const entry = listener as (...args: never[]) => void;
    set.add(entry);
    this.#watch();
    return () => {
      set.delete(entry);
      this.#watch();
    };
  }
  /** Looks at hypercalls and packets while somebody listens, and only then. */
  #watch(): void {
    this.#board.xen.onHypercall = this.#hypercallListener();
    const listener = this.#listens("packet")
      ? (event: PacketEvent) => this.#emit("packet", event)
      : undefined;
    for (const watch of this.#watches) watch.listener = listener;
  }
  #hypercallListener(): ((event: HypercallEvent) => void) | undefined {
    return this.#listens("hypercall") ? (event) => this.#emit("hypercall", event) : undefined;
  }
  #listens(event: keyof MachineEvents): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0;
  }
  #emit<E extends keyof MachineEvents>(event: E, ...args: Parameters<MachineEvents[E]>): void {
    const set = this.#listeners.get(event);
    if (set === undefined) return;
    for (const listener of set) (listener as (...args: unknown[]) => void)(...args);
  }

  // Looking inside

  /** Copies guest physical memory; throws RangeError where there is none. */
  readMemory(gpa: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (!this.#board.memory.read(gpa, bytes)) {
      throw new RangeError(`Cannot read ${length} bytes at ${hex(gpa)}: no memory there`);
    }
    return bytes;
  }
  /** Writes guest physical memory; throws RangeError where there is none. */
  writeMemory(gpa: number, bytes: Uint8Array): void {
    const { memory } = this.#board;
    if (!memory.contains(gpa, bytes.length) || !memory.write(gpa, bytes)) {
      throw new RangeError(`Cannot write ${bytes.length} bytes at ${hex(gpa)}: no memory there`);
    }
  }
  /** General registers, RIP, RFLAGS, control registers. */
  registers(): Record<string, bigint> {
    const { core } = this.#board.cpu;
    const out: Record<string, bigint> = {};
    GPR_NAMES.forEach((name, i) => out[name] = core.s.gpr(i));
    out.rip = core.rip;
    out.rflags = BigInt(core.rflags);
    for (const name of ["cr0", "cr2", "cr3", "cr4", "efer"] as const) out[name] = core.s.get64(S[name]);
    return out;
  }
  /** Sets a general register, rip or rflags. */
  setRegister(name: GprName | "rip" | "rflags", value: bigint): void {
    const { core } = this.#board.cpu;
    if (name === "rip") core.s.set64(S.rip, BigInt.asUintN(64, value));
    else if (name === "rflags") core.setRflags(Number(BigInt.asUintN(32, value)));
    else if (GPR_NAMES.includes(name)) this.#board.cpu.vcpu.writeGpr(name, BigInt.asUintN(64, value));
    else throw new TypeError(`Cannot set register "${String(name)}": there is none of that name`);
  }
  /** Up to 64 bytes of code from `rip` on (default: where the guest is). */
  codeAround(rip = this.#board.cpu.core.rip): CodeWindow {
    return this.#codeAt(rip, this.#board.cpu.core.codeBits);
  }
  /**
   * Where control last came back to the emulator, oldest first: after exceptions and interrupts, and every 16,384
   * instructions. Up to 16; code in between is not seen.
   */
  recentCode(): CodeWindow[] {
    return this.#board.cpu.recentCode().map(({ rip, codeBits }) => this.#codeAt(rip, codeBits));
  }
  #codeAt(rip: bigint, bits: 16 | 32 | 64): CodeWindow {
    const { core } = this.#board.cpu;
    const base = bits === 64 ? 0n : core.s.get64(S.cs);
    const bytes: number[] = [];
    for (let i = 0n; i < 64n; i++) {
      const gpa = this.#board.cpu.vcpu.translate(rip + base + i, false);
      const one = new Uint8Array(1);
      if (gpa === undefined || !this.#board.memory.read(gpa, one)) break;
      bytes.push(one[0] as number);
    }
    return { rip, bits, bytes: Uint8Array.from(bytes) };
  }
  /** Registers and the addresses of {@linkcode recentCode} as text, for a crash. */
  crashReport(): string {
    const regs = this.registers();
    const lines: string[] = [];
    const names = [...GPR_NAMES, "rip", "rflags", "cr0", "cr2", "cr3", "cr4", "efer"];
    for (let i = 0; i < names.length; i += 4) {
      lines.push(names.slice(i, i + 4).map((n) => `${n.padEnd(6)} ${hex(regs[n] ?? 0n, 16)}`).join("  "));
    }
    const { core } = this.#board.cpu;
    const segment = (name: string, index: number) => {
      const v = core.s.segment(index);
      return `${name} ${hex(v.selector, 4)} base ${hex(v.base, 16)} limit ${hex(v.limit, 8)} attributes ${
        hex(v.attributes, 5)
      }`;
    };
    lines.push(segment("cs", CS), segment("ss", SS), segment("tr", TR));
    const { vector, errorCode } = core.fault;
    lines.push(
      `last fault: vector ${vector}${
        errorCode >= 0 ? ` error code ${hex(errorCode)}` : ""
      }, cpl ${core.cpl}, ${core.codeBits}-bit code`,
    );
    const places = this.#board.cpu.recentCode().map(({ rip }) => hex(rip, 16));
    lines.push("last blocks seen:");
    for (let i = 0; i < places.length; i += 4) lines.push(`  ${places.slice(i, i + 4).join("  ")}`);
    return lines.join("\n");
  }
  /** Counters so far. */
  stats(): MachineStats {
    const { cpu } = this.#board;
    const instructions = this.#instructionsBefore + cpu.instructions;
    const ns = this.#ranNs + (this.#running ? this.#options.clock.monotonicNs() - this.#startedNs : 0);
    const counters: Record<string, number> = { ...cpu.counters() };
    for (const [name, count] of this.tracer.counters.values) counters[name] = count;
    return { instructions, seconds: ns / 1e9, mips: ns > 0 ? instructions / (ns / 1000) : 0, counters };
  }
}
