// SPDX-License-Identifier: MIT
/**
 * FSIN, FCOS, FSINCOS, FPTAN and FPATAN in emitted code against microcode, and their fractions of 128 bits against
 * bigints.
 * @module
 */
import { assert } from "@std/assert";
import { TestCpu } from "../../_bare_cpu.ts";
import { X87_STATE } from "../../fpu/x87_state.ts";
import { S } from "../../state/state.ts";
import { generator, prepare, type Random, randomState, runBoth, significand } from "./_x87_states.ts";
import { ARC_TANGENT, ARC_TANGENT_ERROR } from "./arc_tangent.ts";
import { QUOTIENT, QUOTIENT_ERROR } from "./fractions.ts";
import { TRIG_COSINE, TRIG_ERROR, TRIG_SINE } from "./trigonometry.ts";

/** Operands of FSIN and its like: of every size that is done in emitted code and beyond, and near to multiples of pi/4. */
function angle(r: Random): { se: number; significand: bigint } {
  const sign = r.of([0, 0x8000]);
  if (!r.once(3)) return { se: sign | 0x3fff - 34 + r.below(70), significand: significand(r) };
  // k × pi/4 rounded, or a little beside it
  const k = BigInt(r.of([1, 2, 3, 4, 5, 7, 8, 100, 1 + r.below(1 << 30)]));
  const product = k * 0x3_243f_6a88_85a3_08d3n, bits = product.toString(2).length;
  const near = (product >> BigInt(bits - 64)) + BigInt(r.below(5)) - 2n;
  return { se: sign | 0x3fff + bits - 1 - 66, significand: near };
}

Deno.test("FSIN, FCOS and FSINCOS in emitted code are those of microcode, and need none for most operands", () => {
  const t = new TestCpu(64), reference = new TestCpu(64);
  const r = generator(0x51);
  const x87 = t.cpu.microcodeNames.indexOf("x87");
  const CASES = 600;
  for (let n = 0; n < CASES; n++) {
    const state = randomState(r, 0xd9, r.of([0xfb, 0xfe, 0xff]));
    const top = state.words.fsw >> 11 & 7;
    const registers = state.registers.map((value, i) => i === top ? angle(r) : value);
    const words = { fcw: state.words.fcw | 0x3f, fsw: state.words.fsw & 0x7f00, ftw: 1 << top };
    runBoth(t, reference, { ...state, registers, words, cold: false });
  }
  // a third: below 2^-30, from 2^31 on, and as near to a multiple of pi/2
  const left = t.cpu.microcodeCounts[x87] as number;
  assert(left < CASES / 2, `${left} of ${CASES} left to microcode`);
});

Deno.test("sine and cosine as fractions of 128 bits are right to TRIG_ERROR of the last place", () => {
  const t = new TestCpu(64), r = generator(0x7a);
  const BITS = 256n, ONE = 1n << BITS, HALF_TURN = 0x3_243f_6a88_85a3_08d3n << (BITS - 65n);
  const series = (first: bigint, x: bigint, from: bigint) => {
    let sum = first, term = first;
    for (let k = from; term !== 0n && term !== -1n; k += 2n) {
      term = -((term * ((x * x) >> BITS)) >> BITS) / (k * (k + 1n));
      sum += term;
    }
    return sum;
  };
  let compared = 0;
  for (let n = 0; n < 150; n++) {
    const { se, significand } = angle(r);
    const state = randomState(r, 0xd9, 0xfb);
    const fsw = 7 << 11, registers = state.registers.map((value, i) => i === 7 ? { se, significand } : value);
    prepare(t, { ...state, registers, words: { fcw: 0x37f, fsw, ftw: 0x80 }, cold: false });
    const x87 = t.cpu.microcodeNames.indexOf("x87"), before = t.cpu.microcodeCounts[x87];
    t.run([0xd9, 0xfb], 0);
    if (t.cpu.microcodeCounts[x87] !== before) continue;
    const x = BigInt.asUintN(64, significand) << (BITS - 63n + BigInt((se & 0x7fff) - 0x3fff));
    const k = (x + (HALF_TURN >> 1n)) / HALF_TURN, reduced = x - k * HALF_TURN;
    const angleOf = reduced < 0n ? -reduced : reduced;
    const { view } = t.memory;
    for (
      const [at, want] of [[TRIG_SINE, series(angleOf, angleOf, 2n)], [
        TRIG_COSINE,
        series(ONE, angleOf, 1n),
      ]] as const
    ) {
      const got = view.getBigUint64(at, true) | view.getBigUint64(at + 8, true) << 64n;
      const error = got - (want >> (BITS - 128n));
      assert(error < BigInt(TRIG_ERROR) && error > -BigInt(TRIG_ERROR), `${error} of ${significand} ${se}`);
    }
    compared++;
  }
  assert(compared > 60, `${compared} compared`);
});

