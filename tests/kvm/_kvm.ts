// SPDX-License-Identifier: MIT
/** Machines under KVM, where this host has one that we may use; elsewhere tests are skipped and say why. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import {
  KVM_CAP_XEN_HVM,
  KVM_CHECK_EXTENSION,
  KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
} from "../../cpu/kvm/api.ts";
import { DEFAULT_CPU, parseCpuModel } from "../../cpu/base/cpu_model.ts";
import { lackedFeatures, unpackCpuid } from "../../cpu/kvm/cpuid.ts";
import { KvmVm } from "../../cpu/kvm/kvm_vm.ts";
import type { CreateOptions } from "../../devices/machine/create_options.ts";
import { createMachine } from "../../devices/machine/create_machine.ts";
import type { Machine } from "../../devices/machine/machine.ts";
import type { ExitInfo } from "../../devices/machine/machine_options.ts";
import { guestFiles, type GuestName, type GuestRun } from "../../scripts/guests/manifest.ts";
import { type Boot, boot } from "../_boot.ts";
import { hostCpuFlags, kvmHost } from "../../net/host/kvm.ts";

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

/** Why KVM is no processor's here, to add to names of tests; empty: it is one's. */
export function notHardware(): string {
  return hostCpuFlags()?.some((flag) => flag === "vmx" || flag === "svm")
    ? ""
    : " (skipped: this processor has neither VMX nor SVM)";
}

/** Options of `xenner run` for a Debian under KVM: the time is for a processor that is itself emulated. */
export const BOOT_OPTIONS = ["--engine", "kvm", "--timeout", "1500", "--memory", "192M"];

/**
 * Boots `guest` under KVM. A PVH domain gets the ELF file that is in its bzImage: taking it out is no matter of engines, and
 * takes an emulated processor a minute.
 */
export function bootAs(
  type: string,
  guest: GuestName,
  run: GuestRun,
  options: readonly string[],
  initrd?: string,
): Promise<Boot> {
  const kernel = type === "pvh" ? guestFiles(guest).vmlinux : undefined;
  return boot(guest, run, [...BOOT_OPTIONS, "--type", type, ...options], undefined, initrd, kernel);
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
export function withKvm<T>(
  image: Uint8Array,
  use: (machine: Machine, run: () => Promise<KvmRun>) => Promise<T>,
  options: Options = {},
): Promise<T> {
  return withMachine(image, use, { engine: "kvm", ...options });
}

type Options = Pick<CreateOptions, "engine" | "hypercallPages" | "cpu" | "cpuVendor" | "type" | "noReboot">;

/** As {@linkcode withKvm}, under any engine. */
export async function withMachine<T>(
  image: Uint8Array,
  use: (machine: Machine, run: () => Promise<KvmRun>) => Promise<T>,
  options: Options,
): Promise<T> {
  let console = "", debug = "";
  const machine = await createMachine({
    kernel: { name: "guest", bytes: image },
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

/** The default processor without what this host lacks: machines that have it can go on under KVM here. */
export function cpuForKvm(): string {
  const vm = new KvmVm(kvmHost());
  try {
    const lacks = lackedFeatures(parseCpuModel(DEFAULT_CPU).features, unpackCpuid(vm.supportedCpuid));
    return [DEFAULT_CPU, ...lacks.map((name) => `-${name}`)].join(",");
  } finally {
    vm.close();
  }
}

/** Why there are no VMCALLs to be seen, to add to names of tests; empty: KVM hands them over. */
export function noHypercalls(): string {
  const missing = noKvm();
  if (missing !== "") return missing;
  const host = kvmHost();
  const fd = host.open();
  const can = host.ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_XEN_HVM);
  host.close(fd);
  const taken = (can & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) !== 0;
  return taken ? "" : " (skipped: this host's KVM hands over no hypercalls: no KVM_CAP_XEN_HVM)";
}
