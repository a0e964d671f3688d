// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { MiB, PAGE_SIZE } from "../../cpu/base/bits.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { XEN_EINVAL, XEN_ENOENT } from "../public/errno.ts";
import { Physmap } from "./physmap.ts";

const PAGES = 256;

function setUp() {
  const memory = new GuestMemory(1 * MiB);
  const physmap = new Physmap(memory);
  const xenPage = memory.allocatePage();
  physmap.addXenPage(xenPage, "one");
  return { memory, physmap, xenPage };
}

Deno.test("physmap: a Xen page is at one frame at a time, and RAM it covers comes free", () => {
  const { memory, physmap, xenPage } = setUp();
  assertEquals(physmap.place(0x10, xenPage), 0);
  assertEquals(physmap.currentPages, PAGES - 1);
  assertEquals(physmap.place(0x20, xenPage), 0);
  assertEquals([memory.frames[0x10], memory.frames[0x20]], [0, xenPage]);
  assertEquals([physmap.gfnOf(xenPage), physmap.isRam(0x20), physmap.currentPages], [0x20, false, PAGES - 2]);
  assertEquals(physmap.place(0x10, 12345 * PAGE_SIZE), -XEN_EINVAL); // no page of Xen's
  assertEquals(physmap.remove(0x20), 0);
  assertEquals(physmap.remove(0x20), -XEN_ENOENT);
  assertEquals(physmap.gfnOf(xenPage), undefined);
});

Deno.test("physmap: a populated frame gets its own page back when that is free, any other otherwise", () => {
  const { memory, physmap } = setUp();
  assertEquals(physmap.populate(0x300), false); // the guest has all it may have
  assertEquals([physmap.decrease(5), physmap.decrease(6), physmap.decrease(5)], [true, true, false]);
  assertEquals(physmap.populate(6), true);
  assertEquals(memory.frames[6], memory.map.ram + 6 * PAGE_SIZE);
  assertEquals(physmap.populate(0x300), true);
  assertEquals(memory.frames[0x300], memory.map.ram + 5 * PAGE_SIZE);
  assertEquals(physmap.currentPages, PAGES);
});

Deno.test("physmap: moving a page about leaves nothing behind that grows", () => {
  const { memory, physmap } = setUp();
  for (let gfn = 0x1000; gfn < 0x3000; gfn++) {
    assertEquals(physmap.move(gfn === 0x1000 ? 7 : gfn - 1, gfn), 0);
  }
  assertEquals(physmap.changedFrames, 2); // where it was, where it is
  assertEquals(physmap.move(0x2fff, 7), 0);
  assertEquals([physmap.changedFrames, memory.frames[7]], [0, memory.map.ram + 7 * PAGE_SIZE]);
});

Deno.test("physmap: the highest frame is the highest there ever was, as in Xen", () => {
  const { physmap, xenPage } = setUp();
  assertEquals(physmap.maximumGfn(), PAGES - 1);
  physmap.place(0xf_0000, xenPage);
  physmap.place(0x8000, xenPage);
  assertEquals(physmap.maximumGfn(), 0xf_0000);
  physmap.reset();
  assertEquals(physmap.maximumGfn(), PAGES - 1);
});

Deno.test("physmap: a snapshot has the frames, the free pages and the places of Xen's pages", () => {
  const first = setUp();
  first.physmap.place(0x10, first.xenPage);
  first.physmap.move(0x11, 0x400);
  first.physmap.decrease(0x12);
  first.physmap.decrease(0x13);
  first.physmap.populate(0x500);
  const next = setUp();
  next.physmap.place(0x77, next.xenPage); // undone
  next.physmap.restore(structuredClone(first.physmap.save()));
  for (let gfn = 0; gfn < 0x800; gfn++) {
    assertEquals(
      next.physmap.nameOf(next.memory.frames[gfn] as number),
      first.physmap.nameOf(first.memory.frames[gfn] as number),
    );
  }
  assertEquals(next.physmap.gfnOf(next.xenPage), 0x10);
  assertEquals(next.physmap.currentPages, first.physmap.currentPages);
  assertEquals(next.physmap.save(), first.physmap.save());
});
