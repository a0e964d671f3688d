// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { completeChecksum, internetChecksum, storeChecksum, sumBytes, sumFrame } from "./checksum.ts";
import { Frame, frameOf, VIRTIO_NET_HDR_F_NEEDS_CSUM } from "./frame.ts";

function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.replaceAll(" ", "").match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

/** RFC 1071 by the letter, on big-endian words, without anything clever: the judge of the fast version. */
function plain(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i] as number) * 256 + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return ~sum & 0xffff;
}

/** A linear congruential generator; the tests print nothing but their index, which is its seed. */
function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  let x = seed >>> 0;
  return Uint8Array.from({ length }, () => (x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 24);
}

const KNOWN: [string, string, number][] = [
  ["RFC 1071 §3's example", "0001 f203 f4f5 f6f7", 0x220d],
  ["an IPv4 header", "4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7", 0xb861],
  ["the same with its checksum in place", "4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7", 0],
  ["an odd number of bytes", "0001 f2", 0x0dfe],
  ["nothing", "", 0xffff],
];
for (const [what, bytes, expected] of KNOWN) {
  Deno.test(`internetChecksum of ${what}`, () => assertEquals(internetChecksum(hex(bytes)), expected));
}

Deno.test("internetChecksum agrees with the plain sum at every alignment and length", () => {
  const all = noise(400, 1);
  for (let from = 0; from < 9; from++) {
    for (let to = from; to < 400; to += to < 100 ? 1 : 7) {
      const part = all.subarray(from, to);
      assertEquals(internetChecksum(part), plain(part), `[${from}, ${to})`);
    }
  }
});

Deno.test("internetChecksum does not overflow on a long run of ones", () => {
  const ones = new Uint8Array(300_001).fill(0xff);
  assertEquals(internetChecksum(ones.subarray(1)), plain(ones.subarray(1)));
});

Deno.test("sumFrame does not depend on how the bytes are cut into slices", () => {
  const all = noise(301, 2);
  const whole = sumBytes(all, 5, 300);
  for (let a = 0; a < 60; a++) {
    const b = a + 7 + (a % 5);
    const frame = new Frame().append(all.subarray(0, a)).append(all.slice(a, b)).append(all.subarray(b));
    assertEquals(sumFrame(frame, 5, 300) % 0xffff, whole % 0xffff, `cut at ${a}, ${b}`);
  }
});

Deno.test("completeChecksum fills in a UDP checksum without touching the frame", () => {
  // 10.0.0.1:7 → 10.0.0.2:7, "hi!"; the blank field holds the pseudo-header's sum: 0a00+0001+0a00+0002+0011+000b
  const bytes = hex(
    "ffffffffffff 020000000001 0800 4500001f00000000401166cc 0a000001 0a000002 0007 0007 000b 141f 686921",
  );
  const before = bytes.slice();
  const frame = new Frame().append(bytes.subarray(0, 39)).append(bytes.subarray(39));
  frame.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  frame.csumStart = 34;
  frame.csumOffset = 6;
  const done = completeChecksum(frame);
  assertEquals(bytes, before);
  assertEquals(done?.flags, 0);
  const udp = done?.bytes().subarray(34) ?? hex("");
  // by hand: 141f + 0007 + 0007 + 000b + 6869 + 2100 = 9da1; complement 625e
  assertEquals([udp[6], udp[7]], [0x62, 0x5e]);
});

Deno.test("completeChecksum refuses a field outside the frame", () => {
  const frame = frameOf(new Uint8Array(60));
  for (const [start, offset] of [[58, 1], [60, 0], [65535, 65535], [0, 59]] as const) {
    frame.csumStart = start;
    frame.csumOffset = offset;
    assertEquals(completeChecksum(frame), undefined, `${start}+${offset}`);
  }
});

Deno.test("storeChecksum never stores zero for UDP", () => {
  const field = new Uint8Array(2);
  storeChecksum(field, 0, 0xffff, true);
  assertEquals(field, Uint8Array.of(0xff, 0xff));
  storeChecksum(field, 0, 0xffff);
  assertEquals(field, Uint8Array.of(0, 0));
});
