// SPDX-License-Identifier: MIT
/**
 * memory_op: the balloon and the guest's physical memory map. Rules: Xen public/memory.h; behavior of
 * common/memory.c for an unprivileged HVM domain.
 *
 * One call changes at most 65536 frames; reservation calls tell how far they came, as the ABI has it, the others
 * refuse more with -E2BIG. Not done: populate on demand, vNUMA, acquire_resource.
 * @module
 */
import { checkDomid } from "./domain.ts";
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { namesOf } from "../public/abi.ts";
import { XEN_E2BIG, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM } from "../public/errno.ts";
import * as memory_h from "../public/memory.ts";
import {
  E820_ENTRY_BYTES,
  MEMOP_EXTENT_SHIFT,
  xen_add_to_physmap,
  xen_add_to_physmap_batch,
  xen_memory_domain,
  xen_memory_map,
  xen_memory_reservation,
  xen_remove_from_physmap,
  XENMAPIDX_grant_table_status,
  XENMAPSPACE_gmfn,
  XENMAPSPACE_gmfn_foreign,
  XENMAPSPACE_gmfn_range,
  XENMAPSPACE_grant_table,
  XENMAPSPACE_shared_info,
  XENMEM_add_to_physmap,
  XENMEM_add_to_physmap_batch,
  XENMEM_claim_pages,
  XENMEM_current_reservation,
  XENMEM_decrease_reservation,
  XENMEM_exchange,
  XENMEM_get_pod_target,
  XENMEM_get_vnumainfo,
  XENMEM_increase_reservation,
  XENMEM_machine_memory_map,
  XENMEM_machphys_mapping,
  XENMEM_maximum_gpfn,
  XENMEM_maximum_ram_page,
  XENMEM_maximum_reservation,
  XENMEM_memory_map,
  XENMEM_populate_physmap,
  XENMEM_remove_from_physmap,
  XENMEM_set_memory_map,
  XENMEM_set_pod_target,
  XENMEMF_populate_on_demand,
} from "../public/memory.ts";
import { setU64 } from "../public/words.ts";

/** Frames one call may change. */
const MAX_FRAMES_PER_CALL = 65536;
/** Largest extent an unprivileged domain may name (CONFIG_DOMU_MAX_ORDER). */
const MAX_EXTENT_ORDER = 9;
const OPERATION_MASK = (1 << MEMOP_EXTENT_SHIFT) - 1;
const OPERATIONS = namesOf(memory_h, "XENMEM_");

/** Builds memory_op. */
export function memoryOp(parts: XenParts): Hypercall {
  return { name: "memory_op", operations: OPERATIONS, run: (call) => run(parts, call) };
}

function run(parts: XenParts, call: GuestCall): number {
  const { physmap, tracer } = parts;
  const operation = call.u32(0) & OPERATION_MASK;
  switch (operation) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
      return reservation(parts, call, operation, call.u32(0) >>> MEMOP_EXTENT_SHIFT);
    case XENMEM_maximum_ram_page:
      return physmap.maximumGfn();
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn: {
      if (!call.loadArg(1, xen_memory_domain.size)) return -XEN_EFAULT;
      const error = checkDomid(call.view.getUint16(0, true), parts.domid);
      if (error !== 0) return error;
      if (operation === XENMEM_current_reservation) return physmap.currentPages;
      return operation === XENMEM_maximum_reservation ? physmap.maximumPages : physmap.maximumGfn();
    }
    case XENMEM_add_to_physmap:
      return addToPhysmap(parts, call);
    case XENMEM_add_to_physmap_batch:
      return addToPhysmapBatch(parts, call);
    case XENMEM_remove_from_physmap: {
      const { at, size } = xen_remove_from_physmap[call.bits];
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const error = checkDomid(call.view.getUint16(at.domid, true), parts.domid);
      return error !== 0 ? error : physmap.remove(call.long(at.gpfn));
    }
    case XENMEM_memory_map:
      return memoryMap(parts, call);
    case XENMEM_exchange:
    case XENMEM_get_vnumainfo:
      return -XEN_EOPNOTSUPP;
    case XENMEM_set_memory_map:
    case XENMEM_set_pod_target:
    case XENMEM_get_pod_target:
    case XENMEM_claim_pages:
      return -XEN_EPERM;
    case XENMEM_machine_memory_map: // Xen refuses these two to HVM domains as if they did not exist
    case XENMEM_machphys_mapping:
      return -XEN_ENOSYS;
    default:
      tracer.unimplemented(`XENMEM_${OPERATIONS[operation] ?? operation}`);
      return -XEN_ENOSYS;
  }
}

