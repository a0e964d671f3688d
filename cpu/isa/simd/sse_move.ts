// SPDX-License-Identifier: MIT
/** SSE to SSE4.1 data movement. SDM Vol. 2. @module */
import { integerOp, unpack } from "./integer_ops.ts";
import { row, type Semantics } from "../row/row.ts";
import {
  binary,
  checkAlignment,
  fromI32,
  fromI64,
  low,
  requireSse,
  sse,
  unary,
  XMM,
} from "./sse_patterns.ts";

const load = (aligned: boolean): Semantics => (e) =>
  e.setXmmReg(e.form.isMemory ? e.load128(e.address(), aligned) : e.xmmRm());
const store = (aligned: boolean): Semantics => (e) => {
  const value = e.xmmReg();
  if (e.form.isMemory) e.store128(e.address(), value, aligned);
  else e.setXmmRm(value);
};

for (const [prefix, suffix] of [["np", "PS"], ["66", "PD"]] as const) {
  sse(`MOVUP${suffix[1]} xmm, xmm/m128`, `${prefix} 0f10 /r`, load(false));
  sse(`MOVUP${suffix[1]} xmm/m128, xmm`, `${prefix} 0f11 /r`, store(false));
  sse(`MOVA${suffix} xmm, xmm/m128`, `${prefix} 0f28 /r`, load(true));
  sse(`MOVA${suffix} xmm/m128, xmm`, `${prefix} 0f29 /r`, store(true));
  sse(`MOVNT${suffix} m128, xmm`, `${prefix} 0f2b /r :mem`, store(true));
  sse(
    `MOVL${suffix} m64, xmm`,
    `${prefix} 0f13 /r :mem`,
    (e) => e.store(64, e.address(), e.xmmPart("reg", "i64")),
  );
  sse(
    `MOVH${suffix} m64, xmm`,
    `${prefix} 0f17 /r :mem`,
    (e) => e.store(64, e.address(), e.xmmPart("reg", "i64", 8)),
  );
  sse(
    `MOVL${suffix} xmm, m64`,
    `${prefix} 0f12 /r :mem`,
    (e) => e.setXmmPart("reg", e.load(64, e.address())),
  );
  sse(
    `MOVH${suffix} xmm, m64`,
    `${prefix} 0f16 /r :mem`,
    (e) => e.setXmmPart("reg", e.load(64, e.address()), 8),
  );
}
sse("MOVHLPS xmm, xmm", "np 0f12 /r :reg", (e) => e.setXmmPart("reg", e.xmmPart("rm", "i64", 8)));
sse("MOVLHPS xmm, xmm", "np 0f16 /r :reg", (e) => e.setXmmPart("reg", e.xmmPart("rm", "i64"), 8));
sse("MOVDQA xmm, xmm/m128", "66 0f6f /r", load(true));
sse("MOVDQA xmm/m128, xmm", "66 0f7f /r", store(true));
sse("MOVDQU xmm, xmm/m128", "f3 0f6f /r", load(false));
sse("MOVDQU xmm/m128, xmm", "f3 0f7f /r", store(false));
sse("LDDQU xmm, m128", "f2 0ff0 /r :mem", load(false));
sse("MOVNTDQ m128, xmm", "66 0fe7 /r :mem", store(true));
sse("MOVNTDQA xmm, m128", "66 0f382a /r :mem", load(true));
row("MOVNTI m, r", "np 0fc3 /r :mem", "y", (e, w) => e.store(w, e.address(), e.reg(w)));

