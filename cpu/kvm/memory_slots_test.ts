// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { MiB, PAGE_SIZE } from "../base/bits.ts";
import { GuestMemory } from "../base/guest_memory.ts";
import { noHooks } from "../_bare_cpu.ts";
import { FakeHost } from "./_fake_host.ts";
import { KvmEngine } from "./kvm_engine.ts";
import { MemorySlots, type Run } from "./memory_slots.ts";

/** What KVM would have: it refuses slots that overlap. */
class Slots {
  readonly now = new Map<number, Run>();
  calls = 0;
  set(slot: number, run: Run): void {
    this.calls++;
    if (run.pages === 0) {
      assertEquals(this.now.delete(slot), true, "it was there");
      return;
    }
    assertEquals(this.now.has(slot), false, "a slot is set once");
    for (const other of this.now.values()) {
      assertEquals(
        run.gfn + run.pages <= other.gfn || other.gfn + other.pages <= run.gfn,
        true,
        "no overlap",
      );
    }
    this.now.set(slot, run);
  }
  get runs(): Run[] {
    return [...this.now.values()].sort((a, b) => a.gfn - b.gfn);
  }
}

Deno.test("MemorySlots follow the frame table, and touch only what differs", () => {
  const memory = new GuestMemory(MiB), kvm = new Slots(), { ram } = memory.map;
  const slots = new MemorySlots(memory, (slot, run) => kvm.set(slot, run));
  memory.onRemap = () => slots.changed();
  slots.update();
  assertEquals(kvm.runs, [{ gfn: 0, offset: ram, pages: 256 }]);
  slots.update();
  assertEquals(kvm.calls, 1); // nothing has changed

  const page = memory.allocatePage();
  memory.mapFrame(0x1_0000, page); // far away: RAM stays as it is
  slots.update();
  assertEquals([kvm.calls, slots.count], [2, 2]);

  memory.mapFrame(100, page); // in the middle of RAM
  memory.mapFrame(0x1_0000, 0);
  slots.update();
  assertEquals(kvm.runs, [
    { gfn: 0, offset: ram, pages: 100 },
    { gfn: 100, offset: page, pages: 1 },
    { gfn: 101, offset: ram + 101 * PAGE_SIZE, pages: 155 },
  ]);
  memory.mapFrame(100, ram + 100 * PAGE_SIZE); // and back
  slots.update();
  assertEquals(kvm.runs, [{ gfn: 0, offset: ram, pages: 256 }]);
});

Deno.test("RAM is asked to be in large pages, and lies so that KVM can use them", () => {
  const host = new FakeHost(new Map()),
    memory = new GuestMemory(4 * MiB, 5 * MiB + 4096),
    { ram } = memory.map;
  new KvmEngine(memory, noHooks(), host, {}).close();
  assertEquals(host.large, [[host.addressOf() + ram, 4 * MiB]]);
  assertEquals(ram % (2 * MiB), 0);
});
