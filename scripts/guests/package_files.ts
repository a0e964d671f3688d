// SPDX-License-Identifier: MIT
/**
 * Guests that are one file of a Debian package: a memory test, a BIOS, a boot loader, a hypervisor. `deno task guests` puts them
 * beside the kernels of manifest.ts.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { DebianPackages, exists } from "./debian_packages.ts";
import { GUEST_CACHE, PACKAGE_CACHE } from "./manifest.ts";

/** A package, and which of its files are wanted under which names. */
interface PackageGuest {
  readonly package: string;
  readonly files: Readonly<Record<string, string>>;
}

/** All of them, from bookworm. */
export const PACKAGE_GUESTS = {
  memtest: {
    package: "memtest86+",
    files: { "x64.bin": "boot/memtest86+x64.bin", "ia32.bin": "boot/memtest86+ia32.bin" },
  },
  seabios: { package: "seabios", files: { "bios.bin": "usr/share/seabios/bios-256k.bin" } },
  grub: { package: "grub-xen-host", files: { "pvh.bin": "usr/lib/grub-xen/grub-i386-xen_pvh.bin" } },
  xen: { package: "xen-hypervisor-4.17-amd64", files: { "xen.gz": "boot/xen-4.17-amd64.gz" } },
} satisfies Readonly<Record<string, PackageGuest>>;

/** Name of one. */
export type PackageGuestName = keyof typeof PACKAGE_GUESTS;

/** Where `file` of `guest` is; "missing" says why there is none. */
export function packageFile(guest: PackageGuestName, file: string): URL {
  return new URL(`${guest}/${file}`, GUEST_CACHE);
}

/** Gets them; quick when they are there. What cannot be had is left out: `progress` and its file "missing" say why. */
export async function getPackageFiles(
  names: readonly PackageGuestName[],
  update: boolean,
  progress: (what: string) => void,
): Promise<void> {
  const packages = new DebianPackages(PACKAGE_CACHE, { suite: "bookworm", architecture: "amd64" });
  for (const name of names) {
    const guest: PackageGuest = PACKAGE_GUESTS[name];
    const wanted = Object.entries(guest.files).map(([file, path]) =>
      [packageFile(name, file), path] as const
    );
    const there = await Promise.all(wanted.map(([file]) => exists(file)));
    if (!update && there.every(Boolean)) continue;
    const missing = packageFile(name, "missing");
    await Deno.mkdir(new URL(".", missing), { recursive: true });
    try {
      progress(`getting ${guest.package}`);
      await packages.require(guest.package);
      const root = new URL(`${name}-root/`, PACKAGE_CACHE);
      await packages.unpack(guest.package, root);
      for (const [file, path] of wanted) {
        const part = new URL(`${file.href}.${Deno.pid}.part`);
        await Deno.copyFile(new URL(path, root), part);
        await Deno.rename(part, file); // others may be reading it
      }
      await Deno.remove(root, { recursive: true });
      if (await exists(missing)) await Deno.remove(missing);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const why = error.message.replaceAll(/\s*\n\s*/g, " ");
      progress(`no ${name}: ${why}`);
      await Deno.writeTextFile(missing, why + "\n");
    }
  }
}
