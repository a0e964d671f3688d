// SPDX-License-Identifier: MIT
/** The x87 on recorded results of a real processor, and what those cannot show. @module */
import { assert, assertEquals } from "@std/assert";
import vectors from "./vectors.json" with { type: "json" };
import { everyEncoding, judge, makeCase, Random, RECORD_BYTES, runOurs } from "./_vectors.ts";
import { formOf, x87Operand } from "./instructions.ts";
import { emms, enterMmx, loadFxsave, storeFxsave, writeMmx, X87_STATE } from "./x87_state.ts";
import { X87, X87_MF, X87_OK, X87_UD } from "./x87.ts";

const AT = X87_STATE.at;
const OPERAND = X87_STATE.size;

/** A fresh unit after FNINIT, its memory filled with a pattern. */
function make(): { x: X87; view: DataView } {
  const view = new DataView(new ArrayBuffer(OPERAND + 1024));
  for (let n = OPERAND; n < view.byteLength; n++) view.setUint8(n, 0xa5);
  const x = new X87(view, 0, OPERAND);
  assertEquals(x.execute(0xdb, 0xe3), X87_OK);
  return { x, view };
}
function words(view: DataView, at: number, count: number): string {
  const text: string[] = [];
  for (let n = 0; n < count; n++) text.push(view.getUint16(at + 2 * n, true).toString(16).padStart(4, "0"));
  return text.join(" ");
}

