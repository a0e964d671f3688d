// SPDX-License-Identifier: MIT
// A kernel that is unpacked in RAM leaves there what one leaves that is unpacked elsewhere and copied.
import { assert, assertEquals } from "@std/assert";
import { MiB } from "../../../cpu/base/bits.ts";
import { GuestMemory } from "../../../cpu/base/guest_memory.ts";
import { extractVmlinux } from "../decompress.ts";
import { loadKernel, type LoadOptions } from "../kernel.ts";
import { pcMemoryMap } from "../memory_map.ts";
import { RoomInRam } from "./room_in_ram.ts";
import { SparseMover } from "./sparse_move.ts";
import { makeBzImage, packLz4 } from "../testdata/make_bzimage.ts";

const RAM = 8 * MiB;
/** Where makeBzImage puts it. */
const PAYLOAD = 1024 + 4096;
const E820 = pcMemoryMap(RAM);

/** A PT_LOAD: where in the file it is, where it goes, and its sizes. */
type Load = readonly [offset: number, paddr: number, fileBytes: number, memoryBytes: number];

let seed = 1;
function random(n: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
}

/** A vmlinux of `fileBytes` bytes, noise and zeros even where no segment is. `headersAt`: where its program headers are. */
function makeVmlinux(loads: readonly Load[], fileBytes: number, { linux = true, headersAt = 64 } = {}) {
  const bytes = new Uint8Array(fileBytes);
  for (let at = 1024; at < fileBytes;) {
    const end = at + random(9000);
    if (random(3) > 0) { for (; at < Math.min(end, fileBytes); at++) bytes[at] = random(256); }
    at = end;
  }
  bytes.fill(0, 0, 64);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, BigInt(loads[0]![1]), true);
  view.setBigUint64(32, BigInt(headersAt), true);
  view.setUint16(54, 56, true);
  view.setUint16(56, loads.length + 1, true);
  const header = (i: number, type: number, [offset, paddr, file, memory]: Load) => {
    const at = headersAt + 56 * i;
    bytes.fill(0, at, at + 56);
    view.setUint32(at, type, true);
    [offset, 0, paddr, file, memory, 4].forEach((value, n) =>
      view.setBigUint64(at + 8 + 8 * n, BigInt(value), true)
    );
  };
  loads.forEach((load, i) => header(i, 1, load));
  // Xen's notes are in the first segment, as in Linux
  const notesAt = loads[0]![0];
  const note = (
    type: number,
    desc: number[],
  ) => [4, 0, 0, 0, desc.length, 0, 0, 0, type, 0, 0, 0, 0x58, 0x65, 0x6e, 0, ...desc];
  const os = [...(linux ? "linux\0\0\0" : "other\0\0\0")].map((c) => c.charCodeAt(0));
  const entry = loads[0]![1];
  const notes = [...note(6, os), ...note(18, [entry & 0xff, (entry >> 8) & 0xff, (entry >> 16) & 0xff, 0])];
  bytes.set(notes, notesAt);
  header(loads.length, 4, [notesAt, 0, notes.length, notes.length]);
  return bytes;
}

function bzImage(vmlinux: Uint8Array) {
  return { name: "k", bytes: makeBzImage((v) => v.setBigUint64(0x258, 0x20_0000n, true), packLz4(vmlinux)) };
}

function assertSame(a: Uint8Array | undefined, b: Uint8Array | undefined): void {
  assert(a !== undefined && b !== undefined && a.every((byte, i) => byte === b[i]), "RAM is the same");
}

/** What is in RAM and how the CPU starts, or what is said instead. */
async function load(kernel: LoadOptions["kernel"], options: Partial<LoadOptions>) {
  const memory = new GuestMemory(RAM);
  const initrd = { name: "i", bytes: new Uint8Array(9000).fill(7) };
  try {
    const state = await loadKernel(memory, { kernel, initrd, cmdline: "a", e820: E820, ...options });
    return { state, ram: memory.bytes.slice(memory.map.ram, memory.map.ram + RAM) };
  } catch (error) {
    return { error: String(error) };
  }
}

/** As Debian's: text and data in one piece, then two segments that move down over what was there. */
const DEBIAN: readonly Load[] = [
  [0x2000, 0x20_0000, 0x3_0123, 0x3_0123],
  [0x3_3000, 0x23_1000, 0x8000, 0x8000],
  [0x4_0000, 0x23_9000, 0x1000, 0x1000],
  [0x4_4000, 0x23_a000, 0x1_0000, 0x1_8000],
];
const DEBIAN_BYTES = 0x5_8765;

