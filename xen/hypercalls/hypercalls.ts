// SPDX-License-Identifier: MIT
/**
 * The hypercall dispatcher: number in RAX or EAX, arguments by the width of the running code, result in RAX. Rules:
 * Xen public/arch-x86/xen-x86_{32,64}.h; behavior of hvm_hypercall.
 *
 * Which way the guest came (the hypercall page's port, vmcall, vmmcall) makes no difference. User mode gets -EPERM.
 *
 * No call keeps the machine longer than its budget allows (guest_call.ts): a long one is put off in the middle. Then RAX
 * still has its number, the arguments say what is left, and the vCPU executes the instruction once more, after
 * interrupts.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import { hex } from "../../cpu/base/bits.ts";
import type { Vcpu } from "../../cpu/base/vcpu.ts";
import { consoleIo } from "./console_io.ts";
import { eventChannelOp } from "./event_channel_op.ts";
import { grantTableOp } from "./grant_table_op.ts";
import { GuestCall, WorkBudget } from "./guest_call.ts";
import { hvmOp } from "./hvm_op.ts";
import { memoryOp } from "./memory_op.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { type GuestBits, namesOf } from "../public/abi.ts";
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM } from "../public/errno.ts";
import * as errno_h from "../public/errno.ts";
import * as physdev_h from "../public/physdev.ts";
import * as xen_h from "../public/xen.ts";
import {
  multicall_entry,
  VMASST_CMD_disable,
  VMASST_CMD_enable,
  VMASST_TYPE_runstate_update_flag,
} from "../public/xen.ts";
import { schedOp } from "./sched_op.ts";
import { vcpuOp } from "./vcpu_op.ts";
import { xenVersion } from "./xen_version.ts";

const NAMES = namesOf(xen_h, "__HYPERVISOR_");
const ERRORS = namesOf(errno_h, "XEN_");
const MULTICALL_ARGS = 6;
/** Work of finding out what a call is. */
const CALL_WORK = 2;
const SIGN_64 = 1n << 63n;
/** Calls an unprivileged domain may not make, as Xen says it, instead of "there is no such call". */
const PRIVILEGED: ReadonlySet<string> = new Set(["platform_op", "sysctl", "domctl", "kexec_op"]);

/** Calls with three arguments; the others have two, set_timer_op of 64-bit guests one. */
const THREE_ARGUMENTS: ReadonlySet<string> = new Set(["console_io", "grant_table_op", "vcpu_op"]);
const MOST_ARGUMENTS = 6;

interface Entry extends Hypercall {
  readonly counter: string;
}

/** A hypercall that was made, as a listener sees it. */
export interface HypercallEvent {
  /** "memory_op"; "unknown" when its number has no name. */
  readonly name: string;
  /** "add_to_physmap": what the first argument stands for, where it selects something known. */
  readonly operation?: string;
  /** Every argument, as registers or the multicall's entry had them; of a call that there is not: the first six. */
  readonly args: readonly bigint[];
  /** What the guest gets: negative numbers are errors (-38: ENOSYS). */
  readonly result: number;
}

/** A hypercall that is about to be performed. */
export type HypercallRequest = Omit<HypercallEvent, "result">;

/** See the module's description. */
export class Hypercalls {
  /**
   * Asked before every hypercall from kernel mode, those in a multicall included: a number is the answer, and nobody else
   * sees the call. One that is continued is asked about each time.
   */
  hook: ((request: HypercallRequest) => number | undefined) | undefined;
  /** Told of every hypercall from kernel mode, those in a multicall included, after it was performed. */
  onHypercall: ((event: HypercallEvent) => void) | undefined;
  readonly #parts: XenParts;
  readonly #vcpu: Vcpu;
  readonly #table: (Entry | undefined)[] = [];
  readonly #call: GuestCall;
  readonly #inner: GuestCall;
  readonly #budget = new WorkBudget();

