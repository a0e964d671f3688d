// SPDX-License-Identifier: MIT
/**
 * Everything of Xen that one guest has: the platform, xenstore, the PV console, the network and block backends, bound to each
 * other. They are made once; a reset, of the system or of Xen alone (SHUTDOWN_soft_reset), lets everything go and binds
 * it anew.
 * @module
 */
import { PAGE_SIZE } from "../../../cpu/base/bits.ts";
import type { Clock } from "../../../cpu/base/clock.ts";
import type { GuestMemory } from "../../../cpu/base/guest_memory.ts";
import type { Tracer } from "../../../cpu/base/trace.ts";
import type { Vcpu } from "../../../cpu/base/vcpu.ts";
import type { NetEnd } from "../../../net/ends/end.ts";
import { Netback, type NetbackState } from "../../../net/netback/netback.ts";
import { Blkback, type BlkbackState, type BlockStore } from "../../../xen/backend/blkback.ts";
import { P9back, type P9backState } from "../../../xen/backend/p9/p9back.ts";
import type { P9Service } from "../../../xen/backend/p9/service.ts";
import { ConsoleBackend, type ConsoleState } from "../../../xen/backend/console.ts";
import { BACKEND_DOMID, type BackendHost, type BackendPort } from "../../../xen/backend/host.ts";
import { XenPlatform, type XenPlatformState, type XenWires } from "../../../xen/platform/platform.ts";
import { EVTCHNSTAT_interdomain } from "../../../xen/public/event_channel.ts";
import { populateDomain } from "../../../xen/xenstore/domain.ts";
import { XenstoreRing, type XenstoreRingState } from "../../../xen/xenstore/ring.ts";
import { XenstoreServer, type XenstoreState } from "../../../xen/xenstore/server.ts";
import { pcMemoryMap } from "../../loaders/memory_map.ts";

const DOMID = 1;
const UUID = "78656e6e-6572-4000-8000-000000000001";

/** One network interface of the guest. */
export interface NetOptions {
  readonly end: NetEnd;
  readonly mac: string;
  readonly queues: number;
}

/** One disk of the guest. */
export interface DiskOptions {
  readonly store: BlockStore;
  /** "xvda" and so on. */
  readonly device: string;
}

/** One folder of the host's. */
export interface ShareOptions {
  readonly service: P9Service;
  /** What the guest mounts it by. */
  readonly tag: string;
}

/** What a domain is made of. */
export interface XenDomainOptions {
  readonly memory: GuestMemory;
  readonly vcpu: Vcpu;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly wires: Omit<XenWires, "softReset">;
  /** UNIX time in seconds. */
  wallclock(): number;
  readonly xenVersion: { readonly major: number; readonly minor: number };
  readonly hypercallPages: 1 | 2;
  readonly nets: readonly NetOptions[];
  readonly disks: readonly DiskOptions[];
  readonly shares: readonly ShareOptions[];
  /** Time follows the instruction count. */
  readonly icount: boolean;
  /** What the guest prints on its PV console; bytes are valid during the call. */
  console(bytes: Uint8Array): void;
  /** The guest notified a network backend, which has done its work: an answer may come at once. */
  netNotified(): void;
  /**
   * The guest has sent requests to a disk or a share. True: they are taken up at once; false: by {@linkcode XenDomain.pollDisks},
   * and the CPU must not go on for long before that.
   */
  diskNotified(): boolean;
  /** A disk or a share has answered outside the CPU's run. */
  diskAnswered(): void;
}

/** What a snapshot keeps. */
export interface XenDomainState {
  readonly platform: XenPlatformState;
  readonly store: XenstoreState;
  readonly ring: XenstoreRingState;
  readonly console: ConsoleState;
  /** The guest has not closed these ports. */
  readonly bound: { readonly store: boolean; readonly console: boolean };
  readonly nets: readonly NetbackState[];
  readonly disks: readonly BlkbackState[];
  readonly shares: readonly P9backState[];
}

