// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Frame, frameOf, VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from "./frame.ts";

const bytes = Uint8Array.from({ length: 10 }, (_, i) => i);
/** 0..9 in slices of 3, 0, 4 and 3 bytes. */
const sliced = () =>
  new Frame().append(bytes.subarray(0, 3)).append(new Uint8Array()).append(bytes.subarray(3, 7))
    .append(bytes.subarray(7));
const OFFLOAD = {
  flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
  gsoType: VIRTIO_NET_HDR_GSO_TCPV4,
  hdrLen: 54,
  gsoSize: 1448,
  csumStart: 34,
  csumOffset: 16,
};

Deno.test("Frame: the bytes of its slices, in order", () => {
  assertEquals([sliced().length, sliced().bytes()], [10, bytes]);
  assertEquals(new Frame().bytes(), new Uint8Array());
});

Deno.test("Frame.copyTo copies any range, and says how much of it there was", () => {
  for (let from = 0; from <= 11; from++) {
    for (let length = 0; length <= 11; length++) {
      const into = new Uint8Array(length).fill(0xa5);
      const wanted = bytes.slice(from, from + length);
      assertEquals(sliced().copyTo(into, from), wanted.length);
      assertEquals(into.subarray(0, wanted.length), wanted);
      assertEquals(into.subarray(wanted.length).every((byte) => byte === 0xa5), true);
    }
  }
});

Deno.test("Frame.appendRange takes any range without copying", () => {
  for (let from = 0; from <= 10; from++) {
    for (let to = from; to <= 11; to++) {
      const part = frameOf(Uint8Array.of(99)).appendRange(sliced(), from, to);
      assertEquals([...part.bytes()], [99, ...bytes.slice(from, to)]);
      assertEquals(
        part.slices.slice(1).every((slice) => slice.buffer === bytes.buffer && slice.length > 0),
        true,
      );
    }
  }
});

Deno.test("Frame.clone and save keep a copy of bytes and offloads; reset forgets both", () => {
  const source = bytes.slice();
  const frame = frameOf(source).copyOffload(OFFLOAD);
  const copies = [frame.clone(), Frame.from(structuredClone(frame.save())), Frame.from(frame.save())];
  source.fill(0);
  frame.reset();
  assertEquals([frame.length, frame.slices.length, { ...frame.save() }], [0, 0, {
    bytes: new Uint8Array(),
    flags: 0,
    gsoType: 0,
    hdrLen: 0,
    gsoSize: 0,
    csumStart: 0,
    csumOffset: 0,
  }]);
  for (const copy of copies) assertEquals(copy.save(), { bytes, ...OFFLOAD });
});

Deno.test("Frame.from has bytes of its own", () => {
  const state = frameOf(bytes).save();
  const frame = Frame.from(state);
  state.bytes.fill(0xa5);
  assertEquals(frame.bytes(), bytes);
});
