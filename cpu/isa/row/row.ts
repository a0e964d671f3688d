// SPDX-License-Identifier: MIT
/**
 * A row is one line of the SDM's opcode tables (Vol. 2): its text, its encoding, its operand size and what it
 * does, as a function over Emit. The decoder, both back ends and the tests read the same rows.
 *
 * Encoding tokens, in the order of the SDM's "Opcode" column:
 *   np 66 f3 f2      mandatory prefix: np none of them, others exactly that one (rows without any ignore 66,
 *                    which then selects the operand size, and F3/F2, which then are REP/REPNE)
 *   vex.128.66.0f38.w0  VEX prefix, opcode behind it: 128, lz (L clear), 256 (L set) or lig; 66, f3, f2 or none; 0f,
 *                    0f38 or 0f3a; w0, w1 or wig. What VEX.vvvv names says the option vvvv; without it, it names nothing
 *   w0 w1            REX.W clear, set
 *   00 0f 0f38 0f3a  opcode bytes in hex; "+r": low three bits name a register; "+cc": low four a condition
 *   /r /0../7        ModRM with a register, or with an opcode extension
 *   :mem :reg        ModRM must name memory, or a register
 *   =c1              the whole ModRM byte
 *   ib iw iz iv      immediate of 8, 16, 16/32 or 16/32/64 bits (sign-extended); "ub" zero-extended 8 bits
 *   is4              a byte whose upper half names an XMM register; what the row sees is its address
 *   cb cz            branch displacement of 8 or 16/32 bits
 *   mo               moffs: an address-sized offset
 *   far              offset (16/32 bits) and selector
 *   no64 only64      not in 64-bit mode, only there
 * @module
 */
import { assert } from "../../base/assert.ts";
import type { CpuFeature } from "../../base/cpu_features.ts";
import type { Emit, Width } from "../../emit/emit.ts";

/** Operand size: bits, or v: 16/32/64 by prefix and mode; q: like v but 64 by default in 64-bit mode (stack and
 * near branches); y: 32, or 64 with REX.W; f: 64 in 64-bit mode whatever the prefixes say (AMD: like q), like v elsewhere;
 * d: a doubleword whatever the operand size, which is as for v (Intel: at most the operand size). */
export type RowSize = 8 | 16 | 32 | 64 | 128 | "v" | "q" | "y" | "f" | "d";
/** What kind of register a ModRM field names. */
export type RegisterClass = "gpr8" | "gpr" | "xmm" | "mmx" | "segment" | "none";
/** Immediates and branch displacements. */
export type Immediate = "ib" | "ub" | "iw" | "iz" | "iv" | "is4" | "cb" | "cz" | "mo" | "far";
/** What the instruction does, at operand width `w`. */
export type Semantics = (e: Emit, w: Width) => void;

/** Things about a row that its encoding does not say. */
export interface RowOptions {
  /** Class of ModRM.reg and of the register in the opcode. Default gpr8 for size 8, gpr otherwise. */
  readonly reg?: RegisterClass;
  /** Class of ModRM.rm in its register form. */
  readonly rm?: RegisterClass;
  /** Class of VEX.vvvv. Without it, VEX.vvvv must be 1111b. */
  readonly vvvv?: RegisterClass;
  /** ModRM must have a SIB byte, whose index is an XMM or YMM register (VSIB); see Emit.vsibAddress. */
  readonly vsib?: boolean;
  /** F3/F2 repeats it (string instructions). */
  readonly repeats?: boolean;
  /** The immediate is a shift count. */
  readonly shiftCount?: boolean;
  /** LOCK is allowed when the destination is memory. */
  readonly lockable?: boolean;
  /** The ModRM byte itself is the immediate (x87). */
  readonly passModrm?: boolean;
  /** Interrupts wait for one more instruction (STI); debug traps do, too (MOV SS, POP SS). */
  readonly shadow?: "interrupts" | "interrupts and traps";
  /** ModRM names two registers whatever its mod field says (MOV to and from CRn and DRn). */
  readonly ignoresMod?: boolean;
  /** Default segment of the implicit rSI operand is DS and can be overridden. */
  readonly implicitSource?: boolean;
  /** A far pointer: AMD's processors ignore REX.W, and the operand has 32 bits. */
  readonly farPointer?: boolean;
  /** VEX.W means a quadword. Code that has none, which is not 64-bit, Intel's processors let it say so, AMD's raise #UD. */
  readonly quadword?: boolean;
  /** A processor has the row when it has these features; without them the encoding means what other rows say, or #UD. */
  readonly needs?: CpuFeature | readonly CpuFeature[];
  /** A processor has the row unless it has this feature: what an encoding means that other rows would take then. */
  readonly without?: CpuFeature;
  /** EFLAGS the SDM leaves undefined; tests mask them. */
  readonly undefinedFlags?: number;
}

