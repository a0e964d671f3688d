// SPDX-License-Identifier: MIT
/**
 * What the outer guest is made of: a kernel of Debian's with the modules of KVM, and an initramfs with this system's Deno
 * (and other programs) with their libraries, the source tree at its own path, Deno's cache, and guests. Kept in
 * `.cache/kvm/`.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { type CpioEntry, writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { DebianPackages, exists } from "../guests/debian_packages.ts";
import { collectModules } from "../guests/kernel_modules.ts";
import { findKernel } from "../guests/make_guests.ts";
import { busyboxOf, GUEST_KERNELS, guestFiles, type GuestName, PACKAGE_CACHE } from "../guests/manifest.ts";
import { neededLibraries } from "../guests/shared_libraries.ts";
import { ROOT } from "../gate/sources.ts";
import { run } from "../host/processes.ts";

/** Where all of it is kept. */
export const CACHE = new URL(".cache/kvm/", ROOT);
/** Deno's own cache in there: what the tests import, nothing else. */
const DENO_CACHE = new URL("deno/", CACHE);
/** Modules of the outer guest: KVM on the processor that QEMU emulates, and TAP devices. */
const MODULES = ["kvm-amd", "tun"];
const LIBRARY_FOLDERS = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/lib",
];
const LOADER = "lib64/ld-linux-x86-64.so.2";
/** Of the source tree, what tests do not read. */
const LEFT_OUT = ["docs", "node_modules"];

/** The kernels the outer guest may have: of these families, which differ in what their KVM can do. */
export const OUTER_KERNELS = ["backports", "trixie", "cloud", "sid"] as const satisfies readonly GuestName[];
/** Name of one. */
export type OuterKernel = typeof OUTER_KERNELS[number];

/** The kernel's file, and its modules in the order in which they are loaded. */
export interface OuterKernelFiles {
  readonly vmlinuz: URL;
  readonly modules: readonly { readonly name: string; readonly data: Uint8Array }[];
}

/** Gets kernel and modules; quick when they are there. */
export async function outerKernel(
  name: OuterKernel,
  progress: (what: string) => void,
): Promise<OuterKernelFiles> {
  const folder = new URL(`${name}/`, CACHE);
  const vmlinuz = new URL("vmlinuz", folder), order = new URL("order", folder);
  if (!await exists(order)) {
    const kernel: { readonly metaPackage: string; readonly suite?: GuestSuite } = GUEST_KERNELS[name];
    progress(`getting ${kernel.metaPackage}${kernel.suite === undefined ? "" : ` of ${kernel.suite.suite}`}`);
    const packages = new DebianPackages(PACKAGE_CACHE, kernel.suite);
    await packages.require(kernel.metaPackage);
    const root = new URL(`kvm-${name}-root/`, PACKAGE_CACHE);
    for (const part of await packages.kernelPackages(kernel.metaPackage)) await packages.unpack(part, root);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.copyFile(await findKernel(root), vmlinuz);
    const modules = await collectModules(root, MODULES);
    for (const { name, data } of modules) await Deno.writeFile(new URL(`${name}.ko`, folder), data);
    await Deno.writeTextFile(order, modules.map(({ name }) => `${name}.ko\n`).join(""));
    await Deno.remove(root, { recursive: true });
  }
  const names = (await Deno.readTextFile(order)).split("\n").filter((line) => line !== "");
  const modules = names.map(async (name) => ({ name, data: await Deno.readFile(new URL(name, folder)) }));
  return { vmlinuz, modules: await Promise.all(modules) };
}
type GuestSuite = NonNullable<ConstructorParameters<typeof DebianPackages>[1]>;

/** What goes into the initramfs. */
export interface OuterParts {
  readonly kernel: OuterKernelFiles;
  /** A shell script, which runs in the source tree. */
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Guests that the tests boot. */
  readonly guests: readonly GuestName[];
  /** Programs of this system besides Deno, by their full paths. */
  readonly programs: readonly string[];
  /** Other files of this system, by their full paths; folders with all that is in them. */
  readonly files: readonly string[];
  /** Modules that run in there, for Deno's cache. */
  readonly modules: readonly string[];
}

