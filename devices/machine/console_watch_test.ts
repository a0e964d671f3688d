// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { ConsoleWatch, type Sighting } from "./console_watch.ts";

/** What is seen in `chunks`, alternating between nothing and each other. */
function seen(chunks: readonly (string | Uint8Array)[], failOn?: RegExp, panics = true): Sighting[] {
  const found: Sighting[] = [];
  const watch = new ConsoleWatch(failOn, panics, (sighting) => found.push(sighting));
  for (const chunk of chunks) {
    watch.feed(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk, "console");
  }
  return found;
}
const panic = (detail: string): Sighting => ({ reason: "panic", detail });

// lines as kernels of Debian, FreeBSD and Xen have printed them
const CASES: readonly (readonly [text: string, sightings: readonly Sighting[]])[] = [
  ["[    1.234567] Kernel panic - not syncing: sysrq triggered crash\r\n", [panic("sysrq triggered crash")]],
  ["Kernel panic - not syncing: VFS: Unable to mount root fs\n", [panic("VFS: Unable to mount root fs")]],
  ["<0>[   12.5][    T1] Kernel panic - not syncing: Fatal exception\n", [panic("Fatal exception")]],
  ["[    2.0] ---[ end Kernel panic - not syncing: x ]---\n", ["over"]],
  [
    "[    2.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300\n",
    [{ reason: "init", status: 3, detail: "init exited with status 3" }],
  ],
  [
    "[    2.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000\n",
    [{ reason: "init", status: 0, detail: "init exited with status 0" }],
  ],
  [
    "[    2.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n",
    [{ reason: "init", status: 139, detail: "init was killed by signal 11" }],
  ],
  ["panic: page fault\ncpuid = 0\ntime = 1\n", [panic("panic: page fault")]],
  ["(XEN) Panic on CPU 0:\n", [panic("(XEN) Panic on CPU 0:")]],
  // what is no panic: a program of Go, somebody who talks about one, a line that has not ended
  ["panic: runtime error: index out of range\n\ngoroutine 1 [running]:\n", []],
  ["grep 'Kernel panic - not syncing: x' log\n", []],
  ["[    1.0] Kernel panic - not syncing: x", []],
  ["\x1b[1m[    1.0] Kernel\n", []],
];
for (const [text, sightings] of CASES) {
  Deno.test(`ConsoleWatch: ${JSON.stringify(text).slice(0, 70)}`, () => {
    assertEquals(seen([text]), [...sightings]);
    assertEquals(seen([...text]), [...sightings], "letter by letter");
    assertEquals(seen([text], undefined, false), [], "when it does not look");
  });
}

Deno.test("ConsoleWatch finds what the user waits for, in each line again", () => {
  const line = "[  1.0] BUG: KASAN: use-after-free\n";
  const hit: Sighting = { reason: "fail-on", detail: "[  1.0] BUG: KASAN: use-after-free" };
  assertEquals(seen([line, "ok\n", line], /BUG:|Oops/g), [hit, hit]);
  assertEquals(seen([line], /bug/i), [hit]);
  assertEquals(seen(["\x1b[31mbad\x07\x1b[0m\n"], /bad/), [{ reason: "fail-on", detail: "bad" }]);
});

Deno.test("ConsoleWatch keeps consoles apart, and no more of a line than is looked at", () => {
  const found: Sighting[] = [];
  const watch = new ConsoleWatch(/ab/, true, (sighting) => found.push(sighting));
  watch.feed(new TextEncoder().encode("a"), "console");
  watch.feed(new TextEncoder().encode("b\n"), "serial");
  assertEquals(found, []);
  for (let i = 0; i < 1000; i++) watch.feed(new Uint8Array(10_000).fill(0x78), "serial"); // 10 MB without an end
  watch.feed(new TextEncoder().encode("ab\nab\n"), "serial");
  assertEquals(found, [{ reason: "fail-on", detail: "ab" }]);
});
