// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { DebugConsole, PORTA_A20, PORTA_FAST_RESET, PostCode, SystemControlA } from "./debug_ports.ts";

Deno.test("DebugConsole, PostCode and SystemControlA power on", () => {
  assertEquals(new DebugConsole("e9", { send() {} }).readPort(0, 1), 0xe9);
  assertEquals(new PostCode("post").readPort(0, 1), 0);
  assertEquals(new SystemControlA("porta", { reset() {} }).readPort(0, 1), PORTA_A20);
});

Deno.test("DebugConsole sends each byte out", () => {
  const sent: number[] = [];
  const port = new DebugConsole("e9", { send: (byte) => sent.push(byte) });
  for (const byte of [0x48, 0x69, 0x1ff]) port.writePort(0, 1, byte);
  assertEquals(sent, [0x48, 0x69, 0xff]);
});

Deno.test("SystemControlA resets when bit 0 rises", () => {
  let resets = 0;
  const port = new SystemControlA("porta", { reset: () => resets++ });
  port.writePort(0, 1, PORTA_A20);
  assertEquals(resets, 0);
  port.writePort(0, 1, PORTA_A20 | PORTA_FAST_RESET);
  port.writePort(0, 1, PORTA_A20 | PORTA_FAST_RESET);
  assertEquals(resets, 1);
  port.reset();
  assertEquals(port.readPort(0, 1), PORTA_A20);
});

Deno.test("PostCode and SystemControlA keep their values over save and restore", () => {
  const post = new PostCode("post");
  post.writePort(0, 1, 0xa5);
  const post2 = new PostCode("post");
  post2.restore(post.save());
  assertEquals([post2.code, post2.readPort(0, 1)], [0xa5, 0xa5]);
  let resets = 0;
  const a = new SystemControlA("porta", { reset: () => resets++ });
  a.writePort(0, 1, PORTA_FAST_RESET);
  const b = new SystemControlA("porta", { reset: () => resets++ });
  b.restore(a.save());
  b.writePort(0, 1, PORTA_FAST_RESET); // it was up already
  assertEquals([resets, b.readPort(0, 1)], [1, PORTA_FAST_RESET]);
  const e9 = new DebugConsole("e9", { send() {} });
  e9.restore(e9.save());
  assertEquals(e9.readPort(0, 1), 0xe9);
});

Deno.test("debug ports drive the low byte of a wide access only", () => {
  const post = new PostCode("post");
  post.writePort(0, 2, 0x1234);
  assertEquals([post.readPort(0, 2), post.readPort(0, 4)], [0xff34, 0xffff_ff34]);
  assertEquals(new DebugConsole("e9", { send() {} }).readPort(0, 4), 0xffff_ffe9);
});
