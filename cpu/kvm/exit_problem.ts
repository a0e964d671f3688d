// SPDX-License-Identifier: MIT
/**
 * Exits after which there is no going on, in words.
 * @module
 */
import * as api from "./api.ts";

/** Of KVM_EXIT_INTERNAL_ERROR. */
const SUBERRORS: Readonly<Record<number, string>> = {
  [api.KVM_INTERNAL_ERROR_EMULATION]: "KVM cannot emulate an instruction",
  [api.KVM_INTERNAL_ERROR_SIMUL_EX]: "exceptions on top of each other",
  [api.KVM_INTERNAL_ERROR_DELIVERY_EV]: "the guest left while an event was delivered",
  [api.KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON]: "the processor left the guest for an unexpected reason",
};
const MOST_WORDS = 16;

/** What `run`, a struct kvm_run, says about its exit. */
export function exitProblem(run: DataView<ArrayBuffer>, reason: number): string {
  const union = api.kvm_run.at.io;
  if (reason === api.KVM_EXIT_FAIL_ENTRY) {
    const why = run.getBigUint64(union + api.kvm_run_fail_entry.at.hardware_entry_failure_reason, true);
    return `the processor refuses to enter the guest (hardware reason 0x${why.toString(16)})`;
  }
  if (reason !== api.KVM_EXIT_INTERNAL_ERROR) return `it left for reason ${reason}, which is unknown here,`;
  const { at } = api.kvm_run_internal;
  const suberror = run.getUint32(union + at.suberror, true);
  const what = SUBERRORS[suberror] ?? "an error that is unknown here";
  return `internal error ${suberror}, ${what} (${instruction(run, suberror) ?? words(run)})`;
}

/** The bytes of an instruction that could not be emulated, where KVM says them (Linux 5.14). */
function instruction(run: DataView<ArrayBuffer>, suberror: number): string | undefined {
  const union = api.kvm_run.at.io, { at } = api.kvm_run_emulation_failure;
  if (suberror !== api.KVM_INTERNAL_ERROR_EMULATION || run.getUint32(union + at.ndata, true) === 0) {
    return undefined;
  }
  const flags = run.getBigUint64(union + at.flags, true);
  if ((flags & BigInt(api.KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) === 0n) return undefined;
  const size = Math.min(run.getUint8(union + at.insn_size), 15);
  const bytes = Array.from({ length: size }, (_, i) => run.getUint8(union + at.insn_bytes + i));
  return `bytes ${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
}

function words(run: DataView<ArrayBuffer>): string {
  const union = api.kvm_run.at.io, { at } = api.kvm_run_internal;
  const count = Math.min(run.getUint32(union + at.ndata, true), MOST_WORDS);
  const data = Array.from({ length: count }, (_, i) => run.getBigUint64(union + at.data + i * 8, true));
  return `data ${data.map((word) => word.toString(16)).join(" ") || "none"}`;
}
