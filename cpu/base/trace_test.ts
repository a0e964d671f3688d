// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Tracer } from "./trace.ts";

function tracing(categories: string[] = []): { tracer: Tracer; lines: string[] } {
  const tracer = new Tracer();
  const lines: string[] = [];
  tracer.configure((category, message) => lines.push(`${category}: ${message}`), categories);
  return { tracer, lines };
}

Deno.test("Tracer passes categories that are on, and every warning once", () => {
  const { tracer, lines } = tracing(["net"]);
  tracer.log("net", "a");
  tracer.log("bus", "b");
  tracer.warnOnce("key", "c");
  tracer.warnOnce("key", "c");
  tracer.unimplemented("d");
  assertEquals(lines, ["net: a", "warning: c", "warning: not implemented: d"]);
  assertEquals([tracer.counters.get("key"), tracer.counters.get("unimplemented.d")], [2, 1]);
  assertEquals([tracer.on("net"), tracer.on("bus")], [true, false]);
});

Deno.test("Tracer keeps no more than 200 different warnings, however many numbers a guest tries", () => {
  const { tracer, lines } = tracing();
  for (let i = 0; i < 100_000; i++) tracer.unimplemented(`operation ${i}`);
  tracer.unimplemented("operation 7");
  assertEquals([lines.length, tracer.counters.values.size], [200, 201]);
  assertEquals(tracer.counters.get("warnings.more"), 99_800);
  assertEquals(tracer.counters.get("unimplemented.operation 7"), 2);
});
