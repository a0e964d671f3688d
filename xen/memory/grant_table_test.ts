// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import type { MappedGrant } from "../backend/host.ts";
import {
  GNTCOPY_dest_gref,
  GNTCOPY_source_gref,
  GNTST_bad_copy_arg,
  GNTST_bad_domain,
  GNTST_bad_gntref,
  GNTST_bad_handle,
  GNTST_bad_page,
  GNTST_eagain,
  GNTST_general_error,
  GNTST_okay,
  GNTST_permission_denied,
  GNTTABOP_copy,
  GNTTABOP_dump_table,
  GNTTABOP_get_status_frames,
  GNTTABOP_get_version,
  GNTTABOP_map_grant_ref,
  GNTTABOP_query_size,
  GNTTABOP_set_version,
  GNTTABOP_setup_table,
  GNTTABOP_swap_grant_ref,
  GNTTABOP_unmap_grant_ref,
  GTF_accept_transfer,
  GTF_permit_access,
  GTF_reading,
  GTF_readonly,
  GTF_sub_page,
  GTF_transitive,
  GTF_writing,
} from "../public/grant_table.ts";
import { XENMAPSPACE_grant_table, XENMEM_add_to_physmap } from "../public/memory.ts";
import { __HYPERVISOR_grant_table_op, __HYPERVISOR_memory_op, DOMID_SELF } from "../public/xen.ts";
import { XEN_EBUSY, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM, XEN_ESRCH } from "../public/errno.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const ARGS = 0x1000;
const TABLE = 0x10_0000;
const STATUS = 0x18_0000;

function op(rig: XenRig, operation: number, count = 1): number {
  return rig.hypercall(__HYPERVISOR_grant_table_op, operation, ARGS, count);
}

function placeFrame(rig: XenRig, index: number, gpa: number): number {
  rig.ram.setUint32(ARGS, DOMID_SELF, true);
  rig.ram.setUint32(ARGS + 4, XENMAPSPACE_grant_table, true);
  rig.ram.setBigUint64(ARGS + 8, BigInt(index), true);
  rig.ram.setBigUint64(ARGS + 16, BigInt(gpa / 4096), true);
  return rig.hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARGS);
}

function setVersion(rig: XenRig, version: number): number {
  rig.ram.setUint32(ARGS, version, true);
  return op(rig, GNTTABOP_set_version);
}

/** Guest memory as the guest sees it. */
const u16 = (rig: XenRig, gpa: number) => rig.memory.view.getUint16(rig.memory.offsetOf(gpa), true);
function put(rig: XenRig, gpa: number, ...words: number[]): void {
  words.forEach((word, i) => rig.memory.view.setUint32(rig.memory.offsetOf(gpa) + 4 * i, word >>> 0, true));
}

/** A version 1 entry. */
function grant1(rig: XenRig, gref: number, flags: number, domid: number, gfn: number): void {
  put(rig, TABLE + 8 * gref, flags | (domid << 16), gfn);
}

/** A version 2 entry; `extra` is pad0, or page_off and length. */
function grant2(
  rig: XenRig,
  gref: number,
  flags: number,
  domid: number,
  gfn: number,
  extra = 0,
  high = 0,
): void {
  put(rig, TABLE + 16 * gref, flags | (domid << 16), extra, gfn, high);
}

function rigV1(): XenRig {
  const rig = xenRig();
  assertEquals(placeFrame(rig, 0, TABLE), 0);
  return rig;
}

function rigV2(): XenRig {
  const rig = rigV1();
  assertEquals(setVersion(rig, 2), 0);
  assertEquals(placeFrame(rig, 0x8000_0000, STATUS), 0);
  return rig;
}

Deno.test("gnttab: the tools' entries for console and store are there from the start", () => {
  const rig = rigV1();
  const { store, console } = rig.platform;
  assertEquals([store.gfn, console.gfn], [0xfeffc, 0xfefff]);
  for (const [gref, page] of [[0, console.page], [1, store.page]] as const) {
    assertEquals(rig.platform.grants.locate(gref, 0, 4096, true), page);
  }
});

