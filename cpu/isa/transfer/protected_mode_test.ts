// SPDX-License-Identifier: MIT
/** SYSENTER, SYSEXIT and IRETD of 32-bit kernels, and SYSENTER to 64-bit ones. */
import {
  CR0_AM,
  CR4_SMAP,
  CS,
  DS,
  ES,
  FLAG_AC,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  FS,
  GS,
  S,
  SEG_UNUSABLE,
  SS,
} from "../../state/state.ts";
import {
  atPrivilege,
  type Case,
  common,
  END_OF_MEMORY,
  FRAME,
  GDT_ENTRIES,
  prepareReturn,
  Random,
  RETURN_ODDITIES,
  type ReturnOddity,
  table,
  testTransfers,
} from "./_rig.ts";

const CODE0 = 0x00cf_9b00_0000_ffffn, DATA0 = 0x00cf_9300_0000_ffffn;
const DPL3 = 3n << 45n, AVL = 1n << 52n, D = 1n << 54n, P = 1n << 47n;
/** What a GDT has mostly: selectors 8, 10H, 1bH, 23H. */
const USUAL = [0n, CODE0, DATA0, CODE0 | DPL3, DATA0 | DPL3];
const DESCRIPTORS = [
  ...USUAL,
  CODE0 | AVL,
  CODE0 | DPL3 | AVL,
  DATA0 | DPL3 | AVL,
  DATA0 & ~(1n << 40n), // not accessed yet
  (CODE0 | DPL3) & ~(1n << 40n),
  CODE0 & ~P,
  (DATA0 | DPL3) & ~P,
  CODE0 & ~D, // 16-bit
  (CODE0 | DPL3) & ~D,
  (DATA0 | DPL3) & ~D,
  CODE0 | 1n << 42n, // conforming
  (DATA0 | DPL3) & ~(1n << 41n), // read-only
  CODE0 | DPL3 | 0x1234n << 16n, // with a base
  (DATA0 | DPL3) & ~0xffffn, // another limit
  CODE0 | 1n << 45n,
];

const iretCase = (r: Random, usual: boolean): Case => {
  const oddity = usual ? undefined : r.of(RETURN_ODDITIES);
  const is = (what: ReturnOddity) => oddity === what || (oddity === "everything" && r.once(4));
  const descriptors = table(r, USUAL, is("descriptors") ? DESCRIPTORS : undefined);
  const limit = is("limit") ? r.below(40) : GDT_ENTRIES * 8 - 1;
  const user = r.once(2);
  const selector = (usual: number) =>
    r.of([usual ^ 4, usual ^ r.below(4), r.below(GDT_ENTRIES * 8), 1, 2, 3]);
  const cs = user ? 0x1b : 8, ss = 0x23;
  const image = is("flags") ? r.u32() & 0x3f_ffff : r.of([0x202, 0x246, 0x2, 0x18_0ed6, 0x1_0246]);
  const high = () => r.once(3) ? r.u32() & 0xffff_0000 : 0;
  const frame = [
    r.of([0x40_1000, 0xc000_0000, r.u32()]),
    (is("cs") ? selector(cs) : cs) | high(),
    image,
    r.u32(),
    (is("ss") ? selector(ss) : ss) | high(),
  ];
  let rsp = FRAME + (is("frame") ? r.of([0, 8, 4096 - 12, 4096 - 20, 4096 - 19, 4096 - 11, 3]) : 64);
  if (is("no memory")) rsp = r.of([END_OF_MEMORY - 12, END_OF_MEMORY - 20, END_OF_MEMORY, 0xffff_fff8]);
  const cpl = is("privilege") ? r.of([1, 3]) : 0;
  const now = r.flags() & ~(FLAG_TF | FLAG_RF | FLAG_VM), keeps = is("present flags"), smap = r.once(2);
  const cold = is("cold"),
    blocked = is("blocked"),
    armed = is("breakpoint"),
    narrow = is("size"),
    odd = is("segments");
  const attributes = [0x93 | SEG_UNUSABLE, 0xc0f3, 0xc093, 0x9f, 0xff, 0xb3, 0xc0fb];
  const odder = [ES, DS, FS, GS].map((index) => ({
    index,
    selector: 0x23,
    base: index < FS && r.once(2) ? 0n : BigInt(r.u32()),
    limit: r.of([0xffff_ffff, 0xffff]),
    attributes: r.of(attributes),
  }));
  const segments = odd
    ? odder
    : [ES, DS, FS, GS].map((index) =>
      index < FS
        ? { index, selector: 0x10, base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 }
        : { index, selector: 0, base: 0n, limit: 0, attributes: SEG_UNUSABLE }
    );
  const gprs = [r.u32(), r.u32(), r.u32()], flags = keeps ? now : now & ~(FLAG_NT | FLAG_AC);
  return {
    name: "iret",
    code: narrow ? [0x66, 0xcf] : [0xcf],
    args: [narrow ? 2 : 4],
    prepare: (t) =>
      prepareReturn(t, {
        descriptors,
        limit,
        cpl,
        gprs,
        rsp,
        frame,
        segments,
        flags,
        smap,
        blocked,
        armed,
        cold,
      }),
  };
};

/** MSRs, flags and privilege for SYSENTER and SYSEXIT; `compatible`: 32-bit code of long mode. */
const systemCase =
  (name: "sysenter" | "sysexit", compatible: boolean) => (r: Random, usual: boolean): Case => {
    const home = name === "sysenter" ? 3 : 0;
    const cpl = usual || !r.once(5) ? home : r.of([0, 1, 3]);
    const cs = usual || !r.once(6) ? 0x60n : r.of([0n, 3n, 0xfff8n, r.u64()]);
    const [esp, eip] = [r.u64(), r.u64()], now = r.flags() & ~(FLAG_TF | FLAG_RF | FLAG_VM);
    const smap = r.once(2), checked = r.once(2);
    const segmented = usual || !r.once(6) ? undefined : r.of([DS, ES, SS]);
    const gprs = [r.u64(), r.u64(), r.u64()].map((value) => value & 0xffff_ffffn);
    return {
      name,
      code: [0x0f, name === "sysenter" ? 0x34 : 0x35],
      args: [4],
      prepare: (t) => {
        common(t, USUAL);
        const { core } = t.cpu, { s } = core;
        if (compatible) s.setSegment(CS, { ...s.segment(CS), attributes: 0xc09b | cpl << 5 });
        s.set64(S.sysenterCs, cs);
        s.set64(S.sysenterEsp, esp);
        s.set64(S.sysenterEip, eip);
        gprs.forEach((value, i) => s.setGpr(i, value));
        if (smap) s.set32(S.cr4, s.get32(S.cr4) | CR4_SMAP);
        if (checked) s.set32(S.cr0, s.get32(S.cr0) | CR0_AM);
        if (segmented !== undefined) s.setSegment(segmented, { ...s.segment(segmented), limit: 0xffff });
        core.setRflags(usual ? now & ~FLAG_AC : now);
        atPrivilege(t, cpl);
      },
    };
  };

for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
  testTransfers(
    { IRETD: iretCase, SYSENTER: systemCase("sysenter", false), SYSEXIT: systemCase("sysexit", false) },
    32,
    { vendor },
  );
  const least = vendor === "AuthenticAMD" ? 0 : 15; // whose processors have no SYSENTER in long mode
  testTransfers({ "SYSENTER in long mode": systemCase("sysenter", true) }, 64, { vendor, least });
}
