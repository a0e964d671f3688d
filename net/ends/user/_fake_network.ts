// SPDX-License-Identifier: MIT
/** A host for tests: sockets whose other end the test is, a clock and timers moved by hand. @module */
import type {
  HostEcho,
  HostFailure,
  HostListener,
  HostNetwork,
  HostPeer,
  HostTcp,
  HostTcpEvents,
  HostUdp,
} from "./host_network.ts";

/** A connection as the test sees it: the other end. */
export class FakeTcp implements HostTcp {
  events: HostTcpEvents | undefined;
  /** What was written to it. */
  readonly got: number[] = [];
  /** How many more bytes it takes. */
  room = Infinity;
  ended = false;
  closed = false;
  #reading: Uint8Array | undefined;
  #writing: Uint8Array | undefined;
  #toRead = new Uint8Array(0);
  #eof = false;

  constructor(readonly network: FakeNetwork, readonly to: HostPeer) {}

  /** The connection stands. */
  accept(): void {
    this.events?.connected();
  }
  fail(why: HostFailure): void {
    this.closed = true;
    this.events?.failed(why);
  }
  /** The peer sends. */
  feed(bytes: ArrayLike<number>): void {
    const all = new Uint8Array(this.#toRead.length + bytes.length);
    all.set(this.#toRead);
    all.set(bytes, this.#toRead.length);
    this.#toRead = all;
    this.#move();
  }
  /** The peer sends no more. */
  end(): void {
    this.#eof = true;
    this.#move();
  }
  /** What was fed and nobody read. */
  get unread(): number {
    return this.#toRead.length;
  }
  /** The peer takes so many more. */
  take(bytes: number): void {
    this.room = bytes;
    this.#move();
  }

  read(into: Uint8Array): void {
    if (this.#reading !== undefined) throw new Error("two reads");
    if (into.length === 0) throw new Error("a read of nothing");
    this.#reading = into;
    this.#move();
  }
  write(from: Uint8Array): void {
    if (this.#writing !== undefined) throw new Error("two writes");
    if (this.ended) throw new Error("a write after the end");
    this.#writing = from;
    this.#move();
  }
  closeWrite(): void {
    this.ended = true;
  }
  close(): void {
    this.closed = true;
  }

  #move(): void {
    const into = this.#reading;
    if (into !== undefined && (this.#toRead.length > 0 || this.#eof)) {
      this.#reading = undefined;
      const bytes = this.#toRead.subarray(0, into.length);
      this.#toRead = this.#toRead.subarray(bytes.length);
      into.set(bytes);
      this.network.later(() => this.closed || this.events?.received(bytes.length));
    }
    const from = this.#writing;
    if (from !== undefined && this.room > 0) {
      this.#writing = undefined;
      const bytes = from.slice(0, Math.min(from.length, this.room));
      this.room -= bytes.length;
      for (const byte of bytes) this.got.push(byte);
      this.network.later(() => this.closed || this.events?.sent(bytes.length));
    }
  }
}

/** A socket for datagrams as the test sees it. */
export interface FakeUdp {
  readonly version: 4 | 6;
  readonly at: HostPeer | undefined;
  readonly sent: { readonly bytes: Uint8Array; readonly to: HostPeer }[];
  receive(bytes: Uint8Array, from: HostPeer): void;
  closed: boolean;
}

/** See the module's description. */
export class FakeNetwork implements HostNetwork {
  ms = 1000;
  readonly tcp: FakeTcp[] = [];
  readonly udp: FakeUdp[] = [];
  readonly echoes: { message: Uint8Array; to: string }[] = [];
  readonly echoReplies: Uint8Array[] = [];
  echo = false;
  server: string | undefined = "192.0.2.53";
  #later: (() => void)[] = [];
  #timers: { readonly ms: number; readonly fn: () => void }[] = [];
  readonly listeners: { at: HostPeer; connect(peer: HostPeer): FakeTcp | undefined; closed: boolean }[] = [];

  nowMs(): number {
    return this.ms;
  }
  after(ms: number, fn: () => void): () => void {
    const timer = { ms: this.ms + ms, fn };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
  }
  random(bytes: number): Uint8Array {
    return new Uint8Array(bytes).fill(0xfe); // sequence numbers that wrap soon
  }
  /** Between turns. */
  later(fn: () => void): void {
    this.#later.push(fn);
  }
  /** Runs what was put off. */
  run(): void {
    for (let i = 0; this.#later.length > 0; i++) {
      if (i > 100_000) throw new Error("it never ends");
      (this.#later.shift() as () => void)();
    }
  }
  /** Time goes by. */
  advance(ms: number): void {
    this.ms += ms;
    const due = this.#timers.filter((timer) => timer.ms <= this.ms);
    this.#timers = this.#timers.filter((timer) => timer.ms > this.ms);
    for (const { fn } of due) fn();
    this.run();
  }
  connectTcp(to: HostPeer, events: HostTcpEvents): HostTcp {
    const tcp = new FakeTcp(this, to);
    tcp.events = events;
    this.tcp.push(tcp);
    return tcp;
  }
  listenTcp(
    at: HostPeer,
    accept: (peer: HostPeer, connection: HostTcp) => HostTcpEvents | undefined,
  ): HostListener {
    const connect = (peer: HostPeer) => {
      const tcp = new FakeTcp(this, peer);
      tcp.events = accept(peer, tcp);
      this.tcp.push(tcp);
      return tcp.events && tcp;
    };
    const listener = { at, connect, closed: false };
    this.listeners.push(listener);
    return { close: () => void (listener.closed = true) };
  }
  openUdp(
    version: 4 | 6,
    at: HostPeer | undefined,
    received: (bytes: Uint8Array, from: HostPeer) => void,
  ): HostUdp {
    const udp: FakeUdp = { version, at, sent: [], receive: received, closed: false };
    this.udp.push(udp);
    return {
      send: (bytes, to) => void udp.sent.push({ bytes: bytes.slice(), to }),
      bound: Promise.resolve(),
      close: () => void (udp.closed = true),
    };
  }
  openEcho(version: 4 | 6): HostEcho | undefined {
    if (!this.echo) return undefined;
    return {
      fd: 90 + version,
      send: (message, to) => {
        this.echoes.push({ message: message.slice(), to });
        return true;
      },
      receive: () => this.echoReplies.shift(),
      close() {},
    };
  }
  nameServer(): string | undefined {
    return this.server;
  }
}
