// SPDX-License-Identifier: MIT
/** Real kernels for tests: in `.cache/guests/`, which scripts fill and git ignores. Tests only. @module */
import type { NamedFile } from "./named_file.ts";

/** A guest file for a test, or why the test has to be skipped. */
export type GuestFile = { readonly skip: ""; read(): NamedFile } | { readonly skip: string; read(): never };

/** Looks for `name` in the guest cache. */
export function guestFile(name: string): GuestFile {
  const url = new URL(`../../.cache/guests/${name}`, import.meta.url);
  const missing = (skip: string): GuestFile => ({
    skip,
    read: () => {
      throw new Error(skip);
    },
  });
  if (Deno.permissions.querySync({ name: "read", path: url }).state !== "granted") {
    return missing(" (skipped: needs --allow-read)");
  }
  try {
    Deno.statSync(url);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return missing(` (skipped: no .cache/guests/${name})`);
  }
  return { skip: "", read: () => ({ name, bytes: Deno.readFileSync(url) }) };
}
