// SPDX-License-Identifier: MIT
/**
 * Boots Debian's kernels from power-on to power-off, as users run them: through the command line. Guests come from
 * `deno task guests`; without them boots are skipped and say so. Tests only.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Child, xenner } from "../scripts/host/child.ts";
import {
  guestCommandLine,
  guestFiles,
  type GuestName,
  type GuestReport,
  guestReports,
  type GuestRun,
} from "../scripts/guests/manifest.ts";
import type { TapNamespace } from "../scripts/host/tap_namespace.ts";

/** How long a boot may take. */
export const TIMEOUT_SECONDS = 300;

/** One boot. */
export interface Row {
  readonly name: string;
  readonly guest: GuestName;
  readonly options: readonly string[];
  readonly run: GuestRun;
  /** Exit status of the program. */
  readonly status: number;
  /** What the console must show. */
  readonly shows: readonly string[];
  /** More to look at. */
  readonly check?: (boot: Boot) => void;
}

/** A boot that has ended. */
export interface Boot {
  readonly status: number;
  /** What its console showed. */
  readonly output: string;
  /** What the program said on stderr. */
  readonly errors: string;
  /** The first report of `kind`; fails when there is none. */
  report(kind: string): GuestReport;
}

/** DHCP and three pings to the built-in responder. */
export const NETWORK: GuestRun = { run: ["ping"], ip: "dhcp", count: 3 };
export const HUB = ["--net", "hub=test,responder"];
const ALL_THREE = "XENNER-PING sent=3 received=3";
/** What a boot with {@linkcode NETWORK} shows. */
export const HVM = ["Hypervisor detected: Xen HVM", "xen_netfront", ALL_THREE];
export const PVH = [
  "Hypervisor detected: Xen HVM",
  "kernel on Xen PVH", // 5.10 calls it "paravirtualized kernel"
  "xen_netfront",
  ALL_THREE,
];

/** `guest` with a network as a PC and as a PVH domain; `more` is for both. */
export function bothWays(
  guest: GuestName,
  more: { readonly options?: readonly string[]; readonly check?: (boot: Boot) => void } = {},
): readonly Row[] {
  const options = [...HUB, ...more.options ?? []];
  return [
    { name: `${guest}, HVM`, guest, run: NETWORK, status: 0, shows: HVM, ...more, options },
    {
      name: `${guest}, PVH`,
      guest,
      run: NETWORK,
      status: 0,
      shows: PVH,
      ...more,
      options: ["--type", "pvh", ...options],
    },
  ];
}

/** Why `guest` cannot be booted, as the end of a test's name; "" when it can. */
export function missing(guest: GuestName): string {
  const { vmlinuz, initramfs, missing: reason } = guestFiles(guest);
  return missingFiles([vmlinuz, initramfs], reason);
}

/** The same for files of the cache; `reason`: where it was written down why one could not be had. */
export function missingFiles(files: readonly URL[], reason: URL): string {
  for (const file of files) {
    try {
      Deno.statSync(file);
    } catch {
      const name = file.pathname.split("/").slice(-3).join("/");
      return ` (skipped: no ${name}: ${whyNot(reason) ?? "run deno task guests"})`;
    }
  }
  return "";
}

function whyNot(reason: URL): string | undefined {
  try {
    return Deno.readTextFileSync(reason).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Boots `guest`; `inside`: where its TAP is; `initrd`, `kernel`: others than its initramfs and its bzImage. */
export async function boot(
  guest: GuestName,
  run: GuestRun,
  options: readonly string[],
  inside?: TapNamespace,
  initrd?: string,
  kernel?: URL,
): Promise<Boot> {
  const { vmlinuz, initramfs } = guestFiles(guest);
  const line = xenner([
    ...[
      "run",
      "--kernel",
      (kernel ?? vmlinuz).pathname,
      "--initrd",
      initrd ?? initramfs.pathname,
      "--append",
      guestCommandLine(run),
    ],
    ...(options.includes("--timeout") ? [] : ["--timeout", String(TIMEOUT_SECONDS)]),
    ...options,
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

/** Makes a test of every row. */
export function testRows(rows: readonly Row[]): void {
  for (const row of rows) {
    const skipped = missing(row.guest);
    Deno.test({
      name: `Debian boots: ${row.name}${skipped}`,
      ignore: skipped !== "",
      async fn() {
        const booted = await boot(row.guest, row.run, row.options);
        const { status, output, errors } = booted;
        for (const text of row.shows) {
          assert(output.includes(text), `no ${JSON.stringify(text)} in:\n${output.slice(-4000)}\n${errors}`);
        }
        assertEquals(status, row.status, errors);
        row.check?.(booted);
      },
    });
  }
}
