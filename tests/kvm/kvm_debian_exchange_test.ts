// SPDX-License-Identifier: MIT
/**
 * Debian's kernels, saved in mid-boot and once more with their network up, go on under another engine each time, with either
 * vendor's processor: 5.10 calls Xen through the page, 6.1 by VMCALL or VMMCALL, for which KVM must hand these over. On
 * processors with VMX or SVM only, as all boots under KVM.
 */
import { assert, assertEquals } from "@std/assert";
import type { EngineName } from "../../cpu/base/engine.ts";
import { createMachine, Hub, type MachineSnapshot, Responder } from "../../mod.ts";
import { guestCommandLine, guestFiles, type GuestName, guestReports } from "../../scripts/guests/manifest.ts";
import { missing, NETWORK } from "../_boot.ts";
import { cpuForKvm, noHypercalls, noKvm, notHardware } from "./_kvm.ts";

/** When a machine is saved: the kernel has found Xen and its console but no network; rings are connected. */
const MOMENTS = ["Grant table initialized", "XENNER-NET"];

/** One way through the engines: one for each part of the boot. */
interface Way {
  readonly guest: GuestName;
  readonly type: "hvm" | "pvh";
  readonly cpuVendor: "intel" | "amd";
  readonly engines: readonly [EngineName, EngineName, EngineName];
}

const WAYS: readonly Way[] = [
  { guest: "bullseye", type: "pvh", cpuVendor: "intel", engines: ["jit", "kvm", "jit"] },
  { guest: "bullseye", type: "hvm", cpuVendor: "amd", engines: ["kvm", "jit", "kvm"] },
  { guest: "cloud", type: "pvh", cpuVendor: "amd", engines: ["jit", "kvm", "jit"] },
  { guest: "cloud", type: "hvm", cpuVendor: "intel", engines: ["kvm", "jit", "kvm"] },
];

for (const way of WAYS) {
  const { guest, type, cpuVendor, engines } = way;
  const kvm = guest === "bullseye" ? noKvm() : noHypercalls();
  const skipped = kvm || notHardware() || missing(guest);
  Deno.test({
    name: `KVM: ${guest} as ${type}, ${cpuVendor}, goes on from ${engines.join(" to ")}${skipped}`,
    ignore: skipped !== "",
    fn: () => goOn(way),
  });
}

async function goOn({ guest, type, cpuVendor, engines }: Way): Promise<void> {
  const { vmlinuz, vmlinux, initramfs } = guestFiles(guest);
  const hub = new Hub();
  new Responder(hub.port());
  const cpu = cpuForKvm();
  let output = "", snapshot: MachineSnapshot | undefined;
  for (const [part, engine] of engines.entries()) {
    const machine = await createMachine({
      kernel: type === "pvh" ? vmlinux : vmlinuz,
      initrd: initramfs,
      append: guestCommandLine(NETWORK),
      memory: "192M",
      type,
      engine,
      cpu,
      cpuVendor,
      nets: [{ hub, mac: "00:16:3e:00:00:07" }],
      console: (bytes) => output += new TextDecoder().decode(bytes),
    });
    try {
      if (snapshot !== undefined) machine.restore(snapshot);
      const until = MOMENTS[part];
      if (until !== undefined) machine.on("console", () => output.includes(until) && machine.stop());
      const reason = until === undefined ? "poweroff" : "stopped";
      const shown = () => `${engine}:\n${output.slice(-3000)}\n${machine.crashReport()}`;
      const exit = await machine.run();
      assertEquals(exit, { reason }, shown());
      assert(until === undefined || !output.includes("XENNER-PING"), shown());
      snapshot = structuredClone(machine.save());
    } finally {
      await machine.close();
    }
  }
  const reports = guestReports(output);
  const pings = reports.filter(({ kind }) => kind === "PING").map(({ values }) => values);
  assertEquals(pings.map((values) => [values.get("sent"), values.get("received")]), [["3", "3"]], output);
  assertEquals(reports.filter(({ kind }) => kind === "INIT").length, 1, "it booted once");
}
