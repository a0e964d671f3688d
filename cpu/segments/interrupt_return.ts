// SPDX-License-Identifier: MIT
/**
 * IRET in real, protected, compatibility and 64-bit mode. Rules: SDM Vol. 2A IRET; Vol. 3A §6.14.3.
 * @module
 */
import type { CpuCore } from "../core/core.ts";
import {
  checkReturnCode,
  checkReturnStack,
  checkTarget,
  dropInnerSegments,
  loadReturnStack,
} from "./far_transfer.ts";
import { deliverFault } from "./exceptions.ts";
import { IMPLICIT } from "../mmu/linear_memory.ts";
import { markAccessed, setCode, setRealSegment } from "./segmentation.ts";
import {
  ARITHMETIC_FLAGS,
  CS,
  EXC_GP,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  S,
  segmentLayout,
  TR,
} from "../state/state.ts";
import { DISPATCH, FAULT, type Status } from "../state/status.ts";
import { TASK_DONE, TASK_FAULT, TASK_IRET, taskSwitch } from "./task_switch.ts";
import { enterVirtual8086, virtualPoppedVif } from "./virtual_8086.ts";

/** EFLAGS after popping `image` of `opBytes` at the current CPL and IOPL. */
export function poppedFlags(core: CpuCore, image: number, opBytes: number): number {
  let mask = ARITHMETIC_FLAGS | FLAG_TF | FLAG_DF | FLAG_NT;
  if (opBytes > 2) mask |= FLAG_AC | FLAG_ID;
  if (core.cpl === 0 || core.realMode) mask |= FLAG_IOPL | FLAG_IF;
  else if (core.cpl <= core.iopl) mask |= FLAG_IF;
  return (core.rflags & ~mask) | (image & mask);
}

/** IRET, IRETD, IRETQ. */
export function interruptReturn(core: CpuCore, rec: number, opBytes: number): Status {
  core.nmiBlocked = false; // even when it faults
  const mem = core.mem, stack = core.stack.useCurrent();
  const { code, stack: stackSegment } = core.scratch;
  const is64 = core.codeBits === 64;
  if ((core.s.get32(S.eflags) & FLAG_NT) !== 0 && core.protectedMode) {
    if (core.longMode) return core.raise(EXC_GP, 0);
    return taskReturn(core, rec);
  }
  let lo: number, hi = 0, selector: number, image: number, spLo = 0, spHi = 0, ss = 0;
  if (is64 && opBytes === 8) {
    if (!stack.popBlock(40, 8)) return FAULT;
    lo = mem.word(0);
    hi = mem.word(1);
    selector = mem.word(2) & 0xffff;
    image = mem.word(4);
    spLo = mem.word(6);
    spHi = mem.word(7);
    ss = mem.word(8) & 0xffff;
  } else {
    if (!stack.pop(opBytes)) return FAULT;
    lo = mem.word(0);
    hi = mem.word(1);
    if (!stack.pop(opBytes)) return FAULT;
    selector = mem.word(0) & 0xffff;
    if (!stack.pop(opBytes)) return FAULT;
    image = mem.word(0);
  }
  if (!core.protectedMode) {
    if (lo > core.s.get32(S.cs + segmentLayout.at.limit)) return core.raise(EXC_GP, 0);
    let flags = poppedFlags(core, image, opBytes);
    if (core.virtual8086) {
      const vif = virtualPoppedVif(core, image, opBytes);
      if (vif < 0) return FAULT;
      flags = (flags & ~FLAG_VIF) | vif;
    }
    stack.commit();
    setRealSegment(core, CS, selector);
    core.setRflags(flags);
    return finish(core, lo, 0, opBytes > 2 && (image & FLAG_RF) !== 0);
  }
  const cpl = core.cpl;
  if ((image & FLAG_VM) !== 0 && opBytes === 4 && cpl === 0 && !core.longMode) {
    return returnToVirtual8086(core, lo, selector, image);
  }
  const newCpl = selector & 3;
  if (!checkReturnCode(core, selector, code)) return FAULT;
  const switches = is64 || newCpl !== cpl;
  if (switches) {
    if (!is64 || opBytes !== 8) {
      if (!stack.pop(opBytes)) return FAULT;
      spLo = mem.word(0);
      spHi = mem.word(1);
      if (!stack.pop(opBytes)) return FAULT;
      ss = mem.word(0) & 0xffff;
    }
    if (!checkReturnStack(core, ss, newCpl, code, stackSegment)) return FAULT;
  }
  if (!checkTarget(core, code, lo, hi) || !markAccessed(core, code)) return FAULT;
  let flags = poppedFlags(core, image, opBytes);
  if (cpl === 0 && opBytes > 2) flags = (flags & ~(FLAG_VIF | FLAG_VIP)) | (image & (FLAG_VIF | FLAG_VIP));
  if (switches) {
    if (!loadReturnStack(core, ss, stackSegment)) return FAULT;
    setCode(core, selector, newCpl, code);
    core.updateMode();
    stack.useCurrent();
    stack.lo = spLo;
    stack.hi = spHi;
    stack.move(0); // cuts it to the new stack's width
  } else {
    setCode(core, selector, newCpl, code);
    core.updateMode();
  }
  stack.commit();
  if (newCpl !== cpl) dropInnerSegments(core, newCpl);
  core.setRflags(flags);
  return finish(core, lo, hi, opBytes > 2 && (image & FLAG_RF) !== 0);
}

/** The rest of the frame: ESP, SS, ES, DS, FS, GS. */
function returnToVirtual8086(core: CpuCore, lo: number, cs: number, image: number): Status {
  const { stack, mem } = core;
  const words: number[] = [];
  for (let i = 0; i < 6; i++) {
    if (!stack.pop(4)) return FAULT;
    words.push(mem.word(0));
  }
  if (lo > 0xffff) return core.raise(EXC_GP, 0);
  const [esp, ss, es, ds, fs, gs] = words.map((word, i) => i === 0 ? word : word & 0xffff) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  enterVirtual8086(core, [es, cs, ss, ds, fs, gs], image);
  core.s.setGpr32(4, esp);
  return finish(core, lo, 0, (image & FLAG_RF) !== 0);
}

function finish(core: CpuCore, lo: number, hi: number, resume: boolean): Status {
  core.resumeFlag = resume;
  if (core.codeBits !== 64) core.updateMode(); // data segments may have changed
  core.setRip(lo, core.codeBits === 64 ? hi : 0);
  core.checkInterrupts();
  return DISPATCH;
}

/** IRET with NT set: back to the task in the TSS's link field. */
function taskReturn(core: CpuCore, rec: number): Status {
  const link = core.mem.read16(core.s.get32(S.es + TR * segmentLayout.size), 0, IMPLICIT);
  if (link === -1) return FAULT;
  core.setRipBehind(rec);
  const r = taskSwitch(core, link, TASK_IRET);
  if (r !== TASK_DONE) return r === TASK_FAULT ? FAULT : deliverFault(core);
  core.checkInterrupts();
  return DISPATCH;
}
