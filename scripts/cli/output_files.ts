// SPDX-License-Identifier: MIT
/**
 * The files that a run writes to. Opening one says whether it can be written and is nobody else's; nothing in it is lost
 * before {@linkcode OutputFiles.begin}, when everything about the run has been checked. Files made for a run that never
 * begins are removed again.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { reason } from "../../devices/loaders/host_file.ts";

/** Something that has a place on a disk: an output, or what must not become one. */
interface Place {
  /** As in messages: `kernel "vmlinuz"`. */
  readonly name: string;
  readonly path: string;
  /** Absent without the right to look at it: writing needs none. */
  readonly info: Deno.FileInfo | undefined;
}

/** One file to write to. */
class OutputFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #name: string;
  readonly #made: boolean;
  /** Absent: it is not known whether that can be done. */
  readonly #truncate: boolean | undefined;
  readonly #warn: (line: string) => void;
  /** What was written before the run began. */
  #held: Uint8Array[] | undefined = [];
  #broken = false;

  constructor(file: Deno.FsFile, place: Place, made: boolean, warn: (line: string) => void) {
    this.#path = place.path;
    this.#file = file;
    this.#name = place.name;
    this.#made = made;
    this.#truncate = place.info?.isFile;
    this.#warn = warn;
  }

  /** After a failure it says so once and swallows the rest: the guest goes on. */
  write(bytes: Uint8Array): void {
    if (this.#held !== undefined) return void this.#held.push(bytes.slice());
    if (this.#broken) return;
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      this.#broken = true;
      this.#warn(`warning: Cannot write ${this.#name}: ${reason(error)}`);
    }
  }

  begin(): void {
    const held = this.#held ?? [];
    try {
      if (this.#truncate !== false) this.#file.truncateSync(0);
    } catch (cause) {
      if (this.#truncate === true) {
        throw new ConfigError(`Cannot write ${this.#name}: ${reason(cause)}`, "input", { cause });
      }
    }
    this.#held = undefined;
    for (const bytes of held) this.write(bytes);
  }

  close(): void {
    this.#file.close();
    if (this.#made && this.#held !== undefined) Deno.removeSync(this.#path);
  }
}

/** See the module's description. */
export class OutputFiles {
  readonly #files: OutputFile[] = [];
  readonly #outputs: Place[] = [];
  readonly #others: Place[] = [];

  /** `warn` is told once for each file that cannot be written any more. */
  constructor(readonly warn: (line: string) => void) {}

  /** The file at `path` is read, or written by others: no output may be the same. What cannot be looked at is not. */
  async avoid(path: string, name: string): Promise<void> {
    try {
      this.#others.push({ name, path, info: await Deno.stat(path) });
    } catch {
      // no such file, or no right to look at it: whoever reads it says so
    }
  }

  /** Opens `path`, which the user calls `what`; returns a function that appends to it. Throws ConfigError. */
  async open(path: string, what: string): Promise<(bytes: Uint8Array) => void> {
    const name = `${what} "${path}"`;
    let file: Deno.FsFile;
    let info: Deno.FileInfo | undefined;
    let made = false;
    try {
      ({ file, made } = await openWithoutLoss(path));
      info = await statOf(file);
    } catch (cause) {
      throw new ConfigError(`Cannot write ${name}: ${reason(cause)}`, "input", { cause });
    }
    const place = { name, path, info };
    const output = new OutputFile(file, place, made, this.warn);
    this.#files.push(output);
    // pipes and devices have nothing that could be lost, but two outputs in one pipe would be mixed up
    const same = this.#others.find((other) => info?.isFile !== false && isSame(other, place)) ??
      this.#outputs.find((other) => info?.isCharDevice !== true && isSame(other, place));
    if (same !== undefined) {
      throw new ConfigError(`Cannot write ${name}: it is the same file as ${same.name}, name another`);
    }
    this.#outputs.push(place);
    return (bytes) => output.write(bytes);
  }

  /** The run begins: empties the files. Throws ConfigError. */
  begin(): void {
    for (const file of this.#files) file.begin();
  }

  /** Closes the files. */
  close(): void {
    for (const file of this.#files.splice(0)) file.close();
  }
}

/** Opens a file for writing as it is; makes it when there is none. */
async function openWithoutLoss(path: string): Promise<{ file: Deno.FsFile; made: boolean }> {
  try {
    return { file: await Deno.open(path, { write: true, createNew: true }), made: true };
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return { file: await Deno.open(path, { write: true, create: true }), made: false };
  }
}

/** What it is, if we may look: that needs --allow-read. */
async function statOf(file: Deno.FsFile): Promise<Deno.FileInfo | undefined> {
  try {
    return await file.stat();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

/** True for one file, by whatever names where these can be looked up. */
function isSame(a: Place, b: Place): boolean {
  if (a.info === undefined || b.info === undefined) return a.path === b.path;
  return a.info.ino !== null && a.info.ino === b.info.ino && a.info.dev === b.info.dev;
}
