// SPDX-License-Identifier: MIT
/**
 * x87: a row per opcode byte. What is common and ordinary is done by x87_function.ts, all else by cpu/fpu/x87_unit.ts;
 * both are given opcode and ModRM byte (WAIT: system.ts).
 * SDM Vol. 1 §8, Vol. 2.
 * Not done: FERR# instead of #MF when CR0.NE is clear.
 * @module
 */
import { PAGE_MASK, PAGE_SIZE } from "../../base/bits.ts";
import { type Address, type Emit, RAX, type Value } from "../../emit/emit.ts";
import { EFLAGS_CF, EFLAGS_PF, EFLAGS_ZF, X87_STATE } from "../../fpu/x87_state.ts";
import { EXC_UD, S, segmentLayout } from "../../state/state.ts";
import { row } from "../row/row.ts";
import {
  X87_AX,
  X87_CONDITION,
  X87_FLAGS,
  X87_OPERAND,
  X87_POINTERS,
  X87_RESULT,
  X87_STORE_SHIFT,
} from "./x87_frame.ts";

type Int = Value<"i32">;

const AT = X87_STATE.at;
const SELECTOR = segmentLayout.at.selector;
/** ModRM of FNSTSW AX, with opcode DF. */
const FNSTSW_AX = 0xe0;
/** Longest operand of the fast way, which is looked at as a whole. */
const WITHIN = 16;
/** /r of what odd opcodes store, as bits. */
const STORES = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7;
/** How many bytes the fast way stores, by opcode and /r. */
const STORED: Readonly<Record<number, Readonly<Record<number, 2 | 4 | 8 | 10>>>> = {
  0xd9: { 2: 4, 3: 4, 7: 2 },
  0xdb: { 1: 4, 2: 4, 3: 4, 7: 10 },
  0xdd: { 1: 8, 2: 8, 3: 8, 7: 2 },
  0xdf: { 1: 2, 2: 2, 3: 2, 7: 8 },
};

/** What FCMOVcc looks at by ModRM.reg, in DA; DB has the opposites: condition codes, and masks of EFLAGS as bytes. */
const CONDITION_CODES = [2, 4, 6, 10] as const;
const CONDITION_MASKS = EFLAGS_CF | EFLAGS_ZF << 8 | (EFLAGS_CF | EFLAGS_ZF) << 16 | EFLAGS_PF << 24;
/** ModRM from which on DA and DB are no FCMOVcc. */
const NO_MOVES = 0xe0;

/** Tells FCMOVcc whether its condition holds. */
function setCondition(e: Emit, opcode: number, modrm: Int): void {
  const negated = opcode & 1, known = e.known(modrm);
  if (known !== undefined) {
    const cc = CONDITION_CODES[known >> 3 & 7];
    if (cc !== undefined) e.setState32(X87_CONDITION, e.condition(cc | negated));
    return;
  }
  e.if(e.op("i32.lt_u", modrm, e.i32(NO_MOVES)), () => {
    const shift = e.and(32, modrm, e.i32(0x18)); // ModRM.reg in bits
    const mask = e.and(32, e.op("i32.shr_u", e.i32(CONDITION_MASKS), shift), e.i32(0xff));
    const isNone = e.eqz(32, e.and(32, e.flagsImage(), mask));
    e.setState32(X87_CONDITION, negated ? isNone : e.eqz(32, isNone));
  });
}

/** What an instruction leaves besides its result: where it was. */
function setPointers(e: Emit, answer: Int, address?: Address): void {
  e.if(e.and(32, answer, e.i32(X87_POINTERS)), () => {
    e.setState64(S.x87 + AT.fip, e.rip());
    e.hostStore(16, e.i32(S.x87 + AT.fcs), e.state32(S.cs + SELECTOR));
    if (address === undefined) return;
    e.setState64(S.x87 + AT.fdp, address.offset);
    const segment = e.op("i32.mul", e.sourceSegment(), e.i32(segmentLayout.size));
    const selector = e.hostLoad(16, e.add(32, segment, e.i32(S.es + SELECTOR)));
    e.hostStore(16, e.i32(S.x87 + AT.fds), selector);
  });
}

