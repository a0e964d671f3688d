// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import {
  XENMAPSPACE_gmfn,
  XENMAPSPACE_gmfn_foreign,
  XENMAPSPACE_gmfn_range,
  XENMAPSPACE_grant_table,
  XENMAPSPACE_shared_info,
  XENMEM_add_to_physmap,
  XENMEM_add_to_physmap_batch,
  XENMEM_current_reservation,
  XENMEM_decrease_reservation,
  XENMEM_increase_reservation,
  XENMEM_machine_memory_map,
  XENMEM_maximum_gpfn,
  XENMEM_maximum_ram_page,
  XENMEM_maximum_reservation,
  XENMEM_memory_map,
  XENMEM_populate_physmap,
  XENMEM_remove_from_physmap,
  XENMEM_set_memory_map,
} from "../public/memory.ts";
import { __HYPERVISOR_memory_op, DOMID_SELF } from "../public/xen.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from "../public/errno.ts";
import { type XenRig, xenRig, type XenRigOptions } from "../_rig.ts";

const ARGS = 0x1000;
const LIST = 0x2000;
const PAGES = 1024; // 4 MiB

function op(rig: XenRig, operation: number): number {
  return rig.hypercall(__HYPERVISOR_memory_op, operation, ARGS);
}

function place(rig: XenRig, space: number, index: number, gfn: number, size = 0, domid = DOMID_SELF): number {
  rig.ram.setUint32(ARGS, domid | (size << 16), true);
  rig.ram.setUint32(ARGS + 4, space, true);
  rig.ram.setBigUint64(ARGS + 8, BigInt(index), true);
  rig.ram.setBigUint64(ARGS + 16, BigInt(gfn), true);
  return op(rig, XENMEM_add_to_physmap);
}

function reserve(rig: XenRig, operation: number, gfns: number[], order = 0, domid = DOMID_SELF): number {
  gfns.forEach((gfn, i) => rig.ram.setBigUint64(LIST + 8 * i, BigInt(gfn), true));
  rig.ram.setBigUint64(ARGS, BigInt(LIST), true);
  rig.ram.setBigUint64(ARGS + 8, BigInt(gfns.length), true);
  rig.ram.setUint32(ARGS + 16, order, true);
  rig.ram.setUint32(ARGS + 20, 0, true);
  rig.ram.setUint32(ARGS + 24, domid, true);
  return op(rig, operation);
}

function reservation(rig: XenRig, operation: number): number {
  rig.ram.setUint16(ARGS, DOMID_SELF, true);
  return op(rig, operation);
}

function remove(rig: XenRig, gfn: number): number {
  rig.ram.setUint16(ARGS, DOMID_SELF, true);
  rig.ram.setBigUint64(ARGS + 8, BigInt(gfn), true);
  return op(rig, XENMEM_remove_from_physmap);
}

Deno.test("physmap: shared_info appears at one frame at a time, and RAM under it comes free", () => {
  const rig = xenRig();
  const { page } = rig.platform.sharedInfo;
  let remaps = 0;
  rig.memory.onRemap = () => remaps++;
  assertEquals(place(rig, XENMAPSPACE_shared_info, 0, 0xf_e700), 0);
  assertEquals(rig.memory.offsetOf(0xfe70_0000), page);
  assertEquals(remaps, 1);
  assertEquals(place(rig, XENMAPSPACE_shared_info, 0, 0x300), 0);
  assertEquals([rig.memory.offsetOf(0xfe70_0000), rig.memory.offsetOf(0x30_0000)], [0, page]);
  assertEquals(reservation(rig, XENMEM_current_reservation), PAGES - 1);
  assertEquals(remove(rig, 0x300), 0);
  assertEquals(remove(rig, 0x300), -XEN_ENOENT);
  assertEquals(reserve(rig, XENMEM_populate_physmap, [0x300]), 1);
  assertEquals(rig.memory.offsetOf(0x30_0000), rig.memory.map.ram + 0x30_0000);
  assertEquals(reservation(rig, XENMEM_current_reservation), PAGES);
});

