// SPDX-License-Identifier: MIT
/** A running Debian of `deno task debian`: its program, its console, and a way in by ssh. @module */
import { ConfigError } from "../../cpu/base/assert.ts";
import { Child, xenner } from "../host/child.ts";
import { hasProgram, run } from "../host/processes.ts";
import type { TapNamespace } from "../host/tap_namespace.ts";

/** How often somebody tries whether sshd is there. */
const TRY_EVERY_MS = 1000;

/** What a program in the guest came to. */
export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A key made for one run: the guest's root is told of it on the kernel command line, as a systemd credential. */
export class SshKey {
  private constructor(readonly path: string, readonly publicKey: string) {}

  /** Makes one in `folder`. */
  static async make(folder: string): Promise<SshKey> {
    if (!await hasProgram("ssh-keygen")) {
      throw new ConfigError("Cannot make a key: ssh is not installed (package openssh-client)", "host");
    }
    const path = `${folder}/key`;
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], { quiet: true });
    return new SshKey(path, (await Deno.readTextFile(`${path}.pub`)).trim());
  }

  /** systemd-tmpfiles(8) of the guest makes it root's key; see systemd.system-credentials(7). */
  get kernelArgument(): string {
    return `"systemd.set_credential=ssh.authorized_keys.root:${this.publicKey}"`;
  }
}

/** Where a guest's sshd can be reached from the host. */
export interface SshAddress {
  readonly host: string;
  readonly port: number;
}

/** See the module's description. */
export class DebianGuest {
  readonly child: Child;

  /** Starts the program with `args`, in `namespace` if there is one; `echo` gets the consoles. */
  constructor(
    args: readonly string[],
    readonly key: SshKey,
    readonly namespace?: TapNamespace,
    echo?: (text: string) => void,
  ) {
    const line = xenner(args);
    this.child = new Child(namespace?.inside(line.command, line.args) ?? line, echo, "piped");
  }

  /** Runs a program in the guest by ssh. */
  async ssh({ host, port }: SshAddress, command: string, input?: Uint8Array<ArrayBuffer>): Promise<Answer> {
    const args = [
      ...["-i", this.key.path, "-p", String(port), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"],
      ...["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=600"],
      ...[
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "KexAlgorithms=curve25519-sha256",
        "-o",
        "GSSAPIAuthentication=no",
        "-F",
        "none",
        `root@${host}`,
        command,
      ],
    ];
    const line = this.namespace?.inside("ssh", args) ?? { command: "ssh", args };
    const process = new Deno.Command(line.command, {
      args: line.args,
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = process.output();
    if (input !== undefined) {
      const writer = process.stdin.getWriter();
      await writer.write(input).then(() => writer.close()).catch(() => {}); // the status says what was wrong
    }
    const { code, stdout, stderr } = await output;
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Waits until one can log in; throws when the guest ends before or `timeoutMs` are over. */
  async waitForSsh(address: SshAddress, timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs;
    let ended = false;
    void this.child.status.then(() => ended = true);
    for (;;) {
      const { code, stderr } = await this.ssh(address, "true");
      if (code === 0) return;
      if (ended || performance.now() > until) {
        throw new ConfigError(
          `Cannot log in at ${address.host} port ${address.port}: ${
            ended ? "the guest has ended" : stderr.trim()
          }`,
          "host",
        );
      }
      await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
    }
  }
}
