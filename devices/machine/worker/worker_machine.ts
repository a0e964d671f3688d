// SPDX-License-Identifier: MIT
/**
 * A machine that runs in a worker, so that two of them do not share a processor, and none of them this thread: made by
 * createMachine with `worker: true`. It is a {@linkcode Machine} whose answers come as promises; consoles and events are
 * as there.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { extend } from "../../../net/ends/port_end.ts";
import type { NetEnd } from "../../../net/ends/end.ts";
import type { Hub } from "../../../net/ends/hub.ts";
import { hostPath } from "../../loaders/host_file.ts";
import { afterMs, GuestConsole } from "../api/guest_console.ts";
import { show, signalOf } from "../check_options.ts";
import type { CreateOptions, FileSource, NetSpec } from "../create_options.ts";
import { checkListener, Listeners, type MachineEvents } from "../events.ts";
import type { ExitInfo, MachineStats, MachineType } from "../machine_options.ts";
import type { MachineSnapshot } from "../snapshot.ts";
import type { ShutdownRequest } from "../../../xen/xenstore/domain.ts";
import { errorOf, type FromWorker, type ToWorker, type WorkerNet, type WorkerOptions } from "./messages.ts";

/** A guest's xenstore whose answers come as promises; see GuestStore. */
export interface WorkerStore {
  /** The value of a node; undefined when there is none. */
  read(path: string): Promise<string | undefined>;
  /** Names of a node's children; undefined when there is no such node. */
  list(path: string): Promise<string[] | undefined>;
  /** Writes a node, and makes it when there is none. */
  write(path: string, value: string): Promise<void>;
  /** Removes a node with all below it. */
  remove(path: string): Promise<void>;
  /** Calls `changed` once, and for whatever changes there; the result ends that. */
  watch(path: string, changed: (path: string) => void): Promise<() => void>;
}

/**
 * A machine in a worker, a thread of its own, made by createMachine with `worker: true`: what a {@linkcode Machine} answers
 * comes as promises here, consoles are the same, and events come a moment after they happened.
 */
export class WorkerMachine {
  /** The Xen PV console (hvc0). */
  readonly console: GuestConsole = this.#guestConsole("sendConsole");
  /** The first 16550 (ttyS0). */
  readonly serial: GuestConsole = this.#guestConsole("sendSerial");
  /** hvm or pvh. */
  readonly type: MachineType;
  /** The guest's xenstore, as domain 0 sees it. */
  readonly xenstore: WorkerStore = {
    read: (path) => this.#call("xenstore.read", path),
    list: (path) => this.#call("xenstore.list", path),
    write: (path, value) => this.#call("xenstore.write", path, value),
    remove: (path) => this.#call("xenstore.remove", path),
    watch: async (path, changed) => {
      if (typeof changed !== "function") {
        throw new ConfigError(
          `Cannot watch ${show(path)} in xenstore: there is no function to call`,
        );
      }
      const watch = ++this.#calls;
      this.#watches.set(watch, changed);
      await this.#call("xenstore.watch", path, watch);
      return () => {
        this.#watches.delete(watch);
        this.#call("xenstore.unwatch", watch).catch(() => {});
      };
    },
  };
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #watches = new Map<number, (path: string) => void>();
  readonly #listeners = new Listeners((event) => this.#listen(event));
  readonly #ends: readonly NetEnd[];
  readonly #captures: readonly (((block: Uint8Array<ArrayBuffer>) => void) | undefined)[];
  #calls = 0;
  #closing: Promise<void> | undefined;
  #over: string | undefined;
  #running = false;

