// SPDX-License-Identifier: MIT
/**
 * The table of microcode: what emitted code calls by name for instructions that are not plain computation.
 * Arguments are in S.arg (declared in cpu/emit/microcode_calls.ts); results go to S.arg too. A function either does all of
 * the instruction, or answers FAULT with nothing changed. Those that move RIP set S.rip and answer DISPATCH.
 * @module
 */
import {
  clts,
  invlpg,
  invpcid,
  lmsw,
  loadTableRegister,
  movFromCr,
  movFromDr,
  movToCr,
  movToDr,
  rdpkru,
  wrpkru,
  xsetbv,
} from "./control_registers.ts";
import type { CpuCore, Microcode } from "../core/core.ts";
import type { MicrocodeName } from "../emit/microcode_calls.ts";
import { cpuid } from "./cpuid.ts";
import {
  type EventKind,
  interruptNumber,
  PRIVILEGED_SOFTWARE,
  SOFTWARE,
  softwareInterrupt,
} from "../segments/exceptions.ts";
import { farCall, farJump, farReturn } from "../segments/far_transfer.ts";
import { syscall, sysenter, sysexit, sysret } from "./fast_system_call.ts";
import { fxrstor, fxsave } from "./fxsave.ts";
import { interruptReturn, poppedFlags } from "../segments/interrupt_return.ts";
import { rdmsr, rdtsc, wrmsr } from "./msr.ts";
import { portIn, portOut, portString } from "./port_io.ts";
import { lar, lldt, loadSegment, lsl, ltr, verify } from "../segments/segmentation.ts";
import {
  CR0_EM,
  CR0_TS,
  CR4_OSFXSR,
  EXC_BP,
  EXC_DB,
  EXC_GP,
  EXC_NM,
  EXC_OF,
  EXC_UD,
  FLAG_IF,
  FLAG_OF,
  FLAG_VIF,
  S,
} from "../state/state.ts";
import { sseFloatMicrocode } from "./sse_float.ts";
import { setVirtualInterruptFlag, virtualPoppedVif, virtualPushf } from "../segments/virtual_8086.ts";
import { xsaveMicrocode } from "./xsave.ts";
import { x87Microcode } from "./x87_unit.ts";
import { DISPATCH, FAULT, HALT, NEXT, SLICE_END, type Status } from "../state/status.ts";

function trap(core: CpuCore, rec: number, vector: number, kind: EventKind): Status {
  core.setRipBehind(rec);
  core.stepTrapCancelled = true;
  return softwareInterrupt(core, vector, kind);
}

function privileged(core: CpuCore): boolean {
  if (core.cpl === 0) return true;
  core.raise(EXC_GP, 0);
  return false;
}

/** CLI and STI: CPL must not exceed IOPL. */
function setInterruptFlag(core: CpuCore, on: boolean): Status {
  if (!core.realMode && core.cpl > core.iopl) return setVirtualInterruptFlag(core, on) ? NEXT : FAULT;
  const s = core.s, flags = s.get32(S.eflags);
  s.set32(S.eflags, on ? flags | FLAG_IF : flags & ~FLAG_IF);
  if (on) core.checkInterrupts();
  return NEXT;
}

function popf(core: CpuCore, rec: number): Status {
  const s = core.s;
  let flags = poppedFlags(core, s.arg32(1), s.arg32(0));
  if (core.virtual8086) {
    const vif = virtualPoppedVif(core, s.arg32(1), s.arg32(0));
    if (vif < 0) return FAULT;
    flags = (flags & ~FLAG_VIF) | vif;
  }
  const changed = core.setRflags(flags);
  if (!changed && !core.interruptDue) return NEXT;
  core.setRipBehind(rec);
  return core.interruptDue ? SLICE_END : DISPATCH;
}

function hypercall(core: CpuCore, rec: number): Status {
  core.setRipBehind(rec);
  core.retryRequested = false;
  core.hooks.hypercall();
  return core.afterCall(rec);
}

function checkSse(core: CpuCore): Status {
  const cr0 = core.s.get32(S.cr0);
  if ((cr0 & CR0_EM) !== 0 || (core.s.get32(S.cr4) & CR4_OSFXSR) === 0) return core.raise(EXC_UD);
  return (cr0 & CR0_TS) !== 0 ? core.raise(EXC_NM) : NEXT;
}

