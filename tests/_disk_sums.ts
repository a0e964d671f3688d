// SPDX-License-Identifier: MIT
/** A guest that reads its whole disk, writes, and reads it all again past its cache. Tests only. @module */
import { noise } from "../devices/storage/_images.ts";

const DISK_BYTES = 6 << 20;

/** What is on the disk before. */
export function diskNoise(): Uint8Array<ArrayBuffer> {
  return noise(DISK_BYTES, 11);
}

/** Whole disk, a piece written in the middle, whole disk again past the guest's cache. */
export const SUMS = `
sum() {
  echo 3 >/proc/sys/vm/drop_caches
  set -- $(sha256sum /dev/xvda)
  echo "XENNER-SUM sha256=$1"
}
sum
tr '\\0' x </dev/zero | dd of=/dev/xvda bs=64k seek=7 count=32 iflag=fullblock conv=fsync
dd if=/dev/zero of=/dev/xvda bs=512 seek=4001 count=3 conv=fsync
sum
`;

/** What {@linkcode SUMS} does. */
export function written(before: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const after = before.slice();
  after.fill(0x78, 7 * 65536, 39 * 65536);
  after.fill(0, 4001 * 512, 4004 * 512);
  return after;
}

/** The sums that it has printed. */
export function sumsOf(output: string): string[] {
  return [...output.matchAll(/XENNER-SUM sha256=(\w+)/g)].map(([, sum]) => sum ?? "");
}