const toXmm: Semantics = (e, w) => {
  const value = e.rm(w);
  e.setXmmReg(w === 64 ? fromI64(e, value) : fromI32(e, value));
};
sse("MOVD/Q xmm, r/m", "66 0f6e /r", toXmm, { reg: "xmm", rm: "gpr" }, "y");
sse("MOVD/Q r/m, xmm", "66 0f7e /r", (e, w) => e.setRm(w, e.xmmPart("reg", w === 64 ? "i64" : "i32")), {
  reg: "xmm",
  rm: "gpr",
}, "y");
sse("MOVQ xmm, xmm/m64", "f3 0f7e /r", (e) => e.setXmmReg(fromI64(e, low(e, 64))));
sse("MOVQ xmm/m64, xmm", "66 0fd6 /r", (e) => {
  const value = e.xmmPart("reg", "i64");
  if (e.form.isMemory) e.store(64, e.address(), value);
  else e.setXmmRm(fromI64(e, value));
});
sse("MOVSS xmm, m32", "f3 0f10 /r :mem", (e) => e.setXmmReg(fromI32(e, low(e, 32))));
sse("MOVSS xmm, xmm", "f3 0f10 /r :reg", (e) => e.setXmmPart("reg", e.xmmPart("rm", "i32")));
sse("MOVSS m32, xmm", "f3 0f11 /r :mem", (e) => e.store(32, e.address(), e.xmmPart("reg", "i32")));
sse("MOVSS xmm, xmm", "f3 0f11 /r :reg", (e) => e.setXmmPart("rm", e.xmmPart("reg", "i32")));
sse("MOVSD xmm, m64", "f2 0f10 /r :mem", (e) => e.setXmmReg(fromI64(e, low(e, 64))));
sse("MOVSD xmm, xmm", "f2 0f10 /r :reg", (e) => e.setXmmPart("reg", e.xmmPart("rm", "i64")));
sse("MOVSD m64, xmm", "f2 0f11 /r :mem", (e) => e.store(64, e.address(), e.xmmPart("reg", "i64")));
sse("MOVSD xmm, xmm", "f2 0f11 /r :reg", (e) => e.setXmmPart("rm", e.xmmPart("reg", "i64")));
sse("MOVDDUP xmm, xmm/m64", "f2 0f12 /r", (e) => e.setXmmReg(e.op("i64x2.splat", low(e, 64))));
const duplicate = (lanes: readonly number[]) =>
  unary((e, b) => e.shuffle(lanes.flatMap((l) => [l * 4, l * 4 + 1, l * 4 + 2, l * 4 + 3]), b, b));
sse("MOVSLDUP xmm, xmm/m128", "f3 0f12 /r", duplicate([0, 0, 2, 2]));
sse("MOVSHDUP xmm, xmm/m128", "f3 0f16 /r", duplicate([1, 1, 3, 3]));

sse("UNPCKLPS xmm, xmm/m128", "np 0f14 /r", binary(unpack(4, false)));
sse("UNPCKLPD xmm, xmm/m128", "66 0f14 /r", binary(unpack(8, false)));
sse("UNPCKHPS xmm, xmm/m128", "np 0f15 /r", binary(unpack(4, true)));
sse("UNPCKHPD xmm, xmm/m128", "66 0f15 /r", binary(unpack(8, true)));
integerOp("PUNPCKLBW", "0f60", unpack(1, false), "low", true);
integerOp("PUNPCKLWD", "0f61", unpack(2, false), "low", true);
integerOp("PUNPCKLDQ", "0f62", unpack(4, false), "low", true);
integerOp("PUNPCKLQDQ", "0f6c", unpack(8, false), "none");
integerOp("PUNPCKHBW", "0f68", unpack(1, true), "high");
integerOp("PUNPCKHWD", "0f69", unpack(2, true), "high");
integerOp("PUNPCKHDQ", "0f6a", unpack(4, true), "high");
integerOp("PUNPCKHQDQ", "0f6d", unpack(8, true), "none");

for (const [encoding, name, lane] of [["np 0f50", "PS", "i32x4"], ["66 0f50", "PD", "i64x2"]] as const) {
  sse(
    `MOVMSK${name} r32, xmm`,
    `${encoding} /r :reg`,
    (e) => e.setReg(32, e.op(`${lane}.bitmask`, e.xmmRm())),
    {
      reg: "gpr",
      rm: "xmm",
    },
  );
}
sse("PMOVMSKB r32, xmm", "66 0fd7 /r :reg", (e) => e.setReg(32, e.op("i8x16.bitmask", e.xmmRm())), {
  reg: "gpr",
  rm: "xmm",
});

// Bytes are stored one by one where the mask says so: a fault in the middle leaves the earlier ones written,
// which the SDM allows (implementation-specific).
row("MASKMOVDQU xmm, xmm", "66 0ff7 /r :reg", 128, (e) => {
  requireSse(e);
  const mask = e.xmmRm();
  const value = e.xmmReg();
  const base = e.sourceAddress(e.gpr(7, 64));
  checkAlignment(e, base, 8);
  for (let i = 0; i < 16; i++) {
    const sign = e.lane("i8x16.extract_lane_u", i, mask);
    e.if(e.bit(sign, 7), () => {
      e.store(8, e.offsetBy(base, i), e.lane("i8x16.extract_lane_u", i, value));
    });
  }
}, { ...XMM, implicitSource: true });