  private constructor(worker: Worker, type: MachineType, parts: Parts, options: CreateOptions) {
    this.#worker = worker;
    this.type = type;
    this.#ends = parts.ends;
    this.#captures = parts.captures;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#take(data, options);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`the worker failed: ${event.message}`);
    };
  }

  /**
   * Starts a worker and makes a machine there; rejects as createMachine does. `options` were checked.
   * @internal
   */
  static async create(options: CreateOptions, hubByName: (name: string) => Hub): Promise<WorkerMachine> {
    const parts = partsOf(options, hubByName);
    const worker = new Worker(new URL("./machine_worker.ts", import.meta.url), {
      type: "module",
      name: "xenner",
    });
    try {
      const type = await new Promise<MachineType>((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
          if (data.kind === "created") resolve(data.type);
          else if (data.kind === "error") reject(errorOf(data.error));
        };
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new ConfigError(`Cannot start a worker: ${event.message}`, "host"));
        };
        const create: ToWorker = { kind: "create", options: parts.options };
        worker.postMessage(create, parts.ports);
      });
      return new WorkerMachine(worker, type, parts, options);
    } catch (error) {
      worker.terminate();
      for (const end of parts.ends) end.close();
      throw error;
    }
  }

  /** Runs until the guest ends, stop() is called, or `signal` aborts: then it resolves to "stopped" too. */
  async run(options: { readonly signal?: AbortSignal } = {}): Promise<ExitInfo> {
    const signal = signalOf(options);
    const stop = () => void this.stop().catch(() => {});
    signal?.addEventListener("abort", stop);
    const run = this.#call<ExitInfo>("run");
    if (signal?.aborted) stop();
    this.#running = true;
    try {
      const info = await run;
      if (info.reason !== "stopped") { for (const each of [this.console, this.serial]) each.finished(); }
      return info;
    } finally {
      this.#running = false;
      signal?.removeEventListener("abort", stop);
      for (const each of [this.console, this.serial]) each.ended("the run has ended");
    }
  }

  /** Ends a running machine; run() resolves to "stopped". */
  stop(): Promise<void> {
    return this.#call("stop");
  }
  /** Has it stand still until resume(); resolves when it does. */
  pause(): Promise<void> {
    return this.#call("pause");
  }
  /** Lets it go on. */
  resume(): Promise<void> {
    return this.#call("resume");
  }
  /** Presses the reset button. */
  reset(): Promise<void> {
    return this.#call("reset");
  }
  /** Asks the guest to shut down. */
  requestShutdown(what: ShutdownRequest): Promise<void> {
    return this.#call("requestShutdown", what);
  }
  /** Presses a SysRq key. */
  sysrq(key: string): Promise<void> {
    return this.#call("sysrq", key);
  }
  /** Asks the guest's balloon driver to make do with so much memory. */
  setMemoryTarget(size: number | string): Promise<void> {
    return this.#call("setMemoryTarget", size);
  }
  /** Plugs the cable of an interface in or out. */
  setLink(net: number, up: boolean): Promise<void> {
    return this.#call("setLink", net, up);
  }
  /** Presses the NMI button. */
  sendNmi(): Promise<void> {
    return this.#call("sendNmi");
  }
  /** Types at the first 16550; resolves to how many bytes were accepted. */
  sendSerial(bytes: Uint8Array): Promise<number> {
    return this.#call("sendSerial", bytes);
  }
  /** Types at the PV console; resolves to how many bytes were accepted. */
  sendConsole(bytes: Uint8Array): Promise<number> {
    return this.#call("sendConsole", bytes);
  }
  /** Counters so far. */
  stats(): Promise<MachineStats> {
    return this.#call("stats");
  }
  /** General registers, RIP, RFLAGS, control registers. */
  registers(): Promise<Record<string, bigint>> {
    return this.#call("registers");
  }
  /** Copies guest physical memory. */
  readMemory(gpa: number, length: number): Promise<Uint8Array> {
    return this.#call("readMemory", gpa, length);
  }
  /** Writes guest physical memory. */
  writeMemory(gpa: number, bytes: Uint8Array): Promise<void> {
    return this.#call("writeMemory", gpa, bytes);
  }
  /** The whole machine as a plain record. Not while it runs: stop it first. */
  save(): Promise<MachineSnapshot> {
    return this.#call("save");
  }
  /** Becomes the machine that was saved; it was made with the same options, here or there. */
  restore(snapshot: MachineSnapshot): Promise<void> {
    return this.#call("restore", snapshot);
  }

  /** Adds a listener; it is told a moment later, while the guest goes on. The result removes it. */
  on<E extends keyof MachineEvents>(event: E, listener: MachineEvents[E]): () => void {
    checkListener(event, listener);
    return this.#listeners.add(event, listener);
  }
  /** The next event: what its listeners get, as an array. */
  once<E extends keyof MachineEvents>(event: E): Promise<Parameters<MachineEvents[E]>> {
    return new Promise((resolve) => {
      const remove = this.on(
        event,
        ((...args: Parameters<MachineEvents[E]>) => {
          remove();
          resolve(args);
        }) as MachineEvents[E],
      );
    });
  }

  /** Lets go of everything, the worker too. A machine that runs is stopped first; run() still resolves. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }
  async #close(): Promise<void> {
    for (const each of [this.console, this.serial]) each.close("the machine is closed");
    try {
      if (this.#over === undefined) await this.#call("close");
    } finally {
      this.#fail("it is closed");
    }
  }
  /** Closes it: `await using machine = await createMachine({ worker: true, … })`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #fail(why: string): void {
    this.#over ??= why;
    this.#worker.terminate();
    for (const end of this.#ends) end.close();
    for (const each of [this.console, this.serial]) each.close(why);
    for (const { reject } of this.#waiting.values()) {
      reject(new ConfigError(`Cannot go on with the machine: ${why}`));
    }
    this.#waiting.clear();
  }

  #guestConsole(method: "sendConsole" | "sendSerial"): GuestConsole {
    return new GuestConsole({
      // what the worker has no room for it cannot give back: the pieces are small, and go one after the other
      send: (bytes) => this.#type(method, bytes),
      after: afterMs,
      hold: (held) => void this.#call("hold", held).catch(() => {}),
    });
  }

  /** One piece on its way at a time: the guest's side says how much of it was taken. */
  #type(method: "sendConsole" | "sendSerial", bytes: Uint8Array): number {
    const state = this.#typing[method];
    if (state.taken > 0) { // of the piece before, which is tried again
      const { taken } = state;
      state.taken = 0;
      return taken;
    }
    if (!state.busy && bytes.length > 0 && this.#over === undefined) {
      state.busy = true;
      this.#call<number>(method, bytes.slice(0, 4096)).then((taken) => {
        state.busy = false;
        state.taken = taken;
        // when nothing was taken it is tried again after a while
        if (taken > 0) (method === "sendConsole" ? this.console : this.serial).pump();
      }, () => {});
    }
    return 0;
  }
  readonly #typing = {
    sendConsole: { busy: false, taken: 0 },
    sendSerial: { busy: false, taken: 0 },
  };

  #call<T>(method: string, ...args: unknown[]): Promise<T> {
    if (this.#over !== undefined) {
      return Promise.reject(new ConfigError(`Cannot ${methodName(method)} the machine: ${this.#over}`));
    }
    const id = ++this.#calls;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    try {
      this.#post({ kind: "call", id, method, args });
    } catch (cause) {
      this.#waiting.delete(id);
      const why = `an argument cannot pass to another thread`;
      waiting.reject(new ConfigError(`Cannot ${methodName(method)} the machine: ${why}`, "input", { cause }));
    }
    return waiting.promise as Promise<T>;
  }
  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #listen(event: keyof MachineEvents): void {
    if (this.#over === undefined) this.#post({ kind: "listen", event, on: this.#listeners.has(event) });
  }

  #take(message: FromWorker, options: CreateOptions): void {
    switch (message.kind) {
      case "result":
        this.#waiting.get(message.id)?.resolve(message.value);
        this.#waiting.delete(message.id);
        return;
      case "error":
        this.#waiting.get(message.id)?.reject(errorOf(message.error));
        this.#waiting.delete(message.id);
        return;
      case "captured":
        return this.#captures[message.net]?.(message.block);
      case "watched":
        return this.#watches.get(message.watch)?.(message.path);
      case "event": {
        const args = message.args as Parameters<MachineEvents["console"]>;
        if (message.event === "console") {
          const [bytes, which] = args;
          if (which !== "debug") options[which]?.(bytes);
          this.#listeners.emit("console", ...args);
          if (which !== "debug") this[which].printed(bytes);
        } else this.#listeners.emit(message.event, ...(args as never));
      }
    }
  }
}

