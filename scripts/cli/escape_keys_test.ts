// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { EscapeKeys } from "./escape_keys.ts";

const typed = (text: string) => new TextEncoder().encode(text);
/** Feeds `chunks`; what the guest got, and what we were asked for. */
function feed(...chunks: string[]): [string, string[]] {
  const keys = new EscapeKeys();
  let data = "";
  const actions: string[] = [];
  for (const chunk of chunks) {
    const result = keys.feed(typed(chunk));
    data += new TextDecoder().decode(result.data);
    actions.push(...result.actions);
  }
  return [data, actions];
}

const CASES: readonly (readonly [string, string[], [string, string[]]])[] = [
  ["ordinary keys, Ctrl-C among them, are the guest's", ["ls -l\r\x03"], ["ls -l\r\x03", []]],
  ["Ctrl-A x quits", ["\x01x"], ["", ["quit"]]],
  ["what follows Ctrl-A x is nobody's", ["a\x01xb"], ["a", ["quit"]]],
  ["Ctrl-A h helps, and typing goes on", ["a\x01hb"], ["ab", ["help"]]],
  ["Ctrl-A c switches consoles", ["a\x01cb\x01C"], ["ab", ["switch", "switch"]]],
  ["Ctrl-A Ctrl-A and Ctrl-A a send Ctrl-A", ["\x01\x01x\x01ax"], ["\x01x\x01x", []]],
  ["Ctrl-A and its key may come apart", ["\x01", "x"], ["", ["quit"]]],
  ["unknown keys after Ctrl-A are dropped", ["\x01zq"], ["q", []]],
];
for (const [name, chunks, expected] of CASES) {
  Deno.test(`EscapeKeys: ${name}`, () => assertEquals(feed(...chunks), expected));
}
