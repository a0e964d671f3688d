// SPDX-License-Identifier: MIT
/** Data transfer: MOV, MOVZX, LEA, XCHG, CMOVcc, SETcc, BSWAP, MOVBE, XADD, CMPXCHG, CBW..., XLAT. SDM Vol. 2. @module */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { RAX, RBX, RCX, RDX } from "../../emit/emit.ts";
import { CS, EXC_GP, FLAG_OF, FLAG_ZF, SS } from "../../state/state.ts";
import { row, type Semantics } from "../row/row.ts";
import { loadSegment } from "../transfer/segment_emit.ts";
import { flagAt, gprWide, selector } from "../row/values.ts";

// MOV

row("MOV r/m8, r8", "88 /r", 8, (e, w) => e.setRm(w, e.reg(w)));
row("MOV r/m, r", "89 /r", "v", (e, w) => e.setRm(w, e.reg(w)));
row("MOV r8, r/m8", "8a /r", 8, (e, w) => e.setReg(w, e.rm(w)));
row("MOV r, r/m", "8b /r", "v", (e, w) => e.setReg(w, e.rm(w)));
row("MOV AL, moffs8", "a0 mo", 8, (e, w) => e.setGpr(RAX, w, e.load(w, e.sourceAddress(e.imm(64)))));
row("MOV rAX, moffs", "a1 mo", "v", (e, w) => e.setGpr(RAX, w, e.load(w, e.sourceAddress(e.imm(64)))));
row("MOV moffs8, AL", "a2 mo", 8, (e, w) => e.store(w, e.sourceAddress(e.imm(64)), e.gpr(RAX, w)));
row("MOV moffs, rAX", "a3 mo", "v", (e, w) => e.store(w, e.sourceAddress(e.imm(64)), e.gpr(RAX, w)));
row("MOV r8, imm8", "b0+r ib", 8, (e, w) => e.setReg(w, e.imm(w)));
row("MOV r, imm", "b8+r iv", "v", (e, w) => e.setReg(w, e.imm(w)));
row("MOV r/m8, imm8", "c6 /0 ib", 8, (e, w) => e.setRm(w, e.imm(w)));
row("MOV r/m, imm32", "c7 /0 iz", "v", (e, w) => e.setRm(w, e.imm(w)));

/** Stores a 16-bit system value: 16 bits in memory, the whole register otherwise. */
export function setRmSelector(e: Emit, w: Width, value: Value): void {
  if (e.form.isMemory) e.setRm(16, e.and(32, value, e.i32(0xffff)));
  else e.setRm(w, w === 16 ? e.and(32, value, e.i32(0xffff)) : e.zeroExtend(32, w, value));
}
for (let index = 0; index < 6; index++) {
  row(`MOV r/m, Sreg ${index}`, `8c /${index}`, "v", (e, w) => setRmSelector(e, w, selector(e, index)), {
    reg: "none",
  });
  if (index === CS) continue;
  row(
    `MOV Sreg ${index}, r/m`,
    `8e /${index}`,
    "v",
    (e) => loadSegment(e, index, e.rm(16)),
    index === SS ? { reg: "none", shadow: "interrupts and traps" } : { reg: "none" },
  );
}

// Widening

const widening = (name: string, opcode: number, from: 8 | 16, signed: boolean) => {
  const text = `${name} r, r/m${from}`;
  row(text, `0f${opcode.toString(16)} /r`, "v", (e, w) => {
    const value = e.rm(from);
    if (w === 16 && from === 16) return e.setReg(w, value);
    e.setReg(w, signed ? e.signExtend(from, w, value) : e.zeroExtend(from, w, value));
  }, { reg: "gpr", rm: from === 8 ? "gpr8" : "gpr" });
};
widening("MOVZX", 0xb6, 8, false);
widening("MOVZX", 0xb7, 16, false);
widening("MOVSX", 0xbe, 8, true);
widening("MOVSX", 0xbf, 16, true);
// With 66 AMD's processors read 32 bits of memory, too, and use half of them.
row("MOVSXD r, r/m", "only64 63 /r", "d", (e, from) => {
  const value = e.rm(from), to = e.form.osize;
  e.setReg(to, to > from ? e.signExtend(from, to, value) : e.truncate(from, to, value));
});
row("CBW/CWDE/CDQE", "98", "v", (e, w) => {
  const half = w === 64 ? 32 : w === 32 ? 16 : 8;
  e.setGpr(RAX, w, e.signExtend(half, w, e.gpr(RAX, half)));
});
row("CWD/CDQ/CQO", "99", "v", (e, w) => e.setGpr(RDX, w, e.shrS(w, e.gpr(RAX, w), e.k(8, w - 1))));

