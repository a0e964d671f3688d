// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { MiB } from "../../cpu/base/bits.ts";
import type { AccessSize, MmioDevice, PortDevice } from "../../cpu/base/bus.ts";
import * as p from "./pci.ts";
import { assignPciResources } from "./pci_firmware.ts";

const inert = { name: "x", reset() {}, save: () => undefined, restore() {} };
const ports = (portCount: number): PortDevice => ({ ...inert, portCount, readPort: () => 0, writePort() {} });
const mmio = (mmioBytes: number): MmioDevice => ({ ...inert, mmioBytes, readMmio: () => 0, writeMmio() {} });

/** A function shaped like Xen's platform device: 256 ports and 16 MiB. */
function rig(windows?: (p.PciWindow | undefined)[]) {
  const mapped = new Map<string, number>();
  const seen = { intx: false, mapped };
  const config = new p.PciConfigSpace(
    { vendorId: 0x5853, deviceId: 1, classCode: 0xff8000, revisionId: 1, subsystemId: 1, interruptPin: 1 },
    {
      mapper: {
        map(window, base) {
          mapped.set(window.kind, base);
          return { remove: () => mapped.delete(window.kind) };
        },
      },
      intx: { set: (on) => seen.intx = on },
    },
    windows ?? [
      { kind: "io", device: ports(200) },
      { kind: "memory", device: mmio(16 * MiB), prefetchable: true },
    ],
  );
  const fn: p.PciFunction = {
    name: "platform",
    reset: () => config.reset(),
    save: () => config.save(),
    restore: (s) => config.restore(s as p.PciConfigState),
    readConfig: (o, s) => config.read(o, s),
    writeConfig: (o, s, v) => config.write(o, s, v),
  };
  return { config, seen, fn };
}

Deno.test("PciConfigSpace powers on with its identity, nothing decoded, nothing writable but what is said", () => {
  const { config, seen } = rig();
  assertEquals(config.read(p.PCI_VENDOR_ID, 4), 0x0001_5853);
  assertEquals(config.read(p.PCI_REVISION_ID, 4), 0xff80_0001);
  assertEquals(config.read(p.PCI_COMMAND, 4), 0);
  assertEquals(config.read(p.PCI_BASE_ADDRESS_0, 4), 1);
  assertEquals(config.read(p.PCI_BASE_ADDRESS_0 + 4, 4), 8);
  assertEquals(config.read(p.PCI_INTERRUPT_LINE, 2), 0x0100);
  for (let offset = 0; offset < 256; offset += 4) config.write(offset, 4, 0xffff_ffff);
  assertEquals(config.read(p.PCI_VENDOR_ID, 4), 0x0001_5853);
  assertEquals(config.read(p.PCI_COMMAND, 2), 0x0547);
  assertEquals(config.read(0x40, 4), 0);
  assertEquals(seen.mapped.size, 0); // sizing with decoding on maps nothing
});

Deno.test("PciConfigSpace reports BAR sizes when all ones are written (PCI 3.0 6.2.5.1)", () => {
  const { config } = rig();
  config.write(p.PCI_BASE_ADDRESS_0, 4, 0xffff_ffff);
  assertEquals(config.read(p.PCI_BASE_ADDRESS_0, 4), 0xffff_ff01); // 200 rounds up to 256
  config.write(p.PCI_BASE_ADDRESS_0 + 4, 4, 0xffff_ffff);
  assertEquals(config.read(p.PCI_BASE_ADDRESS_0 + 4, 4), 0xff00_0008);
  config.write(p.PCI_BASE_ADDRESS_0 + 8, 4, 0xffff_ffff);
  assertEquals(config.read(p.PCI_BASE_ADDRESS_0 + 8, 4), 0); // no such BAR
});

Deno.test("PciConfigSpace maps, moves and unmaps windows as the guest programs them", () => {
  const { config, seen } = rig();
  config.write(p.PCI_BASE_ADDRESS_0, 4, 0xc000);
  config.write(p.PCI_BASE_ADDRESS_0 + 4, 4, 0xf300_0000);
  assertEquals([...seen.mapped], []);
  config.write(p.PCI_COMMAND, 2, p.PCI_COMMAND_IO | p.PCI_COMMAND_MEMORY);
  assertEquals([...seen.mapped], [["io", 0xc000], ["memory", 0xf300_0000]]);
  config.write(p.PCI_BASE_ADDRESS_0 + 1, 1, 0xd0); // a byte of the BAR
  assertEquals(seen.mapped.get("io"), 0xd000);
  config.write(p.PCI_COMMAND, 1, p.PCI_COMMAND_MEMORY);
  assertEquals([...seen.mapped], [["memory", 0xf300_0000]]);
  for (const bad of [0, 0xff00_0000]) { // nowhere, and touching the end of the space
    config.write(p.PCI_BASE_ADDRESS_0 + 4, 4, bad);
    assertEquals(seen.mapped.size, 0, `${bad}`);
  }
  config.write(p.PCI_BASE_ADDRESS_0, 4, 0x1_c000); // I/O beyond 64 Ki
  config.write(p.PCI_COMMAND, 1, p.PCI_COMMAND_IO);
  assertEquals(seen.mapped.size, 0);
  config.write(p.PCI_BASE_ADDRESS_0, 4, 0xc000);
  assertEquals(seen.mapped.size, 1);
  config.reset();
  assertEquals(seen.mapped.size, 0);
});

