// SPDX-License-Identifier: MIT
/**
 * MMX, with what SSE, SSE2 and SSSE3 added for MM registers. SDM Vol. 1 §9, Vol. 2. MMn is the significand of x87
 * register R[n] (cpu/fpu/x87_state.ts). Every instruction marks all x87 registers as used (EMMS: empty) and sets TOP
 * to 0 (Vol. 3A §12.2; conversions from memory to XMM do not, as AMD processors have it); writing MMn fills its exponent with ones.
 * Not done: FERR# instead of #MF when CR0.NE is clear.
 * @module
 */
import type { Emit, Value } from "../../emit/emit.ts";
import { EXC_MF, S } from "../../state/state.ts";
import { FSW_ES, FSW_TOP_SHIFT, X87_STATE } from "../../fpu/x87_state.ts";
import { integerOps, shiftLanes } from "./integer_ops.ts";
import { row, type RowOptions, type RowSize, type Semantics } from "../row/row.ts";
import { extractLane, insertLane, laneOf, wordIndexes } from "./sse_shuffle.ts";
import { slow } from "./ordinary.ts";
import { IMMEDIATE_SHIFTS } from "./sse_integer.ts";
import "./sse4.ts";
import "./sse_move.ts";
import {
  atMost,
  beyondSse2,
  checkAlignment,
  fromI64,
  iota,
  requireSse,
  source as source128,
} from "./sse_patterns.ts";

const MM: RowOptions = { reg: "mmx", rm: "mmx" };
/** FCW and FSW as one u32; FTW in the low byte of the next. */
const CONTROL_STATUS = S.x87 + X87_STATE.at.fcw;
const TAGS = S.x87 + X87_STATE.at.ftw;
const STATUS_SHIFT = 8 * (X87_STATE.at.fsw - X87_STATE.at.fcw);
const TOP_MASK = 7 << (FSW_TOP_SHIFT + STATUS_SHIFT);
const ES_BIT = Math.log2(FSW_ES) + STATUS_SHIFT;
const EXPONENT = 8;

/** #UD, #NM, #MF. */
function check(e: Emit): void {
  if (e.form.fpuTrap) e.microcode("check_mmx", {});
  e.faultIf(e.bit(e.state32(CONTROL_STATUS), ES_BIT), EXC_MF);
}
/** The x87 becomes MMX: after the last access that can fault. */
function enter(e: Emit): void {
  e.setState32(CONTROL_STATUS, e.and(32, e.state32(CONTROL_STATUS), e.i32(~TOP_MASK)));
  e.setState32(TAGS, e.or(32, e.state32(TAGS), e.i32(0xff)));
}
/** Writes an MM operand. */
function set(e: Emit, field: "reg" | "rm", value: Value): void {
  e.setXmmPart(field, value);
  e.setXmmPart(field, e.i32(0xffff), EXPONENT);
}
/** mm/m64. */
function source(e: Emit): Value {
  return e.form.isMemory ? e.load(64, e.address()) : e.xmmPart("rm", "i64");
}
/** mm/m32, above bit 31 whatever it is. */
function source32(e: Emit): Value {
  return e.form.isMemory ? e.zeroExtend(32, 64, e.load(32, e.address())) : e.xmmPart("rm", "i64");
}
const splat = (e: Emit, value: Value) => e.op("i64x2.splat", value);
const half = (e: Emit, v: Value, i: number) => e.lane("i64x2.extract_lane", i, v);
/** {low, high}. */
const both = (e: Emit, low: Value, high: Value) => e.lane("i64x2.replace_lane", 1, splat(e, low), high);

/** Defines a row. `f` loads, enters, writes. */
function mmx(
  text: string,
  encoding: string,
  f: Semantics,
  options: RowOptions = MM,
  size: RowSize = 64,
): void {
  row(text, encoding, size, (e, w) => {
    check(e);
    f(e, w);
  }, { ...beyondSse2(encoding), ...options });
}

for (const { name, opcode, f, twin, half: isHalf } of integerOps) {
  mmx(`${name} mm, mm/m${isHalf ? 32 : 64}`, `np ${opcode} /r`, (e) => {
    const b = isHalf ? source32(e) : source(e);
    const a = e.xmmPart("reg", "i64");
    enter(e);
    if (twin === "pair") {
      const v = both(e, a, b);
      set(e, "reg", half(e, f(e, v, v), 0));
    } else {
      set(e, "reg", half(e, f(e, splat(e, a), splat(e, b)), twin === "high" ? 1 : 0));
    }
  });
}
for (const [name, encoding, width, shift] of IMMEDIATE_SHIFTS) {
  mmx(`${name} mm, imm8`, `np ${encoding} :reg ub`, (e) => {
    enter(e);
    set(e, "rm", half(e, shiftLanes(e, width, shift, splat(e, e.xmmPart("rm", "i64")), e.imm(8)), 0));
  });
}

// Moves

