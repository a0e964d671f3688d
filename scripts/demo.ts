// SPDX-License-Identifier: MIT
/**
 * `deno task demo`: boots Debian's cloud kernel as an HVM guest, lets it ping the host ten times over a TAP device,
 * download a file and upload one, compares the checksums, and says how fast everything was. Where there can be no TAP, all
 * that goes over the user network, which needs no privilege.
 * @module
 */
import { ConfigError } from "../cpu/base/assert.ts";
import type { MachineStats } from "../devices/machine/machine_options.ts";
import { Child, script, xenner } from "./host/child.ts";
import type { ServerReady, ServerReceived } from "./host/file_server.ts";
import {
  guestCommandLine,
  guestFiles,
  type GuestReport,
  guestReports,
  type GuestRun,
} from "./guests/manifest.ts";
import { makeGuests } from "./guests/make_guests.ts";
import {
  GUEST_ADDRESS,
  HOST_ADDRESS,
  openTapNamespace,
  type TapNamespace,
  whyNoTap,
} from "./host/tap_namespace.ts";

const PINGS = 10;
const DOWNLOAD_MIB = 32;
const UPLOAD_MIB = 8;
const TIMEOUT_SECONDS = 240;
/** Where the server listens without a TAP, and what guests on a user network call that. */
const LOOPBACK = "127.0.0.1";
const USER_GATEWAY = "10.0.2.2";

/** What has to be undone; last first. */
const cleanups: (() => void)[] = [];
function cleanUp(): void {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
}

function say(line: string): void {
  console.log(`demo: ${line}`);
}

/** What a demo has around the guest. */
interface Host {
  /** With a TAP in it; absent: the guest is on a user network. */
  readonly namespace?: TapNamespace;
  readonly server: Child;
  readonly ready: ServerReady;
}

async function openServer(address: string, namespace?: TapNamespace): Promise<Host> {
  const { command, args } = script("host/file_server.ts", [address, String(DOWNLOAD_MIB)]);
  const server = new Child(namespace?.inside(command, args) ?? { command, args });
  cleanups.push(() => server.kill());
  const line = await server.match(/^\{"url".*\}$/m);
  if (line === undefined) {
    throw new ConfigError(`Cannot start the file server: ${server.stderr.trim()}`, "host");
  }
  return { server, ready: JSON.parse(line[0]), ...(namespace && { namespace }) };
}

async function openHost(): Promise<Host> {
  const namespace = await openTapNamespace();
  cleanups.push(() => namespace.close());
  const host = await openServer(HOST_ADDRESS, namespace);
  say(`network namespace ${namespace.name} with ${namespace.tap}, ${HOST_ADDRESS}; HTTP server on it`);
  return host;
}

/** With a TAP if there can be one; says why when there cannot. */
async function tryHost(): Promise<Host> {
  let missing = await whyNoTap();
  if (missing === undefined) {
    try {
      return await openHost();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      cleanUp();
      missing = error.message;
    }
  }
  say(`no TAP: ${missing}`);
  say("using the user network instead; HTTP server on the loopback, which the guest knows as its gateway");
  return await openServer(LOOPBACK);
}

async function demo(): Promise<boolean> {
  await makeGuests({ names: ["cloud"], progress: say });
  const host = await tryHost();
  const files = guestFiles("cloud");
  const { namespace, ready } = host;
  const seen = (text: string) => namespace ? text : text.replace(LOOPBACK, USER_GATEWAY);
  const run: GuestRun = {
    run: ["ping", "get", "put"],
    ip: namespace ? { address: GUEST_ADDRESS, gateway: HOST_ADDRESS } : "dhcp",
    count: PINGS,
    url: seen(ready.url),
    put: seen(ready.sink),
    mib: UPLOAD_MIB,
  };
  const line = xenner([
    ...["run", "--kernel", files.vmlinuz.pathname, "--initrd", files.initramfs.pathname],
    ...["--append", guestCommandLine(run), "--stats=json", "--timeout", String(TIMEOUT_SECONDS)],
    ...["--net", namespace ? `tap,ifname=${namespace.tap}` : "user"],
  ]);
  say("booting Debian's cloud kernel as a Xen HVM guest");
  const guest = new Child(
    namespace?.inside(line.command, line.args) ?? line,
    (text) => Deno.stdout.writeSync(new TextEncoder().encode(text)),
  );
  cleanups.push(() => guest.kill());
  const status = await guest.status;
  const lines = guest.stderr.trim().split("\n");
  const stats = lines.find((text) => text.startsWith('{"instructions"'));
  const messages = lines.filter((text) => text !== stats && text !== "");
  for (const message of messages) say(message);
  const uploaded = await host.server.match(/^\{"received".*\}$/m, 5000);
  return summary({
    status,
    reports: guestReports(guest.stdout),
    ...(stats !== undefined && { stats: JSON.parse(stats) }),
    ready,
    ...(uploaded && { uploaded: JSON.parse(uploaded[0]) }),
  });
}

