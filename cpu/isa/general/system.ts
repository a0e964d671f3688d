// SPDX-License-Identifier: MIT
/**
 * System instructions: flags, ports, descriptor tables, control and debug registers, MSRs, system calls, state
 * images, cache control. Nearly all of them are microcode (cpu/system/microcode.ts), which also checks privileges.
 * SDM Vol. 2, Vol. 3A §2.8.
 * MONITOR, MWAIT, RSM and the VMX and SGX instructions have no rows: #UD, as CPUID says.
 * @module
 */
import type { CpuFeature } from "../../base/cpu_features.ts";
import { assert } from "../../base/assert.ts";
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { RAX, RDX } from "../../emit/emit.ts";
import type { MICROCODE, MicrocodeName } from "../../emit/microcode_calls.ts";
import {
  ATTENTION_INTERRUPT,
  CR0_MP,
  CR0_PE,
  CR0_TS,
  CR4_FSGSBASE,
  CR4_SMAP,
  CR4_UMIP,
  EXC_GP,
  EXC_MF,
  EXC_NM,
  EXC_UD,
  FLAG_AC,
  FLAG_CF,
  FLAG_DF,
  FLAG_IF,
  FLAG_VM,
  FLAG_ZF,
  FS,
  GS,
  LDTR,
  S,
  segmentLayout,
  TLB_BASE,
  TLB_BYTES,
  TLB_MODE_SUPERVISOR,
  TLB_MODE_SUPERVISOR_AC,
  TR,
} from "../../state/state.ts";
import { FSW_ES, X87_STATE } from "../../fpu/x87_state.ts";
import { setRmSelector } from "./data.ts";
import { systemCall, systemReturn } from "../transfer/long_mode.ts";
import { systemEnter, systemExit } from "../transfer/protected_mode.ts";
import { requireSse } from "../simd/sse_patterns.ts";
import { row } from "../row/row.ts";
import { flagAt, isNotCanonical, nonZero, selector } from "../row/values.ts";

const ends = { ends: true };
const nothing = () => {};
/** A row whose work is one microcode function without operands. */
function microcoded(
  text: string,
  encoding: string,
  name: {
    [N in MicrocodeName]: keyof (typeof MICROCODE)[N]["args"] extends never ? N : never;
  }[MicrocodeName],
  options: { readonly ends?: boolean; readonly needs?: CpuFeature } = {},
): void {
  const { needs, ...how } = options;
  row(text, encoding, "v", (e) => e.microcode(name, {}, how), needs === undefined ? {} : { needs });
}

// Flags

row("CLC", "f8", "v", (e) => e.setFlagsPart(FLAG_CF, e.i32(0)));
row("STC", "f9", "v", (e) => e.setFlagsPart(FLAG_CF, e.i32(FLAG_CF)));
row("CMC", "f5", "v", (e) => e.setFlagsPart(FLAG_CF, e.xor(32, e.carry(), e.i32(1))));
row("CLD", "fc", "v", (e) => e.setState32(S.eflags, e.and(32, e.state32(S.eflags), e.i32(~FLAG_DF))));
row("STD", "fd", "v", (e) => e.setState32(S.eflags, e.or(32, e.state32(S.eflags), e.i32(FLAG_DF))));
row("CLI", "fa", "v", (e) => {
  e.if(
    e.eqz(32, e.state32(S.cpl)),
    () => e.setState32(S.eflags, e.and(32, e.state32(S.eflags), e.i32(~FLAG_IF))),
    () => e.microcode("cli", {}),
  );
});
row("STI", "fb", "v", (e) => {
  const quiet = e.eqz(32, e.and(32, e.state32(S.attention), e.i32(ATTENTION_INTERRUPT)));
  e.if(
    e.and(32, quiet, e.eqz(32, e.state32(S.cpl))),
    () => e.setState32(S.eflags, e.or(32, e.state32(S.eflags), e.i32(FLAG_IF))),
    () => e.microcode("sti", {}),
  );
}, { shadow: "interrupts" });
/** AC matters to supervisor accesses only, and only with CR4.SMAP: it selects the TLB table. */
const setAccess = (allow: boolean) => (e: Emit) => {
  e.faultIf(e.state32(S.cpl), EXC_UD);
  const eflags = e.state32(S.eflags);
  e.setState32(S.eflags, allow ? e.or(32, eflags, e.i32(FLAG_AC)) : e.and(32, eflags, e.i32(~FLAG_AC)));
  const supervisor = e.i32(TLB_BASE + TLB_MODE_SUPERVISOR * TLB_BYTES);
  const withAccess = e.i32(TLB_BASE + TLB_MODE_SUPERVISOR_AC * TLB_BYTES);
  if (!allow) return e.setTlbBase(supervisor);
  const smap = e.and(32, e.state32(S.cr4), e.i32(CR4_SMAP));
  e.setTlbBase(e.select(smap, withAccess, supervisor));
};
row("CLAC", "np 0f01 =ca", "v", setAccess(false), { needs: "smap" });
row("STAC", "np 0f01 =cb", "v", setAccess(true), { needs: "smap" });

