// SPDX-License-Identifier: MIT
/** Machines under KVM, where this host has one that we may use; elsewhere tests are skipped and say why. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { createMachine } from "../../devices/machine/create_machine.ts";
import type { Machine } from "../../devices/machine/machine.ts";
import type { ExitInfo } from "../../devices/machine/machine_options.ts";
import { kvmHost } from "../../net/host/kvm.ts";

/** Why tests are skipped, to add to their names; empty: KVM is there. */
export function noKvm(): string {
  try {
    const host = kvmHost();
    host.close(host.open());
    return "";
  } catch (error) {
    if (error instanceof ConfigError) return ` (skipped: ${error.message})`;
    throw error;
  }
}

/** A guest's run under KVM. */
export interface KvmRun {
  readonly exit: ExitInfo;
  readonly machine: Machine;
  /** What it printed on the PV console and on port 0xe9. */
  readonly console: string;
  readonly debug: string;
}

/** How long a guest may take: where KVM itself is emulated it is slow. */
const LIMIT_MS = 60_000;

/** Makes a machine of 16 MiB under KVM for `image`; `use` gets it with what it prints. */
export async function withKvm<T>(
  image: Uint8Array,
  use: (machine: Machine, run: () => Promise<KvmRun>) => Promise<T>,
  options: { readonly hypercallPages?: 1 | 2 } = {},
): Promise<T> {
  let console = "", debug = "";
  const machine = await createMachine({
    kernel: { name: "guest", bytes: image },
    engine: "kvm",
    memory: "16M",
    noReboot: true,
    ...options,
  });
  machine.on("console", (bytes, which) => {
    const text = String.fromCharCode(...bytes);
    if (which === "debug") debug += text;
    else console += text;
  });
  const timer = setTimeout(() => machine.stop(), LIMIT_MS);
  try {
    return await use(machine, async () => ({ exit: await machine.run(), machine, console, debug }));
  } finally {
    clearTimeout(timer);
    await machine.close();
  }
}
