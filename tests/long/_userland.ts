// SPDX-License-Identifier: MIT
/** Runs a script in a guest with programs of Debian's packages, and gives back what it reported. Tests only. @module */
import { assertEquals } from "@std/assert";
import { createMachine } from "../../mod.ts";
import { writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { guestCommandLine, guestFiles, type GuestName } from "../../scripts/guests/manifest.ts";
import { programArchive, type ProgramArchiveName } from "../../scripts/guests/program_archive.ts";

/** A run. */
export interface UserlandRun {
  readonly guest: GuestName;
  readonly programs: ProgramArchiveName;
  /** For busybox's sh; `report NAME TEXT` is there. */
  readonly script: string;
  /** Files beside it. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly cpu?: string;
  readonly engine?: "interp" | "jit";
  readonly type?: "hvm" | "pvh";
}

const PREPARE = `export PATH=/usr/bin:/bin:/sbin
report() { name=$1; shift; echo "XENNER-RESULT $name $*"; }
`;

/** What `report` said, by name. Time follows the instruction count: no load of the host matters. */
export async function runUserland(run: UserlandRun): Promise<ReadonlyMap<string, string>> {
  const { vmlinuz, initramfs } = guestFiles(run.guest);
  const encoder = new TextEncoder();
  const own = writeCpio([
    { type: "file", name: "script", data: encoder.encode(PREPARE + run.script), mode: 0o755 },
    ...Object.entries(run.files ?? {}).map(([name, data]) => ({ type: "file" as const, name, data })),
  ]);
  const parts = [await Deno.readFile(initramfs), await programArchive(run.programs), own];
  const initrd = new Uint8Array(parts.reduce((sum, { length }) => sum + Math.ceil(length / 4) * 4, 0));
  let at = 0;
  for (const part of parts) {
    initrd.set(part, at);
    at += Math.ceil(part.length / 4) * 4;
  }
  let text = "";
  await using machine = await createMachine({
    kernel: vmlinuz,
    initrd,
    append: guestCommandLine({ run: ["script", "poweroff"] }),
    icount: true,
    engine: run.engine ?? "jit",
    ...(run.cpu !== undefined && { cpu: run.cpu }),
    ...(run.type !== undefined && { type: run.type }),
    console: (bytes) => void (text += new TextDecoder("latin1").decode(bytes)),
  });
  assertEquals((await machine.run()).reason, "poweroff", text.slice(-3000));
  const results = new Map<string, string>();
  for (const [, name = "", value = ""] of text.matchAll(/XENNER-RESULT (\S+) ?([^\r\n]*)/g)) {
    results.set(name, value.trim());
  }
  return results;
}

/** A file of so many bytes that are the same every time. */
export function sampleFile(length: number): Uint8Array<ArrayBuffer> {
  let seed = 2009;
  return Uint8Array.from({ length }, () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 24);
}