/** Returns how many extents are done, counted from the first of the list, as Xen does. */
function reservation(parts: XenParts, call: GuestCall, operation: number, start: number): number {
  const { physmap } = parts;
  const { at, size } = xen_memory_reservation[call.bits];
  if (!call.loadArg(1, size)) return start;
  const list = call.pointer(at.extent_start);
  const count = call.long(at.nr_extents);
  const order = call.view.getUint32(at.extent_order, true);
  const flags = call.view.getUint32(at.mem_flags, true);
  if (checkDomid(call.view.getUint16(at.domid, true), parts.domid) !== 0) return start;
  if (order > MAX_EXTENT_ORDER || (flags & XENMEMF_populate_on_demand) !== 0) return start;
  // New memory without a place in the guest's map is of no use to a translated guest: as if there were none.
  if (operation === XENMEM_increase_reservation) return start;
  const frames = 1 << order;
  const end = Math.min(count, start + MAX_FRAMES_PER_CALL / frames);
  let done = start;
  for (; done < end; done++) {
    const entry = list + BigInt(done * call.longBytes);
    if (!call.load(entry, call.longBytes)) break;
    const gfn = call.long(0);
    let i = 0;
    while (
      i < frames &&
      (operation === XENMEM_populate_physmap ? physmap.populate(gfn + i) : physmap.decrease(gfn + i))
    ) i++;
    if (i < frames) break;
    // The frame number of new memory is where the guest put it, so the list stays as it is.
  }
  return done;
}

/** XENMEM_add_to_physmap for one frame. Returns 0 or a negative errno. */
function addOne(parts: XenParts, space: number, index: number, gfn: number): number {
  const { physmap, shared, grants } = parts;
  let page: number | undefined;
  switch (space) {
    case XENMAPSPACE_shared_info:
      if (index === 0) page = shared.page;
      break;
    case XENMAPSPACE_grant_table:
      page = grants.version === 2 && index >= XENMAPIDX_grant_table_status
        ? grants.statusFramePage(index - XENMAPIDX_grant_table_status)
        : grants.framePage(index);
      break;
    case XENMAPSPACE_gmfn:
      return physmap.move(index, gfn);
  }
  return page === undefined ? -XEN_EINVAL : physmap.place(gfn, page);
}

function addToPhysmap(parts: XenParts, call: GuestCall): number {
  const { at, size } = xen_add_to_physmap[call.bits];
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const space = call.view.getUint32(at.space, true);
  const index = call.long(at.idx);
  const gfn = call.long(at.gpfn);
  const count = call.view.getUint16(at.size, true);
  if (space === XENMAPSPACE_gmfn_foreign) return -XEN_ENOSYS; // only in a batch
  const error = checkDomid(call.view.getUint16(at.domid, true), parts.domid);
  if (error !== 0) return error;
  if (space === XENMAPSPACE_gmfn_range) {
    for (let i = 0; i < count; i++) {
      const result = addOne(parts, XENMAPSPACE_gmfn, index + i, gfn + i);
      if (result !== 0) return result;
    }
    return 0;
  }
  const result = addOne(parts, space, index, gfn);
  if (result === 0 && space === XENMAPSPACE_shared_info) parts.shared.latch(call.bits);
  return result;
}

function addToPhysmapBatch(parts: XenParts, call: GuestCall): number {
  const { at, size } = xen_add_to_physmap_batch[call.bits];
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const space = call.view.getUint16(at.space, true);
  const count = call.view.getUint16(at.size, true);
  const extra = call.view.getUint16(at.u, true);
  const indexes = call.pointer(at.idxs);
  const gfns = call.pointer(at.gpfns);
  const errors = call.pointer(at.errs);
  const error = checkDomid(call.view.getUint16(at.domid, true), parts.domid);
  if (error !== 0) return error;
  if (space === XENMAPSPACE_gmfn_range) return -XEN_EINVAL;
  if (space === XENMAPSPACE_gmfn_foreign) return checkDomid(extra, parts.domid) || -XEN_EINVAL;
  if (extra !== 0) return -XEN_EOPNOTSUPP;
  const long = call.longBytes;
  for (let i = 0; i < count; i++) {
    if (!call.load(indexes + BigInt(i * long), long)) return -XEN_EFAULT;
    const index = call.long(0);
    if (!call.load(gfns + BigInt(i * long), long)) return -XEN_EFAULT;
    const result = addOne(parts, space, index, call.long(0));
    call.view.setInt32(0, result, true);
    if (!call.store(errors + BigInt(i * 4), 4)) return -XEN_EFAULT;
  }
  return 0;
}

function memoryMap(parts: XenParts, call: GuestCall): number {
  const { at, size } = xen_memory_map[call.bits];
  const ranges = parts.memoryMap;
  if (ranges.length === 0) return -XEN_ENOSYS;
  if (ranges.length > MAX_FRAMES_PER_CALL) return -XEN_E2BIG;
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const room = call.view.getUint32(at.nr_entries, true);
  const buffer = call.pointer(at.buffer);
  const count = Math.min(room, ranges.length);
  for (let i = 0; i < count; i++) {
    const range = ranges[i];
    if (range === undefined) break;
    setU64(call.view, 0, range.addr);
    setU64(call.view, 8, range.size);
    call.view.setUint32(16, range.type, true);
    if (!call.store(buffer + BigInt(i * E820_ENTRY_BYTES), E820_ENTRY_BYTES)) return -XEN_EFAULT;
  }
  call.view.setUint32(0, count, true);
  return call.store(call.arg(1) + BigInt(at.nr_entries), 4) ? 0 : -XEN_EFAULT;
}
