// SPDX-License-Identifier: MIT
/**
 * All of KVM's processor that survives: structures as KVM gives them, and the MSRs it can list.
 *
 * Not done: the format of the other engines. A machine saved under KVM goes on under KVM.
 * @module
 */
import type { EngineState } from "../base/engine.ts";
import * as api from "./api.ts";
import type { KvmVm } from "./kvm_vm.ts";

const FORMAT = "kvm/1";

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

interface SavedState {
  readonly parts: Readonly<Record<Part, Uint8Array<ArrayBuffer>>>;
  readonly msrs: readonly (readonly [index: number, value: bigint])[];
  readonly halted: boolean;
  readonly nmi: boolean;
}

/** What the engine keeps besides. */
export interface RunState {
  readonly halted: boolean;
  readonly nmi: boolean;
}

/** A copy of everything. General registers that wait to be taken must have been given to KVM. */
export function saveState(vm: KvmVm, { halted, nmi }: RunState): EngineState {
  const parts = {} as Record<Part, Uint8Array<ArrayBuffer>>;
  for (const [name, size] of PARTS) vm.call(`KVM_GET_${name}`, parts[name] = new Uint8Array(size));
  const msrs: [number, bigint][] = [];
  for (const index of vm.msrIndices) {
    const value = vm.readMsr(index);
    if (value !== undefined) msrs.push([index, value]);
  }
  const data: SavedState = { parts, msrs, halted, nmi };
  return { format: FORMAT, data };
}

/** Puts it back; `keep`: parts, and whether the MSRs too, that stay as they are. Throws RangeError for another format. */
export function loadState(vm: KvmVm, state: EngineState, keep: readonly (Part | "msrs")[] = []): RunState {
  if (state.format !== FORMAT) {
    throw new RangeError(`Cannot load CPU state of format "${state.format}": this engine reads "${FORMAT}"`);
  }
  const data = state.data as SavedState;
  for (const [name] of PARTS) {
    if (!keep.includes(name)) vm.call(`KVM_SET_${name}`, data.parts[name].slice());
  }
  if (!keep.includes("msrs")) {
    for (const [index, value] of data.msrs) vm.writeMsr(index, value); // some can only be read
  }
  new Uint8Array(vm.run.buffer, api.kvm_run.at.s, api.kvm_regs.size).set(data.parts.REGS);
  vm.run.setBigUint64(api.kvm_run.at.kvm_dirty_regs, 0n, true);
  vm.run.setUint8(api.kvm_run.at.ready_for_interrupt_injection, 0);
  return { halted: data.halted, nmi: data.nmi };
}
