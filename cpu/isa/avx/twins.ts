// SPDX-License-Identifier: MIT
/**
 * VEX-encoded forms of SSE instructions: the same opcode, the same description, another operand. SDM Vol. 2. A 256-bit
 * form that does in each half what the 128-bit form does is made here too; the others are rows of their own.
 * @module
 */
import { assert } from "../../base/assert.ts";
import type { HalvesOptions, Value } from "../../emit/emit.ts";
import { type Row, row, type RowOptions, rows, type Semantics } from "../row/row.ts";
import { integerOps } from "../simd/integer_ops.ts";
import { requireSse } from "../simd/sse_patterns.ts";
import "../simd/sse4.ts";
import "../simd/sse_convert.ts";
import "../simd/sse_float.ts";
import "../simd/sse_horizontal.ts";
import "../simd/sse_integer.ts";
import "../simd/sse_move.ts";
import "../simd/sse_shuffle.ts";

const MAPS = ["", "0f", "0f38", "0f3a"];

/** What a list of twins has in common. */
interface Forms {
  /** VEX.L: 128 alone, ignored, or a form for either. */
  readonly lengths: "128" | "lig" | "128 256";
  /** How many sources there are: with two, VEX.vvvv is the first. */
  readonly sources: 1 | 2;
  /** The 256-bit form is twice as wide on one side only: see HalvesOptions. */
  readonly halves?: HalvesOptions;
  /** The shift count is a vector of 128 bits, for both halves of the other operand. */
  readonly counts?: boolean;
}

/** Texts of the rows that have twins already. */
const done = new Set<Row>();

/** The legacy rows on XMM registers, by mnemonic. */
const legacy = Map.groupBy(
  rows.filter(({ vex, options: { reg, rm } }) =>
    vex === undefined && (reg === "xmm" || rm === "xmm") && reg !== "mmx" && rm !== "mmx"
  ),
  ({ text }) => mnemonicOf(text),
);
function mnemonicOf(text: string): string {
  return `${text} `.slice(0, `${text} `.indexOf(" "));
}
/** Those whose texts begin with `start`. */
function legacyRows(start: string): Row[] {
  return legacy.get(mnemonicOf(start))?.filter(({ text }) => `${text} `.startsWith(`${start} `)) ?? [];
}
function textOf({ text }: Row, length: string, sources: 1 | 2): string {
  const [name, operands] = [text.slice(0, text.indexOf(" ")), text.slice(text.indexOf(" ") + 1).split(", ")];
  if (sources === 2) operands.splice(1, 0, "xmm");
  const all = `V${name} ${operands.join(", ")}`;
  return length === "256" ? all.replaceAll("xmm", "ymm").replaceAll("m128", "m256") : all;
}
function encodingOf(r: Row, length: string): string {
  const prefix = r.prefix === "np" ? [] : [r.prefix];
  const tokens = [
    ["vex", length, ...prefix, MAPS[r.map], "wig"].join("."),
    r.opcode.toString(16).padStart(2, "0"),
  ];
  if (r.hasModrm) tokens.push(r.extension === undefined ? "/r" : `/${r.extension}`);
  if (r.modrmForm !== "any") tokens.push(`:${r.modrmForm}`);
  return [...tokens, ...r.immediates].join(" ");
}

/** PSLLW and its like by a vector. */
function shifted(name: string): Semantics {
  const found = integerOps.find((op) => op.name === name);
  assert(found !== undefined, `${name} is an integer operation`);
  const { f } = found;
  return (e) => {
    requireSse(e);
    const count: Value = e.form.isMemory ? e.load128(e.address()) : e.vector("rm");
    e.halves(() => e.setXmmReg(f(e, e.xmmReg(), count)));
  };
}

/** Makes the VEX-encoded forms of the rows that `names` begin: mnemonics, with the first operand where that matters. */
function twins(names: readonly string[], { lengths, sources, halves = {}, counts = false }: Forms): void {
  for (const start of names) {
    const found = legacyRows(start);
    assert(found.length > 0, `there is a row ${start}`);
    for (const r of found) {
      assert(!done.has(r), `${r.text} has one twin`);
      done.add(r);
      for (const length of lengths.split(" ")) {
        const needs = length === "256" && /^P|^MPSADBW/.test(start) ? "avx2" : "avx";
        const options: RowOptions = { ...r.options, needs, ...(sources === 2 ? { vvvv: "xmm" } : {}) };
        let semantics = length === "256"
          ? ((e, w) => e.halves(() => r.semantics(e, w), halves)) as Semantics
          : r.semantics;
        if (counts) semantics = shifted(start.slice(0, start.indexOf(" ")));
        let text = textOf(r, length, sources);
        if (counts) text = text.replace("m256", "m128").replace("ymm/", "xmm/");
        if (length === "256" && halves.narrows) text = text.replace("ymm,", "xmm,");
        if (length === "256" && halves.widens) text = text.replace("ymm/m64", "xmm/m128");
        row(text, encodingOf(r, length), r.size, semantics, options);
      }
    }
  }
}
const list = (names: string) => names.split(/\s+/);
const withSuffixes = (names: string, suffixes: string) =>
  list(names).flatMap((name) => list(suffixes).map((suffix) => name + suffix));