Deno.test("gnttab v1: access gives the granted bytes, live", () => {
  const rig = rigV1();
  grant1(rig, 8, GTF_permit_access, 0, 0x30);
  rig.ram.setUint8(0x30_123, 0x5a);
  const bytes = rig.platform.grants.access(8, 0x123, 4, true) as Uint8Array;
  assertEquals([bytes.length, bytes[0]], [4, 0x5a]);
  bytes[1] = 0x77;
  assertEquals(rig.ram.getUint8(0x30_124), 0x77);
  assertEquals(rig.platform.grants.access(8, 0x123, 4, true) === bytes, true); // no new view for the same range
  grant1(rig, 8, GTF_permit_access, 0, 0x31);
  rig.ram.setUint8(0x31_123, 0x66);
  assertEquals((rig.platform.grants.access(8, 0x123, 4, true) as Uint8Array)[0], 0x66);
});

const REFUSED_V1: readonly (readonly [string, number, number, number, boolean, number])[] = [
  ["an invalid entry", 0, 0, 0x30, false, GNTST_general_error],
  ["a grant to another domain", GTF_permit_access, 3, 0x30, false, GNTST_general_error],
  ["a transfer entry", GTF_accept_transfer, 0, 0x30, false, GNTST_general_error],
  ["a transitive entry", GTF_transitive, 0, 0x30, false, GNTST_general_error],
  ["writing a read-only grant", GTF_permit_access | GTF_readonly, 0, 0x30, true, GNTST_general_error],
  ["a frame past the end of RAM", GTF_permit_access, 0, 0x400, false, GNTST_bad_page],
  ["a frame past the end of everything", GTF_permit_access, 0, 0xffff_ffff, false, GNTST_bad_page],
];
for (const [what, flags, domid, gfn, write, status] of REFUSED_V1) {
  Deno.test(`gnttab v1 refuses ${what}`, () => {
    const rig = rigV1();
    grant1(rig, 9, flags, domid, gfn);
    assertEquals(rig.platform.grants.access(9, 0, 16, write), status);
    assertEquals(rig.platform.grants.map(9, !write), status);
    assertEquals(u16(rig, TABLE + 8 * 9), flags); // no reading or writing flag left behind
  });
}

Deno.test("gnttab refuses references and ranges out of bounds", () => {
  const rig = rigV1();
  grant1(rig, 8, GTF_permit_access, 0, 0x30);
  const { grants } = rig.platform;
  assertEquals(grants.access(512, 0, 1, false), GNTST_bad_gntref);
  assertEquals(grants.access(0xffff_ffff, 0, 1, false), GNTST_bad_gntref);
  assertEquals(grants.access(-1, 0, 1, false), GNTST_bad_gntref);
  assertEquals(grants.map(512, true), GNTST_bad_gntref);
  assertEquals(grants.access(8, 4095, 2, false), GNTST_bad_copy_arg);
  assertEquals(grants.access(8, -1, 1, false), GNTST_bad_copy_arg);
  assertEquals((grants.access(8, 4095, 1, false) as Uint8Array).length, 1);
});

Deno.test("gnttab v1: mapping sets GTF_reading and GTF_writing until the last unmap", () => {
  const rig = rigV1();
  grant1(rig, 8, GTF_permit_access, 0, 0x30);
  const flags = () => u16(rig, TABLE + 8 * 8);
  const reader = rig.platform.grants.map(8, true) as MappedGrant;
  assertEquals(flags(), GTF_permit_access | GTF_reading);
  const writer = rig.platform.grants.map(8, false) as MappedGrant;
  assertEquals([writer.gref, writer.gpa], [8, 0x30_000]);
  assertEquals(flags(), GTF_permit_access | GTF_reading | GTF_writing);
  writer.view.setUint32(0, 0xdead_beef, true);
  assertEquals(rig.ram.getUint32(0x30_000, true), 0xdead_beef);
  // While mapped, the entry's frame and even its type no longer matter.
  put(rig, TABLE + 8 * 8 + 4, 0x31);
  assertEquals((rig.platform.grants.map(8, true) as MappedGrant).gpa, 0x30_000);
  writer.unmap();
  writer.unmap(); // once counts
  assertEquals(flags(), GTF_permit_access | GTF_reading);
  reader.unmap();
  assertEquals(flags(), GTF_permit_access | GTF_reading);
});

