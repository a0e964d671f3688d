// SPDX-License-Identifier: MIT
/** A compressed cluster, unpacked: exactly one cluster comes out, whatever the data promises. @module */
import { inflateRawSync } from "node:zlib";
import { Decompress } from "npm:fzstd@0.1.1";
import { DiskError } from "../disk_error.ts";
import type { Compression } from "./header.ts";

/** `packed` may have anything behind the end of the compressed data. Throws {@linkcode DiskError}. */
export function unpackCluster(
  packed: Uint8Array<ArrayBuffer>,
  clusterSize: number,
  how: Compression,
): Uint8Array<ArrayBuffer> {
  const out = how === "zlib" ? inflate(packed, clusterSize) : unzstd(packed, clusterSize);
  if (out?.length !== clusterSize) throw new DiskError("a compressed cluster is damaged");
  return out;
}

function inflate(packed: Uint8Array<ArrayBuffer>, clusterSize: number): Uint8Array<ArrayBuffer> | undefined {
  try {
    return new Uint8Array(inflateRawSync(packed, { maxOutputLength: clusterSize }));
  } catch {
    return undefined;
  }
}

function unzstd(packed: Uint8Array<ArrayBuffer>, clusterSize: number): Uint8Array<ArrayBuffer> | undefined {
  const out = new Uint8Array(clusterSize);
  let length = 0;
  const stream = new Decompress((chunk) => {
    const part = chunk.subarray(0, clusterSize - length);
    out.set(part, length);
    length += part.length;
    if (length === clusterSize) throw out; // enough: what follows is padding, or a bomb
  });
  try {
    stream.push(packed, true);
  } catch (error) {
    if (error !== out && length < clusterSize) return undefined;
  }
  return length === clusterSize ? out : undefined;
}
