// SPDX-License-Identifier: MIT
/** Bounds against the host's arithmetic: whatever operands the bounds allow, the result is within its own. */
import { assert } from "@std/assert";
import { Random } from "../../isa/_cases.ts";
import {
  type Bounds,
  either,
  fits,
  type FloatType,
  productBounds,
  quotientBounds,
  rootBounds,
  sumBounds,
  windowBounds,
} from "./float_bounds.ts";

const PRECISION = { f32: 24, f64: 53 } as const;
const round = { f32: Math.fround, f64: (x: number) => x } as const;

/** A number of the format that the bounds allow, often at their ends. */
function sample(type: FloatType, { from, grain, to }: Bounds, random: Random): number {
  if (random.chance(10)) return 0;
  const sign = random.chance(50) ? -1 : 1;
  if (random.chance(10)) return sign * 2 ** from;
  if (random.chance(10)) return sign * 2 ** to;
  const exponent = from + random.below(to - from);
  const lowest = Math.max(grain, exponent - PRECISION[type] + 1);
  const bits = exponent - lowest;
  const low = random.chance(30)
    ? 1
    : random.chance(30)
    ? 2 ** bits - 1
    : Math.floor(random.u32() / 2 ** 32 * 2 ** bits);
  return sign * (2 ** bits + low) * 2 ** lowest;
}
function isWithin(x: number, { from, grain, to }: Bounds): boolean {
  // What is large has no bit below `grain`.
  const isMultiple = Math.abs(x) >= 2 ** (grain + 53) || Number.isInteger(x / 2 ** grain);
  return x === 0 || Math.abs(x) >= 2 ** from && Math.abs(x) <= 2 ** to && isMultiple;
}

for (const type of ["f32", "f64"] as const) {
  Deno.test(`bounds of ${type}: chains of operations stay within them as long as they fit`, () => {
    const random = new Random(7);
    let operations = 0;
    for (let chain = 0; chain < 3000; chain++) {
      let bounds = windowBounds(type), value = sample(type, bounds, random);
      for (;;) {
        const other = random.chance(50) ? windowBounds(type) : bounds;
        const y = sample(type, other, random);
        let x: number, next: Bounds;
        switch (random.below(5)) {
          case 0:
            [x, next] = [value + y, sumBounds(bounds, other)];
            break;
          case 1:
            [x, next] = [value * y, productBounds(type, bounds, other)];
            break;
          case 2:
            if (y === 0) continue;
            [x, next] = [value / y, quotientBounds(type, bounds, other)];
            break;
          case 3:
            [x, next] = [Math.sqrt(Math.abs(value)), rootBounds(type, bounds)];
            break;
          default:
            [x, next] = [Math.min(value, y), either(bounds, other)];
        }
        if (!fits(type, next)) break;
        x = round[type](x);
        assert(isWithin(x, next), `${value} and ${y} gave ${x}, not within ${JSON.stringify(next)}`);
        [value, bounds] = random.chance(50) ? [x, next] : [sample(type, next, random), next];
        if (++operations % 64 === 0) break; // roots and minima go on for ever
      }
    }
    assert(operations > 5000);
  });
}
