// SPDX-License-Identifier: MIT
/**
 * An initramfs with programs of Debian's packages and a script that runs one row of work after the other: behind the
 * guest's own archive, whose /init runs `/script`. Shared objects are those that the programs name, found in the
 * packages that have them.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { type CpioEntry, writeCpio } from "../../../devices/loaders/root_folder/cpio.ts";
import { type Architecture, DebianPackages, exists } from "../../guests/debian_packages.ts";
import { guestFiles, PACKAGE_CACHE } from "../../guests/manifest.ts";
import { neededLibraries } from "../../guests/shared_libraries.ts";
import { PREPARE, type Work } from "./rows.ts";

/** Programs, by the path they have in their package. */
const PROGRAMS = [
  ...["usr/bin/sort", "usr/bin/xz", "usr/bin/zstd", "usr/bin/sqlite3", "usr/bin/python3.11", "usr/bin/perl"],
  ...["usr/bin/openssl", "usr/bin/stress-ng"],
];
/** Folders that programs need as they are. */
const FOLDERS = ["usr/lib/python3.11", "etc/ssl"];
const PACKAGES = ["coreutils", "xz-utils", "zstd", "sqlite3", "python3.11-minimal", "libpython3.11-minimal"];
const MORE_PACKAGES = ["perl-base", "openssl", "stress-ng", "libgles2", "libegl1"];
/** Those whose libraries nobody here loads, and that are large. */
const NEVER = /llvm|mesa|-dri|-data$|-common$|dev$/;
const LIBRARY_FOLDERS = ["lib/TRIPLE", "usr/lib/TRIPLE", "lib64", "lib"];

/** Makes the initramfs that does `rows` in a guest of `architecture`; 64-bit guests get the drivers in `first`. */
export async function makeWorkInitramfs(
  architecture: Architecture,
  rows: readonly Work[],
  first?: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const own = guestFiles(architecture === "amd64" ? "cloud" : "pae").initramfs;
  const parts = [
    first ?? await Deno.readFile(own),
    await userland(architecture),
    writeCpio([{
      type: "file",
      name: "script",
      data: new TextEncoder().encode(scriptOf(rows)),
      mode: 0o755,
    }]),
  ];
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) whole.set(part, at), at += part.length;
  return whole;
}

/**
 * For each row, after the data is there: `XENNER-START name`, its command, `XENNER-END name sum=SHA-256 of what it
 * printed`. Whoever reads the console takes the time.
 */
export function scriptOf(rows: readonly Work[]): string {
  const lines = ["export PATH=/usr/bin:/bin:/sbin", PREPARE];
  for (const { name, command } of rows) {
    lines.push(`echo "XENNER-START ${name}"`);
    lines.push(`(\n${command}\n) >/tmp/out 2>/tmp/err </dev/null; status=$?`);
    lines.push(`echo "XENNER-END ${name} status=$status sum=$(busybox sha256sum </tmp/out | cut -c1-16)"`);
    lines.push(`[ $status = 0 ] && [ ! -s /tmp/err ] || head -3 /tmp/err`);
  }
  return lines.join("\n") + "\n";
}

/** The programs' archive; kept, since getting and unpacking packages takes a while. */
async function userland(architecture: Architecture): Promise<Uint8Array> {
  const file = new URL(`bench-${architecture}.cpio`, PACKAGE_CACHE);
  if (await exists(file)) return await Deno.readFile(file);
  const suite = architecture === "amd64" ? undefined : { suite: "bookworm", architecture };
  const packages = new DebianPackages(PACKAGE_CACHE, suite);
  const folder = await Deno.makeTempDir({ prefix: "xenner-bench-" });
  const root = new URL(`file://${folder}/`);
  try {
    const names = [...PACKAGES, ...MORE_PACKAGES];
    await packages.require("coreutils"); // and fetches the lists
    const library = (name: string) => /^(lib|zlib)/.test(name) && !NEVER.test(name);
    await packages.unpackAll(await packages.withDependencies(names, library), root);
    const archive = writeCpio(await collect(root, architecture));
    await Deno.writeFile(file, archive);
    return archive;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function collect(root: URL, architecture: Architecture): Promise<CpioEntry[]> {
  const triple = architecture === "amd64" ? "x86_64-linux-gnu" : "i386-linux-gnu";
  const folders = LIBRARY_FOLDERS.map((folder) => folder.replace("TRIPLE", triple));
  const entries: CpioEntry[] = [];
  const done = new Set<string>();
  const add = async (name: string): Promise<void> => {
    if (done.has(name)) return;
    done.add(name);
    const data = await Deno.readFile(new URL(encodeURI(name), root));
    entries.push({ type: "file", name, data, mode: 0o755 });
    for (const wanted of neededLibraries(data)) {
      for (const folder of folders) {
        if (!await exists(new URL(`${folder}/${wanted}`, root))) continue;
        await add(`${folder}/${wanted}`);
        break;
      }
    }
  };
  for (const program of PROGRAMS) {
    const file = await exists(new URL(program, root)) ? program : program.slice("usr/".length);
    if (!await exists(new URL(file, root))) {
      throw new ConfigError(`Debian's packages have no ${program}`, "host");
    }
    await add(file);
  }
  const loader = architecture === "amd64" ? "lib64/ld-linux-x86-64.so.2" : "lib/ld-linux.so.2";
  await add(loader);
  await add(`lib/${triple}/libgcc_s.so.1`); // pthread_exit loads it
  for (const folder of FOLDERS) await addFolder(root, folder, entries);
  return entries;
}

async function addFolder(root: URL, folder: string, entries: CpioEntry[]): Promise<void> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(new URL(`${folder}/`, root))) {
    const path = `${folder}/${name}`;
    if (isDirectory) await addFolder(root, path, entries);
    else if (isFile) {
      entries.push({ type: "file", name: path, data: await Deno.readFile(new URL(encodeURI(path), root)) });
    }
  }
}
