// SPDX-License-Identifier: MIT
/** Gives hot blocks functions of their own, several to a module. @module */
import type { Block } from "./blocks/block.ts";
import type { BlockCache } from "./blocks/block_cache.ts";
import { compileBlock } from "./compile.ts";
import type { Modules } from "./handler_table.ts";

/** Compiles blocks into one module and installs them in their first records; returns how many. */
export function compileBlocks(
  modules: Modules,
  blocks: BlockCache,
  hot: readonly Block[],
): number {
  const open = modules.open();
  const done: { readonly block: Block; readonly slot: number }[] = [];
  for (const block of hot) {
    if (block.samples < 0 || blocks.blockAt(block.start) !== block) continue; // compiled or forgotten meanwhile
    const insns = blocks.instructionsOf(block);
    // One instruction is one handler already.
    if (insns.length < 2) {
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
    const body = compileBlock(open.links, insns, facts);
    open.module.addFunction(open.links.handlerType, body, { place: { slot } });
    done.push({ block, slot });
  }
  if (done.length === 0) return 0;
  modules.instantiate(open);
  for (const { block, slot } of done) blocks.install(block, slot);
  return done.length;
}