// Ports

const input = (port: (e: Emit) => Value) => (e: Emit, w: Width) => {
  const size = w === 64 ? 32 : w;
  e.microcode("in", { port: port(e), size: e.i32(size / 8) }, {
    commit: () => e.setGpr(RAX, size, e.microcodeResult(size)),
  });
};
const output = (port: (e: Emit) => Value) => (e: Emit, w: Width) => {
  const size = w === 64 ? 32 : w;
  e.microcode("out", { port: port(e), size: e.i32(size / 8), value: e.gpr(RAX, size) });
};
const fixedPort = (e: Emit) => e.imm(32);
const portInDx = (e: Emit) => e.gpr(RDX, 16);
row("IN AL, imm8", "e4 ub", 8, input(fixedPort));
row("IN eAX, imm8", "e5 ub", "v", input(fixedPort));
row("IN AL, DX", "ec", 8, input(portInDx));
row("IN eAX, DX", "ed", "v", input(portInDx));
row("OUT imm8, AL", "e6 ub", 8, output(fixedPort));
row("OUT imm8, eAX", "e7 ub", "v", output(fixedPort));
row("OUT DX, AL", "ee", 8, output(portInDx));
row("OUT DX, eAX", "ef", "v", output(portInDx));

// Descriptor tables

/** UMIP keeps programs from looking at system registers. */
function checkUmip(e: Emit): void {
  const forbidden = nonZero(e, 32, e.and(32, e.state32(S.cr4), e.i32(CR4_UMIP)));
  e.faultIf(e.and(32, forbidden, nonZero(e, 32, e.state32(S.cpl))), EXC_GP, 0);
}
/** Descriptor-table pointers hold a 64-bit base in 64-bit mode, 24 of 32 bits with a 16-bit operand. */
const storeTable = (limit: number, base: number) => (e: Emit) => {
  checkUmip(e);
  const address = e.address();
  e.store(16, address, e.and(32, e.state32(limit), e.i32(0xffff)));
  const w = e.form.codeBits === 64 ? 64 : 32;
  e.store(w, e.offsetBy(address, 2), e.truncate(64, w, e.state64(base)));
};
/** #GP(0) before an operand in memory is looked at. */
const requirePrivilege = (e: Emit) => e.faultIf(e.state32(S.cpl), EXC_GP, 0);
const loadTable = (name: "lgdt" | "lidt") => (e: Emit) => {
  requirePrivilege(e);
  const address = e.address();
  const limit = e.load(16, address);
  const w = e.form.codeBits === 64 ? 64 : 32;
  let base = e.load(w, e.offsetBy(address, 2));
  if (w === 32 && e.form.osize === 16) base = e.and(32, base, e.i32(0xff_ffff));
  e.microcode(name, { limit, base: e.zeroExtend(w, 64, base) });
};
row("SGDT m", "0f01 /0 :mem", "v", storeTable(S.gdtrLimit, S.gdtrBase));
row("SIDT m", "0f01 /1 :mem", "v", storeTable(S.idtrLimit, S.idtrBase));
row("LGDT m", "0f01 /2 :mem", "v", loadTable("lgdt"));
row("LIDT m", "0f01 /3 :mem", "v", loadTable("lidt"));

