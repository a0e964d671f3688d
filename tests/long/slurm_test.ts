// SPDX-License-Identifier: MIT
/** `xenner test --slurm`: two kernels × two types as an array job of a real Slurm, and its reports. @module */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { guestFiles } from "../../scripts/guests/manifest.ts";
import { missing } from "../_boot.ts";
import { Slurm, whyNoSlurm } from "./_slurm.ts";

const why = await whyNoSlurm();
const skipped = why === undefined ? missing("cloud") || missing("bullseye") : ` (skipped: ${why})`;

Deno.test({
  name: `xenner test --slurm runs two kernels × two types as an array job${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const slurm = await Slurm.start();
    const dir = await Deno.makeTempDir({ prefix: "xenner-slurm-jobs-" });
    try {
      const kernels = (["cloud", "bullseye"] as const).map((name) => guestFiles(name).vmlinuz.pathname);
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...[
            "run",
            "-A",
            new URL("../../mod.ts", import.meta.url).pathname,
            "test",
            "--slurm",
            "--jobs",
            "2",
          ],
          ...[
            "--kernel",
            kernels.join(),
            "--type",
            "hvm,pvh",
            "--run",
            "uname -r",
            "--run",
            "test -d /proc/xen",
          ],
          ...["--run", "exit 3", "--junit", "junit.xml", "--json", "out.json", "--timeout", "900"],
        ],
        cwd: dir,
        env: { ...slurm.env, NO_COLOR: "1" },
        stdin: "null",
      }).output();
      const said = new TextDecoder().decode(stderr) + slurm.log;
      assertEquals(code, 1, said); // the last command fails everywhere
      assertMatch(said, /4 boots as an array job of Slurm\n/);
      assertMatch(said, /\[4\/4\] .*status 3 of "exit 3"/);
      const results = JSON.parse(await Deno.readTextFile(`${dir}/out.json`));
      assertEquals(results.map(({ type }: { type: string }) => type), ["hvm", "pvh", "hvm", "pvh"]);
      for (const { outcome, commands } of results) {
        assertEquals([outcome, commands[0].status, commands[2].status], ["ran", 0, 3], said);
      }
      const versions = results.map(({ commands }: { commands: { stdout: string }[] }) => commands[0]?.stdout);
      assert(versions[0] === versions[1] && versions[2] === versions[3] && versions[0] !== versions[2]);
      assertMatch(await Deno.readTextFile(`${dir}/junit.xml`), /<testsuites .*tests="12" failures="/);
      assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["junit.xml", "out.json"]);
    } finally {
      await slurm.stop();
      await Deno.remove(dir, { recursive: true });
    }
  },
});
