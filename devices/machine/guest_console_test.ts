// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError, createMachine } from "../../mod.ts";
import { debugPrint, SERIAL_TO_DEBUG, SPIN, tinyGuest } from "../../tests/_tiny_guest.ts";
import { GuestConsole } from "./guest_console.ts";

function rig(accepts = Infinity) {
  let typed = "";
  const timers: (() => void)[] = [];
  const console = new GuestConsole({
    send: (bytes) => {
      const taken = bytes.subarray(0, accepts);
      typed += new TextDecoder().decode(taken);
      return taken.length;
    },
    after: (_, fn) => {
      timers.push(fn);
      return () => {};
    },
  });
  const print = (text: string) => console.printed(new TextEncoder().encode(text));
  return { console, print, timers, typed: () => typed };
}

Deno.test("expect finds what was printed before and after, each text once, in the order of asking", async () => {
  const { console, print } = rig();
  print("a1 ");
  assertEquals((await console.expect(/a(\d)/))[1], "1");
  const both = [console.expect(/a(\d)/g), console.expect("a(")];
  print("a");
  print("2 a(");
  assertEquals((await Promise.all(both)).map(([text]) => text), ["a2", "a("]);
});

Deno.test("expect rejects in one line after its time, and when the run ends", async () => {
  const { console, print, timers } = rig();
  print("login:\n");
  const late = console.expect(/# $/, { timeoutMs: 5 });
  timers[0]?.();
  await assertRejects(
    () => late,
    ConfigError,
    'Cannot find /# $/ on the console: nothing after 5 ms; it ends with "login:\\n"',
  );
  const ended = console.expect("x");
  console.ended("the run has ended");
  await assertRejects(() => ended, ConfigError, "the run has ended");
});

Deno.test("exec gives the status and the output between what the shell echoes", async () => {
  const { console, print, typed } = rig();
  const result = console.exec("ls; false");
  const line = typed();
  print(`# ${line.trim()}\r\n`); // the echo has no marker
  print("XENNER-1-\r\na\r\nb\r\nXENNER-1= 1\r\n# ");
  assertEquals(await result, { status: 1, output: "a\nb\n" });
  await assertRejects(() => console.exec("a\nb"), ConfigError, "several lines");
});

Deno.test("what the guest does not take at once is typed later, in order", () => {
  const { console, print, typed } = rig(2);
  console.type("abc");
  console.type("def");
  assertEquals("abcde".startsWith(typed()), true);
  for (let i = 0; i < 3; i++) print(".");
  assertEquals(typed(), "abcdef");
});

Deno.test("run stops with its signal, also one that has aborted; once waits for one event", async () => {
  await using machine = await createMachine({
    kernel: tinyGuest([...debugPrint("hi"), ...SPIN]),
    memory: "4M",
  });
  const abort = new AbortController();
  const printed = machine.once("console");
  const run = machine.run({ signal: abort.signal });
  assertEquals(new TextDecoder().decode((await printed)[0]), "hi");
  abort.abort();
  assertEquals(await run, { reason: "stopped" });
  assertEquals(await machine.run({ signal: abort.signal }), { reason: "stopped" });
});

Deno.test("a machine that is disposed of runs no more", async () => {
  let run: Promise<unknown>;
  {
    await using machine = await createMachine({ kernel: tinyGuest(SERIAL_TO_DEBUG), memory: "4M" });
    const printed = machine.once("console");
    run = machine.run();
    machine.serial.type("x");
    assertEquals((await printed)[1], "debug");
  }
  assertEquals(await run, { reason: "stopped" });
});
