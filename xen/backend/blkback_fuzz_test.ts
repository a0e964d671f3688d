// SPDX-License-Identifier: MIT
/** Garbage on the ring of a disk. XENNER_FUZZ_SECONDS=600 goes on for so long, from seed XENNER_FUZZ_SEED on. */
import { assert, assertEquals } from "@std/assert";
import { fuzzRing } from "./_ring_fuzz.ts";

const SEEDS = 40, STEPS = 300;
const SECONDS = Number(Deno.env.get("XENNER_FUZZ_SECONDS") ?? 0);
const FIRST = Number(Deno.env.get("XENNER_FUZZ_SEED") ?? 1);

Deno.test("blkback survives garbage on its ring, in its grants and in xenstore", async () => {
  const until = performance.now() + 1000 * SECONDS;
  let taken = 0, seed = FIRST;
  for (; seed < FIRST + SEEDS || performance.now() < until; seed++) {
    const result = await fuzzRing(seed, STEPS);
    assertEquals(result.wrong, [], `seed ${seed}`);
    taken += result.taken;
  }
  assert(taken > 5 * (seed - FIRST), `${taken} requests in ${seed - FIRST} lives`); // else it tests nothing
  if (SECONDS > 0) console.log(`${seed - FIRST} guests, ${taken} requests`);
});
