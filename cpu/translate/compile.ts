// SPDX-License-Identifier: MIT
/**
 * The compiler of handlers and blocks: a run of instructions becomes one function. A handler stands for one
 * instruction, or for two that are fused, and reads its operands from the records. A hot block gets a function of its
 * own: what costs most in the threaded interpreter is the indirect branch from handler to handler (6 ns where a
 * handler's own work is 1 to 3). Engine interp makes one handler of all the block's instructions, engine jit has the
 * operands as constants.
 * @module
 */
import type { Instruction } from "../decode/instruction.ts";
import { type Facts, liveFlags } from "../emit/facts.ts";
import { InterpreterEmit } from "../emit/interpreter.ts";
import type { Links } from "../emit/links.ts";
import { FunctionBody } from "../wasm/encoder.ts";

/** See WasmBuilder.weight: about 3,000 runs make V8 optimize a function. Measured: /init in 0.85 of the time. */
const WEIGHT = 150;

/** The handler for an instruction, or for two that are fused; `facts` of each. */
export function compileHandler(
  links: Links,
  insns: readonly Instruction[],
  facts: readonly Facts[],
): FunctionBody {
  const body = new FunctionBody(1);
  const emit = new InterpreterEmit(body, links);
  insns.forEach((insn, i) => {
    emit.begin(insn, i);
    emit.loadAhead(facts[i] as Facts, i === insns.length - 1);
    insn.row.semantics(emit, insn.width);
  });
  emit.finish();
  return body;
}

/** The function for the instructions of a whole block; `facts` of each. */
export function compileBlock(
  links: Links,
  insns: readonly Instruction[],
  facts: readonly Facts[],
): FunctionBody {
  const body = new FunctionBody(1);
  const emit = new InterpreterEmit(body, links);
  emit.weight(WEIGHT);
  // A CALL of the block itself may have written to it.
  emit.wholeBlock(branchesToItself(insns) && facts.at(-1)?.stores !== true);
  const live = liveFlags(facts);
  insns.forEach((insn, i) => {
    emit.begin(insn, i, facts[i], live[i]);
    insn.row.semantics(emit, insn.width);
    if (emit.facts.stores && !emit.facts.ends) emit.checkNext();
  });
  emit.finish();
  return body;
}

function branchesToItself(insns: readonly Instruction[]): boolean {
  const first = insns[0] as Instruction, last = insns[insns.length - 1] as Instruction;
  const kind = last.row.immediates[0];
  return (kind === "cb" || kind === "cz") && last.poff + last.length + last.immLow === first.poff;
}
