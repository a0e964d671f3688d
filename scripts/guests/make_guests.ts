// SPDX-License-Identifier: MIT
/**
 * `deno task guests [NAME...] [--update]`: makes the guests of manifest.ts (all, or those named) in .cache/guests/, from
 * Debian's packages. Downloads what is not there (or, with --update, what is not the newest); initramfs images are always
 * made anew.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { reason } from "../../devices/loaders/host_file.ts";
import { extractVmlinux } from "../../devices/loaders/decompress.ts";
import { writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { DebianPackages, exists, type Suite } from "./debian_packages.ts";
import { collectModules } from "./kernel_modules.ts";
import { getPackageFiles, PACKAGE_GUESTS, type PackageGuestName } from "./package_files.ts";
import {
  BUSYBOX_PACKAGE,
  busyboxOf,
  DRIVERS,
  GUEST_CACHE,
  GUEST_KERNELS,
  guestFiles,
  type GuestKernel,
  type GuestName,
  PACKAGE_CACHE,
} from "./manifest.ts";

/** How to make guests. */
export interface GuestOptions {
  /** Which; all by default. */
  readonly names?: readonly (GuestName | PackageGuestName)[];
  /** Asks for newer packages. */
  readonly update?: boolean;
  /** Told what is being done. */
  readonly progress?: (what: string) => void;
}

/**
 * Makes guests; quick when they are there. One whose suite cannot be had is left out: `progress` and its file "missing"
 * say why.
 */
export async function makeGuests(options: GuestOptions = {}): Promise<void> {
  const all = options.names ?? [...Object.keys(GUEST_KERNELS), ...Object.keys(PACKAGE_GUESTS)];
  const names = all.filter((name): name is GuestName => name in GUEST_KERNELS);
  const progress = options.progress ?? (() => {});
  const update = options.update === true;
  try {
    await Deno.mkdir(GUEST_CACHE, { recursive: true });
    await Deno.remove(await Deno.makeTempFile({ dir: GUEST_CACHE.pathname }));
  } catch (cause) {
    throw new ConfigError(`Cannot make guests in ${GUEST_CACHE.pathname}: ${reason(cause)}`, "host", {
      cause,
    });
  }
  for (const name of names) {
    const kernel: GuestKernel = GUEST_KERNELS[name];
    const packages = new DebianPackages(PACKAGE_CACHE, kernel.suite);
    const { missing } = guestFiles(name);
    try {
      await makeBusybox(kernel.suite, packages, update, progress);
      await makeGuest(name, kernel, packages, update, progress);
      if (await exists(missing)) await Deno.remove(missing);
    } catch (error) {
      if (kernel.suite === undefined || !(error instanceof ConfigError)) throw error;
      const why = error.message.replaceAll(/\s*\n\s*/g, " ");
      progress(`no ${name}: ${why}`);
      await Deno.mkdir(new URL(".", missing), { recursive: true });
      await Deno.writeTextFile(missing, why + "\n");
    }
  }
  await getPackageFiles(
    all.filter((name): name is PackageGuestName => name in PACKAGE_GUESTS),
    update,
    progress,
  );
}

async function makeBusybox(
  suite: Suite | undefined,
  packages: DebianPackages,
  update: boolean,
  progress: (what: string) => void,
): Promise<void> {
  const architecture = suite?.architecture ?? "amd64";
  const busybox = busyboxOf(architecture);
  // that of amd64 is this system's: it runs in guests of every suite
  if (await exists(busybox) && !(update && (suite === undefined || architecture !== "amd64"))) return;
  progress(`getting ${BUSYBOX_PACKAGE.name} for ${architecture}`);
  const { name, path } = BUSYBOX_PACKAGE;
  await packages.require(name);
  const root = new URL(`busybox-root-${architecture}/`, PACKAGE_CACHE);
  await packages.unpack(name, root);
  const usr = new URL(`usr/${path}`, root);
  await replaceFile(busybox, await Deno.readFile(await exists(usr) ? usr : new URL(path, root)), 0o755);
  await Deno.remove(root, { recursive: true });
}