Deno.test("gnttab announces writes to pages with translated code", () => {
  const rig = rigV1();
  grant1(rig, 8, GTF_permit_access, 0, 0x30);
  const page = rig.memory.offsetOf(0x30_000);
  rig.memory.setAttribute(page, 1, true);
  const seen: number[][] = [];
  rig.memory.onCodeWrite = (offset, from, to) => seen.push([offset - page, from, to]);
  rig.platform.grants.access(8, 16, 32, false);
  assertEquals(seen, []);
  rig.platform.grants.access(8, 16, 32, true);
  assertEquals(seen, [[0, 16, 48]]);
});

Deno.test("gnttab v2: status words carry the flags, entries stay the guest's", () => {
  const rig = rigV2();
  grant2(rig, 8, GTF_permit_access, 0, 0x30);
  const grant = rig.platform.grants.map(8, false) as MappedGrant;
  assertEquals(u16(rig, TABLE + 16 * 8), GTF_permit_access);
  assertEquals(u16(rig, STATUS + 2 * 8), GTF_reading | GTF_writing);
  grant.unmap();
  assertEquals(u16(rig, STATUS + 2 * 8), 0);
});

Deno.test("gnttab v2: sub-page grants may be copied within their bounds, not mapped", () => {
  const rig = rigV2();
  grant2(rig, 8, GTF_permit_access | GTF_sub_page, 0, 0x30, 100 | (50 << 16));
  const { grants } = rig.platform;
  assertEquals(grants.map(8, true), GNTST_general_error);
  assertEquals((grants.access(8, 100, 50, false) as Uint8Array).length, 50);
  assertEquals(grants.access(8, 99, 2, false), GNTST_general_error);
  assertEquals(grants.access(8, 149, 2, false), GNTST_general_error);
});

Deno.test("gnttab v2 refuses transitive grants and frames above 4 GiB", () => {
  const rig = rigV2();
  grant2(rig, 8, GTF_transitive, 0, 0, 5);
  grant2(rig, 9, GTF_permit_access, 0, 0x30, 0, 1);
  assertEquals(rig.platform.grants.access(8, 0, 1, false), GNTST_general_error);
  assertEquals(rig.platform.grants.map(8, true), GNTST_general_error);
  assertEquals(rig.platform.grants.access(9, 0, 1, false), GNTST_bad_page);
});

Deno.test("gnttab: changing the version clears the table but for the reserved entries", () => {
  const rig = rigV1();
  grant1(rig, 8, GTF_permit_access, 0, 0x30);
  const grant = rig.platform.grants.map(8, true) as MappedGrant;
  assertEquals(setVersion(rig, 2), -XEN_EBUSY);
  assertEquals(rig.ram.getUint32(ARGS, true), 1);
  grant.unmap();
  assertEquals(setVersion(rig, 2), 0);
  assertEquals(rig.platform.grants.locate(1, 0, 4096, true), rig.platform.store.page);
  assertEquals(rig.platform.grants.access(8, 0, 1, false), GNTST_general_error);
  assertEquals(rig.platform.grants.entryCount, 256);
  assertEquals(setVersion(rig, 3), -XEN_EINVAL);
  assertEquals(setVersion(rig, 1), 0);
  assertEquals(rig.platform.grants.locate(1, 0, 4096, true), rig.platform.store.page);
  assertEquals(rig.platform.grants.entryCount, 512);
  assertEquals(placeFrame(rig, 0x8000_0000, STATUS), -XEN_EINVAL);
});

