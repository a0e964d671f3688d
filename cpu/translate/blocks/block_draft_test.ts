// SPDX-License-Identifier: MIT
/** Instructions whose encodings have one place in the table of those that are known do not get each other's handlers. @module */
import { assertEquals, assertNotEquals } from "@std/assert";
import { CODE_BASE, TestCpu } from "../../_bare_cpu.ts";
import { ALL_FEATURES } from "../../base/cpu_features.ts";
import { Decoder } from "../../decode/decoder.ts";
import type { DecodeMode, Instruction } from "../../decode/instruction.ts";
import { record, RECORD_BYTES } from "../../state/record.ts";
import { S } from "../../state/state.ts";

const MODE: DecodeMode = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false };
/** REX.W and an operation of two registers. */
const OPCODES = [0x01, 0x03, 0x09, 0x0b, 0x21, 0x23, 0x29, 0x2b, 0x31, 0x33, 0x87, 0x89, 0x8b];

/** Two instructions of three bytes with different handlers whose encodings share a row. */
function rivals(): [first: number[], second: number[]] {
  const decoder = new Decoder(new Set(ALL_FEATURES));
  const found = new Map<number, { readonly code: number[]; readonly insn: Instruction }>();
  for (const opcode of OPCODES) {
    for (let modrm = 0xc0; modrm < 0x100; modrm++) {
      const code = [0x48, opcode, modrm], bytes = Uint8Array.from([...code, ...new Array(16).fill(0)]);
      const insn = decoder.decode(bytes, 0, bytes.length, 0, MODE) as Instruction;
      const row = decoder.known.scan(bytes, 0, bytes.length, 0, MODE), rival = found.get(row);
      if (rival !== undefined && rival.insn.row !== insn.row) return [rival.code, code];
      found.set(row, { code, insn });
    }
  }
  throw new Error("no two encodings share a row");
}

Deno.test("instructions whose encodings share a row keep their own handlers, within a block and from block to block", () => {
  const [first, second] = rivals();
  const t = new TestCpu(64, { floatsLater: true });
  const handlersOf = (code: readonly number[][]) => {
    t.memory.write(CODE_BASE, Uint8Array.from([...code.flat(), 0xf4]));
    t.cpu.core.s.set64(S.rip, BigInt(CODE_BASE));
    const start = t.cpu.blocks.lookup();
    return code.map((_, i) =>
      t.cpu.blocks.view.getUint32(start + i * RECORD_BYTES + record.at.handler, true)
    );
  };
  const [a] = handlersOf([first]) as [number], [b] = handlersOf([second]) as [number];
  assertNotEquals(a, b);
  const blocks = [[first], [first], [first, second], [second], [second], [second, first, second, first], [
    first,
  ]];
  for (const block of [...blocks, ...blocks.toReversed()]) {
    assertEquals(handlersOf(block), block.map((code) => code === first ? a : b));
  }
});
