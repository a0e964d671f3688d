// SPDX-License-Identifier: MIT
/**
 * The engines of this folder, by name. Whoever builds a machine needs this file and `cpu/base/` only.
 * @module
 */
import type { EngineFactory, EngineName } from "./base/engine.ts";
import type { KvmHost } from "./base/kvm_host.ts";
import { Cpu } from "./cpu.ts";
import { kvmFactory } from "./kvm/kvm_engine.ts";
import { whyNoVm } from "./kvm/kvm_vm.ts";
import { CPU_RESERVED_BYTES } from "./state/state.ts";

/** The maker of engines called `engine`. `kvmHost`: whoever may touch the host hands it in. */
export function engineFactory(engine: EngineName, kvmHost: () => KvmHost): EngineFactory {
  if (engine === "kvm") return kvmFactory(kvmHost());
  return {
    reservedBytes: CPU_RESERVED_BYTES,
    create: (memory, hooks, options = {}) => new Cpu(memory, hooks, { ...options, engine }),
  };
}

/** Why the engine "kvm" cannot be had; undefined: it can. */
export function whyNoKvmEngine(kvmHost: () => KvmHost): string | undefined {
  return whyNoVm(kvmHost());
}
