// SPDX-License-Identifier: MIT
/** QEMU as the other emulator of the benches. @module */
import { hasProgram, runText } from "../host/processes.ts";

/** The program. */
export const QEMU = "qemu-system-x86_64";

/** "QEMU 7.2.22", or undefined when it is not installed. */
export async function qemuVersion(): Promise<string | undefined> {
  if (!await hasProgram(QEMU)) return undefined;
  const version = /version (\S+)/.exec(await runText(QEMU, ["--version"]))?.[1] ?? "of unknown version";
  return `QEMU ${version}`;
}
/** Where its firmware is, for one that is not where it was built for. */
export const QEMU_FIRMWARE = ["/usr/share/qemu", "/usr/share/seabios"].flatMap((folder) => ["-L", folder]);
