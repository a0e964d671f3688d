// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { H_FIRST } from "../state/record.ts";
import { CODE_BASE, TestCpu } from "../_bare_cpu.ts";
import { SlotTable } from "./slot_table.ts";

Deno.test("slots are taken once, come back, and end", () => {
  const slots = new SlotTable(H_FIRST + 3);
  assertEquals([slots.free, slots.used], [3, 0]);
  const taken = [slots.take(), slots.take(), slots.take()];
  assertEquals(taken, [H_FIRST, H_FIRST + 1, H_FIRST + 2]);
  assertEquals([slots.take(), slots.free, slots.used], [undefined, 0, 3]);
  slots.give(H_FIRST + 1);
  assertEquals([slots.free, slots.used], [1, 2]);
  assertEquals([slots.take(), slots.take()], [H_FIRST + 1, undefined]);
});

Deno.test("a slot that was given back holds no code of its own any more", () => {
  const t = new TestCpu(64, { engine: "interp", compileAtOnce: true });
  const { slots } = t.cpu.modules;
  const stale = slots.table.get(3);
  t.run([0xff, 0xc0, 0xff, 0xc3]); // inc eax; inc ebx
  const filled: number[] = [];
  for (let i = H_FIRST; i < H_FIRST + slots.used; i++) if (slots.table.get(i) !== stale) filled.push(i);
  assertEquals(filled.length, slots.used);
  const block = t.cpu.blocks.blockAt(t.cpu.blocks.lookup());
  assertEquals(block !== undefined, true);
  t.cpu.core.setRip(CODE_BASE, 0);
  const { slot } = t.cpu.blocks.blockAt(t.cpu.blocks.lookup()) ?? { slot: 0 };
  assertEquals(filled.includes(slot), true);
  t.write(CODE_BASE, [0x90]);
  assertEquals(slots.table.get(slot), stale);
});
