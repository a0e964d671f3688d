// SPDX-License-Identifier: MIT
/** Machines as programs use them: pause, reset, streams, events, hooks, xenstore, cables. @module */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TextLineStream } from "@std/streams";
import { ConfigError, createMachine, type Machine } from "../../../mod.ts";
import { debugPrint, SPIN, tinyGuest } from "../../../tests/_tiny_guest.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Prints "x" for ever. */
const CHATTER = [0xb0, 0x78, 0xe6, 0xe9, 0xeb, 0xfa];
/** mov edx, 0x3f8; mov al, "x"; out dx, al; and again. */
const SERIAL_CHATTER = [0xba, 0xf8, 0x03, 0, 0, 0xb0, 0x78, 0xee, 0xeb, 0xfb];

Deno.test("pause has a run stand still, guest time too, until resume; stop ends it as well", async () => {
  await using machine = await createMachine({ kernel: tinyGuest(CHATTER), memory: "4M" });
  let printed = 0;
  machine.on("console", (bytes) => printed += bytes.length);
  await machine.pause(); // before the run
  const run = machine.run();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assertEquals([printed, machine.paused], [0, true]);
  machine.resume();
  await machine.once("console");
  await machine.pause();
  const [before, ns] = [printed, machine.guestNs];
  await new Promise((resolve) => setTimeout(resolve, 30));
  assertEquals([printed, machine.guestNs], [before, ns]);
  machine.resume();
  await machine.once("console");
  await machine.pause();
  machine.stop();
  assertEquals(await run, { reason: "stopped" });
  assertEquals(machine.paused, false);
});

Deno.test("iterating over a console reads it to the end of the machine; a slow reader holds the guest back", async () => {
  const machine = await createMachine({ kernel: tinyGuest(SERIAL_CHATTER), memory: "4M" });
  const { serial } = machine;
  const chunks = serial.readable; // from power-on
  const run = machine.run();
  await new Promise((resolve) => setTimeout(resolve, 50));
  let waiting = 0;
  let read = 0;
  for await (const bytes of chunks) {
    read += bytes.length;
    if (read > 500_000) {
      waiting = read;
      break; // cancels
    }
  }
  assertEquals(waiting > 500_000, true);
  await machine.once("console"); // held back no more
  await machine.close();
  assertEquals(await run, { reason: "stopped" });
  assertEquals(await Array.fromAsync(serial), []); // closed: nothing comes
});

Deno.test("reset begins anew, also a guest that has ended; listeners hear of it", async () => {
  const kernel = tinyGuest([...debugPrint("up"), ...SPIN]);
  await using machine = await createMachine({ kernel, memory: "4M", noReboot: true });
  const reboots: number[] = [];
  machine.on("reboot", (count) => reboots.push(count));
  const first = machine.once("console");
  const run = machine.run();
  await first;
  const again = machine.once("console");
  machine.reset();
  assertEquals(text((await again)[0]), "up");
  machine.stop();
  await run;
  assertEquals(reboots, [1]);
  await using ended = await createMachine({
    kernel: tinyGuest([...debugPrint("a"), 0xfa, 0xf4, 0xeb, 0xfd]),
    memory: "4M",
  });
  let printed = "";
  ended.on("console", (bytes) => printed += text(bytes));
  assertEquals((await ended.run()).reason, "halted");
  assertEquals((await ended.run()).reason, "halted"); // it stays so
  ended.reset();
  assertEquals((await ended.run()).reason, "halted");
  assertEquals(printed, "aa");
});

Deno.test("events tell guest time, virtual CPU and instruction pointer", async () => {
  await using machine = await createMachine({
    kernel: tinyGuest([...debugPrint("!"), ...SPIN]),
    memory: "4M",
  });
  const printed = machine.once("console");
  const run = machine.run();
  const [, which, at] = await printed;
  assertEquals([which, at.vcpu, at.rip >= 0x10_0000n, at.guestNs > 0], ["debug", 0, true, true]);
  const ended = machine.once("shutdown");
  machine.stop();
  await run;
  const [info, end] = await ended;
  assertEquals([info.reason, end.guestNs > at.guestNs], ["stopped", true]);
});

