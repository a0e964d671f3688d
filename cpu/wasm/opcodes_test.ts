// SPDX-License-Identifier: MIT
/** Every operation of the tables, judged by V8; some by the bytes in the specification (WebAssembly Core 2.0 §5.4). @module */
import { assertEquals } from "@std/assert";
import { FunctionBody, ModuleBuilder } from "./encoder.ts";
import { leb, OPS } from "./opcodes.ts";

Deno.test("every operation has the signature the specification gives it", () => {
  const wrong: string[] = [];
  for (const [name, op] of OPS) {
    const module = new ModuleBuilder();
    const body = new FunctionBody(op.params.length);
    op.params.forEach((_, i) => body.get(i));
    body.code.raw(op.bytes);
    if (op.lane) body.code.u8(0);
    module.addFunction(module.type(op.params, [op.result]), body);
    if (!WebAssembly.validate(module.encode())) wrong.push(name);
  }
  assertEquals(wrong, []);
  assertEquals(OPS.size > 250, true);
});

Deno.test("operations are encoded as the specification lists them", () => {
  const bytes = (name: Parameters<typeof OPS.get>[0]) => OPS.get(name)?.bytes;
  assertEquals(bytes("i32.lt_u"), [0x49]);
  assertEquals(bytes("i64.rotr"), [0x8a]);
  assertEquals(bytes("f64.copysign"), [0xa6]);
  assertEquals(bytes("i64.extend32_s"), [0xc4]);
  assertEquals(bytes("i64.trunc_sat_f64_u"), [0xfc, 7]);
  assertEquals(bytes("i8x16.swizzle"), [0xfd, 14]);
  assertEquals(bytes("i32x4.dot_i16x8_s"), [0xfd, 0xba, 1]);
  assertEquals(bytes("f64x2.convert_low_i32x4_u"), [0xfd, 0xff, 1]);
});

Deno.test("unsigned LEB128", () => {
  assertEquals([leb(0), leb(127), leb(128), leb(624_485)], [[0], [127], [0x80, 1], [0xe5, 0x8e, 0x26]]);
});
