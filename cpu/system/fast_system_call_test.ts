// SPDX-License-Identifier: MIT
// Expected values: SDM Vol. 2B SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS.
import { assertEquals } from "@std/assert";
import { TestCore } from "../_test_core.ts";
import { CS, S, SEG_UNUSABLE, SS } from "../state/state.ts";
import { DISPATCH, FAULT } from "../state/status.ts";

function linux(cpl: number, vendor: "GenuineIntel" | "AuthenticAMD" = "GenuineIntel"): TestCore {
  const t = new TestCore({ vendor }).long(cpl), s = t.core.s;
  s.set64(S.star, 0x0023_0010_0000_0000n);
  s.set64(S.lstar, 0xffff_ffff_8160_0000n);
  s.set64(S.cstar, 0xffff_ffff_8170_0000n);
  s.set64(S.fmask, 0x4_7700n);
  s.set64(S.sysenterCs, 0x10n);
  s.set64(S.sysenterEsp, 0xffff_8000_0000_9000n);
  s.set64(S.sysenterEip, 0xffff_ffff_8180_0000n);
  return t;
}

Deno.test("SYSCALL and SYSRET", () => {
  const t = linux(3), { core } = t;
  core.setRflags(0x4_0747);
  assertEquals([t.run("syscall"), t.rip], [DISPATCH, 0xffff_ffff_8160_0000n]);
  assertEquals([t.gpr(1), t.gpr(11), core.rflags], [0x1000_0002n, 0x4_0747n, 0x47]);
  assertEquals([core.cpl, core.selector(CS), core.selector(SS), core.dataMode], [0, 0x10, 0x18, 0]);
  assertEquals(core.s.segment(SS), { selector: 0x18, base: 0n, limit: 0xffff_ffff, attributes: 0xc093 });
  core.s.setGpr(11, 0x1_0246n); // RF is not restored
  assertEquals([t.run("sysret", 8), t.rip, core.rflags], [DISPATCH, 0x1000_0002n, 0x246]);
  assertEquals([core.cpl, core.selector(CS), core.selector(SS), core.codeBits], [3, 0x33, 0x2b, 64]);
});

Deno.test("SYSRET to 32-bit code, and to a non-canonical RIP", () => {
  const t = linux(0);
  t.core.s.setGpr(1, 0x1_0000_1000n);
  t.core.s.setGpr(11, 0x202n);
  assertEquals([t.run("sysret", 4), t.rip, t.core.codeBits, t.core.selector(CS)], [
    DISPATCH,
    0x1000n,
    32,
    0x23,
  ]);
  const u = linux(0);
  u.core.s.setGpr(1, 1n << 47n);
  assertEquals([u.run("sysret", 8), u.fault, u.core.cpl], [FAULT, "13:0", 0]);
  assertEquals([linux(3).run("sysret", 8)], [FAULT]);
});

Deno.test("SYSCALL needs EFER.SCE; from compatibility mode it is AMD's", () => {
  const t = linux(3);
  t.core.s.set64(S.efer, 0xd00n);
  assertEquals([t.run("syscall"), t.fault], [FAULT, "6:-1"]);
  for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
    const c = linux(3, vendor);
    const cs = c.core.s.segment(CS);
    c.core.s.setSegment(CS, { ...cs, attributes: 0xc0fb });
    c.core.updateMode();
    const status = c.run("syscall");
    if (vendor === "GenuineIntel") assertEquals([status, c.fault], [FAULT, "6:-1"]);
    else assertEquals([status, c.rip], [DISPATCH, 0xffff_ffff_8170_0000n]);
  }
});

Deno.test("SYSENTER and SYSEXIT in long mode", () => {
  const t = linux(3), { core } = t;
  assertEquals([t.run("sysenter"), t.rip, t.gpr(4)], [
    DISPATCH,
    0xffff_ffff_8180_0000n,
    0xffff_8000_0000_9000n,
  ]);
  assertEquals([core.cpl, core.selector(CS), core.selector(SS), core.rflags & 0x200], [0, 0x10, 0x18, 0]);
  core.s.setGpr(2, 0x7fff_0000_1000n);
  core.s.setGpr(1, 0x7fff_0000_2000n);
  assertEquals([t.run("sysexit", 8), t.rip, t.gpr(4)], [DISPATCH, 0x7fff_0000_1000n, 0x7fff_0000_2000n]);
  assertEquals([core.cpl, core.selector(CS), core.selector(SS), core.codeBits], [3, 0x33, 0x3b, 64]);
});

