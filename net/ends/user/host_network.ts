// SPDX-License-Identifier: MIT
/**
 * What the user network needs of the host, and no more: sockets, a clock, a timer. Its door is net/host/deno_network.ts;
 * tests have one of their own.
 *
 * Everything is told by callbacks, which run between turns of the machine, never within a call.
 * @module
 */

/** Why a connection came to nothing, or ended. */
export type HostFailure = "refused" | "unreachable" | "reset";

/** What a {@linkcode HostTcp} tells. */
export interface HostTcpEvents {
  /** The connection stands. */
  connected(): void;
  /** A read is over; 0: the peer sends no more. */
  received(bytes: number): void;
  /** A write is over: so many bytes were taken. */
  sent(bytes: number): void;
  /** It is of no use any more. Nothing else is told after it. */
  failed(why: HostFailure): void;
}

/** A TCP connection of the host. */
export interface HostTcp {
  /** Reads into `into`, which is the connection's until `received`. One at a time. */
  read(into: Uint8Array): void;
  /** Writes some of `from`, which is the connection's until `sent`. One at a time. */
  write(from: Uint8Array): void;
  /** Tells the peer that nothing more comes. */
  closeWrite(): void;
  /** Ends it; nothing is told any more. */
  close(): void;
}

/** Address and port of the host's networks. */
export interface HostPeer {
  readonly address: string;
  readonly port: number;
}

/** A UDP socket of the host. */
export interface HostUdp {
  /** Sends a datagram; a copy is made when it cannot go at once. */
  send(bytes: Uint8Array<ArrayBuffer>, to: HostPeer): void;
  /** Resolves when it has its port; rejects with ConfigError when it cannot. */
  readonly bound: Promise<void>;
  close(): void;
}

/** A socket for ICMP echo. */
export interface HostEcho {
  /** Sends an echo request: the ICMP message, whose identifier and checksum the host chooses. False: it cannot go. */
  send(message: Uint8Array, to: string): boolean;
  /** The next reply, from its ICMP header on, or undefined. Valid until the next call. */
  receive(): Uint8Array | undefined;
  /** To sleep on. */
  readonly fd: number;
  close(): void;
}

/** Something that accepts connections until it is closed. */
export interface HostListener {
  close(): void;
}

/** See the module's description. Addresses are numbers, never names. */
export interface HostNetwork {
  /** Milliseconds since some fixed time. */
  nowMs(): number;
  /** Runs `fn` after `ms`; the function returned prevents it. */
  after(ms: number, fn: () => void): () => void;
  /** Bytes nobody can guess. */
  random(bytes: number): Uint8Array;
  connectTcp(to: HostPeer, events: HostTcpEvents): HostTcp;
  /** Throws ConfigError when it cannot. `accept` gives the events for a new connection, or undefined to refuse it. */
  listenTcp(
    at: HostPeer,
    accept: (peer: HostPeer, connection: HostTcp) => HostTcpEvents | undefined,
  ): HostListener;
  /** A socket for `version` at any port, or at `at`. */
  openUdp(
    version: 4 | 6,
    at: HostPeer | undefined,
    received: (bytes: Uint8Array, from: HostPeer) => void,
    failed: (why: string) => void,
  ): HostUdp;
  /** A socket for echo requests, where the host lets us have one. */
  openEcho(version: 4 | 6): HostEcho | undefined;
  /** The name server that the host asks. */
  nameServer(): string | undefined;
}
