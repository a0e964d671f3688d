// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM } from "../public/errno.ts";
import { namesOf } from "../public/abi.ts";
import * as xen_h from "../public/xen.ts";
import {
  __HYPERVISOR_console_io,
  __HYPERVISOR_domctl,
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_grant_table_op,
  __HYPERVISOR_hvm_op,
  __HYPERVISOR_memory_op,
  __HYPERVISOR_mmu_update,
  __HYPERVISOR_multicall,
  __HYPERVISOR_physdev_op,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_set_timer_op,
  __HYPERVISOR_vcpu_op,
  __HYPERVISOR_vm_assist,
  __HYPERVISOR_xen_version,
  CONSOLEIO_read,
  CONSOLEIO_write,
} from "../public/xen.ts";
import { XENVER_get_features, XENVER_pagesize, XENVER_version } from "../public/version.ts";
import { HYPERCALL_PORT } from "../platform/hypercall_page.ts";
import { xenRig } from "../_rig.ts";

for (const bits of [64, 32] as const) {
  Deno.test(`hypercalls take arguments and return errors in the registers of ${bits}-bit code`, () => {
    const rig = xenRig();
    rig.vcpu.codeBits = bits;
    assertEquals(rig.hypercall(__HYPERVISOR_xen_version, XENVER_version), 0x0004_0011);
    assertEquals(rig.hypercall(__HYPERVISOR_xen_version, 1000), -XEN_ENOSYS);
    const rax = bits === 64 ? 0xffff_ffff_ffff_ffdan : 0xffff_ffdan;
    assertEquals(rig.vcpu.readGpr("rax"), rax);
  });
}

Deno.test("32-bit code does not leak the upper halves of registers into arguments", () => {
  const rig = xenRig();
  rig.vcpu.codeBits = 32;
  rig.vcpu.writeGpr("rax", 0x5_0000_0000n | BigInt(__HYPERVISOR_xen_version));
  rig.vcpu.writeGpr("rbx", 0x7_0000_0000n | BigInt(XENVER_pagesize));
  rig.vcpu.writeGpr("rcx", 0x1_0000_0000n);
  rig.platform.hypercall();
  assertEquals(rig.vcpu.readGpr("rax"), 4096n);
});

Deno.test("hypercalls from user mode get -EPERM and do nothing", () => {
  const rig = xenRig();
  rig.vcpu.cpl = 3;
  assertEquals(rig.hypercall(__HYPERVISOR_xen_version, XENVER_version), -XEN_EPERM);
  assertEquals(rig.tracer.counters.get("hypercall.user_mode"), 1);
  assertEquals(rig.tracer.counters.get("hypercall.xen_version"), 0);
});

Deno.test("hypercalls that do not exist for HVM guests get -ENOSYS and are counted", () => {
  const rig = xenRig();
  assertEquals(rig.hypercall(__HYPERVISOR_mmu_update), -XEN_ENOSYS);
  assertEquals(rig.hypercall(0xffff_ffff_ffff_ffffn), -XEN_ENOSYS);
  assertEquals(rig.hypercall(11), -XEN_ENOSYS);
  assertEquals(rig.tracer.counters.get("unimplemented.hypercall mmu_update"), 1);
  assertEquals(rig.tracer.counters.get("hypercall.unknown"), 3);
  assertEquals(rig.hypercall(__HYPERVISOR_domctl), -XEN_EPERM);
  assertEquals(rig.hypercall(__HYPERVISOR_physdev_op, 13), -XEN_ENOSYS);
});

