// SPDX-License-Identifier: MIT
/** Machines in workers: what they print, do and refuse, and a hub that leads from one to another. @module */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, createMachine, frameOf, Hub } from "../../../mod.ts";
import { OFFLOAD_NONE } from "../../../net/ends/end.ts";
import { netfrontEcho } from "../../../tests/guests/_netfront_guest.ts";
import { debugPrint, SERIAL_TO_DEBUG, SPIN, tinyGuest, TRIPLE_FAULT } from "../../../tests/_tiny_guest.ts";

const memory = "4M";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("a machine in a worker prints, ends and tells of it as one in this thread does", async () => {
  const kernel = tinyGuest([...debugPrint("hi"), ...TRIPLE_FAULT]);
  await using machine = await createMachine({ kernel, memory, worker: true });
  assertEquals(machine.type, "pvh");
  let printed = "";
  machine.on("console", (bytes, which, at) => {
    printed += `${text(bytes)} ${which} ${at.vcpu}`;
  });
  const ended = machine.once("shutdown");
  assertEquals(await machine.run(), { reason: "crash", detail: "triple fault" });
  assertEquals(printed, "hi debug 0");
  assertEquals((await ended)[0].reason, "crash");
  assert((await machine.stats()).instructions > 0);
  assert(((await machine.registers()).rip ?? 0n) >= 0x10_0000n);
  await machine.writeMemory(0x1000, Uint8Array.of(1, 2));
  assertEquals(await machine.readMemory(0x1000, 2), Uint8Array.of(1, 2));
  await assertRejects(() => machine.readMemory(2 ** 40, 2), RangeError, "no memory there");
});

Deno.test("typing reaches a guest in a worker, in order, however much it is", async () => {
  const typed = "abcdefghij".repeat(9_000); // more than may wait
  await using machine = await createMachine({ kernel: tinyGuest(SERIAL_TO_DEBUG), memory, worker: true });
  let printed = "";
  const all = new Promise<void>((resolve) =>
    machine.on("console", (bytes) => {
      printed += text(bytes);
      if (printed.length >= typed.length) resolve();
    })
  );
  const run = machine.run();
  const writer = machine.serial.writable.getWriter();
  await writer.write(typed);
  await all;
  assertEquals(printed, typed);
  await machine.stop();
  assertEquals(await run, { reason: "stopped" });
});

Deno.test("two spinning guests and this thread do not wait for each other", async () => {
  const kernel = tinyGuest([...debugPrint("!"), ...SPIN]);
  const machines = await Promise.all([1, 2].map(() => createMachine({ kernel, memory, worker: true })));
  const printed = machines.map((machine) => machine.once("console"));
  const abort = new AbortController();
  const runs = machines.map((machine) => machine.run({ signal: abort.signal }));
  await Promise.all(printed);
  for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setTimeout(resolve));
  const [machine] = machines;
  await machine?.pause();
  const { instructions } = await machine?.stats() ?? { instructions: 0 };
  assertEquals((await machine?.stats())?.instructions, instructions);
  await machine?.resume();
  abort.abort();
  for (const run of runs) assertEquals(await run, { reason: "stopped" });
  for (const machine of machines) await machine.close();
});

Deno.test("xenstore of a guest in a worker", async () => {
  await using machine = await createMachine({ kernel: tinyGuest(SPIN), memory, worker: true });
  const { xenstore } = machine;
  const seen: string[] = [];
  const second = Promise.withResolvers<void>();
  const cancel = await xenstore.watch("data", (path) => {
    if (seen.push(path) === 2) second.resolve();
  });
  const run = machine.run();
  await xenstore.write("data/x", "1");
  await second.promise;
  assertEquals([await xenstore.read("data/x"), await xenstore.read("nothing")], ["1", undefined]);
  assertEquals(await xenstore.list("data"), ["x"]);
  cancel();
  await machine.setMemoryTarget("3M");
  assertEquals(await xenstore.read("memory/target"), "3072");
  await machine.stop();
  await run;
});