/** These need protected mode (and not virtual-8086 mode). */
export function checkProtected(e: Emit): void {
  const real = e.eqz(32, e.and(32, e.state32(S.cr0), e.i32(CR0_PE)));
  const virtual = nonZero(e, 32, e.and(32, e.state32(S.eflags), e.i32(FLAG_VM)));
  e.faultIf(e.or(32, real, virtual), EXC_UD);
}
const storeSelector = (index: number) => (e: Emit, w: Width) => {
  checkProtected(e);
  checkUmip(e);
  setRmSelector(e, w, selector(e, index));
};
row("SLDT r/m", "0f00 /0", "v", storeSelector(LDTR));
row("STR r/m", "0f00 /1", "v", storeSelector(TR));
row("LLDT r/m16", "0f00 /2", "v", (e) => {
  checkProtected(e);
  requirePrivilege(e);
  e.microcode("lldt", { selector: e.rm(16) });
});
row("LTR r/m16", "0f00 /3", "v", (e) => {
  checkProtected(e);
  requirePrivilege(e);
  e.microcode("ltr", { selector: e.rm(16) });
});
const verify = (name: "verr" | "verw") => (e: Emit) => {
  checkProtected(e);
  e.microcode(name, { selector: e.rm(16) });
  e.setFlagsPart(FLAG_ZF, flagAt(e, e.and(32, e.microcodeResult(32, 1), e.i32(1)), FLAG_ZF));
};
row("VERR r/m16", "0f00 /4", "v", verify("verr"));
row("VERW r/m16", "0f00 /5", "v", verify("verw"));
const inspect = (name: "lar" | "lsl") => (e: Emit, w: Width) => {
  checkProtected(e);
  e.microcode(name, { selector: e.rm(16), opBytes: e.i32(w / 8) });
  const ok = e.and(32, e.microcodeResult(32, 1), e.i32(1)), result = e.microcodeResult(w);
  e.if(ok, () => e.setReg(w, result));
  e.setFlagsPart(FLAG_ZF, flagAt(e, ok, FLAG_ZF));
};
row("LAR r, r/m16", "0f02 /r", "v", inspect("lar"));
row("LSL r, r/m16", "0f03 /r", "v", inspect("lsl"));
row("ARPL r/m16, r16", "no64 63 /r", 16, (e) => {
  checkProtected(e);
  const b = e.and(32, e.reg(16), e.i32(3));
  e.updateRm(16, (a) => {
    const less = e.ltU(32, e.and(32, a, e.i32(3)), b);
    e.setFlagsPart(FLAG_ZF, flagAt(e, less, FLAG_ZF));
    return e.select(less, e.or(32, e.and(32, a, e.i32(0xfffc)), b), a);
  });
});

// Control and debug registers

