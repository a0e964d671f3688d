// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { __HYPERVISOR_xen_version } from "../public/xen.ts";
import {
  XENVER_build_id,
  XENVER_capabilities,
  XENVER_changeset,
  XENVER_commandline,
  XENVER_compile_info,
  XENVER_extraversion,
  XENVER_get_features,
  XENVER_guest_handle,
  XENVER_pagesize,
  XENVER_platform_parameters,
  XENVER_version,
} from "../public/version.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM } from "../public/errno.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const OUT = 0x2000;

function op(rig: XenRig, operation: number, arg: number | bigint = OUT): number {
  return rig.hypercall(__HYPERVISOR_xen_version, operation, arg);
}

function text(rig: XenRig, at = OUT): string {
  const bytes = new Uint8Array(rig.ram.buffer, rig.ram.byteOffset + at, 64);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

Deno.test("xen_version: numbers and strings", () => {
  const rig = xenRig({ xenVersion: { major: 4, minor: 18 } });
  assertEquals(op(rig, XENVER_version), 0x0004_0012);
  const strings: readonly (readonly [number, string, number])[] = [
    [XENVER_extraversion, ".0", 16],
    [XENVER_capabilities, "hvm-4.0-x86_32 hvm-4.0-x86_32p hvm-4.0-x86_64 ", 1024],
    [XENVER_changeset, "unavailable", 64],
    [XENVER_commandline, "<denied>", 1024],
  ];
  for (const [operation, wanted, length] of strings) {
    new Uint8Array(rig.ram.buffer, rig.ram.byteOffset + OUT, 2048).fill(0xa5);
    assertEquals(op(rig, operation), 0);
    assertEquals(text(rig), wanted);
    assertEquals([rig.ram.getUint8(OUT + length - 1), rig.ram.getUint8(OUT + length)], [0, 0xa5]);
    assertEquals(op(rig, operation, 0xf000_0000n), -XEN_EFAULT);
  }
  assertEquals(op(rig, XENVER_compile_info), 0);
  assertEquals([text(rig), text(rig, OUT + 64)], ["TypeScript", "xenner"]);
});

Deno.test("xen_version: features are those of an HVM domain without pirqs", () => {
  const rig = xenRig();
  rig.ram.setUint32(OUT, 0, true);
  assertEquals(op(rig, XENVER_get_features), 0);
  // writable_page_tables, auto_translated_physmap, hvm_callback_vector, hvm_safe_pvclock, not_direct_mapped
  assertEquals(rig.ram.getUint32(OUT + 4, true), (1 << 0) | (1 << 2) | (1 << 8) | (1 << 9) | (1 << 16));
  rig.ram.setUint32(OUT, 1, true);
  assertEquals(op(rig, XENVER_get_features), -XEN_EINVAL);
});

Deno.test("xen_version: page size, UUID, start of the hypervisor, and refusals", () => {
  const uuid = new Uint8Array(16).map((_, i) => i + 1);
  const rig = xenRig({ uuid });
  assertEquals(op(rig, XENVER_pagesize, 0), 4096);
  assertEquals(op(rig, XENVER_pagesize), -XEN_EINVAL);
  assertEquals(op(rig, XENVER_guest_handle), 0);
  assertEquals(rig.memory.slice(OUT, 16), uuid);
  assertEquals(op(rig, XENVER_platform_parameters), 0);
  assertEquals(rig.ram.getBigUint64(OUT, true), 0xffff_8000_0000_0000n);
  assertEquals(op(rig, XENVER_build_id), -XEN_EPERM);
  assertEquals(op(rig, 11), -XEN_ENOSYS);
});
