// SPDX-License-Identifier: MIT
/**
 * A user without rights, without a TAP and without --allow-ffi's devices: the README's session boots Debian with a network that
 * works, curl inside fetches from the host, ssh from outside comes in by a forwarded port. Needs root, to become nobody.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ConfigError } from "../../mod.ts";
import { netTools } from "../../scripts/guests/net_tools.ts";
import { guestCommandLine, guestFiles } from "../../scripts/guests/manifest.ts";
import { Child } from "../../scripts/host/child.ts";
import { hasProgram } from "../../scripts/host/processes.ts";
import { missing } from "../_boot.ts";

const NOBODY = 65_534;

async function whyNot(): Promise<string> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return " (skipped: becoming nobody needs root on Linux)";
  if (!await hasProgram("setpriv")) return " (skipped: needs setpriv)";
  try {
    await netTools((what) => console.log(`guests: ${what}`));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return ` (skipped: ${error.message.split("\n")[0]})`;
  }
  return missing("cloud");
}
const skipped = await whyNot();

Deno.test({
  name: `a user without rights: curl inside a guest, ssh from outside${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const tools = await netTools();
    const dir = await Deno.makeTempDir({ prefix: "xenner-nobody-" });
    const text = (text: string) => new TextEncoder().encode(text);
    const run = async (name: string, ...args: string[]) => {
      const { command, args: line } = tools.command(name, args);
      const { code, stdout, stderr } = await new Deno.Command(command, { args: [...line], stdin: "null" })
        .output();
      return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
    };
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("served\n"),
    );
    let guest: Child | undefined;
    try {
      assertEquals((await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${dir}/key`)).code, 0);
      assertEquals((await run("dropbearkey", "-t", "ed25519", "-f", `${dir}/hostkey`)).code, 0);
      const url = `http://10.0.2.2:${server.addr.port}/`;
      const script = `curl -sS ${url}; echo "CURL $?"; id -u\n` +
        `dropbear -r /etc/hostkey -p 22 && echo XENNER-SSHD\n` +
        `tries=0; while [ ! -e /tmp/visited ] && [ $tries -lt 2000 ]; do sleep 0.5; tries=$((tries + 1)); done; sleep 1\n`;
      const file = (name: string, data: Uint8Array, mode = 0o600) =>
        ({ type: "file", name, data, mode }) as const;
      await Deno.writeFile(
        `${dir}/initrd`,
        await tools.initramfs("cloud", [
          file("script", text(script), 0o755),
          file("etc/hostkey", await Deno.readFile(`${dir}/hostkey`)),
          file("root/.ssh/authorized_keys", await Deno.readFile(`${dir}/key.pub`)),
          file("etc/passwd", text("root:x:0:0::/root:/bin/sh\n"), 0o644),
          file("etc/shells", text("/bin/sh\n"), 0o644),
        ]),
      );
      await Deno.copyFile(guestFiles("cloud").vmlinuz, `${dir}/vmlinuz`);
      // what nobody may read: Xenner's sources as they are, and Deno's cache, in folders of his own
      const root = new URL("../../", import.meta.url).pathname;
      const { success } = await new Deno.Command("sh", {
        args: [
          "-c",
          `cd "$1" && mkdir xenner && (cd "$2" && tar cf - --exclude=.cache --exclude=.git .) | tar xf - -C xenner && ` +
          `DENO_DIR="$1/deno" "$3" cache -q xenner/scripts/cli/cli.ts && cp "$3" denobin && chown -R ${NOBODY} "$1"`,
          ...["sh", dir, root, Deno.execPath()],
        ],
        env: { DENO_NO_UPDATE_CHECK: "1" },
      }).output();
      assert(success);
      const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = probe.addr;
      probe.close();
      guest = new Child({
        command: "setpriv",
        args: [
          ...[
            `--reuid=${NOBODY}`,
            `--regid=${NOBODY}`,
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
          ],
          ...["env", "-i", `HOME=${dir}`, `DENO_DIR=${dir}/deno`, `${dir}/denobin`],
          ...[
            "run",
            "-A",
            `${dir}/xenner/mod.ts`,
            "run",
            "--kernel",
            `${dir}/vmlinuz`,
            "--initrd",
            `${dir}/initrd`,
          ],
          ...[
            "--memory",
            "1G",
            "--append",
            guestCommandLine({ run: ["script"], ip: "dhcp" }),
            "--timeout",
            "1500",
          ],
          ...["--net", `user,hostfwd=tcp:127.0.0.1:${port}-:22`],
        ],
      });
      assert(await guest.match(/XENNER-SSHD/, 1_200_000), guest.stdout.slice(-3000) + guest.stderr);
      assertMatch(guest.stdout, /served\r?\nCURL 0\r?\n0/);
      const uid = (await Deno.readTextFile(`/proc/${guest.pid}/status`)).match(/^Uid:\s+(\d+)/m)?.[1];
      assertEquals(uid, String(NOBODY));
      await Deno.chown(`${dir}/key`, 0, 0); // ssh wants it to be ours
      const { code, out, err } = await run(
        "ssh",
        ...["-F", "none", "-i", `${dir}/key`, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"],
        ...[
          "-o",
          "UserKnownHostsFile=/dev/null",
          "-o",
          "LogLevel=ERROR",
          "-p",
          String(port),
          "root@127.0.0.1",
        ],
        "echo inside: $(uname -s); touch /tmp/visited",
      );
      assertEquals([code, out], [0, "inside: Linux\n"], err);
      assertEquals(await guest.status, 0, guest.stderr);
    } finally {
      guest?.kill();
      await guest?.status;
      await server.shutdown();
      await Deno.remove(dir, { recursive: true });
    }
  },
});