/** MOV to and from these moves the whole register, whatever the prefixes say. */
const registerWidth = (e: Emit): 32 | 64 => e.form.codeBits === 64 ? 64 : 32;
const byNumber = { reg: "none", ignoresMod: true } as const;
/** CR0, CR2, CR3 and CR4 are read without further ado: nothing but privilege can be in the way. */
const PLAIN_CONTROL = 0b1_1101;
assert(S.cr2 === S.cr0 + 8 && S.cr4 === S.cr0 + 24, "the control registers lie one behind the other");
const readControl = (e: Emit) => {
  const w = registerWidth(e), index = e.regNumber();
  const plain = e.and(32, e.op("i32.shr_u", e.i32(PLAIN_CONTROL), index), e.i32(1));
  e.if(e.and(32, plain, e.eqz(32, e.state32(S.cpl))), () => {
    const place = e.op("i32.sub", index, nonZero(e, 32, index));
    const at = e.add(32, e.shl(32, place, e.i32(3)), e.i32(S.cr0));
    e.setRm(w, e.truncate(64, w, e.hostLoad(64, at)));
  }, () => {
    e.microcode("mov_from_cr", { index });
    e.setRm(w, e.microcodeResult(w));
  });
};
const readDebug = (e: Emit) => {
  const w = registerWidth(e);
  e.microcode("mov_from_dr", { index: e.regNumber() });
  e.setRm(w, e.microcodeResult(w));
};
const writeRegister = (name: "mov_to_cr" | "mov_to_dr") => (e: Emit) => {
  const w = registerWidth(e);
  e.microcode(name, { index: e.regNumber(), value: e.zeroExtend(w, 64, e.rm(w)) }, ends);
};
row("MOV r, CRn", "0f20 /r", "v", readControl, byNumber);
row("MOV CRn, r", "0f22 /r", "v", writeRegister("mov_to_cr"), byNumber);
row("MOV r, DRn", "0f21 /r", "v", readDebug, byNumber);
row("MOV DRn, r", "0f23 /r", "v", writeRegister("mov_to_dr"), byNumber);
row("SMSW r/m", "0f01 /4", "v", (e, w) => {
  checkUmip(e);
  const cr0 = e.state64(S.cr0);
  if (e.form.isMemory) e.setRm(16, e.truncate(64, 16, cr0));
  else e.setRm(w, e.truncate(64, w, cr0));
});
row("LMSW r/m16", "0f01 /6", "v", (e) => {
  requirePrivilege(e);
  e.microcode("lmsw", { value: e.rm(16) }, ends);
});
microcoded("CLTS", "0f06", "clts");
row("INVLPG m", "0f01 /7 :mem", "v", (e) => {
  const linear = e.linear(e.address());
  const low = e.op("i32.wrap_i64", linear);
  const high = e.form.codeBits === 64 ? e.op("i32.wrap_i64", e.op("i64.shr_u", linear, e.i64(32))) : e.i32(0);
  e.ifAll(
    [() => e.eqz(32, e.state32(S.cpl)), () => e.callCore("invalidatePage", low, high)],
    () => e.jumpFar(e.nextRip()), // the code that runs may have been in that page
    () => e.microcode("invlpg", { linear }, ends),
  );
});
row("INVPCID r, m128", "66 0f3882 /r :mem", "v", (e) => {
  const w = registerWidth(e), address = e.address();
  requirePrivilege(e);
  const low = e.load(64, address), linear = e.load(64, e.offsetBy(address, 8));
  e.microcode("invpcid", { type: e.zeroExtend(w, 64, e.reg(w)), pcid: low, linear }, ends);
}, { needs: "invpcid" });

// System calls and MSRs

row("SYSCALL", "0f05", "v", systemCall);
row("SYSENTER", "0f34", "v", systemEnter);
row("SYSRET", "0f07", "v", systemReturn);
row("SYSEXIT", "0f35", "v", systemExit);
row("SWAPGS", "only64 0f01 =f8", "v", (e) => {
  e.faultIf(e.state32(S.cpl), EXC_GP, 0);
  const base = S.gs + segmentLayout.at.base;
  const user = e.state64(base), kernel = e.state64(S.kernelGsBase);
  e.setState64(base, kernel);
  e.setState64(S.kernelGsBase, user);
});
microcoded("RDTSCP", "0f01 =f9", "rdtscp", { needs: "rdtscp" });
microcoded("RDTSC", "0f31", "rdtsc");
microcoded("RDPMC", "0f33", "rdpmc");
row("RDPID r", "f3 0fc7 /7 :reg", "v", (e) => {
  const w = registerWidth(e);
  e.setRm(w, e.zeroExtend(32, w, e.state32(S.tscAux)));
}, { needs: "rdpid" });
/** Always has a number: CF is set. */
const random = (e: Emit, w: Width) => {
  e.microcode("random", {});
  e.setRm(w, e.microcodeResult(w));
  e.setFlagsImage(e.i32(FLAG_CF));
};
for (const prefix of ["np", "66"]) {
  row("RDRAND r", `${prefix} 0fc7 /6 :reg`, "v", random, { needs: "rdrand" });
  row("RDSEED r", `${prefix} 0fc7 /7 :reg`, "v", random, { needs: "rdseed" });
}
microcoded("CPUID", "0fa2", "cpuid");
microcoded("RDMSR", "0f32", "rdmsr");
microcoded("WRMSR", "0f30", "wrmsr", ends);
for (const [index, name] of [[FS, "FS"], [GS, "GS"]] as const) {
  const read = index - FS, write = read + 2;
  const base = S.es + index * segmentLayout.size + segmentLayout.at.base;
  const checkEnabled = (e: Emit) =>
    e.faultIf(e.eqz(32, e.and(32, e.state32(S.cr4), e.i32(CR4_FSGSBASE))), EXC_UD);
  row(`RD${name}BASE r`, `only64 f3 0fae /${read} :reg`, "y", (e, w) => {
    checkEnabled(e);
    e.setRm(w, e.truncate(64, w, e.state64(base)));
  }, { needs: "fsgsbase" });
  row(`WR${name}BASE r`, `only64 f3 0fae /${write} :reg`, "y", (e, w) => {
    checkEnabled(e);
    const value = e.zeroExtend(w, 64, e.rm(w));
    if (w === 64) e.faultIf(isNotCanonical(e, value), EXC_GP, 0);
    e.setState64(base, value);
  }, { needs: "fsgsbase" });
}
microcoded("VMCALL", "np 0f01 =c1", "vmcall");
microcoded("VMMCALL", "0f01 =d9", "vmcall");

