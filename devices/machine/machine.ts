// SPDX-License-Identifier: MIT
/**
 * A machine as its users see it: made once, run, looked at, closed. The chips are below board.ts, the running is in
 * run_loop.ts; host time and host devices come in through the options.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { type Gpa, MiB } from "../../cpu/base/bits.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { DEFAULT_CPU, parseCpuModel } from "../../cpu/base/cpu_model.ts";
import type { EngineFactory } from "../../cpu/base/engine.ts";
import type { KvmHost } from "../../cpu/base/kvm_host.ts";
import { engineFactory } from "../../cpu/engines.ts";
import type { GprName } from "../../cpu/base/vcpu.ts";
import { PORT_CALL } from "../../xen/platform/hypercall_page.ts";
import { type PacketEvent, PacketWatch } from "../../net/ends/observed_end.ts";
import { formatMac } from "../../net/frames/addresses.ts";
import type { HypercallEvent, HypercallRequest } from "../../xen/hypercalls/hypercalls.ts";
import type { ShutdownRequest } from "../../xen/xenstore/domain.ts";
import { checkBytes, signalOf } from "./check_options.ts";
import { unpackKernel } from "../loaders/decompress.ts";
import { parseElf } from "../loaders/elf.ts";
import { loadKernel, platformOf } from "../loaders/kernel.ts";
import { isBiosImage } from "../loaders/real_mode.ts";
import { checkRamBytes, pcMemoryMap } from "../loaders/memory_map.ts";
import type { NamedFile } from "../loaders/named_file.ts";
import { findXenCalls, replaceXenCalls } from "../loaders/xen_calls.ts";
import { Board, type BoardState } from "./board/board.ts";
import { askShutdown, pressSysrq, setLink, setMemoryTarget } from "./api/guest_requests.ts";
import { GuestStore } from "./api/guest_store.ts";
import { MachineDisk } from "./disks.ts";
import { ConsoleWatch } from "./console_watch.ts";
import { type ConsoleName, Consoles } from "./consoles.ts";
import { afterMs, GuestConsole } from "./api/guest_console.ts";
import { checkListener, type HypercallHook, Listeners, type MachineEvents, type Moment } from "./events.ts";
import { enterKernel } from "./board/firmware.ts";
import * as inspect from "./inspect.ts";
import {
  type ExitInfo,
  type MachineOptions,
  type MachineStats,
  type MachineType,
  startOf,
} from "./machine_options.ts";
import { RunLoop } from "./run_loop.ts";
import { checkSnapshot, type MachineSnapshot, makeSnapshot, type SnapshotKind } from "./snapshot.ts";

export type * from "./machine_options.ts";
export type { CodeWindow } from "./inspect.ts";
export type { ConsoleName } from "./consoles.ts";
export type { HypercallHook, MachineEvents, Moment } from "./events.ts";
export type { MachineSnapshot } from "./snapshot.ts";
export type { HypercallEvent, HypercallRequest, PacketEvent, ShutdownRequest };

/**
 * A virtual machine: made by createMachine, run by {@linkcode run} until its guest ends or somebody stops it, looked into at
 * any time between two instructions, and closed. One runs in the thread that made it and lets its event loop breathe every
 * few milliseconds; with `worker: true` it is a {@linkcode WorkerMachine} instead.
 */
export class Machine {
  /** Counters, warnings and traces. */
  readonly tracer: Tracer;
  /** The Xen PV console (hvc0). */
  readonly console: GuestConsole = this.#guestConsole((bytes) => this.sendConsole(bytes));
  /** The first 16550 (ttyS0). */
  readonly serial: GuestConsole = this.#guestConsole((bytes) => this.sendSerial(bytes));
  /** The guest's xenstore, as domain 0 sees it. */
  readonly xenstore: GuestStore;
  /** hvm or pvh. */
  readonly type: MachineType;
  /**
   * Everything in it, for tests and scripts of this project.
   * @internal
   */
  readonly board: Board;
  readonly #options: MachineOptions;
  readonly #bios: boolean;
  readonly #loop: RunLoop;
  readonly #consoles: Consoles;
  readonly #consoleWatch: ConsoleWatch;
  readonly #watchPanics: boolean;
  readonly #listeners = new Listeners(() => this.#watch());
  readonly #watches: readonly PacketWatch[];
  /** As snapshots name it. */
  readonly #cpu: string;
  readonly #hooks = new Set<HypercallHook>();
  #reboots = 0;
  #closed = false;
  #running: Promise<ExitInfo> | undefined;
  readonly #released = Promise.withResolvers<void>();
  /** Executed by the engine that a snapshot came from. */
  #instructionsBefore = 0;

