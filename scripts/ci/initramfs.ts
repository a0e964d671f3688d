// SPDX-License-Identifier: MIT
/** The initramfs of `xenner test`: busybox, our init, the commands, and a folder of the host. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { MiB } from "../../cpu/base/bits.ts";
import { formatSize } from "../../cpu/base/sizes.ts";
import { reason } from "../../devices/loaders/host_file.ts";
import { type CpioEntry, writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { busyboxOf } from "../guests/manifest.ts";
import { GUEST_INIT, GUEST_LEASE, HOME } from "./guest_init.ts";

/** Most bytes of the folder: it is in the guest's RAM twice while it is unpacked. */
export const MAX_FOLDER_BYTES = 512 * MiB;
/** Folders that are not taken along unless they are named. */
const LEFT_OUT = [".git", "node_modules", ".cache"];
const PT_INTERP = 3;

/** What goes into it. */
export interface InitramfsParts {
  /** Available as /work. */
  readonly folder: string;
  readonly commands: readonly string[];
  /** A busybox that needs no libraries; found when absent. */
  readonly busybox?: string;
  /** Another initramfs, unpacked first: modules, programs, libraries. */
  readonly base?: Uint8Array;
}

/** Makes it. Throws ConfigError for what cannot be read, or is too much. */
export async function makeInitramfs(parts: InitramfsParts): Promise<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const entries: CpioEntry[] = [
    { type: "character", name: "dev/console", major: 5, minor: 1 },
    { type: "character", name: "dev/null", major: 1, minor: 3, mode: 0o666 },
    { type: "file", name: "init", data: encoder.encode(GUEST_INIT), mode: 0o755 },
    { type: "file", name: `${HOME}/busybox`, data: await readBusybox(parts.busybox), mode: 0o755 },
    { type: "file", name: `${HOME}/udhcpc.sh`, data: encoder.encode(GUEST_LEASE), mode: 0o755 },
    { type: "directory", name: "work" },
  ];
  parts.commands.forEach((command, i) =>
    entries.push({ type: "file", name: `${HOME}/run.${i}`, data: encoder.encode(command + "\n") })
  );
  await addFolder(parts.folder, "work", entries, { bytes: 0, folder: parts.folder });
  const own = writeCpio(entries);
  if (parts.base === undefined) return own;
  // Linux takes archives one after the other, each at a multiple of four bytes; the base may be packed
  const start = Math.ceil(parts.base.length / 4) * 4;
  const both = new Uint8Array(start + own.length);
  both.set(parts.base);
  both.set(own, start);
  return both;
}

async function addFolder(
  path: string,
  name: string,
  entries: CpioEntry[],
  sum: { bytes: number; readonly folder: string },
): Promise<void> {
  try {
    const found = await Array.fromAsync(Deno.readDir(path));
    for (const entry of found.sort((a, b) => a.name < b.name ? -1 : 1)) {
      if (entry.isDirectory && LEFT_OUT.includes(entry.name)) continue;
      const from = `${path}/${entry.name}`, to = `${name}/${entry.name}`;
      if (entry.isSymlink) {
        entries.push({ type: "symlink", name: to, target: await Deno.readLink(from) });
      } else if (entry.isDirectory) {
        entries.push({ type: "directory", name: to });
        await addFolder(from, to, entries, sum);
      } else if (entry.isFile) {
        const { mode, size } = await Deno.stat(from);
        if ((sum.bytes += size) > MAX_FOLDER_BYTES) {
          const most = formatSize(MAX_FOLDER_BYTES);
          throw new ConfigError(
            `Cannot take along the folder "${sum.folder}": it has more than ${most}, name another with --dir`,
          );
        }
        entries.push({
          type: "file",
          name: to,
          data: await Deno.readFile(from),
          mode: (mode ?? 0o644) & 0o777,
        });
      }
    }
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`Cannot take along the folder "${path}": ${reason(cause)}`, "input", { cause });
  }
}

async function readBusybox(named: string | undefined): Promise<Uint8Array> {
  const cached = busyboxOf("amd64");
  const candidates = named !== undefined
    ? [named]
    : [...cached.protocol === "file:" ? [cached.pathname] : [], "/bin/busybox"];
  for (const path of candidates) {
    try {
      const bytes = await Deno.readFile(path);
      if (isStatic(bytes)) return bytes;
      if (named !== undefined) {
        throw new ConfigError(`Cannot use busybox "${path}": it needs libraries, or is no program`);
      }
    } catch (cause) {
      if (cause instanceof ConfigError) throw cause;
      if (named !== undefined) {
        throw new ConfigError(`Cannot read busybox "${path}": ${reason(cause)}`, "input", { cause });
      }
    }
  }
  throw new ConfigError(
    "Cannot find a busybox that needs no libraries: install busybox-static, or name one with --busybox",
    "host",
  );
}

/** An ELF file that asks for no interpreter, which would load its libraries. */
function isStatic(file: Uint8Array): boolean {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== 0x7f45_4c46) return false;
  const wide = file[4] === 2;
  const start = wide ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const size = view.getUint16(wide ? 54 : 42, true), count = view.getUint16(wide ? 56 : 44, true);
  for (let at = start, i = 0; i < count && at + 4 <= file.length; i++, at += size) {
    if (view.getUint32(at, true) === PT_INTERP) return false;
  }
  return true;
}
