// SPDX-License-Identifier: MIT
/**
 * The host's networks by Deno's own sockets (UDP by node:dgram, as Deno's is not stable yet): what a user network stands on.
 * A door to the host. Nothing here needs a privilege; each connection needs Deno's permission (`--allow-net`), and
 * what was not permitted is refused, never asked for: a guest must not be able to make the user's terminal ask.
 * @module
 */
import dgram from "node:dgram";
import { ConfigError } from "../../cpu/base/assert.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import type {
  HostEcho,
  HostFailure,
  HostListener,
  HostNetwork,
  HostPeer,
  HostTcp,
  HostTcpEvents,
  HostUdp,
} from "../ends/user/host_network.ts";
import { PingSocket } from "./ping_socket.ts";

const RESOLV_CONF = "/etc/resolv.conf";
const RESOLVER_MS = 5000;
/** Datagrams that may wait in one socket. */
const MOST_WAITING = 256;
/**
 * Connections that may be on their way. The host tries each for minutes, whatever the guest does meanwhile, so those that the
 * guest gave up count as well.
 */
export const MOST_DIALING = 256;

type Dial = (options: { readonly hostname: string; readonly port: number }) => Promise<Deno.TcpConn>;

/** See the module's description. */
export class DenoNetwork implements HostNetwork {
  #server: string | undefined;
  #serverUntilMs = -Infinity;
  #dialing = 0;

  /** `tracer`: for warnings. `dial`: connects. */
  constructor(readonly tracer?: Tracer, readonly dial: Dial = Deno.connect) {}

  nowMs(): number {
    return performance.now();
  }

