// SPDX-License-Identifier: MIT
/** Reads a kernel or initrd from the host's file system. A door to the host. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { MiB } from "../../cpu/base/bits.ts";
import { formatSize } from "../../cpu/base/sizes.ts";
import { BoundedOutput } from "./compression/bounded_output.ts";
import { MAX_RAM_BYTES } from "./memory_map.ts";
import type { NamedFile } from "./named_file.ts";

/** Most bytes of what has no size, such as a pipe. */
const MAX_STREAM_BYTES = 512 * MiB;

/** Reads the file at `path`, which the user calls `what` ("kernel"). Throws ConfigError in one clear line. */
export async function readHostFile(path: string | URL, what: string): Promise<NamedFile> {
  const remote = path instanceof URL && path.protocol !== "file:";
  const name = remote ? path.href : hostPath(path);
  if (name === undefined) throw new ConfigError(`Cannot read ${what} "${path}": it is no file of this host`);
  try {
    if (remote) return { name, bytes: await download(path) };
    const file = await Deno.open(name, { read: true });
    try {
      const { isFile, size } = await file.stat();
      return {
        name,
        bytes: await readAll(file, isFile ? size : 0, isFile ? MAX_RAM_BYTES : MAX_STREAM_BYTES),
      };
    } finally {
      file.close();
    }
  } catch (cause) {
    throw new ConfigError(`Cannot read ${what} "${name}": ${reason(cause)}`, "input", { cause });
  }
}

/** The path that `path` names, if it is one of this host: a file: URL with another host or broken escapes is none. */
export function hostPath(path: string | URL): string | undefined {
  if (typeof path === "string") return path;
  if (path.protocol !== "file:" || path.host !== "") return undefined;
  try {
    return decodeURIComponent(path.pathname);
  } catch {
    return undefined;
  }
}

async function download(url: URL): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) {
    await response.body?.cancel();
    throw new ConfigError(`the server says ${response.status} ${response.statusText}`);
  }
  const output = new BoundedOutput(MAX_STREAM_BYTES, `it has more than ${formatSize(MAX_STREAM_BYTES)}`);
  for await (const chunk of response.body ?? []) output.push(chunk);
  return output.bytes();
}

/** Reads to the end, whatever the size promises: it is 0 for pipes and devices, which may have no end. */
async function readAll(file: Deno.FsFile, expected: number, limit: number): Promise<Uint8Array> {
  const tooLong = new ConfigError(`it has more than ${formatSize(limit)}`);
  if (expected > limit) throw tooLong;
  let bytes = new Uint8Array(expected + 1); // one more, so that the end is seen without growing
  let length = 0;
  for (;;) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) return bytes.subarray(0, length);
    length += count;
    if (length > limit) throw tooLong;
    if (length === bytes.length) {
      const more = new Uint8Array(Math.max(65536, bytes.length * 2));
      more.set(bytes);
      bytes = more;
    }
  }
}

/** What went wrong, in a few words. */
export function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (error instanceof Deno.errors.NotADirectory) return "not a directory";
  if (error instanceof Deno.errors.NotCapable) {
    const missing = /--allow-[a-z]+/.exec(error.message)?.[0];
    return missing === undefined ? "the program has no permission" : `run with ${missing}`;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (/\(os error 21\)/.test(message)) return "it is a directory";
  return message.replace(/ \(os error \d+\).*$/s, "").replace(/\s*\n.*$/s, "");
}
