// SPDX-License-Identifier: MIT
/**
 * Random control flow: both engines do the same, slice by slice. More of it: deno test -A
 * cpu/translate/control_flow_test.ts -- --seeds=1000-9000
 * @module
 */
import { assertEquals } from "@std/assert";
import { Random } from "../isa/_cases.ts";
import { compareControlFlow, ControlFlowCpu } from "./_control_flow.ts";
import { judge } from "./_judge.ts";

const given = Deno.args.map((arg) => /^--seeds=(\d+)-(\d+)$/.exec(arg)).find((match) => match !== null);
const FIRST = given ? Number(given[1]) : 1, LAST = given ? Number(given[2]) : 12;

const KINDS = [
  { what: "control flow", system: false, place: { ring: 0, bits: 64, kernel: 64 }, regions: 10 },
  {
    what: "control flow at privilege 3",
    system: false,
    place: { ring: 3, bits: 64, kernel: 64 },
    regions: 10,
  },
  {
    what: "control flow of 32-bit code",
    system: false,
    place: { ring: 3, bits: 32, kernel: 64 },
    regions: 10,
  },
  { what: "control flow with PAE", system: false, place: { ring: 0, bits: 32, kernel: 32 }, regions: 10 },
  {
    what: "control flow with PAE at privilege 3",
    system: false,
    place: { ring: 3, bits: 32, kernel: 32 },
    regions: 10,
  },
  { what: "privileged code", system: true, place: { ring: 0, bits: 64, kernel: 64 }, regions: 1 },
  { what: "privileged code with PAE", system: true, place: { ring: 0, bits: 32, kernel: 32 }, regions: 1 },
] as const;

for (const { what, system, place, regions } of KINDS) {
  Deno.test(`${what} of random programs does not depend on the engine, seeds ${FIRST} to ${LAST}`, () => {
    const interp = judge(place);
    const jit = new ControlFlowCpu({ engine: "jit", compileAtOnce: true }, place);
    for (let seed = FIRST; seed <= LAST; seed++) {
      assertEquals(compareControlFlow(new Random(seed), interp, jit, system), undefined, `seed ${seed}`);
    }
    // Otherwise nothing was compared.
    assertEquals(jit.t.cpu.regions.compiled > regions * (LAST - FIRST), true);
    // And the judge leaves to TypeScript what emitted code of both would do.
    const slow = ({ t: { cpu } }: ControlFlowCpu) => {
      const { "microcode.iret": returns = 0, "memory.slow_accesses": accesses = 0 } = cpu.counters();
      return { returns, accesses };
    };
    assertEquals(slow(interp).returns > slow(jit).returns, true);
    assertEquals(slow(interp).accesses > slow(jit).accesses, true);
  });
}