/** XENVER_version by vmcall, and its result to port 0xe9: mov eax,17; xor ebx,ebx; xor ecx,ecx; vmcall; out 0xe9,al */
const VERSION = [0xb8, 17, 0, 0, 0, 0x31, 0xdb, 0x31, 0xc9, 0x0f, 0x01, 0xc1, 0xe6, 0xe9];

Deno.test("a hook answers hypercalls in Xen's place, or leaves them to it", async () => {
  const kernel = tinyGuest([...VERSION, ...VERSION, ...VERSION, 0xfa, 0xf4, 0xeb, 0xfd]);
  await using machine = await createMachine({ kernel, memory: "4M", xenVersion: "4.18" });
  const answers = [undefined, 0x41];
  const remove = machine.hookHypercalls(({ name, operation, args }, { rip }) => {
    assertEquals([name, operation, args, rip >= 0x10_0000n], ["xen_version", "version", [0n, 0n], true]);
    const answer = answers.shift();
    if (answers.length === 0) remove();
    return answer;
  });
  const results: number[] = [];
  machine.on("hypercall", ({ result }) => results.push(result));
  const printed: number[] = [];
  machine.on("console", (bytes) => printed.push(...bytes));
  await machine.run();
  assertEquals(results, [0x4_0012, 0x41, 0x4_0012]);
  assertEquals(printed, [0x12, 0x41, 0x12]);
});

Deno.test("a hook that answers nonsense ends the run with ConfigError", async () => {
  await using machine = await createMachine({ kernel: tinyGuest([...VERSION, ...SPIN]), memory: "4M" });
  machine.hookHypercalls(() => 0.5);
  await assertRejects(() => machine.run(), ConfigError, "Cannot answer xen_version with 0.5");
});

Deno.test("machine.xenstore reads, writes, lists, removes and watches, below the guest's home by default", async () => {
  await using machine = await createMachine({ kernel: tinyGuest(SPIN), memory: "4M" });
  const { xenstore } = machine;
  assertEquals(xenstore.read("domid"), "1");
  assertEquals(xenstore.read("/local/domain/1/domid"), "1");
  assertEquals(xenstore.read("no/such"), undefined);
  assertEquals(xenstore.list("no/such"), undefined);
  assertEquals(xenstore.list("memory")?.includes("target"), true);
  const seen: string[] = [];
  const changes = new EventTarget();
  const cancel = xenstore.watch("data", (path) => {
    seen.push(path);
    changes.dispatchEvent(new Event("change"));
  });
  const change = () => new Promise((resolve) => changes.addEventListener("change", resolve, { once: true }));
  const first = change(); // for nothing that changed
  const run = machine.run();
  await first;
  xenstore.write("data/mine", "hello");
  await change();
  assertEquals(xenstore.read("data/mine"), "hello");
  assertEquals(seen, ["/local/domain/1/data", "/local/domain/1/data/mine"]);
  xenstore.remove("data/mine");
  await change();
  assertEquals(xenstore.read("data/mine"), undefined);
  cancel();
  machine.setMemoryTarget("3M");
  assertEquals(xenstore.read("memory/target"), "3072");
  machine.sysrq("s");
  assertEquals(xenstore.read("control/sysrq"), "s");
  machine.requestShutdown("halt");
  assertEquals(xenstore.read("control/shutdown"), "halt");
  machine.stop();
  await run;
});

Deno.test("a cable that is pulled shows in xenstore and drops frames", async () => {
  await using machine = await createMachine({ kernel: tinyGuest(SPIN), memory: "4M", nets: ["none"] });
  const carrier = () => machine.xenstore.read("/local/domain/0/backend/vif/1/0/carrier");
  machine.setLink(0, false);
  assertEquals(carrier(), "0");
  machine.setLink(0, true);
  assertEquals(carrier(), "1");
});

