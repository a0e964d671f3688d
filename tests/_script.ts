// SPDX-License-Identifier: MIT
/** Guests that run a script of a test's own: an archive behind their initramfs. Tests only. @module */
import { type CpioEntry, writeCpio } from "../devices/loaders/root_folder/cpio.ts";
import { guestFiles, type GuestName } from "../scripts/guests/manifest.ts";

/** Makes `path` an initramfs of `guest` whose step "script" runs `script`; `more` are further files. */
export async function writeScriptInitramfs(
  path: string,
  guest: GuestName,
  script: string,
  more: readonly CpioEntry[] = [],
): Promise<void> {
  const base = await Deno.readFile(guestFiles(guest).initramfs);
  const data = new TextEncoder().encode(script);
  const added = writeCpio([{ type: "file", name: "script", data, mode: 0o755 }, ...more]);
  const file = await Deno.open(path, { write: true, create: true, truncate: true });
  try {
    for (const part of [base, added]) {
      for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
    }
  } finally {
    file.close();
  }
}

/** SHA-256 in hexadecimal digits, as sha256sum prints it. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
