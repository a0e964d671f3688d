// SPDX-License-Identifier: MIT
/**
 * Long hypercalls: one entry does bounded work, the rest comes with the same instruction, and the arguments say how far
 * it got, each as Xen's ABI has it.
 */
import { assert, assertEquals } from "@std/assert";
import { MiB } from "../../cpu/base/bits.ts";
import { GNTTABOP_copy, GNTTABOP_swap_grant_ref } from "../public/grant_table.ts";
import {
  XENMAPSPACE_gmfn,
  XENMAPSPACE_gmfn_range,
  XENMEM_add_to_physmap,
  XENMEM_add_to_physmap_batch,
  XENMEM_current_reservation,
  XENMEM_decrease_reservation,
  XENMEM_populate_physmap,
} from "../public/memory.ts";
import { SCHEDOP_poll } from "../public/sched.ts";
import {
  __HYPERVISOR_console_io,
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_grant_table_op,
  __HYPERVISOR_memory_op,
  __HYPERVISOR_multicall,
  __HYPERVISOR_sched_op,
  __HYPERVISOR_xen_version,
  CONSOLEIO_write,
  DOMID_SELF,
} from "../public/xen.ts";
import { EVTCHNOP_send } from "../public/event_channel.ts";
import { XEN_EDOM, XEN_EILSEQ, XEN_EINVAL, XEN_EOVERFLOW } from "../public/errno.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const ARGS = 0x1000;
const LIST = 0x10_0000;
const BIG = { ramBytes: 16 * MiB };
/** Copies from and to guest memory that one entry may make. */
const MOST_COPIES = 2000;

const MASK_64 = (1n << 64n) - 1n;

/** Enters once; the arguments are in the registers. */
function leg(rig: XenRig): { retried: boolean; copies: number } {
  const before = rig.vcpu.retries;
  rig.vcpu.copies = 0;
  rig.platform.hypercall();
  return { retried: rig.vcpu.retries > before, copies: rig.vcpu.copies };
}

function start(rig: XenRig, nr: number, ...args: (number | bigint)[]): void {
  rig.vcpu.writeGpr("rax", BigInt(nr));
  const names = rig.vcpu.codeBits === 64 ? ["rdi", "rsi", "rdx"] as const : ["rbx", "rcx", "rdx"] as const;
  args.forEach((arg, i) => rig.vcpu.writeGpr(names[i] as "rdi", BigInt(arg)));
}

const registers = (rig: XenRig) =>
  (["rax", "rdi", "rsi", "rdx"] as const).map((name) => rig.vcpu.readGpr(name));

/** Enters until the call is done; returns RAX and how many entries it took. Every entry is short. */
function finish(rig: XenRig): [result: bigint, entries: number] {
  for (let entries = 1;; entries++) {
    const { retried, copies } = leg(rig);
    assert(copies < MOST_COPIES, `${copies} copies in one entry`);
    if (!retried) return [rig.vcpu.readGpr("rax"), entries];
    assert(entries < 100_000, "the call comes to an end");
  }
}

/** `count` copies of 8 bytes from frame 0x30 to frame 0x31. */
function copies(rig: XenRig, at: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const base = at + 40 * i;
    rig.ram.setBigUint64(base, 0x30n, true);
    rig.ram.setUint16(base + 8, DOMID_SELF, true);
    rig.ram.setBigUint64(base + 16, 0x31n, true);
    rig.ram.setUint16(base + 24, DOMID_SELF, true);
    rig.ram.setUint16(base + 26, 8 * (i % 512), true);
    rig.ram.setUint16(base + 32, 8, true);
    rig.ram.setInt16(base + 36, 77, true);
  }
}

