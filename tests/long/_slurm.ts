// SPDX-License-Identifier: MIT
/**
 * A Slurm cluster of one machine, this one, in a folder of its own: munged, slurmctld and slurmd of Debian's slurm-wlm and
 * munge, with sockets, keys and state that are nobody else's. Needs root. Tests only.
 * @module
 */
import { Child } from "../../scripts/host/child.ts";
import { hasProgram, run } from "../../scripts/host/processes.ts";

const CPUS = 2;

/** Why there can be no cluster here, or undefined. */
export async function whyNoSlurm(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "a cluster of one's own needs root on Linux";
  for (const program of ["munged", "slurmctld", "slurmd", "sbatch"]) {
    if (!await hasProgram(program)) return `needs ${program} (Debian: slurm-wlm, munge)`;
  }
  return undefined;
}

function freePort(): number {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    return probe.addr.port;
  } finally {
    probe.close();
  }
}

/** See the module's description. */
export class Slurm {
  readonly #daemons: Child[] = [];

  private constructor(readonly folder: string) {}

  static async start(): Promise<Slurm> {
    const slurm = new Slurm(await Deno.makeTempDir({ prefix: "xenner-slurm-" }));
    try {
      await slurm.#start();
      return slurm;
    } catch (error) {
      await slurm.stop();
      throw error;
    }
  }

  /** What programs of Slurm have to be told. */
  get env(): Record<string, string> {
    return { SLURM_CONF: `${this.folder}/slurm.conf` };
  }

  async #start(): Promise<void> {
    const { folder } = this;
    const host = Deno.hostname();
    await Deno.chmod(folder, 0o755);
    for (const name of ["state", "spool", "munge"]) await Deno.mkdir(`${folder}/${name}`, { mode: 0o755 });
    const key = crypto.getRandomValues(new Uint8Array(1024));
    await Deno.writeFile(`${folder}/munge/key`, key, { mode: 0o400 });
    const socket = `${folder}/munge/socket`;
    await Deno.writeTextFile(
      `${folder}/slurm.conf`,
      [
        ...["ClusterName=xenner", `SlurmctldHost=${host}(127.0.0.1)`, "SlurmUser=root", "SlurmdUser=root"],
        ...[`SlurmctldPort=${freePort()}`, `SlurmdPort=${freePort()}`, "AuthType=auth/munge"],
        ...[`AuthInfo=socket=${socket}`, "CryptoType=crypto/munge", "ProctrackType=proctrack/linuxproc"],
        ...["TaskPlugin=task/none", "SelectType=select/cons_tres", "SelectTypeParameters=CR_CPU"],
        ...[`StateSaveLocation=${folder}/state`, `SlurmdSpoolDir=${folder}/spool`, "ReturnToService=2"],
        ...[
          `SlurmctldPidFile=${folder}/slurmctld.pid`,
          `SlurmdPidFile=${folder}/slurmd.pid`,
          "MpiDefault=none",
        ],
        ...["JobAcctGatherType=jobacct_gather/none", "AccountingStorageType=accounting_storage/none"],
        `NodeName=${host} NodeAddr=127.0.0.1 CPUs=${CPUS} State=UNKNOWN`,
        `PartitionName=all Nodes=${host} Default=YES MaxTime=INFINITE State=UP`,
        "",
      ].join("\n"),
    );
    this.#daemon("munged", [
      ...["--foreground", "--force", `--key-file=${folder}/munge/key`, `--socket=${socket}`],
      ...[
        `--log-file=${folder}/munge/log`,
        `--pid-file=${folder}/munge/pid`,
        `--seed-file=${folder}/munge/seed`,
      ],
    ]);
    await until(async () => (await Deno.stat(socket)).isSocket === true);
    this.#daemon("slurmctld", ["-D", "-i"]);
    this.#daemon("slurmd", ["-D", "-N", host]);
    await until(async () => (await this.#sinfo()).includes("idle"));
  }

  #daemon(command: string, args: readonly string[]): void {
    const settings = Object.entries(this.env).map(([name, value]) => `${name}=${value}`);
    this.#daemons.push(new Child({ command: "env", args: [...settings, command, ...args] }));
  }

  async #sinfo(): Promise<string> {
    const { stdout } = await new Deno.Command("sinfo", { args: ["-h", "-o", "%t"], env: this.env }).output();
    return new TextDecoder().decode(stdout);
  }

  /** What the daemons said. */
  get log(): string {
    return this.#daemons.map(({ stdout, stderr }) => (stdout + stderr).slice(-2000)).join("\n---\n");
  }

  async stop(): Promise<void> {
    for (const daemon of this.#daemons.toReversed()) {
      daemon.kill();
      await daemon.status;
    }
    await run("rm", ["-rf", this.folder]);
  }
}

async function until(done: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await done().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("Slurm did not start");
}