// Addresses

row("LEA r, m", "8d /r :mem", "v", (e, w) => e.setReg(w, e.truncate(64, w, e.address().offset)));
row("XLAT", "d7", 8, (e, w) => {
  const table = e.sourceAddress(gprWide(e, RBX, e.form.asize));
  e.setGpr(RAX, w, e.load(w, e.offsetBy(table, gprWide(e, RAX, 8))));
}, { implicitSource: true });

// Exchange

const xchg: Semantics = (e, w) => {
  const b = e.reg(w);
  if (e.form.isMemory) {
    const access = e.loadForUpdate(w, e.address());
    access.store(b);
    e.setReg(w, access.value);
  } else {
    const a = e.rm(w);
    e.setRm(w, b);
    e.setReg(w, a);
  }
};
row("XCHG r/m8, r8", "86 /r", 8, xchg, { lockable: true });
row("XCHG r/m, r", "87 /r", "v", xchg, { lockable: true });
// 90 without REX.B is NOP: it must not clear the upper half of RAX.
row("XCHG rAX, r", "90+r", "v", (e, w) => {
  e.if(e.eqz(32, e.regIsRax()), () => {
    const a = e.gpr(RAX, w), b = e.reg(w);
    e.setGpr(RAX, w, b);
    e.setReg(w, a);
  });
});
const xadd: Semantics = (e, w) => {
  const b = e.reg(w);
  const sum = (a: Value) => {
    const r = e.add(w, a, b);
    e.setFlags("add", w, r, a, b);
    return r;
  };
  if (e.form.isMemory) {
    const access = e.loadForUpdate(w, e.address());
    access.store(sum(access.value));
    e.setReg(w, access.value);
  } else {
    const a = e.rm(w);
    e.setReg(w, a);
    e.setRm(w, sum(a));
  }
};
row("XADD r/m8, r8", "0fc0 /r", 8, xadd, { lockable: true });
row("XADD r/m, r", "0fc1 /r", "v", xadd, { lockable: true });

/** Memory is written whatever the outcome, as on hardware; the accumulator only when they differ. */
const cmpxchg: Semantics = (e, w) => {
  const b = e.reg(w), accumulator = e.gpr(RAX, w);
  const access = e.form.isMemory ? e.loadForUpdate(w, e.address()) : undefined;
  const old = access?.value ?? e.rm(w);
  const equal = e.eq(w, accumulator, old);
  if (access !== undefined) access.store(e.select(equal, b, old));
  else e.if(equal, () => e.setRm(w, b));
  e.setFlags("sub", w, e.sub(w, accumulator, old), accumulator, old);
  e.if(e.eqz(32, equal), () => e.setGpr(RAX, w, old));
};
row("CMPXCHG r/m8, r8", "0fb0 /r", 8, cmpxchg, { lockable: true });
row("CMPXCHG r/m, r", "0fb1 /r", "v", cmpxchg, { lockable: true });
row("CMPXCHG8B m64", "w0 0fc7 /1 :mem", "v", (e) => {
  const pair = (high: number, low: number) =>
    e.or(64, e.shl(64, gprWide(e, high, 32), e.k(8, 32)), gprWide(e, low, 32));
  const expected = pair(RDX, RAX), desired = pair(RCX, RBX);
  const access = e.loadForUpdate(64, e.address());
  const equal = e.eq(64, expected, access.value);
  access.store(e.select(equal, desired, access.value));
  e.setFlagsPart(FLAG_ZF, flagAt(e, equal, FLAG_ZF));
  e.if(e.eqz(32, equal), () => {
    e.setGpr(RAX, 32, e.truncate(64, 32, access.value));
    e.setGpr(RDX, 32, e.truncate(64, 32, e.shrU(64, access.value, e.k(8, 32))));
  });
}, { lockable: true });
row("CMPXCHG16B m128", "only64 w1 0fc7 /1 :mem", 64, (e) => {
  const address = e.address();
  e.faultIf(e.op("i32.wrap_i64", e.and(64, e.linear(address), e.i64(15))), EXC_GP, 0);
  const low = e.loadForUpdate(64, address), high = e.loadForUpdate(64, e.offsetBy(address, 8));
  const equal = e.and(
    32,
    e.eq(64, e.gpr(RAX, 64), low.value),
    e.eq(64, e.gpr(RDX, 64), high.value),
  );
  low.store(e.select(equal, e.gpr(RBX, 64), low.value));
  high.store(e.select(equal, e.gpr(RCX, 64), high.value));
  e.setFlagsPart(FLAG_ZF, flagAt(e, equal, FLAG_ZF));
  e.if(e.eqz(32, equal), () => {
    e.setGpr(RAX, 64, low.value);
    e.setGpr(RDX, 64, high.value);
  });
}, { lockable: true, needs: "cx16" });