Deno.test("grant_table_op goes on with the next element, and fewer", () => {
  const rig = xenRig(BIG);
  const count = 65_536;
  copies(rig, LIST, count);
  start(rig, __HYPERVISOR_grant_table_op, GNTTABOP_copy, LIST, count);
  const first = leg(rig);
  assertEquals(first.retried, true);
  const [rax, rdi, rsi, rdx] = registers(rig) as [bigint, bigint, bigint, bigint];
  assertEquals([rax, rdi], [BigInt(__HYPERVISOR_grant_table_op), BigInt(GNTTABOP_copy)]);
  const done = count - Number(rdx);
  assert(done > 0 && done < MOST_COPIES / 2, `${done} elements in one entry`);
  assertEquals(rsi, BigInt(LIST + 40 * done));
  assertEquals([done - 1, done].map((i) => rig.ram.getInt16(LIST + 40 * i + 36, true)), [0, 77]);
  const [result, entries] = finish(rig);
  assertEquals(result, 0n);
  assert(entries > 10);
  for (let i = 0; i < count; i++) assertEquals(rig.ram.getInt16(LIST + 40 * i + 36, true), 0);
});

Deno.test("every list in every hypercall is done in short entries", () => {
  const table: [
    name: string,
    prepare: (rig: XenRig) => void,
    args: [number, ...(number | bigint)[]],
    result: bigint,
  ][] = [
    ["swaps", () => {}, [__HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, LIST, 20_000], 0n],
    ["maps", () => {}, [__HYPERVISOR_grant_table_op, 0, LIST, 20_000], 0n],
    ["unmaps", () => {}, [__HYPERVISOR_grant_table_op, 1, LIST, 20_000], 0n],
    [
      "decreases",
      (rig) => reservation(rig, 2000, (i) => 0x800 + i),
      [__HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARGS],
      2000n,
    ],
    ["a range of frames", (rig) => range(rig, 0x800, 0x8_0000, 2000), [
      __HYPERVISOR_memory_op,
      XENMEM_add_to_physmap,
      ARGS,
    ], 0n],
    ["a batch", (rig) => batch(rig, 2000), [__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, ARGS], 0n],
    ["text", () => {}, [__HYPERVISOR_console_io, CONSOLEIO_write, 4 * MiB, LIST], 0n],
    ["a multicall", () => {}, [__HYPERVISOR_multicall, LIST, 50_000], 0n],
    [
      "a multicall of events",
      (rig) => {
        const port = rig.platform.events.allocUnbound(0);
        rig.platform.events.bindInterdomain(port, () => {});
        rig.ram.setUint32(ARGS, port, true);
        for (let i = 0; i < 5000; i++) call(rig, i, __HYPERVISOR_event_channel_op, EVTCHNOP_send, ARGS);
      },
      [__HYPERVISOR_multicall, LIST, 5000],
      0n,
    ],
  ];
  for (const [name, prepare, [nr, ...args], expected] of table) {
    const rig = xenRig(BIG);
    prepare(rig);
    start(rig, nr, ...args);
    const [result, entries] = finish(rig);
    assertEquals([name, result, entries > 1], [name, expected, true]);
  }
});

function call(rig: XenRig, i: number, nr: number, ...args: (number | bigint)[]): void {
  rig.ram.setBigUint64(LIST + 64 * i, BigInt(nr), true);
  args.forEach((arg, a) => rig.ram.setBigUint64(LIST + 64 * i + 16 + 8 * a, BigInt(arg), true));
}

function reservation(rig: XenRig, count: number, gfn: (i: number) => number): void {
  rig.ram.setBigUint64(ARGS, BigInt(LIST), true);
  rig.ram.setBigUint64(ARGS + 8, BigInt(count), true);
  rig.ram.setUint16(ARGS + 24, DOMID_SELF, true);
  for (let i = 0; i < count; i++) rig.ram.setBigUint64(LIST + 8 * i, BigInt(gfn(i)), true);
}

function range(rig: XenRig, from: number, to: number, count: number): void {
  rig.ram.setUint16(ARGS, DOMID_SELF, true);
  rig.ram.setUint16(ARGS + 2, count, true);
  rig.ram.setUint32(ARGS + 4, XENMAPSPACE_gmfn_range, true);
  rig.ram.setBigUint64(ARGS + 8, BigInt(from), true);
  rig.ram.setBigUint64(ARGS + 16, BigInt(to), true);
}

