// SPDX-License-Identifier: MIT
/**
 * The CPU as `xen/` and the devices see it.
 * @module
 */
import type { Gpa, Gva } from "./base/bits.ts";
import { GPR_NAMES, type GprName, type Vcpu } from "./base/vcpu.ts";
import type { CpuCore } from "./core/core.ts";

/** See the module's description. */
export class CoreVcpu implements Vcpu {
  constructor(readonly id: number, readonly core: CpuCore) {}

  get codeBits(): 16 | 32 | 64 {
    return this.core.codeBits;
  }
  get longMode(): boolean {
    return this.core.longMode;
  }
  get cpl(): number {
    return this.core.cpl;
  }
  readGpr(reg: GprName): bigint {
    return this.core.s.gpr(GPR_NUMBER[reg]);
  }
  writeGpr(reg: GprName, value: bigint): void {
    this.core.s.setGpr(GPR_NUMBER[reg], value);
  }
  get rip(): bigint {
    return this.core.rip;
  }
  get rflags(): number {
    return this.core.rflags;
  }
  translate(gva: Gva, write: boolean): Gpa | undefined {
    return this.core.mem.translateForHost(gva, write);
  }
  copyFromGuest(gva: Gva, into: Uint8Array): boolean {
    return this.core.mem.copyFromGuest(gva, into);
  }
  copyToGuest(gva: Gva, bytes: Uint8Array): boolean {
    return this.core.mem.copyToGuest(gva, bytes);
  }
  readTsc(): bigint {
    return this.core.readTsc();
  }
  get tscHz(): number {
    return this.core.hooks.tscHz;
  }
  retryInstruction(): void {
    this.core.retryRequested = true;
  }
}

const GPR_NUMBER = Object.fromEntries(GPR_NAMES.map((name, i) => [name, i])) as {
  readonly [R in GprName]: number;
};
