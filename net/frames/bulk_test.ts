// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { tcpGso } from "./_frames.ts";
import { isBulk } from "./bulk.ts";
import { type Frame, frameOf } from "./frame.ts";
import { Headers } from "./headers.ts";

const FIN_ACK = 0x11, PSH_ACK = 0x18, SYN = 2;
/** A segment without offloads, of one slice. */
const segment = (payload: number, options: { version?: 4 | 6; flags?: number; tcpOptions?: number } = {}) =>
  frameOf(tcpGso({ payload, gsoSize: 0, ...options }).bytes());

const FRAMES: readonly (readonly [what: string, frame: () => Frame, bulk: boolean])[] = [
  ["64 KiB of a stream", () => tcpGso({ payload: 60_000, gsoSize: 1460, cuts: [66] }), true],
  ["three segments: perhaps a question", () => tcpGso({ payload: 4000, gsoSize: 1460 }), false],
  ["an acknowledgement", () => segment(0), true],
  ["with timestamps", () => segment(0, { tcpOptions: 12 }), true],
  ["over IPv6", () => segment(0, { version: 6 }), true],
  ["with a byte of data", () => segment(1), false],
  ["a whole segment", () => segment(1460, { flags: PSH_ACK }), false],
  ["a FIN", () => segment(0, { flags: FIN_ACK }), false],
  ["a SYN", () => segment(0, { flags: SYN }), false],
  ["padded to 60 bytes", () => segment(0).append(new Uint8Array(6)), true],
  ["cut off in its header", () => frameOf(segment(0).bytes().subarray(0, 50)), false],
  ["ARP", () => frameOf(new Uint8Array(60).fill(8, 12, 14)), false],
  ["nothing", () => frameOf(new Uint8Array(0)), false],
];
for (const [what, frame, bulk] of FRAMES) {
  Deno.test(`isBulk: ${what}: ${bulk}`, () => assertEquals(isBulk(frame(), new Headers()), bulk));
}

Deno.test("isBulk: another protocol in the place of TCP", () => {
  const udp = segment(0).bytes();
  udp[14 + 9] = 17;
  assertEquals(isBulk(frameOf(udp), new Headers()), false);
});
