// SPDX-License-Identifier: MIT
/**
 * grant_table_op as a guest without foreign grants sees it: it manages its own table, and may copy between its own
 * pages and grants. Rules: Xen public/grant_table.h; behavior of common/grant_table.c, hvm_grant_table_op.
 *
 * Not done: mapping one's own grants (the only ones there are to map: dom0 grants nothing), which answers
 * GNTST_general_error.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import { checkDomid, checkGrantDomid, isSelf } from "./domain.ts";
import { BACKEND_DOMID } from "../backend/host.ts";
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { namesOf } from "../public/abi.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from "../public/errno.ts";
import * as grant_table_h from "../public/grant_table.ts";
import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_handle,
  GNTST_bad_page,
  GNTST_bad_virt_addr,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  gnttab_copy,
  gnttab_copy_ptr,
  gnttab_get_status_frames,
  gnttab_get_version,
  gnttab_map_grant_ref,
  gnttab_query_size,
  gnttab_set_version,
  gnttab_setup_table,
  gnttab_swap_grant_ref,
  gnttab_unmap_grant_ref,
  GNTTABOP_copy,
  GNTTABOP_get_status_frames,
  GNTTABOP_get_version,
  GNTTABOP_map_grant_ref,
  GNTTABOP_query_size,
  GNTTABOP_set_version,
  GNTTABOP_setup_table,
  GNTTABOP_swap_grant_ref,
  GNTTABOP_unmap_grant_ref,
} from "../public/grant_table.ts";

/** Work per element of a list; a copy of a page costs hardly more than looking at it. */
const ELEMENT_WORK = 3;
/** Work of changing the version: the table is wiped. */
const SET_VERSION_WORK = 50;
const OPERATIONS = namesOf(grant_table_h, "GNTTABOP_");
/** A frame of the table that the guest has not placed. */
const INVALID_GFN = 0xffff_ffff_ffff_ffffn;

/** Builds grant_table_op. */
export function grantTableOp(parts: XenParts): Hypercall {
  return { name: "grant_table_op", operations: OPERATIONS, run: (call) => run(parts, call) };
}

function run(parts: XenParts, call: GuestCall): number {
  const operation = call.u32(0);
  const count = call.u32(2);
  if (count > 0x7fff_ffff) return -XEN_EINVAL;
  switch (operation) {
    case GNTTABOP_setup_table:
      return count === 1 ? setupTable(parts, call) : -XEN_EINVAL;
    case GNTTABOP_query_size:
      return count === 1 ? querySize(parts, call) : -XEN_EINVAL;
    case GNTTABOP_get_status_frames:
      return count === 1 ? getStatusFrames(parts, call) : -XEN_EINVAL;
    case GNTTABOP_set_version: {
      if (!call.loadArg(1, gnttab_set_version.size)) return -XEN_EFAULT;
      const version = call.view.getUint32(0, true);
      call.budget.spend(SET_VERSION_WORK);
      const result = version === 1 || version === 2 ? parts.grants.setVersion(version) : -XEN_EINVAL;
      call.view.setUint32(0, parts.grants.version, true);
      return call.storeArg(1, 4) ? result : -XEN_EFAULT;
    }
    case GNTTABOP_get_version: {
      const { at, size } = gnttab_get_version;
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const error = checkDomid(call.view.getUint16(at.dom, true), parts.domid);
      if (error !== 0) return error;
      call.view.setUint32(at.version, parts.grants.version, true);
      return call.storeArg(1, 4, at.version) ? 0 : -XEN_EFAULT;
    }
    case GNTTABOP_map_grant_ref:
      return each(call, count, gnttab_map_grant_ref.size, gnttab_map_grant_ref.at.status, () => {
        const domid = call.view.getUint16(gnttab_map_grant_ref.at.dom, true);
        if (domid === BACKEND_DOMID) return GNTST_bad_gntref;
        if (domid !== parts.domid) return GNTST_bad_domain; // DOMID_SELF too: Xen looks up plain ids here
        parts.tracer.unimplemented("GNTTABOP_map_grant_ref of the guest's own grants");
        return GNTST_general_error;
      });
    case GNTTABOP_unmap_grant_ref: {
      const { at, size } = gnttab_unmap_grant_ref[call.bits];
      return each(call, count, size, at.status, () => GNTST_bad_handle);
    }
    case GNTTABOP_swap_grant_ref: {
      const { at, size } = gnttab_swap_grant_ref;
      return each(
        call,
        count,
        size,
        at.status,
        () => parts.grants.swap(call.view.getUint32(at.ref_a, true), call.view.getUint32(at.ref_b, true)),
      );
    }
    case GNTTABOP_copy: {
      const { at, size } = gnttab_copy[call.bits];
      return each(call, count, size, at.status, () => copy(parts, call));
    }
    default: // the rest is not for HVM domains
      parts.tracer.unimplemented(`GNTTABOP_${OPERATIONS[operation] ?? operation}`);
      return -XEN_ENOSYS;
  }
}

