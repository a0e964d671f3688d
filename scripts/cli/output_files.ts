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
  readonly info: Deno.FileInfo;
}

/** One file to write to. */
class OutputFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #name: string;
  readonly #made: boolean;
  readonly #truncate: boolean;
  readonly #warn: (line: string) => void;
  /** What was written before the run began. */
  #held: Uint8Array[] | undefined = [];
  #broken = false;

  constructor(path: string, file: Deno.FsFile, place: Place, made: boolean, warn: (line: string) => void) {
    this.#path = path;
    this.#file = file;
    this.#name = place.name;
    this.#made = made;
    this.#truncate = place.info.isFile;
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
      if (this.#truncate) this.#file.truncateSync(0);
    } catch (cause) {
      throw new ConfigError(`Cannot write ${this.#name}: ${reason(cause)}`, "input", { cause });
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
      this.#others.push({ name, info: await Deno.stat(path) });
    } catch {
      // no such file, or no right to look at it: whoever reads it says so
    }
  }

  /** Opens `path`, which the user calls `what`; returns a function that appends to it. Throws ConfigError. */
  async open(path: string, what: string): Promise<(bytes: Uint8Array) => void> {
    const name = `${what} "${path}"`;
    let file: Deno.FsFile;
    let info: Deno.FileInfo;
    let made = false;
    try {
      ({ file, made } = await openWithoutLoss(path));
      info = await file.stat();
    } catch (cause) {
      throw new ConfigError(`Cannot write ${name}: ${reason(cause)}`, "input", { cause });
    }
    const place = { name, info };
    const output = new OutputFile(path, file, place, made, this.warn);
    this.#files.push(output);
    // pipes and devices have nothing that could be lost, but two outputs in one pipe would be mixed up
    const same = this.#others.find((other) => info.isFile && isSame(other.info, info)) ??
      this.#outputs.find((other) => info.isCharDevice !== true && isSame(other.info, info));
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

/** True for one file, by whatever names. */
function isSame(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return a.ino !== null && a.ino === b.ino && a.dev === b.dev;
}
