// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import {
  UNPLUG_ALL_IDE_DISKS,
  UNPLUG_ALL_NICS,
  XenPlatformIoBar,
  XenPlatformMmioBar,
  XenPlatformPorts,
} from "./platform_pci.ts";

function rig() {
  const masks: number[] = [];
  const lines: string[] = [];
  const tracer = new Tracer();
  tracer.configure((_category, message) => lines.push(message), ["xen"]);
  const ports = new XenPlatformPorts(tracer, { unplug: (mask) => masks.push(mask) });
  return { masks, lines, tracer, ports, bar: new XenPlatformIoBar(ports) };
}

Deno.test("xen-platform ports: power-on values", () => {
  const { ports, bar } = rig();
  assertEquals([ports.readPort(0, 2), ports.readPort(2, 1), ports.readPort(0, 1)], [0x49d2, 1, 0]);
  assertEquals([ports.readPort(0, 4), ports.readPort(1, 1), ports.readPort(2, 2)], [
    0xffff_ffff,
    0xff,
    0xffff,
  ]);
  assertEquals([bar.readPort(0, 1), bar.readPort(4, 4)], [0, 0xffff_ffff]);
  assertEquals(new XenPlatformMmioBar().readMmio(0x1234, 4), 0);
});

Deno.test("xen-platform ports: the unplug protocol as Linux speaks it", () => {
  const { ports, masks, tracer } = rig();
  ports.writePort(2, 2, 3); // product "linux"
  ports.writePort(0, 4, 0x0006_0100); // build number
  ports.writePort(0, 2, UNPLUG_ALL_IDE_DISKS | UNPLUG_ALL_NICS);
  assertEquals(masks, [3]);
  assertEquals(ports.state.product, 3);
  assertEquals(ports.state.build, 0x0006_0100);
  assertEquals(ports.state.unplugged, 3);
  assertEquals(tracer.counters.get("xen.unplug"), 1);
});

Deno.test("xen-platform BAR: unplug as SUSE kernels do it, and flags", () => {
  const { bar, ports, masks } = rig();
  bar.writePort(4, 4, 1);
  bar.writePort(4, 4, 2);
  bar.writePort(8, 4, 1);
  bar.writePort(8, 4, 2);
  assertEquals(masks, [3, 1, 2]);
  bar.writePort(0, 1, 0xff);
  assertEquals(ports.readPort(0, 1), 1);
  bar.writePort(200, 2, 7); // nobody home
});

Deno.test("xen-platform log: lines, control characters, and no end without newline", () => {
  const { ports, lines } = rig();
  for (const c of "hi\x07!\n") ports.writePort(2, 1, c.charCodeAt(0));
  assertEquals(lines, ["guest: hi.!"]);
  for (let i = 0; i < 161; i++) ports.writePort(2, 1, 0x61);
  assertEquals(lines.slice(1), [`guest: ${"a".repeat(160)}`]);
});

Deno.test("xen-platform: save, restore into a fresh device, reset", () => {
  const { ports } = rig();
  ports.writePort(2, 2, 3);
  ports.writePort(0, 1, 1);
  ports.writePort(2, 1, 0x78);
  const other = rig();
  other.ports.restore(structuredClone(ports.save()));
  other.ports.writePort(2, 1, 0x0a);
  assertEquals(other.lines, ["guest: x"]);
  assertEquals([other.ports.state.product, other.ports.readPort(0, 1)], [3, 1]);
  other.ports.reset();
  assertEquals(other.ports.readPort(0, 1), 0);
});
