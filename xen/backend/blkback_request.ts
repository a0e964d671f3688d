// SPDX-License-Identifier: MIT
/**
 * A block request, copied out of the ring and checked. Rules: Xen public/io/blkif.h. What a frontend may ask for is
 * decided here; nothing of the ring or of an indirect page is looked at a second time.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import {
  BLKIF_MAX_SEGMENTS_PER_REQUEST,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  blkif_request_segment,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  type BlkifLayouts,
} from "../public/io/blkif.ts";
import type { BlockStore } from "./block_store.ts";
import type { GrantAccess } from "./host.ts";

/** Bytes of a sector as the protocol counts them, whatever the disk's own are. */
export const SECTOR = 512;
/** Segments in an indirect request, as Linux offers. */
export const MAX_INDIRECT_SEGMENTS = 256;
const SECTORS_PER_PAGE = PAGE_SIZE / SECTOR;
const SEG = blkif_request_segment.at;

/** A request: plain data, as snapshots keep it. */
export interface BlockRequest {
  /** What is to be done and what the answer names: of an indirect request the operation inside. */
  readonly operation: number;
  readonly idLow: number;
  readonly idHigh: number;
  /** Place and size on the disk, in bytes. */
  readonly start: number;
  readonly length: number;
  /** Reference, first byte and length of each piece: three numbers per segment. */
  readonly segments: Uint32Array;
  /** What is written, or room for what is read: empty until {@linkcode withRoom} has made it. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A request that is answered at once. */
export interface Refusal extends Pick<BlockRequest, "operation" | "idLow" | "idHigh"> {
  /** BLKIF_RSP_*. */
  readonly status: number;
}

const NO_SEGMENTS = new Uint32Array(0);
const NO_DATA = new Uint8Array(0);

/** Understands the request in `view`. */
export function parseRequest(
  view: DataView,
  layouts: BlkifLayouts,
  store: BlockStore,
  grants: GrantAccess,
): BlockRequest | Refusal {
  const { blkif_request: { at }, blkif_request_indirect: indirect } = layouts;
  const outer = view.getUint8(at.operation);
  const isIndirect = outer === BLKIF_OP_INDIRECT;
  const operation = isIndirect ? view.getUint8(indirect.at.indirect_op) : outer;
  const id = { operation, idLow: view.getUint32(at.id, true), idHigh: view.getUint32(at.id + 4, true) };
  const refuse = (status: number): Refusal => ({ ...id, status });
  const start = u64(view, at.sector_number) * SECTOR; // at the same place in all kinds of requests
  const mayChange = !store.readonly;
  const unit = store.sectorBytes ?? SECTOR;
  const isOnDisk = (length: number) =>
    start + length <= store.size && start % unit === 0 && length % unit === 0;
  switch (operation) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE:
      break;
    case BLKIF_OP_WRITE_BARRIER:
    case BLKIF_OP_FLUSH_DISKCACHE:
      if (isIndirect) return refuse(BLKIF_RSP_ERROR);
      break;
    case BLKIF_OP_DISCARD: {
      if (isIndirect) return refuse(BLKIF_RSP_ERROR);
      if (store.discard === undefined) return refuse(BLKIF_RSP_EOPNOTSUPP);
      const length = u64(view, layouts.blkif_request_discard.at.nr_sectors) * SECTOR;
      if (!mayChange || !isOnDisk(length)) return refuse(BLKIF_RSP_ERROR);
      return { ...id, start, length, segments: NO_SEGMENTS, data: NO_DATA };
    }
    default:
      return refuse(isIndirect ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP);
  }
  const segments = isIndirect ? indirectSegments(view, layouts, grants) : directSegments(view, layouts);
  if (segments === undefined) return refuse(BLKIF_RSP_ERROR);
  let length = 0;
  for (let i = 2; i < segments.length; i += 3) length += segments[i] as number;
  const mayBeEmpty = operation === BLKIF_OP_FLUSH_DISKCACHE || operation === BLKIF_OP_WRITE_BARRIER;
  if (length === 0 && !mayBeEmpty) return refuse(BLKIF_RSP_ERROR);
  if (length > 0 && !isOnDisk(length)) return refuse(BLKIF_RSP_ERROR);
  if (operation !== BLKIF_OP_READ && length > 0 && !mayChange) return refuse(BLKIF_RSP_ERROR);
  if (operation === BLKIF_OP_READ) return { ...id, start, length, segments, data: NO_DATA };
  const request: BlockRequest = { ...id, start, length, segments, data: new Uint8Array(length) };
  return copySegments(grants, request, false) ? request : refuse(BLKIF_RSP_ERROR);
}

