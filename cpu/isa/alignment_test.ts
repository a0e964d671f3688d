// SPDX-License-Identifier: MIT
// #AC at privilege 3 with CR0.AM and EFLAGS.AC. Expected values: SDM Vol. 3A table 6-7, Vol. 2A §2.7 and the instructions'
// own pages; APM Vol. 2 §8.2.17; where the host runs such code, it is asked, too. AMD's values are those of a Zen 4.
import { assertEquals } from "@std/assert";
import { ENGINES } from "../_bare_cpu.ts";
import type { CpuVendor } from "../base/engine.ts";
import { EXC_AC, EXC_GP, FLAG_AC } from "../state/state.ts";
import {
  codeAddress,
  type NativeResult,
  runNative,
  scratchAddress,
  STREAM_SCRATCH_BYTES,
  whyNotNative,
} from "./_native_runner.ts";
import { hostVendor } from "./_oracle.ts";
import { StreamCpu } from "./_stream_cpu.ts";
import type { Stream } from "./_streams.ts";

/** What each vendor's processors want. */
interface ByVendor {
  readonly intel: number;
  readonly amd: number;
}
const VECTOR: ByVendor = { intel: 1, amd: 16 };
/** With [RBX]: bytes the operand has to be aligned to; 1: never #AC. `else`: to how many for #GP. */
const OPERANDS: Readonly<
  Record<string, readonly [alignment: number | ByVendor, code: string, otherwise?: number]>
> = {
  "mov r, m16": [2, "66 8b 03"],
  "mov r, m64": [8, "48 8b 03"],
  "movsxd r, m": [4, "48 63 03"],
  "movsxd r16, m": [{ intel: 2, amd: 4 }, "66 63 03"],
  "add m32, r": [4, "01 03"],
  "lock add m32, r": [4, "f0 01 03"],
  "cmpxchg8b m64": [8, "0f c7 0b"],
  "bts m64, r": [8, "48 0f ab 03"],
  "push m64": [8, "ff 33"],
  "push r, by RBX": [8, "48 89 dc 50"],
  "rep stosq": [8, "48 89 df b9 04 00 00 00 f3 48 ab"],
  "movss xmm, m32": [4, "f3 0f 10 03"],
  "movups xmm, m128": [VECTOR, "0f 10 03"],
  "movaps xmm, m128": [1, "0f 28 03", 16],
  "vmovdqu ymm, m256": [VECTOR, "c5 fe 6f 03"],
  "vpaddb xmm, xmm, m128": [VECTOR, "c5 f9 fc 03"],
  "vpaddb m256": [VECTOR, "c5 fd fc 03"],
  "pcmpistri xmm, m128": [VECTOR, "66 0f 3a 63 03 00"],
  "vmaskmovps xmm, xmm, m128": [1, "c4 e2 71 2c 03"],
  "vmaskmovps m128, xmm, xmm": [1, "c4 e2 71 2e 03"],
  "vpmaskmovq ymm, ymm, m256": [1, "c4 e2 f5 8c 03"],
  "vpmaskmovq m256, ymm, ymm": [1, "c4 e2 f5 8e 03"],
  "vgatherdps xmm, [rbx + xmm0], xmm": [1, "c4 e2 71 92 14 03"],
  "vcvtph2ps xmm, m64": [{ intel: 1, amd: 8 }, "c4 e2 79 13 03"],
  "vcvtph2ps ymm, m128": [VECTOR, "c4 e2 7d 13 03"],
  "vcvtps2ph m64, xmm": [{ intel: 1, amd: 8 }, "c4 e3 79 1d 03 00"],
  "vcvtps2ph m128, ymm": [VECTOR, "c4 e3 7d 1d 03 00"],
  "maskmovq mm, mm, by RDI": [8, "48 89 df 0f f7 c1"],
  "maskmovdqu xmm, xmm, by RDI": [8, "48 89 df 66 0f f7 c1"],
  "vmaskmovdqu xmm, xmm, by RDI": [8, "48 89 df c5 f9 f7 c1"],
  "fxsave m512": [4, "0f ae 03", 16],
  "fxrstor m512": [4, "0f ae 0b", 16],
  "cmpxchg16b m128": [1, "48 0f c7 0b", 16],
  "retf, by RBX": [4, "48 89 dc cb", 1 << 30],
  "iretq, by RBX": [8, "48 89 dc 48 cf", 1 << 30],
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

const cases = Object.entries(OPERANDS).flatMap(([name, [alignment, hex, otherwise = 1]]) =>
  OFFSETS.map((offset) => ({ name, alignment, hex, offset, otherwise }))
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
function check(results: readonly NativeResult[], vendor: CpuVendor): void {
  cases.forEach(({ name, alignment: by, offset, otherwise }, i) => {
    const alignment = typeof by === "number" ? by : vendor === "AuthenticAMD" ? by.amd : by.intel;
    const wanted = offset % alignment !== 0 ? EXC_AC : isRefused(offset, otherwise) ? EXC_GP : -1;
    assertEquals((results[i] as NativeResult).vector, wanted, `${name} at +${offset}`);
    const at = (results[i] as NativeResult).rip;
    if (wanted === EXC_AC) {
      assertEquals(at, codeAddress(64, i, STREAM_SCRATCH_BYTES) + 15 + moves(name), `${name}: where`);
    }
  });
}
/** #GP for another reason: a 16-byte operand, or what a return finds there. */
const isRefused = (offset: number, otherwise: number) => otherwise > 16 || offset % otherwise !== 0;
/** Bytes of instructions in front of the one that counts. */
const moves = (name: string) => name === "rep stosq" ? 8 : /by R(BX|DI)$/.test(name) ? 3 : 0;

for (const how of ENGINES) {
  for (const vendor of ["GenuineIntel", "AuthenticAMD"] as const) {
    Deno.test(`#AC: operands that are not aligned (${how.name}, ${vendor})`, () => {
      const cpu = new StreamCpu(64, how, 3, vendor);
      cpu.load(streams);
      check(streams.map((stream, i) => cpu.run(stream, i, COUNT)), vendor);
    });
  }
  Deno.test(`#AC: supervisors have none (${how.name})`, () => {
    const ring0 = new StreamCpu(64, how, 0);
    ring0.load(streams);
    streams.forEach((stream, i) => {
      const { name, offset, otherwise } = cases[i] as typeof cases[number];
      const wanted = isRefused(offset, otherwise) ? EXC_GP : -1;
      assertEquals(ring0.run(stream, i, COUNT).vector, wanted, `${name} at +${offset}`);
    });
  });
}
const reason = await whyNotNative(64);
Deno.test({
  name: `#AC: the host's CPU agrees${reason === "" ? "" : ` (skipped: ${reason})`}`,
  ignore: reason !== "",
  fn: async () => check(await runNative(64, streams.map(({ one }) => one)), await hostVendor()),
});