Deno.test("a listener sees hypercalls with their arguments and results, those of a multicall too", () => {
  const rig = xenRig();
  const seen: unknown[] = [];
  rig.platform.onHypercall = (event) => seen.push(event);
  rig.hypercall(__HYPERVISOR_xen_version, XENVER_pagesize, 0);
  rig.hypercall(__HYPERVISOR_grant_table_op, 1000, 1, 2, 3);
  rig.hypercall(__HYPERVISOR_set_timer_op, 5, 6);
  rig.hypercall(__HYPERVISOR_mmu_update, 1, 2, 3, 4, 5, 6);
  const entry = 0x1000;
  rig.ram.setBigUint64(entry, BigInt(__HYPERVISOR_xen_version), true);
  rig.ram.setBigUint64(entry + 16, BigInt(XENVER_version), true);
  rig.hypercall(__HYPERVISOR_multicall, entry, 1);
  assertEquals(seen, [
    { name: "xen_version", operation: "pagesize", args: [BigInt(XENVER_pagesize), 0n], result: 4096 },
    { name: "grant_table_op", args: [1000n, 1n, 2n], result: -XEN_ENOSYS },
    { name: "set_timer_op", args: [5n], result: 0 },
    { name: "mmu_update", args: [1n, 2n, 3n, 4n, 5n, 6n], result: -XEN_ENOSYS },
    { name: "xen_version", operation: "version", args: [0n, 0n], result: 0x0004_0011 },
    { name: "multicall", args: [BigInt(entry), 1n], result: 0 },
  ]);
  rig.platform.onHypercall = undefined;
  rig.hypercall(__HYPERVISOR_xen_version, XENVER_pagesize);
  assertEquals(seen.length, 6);
});

Deno.test("a 32-bit write to the hypercall port is a hypercall, other accesses are not", () => {
  const rig = xenRig();
  assertEquals([HYPERCALL_PORT, rig.platform.hypercallPort.portCount], [0xe4, 4]);
  rig.vcpu.writeGpr("rax", BigInt(__HYPERVISOR_xen_version));
  rig.vcpu.writeGpr("rdi", BigInt(XENVER_version));
  rig.platform.hypercallPort.writePort(0, 1, __HYPERVISOR_xen_version);
  rig.platform.hypercallPort.writePort(2, 2, __HYPERVISOR_xen_version);
  assertEquals(rig.vcpu.readGpr("rax"), BigInt(__HYPERVISOR_xen_version));
  rig.platform.hypercallPort.writePort(0, 4, __HYPERVISOR_xen_version);
  assertEquals(rig.vcpu.readGpr("rax"), 0x0004_0011n);
  assertEquals(rig.platform.hypercallPort.readPort(0, 1), 0xff);
});

Deno.test("multicall performs each entry and stores its result, 64-bit", () => {
  const rig = xenRig();
  const entry = (i: number) => 0x1000 + 64 * i; // op, result, args[6]: eight longs
  rig.ram.setBigUint64(entry(0), BigInt(__HYPERVISOR_xen_version), true);
  rig.ram.setBigUint64(entry(1), 999n, true);
  rig.ram.setBigUint64(entry(2), BigInt(__HYPERVISOR_xen_version), true);
  rig.ram.setBigUint64(entry(2) + 16, BigInt(XENVER_pagesize), true);
  rig.ram.setBigUint64(entry(3), BigInt(__HYPERVISOR_multicall), true);
  assertEquals(rig.hypercall(__HYPERVISOR_multicall, 0x1000, 4), 0);
  const result = (i: number) => rig.ram.getBigInt64(entry(i) + 8, true);
  assertEquals([0, 1, 2, 3].map(result), [0x0004_0011n, -38n, 4096n, -22n]);
  assertEquals(rig.tracer.counters.get("hypercall.xen_version"), 2);
});

Deno.test("multicall of a 32-bit guest has 32-byte entries", () => {
  const rig = xenRig();
  rig.vcpu.codeBits = 32;
  rig.ram.setUint32(0x1000 + 32, __HYPERVISOR_xen_version, true);
  rig.ram.setUint32(0x1000 + 32 + 8, XENVER_pagesize, true);
  assertEquals(rig.hypercall(__HYPERVISOR_multicall, 0x1000, 2), 0);
  assertEquals(rig.ram.getInt32(0x1000 + 4, true), -XEN_ENOSYS); // op 0
  assertEquals(rig.ram.getInt32(0x1000 + 32 + 4, true), 4096);
});

Deno.test("multicall faults on a list outside memory, and where an endless one leaves it", () => {
  const rig = xenRig();
  assertEquals(rig.hypercall(__HYPERVISOR_multicall, 0x8000_0000n, 1), -XEN_EFAULT);
  assertEquals(rig.hypercall(__HYPERVISOR_multicall, 0x1000, 0xffff_ffffn), -XEN_EFAULT);
});