function register(e: Emit, opcode: number, how: Int): void {
  const modrm = e.known(e.imm(8));
  if (opcode === 0xda || opcode === 0xdb) setCondition(e, opcode, e.imm(8));
  const answer = e.callX87(opcode, false, e.and(32, how, e.i32(0xff)));
  e.if(answer, () => {
    setPointers(e, answer);
    const comparesToFlags = modrm === undefined || modrm >= 0xe8 && modrm < 0xf8; // FUCOMI, FCOMI and those that pop
    if ((opcode === 0xdb || opcode === 0xdf) && comparesToFlags) {
      e.if(e.and(32, answer, e.i32(X87_FLAGS)), () => e.setFlagsImage(e.state32(X87_RESULT + 16)));
    }
    if (opcode !== 0xdf || modrm !== undefined && modrm !== FNSTSW_AX) return;
    const fsw = e.hostLoad(16, e.i32(S.x87 + AT.fsw));
    e.if(e.and(32, answer, e.i32(X87_AX)), () => e.setGpr(RAX, 16, fsw));
  }, () => e.microcode("x87", { how }));
}

/** The operand is reached as the TLB says, without faults and devices; else microcode does it all. */
function memory(e: Emit, opcode: number, how: Int): void {
  const address = e.address(), linear = e.linear(address);
  const slow = () => e.microcode("x87_memory", { how, offset: address.offset, linear });
  const answer = e.variable(e.i32(0));
  const modrm = e.known(e.imm(8)), known = modrm === undefined ? undefined : (modrm >> 3) & 7;
  const stores = (opcode & 1) !== 0 && (known === undefined || (STORES >> known & 1) !== 0);
  const span = e.hostSpan(address, stores && known !== undefined);
  if (span === undefined) return slow();
  let host = span;
  if (stores && known === undefined) {
    const reg = e.and(32, e.shrU(32, how, e.i32(3)), e.i32(7));
    const isStore = e.and(32, e.shrU(32, e.i32(STORES), reg), e.i32(1));
    host = e.select(isStore, e.hostSpan(address, true) as Int, span);
  }
  const inPage = e.and(32, e.op("i32.wrap_i64", linear), e.i32(PAGE_MASK));
  e.if(e.select(e.op("i32.gt_u", inPage, e.i32(PAGE_SIZE - WITHIN)), e.i32(0), host), () => {
    e.setState64(X87_OPERAND, e.hostLoad(64, host));
    if (opcode === 0xdb) e.setState32(X87_OPERAND + 8, e.hostLoad(16, e.add(32, host, e.i32(8))));
    e.set(answer, e.callX87(opcode, true, e.and(32, how, e.i32(0xff))));
  });
  e.if(e.get(answer), () => {
    setPointers(e, e.get(answer), address);
    if (!stores) return;
    const bytes = e.shrU(32, e.get(answer), e.i32(X87_STORE_SHIFT));
    const are = (n: number, store: () => void) => {
      if (known === undefined) e.if(e.eq(32, bytes, e.i32(n)), store);
      else if (STORED[opcode]?.[known] === n) store();
    };
    const value = () => e.state64(X87_RESULT);
    if (opcode === 0xdd || opcode === 0xdf) are(8, () => e.hostStore(64, host, value()));
    if (opcode === 0xd9 || opcode === 0xdb) are(4, () => e.hostStore(32, host, e.state32(X87_RESULT)));
    if (opcode !== 0xdb) are(2, () => e.hostStore(16, host, e.and(32, e.state32(X87_RESULT), e.i32(0xffff))));
    else {
      are(10, () => {
        e.hostStore(64, host, value());
        e.hostStore(16, e.add(32, host, e.i32(8)), e.state32(X87_RESULT + 8));
      });
    }
  }, slow);
}

for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
  const hex = opcode.toString(16);
  row(`x87 ${hex.toUpperCase()}`, `${hex} /r`, "v", (e, w) => {
    const how = e.or(32, e.imm(8), e.i32((opcode << 8) | (w === 16 ? 1 << 16 : 0)));
    if (!e.form.fpuTrap) return e.form.isMemory ? memory(e, opcode, how) : register(e, opcode, how);
    if (!e.form.isMemory) return e.microcode("x87", { how });
    const address = e.address();
    e.microcode("x87_memory", { how, offset: address.offset, linear: e.linear(address) });
  }, { reg: "none", rm: "none", passModrm: true });
}
// FISTTP came with SSE3.
for (const opcode of ["db", "dd", "df"]) {
  row(`x87 ${opcode.toUpperCase()}`, `${opcode} /1 :mem`, "v", (e) => e.fault(EXC_UD), { without: "pni" });
}
