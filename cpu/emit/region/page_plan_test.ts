// SPDX-License-Identifier: MIT
/** Which operands of small loops get a page cache. @module */
import { assert, assertEquals } from "@std/assert";
import { ALL_FEATURES } from "../../base/cpu_features.ts";
import { Decoder } from "../../decode/decoder.ts";
import { mayBeWritten, type PagePlan, planPages, STACK_PAGE } from "./page_plan.ts";
import { type Described, summarize } from "./summary.ts";
import "../../isa/mod.ts";

const LONG = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false } as const;

function planOf(hex: string, loops: boolean): PagePlan {
  const code = Uint8Array.from(hex.replaceAll(" ", "").match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const decoder = new Decoder(new Set(ALL_FEATURES)), insns: Described[] = [];
  for (let at = 0; at < code.length;) {
    const insn = decoder.decode(code, at, code.length, at, LONG);
    if (insn === undefined) throw new Error(`${hex} is no code`);
    insns.push(insn);
    at += insn.length;
  }
  const node = { address: 0, insns, summaries: insns.map(summarize), fall: undefined };
  return planPages([{ ...node, taken: loops ? { to: 0 } : undefined }]);
}

/**
 * A node of the code in `hex`, which goes back to itself or nowhere; how each instruction's operand finds its page: those that
 * share one have one letter.
 */
function uses(hex: string, loops: boolean): readonly string[] {
  const { uses: [found] } = planOf(hex, loops), keys: number[] = [], caches: number[] = [];
  return (found ?? []).map((use) => {
    if (use === undefined) return "-";
    if (use.how === "cache") {
      assert(use.number !== STACK_PAGE);
      if (!caches.includes(use.number)) caches.push(use.number);
      return `cache ${caches.indexOf(use.number)}${mayBeWritten(use.number) ? " to store" : ""}`;
    }
    if (!keys.includes(use.key)) keys.push(use.key);
    return `shared ${"abc"[keys.indexOf(use.key)]}`;
  });
}

Deno.test("a loop caches the pages of a table and of a pointer that moves by small steps", () => {
  // movzx ecx, byte [rdx]; inc rdx; xor eax, [rdi + rcx*4]; jne
  assertEquals(uses("0fb60a 48ffc2 33048f 75f5", true), ["cache 0", "-", "cache 1", "-"]);
  // mov [rbx], eax; add rbx, 8
  assertEquals(uses("8903 4883c308 75f8", true), ["cache 0 to store", "-", "-"]);
});

Deno.test("regions share caches by their bases, but not those for reading with those that are written", () => {
  const numbers = (hex: string) =>
    planOf(hex, true).uses[0]?.map((use) => use?.how === "cache" && use.number);
  const [read] = numbers("8a03 48ffc3 75f9") ?? []; // mov al, [rbx]; inc rbx; jne
  assertEquals(numbers("01c8 8a4b05 75f9"), [false, read, false]); // add eax, ecx; mov cl, [rbx + 5]
  const [both, written] = numbers("8a03 8803 75fa") ?? []; // mov al, [rbx]; mov [rbx], al
  assertEquals([both, written === read], [written, false]);
});

Deno.test("a base that moves far has no cache, one that is loaded neither", () => {
  assertEquals(uses("8903 4801cb 75f9", true), ["shared a", "-", "-"]); // add rbx, rcx
  assertEquals(uses("8903 4881c300100000 75f5", true), ["shared a", "-", "-"]); // add rbx, 4096
  assertEquals(uses("488b1b 75fb", true), ["shared a", "-"]); // mov rbx, [rbx]
});

Deno.test("outside loops accesses with one base share what they find, and those with one index", () => {
  assertEquals(uses("8b03 8b4b04 895308", false), ["shared a", "shared a", "shared a"]);
  // [rbx + rcx * 4], [rbx + rdx * 4], [rbx + rcx * 4 + 4]
  assertEquals(uses("8b048b 8b0493 8b448b04", false), ["shared a", "shared b", "shared a"]);
  // mov ebx, eax; inc rcx; add rdx, 4096: what shares ends with a base that moves far
  assertEquals(planOf("89c3 48ffc1 4881c200100000", false).moved, [[1 << 3, 0, 1 << 2]]);
});

Deno.test("the stack has its own cache, pages without a base register one each", () => {
  assertEquals(uses("8b0424 8b442408", true), ["-", "-"]); // [rsp], [rsp + 8]
  assertEquals(uses("8b0425 00100000 8b0c25 04100000 8b1425 00200000 75e9", true), [
    "cache 0", // [0x1000]
    "cache 0", // [0x1004]
    "cache 1", // [0x2000]
    "-",
  ]);
});
