// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 3A §3.4-3.5, §5; Vol. 2A LAR, LSL, VERR, ARPL.
import { assertEquals } from "@std/assert";
import {
  CODE32,
  CONFORMING,
  DATA0,
  flat,
  GDT,
  NOT_PRESENT,
  TestCore,
  TSS,
  TSS_SELECTOR,
  USER_CODE32,
  USER_DATA,
} from "../_test_core.ts";
import { MODE_SEGMENTED } from "../state/registers.ts";
import { linearAddress } from "./segmentation.ts";
import { DS, ES, FS, GS, LDTR, S, SEG_UNUSABLE, SS, TR } from "../state/state.ts";
import { DISPATCH, FAULT, NEXT } from "../state/status.ts";

// what, segment, selector, CPL, 64-bit?, fault ("" = loads)
const LOADS: [string, number, number, number, boolean, string][] = [
  ["DS with data", DS, DATA0, 0, false, ""],
  ["DS with null", DS, 3, 0, false, ""],
  ["SS with null in 32-bit code", SS, 0, 0, false, "13:0"],
  ["SS with null in 64-bit code", SS, 0, 0, true, ""],
  ["SS with null at CPL 3 in 64-bit code", SS, 3, 3, true, "13:0"],
  ["SS with null of other RPL in 64-bit code", SS, 1, 0, true, "13:0"],
  ["SS with code", SS, CODE32, 0, false, `13:${CODE32}`],
  ["SS with other RPL", SS, DATA0 | 3, 0, false, `13:${DATA0}`],
  ["SS with other DPL", SS, USER_DATA & ~3, 0, false, `13:${USER_DATA & ~3}`],
  ["SS not present", SS, NOT_PRESENT, 0, false, `12:${NOT_PRESENT}`],
  ["DS not present", DS, NOT_PRESENT, 0, false, `11:${NOT_PRESENT}`],
  ["DS with readable code", DS, CODE32, 0, false, ""],
  ["DS of higher privilege", DS, DATA0 | 3, 3, false, `13:${DATA0}`],
  ["DS with RPL above DPL", DS, DATA0 | 3, 0, false, `13:${DATA0}`],
  ["DS with conforming code from CPL 3", DS, CONFORMING | 3, 3, false, ""],
  ["ES outside the GDT", ES, 0x80, 0, false, "13:128"],
  ["FS from an LDT that is not there", FS, 0x0c, 0, false, "13:12"],
  ["GS with a system descriptor", GS, TSS_SELECTOR, 0, false, `13:${TSS_SELECTOR}`],
];
for (const [what, index, selector, cpl, long, fault] of LOADS) {
  Deno.test(`load_segment: ${what}`, () => {
    const t = long ? new TestCore().long(cpl) : new TestCore().protected32(cpl);
    if (long || cpl === 3) t.core.setSegment(LDTR, 0, 0, 0, 0, SEG_UNUSABLE);
    const before = t.core.s.segment(index);
    const status = t.run("load_segment", index, selector);
    if (fault === "") {
      assertEquals(status === NEXT || status === DISPATCH, true);
      assertEquals(t.core.selector(index), selector);
    } else {
      assertEquals([status, t.fault], [FAULT, fault]);
      assertEquals(t.core.s.segment(index), before);
    }
  });
}

Deno.test("load_segment sets the accessed bit and the hidden part", () => {
  const t = new TestCore().protected32();
  t.write64(GDT + DATA0, 0x12cf_9234_5678_1000n & ~(1n << 55n)); // byte granular, limit 0xf1000
  assertEquals(t.run("load_segment", FS, DATA0), NEXT);
  assertEquals(t.read64(GDT + DATA0) >> 40n & 0xffn, 0x93n);
  assertEquals(t.core.s.segment(FS), {
    selector: DATA0,
    base: 0x1234_5678n,
    limit: 0xf_1000,
    attributes: 0x4093,
  });
});

Deno.test("load_segment answers DISPATCH when segments stop being flat", () => {
  const t = new TestCore().protected32();
  assertEquals(t.core.modeBits & MODE_SEGMENTED, 0);
  assertEquals([t.run("load_segment", ES, 0), t.rip], [DISPATCH, 0x1000_0002n]);
  assertEquals(t.core.modeBits & MODE_SEGMENTED, MODE_SEGMENTED);
  assertEquals(t.run("load_segment", DS, 0), NEXT);
  assertEquals(t.run("load_segment", 1, CODE32), FAULT); // CS: #UD
  assertEquals(t.fault, "6:-1");
});

Deno.test("real mode loads shift the selector and keep the limit", () => {
  const t = new TestCore();
  t.core.setSegment(DS, 0, 0, 0, 0xffff_ffff, 0xc093); // unreal
  assertEquals(t.run("load_segment", DS, 0xb800), NEXT);
  assertEquals(t.core.s.segment(DS), {
    selector: 0xb800,
    base: 0xb8000n,
    limit: 0xffff_ffff,
    attributes: 0xc093,
  });
});

