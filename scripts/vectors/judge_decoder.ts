// SPDX-License-Identifier: MIT
/**
 * `deno task decoder:judge`: the decoder against iced-x86 on random strings, in 16-, 32- and 64-bit code. A seed gives the
 * same strings each time. What the two may disagree about, and why, is in tests/_iced_oracle.ts. Ends with 1 when
 * something else differs.
 * @module
 */
import { parseArgs } from "node:util";
import { Oracle } from "../../tests/_iced_oracle.ts";
import { compareRandom } from "../../tests/_iced_strings.ts";

const MODES = [16, 32, 64] as const;

/** A number given as an option. */
function number(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`--${name}=${text}: give a whole number`);
  return Number(text);
}

function main(): number {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
      bits: { type: "string" },
    },
  });
  const modes = MODES.filter((mode) => values.bits === undefined || String(mode) === values.bits);
  if (modes.length === 0) throw new Error(`--bits=${values.bits}: give 16, 32 or 64`);
  const count = number("count", values.count), seed = number("seed", values.seed);
  let differences = 0;
  for (const bits of modes) {
    const oracle = new Oracle();
    const { lines } = compareRandom(oracle, { bits, count, seed }, (done) => {
      if (done % 500_000 === 0) console.error(`${bits} bit: ${done}`);
    });
    differences += lines.length;
    console.log(
      `${bits} bit, seed ${seed}: ${count} strings, ${oracle.valid} instructions compared, ` +
        `${lines.length} kinds of difference`,
    );
    for (const line of lines) console.log(`  ${line}`);
    for (const [feature, names] of [...oracle.refused].sort()) {
      console.log(`  refused, no CPU here has ${feature}: ${[...names].sort().join(" ")}`);
    }
  }
  return differences;
}

if (import.meta.main) Deno.exit(main() === 0 ? 0 : 1);