Deno.test("console_io writes guest text and reads nothing", () => {
  const rig = xenRig();
  new TextEncoder().encodeInto("hello", new Uint8Array(rig.ram.buffer, rig.ram.byteOffset + 0x2ffd, 5));
  assertEquals(rig.hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, 5, 0x2ffd), 0);
  assertEquals(rig.wires.console, "hello");
  assertEquals(rig.hypercall(__HYPERVISOR_console_io, CONSOLEIO_read, 5, 0x2000), 0);
  assertEquals(rig.hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, 5, 0xf000_0000n), -XEN_EFAULT);
  assertEquals(rig.hypercall(__HYPERVISOR_console_io, CONSOLEIO_read, 0x8000_0000n, 0x2000), -7); // E2BIG
  assertEquals(rig.hypercall(__HYPERVISOR_console_io, 9, 0, 0), -XEN_ENOSYS);
});

Deno.test("vm_assist knows the runstate flag only", () => {
  const rig = xenRig();
  assertEquals(rig.hypercall(__HYPERVISOR_vm_assist, 0, 5), 0);
  assertEquals(rig.hypercall(__HYPERVISOR_vm_assist, 0, 4), -XEN_EINVAL);
});

Deno.test("traces name the call, its operation and its result", () => {
  const rig = xenRig();
  const lines: string[] = [];
  rig.tracer.configure((category, message) => lines.push(`${category}: ${message}`), ["hypercall"]);
  rig.hypercall(__HYPERVISOR_xen_version, XENVER_get_features, 0x1000, 0);
  rig.hypercall(__HYPERVISOR_memory_op, 7, 0xf000_0000n, 0);
  assertEquals(lines, [
    "hypercall: xen_version(get_features, 0x1000, 0x0) = 0x0",
    "hypercall: memory_op(add_to_physmap, 0xf0000000, 0x0) = -EFAULT",
  ]);
});

Deno.test("no hypercall, whatever its arguments, throws or takes long", () => {
  // Judge: the rig itself. A throw fails the test; guest state stays usable to the end. Seeded xorshift32.
  let seed = 0x2545_f491;
  const random = (): number => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return seed >>> 0;
  };
  const interesting = [
    0n,
    1n,
    2n,
    7n,
    0x7ff0n,
    0xfffn,
    0x1000n,
    0xf_effcn,
    0xffff_ffffn,
    1n << 63n,
    (1n << 64n) - 1n,
  ];
  const calls = [
    __HYPERVISOR_memory_op,
    __HYPERVISOR_multicall,
    __HYPERVISOR_set_timer_op,
    __HYPERVISOR_xen_version,
    __HYPERVISOR_console_io,
    __HYPERVISOR_grant_table_op,
    __HYPERVISOR_vm_assist,
    __HYPERVISOR_vcpu_op,
    __HYPERVISOR_sched_op,
    __HYPERVISOR_event_channel_op,
    __HYPERVISOR_hvm_op,
  ];
  const rig = xenRig();
  for (let round = 0; round < 30_000; round++) {
    rig.vcpu.codeBits = (random() & 3) === 0 ? 32 : 64;
    const at = 0x1000 + (random() & 0xff0);
    for (let i = 0; i < 8; i++) {
      const pick = random();
      const value = (pick & 1) === 0
        ? interesting[random() % interesting.length] as bigint
        : (pick & 2) === 0
        ? BigInt(random() & 0x1f)
        : BigInt(at + (random() & 0x3f));
      rig.ram.setBigUint64(at + 8 * i, BigInt.asUintN(64, value), true);
    }
    const nr = calls[random() % calls.length] as number;
    const operation = random() & 31;
    const pointer = (random() & 15) === 0 ? 0xffff_ffff_ffff_fff8n : BigInt(at);
    const second = nr === __HYPERVISOR_vcpu_op || nr === __HYPERVISOR_multicall
      ? BigInt(random() & 3)
      : pointer;
    const third = nr === __HYPERVISOR_vcpu_op ? pointer : BigInt(random() & 3);
    const result = rig.hypercall(
      nr,
      nr === __HYPERVISOR_multicall ? pointer : operation,
      second,
      third,
      0,
      0,
    );
    const error = namesOf(xen_h, "__HYPERVISOR_")[nr];
    assertEquals(Number.isSafeInteger(result), true, `${error} ${operation}`);
    rig.platform.scheduler.resume();
    rig.platform.wake();
    if ((random() & 63) === 0) rig.clock.advance(random() % 1_000_000);
  }
  rig.platform.reset();
  assertEquals(rig.hypercall(__HYPERVISOR_xen_version, XENVER_version), 0x0004_0011);
});
