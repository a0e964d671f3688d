// SPDX-License-Identifier: MIT
/**
 * What the outer guest tells about its tests: one line for each, which is for people and for the program outside, so that
 * what has been seen is known even when the outer guest dies.
 * @module
 */

/** How a test can end. */
export const OUTCOMES = ["passed", "failed", "skipped"] as const;
/** One of them. */
export type Outcome = typeof OUTCOMES[number];

/** A test that has ended. */
export interface TestOutcome {
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly name: string;
}

const LINE = new RegExp(`^kvm test: (${OUTCOMES.join("|")}) after (\\d+) s: (.+)$`, "gm");

/** The line for one. */
export function outcomeLine({ outcome, seconds, name }: TestOutcome): string {
  return `kvm test: ${outcome} after ${Math.round(seconds)} s: ${name}`;
}

/** Those in the outer guest's output, whose console ends lines with CR LF. */
export function readOutcomes(output: string): TestOutcome[] {
  return [...output.replaceAll("\r\n", "\n").matchAll(LINE)].map(([, outcome, seconds, name]) => ({
    outcome: outcome as Outcome,
    seconds: Number(seconds),
    name: name as string,
  }));
}

/** Lines for people: what failed and what was skipped, and last `N passed, N failed, N skipped`. */
export function summary(outcomes: readonly TestOutcome[]): string[] {
  const of = (wanted: Outcome) => outcomes.filter(({ outcome }) => outcome === wanted);
  const list = (title: string, tests: readonly TestOutcome[]) =>
    tests.length === 0 ? [] : [title, ...tests.map(({ name }) => `  ${name}`)];
  return [
    ...list("Skipped:", of("skipped")),
    ...list("Failed:", of("failed")),
    `${of("passed").length} passed, ${of("failed").length} failed, ${of("skipped").length} skipped`,
  ];
}
