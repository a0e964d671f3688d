// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { xencons_interface } from "../public/io/console.ts";
import { CONSOLE_INPUT_LIMIT, ConsoleBackend } from "./console.ts";

const AT = xencons_interface.at;

function setUp(start = 0) {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  for (const at of [AT.in_cons, AT.in_prod, AT.out_cons, AT.out_prod]) view.setUint32(at, start, true);
  const seen = { text: "", notified: 0 };
  const tracer = new Tracer();
  const console = new ConsoleBackend({
    page,
    tracer,
    notify: () => seen.notified++,
    output: (bytes) => seen.text += new TextDecoder().decode(bytes),
  });
  /** The guest prints: hvc_xen's way. */
  const print = (text: string) => {
    const prod = view.getUint32(AT.out_prod, true);
    for (let i = 0; i < text.length; i++) page[AT.out + (prod + i) % 2048] = text.charCodeAt(i);
    view.setUint32(AT.out_prod, prod + text.length, true);
    console.onEvent();
  };
  /** The guest reads what there is. */
  const read = () => {
    let text = "";
    let cons = view.getUint32(AT.in_cons, true);
    for (; cons !== view.getUint32(AT.in_prod, true); cons = (cons + 1) >>> 0) {
      text += String.fromCharCode(page[AT.in + cons % 1024] as number);
    }
    view.setUint32(AT.in_cons, cons, true);
    return text;
  };
  return { page, view, seen, tracer, console, print, read };
}

for (const start of [0, 0xffff_fe00]) {
  Deno.test(`console output arrives whole and in order, starting at index ${start}`, () => {
    const { print, seen, view } = setUp(start);
    print("hello ");
    print("x".repeat(2048));
    print("end\n");
    assertEquals(seen.text, "hello " + "x".repeat(2048) + "end\n");
    assertEquals(view.getUint32(AT.out_cons, true), view.getUint32(AT.out_prod, true));
    assertEquals(seen.notified, 3);
  });
  Deno.test(`console input waits for room and passes whole, starting at index ${start}`, () => {
    const { console, read, seen } = setUp(start);
    const text = "0123456789".repeat(300);
    assertEquals(console.send(new TextEncoder().encode(text)), 3000);
    assertEquals([console.pendingInput, seen.notified], [3000 - 1024, 1]);
    let got = read();
    for (let turns = 0; turns < 2; turns++) {
      console.onEvent();
      got += read();
    }
    assertEquals(got, text);
    assertEquals(console.pendingInput, 0);
  });
}

Deno.test("console takes no more input than its limit when the guest does not read", () => {
  const { console } = setUp();
  const block = new Uint8Array(CONSOLE_INPUT_LIMIT);
  assertEquals(console.send(block), CONSOLE_INPUT_LIMIT);
  assertEquals(console.send(block), 1024); // what went into the ring
  assertEquals(console.send(block), 0);
});

Deno.test("console takes what was printed before it was there", () => {
  const page = new Uint8Array(4096);
  page.set(new TextEncoder().encode("early"), AT.out);
  new DataView(page.buffer).setUint32(AT.out_prod, 5, true);
  let text = "";
  const console = new ConsoleBackend({
    page,
    notify: () => {},
    output: (b) => text += new TextDecoder().decode(b),
  });
  console.onEvent();
  assertEquals(text, "early");
});

Deno.test("console skips output when the indices are nonsense, and goes on", () => {
  const { print, seen, view, tracer } = setUp();
  view.setUint32(AT.out_prod, 5000, true);
  print("");
  assertEquals(seen.text, "");
  assertEquals(tracer.counters.get("console.overrun"), 1);
  print("fine");
  assertEquals(seen.text, "fine");
});

Deno.test("console writes nothing when the input indices are nonsense", () => {
  const { console, page, view, tracer, seen } = setUp();
  view.setUint32(AT.in_cons, 7, true);
  console.send(new TextEncoder().encode("abc"));
  assertEquals(page.slice(0, 1024), new Uint8Array(1024));
  assertEquals([tracer.counters.get("console.input"), seen.notified], [1, 0]);
  view.setUint32(AT.in_cons, 0, true);
  console.onEvent();
  assertEquals(new TextDecoder().decode(page.slice(0, 3)), "abc");
});

Deno.test("console notifies nobody when there is nothing", () => {
  const { console, seen } = setUp();
  console.onEvent();
  assertEquals(seen.notified, 0);
});