Deno.test("physmap: XENMEM_add_to_physmap refuses what Xen refuses", () => {
  const rig = xenRig();
  assertEquals(place(rig, XENMAPSPACE_shared_info, 1, 0x300), -XEN_EINVAL);
  assertEquals(place(rig, XENMAPSPACE_shared_info, 0, 0x10_0000), -XEN_EINVAL); // past the frame table
  assertEquals(place(rig, XENMAPSPACE_shared_info, 0, 0x300, 0, 0), -XEN_EPERM);
  assertEquals(place(rig, XENMAPSPACE_shared_info, 0, 0x300, 0, 42), -XEN_ESRCH);
  assertEquals(place(rig, XENMAPSPACE_gmfn_foreign, 0, 0x300), -XEN_ENOSYS);
  assertEquals(place(rig, 17, 0, 0x300), -XEN_EINVAL);
  assertEquals(place(rig, XENMAPSPACE_gmfn, 0xf_0000, 0x300), -XEN_EINVAL);
  assertEquals(rig.hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, 0xf000_0000n), -XEN_EFAULT);
  assertEquals(rig.memory.offsetOf(0x30_0000), rig.memory.map.ram + 0x30_0000);
});

Deno.test("physmap: a RAM page moves with its contents (XENMAPSPACE_gmfn, gmfn_range)", () => {
  const rig = xenRig();
  rig.ram.setUint32(0x30_0000, 0x1111, true);
  rig.ram.setUint32(0x30_1000, 0x2222, true);
  assertEquals(place(rig, XENMAPSPACE_gmfn_range, 0x300, 0xf_0000, 2), 0);
  assertEquals([0x300, 0x301].map((gfn) => rig.memory.hasFrame(gfn)), [false, false]);
  assertEquals(rig.memory.view.getUint32(rig.memory.offsetOf(0xf000_1000), true), 0x2222);
  assertEquals(place(rig, XENMAPSPACE_gmfn, 0xf_0000, 0x300), 0);
  assertEquals(rig.ram.getUint32(0x30_0000, true), 0x1111);
  assertEquals(rig.memory.hasFrame(0x300), true);
  assertEquals(reservation(rig, XENMEM_current_reservation), PAGES);
});

Deno.test("balloon: pages go away and come back zeroed, elsewhere if wanted", () => {
  const rig = xenRig();
  rig.ram.setUint32(0x30_0000, 0x1111, true);
  assertEquals(reserve(rig, XENMEM_decrease_reservation, [0x300, 0x301]), 2);
  assertEquals([0x300, 0x301].map((gfn) => rig.memory.hasFrame(gfn)), [false, false]);
  assertEquals(reservation(rig, XENMEM_current_reservation), PAGES - 2);
  assertEquals(reservation(rig, XENMEM_maximum_reservation), PAGES);
  assertEquals(reserve(rig, XENMEM_decrease_reservation, [0x300]), 0); // nothing there
  assertEquals(reserve(rig, XENMEM_populate_physmap, [0x300, 0x8_0000, 0x8_0001]), 2);
  assertEquals(rig.ram.getUint32(0x30_0000, true), 0);
  assertEquals([0x300, 0x8_0000, 0x8_0001].map((gfn) => rig.memory.hasFrame(gfn)), [true, true, false]);
  assertEquals(reservation(rig, XENMEM_maximum_gpfn), 0xf_efff); // the console page
});

Deno.test("balloon: extents, limits and other domains", () => {
  const rig = xenRig();
  assertEquals(reserve(rig, XENMEM_decrease_reservation, [0x200], 8), 1);
  assertEquals(reservation(rig, XENMEM_current_reservation), PAGES - 256);
  assertEquals(reserve(rig, XENMEM_decrease_reservation, [0x300], 10), 0);
  assertEquals(reserve(rig, XENMEM_decrease_reservation, [0x300], 0, 0), 0);
  assertEquals(reserve(rig, XENMEM_increase_reservation, [0x300]), 0);
  assertEquals(reserve(rig, XENMEM_populate_physmap, [0x200], 8), 1);
  assertEquals(reserve(rig, XENMEM_decrease_reservation, [0xf_effc]), 0); // the xenstore page is no RAM
  assertEquals(rig.memory.offsetOf(0xfeff_c000), rig.platform.store.page);
  // A list of 2^63 extents ends where the guest's memory does.
  rig.ram.setBigUint64(ARGS, 0xf000_0000n, true);
  rig.ram.setBigUint64(ARGS + 8, 1n << 63n, true);
  rig.ram.setUint32(ARGS + 16, 0, true);
  rig.ram.setUint32(ARGS + 24, DOMID_SELF, true);
  assertEquals(op(rig, XENMEM_populate_physmap), 0);
});

