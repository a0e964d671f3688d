// SPDX-License-Identifier: MIT
/** `xenner test` from outside, with Debian's kernel: status, output and errors of commands, panics, matrices. @module */
import { assertEquals, assertMatch } from "@std/assert";
import { guestFiles } from "../scripts/guests/manifest.ts";
import { missing } from "./_boot.ts";

const MOD = new URL("../mod.ts", import.meta.url).pathname;
const skipped = missing("cloud");
const kernel = guestFiles("cloud").vmlinuz.pathname;

function test(name: string, fn: (dir: string) => Promise<void>): void {
  Deno.test({
    name: `xenner test: ${name}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const dir = await Deno.makeTempDir({ prefix: "xenner-ci-" });
      try {
        await Deno.mkdir(`${dir}/sub`);
        await Deno.writeTextFile(`${dir}/sub/hello.sh`, "#!/bin/sh\necho hello $1\n", { mode: 0o755 });
        await fn(dir);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}
async function xenner(cwd: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MOD, "test", ...args],
    cwd,
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

test("commands run in the current folder; the first that fails gives the status", async (dir) => {
  const { code, out, err } = await xenner(
    dir,
    ...[
      "--kernel",
      kernel,
      "--run",
      "sub/hello.sh you; printf half; echo bad >&2; sleep 1000 & exit 42",
    ],
    ...["--run", "echo second", "--junit", "junit.xml", "--json", "out.json"],
  );
  assertEquals([code, out], [42, "hello you\nhalfsecond\n"], err);
  assertMatch(err, /^bad\nxenner: status 42 of "sub\/hello\.sh you/);
  const [result] = JSON.parse(await Deno.readTextFile(`${dir}/out.json`));
  assertEquals([result.outcome, result.status], ["ran", 42]);
  assertEquals(result.commands[1], { command: "echo second", stdout: "second\n", stderr: "", status: 0 });
  assertMatch(await Deno.readTextFile(`${dir}/junit.xml`), /tests="2" failures="1" errors="0"/);
});

test("a panic is status 4, with the reason and the end of the log", async (dir) => {
  const { code, err } = await xenner(dir, "-k", kernel, "-r", "echo c >/proc/sysrq-trigger");
  assertEquals(code, 4, err);
  assertMatch(err, /\| .*Kernel panic - not syncing: sysrq triggered crash/);
  assertMatch(err, /\nxenner: the guest panicked: sysrq triggered crash\n$/);
});

test("a matrix runs in processes of its own, with a line about each boot", async (dir) => {
  const { code, out, err } = await xenner(
    dir,
    ...[
      "-k",
      `${kernel},/nowhere/vmlinuz`,
      "-r",
      "true",
      "--type",
      "hvm,pvh",
      "-j",
      "2",
      "--json",
      "out.json",
    ],
  );
  assertEquals([code, out], [1, ""], err);
  assertMatch(err, /\] \S+vmlinuz hvm jit: ok, /);
  assertMatch(err, /\] \S+vmlinuz pvh jit: ok, /);
  assertMatch(
    err,
    /\] \/nowhere\/vmlinuz hvm jit: FAILED \(Cannot read kernel "\/nowhere\/vmlinuz": no such file\)/,
  );
  assertMatch(err, /\nxenner: 2 of 4 passed\n$/);
  const results = JSON.parse(await Deno.readTextFile(`${dir}/out.json`));
  assertEquals(results.map(({ status }: { status: number }) => status), [0, 0, 2, 2]);
});

Deno.test("xenner test: --slurm makes the matrix an array job, and gathers what its tasks have left", async () => {
  const dir = await Deno.makeTempDir({ prefix: "xenner-slurm-" });
  try {
    // an sbatch that does as --wait and --array say, here
    const sbatch = `#!/bin/sh
for word; do case "$word" in --array=0-*) last=\${word#--array=0-}; last=\${last%%%*};; esac; script=$word; done
echo "$@" >"${dir}/asked"
i=0; while [ $i -le $last ]; do SLURM_ARRAY_TASK_ID=$i sh "$script"; i=$((i + 1)); done
`;
    await Deno.mkdir(`${dir}/bin`);
    await Deno.writeTextFile(`${dir}/bin/sbatch`, sbatch, { mode: 0o755 });
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...[
          "run",
          "-A",
          MOD,
          "test",
          "-k",
          "/nowhere/it's,/nowhere/b",
          "-r",
          "echo 'it'",
          "--type",
          "hvm,pvh",
        ],
        ...["-j", "3", "--slurm", "--json", "out.json"],
      ],
      cwd: dir,
      stdin: "null",
      env: { NO_COLOR: "1", PATH: `${dir}/bin:${Deno.env.get("PATH")}` },
    }).output();
    const err = new TextDecoder().decode(stderr);
    assertEquals(code, 1, err);
    assertMatch(await Deno.readTextFile(`${dir}/asked`), /^--wait --array=0-3%3 --job-name=xenner-test /);
    assertMatch(
      err,
      /\[2\/4\] \/nowhere\/it's pvh jit: FAILED \(Cannot read kernel "\/nowhere\/it's": no such file\)/,
    );
    assertMatch(err, /0 of 4 passed/);
    assertEquals(JSON.parse(await Deno.readTextFile(`${dir}/out.json`)).length, 4);
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["asked", "bin", "out.json"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("guests have a network when the initrd brings its driver", async (dir) => {
  const { initramfs } = guestFiles("cloud");
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("served\n"),
  );
  try {
    const url = `http://10.0.2.2:${server.addr.port}/`;
    const { code, out, err } = await xenner(
      dir,
      ...["-k", kernel, "-i", initramfs.pathname, "-r", `wget -q -O - ${url}`, "-r", "cat /etc/resolv.conf"],
    );
    assertEquals([code, out], [0, "served\nnameserver 10.0.2.3\n"], err);
  } finally {
    await server.shutdown();
  }
});
