// SPDX-License-Identifier: MIT
/**
 * Programs of Debian's packages with the libraries they name, as an archive that Linux unpacks over a guest's own
 * initramfs. Nothing gets installed. Kept in the cache; another list has it made anew.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { type CpioEntry, writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { type Architecture, DebianPackages, exists } from "./debian_packages.ts";
import { GUEST_CACHE, PACKAGE_CACHE } from "./manifest.ts";
import { neededLibraries } from "./shared_libraries.ts";

/** What a guest is given. */
interface Programs {
  readonly architecture: Architecture;
  /** Packages of bookworm; those of libraries come along. */
  readonly packages: readonly string[];
  /** By the path they have in their package. */
  readonly programs: readonly string[];
}

/** The archives there are. */
export const PROGRAM_ARCHIVES = {
  /** What asks the processor what it can: OpenSSL, a Go and a Rust program. */
  v3: {
    architecture: "amd64",
    packages: ["openssl", "fzf", "ripgrep"],
    programs: ["usr/bin/openssl", "usr/bin/fzf", "usr/bin/rg"],
  },
  /** A 32-bit userland: shell, tools, floating point by the x87. */
  i386: {
    architecture: "i386",
    packages: ["bash", "coreutils", "grep", "sed", "perl-base", "mawk", "bzip2"],
    programs: [
      ...["bin/bash", "bin/cat", "usr/bin/sort", "usr/bin/sha256sum", "usr/bin/factor", "usr/bin/seq"],
      ...["bin/grep", "bin/sed", "usr/bin/perl", "usr/bin/mawk", "bin/bzip2", "bin/uname"],
    ],
  },
} satisfies Readonly<Record<string, Programs>>;

/** Name of one. */
export type ProgramArchiveName = keyof typeof PROGRAM_ARCHIVES;

const LOADERS: Readonly<Record<Architecture, string>> = {
  amd64: "lib64/ld-linux-x86-64.so.2",
  i386: "lib/ld-linux.so.2",
};

/** The archive `name`; made when it is not there. Rejects with ConfigError when packages cannot be had. */
export async function programArchive(name: ProgramArchiveName): Promise<Uint8Array<ArrayBuffer>> {
  const wanted: Programs = PROGRAM_ARCHIVES[name];
  const archive = new URL(`programs-${name}.cpio`, GUEST_CACHE);
  const list = new URL(`programs-${name}.list`, GUEST_CACHE);
  const now = JSON.stringify(wanted);
  if (await exists(archive) && await exists(list) && await Deno.readTextFile(list) === now) {
    return await Deno.readFile(archive);
  }
  const { architecture } = wanted;
  const packages = new DebianPackages(PACKAGE_CACHE, { suite: "bookworm", architecture });
  const folder = await Deno.makeTempDir({ prefix: "xenner-programs-" });
  try {
    await packages.require(wanted.packages[0] as string); // and fetches the lists
    const library = (package_: string) => /^(lib|zlib)/.test(package_);
    const root = new URL(`file://${folder}/`);
    await packages.unpackAll(await packages.withDependencies(wanted.packages, library), root);
    const bytes = writeCpio(await collect(root, wanted));
    await Deno.writeFile(archive, bytes);
    await Deno.writeTextFile(list, now);
    return bytes;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function collect(root: URL, { architecture, programs }: Programs): Promise<CpioEntry[]> {
  const triple = architecture === "amd64" ? "x86_64-linux-gnu" : "i386-linux-gnu";
  const folders = [`lib/${triple}`, `usr/lib/${triple}`, "lib", "lib64"];
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const queue = [...programs, LOADERS[architecture]];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (files.has(name)) continue;
    if (!await exists(new URL(name, root))) {
      throw new ConfigError(`Debian's packages have no ${name}`, "host");
    }
    const data = await Deno.readFile(new URL(name, root));
    files.set(name, data);
    for (const wanted of neededLibraries(data)) {
      for (const folder of folders) {
        if (!await exists(new URL(`${folder}/${wanted}`, root))) continue;
        queue.push(`${folder}/${wanted}`);
        break;
      }
    }
  }
  return [...files].map(([name, data]) => ({ type: "file", name, data, mode: 0o755 }));
}