/** Runs `one` on each structure of an array, loaded into the buffer, and writes its status back. */
function each(call: GuestCall, count: number, size: number, statusAt: number, one: () => number): number {
  const list = call.arg(1);
  for (let i = 0; i < count; i++) {
    const element = list + BigInt(i * size);
    if (i > 0 && call.budget.exhausted) return call.continueWith(call.arg(0), element, count - i);
    call.budget.spend(ELEMENT_WORK);
    if (!call.load(element, size)) return -XEN_EFAULT;
    call.view.setInt16(statusAt, one(), true);
    if (!call.store(element + BigInt(statusAt), 2, statusAt)) return -XEN_EFAULT;
  }
  return 0;
}

/** Byte offset in the memory of one end of a copy, or a negative GNTST_* status. */
function copyEnd(
  parts: XenParts,
  call: GuestCall,
  at: number,
  length: number,
  isGref: boolean,
  write: boolean,
) {
  const layout = gnttab_copy_ptr[call.bits].at;
  const domid = call.view.getUint16(at + layout.domid, true);
  const offset = call.view.getUint16(at + layout.offset, true);
  if (offset + length > PAGE_SIZE) return GNTST_bad_copy_arg;
  if (isGref) {
    if (domid === BACKEND_DOMID) return GNTST_bad_gntref;
    if (!isSelf(domid, parts.domid)) return GNTST_bad_domain;
    const gref = call.view.getUint32(at + layout["u.gmfn"], true);
    return parts.grants.locate(gref, offset, length, write, parts.domid);
  }
  if (!isSelf(domid, parts.domid)) return GNTST_permission_denied;
  const gfn = call.long(at + layout["u.gmfn"]);
  const page = parts.memory.hasFrame(gfn) ? parts.memory.frames[gfn] as number : 0;
  if (page === 0) return GNTST_bad_page;
  if (write) parts.memory.announceWrite(page + offset, length);
  return page + offset;
}

function copy(parts: XenParts, call: GuestCall): number {
  const { at } = gnttab_copy[call.bits];
  const length = call.view.getUint16(at.len, true);
  const flags = call.view.getUint16(at.flags, true);
  const from = copyEnd(parts, call, at.source, length, (flags & GNTCOPY_source_gref) !== 0, false);
  if (from < 0) return from;
  const to = copyEnd(parts, call, at.dest, length, (flags & GNTCOPY_dest_gref) !== 0, true);
  if (to < 0) return to;
  parts.memory.bytes.copyWithin(to, from, from + length);
  return GNTST_okay;
}

/** Writes the frame numbers of the table's pages; false when the list cannot be written. */
function storeFrames(
  parts: XenParts,
  call: GuestCall,
  list: bigint,
  frames: number,
  status: boolean,
): boolean {
  // Frames of grants are a list of xen_pfn_t, frames of status words one of u64.
  const width = status ? 8 : call.longBytes;
  call.budget.spend(frames);
  for (let i = 0; i < frames; i++) {
    const page = parts.grants.existingFrame(i, status);
    const gfn = page === undefined ? undefined : parts.physmap.gfnOf(page);
    call.view.setBigUint64(0, gfn === undefined ? INVALID_GFN : BigInt(gfn), true);
    if (!call.store(list + BigInt(i * width), width)) return false;
  }
  return true;
}

function setupTable(parts: XenParts, call: GuestCall): number {
  const { at, size } = gnttab_setup_table[call.bits];
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const frames = call.view.getUint32(at.nr_frames, true);
  const list = call.pointer(at.frame_list);
  let status = checkGrantDomid(call.view.getUint16(at.dom, true), parts.domid);
  if (status === GNTST_okay && parts.grants.grow(frames) !== 0) status = GNTST_general_error;
  if (status === GNTST_okay && !storeFrames(parts, call, list, frames, false)) status = GNTST_bad_virt_addr;
  call.view.setInt16(at.status, status, true);
  return call.storeArg(1, 2, at.status) ? 0 : -XEN_EFAULT;
}

function getStatusFrames(parts: XenParts, call: GuestCall): number {
  const { at, size } = gnttab_get_status_frames[call.bits];
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const frames = call.view.getUint32(at.nr_frames, true);
  const list = call.pointer(at.frame_list);
  let status = checkGrantDomid(call.view.getUint16(at.dom, true), parts.domid);
  if (status === GNTST_okay && frames > parts.grants.statusFrameCount) status = GNTST_general_error;
  if (status === GNTST_okay && !storeFrames(parts, call, list, frames, true)) status = GNTST_bad_virt_addr;
  call.view.setInt16(at.status, status, true);
  return call.storeArg(1, 2, at.status) ? 0 : -XEN_EFAULT;
}

function querySize(parts: XenParts, call: GuestCall): number {
  const { at, size } = gnttab_query_size;
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const status = checkGrantDomid(call.view.getUint16(at.dom, true), parts.domid);
  if (status === GNTST_okay) {
    call.view.setUint32(at.nr_frames, parts.grants.frameCount, true);
    call.view.setUint32(at.max_nr_frames, parts.grants.maxFrames, true);
  }
  call.view.setInt16(at.status, status, true);
  return call.storeArg(1, size) ? 0 : -XEN_EFAULT;
}
