// SPDX-License-Identifier: MIT
/**
 * All of KVM's processor that survives, in the format of all engines; and once more as KVM has it: structures as KVM gives
 * them, and the MSRs it can list. A machine that goes on under KVM takes the latter.
 * @module
 */
import { ConfigError } from "../base/assert.ts";
import type { CpuRegisters, EngineState } from "../base/engine.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import { type SavedState, STATE_FORMAT } from "../state/saved_state.ts";
import * as api from "./api.ts";
import { type ComponentPlace, fromFields, toFields, usesPdptes } from "./exchange.ts";
import type { KvmVm } from "./kvm_vm.ts";
import type { KvmRegisters } from "./registers.ts";

const IA32_TIME_STAMP_COUNTER = 0x10;
/** Of struct kvm_vcpu_events, asm/kvm.h. */
const EVENTS = { nmiPending: 13, nmiMasked: 14, flags: 20 };
const KVM_VCPUEVENT_VALID_NMI_PENDING = 1;
const XCR0_RESET = 1n;

/** In the order in which they are set. */
const PARTS = [
  ["SREGS", api.kvm_sregs.size],
  ["XCRS", api.kvm_xcrs.size],
  ["XSAVE", api.kvm_xsave.size],
  ["REGS", api.kvm_regs.size],
  ["DEBUGREGS", api.kvm_debugregs.size],
  ["MP_STATE", api.kvm_mp_state.size],
  ["VCPU_EVENTS", api.kvm_vcpu_events.size],
] as const;
type Part = typeof PARTS[number][0];
type Parts = Readonly<Record<Part, Uint8Array<ArrayBuffer>>>;

/** The processor as KVM has it. */
export interface NativeState {
  readonly parts: Parts;
  readonly msrs: readonly (readonly [index: number, value: bigint])[];
}

/** What the engine keeps besides. */
export interface RunState {
  readonly halted: boolean;
  readonly nmi: boolean;
}

/** A copy of everything. General registers that wait to be taken must have been given to KVM. */
export function saveNative(vm: KvmVm): NativeState {
  const parts = {} as Record<Part, Uint8Array<ArrayBuffer>>;
  for (const [name, size] of PARTS) vm.call(`KVM_GET_${name}`, parts[name] = new Uint8Array(size));
  const msrs: [number, bigint][] = [];
  for (const index of vm.msrIndices) {
    const value = vm.readMsr(index);
    if (value !== undefined) msrs.push([index, value]);
  }
  return { parts, msrs };
}

/** Puts it back; `keep`: parts, and whether the MSRs too, that stay as they are. */
export function loadNative(vm: KvmVm, data: NativeState, keep: readonly (Part | "msrs")[] = []): void {
  for (const [name] of PARTS) {
    if (keep.includes(name) || (name === "XCRS" && !hasXcrs(data.parts.XCRS))) continue;
    vm.call(`KVM_SET_${name}`, data.parts[name].slice());
  }
  if (!keep.includes("msrs")) {
    for (const [index, value] of data.msrs) vm.writeMsr(index, value); // some can only be read
  }
  new Uint8Array(vm.run.buffer, api.kvm_run.at.s, api.kvm_regs.size).set(data.parts.REGS);
  vm.run.setBigUint64(api.kvm_run.at.kvm_dirty_regs, 0n, true);
  vm.run.setUint8(api.kvm_run.at.ready_for_interrupt_injection, 0);
}

/** What is saved, and where it is put. */
export interface Processor {
  readonly vm: KvmVm;
  readonly registers: KvmRegisters;
  readonly memory: GuestMemory;
  /** The TSC of the machine's clock. */
  readonly clockTsc: bigint;
  /** Features of the guest's processor that the host's has not. */
  readonly lacks: readonly string[];
  readonly placeOf: ComponentPlace;
}

/** Everything, for every engine. */
export function saveState(
  { vm, registers, memory, clockTsc, placeOf }: Processor,
  run: RunState,
): EngineState {
  const kvm = saveNative(vm), { parts } = kvm;
  const msrs = new Map(kvm.msrs);
  const all = registers.read();
  const fields = toFields({
    registers: all,
    xcr0: xcr0Of(parts.XCRS),
    xsave: parts.XSAVE,
    msrs,
    tscOffset: (msrs.get(IA32_TIME_STAMP_COUNTER) ?? 0n) - clockTsc,
  }, placeOf);
  const events = parts.VCPU_EVENTS;
  const data: SavedState = {
    fields,
    pdptes: pdptesOf(memory, all),
    fault: {},
    resumeFlag: false,
    nmiPending: run.nmi || events[EVENTS.nmiPending] !== 0,
    nmiBlocked: events[EVENTS.nmiMasked] !== 0,
    stopRequested: false,
    run: { halted: run.halted, instructions: 0 },
    kvm,
  };
  return { format: STATE_FORMAT, data, ownTsc: true };
}