async function makeGuest(
  name: GuestName,
  { metaPackage, modules, suite }: GuestKernel,
  packages: DebianPackages,
  update: boolean,
  progress: (what: string) => void,
): Promise<void> {
  const files = guestFiles(name);
  const folder = new URL(`${name}/`, GUEST_CACHE);
  const order = new URL("modules/order", folder);
  const wanted = new URL("modules/wanted", folder);
  const had = await exists(wanted) ? await Deno.readTextFile(wanted) : DRIVERS.join("\n");
  const other = had !== modules.join("\n"); // the manifest has changed
  if (update || other || !await exists(files.vmlinux) || !await exists(order)) {
    progress(`getting ${metaPackage}${suite === undefined ? "" : ` of ${suite.suite}`}`);
    await packages.require(metaPackage);
    const [image, ...parts] = await packages.kernelPackages(metaPackage);
    const root = new URL(`${name}-root/`, PACKAGE_CACHE);
    for (const part of [image, ...parts]) await packages.unpack(part, root);
    await Deno.mkdir(new URL("modules/", folder), { recursive: true });
    await Deno.copyFile(await findKernel(root), files.vmlinuz);
    const { bytes } = await extractVmlinux({ name: image, bytes: await Deno.readFile(files.vmlinuz) });
    const collected = await collectModules(root, modules);
    for (const module of collected) {
      await Deno.writeFile(new URL(`modules/${module.name}.ko`, folder), module.data);
    }
    await replaceFile(files.vmlinux, bytes);
    await Deno.writeTextFile(order, collected.map((module) => `${module.name}.ko\n`).join(""));
    await Deno.writeTextFile(wanted, modules.join("\n"));
    await Deno.remove(root, { recursive: true });
  }
  progress(`making the initramfs of ${name}`);
  await replaceFile(files.initramfs, await initramfs(folder, busyboxOf(suite?.architecture ?? "amd64")));
}

/** /boot/vmlinuz-VERSION, or /usr/lib/modules/VERSION/vmlinuz. */
export async function findKernel(root: URL): Promise<URL> {
  for await (const name of namesIn(new URL("boot/", root))) {
    if (name.startsWith("vmlinuz-")) return new URL(`boot/${name}`, root);
  }
  for await (const version of namesIn(new URL("usr/lib/modules/", root))) {
    const kernel = new URL(`usr/lib/modules/${version}/vmlinuz`, root);
    if (await exists(kernel)) return kernel;
  }
  throw new ConfigError(`Cannot find a kernel in ${root.pathname}`, "host");
}

async function* namesIn(folder: URL): AsyncGenerator<string> {
  if (await exists(folder)) { for await (const { name } of Deno.readDir(folder)) yield name; }
}

async function initramfs(folder: URL, busybox: URL): Promise<Uint8Array<ArrayBuffer>> {
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
    { type: "file", name: "bin/busybox", data: await Deno.readFile(busybox), mode: 0o755 },
    { type: "file", name: "etc/udhcpc.sh", data: await script("udhcpc.sh"), mode: 0o755 },
    { type: "file", name: "lib/modules/order", data: new TextEncoder().encode(order) },
    ...modules,
  ]);
}

/** Writes a file that others may be reading: they see the old or the new one. */
async function replaceFile(file: URL, bytes: Uint8Array, mode = 0o644): Promise<void> {
  const part = new URL(`${file.href}.${Deno.pid}.part`);
  await Deno.writeFile(part, bytes, { mode });
  await Deno.rename(part, file);
}

/** The guests that `args` name; undefined: all. */
function namesOf(args: readonly string[]): (GuestName | PackageGuestName)[] | undefined {
  const names = args.filter((arg) => !arg.startsWith("--"));
  for (const name of names) {
    if (!(name in GUEST_KERNELS) && !(name in PACKAGE_GUESTS)) {
      const there = [...Object.keys(GUEST_KERNELS), ...Object.keys(PACKAGE_GUESTS)];
      throw new ConfigError(`Cannot make "${name}": there are ${there.join(", ")}`);
    }
  }
  return names.length > 0 ? names as (GuestName | PackageGuestName)[] : undefined;
}

if (import.meta.main) {
  try {
    const names = namesOf(Deno.args);
    await makeGuests({
      ...(names && { names }),
      update: Deno.args.includes("--update"),
      progress: (what) => console.error(`guests: ${what}`),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`guests: ${error.message}`);
    Deno.exit(error.kind === "host" ? 3 : 2);
  }
}
