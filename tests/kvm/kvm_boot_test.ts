// SPDX-License-Identifier: MIT
/**
 * Debian's kernels under KVM from power-on to power-off, as a PC and as PVH domains: 5.10 calls Xen through the hypercall page,
 * the others execute VMCALL or VMMCALL. With netfront over a TAP where there is one. On processors with VMX or SVM only: where
 * KVM emulates, a boot takes longer than anybody waits.
 */
import { assert, assertEquals } from "@std/assert";
import { GUEST_ADDRESS, HOST_ADDRESS, openTapNamespace, whyNoTap } from "../../scripts/host/tap_namespace.ts";
import { Child, script } from "../../scripts/host/child.ts";
import type { ServerReady } from "../../scripts/host/file_server.ts";
import type { GuestName } from "../../scripts/guests/manifest.ts";
import { boot, HUB, missing, NETWORK } from "../_boot.ts";
import { BOOT_OPTIONS, bootAs, noKvm, notHardware } from "./_kvm.ts";

const KERNELS: readonly GuestName[] = ["sid", "trixie", "bullseye", "cloud", "backports"];
const noHardware = noKvm() || notHardware();

for (const type of ["pvh", "hvm"]) {
  for (const guest of KERNELS) {
    const skipped = noHardware || missing(guest);
    Deno.test({
      name: `KVM: ${guest} boots as ${type} and pings${skipped}`,
      ignore: skipped !== "",
      async fn() {
        const { status, output, errors } = await bootAs(type, guest, NETWORK, HUB);
        const shows = ["Hypervisor detected: Xen HVM", "XENNER-INIT", "XENNER-PING sent=3 received=3"];
        for (const text of shows) {
          assert(output.includes(text), `no ${text} in:\n${output.slice(-4000)}\n${errors}`);
        }
        assertEquals(status, 0, errors);
      },
    });
  }
}

const noTap = noHardware || missing("bullseye") ||
  await whyNoTap().then((why) => why ? ` (skipped: ${why})` : "");
Deno.test({
  name: `KVM: xen-netfront over a TAP: ten pings, and a file whose checksum is right${noTap}`,
  ignore: noTap !== "",
  async fn() {
    const namespace = await openTapNamespace();
    const { command, args } = script("host/file_server.ts", [HOST_ADDRESS, "1"]);
    const server = new Child(namespace.inside(command, args));
    try {
      const line = await server.match(/^\{"url".*\}$/m, 300_000);
      assert(line !== undefined, server.stderr);
      const ready: ServerReady = JSON.parse(line?.[0] ?? "");
      const ip = { address: GUEST_ADDRESS, gateway: HOST_ADDRESS };
      const { status, errors, report } = await boot(
        "bullseye",
        { run: ["ping", "get"], ip, count: 10, url: ready.url },
        [...BOOT_OPTIONS, "--net", `tap,ifname=${namespace.tap}`],
        namespace,
      );
      assertEquals(status, 0, errors);
      assertEquals(report("PING").values.get("received"), "10");
      assertEquals(report("GET").values.get("sha256"), ready.sha256);
    } finally {
      server.kill();
      await server.status;
      namespace.close();
    }
  },
});
