// SPDX-License-Identifier: MIT
/**
 * A process that writes to an image without end, and says after each flush how far it is: for tests that kill it.
 * Arguments: the image, a seed. Each record is 4 KiB of its number; records go to places in the order of a permutation, so
 * that clusters are half written again and again.
 * @module
 */
import { openDisk } from "../open_disk.ts";

/** Bytes of a record. */
export const RECORD = 4096;

/** Where record `n` of a disk with `places` places goes: every place comes once before one comes again. */
export function placeOf(n: number, places: number): number {
  return (n * 7919) % places;
}

/** Record `n`. */
export function recordOf(n: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint32Array(RECORD / 4).fill(n + 1).buffer);
}

if (import.meta.main) {
  const [path = "", seed = "0"] = Deno.args;
  const store = await openDisk(path);
  const places = Math.floor(store.size / RECORD);
  for (let n = Number(seed);;) {
    const batch = 1 + n % 13;
    await Promise.all(Array.from({ length: batch }, (_, i) => {
      return store.write(placeOf(n + i, places) * RECORD, recordOf(n + i));
    }));
    n += batch;
    await store.flush();
    Deno.stdout.writeSync(new TextEncoder().encode(`${n}\n`));
  }
}
