// SPDX-License-Identifier: MIT
/** The decoder and its rows against iced-x86. What may differ, and why, is in iced_oracle.ts. @module */
import { assertEquals } from "@std/assert";
import { levelFeatures } from "../cpu/base/cpu_model.ts";
import { rows } from "../cpu/isa/mod.ts";
import { UNDEFINED_OPCODE } from "../cpu/decode/decoder.ts";
import { EXC_UD } from "../cpu/state/state.ts";
import { TestCpu } from "../cpu/_bare_cpu.ts";
import { codeName, codesOf, Oracle } from "./_iced_oracle.ts";
import { compareRandom, hex, Report } from "./_iced_strings.ts";

const MAPS: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const PREFIXES: readonly (readonly number[])[] = [[], [0x66], [0xf3], [0xf2]];
/** Every reg with the address forms that matter (plain, SIB, displacement without base), and all registers. */
const MODRM = Array.from({ length: 256 }, (_, m) => m).filter((m) =>
  m >= 0xc0 || [[0, 4, 5], [1, 4], [2, 4]][m >> 6]?.includes(m & 7)
);
const IS_PREFIX = new Set([0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
const TAIL = [0x9c, 0x88, 0x77, 0x66, 0x55, 0xa4, 0x33, 0x22, 0x11];

/** VEX prefixes: every pp, L and W; vvvv that names nothing and that does; in 64-bit mode registers above seven, too. */
function* vexPrefixes(bits: 32 | 64): Generator<readonly number[]> {
  for (let last = 0; last < 256; last++) {
    const vvvv = last & 0x78, none = vvvv === 0x78;
    if (!none && vvvv !== 0x68 && vvvv !== 0x30) continue;
    if (last >= 0xc0 || bits === 64) yield [0xc5, last];
    for (const map of none ? [0, 1, 2, 3, 4] : [1, 2, 3]) {
      yield [0xc4, 0xe0 | map, last];
      if (bits === 64 && none) yield [0xc4, map, last];
    }
  }
}
/** Register forms with every extension; memory with those that have one, with and without SIB. */
const VEX_MODRM = MODRM.filter((m) => m >= 0xc0 ? (m & 7) === 1 : [0x0c, 0x15, 0x1c, 0x74].includes(m));

for (const bits of [32, 64] as const) {
  Deno.test(`decoder: every opcode, mandatory prefix, REX and ModRM form agrees with iced, ${bits} bit`, () => {
    const oracle = new Oracle();
    const report = new Report();
    const bytes = new Uint8Array(16);
    for (const rex of bits === 64 ? [[], [0x48], [0x47]] : [[]]) {
      for (const prefix of PREFIXES) {
        for (const [map, escape] of MAPS.entries()) {
          const head = [...prefix, ...rex, ...escape];
          for (let opcode = 0; opcode < 256; opcode++) {
            if (map === 0 && (IS_PREFIX.has(opcode) || (bits === 64 && opcode >> 4 === 4))) continue;
            if (map === 1 && (opcode === 0x38 || opcode === 0x3a)) continue;
            for (const modrm of MODRM) {
              bytes.set([...head, opcode, modrm, ...TAIL]);
              report.add(bits, bytes, oracle.compare(bits, bytes));
            }
          }
        }
      }
    }
    for (const prefix of vexPrefixes(bits)) {
      for (let opcode = 0; opcode < 256; opcode++) {
        for (const modrm of VEX_MODRM) {
          bytes.set([...prefix, opcode, modrm, ...TAIL]);
          report.add(bits, bytes, oracle.compare(bits, bytes));
        }
      }
    }
    assertEquals(report.lines, []);
    assertEquals(oracle.valid > 100_000, true);
    const missing = rows.filter((row) =>
      row !== UNDEFINED_OPCODE && row.options.without === undefined &&
      row.mode !== (bits === 64 ? "no64" : "only64") && !oracle.reached.has(row)
    );
    assertEquals(
      missing.map((row) => row.text),
      [],
      "rows that iced calls by another name, or that never win",
    );
    assertEquals(oracle.refused.has("VMX"), true);
    // What iced refuses and we decode is undefined when it runs.
    const t = new TestCpu(bits);
    for (const [what, code] of oracle.onlyOurs) {
      t.reset();
      t.cpu.exceptions.fill(0);
      t.run(code);
      assertEquals([what, t.cpu.exceptions[EXC_UD]], [what, 1], hex(code));
    }
    assertEquals(oracle.onlyOurs.size > 0, true);
    for (const prefix of [[0x66, 0xf3], [0x66, 0xf2]]) {
      for (const escape of MAPS.slice(1)) {
        for (let opcode = 0; opcode < 256; opcode++) {
          if (escape.length === 1 && (opcode === 0x38 || opcode === 0x3a)) continue;
          for (const modrm of [0x06, 0xc1]) {
            bytes.set([...prefix, ...escape, opcode, modrm, ...TAIL]);
            report.add(bits, bytes, oracle.compare(bits, bytes));
          }
        }
      }
    }
    // Branches on rCX and with a 16-bit target have codes of their own.
    for (const prefix of [[0x67], [0x66, 0x67]]) {
      for (const opcode of [0xe0, 0xe1, 0xe2, 0xe3]) {
        bytes.set([...prefix, opcode, ...TAIL, ...TAIL].slice(0, 16));
        report.add(bits, bytes, oracle.compare(bits, bytes));
      }
    }
    assertEquals(report.lines, []);
    // Nothing is missing of what CPUID advertises.
    for (const level of ["x86-64-v1", "x86-64-v2", "x86-64-v3", "max"] as const) {
      const features = levelFeatures(level), codes = codesOf(bits, features);
      const known = new Oracle(features);
      const missing = codes.filter((code) => {
        const example = oracle.examples.get(code);
        return example === undefined || known.compare(bits, example) !== undefined ||
          !known.examples.has(code);
      });
      assertEquals(missing.map(codeName), [], level);
      assertEquals(codes.length > 600, true);
    }
  });

  Deno.test(`decoder: LOCK, address-size and segment prefixes agree with iced, ${bits} bit`, () => {
    const oracle = new Oracle();
    const report = new Report();
    const bytes = new Uint8Array(16);
    const modrms = [0x05, 0x06, 0x44, 0x45, 0x86, 0xc1, 0xd8, 0xf5, 0x1c, 0x2d, 0x35, 0x3e];
    for (
      const prefix of [[0xf0], [0xf0, 0x66], [0xf0, 0xf2], [0x67], [0x67, 0x66], [0x64], [0x2e, 0x65], [0x36]]
    ) {
      for (const [map, escape] of MAPS.entries()) {
        for (let opcode = 0; opcode < 256; opcode++) {
          if (map === 0 && (IS_PREFIX.has(opcode) || (bits === 64 && opcode >> 4 === 4))) continue;
          for (const modrm of modrms) {
            bytes.set([...prefix, ...escape, opcode, modrm, ...TAIL]);
            report.add(bits, bytes, oracle.compare(bits, bytes));
          }
        }
      }
    }
    assertEquals(report.lines, []);
  });
}

for (const bits of [16, 32, 64] as const) {
  for (const level of ["max", "x86-64-v2", "x86-64-v1"] as const) {
    Deno.test(`decoder: random bytes agree with iced, ${bits} bit, ${level}`, () => {
      const oracle = new Oracle(level === "max" ? undefined : levelFeatures(level));
      const count = level === "max" ? 200_000 : 60_000;
      assertEquals(compareRandom(oracle, { bits, count, seed: 0x1ced + bits }).lines, []);
    });
  }
  Deno.test(`decoder: random bytes agree with iced, ${bits} bit, AMD`, () => {
    const oracle = new Oracle(undefined, "AuthenticAMD");
    assertEquals(compareRandom(oracle, { bits, count: 60_000, seed: 0xa3d + bits }).lines, []);
  });
}
