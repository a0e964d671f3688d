// SPDX-License-Identifier: MIT
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { JobResult } from "./job.ts";
import { hasProgram } from "../host/processes.ts";
import { endOfLog, junitXml } from "./reports.ts";

const job = { kernel: "k", type: "hvm", engine: "interp", seconds: 1.5 } as const;
const RESULTS: JobResult[] = [
  {
    ...job,
    outcome: "ran",
    status: 3,
    why: "status 3",
    log: "log <1>\x1b[0m & \ud800",
    commands: [
      { command: 'a "b"', stdout: "x<y", stderr: "", status: 0 },
      { command: "c", stdout: "", stderr: "]]>\0", status: 3 },
    ],
  },
  { ...job, type: "pvh", outcome: "panic", status: 4, why: "the guest panicked: bad", log: "", commands: [] },
];

Deno.test("JUnit's XML has a suite per boot, a case per command, and nothing XML may not have", () => {
  const xml = junitXml(RESULTS, ['a "b"', "c"]);
  assertMatch(
    xml,
    /^<\?xml version="1.0" encoding="UTF-8"\?>\n<testsuites name="xenner test" tests="4" failures="1" errors="2" time="3.000">/,
  );
  assertEquals(xml.match(/<testsuite /g)?.length, 2);
  assertEquals(xml.match(/<testcase /g)?.length, 4);
  assertMatch(xml, /<testcase name="a &quot;b&quot;" classname="k hvm interp">/);
  assertMatch(xml, /<failure message="status 3" type="status"\/>/);
  assertMatch(xml, /<error message="the guest panicked: bad" type="panic"\/>/);
  assertMatch(xml, /<system-out>x&lt;y<\/system-out>/);
  assertMatch(xml, /<system-err>\]\]&gt;\ufffd<\/system-err>/);
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(xml));
  assert(xml.isWellFormed());
  // every element that is opened is closed, in order
  const open: string[] = [];
  for (const [, close, name, empty] of xml.matchAll(/<(\/?)([a-z-]+)[^<>]*?(\/?)>/g)) {
    if (close === "/") assertEquals(open.pop(), name);
    else if (empty !== "/") open.push(name ?? "");
  }
  assertEquals(open, []);
});

const withXmllint = await hasProgram("xmllint");
Deno.test({
  name: `JUnit's XML is valid by its schema${withXmllint ? "" : " (skipped: needs xmllint)"}`,
  ignore: !withXmllint,
  async fn() {
    const schema = new URL("testdata/junit.xsd", import.meta.url).pathname;
    const file = await Deno.makeTempFile({ suffix: ".xml" });
    const problems = async (xml: string) => {
      await Deno.writeTextFile(file, xml);
      const { code, stderr } = await new Deno.Command("xmllint", {
        args: ["--noout", "--schema", schema, file],
        stdin: "null",
      }).output();
      return code === 0 ? "" : new TextDecoder().decode(stderr);
    };
    try {
      const xml = junitXml(RESULTS, ['a "b"', "c"]);
      assertEquals(await problems(xml), "");
      assertMatch(await problems(xml.replace('tests="2"', 'tests="two"')), /not a valid value/);
      assertMatch(await problems(xml.replaceAll("failure ", "failed ")), /not expected/);
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("the end of a log has what the kernel died of, and is bounded", () => {
  const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);
  assertEquals(endOfLog(lines(0, 10).join("\r\n") + "\n")[9], "line 9");
  assertEquals(endOfLog(lines(0, 100).join("\n")), lines(60, 100));
  const panic = "[    8.9] Kernel panic - not syncing: sysrq triggered crash";
  assertEquals(endOfLog([...lines(0, 50), panic, ...lines(50, 120)].join("\n")), [panic, ...lines(50, 120)]);
  assertEquals(endOfLog([...lines(0, 50), panic, ...lines(50, 60)].join("\n")).length, 40);
  assertEquals(endOfLog([panic, ...lines(0, 500)].join("\n")), lines(460, 500));
});
