// SPDX-License-Identifier: MIT
/**
 * Control transfer: JMP CALL RET Jcc LOOP JCXZ, far forms, software interrupts, BOUND, UD, NOP, HLT. SDM Vol. 2.
 * In 64-bit mode near branches have 64-bit targets whatever prefix 66 says; on AMD's processors it cuts them to 16 bits.
 * @module
 */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { RCX } from "../../emit/emit.ts";
import { isComputedBranch } from "../../emit/form.ts";
import { CS, EXC_BR, EXC_GP, EXC_UD, S, segmentLayout } from "../../state/state.ts";
import { interruptReturn } from "../transfer/long_mode.ts";
import { loadSegment } from "../transfer/segment_emit.ts";
import { row } from "../row/row.ts";
import { isNotCanonical, nonZero, setStackPointer, stackAddress, stackPointer } from "../row/values.ts";

/** A near target as a RIP. */
const target = (e: Emit, w: Width, value: Value) => e.zeroExtend(w, 64, value);
const CS_LIMIT = S.es + CS * segmentLayout.size + segmentLayout.at.limit;

/**
 * 1 when a near branch may not go to `to`: it is not canonical, or beyond the limit of CS. The branch itself is what
 * faults, having changed nothing. Undefined: it may go anywhere.
 */
function isBadTarget(e: Emit, to: Value): Value | undefined {
  const { codeBits, flat } = e.form;
  if (codeBits === 64) return isNotCanonical(e, to);
  return flat ? undefined : e.op("i64.lt_u", e.zeroExtend(32, 64, e.state32(CS_LIMIT)), to);
}
function checkTarget(e: Emit, to: Value): Value {
  const bad = isBadTarget(e, to);
  if (bad !== undefined) e.faultIf(bad, EXC_GP, 0);
  return to;
}

/** The target of a relative branch where it must be computed: see isComputedBranch. */
const computedTarget = (e: Emit, w: Width) => {
  const to = e.add(64, e.nextRip(), e.imm(64));
  return w === 64 ? to : e.and(64, to, e.i64(w === 16 ? 0xffff : 0xffff_ffff));
};

/** `commit` is what the branch does besides; it comes behind the last fault. */
function branch(e: Emit, w: Width, condition: Value, commit: () => void = () => {}): void {
  if (!isComputedBranch(e.form, w)) {
    commit();
    return e.branch(condition);
  }
  const to = computedTarget(e, w), bad = isBadTarget(e, to);
  if (bad !== undefined) e.faultIf(e.and(32, condition, bad), EXC_GP, 0);
  commit();
  e.jump(e.select(condition, to, e.nextRip()));
}
/** Pushes the next RIP and goes to `to`; a stack that cannot be written to comes first. */
function call(e: Emit, w: Width, to: Value, remember = false): void {
  const bad = isBadTarget(e, to);
  if (bad !== undefined) {
    e.if(bad, () => {
      e.loadForUpdate(w, stackAddress(e, e.sub(64, stackPointer(e), e.i64(w / 8))));
      e.faultIf(e.i32(1), EXC_GP, 0);
    });
  }
  e.push(w, e.truncate(64, w, e.nextRip()));
  e.jump(to, remember);
}

const jump = (e: Emit, w: Width) =>
  isComputedBranch(e.form, w) ? e.jump(checkTarget(e, computedTarget(e, w))) : e.jumpDirect();
row("JMP rel8", "eb cb", "f", jump);
row("JMP rel", "e9 cz", "f", jump);
row("Jcc rel8", "70+cc cb", "f", (e, w) => branch(e, w, e.condition(e.form.opcodeLow)));
row("Jcc rel", "0f80+cc cz", "f", (e, w) => branch(e, w, e.condition(e.form.opcodeLow)));
row("JMP r/m", "ff /4", "f", (e, w) => e.jump(checkTarget(e, target(e, w, e.rm(w))), true));
row("CALL rel", "e8 cz", "f", (e, w) => {
  if (isComputedBranch(e.form, w)) return call(e, w, computedTarget(e, w));
  e.push(w, e.truncate(64, w, e.nextRip()));
  e.jumpDirect();
});
row("CALL r/m", "ff /2", "f", (e, w) => call(e, w, target(e, w, e.rm(w)), true));
/** `release`: bytes of parameters. */
const ret = (release: (e: Emit) => Value | undefined) => (e: Emit, w: Width) => {
  const top = e.peek(w), to = checkTarget(e, target(e, w, top.value)), bytes = release(e);
  top.drop();
  if (bytes !== undefined) setStackPointer(e, e.add(64, stackPointer(e), bytes));
  e.jump(to);
};
row("RET", "c3", "f", ret(() => undefined));
row("RET imm16", "c2 iw", "f", ret((e) => e.zeroExtend(16, 64, e.imm(16))));

