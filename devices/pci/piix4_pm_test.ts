// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import * as pm from "./piix4_pm.ts";
import type { PciWindow } from "./pci.ts";

function rig(clock = new ManualClock()) {
  const seen = { sci: false, offs: 0, base: undefined as number | undefined };
  const tracer = new Tracer();
  const chip = new pm.Piix4Pm("pm", {
    clock,
    tracer,
    sci: { set: (on) => seen.sci = on },
    powerOff: () => seen.offs++,
    mapper: {
      map(_window: PciWindow, base: number) {
        seen.base = base;
        return { remove: () => seen.base = undefined };
      },
    },
  });
  return { chip, seen, clock, tracer, block: chip.pmBlock };
}
/** From the datasheet: 3.579545 MHz, bit 23 changes every 2^23 ticks. */
const HALF_PERIOD_NS = Math.ceil((2 ** 23 * 1e9) / 3_579_545);

Deno.test("Piix4Pm powers on as its datasheet says", () => {
  const { chip, seen, block } = rig();
  assertEquals(chip.readConfig(0, 4), 0x7113_8086);
  assertEquals(chip.readConfig(0x0a, 2), 0x0680);
  assertEquals(chip.readConfig(pm.PMBASE, 4), 1);
  assertEquals(chip.readConfig(pm.PMREGMISC, 1), 0);
  assertEquals([block.readPort(pm.PM1_STS, 4), block.readPort(pm.PM1_CNT, 4), block.readPort(pm.PM_TMR, 4)], [
    0,
    0,
    0,
  ]);
  assertEquals(seen, { sci: false, offs: 0, base: undefined });
});

Deno.test("Piix4Pm decodes its block where PMBASE says, once PMIOSE is set", () => {
  const { chip, seen } = rig();
  chip.writeConfig(pm.PMBASE, 4, 0x0000_0601);
  assertEquals(seen.base, undefined);
  chip.writeConfig(pm.PMREGMISC, 1, 1);
  assertEquals(seen.base, 0x600);
  chip.writeConfig(pm.PMBASE, 4, 0xffff_b03f);
  assertEquals(chip.readConfig(pm.PMBASE, 4), 0xb001);
  assertEquals(seen.base, 0xb000);
  chip.reset();
  assertEquals(seen.base, undefined);
});

Deno.test("Piix4Pm counts 3.579545 MHz in 24 bits, exactly, for days", () => {
  const { block, clock } = rig();
  clock.advance(1e9);
  assertEquals(block.readPort(pm.PM_TMR, 4), 3_579_545);
  clock.advance(4e9);
  assertEquals(block.readPort(pm.PM_TMR, 4), (5 * 3_579_545) % 2 ** 24);
  clock.advance(999_995e9 + 1); // 10^6 s, where ns * Hz no longer fits a double
  assertEquals(block.readPort(pm.PM_TMR, 4), Number((1_000_000n * 3_579_545n) % (1n << 24n)));
  assertEquals(block.readPort(pm.PM_TMR, 2), block.readPort(pm.PM_TMR, 4) & 0xffff);
  assertEquals(block.readPort(pm.PM_TMR + 3, 1), 0);
});

Deno.test("Piix4Pm raises SCI when bit 23 of the timer changes and drops it when TMR_STS is cleared", () => {
  const { chip, block, clock, seen } = rig();
  chip.smi.writePort(pm.APMC, 1, pm.ACPI_ENABLE);
  block.writePort(pm.PM1_EN, 2, pm.TMR_EN);
  clock.advance(HALF_PERIOD_NS - 1);
  assertEquals([seen.sci, block.readPort(pm.PM1_STS, 2)], [false, 0]);
  clock.advance(1);
  assertEquals([seen.sci, block.readPort(pm.PM1_STS, 2)], [true, pm.TMR_STS]);
  block.writePort(pm.PM1_STS, 2, pm.TMR_STS);
  assertEquals([seen.sci, block.readPort(pm.PM1_STS, 2)], [false, 0]);
  clock.advance(HALF_PERIOD_NS);
  assertEquals(seen.sci, true); // and again
});

