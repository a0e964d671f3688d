// SPDX-License-Identifier: MIT
/**
 * `deno task guests`: makes the guests of guest_manifest.ts in .cache/guests/, from Debian's packages. Downloads what is
 * not there (or, with --update, what is not the newest); initramfs images are always made anew.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { extractVmlinux } from "../../devices/loaders/decompress.ts";
import { writeCpio } from "./cpio.ts";
import { DebianPackages } from "./debian_packages.ts";
import {
  BUSYBOX,
  BUSYBOX_PACKAGE,
  GUEST_CACHE,
  GUEST_KERNELS,
  guestFiles,
  type GuestName,
  PACKAGE_CACHE,
} from "./manifest.ts";
import { collectModules } from "./kernel_modules.ts";

/** How to make guests. */
export interface GuestOptions {
  /** Which; all by default. */
  readonly names?: readonly GuestName[];
  /** Asks for newer packages. */
  readonly update?: boolean;
  /** Told what is being done. */
  readonly progress?: (what: string) => void;
}

/** Makes guests; quick when they are there. */
export async function makeGuests(options: GuestOptions = {}): Promise<void> {
  const names = options.names ?? (Object.keys(GUEST_KERNELS) as GuestName[]);
  const progress = options.progress ?? (() => {});
  const packages = new DebianPackages(PACKAGE_CACHE);
  await Deno.mkdir(GUEST_CACHE, { recursive: true });
  if (options.update === true || !await exists(BUSYBOX)) {
    progress(`getting ${BUSYBOX_PACKAGE.name}`);
    await packages.require(BUSYBOX_PACKAGE.name);
    const root = new URL("busybox-root/", PACKAGE_CACHE);
    await packages.unpack(BUSYBOX_PACKAGE.name, root);
    const usr = new URL(`usr/${BUSYBOX_PACKAGE.path}`, root);
    await Deno.copyFile(await exists(usr) ? usr : new URL(BUSYBOX_PACKAGE.path, root), BUSYBOX);
    await Deno.chmod(BUSYBOX, 0o755);
  }
  for (const name of names) await makeGuest(name, packages, options.update === true, progress);
}

async function makeGuest(
  name: GuestName,
  packages: DebianPackages,
  update: boolean,
  progress: (what: string) => void,
): Promise<void> {
  const { metaPackage, modules } = GUEST_KERNELS[name];
  const files = guestFiles(name);
  const folder = new URL(`${name}/`, GUEST_CACHE);
  const order = new URL("modules/order", folder);
  if (update || !await exists(files.vmlinux) || !await exists(order)) {
    progress(`getting ${metaPackage}`);
    await packages.require(metaPackage);
    const kernelPackage = await packages.kernelPackage(metaPackage);
    const root = new URL(`${kernelPackage}/`, PACKAGE_CACHE);
    await packages.unpack(kernelPackage, root);
    await Deno.mkdir(new URL("modules/", folder), { recursive: true });
    await Deno.copyFile(await findKernel(root), files.vmlinuz);
    const { bytes } = await extractVmlinux({
      name: kernelPackage,
      bytes: await Deno.readFile(files.vmlinuz),
    });
    const collected = await collectModules(root, modules);
    for (const module of collected) {
      await Deno.writeFile(new URL(`modules/${module.name}.ko`, folder), module.data);
    }
    await replaceFile(files.vmlinux, bytes);
    await Deno.writeTextFile(order, collected.map((module) => `${module.name}.ko\n`).join(""));
    await Deno.remove(root, { recursive: true });
  }
  progress(`making the initramfs of ${name}`);
  await replaceFile(files.initramfs, await initramfs(folder));
}

async function findKernel(root: URL): Promise<URL> {
  const boot = new URL("boot/", root);
  for await (const entry of Deno.readDir(boot)) {
    if (entry.name.startsWith("vmlinuz-")) return new URL(entry.name, boot);
  }
  throw new ConfigError(`Cannot find a kernel in ${boot.pathname}`, "host");
}

async function initramfs(folder: URL): Promise<Uint8Array<ArrayBuffer>> {
  const script = (file: string) => Deno.readFile(new URL(`${file}`, import.meta.url));
  const order = await Deno.readTextFile(new URL("modules/order", folder));
  const names = order.split("\n").filter((line) => line !== "");
  const modules = await Promise.all(names.map(async (name) => ({
    type: "file" as const,
    name: `lib/modules/${name}`,
    data: await Deno.readFile(new URL(`modules/${name}`, folder)),
  })));
  return writeCpio([
    { type: "character", name: "dev/console", major: 5, minor: 1 },
    { type: "character", name: "dev/null", major: 1, minor: 3, mode: 0o666 },
    { type: "file", name: "init", data: await script("init"), mode: 0o755 },
    { type: "file", name: "bin/busybox", data: await Deno.readFile(BUSYBOX), mode: 0o755 },
    { type: "file", name: "etc/udhcpc.sh", data: await script("udhcpc.sh"), mode: 0o755 },
    { type: "file", name: "lib/modules/order", data: new TextEncoder().encode(order) },
    ...modules,
  ]);
}

/** Writes a file that others may be reading: they see the old or the new one. */
async function replaceFile(file: URL, bytes: Uint8Array): Promise<void> {
  const part = new URL(`${file.href}.${Deno.pid}.part`);
  await Deno.writeFile(part, bytes);
  await Deno.rename(part, file);
}

async function exists(file: URL): Promise<boolean> {
  try {
    await Deno.stat(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) {
  try {
    await makeGuests({
      update: Deno.args.includes("--update"),
      progress: (what) => console.error(`guests: ${what}`),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`guests: ${error.message}`);
    Deno.exit(error.kind === "host" ? 3 : 2);
  }
}
