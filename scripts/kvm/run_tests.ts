// SPDX-License-Identifier: MIT
/**
 * Runs tests whose names say KVM one after the other, tells each outcome (outcomes.ts), and ends with 1 when one has failed:
 * `deno run -A scripts/kvm/run_tests.ts [--filter=TEXT] [--limit=SECONDS] [--done=FILE] FILE...`. A process for each
 * file; one in which nothing ends within the limit is killed with all its children, the test it was at has failed, and
 * another process goes on behind it. `--done`: names, one a line, of tests that need not run.
 * @module
 */
import { ROOT } from "../gate/sources.ts";
import { type Outcome, outcomeLine, type TestOutcome } from "./outcomes.ts";

/** A test that a file declares. */
interface Declared {
  readonly name: string;
  readonly ignored: boolean;
}

/** What is to run, and how. */
interface Plan {
  readonly filter: string;
  readonly limitMs: number;
  readonly done: ReadonlySet<string>;
  readonly files: readonly string[];
}

const DEFAULT_LIMIT_SECONDS = 1800;

async function parse(args: readonly string[]): Promise<Plan> {
  const value = (name: string) =>
    args.findLast((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const done = value("done");
  const names = done === undefined ? [] : (await Deno.readTextFile(done)).split("\n");
  return {
    filter: value("filter") ?? "",
    limitMs: Number(value("limit") ?? DEFAULT_LIMIT_SECONDS) * 1000,
    done: new Set(names),
    files: args.filter((arg) => !arg.startsWith("--")),
  };
}

/** The tests of a file, which is loaded for that: what it declares goes into a list and does not run. */
async function testsOf(file: string): Promise<Declared[]> {
  const declared: Declared[] = [];
  const collect = (first: string | Deno.TestDefinition) => {
    if (typeof first === "string") declared.push({ name: first, ignored: false });
    else declared.push({ name: first.name, ignored: first.ignore === true });
  };
  const { test } = Deno;
  Object.assign(Deno, { test: collect });
  try {
    await import(new URL(file, ROOT).href);
  } finally {
    Object.assign(Deno, { test });
  }
  return declared;
}

const WORDS: Readonly<Record<string, Outcome>> = { ok: "passed", FAILED: "failed", ignored: "skipped" };

/** What a line of `deno test` says that a test came to: behind its name, or alone when something was printed meanwhile. */
export function outcomeOf(line: string): Outcome | undefined {
  const word = /(?:^| \.\.\.) ?(ok|FAILED|ignored) \(\d+(?:ms|m?\d*s)\)$/.exec(line)?.[1];
  return word === undefined ? undefined : WORDS[word];
}

/** Runs `names` of `file`, and tells of each how it ended, in their order. What is missing then had no end. */
async function runSome(
  file: string,
  names: readonly string[],
  limitMs: number,
  ended: (outcome: Outcome) => void,
): Promise<void> {
  const filter = `/^(?:${names.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|")})$/`;
  const flags = ["test", "-A", "--no-check", "--cached-only", `--filter=${filter}`];
  // in a group of its own, so that its children end with it
  const child = new Deno.Command("setsid", {
    args: [Deno.execPath(), ...flags, file],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const kill = () => Deno.kill(-child.pid, "SIGKILL");
  let timer = setTimeout(kill, limitMs);
  let rest = "";
  try {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? ""; // whole lines only, so that ours begin where a line does
      for (const line of lines) {
        console.log(line);
        const how = outcomeOf(line);
        if (how === undefined) continue;
        ended(how);
        clearTimeout(timer);
        timer = setTimeout(kill, limitMs);
      }
    }
    if (rest !== "") console.log(rest);
    await child.status;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs what is left of a file's tests until all have an outcome. */
async function runFile(file: string, plan: Plan, tell: (outcome: TestOutcome) => void): Promise<void> {
  const declared = (await testsOf(file)).filter(({ name }) =>
    name.includes(plan.filter) && !plan.done.has(name) && /kvm/i.test(name)
  );
  for (const { name, ignored } of declared) if (ignored) tell({ outcome: "skipped", seconds: 0, name });
  const left = declared.filter(({ ignored }) => !ignored).map(({ name }) => name);
  while (left.length > 0) {
    let since = performance.now();
    const end = (outcome: Outcome) => {
      const name = left.shift(); // they run in the order in which they are declared
      if (name === undefined) return;
      const now = performance.now();
      tell({ outcome, seconds: (now - since) / 1000, name });
      since = now;
    };
    await runSome(file, [...left], plan.limitMs, end);
    if (left.length > 0) end("failed"); // it had no end
  }
}

if (import.meta.main) {
  const plan = await parse(Deno.args);
  let failed = false;
  for (const file of plan.files) {
    await runFile(file, plan, (one) => {
      failed ||= one.outcome === "failed";
      console.log(outcomeLine(one));
    });
  }
  Deno.exit(failed ? 1 : 0);
}