/** What came out. */
interface Outcome {
  readonly status: number;
  readonly reports: readonly GuestReport[];
  readonly stats?: MachineStats;
  readonly ready: ServerReady;
  readonly uploaded?: ServerReceived;
}

/** Prints the summary; true when everything is as it should be. */
function summary({ status, reports, stats, ready, uploaded }: Outcome): boolean {
  const value = (kind: string, key: string) => reports.find((r) => r.kind === kind)?.values.get(key);
  const wrong: string[] = [];
  const row = (what: string, text: string, fine = true) => {
    console.log(`  ${what.padEnd(12)} ${text}${fine ? "" : "   <-- wrong"}`);
    if (!fine) wrong.push(what);
  };
  const rate = (bytes: number, seconds: number) => `${(bytes * 8 / 1e6 / seconds).toFixed(0)} Mbit/s`;
  console.log("\nSummary");
  const boot = value("INIT", "uptime");
  row("boot", boot === undefined ? "never reached /init" : `${boot} s to /init`, boot !== undefined);
  const driver = value("NET", "driver");
  row(
    "network",
    `${value("NET", "interface") ?? "none"}, driver ${driver ?? "none"} (xen-netfront)`,
    driver === "vif",
  );
  const received = value("PING", "received");
  row(
    "ping",
    `${received ?? 0}/${PINGS}, average ${value("PING", "average_ms") ?? "-"} ms`,
    received === String(PINGS),
  );
  const bytes = Number(value("GET", "bytes") ?? 0);
  const same = value("GET", "sha256") === ready.sha256;
  const seconds = Number(value("GET", "ms") ?? 0) / 1000;
  row("download", `${bytes} bytes, ${rate(bytes, seconds)}, checksum ${same ? "equal" : "differs"}`, same);
  const sent = value("PUT", "sha256");
  const equal = sent !== undefined && sent === uploaded?.sha256;
  row(
    "upload",
    uploaded === undefined
      ? "nothing arrived"
      : `${uploaded.received} bytes, ${rate(uploaded.received, uploaded.seconds)}, checksum ${
        equal ? "equal" : "differs"
      }`,
    equal,
  );
  if (stats !== undefined) {
    row(
      "speed",
      `${stats.mips.toFixed(0)} MIPS over ${stats.seconds.toFixed(1)} s, ${stats.instructions} instructions`,
    );
    const packets = Object.entries(stats.counters).filter(([name]) => /packets|bytes/.test(name));
    for (const [name, count] of packets) row("", `${name} ${count}`);
  }
  row("power-off", status === 0 ? "clean" : `exit status ${status}`, status === 0);
  console.log(wrong.length === 0 ? "\nEverything worked." : `\nNot as it should be: ${wrong.join(", ")}.`);
  return wrong.length === 0;
}

if (import.meta.main) {
  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    Deno.addSignalListener(signal, () => {
      cleanUp();
      Deno.exit(status);
    });
  }
  let status = 1;
  try {
    status = await demo() ? 0 : 1;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`demo: ${error.message}`);
    status = error.kind === "host" ? 3 : 2;
  } finally {
    cleanUp();
  }
  Deno.exit(status);
}
