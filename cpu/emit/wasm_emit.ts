// SPDX-License-Identifier: MIT
/**
 * The part of Emit that both WebAssembly back ends share: the instructions of a function in order, vector operands,
 * leaving a block. Below it are memory, registers and lazy flags (cpu/emit/memory_emit.ts and what that extends).
 * Where the operand addresses come from (`slot`) and what follows an instruction (`next`) is left to
 * cpu/emit/interpreter.ts and cpu/emit/region/.
 * @module
 */
import { assert } from "../base/assert.ts";
import {
  H_SSE_LOOK,
  H_STALE,
  H_VECTOR_FUNCTION,
  H_X87,
  record,
  RECORD_BYTES,
  RECORD_FALL,
  RECORD_TAKEN,
  x87Number,
} from "../state/record.ts";
import { ARITHMETIC_FLAGS, S, XMM_BASE, YMM_HIGH } from "../state/state.ts";
import { DISPATCH, FAULT } from "../state/status.ts";
import {
  LOOK_REPLACED,
  LOOK_RIGHT,
  SSE_256,
  SSE_VALUE,
  SSE_VEX,
  SSE_VVVV,
  sseLookNumber,
} from "../fpu/sse/sse_unit.ts";
import type { LoadName, StoreName, Val } from "./builder.ts";
import type {
  AtOnce,
  Emit,
  HalvesOptions,
  MicrocodeArguments,
  MicrocodeOptions,
  Scalar,
  SecondLook,
  Value,
  Variable,
  VectorField,
  Width,
} from "./emit.ts";
import { countRun } from "./count_run.ts";
import { type Facts, noFacts } from "./facts.ts";
import type { Operands, Slot } from "./form.ts";
import {
  type CoreFunction,
  LOOK_RESULT,
  OTHER_TABLE,
  VECTOR_FUNCTIONS,
  type VectorFunction,
} from "./links.ts";
import {
  MICROCODE,
  type MicrocodeCall,
  type MicrocodeName,
  microcodeNumber,
  type Register,
} from "./microcode_calls.ts";
import { MemoryEmit } from "./memory_emit.ts";

/** What describing a 256-bit instruction by halves has come to. */
interface Halves {
  /** What to write, and where. */
  field: VectorField;
  readonly results: Value[];
  readonly widens: boolean;
  /** The second source, once it has been read. */
  second?: readonly [Value, Value];
  /** MXCSR before the first half's second look, which may set PE; -1: there was none. */
  readonly mxcsr: Variable;
}

const LOWER_PARTS = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const UPPER_PART = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

/** See the module's description. */
export abstract class WasmEmit extends MemoryEmit implements Emit {
  /** Number of the instruction in its function, from 0: its record is that many behind the first. */
  protected position = 0;

  /** Address of the first record: i32. */
  protected abstract firstRecord(): Val;
  /** Address of record `position`: i32. */
  protected abstract recordAt(position: number): Val;
  /** Address of the current record. */
  protected override record(): Val {
    return this.recordAt(this.position);
  }

  // The instructions of a function, in order

