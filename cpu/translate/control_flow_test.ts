// SPDX-License-Identifier: MIT
/**
 * Random control flow: both engines do the same, slice by slice. More of it: deno test -A
 * cpu/translate/control_flow_test.ts -- --seeds=1000-9000
 * @module
 */
import { assertEquals } from "@std/assert";
import { Random } from "../isa/_cases.ts";
import { ControlFlowCpu, randomProgram } from "./_control_flow.ts";

const given = Deno.args.map((arg) => /^--seeds=(\d+)-(\d+)$/.exec(arg)).find((match) => match !== null);
const FIRST = given ? Number(given[1]) : 1, LAST = given ? Number(given[2]) : 12;

function compare(seed: number, one: ControlFlowCpu, other: ControlFlowCpu): void {
  const random = new Random(seed);
  const program = randomProgram(random);
  one.load(program);
  other.load(program);
  for (let slice = 0; slice < 60; slice++) {
    const budget = random.below(random.chance(50) ? 60 : 4000);
    if (random.chance(15)) {
      one.interrupt();
      other.interrupt();
    }
    if (random.chance(30)) {
      const block = program.blocks[random.below(program.blocks.length)] as number, bits = random.u64();
      one.goTo(block, bits);
      other.goTo(block, bits);
    }
    const want = one.run(budget), got = other.run(budget);
    assertEquals(got, want, `seed ${seed}, slice ${slice} of ${budget} instructions`);
    if (slice % 10 === 0 || want.startsWith("shutdown")) {
      const differs = one.memory().findIndex((byte, i) => byte !== other.memory()[i]);
      assertEquals(differs, -1, `seed ${seed}, slice ${slice}: memory at offset 0x${differs.toString(16)}`);
    }
    if (want.startsWith("shutdown")) return;
  }
}

Deno.test(`control flow of random programs does not depend on the engine, seeds ${FIRST} to ${LAST}`, () => {
  const interp = new ControlFlowCpu({ engine: "interp", compileAtOnce: false });
  const jit = new ControlFlowCpu({ engine: "jit", compileAtOnce: true });
  for (let seed = FIRST; seed <= LAST; seed++) compare(seed, interp, jit);
  // Otherwise nothing was compared.
  assertEquals(jit.t.cpu.regions.compiled > 10 * (LAST - FIRST), true);
});
