// SPDX-License-Identifier: MIT
/** What a guest leaves behind that keeps rewriting its code. A file of its own: V8 remembers what others made. @module */
import v8 from "node:v8";
import { assert, assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, TestCpu } from "../_bare_cpu.ts";
import { S } from "../state/state.ts";

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const HLT = 0xf4, NOP = 0x90;

Deno.test("a program that rewrites its code for ever leaves nothing behind for V8's old space, though others' blocks lived long", () => {
  const blocks = 40_000, rewrites = 100_000, first = DATA_BASE;
  const oldSpace = () =>
    v8.getHeapSpaceStatistics().find((space) => space.space_name === "old_space")?.space_used_size as number;
  const t = new TestCpu(64, { engine: "interp" });
  // As many blocks as a boot has: nop; jmp to the next one.
  for (let i = 0; i < blocks; i++) t.write(first + 4 * i, [NOP, 0xeb, 1, NOP]);
  t.write(first + 4 * blocks, [HLT]);
  // mov ecx, rewrites; turn: mov [immediate], ecx; mov eax, immediate; dec ecx; jnz turn; hlt
  t.write(CODE_BASE, [
    ...[0xb9, ...le32(rewrites), 0x89, 0x0c, 0x25, ...le32(CODE_BASE + 13)],
    ...[0xb8, ...le32(0), 0xff, 0xc9, 0x75, 0xf0, HLT],
  ]);
  const run = (rip: number) => {
    t.cpu.halted = false;
    t.cpu.core.s.set64(S.rip, BigInt(rip));
    for (let end = t.cpu.run(1_000_000); end !== "halted"; end = t.cpu.run(1_000_000)) {
      assertEquals(end, "budget");
    }
  };
  run(first);
  assert(t.cpu.blocks.count >= blocks);
  run(CODE_BASE); // what lives long is in the old space then
  const before = oldSpace(), { decoded } = t.cpu.blocks;
  run(CODE_BASE);
  const times = t.cpu.blocks.decoded - decoded, grown = (oldSpace() - before) / times;
  assert(times >= rewrites, `${times} blocks decoded`);
  assert(grown < 50, `${grown} bytes each time`);
});
