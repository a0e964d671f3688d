// SPDX-License-Identifier: MIT
/**
 * Random cases for SSE, MMX and x87 rows: FXRSTOR from scratch memory, the instruction, FXSAVE back. The operand in
 * memory is in the part of the FXSAVE image that the processor leaves to software.
 * @module
 */
import { formOf } from "../../fpu/instructions.ts";
import { CaseCode } from "../_case_code.ts";
import type { Random } from "../_cases.ts";
import { type NativeCase, SCRATCH_BYTES } from "../_native_runner.ts";
import type { RegisterClass, Row } from "../row/row.ts";

/** Offsets in the FXSAVE image, SDM Vol. 1 table 10-2. */
export const FX = { fcw: 0, fsw: 2, ftw: 4, mxcsr: 24, st: 32, xmm: 160, available: 464 } as const;
const ALWAYS = 0x202, ARITHMETIC = 0x8d5;
const MXCSR_DEFAULT = 0x1f80, MXCSR_PE = 0x20;

/** True for rows this module makes cases for. */
export function isVectorRow(row: Row, bits: 32 | 64): boolean {
  if (row.mode === (bits === 64 ? "no64" : "only64") || row.vex !== undefined) return false;
  const classes = [row.options.reg, row.options.rm];
  return classes.includes("xmm") || classes.includes("mmx") || /^(CRC32|EMMS|x87) ?/.test(row.text);
}
/** MXCSR: as after power-on, as a program that computes has it, or anything; 32-bit cases keep all masks. */
export function randomMxcsr(random: Random, bits: 32 | 64): number {
  if (random.chance(15)) return MXCSR_DEFAULT;
  if (random.chance(20)) return MXCSR_DEFAULT | MXCSR_PE;
  const masks = bits === 64 && random.chance(50) ? random.u32() & MXCSR_DEFAULT : MXCSR_DEFAULT;
  const flags = random.chance(50) ? 0 : random.u32() & 0x3f;
  const daz = random.chance(30) ? 1 << 6 : 0, ftz = random.chance(30) ? 1 << 15 : 0;
  return masks | flags | daz | ftz | (random.below(4) << 13);
}

/** x87: addresses in the environment differ; transcendental functions differ between processors in the last bit. */
const NOT_COMPARED = /FNSTENV|FLDENV|alias|^F(2XM1|YL2X|PTAN|PATAN|SIN|COS)/;

/** Fills sixteen bytes. */
export type Fill = (random: Random, view: DataView, at: number) => void;

