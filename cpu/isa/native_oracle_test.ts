// SPDX-License-Identifier: MIT
/**
 * Integer rows against the host's own CPU: the same bytes run natively and here, and registers, flags, memory or
 * the exception must agree. Flags a row declares undefined are not compared. Needs Linux on x86-64 (and for the
 * 32-bit half a kernel that runs 32-bit programs); otherwise the tests are ignored and say why.
 * @module
 */
import { assertEquals } from "@std/assert";
import { MiB } from "../base/bits.ts";
import { ARITHMETIC_FLAGS, FLAG_DF, FLAG_ID } from "../state/state.ts";
import { ENGINES, TestCpu } from "../_bare_cpu.ts";
import { runHere } from "./_emulated_runner.ts";
import { fitsSequence, isComparable, Random, randomCase, randomSequence } from "./_cases.ts";
import {
  codeAddress,
  endAddress,
  type NativeCase,
  type NativeResult,
  runNative,
  scratchAddress,
} from "./_native_runner.ts";
import { type Row, rows } from "./mod.ts";

const SEED = 0x5eed_0086;
const CASES_PER_ROW = 16;
const SEQUENCES = 2000;
const COMPARED_FLAGS = ARITHMETIC_FLAGS | FLAG_DF | FLAG_ID;

/** What is compared, readable in a difference. */
function comparable(result: NativeResult, bits: 32 | 64, undefinedFlags: number) {
  if (result.vector >= 0) return { vector: result.vector };
  const shown = bits === 64 ? result.gpr : result.gpr.slice(0, 8).map((v) => v & 0xffff_ffffn);
  const names = "ax cx dx bx sp bp si di r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
  const flags = (result.flags & COMPARED_FLAGS & ~undefinedFlags).toString(16);
  const hex = (bytes: Uint8Array) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return {
    gpr: shown.map((v, r) => `${names[r]}=${v.toString(16)}`).join(" "),
    flags,
    memory: hex(result.memory),
  };
}

interface Named {
  readonly name: string;
  readonly undefinedFlags: number;
  readonly make: (random: Random, code: number, scratch: number) => NativeCase;
}

async function compare(
  t: Deno.TestContext,
  bits: 32 | 64,
  list: readonly Named[],
  how: typeof ENGINES[number],
): Promise<void> {
  const random = new Random(SEED);
  const code = (i: number) => codeAddress(bits, i), scratch = (i: number) => scratchAddress(list.length, i);
  const cases = list.map((one, i) => one.make(random, code(i), scratch(i)));
  const native = await runNative(bits, cases);
  if (typeof native === "string") {
    await t.step({ name: native, ignore: true, fn: () => {} });
    return;
  }
  const ramBytes = Math.ceil(endAddress(list.length) / (2 * MiB)) * 2 * MiB;
  const cpu = new TestCpu(bits, { ...how, ramBytes });
  for (let first = 0; first < list.length;) {
    const { name, undefinedFlags } = list[first] as Named;
    let end = first;
    while (list[end]?.name === name) end++;
    const start = first;
    await t.step(name, () => {
      for (let i = start; i < end; i++) {
        const one = cases[i] as NativeCase;
        const here = runHere(cpu, one, code(i), scratch(i), 100_000);
        const bytes = one.code.map((b) => b.toString(16).padStart(2, "0")).join(" ");
        assertEquals(
          comparable(here, bits, undefinedFlags),
          comparable(native[i] as NativeResult, bits, undefinedFlags),
          `${bytes} with flags ${one.flags.toString(16)}, registers ${one.gpr.map((v) => v.toString(16))}`,
        );
      }
    });
    first = end;
  }
}

const single = (row: Row, bits: 32 | 64): Named => ({
  name: row.text,
  undefinedFlags: row.options.undefinedFlags ?? 0,
  make: (random, code, scratch) => randomCase(row, random, { bits, code, scratch }),
});

for (const bits of [64, 32] as const) {
  for (const how of ENGINES) {
    Deno.test(`integer instructions do in ${bits}-bit code what the host's CPU does (${how.name})`, async (t) => {
      const chosen = rows.filter((row) => isComparable(row, bits));
      await compare(t, bits, chosen.flatMap((row) => Array(CASES_PER_ROW).fill(single(row, bits))), how);
    });

    Deno.test(`instruction sequences in ${bits}-bit code do what the host's CPU does (${how.name})`, async (t) => {
      const fitting = rows.filter((row) => fitsSequence(row, bits));
      const sequence: Named = {
        name: "sequences",
        undefinedFlags: 0,
        make: (random, code, scratch) => randomSequence(fitting, random, { bits, code, scratch }),
      };
      await compare(t, bits, Array(SEQUENCES).fill(sequence), how);
    });
  }
}