Deno.test("gnttab: add_to_physmap grows the table up to its limit", () => {
  const rig = xenRig();
  assertEquals(placeFrame(rig, 31, TABLE), 0);
  assertEquals(rig.platform.grants.frameCount, 32);
  assertEquals(placeFrame(rig, 64, TABLE), -XEN_EINVAL);
  assertEquals(setVersion(rig, 2), 0);
  assertEquals(rig.platform.grants.statusFrameCount, 4); // 32 frames of 256 entries, 2048 words a frame
  assertEquals(placeFrame(rig, 0x8000_0007, STATUS), 0);
  assertEquals(rig.platform.grants.frameCount, 57);
  assertEquals(placeFrame(rig, 0x8000_0008, STATUS), -XEN_EINVAL);
});

Deno.test("GNTTABOP_setup_table lists where the guest placed its frames", () => {
  const rig = rigV1();
  rig.ram.setUint32(ARGS, DOMID_SELF, true);
  rig.ram.setUint32(ARGS + 4, 2, true);
  rig.ram.setBigUint64(ARGS + 16, 0x2000n, true);
  assertEquals(op(rig, GNTTABOP_setup_table), 0);
  assertEquals(rig.ram.getInt16(ARGS + 8, true), GNTST_okay);
  assertEquals(rig.ram.getBigUint64(0x2000, true), BigInt(TABLE / 4096));
  assertEquals(rig.ram.getBigInt64(0x2008, true), -1n);
  rig.ram.setUint32(ARGS + 4, 65, true);
  assertEquals(op(rig, GNTTABOP_setup_table), 0);
  assertEquals(rig.ram.getInt16(ARGS + 8, true), GNTST_general_error);
  rig.ram.setUint32(ARGS, 0, true);
  assertEquals(op(rig, GNTTABOP_setup_table), 0);
  assertEquals(rig.ram.getInt16(ARGS + 8, true), GNTST_permission_denied);
  assertEquals(op(rig, GNTTABOP_setup_table, 2), -XEN_EINVAL);
});

Deno.test("GNTTABOP_query_size, get_version and get_status_frames", () => {
  const rig = rigV2();
  rig.ram.setUint32(ARGS, DOMID_SELF, true);
  assertEquals(op(rig, GNTTABOP_query_size), 0);
  assertEquals([4, 8].map((at) => rig.ram.getUint32(ARGS + at, true)), [1, 64]);
  rig.ram.setUint32(ARGS, DOMID_SELF, true);
  assertEquals(op(rig, GNTTABOP_get_version), 0);
  assertEquals(rig.ram.getUint32(ARGS + 4, true), 2);
  rig.ram.setUint32(ARGS, 0, true);
  assertEquals(op(rig, GNTTABOP_get_version), -XEN_EPERM);
  rig.ram.setUint32(ARGS, 99, true);
  assertEquals(op(rig, GNTTABOP_get_version), -XEN_ESRCH);
  put(rig, ARGS, 1, DOMID_SELF, 0x2000, 0);
  assertEquals(op(rig, GNTTABOP_get_status_frames), 0);
  assertEquals(rig.ram.getBigUint64(0x2000, true), BigInt(STATUS / 4096));
});

