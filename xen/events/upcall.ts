// SPDX-License-Identifier: MIT
/**
 * How the guest hears of events: by a vector without an interrupt controller, by a vector through its local APIC,
 * by a GSI or by a PCI INTx line. Rules: Xen public/hvm/params.h; behavior of arch/x86/hvm/irq.c.
 *
 * The vector callback and the lines are levels: they follow vcpu_info.evtchn_upcall_pending, which the guest
 * clears by a plain write. Whoever drives the vCPU asks `pending` again whenever interrupts become deliverable, and an
 * interrupt controller asks for the line's level before it decides by it (Xen does so at every exit of the vCPU).
 * @module
 */
import type { InterruptSource, IrqLine } from "../../cpu/base/bus.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import {
  HVM_PARAM_CALLBACK_TYPE_GSI,
  HVM_PARAM_CALLBACK_TYPE_PCI_INTX,
  HVM_PARAM_CALLBACK_TYPE_VECTOR,
} from "../public/hvm/params.ts";
import type { SharedInfo } from "../memory/shared_info.ts";

/** What the upcall pulls at. */
export interface UpcallWires {
  /**
   * Input `gsi` of the interrupt controllers; undefined when there is none. Once raised, it is up for as long as `level`
   * says so: nobody can tell when that ends.
   */
  gsi(gsi: number, level: () => boolean): IrqLine | undefined;
  /** Pin `pin` (0: INTA#) of PCI device `device` on bus 0; undefined when there is none. `level`: as for a GSI. */
  pciIntx(device: number, pin: number, level: () => boolean): IrqLine | undefined;
  /** Raises an edge-triggered vector in the vCPU's local APIC. */
  injectVector(vector: number): void;
  /** The vCPU should look at its interrupt sources again. */
  interruptsChanged(): void;
}

/** Delivery of event upcalls to vCPU 0. */
export class Upcall implements InterruptSource {
  readonly #bytes: Uint8Array;
  readonly #shared: SharedInfo;
  readonly #wires: UpcallWires;
  /** Called on every new upcall: wakes a vCPU blocked in sched_op. */
  onAssert: () => void = () => {};
  #via = 0n;
  /** Vector of HVM_PARAM_CALLBACK_TYPE_VECTOR, -1 when another type is chosen. */
  #vector = -1;
  #line: IrqLine | undefined;
  /** Vector of HVMOP_set_evtchn_upcall_vector, 0 when unset. */
  #apicVector = 0;

  constructor(memory: GuestMemory, shared: SharedInfo, wires: UpcallWires) {
    this.#bytes = memory.bytes;
    this.#shared = shared;
    this.#wires = wires;
  }

  /** True while the vector callback wants to be taken; it comes before the interrupt controllers. */
  get pending(): boolean {
    return this.#vector >= 0 && this.#apicVector === 0 && this.#bytes[this.#shared.vcpuInfo] !== 0;
  }

  /** The vector; nothing is cleared, since the guest's handler clears evtchn_upcall_pending. */
  acknowledge(): number {
    return this.pending ? this.#vector : -1;
  }

  /** Sets vcpu_info.evtchn_upcall_pending and tells the vCPU if it was clear. */
  markPending(): void {
    const at = this.#shared.vcpuInfo;
    if (this.#bytes[at] !== 0) return;
    this.#bytes[at] = 1;
    this.assert();
  }

  /** Sets vcpu_info.evtchn_upcall_pending and tells the vCPU in any case. */
  forcePending(): void {
    this.#bytes[this.#shared.vcpuInfo] = 1;
    this.assert();
  }

  /** Delivers by the way the guest chose, whether or not something is pending. */
  assert(): void {
    this.onAssert();
    if (this.#apicVector !== 0) this.#wires.injectVector(this.#apicVector);
    else if (this.#vector >= 0) this.#wires.interruptsChanged();
    else this.syncLine();
  }

  /** Brings the callback's interrupt line, if that is the way, to the level of evtchn_upcall_pending. */
  syncLine(): void {
    this.#line?.set(this.#level());
  }

  readonly #level = (): boolean => this.#apicVector === 0 && this.#bytes[this.#shared.vcpuInfo] !== 0;

  /** HVM_PARAM_CALLBACK_IRQ. Unknown types and GSI 0 switch delivery off. */
  setCallbackVia(via: bigint): void {
    this.#choose(via);
    if (this.#shared.upcallPending) this.assert();
  }

  #choose(via: bigint): void {
    this.#line?.set(false);
    this.#line = undefined;
    this.#vector = -1;
    this.#via = via;
    const low = Number(via & 0xffffn);
    switch (Number(via >> 56n)) {
      case HVM_PARAM_CALLBACK_TYPE_GSI:
        if ((low & 0xff) !== 0) this.#line = this.#wires.gsi(low & 0xff, this.#level);
        break;
      case HVM_PARAM_CALLBACK_TYPE_PCI_INTX:
        this.#line = this.#wires.pciIntx((low >> 11) & 31, low & 3, this.#level);
        break;
      case HVM_PARAM_CALLBACK_TYPE_VECTOR:
        this.#vector = low & 0xff;
        break;
    }
  }

  /** HVMOP_set_evtchn_upcall_vector; Xen always raises it once. */
  setApicVector(vector: number): void {
    this.#apicVector = vector;
    this.syncLine();
    this.assert();
  }

  /** No way of delivery. */
  reset(): void {
    this.#apicVector = 0;
    this.setCallbackVia(0n);
  }

  /** The guest's choices. */
  save(): { via: bigint; apicVector: number } {
    return { via: this.#via, apicVector: this.#apicVector };
  }

  /** Restores the guest's choices, after PCI bridges and before the interrupt controllers, which have their own state. */
  restore(state: { via: bigint; apicVector: number }): void {
    this.#apicVector = state.apicVector;
    this.#choose(state.via); // nothing new happened: a level follows, an edge was delivered before
    this.syncLine();
  }
}
