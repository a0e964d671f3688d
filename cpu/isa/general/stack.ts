// SPDX-License-Identifier: MIT
/** Stack: PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE. SDM Vol. 2, Vol. 1 §6. @module */
import type { Emit, Value, Width } from "../../emit/emit.ts";
import { RAX, RBP, RSP } from "../../emit/emit.ts";
import {
  ARITHMETIC_FLAGS,
  ATTENTION_INTERRUPT,
  CS,
  DS,
  ES,
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
  FS,
  GS,
  S,
  SS,
} from "../../state/state.ts";
import { row } from "../row/row.ts";
import { loadSegment } from "../transfer/segment_emit.ts";
import { selector, setStackPointer, stackAddress, stackPointer, wrap } from "../row/values.ts";

row("PUSH r", "50+r", "q", (e, w) => e.push(w, e.reg(w)));
row("POP r", "58+r", "q", (e, w) => e.setReg(w, e.pop(w)));
row("PUSH imm32", "68 iz", "q", (e, w) => e.push(w, e.imm(w)));
row("PUSH imm8", "6a ib", "q", (e, w) => e.push(w, e.imm(w)));
row("PUSH r/m", "ff /6", "q", (e, w) => e.push(w, e.rm(w)));
row("POP r/m", "8f /0", "q", (e, w) => {
  const top = e.peek(w);
  if (!e.form.isMemory) {
    top.drop();
    return e.setRm(w, top.value);
  }
  // An address based on rSP uses its value after the pop; a fault in the store must leave the old one.
  const before = e.gpr(RSP, 64);
  top.drop();
  const address = e.address();
  e.setGpr(RSP, 64, before);
  e.store(w, address, top.value);
  top.drop();
});

const pushSegment = (index: number) => (e: Emit, w: Width) => {
  const value = selector(e, index);
  e.push(w, w === 16 ? value : e.zeroExtend(32, w, value));
};
const popSegment = (index: number) => (e: Emit, w: Width) => {
  const top = e.peek(w);
  const selector = e.truncate(w, 16, top.value);
  loadSegment(e, index, selector, () => top.drop());
};
row("PUSH ES", "no64 06", "q", pushSegment(ES));
row("PUSH CS", "no64 0e", "q", pushSegment(CS));
row("PUSH SS", "no64 16", "q", pushSegment(SS));
row("PUSH DS", "no64 1e", "q", pushSegment(DS));
row("PUSH FS", "0fa0", "q", pushSegment(FS));
row("PUSH GS", "0fa8", "q", pushSegment(GS));
row("POP ES", "no64 07", "q", popSegment(ES));
row("POP SS", "no64 17", "q", popSegment(SS), { shadow: "interrupts and traps" });
row("POP DS", "no64 1f", "q", popSegment(DS));
row("POP FS", "0fa1", "q", popSegment(FS));
row("POP GS", "0fa9", "q", popSegment(GS));

const below = (e: Emit, pointer: Value, bytes: number) => e.add(64, pointer, e.i64(-bytes));
// A fault part of the way leaves rSP and the registers alone; what lies below rSP is nobody's.
row("PUSHA", "no64 60", "v", (e, w) => {
  const top = stackPointer(e);
  for (let index = RAX; index < 8; index++) {
    e.store(w, stackAddress(e, below(e, top, (index + 1) * w / 8)), e.gpr(index, w));
  }
  setStackPointer(e, below(e, top, w));
});
row("POPA", "no64 61", "v", (e, w) => {
  const top = stackPointer(e);
  const values: Value[] = [];
  for (let i = 0; i < 8; i++) values.push(e.load(w, stackAddress(e, below(e, top, -i * w / 8))));
  values.forEach((value, i) => {
    if (7 - i !== RSP) e.setGpr(7 - i, w, value);
  });
  setStackPointer(e, below(e, top, -w));
});

