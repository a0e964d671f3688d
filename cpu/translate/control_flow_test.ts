// SPDX-License-Identifier: MIT
/**
 * Random control flow: both engines do the same, slice by slice. More of it: deno test -A
 * cpu/translate/control_flow_test.ts -- --seeds=1000-9000
 * @module
 */
import { assertEquals } from "@std/assert";
import { Random } from "../isa/_cases.ts";
import { compareControlFlow, ControlFlowCpu } from "./_control_flow.ts";

const given = Deno.args.map((arg) => /^--seeds=(\d+)-(\d+)$/.exec(arg)).find((match) => match !== null);
const FIRST = given ? Number(given[1]) : 1, LAST = given ? Number(given[2]) : 12;

const KINDS = [
  { what: "control flow", system: false, ring: 0, regions: 10 },
  { what: "control flow at privilege 3", system: false, ring: 3, regions: 10 },
  { what: "privileged code", system: true, ring: 0, regions: 1 },
] as const;

for (const { what, system, ring, regions } of KINDS) {
  Deno.test(`${what} of random programs does not depend on the engine, seeds ${FIRST} to ${LAST}`, () => {
    const interp = new ControlFlowCpu({ engine: "interp", compileAtOnce: false }, ring);
    const jit = new ControlFlowCpu({ engine: "jit", compileAtOnce: true }, ring);
    for (let seed = FIRST; seed <= LAST; seed++) {
      assertEquals(compareControlFlow(new Random(seed), interp, jit, system), undefined, `seed ${seed}`);
    }
    // Otherwise nothing was compared.
    assertEquals(jit.t.cpu.regions.compiled > regions * (LAST - FIRST), true);
  });
}
