// SPDX-License-Identifier: MIT
/** What a frame costs through a TAP, system call and host stack included. Needs root: `deno bench -A`. @module */
import { frameOf } from "../ends/end.ts";
import { TapDevice } from "./tap.ts";
import { Collector, tcpGso } from "../frames/_frames.ts";

const tap = TapDevice.open({ name: "xnb%d" });
new Collector(tap);
new Deno.Command("ip", { args: ["link", "set", tap.name, "up"] }).outputSync();
tap.poll();
const small = frameOf(new Uint8Array(60).fill(0xff, 0, 6));
const full = frameOf(new Uint8Array(1514).fill(0xff, 0, 6));
const gso = tcpGso({
  payload: 64_000,
  gsoSize: 1448,
  cuts: Array.from({ length: 15 }, (_, i) => (i + 1) * 4096),
});

Deno.bench("TAP send, 60 bytes", { group: "send" }, () => void tap.send(small));
Deno.bench("TAP send, 1514 bytes", { group: "send" }, () => void tap.send(full));
Deno.bench("TAP send, 64 KiB GSO in 16 slices", { group: "send" }, () => void tap.send(gso));
Deno.bench("TAP poll, nothing there", () => void tap.poll());
