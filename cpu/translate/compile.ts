// SPDX-License-Identifier: MIT
/**
 * The compiler of handlers and blocks: a run of instructions becomes one function. A handler stands for one
 * instruction, or for two that are fused, and reads its operands from the records. A hot block gets a function of its
 * own: what costs most in the threaded interpreter is the indirect branch from handler to handler (6 ns where a
 * handler's own work is 1 to 3). Engine interp makes one handler of all the block's instructions, engine jit has the
 * operands as constants.
 * @module
 */
import type { EngineName } from "../base/engine.ts";
import type { Instruction } from "../decode/decoder.ts";
import { type Facts, liveFlags } from "../emit/facts.ts";
import { InterpreterEmit } from "../emit/interpreter.ts";
import { JitEmit } from "../emit/jit.ts";
import { type Links, NO_LINKS } from "../emit/links.ts";
import { FunctionBody } from "../wasm/encoder.ts";
import type { Block } from "./block.ts";
import type { BlockCache } from "./block_cache.ts";
import type { Modules } from "./handler_table.ts";

/** See WasmBuilder.weight: about 3,000 runs make V8 optimize a function. Measured: /init in 0.85 of the time. */
const WEIGHT = 150;

/** What makes a function one of a whole block. */
export interface WholeBlock {
  readonly facts: readonly Facts[];
  /** Address of its first record, when the function is for that block alone: its operands are constants. */
  readonly start?: number;
}

/** The function for instructions whose records follow each other. */
export function compileFunction(
  links: Links,
  insns: readonly Instruction[],
  whole?: WholeBlock,
): FunctionBody {
  const body = new FunctionBody(1);
  const start = whole?.start;
  const emit = start === undefined ? new InterpreterEmit(body, links) : new JitEmit(body, links, start);
  if (whole !== undefined) {
    emit.weight(WEIGHT);
    emit.wholeBlock(branchesToItself(insns));
  }
  const live = whole && liveFlags(whole.facts);
  insns.forEach((insn, i) => {
    emit.begin(insn, i, whole?.facts[i], live?.[i]);
    insn.row.semantics(emit, insn.width);
    if (whole !== undefined && emit.facts.stores && !emit.facts.ends) emit.checkNext();
  });
  emit.finish();
  return body;
}

/** What emission finds out about an instruction. */
export function factsOf(insn: Instruction): Facts {
  const emit = new InterpreterEmit(new FunctionBody(1), NO_LINKS);
  emit.begin(insn, 0);
  insn.row.semantics(emit, insn.width);
  return emit.facts;
}

/** Compiles blocks into one module and installs them in their first records; returns how many. */
export function compileBlocks(
  modules: Modules,
  blocks: BlockCache,
  hot: readonly Block[],
  engine: EngineName,
): number {
  const open = modules.open();
  const done: { readonly block: Block; readonly slot: number }[] = [];
  for (const block of hot) {
    if (block.samples < 0 || blocks.blockAt(block.start) !== block) continue; // compiled or forgotten meanwhile
    const insns = block.secondHost === 0 ? blocks.instructionsOf(block) : [];
    // One instruction is one handler already, unless it can loop on itself.
    if (insns.length === 0 || (engine === "interp" && insns.length === 1)) {
      block.samples = -1;
      continue;
    }
    const slot = modules.slots.take();
    if (slot === undefined) {
      modules.starved = true;
      break;
    }
    block.samples = -1;
    const facts = insns.map((insn) => modules.factsOf(insn));
    const whole = engine === "jit" ? { facts, start: block.start } : { facts };
    const body = compileFunction(open.links, insns, whole);
    open.module.addFunction(open.links.handlerType, body, { tableIndex: slot });
    done.push({ block, slot });
  }
  if (done.length === 0) return 0;
  modules.instantiate(open);
  for (const { block, slot } of done) blocks.install(block, slot);
  return done.length;
}

function branchesToItself(insns: readonly Instruction[]): boolean {
  const first = insns[0] as Instruction, last = insns[insns.length - 1] as Instruction;
  const kind = last.row.immediates[0];
  return (kind === "cb" || kind === "cz") && last.poff + last.length + last.immLow === first.poff;
}