function batch(rig: XenRig, count: number): void {
  rig.ram.setUint16(ARGS, DOMID_SELF, true);
  rig.ram.setUint16(ARGS + 2, XENMAPSPACE_gmfn, true);
  rig.ram.setUint16(ARGS + 4, count, true);
  [0, 1, 2].forEach((n) => rig.ram.setBigUint64(ARGS + 8 + 8 * n, BigInt(LIST + 0x1_0000 * n), true));
  for (let i = 0; i < count; i++) {
    rig.ram.setBigUint64(LIST + 8 * i, BigInt(0x800 + i), true);
    rig.ram.setBigUint64(LIST + 0x1_0000 + 8 * i, BigInt(0x8_0000 + i), true);
    rig.ram.setInt32(LIST + 0x2_0000 + 4 * i, 77, true);
  }
}

Deno.test("memory_op says in the bits above the operation how many extents are done", () => {
  const rig = xenRig(BIG);
  reservation(rig, 1000, (i) => 0x800 + i);
  start(rig, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARGS);
  leg(rig);
  const command = rig.vcpu.readGpr("rdi");
  const done = Number(command >> 6n);
  assertEquals(command & 63n, BigInt(XENMEM_decrease_reservation));
  assert(done > 0 && done < 1000);
  assertEquals([0x800 + done - 1, 0x800 + done].map((gfn) => rig.memory.hasFrame(gfn)), [false, true]);
  assertEquals(finish(rig)[0], 1000n); // all that are done, as if it had been one call
  assertEquals(rig.hypercall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, ARGS), 1000);
  assertEquals(rig.memory.hasFrame(0x800 + 999), true);
});

Deno.test("memory_op of a 32-bit guest goes on likewise", () => {
  const rig = xenRig(BIG);
  rig.vcpu.codeBits = 32;
  [LIST, 1000, 0, 0].forEach((word, i) => rig.ram.setUint32(ARGS + 4 * i, word, true));
  rig.ram.setUint16(ARGS + 16, DOMID_SELF, true);
  for (let i = 0; i < 1000; i++) rig.ram.setUint32(LIST + 4 * i, 0x800 + i, true);
  start(rig, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARGS);
  assertEquals(finish(rig)[0], 1000n);
});

Deno.test("memory_op refuses a start that belongs to no operation", () => {
  const rig = xenRig();
  const op = (operation: number, startAt: number) =>
    rig.hypercall(__HYPERVISOR_memory_op, BigInt(operation) | (BigInt(startAt) << 6n), ARGS);
  rig.ram.setUint16(ARGS, DOMID_SELF, true);
  assertEquals(op(XENMEM_current_reservation, 1), -XEN_EINVAL);
  assertEquals(op(XENMEM_add_to_physmap, 0x1_0000), -XEN_EDOM);
  range(rig, 0x300, 0x8_0000, 4);
  assertEquals(op(XENMEM_add_to_physmap, 5), -XEN_EILSEQ);
  assertEquals(op(XENMEM_add_to_physmap, 4), 0);
  rig.ram.setBigUint64(ARGS + 8, MASK_64, true);
  assertEquals(op(XENMEM_add_to_physmap, 0), -XEN_EOVERFLOW);
  batch(rig, 3);
  assertEquals(op(XENMEM_add_to_physmap_batch, 3), -XEN_EILSEQ);
  rig.ram.setUint16(ARGS + 4, 0, true);
  assertEquals(op(XENMEM_add_to_physmap_batch, 0), 0);
});

for (const shift of [-3, 3]) {
  Deno.test(`a range that overlaps itself moves by ${shift} frames with its contents`, () => {
    const rig = xenRig(BIG);
    for (let i = 0; i < 1000; i++) rig.ram.setUint32((0x800 + i) * 4096, i, true);
    range(rig, 0x800, 0x800 + shift, 1000);
    start(rig, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARGS);
    const [result, entries] = finish(rig);
    assertEquals([result, entries > 1], [0n, true]);
    for (let i = 0; i < 1000; i++) {
      assertEquals(rig.memory.view.getUint32(rig.memory.offsetOf((0x800 + shift + i) * 4096), true), i);
    }
  });
}