const WRONG: readonly (readonly [what: string, call: (machine: Machine) => void, message: RegExp])[] = [
  ["an event", (m) => m.on("crash" as "shutdown", () => {}), /Cannot listen to "crash": there are console, /],
  ["a listener", (m) => m.on("shutdown", "x" as never), /the listener is no function/],
  ["a hook", (m) => m.hookHypercalls(undefined as never), /the hook is no function/],
  ["a key", (m) => m.sysrq("sync"), /Cannot press SysRq "sync": it is one letter or digit/],
  ["no key", (m) => m.sysrq(undefined as never), /Cannot press SysRq undefined/],
  [
    "a shutdown",
    (m) => m.requestShutdown("off" as "halt"),
    /Cannot ask the guest for "off": there are poweroff, /,
  ],
  ["a target", (m) => m.setMemoryTarget("1G"), /memory target to 1G: it is 2 MiB to 4 MiB/],
  ["a target of nothing", (m) => m.setMemoryTarget(NaN), /memory target to NaN: it is 2 MiB to 4 MiB/],
  ["a target in words", (m) => m.setMemoryTarget("half"), /"half" as a size/],
  ["an interface", (m) => m.setLink(1, true), /Cannot find the network interface 1: there is one, number 0/],
  ["a link", (m) => m.setLink(0, "down" as never), /Cannot set a link to "down"/],
  ["the interface's number", (m) => m.setLink("0" as never, true), /Cannot find the network interface 0/],
  ["bytes", (m) => m.sendConsole(5 as never), /Cannot use 5 as bytes: it is a Uint8Array/],
  ["bytes of text", (m) => m.sendSerial("abc" as never), /Cannot use "abc" as bytes/],
  ["words for bytes", (m) => m.sendConsole(new Uint16Array(1) as never), /Cannot use an object as bytes/],
  ["bytes for memory", (m) => m.writeMemory(0, "abc" as never), /Cannot use "abc" as bytes/],
  ["a register", (m) => m.setRegister("foo" as "rax", 1n), /Cannot set register "foo": there is none/],
  [
    "a register's value",
    (m) => m.setRegister("rax", 1 as never),
    /Cannot use 1 as a register's value: it is a bigint/,
  ],
  ["an address", (m) => m.codeAround(5 as never), /Cannot use 5 as an address: it is a bigint/],
  ["a long path", (m) => m.xenstore.read("a".repeat(5000)), /Cannot read "a{40}…" in xenstore/],
  ["a path", (m) => m.xenstore.read("a b"), /Cannot read "a b" in xenstore: paths are like/],
  ["a path that is none", (m) => m.xenstore.read({} as never), /Cannot read an object in xenstore/],
  ["a path of dots", (m) => m.xenstore.write("../2", ""), /Cannot write "\.\.\/2" in xenstore/],
  ["no path", (m) => m.xenstore.list(undefined as never), /Cannot list undefined in xenstore/],
  ["the root", (m) => m.xenstore.remove("/"), /it is the root/],
  ["a value", (m) => m.xenstore.write("data", 5 as never), /the value is a string of at most 4096 bytes/],
  ["a large value", (m) => m.xenstore.write("data", "é".repeat(2049)), /at most 4096 bytes/],
  ["a watch", (m) => m.xenstore.watch("data", undefined as never), /there is no function to call/],
];
for (const [what, call, message] of WRONG) {
  Deno.test(`a machine refuses what is wrong about ${what} in one line`, async () => {
    await using machine = await createMachine({ kernel: tinyGuest(SPIN), memory: "4M", nets: ["none"] });
    const error = assertThrows(() => call(machine), ConfigError);
    assertEquals(message.test(error.message), true, error.message);
    assertEquals(/^[^\n]{1,300}$/.test(error.message), true);
  });
}

const WRONG_WAITS:
  readonly (readonly [what: string, call: (machine: Machine) => Promise<unknown>, message: RegExp])[] = [
    ["run(null)", (m) => m.run(null as never), /Cannot use null as the options of run\(\): it is an object/],
    ["run(5)", (m) => m.run(5 as never), /Cannot use 5 as the options of run\(\)/],
    [
      "run({ timeout })",
      (m) => m.run({ timeout: 5 } as never),
      /Cannot use the option timeout: there is signal/,
    ],
    ["run({ signal: 5 })", (m) => m.run({ signal: 5 as never }), /its signal is no AbortSignal/],
    [
      "expect of nothing",
      (m) => m.console.expect(undefined as never),
      /Cannot use undefined as what to expect/,
    ],
    [
      "expect(x, null)",
      (m) => m.console.expect("x", null as never),
      /Cannot use null as the options: it is an object/,
    ],
    [
      "expect's timeout",
      (m) => m.console.expect("x", { timeout: 5 } as never),
      /the option timeout: there is timeoutMs/,
    ],
    ["a limit of 0", (m) => m.console.expect("x", { timeoutMs: 0 }), /Cannot use 0 as timeoutMs/],
    ["exec's limit", (m) => m.console.exec("x", { timeoutMs: NaN }), /Cannot use NaN as timeoutMs/],
    ["a command", (m) => m.console.exec(5 as never), /Cannot use 5 as the command: it is a string/],
    ["what is written", (m) => m.console.writable.getWriter().write(5 as never), /Cannot use 5 as bytes/],
  ];
