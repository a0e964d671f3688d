// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { frameOf } from "./frame.ts";
import { Headers, IPPROTO_TCP, IPPROTO_UDP } from "./headers.ts";

function packet(...parts: (string | Uint8Array)[]): Uint8Array {
  const text = parts.map((part) => typeof part === "string" ? part.replaceAll(" ", "") : part.toHex()).join(
    "",
  );
  return Uint8Array.fromHex(text);
}
const MACS = "020000000002 020000000001";
const V6_ADDRESSES = "00".repeat(32);
const UDP = "0007 0007 0008 0000";
const TCP = "0001 0002 00000000 00000000 5010 ffff 0000 0000";

/** Name, frame, then: sound, version, protocol, l3, l4, fragment. */
const ROWS: [string, Uint8Array, boolean, number, number, number, number, boolean][] = [
  [
    "UDP over IPv4",
    packet(MACS, "0800 4500001c 00000000 40110000 00000000 00000000", UDP),
    true,
    4,
    17,
    14,
    34,
    false,
  ],
  [
    "IPv4 options",
    packet(MACS, "0800 46000020 00000000 40110000 0000000000000000 01010101", UDP),
    true,
    4,
    17,
    14,
    38,
    false,
  ],
  [
    "two VLAN tags",
    packet(MACS, "88a80001 81000002 0800 45000028 00000000 40060000 00000000 00000000", TCP),
    true,
    4,
    6,
    22,
    42,
    false,
  ],
  [
    "three VLAN tags",
    packet(MACS, "81000001 81000001 81000001 0800 45000028 00000000 40060000", TCP),
    false,
    0,
    0,
    22,
    0,
    false,
  ],
  [
    "a later fragment",
    packet(MACS, "0800 4500001c 00002001 40110000 00000000 00000000", UDP),
    false,
    4,
    17,
    14,
    34,
    true,
  ],
  [
    "a first fragment",
    packet(MACS, "0800 4500001c 00002000 40110000 00000000 00000000", UDP),
    false,
    4,
    17,
    14,
    34,
    true,
  ],
  [
    "don't fragment",
    packet(MACS, "0800 4500001c 00004000 40110000 00000000 00000000", UDP),
    true,
    4,
    17,
    14,
    34,
    false,
  ],
  [
    "an IPv4 header too short",
    packet(MACS, "0800 4400001c 00000000 40110000 00000000 00000000", UDP),
    false,
    0,
    0,
    14,
    0,
    false,
  ],
  [
    "IPv4 with version 6",
    packet(MACS, "0800 6500001c 00000000 40110000 00000000 00000000", UDP),
    false,
    0,
    0,
    14,
    0,
    false,
  ],
  ["IPv4 cut off", packet(MACS, "0800 4500001c 00000000 40110000 0000"), false, 0, 0, 14, 0, false],
  ["TCP over IPv6", packet(MACS, "86dd 60000000 0014 06 40", V6_ADDRESSES, TCP), true, 6, 6, 14, 54, false],
  [
    "hop-by-hop options",
    packet(MACS, "86dd 60000000 001c 00 40", V6_ADDRESSES, "0600010400000000", TCP),
    true,
    6,
    6,
    14,
    62,
    false,
  ],
  [
    "an IPv6 fragment",
    packet(MACS, "86dd 60000000 001c 2c 40", V6_ADDRESSES, "0600000100000000", TCP),
    false,
    6,
    6,
    14,
    62,
    true,
  ],
  [
    "a later IPv6 fragment, whose data look like an extension header",
    packet(MACS, "86dd 60000000 001c 2c 40", V6_ADDRESSES, "3c00058000000000", TCP),
    false,
    6,
    0x3c,
    14,
    62,
    true,
  ],
  [
    "authentication header",
    packet(MACS, "86dd 60000000 0020 33 40", V6_ADDRESSES, "1101 0000 00000000 00000000", UDP),
    true,
    6,
    17,
    14,
    66,
    false,
  ],
  [
    "extension headers without end",
    packet(MACS, "86dd 60000000 0080 00 40", V6_ADDRESSES, "0000000000000000".repeat(16)),
    false,
    0,
    0,
    14,
    0,
    false,
  ],
  [
    "an extension header past the end",
    packet(MACS, "86dd 60000000 0008 00 40", V6_ADDRESSES, "06ff000000000000"),
    false,
    6,
    6,
    14,
    54 + 2048,
    false,
  ],
  [
    "TCP cut off",
    packet(MACS, "0800 45000028 00000000 40060000 00000000 00000000 0001000200"),
    false,
    4,
    6,
    14,
    34,
    false,
  ],
  ["ARP", packet(MACS, "0806 0001 0800"), false, 0, 0, 14, 0, false],
  ["a runt", packet("0200"), false, 0, 0, 14, 0, false],
];
for (const [what, bytes, ...expected] of ROWS) {
  Deno.test(`Headers.parse: ${what}`, () => {
    const headers = new Headers();
    const sound = headers.parse(frameOf(bytes));
    const { version, protocol, l3, l4, fragment } = headers;
    assertEquals([sound, version, protocol, l3, l4, fragment], expected);
    if (sound) {
      assertEquals(headers.l4Bytes, protocol === IPPROTO_TCP ? 20 : protocol === IPPROTO_UDP ? 8 : 0);
    }
  });
}

Deno.test("Headers.parse: arbitrary bytes never leave the frame", () => {
  let x = 7;
  const headers = new Headers();
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from(
      { length: i % 120 },
      () => (x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 24,
    );
    bytes.set([0x08, 0x00, 0x45].slice(0, Math.max(0, bytes.length - 12)), Math.min(12, bytes.length));
    if (headers.parse(frameOf(bytes))) {
      assertEquals(headers.l4 + headers.l4Bytes <= bytes.length, true, `seed ${i}`);
    }
  }
});
