// SPDX-License-Identifier: MIT
/**
 * `xenner run`: a machine with the user's terminal, files, signals and time limit around it. Gives back everything it
 * took, whichever way it ends.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { reason } from "../../devices/loaders/host_file.ts";
import { createMachine, hubByName, type NetSpec } from "../../devices/machine/create_machine.ts";
import type { ExitInfo, Machine } from "../../devices/machine/machine.ts";
import { Responder } from "../../net/ends/responder.ts";
import type { ConsoleTarget, NetChoice, RunChoices } from "./options.ts";
import { OutputQueue } from "./output_queue.ts";
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
/** How long output may take after a signal. */
const LAST_WORDS_MS = 1000;
/** Instructions shown of each of the last blocks. */
const LINES_OF_BLOCK = 4;

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
  readonly #tracer = new Tracer();
  readonly #cleanups: (() => void)[] = [];
  #machine: Machine | undefined;
  #debug: ((bytes: Uint8Array) => void) | undefined;
  /** Set when something other than the guest ends the run. */
  #status: number | undefined;
  /** Where typed bytes go: the console on stdio that printed last. */
  #typingAt: "serial" | "console" | undefined;

  constructor(choices: RunChoices) {
    this.#choices = choices;
  }

  async run(): Promise<number> {
    const choices = this.#choices;
    this.#tracer.configure((category, message) => this.#note(`${category}: ${message}`), choices.trace);
    this.#handleSignals();
    if (choices.console === "stdio") this.#typingAt = "console";
    else if (choices.serial === "stdio") this.#typingAt = "serial";
    const machine = await this.#create();
    this.#machine = machine;
    // port 0xe9, which Linux's earlyprintk=xen uses, shows where the serial port does
    machine.on("console", (bytes, which) => {
      if (which === "debug") this.#debug?.(bytes);
    });
    this.#cleanups.push(() => machine.close());
    if (this.#status !== undefined) return this.#status;
    this.#startTimeout();
    if (this.#typingAt !== undefined) {
      const terminal = new Terminal({
        send: (bytes) => this.#type(bytes),
        quit: () => this.#end(0),
        print: (text) => this.#out.push(new TextEncoder().encode(text)),
      });
      this.#cleanups.push(() => terminal.restore());
    }
    const info = await machine.run();
    const status = this.#status ?? statusOf(info);
    await this.#flush(this.#out);
    if (this.#out.dropped > 0) {
      this.#note(`${this.#out.dropped} bytes of output were dropped: the reader is too slow`);
    }
    if (this.#status === undefined && info.reason === "halted") {
      this.#note(`the guest halted: ${info.detail}`);
    }
    if (this.#status === undefined && info.reason === "crash") await this.#reportCrash(machine, info);
    if (choices.stats !== undefined) {
      const stats = machine.stats();
      this.#print(choices.stats === "json" ? statsJson(stats) : formatStats(stats));
    }
    await this.#flush(this.#err);
    return status;
  }

  /** Gives everything back, last taken first. */
  dispose(): void {
    for (const cleanup of this.#cleanups.splice(0).reverse()) cleanup();
  }

  async #create(): Promise<Machine> {
    const choices = this.#choices;
    // files first: what cannot be written is said before anything else is touched
    const serial = this.#open("serial", choices.serial);
    this.#debug = serial;
    const console = this.#open("console", choices.console);
    const captures = choices.nets.map((_, i) => this.#capture(i));
    const nets = choices.nets.map((net, i) => this.#net(net, captures[i]));
    return await createMachine({
      kernel: choices.kernel,
      append: choices.append,
      memory: choices.memoryBytes,
      engine: choices.engine,
      icount: choices.icount,
      hypercallPages: choices.hypercallPages,
      xenVersion: choices.xenVersion,
      noReboot: !choices.reboot,
      tracer: this.#tracer,
      nets,
      ...(choices.initrd !== undefined && { initrd: choices.initrd }),
      ...(choices.type !== undefined && { type: choices.type }),
      ...(serial && { serial }),
      ...(console && { console }),
    });
  }

  #open(which: "serial" | "console", target: ConsoleTarget): ((bytes: Uint8Array) => void) | undefined {
    if (target === "none") return undefined;
    if (target === "stdio") {
      return (bytes) => {
        this.#typingAt = which;
        this.#out.push(bytes);
      };
    }
    return this.#openFile(target.file, `${which} file`);
  }

  /** A function that appends to a new file; after a failure it says so once and swallows the rest. */
  #openFile(path: string, what: string): (bytes: Uint8Array) => void {
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(path, { write: true, create: true, truncate: true });
    } catch (cause) {
      throw new ConfigError(`Cannot write ${what} "${path}": ${reason(cause)}`, "input", { cause });
    }
    this.#cleanups.push(() => file.close());
    let broken = false;
    return (bytes) => {
      if (broken) return;
      try {
        for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      } catch (error) {
        broken = true;
        this.#note(`warning: Cannot write ${what} "${path}": ${reason(error)}`);
      }
    };
  }

  /** One file per interface: FILE, FILE.1, FILE.2. */
  #capture(index: number): ((block: Uint8Array) => void) | undefined {
    const { pcap } = this.#choices;
    if (pcap === undefined) return undefined;
    return this.#openFile(index === 0 ? pcap : `${pcap}.${index}`, "capture");
  }

  #net(choice: NetChoice, capture: ((block: Uint8Array) => void) | undefined): NetSpec {
    const common = {
      ...(choice.mac !== undefined && { mac: choice.mac }),
      ...(choice.queues !== undefined && { queues: choice.queues }),
      ...(capture && { capture }),
    };
    switch (choice.kind) {
      case "tap":
        return { ...common, tap: choice.ifname === undefined ? {} : { ifname: choice.ifname } };
      case "hub": {
        const hub = hubByName(choice.name);
        if (choice.responder) new Responder(hub.port("responder"), { tracer: this.#tracer });
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

  #outputFailed(error: unknown): void {
    if (!(error instanceof Deno.errors.BrokenPipe)) {
      this.#note(`Cannot write to standard output: ${reason(error)}`);
    }
    this.#end(STATUS_SIGPIPE);
  }

  /** Waits for output; not for long when the user wants to be gone. */
  async #flush(queue: OutputQueue): Promise<void> {
    if (this.#status === undefined) return await queue.flush();
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([queue.flush(), new Promise((done) => timer = setTimeout(done, LAST_WORDS_MS))]);
    clearTimeout(timer);
  }

  async #reportCrash(machine: Machine, info: ExitInfo): Promise<void> {
    this.#note(`the guest crashed: ${info.detail ?? "it does not say why"}`);
    this.#print(machine.crashReport() + "\n");
    const { disassemble } = await import("./disassembly.ts");
    for (const block of machine.recentCode()) {
      if (block.bytes.length === 0) this.#print(`(no code at 0x${block.rip.toString(16)})\n`);
      else this.#print(disassemble(block, { limit: LINES_OF_BLOCK, block: true }) + "\n");
    }
    const code = machine.codeAround();
    if (code.bytes.length === 0) return this.#print("(no code at RIP)\n");
    this.#print("the guest is at\n" + disassemble(code) + "\n");
  }

  #note(line: string): void {
    this.#print(`xenner: ${line}\n`);
  }
  #print(text: string): void {
    this.#err.push(new TextEncoder().encode(text));
  }
}

function statusOf(info: ExitInfo): number {
  return info.reason === "crash" ? 1 : 0;
}
