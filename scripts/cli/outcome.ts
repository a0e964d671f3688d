// SPDX-License-Identifier: MIT
/** How a run ended, for people and for programs: one line and an exit status. README.md has the table. @module */
import type { ExitInfo } from "../../devices/machine/machine_options.ts";

/** See the module's description. */
export interface Outcome {
  readonly status: number;
  /** Absent when there is nothing to say. */
  readonly why?: string;
  /** Registers and code help to find out more. */
  readonly report: boolean;
}

/** What `info` means. */
export function outcomeOf({ reason, detail, status }: ExitInfo): Outcome {
  const said = detail ?? "it does not say why";
  switch (reason) {
    case "poweroff":
    case "reboot":
    case "suspend":
    case "stopped":
      return { status: 0, report: false };
    case "crash":
      return { status: 1, why: `the guest crashed: ${said}`, report: true };
    case "panic":
      return { status: 4, why: `the guest panicked: ${said}`, report: false };
    case "fail-on":
      return { status: 5, why: `--fail-on matches: ${said}`, report: false };
    case "init":
      return { status: status === 0 ? 0 : 6, why: `the guest has ended: ${said}`, report: false };
    case "halted":
      // how systems stop that cannot switch the power off: they have done what they were asked
      return { status: 0, why: `the guest halted: ${said}`, report: false };
    case "reboot-loop":
      return { status: 7, why: `the guest does nothing but reboot: ${said}`, report: false };
  }
}
