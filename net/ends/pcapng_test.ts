// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { frameOf } from "./end.ts";
import { Hub } from "./hub.ts";
import { PcapngCapture } from "./pcapng.ts";
import { Collector, tcpGso } from "../frames/_frames.ts";

function capture() {
  const hub = new Hub();
  const clock = new ManualClock();
  const blocks: Uint8Array[] = [];
  const epochNs = 1_700_000_000_000_000_000n;
  const end = new PcapngCapture(hub.port(), (block) => blocks.push(block), {
    interfaceName: "vif1.0",
    clock,
    epochNs,
  });
  return { hub, clock, blocks, end, peer: hub.port() };
}

function record() {
  const c = capture();
  const seen = new Collector(c.end);
  c.clock.advance(123_456_789);
  c.end.send(frameOf(new Uint8Array(61).fill(0xaa)));
  c.clock.advance(1);
  c.peer.send(frameOf(new Uint8Array(60).fill(0xbb)));
  c.end.send(tcpGso({ payload: 3000, gsoSize: 1000 }));
  return { ...c, seen };
}

Deno.test("PcapngCapture passes frames on both ways and flushes", () => {
  const { seen, end, peer } = record();
  assertEquals(seen.frames.map((frame) => frame.length), [60]);
  assertEquals(seen.flushes, 1);
  const other = new Collector(peer);
  end.send(frameOf(new Uint8Array(60)));
  assertEquals(other.frames.length, 1);
});

Deno.test("PcapngCapture writes sound blocks: lengths, time, direction", () => {
  const { blocks } = record();
  const views = blocks.map((block) => new DataView(block.buffer as ArrayBuffer));
  assertEquals(views.map((view) => view.getUint32(0, true)), [0x0a0d0d0a, 1, 6, 6, 6]);
  for (const view of views) {
    assertEquals(view.byteLength % 4, 0);
    assertEquals(view.getUint32(4, true), view.byteLength);
    assertEquals(view.getUint32(view.byteLength - 4, true), view.byteLength);
  }
  const [, , sent, received, gso] = views;
  const time = (BigInt(sent?.getUint32(12, true) ?? 0) << 32n) | BigInt(sent?.getUint32(16, true) ?? 0);
  assertEquals(time, 1_700_000_000_123_456_789n);
  assertEquals([sent?.getUint32(20, true), sent?.getUint32(24, true)], [61, 61]);
  const flags = (view: DataView | undefined) => view?.getUint32(view.byteLength - 12, true);
  assertEquals([flags(sent), flags(received), flags(gso)], [2, 1, 2 | (1 << 9) | (1 << 11)]);
});

Deno.test("PcapngCapture cuts to the snap length and says the true one", () => {
  const { clock } = capture();
  const blocks: Uint8Array[] = [];
  const end = new PcapngCapture(new Hub().port(), (b) => blocks.push(b), { clock, snapLength: 20 });
  end.send(frameOf(new Uint8Array(61)));
  const view = new DataView((blocks[2] as Uint8Array).buffer as ArrayBuffer);
  assertEquals([view.getUint32(20, true), view.getUint32(24, true), view.byteLength], [
    20,
    61,
    28 + 20 + 12 + 4,
  ]);
});

const tool = (Deno.permissions.querySync({ name: "run" }).state === "granted")
  ? ["/usr/bin/tshark"].find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  })
  : undefined;
Deno.test({
  name: `PcapngCapture's file is what tshark expects${
    tool === undefined ? " (skipped: needs tshark and -A)" : ""
  }`,
  ignore: tool === undefined,
  fn: async () => {
    const { blocks } = record();
    const path = await Deno.makeTempFile({ suffix: ".pcapng" });
    try {
      const file = await Deno.open(path, { write: true });
      for (const block of blocks) await file.write(block);
      file.close();
      const fields = [
        "frame.time_epoch",
        "frame.interface_name",
        "frame.len",
        "frame.packet_flags_direction",
      ];
      const args = ["-r", path, "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
      const { stdout, success } = await new Deno.Command(tool as string, { args, stderr: "null" }).output();
      assertEquals(success, true);
      assertEquals(new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.split("\t")), [
        ["1700000000.123456789", "vif1.0", "61", "0x00000002"],
        ["1700000000.123456790", "vif1.0", "60", "0x00000001"],
        ["1700000000.123456790", "vif1.0", "3054", "0x00000002"],
      ]);
    } finally {
      await Deno.remove(path);
    }
  },
});
