// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError, createMachine } from "../../../mod.ts";
import { debugPrint, SERIAL_TO_DEBUG, SPIN, tinyGuest } from "../../../tests/_tiny_guest.ts";
import { GuestConsole } from "./guest_console.ts";

function rig(accepts = Infinity) {
  let typed = "";
  const timers: (() => void)[] = [];
  const holds: boolean[] = [];
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
    hold: (held) => holds.push(held),
  });
  const print = (text: string) => console.printed(new TextEncoder().encode(text));
  return { console, print, timers, holds, typed: () => typed };
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

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("readable has what is printed from then on, holds the guest back while nobody reads, and ends", async () => {
  const { console, print, holds } = rig();
  print("before");
  const reader = console.readable.getReader();
  print("one ");
  print("two");
  assertEquals(text((await reader.read()).value ?? new Uint8Array()), "one ");
  print("x".repeat(70_000));
  assertEquals(holds, [true]);
  let read = 0;
  while (read < 70_003) read += (await reader.read()).value?.length ?? NaN;
  const more = reader.read(); // asks for more: the guest goes on
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(holds, [true, false]);
  console.finished();
  assertEquals((await more).done, true);
});

Deno.test("a stream that is cancelled holds nobody back; the next one is new", async () => {
  const { console, print, holds } = rig();
  const first = console.readable;
  print("x".repeat(70_000));
  await first.cancel();
  assertEquals(holds, [true, false]);
  print("y".repeat(70_000));
  assertEquals(holds, [true, false]);
  const second = console.readable;
  print("z");
  console.finished();
  assertEquals(await new Response(second).text(), "z");
});

Deno.test("writable takes bytes and text, and is done when the guest's side has taken them", async () => {
  const { console, print, timers, typed } = rig(2);
  const writer = console.writable.getWriter();
  let done = 0;
  const writes = ["abc", new TextEncoder().encode("de")].map((chunk) =>
    writer.write(chunk).then(() => done++)
  );
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([typed(), done], ["ab", 0]);
  timers.at(-1)?.(); // a guest that reads and prints nothing
  await writes[0];
  print(".");
  await writes[1];
  assertEquals([typed(), done], ["abcde", 2]);
  const late = writer.write("fgh");
  await new Promise((resolve) => setTimeout(resolve));
  console.close("the machine is closed");
  await assertRejects(() => late, ConfigError, "Cannot type: the machine is closed");
});

Deno.test("what is nothing to wait for, to type or to run is refused at once", async () => {
  const { console } = rig();
  const any = console as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  for (
    const [method, args, message] of [
      ["expect", [5], "Cannot use 5 as what to expect: it is a string or a regular expression"],
      ["expect", [undefined], "Cannot use undefined as what to expect"],
      [
        "expect",
        ["x", { timeoutMs: -1 }],
        "Cannot use -1 as timeoutMs: it is a number of milliseconds above 0",
      ],
      ["expect", ["x", { timeoutMs: "5" }], 'Cannot use "5" as timeoutMs'],
      ["exec", ["true", { timeoutMs: NaN }], "Cannot use NaN as timeoutMs"],
      ["exec", [null], "Cannot use null as the command: it is a string"],
      ["type", [7], "Cannot use 7 as what to type: it is a string"],
    ] as const
  ) {
    // deno-lint-ignore require-await -- so that what is thrown becomes a rejection
    await assertRejects(async () => any[method]?.call(console, ...args), ConfigError, message);
  }
});
