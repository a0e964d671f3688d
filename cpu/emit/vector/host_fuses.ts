// SPDX-License-Identifier: MIT
/** What WebAssembly's relaxed multiply-add does here, which may be either. @module */
import { FunctionBody, ModuleBuilder } from "../../wasm/encoder.ts";
import { WasmBuilder } from "../builder.ts";

/** Whether WebAssembly's relaxed multiply-add rounds once on this host. */
export const HOST_FUSES: boolean = (() => {
  const module = new ModuleBuilder();
  const type = module.type(["f64"], ["f64"]);
  const body = new FunctionBody(1), b = new WasmBuilder(body);
  const x = b.op("f64x2.splat", b.parameter(0, "f64"));
  const square = b.op("f64x2.mul", x, x);
  b.return(b.lane("f64x2.extract_lane", 0, b.op("f64x2.relaxed_madd", x, x, b.op("f64x2.neg", square))));
  b.unreachable();
  module.addFunction(type, body, { exportName: "error" });
  const bytes = module.encode();
  if (!WebAssembly.validate(bytes)) return false;
  const { error } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  return (error as (x: number) => number)(1 + 2 ** -30) === 2 ** -60; // of the square: 0 when that is rounded first
})();
