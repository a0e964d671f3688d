// SPDX-License-Identifier: MIT
/** Short blocks and the WebAssembly they become, as text. @module */
import { ALL_FEATURES } from "../base/cpu_features.ts";
import wabt from "npm:wabt@1.0.37";
import { GPR_NAMES } from "../base/vcpu.ts";
import { Decoder } from "../decode/decoder.ts";
import { type DecodeMode, type Instruction } from "../decode/instruction.ts";
import { importLinks, type Links } from "../emit/links.ts";
import { compileRegion, type RegionNode } from "../emit/region/compile_region.ts";
import { describe, summarize } from "../emit/region/summary.ts";
import { S, STATE_BASE, XMM_BASE } from "../state/state.ts";
import { type FunctionBody, ModuleBuilder } from "../wasm/encoder.ts";
import { fusesWithNext, isDirectBranch, newShape, type Shape } from "./shapes.ts";
import { compileBlock, compileHandler } from "./compile.ts";

/** Flat 64-bit code. */
export const LONG: DecodeMode = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false };
const REAL: DecodeMode = { codeBits: 16, stackBits: 16, flat: false, fpuTrap: true, avxTrap: true };

/** Name, code in hex, mode. */
const BLOCKS: readonly (readonly [string, string, DecodeMode])[] = [
  ["mov eax, ebx; add eax, 1; ret", "89d8 83c001 c3", LONG],
  ["loop: inc eax; cmp eax, ecx; jne loop", "ffc0 39c8 75fa", LONG],
  ["add rax, [rbx+rcx*8+16]; adc rdx, 0", "48034 4cb10 4883d200", LONG],
  ["mov [rdi], al; mov ah, bl", "8807 88dc", LONG],
  ["test eax, eax; sete cl; cmovs rdx, rax", "85c0 0f94c1 480f48d0", LONG],
  ["push rbp; mov rbp, rsp; pop rbx", "55 4889e5 5b", LONG],
  ["mov eax, [rbx]; add eax, [rbx+4]; mov [rbx+8], eax", "8b03 034304 894308", LONG],
  ["shl eax, cl; jc +2", "d3e0 7202", LONG],
  ["rep movsb", "f3a4", LONG],
  ["cpuid; mov ebx, eax", "0fa2 89c3", LONG],
  ["paddd xmm0, xmm1; movd eax, xmm0", "660ffec1 660f7ec0", LONG],
  ["mov eax, fs:[0]; jmp rax", "648b042500000000 ffe0", LONG],
  ["mov [bx+si], ax; call +3", "8900 e80300", REAL],
];

const factsOf = (insn: Instruction) => describe(insn).facts;

function decode(hex: string, mode: DecodeMode): Instruction[] {
  const code = Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const decoder = new Decoder(new Set(ALL_FEATURES)), insns: Instruction[] = [];
  for (let at = 0; at < code.length;) {
    const insn = decoder.decode(code, at, code.length, 0x100 + at, mode);
    if (insn === undefined) throw new Error(`${hex} is no code`);
    insns.push(insn);
    at += insn.length;
  }
  return insns;
}

const FIELDS = Object.entries(S).sort(([, a], [, b]) => b - a);
/** What lies at an address in the state block, so that the text does not depend on where that is. */
function nameOf(at: number): string | undefined {
  if (at < STATE_BASE || at >= XMM_BASE) return undefined;
  const [name, start] = FIELDS.find(([, field]) => field <= at) as [string, number];
  if (name === "gpr") return `offset=${GPR_NAMES[(at - start) >> 3]}${at % 8 === 0 ? "" : `+${at % 8}`}`;
  return `offset=${name}${at === start ? "" : `+${at - start}`}`;
}

/** The functions of one module as text; imports are named, everything else is numbered from 0. */
async function textOf(make: (links: Links) => readonly FunctionBody[]): Promise<string> {
  const module = new ModuleBuilder();
  const links = importLinks(module, { memoryPages: 1, tableSize: 1, plainTable: true });
  for (const body of make(links)) module.addFunction(links.handlerType, body);
  const tool = await wabt();
  const parsed = tool.readWasm(module.encode(), { tail_call: true, simd: true, bulk_memory: true });
  parsed.generateNames();
  parsed.applyNames();
  const text = parsed.toText({ foldExprs: false, inlineExport: false });
  parsed.destroy();
  const own = text.slice(text.indexOf("  (func ", text.lastIndexOf("(import "))).replace(/\)\s*$/, "");
  const first = Number(/\$f(\d+)/.exec(own)?.[1]); // behind the imports, whose number does not matter
  return own.replace(/\$f(\d+)/g, (_, n) => `$f${Number(n) - first}`)
    // Weight (WasmBuilder.weight) says nothing about the code.
    .replace(/offset=(\d+)/g, (all, at) => nameOf(Number(at)) ?? all)
    .replace(/( +i32\.const 0\n +i32\.load align=1\n +drop\n)+/g, "      ;; weight\n");
}

/** A node of a region that begins at offset `address` of the region's code and goes nowhere, but for what `ways` says. */
export function regionNode(
  insns: readonly Instruction[],
  address: number,
  ways: Partial<Pick<RegionNode, "taken" | "fall">>,
): RegionNode {
  return {
    start: 0x100_0000 + address * 32,
    handler: 20,
    insns,
    facts: insns.map(factsOf),
    summaries: insns.map(summarize),
    secondHost: 0,
    count: insns.length,
    page: 0x800_0000,
    address,
    after: undefined,
    computed: undefined,
    returns: false,
    taken: undefined,
    fall: undefined,
    takenNeighbour: undefined,
    fallNeighbour: undefined,
    ...ways,
  };
}

/** A region of one block, which may branch to itself. */
function regionOf(links: Links, insns: readonly Instruction[]): FunctionBody {
  const first = insns[0] as Instruction, last = insns[insns.length - 1] as Instruction;
  const loops = isDirectBranch(last) && last.poff + last.length + last.immLow === first.poff;
  const taken = loops ? { to: 0, crossing: undefined } : undefined;
  return compileRegion([regionNode(insns, 0, { taken })], [0], 30, links).body;
}

/** Instructions that have one handler each. */
function handlersOf(insns: readonly Instruction[]): (readonly Instruction[])[] {
  const shapes = insns.map(newShape);
  const groups: (readonly Instruction[])[] = [];
  for (let i = 0; i < insns.length;) {
    const count = fusesWithNext(shapes[i] as Shape, shapes[i + 1]) ? 2 : 1;
    groups.push(insns.slice(i, i + count));
    i += count;
  }
  return groups;
}

/** All blocks: as handlers, as one handler for engine interp, or as regions of engine jit. */
export async function goldenText(how: "handlers" | "interp" | "jit"): Promise<string> {
  let text = "";
  for (const [name, hex, mode] of BLOCKS) {
    if (how === "jit" && !mode.flat) continue; // no regions there
    const insns = decode(hex, mode);
    const facts = insns.map(factsOf);
    const functions = await textOf((links) =>
      how === "handlers"
        ? handlersOf(insns).map((group) => compileHandler(links, group, group.map(factsOf)))
        : [how === "jit" ? regionOf(links, insns) : compileBlock(links, insns, facts)]
    );
    text += `;; ${mode.codeBits} bit: ${name}\n${functions.trimEnd()}\n\n`;
  }
  return text;
}