/** Where the file goes; undefined: nowhere in RAM. */
const CASES: Record<string, { loads: readonly Load[]; bytes?: number; start: number | undefined }> = {
  "segments as Debian's": { loads: DEBIAN, start: 0x1f_e000 },
  "one segment": { loads: [[0x1000, 0x20_0000, 0x5000, 0x5000]], bytes: 0x8000, start: 0x1f_f000 },
  "a segment that moves up beyond the file": {
    loads: [[0x1000, 0x20_0000, 0x5000, 0x5000], [0x6000, 0x60_0000, 0x1001, 0x1001]],
    bytes: 0x8000,
    start: 0x1f_f000,
  },
  "a segment that would move up over itself": {
    loads: [[0x1000, 0x20_0000, 0x5000, 0x5000], [0x6000, 0x20_6000, 0x4000, 0x4000]],
    bytes: 0xc000,
    start: undefined,
  },
  "a segment that would go over a later one": {
    loads: [[0x1000, 0x20_0000, 0x5000, 0x5000], [0x6000, 0x20_8000, 0x1000, 0x1000], [
      0x9000,
      0x21_0000,
      0x1000,
      0x1000,
    ]],
    bytes: 0xc000,
    start: undefined,
  },
  "zeros of a segment that would go over a later one": {
    loads: [[0x1000, 0x20_0000, 0x5000, 0x9000], [0x6000, 0x21_0000, 0x1000, 0x1000]],
    bytes: 0xc000,
    start: undefined,
  },
  "a file that would begin below 1 MiB": {
    loads: [[0x1000, 0x10_0000, 0x5000, 0x5000]],
    bytes: 0x8000,
    start: undefined,
  },
  "a file in low memory, which firmware has used": {
    loads: [[0x1000, 0x2_0000, 0x5000, 0x5000]],
    bytes: 0x8000,
    start: undefined,
  },
  "a file that would end behind RAM": {
    loads: [[0x1000, RAM - 0x2_0000, 0x5000, 0x5000]],
    bytes: 0x3_0000,
    start: undefined,
  },
};

for (const [name, { loads, bytes = DEBIAN_BYTES, start }] of Object.entries(CASES)) {
  Deno.test(`a kernel unpacked in RAM is the same as one that was copied: ${name}`, async () => {
    const kernel = bzImage(makeVmlinux(loads, bytes));
    const room = new RoomInRam(new GuestMemory(RAM), E820);
    await extractVmlinux(kernel, room);
    assertEquals(room.start, start);
    for (const protocol of ["pvh", "auto"] as const) {
      const copied = await load(kernel, { protocol }),
        unpacked = await load(kernel, { protocol, fresh: true });
      assert(copied.state !== undefined, copied.error);
      assertEquals(unpacked.state, copied.state);
      assertSame(unpacked.ram, copied.ram);
    }
  });
}

Deno.test("a kernel with headers far behind its start is unpacked elsewhere", async () => {
  const room = new RoomInRam(new GuestMemory(RAM), E820);
  const { inRam } = await extractVmlinux(
    bzImage(makeVmlinux(DEBIAN, DEBIAN_BYTES, { headersAt: 0x5_5000 })),
    room,
  );
  assertEquals([room.start, inRam], [undefined, undefined]);
});

Deno.test("what was unpacked in RAM and is no Linux leaves nothing there", async () => {
  const kernel = bzImage(makeVmlinux(DEBIAN, DEBIAN_BYTES, { linux: false }));
  const copied = await load(kernel, { protocol: "auto" }),
    unpacked = await load(kernel, { protocol: "auto", fresh: true });
  assertEquals(copied.state?.rip, 0x10_0200); // by its own decompressor
  assertEquals(unpacked.state, copied.state);
  assertSame(unpacked.ram, copied.ram);
});

Deno.test("bad data is refused in the same words wherever it goes", async () => {
  const good = bzImage(makeVmlinux(DEBIAN, DEBIAN_BYTES));
  let refused = 0;
  for (let n = 0; n < 60; n++) {
    const bytes = good.bytes.slice();
    bytes[PAYLOAD + 4 + random(200)] = random(256); // sizes and lengths, more often than not
    const kernel = { name: "k", bytes };
    const [copied, unpacked] = [
      await load(kernel, { protocol: "pvh" }),
      await load(kernel, { protocol: "pvh", fresh: true }),
    ];
    assertEquals(unpacked.error, copied.error);
    assertEquals(unpacked.state, copied.state);
    if (copied.error !== undefined) refused++;
    else assertSame(unpacked.ram, copied.ram);
  }
  assert(refused > 0, "some were refused");
});

Deno.test("SparseMover moves and clears as copyWithin and fill do", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const bytes = new Uint8Array(memory.buffer), expected = new Uint8Array(bytes.length);
  const mover = new SparseMover(memory);
  for (let n = 0; n < 500; n++) {
    const at = random(30_000), count = random(300);
    for (let i = 0; i < count; i++) bytes[at + i] = random(4) === 0 ? random(256) : 0;
    expected.set(bytes);
    const from = random(30_000), length = random(2000);
    const to = [from, from - random(Math.min(from, 80) + 1), from + length + random(100)][random(3)]!;
    expected.copyWithin(to, from, from + length);
    mover.move(from, to, length);
    const clearAt = random(30_000), clearBytes = random(2000);
    expected.fill(0, clearAt, clearAt + clearBytes);
    mover.clear(clearAt, clearBytes);
    assert(bytes.every((byte, i) => byte === expected[i]), `the same after ${n} moves`);
  }
});
