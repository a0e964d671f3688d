// SPDX-License-Identifier: MIT
/**
 * The guest's registers: general ones are shared with KVM in struct kvm_run (KVM_CAP_SYNC_REGS) and cost nothing, the
 * others are fetched when somebody looks at them and kept until the guest runs on.
 * @module
 */
import {
  CONTROL_NAMES,
  type ControlName,
  type CpuRegisterChanges,
  type CpuRegisters,
  type Segment,
  SEGMENT_NAMES,
  type SegmentName,
} from "../base/engine.ts";
import { GPR_NAMES, type GprName } from "../base/vcpu.ts";
import * as api from "./api.ts";
import type { KvmVm } from "./kvm_vm.ts";

const FLAG_FIXED = 2n;
const CR0_PG = 1n << 31n;
const EFER_LME = 1n << 8n, EFER_LMA = 1n << 10n;

/** See the module's description. */
export class KvmRegisters {
  readonly #vm: KvmVm;
  readonly #bytes = new Uint8Array(api.kvm_sregs.size);
  readonly #sregs = new DataView(this.#bytes.buffer);
  #fresh = false;

  constructor(vm: KvmVm) {
    this.#vm = vm;
    const regs = new Uint8Array(api.kvm_regs.size);
    vm.call("KVM_GET_REGS", regs);
    new Uint8Array(vm.run.buffer, api.kvm_run.at.s, regs.length).set(regs);
    vm.run.setBigUint64(api.kvm_run.at.kvm_valid_regs, BigInt(api.KVM_SYNC_X86_REGS), true);
  }

  /** The guest has run: what was fetched is old. */
  ran(): void {
    this.#fresh = false;
  }

  get(name: keyof typeof api.kvm_regs.at): bigint {
    return this.#vm.run.getBigUint64(api.kvm_run.at.s + api.kvm_regs.at[name], true);
  }
  /** KVM takes it when the guest goes on. */
  set(name: keyof typeof api.kvm_regs.at, value: bigint): void {
    const { run } = this.#vm;
    run.setBigUint64(api.kvm_run.at.s + api.kvm_regs.at[name], BigInt.asUintN(64, value), true);
    run.setBigUint64(api.kvm_run.at.kvm_dirty_regs, BigInt(api.KVM_SYNC_X86_REGS), true);
  }

