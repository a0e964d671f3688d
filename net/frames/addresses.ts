// SPDX-License-Identifier: MIT
/** Link and network addresses as bytes and as text: RFC 4291 §2.2 and dotted quads. @module */
import { ConfigError } from "../../cpu/base/assert.ts";

/** Six bytes of ff. */
export const MAC_BROADCAST: Uint8Array = new Uint8Array(6).fill(0xff);

/** "52:54:00:12:34:56" as bytes; undefined when it is none. */
export function parseMac(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
}

/** The same for the address of one interface: no group's, and not all zeros, which Linux takes for none. */
export function parseInterfaceMac(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = parseMac(text);
  const fits = bytes !== undefined && ((bytes[0] as number) & 1) === 0 && bytes.some((byte) => byte !== 0);
  return fits ? bytes : undefined;
}

/** Bytes as "52:54:00:12:34:56". */
export function formatMac(bytes: Uint8Array, at = 0): string {
  return Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** "10.0.2.2" as bytes. Throws ConfigError. */
export function parseIpv4(text: string): Uint8Array<ArrayBuffer> {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const parts = match?.slice(1).map(Number) ?? [];
  if (parts.length !== 4 || parts.some((part) => part > 255)) {
    throw new ConfigError(`Cannot use ${JSON.stringify(text)} as IPv4 address`);
  }
  return Uint8Array.from(parts);
}

/** Four bytes as "10.0.2.2". */
export function formatIpv4(bytes: Uint8Array, at = 0): string {
  return bytes.subarray(at, at + 4).join(".");
}

/** "fd00::2" as bytes (no embedded IPv4, no zone). Throws ConfigError. */
export function parseIpv6(text: string): Uint8Array<ArrayBuffer> {
  const halves = text.split("::");
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const given = groups.flat();
  const missing = 8 - given.length;
  const valid = given.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) &&
    (halves.length === 1 ? missing === 0 : halves.length === 2 && missing >= 1);
  if (!valid) throw new ConfigError(`Cannot use ${JSON.stringify(text)} as IPv6 address`);
  const words = [...(groups[0] ?? []), ...Array<string>(missing).fill("0"), ...(groups[1] ?? [])];
  const bytes = new Uint8Array(16);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint16(i * 2, parseInt(word, 16)));
  return bytes;
}

/** Sixteen bytes as "fd00::2": RFC 5952, but for embedded IPv4 addresses. */
export function formatIpv6(bytes: Uint8Array, at = 0): string {
  const words = Array.from({ length: 8 }, (_, i) => {
    return ((bytes[at + 2 * i] as number) << 8) | (bytes[at + 2 * i + 1] as number);
  });
  let [start, length] = [0, 1]; // the first of the longest runs of zeros; one zero is none
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (words[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  const text = (part: number[]) => part.map((word) => word.toString(16)).join(":");
  return length < 2 ? text(words) : `${text(words.slice(0, start))}::${text(words.slice(start + length))}`;
}

/** True when both have the same bytes from `at` on. */
export function bytesEqual(a: Uint8Array, b: Uint8Array, at = 0): boolean {
  for (let i = 0; i < b.length; i++) if (a[at + i] !== b[i]) return false;
  return a.length >= at + b.length;
}
