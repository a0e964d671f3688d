// SPDX-License-Identifier: MIT
/** Debian's cloud kernel starts another one by kexec, which finds xenstore, console and network as new. @module */
import { assert, assertEquals } from "@std/assert";
import { Child, xenner } from "../scripts/host/child.ts";
import { writeCpio } from "../devices/loaders/root_folder/cpio.ts";
import { guestCommandLine, guestFiles, guestReports, type GuestRun } from "../scripts/guests/manifest.ts";
import { HUB, missing, TIMEOUT_SECONDS } from "./_boot.ts";
import { kexecProgram } from "./guests/_kexec_program.ts";

const SECOND: GuestRun = { run: ["ping"], ip: "dhcp", count: 2, extra: "xenner.boot=second" };
const FIRST: GuestRun = { run: ["ping", "kexec"], ip: "dhcp", count: 2 };

/** An initramfs that has what the second kernel is started from. */
async function initramfsWithKernel(): Promise<string> {
  const { vmlinuz, initramfs } = guestFiles("cloud");
  const first = await Deno.readFile(initramfs);
  const more = writeCpio([
    { type: "file", name: "boot/kexec", data: kexecProgram(), mode: 0o755 },
    { type: "file", name: "boot/vmlinuz", data: await Deno.readFile(vmlinuz) },
    { type: "file", name: "boot/initrd", data: first },
    { type: "file", name: "boot/cmdline", data: new TextEncoder().encode(guestCommandLine(SECOND)) },
  ]);
  const both = new Uint8Array(Math.ceil(first.length / 4) * 4 + more.length);
  both.set(first);
  both.set(more, both.length - more.length);
  const path = await Deno.makeTempFile({ suffix: ".cpio" });
  await Deno.writeFile(path, both);
  return path;
}

for (const type of ["hvm", "pvh"] as const) {
  const skipped = missing("cloud");
  Deno.test({
    name: `Debian boots: cloud, ${type}, and a second kernel by kexec${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const initrd = await initramfsWithKernel();
      const child = new Child(xenner([
        "run",
        ...["--kernel", guestFiles("cloud").vmlinuz.pathname, "--initrd", initrd],
        ...["--append", guestCommandLine(FIRST), "--type", type, ...HUB],
        ...["--timeout", String(TIMEOUT_SECONDS), "--stats=json"],
      ]));
      try {
        const status = await child.status;
        const tail = `${child.stdout.slice(-4000)}\n${child.stderr}`;
        const reports = guestReports(child.stdout);
        const pings = reports.filter(({ kind }) => kind === "PING");
        assertEquals(
          pings.map(({ values }) => [values.get("sent"), values.get("received")]),
          [["2", "2"], ["2", "2"]],
          tail,
        );
        assertEquals(reports.filter(({ kind }) => kind === "INIT").length, 2, tail);
        assert(child.stdout.includes("xenner.boot=second"), tail);
        assertEquals(status, 0, tail);
        // one machine, reset by nobody; the guest does not spin in SCHEDOP_block
        const { counters } = JSON.parse(child.stderr);
        assertEquals(counters["machine.resets"] ?? 0, 0);
        assert(counters["hypercall.sched_op"] < 100_000, `${counters["hypercall.sched_op"]} sched_op`);
      } finally {
        child.kill();
        await child.status;
        await Deno.remove(initrd);
      }
    },
  });
}
