// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { bytesEqual, formatIpv4, formatMac, parseIpv4, parseIpv6, parseMac } from "./addresses.ts";

Deno.test("MAC addresses, as text and back", () => {
  assertEquals(parseMac("52:54:00:aB:cd:Ef"), Uint8Array.of(0x52, 0x54, 0, 0xab, 0xcd, 0xef));
  assertEquals(formatMac(Uint8Array.of(9, 0x52, 0x54, 0, 0xab, 0xcd, 0xef, 9), 1), "52:54:00:ab:cd:ef");
  for (
    const text of [
      "",
      "52:54:00:12:34",
      "52:54:00:12:34:5",
      "52:54:00:12:34:56:78",
      "52-54-00-12-34-56",
      "5g:54:00:12:34:56",
      " 52:54:00:12:34:56",
    ]
  ) {
    assertEquals(parseMac(text), undefined, text);
  }
});

Deno.test("IPv4 addresses, as text and back", () => {
  assertEquals(parseIpv4("10.0.2.255"), Uint8Array.of(10, 0, 2, 255));
  assertEquals(formatIpv4(Uint8Array.of(1, 10, 0, 2, 255), 1), "10.0.2.255");
  for (
    const text of [
      "",
      "10.0.2",
      "10.0.2.2.2",
      "10.0.2.256",
      "10.0.2.-1",
      "10.0.2.1000",
      "10.0.2.a",
      "10.0.2.2 ",
    ]
  ) {
    assertThrows(() => parseIpv4(text), ConfigError, JSON.stringify(text));
  }
});

// the examples of RFC 4291 §2.2, and the edges of "::"
const IPV6: [string, string][] = [
  ["abcd:ef01:2345:6789:abcd:ef01:2345:6789", "abcdef0123456789abcdef0123456789"],
  ["2001:db8:0:0:8:800:200c:417a", "20010db80000000000080800200c417a"],
  ["2001:DB8::8:800:200C:417A", "20010db80000000000080800200c417a"],
  ["ff01::101", "ff010000000000000000000000000101"],
  ["::1", "00000000000000000000000000000001"],
  ["::", "00000000000000000000000000000000"],
  ["1::", "00010000000000000000000000000000"],
  ["1:2:3:4:5:6:7::", "00010002000300040005000600070000"],
];
Deno.test("IPv6 addresses", () => {
  for (const [text, hex] of IPV6) assertEquals(parseIpv6(text).toHex(), hex, text);
  for (
    const text of [
      "",
      ":",
      ":::",
      "1",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1::2::3",
      "12345::",
      "g::",
      "1:2:3:4:5:6:7:8::",
      ":1:2:3:4:5:6:7",
      "fe80::1%eth0",
    ]
  ) assertThrows(() => parseIpv6(text), ConfigError, JSON.stringify(text));
});

Deno.test("bytesEqual compares all of the second, and none beyond the first", () => {
  const a = Uint8Array.of(1, 2, 3, 4);
  assertEquals(bytesEqual(a, Uint8Array.of(2, 3), 1), true);
  assertEquals(bytesEqual(a, Uint8Array.of(2, 4), 1), false);
  assertEquals(bytesEqual(a, Uint8Array.of(4, 0), 3), false);
  assertEquals(bytesEqual(a, Uint8Array.of(), 5), false);
  assertEquals(bytesEqual(a, Uint8Array.of(), 4), true);
});
