// SPDX-License-Identifier: MIT
/**
 * The numeric fused multiply-add, which hosts without one use, against bit by bit arithmetic (cpu/fpu/sse/fused.ts, which the
 * host's CPU judges elsewhere): sums that cancel, ties, terms far above and below the product.
 * @module
 */
import { assertEquals } from "@std/assert";
import { type Val, WasmBuilder } from "../../emit/builder.ts";
import { fusedMultiplyAdd } from "../../fpu/sse/fused.ts";
import { SseEnv } from "../../fpu/sse/mxcsr.ts";
import { DOUBLE, SINGLE } from "../../fpu/sse/soft_float.ts";
import { FunctionBody, ModuleBuilder } from "../../wasm/encoder.ts";
import { Random } from "../_cases.ts";
import { fusedFunctions } from "./fused.ts";

const MEMORY = 0x40;

/** Calls `which` with vectors that are in memory, one behind the other; the result is where the first was. */
function compiled(which: keyof typeof fusedFunctions): { run: () => void; view: DataView } {
  const module = new ModuleBuilder();
  module.importMemory("e", "m", 1);
  const body = new FunctionBody(0), b = new WasmBuilder(body);
  const [x, y, z] = [0, 16, 32].map((at) => b.loadRaw("v128.load", b.i32(MEMORY + at))) as [Val, Val, Val];
  b.storeRaw("v128.store", b.i32(MEMORY), fusedFunctions[which](b, x, y, z));
  module.addFunction(module.type([], []), body, { exportName: "run" });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { e: { m: memory } });
  return { run: exports.run as () => void, view: new DataView(memory.buffer, MEMORY, 48) };
}

for (const [which, f, exponents] of [["fma_f32", SINGLE, 40], ["fma_f64", DOUBLE, 300]] as const) {
  Deno.test(`${which} rounds once`, () => {
    const { run, view } = compiled(which);
    const random = new Random(1), bytes = f.bits / 8, bits = BigInt(f.precision - 1);
    const number = (exponent: number, few: boolean) => {
      let fraction = random.u64() & ((1n << bits) - 1n);
      if (few) fraction = (fraction >> (bits - 3n)) << (bits - 3n) | BigInt(random.below(3));
      return (BigInt(random.below(2)) << BigInt(f.bits - 1)) | (BigInt(exponent + f.bias) << bits) | fraction;
    };
    for (let n = 0; n < 4000; n++) {
      const lanes = Array.from({ length: 16 / bytes }, () => {
        const [p, q] = [random.below(exponents) - exponents / 2, random.below(exponents) - exponents / 2];
        const distance = random.chance(50)
          ? random.below(4) - 1
          : random.below(2 * f.precision + 8) - f.precision - 4;
        return [
          number(p, random.chance(40)),
          number(q, random.chance(40)),
          number(p + q + distance, random.chance(40)),
        ] as const;
      });
      lanes.forEach((lane, i) =>
        lane.forEach((value, operand) => {
          if (bytes === 4) view.setUint32(16 * operand + 4 * i, Number(value), true);
          else view.setBigUint64(16 * operand + 8 * i, value, true);
        })
      );
      run();
      lanes.forEach((lane, i) => {
        const is = bytes === 4 ? BigInt(view.getUint32(4 * i, true)) : view.getBigUint64(8 * i, true);
        const wanted = fusedMultiplyAdd(f, new SseEnv(), lane, { product: false, term: false });
        assertEquals(is.toString(16), wanted.toString(16), lane.map((value) => value.toString(16)).join());
      });
    }
  });
}
