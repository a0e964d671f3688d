// SPDX-License-Identifier: MIT
/** Which operands of small loops get a page cache. @module */
import { assertEquals } from "@std/assert";
import { ALL_FEATURES } from "../../base/cpu_features.ts";
import { Decoder } from "../../decode/decoder.ts";
import { planPages } from "./page_plan.ts";
import { type Described, summarize } from "./summary.ts";
import "../../isa/mod.ts";

const LONG = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false } as const;

/** A node of the code in `hex`, which goes back to itself or nowhere; how each instruction's operand is cached. */
function uses(hex: string, loops: boolean): readonly string[] {
  const code = Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const decoder = new Decoder(new Set(ALL_FEATURES)), insns: Described[] = [];
  for (let at = 0; at < code.length;) {
    const insn = decoder.decode(code, at, code.length, at, LONG);
    if (insn === undefined) throw new Error(`${hex} is no code`);
    insns.push(insn);
    at += insn.length;
  }
  const node = { address: 0, insns, summaries: insns.map(summarize), fall: undefined };
  const { uses: [found], stores } = planPages([{ ...node, taken: loops ? { to: 0 } : undefined }]);
  return (found ?? []).map((use) =>
    use === undefined ? "-" : `${use.how} ${use.cache}${stores[use.cache] ? " to store" : ""}`
  );
}

Deno.test("a loop caches the pages of a table and of a pointer that moves by small steps", () => {
  // movzx ecx, byte [rdx]; inc rdx; xor eax, [rdi + rcx*4]; jne
  assertEquals(uses("0fb60a 48ffc2 33048f 75f5", true), ["check 0", "-", "check 1", "-"]);
  // mov [rbx], eax; add rbx, 8
  assertEquals(uses("8903 4883c308 75f8", true), ["check 0 to store", "-", "-"]);
});

Deno.test("a base that moves far is looked up each time, one that is loaded too", () => {
  assertEquals(uses("8903 4801cb 75f9", true), ["-", "-", "-"]); // add rbx, rcx
  assertEquals(uses("8903 4881c300100000 75f5", true), ["-", "-", "-"]); // add rbx, 4096
  assertEquals(uses("488b1b 75fb", true), ["-", "-"]); // mov rbx, [rbx]
});

Deno.test("outside loops the first access with a base fills its cache for those behind it", () => {
  assertEquals(uses("8b03 8b4b04 895308", false), [
    "fill 0 to store",
    "check 0 to store",
    "check 0 to store",
  ]);
  assertEquals(uses("8b03 89c3 8b4b04", false), ["-", "-", "-"]); // rbx changes between
});

Deno.test("the stack has its own cache, pages without a base register one each", () => {
  assertEquals(uses("8b0424 8b442408", true), ["-", "-"]); // [rsp], [rsp + 8]
  assertEquals(uses("8b0425 00100000 8b0c25 04100000 8b1425 00200000 75e9", true), [
    "check 0", // [0x1000]
    "check 0", // [0x1004]
    "check 1", // [0x2000]
    "-",
  ]);
});
