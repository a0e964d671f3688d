// SPDX-License-Identifier: MIT
/** What _capture.ts says of captures whose faults are known. @module */
import { assertEquals } from "@std/assert";
import { ManualClock } from "../cpu/base/clock.ts";
import { NoneEnd } from "../net/ends/none.ts";
import { PcapngCapture } from "../net/ends/pcapng.ts";
import { tcpGso } from "../net/frames/_frames.ts";
import { completeChecksum } from "../net/frames/checksum.ts";
import { type Frame, frameOf } from "../net/frames/frame.ts";
import { readCapture } from "./_capture.ts";

const SYN = 2, ACK = 16, START = 0xffff_ff00;

/** A capture of what a guest sends: segments of 1000 bytes, by their sequence numbers. */
function capture(frames: readonly Frame[]): Uint8Array {
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  const end = new PcapngCapture(new NoneEnd(), (block) => blocks.push(block), { clock: new ManualClock() });
  for (const frame of frames) end.send(frame);
  const file = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) {
    file.set(block, at);
    at += block.length;
  }
  return file;
}
const syn = () => tcpGso({ payload: 0, gsoSize: 0, flags: SYN, sequence: START - 1 });
const data = (offset: number, payload = 1000) =>
  tcpGso({ payload, gsoSize: payload > 1460 ? 1460 : 0, flags: ACK, sequence: (START + offset) >>> 0 });
/** The same with its checksum filled in, and a byte of its payload exchanged after that. */
function damaged(): Frame {
  const bytes = completeChecksum(data(2000))?.bytes() ?? new Uint8Array();
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return frameOf(bytes);
}

Deno.test("a clean capture has nothing to complain about, over the end of the sequence numbers too", () => {
  const whole = completeChecksum(data(1000));
  const report = readCapture(capture([syn(), data(0), whole ?? syn(), data(2000, 30_000)]));
  assertEquals(report, {
    ...{ frames: 4, data: 3, again: 0, badChecksums: 0, connections: 0.5, impatient: 0, wrong: [] },
  });
});

Deno.test("what is sent again and what is damaged is found", () => {
  const report = readCapture(capture([syn(), data(0), data(1000), data(0), damaged()]));
  assertEquals([report.again, report.badChecksums, report.wrong.length], [1, 1, 2]);
  const ip = data(0).bytes();
  ip[22] = 3; // the time to live
  assertEquals(readCapture(capture([syn(), frameOf(ip)])).wrong[0], "frame 2: IP header checksum");
});

Deno.test("what is sent again after a SYN that was sent twice is told apart", () => {
  const report = readCapture(capture([syn(), syn(), data(0), data(0)]));
  assertEquals([report.again, report.impatient], [0, 1]);
});