  constructor(parts: XenParts, vcpu: Vcpu) {
    this.#parts = parts;
    this.#vcpu = vcpu;
    this.#call = new GuestCall(vcpu, this.#budget);
    this.#inner = new GuestCall(vcpu, this.#budget);
    for (
      const family of [
        memoryOp,
        xenVersion,
        consoleIo,
        grantTableOp,
        vcpuOp,
        schedOp,
        eventChannelOp,
        hvmOp,
        setTimerOp,
        vmAssist,
        physdevOp,
      ]
    ) this.#add(family(parts));
    this.#add({ name: "multicall", run: (call) => this.#multicall(call) });
    for (const name of PRIVILEGED) this.#add({ name, run: () => -XEN_EPERM });
  }

  /** Performs the hypercall in the vCPU's registers and writes the result to RAX. */
  run(): void {
    const vcpu = this.#vcpu;
    const bits: GuestBits = vcpu.codeBits === 64 ? 64 : 32;
    const rax = vcpu.readGpr("rax");
    const nr = bits === 64 ? rax : rax & 0xffff_ffffn;
    let result: number;
    if (vcpu.cpl !== 0) {
      this.#parts.tracer.warnOnce("hypercall.user_mode", "hypercall from user mode refused");
      result = -XEN_EPERM;
    } else {
      this.#budget.refill();
      this.#call.begin(bits);
      result = this.#dispatch(nr > 0xffffn ? -1 : Number(nr), this.#call);
      if (this.#call.preempted) {
        this.#parts.tracer.counters.add("hypercall.continued");
        return vcpu.retryInstruction();
      }
    }
    if (result === 0) vcpu.writeGpr("rax", 0n);
    else vcpu.writeGpr("rax", BigInt.asUintN(bits, BigInt(result)));
  }

  #add(hypercall: Hypercall): void {
    const nr = NAMES.indexOf(hypercall.name);
    this.#table[nr] = {
      name: hypercall.name,
      counter: `hypercall.${hypercall.name}`,
      ...(hypercall.operations === undefined ? {} : { operations: hypercall.operations }),
      run: hypercall.run,
    };
  }

  #dispatch(nr: number, call: GuestCall): number {
    const { tracer } = this.#parts;
    this.#budget.spend(CALL_WORK);
    const entry = this.#table[nr];
    if (this.hook !== undefined) {
      const answer = this.#ask(this.hook, nr, entry, call);
      if (answer !== undefined) return answer;
    }
    if (entry === undefined) {
      tracer.counters.add("hypercall.unknown");
      tracer.unimplemented(`hypercall ${NAMES[nr] ?? nr}`);
      this.onHypercall?.({
        name: NAMES[nr] ?? "unknown",
        args: argumentsOf(call, MOST_ARGUMENTS),
        result: -XEN_ENOSYS,
      });
      return -XEN_ENOSYS;
    }
    const result = this.onHypercall === undefined && !tracer.on("hypercall")
      ? entry.run(call)
      : this.#observe(entry, call);
    if (!call.preempted) tracer.counters.add(entry.counter);
    return result;
  }

  #ask(
    hook: (request: HypercallRequest) => number | undefined,
    nr: number,
    entry: Entry | undefined,
    call: GuestCall,
  ): number | undefined {
    const { tracer } = this.#parts;
    const operation = entry?.operations?.[call.u32(0)];
    const request: HypercallRequest = {
      name: entry?.name ?? NAMES[nr] ?? "unknown",
      ...(operation !== undefined && { operation }),
      args: argumentsOf(call, entry === undefined ? MOST_ARGUMENTS : argumentCount(entry, call)),
    };
    const result = hook(request);
    if (result === undefined) return undefined;
    assert(Number.isSafeInteger(result), "a hook answers with a whole number");
    tracer.counters.add("hypercall.answered");
    tracer.log("hypercall", `${request.name} was answered by a hook: ${result}`);
    this.onHypercall?.({ ...request, result });
    return result;
  }

  #observe(entry: Entry, call: GuestCall): number {
    const { tracer } = this.#parts;
    const text = tracer.on("hypercall") ? describe(entry, call) : "";
    const operation = entry.operations?.[call.u32(0)];
    const args = argumentsOf(call, argumentCount(entry, call));
    const result = entry.run(call);
    if (call.preempted) {
      tracer.log("hypercall", `${text} to be continued`);
      return result;
    }
    tracer.log("hypercall", `${text} = ${result < 0 ? `-${ERRORS[-result] ?? -result}` : hex(result)}`);
    this.onHypercall?.({ name: entry.name, ...(operation !== undefined && { operation }), args, result });
    return result;
  }

  #multicall(call: GuestCall): number {
    const list = call.arg(0);
    const count = call.u32(1);
    if (call === this.#inner) return -XEN_EINVAL; // no multicall inside a multicall
    const { at, size } = multicall_entry[call.bits];
    for (let i = 0; i < count; i++) {
      const entry = list + BigInt(i * size);
      // A vCPU that has blocked itself makes the other calls once it is awake.
      if (i > 0 && (this.#budget.exhausted || this.#parts.scheduler.blocked)) {
        return call.continueWith(entry, count - i);
      }
      if (!call.load(entry, size)) return -XEN_EFAULT;
      const op = call.long(at.op);
      const args: bigint[] = [];
      for (let a = 0; a < MULTICALL_ARGS; a++) args.push(call.pointer(at.args + a * call.longBytes));
      this.#inner.begin(call.bits, args);
      const result = this.#dispatch(op > 0xffff ? -1 : op, this.#inner);
      if (this.#inner.preempted) {
        args.forEach((arg, a) => call.setLong(at.args + a * call.longBytes, arg));
        return call.store(entry, size) ? call.continueWith(entry, count - i) : -XEN_EFAULT;
      }
      call.setLong(at.result, BigInt.asUintN(call.bits, BigInt(result)));
      if (!call.store(entry + BigInt(at.result), call.longBytes, at.result)) return -XEN_EFAULT;
    }
    return 0;
  }
}

