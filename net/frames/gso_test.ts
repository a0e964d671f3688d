// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { internetChecksum, sumBytes, sumPseudoHeader } from "./checksum.ts";
import {
  Frame,
  frameOf,
  OFFLOAD_ALL,
  OFFLOAD_CSUM,
  OFFLOAD_CSUM6,
  OFFLOAD_NONE,
  OFFLOAD_TSO4,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_UDP,
} from "../ends/end.ts";
import { conform, MAX_SEGMENTS, segment, setUpChecksum, takesAsIs } from "./gso.ts";
import { be16, be32, Headers } from "./headers.ts";
import { tcpGso, type TcpOptions } from "./_frames.ts";

function segmentsOf(frame: Frame, accepts = OFFLOAD_NONE): Frame[] {
  const out: Frame[] = [];
  const done = segment(frame, accepts, (piece) => out.push(piece.clone()) > 0);
  return done ? out : [];
}

const SHAPES: [string, TcpOptions][] = [
  ["IPv4", { payload: 3500, gsoSize: 1448, tcpOptions: 12 }],
  ["IPv6", { payload: 3500, gsoSize: 1428, version: 6, tcpOptions: 12 }],
  ["IPv4 behind a VLAN tag", { payload: 2000, gsoSize: 999, vlan: 42 }],
  ["IPv6 behind a VLAN tag", { payload: 2001, gsoSize: 1000, vlan: 42, version: 6 }],
  ["IPv4 cut at odd places", { payload: 3000, gsoSize: 1460, cuts: [1, 15, 40, 55, 56, 700, 1701] }],
  ["IPv4 of one segment", { payload: 100, gsoSize: 1460 }],
  ["IPv4 without payload", { payload: 0, gsoSize: 1460 }],
  ["IPv4 of 64 KiB", { payload: 65_495, gsoSize: 1448 }],
];
for (const [what, options] of SHAPES) {
  Deno.test(`segment cuts ${what} into sound packets that carry the same stream`, () => {
    const frame = tcpGso(options);
    const l3 = options.vlan === undefined ? 14 : 18;
    const version = options.version ?? 4;
    const l4 = l3 + (version === 4 ? 20 : 40);
    const header = l4 + 20 + (options.tcpOptions ?? 0);
    const stream: number[] = [];
    let sequence = 0xffff_ff00;
    const pieces = segmentsOf(frame);
    assertEquals(pieces.length, Math.max(1, Math.ceil(options.payload / options.gsoSize)));
    pieces.forEach((piece, i) => {
      const bytes = piece.bytes();
      assertEquals(piece.gsoType, VIRTIO_NET_HDR_GSO_NONE);
      assertEquals(piece.flags, 0);
      assertEquals(be32(bytes, l4 + 4), sequence);
      if (version === 4) {
        assertEquals(internetChecksum(bytes.subarray(l3, l4)), 0);
        assertEquals(be16(bytes, l3 + 2), bytes.length - l3);
        assertEquals(be16(bytes, l3 + 4), 0x1234 + i);
      } else {
        assertEquals(be16(bytes, l3 + 4), bytes.length - l4);
      }
      const pseudo = sumPseudoHeader(bytes, l3, { version, protocol: 6, length: bytes.length - l4 });
      assertEquals((pseudo + sumBytes(bytes, l4)) % 0xffff, 0);
      stream.push(...bytes.subarray(header));
      sequence = (sequence + bytes.length - header) >>> 0;
    });
    assertEquals(stream, [...frame.bytes().subarray(header)]);
  });
}

Deno.test("segment leaves blank checksums where they are welcome, by IP version", () => {
  const four = tcpGso({ payload: 2000, gsoSize: 1000 });
  const six = tcpGso({ payload: 2000, gsoSize: 1000, version: 6 });
  const flags = (frame: Frame, accepts: number) => segmentsOf(frame, accepts).map((piece) => piece.flags);
  assertEquals(flags(four, OFFLOAD_CSUM), [VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM]);
  assertEquals(flags(six, OFFLOAD_CSUM), [0, 0]);
  assertEquals(flags(six, OFFLOAD_CSUM6), [VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_F_NEEDS_CSUM]);
  // completing the blank ones gives what complete segmentation gives
  const blank = segmentsOf(four, OFFLOAD_CSUM).map((piece) => {
    let bytes = new Uint8Array();
    conform(piece, OFFLOAD_NONE, (done) => ((bytes = done.bytes()), true));
    return bytes;
  });
  assertEquals(blank, segmentsOf(four).map((piece) => piece.bytes()));
});

