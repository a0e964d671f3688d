// SPDX-License-Identifier: MIT
/**
 * A network with real servers in a namespace (HTTP, DNS, iperf3, ssh, rsync), and what a guest does with them: curl, wget,
 * dig, iperf3, ssh, rsync of Debian, which say what came of it. Needs root. Tests only.
 * @module
 */
import { Child, type CommandLine } from "../../scripts/host/child.ts";
import {
  GUEST_ADDRESS,
  HOST_ADDRESS,
  openTapNamespace,
  type TapNamespace,
} from "../../scripts/host/tap_namespace.ts";
import { type NetTools, netTools } from "../../scripts/guests/net_tools.ts";
import { guestCommandLine, guestFiles, guestReports } from "../../scripts/guests/manifest.ts";

const FILE_BYTES = 8 << 20;
const LARGE_TXT = Array.from({ length: 9 }, (_, i) => String(i).repeat(200));
const [HTTP, IPERF, SSH, RSYNC, FORWARDED] = [8080, 5201, 2022, 873, 2222];

/** Bare settings under which nothing is sent again but what is lost: a busy host is no loss. */
const PATIENT = "rto_min 60s";

/** A guest's network. */
export interface Kind {
  readonly net: "user" | "tap";
  /** Nothing is lost on the way, so nothing is to be sent again. */
  readonly clean: boolean;
  /** How long iperf3 measures each time. */
  readonly seconds: number;
}

/** What one guest has done. */
export interface Verdict {
  /** By tool: what its line says. */
  readonly tools: ReadonlyMap<string, string>;
  /** What an ssh from outside printed. */
  readonly outside: string;
  readonly output: string;
  readonly errors: string;
  readonly status: number;
}

/** See the module's description. */
export class Judge {
  readonly #namespace: TapNamespace;
  readonly #tools: NetTools;
  readonly folder: string;
  readonly #servers: Child[] = [];

  private constructor(namespace: TapNamespace, tools: NetTools, folder: string) {
    this.#namespace = namespace;
    this.#tools = tools;
    this.folder = folder;
  }

  static async open(): Promise<Judge> {
    const tools = await netTools();
    const folder = await Deno.makeTempDir({ prefix: "xenner-judge-" });
    const judge = new Judge(await openTapNamespace(), tools, folder);
    try {
      await judge.#prepare();
      await judge.#serve();
      return judge;
    } catch (error) {
      await judge.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const server of this.#servers) server.kill();
    await Promise.all(this.#servers.map(({ status }) => status));
    this.#namespace.close();
    await Deno.remove(this.folder, { recursive: true });
  }

  /** A command line in the namespace, with its name server and its user. */
  inside({ command, args }: CommandLine): CommandLine {
    const { folder } = this;
    const mounts = ["resolv.conf", "passwd"].map((name) => `mount --bind ${folder}/${name} /etc/${name}`);
    const script = `${mounts.join(" && ")} && exec "$@"`;
    return this.#namespace.inside("unshare", ["-m", "sh", "-c", script, "sh", command, ...args]);
  }

  async #run(line: CommandLine): Promise<string> {
    const child = new Child(this.inside(line));
    const status = await child.status;
    if (status !== 0) throw new Error(`${line.command} ${line.args.join(" ")}: ${status} ${child.stderr}`);
    return child.stdout;
  }

  async #prepare(): Promise<void> {
    const { folder } = this;
    const file = new Uint8Array(FILE_BYTES);
    for (let at = 0; at < file.length; at += 65_536) crypto.getRandomValues(file.subarray(at, at + 65_536));
    await Deno.mkdir(`${folder}/files/deep/er`, { recursive: true });
    await Deno.mkdir(`${folder}/in`);
    await Deno.mkdir(`${folder}/.ssh`, { mode: 0o700 });
    await Deno.writeFile(`${folder}/files/random.bin`, file);
    for (let i = 0; i < 40; i++) {
      await Deno.writeTextFile(`${folder}/files/deep/er/${i}`, `file ${i}\n`.repeat(i * i));
    }
    await Deno.writeTextFile(`${folder}/resolv.conf`, "nameserver 127.0.0.1\n");
    const passwd = await Deno.readTextFile("/etc/passwd");
    await Deno.writeTextFile(`${folder}/passwd`, `${passwd}judge:x:0:0::${folder}:/bin/sh\n`);
    await Deno.writeTextFile(
      `${folder}/rsyncd.conf`,
      `use chroot = no\nuid = root\ngid = root\n[files]\npath = ${folder}/files\n` +
        `[in]\npath = ${folder}/in\nread only = no\n`,
    );
    await this.#run(
      this.#tools.command("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", `${folder}/key`]),
    );
    await Deno.copyFile(`${folder}/key.pub`, `${folder}/.ssh/authorized_keys`);
    await this.#run(this.#tools.command("dropbearkey", ["-t", "ed25519", "-f", `${folder}/hostkey`]));
    // whoever sends again does so for a loss
    await this.#run({ command: "sysctl", args: ["-qw", "net.ipv4.tcp_early_retrans=0"] });
    const route = ["route", "replace", `${GUEST_ADDRESS}/32`, "dev", this.#namespace.tap];
    await this.#run(this.#tools.command("ip", [...route, ...PATIENT.split(" ")]));
  }

