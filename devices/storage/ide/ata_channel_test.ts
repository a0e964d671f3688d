// SPDX-License-Identifier: MIT
// ATA disks through the ports: ATA/ATAPI-7 Vol. 1 §6, Vol. 2 §11.
import { assertEquals } from "@std/assert";
import { type BlockStore, MemoryBlockStore } from "../../../xen/backend/block_store.ts";
import {
  AtaChannel,
  COMMAND,
  CONTROL_NIEN,
  CONTROL_SRST,
  ERROR_ABRT,
  ERROR_IDNF,
  STATUS_BSY,
  STATUS_DRDY,
  STATUS_DRQ,
  STATUS_DSC,
  STATUS_ERR,
} from "./ata_channel.ts";

const READY = STATUS_DRDY | STATUS_DSC;
const SECTORS = 5000;
const [ERROR, COUNT, LOW, MID, HIGH, DEVICE] = [1, 2, 3, 4, 5, 6] as const;

function image(): Uint8Array {
  const bytes = new Uint8Array(SECTORS * 512);
  for (let sector = 0; sector < SECTORS; sector++) {
    bytes.fill(sector & 0xff, sector * 512, sector * 512 + 510);
    bytes[sector * 512 + 511] = sector >> 8;
  }
  return bytes;
}
function rig(master: BlockStore | undefined = new MemoryBlockStore(image()), slave?: BlockStore) {
  const seen = { irq: false, edges: 0, answered: 0 };
  const wires = {
    irq: {
      set(on: boolean) {
        if (on && !seen.irq) seen.edges++;
        seen.irq = on;
      },
    },
    disks: [master, slave],
    answered: () => void seen.answered++,
  };
  const channel = new AtaChannel("ata0", wires);
  return { channel, seen, wires };
}
type Channel = ReturnType<typeof rig>["channel"];
const write = (channel: Channel, offset: number, value: number) => channel.writePort(offset, 1, value);
const status = (channel: Channel) => channel.readPort(COMMAND, 1);
function command(channel: Channel, code: number, lba: number, count: number, drive = 0): void {
  write(channel, DEVICE, 0x40 | (drive << 4) | ((lba >> 24) & 0xf));
  [COUNT, LOW, MID, HIGH].forEach((at, i) =>
    write(channel, at, [count, lba, lba >> 8, lba >> 16][i]! & 0xff)
  );
  write(channel, COMMAND, code);
}
const words = (channel: Channel, count: number) =>
  Array.from({ length: count }, () => channel.readPort(0, 2));
const sector = (channel: Channel) => {
  const read = words(channel, 256);
  return ((read[0] as number) & 0xff) | ((read[255] as number) >> 8 << 8);
};

Deno.test("AtaChannel at power-on: ready, no interrupt, the other disk is not there", () => {
  const { channel, seen } = rig();
  assertEquals([status(channel), channel.control.readPort(0, 1), channel.readPort(ERROR, 1)], [
    READY,
    READY,
    1,
  ]);
  assertEquals(seen.irq, false);
  write(channel, DEVICE, 0x10);
  assertEquals([status(channel), channel.readPort(ERROR, 1)], [0, 0]);
});

Deno.test("AtaChannel: IDENTIFY DEVICE tells size and geometry, by 16 or 32 bits", () => {
  const { channel, seen } = rig();
  command(channel, 0xec, 0, 0);
  assertEquals([seen.irq, status(channel), seen.irq], [true, READY | STATUS_DRQ, false]);
  const read = words(channel, 128);
  const long = Array.from({ length: 64 }, () => channel.readPort(0, 4));
  assertEquals(status(channel), READY);
  assertEquals([read[1], read[3], read[6]], [4, 16, 63]);
  const [model0, model1] = [read[27], read[28]];
  assertEquals([model0, model1], [0x5845, 0x4e4e]); // "XE", "NN": the first letter is the upper byte
  assertEquals([(read[60] as number) + (read[61] as number) * 65536, (read[83] as number) & 1 << 10], [
    SECTORS,
    1 << 10,
  ]);
  assertEquals([read[100], long[0]], [SECTORS, 0]);
});

Deno.test("AtaChannel reads by 28 bits, 48 bits and geometry, an interrupt for each sector", () => {
  const { channel, seen } = rig();
  command(channel, 0x20, 0x1ff, 3);
  for (const expected of [0x1ff, 0x200, 0x201]) {
    assertEquals([seen.irq, status(channel)], [true, READY | STATUS_DRQ]);
    assertEquals(sector(channel), expected);
  }
  assertEquals([status(channel), seen.edges], [READY, 3]);
  // 48 bits: what was written before is the upper half
  const extended = (lba: number) => {
    write(channel, DEVICE, 0x40);
    const halves = [[COUNT, 0], [LOW, 0], [MID, 0], [HIGH, 0], [COUNT, 1], [LOW, lba], [MID, lba >> 8], [
      HIGH,
      0,
    ]];
    for (const [at = 0, value = 0] of halves) write(channel, at, value & 0xff);
    write(channel, COMMAND, 0x24);
  };
  extended(0x1234);
  assertEquals(sector(channel), 0x1234);
  extended(SECTORS); // beyond the end
  assertEquals([status(channel), channel.readPort(ERROR, 1), channel.readPort(0, 2)], [
    READY | STATUS_ERR,
    ERROR_IDNF,
    0xffff,
  ]);
  // cylinder 1, head 2, sector 3: (16 + 2) * 63 + 2
  write(channel, DEVICE, 0x02);
  for (const [at, value] of [[COUNT, 1], [LOW, 3], [MID, 1], [HIGH, 0]] as const) write(channel, at, value);
  write(channel, COMMAND, 0x20);
  assertEquals(sector(channel), (16 + 2) * 63 + 2);
  write(channel, LOW, 0); // there is no sector 0
  write(channel, COMMAND, 0x20);
  assertEquals([status(channel), channel.readPort(ERROR, 1)], [READY | STATUS_ERR, ERROR_IDNF]);
});