function argumentCount(entry: Entry, call: GuestCall): number {
  if (entry.name === "set_timer_op" && call.bits === 64) return 1;
  return THREE_ARGUMENTS.has(entry.name) ? 3 : 2;
}

function argumentsOf(call: GuestCall, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => call.arg(i));
}

function describe(entry: Entry, call: GuestCall): string {
  const first = call.u32(0);
  const operation = entry.operations === undefined ? hex(call.arg(0)) : entry.operations[first] ?? hex(first);
  return `${entry.name}(${operation}, ${hex(call.arg(1))}, ${hex(call.arg(2))})`;
}

/** set_timer_op: 32-bit callers pass the signed 64-bit time in two arguments. */
function setTimerOp(parts: XenParts): Hypercall {
  return {
    name: "set_timer_op",
    run(call) {
      const time = call.bits === 64 ? call.arg(0) : call.arg(0) | (call.arg(1) << 32n);
      return parts.timers.setTimerOp(Number((time & SIGN_64) !== 0n ? time - 2n * SIGN_64 : time));
    },
  };
}

/** vm_assist: the one type for HVM domains changes nothing that one vCPU could observe. */
function vmAssist(_parts: XenParts): Hypercall {
  return {
    name: "vm_assist",
    run(call) {
      const command = call.u32(0);
      if (call.u32(1) !== VMASST_TYPE_runstate_update_flag) return -XEN_EINVAL;
      return command === VMASST_CMD_enable || command === VMASST_CMD_disable ? 0 : -XEN_ENOSYS;
    },
  };
}

/** physdev_op: nothing for a domain without pirqs. */
function physdevOp(_parts: XenParts): Hypercall {
  return {
    name: "physdev_op",
    operations: namesOf(physdev_h, "PHYSDEVOP_"),
    run: () => -XEN_ENOSYS,
  };
}
