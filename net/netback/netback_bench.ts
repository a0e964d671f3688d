// SPDX-License-Identifier: MIT
/** What a packet costs in netback, without the host end: 64 per iteration, so divide by 64. @module */
import { internetChecksum } from "../frames/checksum.ts";
import { frameOf } from "../ends/end.ts";
import { segment } from "../frames/gso.ts";
import { Hub } from "../ends/hub.ts";
import { Rig, type TxSlot } from "./_frontend.ts";
import { NoneEnd } from "../ends/none.ts";
import { tcpGso } from "../frames/_frames.ts";

const BATCH = 64;

const sender = new Rig(new NoneEnd());
const page = sender.page(new Uint8Array(4096).fill(2));
const single: TxSlot[] = Array.from({ length: BATCH }, () => ({ gref: page.gref, size: 1514 }));
const bytes = tcpGso({ payload: 64_000, gsoSize: 1448 }).bytes();
const [first, ...rest] = sender.chain(bytes, 1 | 8); // NETTXF_csum_blank, NETTXF_extra_info
const large: TxSlot[] = [first as TxSlot, { type: 1, u: [0xa8, 5, 1, 0, 0, 0] }, ...rest];

Deno.bench(`netback tx, ${BATCH} packets of 1514 bytes`, { group: "netback" }, () => {
  sender.queue.send(single);
  sender.queue.tx.takeResponses();
});
Deno.bench("netback tx, one 64 KiB GSO packet in 16 slots", { group: "netback" }, () => {
  sender.queue.send(large);
  sender.queue.tx.takeResponses();
});

const hub = new Hub();
const source = hub.port();
const receiver = new Rig(hub.port());
const frame = frameOf(new Uint8Array(1514));
const gso = tcpGso({ payload: 64_000, gsoSize: 1448 });
receiver.queue.post(200);
Deno.bench(`netback rx, ${BATCH} packets of 1514 bytes`, { group: "netback" }, () => {
  for (let i = 0; i < BATCH; i++) source.send(frame);
  receiver.queue.post(receiver.queue.rx.takeResponses().length);
});
Deno.bench("netback rx, one 64 KiB GSO packet", { group: "netback" }, () => {
  source.send(gso);
  receiver.queue.post(receiver.queue.rx.takeResponses().length);
});

const data = new Uint8Array(65_536).fill(0x5a);
Deno.bench("checksum of 64 KiB", { group: "software" }, () => void internetChecksum(data));
Deno.bench(
  "checksum of 1460 bytes",
  { group: "software" },
  () => void internetChecksum(data.subarray(2, 1462)),
);
Deno.bench("segment 64 KiB by 1448", { group: "software" }, () => void segment(gso, 0, () => true));
