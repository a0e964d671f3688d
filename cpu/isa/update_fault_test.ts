// SPDX-License-Identifier: MIT
/**
 * Error codes of page faults: what reads, changes and writes its operand asks for a write at once, also when it will
 * write nothing new. Each line was seen so on a real processor (Intel, SIGSEGV's error code).
 * @module
 */
import { assertEquals } from "@std/assert";
import { CODE_BASE, ENGINES, TestCpu } from "../_bare_cpu.ts";
import { CR0_WP, EXC_PF, S } from "../state/state.ts";

const PAGE = 0x40_0000, HANDLER = CODE_BASE + 0x1000;
/** The entry of PAGE in the page directory of a bare CPU: 2 MiB. */
const ENTRY = 0x3000 + 8 * (PAGE / 0x20_0000);
const PRESENT = 1, WRITE = 2;

const UPDATES: Readonly<Record<string, string>> = {
  "0f b1 0b": "CMPXCHG that will fail",
  "f0 0f b1 0b": "LOCK CMPXCHG",
  "0f c7 0b": "CMPXCHG8B",
  "48 0f c7 0b": "CMPXCHG16B",
  "0f c1 03": "XADD",
  "87 03": "XCHG",
  "01 03": "ADD",
  "83 23 00": "AND 0",
  "ff 03": "INC",
  "f7 1b": "NEG",
  "0f ab 03": "BTS",
  "0f ba 3b 01": "BTC imm8",
  "d3 23": "SHL by CL = 0",
  "c1 23 00": "SHL by 0",
  "c1 13 00": "RCL by 0",
  "0f a4 03 00": "SHLD by 0",
  "0f a5 03": "SHLD by CL = 0",
  "0f 94 03": "SETZ",
  "8f 03": "POP",
};
const READS: Readonly<Record<string, string>> = {
  "0f a3 03": "BT",
  "0f ba 23 01": "BT imm8",
  "39 03": "CMP",
  "85 03": "TEST",
  "f7 23": "MUL",
  "0f 44 03": "CMOVZ that does not move",
  "ff 33": "PUSH",
};

for (const how of ENGINES) {
  const t = new TestCpu(64, how);
  /** The error code of a page fault, or -1. */
  const errorCode = (hex: string, entry: bigint): number => {
    t.reset();
    t.memory.view.setBigUint64(t.memory.offsetOf(ENTRY), entry, true);
    const { core } = t.cpu, { s } = core;
    s.set64(S.cr0, s.get64(S.cr0) | BigInt(CR0_WP));
    core.mmu.flush();
    core.updateMode();
    t.handlers({ [EXC_PF]: HANDLER });
    t.write(HANDLER, [0x58, 0xbd, 1, 0, 0, 0, 0xf4]); // pop rax; mov ebp, 1; hlt
    s.setGpr(0, 5n);
    s.setGpr(3, BigInt(PAGE));
    s.setGpr(5, 0n);
    t.run(hex.split(" ").map((byte) => parseInt(byte, 16)));
    return s.gpr(5) === 1n ? Number(s.gpr(0)) : -1;
  };
  const readOnly = BigInt(PAGE | 0x81), absent = 0n;
  Deno.test(`updates fault as writes (${how.name})`, () => {
    for (const [hex, name] of Object.entries(UPDATES)) {
      assertEquals([errorCode(hex, absent), errorCode(hex, readOnly)], [WRITE, WRITE | PRESENT], name);
    }
  });
  Deno.test(`reads do not (${how.name})`, () => {
    for (const [hex, name] of Object.entries(READS)) {
      assertEquals([errorCode(hex, absent), errorCode(hex, readOnly)], [0, -1], name);
    }
  });
}
