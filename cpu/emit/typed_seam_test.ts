// SPDX-License-Identifier: MIT
/**
 * The seam between descriptions and emission is typed: each line below with "@ts-expect-error" must not compile, which
 * `deno check` sees to. What types cannot know is asserted when code is emitted.
 * @module
 */
import { assertThrows } from "@std/assert";
import { FunctionBody } from "../wasm/encoder.ts";
import { WasmBuilder } from "./builder.ts";
import type { Emit, Width } from "./emit.ts";

/** Never called: it is there to be compiled. */
export function descriptions(e: Emit, w: Width): void {
  e.op("i32.add", e.i32(1), e.i32(2));
  e.op("i32x4.splat", e.gpr(0, 32));
  e.op(w === 64 ? "i64.add" : "i32.add", e.gpr(0, w), e.gpr(1, w)); // i32 or i64, as the width has it
  // @ts-expect-error: no such operation
  e.op("i32.ad", e.i32(1), e.i32(2));
  // @ts-expect-error: an operand is missing
  e.op("i32.add", e.i32(1));
  // @ts-expect-error: a vector is no number
  e.op("i32.add", e.i32(1), e.xmmReg());
  // @ts-expect-error: that one has a lane index
  e.op("i32x4.extract_lane", e.xmmReg());
  // @ts-expect-error: a register of 64 bits wants 64 bits
  e.setGpr(0, 64, e.op("i32.wrap_i64", e.gpr(0, 64)));

  e.microcode("out", { port: e.imm(32), size: e.i32(1), value: e.gpr(0, 8) });
  // @ts-expect-error: no such microcode
  e.microcode("outt", { port: e.imm(32), size: e.i32(1), value: e.gpr(0, 8) });
  // @ts-expect-error: an argument is missing
  e.microcode("out", { port: e.imm(32), size: e.i32(1) });
  // @ts-expect-error: an argument of another name
  e.microcode("hlt", { port: e.imm(32) });
  // @ts-expect-error: linear addresses have 64 bits
  e.microcode("invlpg", { linear: e.i32(0) });
}

Deno.test("operands of the wrong type are refused when code is emitted", () => {
  const b = new WasmBuilder(new FunctionBody(0));
  assertThrows(() => b.op("i32.add", b.i32(1), b.i64(2)), Error, "operands of i32.add");
  assertThrows(() => b.lane("i32x4.extract_lane", 0, b.i32(1)), Error, "operand 0 of i32x4.extract_lane");
});
