// SPDX-License-Identifier: MIT
/**
 * shared_info and vcpu_info: where they are, which width they have, wall clock and PV clock. Rules: Xen
 * public/xen.h; the width is latched as Xen's hvm_latch_shinfo_size does, when a guest first sets something up.
 *
 * The clock's base (TSC, system time) is sampled once and again only by `resample`, so that the guest's time never
 * steps: TSC and system time come from the same source.
 * Not announced to the code watcher: event bits and clocks, which share no bytes with code.
 * @module
 */
import { type Gfn, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { Clock } from "../../cpu/base/clock.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import type { Vcpu } from "../../cpu/base/vcpu.ts";
import type { GuestBits } from "../public/abi.ts";
import { XEN_EINVAL, XEN_ENXIO } from "../public/errno.ts";
import { shared_info, vcpu_info, vcpu_time_info, XEN_PVCLOCK_TSC_STABLE_BIT } from "../public/xen.ts";
import { setU64 } from "../public/words.ts";

const TIME = vcpu_time_info.at;
const NS_PER_SECOND = 1_000_000_000;

/** ns = ((ticks << shift, or >> -shift) * mul) >> 32, as vcpu_time_info wants it. */
export interface TimeScale {
  readonly tsc_to_system_mul: number;
  readonly tsc_shift: number;
}

/** Scale of a TSC that ticks `hz` times a second, with the multiplier's top bit set for precision. */
export function timeScale(hz: number): TimeScale {
  let shift = 0;
  let scaled = hz;
  while (scaled > 2 * NS_PER_SECOND) {
    scaled /= 2;
    shift--;
  }
  while (scaled <= NS_PER_SECOND) {
    scaled *= 2;
    shift++;
  }
  return { tsc_to_system_mul: Math.floor(NS_PER_SECOND * 0x1_0000_0000 / scaled), tsc_shift: shift };
}

/** What a snapshot keeps. The pages' bytes are saved where the pages are. */
export interface SharedInfoState {
  readonly bits: GuestBits;
  /** Guest physical place of the registered vcpu_info as a byte offset from the start of RAM, or null. */
  readonly vcpuInfo: number | null;
  readonly timeArea: bigint | null;
  readonly page: Uint8Array;
  /** TSC and system time that belong together, null before the first use. */
  readonly sample: { readonly tsc: bigint; readonly systemTimeNs: number } | null;
}

/** See the module's description. Offsets are bytes in the memory's `bytes`. */
export class SharedInfo {
  /** The shared_info page. */
  readonly page: number;
  /** Width of the structures. */
  bits: GuestBits = 64;
  /** vcpu_info of vCPU 0: in the page until the guest registers another place. */
  vcpuInfo: number;
  /** evtchn_pending and evtchn_mask. */
  evtchnPending = 0;
  evtchnMask = 0;
  /** vcpu_info.evtchn_pending_sel. */
  evtchnPendingSel = 0;
  /** log2 of the bits in a word of evtchn_pending. */
  wordShift = 6;
  readonly #memory: GuestMemory;
  readonly #vcpu: Vcpu;
  readonly #clock: Clock;
  readonly #wallclock: () => number;
  #tsc: bigint | undefined;
  #systemTimeNs = 0;
  #timeArea: bigint | undefined;

  /** `wallclock`: seconds since 1970-01-01 00:00 UTC, with a fraction. */
  constructor(memory: GuestMemory, page: number, vcpu: Vcpu, clock: Clock, wallclock: () => number) {
    this.#memory = memory;
    this.page = page;
    this.vcpuInfo = page;
    this.#vcpu = vcpu;
    this.#clock = clock;
    this.#wallclock = wallclock;
    this.#locate();
  }

  /** Takes over the caller's width and writes the clocks where that width has them. */
  latch(bits: GuestBits): void {
    this.bits = bits;
    this.#locate();
    this.writeWallclock();
    this.writeTime();
  }

  /** True while vcpu_info asks for an upcall. */
  get upcallPending(): boolean {
    return this.#memory.bytes[this.vcpuInfo] !== 0;
  }

  /** Clears evtchn_upcall_mask, which HVM guests do not use, as SCHEDOP_block promises. */
  enableUpcalls(): void {
    this.#memory.bytes[this.vcpuInfo + vcpu_info[this.bits].at.evtchn_upcall_mask] = 0;
  }

  /** VCPUOP_register_vcpu_info: moves vcpu_info into the guest's RAM, once. Returns 0 or a negative errno. */
  registerVcpuInfo(gfn: Gfn, offset: number): number {
    const { size, align } = vcpu_info[this.bits];
    if (offset > PAGE_SIZE - size || offset % align !== 0) return -XEN_ENXIO;
    if (this.vcpuInfo !== this.page) return -XEN_EINVAL;
    const page = this.#memory.hasFrame(gfn) ? this.#memory.frames[gfn] as number : 0;
    if (page < this.#memory.map.ram) return -XEN_EINVAL;
    this.#memory.announceWrite(page + offset, size);
    this.#memory.bytes.copyWithin(page + offset, this.vcpuInfo, this.vcpuInfo + size);
    this.vcpuInfo = page + offset;
    this.#locate();
    this.writeTime();
    return 0;
  }

  /** VCPUOP_register_vcpu_time_memory_area: a second copy of the time, at a guest virtual address. */
  registerTimeArea(gva: bigint): void {
    this.#timeArea = gva === 0n ? undefined : gva;
    this.writeTime();
  }

  /** Samples TSC and system time anew, after a pause or a restore. */
  resample(): void {
    this.#tsc = undefined;
    this.writeTime();
    this.writeWallclock();
  }

  /** Writes vcpu_time_info and its copy. */
  writeTime(): void {
    if (this.#tsc === undefined) {
      this.#tsc = this.#vcpu.readTsc();
      this.#systemTimeNs = this.#clock.nowNs();
    }
    const { view, bytes } = this.#memory;
    const at = this.vcpuInfo + vcpu_info[this.bits].at.time;
    const version = (view.getUint32(at + TIME.version, true) + 1) | 1;
    view.setUint32(at + TIME.version, version, true);
    const { tsc_to_system_mul, tsc_shift } = timeScale(this.#vcpu.tscHz);
    view.setBigUint64(at + TIME.tsc_timestamp, this.#tsc, true);
    setU64(view, at + TIME.system_time, this.#systemTimeNs);
    view.setUint32(at + TIME.tsc_to_system_mul, tsc_to_system_mul, true);
    view.setInt8(at + TIME.tsc_shift, tsc_shift);
    view.setUint8(at + TIME.flags, XEN_PVCLOCK_TSC_STABLE_BIT);
    view.setUint32(at + TIME.version, version + 1, true);
    if (this.#timeArea !== undefined) {
      this.#vcpu.copyToGuest(this.#timeArea, bytes.subarray(at, at + vcpu_time_info.size));
    }
  }

  /** Writes the wall-clock time of system time zero. */
  writeWallclock(): void {
    const { view } = this.#memory;
    const { at } = shared_info[this.bits];
    const now = this.#wallclock();
    const whole = Math.floor(now);
    const ns = Math.round((now - whole) * NS_PER_SECOND) - this.#clock.nowNs();
    const carry = Math.floor(ns / NS_PER_SECOND);
    const seconds = Math.max(0, whole + carry);
    const version = (view.getUint32(this.page + at.wc_version, true) + 1) | 1;
    view.setUint32(this.page + at.wc_version, version, true);
    view.setUint32(this.page + at.wc_sec, seconds >>> 0, true);
    view.setUint32(this.page + at.wc_sec_hi, Math.floor(seconds / 0x1_0000_0000), true);
    view.setUint32(this.page + at.wc_nsec, ns - carry * NS_PER_SECOND, true);
    view.setUint32(this.page + at.wc_version, version + 1, true);
  }

  /** Back to an empty page that the guest has not seen. */
  reset(): void {
    this.#memory.bytes.fill(0, this.page, this.page + PAGE_SIZE);
    this.bits = 64;
    this.vcpuInfo = this.page;
    this.#timeArea = undefined;
    this.#tsc = undefined;
    this.#locate();
  }

  /** The plain record of a snapshot. */
  save(): SharedInfoState {
    return {
      bits: this.bits,
      vcpuInfo: this.vcpuInfo === this.page ? null : this.vcpuInfo - this.#memory.map.ram,
      timeArea: this.#timeArea ?? null,
      page: this.#memory.bytes.slice(this.page, this.page + PAGE_SIZE),
      sample: this.#tsc === undefined ? null : { tsc: this.#tsc, systemTimeNs: this.#systemTimeNs },
    };
  }

  /** Restores what `save` gave, to the byte; guest RAM and time must be restored already. */
  restore(state: SharedInfoState): void {
    this.bits = state.bits;
    this.vcpuInfo = state.vcpuInfo === null ? this.page : this.#memory.map.ram + state.vcpuInfo;
    this.#timeArea = state.timeArea ?? undefined;
    this.#memory.bytes.set(state.page.subarray(0, PAGE_SIZE), this.page);
    this.#tsc = state.sample?.tsc;
    this.#systemTimeNs = state.sample?.systemTimeNs ?? 0;
    this.#locate();
  }

  #locate(): void {
    const { at } = shared_info[this.bits];
    this.evtchnPending = this.page + at.evtchn_pending;
    this.evtchnMask = this.page + at.evtchn_mask;
    this.evtchnPendingSel = this.vcpuInfo + vcpu_info[this.bits].at.evtchn_pending_sel;
    this.wordShift = this.bits === 64 ? 6 : 5;
  }
}
