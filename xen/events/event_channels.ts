// SPDX-License-Identifier: MIT
/**
 * The guest's event channels, from the guest's side and from the side of backends in dom0. Rules: Xen
 * public/event_channel.h; behavior of common/event_channel.c. One vCPU; no pirqs.
 *
 * Binding does not call the backend's handler, as Xen would for a notification it might have lost: a backend looks
 * at its ring after binding.
 * @module
 */
import { type Gfn, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { BACKEND_DOMID, type BackendPort, type EventAccess } from "../backend/host.ts";
import { type EventAbi, TwoLevelEvents } from "./event_2l.ts";
import { FifoEvents, type FifoState } from "./event_fifo.ts";
import {
  XEN_EEXIST,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_ESRCH,
} from "../public/errno.ts";
import {
  evtchn_fifo_control_block,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
} from "../public/event_channel.ts";
import { NR_VIRQS, VIRQ_DEBUG, VIRQ_TIMER, VIRQ_XENOPROF, VIRQ_XENPMU } from "../public/xen.ts";
import type { SharedInfo } from "../memory/shared_info.ts";
import type { Upcall } from "./upcall.ts";

/** Ports 0..4095, of which 0 is never used: what the two-level ABI has, and Xen's tools allow at most. */
export const MAX_PORTS = 4096;

/** State of one port as EVTCHNOP_status tells it. */
export interface PortStatus {
  readonly status: number;
  /** The other domain (unbound, interdomain). */
  readonly domid: number;
  /** The other domain's port (interdomain). */
  readonly port: number;
  readonly virq: number;
}

/** What a snapshot keeps. Backends bind again after it, and find the ports they had. */
export interface EventChannelsState {
  readonly status: Uint8Array;
  readonly remoteDomid: Uint16Array;
  readonly detail: Uint32Array;
  readonly fifo: FifoState | null;
  readonly nextDom0Port: number;
}

const STATUS_NAMES: ReadonlyMap<number, string> = new Map([
  [EVTCHNSTAT_unbound, "unbound"],
  [EVTCHNSTAT_interdomain, "interdomain"],
  [EVTCHNSTAT_virq, "virq"],
  [EVTCHNSTAT_ipi, "ipi"],
]);

class Dom0Port implements BackendPort {
  /** The guest's port, 0 when the guest closed it or we did. */
  guestPort: number;
  constructor(readonly channels: EventChannels, guestPort: number, readonly handler: () => void) {
    this.guestPort = guestPort;
  }
  notify(): void {
    if (this.guestPort !== 0) this.channels.setPending(this.guestPort);
  }
  close(): void {
    if (this.guestPort !== 0) this.channels.backendClosed(this);
  }
}

/** See the module's description. Methods named after EVTCHNOP_* return a value or a negative errno. */
export class EventChannels implements EventAccess {
  readonly domid: number;
  /** Called when a port becomes pending (masked or not): wakes SCHEDOP_poll. */
  onPending: (port: number) => void = () => {};
  readonly #memory: GuestMemory;
  readonly #upcall: Upcall;
  readonly #twoLevel: TwoLevelEvents;
  #fifo: FifoEvents | undefined;
  #abi: EventAbi;
  readonly #status = new Uint8Array(MAX_PORTS);
  readonly #remoteDomid = new Uint16Array(MAX_PORTS);
  /** Remote port (interdomain) or virtual interrupt. */
  readonly #detail = new Uint32Array(MAX_PORTS);
  readonly #peers: (Dom0Port | undefined)[] = new Array(MAX_PORTS).fill(undefined);
  readonly #virqPort = new Uint16Array(NR_VIRQS);
  readonly #tracer: Tracer | undefined;
  #nextDom0Port = 1;

  constructor(memory: GuestMemory, shared: SharedInfo, upcall: Upcall, domid: number, tracer?: Tracer) {
    this.#memory = memory;
    this.#tracer = tracer;
    this.#upcall = upcall;
    this.domid = domid;
    this.#twoLevel = new TwoLevelEvents(memory, shared, upcall);
    this.#abi = this.#twoLevel;
  }

  /** Ports below this can exist now. */
  get portLimit(): number {
    return Math.min(MAX_PORTS, this.#abi.portLimit);
  }

  /** True when the guest chose the FIFO ABI. */
  get usesFifo(): boolean {
    return this.#fifo !== undefined;
  }

  /** True when the event of `port` is pending. */
  isPending(port: number): boolean {
    return port < this.portLimit && this.#abi.isPending(port);
  }

  /** Makes a port's event pending and delivers it unless masked. */
  setPending(port: number): void {
    const rose = this.#abi.setPending(port);
    if (this.#tracer?.on("evtchn")) {
      this.#tracer.log("evtchn", `port ${port} ${rose ? "pending" : "pending already"}`);
    }
    if (rose) this.onPending(port);
  }

  /** Raises a virtual interrupt, if the guest has bound it. */
  raiseVirq(virq: number): void {
    const port = this.#virqPort[virq];
    if (port !== undefined && port !== 0) this.setPending(port);
  }

  send(port: number): number {
    if (this.#tracer?.on("evtchn")) this.#tracer.log("evtchn", `port ${port} sent`);
    switch (this.#status[port]) {
      case EVTCHNSTAT_interdomain: {
        const peer = this.#peers[port];
        if (peer !== undefined) peer.handler();
        else this.setPending(this.#detail[port] as number);
        return 0;
      }
      case EVTCHNSTAT_ipi:
        this.setPending(port);
        return 0;
      case EVTCHNSTAT_unbound: // nobody there yet: dropped
        return 0;
      default:
        return -XEN_EINVAL;
    }
  }

  /** `remoteDomid` may bind to the new port. Also how the platform makes the ports of store and console. */
  allocUnbound(remoteDomid: number): number {
    const port = this.#allocate(EVTCHNSTAT_unbound);
    if (port > 0) this.#remoteDomid[port] = remoteDomid;
    return port;
  }

  /** The guest binds: only to itself, since backends wait for nobody. */
  bindInterdomainFromGuest(remoteDomid: number, remotePort: number): number {
    if (remoteDomid !== this.domid) return remoteDomid === BACKEND_DOMID ? -XEN_EINVAL : -XEN_ESRCH;
    if (this.#status[remotePort] !== EVTCHNSTAT_unbound || this.#remoteDomid[remotePort] !== this.domid) {
      return -XEN_EINVAL;
    }
    const port = this.#allocate(EVTCHNSTAT_interdomain);
    if (port < 0) return port;
    this.#status[remotePort] = EVTCHNSTAT_interdomain;
    this.#remoteDomid[port] = this.domid;
    this.#detail[port] = remotePort;
    this.#detail[remotePort] = port;
    this.setPending(port); // in case a notification was dropped while the remote port was unbound
    return port;
  }

  bindVirq(virq: number, vcpu: number): number {
    if (virq >= NR_VIRQS || (vcpu !== 0 && !isPerVcpu(virq))) return -XEN_EINVAL;
    if (vcpu !== 0) return -XEN_ENOENT;
    if (this.#virqPort[virq] !== 0) return -XEN_EEXIST;
    const port = this.#allocate(EVTCHNSTAT_virq);
    if (port < 0) return port;
    this.#detail[port] = virq;
    this.#virqPort[virq] = port;
    return port;
  }

  bindIpi(vcpu: number): number {
    return vcpu === 0 ? this.#allocate(EVTCHNSTAT_ipi) : -XEN_ENOENT;
  }

  bindVcpu(port: number, vcpu: number): number {
    if (vcpu !== 0) return -XEN_ENOENT;
    switch (this.#status[port]) {
      case EVTCHNSTAT_unbound:
      case EVTCHNSTAT_interdomain:
        return 0;
      case EVTCHNSTAT_virq:
        return isPerVcpu(this.#detail[port] as number) ? -XEN_EINVAL : 0;
      default:
        return -XEN_EINVAL;
    }
  }

  unmask(port: number): number {
    if (port >= this.portLimit) return -XEN_EINVAL;
    this.#abi.unmask(port);
    return 0;
  }

  close(port: number): number {
    const status = this.#status[port];
    if (status === undefined || status === EVTCHNSTAT_closed) return -XEN_EINVAL;
    if (status === EVTCHNSTAT_interdomain) {
      const peer = this.#peers[port];
      if (peer !== undefined) peer.guestPort = 0;
      else this.#unbind(this.#detail[port] as number, this.domid);
    } else if (status === EVTCHNSTAT_virq) {
      this.#virqPort[this.#detail[port] as number] = 0;
    }
    this.#peers[port] = undefined;
    this.#status[port] = EVTCHNSTAT_closed;
    this.#abi.clearPending(port);
    if (this.#tracer?.on("evtchn")) this.#tracer.log("evtchn", `port ${port} closed`);
    return 0;
  }

  /** EVTCHNOP_status; a negative errno when the port cannot exist. */
  status(port: number): PortStatus | number {
    if (port >= this.portLimit) return -XEN_EINVAL;
    return {
      status: this.#status[port] as number,
      domid: this.#remoteDomid[port] as number,
      port: this.#detail[port] as number,
      virq: this.#detail[port] as number,
    };
  }

  /** EVTCHNOP_reset: closes everything and goes back to the two-level ABI. */
  closeAll(): void {
    for (let port = 1; port < MAX_PORTS; port++) {
      if (this.#status[port] !== EVTCHNSTAT_closed) this.close(port);
    }
    this.#fifo = undefined;
    this.#abi = this.#twoLevel;
  }

  /** EVTCHNOP_init_control. */
  initControl(gfn: Gfn, offset: number, vcpu: number): number {
    if (vcpu !== 0) return -XEN_ENOENT;
    if (offset > PAGE_SIZE - evtchn_fifo_control_block.size || (offset & 7) !== 0) return -XEN_EINVAL;
    const page = this.#memory.hasFrame(gfn) ? this.#memory.frames[gfn] as number : 0;
    if (this.#fifo !== undefined || page < this.#memory.map.ram) return -XEN_EINVAL;
    this.#memory.announceWrite(page + offset, evtchn_fifo_control_block.size);
    const fifo = new FifoEvents(this.#memory, this.#upcall, page + offset, MAX_PORTS);
    for (let port = 1; port < this.#abi.portLimit; port++) {
      if (this.#status[port] !== EVTCHNSTAT_closed && this.#abi.isPending(port)) fifo.defer(port);
    }
    this.#fifo = fifo;
    this.#abi = fifo;
    return 0;
  }

  /** EVTCHNOP_expand_array. */
  expandArray(gfn: Gfn): number {
    return this.#fifo === undefined ? -XEN_EOPNOTSUPP : this.#fifo.expandArray(gfn);
  }

  /** EVTCHNOP_set_priority. */
  setPriority(port: number, priority: number): number {
    if (port >= this.portLimit) return -XEN_EINVAL;
    return this.#fifo === undefined ? -XEN_ENOSYS : this.#fifo.setPriority(port, priority);
  }

  /** After vcpu_info moved, everything counts as pending, so that nothing is lost. */
  vcpuInfoMoved(): void {
    this.#twoLevel.selectAll();
    this.#upcall.forcePending();
  }

  bindInterdomain(remotePort: number, handler: () => void): BackendPort | undefined {
    if (
      this.#status[remotePort] !== EVTCHNSTAT_unbound || this.#remoteDomid[remotePort] !== BACKEND_DOMID
    ) return undefined;
    const peer = new Dom0Port(this, remotePort, handler);
    this.#status[remotePort] = EVTCHNSTAT_interdomain;
    // dom0's port is remembered only when a snapshot was restored
    if (this.#detail[remotePort] === 0) this.#detail[remotePort] = this.#nextDom0Port++;
    this.#peers[remotePort] = peer;
    return peer;
  }

  /** A backend closed its end: the guest's port waits for dom0 again. */
  backendClosed(peer: Dom0Port): void {
    const port = peer.guestPort;
    peer.guestPort = 0;
    this.#unbind(port, BACKEND_DOMID);
  }

  /** The plain record of a snapshot; ports of backends are saved as unbound, with dom0's port beside. */
  save(): EventChannelsState {
    const status = this.#status.slice();
    for (let port = 0; port < MAX_PORTS; port++) {
      if (this.#peers[port] !== undefined) status[port] = EVTCHNSTAT_unbound;
    }
    return {
      status,
      remoteDomid: this.#remoteDomid.slice(),
      detail: this.#detail.slice(),
      fifo: this.#fifo?.save() ?? null,
      nextDom0Port: this.#nextDom0Port,
    };
  }

  /** Restores what `save` gave; backends must have closed their ports. */
  restore(state: EventChannelsState): void {
    this.#peers.fill(undefined);
    this.#status.set(state.status);
    this.#remoteDomid.set(state.remoteDomid);
    this.#detail.set(state.detail);
    this.#nextDom0Port = state.nextDom0Port;
    this.#virqPort.fill(0);
    for (let port = 0; port < MAX_PORTS; port++) {
      if (this.#status[port] === EVTCHNSTAT_virq) this.#virqPort[this.#detail[port] as number] = port;
    }
    this.#fifo = undefined;
    this.#abi = this.#twoLevel;
    if (state.fifo === null) return;
    const control = this.#memory.map.ram + state.fifo.control;
    this.#fifo = new FifoEvents(this.#memory, this.#upcall, control, MAX_PORTS);
    this.#fifo.restore(state.fifo);
    this.#abi = this.#fifo;
  }

  #unbind(port: number, remoteDomid: number): void {
    this.#peers[port] = undefined;
    this.#status[port] = EVTCHNSTAT_unbound;
    this.#remoteDomid[port] = remoteDomid;
    this.#detail[port] = 0;
  }

  #allocate(status: number): number {
    const limit = this.portLimit;
    for (let port = 1; port < limit; port++) {
      if (this.#status[port] !== EVTCHNSTAT_closed || this.#abi.isBusy(port)) continue;
      this.#status[port] = status;
      this.#remoteDomid[port] = 0;
      this.#detail[port] = 0;
      this.#abi.initialise(port);
      if (this.#tracer?.on("evtchn")) {
        this.#tracer.log("evtchn", `port ${port} bound, ${STATUS_NAMES.get(status)}`);
      }
      return port;
    }
    return -XEN_ENOSPC;
  }
}

function isPerVcpu(virq: number): boolean {
  return virq === VIRQ_TIMER || virq === VIRQ_DEBUG || virq === VIRQ_XENOPROF || virq === VIRQ_XENPMU;
}
