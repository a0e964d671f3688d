// SPDX-License-Identifier: MIT
/** What an x87 instruction costs through X87.execute. @module */
import { X87_STATE } from "./x87_state.ts";
import { X87 } from "./x87.ts";

const view = new DataView(new ArrayBuffer(X87_STATE.size + 128));
const x = new X87(view, 0, X87_STATE.size);
const OPERAND = X87_STATE.size;
x.execute(0xdb, 0xe3);

/** Pushes 1.1 and 0.7, runs one instruction `n` times, pops. */
function repeat(op: number, modrm: number, n: number): void {
  for (const value of [1.1, 0.7]) {
    view.setFloat64(OPERAND, value, true);
    x.execute(0xdd, 0x05);
  }
  for (let i = 0; i < n; i++) x.execute(op, modrm);
  x.execute(0xdd, 0xd8);
  x.execute(0xdd, 0xd8);
}

const N = 1000;
for (
  const [name, op, modrm] of [
    ["FADD ST(0), ST(1)", 0xd8, 0xc1],
    ["FMUL ST(0), ST(1)", 0xd8, 0xc9],
    ["FDIV ST(0), ST(1)", 0xd8, 0xf1],
    ["FADD m64", 0xdc, 0x05],
    ["FST m64", 0xdd, 0x15],
    ["FCOM ST(1)", 0xd8, 0xd1],
    ["FXCH", 0xd9, 0xc9],
    ["FCHS", 0xd9, 0xe0],
    ["FSQRT", 0xd9, 0xfa],
    ["FSIN", 0xd9, 0xfe],
    ["F2XM1", 0xd9, 0xf0],
  ] as const
) {
  Deno.bench(`${name} x ${N}`, () => repeat(op, modrm, N));
}

Deno.bench(`FLD m64, FMUL m64, FADD ST(1), FSTP m64 x ${N}`, () => {
  view.setFloat64(OPERAND, 0.3, true);
  for (let i = 0; i < N; i++) {
    x.execute(0xdd, 0x05);
    x.execute(0xdc, 0x0d);
    x.execute(0xd8, 0xc0);
    x.execute(0xdd, 0x1d);
  }
});
