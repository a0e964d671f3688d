// SPDX-License-Identifier: MIT
/** Image files for tests, and qemu-img as their judge. Tests only. @module */
import { assertEquals } from "@std/assert";
import type { BlockStore } from "../../xen/backend/block_store.ts";

/** Runs `body` with a folder that is removed afterwards. */
export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "xenner-disk-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a program; its status and what it said. */
export async function run(command: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Runs qemu-img, which must succeed. */
export async function qemuImg(...args: string[]): Promise<string> {
  const { code, text } = await run("qemu-img", ...args);
  assertEquals(code, 0, `qemu-img ${args.join(" ")}: ${text}`);
  return text;
}

/** Why tests with qemu-img are skipped, as the end of a test's name; "" when they are not. */
export const noQemuImg: string = await (async () => {
  try {
    await run("qemu-img", "--version");
    return "";
  } catch {
    return " (skipped: no qemu-img)";
  }
})();

/** Numbers that look random and are the same each time. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** Bytes of no pattern. */
export function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** All that is on a disk. */
export async function contents(store: BlockStore): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(store.size);
  await store.read(0, bytes);
  return bytes;
}

/** Does `steps` random things to `store` and to `model`, several at a time where they do not touch; reads must agree. */
export async function exercise(
  store: BlockStore,
  model: Uint8Array<ArrayBuffer>,
  steps: number,
  seed: number,
): Promise<void> {
  const next = random(seed);
  const unit = store.sectorBytes ?? 512;
  const sectors = store.size / unit;
  for (let step = 0; step < steps; step++) {
    const parallel: Promise<void>[] = [];
    const lanes = 1 + next(4);
    for (let lane = 0; lane < lanes; lane++) { // each in its own part of the disk
      const first = Math.floor(sectors * lane / lanes), end = Math.floor(sectors * (lane + 1) / lanes);
      const at = first + next(end - first);
      const length = 1 + next(Math.min(end - at, next(4) === 0 ? 400 : 20));
      parallel.push(operate(store, model, at * unit, length * unit, next(8), step * 7 + lane));
    }
    await Promise.all(parallel);
  }
}

/** Reads into pieces of a larger buffer, in some order: what a guest's pages are. False: the store has to wait. */
function readPieces(store: BlockStore, offset: number, into: Uint8Array<ArrayBuffer>, seed: number): boolean {
  if (store.readAtOnce === undefined) return false;
  const next = random(seed), pieces: Uint8Array<ArrayBuffer>[] = [];
  const memory = new Uint8Array(3 * into.length).fill(0xa5);
  let at = next(into.length);
  for (let left = into.length; left > 0;) {
    const length = Math.min(left, 512 * (1 + next(8)));
    pieces.push(memory.subarray(at, at + length));
    left -= length;
    at += length;
    if (left > 0 && next(3) === 0) at += Math.min(512 * next(3), memory.length - at - left);
  }
  if (next(2) === 0) pieces.push(pieces.shift() as Uint8Array<ArrayBuffer>);
  const isRead = store.readAtOnce(offset, pieces);
  let done = 0;
  for (const piece of pieces) {
    into.set(piece, done);
    done += piece.length;
    piece.fill(0xa5);
  }
  if (memory.some((byte) => byte !== 0xa5)) throw new Error("it read to where nobody asked for");
  return isRead;
}

async function operate(
  store: BlockStore,
  model: Uint8Array<ArrayBuffer>,
  offset: number,
  length: number,
  what: number,
  seed: number,
): Promise<void> {
  const mine = model.subarray(offset, offset + length);
  if (what < 4) {
    const bytes = noise(length, seed + 1);
    await store.write(offset, bytes);
    mine.set(bytes);
  } else if (what === 4 && store.writeZeroes !== undefined) {
    await store.writeZeroes(offset, length);
    mine.fill(0);
  } else if (what === 5) {
    await store.flush();
  } else {
    const bytes = new Uint8Array(length);
    if (!readPieces(store, offset, bytes, seed)) await store.read(offset, bytes);
    for (let i = 0; i < length; i++) {
      if (bytes[i] !== mine[i]) throw new Error(`byte ${offset + i} is ${bytes[i]}, not ${mine[i]}`);
    }
  }
}
