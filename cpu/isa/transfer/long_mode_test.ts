// SPDX-License-Identifier: MIT
/** SYSCALL, SYSRET and IRETQ of 64-bit kernels, to 64-bit and 32-bit programs. */
import {
  CR4_SMAP,
  DS,
  EFER_SCE,
  ES,
  FLAG_AC,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FS,
  GS,
  S,
  SEG_UNUSABLE,
  segmentLayout,
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
  table,
  testTransfers,
} from "./_rig.ts";

const CODE0 = 0x00af_9b00_0000_ffffn, DATA0 = 0x00cf_9300_0000_ffffn;
const DPL3 = 3n << 45n, AVL = 1n << 52n, L = 1n << 53n, D = 1n << 54n, P = 1n << 47n;
const DESCRIPTORS = [
  CODE0,
  DATA0,
  CODE0 | DPL3,
  DATA0 | DPL3,
  CODE0 | DPL3 | AVL,
  DATA0 | DPL3 | AVL,
  CODE0 | AVL,
  DATA0 & ~(1n << 40n), // not accessed yet
  (CODE0 | DPL3) & ~(1n << 40n),
  CODE0 & ~P,
  (DATA0 | DPL3) & ~P,
  (CODE0 | DPL3 | D) & ~L, // compatibility mode
  CODE0 | DPL3 | D,
  CODE0 | 1n << 42n, // conforming
  CODE0 | DPL3 | 1n << 42n,
  (DATA0 | DPL3) & ~(1n << 41n), // read-only
  CODE0 | DPL3 | 0x1234n << 16n, // with a base
  (DATA0 | DPL3) & ~0xffffn, // another limit
  CODE0 | 1n << 45n,
  0n,
];
/** What a GDT has mostly: selectors 8, 10H, 1bH, 23H, and 2bH for 32-bit code. */
const USUAL = [0n, CODE0, DATA0, CODE0 | DPL3, DATA0 | DPL3, (CODE0 | DPL3 | D) & ~L];

const ODDITIES = [...RETURN_ODDITIES, "rip"] as const;

