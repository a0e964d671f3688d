// SPDX-License-Identifier: MIT
/**
 * Gives a hot block a function of its own, in place of a handler per instruction: what costs most in the threaded
 * interpreter is the indirect branch from handler to handler (6 ns where a handler's own work is 1 to 3). Engine
 * interp makes one handler of the block's instructions, which still reads its operands from the records; engine
 * jit has the operands as constants.
 * @module
 */
import type { Block, BlockCache } from "./blocks.ts";
import type { Instruction } from "./decode.ts";
import { InterpreterEmit } from "./emit/interpreter.ts";
import { JitEmit } from "./emit/jit.ts";
import { H_STALE, type Modules } from "./modules.ts";
import { record, RECORD_BYTES } from "./record.ts";
import { FunctionBody } from "./wasm/encoder.ts";

/** Which engine runs instructions. */
export type Engine = "interp" | "jit";

/** Compiles `block` and installs it in its first record. False: left as it is. */
export function compileBlock(modules: Modules, blocks: BlockCache, block: Block, engine: Engine): boolean {
  block.samples = -1;
  if (block.secondHost !== 0) return false;
  const insns = blocks.instructionsOf(block);
  // One instruction is one handler already, unless it can loop on itself.
  if (insns.length === 0 || (engine === "interp" && insns.length === 1)) return false;
  const target = modules.startCompiled();
  if (target === undefined) return false;
  const live = blocks.liveFlags(insns.map((insn) => modules.factsOf(insn)));
  const body = new FunctionBody(1);
  const loops = branchesToItself(insns);
  const at = (i: number) => block.start + i * RECORD_BYTES;
  if (engine === "jit") {
    const emit = new JitEmit(body, target.links);
    if (loops) emit.loop(block.start);
    insns.forEach((insn, i) => {
      emit.instruction(insn, at(i), i + 1, live[i] as boolean);
      if (emit.facts.stores && !emit.facts.ends) emit.checkNext(at(i + 1), H_STALE);
    });
    emit.finish(at(insns.length));
  } else {
    const emit = new InterpreterEmit(body, target.links, (insns[0] as Instruction).form);
    if (loops) emit.loop();
    insns.forEach((insn, i) => {
      if (i > 0) emit.nextInstruction(insn.form);
      emit.flagsLive = live[i] as boolean;
      insn.row.semantics(emit, insn.width);
      if (emit.facts.stores && !emit.facts.ends) emit.checkNext(H_STALE);
    });
    emit.finish();
  }
  target.module.addFunction(target.links.handlerType, body, { tableIndex: target.slot });
  modules.instantiate(target.module);
  blocks.view.setUint32(block.start + record.at.handler, target.slot, true);
  return true;
}

function branchesToItself(insns: readonly Instruction[]): boolean {
  const first = insns[0] as Instruction, last = insns[insns.length - 1] as Instruction;
  const kind = last.row.immediates[0];
  return (kind === "cb" || kind === "cz") && last.poff + last.length + last.immLow === first.poff;
}
