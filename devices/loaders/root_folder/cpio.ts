// SPDX-License-Identifier: MIT
/**
 * Writes cpio archives in the "newc" format, which Linux unpacks as initramfs. Rules: cpio(5), Linux
 * Documentation/driver-api/early-userspace/buffer-format.rst. The same entries give the same bytes.
 *
 * Not done: hard links, checksums ("newc" with CRC), reading.
 * @module
 */

const MAGIC = "070701";
const TRAILER = "TRAILER!!!";
const HEADER_BYTES = 110;
const MAX_FIELD = 0xffff_ffff;

// st_mode of inode(7)
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;

/** One file of an archive. Names have no leading slash. */
export type CpioEntry =
  & { readonly name: string }
  & (
    | { readonly type: "file"; readonly data: Uint8Array; readonly mode?: number }
    | { readonly type: "directory"; readonly mode?: number }
    | { readonly type: "symlink"; readonly target: string }
    | { readonly type: "character"; readonly major: number; readonly minor: number; readonly mode?: number }
  );

/** The archive of `entries`, in their order; parents that nobody named are added as directories. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const all = withParents(entries);
  const encoder = new TextEncoder();
  const parts = all.map((entry) => {
    const name = encoder.encode(entry.name + "\0");
    const data = dataOf(entry, encoder);
    return { entry, name, data, bytes: padded(HEADER_BYTES + name.length) + padded(data.length) };
  });
  const trailer = encoder.encode(TRAILER + "\0");
  const total = parts.reduce((sum, part) => sum + part.bytes, 0) + padded(HEADER_BYTES + trailer.length);
  const out = new Uint8Array(total);
  let at = 0;
  const put = (fields: readonly number[], name: Uint8Array, data: Uint8Array) => {
    const header = MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
    out.set(encoder.encode(header), at);
    out.set(name, at + HEADER_BYTES);
    at += padded(HEADER_BYTES + name.length);
    out.set(data, at);
    at += padded(data.length);
  };
  parts.forEach(({ entry, name, data }, i) => {
    const [major, minor] = entry.type === "character" ? [entry.major, entry.minor] : [0, 0];
    const links = entry.type === "directory" ? 2 : 1;
    // ino, mode, uid, gid, nlink, mtime, filesize, dev, rdev, namesize, check
    put([i + 1, modeOf(entry), 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0], name, data);
  });
  put([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, trailer.length, 0], trailer, new Uint8Array(0));
  return out;
}

function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}

function modeOf(entry: CpioEntry): number {
  switch (entry.type) {
    case "file":
      return S_IFREG | (entry.mode ?? 0o644);
    case "directory":
      return S_IFDIR | (entry.mode ?? 0o755);
    case "symlink":
      return S_IFLNK | 0o777;
    case "character":
      return S_IFCHR | (entry.mode ?? 0o600);
  }
}

function dataOf(entry: CpioEntry, encoder: TextEncoder): Uint8Array {
  if (entry.type === "symlink") return encoder.encode(entry.target);
  if (entry.type !== "file") return new Uint8Array(0);
  if (entry.data.length > MAX_FIELD) throw new RangeError(`Cannot archive "${entry.name}": 4 GiB or more`);
  return entry.data;
}

/** The kernel makes no parents: each needs an entry before its first child. */
function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const seen = new Set<string>();
  const out: CpioEntry[] = [];
  for (const entry of entries) {
    const parts = entry.name.split("/");
    if (parts.some((part) => part === "" || part === "." || part === "..") || entry.name === TRAILER) {
      throw new TypeError(`Cannot archive ${JSON.stringify(entry.name)}: names are relative and plain`);
    }
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join("/");
      if (seen.has(parent)) continue;
      seen.add(parent);
      out.push({ type: "directory", name: parent });
    }
    if (seen.has(entry.name)) throw new TypeError(`Cannot archive ${JSON.stringify(entry.name)} twice`);
    seen.add(entry.name);
    out.push(entry);
  }
  return out;
}