/** Floats that matter. */
export const F32: readonly number[] = [
  0x0000_0000,
  0x8000_0000,
  0x3f80_0000,
  0xbf80_0000,
  0x7f80_0000,
  0xff80_0000,
  0x7fc0_0000,
  0xffc1_2345,
  0x7f81_2345, // signalling
  0xffa0_0001, // signalling
  0x0000_0001,
  0x807f_ffff,
  0x0080_0000,
  0x7f7f_ffff,
  0x4f00_0000, // 2^31
  0xcf00_0000,
  0x5f00_0000, // 2^63
  0xdf00_0000,
  0x4eff_ffff,
  0x3f00_0000,
  0x3fc0_0000,
  0xc020_0000,
  0x4b00_0001,
];
/** Doubles that matter. */
export const F64: readonly bigint[] = [
  0x0000_0000_0000_0000n,
  0x8000_0000_0000_0000n,
  0x3ff0_0000_0000_0000n,
  0xbff0_0000_0000_0000n,
  0x7ff0_0000_0000_0000n,
  0xfff0_0000_0000_0000n,
  0x7ff8_0000_0000_0000n,
  0xfff9_2345_6789_abcdn,
  0x7ff1_2345_6789_abcdn, // signalling
  0xfff4_0000_0000_0001n, // signalling
  0x0000_0000_0000_0001n,
  0x800f_ffff_ffff_ffffn,
  0x0010_0000_0000_0000n,
  0x7fef_ffff_ffff_ffffn,
  0x41e0_0000_0000_0000n, // 2^31
  0xc1e0_0000_0000_0000n,
  0xc1e0_0000_0010_0000n, // -2^31 - 0.5
  0xc1e0_0000_0020_0000n, // -2^31 - 1
  0x41df_ffff_ffe0_0000n, // 2^31 - 0.5
  0x43e0_0000_0000_0000n, // 2^63
  0xc3e0_0000_0000_0000n,
  0x3fe0_0000_0000_0000n,
  0xc004_0000_0000_0000n,
  0x47ef_ffff_f000_0000n, // between the largest f32 and infinity
  0x36a0_0000_0000_0000n, // the smallest f32
  0x3690_0000_0000_0000n, // half of it
  0x4330_0000_0000_0001n,
];
/** Ways to fill a vector with something that matters. */
export const FILLS: readonly Fill[] = [
  (random, view, at) => {
    for (let i = 0; i < 16; i += 4) view.setUint32(at + i, random.u32(), true);
  },
  (random, view, at) => {
    for (let i = 0; i < 16; i += 4) view.setUint32(at + i, F32[random.below(F32.length)] as number, true);
  },
  (random, view, at) => {
    for (let i = 0; i < 16; i += 4) {
      view.setFloat32(at + i, (random.u32() / 2 ** 16 - 2 ** 15) / 2 ** random.below(24), true);
    }
  },
  (random, view, at) => {
    for (let i = 0; i < 16; i += 8) view.setBigUint64(at + i, F64[random.below(F64.length)] as bigint, true);
  },
  (random, view, at) => {
    for (let i = 0; i < 16; i += 8) {
      view.setFloat64(at + i, (Number(random.u64()) - 2 ** 63) / 2 ** random.below(70), true);
    }
  },
  (random, view, at) => { // anything from the smallest denormal to infinity; few bits, so that results are exact, or halfway
    for (let i = 0; i < 16; i += 4) {
      const exponent = [
        0,
        1,
        2,
        126,
        127,
        128,
        150,
        253,
        254,
        255,
        random.below(256),
      ][random.below(11)] as number;
      const fraction = random.chance(50)
        ? (random.below(4) << 21) | random.below(3)
        : random.u32() & 0x7f_ffff;
      view.setUint32(at + i, ((random.below(2) << 31) | (exponent << 23) | fraction) >>> 0, true);
    }
  },
  (random, view, at) => {
    for (let i = 0; i < 16; i += 8) {
      const exponent = [
        0,
        1,
        2,
        896,
        897,
        1022,
        1023,
        1024,
        1054,
        1086,
        1150,
        2045,
        2046,
        2047,
        random.below(2048),
      ];
      const high = (random.below(2) << 31) | ((exponent[random.below(exponent.length)] as number) << 20);
      const few = random.chance(50);
      view.setUint32(
        at + i + 4,
        (high | (few ? random.below(4) << 18 : random.u32() & 0xf_ffff)) >>> 0,
        true,
      );
      view.setUint32(at + i, few ? (random.below(3) << 29) | random.below(3) : random.u32(), true);
    }
  },
  (random, view, at) => { // products and quotients around the ends of the range
    for (let i = 0; i < 16; i += 4) {
      const exponent = 64 - 13 + random.below(26) + (random.chance(50) ? 128 - 2 : 0);
      view.setUint32(
        at + i,
        ((random.below(2) << 31) | (exponent << 23) | (random.u32() & 0x7f_ffff)) >>> 0,
        true,
      );
    }
  },
  (random, view, at) => {
    for (let i = 0; i < 16; i += 8) {
      const exponent = 512 - 28 + random.below(56) + (random.chance(50) ? 1024 - 2 : 0);
      view.setUint32(
        at + i + 4,
        ((random.below(2) << 31) | (exponent << 20) | (random.u32() & 0xf_ffff)) >>> 0,
        true,
      );
      view.setUint32(at + i, random.u32(), true);
    }
  },
  (random, view, at) => { // extremes of every lane width
    const edge = [0, 1, 2, 0x7f, 0x80, 0x81, 0xff];
    for (let i = 0; i < 16; i++) view.setUint8(at + i, edge[random.below(edge.length)] as number);
  },
  (random, view, at) => {
    const edge = [0x8000, 0x7fff, 0, 0xffff, 0x8001, 1];
    for (let i = 0; i < 16; i += 2) view.setUint16(at + i, edge[random.below(edge.length)] as number, true);
  },
  (random, view, at) => { // small values: shift counts, short strings
    for (let i = 0; i < 16; i++) view.setUint8(at + i, random.chance(20) ? 0 : random.below(4));
  },
  (random, view, at) => {
    view.setBigUint64(at, BigInt(random.below(80)), true);
    view.setBigUint64(at + 8, random.u64(), true);
  },
];

/** Where a case lives, and what it is. */
export interface VectorPlace {
  readonly bits: 32 | 64;
  readonly scratch: number;
  /** Without FXRSTOR and FXSAVE, with the memory operand (every row that can have one has) here. */
  readonly operand?: number;
}