  /** The function covers a whole block; `loops`: one that branches to itself. */
  wholeBlock(loops: boolean): void {
    this.sinksFlags = true;
    if (!loops) return;
    this.body.loop();
    this.#loopStart = this.firstRecord();
  }
  /**
   * Goes on with the instruction of record `position`. `facts`: what is known of it, in functions of whole blocks;
   * `flagsLive`: whether somebody reads the flags it writes.
   */
  begin(operands: Operands, position: number, facts?: Facts, flagsLive = true): void {
    this.form = operands.form;
    this.position = position;
    this.facts = noFacts();
    this.flagsLive = flagsLive;
    if (facts !== undefined) this.#beforeInstruction(facts);
  }
  /** Pending flags must not meet code that writes some flags on some paths. */
  #beforeInstruction(facts: Facts): void {
    if (facts.flagsMayWrite !== facts.flagsWritten || facts.calls || facts.ends || facts.repeats) {
      this.flushFlags();
    }
  }
  /** After a store: leaves before the next instruction when the store hit its code. */
  checkNext(): void {
    this.if(this.eq(32, this.nextHandler(), this.i32(H_STALE)), () => {
      this.storePending();
      this.setState64(S.rip, this.nextRip());
      this.return(this.i32(DISPATCH));
    });
  }
  /** The handler of the record behind the current one. */
  protected nextHandler(): Val {
    return this.loadRaw(
      "i32.load",
      this.firstRecord(),
      (this.position + 1) * RECORD_BYTES + record.at.handler,
    );
  }
  /** Ends the function: goes to the record behind the last one, unless the instruction never does. */
  finish(): void {
    if (this.facts.ends) this.unreachable();
    else {
      this.flushFlags();
      const slot = this.nextHandler();
      this.returnCallIndirect(this.links.handlerType, [this.recordAt(this.position + 1)], slot);
    }
    if (this.#loopStart === undefined) return;
    this.body.endLoop();
    this.unreachable();
  }

  protected override get remembersVectors(): boolean {
    return this.sinksFlags;
  }

  // Vector registers

  /** Address of the register in `field`. */
  #vectorAt(field: VectorField): Val {
    return field === "is4" ? this.truncate(64, 32, this.immediate()) : this.slot(field);
  }
  /** The field that xmmReg and setXmmRm mean. */
  #firstOr(field: "reg" | "rm"): VectorField {
    return this.form.threeOperands ? "vvvv" : field;
  }
  vector(field: VectorField, half: 0 | 1 = 0): Value {
    return this.loadVector("v128.load", this.#vectorAt(field), half * YMM_HIGH);
  }
  setVector(field: VectorField, low: Value, high?: Value): void {
    const at = this.#vectorAt(field);
    this.storeVector("v128.store", at, low, 0);
    this.storeVector("v128.store", at, high ?? this.v128(0n, 0n), YMM_HIGH);
  }
  vectorPart(field: VectorField, type: Scalar, offset: number, half: 0 | 1): Value {
    return this.loadVector(`${type}.load`, this.#vectorAt(field), offset + half * YMM_HIGH);
  }
  setVectorPart(field: VectorField, value: Value, offset: number, half: 0 | 1): void {
    const name = `${value.type}.store` as StoreName;
    this.storeVector(name, this.#vectorAt(field), value, offset + half * YMM_HIGH);
  }
  #setDestination(field: VectorField, value: Value): void {
    if (this.form.vector === 0) return this.storeVector("v128.store", this.slot(field as Slot), value, 0);
    const halves = this.#halves;
    if (halves === undefined) return this.setVector(field, value);
    assert(this.depth === 0, "a half has its result on every path");
    halves.field = field;
    halves.results[this.half] = value;
  }
  xmmReg(): Value {
    return this.vector(this.#firstOr("reg"), this.half);
  }
  setXmmReg(value: Value): void {
    this.#setDestination("reg", value);
  }
  xmmRm(): Value {
    const halves = this.#halves;
    return halves?.widens === true ? this.#second(halves)[this.half] : this.vector("rm", this.half);
  }
  setXmmRm(value: Value): void {
    this.#setDestination(this.#firstOr("rm"), value);
  }
  xmmPart(field: "reg" | "rm", type: Scalar, offset = 0): Value {
    const from = field === "reg" ? this.#firstOr("reg") : "rm";
    return this.loadVector(`${type}.load`, this.slot(from as Slot), offset);
  }
  setXmmPart(field: "reg" | "rm", value: Value, offset = 0): void {
    if (this.form.vector !== 0) this.setVector(field, this.vector(this.#firstOr(field)));
    this.storeVector(`${value.type}.store` as StoreName, this.slot(field), value, offset);
  }
  xmm(index: number): Value {
    return this.loadVector("v128.load", this.i32(XMM_BASE + index * 16), 0);
  }
  setXmm(index: number, value: Value): void {
    this.storeVector("v128.store", this.i32(XMM_BASE + index * 16), value, 0);
    if (this.form.vector !== 0) this.zeroHigh(index);
  }
  zeroHigh(index: number): void {
    this.storeVector("v128.store", this.i32(XMM_BASE + index * 16), this.v128(0n, 0n), YMM_HIGH);
  }
  xmmMemory(): Value {
    const halves = this.#halves;
    if (halves === undefined) return this.load128(this.address(), this.form.vector === 0);
    return this.#second(halves)[this.half];
  }
  half: 0 | 1 = 0;
  #halves: Halves | undefined;
  halves(lane: () => void, { widens = false, narrows = false }: HalvesOptions = {}): void {
    if (this.form.vector !== 256) return lane();
    const halves: Halves = this.#halves = {
      field: "reg",
      results: [],
      widens,
      mxcsr: this.variable(this.i32(-1)),
    };
    lane();
    this.half = 1;
    lane();
    this.half = 0;
    this.#halves = undefined;
    const [low, high] = halves.results as [Value, Value];
    if (narrows) this.setVector(halves.field, this.shuffle(LOWER_PARTS, low, high));
    else this.setVector(halves.field, low, high);
  }
  /** Both halves of ModRM.rm: all of a memory operand is read before anything is done. */
  #second(halves: Halves): readonly [Value, Value] {
    const { isMemory } = this.form;
    if (!isMemory && !halves.widens) return [this.vector("rm", 0), this.vector("rm", 1)];
    if (halves.second !== undefined) return halves.second;
    assert(this.depth === 0, "the second source is read on every path");
    if (!halves.widens) return halves.second = this.load256(this.address());
    const all = isMemory ? this.load128(this.address()) : this.vector("rm");
    return halves.second = [all, this.shuffle(UPPER_PART, all, all)];
  }
  vvvv(w: Width): Value {
    return this.loadRegister(w, this.slot("vvvv"));
  }
  setVvvv(w: Width, value: Value): void {
    this.storeRegister(w, this.slot("vvvv"), value);
  }

  // Leaving

  rip(): Value {
    const rip = this.add(64, this.state64(S.codeBias), this.zeroExtend(32, 64, this.slot("poff")));
    return this.wrap(this.form.codeBits === 64 ? 64 : 32, rip);
  }
  nextRip(): Value {
    const end = this.add(32, this.slot("poff"), this.slot("length"));
    const rip = this.add(64, this.state64(S.codeBias), this.zeroExtend(32, 64, end));
    return this.wrap(this.form.codeBits === 64 ? 64 : 32, rip);
  }
  /** Charges the block's instructions; the remaining budget. */
  #charge(): Val {
    const left = this.op("i32.sub", this.state32(S.budget), this.slot("count"));
    this.setState32(S.budget, left);
    return left;
  }
  #ended(): void {
    this.facts.ends = true;
    this.facts.canLeave = true;
  }
  #enter(target: Val): void {
    const slot = this.loadRaw("i32.load", target, record.at.handler);
    this.returnCallIndirect(this.links.handlerType, [target], slot);
  }
  /** Goes to the record whose address is at `field` of this one; `left` is the budget. */
  #follow(field: number, left: Val): void {
    const target = this.loadRaw("i32.load", this.record(), field);
    this.body.hint(0);
    this.if(this.op("i32.lt_s", left, this.i32(0)), () => this.returnCall(this.links.sliceEnd, [target]));
    const start = this.#loopStart;
    if (start !== undefined) this.if(this.eq(32, target, start), () => this.#continue());
    this.#enter(target);
  }

  /** The function is a loop: a direct branch to the block's first record stays inside. */
  #loopStart: Val | undefined;
  #continue(): void {
    this.body.code.u8(0x0c);
    this.body.code.u32(this.depth);
  }
  /** Counts a run of the block: see RECORD_RUNS. */
  #countRun(): void {
    this.facts.countsRuns = true;
    if (this.sinksFlags) return;
    countRun(this, () => this.record() as Val, () => void this.call(this.links.warm, [this.record()], "i32"));
  }
  jumpDirect(): void {
    this.#ended();
    this.#countRun();
    this.#follow(RECORD_TAKEN, this.#charge());
  }
  branch(condition: Value): void {
    this.#ended();
    this.#countRun();
    const left = this.#charge();
    this.if(condition, () => this.#follow(RECORD_TAKEN, left), () => this.#follow(RECORD_FALL, left));
  }
  jump(target: Value, remember = false): void {
    this.#ended();
    if (remember) this.storeRaw("i64.store", this.record(), target, record.at.imm);
    this.setState64(S.rip, target);
    this.#countRun();
    this.#charge();
    this.#leaveByRip();
  }
  jumpFar(target: Value): void {
    this.#ended();
    this.setState64(S.rip, target);
    this.#charge();
    this.returnCall(this.links.jumpSegmented, []);
  }
  /** Goes to the block at S.rip. */
  #leaveByRip(): void {
    const { codeBits, flat } = this.form;
    this.returnCall(codeBits === 64 || flat ? this.links.jump : this.links.jumpSegmented, []);
  }
  atOnce(_usual: (region: AtOnce) => void, all: () => void): void {
    all();
  }
  repeat(extra?: Value): void {
    this.facts.canLeave = true;
    this.facts.repeats = true;
    if (extra !== undefined) this.setState32(S.budget, this.op("i32.sub", this.state32(S.budget), extra));
    const left = this.#charge();
    this.if(
      this.op("i32.lt_s", left, this.i32(0)),
      () => this.returnCall(this.links.sliceEnd, [this.record()]),
    );
    this.#enter(this.record());
  }
  microcode<N extends MicrocodeName>(
    name: N,
    args: MicrocodeArguments<N>,
    options: MicrocodeOptions = {},
  ): void {
    const { args: types, reads, writes, quiet } = MICROCODE[name] as MicrocodeCall;
    this.facts.canLeave = true;
    if (quiet) this.storePending();
    else {
      this.facts.stores = true;
      this.facts.calls = true;
    }
    if (reads.includes("flags")) this.readsFlags(ARITHMETIC_FLAGS);
    Object.keys(types).forEach((argument, i) => {
      const value = (args as Readonly<Record<string, Value>>)[argument] as Value;
      assert(value.type === types[argument], `${argument} of ${name}`);
      this.setState64(S.arg + i * 8, value.type === "i64" ? value : this.zeroExtend(32, 64, value));
    });
    const id = this.i32(microcodeNumber(name));
    const status = this.call(this.links.microcode, [id, this.record()], "i32") as Val;
    this.recordsChanged();
    if (writes.includes("flags")) this.flags = undefined;
    this.registersChanged(writes);
    const { commit, ends } = options;
    if (commit === undefined) {
      this.if(status, () => this.returnCall(this.links.leave, [status, this.record()]));
    } else {
      this.if(this.eq(32, status, this.i32(FAULT)), () => this.return(status));
      commit();
      this.if(status, () => this.returnCall(this.links.leave, [status, this.record()]));
    }
    if (ends) {
      this.#ended();
      // NEXT from an instruction that ends its block: go to the next one by address.
      this.setState64(S.rip, this.nextRip());
      this.#charge();
      this.#leaveByRip();
    }
  }
  callX87(opcode: number, isMemory: boolean, modrm: Value): Val {
    const reg = this.and(32, this.shrU(32, modrm, this.k(8, 3)), this.i32(7));
    const slot = this.add(32, reg, this.i32(H_X87 + x87Number({ opcode: opcode & 7, isMemory, reg: 0 })));
    return this.callIndirect(this.links.handlerType, [modrm], slot, "i32");
  }
  callVector(name: VectorFunction, ...args: Value[]): Val {
    const [first, second = first, third = first] = args as [Value, Value?, Value?];
    const slot = this.i32(H_VECTOR_FUNCTION + VECTOR_FUNCTIONS.indexOf(name));
    return this.callIndirect(this.links.vectorType, [first, second, third], slot, "v128", OTHER_TABLE);
  }
  callCore(name: CoreFunction, ...args: Value[]): Val {
    return this.call(this.links[name], args, "i32") as Val;
  }
  microcodeResult(w: Width, i = 0): Value {
    return this.truncate(64, w, this.state64(S.arg + i * 8));
  }
  fault(vector: number, errorCode = -1): void {
    this.#ended();
    this.raise(vector, errorCode);
  }
  floatElsewhere(how: number, value: Value, look?: SecondLook): void {
    this.facts.canLeave = true;
    const isVex = this.form.vector !== 0;
    const leave = (code: number, a: Value, result: Value) => {
      this.storePending();
      this.returnCall(this.links.sseSlow, [this.record(), this.i32(code), a, value, result]);
    };
    const unseen = () => {
      this.undoLook();
      leave(how | SSE_VALUE | (isVex ? this.#storeHalves() : 0), value, value);
    };
    if (look === undefined) return unseen();
    // What is done elsewhere goes on elsewhere: a function of one instruction may leave at once.
    if (!this.sinksFlags && look.how === how && !isVex) return leave(how, look.a, look.result);
    this.if(this.eqz(32, this.looksRight(look)), unseen);
  }
  /** Tells the SSE unit of the operands of a VEX-encoded instruction, apart from a second one of 128 bits. */
  #storeHalves(): number {
    const first = this.form.threeOperands ? SSE_VVVV : 0, halves = this.#halves;
    if (halves === undefined) return SSE_VEX | first;
    this.#second(halves).forEach((second, half) => {
      this.storeRaw("v128.store", this.i32(S.arg + 24 + 16 * half), second);
    });
    return SSE_VEX | SSE_256 | first;
  }
  looksRight({ how, a, b, result, right }: SecondLook): Val {
    if (this.#halves !== undefined && this.half === 0) {
      this.set(this.#halves.mxcsr, this.state32(S.mxcsr));
    }
    const slot = this.i32(H_SSE_LOOK + sseLookNumber(how));
    const found = this.callIndirect(this.links.lookType, [a, b, result], slot, "i32", OTHER_TABLE);
    if (right === undefined) return this.eq(32, found, this.i32(LOOK_RIGHT));
    this.if(this.eq(32, found, this.i32(LOOK_REPLACED)), () => {
      this.set(right, this.loadRaw(`${right.type}.load` as LoadName, this.i32(LOOK_RESULT)));
    });
    return found;
  }
  /** Before the second half leaves: the first one's flags are found again, unless an exception keeps them from being found. */
  protected undoLook(): void {
    if (this.#halves === undefined || this.half === 0) return;
    const before = this.get(this.#halves.mxcsr);
    this.if(this.op("i32.ge_s", before, this.i32(0)), () => this.setState32(S.mxcsr, before));
  }
  /** TypeScript may have changed these. */
  protected registersChanged(registers: readonly Register[]): void {
    if (registers.includes("sse")) this.forgetVectors();
  }
}
