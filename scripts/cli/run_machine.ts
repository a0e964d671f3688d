// SPDX-License-Identifier: MIT
/**
 * `xenner run`: a machine with the user's terminal, files, signals and time limit around it. Gives back everything it
 * took, whichever way it ends.
 * @module
 */
import type { EngineName } from "../../cpu/base/engine.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { reason } from "../../devices/loaders/host_file.ts";
import { createMachine, hubByName } from "../../devices/machine/create_machine.ts";
import type { NetSpec } from "../../devices/machine/create_options.ts";
import type { ExitInfo, Machine } from "../../devices/machine/machine.ts";
import { crashReport } from "./crash_report.ts";
import { fileToBoot } from "../boot/find_firmware.ts";
import type { NetChoice } from "./net_options.ts";
import type { ConsoleTarget, RunChoices } from "./options.ts";
import { OutputFiles } from "./output_files.ts";
import { OutputQueue } from "./output_queue.ts";
import { outcomeOf } from "./outcome.ts";
import { formatStats, statsJson } from "./stats.ts";
import { Terminal } from "./terminal.ts";

const STATUS_TIMEOUT = 124;
/** 128 + the signal's number, as shells report it. */
const STATUS_OF_SIGNAL: Readonly<Partial<Record<Deno.Signal, number>>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
};
const STATUS_SIGPIPE = 141;
/** Files that the shell may have connected us to. */
const STANDARD_FILES = [
  ["standard input", "/dev/fd/0"],
  ["standard output", "/dev/fd/1"],
  ["standard error", "/dev/fd/2"],
] as const;
/** How long output may take after a signal. */
const LAST_WORDS_MS = 1000;

/** Runs one machine to its end; returns the exit status. Throws ConfigError for what the user has to change. */
export async function runMachine(choices: RunChoices): Promise<number> {
  const session = new Session(choices);
  try {
    return await session.run();
  } finally {
    session.dispose();
  }
}

class Session {
  readonly #choices: RunChoices;
  readonly #out = new OutputQueue(Deno.stdout, (error) => this.#outputFailed(error));
  readonly #err = new OutputQueue(Deno.stderr, () => {});
  readonly #files = new OutputFiles((line) => this.#note(line));
  readonly #tracer = new Tracer();
  readonly #cleanups: (() => void)[] = [];
  #machine: Machine | undefined;
  #traceFile: ((bytes: Uint8Array) => void) | undefined;
  #debug: ((bytes: Uint8Array) => void) | undefined;
  /** Set when something other than the guest ends the run. */
  #status: number | undefined;
  /** Where typed bytes go: a console on stdio, as the user says with Ctrl-A c. */
  #typingAt: "serial" | "console" | undefined;

  constructor(choices: RunChoices) {
    this.#choices = choices;
  }

  async run(): Promise<number> {
    const choices = this.#choices;
    this.#tracer.configure((category, message) => this.#trace(category, message), choices.trace);
    this.#handleSignals();
    this.#typingAt = firstConsole(choices);
    const machine = await this.#create();
    this.#machine = machine;
    // port 0xe9, which Linux's earlyprintk=xen uses, shows where the serial port does
    machine.on("console", (bytes, which) => {
      if (which === "debug") this.#debug?.(bytes);
    });
    this.#cleanups.push(() => void machine.close());
    if (this.#status !== undefined) return this.#status;
    this.#files.begin(); // nothing is left to check
    this.#startTimeout();
    if (this.#typingAt !== undefined) {
      const terminal = new Terminal({
        send: (bytes) => this.#type(bytes),
        quit: () => this.#end(0),
        switchConsole: () => this.#switchConsole(),
        print: (text) => this.#out.push(new TextEncoder().encode(text)),
        // Xen's console has no word for it, so it stands beside the console; by instruction count nothing comes from outside
        resized: (columns, rows) => {
          if (!choices.icount) machine.xenstore.write("console/size", `${columns}x${rows}`);
        },
      });
      this.#cleanups.push(() => terminal.restore());
    }
    let info: ExitInfo;
    try {
      info = await machine.run();
    } catch (error) { // a bug of ours; what the guest has said may explain it
      await this.#flush(this.#out);
      await this.#flush(this.#err);
      throw error;
    }
    await machine.close(); // what the disks hold is on its way to the host
    const ended = this.#status; // settled: whatever fails from here on does not change it
    await this.#flush(this.#out);
    if (this.#out.dropped > 0) {
      this.#note(`${this.#out.dropped} bytes of output were dropped: the reader is too slow`);
    }
    if (ended === undefined) {
      const { why, report } = outcomeOf(info);
      if (why !== undefined) this.#note(why);
      if (report) this.#print(await crashReport(machine));
    }
    if (choices.stats !== undefined) this.#printStats(machine, choices.stats);
    await this.#flush(this.#err);
    return ended ?? outcomeOf(info).status;
  }

  #printStats(machine: Machine, format: "text" | "json"): void {
    try {
      const stats = machine.stats();
      this.#print(format === "json" ? statsJson(stats) : formatStats(stats));
    } catch (error) {
      this.#note(`warning: Cannot print the counters: ${reason(error)}`);
    }
  }

