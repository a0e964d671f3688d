// SPDX-License-Identifier: MIT
/**
 * memory_op: the balloon and the guest's physical memory map. Rules: Xen public/memory.h; behavior of
 * common/memory.c for an unprivileged HVM domain.
 *
 * Long calls go on where the bits above the operation say (MEMOP_EXTENT_SHIFT). Not done: populate on demand, vNUMA,
 * acquire_resource.
 * @module
 */
import { checkDomid } from "./domain.ts";
import type { GuestCall } from "./guest_call.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { namesOf } from "../public/abi.ts";
import { getMemoryMap, setMemoryMap } from "./memory_map.ts";
import {
  XEN_EDOM,
  XEN_EFAULT,
  XEN_EILSEQ,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EOVERFLOW,
  XEN_EPERM,
} from "../public/errno.ts";
import * as memory_h from "../public/memory.ts";
import {
  MEMOP_EXTENT_SHIFT,
  xen_add_to_physmap,
  xen_add_to_physmap_batch,
  xen_memory_domain,
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

/** Work per frame that moves: its page may be wiped, and translations are looked up anew. */
const FRAME_WORK = 5;
/** Extents beyond could not be encoded in a continuation; so Xen does nothing with them. */
const MAX_EXTENTS = 0xffff_ffff >>> MEMOP_EXTENT_SHIFT;
const MAX_U16 = 0xffff;
/** Frame numbers beyond wrap in Xen; here they are no exact numbers any more. */
const LAST_FRAME = Number.MAX_SAFE_INTEGER;
/** Largest extent an unprivileged domain may name (CONFIG_DOMU_MAX_ORDER). */
const MAX_EXTENT_ORDER = 9;
const OPERATION_MASK = (1 << MEMOP_EXTENT_SHIFT) - 1;
const OPERATIONS = namesOf(memory_h, "XENMEM_");
/** Operations that may go on in the middle. */
const CONTINUABLE: ReadonlySet<number> = new Set([
  XENMEM_increase_reservation,
  XENMEM_decrease_reservation,
  XENMEM_populate_physmap,
  XENMEM_add_to_physmap,
  XENMEM_add_to_physmap_batch,
]);

/** Builds memory_op. */
export function memoryOp(parts: XenParts): Hypercall {
  return { name: "memory_op", operations: OPERATIONS, run: (call) => run(parts, call) };
}

function run(parts: XenParts, call: GuestCall): number {
  const { physmap, tracer } = parts;
  const operation = call.u32(0) & OPERATION_MASK;
  const start = Number(call.arg(0) >> BigInt(MEMOP_EXTENT_SHIFT));
  if (start !== 0 && !CONTINUABLE.has(operation)) return -XEN_EINVAL;
  switch (operation) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
      return reservation(parts, call, operation, start);
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
      return start > MAX_U16 ? -XEN_EDOM : addToPhysmap(parts, call, start);
    case XENMEM_add_to_physmap_batch:
      return start > MAX_U16 ? -XEN_EDOM : addToPhysmapBatch(parts, call, start);
    case XENMEM_remove_from_physmap: {
      const { at, size } = xen_remove_from_physmap[call.bits];
      if (!call.loadArg(1, size)) return -XEN_EFAULT;
      const error = checkDomid(call.view.getUint16(at.domid, true), parts.domid);
      return error !== 0 ? error : physmap.remove(call.long(at.gpfn));
    }
    case XENMEM_memory_map:
      return getMemoryMap(parts, call);
    case XENMEM_set_memory_map:
      return setMemoryMap(parts, call);
    case XENMEM_exchange:
    case XENMEM_get_vnumainfo:
      return -XEN_EOPNOTSUPP;
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
  if (count > MAX_EXTENTS || checkDomid(call.view.getUint16(at.domid, true), parts.domid) !== 0) return start;
  if (order > MAX_EXTENT_ORDER || (flags & XENMEMF_populate_on_demand) !== 0) return start;
  // New memory without a place in the guest's map is of no use to a translated guest: as if there were none.
  if (operation === XENMEM_increase_reservation) return start;
  const frames = 1 << order;
  let done = start;
  for (; done < count; done++) {
    if (done > start && call.budget.exhausted) return again(call, operation, done);
    call.budget.spend(FRAME_WORK * frames);
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

/** The same operation comes again, from extent `next` on. */
function again(call: GuestCall, operation: number, next: number): number {
  return call.continueWith(BigInt(operation) | (BigInt(next) << BigInt(MEMOP_EXTENT_SHIFT)));
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

function addToPhysmap(parts: XenParts, call: GuestCall, start: number): number {
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
    if (count < start) return -XEN_EILSEQ;
    if (index + count > LAST_FRAME || gfn + count > LAST_FRAME) return -XEN_EOVERFLOW;
    // Upwards into itself a range has to move from its end.
    const backwards = gfn > index && gfn < index + count;
    for (let done = start; done < count; done++) {
      if (done > start && call.budget.exhausted) return again(call, XENMEM_add_to_physmap, done);
      call.budget.spend(FRAME_WORK);
      const i = backwards ? count - 1 - done : done;
      const result = addOne(parts, XENMAPSPACE_gmfn, index + i, gfn + i);
      if (result !== 0) return result;
    }
    return 0;
  }
  call.budget.spend(FRAME_WORK);
  const result = addOne(parts, space, index, gfn);
  if (result === 0 && space === XENMAPSPACE_shared_info) parts.shared.latch(call.bits);
  return result;
}

function addToPhysmapBatch(parts: XenParts, call: GuestCall, start: number): number {
  const { at, size } = xen_add_to_physmap_batch[call.bits];
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const space = call.view.getUint16(at.space, true);
  const count = call.view.getUint16(at.size, true);
  const extra = call.view.getUint16(at.u, true);
  const indexes = call.pointer(at.idxs);
  const gfns = call.pointer(at.gpfns);
  const errors = call.pointer(at.errs);
  if (space === XENMAPSPACE_gmfn_range) return -XEN_EOPNOTSUPP;
  const error = checkDomid(call.view.getUint16(at.domid, true), parts.domid);
  if (error !== 0) return error;
  if (space === XENMAPSPACE_gmfn_foreign) return checkDomid(extra, parts.domid) || -XEN_EINVAL;
  if (extra !== 0) return -XEN_EOPNOTSUPP;
  if (count < start || (start > 0 && count === start)) return -XEN_EILSEQ;
  const long = call.longBytes;
  for (let i = start; i < count; i++) {
    if (i > start && call.budget.exhausted) return again(call, XENMEM_add_to_physmap_batch, i);
    call.budget.spend(FRAME_WORK);
    if (!call.load(indexes + BigInt(i * long), long)) return -XEN_EFAULT;
    const index = call.long(0);
    if (!call.load(gfns + BigInt(i * long), long)) return -XEN_EFAULT;
    const result = addOne(parts, space, index, call.long(0));
    call.view.setInt32(0, result, true);
    if (!call.store(errors + BigInt(i * 4), 4)) return -XEN_EFAULT;
  }
  return 0;
}