/** `request`, with room for what it reads. */
export function withRoom(request: BlockRequest): BlockRequest {
  return request.data.length === request.length || request.operation !== BLKIF_OP_READ
    ? request
    : { ...request, data: new Uint8Array(request.length) };
}

/** Reads into the guest's own pages when the store need not wait; false: not done, and some of it may be there. */
export function readAtOnce(grants: GrantAccess, store: BlockStore, request: BlockRequest): boolean {
  const { operation, segments, start } = request;
  if (operation !== BLKIF_OP_READ || store.readAtOnce === undefined) return false;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let i = 0; i < segments.length; i += 3) {
    const page = grants.access(
      segments[i] as number,
      segments[i + 1] as number,
      segments[i + 2] as number,
      true,
    );
    if (typeof page === "number") return false;
    pieces.push(page);
  }
  return store.readAtOnce(start, pieces);
}

/** Copies between the request's data and the guest; false when a grant does not allow it. */
export function copySegments(grants: GrantAccess, request: BlockRequest, toGuest: boolean): boolean {
  const { segments, data } = request;
  for (let i = 0, done = 0; i < segments.length; i += 3) {
    const length = segments[i + 2] as number;
    const page = grants.access(segments[i] as number, segments[i + 1] as number, length, toGuest);
    if (typeof page === "number") return false;
    if (toGuest) page.set(data.subarray(done, done + length));
    else data.set(page, done);
    done += length;
  }
  return true;
}

/** Does what a request asks for. */
export function perform(store: BlockStore, request: BlockRequest): void | Promise<void> {
  const { start, length, data } = request;
  switch (request.operation) {
    case BLKIF_OP_READ:
      return store.read(start, data);
    case BLKIF_OP_WRITE:
      return store.write(start, data);
    case BLKIF_OP_DISCARD:
      return store.discard?.(start, length);
    case BLKIF_OP_WRITE_BARRIER: // nothing else is under way
      return barrier(store, request);
    default: { // a flush, which may carry data to write after it
      const flushed = store.flush();
      if (length === 0) return flushed;
      return flushed === undefined ? store.write(start, data) : flushed.then(() => store.write(start, data));
    }
  }
}

async function barrier(store: BlockStore, { start, length, data }: BlockRequest): Promise<void> {
  await store.flush();
  if (length === 0) return;
  await store.write(start, data);
  await store.flush();
}

function directSegments(view: DataView, layouts: BlkifLayouts): Uint32Array | undefined {
  const { at } = layouts.blkif_request;
  const count = view.getUint8(at.nr_segments);
  if (count > BLKIF_MAX_SEGMENTS_PER_REQUEST) return undefined;
  const segments = new Uint32Array(3 * count);
  return parseSegments(view, at.seg, count, segments, 0) ? segments : undefined;
}

function indirectSegments(
  view: DataView,
  layouts: BlkifLayouts,
  grants: GrantAccess,
): Uint32Array | undefined {
  const { at } = layouts.blkif_request_indirect;
  const count = view.getUint16(at.nr_segments, true);
  if (count === 0 || count > MAX_INDIRECT_SEGMENTS) return undefined;
  const segments = new Uint32Array(3 * count);
  const perPage = PAGE_SIZE / blkif_request_segment.size;
  for (let done = 0, page = 0; done < count; done += perPage, page++) {
    const gref = view.getUint32(at.indirect_grefs + 4 * page, true);
    const n = Math.min(perPage, count - done);
    const live = grants.access(gref, 0, n * blkif_request_segment.size, false);
    if (typeof live === "number") return undefined;
    const copy = live.slice(); // one look at what the guest may rewrite
    if (!parseSegments(new DataView(copy.buffer), 0, n, segments, 3 * done)) return undefined;
  }
  return segments;
}

/** Turns `count` segments at `from` into (reference, offset, length); false when one is no piece of a page. */
function parseSegments(view: DataView, from: number, count: number, into: Uint32Array, at: number): boolean {
  for (let i = 0; i < count; i++) {
    const segment = from + i * blkif_request_segment.size;
    const first = view.getUint8(segment + SEG.first_sect);
    const last = view.getUint8(segment + SEG.last_sect);
    if (first > last || last >= SECTORS_PER_PAGE) return false;
    into[at + 3 * i] = view.getUint32(segment + SEG.gref, true);
    into[at + 3 * i + 1] = first * SECTOR;
    into[at + 3 * i + 2] = (last - first + 1) * SECTOR;
  }
  return true;
}

/** A u64 as a number: exact below 2^53, and too large for any disk above. */
function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
