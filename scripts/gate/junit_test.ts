// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { readJunit } from "./junit.ts";

Deno.test("readJunit reads what deno test --junit-path writes", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${dir}/x_test.ts`,
      `Deno.test("fine <&\\"'>", () => {});
       Deno.test("bad", () => { throw new Error("<skipped/> is no outcome of this"); });
       Deno.test({ name: "left out (skipped: why)", ignore: true, fn() {} });
       Deno.test("slow", () => new Promise((done) => setTimeout(done, 50)));
       Deno.test("steps", async (t) => { await t.step("inner", () => {}); });`,
    );
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--no-config", `--junit-path=${dir}/x.xml`, `${dir}/x_test.ts`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    assertEquals(code, 1);
    const cases = readJunit(await Deno.readTextFile(`${dir}/x.xml`));
    const outcomes = new Map(cases.map((t) => [t.name, t.outcome]));
    assertEquals(outcomes.get(`fine <&"'>`), "passed");
    assertEquals(outcomes.get("bad"), "failed");
    assertEquals(outcomes.get("left out (skipped: why)"), "skipped");
    assertEquals(outcomes.get("steps"), "passed");
    // a timer never comes early
    const slow = cases.find(({ name }) => name === "slow");
    assertEquals((slow?.seconds ?? 0) >= 0.04, true, `${slow?.seconds} s`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
