// SPDX-License-Identifier: MIT
/** What is not ordinary, all exceptions being masked, needs no microcode, and is what cpu/fpu/sse makes of it. @module */
import { ENGINES } from "../../_bare_cpu.ts";
import { HOST_FUSES } from "../../emit/vector/host_fuses.ts";
import { checkLooks, type LookCase } from "./_look_cases.ts";

const convert = { operation: "convert" } as const;
/** By destination, VEX.vvvv and ModRM.rm, which are XMM0, XMM2 and XMM1. */
const FUSED: readonly LookCase[] = [
  ["VFMADD132SS", "c4e26999c1", "fmadd", "f32", 0],
  ["VFMADD231SD", "c4e2e9b9c1", "fmadd", "f64", 2],
  ["VFMSUB213SS", "c4e269abc1", "fmsub", "f32", 1],
  ["VFNMADD213PD", "c4e2e9acc1", "fnmadd", "f64", 1],
  ["VFNMSUB132PS ymm", "c4e26d9ec1", "fnmsub", "f32", 0],
  ["VFMADDSUB132PS", "c4e26996c1", "fmaddsub", "f32", 0],
  ["VFMSUBADD231PD ymm", "c4e2edb7c1", "fmsubadd", "f64", 2],
].map(([text, code, operation, type, order]) => ({
  text,
  code,
  operation,
  type,
  order,
  lanes: /S[SD]$/.test(text as string) ? "scalar" : "packed",
  vex: /ymm/.test(text as string) ? 256 : 128,
  leaves: type === "f32" ? 1 : 25,
} as LookCase));
/** What may have an inexact result: directed rounding of what is special besides is left to the SSE unit. */
const ARITHMETIC: readonly LookCase[] = [
  ["ADDSS", "f30f58c1", "add", "f32"],
  ["SUBPD", "660f5cc1", "sub", "f64"],
  ["MULPS", "0f59c1", "mul", "f32"],
  ["DIVSD", "f20f5ec1", "div", "f64"],
  ["SQRTPS", "0f51c1", "sqrt", "f32"],
  ["ADDSUBPS", "f20fd0c1", "addsub", "f32"],
  ["VADDSUBPD ymm", "c5fdd0c1", "addsub", "f64"],
  ["HADDPS", "f20f7cc1", "hadd", "f32"],
].map(([text, code, operation, type]) => ({
  text,
  code,
  operation,
  type,
  lanes: /S[SD]$/.test(text as string) ? "scalar" : "packed",
  ...(/ymm/.test(text as string) ? { vex: 256 } : {}),
  leaves: 25,
} as LookCase));
const bitsOf = (type: "f32" | "f64", numbers: readonly number[]) =>
  numbers.map((n) =>
    type === "f32"
      ? new DataView(Float32Array.of(n).buffer).getInt32(0, true)
      : new DataView(Float64Array.of(n).buffer).getBigUint64(0, true)
  );
