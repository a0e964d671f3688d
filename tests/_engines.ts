// SPDX-License-Identifier: MIT
/** The engines that guests of our own are run on. Tests only. @module */
import type { EngineName } from "../cpu/base/engine.ts";
import { noKvm, notHardware } from "./kvm/_kvm.ts";

/** An engine, and why its tests are skipped: the end of their names, empty where they are not. */
export interface TestedEngine {
  readonly engine: EngineName;
  readonly skipped: string;
}

/** All of them; KVM where it is a processor's: an emulation of it knows no IRET. */
export const ENGINES: readonly TestedEngine[] = [
  { engine: "interp", skipped: "" },
  { engine: "jit", skipped: "" },
  { engine: "kvm", skipped: noKvm() || notHardware() },
];
