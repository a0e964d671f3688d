// SPDX-License-Identifier: MIT
/**
 * Debian's kernels from power-on to power-off, as users run them: through the command line. Each row of the table is one
 * boot. Guests come from `deno task guests`; without them, or without TAP devices, rows are skipped and say so.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Child, script, xenner } from "../scripts/host/child.ts";
import type { ServerReady, ServerReceived } from "../scripts/host/file_server.ts";
import {
  guestCommandLine,
  guestFiles,
  type GuestName,
  type GuestReport,
  guestReports,
  type GuestRun,
} from "../scripts/guests/manifest.ts";
import {
  GUEST_ADDRESS,
  HOST_ADDRESS,
  openTapNamespace,
  type TapNamespace,
  whyNoTap,
} from "../scripts/host/tap_namespace.ts";

const TIMEOUT_SECONDS = 300;

/** One boot. */
interface Row {
  readonly name: string;
  readonly guest: GuestName;
  readonly options: readonly string[];
  readonly run: GuestRun;
  /** Exit status of the program. */
  readonly status: number;
  /** What the console must show. */
  readonly shows: readonly string[];
}

const NETWORK: GuestRun = { run: ["ping"], ip: "dhcp", count: 3 };
const HUB = ["--net", "hub=test,responder"];
const ALL_THREE = "XENNER-PING sent=3 received=3";
const HVM = ["Hypervisor detected: Xen HVM", "xen_netfront", ALL_THREE];
const PVH = [
  "Hypervisor detected: Xen HVM",
  "Booting kernel on Xen PVH",
  "xen_netfront",
  ALL_THREE,
];

const ROWS: readonly Row[] = [
  { name: "cloud, HVM", guest: "cloud", options: HUB, run: NETWORK, status: 0, shows: HVM },
  {
    name: "cloud, PVH",
    guest: "cloud",
    options: ["--type", "pvh", ...HUB],
    run: NETWORK,
    status: 0,
    shows: PVH,
  },
  { name: "generic, HVM", guest: "generic", options: HUB, run: NETWORK, status: 0, shows: HVM },
  {
    name: "cloud, HVM, jit, two hypercall pages",
    guest: "cloud",
    options: ["--engine", "jit", "--hypercall-pages", "2", ...HUB],
    run: NETWORK,
    status: 0,
    shows: HVM,
  },
  {
    name: "cloud, PVH, jit",
    guest: "cloud",
    options: ["--type", "pvh", "--engine", "jit", ...HUB],
    run: NETWORK,
    status: 0,
    shows: PVH,
  },
  {
    name: "cloud, HVM, serial console",
    guest: "cloud",
    options: ["--console", "none"],
    run: { run: ["poweroff"], console: "ttyS0" },
    status: 0,
    shows: ["printk: console [ttyS0] enabled", "XENNER-DONE"],
  },
  {
    name: "cloud, HVM, panic",
    guest: "cloud",
    options: [],
    run: { run: ["crash"] },
    status: 1,
    shows: ["Kernel panic - not syncing: sysrq triggered crash"],
  },
  {
    name: "cloud, HVM, reboot with --no-reboot",
    guest: "cloud",
    options: ["--no-reboot"],
    run: { run: ["reboot"] },
    status: 0,
    shows: ["reboot: Restarting system"],
  },
];

function missing(guest: GuestName): string {
  const { vmlinuz, initramfs } = guestFiles(guest);
  for (const file of [vmlinuz, initramfs]) {
    try {
      Deno.statSync(file);
    } catch {
      return ` (skipped: no ${file.pathname.split("/").slice(-3).join("/")}; run deno task guests)`;
    }
  }
  return "";
}

/** Boots `guest`; `inside`: where its TAP is. */
async function boot(
  guest: GuestName,
  run: GuestRun,
  options: readonly string[],
  inside?: TapNamespace,
): Promise<{ status: number; output: string; errors: string; report(kind: string): GuestReport }> {
  const { vmlinuz, initramfs } = guestFiles(guest);
  const line = xenner([
    ...[
      "run",
      "--kernel",
      vmlinuz.pathname,
      "--initrd",
      initramfs.pathname,
      "--append",
      guestCommandLine(run),
    ],
    ...["--timeout", String(TIMEOUT_SECONDS), ...options],
  ]);
  const child = new Child(inside?.inside(line.command, line.args) ?? line);
  try {
    const status = await child.status;
    const reports = guestReports(child.stdout);
    const tail = () => `${child.stdout.slice(-3000)}\n${child.stderr}`;
    return {
      status,
      output: child.stdout,
      errors: child.stderr,
      report(kind) {
        const found = reports.find((report) => report.kind === kind);
        if (found === undefined) throw new Error(`the guest did not report ${kind}:\n${tail()}`);
        return found;
      },
    };
  } finally {
    child.kill();
  }
}