function checkAvx(core: CpuCore): Status {
  if (!core.avxEnabled) return core.raise(EXC_UD);
  return (core.s.get32(S.cr0) & CR0_TS) !== 0 ? core.raise(EXC_NM) : NEXT;
}

/** A function for each microcode; arguments are in S.arg in their declared order. */
export const microcode: Readonly<Record<MicrocodeName, Microcode>> = {
  // Software interrupts and far transfers
  int3: (core, rec) => trap(core, rec, EXC_BP, SOFTWARE),
  int1: (core, rec) => trap(core, rec, EXC_DB, PRIVILEGED_SOFTWARE),
  int_n: (core, rec) => {
    core.setRipBehind(rec);
    core.stepTrapCancelled = true;
    return interruptNumber(core, core.s.arg32(0) & 0xff);
  },
  into: (core, rec) => (core.rflags & FLAG_OF) !== 0 ? trap(core, rec, EXC_OF, SOFTWARE) : NEXT,
  iret: (core, rec) => interruptReturn(core, rec, core.s.arg32(0)),
  far_jmp: (core, rec) => farJump(core, rec, core.s.arg32(0), core.s.arg32(1)),
  far_call: (core, rec) => farCall(core, rec, core.s.arg32(0), core.s.arg32(1)),
  far_ret: (core) => farReturn(core, core.s.arg32(0), core.s.arg32(1)),
  syscall,
  sysret: (core) => sysret(core, core.s.arg32(0)),
  sysenter,
  sysexit: (core) => sysexit(core, core.s.arg32(0)),

  // Segments and tables
  /** DISPATCH when the mode changed with it */
  load_segment: (core, rec) => loadSegment(core, rec, core.s.arg32(0), core.s.arg32(1)),
  lldt: (core) => lldt(core, core.s.arg32(0)),
  ltr: (core) => ltr(core, core.s.arg32(0)),
  lgdt: (core) => loadTableRegister(core, S.gdtrBase, S.gdtrLimit),
  lidt: (core) => loadTableRegister(core, S.idtrBase, S.idtrLimit),
  lar: (core) => lar(core, core.s.arg32(0)),
  lsl: (core) => lsl(core, core.s.arg32(0)),
  verr: (core) => verify(core, core.s.arg32(0), false),
  verw: (core) => verify(core, core.s.arg32(0), true),

  // Control
  clts,
  lmsw: (core, rec) => lmsw(core, rec, core.s.arg32(0)),
  mov_to_cr: (core, rec) => movToCr(core, rec, core.s.arg32(0)),
  mov_from_cr: (core) => movFromCr(core, core.s.arg32(0)),
  mov_to_dr: (core, rec) => movToDr(core, rec, core.s.arg32(0)),
  mov_from_dr: (core) => movFromDr(core, core.s.arg32(0)),
  xsetbv,
  rdpkru,
  wrpkru,
  rdmsr,
  wrmsr,
  rdtsc: (core) => rdtsc(core, false),
  rdtscp: (core) => rdtsc(core, true),
  rdpmc: (core) => core.raise(EXC_GP, 0), // no counters
  random: (core) => {
    core.s.setResult(core.random());
    return NEXT;
  },
  cpuid,
  hlt: (core, rec) => {
    if (!privileged(core)) return FAULT;
    core.setRipBehind(rec);
    return HALT;
  },
  invlpg,
  invpcid,
  invd: (core) => privileged(core) ? NEXT : FAULT,
  wbinvd: (core) => privileged(core) ? NEXT : FAULT,
  vmcall: hypercall,

  // Flags
  cli: (core) => setInterruptFlag(core, false),
  sti: (core) => setInterruptFlag(core, true),
  popf,
  pushf_virtual: (core) => {
    const image = virtualPushf(core, core.s.arg32(0));
    if (image < 0) return FAULT;
    core.s.setResult(BigInt(image));
    return NEXT;
  },

  // Ports
  in: portIn,
  out: portOut,
  ins: (core, rec) => portString(core, rec, true),
  outs: (core, rec) => portString(core, rec, false),

  // FPU and SSE state
  fxsave: (core, rec) => fxsave(core, rec, core.s.arg32(1) !== 0),
  fxrstor: (core, rec) => fxrstor(core, rec, core.s.arg32(1) !== 0),
  ...xsaveMicrocode,
  check_sse: checkSse,
  check_avx: checkAvx,
  ...x87Microcode,
  ...sseFloatMicrocode,
};
