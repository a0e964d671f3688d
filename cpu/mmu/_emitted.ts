// SPDX-License-Identifier: MIT
/** One emitted function by itself, and chance, for the tests of emitted walks and INVLPG. @module */
import { ENVIRONMENT, MEMORY_NAME } from "../emit/links.ts";
import { WasmBuilder } from "../emit/builder.ts";
import type { GuestMemory } from "../base/guest_memory.ts";
import { FunctionBody, ModuleBuilder } from "../wasm/encoder.ts";

/** The function of two parameters to i32 that `emit` makes, working on `memory`. */
export function emitted<F>(
  memory: GuestMemory,
  first: "i32" | "i64",
  emit: (b: WasmBuilder) => void,
): F {
  const module = new ModuleBuilder();
  module.importMemory(ENVIRONMENT, MEMORY_NAME, memory.map.totalBytes / 65536);
  const body = new FunctionBody(2);
  const b = new WasmBuilder(body);
  emit(b);
  b.unreachable();
  module.addFunction(module.type([first, "i32"], ["i32"]), body, { exportName: "emitted" });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
    [ENVIRONMENT]: { [MEMORY_NAME]: memory.memory },
  });
  return instance.exports["emitted"] as F;
}

/** xorshift32 */
export function random(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}