interface Number80 {
  readonly se: number;
  readonly significand: bigint;
}
/** Runs an instruction on ST(0) and ST(1), with everything masked; whether it needed no microcode. */
function runOn(t: TestCpu, r: Random, modrm: number, x: Number80, y: Number80): boolean {
  const state = randomState(r, 0xd9, modrm);
  const registers = state.registers.map((value, i) => i === 6 ? x : i === 7 ? y : value);
  const ftw = modrm === FPATAN ? 0xc0 : 0x40;
  prepare(t, { ...state, registers, words: { fcw: 0x37f, fsw: 6 << 11, ftw }, cold: false });
  const x87 = t.cpu.microcodeNames.indexOf("x87"), before = t.cpu.microcodeCounts[x87];
  t.run([0xd9, modrm], 0);
  return t.cpu.microcodeCounts[x87] === before;
}
function wideAt({ memory: { view } }: TestCpu, at: number): bigint {
  return view.getBigUint64(at, true) | view.getBigUint64(at + 8, true) << 64n;
}
const bitLength = (v: bigint) => v.toString(2).length;
const FPTAN = 0xf2, FPATAN = 0xf3;

Deno.test("FPTAN in emitted code is that of microcode, and needs none for most operands", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0x7a);
  const x87 = t.cpu.microcodeNames.indexOf("x87"), CASES = 2000;
  for (let n = 0; n < CASES; n++) {
    const state = randomState(r, 0xd9, FPTAN);
    const top = state.words.fsw >> 11 & 7;
    const operand = r.once(20) ? { se: r.of([0, 0x8000]), significand: 0n } : angle(r);
    const registers = state.registers.map((value, i) => i === top ? operand : value);
    const words = { fcw: state.words.fcw | 0x3f, fsw: state.words.fsw & 0x7f00, ftw: 1 << top };
    runBoth(t, reference, { ...state, registers, words, cold: false });
  }
  const left = t.cpu.microcodeCounts[x87] as number;
  assert(left < CASES / 2, `${left} of ${CASES} left to microcode`); // as for FSIN
});

/** Operands of FPATAN: of all quadrants and many ratios, and near to where another entry of the table is taken. */
function point(r: Random): { x: Number80; y: Number80 } {
  const distance = r.of([r.below(3), r.below(9), r.below(50), r.below(140)]) * r.of([1, -1]);
  const sign = () => r.of([0, 0x8000]);
  const x = { se: sign() | 0x3fff - 100 + r.below(200), significand: significand(r) };
  const near = { se: (x.se & 0x7fff) + distance, significand: r.once(4) ? x.significand : significand(r) };
  if (r.once(20)) {
    return r.once(2)
      ? { x: { se: sign(), significand: 0n }, y: x }
      : { x, y: { se: sign(), significand: 0n } };
  }
  if (r.once(3)) {
    const product = x.significand * BigInt(1 + r.below(32)), bits = bitLength(product);
    const some = (product >> BigInt(bits - 64)) + BigInt(r.below(5)) - 2n;
    near.se = (x.se & 0x7fff) + bits - 64 - 5;
    near.significand = BigInt.asUintN(64, some) | 1n << 63n;
  }
  const y = { ...near, se: near.se | sign() };
  return r.once(2) ? { x, y } : { x: y, y: x };
}

Deno.test("FPATAN in emitted code is that of microcode, and needs none for nearly all operands", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0xa7);
  const x87 = t.cpu.microcodeNames.indexOf("x87"), CASES = 4000;
  for (let n = 0; n < CASES; n++) {
    const state = randomState(r, 0xd9, FPATAN);
    const top = state.words.fsw >> 11 & 7, { x, y } = point(r);
    const registers = state.registers.map((value, i) => i === top ? x : i === (top + 1 & 7) ? y : value);
    const words = { fcw: state.words.fcw | 0x3f, fsw: state.words.fsw & 0x7f00, ftw: 0xff };
    runBoth(t, reference, { ...state, registers, words, cold: false });
  }
  const left = t.cpu.microcodeCounts[x87] as number;
  assert(left < CASES / 100, `${left} of ${CASES} left to microcode`);
});