/** Puts a state of any engine into KVM. Throws ConfigError for another format. */
export function loadState(
  { vm, registers, clockTsc, lacks, placeOf }: Processor,
  state: EngineState,
): RunState {
  if (state.format !== STATE_FORMAT) {
    throw new ConfigError(
      `Cannot load CPU state of format "${state.format}": this engine reads "${STATE_FORMAT}"`,
      "input",
    );
  }
  const data = state.data as SavedState;
  const run = { halted: data.run.halted, nmi: data.nmiPending };
  if (data.kvm !== undefined) {
    loadNative(vm, data.kvm as NativeState);
    return { ...run, nmi: false }; // KVM knows of it
  }
  if (lacks.length > 0) {
    // another engine has shown them to the guest, which uses them at any time
    throw new ConfigError(
      `Cannot restore the snapshot under KVM: this host's processor lacks ${
        lacks.join(", ")
      }; a machine made with ` +
        `--cpu ${lacks.map((name) => `-${name}`).join(",")} could go on here`,
      "host",
    );
  }
  const { registers: values, xcr0, xsave, msrs, tscOffset } = fromFields(data.fields, placeOf);
  registers.write({
    control: values.control,
    segments: values.segments,
    gdtr: values.gdtr,
    idtr: values.idtr,
  });
  registers.write({ gprs: values.gprs, rip: values.rip, rflags: values.rflags });
  try {
    const now = new Uint8Array(api.kvm_xcrs.size);
    vm.call("KVM_GET_XCRS", now);
    if (hasXcrs(now) || xcr0 !== XCR0_RESET) vm.call("KVM_SET_XCRS", xcrsOf(xcr0));
    vm.call("KVM_SET_XSAVE", xsave);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new ConfigError(
      `Cannot restore the snapshot under KVM: this host's processor lacks state that the guest uses (XCR0 0x${
        xcr0.toString(16)
      })`,
      "host",
      { cause },
    );
  }
  for (const [index, value] of msrs) vm.writeMsr(index, value); // this host may lack some
  vm.writeMsr(IA32_TIME_STAMP_COUNTER, BigInt.asUintN(64, clockTsc + tscOffset));
  const debug = new DataView(new ArrayBuffer(api.kvm_debugregs.size)), { at } = api.kvm_debugregs;
  for (let i = 0; i < 4; i++) debug.setBigUint64(at.db + i * 8, values.debug[i] ?? 0n, true);
  debug.setBigUint64(at.dr6, values.debug[6] ?? 0n, true);
  debug.setBigUint64(at.dr7, values.debug[7] ?? 0n, true);
  vm.call("KVM_SET_DEBUGREGS", new Uint8Array(debug.buffer));
  const events = new Uint8Array(api.kvm_vcpu_events.size);
  events[EVENTS.nmiMasked] = data.nmiBlocked ? 1 : 0;
  events[EVENTS.flags] = KVM_VCPUEVENT_VALID_NMI_PENDING;
  vm.call("KVM_SET_VCPU_EVENTS", events);
  vm.run.setUint8(api.kvm_run.at.ready_for_interrupt_injection, 0);
  return run;
}

function pdptesOf(memory: GuestMemory, registers: CpuRegisters): Uint32Array {
  const pdptes = new Uint32Array(8);
  const at = Number(registers.control.cr3 & 0xffff_ffe0n);
  if (usesPdptes(registers)) memory.read(at, new Uint8Array(pdptes.buffer));
  return pdptes;
}

/** KVM has XCR0 to get and set only where its processor has XSAVE. */
function hasXcrs(xcrs: Uint8Array<ArrayBuffer>): boolean {
  return new DataView(xcrs.buffer).getUint32(api.kvm_xcrs.at.nr_xcrs, true) !== 0;
}
function xcr0Of(xcrs: Uint8Array<ArrayBuffer>): bigint {
  const view = new DataView(xcrs.buffer);
  return !hasXcrs(xcrs) ? XCR0_RESET : view.getBigUint64(api.kvm_xcrs.at.xcrs + api.kvm_xcr.at.value, true);
}
function xcrsOf(xcr0: bigint): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(api.kvm_xcrs.size));
  view.setUint32(api.kvm_xcrs.at.nr_xcrs, 1, true);
  view.setBigUint64(api.kvm_xcrs.at.xcrs + api.kvm_xcr.at.value, xcr0, true);
  return new Uint8Array(view.buffer);
}