Deno.test("every instruction gives what the recorded processor gave", async () => {
  const packed = Uint8Array.from(atob(vectors.deflate), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const both = new Uint8Array(await new Response(stream).arrayBuffer());
  const half = vectors.records * RECORD_BYTES;
  assertEquals(both.length, 2 * half);
  for (let n = 0; n < half; n++) both[half + n] = (both[half + n] as number) ^ (both[n] as number);
  const complaints = judge(new DataView(both.buffer, 0, half), new DataView(both.buffer, half, half));
  assertEquals(complaints, []);
});

Deno.test("the judge notices a wrong bit", () => {
  const input = new DataView(new ArrayBuffer(RECORD_BYTES));
  const real = new DataView(new ArrayBuffer(RECORD_BYTES));
  makeCase(new Random(7), input, 0, 0xd8, 0xc1);
  runOurs(input, real, 0);
  assertEquals(judge(input, real), []);
  real.setUint8(16, real.getUint8(16) ^ 1);
  assertEquals(judge(input, real).length, 1);
});

Deno.test("the state record has FXSAVE's order and 16-byte slots", () => {
  assertEquals(X87_STATE.size, 160);
  assertEquals([AT.fcw, AT.fsw, AT.ftw, AT.fop, AT.fip, AT.fdp, AT.r], [0, 2, 4, 6, 8, 16, 32]);
});

Deno.test("FNINIT sets the power-up control word and empties the stack", () => {
  const { view } = make();
  assertEquals([view.getUint16(AT.fcw, true), view.getUint16(AT.fsw, true), view.getUint8(AT.ftw)], [
    0x37f,
    0,
    0,
  ]);
});

const OPERANDS: [number, number, boolean, string, number][] = [
  [0xd8, 0xc1, false, "none", 0],
  [0xd8, 0x05, false, "load", 4],
  [0xd9, 0x2d, false, "load", 2],
  [0xd9, 0x35, false, "store", 28],
  [0xd9, 0x35, true, "store", 14],
  [0xd9, 0x0d, false, "invalid", 0],
  [0xdb, 0x7d, false, "store", 10],
  [0xdc, 0x05, false, "load", 8],
  [0xdd, 0x75, false, "store", 108],
  [0xdd, 0x65, true, "load", 94],
  [0xdd, 0x3d, true, "store", 2],
  [0xdf, 0x25, false, "load", 10],
  [0xdf, 0xe0, false, "ax", 0],
];
for (const [op, modrm, short, kind, bytes] of OPERANDS) {
  Deno.test(`x87Operand: ${formOf(op, modrm).name}, ${short ? 16 : 32}-bit operand size: ${kind} ${bytes}`, () => {
    assertEquals(x87Operand(op, modrm, short), { kind, bytes } as ReturnType<typeof x87Operand>);
  });
}

Deno.test("an unmasked exception waits for the next waiting instruction", () => {
  const { x, view } = make();
  view.setUint16(OPERAND, 0x37b, true); // ZM clear
  x.execute(0xd9, 0x2d); // FLDCW
  x.execute(0xd9, 0xe8); // FLD1
  x.execute(0xd9, 0xee); // FLDZ
  assertEquals(x.pending, false);
  assertEquals(x.execute(0xde, 0xf9), X87_OK); // FDIVP: 1/0
  assertEquals(x.pending, true);
  assertEquals(view.getUint8(AT.ftw), 0xc0); // nothing popped
  assertEquals(x.execute(0xd9, 0xe8), X87_MF);
  assertEquals(x.execute(0xdf, 0xe0), X87_OK); // FNSTSW AX does not wait
  assertEquals(x.execute(0xdb, 0xe2), X87_OK); // FNCLEX
  assertEquals(x.execute(0xd9, 0xe8), X87_OK);
});

/** FSIN of 2^n, FPATAN of 2^n / 1: a little below 2^n. */
const BELOW: [string, number, number[]][] = [["FSIN", -64, [0xfe]], [
  "FPATAN",
  -100,
  [0xe8, 0xf3],
], ["FPATAN", -140, [0xe8, 0xf3]]];
for (const [name, n, modrms] of BELOW) {
  Deno.test(`${name} of 2^${n} is below that, whatever the rounding makes of it`, () => {
    for (
      const [rc, significand, c1] of [[0, 1n << 63n, 0x200], [2, 1n << 63n, 0x200], [
        3,
        (1n << 64n) - 1n,
        0,
      ]] as const
    ) {
      const { x, view } = make();
      view.setUint16(OPERAND, 0x37f | rc << 10, true);
      x.execute(0xd9, 0x2d); // FLDCW
      view.setBigUint64(OPERAND, 1n << 63n, true);
      view.setUint16(OPERAND + 8, 0x3fff + n, true);
      x.execute(0xdb, 0x2d); // FLD m80
      for (const modrm of modrms) x.execute(0xd9, modrm);
      const at = AT.r + 7 * 16;
      assertEquals(view.getBigUint64(at, true), significand);
      assertEquals(view.getUint16(AT.fsw, true) & 0x220, c1 | 0x20);
    }
  });
}

Deno.test("FLDCW that unmasks a raised flag makes it pending", () => {
  const { x, view } = make();
  x.execute(0xd9, 0xe8);
  x.execute(0xd9, 0xee);
  x.execute(0xde, 0xf9); // masked: infinity
  assertEquals(x.pending, false);
  view.setUint16(OPERAND, 0x37b, true);
  x.execute(0xd9, 0x2d);
  assertEquals(x.execute(0xd9, 0xd0), X87_MF);
});

Deno.test("a store that an unmasked exception suppresses leaves memory and stack alone", () => {
  const { x, view } = make();
  view.setUint16(OPERAND, 0x37e, true); // IM clear
  x.execute(0xd9, 0x2d);
  view.setFloat64(OPERAND, 1e300, true);
  x.execute(0xdd, 0x05);
  view.setUint32(OPERAND, 0x1234_5678, true);
  assertEquals(x.execute(0xdb, 0x1d), X87_OK); // FISTP m32
  assertEquals(x.storeBytes, 0);
  assertEquals(view.getUint32(OPERAND, true), 0x1234_5678);
  assertEquals(view.getUint8(AT.ftw), 0x80);
  assertEquals(x.pending, true);
});

Deno.test("cancelStore takes back pop, flags and pointers", () => {
  const { x, view } = make();
  x.execute(0xd9, 0xeb); // FLDPI
  const before = words(view, 0, 16);
  x.ipLow = 0x1000;
  x.execute(0xd9, 0x1d); // FSTP m32: inexact
  assert(words(view, 0, 16) !== before);
  assertEquals(x.storeBytes, 4);
  x.cancelStore();
  assertEquals(words(view, 0, 16), before);
  x.execute(0xdd, 0x35); // FNSAVE
  x.cancelStore();
  assertEquals(words(view, 0, 16), before);
});

/** FCS:FIP 1234:89ab5678, FDS:FDP 4321:cdef9abc, FOP 55d (FSTP m64). */
function withPointers(): { x: X87; view: DataView } {
  const { x, view } = make();
  Object.assign(x, { ipLow: 0x89ab_5678, cs: 0x1234, dpLow: 0xcdef_9abc, ds: 0x4321 });
  x.execute(0xd9, 0xe8);
  x.execute(0xdd, 0x5d); // FSTP m64
  return { x, view };
}

// SDM Vol. 1 figures 8-9 to 8-12; the linear addresses are 89ac79b8 and cdf3cccc.
const ENVIRONMENTS: [string, boolean, boolean, string][] = [
  [
    "32-bit protected",
    false,
    false,
    "037f ffff 0000 ffff ffff ffff 5678 89ab 1234 055d 9abc cdef 4321 ffff",
  ],
  ["16-bit protected", true, false, "037f 0000 ffff 5678 1234 9abc 4321 a5a5"],
  ["32-bit real", false, true, "037f ffff 0000 ffff ffff ffff 79b8 ffff c55d 089a cccc ffff 3000 0cdf"],
  ["16-bit real", true, true, "037f 0000 ffff 79b8 c55d cccc 3000 a5a5"],
];
for (const [name, short, real, expected] of ENVIRONMENTS) {
  Deno.test(`FNSTENV writes the ${name} format, and FLDENV reads it`, () => {
    const { x, view } = withPointers();
    x.envFormat = { short, real };
    for (let n = 0; n < 32; n++) view.setUint8(OPERAND + n, 0xa5);
    x.execute(0xd9, 0x35);
    assertEquals(words(view, OPERAND, expected.split(" ").length), expected);
    assertEquals(view.getUint16(AT.fcw, true), 0x37f);
    x.execute(0xdb, 0xe3);
    assertEquals(view.getUint32(AT.fip, true), 0);
    x.execute(0xd9, 0x25);
    x.execute(0xd9, 0x35);
    assertEquals(words(view, OPERAND, expected.split(" ").length), expected);
  });
}

Deno.test("control instructions leave the pointers alone", () => {
  const { x, view } = withPointers();
  x.ipLow = 1;
  for (const [op, modrm] of [[0xd9, 0x2d], [0xd9, 0x3d], [0xdb, 0xe2], [0xdf, 0xe0]] as const) {
    view.setUint16(OPERAND, 0x37f, true);
    x.execute(op, modrm);
  }
  assertEquals(view.getUint32(AT.fip, true), 0x89ab_5678);
  assertEquals(view.getUint16(AT.fop, true), 0x55d);
});

Deno.test("FXSAVE holds ST order and abridged tags by register, and FXRSTOR brings all back", () => {
  for (const wide of [false, true]) {
    const { x, view } = make();
    x.cs = 0x33;
    x.ipHigh = wide ? 0x7fff : 0;
    x.ipLow = 0x1111_2222;
    for (const modrm of [0xe8, 0xeb, 0xee]) x.execute(0xd9, modrm); // 1, pi, 0
    const image = OPERAND + 128;
    const before = words(view, 0, 12);
    storeFxsave(view, 0, image, wide);
    assertEquals(words(view, image, 4), "037f 2800 00e0 01ee");
    assertEquals(words(view, image + 8, 4), wide ? "2222 1111 7fff 0000" : "2222 1111 0033 0000");
    assertEquals(words(view, image + 32, 5), "0000 0000 0000 0000 0000");
    assertEquals(words(view, image + 48, 5), "c235 2168 daa2 c90f 4000");
    assertEquals(words(view, image + 42, 3), "a5a5 a5a5 a5a5");
    assertEquals(words(view, image + 24, 4), "a5a5 a5a5 a5a5 a5a5"); // MXCSR is not ours
    x.execute(0xdb, 0xe3);
    x.execute(0xd9, 0xe8);
    loadFxsave(view, 0, image, wide);
    assertEquals(words(view, 0, 12), before);
    assertEquals(words(view, AT.r + 5 * 16, 5), "0000 0000 0000 0000 0000");
    assertEquals(words(view, AT.r + 6 * 16, 5), "c235 2168 daa2 c90f 4000");
  }
});

Deno.test("MMX takes the stack over and EMMS gives it back", () => {
  const { x, view } = make();
  x.execute(0xd9, 0xe8);
  enterMmx(view, 0);
  writeMmx(view, 0, 3, 0x1234_5678, 0x9abc_def0);
  assertEquals([view.getUint8(AT.ftw), view.getUint16(AT.fsw, true) & 0x3800], [0xff, 0]);
  assertEquals(words(view, AT.r + 3 * 16, 5), "5678 1234 def0 9abc ffff");
  emms(view, 0);
  assertEquals(view.getUint8(AT.ftw), 0);
  assertEquals(words(view, AT.r + 3 * 16, 4), "5678 1234 def0 9abc");
});

Deno.test("no state and no encoding makes the unit throw or leave its memory", () => {
  const random = new Random(20260101);
  const view = new DataView(new ArrayBuffer(OPERAND + 256));
  const x = new X87(view, 0, OPERAND);
  const seen = new Set<number>();
  for (const [op, modrm] of everyEncoding()) {
    for (let n = 0; n < 20; n++) {
      for (let at = 0; at < OPERAND + 108; at += 2) view.setUint16(at, random.u32() & 0xffff, true);
      for (let at = OPERAND + 108; at < view.byteLength; at++) view.setUint8(at, 0x5a);
      x.envFormat = { short: n % 2 === 1, real: n % 4 > 1 };
      seen.add(x.execute(op, modrm));
      for (let at = OPERAND + 108; at < view.byteLength; at++) assertEquals(view.getUint8(at), 0x5a);
    }
  }
  assertEquals([...seen].sort(), [X87_OK, X87_MF, X87_UD]);
});
