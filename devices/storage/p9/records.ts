// SPDX-License-Identifier: MIT
/** The longer answers of 9P2000.L: attributes, entries of folders, space. @module */
import {
  type Attributes,
  type Changes,
  EINVAL,
  type Entry,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  type Space,
  type Time,
} from "./file_system.ts";
import { HEADER, type MessageReader, MessageWriter, type Qid, QTDIR, QTFILE, QTSYMLINK } from "./wire.ts";

/** Everything up to the blocks. */
const P9_STATS_BASIC = 0x7ffn;
const V9FS_MAGIC = 0x01021997;
const MAX_NAME = 255;
/** valid[4] of Tsetattr. */
const MODE = 1, UID = 2, GID = 4, SIZE = 8, ATIME = 0x10, MTIME = 0x20, ATIME_SET = 0x80, MTIME_SET = 0x100;
/** Permissions that can be given; set-user-id and set-group-id only in a guest's own root. */
export const PLAIN_MODE_BITS = 0o1777;
export const ALL_MODE_BITS = 0o7777;
const DT_DIR = 4;
const DT_LNK = 10;

/** What the file is known by. */
export function qidOf({ mode, ino }: Attributes): Qid {
  const kind = mode & S_IFMT;
  return { type: kind === S_IFDIR ? QTDIR : kind === S_IFLNK ? QTSYMLINK : QTFILE, version: 0, path: ino };
}

/** Rgetattr. */
export function attributesOf(stat: Attributes): MessageWriter {
  const out = new MessageWriter(HEADER + 153).u64(P9_STATS_BASIC).qid(qidOf(stat));
  out.u32(stat.mode).u32(stat.uid).u32(stat.gid).u64(BigInt(stat.nlink)).u64(stat.rdev).u64(stat.size);
  out.u64(BigInt(stat.blockBytes)).u64(stat.blocks);
  for (const { sec, nsec } of [stat.atime, stat.mtime, stat.ctime]) out.u64(sec).u64(BigInt(nsec));
  return out.u64(0n).u64(0n).u64(0n).u64(0n); // btime, gen, data_version
}

/** The fields of Tsetattr after the fid; `modeBits` can be set. */
export function changesFrom(r: MessageReader, modeBits: number): Changes {
  const valid = r.u32(), mode = r.u32(), uid = r.u32(), gid = r.u32(), size = r.u64();
  const time = (): Time => ({ sec: r.u64(), nsec: Number(r.u64() % 1_000_000_000n) });
  const atime = time(), mtime = time();
  return {
    ...(valid & MODE && { mode: mode & modeBits }),
    ...(valid & UID && { uid }),
    ...(valid & GID && { gid }),
    ...(valid & SIZE && { size }),
    ...(valid & ATIME && { atime: valid & ATIME_SET ? atime : "now" as const }),
    ...(valid & MTIME && { mtime: valid & MTIME_SET ? mtime : "now" as const }),
  };
}

/** Adds entries while they fit into `room` bytes. Returns their bytes; an errno when not even one fits. */
export function entriesInto(out: MessageWriter, entries: readonly Entry[], room: number): number {
  let length = 0;
  for (const { name, ino, type, next } of entries) {
    const bytes = 24 + name.length;
    if (length + bytes > room) return length === 0 ? -EINVAL : length;
    out.qid({ type: type === DT_DIR ? QTDIR : type === DT_LNK ? QTSYMLINK : QTFILE, version: 0, path: ino });
    out.u64(next).u8(type).string(name);
    length += bytes;
  }
  return length;
}

/** Rstatfs. */
export function spaceOf(space: Space | number): MessageWriter | number {
  if (typeof space === "number") return space;
  const out = new MessageWriter(HEADER + 60).u32(V9FS_MAGIC).u32(space.blockBytes);
  for (const n of [space.blocks, space.free, space.available, space.files, space.freeFiles, 0n]) out.u64(n);
  return out.u32(MAX_NAME);
}
