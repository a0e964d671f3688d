// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { decodeRecording, digest, encodeRecording, recordedBytes } from "./_recording.ts";

Deno.test("a recording comes back as it was", async () => {
  const recording = {
    about: "for a test",
    cpu: "none",
    groups: [
      { name: "first", inputs: 0xffff_ffff, bytes: Uint8Array.of(1, 2, 3) },
      { name: "empty", inputs: 0, bytes: new Uint8Array(0) },
      { name: "last", inputs: 7, bytes: Uint8Array.of(4) },
    ],
  };
  assertEquals(await decodeRecording(await encodeRecording(recording)), recording);
});

Deno.test("the digest is FNV-1a", () => {
  // from the authors' table of test vectors
  assertEquals(digest([]), 0x811c_9dc5);
  assertEquals(digest([[0x66, 0x6f], [0x6f, 0x62, 0x61, 0x72]]), 0xbf9c_f968); // "foobar"
});

Deno.test("results of other inputs, and of none, are refused with what to do", () => {
  const groups = new Map([["ADD", { name: "ADD", inputs: 5, bytes: Uint8Array.of(9) }]]);
  assertEquals(recordedBytes("x", groups, "ADD", 5), Uint8Array.of(9));
  assertThrows(() => recordedBytes("x", groups, "ADD", 6), Error, "other inputs");
  assertThrows(
    () => recordedBytes("x", groups, "SUB", 5),
    Error,
    'no results for "SUB": run "deno task vectors"',
  );
});