/** Virtual-8086 mode, which is 16-bit code, has an opinion on it. */
function pushedFlags(e: Emit, w: Width): Value {
  const flags = e.or(32, e.state32(S.eflags), e.flagsImage());
  if (e.form.codeBits !== 16) return e.and(32, flags, e.i32(~(FLAG_VM | FLAG_RF)));
  const image = e.variable(flags);
  e.if(e.and(32, e.state32(S.eflags), e.i32(FLAG_VM)), () => {
    e.microcode("pushf_virtual", { opBytes: e.i32(w / 8) });
    e.set(image, e.microcodeResult(32));
  });
  return e.and(32, e.get(image), e.i32(~(FLAG_VM | FLAG_RF)));
}
row("PUSHF", "9c", "q", (e, w) => {
  const image = pushedFlags(e, w);
  e.push(w, w === 64 ? e.zeroExtend(32, 64, image) : w === 16 ? e.and(32, image, e.i32(0xffff)) : image);
});
/** What POPF changes at CPL 0 with 32 bits; RF is cleared, VM, VIP and VIF stay. */
const POPF_FLAGS = FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_ID;
/** Flags that concern the mode, the TLB or the wait for interrupts: microcode sees to them. */
const POPF_SLOW = FLAG_TF | FLAG_AC | FLAG_VM | FLAG_VIF | FLAG_VIP;
row("POPF", "9d", "q", (e, w) => {
  const top = e.peek(w);
  const old = e.state32(S.eflags);
  const value = w === 64 ? e.truncate(64, 32, top.value) : top.value;
  const known = w === 16 ? e.i32(0xffff) : e.i32(-1);
  const slow = e.and(32, e.and(32, e.xor(32, old, value), e.i32(POPF_SLOW)), known);
  // IF going from 0 to 1 may let an interrupt in, when one may be pending.
  const attention = e.and(32, e.state32(S.attention), e.i32(ATTENTION_INTERRUPT));
  const waits = e.select(attention, e.i32(FLAG_IF), e.i32(0));
  const opens = e.and(32, e.and(32, value, e.not(32, old)), waits);
  const fast = e.eqz(32, e.or(32, e.or(32, slow, opens), e.state32(S.cpl)));
  e.if(fast, () => {
    top.drop();
    const changes = e.and(32, e.i32(POPF_FLAGS), known);
    const kept = e.and(32, old, e.not(32, e.or(32, changes, e.i32(FLAG_RF))));
    e.setState32(S.eflags, e.or(32, kept, e.and(32, value, changes)));
    e.setFlagsImage(e.and(32, value, e.i32(ARITHMETIC_FLAGS)));
  }, () => {
    e.microcode("popf", { opBytes: e.i32(w / 8), value }, { commit: () => top.drop() });
  });
});

row("LEAVE", "c9", "q", (e, w) => {
  const frame = e.gpr(RBP, 64);
  const value = e.load(w, stackAddress(e, frame));
  setStackPointer(e, wrap(e, e.form.stackBits, below(e, frame, -w / 8)));
  e.setGpr(RBP, w, value);
});
row("ENTER imm16, imm8", "c8 iw ib", "q", (e, w) => {
  const bytes = w / 8;
  const level = e.and(32, e.imm2(), e.i32(31));
  const pointer = e.variable(below(e, stackPointer(e), bytes));
  e.store(w, stackAddress(e, e.get(pointer)), e.gpr(RBP, w));
  const frame = wrap(e, e.form.stackBits, e.get(pointer));
  const push = (value: Value) => {
    const next = below(e, e.get(pointer), bytes);
    e.set(pointer, next);
    e.store(w, stackAddress(e, next), value);
  };
  e.if(level, () => {
    const left = e.variable(level), outer = e.variable(e.gpr(RBP, 64));
    e.if(e.op("i32.gt_u", level, e.i32(1)), () => {
      e.doWhile(() => {
        const next = below(e, e.get(outer), bytes);
        e.set(outer, next);
        push(e.load(w, stackAddress(e, next)));
        const rest = e.op("i32.sub", e.get(left), e.i32(1));
        e.set(left, rest);
        return e.op("i32.gt_u", rest, e.i32(1));
      });
    });
    push(e.truncate(64, w, frame));
  });
  const size = e.zeroExtend(16, 64, e.imm(16));
  const end = wrap(e, e.form.stackBits, e.sub(64, e.get(pointer), size));
  // The final stack pointer must be writable, although nothing is written there.
  e.loadForUpdate(w, stackAddress(e, end));
  setStackPointer(e, end);
  e.setGpr(RBP, w, e.truncate(64, w, frame));
});
