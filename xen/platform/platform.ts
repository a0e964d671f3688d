// SPDX-License-Identifier: MIT
/**
 * The Xen side of the machine: everything a guest's PV-on-HVM drivers expect of the hypervisor, for one domain with
 * one vCPU. Backends get `grants` and `events`; xenstore and console get their ring pages and ports.
 *
 * Whoever drives the vCPU: routes the MSR, the CPUID leaves, vmcall/vmmcall and the hypercall port here; takes
 * `upcall` as an interrupt source that comes before the interrupt controllers; does not run the vCPU while `blocked`;
 * calls `wake` when another interrupt comes up; calls `resample` now and then for a guest that makes an upcall pending by
 * itself. Lines it is given for the event callback are taken down by whoever looks at them (see the wires).
 * @module
 */
import type { AccessSize, IrqLine, PortDevice } from "../../cpu/base/bus.ts";
import { assert } from "../../cpu/base/assert.ts";
import { type Gfn, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { Clock } from "../../cpu/base/clock.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type { Vcpu } from "../../cpu/base/vcpu.ts";
import { type CpuidInfo, xenCpuid } from "./cpuid.ts";
import { BACKEND_DOMID } from "../backend/host.ts";
import { EventChannels, type EventChannelsState } from "../events/event_channels.ts";
import { GrantTable, type GrantTableState } from "../memory/grant_table.ts";
import { HYPERCALL_PORT, HypercallPages, XEN_HYPERCALL_MSR } from "./hypercall_page.ts";
import { type HypercallEvent, type HypercallRequest, Hypercalls } from "../hypercalls/hypercalls.ts";
import { GuestMemoryMap, type MemoryRange } from "../memory/memory_map.ts";
import { HvmParams } from "../hypercalls/hvm_params.ts";
import type { VersionInfo, XenParts } from "../hypercalls/parts.ts";
import { Physmap, type PhysmapState } from "../memory/physmap.ts";
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from "../public/grant_table.ts";
import {
  HVM_PARAM_CONSOLE_EVTCHN,
  HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM_STORE_PFN,
} from "../public/hvm/params.ts";
import { SHUTDOWN_soft_reset, SHUTDOWN_watchdog } from "../public/sched.ts";
import { VIRQ_TIMER } from "../public/xen.ts";
import { Scheduler, type SchedulerState } from "../time/scheduler.ts";
import { SharedInfo, type SharedInfoState } from "../memory/shared_info.ts";
import { type TimersState, XenTimers } from "../time/timers.ts";
import { Upcall } from "../events/upcall.ts";

/** Where Xen's tools put the xenstore ring. */
export const STORE_GFN = 0xf_effc;
/** Where Xen's tools put the console ring. */
export const CONSOLE_GFN = 0xf_efff;

/** What the platform pulls at. */
export interface XenWires {
  /** Input `gsi` of the interrupt controllers, for an event callback by GSI; up for as long as `level` says so. */
  gsi(gsi: number, level: () => boolean): IrqLine | undefined;
  /** Pin (0: INTA#) of a PCI device on bus 0, for a callback by INTx; likewise. */
  pciIntx?(device: number, pin: number, level: () => boolean): IrqLine | undefined;
  /** Raises an edge-triggered vector in the vCPU's local APIC. */
  injectVector(vector: number): void;
  /** The vCPU should ask its interrupt sources again, `upcall` among them. */
  interruptsChanged(): void;
  /**
   * The guest asked for SHUTDOWN_* `reason` (SHUTDOWN_watchdog: its watchdog did), but not for SHUTDOWN_soft_reset.
   * Answer false to let it go on: a suspend then counts as cancelled.
   */
  shutdown(reason: number): boolean | void;
  /**
   * The guest asked for SHUTDOWN_soft_reset and goes on after it: let backends go, call `reset("soft")`, bind store and
   * console to their new ports, and offer the devices anew.
   */
  softReset(): void;
  /** `blocked` has changed. */
  blockedChanged?(blocked: boolean): void;
  /** True when an interrupt controller has something for the vCPU. */
  interruptPending?(): boolean;
  /** Raises an NMI. */
  nmi?(): void;
  /** Bytes for the hypervisor's console, valid during the call. */
  consoleWrite?(bytes: Uint8Array): void;
}

/** Everything the platform is made of. */
export interface XenPlatformOptions {
  readonly memory: GuestMemory;
  readonly vcpu: Vcpu;
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly wires: XenWires;
  /** Seconds since 1970-01-01 00:00 UTC, with a fraction. */
  wallclock(): number;
  /** What the guest is told; default 4.17. */
  readonly xenVersion?: { readonly major: number; readonly minor: number };
  /**
   * Hypercall pages to announce; default 1, which is what the ABI guarantees and all that FreeBSD reserves room for,
   * although it loads as many as it is told.
   */
  readonly hypercallPages?: 1 | 2;
  /** The guest's domain id; default 1. */
  readonly domid?: number;
  /** The guest's UUID, 16 bytes; default zeros. */
  readonly uuid?: Uint8Array;
  /** What XENMEM_memory_map answers; default: -ENOSYS. */
  readonly memoryMap?: readonly MemoryRange[];
  /** See cpuid.ts; default false. */
  readonly advertiseUpcallVector?: boolean;
  readonly storeGfn?: Gfn;
  readonly consoleGfn?: Gfn;
}

/** A page shared with a daemon in dom0, and the guest's port for it. */
export interface SharedRing {
  /** Byte offset of the page in the memory. */
  readonly page: number;
  /** Where the guest sees it. */
  readonly gfn: Gfn;
  /** The guest's port, unbound until dom0 binds to it with `events.bindInterdomain`. */
  readonly port: number;
}

/** Format of {@linkcode XenPlatformState}. */
export const XEN_PLATFORM_STATE_VERSION = 1;

/** A snapshot of the platform; guest RAM is not in it. */
export interface XenPlatformState {
  readonly version: number;
  readonly physmap: PhysmapState;
  readonly shared: SharedInfoState;
  readonly upcall: { via: bigint; apicVector: number };
  readonly events: EventChannelsState;
  readonly grants: GrantTableState;
  readonly params: BigUint64Array;
  readonly memoryMap: Uint8Array;
  readonly timers: TimersState;
  readonly scheduler: SchedulerState;
  readonly hypercallPages: { waiting: number; waitingPage: number };
  readonly rings: readonly { readonly gfn: number; readonly port: number; readonly bytes: Uint8Array }[];
}

/** See the module's description. */
export class XenPlatform {
  readonly domid: number;
  readonly grants: GrantTable;
  readonly events: EventChannels;
  readonly upcall: Upcall;
  readonly scheduler: Scheduler;
  readonly sharedInfo: SharedInfo;
  readonly physmap: Physmap;
  readonly params: HvmParams = new HvmParams();
  readonly memoryMap: GuestMemoryMap;
  readonly timers: XenTimers;
  /** Map it at HYPERCALL_PORT. */
  readonly hypercallPort: PortDevice<null>;
  readonly #options: XenPlatformOptions;
  readonly #hypercalls: Hypercalls;
  readonly #pages: HypercallPages;
  readonly #cpuid: CpuidInfo;
  readonly #storePage: number;
  readonly #consolePage: number;
  #rings: { store: SharedRing; console: SharedRing };

  constructor(options: XenPlatformOptions) {
    this.#options = options;
    const { memory, vcpu, clock, tracer, wires } = options;
    const { major, minor } = options.xenVersion ?? { major: 4, minor: 17 };
    const hypercallPages = options.hypercallPages ?? 1;
    const domid = this.domid = options.domid ?? 1;
    const version: VersionInfo = { major, minor, extra: ".0", uuid: options.uuid ?? new Uint8Array(16) };
    this.#cpuid = {
      major,
      minor,
      hypercallPages,
      tscHz: vcpu.tscHz,
      vcpuId: vcpu.id,
      domid,
      advertiseUpcallVector: options.advertiseUpcallVector ?? false,
    };
    this.physmap = new Physmap(memory);
    this.memoryMap = new GuestMemoryMap(options.memoryMap ?? []);
    const sharedPage = this.#xenPage("shared_info");
    this.#storePage = this.#xenPage("xenstore");
    this.#consolePage = this.#xenPage("console");
    this.sharedInfo = new SharedInfo(memory, sharedPage, vcpu, clock, () => options.wallclock());
    this.upcall = new Upcall(memory, this.sharedInfo, {
      gsi: (gsi, level) => wires.gsi(gsi, level),
      pciIntx: (device, pin, level) => wires.pciIntx?.(device, pin, level),
      injectVector: (vector) => wires.injectVector(vector),
      interruptsChanged: () => wires.interruptsChanged(),
    });
    this.events = new EventChannels(memory, this.sharedInfo, this.upcall, domid, options.tracer);
    this.grants = new GrantTable(memory, this.physmap, domid);
    this.scheduler = new Scheduler(clock, vcpu);
    this.timers = new XenTimers(
      clock,
      () => this.events.raiseVirq(VIRQ_TIMER),
      () => {
        if (this.#shutdown(SHUTDOWN_watchdog)) this.scheduler.stop();
      },
    );
    this.scheduler.onBlockedChanged = (blocked) => wires.blockedChanged?.(blocked);
    this.upcall.onAssert = () => this.scheduler.wake();
    this.events.onPending = (port) => this.scheduler.portPending(port);
    this.#pages = new HypercallPages(memory, hypercallPages);
    const parts: XenParts = {
      domid,
      memory,
      clock,
      tracer,
      version,
      memoryMap: this.memoryMap,
      physmap: this.physmap,
      shared: this.sharedInfo,
      upcall: this.upcall,
      events: this.events,
      grants: this.grants,
      params: this.params,
      timers: this.timers,
      scheduler: this.scheduler,
      consoleWrite: (bytes) => wires.consoleWrite?.(bytes),
      interruptPending: () => wires.interruptPending?.() ?? false,
      sendNmi: () => {
        wires.nmi?.();
        return wires.nmi !== undefined;
      },
      shutdown: (reason) => this.#shutdown(reason),
    };
    this.#hypercalls = new Hypercalls(parts, vcpu);
    this.hypercallPort = new HypercallPort(() => this.hypercall());
    this.#rings = this.#populate();
  }

  /** The xenstore ring. */
  get store(): SharedRing {
    return this.#rings.store;
  }

  /** The console ring. */
  get console(): SharedRing {
    return this.#rings.console;
  }

  /** True while the vCPU must not run, because of sched_op or a shutdown. */
  get blocked(): boolean {
    return this.scheduler.blocked;
  }

  /** Performs the hypercall in the vCPU's registers. Look at `blocked` before running on. */
  hypercall(): void {
    this.#hypercalls.run();
    this.upcall.syncLine();
  }

  /** Whom to tell of every hypercall; undefined, the default, costs nothing. */
  set onHypercall(listener: ((event: HypercallEvent) => void) | undefined) {
    this.#hypercalls.onHypercall = listener;
  }

  /** Who may answer hypercalls in our place; undefined, the default, costs nothing. */
  set hypercallHook(hook: ((request: HypercallRequest) => number | undefined) | undefined) {
    this.#hypercalls.hook = hook;
  }

  /** Fills a Xen CPUID leaf into `out[0..3]`; false when the leaf is not Xen's. */
  cpuid(leaf: number, subleaf: number, out: Uint32Array): boolean {
    return xenCpuid(this.#cpuid, leaf, subleaf, out);
  }

  /** True when `msr` is Xen's. */
  ownsMsr(msr: number): boolean {
    return msr === XEN_HYPERCALL_MSR;
  }

  /** Value of an MSR that is Xen's. */
  rdmsr(_msr: number): bigint {
    return 0n;
  }

  /** Writes an MSR that is Xen's; false: inject #GP. */
  wrmsr(_msr: number, value: bigint): boolean {
    if (!this.#pages.load(value)) return false;
    const { vcpu, tracer } = this.#options;
    tracer.log("xen", `hypercall page ${value & 0xfffn} at 0x${(value & ~0xfffn).toString(16)}`);
    this.sharedInfo.latch(vcpu.codeBits === 64 ? 64 : 32);
    return true;
  }

  /** Some other interrupt came up: a vCPU blocked by sched_op runs again. */
  wake(): void {
    this.scheduler.wake();
  }

  /** Brings the event callback's interrupt line up to date with what the guest wrote to its vcpu_info. */
  resample(): void {
    this.upcall.syncLine();
  }

  /**
   * As at machine start, or "soft": as a new kernel wants it that runs on in this domain (kexec). Then the RAM stays where
   * it is; what the guest gave back stays away, and no frame is without the RAM that a page of Xen's covered. Backends
   * must have let go of grants and ports; store and console bind anew.
   */
  reset(kind: "system" | "soft" = "system"): void {
    this.events.closeAll();
    if (kind === "soft") this.physmap.withdrawXenPages();
    this.sharedInfo.reset();
    this.upcall.reset();
    this.timers.reset();
    this.scheduler.reset();
    this.params.reset();
    this.memoryMap.reset();
    this.#pages.reset();
    this.grants.reset();
    if (kind === "system") this.physmap.reset();
    this.#rings = this.#populate();
  }

  /** A plain record; see {@linkcode XenPlatformState}. */
  save(): XenPlatformState {
    return {
      version: XEN_PLATFORM_STATE_VERSION,
      physmap: this.physmap.save(),
      shared: this.sharedInfo.save(),
      upcall: this.upcall.save(),
      events: this.events.save(),
      grants: this.grants.save(),
      params: this.params.save(),
      memoryMap: this.memoryMap.save(),
      timers: this.timers.save(),
      scheduler: this.scheduler.save(),
      hypercallPages: this.#pages.save(),
      rings: [this.#rings.store, this.#rings.console].map(({ page, gfn, port }) => ({
        gfn,
        port,
        bytes: this.#options.memory.bytes.slice(page, page + PAGE_SIZE),
      })),
    };
  }

  /** Restores what `save` gave, after RAM and clock; backends bind and map again after it. */
  restore(state: XenPlatformState): void {
    if (state.version !== XEN_PLATFORM_STATE_VERSION) {
      throw new RangeError(`Cannot restore Xen state of version ${state.version}: this is version 1`);
    }
    this.grants.restore(state.grants);
    this.physmap.restore(state.physmap);
    this.params.restore(state.params);
    this.memoryMap.restore(state.memoryMap);
    this.sharedInfo.restore(state.shared);
    this.events.restore(state.events);
    this.timers.restore(state.timers);
    this.scheduler.restore(state.scheduler);
    this.upcall.restore(state.upcall);
    this.#pages.restore(state.hypercallPages);
    const ring = (page: number, i: number, now: SharedRing): SharedRing => {
      const saved = state.rings[i];
      if (saved === undefined) return now;
      this.#options.memory.bytes.set(saved.bytes.subarray(0, PAGE_SIZE), page);
      return { page, gfn: saved.gfn, port: saved.port };
    };
    this.#rings = {
      store: ring(this.#storePage, 0, this.#rings.store),
      console: ring(this.#consolePage, 1, this.#rings.console),
    };
  }

  #xenPage(name: string): number {
    const page = this.#options.memory.allocatePage();
    assert(page !== 0, "pages of Xen's own are left");
    this.physmap.addXenPage(page, name);
    return page;
  }

  /** What Xen's tools do before a guest starts. */
  #populate(): { store: SharedRing; console: SharedRing } {
    const { memory, storeGfn = STORE_GFN, consoleGfn = CONSOLE_GFN } = this.#options;
    const ring = (page: number, gfn: Gfn, pfnParam: number, portParam: number, gref: number): SharedRing => {
      memory.bytes.fill(0, page, page + PAGE_SIZE);
      this.physmap.place(gfn, page);
      const port = this.events.allocUnbound(BACKEND_DOMID);
      this.params.set(pfnParam, BigInt(gfn));
      this.params.set(portParam, BigInt(port));
      this.grants.seed(gref, gfn);
      return { page, gfn, port };
    };
    return {
      store: ring(
        this.#storePage,
        storeGfn,
        HVM_PARAM_STORE_PFN,
        HVM_PARAM_STORE_EVTCHN,
        GNTTAB_RESERVED_XENSTORE,
      ),
      console: ring(
        this.#consolePage,
        consoleGfn,
        HVM_PARAM_CONSOLE_PFN,
        HVM_PARAM_CONSOLE_EVTCHN,
        GNTTAB_RESERVED_CONSOLE,
      ),
    };
  }

  #shutdown(reason: number): boolean {
    this.#options.tracer.log("xen", `shutdown, reason ${reason}`);
    if (reason === SHUTDOWN_soft_reset) {
      this.#options.wires.softReset();
      return false;
    }
    return this.#options.wires.shutdown(reason) !== false;
  }
}

/** The port the hypercall pages write to. Other accesses find nobody home. */
class HypercallPort implements PortDevice<null> {
  readonly name = "xen-hypercall";
  readonly portCount = 4;
  readonly #enter: () => void;
  constructor(enter: () => void) {
    this.#enter = enter;
  }
  readPort(_offset: number, size: AccessSize): number {
    return 2 ** (8 * size) - 1;
  }
  writePort(offset: number, size: AccessSize, _value: number): void {
    if (offset === 0 && size === 4) this.#enter();
  }
  reset(): void {}
  save(): null {
    return null;
  }
  restore(_state: null): void {}
}

export { HYPERCALL_PORT, XEN_HYPERCALL_MSR };
