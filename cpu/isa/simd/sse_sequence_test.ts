// SPDX-License-Identifier: MIT
/**
 * Sequences of SSE instructions: moves, scalars and vectors on few registers, so that code that remembers what registers
 * hold (cpu/emit/vector/vector_emit.ts) meets every mixture. Judged by the host's CPU where it can, and one handler per
 * instruction, which remembers nothing.
 * @module
 */
import { assertEquals } from "@std/assert";
import { DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { S, XMM_BASE } from "../../state/state.ts";
import { Random } from "../_cases.ts";
import { runHere } from "../_emulated_runner.ts";
import {
  codeAddress,
  type NativeCase,
  type NativeResult,
  runNative,
  scratchAddress,
  whyNotNative,
} from "../_native_runner.ts";
import { FX } from "./_vector_cases.ts";

const SEQUENCES = 160, LENGTH = 24, SCRATCH = 512;

/** Mandatory prefixes and opcodes of 0F; "i": an immediate follows, "m" and "r": with memory or a register only. */
const INSTRUCTIONS = [
  ..."np66f3f2".match(/../g)!.flatMap((prefix) =>
    ["10", "51", "58", "59", "5a", "5c", "5d", "5e", "5f"].map((op) => `${prefix} ${op}`)
  ),
  ..."np66".match(/../g)!.flatMap((prefix) =>
    ["14", "15", "28", "54", "57", "c6i"].map((op) => `${prefix} ${op}`)
  ),
  ...[
    "np 12",
    "np 16",
    "66 12m",
    "66 16m",
    "np 5b",
    "66 5b",
    "f3 5b",
    "f3 e6",
    "66 6f",
    "66 ef",
    "f3 7e",
    "66 d6r",
  ],
  ...["f3 10r", "f2 10r", "f3 10r", "f2 10r", "np c2i", "f2 c2i", "f3 c2i", "66 70i"],
];
const VALUES = [
  0,
  -0,
  1,
  -1.5,
  3,
  1e-3,
  7.25e10,
  1 / 3,
  1e30,
  -2.5e-20,
  123456789,
  4.9e-324,
  1e-40,
  Infinity,
];
/** MXCSR: PE clear or set mostly, and some with DAZ, FTZ, both, or another rounding. */
const CONTROLS = [0x1f80, 0x1fa0, 0x1f80, 0x1fa0, 0x1fe0, 0x9fa0, 0x9fc0, 0x3f80, 0x7fa0];
/** Products and sums of which stay ordinary, or just do not: cpu/emit/vector/float_bounds.ts. */
const MODERATE = {
  f32: [0, 1, -3, 1 / 3, 2 ** -31, -(2 ** -30), 2 ** -32, 2 ** 32, -8e9, 1.5 * 2 ** 33, 1e-3],
  f64: [0, 1, -3, 1 / 3, 2 ** -255, -(2 ** -254), 2 ** -256, 2 ** 256, -(2 ** 255.9), 2 ** 257, 1e-3],
} as const;

function sequence(seed: number, scratch: number): NativeCase {
  const random = new Random(seed);
  const memory = new Uint8Array(SCRATCH), view = new DataView(memory.buffer);
  view.setUint16(FX.fcw, 0x37f, true);
  view.setUint32(FX.mxcsr, CONTROLS[random.below(CONTROLS.length)] as number, true);
  const fill = (at: number) => {
    const float = random.chance(50);
    const values = seed % 2 === 0 ? VALUES : MODERATE[float ? "f32" : "f64"];
    for (let i = 0; i < 16; i += float ? 4 : 8) {
      const value = values[random.below(values.length)] as number;
      if (float) view.setFloat32(at + i, value, true);
      else view.setFloat64(at + i, value, true);
    }
  };
  for (let i = 0; i < 16; i++) fill(FX.xmm + 16 * i);
  for (let at = FX.available; at < SCRATCH; at += 16) fill(at);
  const bytes = (n: number) => [0, 8, 16, 24].map((shift) => (n >>> shift) & 0xff);
  const image = (field: number) => [0x48, 0x0f, 0xae, (field << 3) | 4, 0x25, ...bytes(scratch)];
  const code = image(1);
  for (let n = 0; n < LENGTH; n++) {
    const [prefix, opcode] = (INSTRUCTIONS[random.below(INSTRUCTIONS.length)] as string).split(" ") as [
      string,
      string,
    ];
    const isMemory = opcode.endsWith("m") || (!opcode.endsWith("r") && random.chance(25));
    const reg = random.below(4), rm = random.below(4);
    if (prefix !== "np") code.push(parseInt(prefix, 16));
    code.push(0x0f, parseInt(opcode, 16));
    if (isMemory) code.push((reg << 3) | 4, 0x25, ...bytes(scratch + FX.available + 16 * random.below(3)));
    else code.push(0xc0 | (reg << 3) | rm);
    if (opcode.endsWith("i")) code.push(random.u32() & 0xff);
  }
  code.push(...image(0));
  return { code, gpr: new Array(16).fill(0n), flags: 0x202, memory };
}
/** Registers and MXCSR. */
function seen({ vector, memory }: NativeResult): unknown {
  const view = new DataView(memory.buffer, memory.byteOffset);
  const registers = [0, 1, 2, 3].map((i) =>
    [0, 8].map((at) => view.getBigUint64(FX.xmm + 16 * i + at, true).toString(16))
  );
  return { vector, registers, mxcsr: view.getUint32(FX.mxcsr, true) };
}

Deno.test("SSE: sequences of moves, scalars and vectors do what the host's CPU and single instructions do", async () => {
  const cases = Array.from({ length: SEQUENCES }, (_, i) => sequence(i + 1, scratchAddress(SEQUENCES, i)));
  const native = await whyNotNative(64) === "" ? await runNative(64, cases) : undefined;
  const [single, ...others] = ENGINES.map((how) => new TestCpu(64, how)) as [TestCpu, ...TestCpu[]];
  cases.forEach((one, i) => {
    const run = (cpu: TestCpu) =>
      seen(runHere(cpu, one, codeAddress(64, i), scratchAddress(SEQUENCES, i), 1000));
    const expected = run(single);
    if (native !== undefined) assertEquals(expected, seen(native[i] as NativeResult), `sequence ${i}`);
    for (const cpu of others) assertEquals(run(cpu), expected, `sequence ${i}`);
  });
});

for (const how of ENGINES) {
  Deno.test(`SSE: what LDMXCSR loads counts from the next instruction on (${how.name})`, () => {
    const t = new TestCpu(64, how);
    const { view } = t.memory, { s } = t.cpu.core;
    const data = t.memory.offsetOf(DATA_BASE);
    view.setUint32(data, 0x1fa0, true); // rounds to nearest, PE set
    view.setUint32(data + 4, 0x5fa0, true); // rounds up
    view.setFloat64(data + 8, 1, true);
    view.setFloat64(data + 16, 3, true);
    const at = (offset: number) => [0x25, ...new Uint8Array(Uint32Array.of(DATA_BASE + offset).buffer)];
    t.run([
      ...[0x0f, 0xae, 0x14, ...at(0)], // ldmxcsr
      ...[0xf2, 0x0f, 0x10, 0x04, ...at(8), 0x0f, 0x28, 0xc8, 0xf2, 0x0f, 0x5e, 0x04, ...at(16)], // xmm0 = 1 / 3
      ...[0x0f, 0xae, 0x14, ...at(4)],
      ...[0xf2, 0x0f, 0x5e, 0x0c, ...at(16)], // xmm1 = 1 / 3
    ]);
    const bits = [0, 16].map((i) => view.getBigUint64(XMM_BASE + i, true).toString(16));
    assertEquals(bits, ["3fd5555555555555", "3fd5555555555556"]);
    assertEquals(s.get32(S.mxcsr), 0x5fa0);
  });
}
