// SPDX-License-Identifier: MIT
// #AC at privilege 3 with CR0.AM and EFLAGS.AC. Expected values: SDM Vol. 3A table 6-7; where the host runs such code, it
// is asked, too.
import { assertEquals } from "@std/assert";
import { ENGINES } from "../_bare_cpu.ts";
import { EXC_AC, FLAG_AC } from "../state/state.ts";
import {
  codeAddress,
  type NativeResult,
  runNative,
  scratchAddress,
  STREAM_SCRATCH_BYTES,
} from "./_native_runner.ts";
import { whyNotIntel } from "./_oracle.ts";
import { StreamCpu } from "./_stream_cpu.ts";
import type { Stream } from "./_streams.ts";

/** With [RBX]: bytes the operand has to be aligned to; 1: never #AC. */
const OPERANDS: Readonly<Record<string, readonly [alignment: number, code: string]>> = {
  "mov r, m16": [2, "66 8b 03"],
  "mov r, m64": [8, "48 8b 03"],
  "add m32, r": [4, "01 03"],
  "lock add m32, r": [4, "f0 01 03"],
  "cmpxchg8b m64": [8, "0f c7 0b"],
  "bts m64, r": [8, "48 0f ab 03"],
  "push m64": [8, "ff 33"],
  "push r, by RBX": [8, "48 89 dc 50"],
  "rep stosq": [8, "48 89 df b9 04 00 00 00 f3 48 ab"],
  "movss xmm, m32": [4, "f3 0f 10 03"],
  "movups xmm, m128": [1, "0f 10 03"],
  "addsd xmm, m64": [8, "f2 0f 58 03"],
  "fld m32": [4, "d9 03"],
  "fld m64": [8, "dd 03"],
  "fld m80": [8, "db 2b"],
  "fstp m80": [8, "db 3b"],
  "fild m16": [2, "df 03"],
  "fbld m80": [8, "df 23"],
  "fldcw m16": [2, "d9 2b"],
  "fnstenv m28": [4, "d9 33"],
  "fnstenv m14": [2, "66 d9 33"],
  "fnsave m108": [4, "dd 33"],
  "fnsave m94": [2, "66 dd 33"],
};
const OFFSETS = [0, 1, 2, 4, 8];
const COUNT = Object.keys(OPERANDS).length * OFFSETS.length;
const le = (n: number) => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];

const cases = Object.entries(OPERANDS).flatMap(([name, [alignment, hex]]) =>
  OFFSETS.map((offset) => ({ name, alignment, hex, offset }))
);
const streams = cases.map(({ hex, offset }, i): Stream => {
  const scratch = scratchAddress(COUNT, i, STREAM_SCRATCH_BYTES);
  const memory = new Uint8Array(STREAM_SCRATCH_BYTES), view = new DataView(memory.buffer);
  view.setUint16(0, 0x37f, true); // FCW, MXCSR, XSTATE_BV
  view.setUint32(24, 0x1f80, true);
  memory[512] = 7;
  const front = [0x0f, 0xae, 0x2c, 0x25, ...le(scratch), 0x31, 0xc0, 0xbb, ...le(scratch + 1024 + offset)];
  const code = [...front, ...hex.split(" ").map((byte) => parseInt(byte, 16))]; // XRSTOR; eax = 0; ebx = address
  const gpr = Array.from({ length: 16 }, (_, r) => r === 0 ? 7n : r === 4 ? BigInt(scratch + 2560) : 0n);
  return { one: { code, gpr, flags: 0x202 | FLAG_AC, memory }, units: [], undefined: 0 };
});
function check(results: readonly NativeResult[]): void {
  cases.forEach(({ name, alignment, offset }, i) => {
    const wanted = offset % alignment === 0 ? -1 : EXC_AC;
    assertEquals((results[i] as NativeResult).vector, wanted, `${name} at +${offset}`);
    const at = (results[i] as NativeResult).rip;
    if (wanted === EXC_AC) {
      assertEquals(at, codeAddress(64, i, STREAM_SCRATCH_BYTES) + 15 + moves(name), `${name}: where`);
    }
  });
}
/** Bytes of instructions in front of the one that counts. */
const moves = (name: string) => name === "rep stosq" ? 8 : name.endsWith("RBX") ? 3 : 0;

for (const how of ENGINES) {
  Deno.test(`#AC: operands that are not aligned (${how.name})`, () => {
    const cpu = new StreamCpu(64, how, 3);
    cpu.load(streams);
    check(streams.map((stream, i) => cpu.run(stream, i, COUNT)));
    // Supervisors have no alignment check.
    const ring0 = new StreamCpu(64, how, 0);
    ring0.load(streams);
    assertEquals(streams.map((stream, i) => ring0.run(stream, i, COUNT).vector), cases.map(() => -1));
  });
}
const reason = await whyNotIntel(64);
Deno.test({
  name: `#AC: the host's CPU agrees${reason === "" ? "" : ` (skipped: ${reason})`}`,
  ignore: reason !== "",
  fn: async () => check(await runNative(64, streams.map(({ one }) => one))),
});