  after(ms: number, fn: () => void): () => void {
    const timer = setTimeout(fn, Math.min(ms, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  }

  random(bytes: number): Uint8Array {
    return crypto.getRandomValues(new Uint8Array(bytes));
  }

  connectTcp(to: HostPeer, events: HostTcpEvents): HostTcp {
    const connection = new DenoTcp();
    connection.events = events;
    if (!this.#mayReach(to)) queueMicrotask(() => connection.fail("refused"));
    else if (this.#dialing >= MOST_DIALING) queueMicrotask(() => connection.fail("unreachable"));
    else {
      this.#dialing++;
      const dialed = this.dial({ hostname: to.address, port: to.port });
      dialed.then((conn) => connection.begin(conn), (error) => connection.refuse(error))
        .finally(() => this.#dialing--);
    }
    return connection;
  }

  listenTcp(
    at: HostPeer,
    accept: (peer: HostPeer, connection: HostTcp) => HostTcpEvents | undefined,
  ): HostListener {
    let listener: Deno.TcpListener;
    const { address: hostname, port } = at;
    try {
      listener = Deno.listen({ hostname, port });
    } catch (error) {
      throw new ConfigError(`Cannot listen on ${nameOf(at)}: ${why(error)}`, "host", { cause: error });
    }
    acceptAll(listener, (conn) => {
      const { hostname: address, port } = conn.remoteAddr as Deno.NetAddr;
      const connection = new DenoTcp();
      connection.adopt(conn);
      const events = accept({ address, port }, connection);
      if (events === undefined) connection.close();
      else connection.events = events;
    });
    return { close: () => listener.close() };
  }

  openUdp(
    version: 4 | 6,
    at: HostPeer | undefined,
    received: (bytes: Uint8Array, from: HostPeer) => void,
    failed: (why: string) => void,
  ): HostUdp {
    return new NodeUdp(version, at, received, failed, (peer) => this.#mayReach(peer));
  }

  openEcho(version: 4 | 6): HostEcho | undefined {
    const socket = PingSocket.open(version);
    if (socket === undefined) {
      this.tracer?.warnOnce(
        "net.user.ping",
        "guests can ping the gateway only: the host does not let us have ping sockets " +
          "(sysctl net.ipv4.ping_group_range, --allow-ffi)",
      );
    }
    return socket;
  }

  nameServer(): string | undefined {
    const now = performance.now();
    if (now < this.#serverUntilMs) return this.#server;
    this.#serverUntilMs = now + RESOLVER_MS;
    if (Deno.permissions.querySync({ name: "read", path: RESOLV_CONF }).state !== "granted") {
      this.tracer?.warnOnce(
        "net.user.dns",
        `guests have no name server: reading ${RESOLV_CONF} needs --allow-read`,
      );
      return this.#server = undefined;
    }
    let text = "";
    try {
      text = Deno.readTextFileSync(RESOLV_CONF);
    } catch { // none: the resolver of the C library asks the loopback then, and so do we
    }
    return this.#server = /^nameserver[ \t]+([\d.]+|[\da-f:]+)\s*$/im.exec(text)?.[1] ?? "127.0.0.1";
  }

  #mayReach(peer: HostPeer): boolean {
    if (Deno.permissions.querySync({ name: "net", host: nameOf(peer) }).state === "granted") return true;
    this.tracer?.warnOnce("net.user.denied", `guests cannot reach ${nameOf(peer)}: run with --allow-net`);
    return false;
  }
}

/**
 * An address as people write it.
 * @internal
 */
export function nameOf({ address, port }: HostPeer): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * What went wrong, for people.
 * @internal
 */
export function why(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "the port is in use";
  if (error instanceof Deno.errors.AddrNotAvailable) return "the host has no such address";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied (ports below 1024 are root's)";
  if (error instanceof Deno.errors.NotCapable) return `run with ${permission(error)}`;
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.ConnectionRefused) return "nobody listens there";
  return error instanceof Error ? error.message : String(error);
}

/** "Requires net access to …, run again with the --allow-net flag" */
function permission(error: Error): string {
  return /--allow-[a-z]+/.exec(error.message)?.[0] ?? "more permissions";
}

async function acceptAll(listener: Deno.TcpListener, take: (conn: Deno.TcpConn) => void): Promise<void> {
  for (;;) {
    let conn: Deno.TcpConn;
    try {
      conn = await listener.accept();
    } catch (error) {
      // closed; all else (out of descriptors, a peer that is gone already) passes
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
      continue;
    }
    take(conn);
  }
}

/**
 * A connection, TCP or a UNIX socket.
 * @internal
 */
export class DenoTcp implements HostTcp {
  events: HostTcpEvents | undefined;
  #conn: Deno.TcpConn | Deno.UnixConn | undefined;
  #over = false;

  /** It stands; perhaps nobody wants it any more. */
  begin(conn: Deno.TcpConn): void {
    if (this.#over) return conn.close();
    this.adopt(conn);
    this.events?.connected();
  }

  /** It came to nothing. */
  refuse(error: unknown): void {
    this.fail(error instanceof Deno.errors.ConnectionRefused ? "refused" : "unreachable");
  }

  adopt(conn: Deno.TcpConn | Deno.UnixConn): void {
    if ("setNoDelay" in conn) conn.setNoDelay(true);
    this.#conn = conn;
  }

  fail(why: HostFailure): void {
    if (this.#over) return;
    this.close();
    this.events?.failed(why);
  }

  read(into: Uint8Array): void {
    this.#conn?.read(into).then((bytes) => {
      if (!this.#over) this.events?.received(bytes ?? 0);
    }, () => this.fail("reset"));
  }

  write(from: Uint8Array): void {
    this.#conn?.write(from).then((bytes) => {
      if (!this.#over) this.events?.sent(bytes);
    }, () => this.fail("reset"));
  }

  closeWrite(): void {
    this.#conn?.closeWrite().catch(() => {}); // reading tells what there is to tell
  }

  close(): void {
    this.#over = true;
    try {
      this.#conn?.close();
    } catch { // it is closed
    }
    this.#conn = undefined;
  }
}

/** Why a socket of node:dgram has no port. */
function whyUnbound(error: Error & { code?: string }): string {
  switch (error.code) {
    case "EADDRINUSE":
      return "the port is in use";
    case "EADDRNOTAVAIL":
      return "the host has no such address";
    case "EACCES":
      return "permission denied (ports below 1024 are root's)";
  }
  return error.message;
}

class NodeUdp implements HostUdp {
  readonly #socket: dgram.Socket;
  readonly #bound = Promise.withResolvers<void>();
  #waiting = 0;
  #closed = false;

  constructor(
    version: 4 | 6,
    at: HostPeer | undefined,
    received: (bytes: Uint8Array, from: HostPeer) => void,
    failed: (why: string) => void,
    readonly mayReach: (peer: HostPeer) => boolean,
  ) {
    this.#socket = dgram.createSocket(version === 4 ? { type: "udp4" } : { type: "udp6", ipv6Only: true });
    const any = version === 4 ? "0.0.0.0" : "::";
    const local = at ?? { address: any, port: 0 };
    const unbound = (reason: string, cause?: unknown) =>
      this.#bound.reject(new ConfigError(`Cannot listen on ${nameOf(local)}: ${reason}`, "host", { cause }));
    this.#bound.promise.catch(() => {}); // who needs it awaits it
    let toldOtherwise = at !== undefined; // who asked for a port waits for it
    this.#socket.on("listening", () => {
      this.#bound.resolve();
      toldOtherwise = false;
    });
    this.#socket.on("error", (error: Error) => {
      unbound(whyUnbound(error), error);
      if (!this.#closed && !toldOtherwise) failed(error.message);
    });
    this.#socket.on("message", (bytes: Uint8Array, { address, port }: { address: string; port: number }) => {
      if (!this.#closed) received(bytes, { address, port });
    });
    if (mayReach(local)) this.#socket.bind(local.port, local.address);
    else {
      unbound("run with --allow-net");
      this.close();
    }
  }

  get bound(): Promise<void> {
    return this.#bound.promise;
  }

  send(bytes: Uint8Array<ArrayBuffer>, to: HostPeer): void {
    if (this.#closed || this.#waiting >= MOST_WAITING || !this.mayReach(to)) return;
    this.#waiting++;
    this.#socket.send(bytes, to.port, to.address, () => this.#waiting--);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#socket.close();
    } catch { // it was not open yet
    }
  }
}
