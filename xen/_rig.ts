// SPDX-License-Identifier: MIT
/**
 * A rig for tests: the platform over guest memory and a vCPU without instructions, whose virtual addresses are
 * physical ones, so that tests issue hypercalls as a guest would. Not part of the product.
 * @module
 */
import { MiB } from "../cpu/base/bits.ts";
import { ManualClock } from "../cpu/base/clock.ts";
import { GuestMemory } from "../cpu/base/guest_memory.ts";
import { Tracer } from "../cpu/base/trace.ts";
import type { GprName, Vcpu } from "../cpu/base/vcpu.ts";
import { SHUTDOWN_soft_reset } from "./public/sched.ts";
import { XenPlatform, type XenPlatformOptions } from "./platform/platform.ts";

/** A vCPU whose registers tests set; RAM is identity mapped and writable. */
export class FakeVcpu implements Vcpu {
  readonly id = 0;
  codeBits: 16 | 32 | 64 = 64;
  cpl = 0;
  rip = 0n;
  rflags = 0x202;
  readonly tscHz = 2_000_000_000;
  /** Times retryInstruction was called. */
  retries = 0;
  /** Accesses to guest memory by virtual address. */
  copies = 0;
  readonly registers = new Map<GprName, bigint>();

  constructor(readonly memory: GuestMemory, readonly clock: ManualClock) {}

  get longMode(): boolean {
    return this.codeBits === 64;
  }
  readGpr(register: GprName): bigint {
    return this.registers.get(register) ?? 0n;
  }
  writeGpr(register: GprName, value: bigint): void {
    this.registers.set(register, BigInt.asUintN(64, value));
  }
  translate(gva: bigint, _write: boolean): number | undefined {
    return this.memory.contains(Number(gva), 1) ? Number(gva) : undefined;
  }
  copyFromGuest(gva: bigint, into: Uint8Array): boolean {
    this.copies++;
    return this.memory.read(Number(gva), into);
  }
  copyToGuest(gva: bigint, bytes: Uint8Array): boolean {
    this.copies++;
    return this.memory.write(Number(gva), bytes);
  }
  retryInstruction(): void {
    this.retries++;
  }
  /** Two ticks per nanosecond of the clock. */
  readTsc(): bigint {
    return BigInt(this.clock.nowNs()) * 2n;
  }
}

/** What happened on the platform's wires. */
export interface WireLog {
  /** Levels of lines by name: "gsi 5", "intx 3.0". */
  readonly lines: Map<string, boolean>;
  /** What the controllers ask while the line is up, by name. */
  readonly levels: Map<string, () => boolean>;
  readonly vectors: number[];
  interruptsChanged: number;
  readonly shutdowns: number[];
  readonly blocked: boolean[];
  console: string;
  /** Answer of the interrupt controllers; default: nothing is pending. */
  interruptPending: () => boolean;
}

/** Everything a test of the platform touches. */
export interface XenRig {
  readonly memory: GuestMemory;
  readonly vcpu: FakeVcpu;
  readonly clock: ManualClock;
  readonly tracer: Tracer;
  readonly platform: XenPlatform;
  readonly wires: WireLog;
  /** Guest RAM from physical address 0. */
  readonly ram: DataView<ArrayBuffer>;
  /**
   * Issues hypercall `nr` at the vCPU's width, as often as it asks to be continued (unless the vCPU is blocked); the
   * result as a signed number.
   */
  hypercall(nr: number | bigint, ...args: (number | bigint)[]): number;
}

/** What tests may choose. */
export interface XenRigOptions
  extends Partial<Omit<XenPlatformOptions, "memory" | "vcpu" | "clock" | "tracer">> {
  readonly ramBytes?: number;
  /** Answer of wires.shutdown; default true. */
  readonly stop?: boolean;
}

const ARGUMENTS_64: readonly GprName[] = ["rdi", "rsi", "rdx", "r10", "r8", "r9"];
const ARGUMENTS_32: readonly GprName[] = ["rbx", "rcx", "rdx", "rsi", "rdi", "rbp"];

/** Builds a rig. The wall clock stands at 1,700,000,000.25 s when the clock is at zero, and follows it. */
export function xenRig(options: XenRigOptions = {}): XenRig {
  const { ramBytes = 4 * MiB, stop = true, ...platformOptions } = options;
  const memory = new GuestMemory(ramBytes);
  const clock = new ManualClock();
  const vcpu = new FakeVcpu(memory, clock);
  const tracer = new Tracer();
  const wires: WireLog = {
    lines: new Map(),
    levels: new Map(),
    vectors: [],
    interruptsChanged: 0,
    shutdowns: [],
    blocked: [],
    console: "",
    interruptPending: () => false,
  };
  const line = (name: string, level: () => boolean) => {
    wires.levels.set(name, level);
    return { set: (asserted: boolean) => void wires.lines.set(name, asserted) };
  };
  const platform: XenPlatform = new XenPlatform({
    wallclock: () => 1_700_000_000.25 + clock.nowNs() / 1e9,
    wires: {
      gsi: (gsi, level) => line(`gsi ${gsi}`, level),
      pciIntx: (device, pin, level) => line(`intx ${device}.${pin}`, level),
      injectVector: (vector) => void wires.vectors.push(vector),
      interruptsChanged: () => void wires.interruptsChanged++,
      shutdown: (reason) => {
        wires.shutdowns.push(reason);
        return stop;
      },
      interruptPending: () => wires.interruptPending(),
      softReset: () => {
        wires.shutdowns.push(SHUTDOWN_soft_reset);
        platform.reset("soft");
      },
      blockedChanged: (blocked) => void wires.blocked.push(blocked),
      consoleWrite: (bytes) => void (wires.console += new TextDecoder("latin1").decode(bytes)),
    },
    ...platformOptions,
    memory,
    vcpu,
    clock,
    tracer,
  });
  return {
    memory,
    vcpu,
    clock,
    tracer,
    platform,
    wires,
    ram: new DataView(memory.view.buffer, memory.map.ram, ramBytes),
    hypercall(nr, ...args) {
      const names = vcpu.codeBits === 64 ? ARGUMENTS_64 : ARGUMENTS_32;
      vcpu.writeGpr("rax", BigInt(nr));
      args.forEach((arg, i) => vcpu.writeGpr(names[i] as GprName, BigInt(arg)));
      let legs = vcpu.retries;
      platform.hypercall();
      while (vcpu.retries !== legs && !platform.blocked) {
        legs = vcpu.retries;
        platform.hypercall();
      }
      return Number(BigInt.asIntN(vcpu.codeBits === 64 ? 64 : 32, vcpu.readGpr("rax")));
    },
  };
}
