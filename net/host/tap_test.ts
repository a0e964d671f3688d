// SPDX-License-Identifier: MIT
/** TAP against the host's own network stack, in network namespaces made and removed here. Needs root and -A. @module */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { storeSum, sumPseudoHeader } from "../frames/checksum.ts";
import {
  Frame,
  frameOf,
  OFFLOAD_ALL,
  OFFLOAD_CSUM,
  OFFLOAD_CSUM6,
  OFFLOAD_NONE,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from "../ends/end.ts";
import { conform } from "../frames/gso.ts";
import { be16, be32, Headers, IPPROTO_TCP, putBe16, putBe32 } from "../frames/headers.ts";
import { libc } from "./libc.ts";
import { Responder } from "../ends/responder.ts";
import { TapDevice } from "./tap.ts";
import { GUEST4, GUEST6, ip, type Net, tapTest as test, uniqueId, withTap } from "./_tap.ts";
import { Collector, tcpGso } from "../frames/_frames.ts";

// ---- opening

const NAMES: [string, string][] = [
  ["a-name-of-16-byte", "longer than 15 bytes"],
  ["a/b", "no interface name"],
  ["a b", "no interface name"],
  [".", "no interface name"],
  ["..", "no interface name"],
  ["a:1", "no interface name"],
  ["a%x", "only pattern"],
  ["%d%d", "only pattern"],
];
for (const [name, why] of NAMES) {
  test(`TapDevice.open refuses the name ${JSON.stringify(name)}`, () => {
    const error = assertThrows(() => TapDevice.open({ name }), ConfigError, why);
    assertEquals(error.kind, "input");
  });
}

test("TapDevice.open: the kernel picks a name when there is none, and a closed TAP is gone", () => {
  const prefix = `x${uniqueId()}`;
  const tap = TapDevice.open({ name: `${prefix}%d` });
  assertEquals(tap.name, `${prefix}0`);
  ip("link", "show", tap.name);
  tap.close();
  tap.close();
  assertThrows(() => ip("link", "show", tap.name));
  assertEquals([tap.send(frameOf(new Uint8Array(60))), tap.poll(), tap.pollFd()], [false, 0, -1]);
});

test("TapDevice.open: busy, not a TAP, not a descriptor: a host's error of one line", () => {
  const tap = TapDevice.open({ name: `x${uniqueId()}%d` });
  try {
    const busy = assertThrows(() => TapDevice.open({ name: tap.name }), ConfigError, "busy");
    assertEquals([busy.kind, busy.message.includes("\n")], ["host", false]);
    assertThrows(
      () => TapDevice.open({ name: "lo" }),
      ConfigError,
      `Cannot open TAP device "lo": invalid argument`,
    );
    assertThrows(() => TapDevice.open({ fd: 12345 }), ConfigError, "bad file descriptor");
  } finally {
    tap.close();
  }
});

test("TapDevice.open takes a descriptor that somebody else opened", () => {
  const tap = TapDevice.open({ name: `x${uniqueId()}%d` });
  new Collector(tap);
  const F_DUPFD = 0;
  const copy = TapDevice.open({ fd: libc().call.fcntl(tap.pollFd(), F_DUPFD, 3) });
  assertEquals(copy.name, tap.name);
  tap.close();
  ip("link", "show", copy.name);
  copy.close();
});

test("TapDevice.open without rights says how root can prepare the device", async () => {
  const name = `x${uniqueId()}`;
  const script = `import { TapDevice } from ${JSON.stringify(new URL("./tap.ts", import.meta.url).href)};
    try { TapDevice.open({ name: "${name}" }); } catch (e) { console.log(e.kind, e.message); }`;
  const cache = await Deno.makeTempDir();
  await Deno.writeTextFile(`${cache}/open.ts`, script);
  await Deno.chmod(cache, 0o777);
  try {
    const run = [Deno.execPath(), "run", "-A", "--no-config", "--no-check", `${cache}/open.ts`];
    const { stdout, stderr } = await new Deno.Command("setpriv", {
      args: ["--bounding-set=-net_admin", "--inh-caps=-net_admin", ...run],
      env: { DENO_DIR: cache, HOME: cache },
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assertStringIncludes(
      text,
      `host Cannot open TAP device "${name}": operation not permitted; root can prepare it with`,
    );
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});

test("TapDevice without --allow-ffi says what is missing", async () => {
  const url = JSON.stringify(new URL("./tap.ts", import.meta.url).href);
  const code = `const { TapDevice } = await import(${url});
    try { TapDevice.open(); } catch (e) { console.log(e.name, e.kind, e.message); }`;
  const args = [
    "run",
    "--no-prompt",
    "--no-check",
    "--allow-read",
    `data:application/typescript,${encodeURIComponent(code)}`,
  ];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(text, "ConfigError host Cannot load the C library: run with --allow-ffi\n");
});

// ---- frames

test("TAP: the host pings a responder behind it, over IPv4 and IPv6", async () => {
  await withTap(async ({ tap, command, until }) => {
    const tracer = new Tracer();
    new Responder(tap, { ipv4: `${GUEST4}/24`, ipv6: `${GUEST6}/64`, tracer });
    for (const address of [GUEST4, GUEST6]) {
      for (const size of ["56", "1400"]) {
        const args = ["-n", "-c", "3", "-i", "0.01", "-W", "20", "-s", size, address];
        const ping = command("ping", args, { stdout: "piped", stderr: "piped" }).output();
        let result: Deno.CommandOutput | undefined;
        ping.then((output) => result = output);
        await until(() => result !== undefined);
        assertStringIncludes(new TextDecoder().decode(result?.stdout), "3 packets transmitted, 3 received");
      }
    }
    assertEquals([tracer.counters.get("net.responder.echo"), tracer.counters.get("net.responder.echo6")], [
      6,
      6,
    ]);
  });
});

test("TAP: no room at the receiver leaves frames in the TAP's queue", async () => {
  await withTap(async ({ tap, command, until }) => {
    const seen = new Collector(tap, OFFLOAD_ALL, [40, 40, 4096]);
    seen.room = 0;
    const ping = command("ping", ["-b", "-c", "4", "-i", "0.01", "-W", "0.1", "10.77.0.255"], {
      stdout: "null",
      stderr: "null",
    });
    await ping.output();
    assertEquals([tap.poll(), tap.pollFd(), seen.frames.length], [0, -1, 0]);
    seen.room = 1;
    tap.poll();
    assertEquals([seen.frames.length, tap.pollFd()], [1, -1]);
    seen.room = 1000;
    const pings = () => seen.frames.filter((frame) => be16(frame.bytes(), 12) === 0x0800);
    await until(() => pings().length === 4);
    assertEquals(tap.pollFd() >= 0, true);
    assertEquals(pings().map((frame) => frame.length), [98, 98, 98, 98]);
  });
});

test("TAP: a frame refused after it was read is kept, and dropped when the receiver changes", async () => {
  await withTap(async ({ tap, command }) => {
    const seen = new Collector(tap, OFFLOAD_ALL, [60]);
    seen.deliver = () => false;
    const args = ["-b", "-c", "1", "-W", "0.1", "10.77.0.255"];
    await command("ping", args, { stdout: "null", stderr: "null" }).output();
    assertEquals([tap.poll(), tap.pollFd()], [0, -1]);
    const other = new Collector(tap);
    assertEquals([tap.poll(), other.frames.length], [0, 0]);
  });
});

test("TAP: frames to an interface that is down are dropped, and it says so once", () => {
  const tracer = new Tracer();
  const lines: string[] = [];
  tracer.configure((_, line) => lines.push(line));
  const tap = TapDevice.open({ name: `x${uniqueId()}%d`, tracer });
  assertEquals([tap.send(frameOf(new Uint8Array(60))), tap.send(frameOf(new Uint8Array(60)))], [
    false,
    false,
  ]);
  tap.close();
  assertEquals([tracer.counters.get("net.tap.down"), lines.length], [2, 1]);
});

// ---- TCP with the host's stack on the other side

const GUEST_MAC = [2, 0, 0, 0, 0, 2];
const NOTHING: Uint8Array = new Uint8Array();
/** Our initial sequence number. */
const ISS = 0x1000_0000;

/** TCP flags. */
const FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10;
/** TCP option: window scale. */
const WINDOW_SCALE = 3;

/** What was sent and takes sequence numbers. */
interface Segment {
  readonly flags: number;
  /** Its first sequence number, and the one behind the last. */
  readonly start: number;
  readonly end: number;
  readonly payload: Uint8Array;
  readonly offloads: number;
}

/**
 * The guest's half of one TCP connection, as little of it as the test needs. It keeps to the window it is given and
 * repeats what may be lost: a host with much else to do reads late, and drops what it has no room for.
 */
class Peer {
  readonly frames: Frame[] = [];
  readonly received: Uint8Array[] = [];
  connected = false;
  hostClosed = false;
  /** Bytes (and the FIN) that the host has acknowledged. */
  acknowledged = 0;
  /** Bytes behind those that the host has room for. */
  window = 0;
  #windowScale = 0;
  #next = ISS;
  #expected = 0;
  #port = 0;
  #unacknowledged: Segment[] = [];
  #mac: Uint8Array = new Uint8Array(6).fill(0xff);
  readonly #headers = new Headers();
  readonly #collector: Collector;

  constructor(readonly net: Net, readonly version: 4 | 6, readonly ourPort: number, accepts: number) {
    this.#collector = new Collector(net.tap, accepts, [1514, 30_000]);
    this.#collector.onFrame = (frame) => this.#take(frame);
    // the neighbour is given, so that the test speaks neither ARP nor ND
    const address = version === 4 ? GUEST4 : GUEST6;
    ip("-n", net.namespace, "neigh", "add", address, "lladdr", "02:00:00:00:00:02", "dev", net.tap.name);
    const link = new TextDecoder().decode(
      new Deno.Command("ip", { args: ["-n", net.namespace, "-o", "link", "show", net.tap.name] }).outputSync()
        .stdout,
    );
    const mac = /link\/ether ([0-9a-f:]{17})/.exec(link)?.[1] ?? "";
    this.#mac = Uint8Array.fromHex(mac.replaceAll(":", ""));
  }

  async connect(port: number): Promise<void> {
    this.#port = port;
    this.#sendSegment(SYN);
    await this.net.until(() => this.connected, () => this.repeat());
  }

  #take(frame: Frame): void {
    if (!this.#headers.parse(frame) || this.#headers.protocol !== IPPROTO_TCP) return;
    const { bytes, l4, l4Bytes } = this.#headers;
    if (be16(bytes, l4 + 2) !== this.ourPort) return;
    this.frames.push(frame);
    const flags = bytes[l4 + 13] as number;
    if ((flags & RST) !== 0) return; // nobody listens yet
    const sequence = be32(bytes, l4 + 4);
    if ((flags & SYN) !== 0) {
      this.#port = be16(bytes, l4);
      this.#expected = (sequence + 1) >>> 0;
      this.#windowScale = windowScale(bytes.subarray(l4 + 20, l4 + l4Bytes));
    }
    if ((flags & ACK) !== 0) this.#acknowledge(be32(bytes, l4 + 8), be16(bytes, l4 + 14), flags);
    if ((flags & SYN) !== 0) {
      if ((flags & ACK) !== 0) this.#send(ACK);
      else if (this.#next === ISS) this.#sendSegment(SYN | ACK);
      else this.repeat();
      this.connected = true;
      return;
    }
    const payload = frame.bytes().subarray(l4 + l4Bytes);
    const fin = (flags & FIN) !== 0 ? 1 : 0;
    if (payload.length + fin === 0) return;
    if (sequence === this.#expected) {
      this.received.push(payload);
      this.#expected = (sequence + payload.length + fin) >>> 0;
      if (fin !== 0) this.hostClosed = true;
    }
    this.#send(ACK);
  }

  #acknowledge(next: number, window: number, flags: number): void {
    this.acknowledged = (next - ISS - 1) >>> 0;
    this.window = (flags & SYN) !== 0 ? window : window << this.#windowScale;
    this.#unacknowledged = this.#unacknowledged.filter(({ end }) => ((end - next) | 0) > 0);
  }

  /**
   * Sends data and waits until it is acknowledged. In one frame, to be segmented by the host when it is larger than
   * an MSS; in more when the host has no room for that.
   */
  async data(payload: Uint8Array, offloads: number): Promise<void> {
    for (let at = 0; at < payload.length;) {
      await this.net.until(() => this.window > 0, () => this.repeat());
      const part = payload.subarray(at, at + this.window);
      const end = this.acknowledged + part.length;
      this.#sendSegment(ACK | PSH, part, offloads);
      await this.net.until(() => this.acknowledged === end, () => this.repeat());
      at += part.length;
    }
  }

  async fin(): Promise<void> {
    const end = this.acknowledged + 1;
    this.#sendSegment(FIN | ACK);
    await this.net.until(() => this.acknowledged === end, () => this.repeat());
  }

  /** Sends again what was not acknowledged, or asks how things are by sending an old sequence number. */
  repeat(): void {
    for (const { flags, start, payload, offloads } of this.#unacknowledged) {
      this.#send(flags, start, payload, offloads);
    }
    if (this.#unacknowledged.length === 0) this.#send(ACK, (this.#next - 1) >>> 0);
  }

  /** Something that takes sequence numbers. */
  #sendSegment(flags: number, payload = NOTHING, offloads = OFFLOAD_ALL): void {
    const start = this.#next;
    this.#next = (start + payload.length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0)) >>> 0;
    this.#unacknowledged.push({ flags, start, end: this.#next, payload, offloads });
    this.#send(flags, start, payload, offloads);
  }

  #send(flags: number, sequence = this.#next, payload = NOTHING, offloads = OFFLOAD_ALL): void {
    const options = (flags & SYN) !== 0 ? [2, 4, 5, 0xb4, 1, 3, 3, 7] : []; // MSS 1460, window scale 7
    const l4 = this.version === 4 ? 34 : 54;
    const tcpBytes = 20 + options.length;
    const header = new Uint8Array(l4 + tcpBytes);
    header.set([...this.#mac, ...GUEST_MAC, ...(this.version === 4 ? [0x08, 0x00] : [0x86, 0xdd])]);
    const length = tcpBytes + payload.length;
    if (this.version === 4) {
      header.set([0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1], 14);
      putBe16(header, 16, 20 + length);
      let sum = 0;
      for (let i = 14; i < 34; i += 2) sum += be16(header, i);
      sum = (sum & 0xffff) + (sum >>> 16);
      putBe16(header, 24, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
    } else {
      header.set([0x60, 0, 0, 0, length >>> 8, length & 0xff, 6, 64], 14);
      header.set([0xfd, 0x77], 22);
      header[37] = 2;
      header.set([0xfd, 0x77], 38);
      header[53] = 1;
    }
    putBe16(header, l4, this.ourPort);
    putBe16(header, l4 + 2, this.#port);
    putBe32(header, l4 + 4, sequence);
    putBe32(header, l4 + 8, this.#expected);
    header[l4 + 12] = (tcpBytes / 4) << 4;
    header[l4 + 13] = flags;
    putBe16(header, l4 + 14, 0xffff);
    header.set(options, l4 + 20);
    storeSum(header, l4 + 16, sumPseudoHeader(header, 14, { version: this.version, protocol: 6, length }));
    const frame = new Frame().append(header);
    for (let at = 0; at < payload.length; at += 4096) frame.append(payload.subarray(at, at + 4096));
    frame.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    frame.csumStart = l4;
    frame.csumOffset = 16;
    if (payload.length > 1400) {
      frame.gsoType = this.version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
      frame.gsoSize = 1400;
      frame.hdrLen = header.length;
    }
    assert(conform(frame, offloads, (piece) => this.net.tap.send(piece)), "the TAP takes it");
  }
}

/** The shift in the options of a SYN. */
function windowScale(options: Uint8Array): number {
  for (let at = 0; at < options.length;) {
    const kind = options[at] as number;
    if (kind === 0) break;
    if (kind === WINDOW_SCALE) return options[at + 2] ?? 0;
    at += kind === 1 ? 1 : Math.max(2, options[at + 1] ?? 2);
  }
  return 0;
}

/** A program of the host's with one end of a TCP connection. */
function tcpEnd(...args: string[]): [command: string, args: string[]] {
  return [Deno.execPath(), [
    "run",
    "-A",
    "--no-check",
    new URL("./_tcp_end.ts", import.meta.url).pathname,
    ...args,
  ]];
}

function pattern(length: number): Uint8Array<ArrayBuffer> {
  let x = 1;
  return Uint8Array.from({ length }, () => (x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 24);
}
function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (out.set(part, at), at + part.length), 0);
  return out;
}

for (const version of [4, 6] as const) {
  for (
    const [what, offloads] of [["segmented by the kernel", OFFLOAD_ALL], [
      "segmented by us",
      OFFLOAD_NONE,
    ]] as const
  ) {
    test(`TAP: a guest's GSO frames over IPv${version}, ${what}, reach a host's socket intact`, async () => {
      await withTap(async (net) => {
        const server = net.command(...tcpEnd("listen", "5001"), { stdout: "piped" }).spawn();
        const output = new Response(server.stdout).bytes();
        const peer = new Peer(net, version, 4000, OFFLOAD_ALL);
        await peer.connect(5001);
        const stream = pattern(200_000);
        for (let at = 0; at < stream.length; at += 40_000) {
          await peer.data(stream.subarray(at, at + 40_000), offloads);
        }
        await peer.fin();
        assertEquals(await output, stream);
        await server.status;
      });
    });
  }

  for (
    const [what, accepts] of [
      ["takes everything", OFFLOAD_ALL],
      ["takes blank checksums", OFFLOAD_CSUM | OFFLOAD_CSUM6],
      ["takes blank checksums of the other version only", version === 4 ? OFFLOAD_CSUM6 : OFFLOAD_CSUM],
      ["takes nothing", OFFLOAD_NONE],
    ] as const
  ) {
    test(`TAP: a host's stream over IPv${version} to a guest that ${what}`, async () => {
      await withTap(async (net) => {
        const peer = new Peer(net, version, 5000, accepts);
        const client = net.command(...tcpEnd("connect", version === 4 ? GUEST4 : GUEST6, "5000"), {
          stdin: "piped",
        }).spawn();
        const stream = pattern(500_000);
        const writer = client.stdin.getWriter();
        const written = writer.write(stream).then(() => writer.close());
        written.catch(() => {}); // when the wait below fails, that is what to hear of
        await net.until(() => peer.hostClosed);
        await written;
        await peer.fin();
        assertEquals(join(peer.received), stream);
        const data = peer.frames.filter((frame) => frame.length > 200);
        const gso = data.filter((frame) => frame.gsoType !== VIRTIO_NET_HDR_GSO_NONE);
        if (accepts === OFFLOAD_ALL) {
          assert(gso.length > 0, "some frames are GSO");
          const type = version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
          for (const frame of gso) {
            assertEquals([frame.gsoType, frame.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM], [type, 1]);
            assert(frame.length > 1514 && frame.gsoSize <= 1460);
          }
        } else {
          assertEquals([gso.length, data.every((frame) => frame.length <= 1514)], [0, true]);
        }
        const blank = data.filter((frame) => (frame.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0).length;
        const welcome = (accepts & (version === 4 ? OFFLOAD_CSUM : OFFLOAD_CSUM6)) !== 0;
        assertEquals(blank, welcome ? data.length : 0);
        if (!welcome) { for (const frame of data) assertEquals(tcpSum(frame), 0xffff); }
        await client.status;
      });
    });
  }
}

/** One's complement sum of pseudo-header and TCP by the letter of RFC 9293, on big-endian words. */
function tcpSum(frame: Frame): number {
  const headers = new Headers();
  headers.parse(frame);
  const bytes = frame.bytes();
  const [from, to] = headers.version === 4 ? [26, 34] : [22, 54];
  let sum = 6 + bytes.length - headers.l4;
  for (let i = from; i < to; i += 2) sum += be16(bytes, i);
  for (let i = headers.l4; i < bytes.length; i += 2) sum += (bytes[i] as number) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return sum;
}

test("TapDevice: of bulk there is no hurry to see the answer", () => {
  const tap = TapDevice.open({ name: `x${uniqueId()}%d` });
  try {
    ip("link", "set", tap.name, "up");
    const seen = [tcpGso({ payload: 60_000, gsoSize: 1460 }), tcpGso({ payload: 3000, gsoSize: 1460 })].map(
      (frame) => [tap.send(frame), tap.unhurried],
    );
    assertEquals(seen, [[true, true], [true, false]]);
  } finally {
    tap.close();
  }
});
