// SPDX-License-Identifier: MIT
/**
 * Gives a hot block a function of its own, in place of a handler per instruction: what costs most in the threaded
 * interpreter is the indirect branch from handler to handler (6 ns where a handler's own work is 1 to 3). Engine
 * interp makes one handler of the block's instructions, which still reads its operands from the records; engine
 * jit has the operands as constants.
 * @module
 */
import type { EngineName } from "../base/engine.ts";
import type { Block, BlockCache } from "./block_cache.ts";
import type { Instruction } from "../decode/decoder.ts";
import { InterpreterEmit } from "../emit/interpreter.ts";
import { JitEmit } from "../emit/jit.ts";
import { WasmBuilder } from "../emit/builder.ts";
import type { Facts, Links } from "../emit/wasm_emit.ts";
import { H_STALE, type Modules } from "./handler_table.ts";
import { record, RECORD_BYTES } from "../state/record.ts";
import { ARITHMETIC_FLAGS } from "../state/state.ts";
import { FunctionBody } from "../wasm/encoder.ts";

/** See WasmBuilder.weight: about 3,000 runs make V8 optimize a function. Measured: /init in 0.85 of the time. */
const WEIGHT = 150;

/** Compiles blocks into one module and installs them in their first records; returns how many. */
export function compileBlocks(
  modules: Modules,
  blocks: BlockCache,
  hot: readonly Block[],
  engine: EngineName,
): number {
  const batch = modules.startBatch();
  const done: { readonly block: Block; readonly slot: number }[] = [];
  for (const block of hot) {
    if (block.samples < 0 || blocks.blockAt(block.start) !== block) continue; // compiled or forgotten meanwhile
    block.samples = -1;
    const insns = block.secondHost === 0 ? blocks.instructionsOf(block) : [];
    // One instruction is one handler already, unless it can loop on itself.
    if (insns.length === 0 || (engine === "interp" && insns.length === 1)) continue;
    const slot = modules.newSlot();
    if (slot === undefined) break;
    const body = engine === "jit"
      ? compileJit(modules, block, insns, batch.links)
      : compileHandler(modules, insns, batch.links);
    batch.module.addFunction(batch.links.handlerType, body, { tableIndex: slot });
    done.push({ block, slot });
  }
  if (done.length === 0) return 0;
  modules.instantiate(batch.module);
  for (const { block, slot } of done) blocks.view.setUint32(block.start + record.at.handler, slot, true);
  return done.length;
}

function compileJit(
  modules: Modules,
  block: Block,
  insns: readonly Instruction[],
  links: Links,
): FunctionBody {
  const facts = insns.map((insn) => modules.factsOf(insn));
  const live = liveFlags(facts);
  const body = new FunctionBody(1);
  const at = (i: number) => block.start + i * RECORD_BYTES;
  new WasmBuilder(body).weight(WEIGHT);
  const emit = new JitEmit(body, links, branchesToItself(insns) ? block.start : undefined);
  insns.forEach((insn, i) => {
    emit.instruction(insn, facts[i] as Facts, at(i), i + 1, live[i] as boolean);
    if (emit.facts.stores && !emit.facts.ends) emit.checkNext(at(i + 1), H_STALE);
  });
  emit.finish(at(insns.length));
  return body;
}

function compileHandler(
  modules: Modules,
  insns: readonly Instruction[],
  links: Links,
): FunctionBody {
  const facts = insns.map((insn) => modules.factsOf(insn));
  const live = liveFlags(facts);
  const body = new FunctionBody(1);
  const emit = new InterpreterEmit(body, links, (insns[0] as Instruction).form);
  emit.weight(WEIGHT);
  emit.wholeBlock(branchesToItself(insns));
  insns.forEach((insn, i) => {
    if (i > 0) emit.nextInstruction(insn.form);
    emit.beginInstruction(facts[i] as Facts);
    emit.flagsLive = live[i] as boolean;
    insn.row.semantics(emit, insn.width);
    if (emit.facts.stores && !emit.facts.ends) emit.checkNext(H_STALE);
  });
  emit.finish();
  return body;
}

/** Which instructions must leave the flags they write: the others' are overwritten before anybody can see them. */
function liveFlags(facts: readonly Facts[]): boolean[] {
  const live: boolean[] = [];
  let needed = ARITHMETIC_FLAGS;
  for (let i = facts.length - 1; i >= 0; i--) {
    const f = facts[i] as Facts;
    live[i] = (f.flagsMayWrite & needed) !== 0;
    needed &= ~f.flagsWritten;
    needed |= f.canLeave ? ARITHMETIC_FLAGS : f.flagsRead;
  }
  return live;
}

function branchesToItself(insns: readonly Instruction[]): boolean {
  const first = insns[0] as Instruction, last = insns[insns.length - 1] as Instruction;
  const kind = last.row.immediates[0];
  return (kind === "cb" || kind === "cz") && last.poff + last.length + last.immLow === first.poff;
}
