// SPDX-License-Identifier: MIT
/** A Debian guest whose TAP device is deleted and made again while it runs. @module */
import { assert, assertEquals } from "@std/assert";
import { run } from "../scripts/host/processes.ts";
import {
  GUEST_ADDRESS,
  HOST_ADDRESS,
  openTapNamespace,
  type TapNamespace,
  whyNoTap,
} from "../scripts/host/tap_namespace.ts";
import { ConsoleGuest, noConsoleGuest } from "./guests/_console_guest.ts";

const noTap = await whyNoTap();
const skipped = noConsoleGuest() || (noTap === undefined ? "" : ` (skipped: ${noTap})`);

/** Seconds of CPU time that a process has used. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Makes the TAP as root would who wants it back. */
async function addTap(namespace: TapNamespace): Promise<void> {
  const { name, tap } = namespace;
  const make = namespace.inside("ip", ["tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr"]);
  await run(make.command, make.args, { quiet: true });
  await run("ip", ["-n", name, "addr", "add", `${HOST_ADDRESS}/24`, "dev", tap], { quiet: true });
  await run("ip", ["-n", name, "link", "set", tap, "up"], { quiet: true });
}

Deno.test({
  name: `Debian loses its interface with the TAP and finds it again with the TAP${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const namespace = await openTapNamespace();
    const guest = new ConsoleGuest(
      { run: ["ping", "shell"], ip: { address: GUEST_ADDRESS, gateway: HOST_ADDRESS }, count: 3 },
      ["--net", `tap,ifname=${namespace.tap}`],
      "",
      namespace,
    );
    const interfaces = () => guest.sh("ls /sys/class/net");
    const until = (condition: string) =>
      guest.sh(
        `n=0; until ${condition} || [ $n -gt 600 ]; do usleep 100000; n=$((n + 1)); done; ${condition} && echo YES`,
      );
    const ping = async () => {
      const text = await guest.sh(`ping -c 3 -i 0.2 -W 5 ${HOST_ADDRESS}`);
      assert(text.includes("3 packets received"), text);
    };
    try {
      await guest.booted();
      assertEquals(await guest.sh("cat /sys/class/net/eth0/carrier"), "1\n");
      await ping();
      for (let i = 0; i < 2; i++) {
        await run("ip", ["-n", namespace.name, "link", "del", namespace.tap], { quiet: true });
        assert((await until("[ ! -e /sys/class/net/eth0 ]")).includes("YES"), await interfaces());
        await addTap(namespace);
        assert((await until("[ -e /sys/class/net/eth0 ]")).includes("YES"), await interfaces());
        await guest.sh(`ifconfig eth0 ${GUEST_ADDRESS} netmask 255.255.255.0 up`);
        assert((await until("[ $(cat /sys/class/net/eth0/carrier) = 1 ]")).includes("YES"));
        await ping();
      }
      assertEquals(await guest.powerOff(), 0, guest.errors);
      assert(guest.errors.includes(`${namespace.tap} was deleted`), guest.errors);
    } finally {
      await guest.close();
      namespace.close();
    }
  },
});

Deno.test({
  name: `a guest that idles without its TAP costs no more than one with it${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const namespace = await openTapNamespace();
    const guest = new ConsoleGuest(
      { run: ["shell"] },
      ["--net", `tap,ifname=${namespace.tap}`],
      "",
      namespace,
    );
    const used = async () => {
      const before = await cpuSeconds(guest.pid);
      await guest.sh("sleep 5");
      return await cpuSeconds(guest.pid) - before;
    };
    try {
      await guest.booted();
      const idle = await used();
      await run("ip", ["-n", namespace.name, "link", "del", namespace.tap], { quiet: true });
      await guest.sh("sleep 1");
      const without = await used();
      // one that spins uses five seconds; the machine may be busy, but CPU time does not count the others
      assert(without < idle + 1.5, `${without} s of CPU in 5 s, ${idle} s before`);
    } finally {
      await guest.close();
      namespace.close();
    }
  },
});
