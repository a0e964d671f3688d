// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import type { AccessSize, MmioDevice, PortDevice } from "../../cpu/base/bus.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { SystemBus } from "./bus.ts";

/** Bytes that remember the accesses made to them. */
class Scratch implements PortDevice<number[]>, MmioDevice<number[]> {
  bytes: number[];
  log: string[] = [];
  constructor(readonly name: string, readonly portCount: number, readonly maxAccess: AccessSize = 4) {
    this.bytes = Array.from({ length: portCount }, (_, i) => (0x10 + i) & 0xff);
  }
  get mmioBytes(): number {
    return this.portCount;
  }
  readPort(offset: number, size: AccessSize): number {
    this.log.push(`r${size}@${offset}`);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.bytes[offset + i] ?? 0);
    return value;
  }
  writePort(offset: number, size: AccessSize, value: number): void {
    this.log.push(`w${size}@${offset}=${value.toString(16)}`);
    for (let i = 0; i < size; i++) this.bytes[offset + i] = (value >>> (8 * i)) & 0xff;
  }
  readMmio(offset: number, size: AccessSize): number {
    return this.readPort(offset, size);
  }
  writeMmio(offset: number, size: AccessSize, value: number): void {
    this.writePort(offset, size, value);
  }
  reset(): void {}
  save(): number[] {
    return [...this.bytes];
  }
  restore(state: number[]): void {
    this.bytes = [...state];
  }
}

function setup(): { bus: SystemBus; tracer: Tracer; lines: string[] } {
  const tracer = new Tracer();
  const lines: string[] = [];
  tracer.configure((category, message) => lines.push(`${category}: ${message}`));
  return { bus: new SystemBus(tracer), tracer, lines };
}

Deno.test("SystemBus hands a device offsets and whole accesses that fit", () => {
  const { bus } = setup();
  const d = new Scratch("d", 8);
  bus.addPorts(0xcf8, d);
  assertEquals(bus.readPort(0xcf8, 4), 0x1312_1110);
  bus.writePort(0xcfc, 2, 0xabcd);
  assertEquals(bus.readPort(0xcfd, 1), 0xab);
  assertEquals(d.log, ["r4@0", "w2@4=abcd", "r1@5"]);
});

Deno.test("SystemBus splits an access that is too wide for an 8-bit chip, low byte first", () => {
  const { bus } = setup();
  const d = new Scratch("d", 4, 1);
  bus.addPorts(0x40, d);
  assertEquals(bus.readPort(0x40, 4), 0x1312_1110);
  bus.writePort(0x42, 2, 0xbeef);
  assertEquals(d.log, ["r1@0", "r1@1", "r1@2", "r1@3", "w1@2=ef", "w1@3=be"]);
});

Deno.test("SystemBus splits an access over the end of a device; the rest floats to ones", () => {
  const { bus, tracer } = setup();
  const d = new Scratch("d", 2);
  bus.addPorts(0x60, d);
  assertEquals(bus.readPort(0x61, 4), 0xffff_ff11);
  assertEquals(d.log, ["r1@1"]);
  assertEquals(tracer.counters.get("bus.unclaimed.port"), 2); // byte 0x62, word 0x63
  bus.writePort(0x5f, 2, 0x7788);
  assertEquals(d.bytes, [0x77, 0x11]);
});

Deno.test("SystemBus splits an access between two devices", () => {
  const { bus } = setup();
  const a = new Scratch("a", 2);
  const b = new Scratch("b", 2);
  bus.addPorts(0x70, a);
  bus.addPorts(0x72, b);
  bus.writePort(0x70, 4, 0x4433_2211);
  assertEquals([a.bytes, b.bytes], [[0x11, 0x22], [0x33, 0x44]]);
  assertEquals(bus.readPort(0x71, 2), 0x3322);
});

for (const [size, ones] of [[1, 0xff], [2, 0xffff], [4, 0xffff_ffff]] as const) {
  Deno.test(`SystemBus reads all ones where nobody is, ${size} bytes wide, and counts`, () => {
    const { bus, tracer, lines } = setup();
    assertEquals(bus.readPort(0x1234, size), ones);
    bus.writePort(0x1234, size, 0);
    assertEquals(bus.readMmio(0xfed0_0000, size), ones);
    bus.writeMmio(0xfed0_0000, size, 0);
    bus.writeMmio(0xfed0_0ffe, size, 0);
    assertEquals(tracer.counters.get("bus.unclaimed.port"), 2);
    assertEquals(tracer.counters.get("bus.unclaimed.mmio"), 3);
    assertEquals(lines, []); // no warning: kernels probe
  });
}