Deno.test("AtaChannel: READ MULTIPLE passes blocks once SET MULTIPLE MODE has said how long", () => {
  const { channel, seen } = rig();
  command(channel, 0xc4, 0, 6);
  assertEquals([status(channel), channel.readPort(ERROR, 1)], [READY | STATUS_ERR, ERROR_ABRT]);
  command(channel, 0xc6, 0, 3);
  assertEquals(status(channel), READY | STATUS_ERR);
  command(channel, 0xc6, 0, 4);
  assertEquals(status(channel), READY);
  seen.edges = 0;
  command(channel, 0xc4, 100, 6);
  for (let i = 0; i < 6; i++) {
    if (i % 4 === 0) assertEquals(status(channel), READY | STATUS_DRQ);
    assertEquals(sector(channel), 100 + i);
  }
  assertEquals([status(channel), seen.edges], [READY, 2]);
});

Deno.test("AtaChannel writes, and not to a disk that is read only", () => {
  const store = new MemoryBlockStore(image());
  const { channel, seen } = rig(store, new MemoryBlockStore(image(), true));
  command(channel, 0x30, 7, 2);
  assertEquals([seen.irq, status(channel)], [false, READY | STATUS_DRQ]); // the first block comes without
  for (let i = 0; i < 512; i++) {
    assertEquals(seen.edges, i < 256 ? 0 : 1);
    if (i === 256) assertEquals([status(channel), seen.irq], [READY | STATUS_DRQ, false]);
    channel.writePort(0, 2, 0x4142);
  }
  assertEquals([seen.irq, status(channel), seen.edges], [true, READY, 2]);
  assertEquals([store.bytes[7 * 512], store.bytes[9 * 512 - 1], store.bytes[9 * 512]], [0x42, 0x41, 9]);
  command(channel, 0x30, 7, 1, 1);
  assertEquals([status(channel), channel.readPort(ERROR, 1)], [READY | STATUS_ERR, ERROR_ABRT]);
});

Deno.test("AtaChannel is busy while a store takes its time; a reset forgets it, failures are errors", async () => {
  const asked: PromiseWithResolvers<void>[] = [];
  const slow: BlockStore = {
    size: SECTORS * 512,
    read: () => (asked.push(Promise.withResolvers()), asked.at(-1)!.promise),
    write: () => {
      throw new Error("the host's disk is full");
    },
    flush: () => Promise.resolve(),
  };
  const { channel, seen } = rig(slow);
  command(channel, 0x20, 1, 1);
  assertEquals([status(channel), channel.working, seen.irq], [STATUS_BSY, true, false]);
  write(channel, COMMAND, 0xec); // nobody listens
  asked[0]!.resolve();
  await asked[0]!.promise;
  await Promise.resolve();
  assertEquals([seen.answered, channel.working, seen.irq, status(channel)], [
    1,
    false,
    true,
    READY | STATUS_DRQ,
  ]);
  command(channel, 0x20, 1, 1);
  channel.control.writePort(0, 1, CONTROL_SRST);
  assertEquals([status(channel), channel.working], [STATUS_BSY, false]);
  channel.control.writePort(0, 1, 0);
  asked[1]!.reject(new Error("too late"));
  await asked[1]!.promise.catch(() => {});
  await Promise.resolve();
  assertEquals([status(channel), seen.irq], [READY, false]);
  command(channel, 0x30, 1, 1);
  for (let i = 0; i < 256; i++) channel.writePort(0, 2, 0);
  assertEquals([status(channel), channel.readPort(ERROR, 1)], [READY | STATUS_ERR, ERROR_ABRT]);
});

Deno.test("AtaChannel goes on after a restore, in the middle of a sector and of the store's work", async () => {
  const before = rig();
  command(before.channel, 0x20, 300, 2);
  words(before.channel, 100);
  const after = rig();
  after.channel.restore(structuredClone(before.channel.save()));
  assertEquals(after.seen.irq, true);
  assertEquals(words(after.channel, 156).at(-1)! >> 8, 300 >> 8);
  assertEquals(sector(after.channel), 301);
  const never: BlockStore = {
    ...new MemoryBlockStore(image()),
    size: SECTORS * 512,
    read: () => new Promise(() => {}),
    write: () => {},
    flush: () => {},
  };
  const slow = rig(never);
  command(slow.channel, 0x20, 77, 1);
  const fast = rig();
  fast.channel.restore(slow.channel.save());
  await Promise.resolve();
  assertEquals([fast.channel.working, sector(fast.channel)], [false, 77]);
});

Deno.test("AtaChannel: interrupts can be off, disks unplugged, unknown commands and sizes do nothing", () => {
  const { channel, seen } = rig();
  channel.control.writePort(0, 1, CONTROL_NIEN);
  command(channel, 0xec, 0, 0);
  assertEquals(seen.irq, false);
  command(channel, 0xa1, 0, 0); // IDENTIFY PACKET DEVICE
  assertEquals([status(channel), channel.readPort(ERROR, 1)], [READY | STATUS_ERR, ERROR_ABRT]);
  assertEquals([channel.readPort(0, 2), channel.readPort(COUNT, 2), channel.readPort(LOW, 4)], [
    0xffff,
    0xffff,
    0xffff_ffff,
  ]);
  channel.writePort(0, 2, 1);
  channel.unplug();
  command(channel, 0xec, 0, 0);
  assertEquals([status(channel), channel.readPort(0, 2), seen.irq], [0, 0xffff, false]);
  channel.reset();
  assertEquals(status(channel), READY);
});
