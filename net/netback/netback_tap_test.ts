// SPDX-License-Identifier: MIT
/** The whole way: a guest's ring, netback, TAP, the host's stack, and back. @module */
import { assert, assertEquals } from "@std/assert";
import { internetChecksum, storeChecksum, sumBytes } from "../frames/checksum.ts";
import { be16, putBe16 } from "../frames/headers.ts";
import { Rig, type RxPacket } from "./_frontend.ts";
import { ip, tapTest as test, withTap } from "../host/_tap.ts";

const GUEST_MAC = "02:00:00:00:00:02";

function echoRequest(hostMac: Uint8Array, sequence: number, payload: number): Uint8Array {
  const bytes = new Uint8Array(42 + payload);
  bytes.set([...hostMac, 2, 0, 0, 0, 0, 2, 0x08, 0x00]);
  bytes.set([0x45, 0, 0, 0, 0, 1, 0, 0, 64, 1, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1], 14);
  putBe16(bytes, 16, bytes.length - 14);
  storeChecksum(bytes, 24, sumBytes(bytes, 14, 34));
  bytes.set([8, 0, 0, 0, 0, 7], 34);
  putBe16(bytes, 40, sequence);
  for (let i = 0; i < payload; i++) bytes[42 + i] = i * 11 + sequence;
  storeChecksum(bytes, 36, sumBytes(bytes, 34));
  return bytes;
}

test("a guest pings the host through netback and TAP, in frames of one and of three pages", async () => {
  await withTap(async ({ namespace, tap, until }) => {
    ip("-n", namespace, "link", "set", tap.name, "mtu", "9500");
    ip("-n", namespace, "link", "set", tap.name, "address", "02:00:00:00:00:01");
    ip("-n", namespace, "neigh", "add", "10.77.0.2", "lladdr", GUEST_MAC, "dev", tap.name);
    const rig = new Rig(tap);
    rig.queue.post(120);
    const replies: RxPacket[] = [];
    const hostMac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const sizes = [0, 56, 1400, 9000, 56, 9000, 9000, 4096 - 42, 4097 - 42];
    for (const [sequence, size] of sizes.entries()) {
      rig.queue.send(rig.chain(echoRequest(hostMac, sequence, size)));
      await until(() => {
        const all = rig.queue.received();
        replies.push(...all.filter((packet) => be16(packet.bytes, 12) === 0x0800 && packet.bytes[23] === 1));
        return replies.length > sequence;
      });
      const reply = replies[sequence]?.bytes ?? new Uint8Array();
      assertEquals(reply.length, 42 + size);
      assertEquals([reply[34], be16(reply, 40)], [0, sequence]);
      assertEquals([internetChecksum(reply.subarray(14, 34)), internetChecksum(reply.subarray(34))], [0, 0]);
      assertEquals(reply.subarray(42), echoRequest(hostMac, sequence, size).subarray(42));
    }
    assertEquals(
      rig.queue.responses().map((response) => response.status).every((status) => status === 0),
      true,
    );
    assert(rig.host.events.take(rig.queue.rxPort) > 0);
    assertEquals(rig.tracer.counters.get("net.tx.packets"), sizes.length);
    rig.netback.close();
  });
});