Deno.test("XENMEM_add_to_physmap_batch reports each frame", () => {
  const rig = xenRig();
  rig.ram.setUint16(ARGS, DOMID_SELF, true);
  rig.ram.setUint16(ARGS + 2, XENMAPSPACE_grant_table, true);
  rig.ram.setUint16(ARGS + 4, 3, true);
  [0x2000, 0x3000, 0x4000].forEach((p, i) => rig.ram.setBigUint64(ARGS + 8 + 8 * i, BigInt(p), true));
  [0, 64, 1].forEach((index, i) => rig.ram.setBigUint64(0x2000 + 8 * i, BigInt(index), true));
  [0x300, 0x301, 0x302].forEach((gfn, i) => rig.ram.setBigUint64(0x3000 + 8 * i, BigInt(gfn), true));
  assertEquals(op(rig, XENMEM_add_to_physmap_batch), 0);
  assertEquals([0, 1, 2].map((i) => rig.ram.getInt32(0x4000 + 4 * i, true)), [0, -XEN_EINVAL, 0]);
  assertEquals(rig.platform.physmap.gfnOf(rig.platform.grants.framePage(1) as number), 0x302);
});

Deno.test("XENMEM_memory_map answers the machine's map, in the guest's width", () => {
  const options: XenRigOptions = {
    memoryMap: [{ addr: 0, size: 0x9_fc00, type: 1 }, { addr: 0x1_0000_0000, size: 4096, type: 2 }],
  };
  for (const bits of [64, 32] as const) {
    const rig = xenRig(options);
    rig.vcpu.codeBits = bits;
    rig.ram.setUint32(ARGS, 9, true);
    rig.ram.setUint32(ARGS + (bits === 64 ? 8 : 4), LIST, true);
    assertEquals(op(rig, XENMEM_memory_map), 0);
    assertEquals(rig.ram.getUint32(ARGS, true), 2);
    assertEquals(rig.ram.getBigUint64(LIST + 8, true), 0x9_fc00n);
    assertEquals(rig.ram.getBigUint64(LIST + 20, true), 0x1_0000_0000n);
    assertEquals(rig.ram.getUint32(LIST + 36, true), 2);
  }
  assertEquals(op(xenRig(), XENMEM_memory_map), -XEN_ENOSYS);
});

Deno.test("XENMEM_set_memory_map replaces the map of the domain itself", () => {
  for (const bits of [64, 32] as const) {
    const rig = xenRig({ memoryMap: [{ addr: 0, size: 0x9_fc00, type: 1 }] });
    rig.vcpu.codeBits = bits;
    // struct xen_foreign_memory_map: domid, then nr_entries and a pointer, aligned as a pointer
    const [countAt, bufferAt] = bits === 64 ? [ARGS + 8, ARGS + 16] as const : [ARGS + 4, ARGS + 8] as const;
    const set = (count: number, domid = DOMID_SELF, buffer = LIST) => {
      rig.ram.setUint16(ARGS, domid, true);
      rig.ram.setUint32(countAt, count, true);
      rig.ram.setUint32(bufferAt, buffer, true);
      return op(rig, XENMEM_set_memory_map);
    };
    const get = (count: number) => {
      rig.ram.setUint32(ARGS, count, true);
      rig.ram.setUint32(ARGS + (bits === 64 ? 8 : 4), 0x8000, true);
      return [op(rig, XENMEM_memory_map), rig.ram.getUint32(ARGS, true)];
    };
    for (let i = 0; i < 1024 * 20; i++) rig.ram.setUint8(LIST + i, i * 7);
    assertEquals(set(1024), 0);
    assertEquals(get(5000), [0, 1024]);
    for (let i = 0; i < 1024 * 20; i++) assertEquals(rig.ram.getUint8(0x8000 + i), i * 7 & 0xff);
    assertEquals(set(1025), -XEN_EINVAL);
    assertEquals(set(1, 0), -XEN_EPERM);
    assertEquals(set(1, 42), -XEN_ESRCH);
    assertEquals(set(1, DOMID_SELF, 0xf000_0000), -XEN_EFAULT);
    assertEquals(get(5000), [0, 1024]);
    const next = xenRig();
    next.platform.restore(structuredClone(rig.platform.save()));
    assertEquals(next.platform.memoryMap.entries, rig.platform.memoryMap.entries);
    assertEquals(set(0), 0);
    assertEquals(get(9)[0], -XEN_ENOSYS);
    rig.platform.reset();
    assertEquals(get(9), [0, 1]);
  }
});

Deno.test("memory_op: privileged and unknown operations", () => {
  const rig = xenRig();
  assertEquals(op(rig, XENMEM_machine_memory_map), -XEN_ENOSYS);
  assertEquals(op(rig, 24), -XEN_EPERM); // claim_pages
  assertEquals(op(rig, 63), -XEN_ENOSYS);
  assertEquals(op(rig, XENMEM_maximum_ram_page), 0xf_efff);
  assertEquals(rig.tracer.counters.get("unimplemented.XENMEM_63"), 1);
});