Deno.test("lldt and ltr", () => {
  const t = new TestCore().protected32();
  t.write64(GDT + 0x60, 0x0000_8230_0000_0017n);
  assertEquals(t.run("lldt", 0x60), NEXT);
  assertEquals(t.core.s.segment(LDTR), { selector: 0x60, base: 0x30_0000n, limit: 0x17, attributes: 0x82 });
  t.write64(0x30_0008, flat(2, 0, 0));
  assertEquals(t.run("load_segment", GS, 0x0c), NEXT);
  assertEquals([t.run("load_segment", GS, 0x1c), t.fault], [FAULT, "13:28"]);
  assertEquals([t.run("lldt", DATA0), t.fault], [FAULT, `13:${DATA0}`]);
  assertEquals(t.run("lldt", 0), NEXT);
  assertEquals(t.core.attributes(LDTR) & SEG_UNUSABLE, SEG_UNUSABLE);

  assertEquals(t.run("ltr", TSS_SELECTOR), NEXT);
  assertEquals(t.core.s.segment(TR), {
    selector: TSS_SELECTOR,
    base: BigInt(TSS),
    limit: 0x207f,
    attributes: 0x8b,
  });
  assertEquals([t.run("ltr", TSS_SELECTOR), t.fault], [FAULT, `13:${TSS_SELECTOR}`]); // busy now
  assertEquals([t.run("ltr", 0), t.fault], [FAULT, "13:0"]);
  t.core.setCpl(3);
  assertEquals([t.run("ltr", TSS_SELECTOR), t.fault], [FAULT, "13:0"]);
});

Deno.test("ltr in long mode reads sixteen bytes", () => {
  const t = new TestCore().long();
  t.write64(GDT + TSS_SELECTOR + 8, 0xffff_8880n);
  assertEquals(t.run("ltr", TSS_SELECTOR), NEXT);
  assertEquals(t.core.s.segment(TR).base, 0xffff_8880_0000_0000n + BigInt(TSS));
});

Deno.test("lar, lsl, verr, verw", () => {
  const t = new TestCore().protected32(3);
  const ask = (name: "lar" | "lsl" | "verr" | "verw", ...args: number[]) => {
    assertEquals(t.run(name, ...args), NEXT);
    return [t.core.s.arg32(0), t.core.s.arg32(1)];
  };
  assertEquals(ask("lar", USER_DATA), [0x00cf_f200, 1]); // bits 19:16: an Intel Xeon; APM Vol. 3, LAR
  assertEquals(ask("lsl", USER_DATA), [0xffff_ffff, 1]);
  assertEquals(ask("lar", DATA0)[1], 0); // DPL 0
  assertEquals(ask("lar", CONFORMING), [0x00cf_9e00, 1]);
  assertEquals(ask("lsl", 0)[1], 0);
  assertEquals(ask("lsl", 0xfff8)[1], 0);
  assertEquals(ask("verr", USER_CODE32)[1], 1);
  assertEquals(ask("verw", USER_CODE32)[1], 0);
  assertEquals(ask("verw", USER_DATA)[1], 1);
  assertEquals(ask("verr", DATA0)[1], 0);
  t.core.setCpl(0);
  assertEquals(ask("lar", TSS_SELECTOR), [0x0000_8900, 1]);
  assertEquals(ask("lsl", TSS_SELECTOR), [0x207f, 1]);
  t.core.s.set32(S.cr0, 0x10);
  assertEquals([t.run("lar", DATA0), t.fault], [FAULT, "6:-1"]);
});

Deno.test("linear addresses in segments check rights, limits and expand-down", () => {
  const t = new TestCore().protected32(), { core } = t;
  core.setSegment(DS, 0x10, 0x1000, 0, 0xfff, 0x4093);
  assertEquals(linearAddress(core, DS, 0xffc, 4, true), 0x1ffc);
  assertEquals([linearAddress(core, DS, 0xffd, 4, false), t.fault], [-1, "13:0"]);
  assertEquals(linearAddress(core, DS, 0xffff_ffff, 4, false), -1);
  core.setSegment(DS, 0x10, 0x1000, 0, 0xfff, 0x4097); // expand-down: valid above the limit
  assertEquals([linearAddress(core, DS, 0xfff, 1, false), t.fault], [-1, "13:0"]);
  assertEquals(linearAddress(core, DS, 0x1000, 4, false), 0x2000);
  assertEquals(linearAddress(core, DS, 0xffff_ffff, 1, false), 0xfff);
  core.setSegment(DS, 0x10, 0, 0, 0xfff, 0x97); // 16-bit expand-down ends at 64 KiB
  assertEquals(linearAddress(core, DS, 0xfffe, 4, false), -1);
  core.setSegment(DS, 0x10, 0, 0, 0xffff_ffff, 0xc091);
  assertEquals([linearAddress(core, DS, 0, 1, false), linearAddress(core, DS, 0, 1, true)], [0, -1]);
  core.setSegment(ES, 0x10, 0, 0, 0xffff_ffff, 0xc099); // execute-only
  assertEquals(linearAddress(core, ES, 0, 1, false), -1);
  core.setSegment(SS, 0x10, 0xffff_fff0, 0, 0xff, 0x4093);
  assertEquals(linearAddress(core, SS, 0x10, 4, true), 0);
  assertEquals([linearAddress(core, SS, 0x100, 4, true), t.fault], [-1, "12:0"]);
  core.setSegment(GS, 0, 0, 0, 0, SEG_UNUSABLE);
  assertEquals([linearAddress(core, GS, 0, 1, false), t.fault], [-1, "13:0"]);
});

Deno.test("a null selector clears base and limit on Intel's processors, AMD's keep them (APM Vol. 2 §4.5.3)", () => {
  for (
    const [vendor, base, limit] of [["GenuineIntel", 0n, 0], [
      "AuthenticAMD",
      0x1234_5678_9000n,
      0xffff,
    ]] as const
  ) {
    for (const index of [FS, GS, DS]) {
      const t = new TestCore({ vendor }).long(), { core } = t;
      core.s.setSegment(index, {
        selector: 0x10,
        base: 0x1234_5678_9000n,
        limit: 0xffff,
        attributes: 0xc093,
      });
      assertEquals(t.run("load_segment", index, 2) === FAULT, false);
      const { selector, base: left, limit: kept } = core.s.segment(index);
      assertEquals([vendor, selector, left, kept], [vendor, 2, base, limit]);
      assertEquals((core.attributes(index) & SEG_UNUSABLE) !== 0, true);
    }
  }
});