  async #serve(): Promise<void> {
    const { folder } = this;
    const any = "0.0.0.0";
    const server = new URL("_judge_server.ts", import.meta.url).pathname;
    const deno = Deno.execPath();
    const records = LARGE_TXT.join(",");
    const servers: CommandLine[] = [
      { command: deno, args: ["run", "-A", server, any, String(HTTP), `${folder}/files/random.bin`] },
      this.#tools.command("iperf3", ["-s", "-B", any, "-p", String(IPERF)]),
      this.#tools.command("dropbear", ["-F", "-E", "-r", `${folder}/hostkey`, "-p", `${any}:${SSH}`]),
      this.#tools.command("rsync", [
        "--daemon",
        "--no-detach",
        `--config=${folder}/rsyncd.conf`,
        `--port=${RSYNC}`,
      ]),
      this.#tools.command("dnsmasq", [
        ...["-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="],
        ...[`--address=/files.judge.test/${HOST_ADDRESS}`, `--txt-record=large.judge.test,${records}`],
        ...["--edns-packet-max=4096", "--port=53"],
      ]),
    ];
    for (const line of servers) this.#servers.push(new Child(this.inside(line)));
    await this.#untilServed();
  }

  /** Until every port is open: the servers start at their own pace. */
  async #untilServed(): Promise<void> {
    const wanted = [HTTP, IPERF, SSH, RSYNC, 53].map((port) =>
      port.toString(16).toUpperCase().padStart(4, "0")
    );
    for (let tries = 0; tries < 600; tries++) {
      const open = await this.#run({ command: "cat", args: ["/proc/net/tcp", "/proc/net/tcp6"] });
      if (wanted.every((port) => new RegExp(`:${port} [0-9A-F]+:0000 0A`).test(open))) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`The servers did not start: ${this.#servers.map(({ stderr }) => stderr).join()}`);
  }

  /** Boots a guest on `kind` of a network; its interface is captured in `capture`. */
  async run(kind: Kind, capture: string): Promise<Verdict> {
    const { folder } = this;
    const initrd = `${folder}/${kind.net}.cpio`;
    const script = guestScript(kind);
    const text = (text: string) => new TextEncoder().encode(text);
    await Deno.writeFile(
      initrd,
      await this.#tools.initramfs("cloud", [
        { type: "file", name: "script", data: text(script), mode: 0o755 },
        { type: "file", name: "etc/key", data: await Deno.readFile(`${folder}/key`), mode: 0o600 },
        { type: "file", name: "etc/hostkey", data: await Deno.readFile(`${folder}/hostkey`), mode: 0o600 },
        {
          type: "file",
          name: "root/.ssh/authorized_keys",
          data: await Deno.readFile(`${folder}/key.pub`),
          mode: 0o600,
        },
        { type: "file", name: "etc/passwd", data: text("root:x:0:0::/root:/bin/sh\n") },
        { type: "file", name: "etc/shells", data: text("/bin/sh\n") },
      ]),
    );
    const tap = kind.net === "tap";
    const append = guestCommandLine({
      run: ["script"],
      ip: tap ? { address: GUEST_ADDRESS, gateway: HOST_ADDRESS } : "dhcp",
    });
    const { vmlinuz } = guestFiles("cloud");
    const guest = new Child(this.inside({
      command: Deno.execPath(),
      args: [
        ...["run", "-A", new URL("_judge_guest.ts", import.meta.url).pathname],
        ...[vmlinuz.pathname, initrd, append, capture, tap ? this.#namespace.tap : `user:${FORWARDED}`],
        ...[kind.clean ? "clean" : "lossy"],
      ],
    }));
    try {
      let outside = "";
      if (await guest.match(/XENNER-SSHD/, 1_200_000)) outside = await this.#ssh(tap).catch(String);
      const status = await guest.status;
      const tools = new Map(
        guestReports(guest.stdout).filter(({ kind }) => kind === "TOOL").map(({ values, text }) => [
          values.get("name") ?? "",
          text.replace(/^name=\S+ /, ""),
        ]),
      );
      return { tools, outside, status, output: guest.stdout, errors: guest.stderr };
    } finally {
      guest.kill();
      await guest.status;
      await Deno.remove(initrd);
    }
  }

  /** A command in the guest, by ssh from outside. */
  async #ssh(tap: boolean): Promise<string> {
    const [address, port] = tap ? [GUEST_ADDRESS, 22] : ["127.0.0.1", FORWARDED];
    const line = this.#tools.command("ssh", [
      ...["-F", "none", "-i", `${this.folder}/key`, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"],
      ...[
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
        "-p",
        String(port),
        `root@${address}`,
      ],
      "echo inside: $(uname -s); touch /tmp/visited",
    ]);
    return (await this.#run(line)).trim();
  }
}