Deno.test("Piix4Pm raises SCI for the power button only in ACPI mode and when enabled", () => {
  const { chip, block, seen } = rig();
  chip.pressPowerButton();
  assertEquals([seen.sci, block.readPort(pm.PM1_STS, 2)], [false, pm.PWRBTN_STS]);
  block.writePort(pm.PM1_EN + 1, 1, pm.PWRBTN_EN >> 8);
  assertEquals(seen.sci, false); // legacy mode
  chip.smi.writePort(pm.APMC, 1, pm.ACPI_ENABLE);
  assertEquals([seen.sci, block.readPort(pm.PM1_CNT, 2)], [true, pm.SCI_EN]);
  block.writePort(pm.PM1_STS, 2, 0); // zeros clear nothing
  assertEquals(seen.sci, true);
  block.writePort(pm.PM1_STS, 2, pm.PWRBTN_STS);
  assertEquals(seen.sci, false);
  chip.pressPowerButton();
  chip.smi.writePort(pm.APMC, 1, pm.ACPI_DISABLE);
  assertEquals([seen.sci, block.readPort(pm.PM1_CNT, 2)], [false, 0]);
});

Deno.test("Piix4Pm powers off on SLP_EN with the S5 type, refuses other types, keeps SCI_EN", () => {
  const { chip, block, seen, tracer } = rig();
  chip.smi.writePort(pm.APMC, 1, pm.ACPI_ENABLE);
  block.writePort(pm.PM1_CNT, 2, 1 << 10);
  assertEquals([seen.offs, block.readPort(pm.PM1_CNT, 2)], [0, (1 << 10) | pm.SCI_EN]);
  block.writePort(pm.PM1_CNT, 2, pm.SLP_EN | (1 << 10));
  assertEquals([seen.offs, tracer.counters.get("unimplemented.pm: sleep type 1")], [0, 1]);
  block.writePort(pm.PM1_CNT, 2, pm.SLP_EN | pm.SCI_EN);
  assertEquals([seen.offs, block.readPort(pm.PM1_CNT, 2)], [1, pm.SCI_EN]);
  block.writePort(pm.PM1_CNT + 1, 1, pm.SLP_EN >> 8);
  assertEquals(seen.offs, 2);
});

Deno.test("Piix4Pm goes on after save and restore with the timer armed", () => {
  const a = rig();
  a.chip.smi.writePort(pm.APMS, 1, 0x77);
  a.chip.smi.writePort(pm.APMC, 1, pm.ACPI_ENABLE);
  a.chip.writeConfig(pm.PMBASE, 4, 0x600);
  a.chip.writeConfig(pm.PMREGMISC, 1, 1);
  a.block.writePort(pm.PM1_EN, 2, pm.TMR_EN);
  a.clock.advance(1e9);
  const b = rig(a.clock);
  b.chip.restore(structuredClone(a.chip.save()));
  assertEquals([b.seen.base, b.chip.smi.readPort(pm.APMC, 2), b.seen.sci], [0x600, 0x77f1, false]);
  a.clock.advance(HALF_PERIOD_NS - 1e9);
  assertEquals([a.seen.sci, b.seen.sci], [true, true]);
});

Deno.test("Piix4Pm answers odd sizes and counts registers it does not have", () => {
  const { block, tracer } = rig();
  block.writePort(pm.PM1_STS, 4, (pm.PWRBTN_EN << 16) >>> 0);
  assertEquals(block.readPort(pm.PM1_EN, 1), 0);
  assertEquals(block.readPort(pm.PM1_EN + 1, 1), 1);
  assertEquals(block.readPort(0x20, 4), 0xffff_ffff);
  block.writePort(0x30, 1, 1);
  assertEquals(tracer.counters.get("pm.unclaimed"), 5);
  assertEquals(block.readPort(62, 4), 0xffff_ffff);
});