for (const row of ROWS) {
  const skipped = missing(row.guest);
  Deno.test({
    name: `Debian boots: ${row.name}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const { status, output, errors } = await boot(row.guest, row.run, row.options);
      for (const text of row.shows) {
        assert(output.includes(text), `no ${JSON.stringify(text)} in:\n${output.slice(-4000)}\n${errors}`);
      }
      assertEquals(status, row.status, errors);
    },
  });
}

const noTap = await whyNoTap();
for (const engine of ["interp", "jit"] as const) {
  const skipped = missing("cloud") || (noTap === undefined ? "" : ` (skipped: ${noTap})`);
  Deno.test({
    name: `xen-netfront talks TCP both ways with the host over TAP, ${engine}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const namespace = await openTapNamespace();
      const { command, args } = script("host/file_server.ts", [HOST_ADDRESS, "4"]);
      const server = new Child(namespace.inside(command, args));
      try {
        const line = await server.match(/^\{"url".*\}$/m);
        assert(line !== undefined, server.stderr);
        const ready: ServerReady = JSON.parse(line?.[0] ?? "");
        const { status, errors, report } = await boot(
          "cloud",
          {
            run: ["ping", "get", "put"],
            ip: { address: GUEST_ADDRESS, gateway: HOST_ADDRESS },
            count: 10,
            url: ready.url,
            put: ready.sink,
            mib: 2,
          },
          ["--engine", engine, "--net", `tap,ifname=${namespace.tap}`],
          namespace,
        );
        assertEquals(status, 0, errors);
        assertEquals(report("NET").values.get("driver"), "vif"); // the name xen-netfront registers
        assertEquals(report("PING").values.get("received"), "10");
        assertEquals(report("GET").values.get("bytes"), String(ready.bytes));
        assertEquals(report("GET").values.get("sha256"), ready.sha256);
        const arrived = await server.match(/^\{"received".*\}$/m, 10_000);
        const received: ServerReceived = JSON.parse(arrived?.[0] ?? "{}");
        assertEquals(received.received, 2 << 20);
        assertEquals(report("PUT").values.get("sha256"), received.sha256);
      } finally {
        server.kill();
        await server.status;
        namespace.close();
      }
    },
  });
}

for (const net of ["hub", "TAP"] as const) {
  const why = net === "TAP" ? noTap : undefined;
  const skipped = missing("cloud") || (why === undefined ? "" : ` (skipped: ${why})`);
  Deno.test({
    name: `a guest that reboots finds its network again: ${net}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const namespace = net === "TAP" ? await openTapNamespace() : undefined;
      const { vmlinuz, initramfs } = guestFiles("cloud");
      const run: GuestRun = {
        run: ["ping", "reboot"],
        ip: namespace ? { address: GUEST_ADDRESS, gateway: HOST_ADDRESS } : "dhcp",
        count: 3,
      };
      const line = xenner([
        "run",
        ...["--kernel", vmlinuz.pathname, "--initrd", initramfs.pathname],
        ...["--append", guestCommandLine(run)],
        ...(namespace ? ["--net", `tap,ifname=${namespace.tap}`] : HUB),
        ...["--timeout", String(TIMEOUT_SECONDS), "--stats=json"],
      ]);
      const child = new Child(namespace?.inside(line.command, line.args) ?? line);
      try {
        // until the third boot has begun
        let from = 0;
        for (const event of [/reboot: Restarting system/, /reboot: Restarting system/, /Linux version/]) {
          const found = await child.match(event, TIMEOUT_SECONDS * 1000, from);
          assert(found !== undefined, `no ${event} in ${child.stdout.slice(-4000)}\n${child.stderr}`);
          from += (found?.index ?? 0) + 1;
        }
        const pings = guestReports(child.stdout).filter(({ kind }) => kind === "PING");
        assertEquals(pings.map(({ values }) => [values.get("sent"), values.get("received")]), [
          ["3", "3"],
          ["3", "3"],
        ]);
        child.kill();
        assertEquals(await child.status, 143, child.stderr);
        assertEquals(JSON.parse(child.stderr).counters["machine.resets"], 2);
      } finally {
        child.kill();
        await child.status;
        namespace?.close();
      }
    },
  });
}
