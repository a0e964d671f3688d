// SPDX-License-Identifier: MIT
/**
 * The user network judged by Linux's own stack: a TAP in a network namespace is the guest, the servers are on our loopback.
 * Needs root; without it the tests are skipped and say so.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { whyNoTap } from "../../scripts/host/tap_namespace.ts";
import { crossConnect, type Frame, type NetEnd } from "../ends/end.ts";
import { UserNetwork } from "../ends/user/user_network.ts";
import { DenoNetwork } from "./deno_network.ts";
import { SystemClock } from "./host_clock.ts";
import { TapDevice } from "./tap.ts";

const noTap = await whyNoTap();
const skipped = noTap === undefined ? "" : ` (skipped: ${noTap})`;
const MIB = 1 << 20;

async function run(...[command = "", ...args]: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const text = new TextDecoder().decode(stdout);
  assert(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}${text}`);
  return text;
}

/** A namespace whose stack is the guest of a user network. */
class LinuxGuest {
  readonly name = `xenner-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
  readonly #tap = TapDevice.open({ name: `xn${crypto.randomUUID().slice(0, 8)}` });
  readonly user = new UserNetwork(new DenoNetwork());
  readonly #clock = new SystemClock();
  #stopped = false;
  #running: Promise<void> | undefined;

  /** `loses`: whether a frame is lost on its way. */
  async start(loses: () => boolean): Promise<void> {
    const tap = this.#tap;
    const ip = (...args: string[]) => run("ip", "-n", this.name, ...args);
    await run("ip", "netns", "add", this.name);
    await run("ip", "link", "set", tap.name, "netns", this.name);
    await ip("addr", "add", "10.0.2.15/24", "dev", tap.name);
    await ip("link", "set", tap.name, "up");
    await ip("route", "add", "default", "via", "10.0.2.2");
    crossConnect(lossy(tap, loses), lossy(this.user, loses));
    this.#running = this.#loop();
  }

  async #loop(): Promise<void> {
    let wake = () => {};
    this.user.wakeWith(() => wake());
    while (!this.#stopped) {
      if (this.#tap.poll() + this.user.poll() > 0) await this.#clock.breathe();
      else {
        const woken = new Promise<void>((resolve) => wake = resolve);
        await this.#clock.sleep(50, woken, [this.#tap.pollFd()]);
      }
    }
  }

  /** Runs a program in the guest. */
  inside(...command: string[]): Promise<string> {
    return run("ip", "netns", "exec", this.name, ...command);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.user.close();
    this.#tap.close();
    this.#clock.close();
    await run("ip", "netns", "del", this.name);
  }
}

function lossy(end: NetEnd, loses: () => boolean): NetEnd {
  const send = end.send.bind(end);
  return Object.assign(end, { send: (frame: Frame) => loses() || send(frame) });
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

const HASH = 'new Uint8Array(await crypto.subtle.digest("SHA-256", b)).toHex()';

/** In the guest: downloads from one port, uploads the same to another; prints the hash of what came. */
const client = (from: number, to: number) => `
  const c = await Deno.connect({ hostname: "10.0.2.2", port: ${from} });
  const b = new Uint8Array(await new Response(c.readable).arrayBuffer());
  console.log(${HASH});
  const u = await Deno.connect({ hostname: "10.0.2.2", port: ${to} });
  for (let at = 0; at < b.length;) at += await u.write(b.subarray(at));
  await u.closeWrite();
  console.log(new TextDecoder().decode(new Uint8Array(await new Response(u.readable).arrayBuffer())));`;

for (const loss of [0, 0.03]) {
  Deno.test({
    name: `Linux as the guest: both ways, half-closed, ${loss * 100} % of the frames lost${skipped}`,
    ignore: skipped !== "",
    async fn() {
      let seed = 99;
      const loses = () => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        return (seed >>> 8) % 1000 < loss * 1000;
      };
      const guest = new LinuxGuest();
      const source = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const sink = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const file = new Uint8Array(8 * MIB).map((_, i) => (i * 2_654_435_761) >>> 24);
      const serving = (async () => {
        const down = await source.accept();
        for (let at = 0; at < file.length;) at += await down.write(file.subarray(at));
        down.close();
        const up = await sink.accept();
        const chunks: Uint8Array<ArrayBuffer>[] = [];
        const buffer = new Uint8Array(MIB);
        for (let n; (n = await up.read(buffer)) !== null;) chunks.push(buffer.slice(0, n));
        const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
        await up.write(new TextEncoder().encode(await sha256(bytes))); // after the guest has closed its side
        up.close();
      })();
      try {
        await guest.start(loses);
        const code = client((source.addr as Deno.NetAddr).port, (sink.addr as Deno.NetAddr).port);
        const said = await guest.inside(Deno.execPath(), "eval", code);
        await serving;
        const hash = await sha256(file);
        assertEquals(said.trim().split("\n"), [hash, hash]);
        const snmp = await guest.inside("cat", "/proc/net/snmp");
        const values = snmp.split("\n").filter((line) => line.startsWith("Tcp:")).map((line) =>
          line.split(" ")
        );
        const counter = (name: string) => Number(values[1]?.[values[0]?.indexOf(name) ?? -1]);
        assertEquals(counter("InCsumErrors"), 0);
        // Linux counts a repeated SYN-ACK as an error of the peer too; one is due when the ACK before it was lost.
        if (loss === 0) assertEquals(counter("InErrs"), 0);
      } finally {
        source.close();
        sink.close();
        await guest.stop();
      }
    },
  });
}