/** What is made of options for the way over. */
interface Parts {
  readonly options: WorkerOptions;
  readonly ports: MessagePort[];
  readonly ends: NetEnd[];
  readonly captures: (((block: Uint8Array<ArrayBuffer>) => void) | undefined)[];
}

function partsOf(options: CreateOptions, hubByName: (name: string) => Hub): Parts {
  const { nets = [], serial: _serial, console: _console, tracer, clock, ...plain } = options;
  const refuse = (what: string): never => {
    throw new ConfigError(`Cannot use ${what} with worker: it cannot pass to another thread`);
  };
  if (tracer !== undefined) refuse("tracer");
  if (clock !== undefined) refuse("clock");
  for (const [i, disk] of (options.disks ?? []).entries()) {
    if (typeof disk === "object" && !(disk instanceof URL) && ("store" in disk || "read" in disk)) {
      refuse(`the store of disks[${i}]`);
    }
  }
  const parts: Parts = {
    options: {
      plain: {
        ...plain,
        ...(plain.kernel !== undefined && { kernel: passable(plain.kernel) }),
        ...(plain.root !== undefined && { root: pathOf(plain.root) }),
        ...(plain.initrd !== undefined && { initrd: passable(plain.initrd) }),
        ...(plain.modules && {
          modules: plain.modules.map((module) => ({ ...module, file: passable(module.file) })),
        }),
        ...(plain.disks && {
          disks: plain.disks.map((disk) =>
            disk instanceof URL
              ? pathOf(disk)
              : typeof disk === "object" && "path" in disk
              ? { ...disk, path: pathOf(disk.path) }
              : disk
          ),
        }),
        ...(plain.shares &&
          { shares: plain.shares.map((share) => ({ ...share, path: pathOf(share.path) })) }),
      },
      nets: [],
    },
    ports: [],
    ends: [],
    captures: [],
  };
  const made: WorkerNet[] = [];
  for (const [i, net] of nets.entries()) {
    if (net === "none") {
      made.push({ common: {}, captured: false, spec: net });
      parts.captures.push(undefined);
      continue;
    }
    if ("end" in net) refuse(`the end of nets[${i}]`);
    const { mac, queues, capture, ...rest } = net;
    const common = { ...(mac !== undefined && { mac }), ...(queues !== undefined && { queues }) };
    parts.captures.push(capture);
    const captured = capture !== undefined;
    if (!("hub" in rest)) {
      made.push({ common, captured, spec: rest as NetSpec });
      continue;
    }
    const { port1, port2 } = new MessageChannel();
    const end = (typeof rest.hub === "string" ? hubByName(rest.hub) : rest.hub).port();
    extend(end, port1);
    parts.ends.push(end);
    parts.ports.push(port2);
    made.push({ common, captured, port: port2 });
  }
  return { ...parts, options: { ...parts.options, nets: made } };
}

/** What a method does, for messages. */
function methodName(method: string): string {
  return METHOD_VERBS[method] ?? `call ${method}() of`;
}
const METHOD_VERBS: Readonly<Record<string, string>> = {
  run: "run",
  stop: "stop",
  pause: "pause",
  resume: "resume",
  reset: "reset",
  save: "save",
  restore: "restore",
};

/** The path of a file: URL; what is none there says the worker. */
function pathOf(path: string | URL): string {
  return hostPath(path) ?? String(path);
}

/** A URL as text; what else there is passes as it is. */
function passable(source: FileSource): FileSource {
  return source instanceof URL ? source.href : source;
}