Deno.test("GNTTABOP_copy copies between frames and grants of the guest itself", () => {
  const rig = rigV1();
  grant1(rig, 8, GTF_permit_access | GTF_readonly, 1, 0x31); // the guest grants to itself
  rig.ram.setUint32(0x30_010, 0x1234_5678, true);
  rig.ram.setUint32(0x31_020, 0x9abc_def0, true);
  // source {u, domid, offset}, dest {u, domid, offset}, len, flags, status: 16 bytes per end for a 64-bit guest
  const copy = (from: number[], to: number[], length: number, flags: number): number => {
    put(rig, ARGS, from[0] as number, 0, (from[1] as number) | ((from[2] as number) << 16), 0);
    put(rig, ARGS + 16, to[0] as number, 0, (to[1] as number) | ((to[2] as number) << 16), 0);
    put(rig, ARGS + 32, length | (flags << 16), 0x5555);
    assertEquals(op(rig, GNTTABOP_copy), 0);
    return rig.ram.getInt16(ARGS + 36, true);
  };
  assertEquals(copy([0x30, DOMID_SELF, 0x10], [0x32, DOMID_SELF, 0], 4, 0), GNTST_okay);
  assertEquals(rig.ram.getUint32(0x32_000, true), 0x1234_5678);
  assertEquals(copy([8, DOMID_SELF, 0x20], [0x32, DOMID_SELF, 8], 4, GNTCOPY_source_gref), GNTST_okay);
  assertEquals(rig.ram.getUint32(0x32_008, true), 0x9abc_def0);
  assertEquals(copy([0x30, DOMID_SELF, 0], [8, DOMID_SELF, 0], 4, GNTCOPY_dest_gref), GNTST_general_error);
  assertEquals(copy([9, 0, 0], [0x32, DOMID_SELF, 0], 4, GNTCOPY_source_gref), GNTST_bad_gntref);
  assertEquals(copy([9, 44, 0], [0x32, DOMID_SELF, 0], 4, GNTCOPY_source_gref), GNTST_bad_domain);
  assertEquals(copy([0x30, 0, 0], [0x32, DOMID_SELF, 0], 4, 0), GNTST_permission_denied);
  assertEquals(copy([0x30, DOMID_SELF, 4093], [0x32, DOMID_SELF, 0], 4, 0), GNTST_bad_copy_arg);
  assertEquals(copy([0xf_0000, DOMID_SELF, 0], [0x32, DOMID_SELF, 0], 4, 0), GNTST_bad_page);
});

Deno.test("GNTTABOP_map_grant_ref finds nothing to map; unmap knows no handle; swap swaps", () => {
  const rig = rigV1();
  put(rig, ARGS, 0, 0, 2, 5, 0);
  assertEquals(op(rig, GNTTABOP_map_grant_ref), 0);
  assertEquals(rig.ram.getInt16(ARGS + 18, true), GNTST_bad_gntref);
  put(rig, ARGS, 0, 0, 2, 5, 77);
  assertEquals(op(rig, GNTTABOP_map_grant_ref), 0);
  assertEquals(rig.ram.getInt16(ARGS + 18, true), GNTST_bad_domain);
  assertEquals(op(rig, GNTTABOP_unmap_grant_ref), 0);
  assertEquals(rig.ram.getInt16(ARGS + 20, true), GNTST_bad_handle);
  grant1(rig, 8, GTF_permit_access, 0, 0x30);
  grant1(rig, 9, GTF_permit_access | GTF_readonly, 0, 0x31);
  put(rig, ARGS, 8, 9);
  assertEquals(op(rig, GNTTABOP_swap_grant_ref), 0);
  assertEquals(rig.ram.getInt16(ARGS + 8, true), GNTST_okay);
  assertEquals(u16(rig, TABLE + 64), GTF_permit_access | GTF_readonly);
  rig.platform.grants.map(8, true);
  assertEquals(op(rig, GNTTABOP_swap_grant_ref), 0);
  assertEquals(rig.ram.getInt16(ARGS + 8, true), GNTST_eagain);
  assertEquals(op(rig, GNTTABOP_dump_table), -XEN_ENOSYS);
  assertEquals(op(rig, GNTTABOP_copy, 0xffff_ffff), -XEN_EINVAL);
  assertEquals(op(rig, GNTTABOP_copy, 0x10_0000), -XEN_EFAULT); // where the list leaves the memory
  assertEquals(rig.hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_copy, 0xf000_0000n, 1), -XEN_EFAULT);
});
