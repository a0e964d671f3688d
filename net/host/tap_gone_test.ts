// SPDX-License-Identifier: MIT
/** TAP devices that are deleted, taken down, and made again while they are in use. Needs root and -A. @module */
import { assertEquals, assertThrows } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { frameOf } from "../ends/end.ts";
import { Collector } from "../frames/_frames.ts";
import { ip, tapTest as test, uniqueId, withTap } from "./_tap.ts";
import { TapDevice } from "./tap.ts";

const FRAME = new Uint8Array(60).fill(0xff, 0, 6);

/** A TAP whose clock the test moves. */
function rig(name = `x${uniqueId()}`) {
  const tracer = new Tracer();
  const warnings: string[] = [];
  tracer.configure((_, line) => warnings.push(line));
  const time = { ms: 0 };
  const tap = TapDevice.open({ name, tracer, nowMs: () => time.ms });
  const seen = new Collector(tap);
  return { name, tap, tracer, warnings, time, seen };
}

/** Polls at every tenth of a second of the TAP's time. */
function wait(r: ReturnType<typeof rig>, ms: number): void {
  for (const end = r.time.ms + ms; r.time.ms < end; r.time.ms += 100) r.tap.poll();
}

const NOTICED: [string, (r: ReturnType<typeof rig>) => void][] = [
  ["reading", (r) => r.tap.poll()],
  ["sending", (r) => r.tap.send(frameOf(FRAME))],
  ["sending while there is no room to read", (r) => {
    r.seen.room = 0;
    assertEquals([r.tap.poll(), r.tap.gone], [0, false]);
    r.tap.send(frameOf(FRAME));
  }],
  ["another receiver", (r) => new Collector(r.tap)],
];
for (const [how, notice] of NOTICED) {
  test(`a deleted TAP is noticed by ${how}, and nothing is thrown or spins`, () => {
    const r = rig();
    ip("link", "del", r.name);
    assertEquals(r.tap.gone, false);
    notice(r);
    assertEquals([r.tap.gone, r.tap.pollFd(), r.tap.poll(), r.tap.send(frameOf(FRAME))], [
      true,
      -1,
      0,
      false,
    ]);
    r.tap.receiverChanged();
    r.tap.attach(undefined);
    r.tap.attach(r.seen);
    assertEquals([r.tap.gone, r.tracer.counters.get("net.tap.lost"), r.warnings.length], [true, 1, 1]);
    wait(r, 60_000); // it is looked for, and not made
    assertThrows(() => ip("link", "show", r.name));
    r.tap.close();
    r.tap.close();
    assertEquals([r.tap.poll(), r.tap.pollFd()], [0, -1]);
  });
}

for (const persistent of [true, false]) {
  test(`a deleted TAP comes back with a device of its name, ${persistent ? "" : "not "}persistent before`, () => {
    const name = `x${uniqueId()}`;
    if (persistent) ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr");
    const r = rig(name);
    for (let i = 1; i <= 3; i++) {
      ip("link", "del", name);
      r.tap.poll();
      assertEquals(r.tap.gone, true);
      ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr");
      wait(r, 10_000);
      assertEquals([r.tap.gone, r.tap.pollFd() >= 0, r.tracer.counters.get("net.tap.reopened")], [
        false,
        true,
        i,
      ]);
      ip("link", "set", name, "up");
      assertEquals(r.tap.send(frameOf(FRAME)), true);
    }
    ip("link", "del", name);
    r.tap.close();
  });
}

test("a TAP that is back but in other hands is waited for", () => {
  const r = rig();
  ip("link", "del", r.name);
  r.tap.poll();
  const other = TapDevice.open({ name: r.name });
  wait(r, 10_000);
  assertEquals(r.tap.gone, true);
  other.close();
  wait(r, 10_000);
  assertEquals(r.tap.gone, true, "it was not persistent and went with the other");
  ip("tuntap", "add", "dev", r.name, "mode", "tap", "vnet_hdr");
  wait(r, 10_000);
  assertEquals([r.tap.gone, r.warnings.length], [false, 2]);
  ip("link", "del", r.name);
  r.tap.close();
});

test("an interface of its name that is no TAP is not taken for one", () => {
  const r = rig();
  ip("link", "del", r.name);
  r.tap.poll();
  ip("tuntap", "add", "dev", r.name, "mode", "tun");
  wait(r, 10_000);
  assertEquals(r.tap.gone, true);
  ip("link", "del", r.name);
  r.tap.close();
});

test("a TAP that is down is not gone: it loses frames until it is up again", () => {
  const r = rig();
  ip("link", "set", r.name, "up");
  assertEquals(r.tap.send(frameOf(FRAME)), true);
  ip("link", "set", r.name, "down");
  assertEquals([r.tap.send(frameOf(FRAME)), r.tap.poll() >= 0, r.tap.gone], [false, true, false]);
  ip("link", "set", r.name, "up");
  assertEquals(r.tap.send(frameOf(FRAME)), true);
  r.tap.close();
});

test("a TAP in another namespace is found wanting when that is removed, and again by its name where we are", async () => {
  const time = { ms: 0 };
  await withTap(({ tap, namespace }) => {
    const seen = new Collector(tap);
    ip("-n", namespace, "link", "del", tap.name);
    tap.poll();
    assertEquals(tap.gone, true);
    ip("tuntap", "add", "dev", tap.name, "mode", "tap", "vnet_hdr");
    time.ms += 5000;
    tap.poll();
    ip("link", "set", tap.name, "netns", namespace);
    ip("-n", namespace, "link", "set", tap.name, "up");
    assertEquals([tap.gone, tap.send(frameOf(FRAME)), seen.frames.length >= 0], [false, true, true]);
    ip("-n", namespace, "link", "del", tap.name);
    return Promise.resolve();
  }, { nowMs: () => time.ms });
});

test("a descriptor that somebody else opened is lost for good with its device", () => {
  const name = `x${uniqueId()}`;
  const owner = TapDevice.open({ name });
  new Collector(owner);
  const time = { ms: 0 };
  const tap = TapDevice.open({ fd: owner.pollFd(), nowMs: () => time.ms });
  new Collector(tap);
  ip("link", "del", name);
  tap.poll();
  assertEquals([tap.gone, tap.pollFd()], [true, -1]);
  ip("tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr");
  time.ms += 60_000;
  tap.poll();
  assertEquals(tap.gone, true);
  ip("link", "del", name);
  tap.close();
});
