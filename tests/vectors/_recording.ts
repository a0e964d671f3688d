// SPDX-License-Identifier: MIT
/**
 * Recorded results of a real processor, the `*.gz` in this folder: gzip of a JSON header (its length in front, u32)
 * and of each group's bytes. A group is some cases of a test; `inputs` is a digest of what went in, so that results
 * are never compared with those of other inputs. `deno task vectors` writes them (scripts/vectors/record.ts).
 * @module
 */

/** Results of a group of cases. */
export interface RecordedGroup {
  readonly name: string;
  /** `digest` of the cases. */
  readonly inputs: number;
  readonly bytes: Uint8Array;
}
/** A file. */
export interface Recording {
  /** What ran, and how it is stored. */
  readonly about: string;
  /** The processor. */
  readonly cpu: string;
  readonly groups: readonly RecordedGroup[];
}

/** FNV-1a of the byte arrays, 32 bits. */
export function digest(parts: Iterable<ArrayLike<number>>): number {
  let hash = 0x811c_9dc5;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) hash = Math.imul(hash ^ (part[i] as number), 0x0100_0193);
  }
  return hash >>> 0;
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

/** The file's bytes. */
export async function encodeRecording({ about, cpu, groups }: Recording): Promise<Uint8Array<ArrayBuffer>> {
  const list = groups.map(({ name, inputs, bytes }) => ({ name, inputs, bytes: bytes.length }));
  const header = new TextEncoder().encode(JSON.stringify({ about, cpu, groups: list }));
  const all = new Uint8Array(4 + header.length + groups.reduce((sum, { bytes }) => sum + bytes.length, 0));
  new DataView(all.buffer).setUint32(0, header.length, true);
  all.set(header, 4);
  let at = 4 + header.length;
  for (const { bytes } of groups) {
    all.set(bytes, at);
    at += bytes.length;
  }
  return await through(all, new CompressionStream("gzip"));
}

/** What `encodeRecording` made. */
export async function decodeRecording(file: Uint8Array<ArrayBuffer>): Promise<Recording> {
  const all = await through(file, new DecompressionStream("gzip"));
  const length = new DataView(all.buffer).getUint32(0, true);
  const { about, cpu, groups } = JSON.parse(new TextDecoder().decode(all.subarray(4, 4 + length)));
  let at = 4 + length;
  return {
    about,
    cpu,
    groups: groups.map(({ name, inputs, bytes }: { name: string; inputs: number; bytes: number }) => {
      at += bytes;
      return { name, inputs, bytes: all.subarray(at - bytes, at) };
    }),
  };
}

const pathOf = (name: string) => new URL(`./${name}.gz`, import.meta.url);

/** The recording `name`. */
export async function readRecording(name: string): Promise<Recording> {
  return await decodeRecording(await Deno.readFile(pathOf(name)));
}
/** Replaces the recording `name`. */
export async function writeRecording(name: string, recording: Recording): Promise<void> {
  await Deno.writeFile(pathOf(name), await encodeRecording(recording));
}
/** The results of group `name` for inputs with this digest; throws when there are none. */
export function recordedBytes(
  file: string,
  groups: ReadonlyMap<string, RecordedGroup>,
  name: string,
  inputs: number,
): Uint8Array {
  const found = groups.get(name);
  if (found?.inputs === inputs) return found.bytes;
  throw new Error(
    `tests/vectors/${file}.gz has ${found === undefined ? "no results" : "results of other inputs"} for ` +
      `"${name}": run "deno task vectors" on Linux on x86-64`,
  );
}