/** A parsed row. */
export interface Row {
  readonly id: number;
  readonly text: string;
  readonly size: RowSize;
  readonly semantics: Semantics;
  readonly options: RowOptions;
  /** 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A. */
  readonly map: 0 | 1 | 2 | 3;
  /** VEX-encoded: the vector length that VEX.L must say; "ig": either. */
  readonly vex: undefined | 128 | 256 | "ig";
  readonly opcode: number;
  /** How many opcodes it covers: 8 for +r, 16 for +cc, else 1. */
  readonly span: 1 | 8 | 16;
  readonly prefix: undefined | "np" | "66" | "f3" | "f2";
  readonly rexW: boolean | undefined;
  readonly hasModrm: boolean;
  readonly extension: number | undefined;
  readonly exactModrm: number | undefined;
  readonly modrmForm: "any" | "mem" | "reg";
  readonly immediates: readonly Immediate[];
  readonly mode: "any" | "no64" | "only64";
}

const all: Row[] = [];
/** Every row defined so far; cpu/isa/mod.ts loads them all. */
export const rows: readonly Row[] = all;

const IMMEDIATES = new Set(["ib", "ub", "iw", "iz", "iv", "is4", "cb", "cz", "mo", "far"]);
const VEX = /^vex\.(128|lz|256|lig)(?:\.(66|f3|f2))?\.(0f|0f38|0f3a)\.(w0|w1|wig)$/;

/** `row` for a file or group whose instructions all need `needs`. */
export function rowsThatNeed(needs: NonNullable<RowOptions["needs"]>): typeof row {
  return (text, encoding, size, semantics, options = {}) =>
    row(text, encoding, size, semantics, { needs, ...options });
}

/** Features that the row needs. */
export function needsOf({ options: { needs = [] } }: Row): readonly CpuFeature[] {
  return typeof needs === "string" ? [needs] : needs;
}

/** Defines a row. Throws at load time when the encoding contradicts itself. */
export function row(
  text: string,
  encoding: string,
  size: RowSize,
  semantics: Semantics,
  options: RowOptions = {},
): Row {
  const bytes: number[] = [];
  let prefix: Row["prefix"];
  let vex: Row["vex"];
  let rexW: boolean | undefined;
  let hasModrm = false;
  let extension: number | undefined;
  let exactModrm: number | undefined;
  let modrmForm: Row["modrmForm"] = "any";
  let span: Row["span"] = 1;
  let mode: Row["mode"] = "any";
  const immediates: Immediate[] = [];
  for (const token of encoding.split(" ")) {
    if (/^(np|66|f3|f2)$/.test(token) && bytes.length === 0) {
      prefix = token as "np" | "66" | "f3" | "f2";
      continue;
    }
    const parts = bytes.length === 0 ? VEX.exec(token) : null;
    if (parts !== null) {
      const [, length, mandatory = "np", map, w] = parts as unknown as [
        string,
        string,
        string?,
        string?,
        string?,
      ];
      vex = length === "256" ? 256 : length === "lig" ? "ig" : 128;
      prefix = mandatory as "np" | "66" | "f3" | "f2";
      if (w !== "wig") rexW = w === "w1";
      bytes.push(...(map === "0f" ? [0x0f] : map === "0f38" ? [0x0f, 0x38] : [0x0f, 0x3a]));
    } else if (token === "w0" || token === "w1") rexW = token === "w1";
    else if (token === "no64" || token === "only64") mode = token;
    else if (IMMEDIATES.has(token) && bytes.length > 0) immediates.push(token as Immediate);
    else if (token === ":mem" || token === ":reg") modrmForm = token.slice(1) as "mem" | "reg";
    else if (/^\/[0-7r]$/.test(token)) {
      hasModrm = true;
      if (token !== "/r") extension = Number(token[1]);
    } else if (/^=[0-9a-f]{2}$/.test(token)) {
      hasModrm = true;
      exactModrm = parseInt(token.slice(1), 16);
    } else if (/^([0-9a-f]{2})+(\+r|\+cc)?$/.test(token)) {
      const hex = token.replace(/\+.*/, "");
      for (let i = 0; i < hex.length; i += 2) bytes.push(parseInt(hex.slice(i, i + 2), 16));
      if (token.endsWith("+r")) span = 8;
      if (token.endsWith("+cc")) span = 16;
    } else assert(false, `token "${token}" in the encoding of ${text}`);
  }
  let map: Row["map"] = 0;
  if (bytes.length > 1 && bytes.shift() === 0x0f) map = 1;
  if (bytes.length > 1) map = bytes.shift() === 0x38 ? 2 : 3;
  const opcode = bytes[0];
  assert(bytes.length === 1 && opcode !== undefined, `one opcode byte in ${text}: "${encoding}"`);
  assert(opcode % span === 0, `opcode of ${text} leaves room for the register`);
  assert(vex !== undefined || options.vvvv === undefined, `${text} has VEX.vvvv`);
  const made: Row = {
    id: all.length,
    text,
    size,
    semantics,
    options,
    map,
    vex,
    opcode,
    span,
    prefix,
    rexW,
    hasModrm,
    extension,
    exactModrm,
    modrmForm,
    immediates,
    mode,
  };
  all.push(made);
  return made;
}