const FROM_GPR = { reg: "mmx", rm: "gpr" } as const;
mmx(
  "MOVD/Q mm, r/m",
  "np 0f6e /r",
  (e, w) => {
    const value = e.rm(w);
    enter(e);
    set(e, "reg", e.zeroExtend(w, 64, value));
  },
  FROM_GPR,
  "y",
);
mmx(
  "MOVD/Q r/m, mm",
  "np 0f7e /r",
  (e, w) => {
    e.setRm(w, e.xmmPart("reg", w === 64 ? "i64" : "i32"));
    enter(e);
  },
  FROM_GPR,
  "y",
);
mmx("MOVQ mm, mm/m64", "np 0f6f /r", (e) => {
  const value = source(e);
  enter(e);
  set(e, "reg", value);
});
const store: Semantics = (e) => {
  const value = e.xmmPart("reg", "i64");
  if (e.form.isMemory) e.store(64, e.address(), value);
  enter(e);
  if (!e.form.isMemory) set(e, "rm", value);
};
mmx("MOVQ mm/m64, mm", "np 0f7f /r", store);
mmx("MOVNTQ m64, mm", "np 0fe7 /r :mem", store);
mmx("MOVQ2DQ xmm, mm", "f3 0fd6 /r :reg", (e) => {
  requireSse(e);
  enter(e);
  e.setXmmReg(fromI64(e, e.xmmPart("rm", "i64")));
}, { reg: "xmm", rm: "mmx" });
mmx("MOVDQ2Q mm, xmm", "f2 0fd6 /r :reg", (e) => {
  requireSse(e);
  enter(e);
  set(e, "reg", e.xmmPart("rm", "i64"));
}, { reg: "mmx", rm: "xmm" });
mmx("PMOVMSKB r32, mm", "np 0fd7 /r :reg", (e) => {
  enter(e);
  e.setReg(32, e.op("i8x16.bitmask", fromI64(e, e.xmmPart("rm", "i64"))));
}, { reg: "gpr", rm: "mmx" });
mmx("PSHUFW mm, mm/m64, imm8", "np 0f70 /r ub", (e) => {
  const b = source(e);
  enter(e);
  set(e, "reg", half(e, e.op("i8x16.swizzle", splat(e, b), wordIndexes(e, e.imm(8))), 0));
});
mmx("PALIGNR mm, mm/m64, imm8", "np 0f3a0f /r ub", (e) => {
  const b = source(e);
  const indexes = e.op("i8x16.add", iota(e), e.op("i8x16.splat", atMost(e, e.imm(8), 16)));
  enter(e);
  set(e, "reg", half(e, e.op("i8x16.swizzle", both(e, b, e.xmmPart("reg", "i64")), indexes), 0));
});
mmx(
  "PINSRW mm, r32/m16, imm8",
  "np 0fc4 /r ub",
  (e, w) => {
    const value = e.rm(w);
    enter(e);
    const old = fromI64(e, e.xmmPart("reg", "i64"));
    set(e, "reg", half(e, insertLane(e, 16, old, laneOf(e, 16, 64), value), 0));
  },
  FROM_GPR,
  16,
);
mmx("PEXTRW r32, mm, imm8", "np 0fc5 /r :reg ub", (e) => {
  enter(e);
  e.setReg(32, extractLane(e, 16, fromI64(e, e.xmmPart("rm", "i64")), laneOf(e, 16, 64)));
}, { reg: "gpr", rm: "mmx" });
// As MASKMOVDQU: a fault in the middle leaves the earlier bytes written. The x87 has become MMX even if the first byte
// faults, as a Zen 4 shows; the manuals say nothing of it.
mmx("MASKMOVQ mm, mm", "np 0ff7 /r :reg", (e) => {
  const mask = e.xmmPart("rm", "i64");
  const value = e.xmmPart("reg", "i64");
  const base = e.sourceAddress(e.gpr(7, 64));
  enter(e);
  checkAlignment(e, base, 8);
  const byte = (v: Value, i: number) => e.truncate(64, 8, i === 0 ? v : e.shrU(64, v, e.i32(8 * i)));
  for (let i = 0; i < 8; i++) {
    e.if(e.bit(byte(mask, i), 7), () => e.store(8, e.offsetBy(base, i), byte(value, i)));
  }
}, { ...MM, implicitSource: true });
row("EMMS", "np 0f77", "v", (e) => {
  check(e);
  enter(e);
  e.setState32(TAGS, e.and(32, e.state32(TAGS), e.i32(~0xff)));
});

// Conversions between packed floats and MM registers

const TO_XMM = { reg: "xmm", rm: "mmx" } as const;
const TO_MM = { reg: "mmx", rm: "xmm" } as const;
// From memory they have nothing to do with MMX.
const fromIntegers = (text: string, encoding: string, finish: (e: Emit, v: Value) => void) =>
  row(text, encoding, 64, (e) => {
    if (!e.form.isMemory) check(e);
    requireSse(e);
    const value = source(e);
    if (!e.form.isMemory) enter(e); // see toIntegers
    finish(e, value);
  }, TO_XMM);
fromIntegers("CVTPI2PS xmm, mm/m64", "np 0f2a /r", (e, v) => {
  slow(e, { operation: "from_i32", type: "f32", lanes: "mmx", value: v });
});
fromIntegers("CVTPI2PD xmm, mm/m64", "66 0f2a /r", (e, v) => {
  e.setXmmReg(e.op("f64x2.convert_low_i32x4_s", fromI64(e, v)));
});

for (const [name, opcode] of [["CVTT", "2c"], ["CVT", "2d"]] as const) {
  const operation = name === "CVTT" ? "truncate_i32" : "to_i32";
  const toIntegers = (text: string, encoding: string, type: "f32" | "f64") =>
    mmx(text, encoding, (e) => {
      requireSse(e);
      const b = !e.form.isMemory ? undefined : type === "f32" ? e.load(64, e.address()) : source128(e);
      enter(e); // real processors do so even when #XM follows
      slow(e, { operation, type, lanes: "mmx", value: b });
      set(e, "reg", e.microcodeResult(64));
    }, TO_MM);
  toIntegers(`${name}PS2PI mm, xmm/m64`, `np 0f${opcode} /r`, "f32");
  toIntegers(`${name}PD2PI mm, xmm/m128`, `66 0f${opcode} /r`, "f64");
}
