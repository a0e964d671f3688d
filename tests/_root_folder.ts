// SPDX-License-Identifier: MIT
/** A folder that a guest boots as its root: busybox, and the modules of a kernel. Tests only. @module */
import { kernelRelease } from "../devices/loaders/bzimage.ts";
import { dependencies } from "../scripts/guests/kernel_modules.ts";
import { busyboxOf, GUEST_CACHE, guestFiles, type GuestName } from "../scripts/guests/manifest.ts";

/** Makes `root` such a folder for kernel `guest`; `init` is its /sbin/init, a shell script. */
export async function makeRootFolder(root: string, guest: GuestName, init: string): Promise<void> {
  const release = kernelRelease(await Deno.readFile(guestFiles(guest).vmlinuz));
  const modules = `${root}/lib/modules/${release}`;
  for (const name of ["bin", "sbin", "proc", "dev", "tmp"]) {
    await Deno.mkdir(`${root}/${name}`, { recursive: true });
  }
  await Deno.mkdir(`${modules}/kernel`, { recursive: true });
  const from = new URL(`${guest}/modules/`, GUEST_CACHE);
  const names = (await Deno.readTextFile(new URL("order", from))).split("\n").filter((name) => name !== "");
  const needs = new Map<string, readonly string[]>();
  for (const name of names) {
    const data = await Deno.readFile(new URL(name, from));
    needs.set(name, dependencies(data).map((needed) => `${needed.replaceAll("-", "_")}.ko`));
    await Deno.writeFile(`${modules}/kernel/${name}`, data);
  }
  // as depmod(8) writes it: all that a module needs, the nearest first
  const all = (name: string): string[] => {
    const found: string[] = [];
    for (const needed of needs.get(name) ?? []) found.push(needed, ...all(needed));
    return found.filter((one, i) => found.lastIndexOf(one) === i);
  };
  const lines = names.map((name) => `kernel/${name}: ${all(name).map((one) => `kernel/${one}`).join(" ")}\n`);
  await Deno.writeTextFile(`${modules}/modules.dep`, lines.join(""));
  await Deno.writeTextFile(`${modules}/modules.builtin`, "");
  const busybox = busyboxOf(guest === "pae" ? "i386" : "amd64");
  await Deno.copyFile(busybox, `${root}/bin/busybox`);
  await Deno.chmod(`${root}/bin/busybox`, 0o755);
  await Deno.writeTextFile(`${root}/sbin/init`, `#!/bin/busybox sh\n${init}`, { mode: 0o755 });
}