Deno.test("PciConfigSpace raises and drops INTx, shows it in status, and obeys the disable bit", () => {
  const { config, seen } = rig();
  config.setInterrupt(true);
  assertEquals([seen.intx, config.read(p.PCI_STATUS, 2)], [true, p.PCI_STATUS_INTERRUPT]);
  config.write(p.PCI_COMMAND, 2, p.PCI_COMMAND_INTX_DISABLE);
  assertEquals([seen.intx, config.read(p.PCI_STATUS, 2)], [false, p.PCI_STATUS_INTERRUPT]);
  config.write(p.PCI_COMMAND, 2, 0);
  assertEquals(seen.intx, true);
  config.setInterrupt(false);
  assertEquals([seen.intx, config.read(p.PCI_STATUS, 2)], [false, 0]);
});

Deno.test("PciConfigSpace maps again and asserts again after restore", () => {
  const a = rig();
  a.config.write(p.PCI_BASE_ADDRESS_0, 4, 0xc000);
  a.config.write(p.PCI_COMMAND, 2, p.PCI_COMMAND_IO);
  a.config.setInterrupt(true);
  const b = rig();
  b.config.restore(structuredClone(a.config.save()));
  assertEquals([b.seen.intx, [...b.seen.mapped]], [true, [["io", 0xc000]]]);
  b.config.write(p.PCI_COMMAND, 2, 0);
  assertEquals([...b.seen.mapped], []);
  assertEquals([...a.seen.mapped], [["io", 0xc000]]);
  b.config.restore({ config: new Uint8Array(3) }); // a short record gives zeros, not an exception
  assertEquals(b.config.read(0xfc, 4), 0);
});

Deno.test("PciConfigSpace answers odd sizes, and nothing past its end", () => {
  const { config } = rig();
  assertEquals(config.read(p.PCI_DEVICE_ID, 1), 1);
  assertEquals(config.read(0xfe, 4), 0xffff_ffff);
  config.write(0xfe, 4, 0x1234_5678);
  assertEquals(config.read(0xfe, 2), 0);
});

Deno.test("assignPciResources gives every BAR its own aligned place and enables the functions", () => {
  const bus = new p.PciBus();
  const small = rig([undefined, { kind: "memory", device: mmio(4096) }]);
  const big = rig();
  bus.add(3, 0, small.fn);
  bus.add(4, 0, big.fn);
  const space = {
    io: { start: 0xc000, end: 0xd000 },
    memory: { start: 0xf000_0000, end: 0xf200_0000 },
    interruptLine: (device: number, pin: number) => device + pin,
  };
  assignPciResources(bus, space);
  assertEquals([...big.seen.mapped], [["io", 0xc000], ["memory", 0xf000_0000]]);
  assertEquals([...small.seen.mapped], [["memory", 0xf100_0000]]);
  assertEquals(big.config.read(p.PCI_INTERRUPT_LINE, 1), 5);
  assertEquals(big.config.read(p.PCI_COMMAND, 2), 7);
  assertThrows(
    () => assignPciResources(bus, { ...space, memory: { start: 0xf000_0000, end: 0xf100_0000 } }),
    ConfigError,
    "Cannot place a PCI memory range of 0x1000 bytes: no room left",
  );
});

Deno.test("PciConfigSpace survives random configuration writes with its identity whole", () => {
  const { config, seen } = rig();
  let seed = 12345;
  const random = () => seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  for (let i = 0; i < 20_000; i++) {
    config.write(random() >>> 24, ([1, 2, 4] as AccessSize[])[random() % 3] as AccessSize, random());
    for (const [kind, base] of seen.mapped) {
      const end = base + (kind === "io" ? 256 : 16 * MiB);
      if (end > (kind === "io" ? 0x1_0000 : 2 ** 32)) throw new Error(`${kind} mapped at ${base}`);
    }
  }
  assertEquals(config.read(p.PCI_VENDOR_ID, 4), 0x0001_5853);
});
