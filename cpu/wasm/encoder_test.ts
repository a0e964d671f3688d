// SPDX-License-Identifier: MIT
/** Locals that keep their values, br_table, and branch hints. Rules: WebAssembly Core §5, branch hinting proposal. @module */
import { assertEquals } from "@std/assert";
import { FunctionBody, ModuleBuilder } from "./encoder.ts";

const LOCAL_GET_0 = [0x20, 0],
  I32_CONST = 0x41,
  IF = [0x04, 0x40],
  END = 0x0b,
  RETURN = 0x0f,
  BLOCK = [0x02, 0x40];

function moduleOf(body: FunctionBody): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.addFunction(module.type(["i32"], ["i32"]), body, { exportName: "f" });
  return module.encode();
}
function run(body: FunctionBody): (x: number) => number {
  return new WebAssembly.Instance(new WebAssembly.Module(moduleOf(body))).exports.f as (x: number) => number;
}

Deno.test("a pinned local is 0 at first, and no other local takes its place", () => {
  const body = new FunctionBody(1);
  const pinned = body.pinned("i32");
  // A temporary that dies before the pinned local is read again.
  const temporary = body.local("i32");
  body.code.raw(LOCAL_GET_0);
  body.code.raw(IF);
  body.code.raw([I32_CONST, 5]);
  body.set(pinned);
  body.code.u8(END);
  body.code.raw([I32_CONST, 7]);
  body.set(temporary);
  body.get(temporary);
  body.code.u8(0x1a); // drop
  for (let i = 0; i < 2; i++) {
    const other = body.local("i32");
    body.code.raw([I32_CONST, 9]);
    body.set(other);
    body.code.raw([I32_CONST, 1, 0x1a]);
    body.get(other);
    body.code.u8(0x1a);
  }
  body.get(pinned);
  const f = run(body);
  assertEquals([f(0), f(1)], [0, 5]);
});

Deno.test("br_table goes by its operand, and to the last label beyond them", () => {
  const body = new FunctionBody(1);
  for (let i = 0; i < 3; i++) body.code.raw(BLOCK);
  body.get(0);
  body.brTable([2, 0], 1);
  for (let i = 0; i < 3; i++) body.code.raw([END, I32_CONST, 10 + i, ...(i < 2 ? [RETURN] : [])]);
  const f = run(body);
  assertEquals([0, 1, 2, 99].map(f), [12, 10, 11, 11]);
});

Deno.test("branch hints name the offsets of their ifs, whatever locals come between", () => {
  const body = new FunctionBody(1);
  const values: number[] = [];
  for (let i = 0; i < 200; i++) { // so many that their number takes two bytes
    const value = body.local("i32");
    body.code.raw([I32_CONST, 1]);
    body.set(value);
    values.push(value);
  }
  for (const [i, likely] of [[0, 0], [150, 1]] as const) {
    body.get(values[i] as number);
    body.hint(likely);
    body.code.raw(IF);
    body.get(values[i + 1] as number);
    body.code.raw([0x1a, END]);
  }
  values.forEach((value) => {
    body.get(value);
    body.code.u8(0x1a);
  });
  body.get(0);
  const bytes = moduleOf(body);
  const module = new WebAssembly.Module(bytes);
  const [section] = WebAssembly.Module.customSections(module, "metadata.code.branch_hint");
  const leb = (at: Uint8Array, i: number): [number, number] => {
    let value = 0, shift = 0, byte: number;
    do {
      byte = at[i++] as number;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    return [value, i];
  };
  const hints = new Uint8Array(section as ArrayBuffer);
  let i = 0;
  const next = () => {
    const [value, end] = leb(hints, i);
    i = end;
    return value;
  };
  assertEquals([next(), next(), next()], [1, 0, 2]); // one function, number 0, two hints
  const found = [0, 1].map(() => ({ offset: next(), length: next(), likely: next() }));
  assertEquals(i, hints.length);
  assertEquals(found.map((h) => [h.length, h.likely]), [[1, 0], [1, 1]]);
  // The code section is the last: id 10, size, count 1, body size, body.
  let at = 8, id = 0, size = 0;
  for (;;) {
    id = bytes[at] as number;
    [size, at] = leb(bytes, at + 1);
    if (id === 10) break;
    at += size;
  }
  let [, body0] = leb(bytes, at);
  [, body0] = leb(bytes, body0);
  for (const { offset } of found) assertEquals([...bytes.subarray(body0 + offset, body0 + offset + 2)], IF);
});
