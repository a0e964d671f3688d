// SPDX-License-Identifier: MIT
/** Locals that keep their values, br_table, tables, and branch hints. Rules: WebAssembly Core §5, branch hinting proposal. @module */
import { assertEquals, assertThrows } from "@std/assert";
import { FunctionBody, ModuleBuilder, tableModule } from "./encoder.ts";

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

Deno.test("functions go into their slots of a table of one type and of a table of any", () => {
  const bytes = tableModule("t", 8, ["i32"], ["i32"]);
  const one = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.t as WebAssembly.Table;
  const any = new WebAssembly.Table({ element: "anyfunc", initial: 4, maximum: 4 });
  const module = new ModuleBuilder();
  const other = module.type([], ["i64"]), type = module.type(["i32"], ["i32"]);
  module.importTable("e", "one", 8, type);
  module.importTable("e", "any", 4);
  const constant = (value: number, opcode: number, params: number) => {
    const body = new FunctionBody(params);
    body.code.raw([opcode, value]);
    return body;
  };
  // Slots 2, 3 and 6; the run ends where another table comes between.
  for (const slot of [2, 3]) module.addFunction(type, constant(10 + slot, I32_CONST, 1), { place: { slot } });
  module.addFunction(other, constant(5, 0x42, 0), { place: { table: 1, slot: 3 } });
  module.addFunction(type, constant(16, I32_CONST, 1), { place: { slot: 6 } });
  const caller = new FunctionBody(1);
  caller.code.raw([I32_CONST, 0]);
  caller.get(0);
  caller.code.raw([0x11, type, 0]); // call_indirect
  module.addFunction(type, caller, { exportName: "f" });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { e: { one, any } });
  const f = exports.f as (slot: number) => number;
  assertEquals([2, 3, 6].map(f), [12, 13, 16]);
  for (const slot of [0, 4, 8]) assertThrows(() => f(slot), WebAssembly.RuntimeError);
  const entries = [0, 1, 2, 3].map((slot) => any.get(slot) as (() => bigint) | null);
  assertEquals(entries.map((entry) => entry?.()), [undefined, undefined, undefined, 5n]);
  one.set(4, one.get(2));
  assertEquals(f(4), 12);
  assertThrows(() => one.set(4, any.get(3)), TypeError);
  assertThrows(() => one.set(4, null), TypeError);
});

Deno.test("bodies that are written by turns keep apart, and one that is done takes nothing more", () => {
  const done = new FunctionBody(1);
  done.get(0);
  moduleOf(done);
  const bodies = [new FunctionBody(1), new FunctionBody(1)];
  // x + 1 + 1 + ... of one, x - 1 - 1 - ... of the other, so many that both need more room
  for (const body of bodies) body.get(0);
  for (let i = 0; i < 2000; i++) {
    bodies.forEach((body, other) => {
      body.code.i32Const(1);
      body.code.u8(other === 0 ? 0x6a : 0x6b);
      const value = body.pop("i32");
      body.code.pair(0x01, 0x01); // nop: the value is no longer on the stack
      body.push(value);
    });
  }
  assertEquals(bodies.map((body) => run(body)(10)), [2010, -1990]);
  assertThrows(() => done.get(0), Error, "done");
  assertThrows(() => bodies[0]?.pop("i32"), Error, "done");
});

Deno.test("a module that begins like another has its types and imports, and leaves it alone", () => {
  const like = new ModuleBuilder(), unary = like.type(["i32"], ["i32"]);
  const imported = like.importFunction("e", "f", unary);
  const modules = [5, 7].map((value) => {
    const module = new ModuleBuilder(like), body = new FunctionBody(1);
    assertEquals(module.type(["i32"], ["i32"]), unary);
    assertEquals(module.type([], ["i64"]), unary + 1);
    body.code.i32Const(value);
    body.code.u8(0x10); // call
    body.code.u32(imported);
    module.addFunction(unary, body, { exportName: "g" });
    return new WebAssembly.Module(module.encode());
  });
  const results = modules.map((module) => {
    const { exports } = new WebAssembly.Instance(module, { e: { f: (x: number) => x * 2 } });
    return (exports.g as (x: number) => number)(0);
  });
  assertEquals(results, [10, 14]);
  assertEquals(like.type([], ["f32"]), unary + 1);
});
