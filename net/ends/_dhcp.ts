// SPDX-License-Identifier: MIT
/** DHCP messages of a client, for tests. @module */

/** The client, unless said otherwise. */
export const GUEST_MAC = "020000000001";

/** Bytes from hexadecimal digits. */
export function hex(...parts: string[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(parts.join("").replaceAll(" ", "")) as Uint8Array<ArrayBuffer>;
}

/** A client's message; `options`: in hexadecimal, after the message type. */
export function message(
  type: number,
  options: string,
  fields: { mac?: string; ciaddr?: string; flags?: string } = {},
) {
  const fixed = hex("01 01 06 00 cafebabe 0000", fields.flags ?? "0000", fields.ciaddr ?? "00000000");
  const bytes = new Uint8Array(240);
  bytes.set(fixed);
  bytes.set(hex(fields.mac ?? GUEST_MAC), 28);
  bytes.set(hex("63825363"), 236);
  return new Uint8Array([...bytes, ...hex("3501", type.toString(16).padStart(2, "0"), options, "ff")]);
}
/** The address that an answer gives. */
export const yiaddr = (payload: Uint8Array | undefined) => payload?.subarray(16, 20).join(".");