/** Bytes in reverse order. */
function swapped(e: Emit, w: Width, a: Value): Value {
  const swap32 = (v: Value) =>
    e.or(
      32,
      e.and(32, e.op("i32.rotl", v, e.i32(8)), e.i32(0x00ff_00ff)),
      e.and(32, e.op("i32.rotr", v, e.i32(8)), e.i32(0xff00_ff00)),
    );
  if (w === 16) return e.or(16, e.shl(16, a, e.k(8, 8)), e.shrU(16, a, e.k(8, 8)));
  if (w === 32) return swap32(a);
  const low = swap32(e.truncate(64, 32, a));
  const high = swap32(e.truncate(64, 32, e.shrU(64, a, e.k(8, 32))));
  return e.or(64, e.shl(64, e.zeroExtend(32, 64, low), e.k(8, 32)), e.zeroExtend(32, 64, high));
}
row("BSWAP r", "0fc8+r", "v", (e, w) => {
  // of 16 bits it is undefined in the SDM; processors clear the register
  e.setReg(w, w === 16 ? e.k(w, 0) : swapped(e, w, e.reg(w)));
});
// CRC32 has F2, and F3 means nothing.
for (const prefix of ["np", "66"]) {
  row("MOVBE r, m", `${prefix} 0f38f0 /r :mem`, "v", (e, w) => e.setReg(w, swapped(e, w, e.rm(w))), {
    needs: "movbe",
  });
  row("MOVBE m, r", `${prefix} 0f38f1 /r :mem`, "v", (e, w) => e.setRm(w, swapped(e, w, e.reg(w))), {
    needs: "movbe",
  });
}

// Conditions

row("CMOVcc r, r/m", "0f40+cc /r", "v", (e, w) => {
  const b = e.rm(w);
  e.setReg(w, e.select(e.condition(e.form.opcodeLow), b, e.reg(w)));
});
row("SETcc r/m8", "0f90+cc /r", 8, (e) => e.setRm(8, e.condition(e.form.opcodeLow)));

// Flags in AH

const AH = 4;
const AH_FLAGS = 0xd5;
// The first processors with 64-bit mode did not have them there.
for (const [mode, options] of [["no64", {}], ["only64", { needs: "lahf_lm" }]] as const) {
  row("LAHF", `${mode} 9f`, 8, (e) => {
    e.setHighByte(AH, e.or(32, e.and(32, e.flagsImage(), e.i32(AH_FLAGS)), e.i32(2)));
  }, options);
  row("SAHF", `${mode} 9e`, 8, (e) => {
    e.setFlagsPart(0x8d5 & ~FLAG_OF, e.and(32, e.highByte(AH), e.i32(AH_FLAGS)));
  }, options);
}
row("SALC", "no64 d6", 8, (e) => e.setGpr(RAX, 8, e.select(e.carry(), e.i32(0xff), e.i32(0))));
