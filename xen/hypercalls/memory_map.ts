// SPDX-License-Identifier: MIT
/** memory_op on the memory map. Rules: Xen public/memory.h; behavior of arch/x86/mm.c: a domain may set its own map. @module */
import { checkDomid } from "./domain.ts";
import type { GuestCall } from "./guest_call.ts";
import type { XenParts } from "./parts.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from "../public/errno.ts";
import { E820_ENTRY_BYTES, xen_foreign_memory_map, xen_memory_map } from "../public/memory.ts";

/** Entries a map may have: E820MAX of Xen. */
const E820MAX = 1024;
/** Entries that are copied in one go. */
const CHUNK = 200;

/** XENMEM_memory_map. */
export function getMemoryMap(parts: XenParts, call: GuestCall): number {
  const { at, size } = xen_memory_map[call.bits];
  const { entries } = parts.memoryMap;
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  if (entries.length === 0) return -XEN_ENOSYS;
  const count = Math.min(call.view.getUint32(at.nr_entries, true), entries.length / E820_ENTRY_BYTES);
  const buffer = call.pointer(at.buffer);
  for (let done = 0; done < count; done += CHUNK) {
    const from = done * E820_ENTRY_BYTES;
    const chunk = entries.subarray(from, Math.min(done + CHUNK, count) * E820_ENTRY_BYTES);
    call.budget.spend(1);
    call.bytes.set(chunk);
    if (!call.store(buffer + BigInt(from), chunk.length)) return -XEN_EFAULT;
  }
  call.view.setUint32(0, count, true);
  return call.store(call.arg(1) + BigInt(at.nr_entries), 4) ? 0 : -XEN_EFAULT;
}

/** XENMEM_set_memory_map: of the domain itself. */
export function setMemoryMap(parts: XenParts, call: GuestCall): number {
  const { at, size } = xen_foreign_memory_map[call.bits];
  const map = xen_memory_map[call.bits].at;
  if (!call.loadArg(1, size)) return -XEN_EFAULT;
  const count = call.view.getUint32(at.map + map.nr_entries, true);
  const buffer = call.pointer(at.map + map.buffer);
  if (count > E820MAX) return -XEN_EINVAL;
  const error = checkDomid(call.view.getUint16(at.domid, true), parts.domid);
  if (error !== 0) return error;
  const entries = new Uint8Array(count * E820_ENTRY_BYTES);
  for (let from = 0; from < entries.length; from += CHUNK * E820_ENTRY_BYTES) {
    const length = Math.min(CHUNK * E820_ENTRY_BYTES, entries.length - from);
    call.budget.spend(1);
    if (!call.load(buffer + BigInt(from), length)) return -XEN_EFAULT;
    entries.set(call.bytes.subarray(0, length), from);
  }
  parts.memoryMap.set(entries);
  return 0;
}