/** See the module's description. */
export class XenDomain {
  readonly platform: XenPlatform;
  readonly store: XenstoreServer;
  readonly console: ConsoleBackend;
  readonly netbacks: readonly Netback[];
  readonly blkbacks: readonly Blkback[];
  readonly p9backs: readonly P9back[];
  readonly domid = DOMID;
  readonly #options: XenDomainOptions;
  /** Work that was put off until the CPU is not running. */
  readonly #deferred: (() => void)[] = [];
  /** Requests that {@linkcode pollDisks} will take up. */
  #diskPumps: (() => void)[] = [];
  readonly #ring: XenstoreRing;
  #storePort: BackendPort | undefined;
  #consolePort: BackendPort | undefined;

  constructor(options: XenDomainOptions) {
    this.#options = options;
    const { memory, vcpu, clock, tracer, wires } = options;
    this.platform = new XenPlatform({
      memory,
      vcpu,
      clock,
      tracer,
      wallclock: () => options.wallclock(),
      xenVersion: options.xenVersion,
      hypercallPages: options.hypercallPages,
      domid: DOMID,
      uuid: uuidBytes(UUID),
      memoryMap: pcMemoryMap(memory.ramBytes),
      wires: { ...wires, softReset: () => this.reset("soft") },
    });
    this.store = new XenstoreServer({ tracer, defer: (work) => this.#deferred.push(work) });
    this.console = new ConsoleBackend({
      page: this.#page(this.platform.console.page),
      notify: () => this.#consolePort?.notify(),
      output: (bytes) => options.console(bytes),
      tracer,
    });
    const host: BackendHost = {
      domid: DOMID,
      grants: this.platform.grants,
      events: {
        bindInterdomain: (port, handler) =>
          this.platform.events.bindInterdomain(port, () => {
            handler();
            if (this.netbacks.some(({ end }) => !(end.unhurried ?? false))) options.netNotified();
          }),
      },
      store: this.store,
    };
    this.netbacks = options.nets.map(({ end, mac, queues }, devid) =>
      new Netback(host, end, {
        devid,
        mac,
        maxQueues: queues,
        tracer,
        defer: (work) => this.#deferred.push(work),
      })
    );
    const diskHost: BackendHost = { ...host, events: this.platform.events };
    const work = {
      defer: (work: () => void) => this.#deferred.push(work),
      event: (pump: () => void) => {
        if (options.diskNotified()) pump();
        else this.#diskPumps.push(pump);
      },
      finished: () => options.diskAnswered(),
    };
    this.blkbacks = options.disks.map(({ store, device }) =>
      new Blkback(diskHost, {
        store,
        device,
        tracer,
        ...work,
        ordered: options.icount,
      })
    );
    this.p9backs = options.shares.map(({ service, tag }, devid) =>
      new P9back(diskHost, { service, tag, devid, tracer, ...work })
    );
    const page = this.#page(this.platform.store.page);
    this.#ring = new XenstoreRing(this.store, DOMID, page, () => this.#storePort?.notify());
    this.#bindStore();
    this.#bindConsole();
    this.#populate();
    for (const netback of this.netbacks) netback.start();
    for (const blkback of this.blkbacks) blkback.start();
    for (const p9back of this.p9backs) p9back.start();
  }

  /** Takes up what disks and shares were asked for; how many requests to disks there were. */
  pollDisks(): number {
    if (this.#diskPumps.length === 0) return 0;
    const taken = () => this.blkbacks.reduce((sum, blkback) => sum + blkback.taken, 0);
    const before = taken();
    for (const pump of new Set(this.#diskPumps.splice(0))) pump();
    return Math.max(0, taken() - before);
  }

  /** Requests wait for {@linkcode pollDisks}. */
  get disksAsked(): boolean {
    return this.#diskPumps.length > 0;
  }

  /** A disk or a share was asked for something that is not answered yet. */
  get disksWork(): boolean {
    return this.#diskPumps.length > 0 || this.blkbacks.some((blkback) => blkback.underWay > 0) ||
      this.p9backs.some((p9back) => p9back.underWay > 0);
  }

  /** Runs what was put off. */
  runDeferred(): void {
    for (let i = 0; i < this.#deferred.length; i++) (this.#deferred[i] as () => void)();
    this.#deferred.length = 0;
  }

  /**
   * As before the guest's first instruction: old rings and grants are let go, xenstore is as new, ports are new and
   * backends wait. "soft": RAM stays where the guest has it. What was typed at the console waits for the next kernel.
   */
  reset(kind: "system" | "soft"): void {
    this.#unbind();
    this.store.reset();
    this.platform.reset(kind);
    this.#ring.reset();
    this.#bindStore();
    this.#bindConsole();
    this.#populate();
    for (const netback of this.netbacks) netback.reset();
    this.#diskPumps = [];
    for (const blkback of this.blkbacks) blkback.reset();
    for (const p9back of this.p9backs) p9back.reset();
  }

  /** Between the CPU's runs only. */
  save(): XenDomainState {
    this.pollDisks();
    this.runDeferred();
    const { platform } = this;
    const bound = (port: number): boolean => {
      const status = platform.events.status(port);
      return typeof status !== "number" && status.status === EVTCHNSTAT_interdomain &&
        status.domid === BACKEND_DOMID;
    };
    return {
      platform: platform.save(),
      store: this.store.save(),
      ring: this.#ring.save(),
      console: this.console.save(),
      bound: { store: bound(platform.store.port), console: bound(platform.console.port) },
      nets: this.netbacks.map((netback) => netback.save()),
      disks: this.blkbacks.map((blkback) => blkback.save()),
      shares: this.p9backs.map((p9back) => p9back.save()),
    };
  }

  /** Restores what `save` gave; RAM, the clock and the CPU must be restored already. */
  restore(state: XenDomainState): void {
    this.#unbind();
    this.platform.restore(state.platform);
    if (state.bound.store) this.#bindStore();
    if (state.bound.console) this.#bindConsole();
    this.store.restore(state.store);
    this.#ring.restore(state.ring);
    this.console.restore(state.console);
    this.netbacks.forEach((netback, i) => netback.restore(state.nets[i] as NetbackState));
    this.blkbacks.forEach((blkback, i) => blkback.restore(state.disks[i] as BlkbackState));
    this.p9backs.forEach((p9back, i) => p9back.restore(state.shares[i] as P9backState));
    this.platform.grants.dropOrphans();
    this.runDeferred();
  }

  /** Lets go of the network ends, the shares and the disks; resolves when their images are closed. Never rejects. */
  async close(): Promise<void> {
    for (const netback of this.netbacks) netback.close();
    for (const { service } of this.#options.shares) service.close();
    await Promise.all(this.#options.disks.map(async ({ store, device }) => {
      try {
        await store.close?.();
      } catch (error) {
        this.#options.tracer.warnOnce(`disk.${device}.close`, `${device}: ${reason(error)}`);
      }
    }));
  }

  #page(offset: number): Uint8Array<ArrayBuffer> {
    return this.#options.memory.bytes.subarray(offset, offset + PAGE_SIZE);
  }
  #unbind(): void {
    this.#storePort?.close();
    this.#consolePort?.close();
    this.#storePort = this.#consolePort = undefined;
  }
  #bindStore(): void {
    const { events, store } = this.platform;
    this.#storePort = events.bindInterdomain(store.port, () => this.#ring.onEvent());
  }
  #bindConsole(): void {
    const { events, console: { port } } = this.platform;
    this.#consolePort = events.bindInterdomain(port, () => this.console.onEvent());
  }
  /** What Xen's tools do before the guest starts. */
  #populate(): void {
    const { store, console: ring } = this.platform;
    populateDomain(this.store, {
      domid: DOMID,
      name: "guest",
      uuid: UUID,
      memoryKiB: this.#options.memory.ramBytes / 1024,
      vcpus: 1,
      store: { port: store.port, gfn: store.gfn },
      console: { port: ring.port, gfn: ring.gfn },
    });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function uuidBytes(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll("-", "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
