// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { EXC_DE } from "../../state/state.ts";
import { TestCpu } from "../../_bare_cpu.ts";
import { Random } from "../_cases.ts";

const RAX = 0, RCX = 1, RDX = 2;
const DIV_RCX = [0x48, 0xf7, 0xf1], IDIV_RCX = [0x48, 0xf7, 0xf9], MUL_RCX = [0x48, 0xf7, 0xe1];
const IMUL_RCX = [0x48, 0xf7, 0xe9];
const u64 = (v: bigint) => BigInt.asUintN(64, v), s64 = (v: bigint) => BigInt.asIntN(64, v);
const edges = [0n, 1n, 2n, 0xffff_ffffn, 1n << 32n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];

function operands(random: Random): bigint {
  return random.chance(30)
    ? edges[random.below(edges.length)] as bigint
    : random.u64() >> BigInt(random.below(64));
}

// The SDM defines these by exact arithmetic, which BigInt is.
Deno.test("128-bit products and quotients are exact", () => {
  const t = new TestCpu(64);
  const { cpu } = t;
  const { s } = cpu.core;
  const random = new Random(7);
  const run = (code: number[], high: bigint, low: bigint, operand: bigint) => {
    s.setGpr(RDX, high);
    s.setGpr(RAX, low);
    s.setGpr(RCX, operand);
    cpu.exceptions.fill(0);
    if (t.run(code) === "halted") return [s.gpr(RDX), s.gpr(RAX)];
    const faulted = cpu.exceptions[EXC_DE] === 1;
    t.reset();
    return faulted ? "#DE" : "?";
  };
  for (let n = 0; n < 400; n++) {
    const low = operands(random), operand = operands(random);
    const high = operand !== 0n && random.chance(85) ? operands(random) % operand : operands(random);
    const what = `${high.toString(16)}:${low.toString(16)}, ${operand.toString(16)}`;
    const product = low * operand, signedProduct = s64(low) * s64(operand);
    assertEquals(run(MUL_RCX, high, low, operand), [product >> 64n, u64(product)], `MUL ${what}`);
    assertEquals(run(IMUL_RCX, high, low, operand), [u64(signedProduct >> 64n), u64(signedProduct)], what);

    const n128 = (high << 64n) | low;
    const divides = operand !== 0n && n128 / operand < 1n << 64n;
    const want = divides ? [n128 % operand, n128 / operand] : "#DE";
    assertEquals(run(DIV_RCX, high, low, operand), want, `DIV ${what}`);

    const d = s64(operand);
    const signedHigh = random.chance(50) ? u64(-(high >> 1n)) : high >> 1n;
    const signed = (s64(signedHigh) << 64n) | low;
    const q = d === 0n ? 0n : signed / d;
    const fits = d !== 0n && q === s64(q);
    assertEquals(
      run(IDIV_RCX, signedHigh, low, operand),
      fits ? [u64(signed % d), u64(q)] : "#DE",
      `IDIV ${what}`,
    );
  }
});
