// SPDX-License-Identifier: MIT
/** Loads of segment registers by MOV and POP, in 32-bit and 64-bit code. */
import { GDT } from "../../_bare_cpu.ts";
import { ACCESS_READ } from "../../mmu/mmu.ts";
import { CR0_PE, DS, ES, FS, GS, LDTR, S, SS, TLB_MODE_SUPERVISOR } from "../../state/state.ts";
import { atPrivilege, type Case, common, GDT_ENTRIES, Random, table, testTransfers } from "./_rig.ts";

const DATA0 = 0x00cf_9300_0000_ffffn, DATA3 = 0x00cf_f300_0000_ffffn;
/** Flat segments; two of a processor and a thread, one in bytes and one in pages, at selectors 18H and 23H. */
const USUAL = [0n, 0x00cf_9b00_0000_ffffn, DATA0, 0xc14f_9312_3456_ffffn, 0xb740_f3f0_1234_0fffn, DATA3];

/** In a page that users may read, too. */
const STACK = 0x20_8000;

const NAMES = { es: ES, ss: SS, ds: DS, fs: FS, gs: GS };

const loadCase = (index: number, bits: 32 | 64, pops: boolean) => (r: Random, usual: boolean): Case => {
  const odd = !usual && r.once(2), flatOnly = bits === 32 && index !== FS && index !== GS;
  const kinds = [
    0x93n,
    0x91n,
    0xf3n,
    0xf1n,
    0x9bn,
    0xfbn,
    0x99n,
    0x9fn,
    0xffn,
    0x92n,
    0x13n,
    0xb3n,
    0x97n,
    0x89n,
    0x82n,
  ];
  const others = Array.from(
    { length: 20 },
    () => r.of([DATA0, DATA3, r.u64(), r.u64() & ~(0xffn << 40n) | r.of(kinds) << 40n]),
  );
  const descriptors = table(r, USUAL, odd ? others : undefined);
  const known = index === SS ? [0x10] : flatOnly ? [0x10, 0x28, 0x2b] : [0, 3, 0x18, 0x23, 0x2b, 0x10];
  const selector = usual || r.once(2)
    ? r.of(known)
    : r.once(8)
    ? r.u32() & 0xffff
    : r.below(GDT_ENTRIES * 8 + 8);
  const limit = usual || !r.once(6) ? GDT_ENTRIES * 8 - 1 : r.below(64);
  const cpl = usual || !r.once(4) ? 0 : r.of([1, 2, 3]), cold = !usual && r.once(8);
  const real = !usual && bits === 32 && r.once(10), segmented = !usual && r.once(10);
  const before = { selector: 0x99, base: 0xabcd_1234n, limit: 0x1_2345, attributes: 0xc0f3 };
  const high = BigInt(pops ? selector | (r.u32() & 0xffff_0000) : selector | (r.u32() & 0xffff_0000)) &
    0xffff_ffffn;
  return {
    name: "load_segment",
    code: !pops
      ? [0x8e, 0xc0 | index << 3]
      : [[0x07], [], [0x17], [0x1f], [0x0f, 0xa1], [0x0f, 0xa9]][index] ?? [],
    args: [index, selector],
    falls: true,
    prepare: (t) => {
      common(t, descriptors);
      const { core } = t.cpu, { s } = core;
      t.cpu.writeRegisters({ gdtr: { base: BigInt(GDT), limit } });
      s.setSegment(LDTR, { selector: 0x50, base: BigInt(GDT), limit: GDT_ENTRIES * 8 - 1, attributes: 0x82 });
      s.setGpr(0, high);
      if (real) s.set32(S.cr0, s.get32(S.cr0) & ~CR0_PE);
      atPrivilege(t, cpl);
      for (const i of [FS, GS]) s.setSegment(i, before);
      if (segmented) s.setSegment(DS, { ...s.segment(DS), limit: 0xffff });
      core.updateMode();
      core.mmu.flush();
      if (pops) {
        s.setGpr(4, BigInt(STACK));
        t.memory.view.setBigUint64(t.memory.offsetOf(STACK), high, true);
      }
      if (!cold) {
        for (const mode of [TLB_MODE_SUPERVISOR, core.dataMode]) {
          core.mmu.translate(GDT, 0, ACCESS_READ, mode);
        }
      }
    },
    ...(pops ? { commit: ({ cpu: { core: { s } } }) => s.setGpr(4, s.gpr(4) + BigInt(bits / 8)) } : {}),
  };
};

const cases = (bits: 32 | 64, names: readonly (keyof typeof NAMES)[], pops: boolean) =>
  Object.fromEntries(
    names.map((name) =>
      [`${pops ? "POP" : "MOV"} ${name}, ${bits}-bit`, loadCase(NAMES[name], bits, pops)] as const
    ),
  );

for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
  testTransfers(
    {
      ...cases(32, ["es", "ss", "ds", "fs", "gs"], false),
      ...cases(32, ["es", "ss", "ds", "fs", "gs"], true),
    },
    32,
    { vendor, least: 50, rounds: 120 },
  );
  testTransfers({ ...cases(64, ["es", "ds", "fs", "gs"], false), ...cases(64, ["fs", "gs"], true) }, 64, {
    vendor,
    least: 50,
    rounds: 120,
  });
}