const USUAL = [1, 1.1, 1.3, 3, 1 / 3, 7, 2 ** -20 + 2 ** -40, 7e8, 123456.789, 2 ** 20 - 1, 0.1, 4, 9 / 16];
const SIGNED = USUAL.flatMap((n) => [n, -n * 1.7]);
/** Usual numbers, with all ways to round. */
const ROUNDED: readonly LookCase[] = ([
  ["ADDSS", "f30f58c1", "add", "f32", [...SIGNED, 0, -0, -1, -3]],
  ["ADDPD", "660f58c1", "add", "f64", [...SIGNED, 0, -0, -1, -3]],
  ["SUBSD", "f20f5cc1", "sub", "f64", [...SIGNED, 0, -0]],
  ["VADDSUBPS ymm", "c5ffd0c1", "addsub", "f32", [...SIGNED, 0, -0, -1]],
  ["MULSS", "f30f59c1", "mul", "f32", [...SIGNED, 0, -0]],
  ["MULPD", "660f59c1", "mul", "f64", [...SIGNED, 0, -0]],
  ["DIVPS", "0f5ec1", "div", "f32", SIGNED],
  ["DIVSD", "f20f5ec1", "div", "f64", SIGNED],
  ["SQRTPS", "0f51c1", "sqrt", "f32", [...USUAL, 0, -0]],
  ["SQRTSD", "f20f51c1", "sqrt", "f64", [...USUAL, 0, -0]],
] as const).filter(([, , operation, type]) =>
  HOST_FUSES || type === "f32" || ["add", "sub", "addsub"].includes(operation)
).map((
  [text, code, operation, type, numbers],
): LookCase => ({
  text: `${text} of usual numbers`,
  code,
  operation,
  type,
  numbers: bitsOf(type, numbers),
  lanes: /S[SD]$/.test(text) ? "scalar" : "packed",
  ...(/ymm/.test(text) ? { vex: 256 } : {}),
}));
/** Doubles whose products and quotients are too small. */
const TINY: readonly LookCase[] = (["mul", "div"] as const).map((operation) => ({
  text: `${operation === "mul" ? "MULSD" : "DIVPD"} of tiny numbers`,
  code: operation === "mul" ? "f20f59c1" : "660f5ec1",
  operation,
  type: "f64",
  lanes: operation === "mul" ? "scalar" : "packed",
  numbers: [
    ...bitsOf("f64", [
      0.75,
      -1.1,
      2 ** -60,
      -3e-290,
      2 ** -500,
      1.7 * 2 ** -511,
      -1.3 * 2 ** -520,
      2 ** -1000,
    ]),
    ...bitsOf("f64", [
      2 ** -1022,
      -1.5 * 2 ** -1022,
      5e-324,
      -4e-323,
      1e-310,
      2 ** -1060,
      1e300,
      -(2 ** 1023),
    ]),
  ],
  leaves: 90,
  staysWhenInexact: true,
}));
/** What DAZ changes of comparisons is left to the SSE unit. */
const COMPARISONS: readonly LookCase[] = [
  ...(["min", "max"] as const).flatMap((operation): LookCase[] => {
    const opcode = operation === "min" ? "5d" : "5f", name = operation.toUpperCase();
    return [
      { text: `${name}SS`, code: `f30f${opcode}c1`, operation, type: "f32", lanes: "scalar" },
      { text: `${name}PD`, code: `660f${opcode}c1`, operation, type: "f64", lanes: "packed" },
      { text: `V${name}PS ymm`, code: `c5fc${opcode}c1`, operation, type: "f32", lanes: "packed", vex: 256 },
    ];
  }),
  ...Array.from({ length: 32 }, (_, imm): LookCase => {
    const hex = imm.toString(16).padStart(2, "0"), cmp = { operation: "cmp", imm, leaves: 30 } as const;
    return imm % 2 === 0
      ? { text: `VCMPPS ${imm}`, code: `c5f8c2c1${hex}`, ...cmp, type: "f32", lanes: "packed", vex: 128 }
      : { text: `VCMPSD ${imm}`, code: `c5fbc2c1${hex}`, ...cmp, type: "f64", lanes: "scalar", vex: 128 };
  }),
];
const CASES: readonly LookCase[] = [
  { text: "CVTSS2SD", code: "f30f5ac1", ...convert, type: "f32", lanes: "scalar" },
  { text: "CVTSD2SS", code: "f20f5ac1", ...convert, type: "f64", lanes: "scalar" },
  { text: "CVTPS2PD", code: "0f5ac1", ...convert, type: "f32", lanes: "packed" },
  { text: "CVTPD2PS", code: "660f5ac1", ...convert, type: "f64", lanes: "packed" },
  { text: "VCVTSS2SD", code: "c5fa5ac1", ...convert, type: "f32", lanes: "scalar", vex: 128 },
  { text: "VCVTSD2SS", code: "c5fb5ac1", ...convert, type: "f64", lanes: "scalar", vex: 128 },
  {
    text: "VCVTPS2PD ymm",
    code: "c5fc5ac1",
    ...convert,
    type: "f32",
    lanes: "packed",
    vex: 256,
    widens: true,
  },
  { text: "VCVTPD2PS ymm", code: "c5fd5ac1", ...convert, type: "f64", lanes: "packed", vex: 256 },
  ...["f32", "f64"].flatMap((type) =>
    ([["to", "2d"], ["truncate", "2c"]] as const).flatMap(([way, opcode]) =>
      ([32, 64] as const).map((w): LookCase => ({
        text: `CVT${way === "to" ? "" : "T"}${type === "f32" ? "SS" : "SD"}2SI r${w}`,
        code: `${type === "f32" ? "f3" : "f2"}${w === 64 ? "48" : ""}0f${opcode}c1`,
        operation: `${way}_i${w}`,
        type: type as "f32" | "f64",
        lanes: "scalar",
      }))
    )
  ),
  {
    text: "VCVTTSD2SI rax",
    code: "c4e1fb2cc1",
    operation: "truncate_i64",
    type: "f64",
    lanes: "scalar",
    vex: 128,
  },
  { text: "CVTPS2DQ", code: "660f5bc1", operation: "to_i32", type: "f32", lanes: "packed" },
  { text: "CVTTPS2DQ", code: "f30f5bc1", operation: "truncate_i32", type: "f32", lanes: "packed" },
  { text: "CVTPD2DQ", code: "f20fe6c1", operation: "to_i32", type: "f64", lanes: "packed" },
  { text: "CVTTPD2DQ", code: "660fe6c1", operation: "truncate_i32", type: "f64", lanes: "packed" },
  {
    text: "VCVTTPS2DQ ymm",
    code: "c5fe5bc1",
    operation: "truncate_i32",
    type: "f32",
    lanes: "packed",
    vex: 256,
  },
  { text: "VCVTPD2DQ ymm", code: "c5ffe6c1", operation: "to_i32", type: "f64", lanes: "packed", vex: 256 },
  { text: "CVTDQ2PS", code: "0f5bc1", operation: "from_i32", type: "f32", lanes: "packed", operands: "i32" },
  {
    text: "VCVTDQ2PS ymm",
    code: "c5fc5bc1",
    operation: "from_i32",
    type: "f32",
    lanes: "packed",
    operands: "i32",
    vex: 256,
  },
  {
    text: "CVTSI2SS r32",
    code: "f30f2ac0",
    operation: "from_i32",
    type: "f32",
    lanes: "scalar",
    operands: "i32",
  },
  {
    text: "CVTSI2SD r32",
    code: "f20f2ac0",
    operation: "from_i32",
    type: "f64",
    lanes: "scalar",
    operands: "i32",
  },
  {
    text: "CVTSI2SS r64",
    code: "f3480f2ac0",
    operation: "from_i64",
    type: "f32",
    lanes: "scalar",
    operands: "i64",
  },
  {
    text: "CVTSI2SD r64",
    code: "f2480f2ac0",
    operation: "from_i64",
    type: "f64",
    lanes: "scalar",
    operands: "i64",
  },
  ...[0, 1, 2, 3, 4, 8, 12].map((imm): LookCase => {
    const code = `660f3a0ac10${imm.toString(16)}`;
    return { text: `ROUNDSS ${imm}`, code, operation: "round", type: "f32", lanes: "scalar", imm };
  }),
  ...(HOST_FUSES ? FUSED : []),
  { text: "ROUNDSD 4", code: "660f3a0bc104", operation: "round", type: "f64", lanes: "scalar", imm: 4 },
  { text: "ROUNDPS 4", code: "660f3a08c104", operation: "round", type: "f32", lanes: "packed", imm: 4 },
  { text: "ROUNDPD 1", code: "660f3a09c101", operation: "round", type: "f64", lanes: "packed", imm: 1 },
  {
    text: "VROUNDPD ymm 4",
    code: "c4e37d09c104",
    operation: "round",
    type: "f64",
    lanes: "packed",
    vex: 256,
    imm: 4,
  },
];

for (const how of ENGINES.filter(({ name }) => name !== "interp, whole blocks")) {
  for (const one of [...CASES, ...ARITHMETIC, ...ROUNDED, ...(HOST_FUSES ? TINY : []), ...COMPARISONS]) {
    // A handler of its own does not know the predicate.
    if (one.operation === "cmp" && how.engine === "interp") continue;
    const stays = one.leaves === undefined ? "never leaves" : "mostly stays in";
    Deno.test(`${one.text} ${stays} emitted code while exceptions are masked (${how.name})`, () => {
      checkLooks(how, one);
    });
  }
}
