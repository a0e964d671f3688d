// SPDX-License-Identifier: MIT
/** Compiles one hot basic block and installs it in place of the block's counting record. @module */
import type { BlockCache } from "./blocks.ts";
import { JitEmit } from "./emit/jit.ts";
import type { Facts } from "./emit/wasm_emit.ts";
import { H_STALE, type Modules } from "./modules.ts";
import { record, RECORD_BYTES } from "./record.ts";
import { FunctionBody } from "./wasm/encoder.ts";

/** `rec`: the block's first (counting) record. False: the block is left to the interpreter. */
export function compileBlock(modules: Modules, blocks: BlockCache, rec: number): boolean {
  const block = blocks.blockAt(rec);
  const view = blocks.view;
  if (block === undefined || block.secondHost !== 0) return skip(view, rec);
  const insns = blocks.instructionsOf(block);
  const target = insns.length === 0 ? undefined : modules.startCompiled();
  if (target === undefined) return skip(view, rec);
  const facts: Facts[] = insns.map((insn) => modules.factsOf(insn));
  const live = blocks.liveFlags(facts);
  const body = new FunctionBody(1);
  const emit = new JitEmit(body, target.links);
  let at = rec + RECORD_BYTES;
  insns.forEach((insn, i) => {
    emit.instruction(insn, at, i + 1, live[i] as boolean);
    at += RECORD_BYTES;
    if (emit.facts.stores && !emit.facts.ends) emit.checkCode(at, H_STALE);
  });
  emit.finish(at);
  target.module.addFunction(target.links.handlerType, body, { tableIndex: target.slot });
  modules.instantiate(target.module);
  view.setUint32(rec + record.at.handler, target.slot, true);
  return true;
}

/** Stops counting: the record becomes a plain entry. */
function skip(view: DataView, rec: number): false {
  view.setUint32(rec + record.at.imm, 0, true); // 2^32 more runs
  return false;
}
