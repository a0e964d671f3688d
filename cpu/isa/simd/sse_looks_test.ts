// SPDX-License-Identifier: MIT
/** What is not ordinary, all exceptions being masked, needs no microcode, and is what cpu/fpu/sse makes of it. @module */
import { ENGINES } from "../../_bare_cpu.ts";
import { checkLooks, type LookCase } from "./_look_cases.ts";

const convert = { operation: "convert" } as const;
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
];

for (const how of ENGINES) {
  for (const one of CASES) {
    Deno.test(`${one.text} never leaves emitted code while exceptions are masked (${how.name})`, () => {
      checkLooks(how, one);
    });
  }
}
