// SPDX-License-Identifier: MIT
/** Reads the JUnit report that `deno test --junit-path` writes: names, outcomes and times. @module */

/** One test. */
export interface TestCase {
  readonly file: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly seconds: number;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (all, hexadecimal, decimal, name) => {
    if (hexadecimal !== undefined) return String.fromCodePoint(parseInt(hexadecimal, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name] ?? all;
  });
}

/** The tests of a report. */
export function readJunit(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  for (
    const [, attributes = "", body = ""] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)
  ) {
    const value = (name: string) =>
      unescapeXml(new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const outcome = /<skipped/.test(body) ? "skipped" : /<(failure|error)/.test(body) ? "failed" : "passed";
    cases.push({ file: value("classname"), name: value("name"), outcome, seconds: Number(value("time")) });
  }
  return cases;
}