const iretCase = (r: Random, usual: boolean): Case => {
  const oddity = usual ? undefined : r.of(ODDITIES);
  const is = (what: typeof ODDITIES[number]) => oddity === what || (oddity === "everything" && r.once(4)); // often enough nothing is
  const odd = is("descriptors");
  const descriptors = table(r, USUAL, odd ? DESCRIPTORS : undefined);
  const limit = is("limit") ? r.below(40) : GDT_ENTRIES * 8 - 1;
  const user = r.once(2);
  const selector = (usual: number) =>
    r.of([usual ^ 4, usual ^ r.below(4), r.below(GDT_ENTRIES * 8), 1, 2, 3]);
  const narrow = user && r.once(2);
  const cs = narrow ? 0x2b : user ? 0x1b : 8, ss = user ? 0x23 : r.of([0x10, 0]);
  const image = is("flags") ? r.u32() & 0x3f_ffff : r.of([0x202, 0x246, 0x2, 0x18_0ed6, 0x1_0246]);
  const frame = [
    is("rip") ? r.address() : 0x40_1000n,
    BigInt(is("cs") ? selector(cs) : cs) | (r.once(3) ? r.u64() & ~0xffffn : 0n),
    BigInt(image) | (r.once(3) ? r.u64() & ~0xffff_ffffn : 0n),
    r.u64(),
    BigInt(is("ss") ? selector(ss) : ss) | (r.once(3) ? r.u64() & ~0xffffn : 0n),
  ];
  let rsp = FRAME + (is("frame") ? r.of([0, 8, 4096 - 40, 4096 - 39, 4096 - 24, 3]) : 64);
  if (is("no memory")) rsp = r.of([END_OF_MEMORY - 24, END_OF_MEMORY - 40, END_OF_MEMORY, 0x40_0000_0000]);
  const cpl = is("privilege") ? r.of([1, 3]) : 0;
  const now = r.flags() & ~(FLAG_TF | FLAG_RF), keeps = is("present flags"), smap = r.once(2);
  const cold = is("cold"), blocked = is("blocked"), armed = is("breakpoint"), rexW = !is("size");
  const attributes = [0x93 | SEG_UNUSABLE, 0xc0f3, 0xc093, 0x9f, 0xff, 0xb3];
  const segments = is("segments")
    ? [ES, DS, FS, GS].map((index) => ({
      index,
      selector: 0x10,
      base: r.u64(),
      limit: 0xffff,
      attributes: r.of(attributes),
    }))
    : [ES, DS, FS, GS].map((index) =>
      narrow && (index === ES || index === DS)
        ? { index, selector: 0x23, base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 }
        : { index, selector: 0, base: 0n, limit: 0, attributes: SEG_UNUSABLE }
    );
  const gprs = [r.u64(), r.u64(), r.u64()], flags = keeps ? now : now & ~(FLAG_NT | FLAG_AC);
  return {
    name: "iret",
    code: rexW ? [0x48, 0xcf] : [0xcf],
    args: [rexW ? 8 : 4],
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

const syscallCase = (r: Random, usual: boolean): Case => {
  const cpl = usual || !r.once(5) ? 3 : r.of([0, 1]), enabled = usual || !r.once(6);
  const now = r.flags() & ~(FLAG_TF | FLAG_RF),
    star = r.u64(),
    fmask = BigInt(usual ? 0x4_7700 : r.u32() & 0x3f_ffff);
  const lstar = r.of([0xffff_ffff_8100_0000n, 0x40_1000n]), rdx = r.u64();
  const smap = r.once(2);
  return {
    name: "syscall",
    code: [0x0f, 0x05],
    args: [],
    prepare: (t) => {
      common(t, USUAL);
      const { core } = t.cpu, { s } = core;
      s.set64(S.star, star);
      s.set64(S.lstar, lstar);
      s.set64(S.fmask, fmask);
      if (!enabled) s.set32(S.efer, s.get32(S.efer) & ~EFER_SCE);
      s.setGpr(2, rdx);
      if (smap) s.set32(S.cr4, s.get32(S.cr4) | CR4_SMAP);
      core.setRflags(now);
      atPrivilege(t, cpl);
    },
  };
};

const sysretCase = (r: Random, usual: boolean): Case => {
  const cpl = usual || !r.once(6) ? 0 : r.of([1, 3]),
    enabled = usual || !r.once(6),
    rexW = !r.once(usual ? 2 : 4);
  const segmented = !usual && r.once(6), based = !usual && r.once(6);
  const now = r.flags() & ~(FLAG_TF | FLAG_RF), star = r.u64(), rdx = r.u64();
  const rcx = usual ? 0x40_1000n : r.address(), r11 = usual ? 0x246n : BigInt(r.flags()) | r.u64() << 32n;
  const blocked = !usual && r.once(5);
  return {
    name: "sysret",
    code: rexW ? [0x48, 0x0f, 0x07] : [0x0f, 0x07],
    args: [rexW ? 8 : 4],
    prepare: (t) => {
      common(t, USUAL);
      const { core } = t.cpu, { s } = core;
      s.set64(S.star, star);
      if (!enabled) s.set32(S.efer, s.get32(S.efer) & ~EFER_SCE);
      s.setGpr(1, rcx);
      s.setGpr(2, rdx);
      s.setGpr(11, r11);
      core.setRflags(now);
      core.nmiBlocked = blocked;
      atPrivilege(t, cpl);
      if (segmented) s.set32(S.ds + segmentLayout.at.limit, 0xffff);
      if (based) s.set32(S.ss, 0x1000);
    },
  };
};

for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
  testTransfers({ IRETQ: iretCase, SYSCALL: syscallCase, SYSRET: sysretCase }, 64, { vendor });
}