  private constructor(options: MachineOptions, type: MachineType, engine: EngineFactory) {
    this.#options = options;
    this.type = type;
    this.#bios = isBiosImage(options.kernel.bytes);
    const { clock, icount = false, noReboot = false, maxReboots = Infinity } = options;
    this.tracer = options.tracer ?? new Tracer();
    this.#watchPanics = options.panic !== "ignore";
    this.#consoleWatch = new ConsoleWatch(options.failOn, this.#watchPanics, (sighting) => {
      if (sighting === "over") this.#loop.finishSuspect();
      else this.#loop.suspect(sighting);
    });
    const consoles = this.#consoles = new Consoles((bytes, which) => this.#print(bytes, which));
    const watches = this.#watches = (options.nets ?? []).map(({ end }, i) => new PacketWatch(end, i));
    const { name, features } = parseCpuModel(options.cpu ?? DEFAULT_CPU),
      vendor = options.cpuVendor ?? "intel";
    this.#cpu = `${name} (${vendor})`;
    const board = this.board = new Board({
      memoryBytes: checkRamBytes(options.memoryBytes ?? 512 * MiB),
      type,
      bios: this.#bios,
      engine,
      cpu: { features, vendor: vendor === "amd" ? "AuthenticAMD" : "GenuineIntel" },
      hypercallPages: options.hypercallPages ?? 1,
      xenVersion: options.xenVersion ?? { major: 4, minor: 17 },
      tracer: this.tracer,
      host: clock,
      icount,
      startsAt: startOf(options),
      nets: watches.map((end, i) => {
        const { mac, queues = 1 } = options.nets?.[i] ?? {};
        return { end, mac: formatMac(mac ?? Uint8Array.of(0x00, 0x16, 0x3e, 0, 0, i + 1)), queues };
      }),
      disks: options.disks ?? [],
      shares: options.shares ?? [],
      events: {
        powerOff: () => this.#loop.finish({ reason: "poweroff" }),
        reset: () => this.#loop.reset(),
        init: () => this.#loop.init(),
        shutdown: (reason) => this.#loop.shutdown(reason),
        serial: (byte) => consoles.serial(byte),
        console: (bytes) => this.#print(bytes, "console"),
        netNotified: () => this.#loop.expectAnswer(),
        diskNotified: () => this.#loop.diskNotified(),
        diskAnswered: () => this.#loop.wake(),
        debugConsole: (byte) => consoles.debug(byte),
        panicked: () => this.#panicked(),
        crashLoaded: () => this.#loop.suspect(undefined),
      },
    });
    this.#loop = new RunLoop(board, { clock, icount, noReboot, maxReboots }, {
      feed: () => consoles.feed(board.chips.uart),
      flush: () => consoles.flush(),
      reboot: () => this.#reboot(),
    });
    for (const end of watches) end.wakeWith(() => this.#loop.wake());
    this.xenstore = new GuestStore({
      store: board.xen.store,
      domid: board.xen.domid,
      wake: () => this.#loop.wake(),
    });
  }

  /** Builds the machine and loads the kernel. Rejects with ConfigError for input that cannot work. */
  static async create(options: MachineOptions): Promise<Machine> {
    if (options.icount === true && options.engine === "kvm") {
      throw new ConfigError("Cannot use icount with the engine kvm: KVM does not count instructions");
    }
    const kernel = await unpackKernel(options.kernel);
    const type = options.type ?? platformOf(kernel);
    const engine = options.engineFactory ?? await engineFactory(options.engine ?? "jit", kvmHost);
    const machine = new Machine({ ...options, kernel }, type, engine);
    await machine.#load(machine.board.powerOn(), true);
    return machine;
  }

  /** A bzImage enters by the Linux boot protocol on hvm, by the PVH entry of the kernel inside it on pvh. */
  async #load(rsdp: Gpa, fresh: boolean): Promise<void> {
    const { kernel, initrd, modules, append } = this.#options;
    const { memory, engine } = this.board;
    const entry = await loadKernel(memory, {
      kernel,
      initrd,
      modules,
      cmdline: append ?? "",
      e820: pcMemoryMap(memory.ramBytes, this.#bios),
      rsdp,
      seed: this.board.randomSeed(),
      protocol: this.type === "pvh" ? "pvh" : "auto",
      fresh,
      ...(engine.takesHypercalls === false && { prepare: (file) => this.#replaceCalls(file) }),
    });
    enterKernel(engine, entry);
  }

  /** The kernel with calls that reach Xen although the engine does not see VMCALL and VMMCALL. */
  #replaceCalls(file: NamedFile): NamedFile {
    const elf = parseElf(file);
    const unseen = "this engine does not see VMCALL and VMMCALL";
    const say = (what: string) => this.tracer.warnOnce("machine.hypercalls", `${unseen}: ${what}`);
    if (this.#options.patch === false) {
      if (findXenCalls(elf).length > 0) {
        say(`kernel "${file.name}" cannot call Xen by them, and has no other way`);
      }
      return file;
    }
    const { bytes, count } = replaceXenCalls(elf, PORT_CALL);
    if (count === 0) return file;
    say(`${count} of them in kernel "${file.name}" are replaced by OUT (patch: --no-patch leaves them)`);
    return { name: file.name, bytes };
  }

  async #reboot(): Promise<void> {
    this.tracer.counters.add("machine.resets");
    await this.#load(this.board.reset(), false);
    this.#listeners.emit("reboot", ++this.#reboots, this.#moment());
  }

  /** Runs until the guest ends, stop() is called, or `signal` aborts: then it resolves to "stopped" too. */
  async run(options: { readonly signal?: AbortSignal } = {}): Promise<ExitInfo> {
    const signal = signalOf(options);
    this.#mustRest("run");
    const stop = () => this.stop();
    signal?.addEventListener("abort", stop);
    try {
      const run = this.#loop.run();
      if (signal?.aborted) this.stop();
      this.#running = run;
      const info = await run;
      this.#listeners.emit("shutdown", info, this.#moment());
      if (info.reason !== "stopped") {
        for (const each of [this.console, this.serial]) each.finished();
      }
      return info;
    } finally {
      signal?.removeEventListener("abort", stop);
      for (const each of [this.console, this.serial]) each.ended("the run has ended");
      if (this.#closed) this.#release();
    }
  }

  /** Closes it, and waits until it runs no more: `await using machine = await createMachine(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#running?.catch(() => {}); // who called run() is told
  }

  #guestConsole(send: (bytes: Uint8Array) => number): GuestConsole {
    return new GuestConsole({
      send,
      after: afterMs,
      hold: (held) => this.#loop.hold(held),
    });
  }

  /** Throws ConfigError when the machine is closed. */
  #mustBeOpen(what: string): void {
    if (this.#closed) throw new ConfigError(`Cannot ${what} the machine: it is closed`);
  }
  /** Throws ConfigError unless the machine is there and does not run. */
  #mustRest(what: string): void {
    this.#mustBeOpen(what);
    if (this.#loop.running) throw new ConfigError(`Cannot ${what} the machine: it is running`);
  }

  /** Ends a running machine at the next instruction boundary; run() resolves to "stopped". */
  stop(): void {
    this.#loop.stop();
  }

  /**
   * Has a run stand still between two instructions, guest time too, until {@linkcode resume}; resolves when it does. A
   * machine that does not run yet begins its next run so.
   */
  async pause(): Promise<void> {
    this.#mustBeOpen("pause");
    await this.#loop.pause();
  }
  /** Lets a paused machine go on. */
  resume(): void {
    this.#mustBeOpen("resume");
    this.#loop.resume();
  }
  /**
   * A reader of what it prints is too slow: it stands still until that one has read.
   * @internal
   */
  hold(held: boolean): void {
    this.#loop.hold(held);
  }
  /** True between pause() and resume(), or the end of the run. */
  get paused(): boolean {
    return this.#loop.paused;
  }
  /** Presses the reset button: the kernel is loaded again. A guest that has ended begins anew with the next run(). */
  reset(): void {
    this.#mustBeOpen("reset");
    this.#loop.pressReset();
  }

  // What the host asks of the guest. Whether it obeys is up to its drivers

  /** Asks the guest to shut down, through xenstore's control/shutdown. */
  requestShutdown(what: ShutdownRequest): void {
    this.#mustBeOpen("shut down");
    askShutdown(this.board.xen, what);
    this.#loop.wake();
  }
  /** Presses a SysRq key, through xenstore's control/sysrq: "s" has Linux sync its disks, "c" has it crash. */
  sysrq(key: string): void {
    this.#mustBeOpen("press SysRq on");
    pressSysrq(this.board.xen, key);
    this.#loop.wake();
  }
  /** Asks the guest's balloon driver to make do with so much memory, in bytes or like "256M", through memory/target. */
  setMemoryTarget(size: number | string): void {
    this.#mustBeOpen("set the memory target of");
    setMemoryTarget(this.board.xen, size, this.board.memory.ramBytes);
    this.#loop.wake();
  }
  /** Plugs the cable of interface `net`, counted from 0, in or out: frames are dropped both ways while it is out. */
  setLink(net: number, up: boolean): void {
    this.#mustBeOpen("set a link of");
    setLink(this.board.xen, net, up);
    this.#loop.wake();
  }

  /**
   * Lets go of network ends, shares, disks and clock, for good. A machine that runs is stopped first; run() still resolves. The
   * result resolves when everything is written to the disks' images.
   */
  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      for (const each of [this.console, this.serial]) each.close("the machine is closed");
      if (this.#loop.running) this.stop();
      else this.#release();
    }
    return this.#released.promise;
  }
  #release(): void {
    this.#released.resolve(this.board.xen.close());
    this.board.engine.close?.();
    this.#options.onClose?.();
  }

  // Snapshots

  get #kind(): SnapshotKind {
    return {
      type: this.type,
      bios: this.#bios,
      cpu: this.#cpu,
      memoryBytes: this.board.memory.ramBytes,
      nets: this.board.xen.netbacks.length,
      disks: this.board.xen.blkbacks.length,
      shares: this.board.xen.p9backs.length,
    };
  }
  /** The whole machine as a plain record, which structured cloning takes. Not while it runs: stop it first. */
  save(): MachineSnapshot {
    this.#mustRest("save");
    const board = this.board.save();
    return makeSnapshot(this.#kind, {
      instructions: this.#instructionsBefore + this.board.engine.instructions,
      board,
      serialInput: this.#consoles.save(),
    });
  }
  /** Becomes the machine that was saved; it was made with the same options. Throws ConfigError when it cannot. */
  restore(snapshot: MachineSnapshot): void {
    this.#mustRest("restore");
    checkSnapshot(snapshot, this.#kind);
    try {
      this.board.restore(snapshot.board as BoardState);
      this.#consoles.restore(snapshot.serialInput);
    } catch (cause) {
      if (cause instanceof ConfigError) throw cause;
      throw new ConfigError("Cannot restore the snapshot: it is damaged", "input", { cause });
    }
    this.#instructionsBefore = snapshot.instructions - this.board.engine.instructions;
    this.#loop.restored();
  }

  // Disks

  /** The guest's disks, in the order of the options. */
  get disks(): readonly MachineDisk[] {
    return this.board.xen.blkbacks.map((blkback) => new MachineDisk(blkback, () => this.#loop.wake()));
  }

  // Consoles

  #print(bytes: Uint8Array, which: ConsoleName): void {
    if (which === "serial") this.#options.serial?.output(bytes);
    else if (which === "console") this.#options.console?.output(bytes);
    if (this.#listeners.has("console")) this.#listeners.emit("console", bytes, which, this.#moment());
    if (which === "serial") this.serial.printed(bytes);
    else if (which === "console") this.console.printed(bytes);
    this.#consoleWatch.feed(bytes, which);
  }
  /** By the pvpanic device: what the console said is the better reason, and has been said before. */
  #panicked(): void {
    this.tracer.counters.add("machine.panics");
    if (!this.#watchPanics) return;
    this.#consoles.flush();
    this.#loop.suspect({ reason: "panic", detail: "the guest says so (pvpanic)" });
    this.#loop.finishSuspect();
  }
  /** Types at the first 16550; returns how many bytes were accepted: 64 KiB may wait for the guest. */
  sendSerial(bytes: Uint8Array): number {
    checkBytes(bytes);
    const accepted = this.#consoles.type(bytes);
    this.#loop.wake();
    return accepted;
  }
  /** Types at the PV console; returns how many bytes were accepted. */
  sendConsole(bytes: Uint8Array): number {
    checkBytes(bytes);
    const accepted = this.board.xen.console.send(bytes);
    this.#loop.wake();
    return accepted;
  }
  /** Presses the NMI button: the guest's local APIC has it on LINT1, and the guest decides what comes of it. */
  sendNmi(): void {
    this.board.pressNmi();
    this.#loop.wake();
  }
  /** Ends a sleep early: something outside has changed. */
  wake(): void {
    this.#loop.wake();
  }

  // Events

  #moment(): Moment {
    return { guestNs: this.guestNs, vcpu: 0, rip: this.board.engine.vcpu.rip };
  }

  /** Adds a listener; the result removes it. */
  on<E extends keyof MachineEvents>(event: E, listener: MachineEvents[E]): () => void {
    checkListener(event, listener);
    return this.#listeners.add(event, listener);
  }
  /** The next event: what its listeners get, as an array. Bytes of consoles are copies. */
  once<E extends keyof MachineEvents>(event: E): Promise<Parameters<MachineEvents[E]>> {
    return new Promise((resolve) => {
      const remove = this.on(
        event,
        ((...args: Parameters<MachineEvents[E]>) => {
          remove();
          const copies = args.map((value: unknown) => value instanceof Uint8Array ? value.slice() : value);
          resolve(copies as Parameters<MachineEvents[E]>);
        }) as MachineEvents[E],
      );
    });
  }
  /** Adds one who may answer hypercalls in Xen's place; who was added first is asked first. The result removes it. */
  hookHypercalls(hook: HypercallHook): () => void {
    if (typeof hook !== "function") throw new ConfigError("Cannot hook hypercalls: the hook is no function");
    this.#hooks.add(hook);
    this.#watch();
    return () => {
      this.#hooks.delete(hook);
      this.#watch();
    };
  }
  #answer(request: HypercallRequest): number | undefined {
    const at = this.#moment();
    for (const hook of this.#hooks) {
      const answer = hook(request, at);
      if (answer === undefined) continue;
      if (Number.isSafeInteger(answer)) return answer;
      throw new ConfigError(
        `Cannot answer ${request.name} with ${String(answer)}: it is a whole number, or undefined`,
      );
    }
    return undefined;
  }
  /** Looks at hypercalls and packets while somebody listens, and only then. */
  #watch(): void {
    const listeners = this.#listeners;
    const { platform } = this.board.xen;
    platform.hypercallHook = this.#hooks.size > 0 ? (request) => this.#answer(request) : undefined;
    platform.onHypercall = listeners.has("hypercall")
      ? (event) => listeners.emit("hypercall", event, this.#moment())
      : undefined;
    const listener = listeners.has("packet")
      ? (event: PacketEvent) => listeners.emit("packet", event, this.#moment())
      : undefined;
    for (const watch of this.#watches) watch.listener = listener;
  }

  // Looking inside

  /** Guest time: nanoseconds since power-on. */
  get guestNs(): number {
    return this.board.clock.nowNs();
  }

  /** Copies guest physical memory; throws RangeError where there is none. */
  readMemory(gpa: number, length: number): Uint8Array {
    return inspect.readMemory(this.board.memory, gpa, length);
  }
  /** Writes guest physical memory; throws RangeError where there is none. */
  writeMemory(gpa: number, bytes: Uint8Array): void {
    checkBytes(bytes);
    inspect.writeMemory(this.board.memory, gpa, bytes);
  }
  /** General registers, RIP, RFLAGS, control registers. */
  registers(): Record<string, bigint> {
    return inspect.namedRegisters(this.board.engine);
  }
  /** Sets a general register, rip or rflags. */
  setRegister(name: GprName | "rip" | "rflags", value: bigint): void {
    inspect.setRegister(this.board.engine, name, value);
  }
  /** Up to 64 bytes of code from `rip` on (default: where the guest is). */
  codeAround(rip: bigint = this.board.engine.vcpu.rip): inspect.CodeWindow {
    inspect.checkBigint("an address", rip);
    const { engine, memory } = this.board;
    return inspect.codeAt(engine, memory, rip, engine.vcpu.codeBits);
  }
  /**
   * Where control last came back to the emulator, oldest first: after exceptions and interrupts, and every 16,384
   * instructions. Up to 16; code in between is not seen.
   */
  recentCode(): inspect.CodeWindow[] {
    const { engine, memory } = this.board;
    return engine.recentCode().map(({ rip, codeBits }) => inspect.codeAt(engine, memory, rip, codeBits));
  }
  /** Registers and the addresses of {@linkcode recentCode} as text, for a crash. */
  crashReport(): string {
    return inspect.crashReport(this.board.engine);
  }
  /** Counters so far. */
  stats(): MachineStats {
    return inspect.machineStats(this.board.engine, this.tracer, this.#loop.ranNs, this.#instructionsBefore);
  }
}

/** See net/host/kvm.ts, which few machines need. */
async function kvmHost(): Promise<KvmHost> {
  return (await import("../../net/host/kvm.ts")).kvmHost();
}
