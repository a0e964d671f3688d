// SPDX-License-Identifier: MIT
/**
 * Unprivileged ICMP echo: Linux's ping sockets (icmp(7), net.ipv4.ping_group_range), by FFI. A door to the host, like
 * libc.ts.
 * @module
 */
import { parseIpv4, parseIpv6 } from "../frames/addresses.ts";
import { libc, mayUseLibc } from "./libc.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const LONGEST = 65_536;

/** See the module's description. */
export class PingSocket {
  readonly #buffer = new Uint8Array(LONGEST);

  private constructor(readonly fd: number, readonly version: 4 | 6) {}

  /** A socket, or undefined where the host does not let us have one. */
  static open(version: 4 | 6): PingSocket | undefined {
    if (!mayUseLibc()) return undefined;
    const family = version === 4 ? AF_INET : AF_INET6;
    const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    const fd = libc().call.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    return fd < 0 ? undefined : new PingSocket(fd, version);
  }

  /** Sends an echo request; the host fills in identifier and checksum. */
  send(message: Uint8Array, to: string): boolean {
    const address = new Uint8Array(this.version === 4 ? 16 : 28); // struct sockaddr_in, sockaddr_in6
    address[0] = this.version === 4 ? AF_INET : AF_INET6;
    if (this.version === 4) address.set(parseIpv4(to), 4);
    else address.set(parseIpv6(to), 8);
    const bytes = new Uint8Array(message);
    return libc().call.sendto(this.fd, bytes, BigInt(bytes.length), 0, address, address.length) >= 0;
  }

  /** The next reply, or undefined. Valid until the next call. */
  receive(): Uint8Array | undefined {
    const length = libc().call.recv(this.fd, this.#buffer, BigInt(LONGEST), 0);
    return length < 0 ? undefined : this.#buffer.subarray(0, length);
  }

  close(): void {
    libc().call.close(this.fd);
  }
}