Deno.test("a batch leaves no frame out and does none twice", () => {
  const rig = xenRig(BIG);
  batch(rig, 1500);
  assertEquals(rig.hypercall(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, ARGS), 0);
  for (let i = 0; i < 1500; i++) assertEquals(rig.ram.getInt32(LIST + 0x2_0000 + 4 * i, true), 0);
  assertEquals(rig.memory.hasFrame(0x8_0000 + 1499), true);
});

Deno.test("console_io goes on with the text that is left", () => {
  const rig = xenRig(BIG);
  const text = Array.from({ length: 200_000 }, (_, i) => 0x20 + i % 64);
  new Uint8Array(rig.ram.buffer, rig.ram.byteOffset + LIST, text.length).set(text);
  start(rig, __HYPERVISOR_console_io, CONSOLEIO_write, text.length, LIST);
  leg(rig);
  const [, , rsi, rdx] = registers(rig) as [bigint, bigint, bigint, bigint];
  assertEquals(Number(rsi) + Number(rdx) - LIST, text.length);
  assert(Number(rdx) > LIST && rig.wires.console.length === Number(rdx) - LIST);
  assertEquals(finish(rig)[0], 0n);
  assertEquals(rig.wires.console, text.map((c) => String.fromCharCode(c)).join(""));
});

Deno.test("multicall goes on with its first entry that is not done, and that with the arguments it had got to", () => {
  const rig = xenRig(BIG);
  const calls = 64, elements = 4000;
  const elementsAt = LIST + 0x10_0000;
  copies(rig, elementsAt, elements);
  for (let i = 0; i < calls; i++) {
    call(rig, i, __HYPERVISOR_grant_table_op, GNTTABOP_copy, elementsAt, elements);
  }
  call(rig, calls, __HYPERVISOR_xen_version, 0);
  start(rig, __HYPERVISOR_multicall, LIST, calls + 1);
  leg(rig);
  assertEquals(registers(rig).slice(0, 3), [BigInt(__HYPERVISOR_multicall), BigInt(LIST), BigInt(calls + 1)]);
  const left = Number(rig.ram.getBigUint64(LIST + 32, true));
  assert(left > 0 && left < elements, `${left} elements are left`);
  assertEquals(Number(rig.ram.getBigUint64(LIST + 24, true)), elementsAt + 40 * (elements - left));
  const [result, entries] = finish(rig);
  assertEquals(result, 0n);
  assert(entries > calls);
  for (let i = 0; i < calls; i++) assertEquals(rig.ram.getBigInt64(LIST + 64 * i + 8, true), 0n);
  assertEquals(rig.ram.getBigInt64(LIST + 64 * calls + 8, true), 0x0004_0011n);
  assertEquals(rig.tracer.counters.get("hypercall.grant_table_op"), calls); // counted when they are done
  assertEquals(rig.tracer.counters.get("hypercall.multicall"), 1);
});

Deno.test("multicall makes one poll at a time, and leaves no timers behind", () => {
  const rig = xenRig();
  const port = rig.platform.events.allocUnbound(0);
  rig.ram.setBigUint64(ARGS, BigInt(ARGS + 32), true);
  rig.ram.setUint32(ARGS + 8, 1, true);
  rig.ram.setBigUint64(ARGS + 16, BigInt(1e9), true);
  rig.ram.setUint32(ARGS + 32, port, true);
  for (let i = 0; i < 4096; i++) call(rig, i, __HYPERVISOR_sched_op, SCHEDOP_poll, ARGS);
  start(rig, __HYPERVISOR_multicall, LIST, 4096);
  for (let i = 1; i <= 100; i++) {
    assertEquals(leg(rig).retried, true);
    assertEquals(rig.platform.blocked, true);
    assertEquals(rig.vcpu.readGpr("rsi"), BigInt(4096 - i)); // the entries that are left
    assert(rig.clock.size < 200, `${rig.clock.size} timers are held`);
    rig.platform.wake();
  }
});

Deno.test("listeners hear of a continued call once, when it is done", () => {
  const rig = xenRig(BIG);
  const heard: [string, number][] = [];
  rig.platform.onHypercall = ({ name, result }) => heard.push([name, result]);
  reservation(rig, 1000, (i) => 0x800 + i);
  start(rig, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARGS);
  finish(rig);
  assertEquals(heard, [["memory_op", 1000]]);
});
