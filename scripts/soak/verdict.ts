// SPDX-License-Identifier: MIT
/** Whether what was measured over a long run stays flat. @module */

/** What is looked at now and then. */
export interface Sample {
  readonly seconds: number;
  readonly residentMiB: number;
  /** Table slots and bytes of the arena in use; they come back when code dies. */
  readonly slots: number;
  readonly arenaMiB: number;
  /** Rounds of the guest's work so far. */
  readonly turns: number;
}

/** What may come on top in the last third of a run: the noise of garbage collection, and of work that overlaps. */
const SLACK = { residentMiB: 48, slots: 400, arenaMiB: 4 } as const;
/** The same as a share. */
const SLACK_SHARE = 0.15;

/** What is wrong: nothing may grow from the second third of the run to the last, and the guest may not slow to a crawl. */
export function complaints(samples: readonly Sample[]): string[] {
  const third = Math.floor(samples.length / 3);
  if (third < 2) return ["the run was too short to say anything"];
  const middle = samples.slice(third, 2 * third), last = samples.slice(2 * third);
  const found: string[] = [];
  for (const [what, slack] of Object.entries(SLACK)) {
    const most = (some: readonly Sample[]) => Math.max(...some.map((s) => s[what as keyof typeof SLACK]));
    const before = most(middle), after = most(last);
    if (after <= before * (1 + SLACK_SHARE) + slack) continue;
    found.push(`${what} grew from ${before.toFixed(0)} to ${after.toFixed(0)}`);
  }
  const turns = (some: readonly Sample[]) => {
    const first = some[0] as Sample, end = some[some.length - 1] as Sample;
    return (end.turns - first.turns) / (end.seconds - first.seconds);
  };
  const before = turns(middle), after = turns(last);
  if ((samples[samples.length - 1] as Sample).turns === 0) found.push("the guest did not finish one turn");
  if (after < before / 3) {
    found.push(`the guest did ${after.toFixed(2)} turns a second, ${before.toFixed(2)} before that`);
  }
  return found;
}