Deno.test("a hub leads from a worker to this thread and back, and frames are captured here", async () => {
  const OURS = [0x02, 0, 0, 0, 0, 0x99], GUEST = [0x00, 0x16, 0x3e, 0, 0, 1];
  const COUNT = 20;
  const hub = new Hub();
  const port = hub.port("test");
  const received: number[] = [];
  const feed = () => {
    const n = received.length;
    if (n === COUNT) return;
    port.send(frameOf(Uint8Array.from([...GUEST, ...OURS, 0x88, 0xb5, n, ...Array(100 * n).fill(n)])));
  };
  port.attach({
    accepts: OFFLOAD_NONE,
    window: () => [],
    deliver(frame) { // the guest's echo
      received.push(frame.bytes()[14] as number);
      queueMicrotask(feed);
      return true;
    },
    flush() {},
  });
  let captured = 0;
  const nets = [{
    hub,
    mac: "00:16:3e:00:00:01",
    capture: (block: Uint8Array) => void (captured += block.length),
  }];
  const kernel = netfrontEcho(64, COUNT).image();
  await using machine = await createMachine({ kernel, memory: "16M", nets, worker: true });
  const connected = Promise.withResolvers<void>();
  const backend = "/local/domain/0/backend/vif/1/0/state"; // both ends are there when this one says so
  await machine.xenstore.watch(backend, () => {
    machine.xenstore.read(backend).then((state) => state === "4" && connected.resolve());
  });
  const run = machine.run();
  await connected.promise;
  feed();
  assertEquals((await run).reason, "poweroff");
  assertEquals(received, Array.from({ length: COUNT }, (_, n) => n));
  assert(captured > COUNT * 100);
});

Deno.test("what is wrong is a ConfigError as ever, and nothing is left behind", async () => {
  const kernel = tinyGuest(SPIN);
  const refused = async (options: Record<string, unknown>, message: string) => {
    const error = await assertRejects(
      () => createMachine({ kernel, memory, worker: true, ...options }),
      ConfigError,
    );
    assert(error.message.includes(message), error.message);
  };
  await refused({ type: "pv" }, 'Cannot use "pv" as type');
  await refused({ worker: "yes" }, 'Cannot use "yes" as worker: it is true or false');
  await refused({ kernel: Uint8Array.of(1) }, "neither a bzImage nor an ELF file");
  await refused({ kernel: "/nowhere" }, 'Cannot read kernel "/nowhere": no such file');
  await refused({ nets: [{ end: new Hub().port() }] }, "Cannot use the end of nets[0] with worker");
  await refused(
    { disks: [{ store: { size: 512, read() {}, write() {}, flush() {} } }] },
    "the store of disks[0]",
  );
  const machine = await createMachine({ kernel: tinyGuest(SPIN), memory, worker: true });
  await assertRejects(() => machine.sysrq("sync"), ConfigError, "Cannot press SysRq");
  assertThrows(() => machine.on("crash" as "shutdown", () => {}), ConfigError, 'Cannot listen to "crash"');
  assertThrows(() => machine.on("shutdown", "x" as never), ConfigError, "the listener is no function");
  await assertRejects(
    () => machine.xenstore.watch("data", undefined as never),
    ConfigError,
    "no function to call",
  );
  const symbol = Symbol("a") as unknown as string;
  await assertRejects(
    () => machine.xenstore.read(symbol),
    ConfigError,
    "Cannot call xenstore.read() of the machine: an argument cannot pass to another thread",
  );
  const run = machine.run();
  await assertRejects(() => machine.run(), ConfigError, "it is running");
  const closed = machine.close();
  assertEquals((await run).reason, "stopped");
  await closed;
  await machine.close();
  await assertRejects(() => machine.run(), ConfigError, "Cannot run the machine: it is closed");
  await assertRejects(() => machine.stats(), ConfigError, "Cannot call stats() of the machine: it is closed");
});
