// SPDX-License-Identifier: MIT
/**
 * Block device rings. Rules: Xen public/io/blkif.h. The layouts differ between i386 and x86-64 guests (the
 * "protocol" node says which the frontend uses), hence {@linkcode blkifLayouts}.
 * @module
 */
import { type Abi, ABI32, ABI64, type Layout, layout } from "../../../cpu/base/layout.ts";

export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
export const BLKIF_OP_WRITE_BARRIER = 2;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_RESERVED_1 = 4;
export const BLKIF_OP_DISCARD = 5;
export const BLKIF_OP_INDIRECT = 6;

/** Segments in a direct request. */
export const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
/** Pages of segments in an indirect request. */
export const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8;

/** Flag of a discard request: leave no copy behind. */
export const BLKIF_DISCARD_SECURE = 1 << 0;

export const BLKIF_RSP_EOPNOTSUPP = -2;
export const BLKIF_RSP_ERROR = -1;
export const BLKIF_RSP_OKAY = 0;

/** Bits of the backend node "info". */
export const VDISK_CDROM = 0x1;
export const VDISK_REMOVABLE = 0x2;
export const VDISK_READONLY = 0x4;

/** struct blkif_request_segment; the same in both ABIs. */
export const blkif_request_segment = layout({ gref: "u32", first_sect: "u8", last_sect: "u8" });

function structures(abi: Abi) {
  const blkif_request = layout({
    operation: "u8",
    nr_segments: "u8",
    handle: "u16",
    id: "u64",
    sector_number: "u64",
    seg: [blkif_request_segment, BLKIF_MAX_SEGMENTS_PER_REQUEST],
  }, abi);
  const blkif_request_discard = layout({
    operation: "u8",
    flag: "u8",
    handle: "u16",
    id: "u64",
    sector_number: "u64",
    nr_sectors: "u64",
  }, abi);
  const indirect = {
    operation: "u8",
    indirect_op: "u8",
    nr_segments: "u16",
    id: "u64",
    sector_number: "u64",
    handle: "u16",
    indirect_grefs: ["u32", BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST],
  } as const;
  const blkif_request_indirect: Layout<keyof typeof indirect> = abi === ABI32
    ? layout({ ...indirect, pad: "u64" }, abi)
    : layout(indirect, abi);
  const blkif_response = layout({ id: "u64", operation: "u8", status: "i16" }, abi);
  return {
    blkif_request,
    blkif_request_discard,
    blkif_request_indirect,
    blkif_response,
    /** Bytes of a slot of the ring. */
    entryBytes: Math.max(blkif_request.size, blkif_response.size),
  };
}

/** Structures of the ring by ABI: "x86_32-abi" and "x86_64-abi". */
export const blkifLayouts = { x86_32: structures(ABI32), x86_64: structures(ABI64) } as const;
/** Layouts of one ABI. */
export type BlkifLayouts = ReturnType<typeof structures>;
