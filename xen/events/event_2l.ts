// SPDX-License-Identifier: MIT
/**
 * Two-level event ABI: pending and mask bits in shared_info, a selector in vcpu_info. Rules: Xen public/xen.h
 * (struct shared_info); behavior of common/event_2l.c. Bits are addressed by byte, which is the same for 32- and
 * 64-bit words on a little-endian machine.
 * @module
 */
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { SharedInfo } from "../memory/shared_info.ts";
import type { Upcall } from "./upcall.ts";

/** What an event ABI does for one port of the guest. */
export interface EventAbi {
  /** Ports the ABI can name. */
  readonly portLimit: number;
  /** Makes the event pending and delivers it unless masked. True when it was not pending before. */
  setPending(port: number): boolean;
  clearPending(port: number): void;
  isPending(port: number): boolean;
  /** Unmasks, and delivers a pending event. */
  unmask(port: number): void;
  /** True when the guest still has to do with a closed port, which must not be handed out again yet. */
  isBusy(port: number): boolean;
  /** Prepares a newly allocated port. */
  initialise(port: number): void;
}

/** See the module's description. */
export class TwoLevelEvents implements EventAbi {
  readonly #bytes: Uint8Array;
  readonly #shared: SharedInfo;
  readonly #upcall: Upcall;

  constructor(memory: GuestMemory, shared: SharedInfo, upcall: Upcall) {
    this.#bytes = memory.bytes;
    this.#shared = shared;
    this.#upcall = upcall;
  }

  get portLimit(): number {
    return this.#shared.bits === 64 ? 4096 : 1024;
  }

  setPending(port: number): boolean {
    const bytes = this.#bytes;
    const bit = 1 << (port & 7);
    const at = this.#shared.evtchnPending + (port >>> 3);
    const word = bytes[at] as number;
    if ((word & bit) !== 0) return false;
    bytes[at] = word | bit;
    if (((bytes[this.#shared.evtchnMask + (port >>> 3)] as number) & bit) === 0) this.#select(port);
    return true;
  }

  clearPending(port: number): void {
    const at = this.#shared.evtchnPending + (port >>> 3);
    this.#bytes[at] = (this.#bytes[at] as number) & ~(1 << (port & 7));
  }

  isPending(port: number): boolean {
    return ((this.#bytes[this.#shared.evtchnPending + (port >>> 3)] as number) & (1 << (port & 7))) !== 0;
  }

  unmask(port: number): void {
    const bit = 1 << (port & 7);
    const at = this.#shared.evtchnMask + (port >>> 3);
    const word = this.#bytes[at] as number;
    if ((word & bit) === 0) return;
    this.#bytes[at] = word & ~bit;
    if (this.isPending(port)) this.#select(port);
  }

  isBusy(_port: number): boolean {
    return false;
  }

  initialise(_port: number): void {}

  /** Marks every word of pending bits as worth a look (after vcpu_info moved). */
  selectAll(): void {
    const { evtchnPendingSel, wordShift } = this.#shared;
    this.#bytes.fill(0xff, evtchnPendingSel, evtchnPendingSel + (1 << (wordShift - 3)));
  }

  #select(port: number): void {
    const word = port >>> this.#shared.wordShift;
    const at = this.#shared.evtchnPendingSel + (word >>> 3);
    const selected = this.#bytes[at] as number;
    const bit = 1 << (word & 7);
    if ((selected & bit) !== 0) return;
    this.#bytes[at] = selected | bit;
    this.#upcall.markPending();
  }
}