  /** Gives everything back, last taken first. */
  dispose(): void {
    for (const cleanup of this.#cleanups.splice(0).reverse()) {
      try {
        cleanup();
      } catch (error) { // the others come all the same, and the outcome stays
        console.error(`xenner: warning: Cannot clean up: ${reason(error)}`);
      }
    }
  }

  /** What was asked for; "auto" says what it takes, and why. */
  async #engine(): Promise<EngineName> {
    const { engine, icount } = this.#choices;
    if (engine !== "auto") return engine;
    const why = icount ? "KVM counts no instructions" : await this.#whyNoKvm();
    this.#note(why === undefined ? "engine: kvm" : `engine: jit (${why})`);
    return why === undefined ? "kvm" : "jit";
  }

  async #whyNoKvm(): Promise<string | undefined> {
    const { whyNoKvm } = await import("../host/why_no_kvm.ts");
    return await whyNoKvm();
  }

  async #create(): Promise<Machine> {
    const choices = this.#choices;
    // files first: what cannot be written is said before anything else is touched
    this.#cleanups.push(() => this.#files.close());
    const kernel = fileToBoot(choices.boot);
    if (kernel !== undefined) await this.#files.avoid(kernel, "the kernel");
    for (const { path } of choices.modules) await this.#files.avoid(path, "a module");
    if (choices.initrd !== undefined) await this.#files.avoid(choices.initrd, "the initrd");
    for (const disk of choices.disks) await this.#files.avoid(disk.path, "a disk");
    for (const [name, path] of STANDARD_FILES) await this.#files.avoid(path, name);
    const serial = await this.#open("serial", choices.serial);
    this.#debug = serial;
    const console = await this.#open("console", choices.console);
    const captures: (((block: Uint8Array) => void) | undefined)[] = [];
    // as in QEMU; but by instruction count nothing comes from outside unless it is asked for
    const chosen: readonly NetChoice[] = choices.nets.length > 0 || choices.icount
      ? choices.nets
      : [{ kind: "user", options: {} }];
    for (const i of chosen.keys()) captures.push(await this.#capture(i));
    const nets: NetSpec[] = [];
    for (const [i, net] of chosen.entries()) nets.push(await this.#net(net, captures[i]));
    if (choices.traceFile !== undefined) {
      this.#traceFile = await this.#files.open(choices.traceFile, "trace file");
    }
    return await createMachine({
      ...(kernel !== undefined && { kernel }),
      ...("root" in choices.boot && { root: choices.boot.root }),
      append: choices.append,
      modules: choices.modules.map(({ path, cmdline }) => ({ file: path, cmdline })),
      memory: choices.memoryBytes,
      engine: await this.#engine(),
      cpu: choices.cpu,
      cpuVendor: choices.cpuVendor,
      icount: choices.icount,
      hypercallPages: choices.hypercallPages,
      patch: choices.patch,
      xenVersion: choices.xenVersion,
      noReboot: !choices.reboot,
      maxReboots: choices.maxReboots,
      panic: choices.panic,
      tracer: this.#tracer,
      nets,
      disks: choices.disks,
      shares: choices.shares,
      ...(choices.initrd !== undefined && { initrd: choices.initrd }),
      ...(choices.type !== undefined && { type: choices.type }),
      ...(choices.failOn !== undefined && { failOn: choices.failOn }),
      ...(choices.rtc !== undefined && { rtc: choices.rtc }),
      ...(serial && { serial }),
      ...(console && { console }),
    });
  }

  async #open(
    which: "serial" | "console",
    target: ConsoleTarget,
  ): Promise<((bytes: Uint8Array) => void) | undefined> {
    if (target === "none") return undefined;
    if (target === "stdio") return (bytes) => this.#out.push(bytes);
    return await this.#files.open(target.file, `${which} file`);
  }

  /** One file per interface: FILE, FILE.1, FILE.2. */
  async #capture(index: number): Promise<((block: Uint8Array) => void) | undefined> {
    const { pcap } = this.#choices;
    if (pcap === undefined) return undefined;
    return await this.#files.open(index === 0 ? pcap : `${pcap}.${index}`, "capture");
  }

  async #net(
    choice: NetChoice,
    capture: ((block: Uint8Array) => void) | undefined,
  ): Promise<NetSpec> {
    const common = {
      ...(choice.mac !== undefined && { mac: choice.mac }),
      ...(choice.queues !== undefined && { queues: choice.queues }),
      ...(capture && { capture }),
    };
    switch (choice.kind) {
      case "stream":
        return { ...common, stream: choice.stream };
      case "passt":
        return { ...common, passt: choice.args };
      case "user":
        return { ...common, user: choice.options };
      case "tap":
        return { ...common, tap: choice.ifname === undefined ? {} : { ifname: choice.ifname } };
      case "hub": {
        const hub = hubByName(choice.name);
        if (choice.responder) {
          const { Responder } = await import("../../net/ends/responder.ts");
          new Responder(hub.port("responder"), { tracer: this.#tracer });
        }
        return { ...common, hub };
      }
      case "none":
        return { ...common, none: true };
    }
  }

  #type(bytes: Uint8Array): number {
    const machine = this.#machine;
    if (machine === undefined) return 0;
    if (this.#typingAt === "console") return machine.sendConsole(bytes);
    return machine.sendSerial(bytes);
  }

  /** Typing goes to the other console, if that is on stdio too; says where it goes now. */
  #switchConsole(): string {
    const { serial, console } = this.#choices;
    if (serial === "stdio" && console === "stdio") {
      this.#typingAt = this.#typingAt === "console" ? "serial" : "console";
    }
    return this.#typingAt === "console" ? "the Xen console (hvc0)" : "the serial port (ttyS0)";
  }

  /** Ends the run for a reason that is not the guest's. The first one counts. */
  #end(status: number): void {
    this.#status ??= status;
    this.#machine?.stop();
  }

  #handleSignals(): void {
    for (const [signal, status] of Object.entries(STATUS_OF_SIGNAL) as [Deno.Signal, number][]) {
      let before = false;
      const listener = () => {
        if (before) { // the user insists
          this.dispose();
          Deno.exit(status);
        }
        before = true;
        this.#end(status);
      };
      try {
        Deno.addSignalListener(signal, listener);
      } catch {
        continue; // not on this system
      }
      this.#cleanups.push(() => Deno.removeSignalListener(signal, listener));
    }
  }

  #startTimeout(): void {
    const seconds = this.#choices.timeoutSeconds;
    if (seconds === undefined) return;
    const timer = setTimeout(() => {
      if (this.#status === undefined) this.#note(`timeout after ${seconds} s`);
      this.#end(STATUS_TIMEOUT);
    }, seconds * 1000);
    this.#cleanups.push(() => clearTimeout(timer));
  }

  /** Nobody reads: the end. Anything else, such as a full disk, is no reason to take the machine from the guest. */
  #outputFailed(error: unknown): void {
    if (error instanceof Deno.errors.BrokenPipe) this.#end(STATUS_SIGPIPE);
    else this.#note(`warning: Cannot write to standard output: ${reason(error)}`);
  }

  /** Waits for output; not for long when the user wants to be gone. */
  async #flush(queue: OutputQueue): Promise<void> {
    if (this.#status === undefined) return await queue.flush();
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([queue.flush(), new Promise((done) => timer = setTimeout(done, LAST_WORDS_MS))]);
    clearTimeout(timer);
  }

  /** Warnings are for the user; traces have the guest's time, and perhaps a file of their own. */
  #trace(category: string, message: string): void {
    if (category === "warning") return this.#note(`${category}: ${message}`);
    const seconds = (this.#machine?.guestNs ?? 0) / 1e9;
    const line = `[${seconds.toFixed(6).padStart(12)}] ${category}: ${message}\n`;
    if (this.#traceFile === undefined) this.#print(line);
    else this.#traceFile(new TextEncoder().encode(line));
  }
  #note(line: string): void {
    this.#print(`xenner: ${line}\n`);
  }
  #print(text: string): void {
    this.#err.push(new TextEncoder().encode(text));
  }
}

/** Where typing goes at first: to the console that the kernel command line names last, as /dev/console does. */
function firstConsole({ serial, console, append }: RunChoices): "serial" | "console" | undefined {
  const named = [...append.matchAll(/(?:^|\s)"?console=(hvc0|ttyS0)\b/g)].at(-1)?.[1];
  if (serial === "stdio" && (console !== "stdio" || named === "ttyS0")) return "serial";
  return console === "stdio" ? "console" : undefined;
}
