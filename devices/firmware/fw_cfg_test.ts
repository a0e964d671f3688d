// SPDX-License-Identifier: MIT
// The configuration device as firmware reads it: QEMU docs/specs/fw_cfg.rst.
import { assertEquals } from "@std/assert";
import { FwCfg, u64 } from "./fw_cfg.ts";

const read = (device: FwCfg, item: number, length: number) => {
  device.writePort(0, 2, item);
  return Array.from({ length }, () => device.readPort(1, 1));
};
const text = (bytes: readonly number[]) => String.fromCharCode(...bytes.filter((byte) => byte !== 0));
const make = () => new FwCfg("fw_cfg", { "etc/one": u64(0x3f8), "etc/two": Uint8Array.of(7) });

Deno.test("FwCfg has its signature, no DMA, and a directory of files", () => {
  const device = make();
  assertEquals(text(read(device, 0, 4)), "QEMU");
  assertEquals(read(device, 1, 4), [1, 0, 0, 0]);
  const directory = read(device, 0x19, 4 + 2 * 64);
  assertEquals(directory.slice(0, 4), [0, 0, 0, 2]);
  assertEquals([directory.slice(4, 12), text(directory.slice(12, 68))], [
    [0, 0, 0, 8, 0, 0x20, 0, 0],
    "etc/one",
  ]);
  assertEquals([directory.slice(68, 76), text(directory.slice(76))], [
    [0, 0, 0, 1, 0, 0x21, 0, 0],
    "etc/two",
  ]);
  assertEquals(read(device, 0x20, 9), [0xf8, 3, 0, 0, 0, 0, 0, 0, 0]); // zeros behind the end
  assertEquals(read(device, 0x21, 1), [7]);
  assertEquals(read(device, 0x8003, 4), [0, 0, 0, 0]); // an item from before there were files
});

Deno.test("FwCfg goes on in the middle of an item after a restore, and from the start after a reset", () => {
  const device = make();
  read(device, 0, 2);
  const other = make();
  other.restore(device.save());
  assertEquals([other.readPort(1, 1), other.readPort(0, 2)], ["M".charCodeAt(0), 0]);
  device.reset();
  assertEquals(text([device.readPort(1, 1)]), "Q");
});

Deno.test("FwCfg floats for sizes that it has not", () => {
  const device = make();
  device.writePort(0, 1, 5);
  device.writePort(1, 1, 5);
  assertEquals([device.readPort(0, 1), device.readPort(0, 4), device.readPort(1, 2)], [
    0xff,
    2 ** 32 - 1,
    0xffff,
  ]);
});