/** Makes the initramfs. */
export async function outerInitramfs(parts: OuterParts): Promise<Uint8Array<ArrayBuffer>> {
  const entries = new Map<string, CpioEntry>();
  const add = (entry: CpioEntry) => entries.set(entry.name, entry);
  const file = (name: string, data: Uint8Array, mode = 0o644) => add({ type: "file", name, data, mode });
  const text = (name: string, content: string) => file(name, new TextEncoder().encode(content));
  add({ type: "character", name: "dev/console", major: 5, minor: 1 });
  add({ type: "character", name: "dev/null", major: 1, minor: 3, mode: 0o666 });
  file("init", await Deno.readFile(new URL("outer_init", import.meta.url)), 0o755);
  file("bin/busybox", await Deno.readFile(busyboxOf("amd64")), 0o755);
  const { modules } = parts.kernel;
  for (const { name, data } of modules) file(`lib/modules/${name}`, data);
  text("lib/modules/order", modules.map(({ name }) => `${name}\n`).join(""));
  text("command", parts.command);
  const environment = {
    HOME: "/root",
    PATH: "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
    DENO_DIR: DENO_CACHE.pathname,
    ...parts.environment,
  };
  const lines = Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  text("environment", lines.join("") + `cd ${quoted(ROOT.pathname)}\n`);
  text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");

  for (const program of ["/usr/bin/deno", ...parts.programs]) {
    const path = await Deno.realPath(program === "/usr/bin/deno" ? Deno.execPath() : program);
    await addProgram(`usr/local/bin/${program.split("/").at(-1)}`, path, file);
  }
  for (const path of parts.files) await addTree(path, path.slice(1), [], add);
  await addTree(ROOT.pathname.replace(/\/$/, ""), ROOT.pathname.slice(1, -1), LEFT_OUT, add);
  await cacheModules(parts.modules);
  await addTree(DENO_CACHE.pathname.replace(/\/$/, ""), DENO_CACHE.pathname.slice(1, -1), [], add);
  for (const name of parts.guests) {
    const { vmlinuz, vmlinux, initramfs } = guestFiles(name);
    for (const url of [vmlinuz, vmlinux, initramfs]) {
      if (await exists(url)) file(url.pathname.slice(1), await Deno.readFile(url));
    }
  }
  return writeCpio([...entries.values()]);
}

/** For a shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A program of this system, and the libraries it needs. */
async function addProgram(
  name: string,
  path: string,
  file: (name: string, data: Uint8Array, mode: number) => void,
): Promise<void> {
  const data = await Deno.readFile(path);
  file(name, data, 0o755);
  file(LOADER, await Deno.readFile(`/${LOADER}`), 0o755);
  const queue = neededLibraries(data), seen = new Set<string>();
  for (let library = queue.shift(); library !== undefined; library = queue.shift()) {
    if (seen.has(library)) continue;
    seen.add(library);
    if (library === LOADER.split("/").at(-1)) continue;
    const found = await findLibrary(library);
    if (found === undefined) throw new ConfigError(`Cannot find ${library}, which ${path} needs`, "host");
    const bytes = await Deno.readFile(found);
    file(`lib/x86_64-linux-gnu/${library}`, bytes, 0o755);
    queue.push(...neededLibraries(bytes));
  }
}

async function findLibrary(name: string): Promise<string | undefined> {
  for (const folder of LIBRARY_FOLDERS) if (await exists(`${folder}/${name}`)) return `${folder}/${name}`;
  return undefined;
}

/** A file, or a folder without what starts with a dot. */
async function addTree(
  path: string,
  name: string,
  leftOut: readonly string[],
  add: (entry: CpioEntry) => void,
): Promise<void> {
  const info = await Deno.stat(path);
  if (!info.isDirectory) {
    return add({ type: "file", name, data: await Deno.readFile(path), mode: (info.mode ?? 0o644) & 0o777 });
  }
  for await (const { name: child } of Deno.readDir(path)) {
    if (child.startsWith(".git") || child === ".cache" || leftOut.includes(child)) continue;
    await addTree(`${path}/${child}`, `${name}/${child}`, leftOut, add);
  }
}

/** Deno's cache gets what `modules` import, compiled: the emulated processor is slow at that. */
async function cacheModules(modules: readonly string[]): Promise<void> {
  await Deno.mkdir(DENO_CACHE, { recursive: true });
  // what is compiled is kept by its path and would pile up
  const generated = new URL("gen/", DENO_CACHE);
  if (await exists(generated)) await Deno.remove(generated, { recursive: true });
  await run("env", [`DENO_DIR=${DENO_CACHE.pathname}`, Deno.execPath(), "cache", "--quiet", ...modules], {
    cwd: ROOT.pathname,
    quiet: true,
  });
}
