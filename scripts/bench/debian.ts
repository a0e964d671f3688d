// SPDX-License-Identifier: MIT
/**
 * A whole Debian from the start of the process to its login prompt: systemd, sshd, DHCP. Ours beside QEMU TCG with virtio
 * disk and network: the same kernel, initrd and image, of which each run sees a copy.
 * @module
 */
import type { DebianFiles } from "../debian/make_debian.ts";
import { Child, type CommandLine, xenner } from "../host/child.ts";
import type { DiskEmulator } from "./disk.ts";
import { until, usageOf } from "./guests.ts";
import { QEMU } from "./qemu.ts";

/** One boot. */
export interface DebianBoot {
  /** From the start of the process to the prompt. */
  readonly seconds: number;
  /** CPU time of the process up to there, all its threads. */
  readonly cpuSeconds: number;
}

const MEMORY = "1G";

/** Boots it once. */
export async function measureDebian(emulator: DiskEmulator, debian: DebianFiles): Promise<DebianBoot> {
  const start = performance.now();
  const guest = new Child(commandOf(emulator, debian));
  try {
    await until(guest, /login: /);
    return { seconds: (performance.now() - start) / 1000, cpuSeconds: usageOf(guest.pid).cpuSeconds };
  } finally {
    guest.kill("SIGKILL");
    await guest.status;
  }
}

function commandOf(emulator: DiskEmulator, { image, kernel, initrd }: DebianFiles): CommandLine {
  const append = (console: string, disk: string) =>
    `root=/dev/${disk} rw console=${console} net.ifnames=0 systemd.service_watchdogs=0`;
  if (emulator !== "qemu") {
    return xenner([
      ...["run", "--engine", emulator, "--memory", MEMORY, "--net", "user"],
      ...["--kernel", kernel, "--initrd", initrd, "--disk", `${image},snapshot`],
      ...["--append", append("hvc0", "xvda")],
    ]);
  }
  return {
    command: QEMU,
    args: [
      ...["-M", "pc", "-accel", "tcg", "-cpu", "max", "-m", MEMORY, "-nodefaults", "-display", "none"],
      ...["-serial", "stdio", "-kernel", kernel, "-initrd", initrd, "-append", append("ttyS0", "vda")],
      ...["-drive", `file=${image},format=raw,if=virtio,snapshot=on`],
      ...["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n"],
    ],
  };
}
