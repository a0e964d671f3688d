// SPDX-License-Identifier: MIT
/** What making a region costs, step by step: its nodes are there, its code is usual. @module */
import { ALL_FEATURES } from "../../base/cpu_features.ts";
import { Decoder } from "../../decode/decoder.ts";
import type { Instruction } from "../../decode/instruction.ts";
import { importLinks } from "../../emit/links.ts";
import { compileRegion } from "../../emit/region/compile_region.ts";
import { ModuleBuilder } from "../../wasm/encoder.ts";
import { LONG, regionNode } from "../_golden.ts";

/** push rbp; mov rbp, rsp; mov rax, [rdi+16]; test rax, rax; lea rdx, [rax+rcx*8]; mov [rbp-8], edx; add ecx, 1; pop rbx; cmp ecx, esi; jne. */
const BLOCK = "55 4889e5 488b4710 4885c0 488d14c8 8955f8 83c101 5b 39f1 75d8";
const BLOCKS = 60;

const bytes = Uint8Array.from(BLOCK.replaceAll(" ", "").match(/../g) ?? [], (byte) => parseInt(byte, 16));
const decoder = new Decoder(new Set(ALL_FEATURES));
const insns: Instruction[] = [];
for (let at = 0; at < bytes.length; at += insns.at(-1)!.length) {
  insns.push(decoder.decode(bytes, at, bytes.length, at, LONG) as Instruction);
}
/** Each block goes on with the next one, and now and then back to the one three before it. */
const nodes = Array.from({ length: BLOCKS }, (_, i) =>
  regionNode(insns, i * bytes.length, {
    taken: { to: i % 4 === 3 ? i - 3 : (i + 2) % BLOCKS, crossing: undefined },
    fall: i + 1 < BLOCKS ? { to: i + 1, crossing: undefined } : undefined,
  }));

function moduleOf(): ModuleBuilder {
  const module = new ModuleBuilder();
  const links = importLinks(module, { memoryPages: 20_000, tableSize: 100 });
  module.addFunction(links.handlerType, compileRegion(nodes, [0], 30, links).body);
  return module;
}
const emitted = moduleOf(), encoded = emitted.encode();
const name = `${BLOCKS * insns.length} instructions, ${encoded.length} bytes`;
Deno.bench(`emit a region of ${name}`, () => void moduleOf());
Deno.bench("put its module together", () => void emitted.encode());
// A custom section behind it, always another: V8 knows modules it has seen.
const unseen = new Uint8Array([...encoded, 0, 6, 1, 0x6e, 0, 0, 0, 0]);
const number = new DataView(unseen.buffer, encoded.length + 4);
let made = 0;
Deno.bench("WebAssembly.Module of it", () => {
  number.setUint32(0, ++made);
  new WebAssembly.Module(unseen);
});