Deno.test("FPATAN of exact, tiny and extreme quotients is that of microcode", () => {
  const t = new TestCpu(64), reference = new TestCpu(64), r = generator(0xa8);
  const J = 1n << 63n,
    exponents = [1, 2, 60, 0x3fff - 70, 0x3fff - 58, 0x3fff - 57, 0x3fff - 30, 0x3fff, 0x4000, 0x7ffe];
  for (
    const significands of [[J, J], [J + 1n, J], [(J << 1n) - 1n, J], [J, J + 1n], [J, (J << 1n) - 1n], [
      3n << 62n,
      J,
    ]]
  ) {
    for (const ey of exponents) {
      for (const ex of exponents) {
        for (const signs of [0, 1, 2, 3]) {
          const state = randomState(r, 0xd9, FPATAN);
          const y = { se: ey | (signs & 1) << 15, significand: significands[0]! };
          const x = { se: ex | (signs & 2) << 14, significand: significands[1]! };
          const registers = state.registers.map((value, i) => i === 6 ? x : i === 7 ? y : value);
          const words = { fcw: state.words.fcw | 0x3f, fsw: 6 << 11, ftw: 0xff };
          runBoth(t, reference, { ...state, registers, words, cold: false });
        }
      }
    }
  }
});

Deno.test("the arc tangent as a fraction of 128 bits is right to ARC_TANGENT_ERROR of the last place", () => {
  const t = new TestCpu(64), r = generator(0xa9), BITS = 600n, ONE = 1n << BITS;
  /** By halving the angle twice: atan v = 2 atan (v / (1 + sqrt(1 + v^2))). */
  const root = (v: bigint) => {
    let x = 1n << BigInt(bitLength(v) + 1 >> 1);
    for (let next = x + v / x >> 1n; next < x; next = x + v / x >> 1n) x = next;
    return x;
  };
  const halved = (v: bigint) => (v << BITS) / (ONE + root((ONE << BITS) + v * v));
  const atan = (v: bigint) => {
    const z = halved(halved(v)), square = z * z >> BITS;
    let power = z, sum = z;
    for (let k = 3n; power !== 0n; k += 2n) {
      power = power * square >> BITS;
      sum += (k & 2n) === 0n ? power / k : -(power / k);
    }
    return sum << 2n;
  };
  const PI = atan(ONE) << 2n;
  let compared = 0, worst = 0n;
  for (let n = 0; n < 400; n++) {
    const { x, y } = point(r);
    if (x.significand === 0n || y.significand === 0n || !runOn(t, r, FPATAN, x, y)) continue;
    const value = wideAt(t, ARC_TANGENT), { view } = t.cpu.core.memory;
    const result = view.getUint16(S.x87 + X87_STATE.at.r + 7 * 16 + 8, true) & 0x7fff;
    if (view.getBigUint64(S.x87 + X87_STATE.at.r + 7 * 16, true) === 1n << 63n) continue; // it may have been less
    const distance = (y.se & 0x7fff) - (x.se & 0x7fff);
    if (Math.abs(distance) >= 50) continue; // the bigints have no more bits
    const shifted = y.significand << BITS + 64n + BigInt(distance);
    const first = atan((shifted >> 64n) / x.significand);
    const angle = x.se >= 0x8000 ? PI - first : first;
    const top = result - 0x3fff + 128 - bitLength(value); // of the fraction's top bit
    const want = angle >> BITS - 127n + BigInt(top), error = value - want;
    const size = error < 0n ? -error : error;
    if (size > worst) worst = size;
    assert(
      size < BigInt(ARC_TANGENT_ERROR),
      `${error} of ${JSON.stringify([x.se, y.se])} ${x.significand} ${y.significand}`,
    );
    compared++;
  }
  assert(compared > 200, `${compared} compared`);
  assert(worst > 0n, "they are no bigints");
});

Deno.test("quotients of 128 bits are right to QUOTIENT_ERROR of the last place", () => {
  const t = new TestCpu(64), r = generator(0xaa);
  let compared = 0;
  for (let n = 0; n < 400; n++) {
    const x = angle(r);
    if (!runOn(t, r, FPTAN, x, x)) continue;
    const moved = (v: bigint) => v << BigInt(128 - bitLength(v));
    const sine = moved(wideAt(t, TRIG_SINE)), cosine = moved(wideAt(t, TRIG_COSINE));
    const got = wideAt(t, QUOTIENT);
    const error = [[sine, cosine], [cosine, sine]].map(([a, c]) => got - (a! << 127n) / c!);
    const size = error.map((e) => e < 0n ? -e : e).reduce((a, c) => a < c ? a : c);
    assert(size < BigInt(QUOTIENT_ERROR), `${error} of ${x.significand} ${x.se}`);
    compared++;
  }
  assert(compared > 200, `${compared} compared`);
});