/** What the guest does. Each tool has a line: its name, its exit status, what it found. */
function guestScript({ net, clean, seconds }: Kind): string {
  const gateway = net === "tap" ? HOST_ADDRESS : "10.0.2.2";
  const resolver = net === "tap" ? HOST_ADDRESS : "10.0.2.3";
  const ssh = "ssh -F none -i /etc/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null " +
    "-o LogLevel=ERROR -o BatchMode=yes";
  const http = `http://${gateway}:${HTTP}`;
  return `
export HOME=/root
say() { echo "XENNER-TOOL name=$1 status=$2 $3"; }
sum() { sha256sum "$1" | cut -d' ' -f1; }
same() { [ -n "$1" ] && [ "$1" = "$2" ] && echo same || echo "differs: $1 $2"; }
echo nameserver ${resolver} >/etc/resolv.conf
${
    clean
      ? `echo 0 >/proc/sys/net/ipv4/tcp_early_retrans
ip route replace default via ${gateway} ${PATIENT}
ip route replace ${gateway}/32 dev eth0 ${PATIENT}`
      : ""
  }
cd /tmp
curl -sS -o one ${http}/random.bin; say curl-get $? "bytes=$(stat -c %s one)"
want=$(sum one)
got=$(curl -sS -T one ${http}/up); say curl-put $? "$(same "$want" "$got")"
curl -sS -Z --parallel-max 6 ${
    Array.from({ length: 6 }, (_, i) => `-o p${i} ${http}/random.bin`).join(" ")
  }; status=$?
say curl-parallel $status "$(same "$want$want$want$want$want$want" "$(for i in 0 1 2 3 4 5; do printf %s "$(sum p$i)"; done)")"
rm -f p0 p1 p2 p3 p4 p5
curl -sS -o /dev/null http://${gateway}:9; say curl-refused $? ""
wget -q -O two http://files.judge.test:${HTTP}/random.bin; say wget $? "$(same "$want" "$(sum two)")"
say dig $? "$(dig +short +tries=3 files.judge.test)"
say dig-tcp $? "$(dig +short +tcp files.judge.test)"
say dig-large $? "$(dig +short +bufsize=4096 +ignore TXT large.judge.test | tr -d '" ' | wc -c)"
say dig-missing $? "$(dig missing.judge.test | grep -o 'status: [A-Z]*')"
${
    [["iperf-send", ""], ["iperf-receive", "-R"], ["iperf-four", "-P 4"], ["iperf-both", "--bidir"]].map((
      [name, options],
    ) =>
      `iperf3 -c ${gateway} -p ${IPERF} -t ${seconds} -f m ${options} >out 2>&1; ` +
      `say ${name} $? "$(grep -E 'receiver' out | tail -1 | tr -s ' ')"`
    ).join("\n")
  }
iperf3 -c ${gateway} -p ${IPERF} -t ${seconds} -f m -u -b 5M >out 2>&1; say iperf-udp $? "$(grep receiver out | tr -s ' ')"
head -c 1000000 one >part
got=$(${ssh} -p ${SSH} judge@${gateway} sha256sum <part); say ssh $? "$(same "$(sum part)" "\${got%% *}")"
rsync -a rsync://${gateway}:${RSYNC}/files/ copy; say rsync-get $? "$(same "$want" "$(sum copy/random.bin)")"
printf changed | dd of=copy/random.bin bs=1 seek=4000000 conv=notrunc 2>/dev/null
rsync -a copy/ rsync://${gateway}:${RSYNC}/in/; say rsync-put $? "$(sum copy/random.bin)"
mkdir -p /etc/dropbear
dropbear -r /etc/hostkey -E -p 22 2>sshd.log
echo XENNER-SSHD
tries=0
while [ ! -e /tmp/visited ] && [ $tries -lt 600 ]; do sleep 0.5; tries=$((tries + 1)); done
sleep 1
`;
}

/** Names of the tools that a verdict has, and the patterns of their lines. */
export const EXPECTED: readonly (readonly [name: string, line: RegExp])[] = [
  ["curl-get", new RegExp(`^status=0 bytes=${FILE_BYTES}$`)],
  ["curl-put", /^status=0 same$/],
  ["curl-parallel", /^status=0 same$/],
  ["curl-refused", /^status=7/],
  ["wget", /^status=0 same$/],
  ["dig", new RegExp(`^status=0 ${HOST_ADDRESS}$`)],
  ["dig-tcp", new RegExp(`^status=0 ${HOST_ADDRESS}$`)],
  ["dig-large", new RegExp(`^status=0 ${LARGE_TXT.join("").length + 1}$`)],
  ["dig-missing", /^status=0 status: (NXDOMAIN|REFUSED)$/],
  ["iperf-send", /^status=0 .*Mbits\/sec.*receiver$/],
  ["iperf-receive", /^status=0 .*Mbits\/sec.*receiver$/],
  ["iperf-four", /^status=0 .*Mbits\/sec.*receiver$/],
  ["iperf-both", /^status=0 .*Mbits\/sec.*receiver$/],
  ["iperf-udp", /^status=0 .*Mbits\/sec.*receiver$/],
  ["ssh", /^status=0 same$/],
  ["rsync-get", /^status=0 same$/],
  ["rsync-put", /^status=0 [0-9a-f]{64}$/],
];
