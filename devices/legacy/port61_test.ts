// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ManualClock } from "../../cpu/base/clock.ts";
import { NMISC_REFRESH, Port61 } from "./port61.ts";

function setup(): { port: Port61; clock: ManualClock; pit: { gate: boolean; out: boolean } } {
  const clock = new ManualClock();
  const pit = { gate: false, out: false };
  const setGate2 = (level: boolean) => void (pit.gate = level);
  return { clock, pit, port: new Port61("port61", { clock, setGate2, out2: () => pit.out }) };
}

Deno.test("Port61 reads 0 after power-on and after reset", () => {
  const { port, pit } = setup();
  assertEquals(port.readPort(0, 1), 0);
  port.writePort(0, 1, 0x0f);
  port.reset();
  assertEquals([port.readPort(0, 1), pit.gate], [0, false]);
});

Deno.test("Port61 gates channel 2 and shows its OUT; status bits are read-only", () => {
  const { port, pit } = setup();
  port.writePort(0, 1, 0xf1);
  assertEquals([pit.gate, port.readPort(0, 1)], [true, 0x01]);
  pit.out = true;
  assertEquals(port.readPort(0, 1), 0x21);
  port.writePort(0, 1, 0x0e);
  assertEquals([pit.gate, port.readPort(0, 1)], [false, 0x2e]);
});

Deno.test("Port61's refresh bit toggles every 15.085 us", () => {
  const { port, clock } = setup();
  let toggles = 0;
  let last = port.readPort(0, 1) & NMISC_REFRESH;
  for (let us = 0; us < 1000; us++) {
    clock.advance(1000);
    const now = port.readPort(0, 1) & NMISC_REFRESH;
    if (now !== last) toggles++;
    last = now;
  }
  assertEquals(toggles, 66); // 1000 / 15.085
});

Deno.test("Port61 save and restore drive the gate; odd sizes give the one register", () => {
  const a = setup();
  a.port.writePort(0, 4, 0xabcd_ef13);
  const b = setup();
  b.port.restore(a.port.save());
  assertEquals([b.pit.gate, b.port.readPort(0, 4)], [true, 0x03]);
});
