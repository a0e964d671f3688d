// SPDX-License-Identifier: MIT
/**
 * The engines of this folder, by name. Whoever builds a machine needs this file and `cpu/base/` only.
 * @module
 */
import type { EngineFactory, EngineName } from "./base/engine.ts";
import { Cpu } from "./cpu.ts";
import { CPU_RESERVED_BYTES } from "./state/state.ts";

/** The maker of engines called `engine`. */
export function engineFactory(engine: EngineName): EngineFactory {
  return {
    reservedBytes: CPU_RESERVED_BYTES,
    create: (memory, hooks, options = {}) => new Cpu(memory, hooks, { ...options, engine }),
  };
}
