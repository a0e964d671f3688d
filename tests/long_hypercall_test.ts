// SPDX-License-Identifier: MIT
/** Hypercalls that take long, from a real guest: by the page's port and by vmcall, on each engine, saved in the middle. */
import { assert, assertEquals } from "@std/assert";
import type { EngineName } from "../cpu/base/engine.ts";
import type { Machine } from "../devices/machine/machine.ts";
import { gnttab_copy, gnttab_copy_ptr, GNTTABOP_copy } from "../xen/public/grant_table.ts";
import {
  __HYPERVISOR_grant_table_op,
  __HYPERVISOR_multicall,
  DOMID_SELF,
  multicall_entry,
} from "../xen/public/xen.ts";
import { GuestProgram, type Way } from "./guests/_guest_program.ts";
import { runGuest } from "./guests/_run_guest.ts";
import { noKvm } from "./kvm/_kvm.ts";

const ENTRIES_AT = 0x40_0000;
const COPIES_AT = 0x60_0000;
/** Frames that are copied between. */
const FROM = 0x310, TO = 0x311;
const UNTOUCHED = 0x55;

/** A guest that makes one multicall of `calls` and switches off; anything but 0 crashes it. */
function guest(mode: 32 | 64, way: Way, calls: number): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.loadHypercallPages();
  g.hypercall(__HYPERVISOR_multicall, [ENTRIES_AT, calls], way);
  g.expect(0);
  g.powerOff(way);
  return g;
}

/** `calls` calls, each of which makes the same `copies` copies. */
function prepare(machine: Machine, mode: 32 | 64, calls: number, copies: number): void {
  const long = mode / 8;
  const entry = multicall_entry[mode], copy = gnttab_copy[mode], end = gnttab_copy_ptr[mode];
  const entries = new DataView(new ArrayBuffer(calls * entry.size));
  for (let i = 0; i < calls; i++) {
    entries.setUint32(i * entry.size + entry.at.op, __HYPERVISOR_grant_table_op, true);
    [GNTTABOP_copy, COPIES_AT, copies].forEach((arg, a) =>
      entries.setUint32(i * entry.size + entry.at.args + a * long, arg, true)
    );
    entries.setUint32(i * entry.size + entry.at.result, UNTOUCHED, true);
  }
  const list = new DataView(new ArrayBuffer(copies * copy.size));
  for (let i = 0; i < copies; i++) {
    for (const [at, frame] of [[copy.at.source, FROM], [copy.at.dest, TO]] as const) {
      list.setUint32(i * copy.size + at + end.at["u.gmfn"], frame, true);
      list.setUint16(i * copy.size + at + end.at.domid, DOMID_SELF, true);
    }
    list.setUint16(i * copy.size + copy.at.len, 4096, true);
    list.setInt16(i * copy.size + copy.at.status, UNTOUCHED, true);
  }
  machine.writeMemory(ENTRIES_AT, new Uint8Array(entries.buffer));
  machine.writeMemory(COPIES_AT, new Uint8Array(list.buffer));
}

const table: [mode: 32 | 64, way: Way, engine: EngineName, saveEvery: number | undefined][] = [
  [32, "page", "interp", undefined],
  [64, "page", "jit", undefined],
  [32, "vmcall", "jit", undefined],
  [64, "vmmcall", "interp", undefined],
  [64, "page", "interp", 2],
  [32, "vmcall", "jit", 2],
  [32, "page", "kvm", undefined],
  [64, "page", "kvm", undefined],
];
const without = noKvm();
for (const [mode, way, engine, saveEvery] of table) {
  const saved = saveEvery === undefined ? "" : `, saved every ${saveEvery} slices`;
  const skipped = engine === "kvm" ? without : "";
  const name = `a long hypercall comes to its end: ${mode} bit by ${way}, ${engine}${saved}${skipped}`;
  Deno.test({ name, ignore: skipped !== "" }, async () => {
    const calls = 20, copies = 3000;
    const { exit, machine, saves } = await runGuest({
      image: guest(mode, way, calls).image(),
      engine,
      ...(saveEvery === undefined ? {} : { saveEvery }),
      prepare: (m) => prepare(m, mode, calls, copies),
    });
    assertEquals(exit.reason, "poweroff");
    const entry = multicall_entry[mode], copy = gnttab_copy[mode];
    const results = new DataView(machine.readMemory(ENTRIES_AT, calls * entry.size).slice().buffer);
    for (let i = 0; i < calls; i++) assertEquals(results.getInt32(i * entry.size + entry.at.result, true), 0);
    const list = new DataView(machine.readMemory(COPIES_AT, copies * copy.size).slice().buffer);
    for (let i = 0; i < copies; i++) assertEquals(list.getInt16(i * copy.size + copy.at.status, true), 0);
    if (saveEvery === undefined) {
      assertEquals(machine.tracer.counters.get("hypercall.grant_table_op"), calls);
      assert(machine.tracer.counters.get("hypercall.continued") > 50);
    } else assert(saves > 3, `${saves} saves`);
  });
}

for (const engine of ["interp", "jit"] as const) {
  Deno.test(`a hypercall of minutes lets the machine have its turns, ${engine}`, async () => {
    let turns = 0;
    const { exit, machine } = await runGuest({
      image: guest(64, "page", 4096).image(),
      engine,
      slices: 20,
      prepare: (m) => prepare(m, 64, 4096, 65_536),
      between: () => void turns++,
    });
    assertEquals(exit.reason, "stopped");
    assert(turns > 10, `${turns} turns`);
    const continued = machine.tracer.counters.get("hypercall.continued");
    assert(continued > 20 && continued < 1000, `${continued} entries`);
  });
}