  /** struct kvm_sregs as it is now. */
  get sregs(): DataView<ArrayBuffer> {
    if (!this.#fresh) this.#vm.call("KVM_GET_SREGS", this.#bytes);
    this.#fresh = true;
    return this.#sregs;
  }
  control(name: ControlName): bigint {
    return this.sregs.getBigUint64(api.kvm_sregs.at[name], true);
  }
  /** Sets what CPUID and KVM believe the local APIC to be. */
  setApicBase(value: bigint): void {
    this.sregs.setBigUint64(api.kvm_sregs.at.apic_base, value, true);
    this.#vm.call("KVM_SET_SREGS", this.#bytes);
  }

  #segmentAt(name: SegmentName): number {
    return api.kvm_sregs.at[name === "ldtr" ? "ldt" : name];
  }
  segment(name: SegmentName): Segment {
    const view = this.sregs, base = this.#segmentAt(name), { at } = api.kvm_segment;
    const bits = (field: number, shift: number) => view.getUint8(base + field) << shift;
    return {
      selector: view.getUint16(base + at.selector, true),
      base: view.getBigUint64(base + at.base, true),
      limit: view.getUint32(base + at.limit, true),
      attributes: bits(at.type, 0) | bits(at.s, 4) | bits(at.dpl, 5) | bits(at.present, 7) |
        bits(at.avl, 12) |
        bits(at.l, 13) | bits(at.db, 14) | bits(at.g, 15) | bits(at.unusable, 16),
    };
  }
  #setSegment(name: SegmentName, { selector, base: address, limit, attributes }: Segment): void {
    const view = this.sregs, base = this.#segmentAt(name), { at } = api.kvm_segment;
    const bits = (field: number, shift: number, mask = 1) =>
      view.setUint8(base + field, (attributes >> shift) & mask);
    view.setUint16(base + at.selector, selector, true);
    view.setBigUint64(base + at.base, BigInt.asUintN(64, address), true);
    view.setUint32(base + at.limit, limit, true);
    bits(at.type, 0, 15);
    bits(at.s, 4);
    bits(at.dpl, 5, 3);
    bits(at.present, 7);
    bits(at.avl, 12);
    bits(at.l, 13);
    bits(at.db, 14);
    bits(at.g, 15);
    view.setUint8(base + at.unusable, (attributes & 0x1_0080) === 0x80 ? 0 : 1);
  }

  /** All of them as plain data. */
  read(): CpuRegisters {
    const view = this.sregs;
    const table = (name: "gdt" | "idt") => ({
      base: view.getBigUint64(api.kvm_sregs.at[name] + api.kvm_dtable.at.base, true),
      limit: view.getUint16(api.kvm_sregs.at[name] + api.kvm_dtable.at.limit, true),
    });
    const debug = new DataView(new ArrayBuffer(api.kvm_debugregs.size));
    this.#vm.call("KVM_GET_DEBUGREGS", new Uint8Array(debug.buffer));
    const dr = [0, 8, 16, 24].map((at) => debug.getBigUint64(api.kvm_debugregs.at.db + at, true));
    const [dr6, dr7] = [api.kvm_debugregs.at.dr6, api.kvm_debugregs.at.dr7].map((at) =>
      debug.getBigUint64(at, true)
    ) as [bigint, bigint];
    return {
      gprs: Object.fromEntries(GPR_NAMES.map((name) => [name, this.get(name)])) as Record<GprName, bigint>,
      rip: this.get("rip"),
      rflags: this.get("rflags"),
      control: Object.fromEntries(CONTROL_NAMES.map((name) => [name, this.control(name)])) as Record<
        ControlName,
        bigint
      >,
      segments: Object.fromEntries(SEGMENT_NAMES.map((name) => [name, this.segment(name)])) as Record<
        SegmentName,
        Segment
      >,
      gdtr: table("gdt"),
      idtr: table("idt"),
      debug: [...dr, 0n, 0n, dr6, dr7],
    };
  }

  /** Writes what is named; the modes follow. */
  write(changes: CpuRegisterChanges): void {
    for (const name of GPR_NAMES) {
      const value = changes.gprs?.[name];
      if (value !== undefined) this.set(name, value);
    }
    if (changes.rip !== undefined) this.set("rip", changes.rip);
    if (changes.rflags !== undefined) this.set("rflags", BigInt.asUintN(32, changes.rflags) | FLAG_FIXED);
    const view = this.sregs;
    for (const name of CONTROL_NAMES) {
      const value = changes.control?.[name];
      if (value !== undefined) view.setBigUint64(api.kvm_sregs.at[name], BigInt.asUintN(64, value), true);
    }
    for (const name of SEGMENT_NAMES) {
      const value = changes.segments?.[name];
      if (value !== undefined) this.#setSegment(name, value);
    }
    for (const [field, value] of [["gdt", changes.gdtr], ["idt", changes.idtr]] as const) {
      if (value === undefined) continue;
      view.setBigUint64(
        api.kvm_sregs.at[field] + api.kvm_dtable.at.base,
        BigInt.asUintN(64, value.base),
        true,
      );
      view.setUint16(api.kvm_sregs.at[field] + api.kvm_dtable.at.limit, value.limit, true);
    }
    const efer = this.control("efer");
    const long = (this.control("cr0") & CR0_PG) !== 0n && (efer & EFER_LME) !== 0n;
    view.setBigUint64(api.kvm_sregs.at.efer, long ? efer | EFER_LMA : efer & ~EFER_LMA, true);
    this.#vm.call("KVM_SET_SREGS", this.#bytes);
    // what the registers said of interrupts at the last exit is old: let KVM tell when one can be taken
    this.#vm.run.setUint8(api.kvm_run.at.ready_for_interrupt_injection, 0);
  }
}
