// SPDX-License-Identifier: MIT
/** Wrong options of createMachine: every one is a ConfigError in one line, and nothing has been opened. @module */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createMachine, hubByName, Tracer } from "../../mod.ts";
import { ConfigError } from "../../cpu/base/assert.ts";
import { SPIN, tinyGuest } from "../../tests/_tiny_guest.ts";

const kernel = tinyGuest(SPIN);
const STORE = { size: 512, read() {}, write() {}, flush() {} };
const disk = (spec: unknown) => ({ disks: [spec] });
const net = (spec: unknown) => ({ nets: [spec] });
const share = (spec: unknown) => ({ shares: [spec] });
/** Two items that are not there: methods of arrays skip them. */
const HOLES = new Array(2);
/** Bytes that were handed to another thread. */
const GONE = new Uint8Array(4096);
structuredClone(GONE.buffer, { transfer: [GONE.buffer] });
const WRONG: readonly (readonly [options: Record<string, unknown>, message: RegExp])[] = [
  [{ shares: "/tmp" }, /as shares: it is an array/],
  [share("/tmp"), /as shares\[0\]: it is an object with a path and a tag/],
  [share({ path: "/tmp" }), /shares\[0\]: its tag is missing/],
  [share({ tag: "a" }), /shares\[0\]: its path is missing/],
  [share({ path: "/tmp", tag: "a b" }), /as shares\[0\]\.tag: it is 1 to 31 letters/],
  [share({ path: "/tmp", tag: "a", ro: true }), /the option shares\[0\]\.ro: there are path, tag, readonly/],
  [share({ path: "/no/such", tag: "a" }), /Cannot share "\/no\/such": no such folder/],
  [{ shares: [{ path: "/tmp", tag: "a" }, { path: "/", tag: "a" }] }, /two folders as "a"/],
  [{ kernel: undefined }, /the option kernel is missing/],
  [{ kernel: "" }, /as kernel: it is a path that is not empty/],
  [{ kernel: "a\0b" }, /as kernel: it is a path/],
  [{ kernel: 5 }, /Cannot use 5 as kernel: it is a path, a URL, bytes/],
  [{ kernel: [1, 2] }, /Cannot use an array as kernel/],
  [{ kernel: { name: "k" } }, /as kernel: it is a path/],
  [{ kernel: new Uint8Array() }, /kernel.*it is empty/],
  [{ kernel: Uint8Array.of(1, 2, 3) }, /neither a bzImage nor an ELF file/],
  [{ kernel: "/nowhere/vmlinuz" }, /Cannot read kernel "\/nowhere\/vmlinuz": no such file/],
  [{ kernel: "file:///nowhere/vmlinuz" }, /Cannot read kernel "\/nowhere\/vmlinuz": no such file/],
  [{ kernel: new URL("ftp://localhost/k") }, /Cannot read kernel "ftp:\/\/localhost\/k": /],
  [{ initrd: 7 }, /Cannot use 7 as initrd/],
  [{ initrd: new Uint8Array() }, /initrd.*it is empty/],
  [{ kernal: "x" }, /Cannot use the option kernal: there are kernel, /],
  [{ append: 5 }, /Cannot use 5 as append: it is a string/],
  [{ append: "a\0b" }, /as append: it is a string without NUL/],
  [{ append: null }, /Cannot use null as append/],
  [{ memory: 512 }, /2 MiB to 3 GiB, in whole pages; for MiB write 512M/],
  [{ memory: "512" }, /for MiB write 512M/],
  [{ memory: NaN }, /Cannot give the guest NaN bytes/],
  [{ memory: -4096 }, /Cannot give the guest -4096 bytes/],
  [{ memory: "lots" }, /"lots" as a size/],
  [{ memory: Infinity }, /Cannot give the guest Infinity bytes/],
  [{ memory: null }, /Cannot use null as memory: it is bytes, or like "512M"/],
  [{ memory: 5000000n }, /Cannot use 5000000n as memory/],
  [{ type: "pv" }, /Cannot use "pv" as type: it is "hvm" or "pvh"/],
  [{ engine: "fast" }, /Cannot use "fast" as engine: it is "interp" or "jit" or "kvm"/],
  [{ cpu: "v9" }, /Cannot use "v9" as CPU: there are x86-64-v1, /],
  [{ cpu: "v2,+foo" }, /Cannot find the CPU feature "foo": there are /],
  [{ cpu: 2 }, /Cannot use 2 as cpu: it is a string like "x86-64-v2,\+movbe"/],
  [{ cpuVendor: "via" }, /Cannot use "via" as cpuVendor: it is "intel" or "amd"/],
  [{ hypercallPages: 7 }, /Cannot use 7 as hypercallPages: it is 1 or 2/],
  [{ hypercallPages: "1" }, /Cannot use "1" as hypercallPages/],
  [{ xenVersion: "four" }, /Cannot use "four" as xenVersion: it is like "4.17"/],
  [{ xenVersion: 4.17 }, /Cannot use 4.17 as xenVersion/],
  [{ icount: "yes" }, /Cannot use "yes" as icount: it is true or false/],
  [{ noReboot: 1 }, /Cannot use 1 as noReboot/],
  [{ failOn: /(?:)/ }, /as failOn: it is a regular expression that does not match every line/],
  [{ failOn: /.*/g }, /that does not match every line/],
  [{ kernel: "http://" }, /Cannot read kernel "http:\/\/": it is no URL/],
  [{ initrd: "https://[::/i" }, /Cannot read initrd "https:\/\/\[::\/i": it is no URL/],
  [net({ none: true, mac: "00:00:00:00:00:00" }), /as nets\[0\]\.mac: it is the MAC address of an interface/],
  [net({ user: { net: "127.0.0.0/8" } }), /guests have no addresses there/],
  [net({ user: { dns: "10.0.2.255" } }), /as name server: it is the network's broadcast address/],
  [{ panic: "stop" }, /Cannot use "stop" as panic: it is "end" or "ignore"/],
  [{ failOn: "BUG" }, /Cannot use "BUG" as failOn: it is a regular expression/],
  [{ maxReboots: -1 }, /Cannot use -1 as maxReboots: it is a whole number/],
  [{ rtc: "2026-01-01" }, /as rtc: it is a Date from 1970 to 2099, or "host"/],
  [{ rtc: new Date(NaN) }, /Cannot use that date as rtc/],
  [{ serial: "stdio" }, /Cannot use "stdio" as serial: it is a function/],
  [{ console: {} }, /Cannot use an object as console: it is a function/],
  [{ tracer: {} }, /as tracer: it is a Tracer/],
  [{ clock: { monotonicNs: () => 0 } }, /as clock: it is a HostClock \(with monotonicNs, unixSeconds/],
  [{ nets: "tap0" }, /Cannot use "tap0" as nets: it is an array/],
  [net("tap0"), /Cannot use "tap0" as nets\[0\]: it is "none" or an object/],
  [net(null), /Cannot use null as nets\[0\]/],
  [net({}), /Cannot use nets\[0\]: it has no end, give it one of tap, hub/],
  [net({ tap: {}, hub: "a" }), /it has tap and hub, give it one/],
  [net({ bridge: "br0" }), /Cannot use the option nets\[0\]\.bridge: there are mac, /],
  [net({ tap: "tap0" }), /Cannot use "tap0" as nets\[0\]\.tap: it is {} or { ifname: "tap0" }/],
  [net({ user: false }), /Cannot use false as nets\[0\]\.user: it is true or { hostfwd/],
  [net({ user: { hostfwd: "tcp::1-:1" } }), /as user\.hostfwd: it is an array of strings/],
  [net({ user: { port: 1 } }), /user\.port: there are net, /],
  [net({ user: { net: "10.0.2.0" } }), /write it like 10\.0\.2\.0\/24/],
  [net({ stream: "a:1" }), /as nets\[0\]\.stream: it is { connect:/],
  [net({ passt: "-t" }), /as nets\[0\]\.passt: it is true or an array/],
  [net({ tap: { name: "tap0" } }), /as nets\[0\]\.tap/],
  [net({ hub: "" }), /as nets\[0\]\.hub: it is a Hub or the name of one/],
  [net({ end: { send: () => true } }), /as nets\[0\]\.end: it is a NetEnd \(with send, /],
  [{ disks: "disk.img" }, /Cannot use "disk.img" as disks: it is an array/],
  [disk(""), /Cannot use "" as disks\[0\]: it is a path/],
  [disk(7), /Cannot use 7 as disks\[0\]/],
  [disk({}), /Cannot use disks\[0\]: give it a path or a store/],
  [disk({ path: "a", store: STORE }), /give it a path or a store/],
  [disk({ path: "a", fast: true }), /Cannot use the option disks\[0\]\.fast: there are path, /],
  [disk({ path: "a", format: "vmdk" }), /as disks\[0\]\.format: it is "raw" or "qcow2"/],
  [disk({ path: "a", cache: "none" }), /as disks\[0\]\.cache/],
  [disk({ path: "a", vdev: "sda" }), /as disks\[0\]\.vdev: it is xvda to xvdp/],
  [disk({ store: STORE, readonly: true }), /a store of yours has no readonly/],
  [disk({ store: { size: 512 } }), /a BlockStore \(with read, write, flush\)/],
  [disk({ ...STORE, size: 100 }), /a BlockStore whose size is a multiple/],
  [disk({ ...STORE, size: NaN }), /a BlockStore whose size/],
  [disk({ ...STORE, sectorBytes: 1024 }), /a BlockStore whose size/],
  [{ disks: Array(17).fill("a") }, /Cannot attach 17 disks/],
  [{ disks: [{ path: "a", vdev: "xvdb" }, { path: "b", vdev: "xvdb" }] }, /two disks as xvdb/],
  [disk("/nowhere/disk"), /Cannot use disk "\/nowhere\/disk": no such file/],
  [disk(new URL("https://localhost/disk")), /it is not in a file/],
  [net({ none: false }), /as nets\[0\]\.none: it is true/],
  [net({ none: true, mac: "01:00:5e:00:00:01" }), /as nets\[0\]\.mac: it is the MAC address/],
  [
    { nets: [{ none: true, mac: "00:16:3e:00:00:0a" }, { user: true, mac: "00:16:3E:00:00:0A" }] },
    /Cannot use 00:16:3E:00:00:0A as nets\[1\]\.mac: nets\[0\] has it already/,
  ],
  [{ worker: 1 }, /Cannot use 1 as worker: it is true or false/],
  [{ memory: "512M", worker: true, tracer: new Tracer() }, /Cannot use tracer with worker/],
  [{ nets: HOLES }, /Cannot use undefined as nets\[0\]: it is "none" or an object/],
  [{ disks: HOLES }, /Cannot use undefined as disks\[0\]/],
  [{ modules: HOLES }, /Cannot use undefined as modules\[0\]/],
  [{ shares: HOLES }, /Cannot use undefined as shares\[0\]/],
  [net({ user: { hostfwd: HOLES } }), /as user\.hostfwd: it is an array of strings/],
  [net({ user: { guestfwd: HOLES } }), /as user\.guestfwd: it is an array of strings/],
  [net({ passt: HOLES }), /as nets\[0\]\.passt: it is true or an array/],
  [net({ passt: [""] }), /as nets\[0\]\.passt/],
  [net({ passt: ["a\0b"] }), /as nets\[0\]\.passt/],
  [{ nets: new Set(["none"]) }, /Cannot use an object as nets: it is an array/],
  [{ nets: { length: 1, 0: "none" } }, /Cannot use an object as nets: it is an array/],
  [{ nets: Array(17).fill("none") }, /Cannot attach 17 interfaces: a guest has at most 16/],
  [{ nets: Array(1001) }, /Cannot use an array as nets: it is one of at most 1000 items/],
  [net(["none"]), /Cannot use an array as nets\[0\]: it is "none" or an object/],
  [net({ tap: [] }), /Cannot use an array as nets\[0\]\.tap/],
  [net({ user: [] }), /Cannot use an array as nets\[0\]\.user/],
  [net({ stream: [] }), /Cannot use an array as nets\[0\]\.stream/],
  [net({ user: { hostfwd: ["tcp:127.0.0.1:2222-10.0.2.2:22"] } }), /to 10\.0\.2\.2: it is the gateway/],
  [net({ user: { hostfwd: ["udp:127.0.0.1:2222-10.0.2.3:22"] } }), /to 10\.0\.2\.3: it is the name server/],
  [
    net({ user: { hostfwd: ["tcp::2222-10.0.2.255:22"] } }),
    /to 10\.0\.2\.255: it is the network's broadcast/,
  ],
  [net({ user: { hostfwd: ["tcp::2222-[fec0::2]:22"] } }), /to fec0::2: it is the gateway/],
  [net({ user: { guestfwd: ["tcp:10.0.2.15:80-:80"] } }), /from 10\.0\.2\.15: it is the first guest's/],
  [
    net({ user: { hostfwd: ["udp:192.0.2.1:2222-:22"] } }),
    /on 192\.0\.2\.1:2222: the host has no such address/,
  ],
  [
    net({ user: { hostfwd: ["tcp:192.0.2.1:2222-:22"] } }),
    /on 192\.0\.2\.1:2222: the host has no such address/,
  ],
  [disk(["a"]), /Cannot use an array as disks\[0\]/],
  [disk(new URL("file://elsewhere/disk")), /"file:\/\/elsewhere\/disk": it is not in a file here/],
  [disk(new URL("file:///%zz")), /"file:\/\/\/%zz": it is not in a file here/],
  [share({ path: new URL("file:///%zz"), tag: "a" }), /Cannot share "file:\/\/\/%zz": it is no folder/],
  [{ kernel: new URL("file:///%zz") }, /kernel "file:\/\/\/%zz": it is no file of this host/],
  [{ initrd: "file://elsewhere/i" }, /initrd "file:\/\/elsewhere\/i": it is no file of this host/],
  [{ kernel: GONE }, /as kernel: it is bytes, and these went to another thread/],
  [{ kernel: new ArrayBuffer(8) }, /Cannot use an object as kernel/],
  [{ kernel: Promise.resolve(kernel) }, /Cannot use an object as kernel/],
  [{ root: "/nowhere" }, /Cannot boot "\/nowhere": no such folder/],
  [{ root: "/etc/passwd" }, /Cannot boot "\/etc\/passwd": it is no folder/],
  [{ memory: "9".repeat(1000) + "M" }, /Cannot use "9{40}…" as a size/],
  [{ memory: "0x400000" }, /"0x400000" as a size/],
  [{ memory: new Number(4 << 20) }, /Cannot use an object as memory/],
  [{ rtc: new Date(Date.UTC(2100, 0)) }, /as rtc: it is a Date from 1970 to 2099/],
  [{ failOn: /x*/ }, /Cannot use \/x\*\/ as failOn/],
  [{ maxReboots: Infinity }, /Cannot use Infinity as maxReboots/],
  [{ type: ["pvh"] }, /Cannot use an array as type/],
  [{ xenVersion: "4.17\n" }, /as xenVersion: it is like "4\.17"/],
  [{ "": 1 }, /Cannot use the option "": there are kernel/],
  [{ "a\nb": 1 }, /Cannot use the option "a\\nb": there are kernel/],
  [{ ["k".repeat(9999)]: 1 }, /Cannot use the option "k{40}…": there are kernel/],
  [JSON.parse('{"__proto__": {"type": "pv"}}'), /Cannot use the option __proto__: there are kernel/],
  [
    { clock: { monotonicNs: () => NaN, unixSeconds: () => 0, sleep() {}, breathe() {} } },
    /as clock: it is a HostClock whose monotonicNs and unixSeconds give numbers/,
  ],
  [net({ none: true, mac: 5 }), /as nets\[0\]\.mac/],
  [net({ none: true, queues: NaN }), /Cannot use NaN as nets\[0\]\.queues: it is a whole number, 1 to 8/],
  [net({ none: true, queues: 0 }), /Cannot use 0 as nets\[0\]\.queues/],
  [net({ none: true, queues: 1e9 }), /as nets\[0\]\.queues/],
  [net({ none: true, capture: "file" }), /Cannot use "file" as nets\[0\]\.capture: it is a function/],
];
for (const [options, message] of WRONG) {
  const text = JSON.stringify(options, (_, value) => typeof value === "bigint" ? `${value}n` : value) ?? "";
  Deno.test(`createMachine refuses ${text.slice(0, 70)} ${message}`, async () => {
    const all = { kernel, memory: "4M", ...options };
    const error = await assertRejects(
      () => createMachine(all as Parameters<typeof createMachine>[0]),
      ConfigError,
    );
    assertMatch(error.message, message);
    assertMatch(error.message, /^[^\n]{1,400}$/); // the longest names all features
  });
}

Deno.test("createMachine refuses options that are none at all", async () => {
  for (const options of [undefined, null, "vmlinuz", 5]) {
    await assertRejects(
      () => createMachine(options as never),
      ConfigError,
      "as the options: it is an object",
    );
  }
});

Deno.test("createMachine refuses what only looks like a Date", async () => {
  const rtc = Object.create(Date.prototype);
  await assertRejects(() => createMachine({ kernel, rtc }), ConfigError, "as rtc: it is a Date from 1970");
});

Deno.test("getters among the options: what they throw is ConfigError, and each is asked once", async () => {
  const broken = {
    kernel,
    get memory(): string {
      throw new Error("boom\nat somewhere");
    },
  };
  await assertRejects(() => createMachine(broken), ConfigError, "Cannot read the options: boom");
  const size = {
    ...STORE,
    get size(): number {
      throw new Error("no size");
    },
  };
  await assertRejects(() => createMachine({ kernel, disks: [size] }), ConfigError, "the options: no size");
  const asked: string[] = [];
  /** Good at first. */
  const changing = (name: string, good: string) => {
    asked.push(name);
    return asked.indexOf(name) === asked.length - 1 ? good : "nonsense";
  };
  await using machine = await createMachine({
    kernel,
    memory: "4M",
    nets: [{
      get mac() {
        return changing("mac", "00:16:3e:00:00:01");
      },
      none: true,
    }],
    get type() {
      return changing("type", "pvh") as "pvh";
    },
  });
  assertEquals(machine.type, "pvh");
  assertEquals(asked.toSorted(), ["mac", "type"]);
});

Deno.test("options that are undefined count as absent", async () => {
  const all = { kernel, memory: "4M", type: undefined, nets: undefined, initrd: undefined, rtc: undefined };
  const machine = await createMachine(all as unknown as Parameters<typeof createMachine>[0]);
  assertEquals(machine.type, "pvh");
  machine.close();
});

Deno.test("nothing is connected when a later interface is wrong", async () => {
  const hub = hubByName("check options");
  let frames = 0;
  const end = { ...hub.port(), close: () => frames++ };
  await assertRejects(
    () => createMachine({ kernel, nets: [{ end }, { none: true, queues: 9 }] } as never),
    ConfigError,
  );
  assertEquals(frames, 0);
});

Deno.test("a machine that runs, or is closed, refuses to run, save and restore", async () => {
  const machine = await createMachine({ kernel, memory: "4M" });
  const run = machine.run();
  await assertRejects(() => machine.run(), ConfigError, "Cannot run the machine: it is running");
  machine.stop();
  assertEquals((await run).reason, "stopped");
  machine.close();
  await assertRejects(() => machine.run(), ConfigError, "Cannot run the machine: it is closed");
  await assertRejects(async () => await machine.save(), ConfigError, "Cannot save the machine: it is closed");
});