Deno.test("what is wrong about waiting is ConfigError in one line, here and of a machine in a worker", async () => {
  const options = { kernel: tinyGuest(SPIN), memory: "4M" };
  await using here = await createMachine(options);
  await using there = await createMachine({ ...options, worker: true });
  for (const [what, call, message] of WRONG_WAITS) {
    for (const machine of [here, there as unknown as Machine]) {
      const { message: said } = await assertRejects(() => call(machine), ConfigError, undefined, what);
      assertEquals([message.test(said), /^[^\n]{1,300}$/.test(said)], [true, true], `${what}: ${said}`);
    }
  }
});

Deno.test("reading memory where there is none, and at what is no address, is RangeError", async () => {
  await using machine = await createMachine({ kernel: tinyGuest(SPIN), memory: "4M" });
  const wrong: readonly (readonly [unknown, unknown])[] = [
    ...[[-1, 4], [0, -4], [0, 2 ** 40], [2 ** 40, 1], [NaN, 4], [0.5, 4], ["0", 4], [0n, 4], [
      undefined,
      undefined,
    ]],
  ] as const;
  for (const [gpa, length] of wrong) {
    assertThrows(() => machine.readMemory(gpa as number, length as number), RangeError, "no memory there");
  }
  assertThrows(() => machine.writeMemory(0.5, new Uint8Array(1)), RangeError, "at 0.5: no memory there");
});

Deno.test("a damaged snapshot is refused as one", async () => {
  await using machine = await createMachine({ kernel: tinyGuest(SPIN), memory: "4M" });
  const whole = machine.save();
  for (const part of Object.keys(whole.board as object)) {
    const snapshot = structuredClone(whole);
    delete (snapshot.board as Record<string, unknown>)[part];
    assertThrows(() => machine.restore(snapshot), ConfigError, "Cannot restore the snapshot: it is damaged");
  }
  machine.restore(whole);
});

Deno.test("consoles of a closed machine refuse to wait and to type", async () => {
  for (const worker of [false, true] as const) {
    const options = { kernel: tinyGuest(SPIN), memory: "4M" };
    const machine = worker ? await createMachine({ ...options, worker }) : await createMachine(options);
    await machine.close();
    await assertRejects(() => machine.console.expect("x"), ConfigError, "the machine is closed");
    await assertRejects(() => machine.serial.exec("x"), ConfigError, "Cannot type: the machine is closed");
    assertThrows(() => machine.console.type("x"), ConfigError, "Cannot type: the machine is closed");
  }
});

Deno.test("a closed machine refuses everything in one line", async () => {
  const machine = await createMachine({ kernel: tinyGuest(SPIN), memory: "4M" });
  await machine.close();
  const calls: (() => unknown)[] = [
    () => machine.resume(),
    () => machine.reset(),
    () => machine.sysrq("s"),
    () => machine.requestShutdown("poweroff"),
    () => machine.setMemoryTarget("2M"),
    () => machine.setLink(0, true),
  ];
  for (const call of calls) assertThrows(call, ConfigError, "the machine: it is closed");
  await assertRejects(() => machine.pause(), ConfigError, "Cannot pause the machine: it is closed");
});

Deno.test("lines of a console by the standard library's streams", async () => {
  // mov edx, 0x3f8; then each byte: mov al, byte; out dx, al
  const said = new TextEncoder().encode("one\r\ntwo\nthree");
  const kernel = tinyGuest([
    ...[0xba, 0xf8, 0x03, 0, 0],
    ...[...said].flatMap((byte) => [0xb0, byte, 0xee]),
    ...[0xfa, 0xf4, 0xeb, 0xfd],
  ]);
  await using machine = await createMachine({ kernel, memory: "4M" });
  const lines: ReadableStream<string> = machine.serial.readable.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  const run = machine.run();
  assertEquals(await Array.fromAsync(lines), ["one", "two", "three"]);
  assertEquals((await run).reason, "halted");
});