Deno.test("segment: CWR on the first, FIN and PSH on the last", () => {
  const frame = tcpGso({ payload: 2500, gsoSize: 1000, flags: 0x80 | 0x10 | 0x08 | 0x01 });
  frame.gsoType |= VIRTIO_NET_HDR_GSO_ECN;
  assertEquals(segmentsOf(frame).map((piece) => piece.bytes()[47]), [0x90, 0x10, 0x19]);
});

const BAD: [string, (frame: Frame) => void][] = [
  ["a size of zero", (frame) => frame.gsoSize = 0],
  ["more segments than anybody needs", (frame) => frame.gsoSize = Math.floor(3000 / MAX_SEGMENTS)],
  ["the other IP version", (frame) => (frame.slices[0] as Uint8Array)[12] = 0x86],
  ["UDP fragmentation", (frame) => frame.gsoType = VIRTIO_NET_HDR_GSO_UDP],
  ["a TCP header longer than the frame's start", (frame) => (frame.slices[0] as Uint8Array)[14] = 0x4f],
  ["a TCP header shorter than TCP's", (frame) => (frame.slices[0] as Uint8Array)[46] = 0x40],
  ["a fragment", (frame) => (frame.slices[0] as Uint8Array)[20] = 0x20],
];
for (const [what, spoil] of BAD) {
  Deno.test(`segment refuses ${what}`, () => {
    const frame = tcpGso({ payload: 3000, gsoSize: 1000, cuts: [54] });
    spoil(frame);
    if (what.startsWith("a TCP header longer")) frame.slices.splice(1), frame.length = 54;
    assertEquals(segment(frame, OFFLOAD_NONE, () => true), false);
  });
}

Deno.test("takesAsIs knows what needs which offload", () => {
  const plain = frameOf(new Uint8Array(60));
  const gso = tcpGso({ payload: 2000, gsoSize: 1000 });
  const gso6 = tcpGso({ payload: 2000, gsoSize: 1000, version: 6 });
  assertEquals(takesAsIs(plain, OFFLOAD_NONE), true);
  assertEquals(takesAsIs(gso, OFFLOAD_TSO4 | OFFLOAD_CSUM), true);
  assertEquals(takesAsIs(gso6, OFFLOAD_TSO4 | OFFLOAD_CSUM), false);
  gso.gsoType |= VIRTIO_NET_HDR_GSO_ECN;
  assertEquals(takesAsIs(gso, OFFLOAD_TSO4 | OFFLOAD_CSUM), false);
  assertEquals(takesAsIs(gso, OFFLOAD_ALL), true);
  gso6.gsoType = VIRTIO_NET_HDR_GSO_NONE;
  assertEquals(takesAsIs(gso6, OFFLOAD_CSUM), false);
  assertEquals(takesAsIs(gso6, OFFLOAD_CSUM6), true);
});

Deno.test("setUpChecksum finds the field, and recomputes a missing pseudo-header sum in a copy", () => {
  const frame = tcpGso({ payload: 100, gsoSize: 50, vlan: 7, version: 6, cuts: [30] });
  const right = frame.bytes();
  const first = frame.slices[1] as Uint8Array;
  const field = 58 + 16 - 30;
  first.fill(0, field, field + 2);
  frame.flags = frame.csumStart = frame.csumOffset = 0;
  const out = setUpChecksum(frame, new Headers(), true);
  assertEquals(out?.bytes(), right);
  assertEquals([out?.flags, out?.csumStart, out?.csumOffset], [VIRTIO_NET_HDR_F_NEEDS_CSUM, 58, 16]);
  assertEquals([first[field], first[field + 1]], [0, 0]);
});

Deno.test("setUpChecksum refuses what is no whole TCP or UDP packet", () => {
  const arp = frameOf(new Uint8Array(60));
  assertEquals(setUpChecksum(arp, new Headers(), false), undefined);
  const cut = tcpGso({ payload: 0, gsoSize: 1 }).bytes().subarray(0, 50);
  assertEquals(setUpChecksum(frameOf(cut), new Headers(), false), undefined);
});