row("JCXZ rel8", "e3 cb", "f", (e, w) => branch(e, w, e.eqz(e.form.asize, e.gpr(RCX, e.form.asize))));
/** `condition`: E (4), NE (5) or none. */
const loop = (condition: number | undefined) => (e: Emit, w: Width) => {
  const { asize } = e.form;
  const count = e.sub(asize, e.gpr(RCX, asize), e.k(asize, 1));
  const left = nonZero(e, asize, count);
  const goes = condition === undefined ? left : e.and(32, left, e.condition(condition));
  branch(e, w, goes, () => e.setGpr(RCX, asize, count));
};
row("LOOPNE rel8", "e0 cb", "f", loop(5));
row("LOOPE rel8", "e1 cb", "f", loop(4));
row("LOOP rel8", "e2 cb", "f", loop(undefined));

// Far transfers

const ends = { ends: true };
const far = (name: "far_jmp" | "far_call") => (e: Emit, w: Width) =>
  e.microcode(
    name,
    { opBytes: e.i32(w / 8), selector: e.imm2(), offset: e.zeroExtend(w, 64, e.imm(w)) },
    ends,
  );
const farMemory = (name: "far_jmp" | "far_call") => (e: Emit, w: Width) => {
  const address = e.address();
  const offset = e.load(w, address), selector = e.load(16, e.offsetBy(address, w / 8));
  e.microcode(name, { opBytes: e.i32(w / 8), selector, offset: e.zeroExtend(w, 64, offset) }, ends);
};
row("CALL ptr16:32", "no64 9a far", "v", far("far_call"));
row("JMP ptr16:32", "no64 ea far", "v", far("far_jmp"));
row("CALL m16:32", "ff /3 :mem", "v", farMemory("far_call"), { farPointer: true });
row("JMP m16:32", "ff /5 :mem", "v", farMemory("far_jmp"), { farPointer: true });
row("RETF", "cb", "v", (e, w) => e.microcode("far_ret", { opBytes: e.i32(w / 8), release: e.i32(0) }, ends));
row(
  "RETF imm16",
  "ca iw",
  "v",
  (e, w) => e.microcode("far_ret", { opBytes: e.i32(w / 8), release: e.imm(16) }, ends),
);
row("IRET", "cf", "v", interruptReturn);
/** LDS and its like: pointer to segment and register. */
const loadFar = (index: number) => (e: Emit, w: Width) => {
  const address = e.address();
  const offset = e.load(w, address), selector = e.load(16, e.offsetBy(address, w / 8));
  loadSegment(e, index, selector, () => e.setReg(w, offset));
};
row("LES r, m", "no64 c4 /r :mem", "v", loadFar(0));
row("LDS r, m", "no64 c5 /r :mem", "v", loadFar(3));
row("LSS r, m", "0fb2 /r :mem", "v", loadFar(2), { farPointer: true });
row("LFS r, m", "0fb4 /r :mem", "v", loadFar(4), { farPointer: true });
row("LGS r, m", "0fb5 /r :mem", "v", loadFar(5), { farPointer: true });

// Interrupts and traps

row("INT3", "cc", "v", (e) => e.microcode("int3", {}, ends));
row("INT imm8", "cd ub", "v", (e) => e.microcode("int_n", { vector: e.imm(32) }, ends));
row("INTO", "no64 ce", "v", (e) => e.microcode("into", {}, ends));
row("INT1", "f1", "v", (e) => e.microcode("int1", {}, ends));
row("BOUND r, m", "no64 62 /r :mem", "v", (e, w) => {
  const address = e.address(), index = e.reg(w);
  const lower = e.load(w, address), upper = e.load(w, e.offsetBy(address, w / 8));
  e.faultIf(e.or(32, e.ltS(w, index, lower), e.ltS(w, upper, index)), EXC_BR);
});
row("UD1", "0fb9 /r", "v", (e) => e.fault(EXC_UD));
row("UD2", "0f0b", "v", (e) => e.fault(EXC_UD));
row("HLT", "f4", "v", (e) => e.microcode("hlt", {}, ends));

// Nothing

const nothing = () => {};
row("PAUSE", "f3 90", "v", nothing);
row("PREFETCHW m", "0f0d /r", "v", nothing);
for (let opcode = 0x18; opcode <= 0x1f; opcode++) {
  row("NOP r/m", `0f${opcode.toString(16)} /r`, "v", nothing, { reg: "none" });
}