// Floating point
twins(
  [
    ...withSuffixes(
      "ADD SUB MUL DIV MIN MAX CMP AND ANDN OR XOR UNPCKL UNPCKH HADD HSUB ADDSUB SHUF BLEND",
      "PS PD",
    ),
    "DPPS",
  ],
  { lengths: "128 256", sources: 2 },
);
twins(
  [
    ...withSuffixes("SQRT ROUND", "PS PD"),
    ...list("RCPPS RSQRTPS MOVSLDUP MOVSHDUP CVTDQ2PS CVTPS2DQ CVTTPS2DQ"),
  ],
  { lengths: "128 256", sources: 1 },
);
twins(
  [
    ...withSuffixes("ADD SUB MUL DIV MIN MAX CMP SQRT ROUND CVTSI2", "SS SD"),
    ...list("RCPSS RSQRTSS CVTSS2SD CVTSD2SS"),
  ],
  { lengths: "lig", sources: 2 },
);
twins(
  [
    ...withSuffixes("COMI UCOMI", "SS SD"),
    ...list("CVTSS2SI CVTTSS2SI CVTSD2SI CVTTSD2SI"),
    ...["MOVSS xmm, m32", "MOVSS m32,", "MOVSD xmm, m64", "MOVSD m64,"],
  ],
  { lengths: "lig", sources: 1 },
);
twins(
  ["DPPD", "MOVHLPS", "MOVLHPS", "MOVLPS xmm,", "MOVLPD xmm,", "MOVHPS xmm,", "MOVHPD xmm,", "INSERTPS"],
  {
    lengths: "128",
    sources: 2,
  },
);
twins(
  list("MOVDDUP MOVMSKPS MOVMSKPD EXTRACTPS")
    .concat(["MOVLPS m64,", "MOVLPD m64,", "MOVHPS m64,", "MOVHPD m64,"]),
  { lengths: "128", sources: 1 },
);

twins(list("CVTPS2PD CVTDQ2PD"), { lengths: "128 256", sources: 1, halves: { widens: true } });
twins(list("CVTPD2PS CVTPD2DQ CVTTPD2DQ"), { lengths: "128 256", sources: 1, halves: { narrows: true } });

// Integers
twins(
  list(
    `PADDB PADDW PADDD PADDQ PADDSB PADDSW PADDUSB PADDUSW PSUBB PSUBW PSUBD PSUBQ PSUBSB PSUBSW PSUBUSB PSUBUSW
    PMULLW PMULHW PMULHUW PMULUDQ PMADDWD PSADBW PAVGB PAVGW PMINUB PMINSW PMAXUB PMAXSW PCMPEQB PCMPEQW PCMPEQD
    PCMPGTB PCMPGTW PCMPGTD PAND PANDN POR PXOR PACKSSWB PACKSSDW PACKUSWB PUNPCKLBW PUNPCKLWD PUNPCKLDQ PUNPCKLQDQ
    PUNPCKHBW PUNPCKHWD PUNPCKHDQ PUNPCKHQDQ PHADDW PHADDD PHADDSW PHSUBW PHSUBD PHSUBSW PMADDUBSW PSIGNB PSIGNW PSIGND
    PMULHRSW PMULDQ PCMPEQQ PACKUSDW PMINSB PMINSD PMINUW PMINUD PMAXSB PMAXSD PMAXUW PMAXUD PMULLD PCMPGTQ PSHUFB
    PALIGNR PBLENDW MPSADBW PSLLDQ PSRLDQ`,
  ),
  { lengths: "128 256", sources: 2 },
);
const SHIFTS = list("PSRLW PSRLD PSRLQ PSRAW PSRAD PSLLW PSLLD PSLLQ");
twins(SHIFTS.map((name) => `${name} xmm, xmm/m128`), { lengths: "128 256", sources: 2, counts: true });
twins(SHIFTS.map((name) => `${name} xmm, imm8`), { lengths: "128 256", sources: 2 });
twins(list("PABSB PABSW PABSD PSHUFD PSHUFLW PSHUFHW"), { lengths: "128 256", sources: 1 });
twins(list("PINSRB PINSRW PINSRD/Q"), { lengths: "128", sources: 2 });
twins(
  [
    ...list("MOVD/Q MOVQ PMOVMSKB MASKMOVDQU PTEST PHMINPOSUW PCMPESTRM PCMPESTRI PCMPISTRM PCMPISTRI"),
    ...list("PEXTRB PEXTRW PEXTRD/Q"),
    ...["BW", "BD", "BQ", "WD", "WQ", "DQ"].flatMap((kind) => [`PMOVSX${kind}`, `PMOVZX${kind}`]),
  ],
  { lengths: "128", sources: 1 },
);
