// SPDX-License-Identifier: MIT
/** Results of `xenner test` for programs: JUnit's XML (a suite per boot, a case per command), and JSON. @module */
import type { JobResult } from "./job.ts";

/** "vmlinuz hvm interp" */
export function jobName({ kernel, type, engine }: Pick<JobResult, "kernel" | "type" | "engine">): string {
  return `${kernel} ${type} ${engine}`;
}

/** The XML that Jenkins, GitLab and GitHub's actions read. */
export function junitXml(results: readonly JobResult[], commands: readonly string[]): string {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>'];
  const suites = results.map((result) => ({ result, ...casesOf(result, commands) }));
  const sum = (of: (suite: (typeof suites)[number]) => number) =>
    suites.reduce((total, suite) => total + of(suite), 0);
  lines.push(
    `<testsuites name="xenner test" tests="${sum((s) => s.tests)}" failures="${
      sum((s) => s.failures)
    }" errors="${sum((s) => s.errors)}" time="${sum((s) => s.result.seconds).toFixed(3)}">`,
  );
  for (const { result, tests, failures, errors, xml } of suites) {
    lines.push(
      `  <testsuite name="${
        escape(jobName(result))
      }" tests="${tests}" failures="${failures}" errors="${errors}" skipped="0" time="${
        result.seconds.toFixed(3)
      }">`,
      ...xml,
      `    <system-out>${escape(result.log)}</system-out>`,
      "  </testsuite>",
    );
  }
  lines.push("</testsuites>", "");
  return lines.join("\n");
}

function casesOf(result: JobResult, commands: readonly string[]) {
  let failures = 0, errors = 0;
  const xml: string[] = [];
  for (const [i, command] of commands.entries()) {
    const ran = result.commands[i];
    xml.push(`    <testcase name="${escape(command)}" classname="${escape(jobName(result))}">`);
    if (ran?.status === undefined || (result.outcome !== "ran" && i === commands.length - 1)) {
      errors++;
      xml.push(
        `      <error message="${escape(result.why ?? result.outcome)}" type="${escape(result.outcome)}"/>`,
      );
    } else if (ran.status !== 0) {
      failures++;
      xml.push(`      <failure message="status ${ran.status}" type="status"/>`);
    }
    if (ran !== undefined) {
      xml.push(
        `      <system-out>${escape(ran.stdout)}</system-out>`,
        `      <system-err>${escape(ran.stderr)}</system-err>`,
      );
    }
    xml.push("    </testcase>");
  }
  return { tests: commands.length, failures, errors, xml };
}

/** Characters that XML 1.0 may not have become U+FFFD. */
function escape(text: string): string {
  return text
    // deno-lint-ignore no-control-regex
    .replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd")
    .toWellFormed()
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** Lines shown of the log of a kernel that has failed, and how many when what it died of is further up. */
const LOG_LINES = 40, MOST_LOG_LINES = 200;
const DIED_OF = /Kernel panic - not syncing|Panic on CPU|^panic: |\bBUG: |\bOops: /;

/** The end of a console's log: what a kernel died of is in it, however long its traces are. */
export function endOfLog(log: string): string[] {
  const lines = log.trimEnd().split("\n").slice(-MOST_LOG_LINES);
  const from = lines.findIndex((line) => DIED_OF.test(line));
  return lines.slice(from < 0 ? -LOG_LINES : Math.min(from, Math.max(0, lines.length - LOG_LINES)));
}
