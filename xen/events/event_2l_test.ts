// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { xenRig } from "../_rig.ts";
import { TwoLevelEvents } from "./event_2l.ts";

/** The ABI over a shared_info page of `bits`; what it does is read as struct shared_info lays it out. */
function setUp(bits: 32 | 64) {
  const rig = xenRig();
  const { memory, platform: { sharedInfo, upcall } } = rig;
  sharedInfo.bits = bits;
  sharedInfo.latch(bits);
  const view = new DataView(memory.view.buffer, sharedInfo.page, 4096);
  // vcpu_info[0]: upcall_pending at 0, pending_sel at 8 (64-bit) or 4; 32 of 64 bytes, then pending, then mask.
  const pendingAt = 32 * 64;
  const maskAt = pendingAt + (bits === 64 ? 512 : 128);
  const selector = () => bits === 64 ? Number(view.getBigUint64(8, true)) : view.getUint32(4, true);
  const bit = (at: number, port: number) => (view.getUint8(at + (port >> 3)) >> (port & 7)) & 1;
  return {
    events: new TwoLevelEvents(memory, sharedInfo, upcall),
    view,
    selector,
    pending: (port: number) => bit(pendingAt, port),
    setMask: (port: number) => view.setUint8(maskAt + (port >> 3), 1 << (port & 7)),
    masked: (port: number) => bit(maskAt, port),
    upcallPending: () => view.getUint8(0),
  };
}

for (const [bits, port, word] of [[64, 70, 1], [64, 4095, 63], [32, 70, 2], [32, 1023, 31]] as const) {
  Deno.test(`two-level events: port ${port} of a ${bits}-bit guest`, () => {
    const s = setUp(bits);
    assertEquals(s.events.portLimit, bits === 64 ? 4096 : 1024);
    assertEquals(s.events.setPending(port), true);
    assertEquals([s.pending(port), s.selector(), s.upcallPending()], [1, 2 ** word, 1]);
    assertEquals([s.events.setPending(port), s.events.isPending(port), s.events.isBusy(port)], [
      false,
      true,
      false,
    ]);
    s.events.clearPending(port);
    assertEquals([s.pending(port), s.events.isPending(port)], [0, false]);
  });

  Deno.test(`two-level events: port ${port} of a ${bits}-bit guest, masked`, () => {
    const s = setUp(bits);
    s.setMask(port);
    assertEquals(s.events.setPending(port), true);
    assertEquals([s.pending(port), s.selector(), s.upcallPending()], [1, 0, 0]);
    s.events.unmask(port);
    assertEquals([s.masked(port), s.selector(), s.upcallPending()], [0, 2 ** word, 1]);
  });
}

Deno.test("two-level events: an upcall is made once per selector bit", () => {
  const s = setUp(64);
  s.events.setPending(64);
  s.view.setUint8(0, 0); // the guest begins to look, its selector bit still set
  s.events.setPending(65);
  assertEquals(s.upcallPending(), 0);
  s.view.setBigUint64(8, 0n, true);
  s.events.setPending(66);
  assertEquals([s.upcallPending(), s.selector()], [1, 2]);
});
