// SPDX-License-Identifier: MIT
/**
 * The programs that judge a network, from Debian's packages: curl, wget, iperf3, dig, ssh, rsync and their like, with the
 * libraries they need. They become an archive that Linux unpacks over a guest's own initramfs, and a folder from which
 * the host runs its side of it; nothing gets installed.
 * @module
 */
import { type CpioEntry, writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { DebianPackages, exists } from "./debian_packages.ts";
import { GUEST_CACHE, guestFiles, type GuestName, PACKAGE_CACHE } from "./manifest.ts";
import { neededLibraries } from "./shared_libraries.ts";
import type { CommandLine } from "../host/child.ts";

/** Packages, and their programs that are wanted. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  curl: ["usr/bin/curl"],
  wget: ["usr/bin/wget"],
  iperf3: ["usr/bin/iperf3"],
  "bind9-dnsutils": ["usr/bin/dig"],
  "openssh-client": ["usr/bin/ssh", "usr/bin/ssh-keygen"],
  rsync: ["usr/bin/rsync"],
  "dropbear-bin": ["usr/sbin/dropbear", "usr/bin/dropbearkey"],
  "dnsmasq-base": ["usr/sbin/dnsmasq"],
  iproute2: ["bin/ip", "sbin/tc"],
};
/** Programs that only the host runs. */
const HOST_ONLY: readonly string[] = ["usr/sbin/dnsmasq", "sbin/tc"];
/** Packages of libraries, by their names; of all others a program here needs nothing. */
const LIBRARY = /^(lib|zlib|bind9-libs)/;
const LIBRARY_FOLDERS = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "lib"];
const LOADER = "lib64/ld-linux-x86-64.so.2";
/** What the host's own loader brings with it. */
const C_LIBRARY = /^(libc|libm|libdl|librt|libpthread|libresolv|ld-linux-x86-64)\.so/;
const FOLDER = new URL("net-tools/", GUEST_CACHE);
const ARCHIVE = new URL("net-tools.cpio", GUEST_CACHE);
/** Of the list above; another one has the archive made anew. */
const MADE_OF = new URL("net-tools.list", GUEST_CACHE);

/** See the module's description. */
export interface NetTools {
  /** The initramfs of a guest with the tools in it and `more` files. */
  initramfs(guest: GuestName, more: readonly CpioEntry[]): Promise<Uint8Array<ArrayBuffer>>;
  /** A program of the host's side: "iperf3". */
  command(name: string, args: readonly string[]): CommandLine;
}

/** Makes them; quick when they are there. Throws ConfigError when packages cannot be had. */
export async function netTools(progress: (what: string) => void = () => {}): Promise<NetTools> {
  const list = JSON.stringify([PROGRAMS, HOST_ONLY]);
  const made = await exists(MADE_OF) ? await Deno.readTextFile(MADE_OF) : "";
  if (made !== list) {
    progress("getting network tools");
    await makeTools();
    await Deno.writeTextFile(MADE_OF, list);
  }
  return {
    initramfs: async (guest, more) => {
      const own = await Deno.readFile(guestFiles(guest).initramfs), tools = await Deno.readFile(ARCHIVE);
      return concat([own, tools, writeCpio(more)]);
    },
    command(name, args) {
      const path = Object.values(PROGRAMS).flat().find((path) => path.endsWith(`/${name}`));
      const root = FOLDER.pathname;
      return {
        command: "env",
        args: [`LD_LIBRARY_PATH=${root}libraries`, `${root}programs/${path?.split("/").at(-1)}`, ...args],
      };
    },
  };
}

async function makeTools(): Promise<void> {
  const packages = new DebianPackages(PACKAGE_CACHE);
  const root = new URL("net-tools-root/", PACKAGE_CACHE);
  const names = Object.keys(PROGRAMS);
  await packages.require(names[0] as string); // and fetches the lists
  const all = await packages.withDependencies(names, (name) => LIBRARY.test(name));
  await packages.unpackAll(all, root);
  const files = new Map<string, Uint8Array<ArrayBuffer>>(); // in the guest
  const folders = { programs: new URL("programs/", FOLDER), libraries: new URL("libraries/", FOLDER) };
  for (const folder of Object.values(folders)) await Deno.mkdir(folder, { recursive: true });
  const seen = new Set<string>();
  const queue: { readonly library: string; readonly guest: boolean }[] = [];
  for (const path of Object.values(PROGRAMS).flat()) {
    const data = await Deno.readFile(new URL(path, root));
    const guest = !HOST_ONLY.includes(path);
    if (guest) files.set(path, data);
    await Deno.writeFile(new URL(path.split("/").at(-1) ?? "", folders.programs), data, { mode: 0o755 });
    queue.push(...neededLibraries(data).map((library) => ({ library, guest })));
  }
  queue.sort((a, b) => Number(b.guest) - Number(a.guest)); // what the guest needs is not taken for the host's alone
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { library, guest } = next;
    if (seen.has(library)) continue;
    seen.add(library);
    const data = await findLibrary(root, library);
    if (guest) files.set(`lib/x86_64-linux-gnu/${library}`, data);
    if (!C_LIBRARY.test(library)) await Deno.writeFile(new URL(library, folders.libraries), data);
    const more = neededLibraries(data).map((library) => ({ library, guest }));
    if (guest) queue.unshift(...more);
    else queue.push(...more);
  }
  files.set(LOADER, await findLibrary(root, LOADER.split("/").at(-1) ?? ""));
  const archive = writeCpio([...files].map(([name, data]) => ({ type: "file", name, data, mode: 0o755 })));
  await Deno.writeFile(ARCHIVE, archive);
  await Deno.remove(root, { recursive: true });
}

async function findLibrary(root: URL, name: string): Promise<Uint8Array<ArrayBuffer>> {
  for (const folder of LIBRARY_FOLDERS) {
    const file = new URL(`${folder}/${name}`, root);
    if (await exists(file)) return await Deno.readFile(file);
  }
  throw new Error(`No package of the network tools has ${name}`);
}

/** Archives one after the other, each at a multiple of four bytes, as Linux takes them. */
function concat(archives: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const padded = (bytes: number) => Math.ceil(bytes / 4) * 4;
  const out = new Uint8Array(archives.reduce((sum, { length }) => sum + padded(length), 0));
  let at = 0;
  for (const archive of archives) {
    out.set(archive, at);
    at += padded(archive.length);
  }
  return out;
}
