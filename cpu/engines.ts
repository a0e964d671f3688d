// SPDX-License-Identifier: MIT
/**
 * The engines of this folder, by name. Whoever builds a machine needs this file and `cpu/base/` only. What is KVM's is
 * loaded when somebody wants it: the others begin sooner.
 * @module
 */
import type { EngineFactory, EngineName } from "./base/engine.ts";
import type { KvmHost } from "./base/kvm_host.ts";
import { Cpu } from "./cpu.ts";
import { CPU_RESERVED_BYTES } from "./state/state.ts";

/** Whoever may touch the host hands it in. */
export type KvmDoor = () => KvmHost | Promise<KvmHost>;

/** The maker of engines called `engine`. */
export async function engineFactory(engine: EngineName, kvmHost: KvmDoor): Promise<EngineFactory> {
  if (engine === "kvm") {
    const { kvmFactory } = await import("./kvm/kvm_engine.ts");
    return kvmFactory(await kvmHost());
  }
  return {
    reservedBytes: CPU_RESERVED_BYTES,
    create: (memory, hooks, options = {}) => new Cpu(memory, hooks, { ...options, engine }),
  };
}

/** Why the engine "kvm" cannot be had; undefined: it can. */
export async function whyNoKvmEngine(kvmHost: KvmDoor): Promise<string | undefined> {
  const { whyNoVm } = await import("./kvm/kvm_vm.ts");
  return whyNoVm(await kvmHost());
}