Deno.test("SYSENTER in 32-bit mode, with SYSENTER_CS null", () => {
  const t = new TestCore().protected32(3), s = t.core.s;
  assertEquals([t.run("sysenter"), t.fault], [FAULT, "13:0"]);
  s.set64(S.sysenterCs, 0x60n);
  s.set64(S.sysenterEsp, 0xc000_9000n);
  s.set64(S.sysenterEip, 0xc010_0000n);
  assertEquals([t.run("sysenter"), t.rip, t.gpr(4)], [DISPATCH, 0xc010_0000n, 0xc000_9000n]);
  assertEquals([t.core.selector(CS), t.core.selector(SS), t.core.codeBits], [0x60, 0x68, 32]);
  s.setGpr(2, 0x8048000n);
  s.setGpr(1, 0xbfff_f000n);
  assertEquals([t.run("sysexit", 4), t.rip, t.gpr(4), t.core.selector(CS)], [
    DISPATCH,
    0x8048000n,
    0xbfff_f000n,
    0x73,
  ]);
  assertEquals([t.run("sysexit", 4), t.fault], [FAULT, "13:0"]); // CPL 3 now
});

Deno.test("SYSRET to a non-canonical RIP: Intel faults in the kernel, AMD where it goes, at privilege 3", () => {
  const intel = linux(0), amd = linux(0, "AuthenticAMD");
  for (const t of [intel, amd]) {
    t.core.s.setGpr(1, 0x8000_0000_0000n);
    t.core.s.setGpr(11, 0x202n);
  }
  assertEquals([intel.run("sysret", 8), intel.fault, intel.core.cpl, intel.rip], [
    ...[FAULT, "13:0", 0, 0x1000_0000n],
  ]);
  assertEquals([amd.run("sysret", 8), amd.core.cpl, amd.rip], [DISPATCH, 3, 0x8000_0000_0000n]);
  assertEquals([amd.core.mmu.translateCode(0, 0x8000), amd.fault], [-1, "13:0"]);
});

// APM Vol. 3, SYSRET: "SS selector is changed, SS base, limit, attributes unchanged."
Deno.test("SYSRET makes SS flat on Intel's processors, on AMD's it loads the selector alone", () => {
  for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
    for (const opBytes of [8, 4]) {
      const amd = vendor === "AuthenticAMD", t = linux(0, vendor), { s } = t.core;
      const flat = { base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 };
      const before = [
        { selector: 0, base: 0n, limit: 0, attributes: SEG_UNUSABLE },
        { selector: 0x10, base: 0n, limit: 0xffff_ffff, attributes: 0xc093 },
        { selector: 0x50, base: 0x1000n, limit: 0xffff, attributes: 0x93 },
      ];
      const kept = [{ ...before[0], selector: 0x2b }, { ...flat, selector: 0x2b }, {
        ...{ selector: 0x2b, base: 0x1000n, limit: 0xffff, attributes: 0xf3 },
      }];
      before.forEach((ss, i) => {
        t.core.setCpl(0);
        s.setSegment(CS, { ...s.segment(CS), attributes: 0xa09b });
        t.core.updateMode();
        s.setSegment(SS, ss);
        assertEquals(t.run("sysret", opBytes), DISPATCH);
        const wanted = amd ? kept[i] : { ...flat, selector: 0x2b };
        assertEquals([vendor, opBytes, i, s.segment(SS) as unknown], [vendor, opBytes, i, wanted]);
      });
    }
  }
});

Deno.test("SYSCALL and SYSRET outside long mode are AMD's", () => {
  for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
    const t = new TestCore({ vendor }).protected32(3), { core } = t, s = core.s;
    s.set64(S.efer, 1n);
    s.set64(S.star, 0x0023_0010_1234_5678n);
    core.setRflags(0x1_0ad7);
    if (vendor === "GenuineIntel") {
      assertEquals([t.run("syscall"), t.fault], [FAULT, "6:-1"]);
      core.setCpl(0);
      assertEquals([t.run("sysret", 4), t.fault], [FAULT, "6:-1"]);
      continue;
    }
    assertEquals([t.run("syscall"), t.rip, t.gpr(1) & 0xffff_ffffn], [DISPATCH, 0x1234_5678n, 0x1000_0002n]);
    assertEquals([core.cpl, core.selector(CS), core.selector(SS), core.codeBits], [0, 0x10, 0x18, 32]);
    assertEquals(core.rflags, 0x8d7);
    assertEquals([t.run("sysret", 4), t.rip], [DISPATCH, 0x1000_0002n]);
    assertEquals([core.cpl, core.selector(CS), core.selector(SS), core.rflags], [3, 0x23, 0x2b, 0xad7]);
    assertEquals([t.run("sysret", 4), t.fault], [FAULT, "13:0"]);
  }
});