// Floating-point state

microcoded("XGETBV", "np 0f01 =d0", "xgetbv", { needs: "xsave" });
microcoded("RDPKRU", "np 0f01 =ee", "rdpkru", { needs: "pku" });
microcoded("WRPKRU", "np 0f01 =ef", "wrpkru", { needs: "pku" });
microcoded("XSETBV", "np 0f01 =d1", "xsetbv", { needs: "xsave" });
type ImageName = "fxsave" | "fxrstor" | "xsave" | "xsaveopt" | "xsavec" | "xsaves" | "xrstor" | "xrstors";
const image = (name: ImageName) => (e: Emit) =>
  e.microcode(name, { linear: e.linear(e.address()), rexW: e.i32(e.form.rexW ? 1 : 0) });
row("FXSAVE m", "np 0fae /0 :mem", "v", image("fxsave"));
row("FXRSTOR m", "np 0fae /1 :mem", "v", image("fxrstor"));
row("XSAVE m", "np 0fae /4 :mem", "v", image("xsave"), { needs: "xsave" });
row("XRSTOR m", "np 0fae /5 :mem", "v", image("xrstor"), { needs: "xsave" });
row("XSAVEOPT m", "np 0fae /6 :mem", "v", image("xsaveopt"), { needs: "xsaveopt" });
row("XSAVEC m", "np 0fc7 /4 :mem", "v", image("xsavec"), { needs: "xsavec" });
row("XSAVES m", "np 0fc7 /5 :mem", "v", image("xsaves"), { needs: "xsaves" });
row("XRSTORS m", "np 0fc7 /3 :mem", "v", image("xrstors"), { needs: "xsaves" });
/** MXCSR bits that fault when they are loaded. */
const MXCSR_RESERVED = 0xffff_0000;
row("LDMXCSR m32", "np 0fae /2 :mem", "v", (e) => {
  requireSse(e);
  const value = e.rm(32);
  e.faultIf(e.and(32, value, e.i32(MXCSR_RESERVED)), EXC_GP, 0);
  e.setState32(S.mxcsr, value);
});
row("STMXCSR m32", "np 0fae /3 :mem", "v", (e) => {
  requireSse(e);
  e.setRm(32, e.state32(S.mxcsr));
});
row("WAIT", "9b", "v", (e) => {
  const trap = e.and(32, e.state32(S.cr0), e.i32(CR0_MP | CR0_TS));
  e.faultIf(e.eq(32, trap, e.i32(CR0_MP | CR0_TS)), EXC_NM);
  // FSW is the upper half of the word that FCW begins.
  const words = e.state32(S.x87 + X87_STATE.at.fcw);
  e.faultIf(e.and(32, words, e.i32(FSW_ES << 16)), EXC_MF);
});

// Caches and ordering: memory is strongly ordered here and has no cache

microcoded("INVD", "0f08", "invd");
microcoded("WBINVD", "0f09", "wbinvd");
row("CLFLUSH m8", "np 0fae /7 :mem", 8, (e) => void e.load(8, e.address()));
row("CLFLUSHOPT m8", "66 0fae /7 :mem", 8, (e) => void e.load(8, e.address()), { needs: "clflushopt" });
row("CLWB m8", "66 0fae /6 :mem", 8, (e) => void e.load(8, e.address()), { needs: "clwb" });
row("LFENCE", "np 0fae /5 :reg", "v", nothing);
row("MFENCE", "np 0fae /6 :reg", "v", nothing);
row("SFENCE", "np 0fae /7 :reg", "v", nothing);
