// SPDX-License-Identifier: MIT
/** The engines that guests of our own are run on. Tests only. @module */
import type { EngineName } from "../cpu/base/engine.ts";
import { noHypercalls, noKvm, notHardware } from "./kvm/_kvm.ts";

/** An engine, and why its tests are skipped: the end of their names, empty where they are not. */
export interface TestedEngine {
  readonly engine: EngineName;
  readonly skipped: string;
  /** How a guest can call Xen without a hypercall page: by VMCALL where the engine is told of it. */
  readonly way: "port" | "vmcall";
}

/** All of them; KVM where it is a processor's: an emulation of it knows no IRET. */
export const ENGINES: readonly TestedEngine[] = [
  { engine: "interp", skipped: "", way: "vmcall" },
  { engine: "jit", skipped: "", way: "vmcall" },
  { engine: "kvm", skipped: noKvm() || notHardware(), way: noHypercalls() === "" ? "vmcall" : "port" },
];