/** A case for `row`. */
export function vectorCase(row: Row, random: Random, place: VectorPlace): NativeCase {
  const { bits, scratch } = place;
  const bare = place.operand !== undefined;
  const long = bits === 64;
  const memory = new Uint8Array(SCRATCH_BYTES);
  const view = new DataView(memory.buffer);
  const x87 = row.text.startsWith("x87");
  const gpr = Array.from({ length: 16 }, (_, r) => random.value() & (long ? ~0n : r < 8 ? 0xffff_ffffn : 0n));
  for (let i = 0; i < 16; i++) gpr[i] = BigInt.asUintN(64, gpr[i] as bigint);

  // State
  view.setUint16(FX.fcw, 0x37f, true);
  view.setUint16(FX.fsw, random.below(8) << 11, true);
  view.setUint8(FX.ftw, x87 && random.chance(80) ? 0xff : random.u32());
  view.setUint32(FX.mxcsr, randomMxcsr(random, bits), true);
  const style = random.below(FILLS.length);
  const fill = (at: number) => {
    (FILLS[random.chance(70) ? style : random.below(FILLS.length)] as Fill)(random, view, at);
  };
  const exponents = [0x3fff, 0xbfff, 0x4000, 0x7fff, 0xffff, 0];
  for (let i = 0; i < 8; i++) {
    const at = FX.st + 16 * i;
    fill(at);
    if (x87) {
      view.setUint32(at + 4, view.getUint32(at + 4, true) | 0x8000_0000, true);
      view.setUint16(at + 8, exponents[random.below(exponents.length)] as number, true);
    }
    for (let j = 10; j < 16; j++) memory[at + j] = 0;
  }
  for (let i = 0; i < 16; i++) fill(FX.xmm + 16 * i);
  for (let at = FX.available; at < SCRATCH_BYTES; at += 16) fill(at);

  // Operands
  const count = (kind: string | undefined) => kind === "mmx" ? 8 : long ? 16 : 8;
  let reg = row.extension ?? random.below(count(row.options.reg));
  let rm = random.below(count(row.options.rm));
  if (row.options.reg === row.options.rm && row.extension === undefined && random.chance(10)) rm = reg;
  let isMemory = row.modrmForm === "mem" || (row.modrmForm === "any" && (bare || random.chance(50)));
  if (x87) {
    for (;;) {
      reg = random.below(8);
      rm = random.below(8);
      isMemory = bare || random.chance(50);
      const { kind, name, bytes } = formOf(row.opcode, (isMemory ? 0 : 0xc0) | (reg << 3) | rm);
      if (kind === "invalid" || NOT_COMPARED.test(name) || bytes(false) > 48) continue;
      break;
    }
  }
  const unaligned = random.chance(12) ? 1 + random.below(15) : 0;
  const target = place.operand ?? scratch + FX.available + unaligned;
  if (/^MASKMOV/.test(row.text)) gpr[7] = BigInt(target);
  if (/^PCMPESTR/.test(row.text) && random.chance(80)) {
    for (const r of [0, 2]) gpr[r] = BigInt.asUintN(64, BigInt(random.below(40) - 20));
    if (!long) { for (const r of [0, 2]) gpr[r] = (gpr[r] as bigint) & 0xffff_ffffn; }
  }

  const writer = new CaseCode(bits), code = writer.bytes;
  if (!bare) writer.image(1, scratch); // FXRSTOR
  if (row.size === "v" && row.prefix === "f2" && random.chance(30)) code.push(0x66); // CRC32 r32, r/m16
  if (row.prefix !== undefined && row.prefix !== "np") code.push(parseInt(row.prefix, 16));
  if (long) {
    const wide = row.rexW ?? ((row.size === "y" || row.size === "v") && !x87 && random.chance(40));
    const rex = (wide ? 8 : 0) | (row.extension === undefined && !x87 ? (reg >> 3) << 2 : 0) |
      (isMemory ? 0 : rm >> 3);
    if (rex !== 0 || random.chance(10)) code.push(0x40 | rex);
  }
  if (row.map > 0) code.push(0x0f);
  if (row.map > 1) code.push(row.map === 2 ? 0x38 : 0x3a);
  code.push(row.opcode);
  if (row.hasModrm) {
    if (isMemory) writer.absolute(reg & 7, target);
    else code.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
  }
  if (row.immediates.length > 0) code.push(random.u32() & (random.chance(50) ? 0xff : 0x1f));
  if (!bare) writer.image(0, scratch); // FXSAVE
  const uses = /^MASKMOV/.test(row.text) ? [7] : [];
  const flags = ALWAYS | (random.u32() & ARITHMETIC);
  const operands = generalOperands(row, reg, isMemory ? undefined : rm);
  return { code, gpr, flags, memory, uses, operands };
}

/** Those of ModRM's registers that are general. */
export function generalOperands(
  { options, extension }: Row,
  reg: number,
  rm: number | undefined,
): readonly number[] {
  const isGeneral = (kind: RegisterClass | undefined) =>
    kind === "gpr" || kind === "gpr8" || kind === undefined;
  return [
    ...(extension === undefined && isGeneral(options.reg) ? [reg] : []),
    ...(rm !== undefined && isGeneral(options.rm) ? [rm] : []),
  ];
}