Deno.test("SystemBus traces accesses where nobody is", () => {
  const { bus, tracer, lines } = setup();
  tracer.configure((category, message) => lines.push(`${category}: ${message}`), ["bus"]);
  bus.readPort(0x2f9, 1);
  bus.writeMmio(0xfed0_0000, 4, 0xabc);
  assertEquals(lines, [
    "bus: read of 1 at unclaimed port 0x2f9",
    "bus: write of 4 at unclaimed mmio 0xfed00000: 0xabc",
  ]);
});

Deno.test("SystemBus wraps port numbers past 0xffff", () => {
  const { bus } = setup();
  const low = new Scratch("low", 1);
  const high = new Scratch("high", 1);
  bus.addPorts(0, low);
  bus.addPorts(0xffff, high);
  bus.writePort(0xffff, 2, 0x0201);
  assertEquals([high.bytes, low.bytes], [[1], [2]]);
});

Deno.test("SystemBus lets a movable range neither hide a fixed chip nor outlive its removal", () => {
  const { bus } = setup();
  const chip = new Scratch("chip", 2);
  const bar = new Scratch("bar", 16);
  bus.addPorts(0x64, chip);
  const moved = bus.addPorts(0x60, bar, { priority: -1 });
  assertEquals(bus.readPort(0x60, 1), 0x10);
  assertEquals(bus.readPort(0x64, 1), 0x10); // the chip's byte 0, not the BAR's byte 4
  assertEquals(bus.readPort(0x63, 2), 0x1013);
  assertEquals(bus.readPort(0x66, 1), 0x16);
  moved.remove();
  moved.remove();
  assertEquals(bus.readPort(0x60, 1), 0xff);
  assertEquals(bus.readPort(0x64, 1), 0x10);
  const other = new Scratch("other", 1);
  bus.addPorts(0x60, other); // reuses the slot; the stale handle must not remove it
  moved.remove();
  assertEquals(bus.readPort(0x60, 1), 0x10);
});

Deno.test("SystemBus shows what was below when the newer of two equal ranges goes", () => {
  const { bus } = setup();
  bus.addPorts(0x80, new Scratch("old", 1));
  const top = new Scratch("new", 1);
  top.bytes = [0x99];
  const handle = bus.addPorts(0x80, top);
  assertEquals(bus.readPort(0x80, 1), 0x99);
  handle.remove();
  assertEquals(bus.readPort(0x80, 1), 0x10);
});

Deno.test("SystemBus finds MMIO ranges within, across and above pages", () => {
  const { bus } = setup();
  const a = new Scratch("a", 0x20);
  const b = new Scratch("b", 0x3000);
  bus.addMmio(0xfec0_0000, a);
  const handle = bus.addMmio(0x20_0000_0800, b); // above 4 GiB, not page aligned
  assertEquals(bus.readMmio(0xfec0_0010, 4), 0x2322_2120);
  assertEquals(bus.readMmio(0xfec0_001f, 2), 0xff2f);
  assertEquals(bus.readMmio(0x20_0000_0800, 1), 0x10);
  bus.writeMmio(0x20_0000_1ffe, 4, 0x0403_0201); // across a page, inside the device
  assertEquals(b.bytes.slice(0x17fe, 0x1802), [1, 2, 3, 4]);
  assertEquals(b.log.at(-1), "w4@6142=4030201");
  assertEquals(bus.readMmio(0x20_0000_3800, 1), 0xff);
  handle.remove();
  assertEquals(bus.readMmio(0x20_0000_0800, 1), 0xff);
});

Deno.test("SystemBus splits an MMIO access that runs into a better range", () => {
  const { bus } = setup();
  const fixed = new Scratch("fixed", 4);
  const bar = new Scratch("bar", 0x1000);
  bus.addMmio(0xfee0_0002, fixed);
  bus.addMmio(0xfee0_0000, bar, { priority: -1 });
  assertEquals(bus.readMmio(0xfee0_0000, 4), 0x1110_1110);
  bus.writeMmio(0xfee0_0004, 4, 0xddcc_bbaa);
  assertEquals(fixed.bytes, [0x10, 0x11, 0xaa, 0xbb]);
  assertEquals(bar.bytes.slice(6, 8), [0xcc, 0xdd]);
});
