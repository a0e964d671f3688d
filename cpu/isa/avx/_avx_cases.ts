// SPDX-License-Identifier: MIT
/**
 * Random cases for VEX-encoded rows on XMM and YMM registers: XRSTOR from scratch memory, the instruction, XSAVE back.
 * Behind the XSAVE area is the operand in memory. RAX and RDX say which state XRSTOR and XSAVE are about.
 * @module
 */
import { CaseCode } from "../_case_code.ts";
import type { Random } from "../_cases.ts";
import { type NativeCase, WIDE_SCRATCH_BYTES, YMM_AT } from "../_native_runner.ts";
import type { Row } from "../row/row.ts";
import { type Fill, FILLS, FX, generalOperands, randomMxcsr } from "../simd/_vector_cases.ts";

/** x87, SSE and AVX. */
const STATES = 7;
const XSTATE_BV = 512;
/** Where the operand is; as far behind it are indexes of a gather allowed to lead, and half of that in front. */
export const OPERAND_AT = 832;
const GATHER_AT = OPERAND_AT + 64;
const ALWAYS = 0x202, ARITHMETIC = 0x8d5;
const RAX = 0, RDX = 2;

/** True for rows this module makes cases for. */
export function isAvxRow(row: Row, bits: 32 | 64): boolean {
  if (row.vex === undefined || row.mode === (bits === 64 ? "no64" : "only64")) return false;
  const { reg, rm, vvvv } = row.options;
  return [reg, rm, vvvv].includes("xmm") || /^V(ZERO|LDMXCSR|STMXCSR)/.test(row.text);
}

/** Bits of the vectors, and of elements and indexes of a gather. */
function gatherShape(row: Row): { element: 32 | 64; index: 32 | 64 } {
  const [, index, element] = /^VP?GATHER([DQ])(PS|PD|D|Q)/.exec(row.text) as unknown as [
    string,
    string,
    string,
  ];
  return { index: index === "D" ? 32 : 64, element: element === "PS" || element === "D" ? 32 : 64 };
}

/** A case for `row`. */
export function avxCase(
  row: Row,
  random: Random,
  { bits, scratch, operand }: {
    readonly bits: 32 | 64;
    readonly scratch: number;
    /** Without XRSTOR and XSAVE, with the memory operand (every row that can have one has) here. */
    readonly operand?: number;
  },
): NativeCase {
  const bare = operand !== undefined;
  const long = bits === 64, registers = long ? 16 : 8;
  const memory = new Uint8Array(WIDE_SCRATCH_BYTES), view = new DataView(memory.buffer);
  const gpr = Array.from(
    { length: 16 },
    (_, r) => BigInt.asUintN(64, random.value() & (long ? ~0n : r < 8 ? 0xffff_ffffn : 0n)),
  );
  gpr[RAX] = BigInt(STATES);
  gpr[RDX] = 0n;

  view.setUint16(FX.fcw, 0x37f, true);
  view.setUint32(FX.mxcsr, randomMxcsr(random, bits), true);
  view.setUint8(XSTATE_BV, STATES);
  const style = random.below(FILLS.length);
  const fill = (at: number) =>
    (FILLS[random.chance(70) ? style : random.below(FILLS.length)] as Fill)(random, view, at);
  for (let i = 0; i < 16; i++) {
    fill(FX.xmm + 16 * i);
    fill(YMM_AT + 16 * i);
  }
  for (let at = OPERAND_AT; at < WIDE_SCRATCH_BYTES; at += 16) fill(at);
  if (row.text.startsWith("VLDMXCSR")) view.setUint32(OPERAND_AT, randomMxcsr(random, bits), true);

  const { reg: regClass, rm: rmClass, vsib } = row.options;
  /** A general register that is neither of the two that XSAVE needs. */
  const general = () => {
    for (;;) {
      const n = random.below(registers);
      if (n !== RAX && n !== RDX) return n;
    }
  };
  const vector = () => random.below(registers);
  const reg = row.extension ?? (regClass === "gpr" || regClass === "gpr8" ? general() : vector());
  let rm = rmClass === "gpr" || rmClass === "gpr8" ? general() : vector();
  const hasThird = row.options.vvvv !== undefined;
  let vvvv = !hasThird ? 0 : row.options.vvvv === "gpr" ? general() : vector();
  let index = 0, scale = 0;
  if (random.chance(20)) rm = rmClass === regClass && row.extension === undefined ? reg : rm;
  if (random.chance(20) && hasThird && regClass === "xmm") vvvv = reg;
  const isMemory = row.modrmForm === "mem" || (row.modrmForm === "any" && (bare || random.chance(50)));
  const unaligned = random.chance(25) && !row.text.includes("MXCSR") ? 1 + random.below(31) : 0;
  let target = operand ?? scratch + OPERAND_AT + unaligned;
  if (vsib === true) {
    while (vvvv === reg) vvvv = vector();
    do index = vector(); while (index === reg || index === vvvv);
    scale = random.below(4);
    target = scratch + GATHER_AT;
    const shape = gatherShape(row);
    // Indexes that stay in the operand; where the mask leaves an element out, anything.
    for (let i = 0; i < 256 / shape.index; i++) {
      const at = (i * shape.index < 128 ? FX.xmm : YMM_AT - 16) + 16 * index + i * shape.index / 8;
      const m = i * shape.element,
        masked = m >= 256 || (view.getUint8(
              (m < 128 ? FX.xmm : YMM_AT - 16) + 16 * vvvv + (m + shape.element) / 8 - 1,
            ) & 0x80) === 0;
      const value = masked && random.chance(50) ? Number(random.u64() & 0x7fff_ffffn) : random.below(24) - 8;
      if (shape.index === 32) view.setInt32(at, value, true);
      else view.setBigInt64(at, BigInt(value), true);
    }
  }
  if (/^VMASKMOVDQU/.test(row.text)) gpr[7] = BigInt(target);

  const writer = new CaseCode(bits), code = writer.bytes;
  if (!bare) writer.image(5, scratch); // XRSTOR
  const lengths = !bare && /PCMPESTR/.test(row.text);
  if (lengths) {
    for (const r of [RAX, RDX]) {
      writer.mov32(r, random.chance(80) ? random.below(40) - 20 : random.u32());
    }
  }
  const wide = row.rexW ?? random.chance(40);
  const l = row.vex === 256 || (row.vex === "ig" && random.chance(30)) ? 4 : 0;
  const pp = row.prefix === "66" ? 1 : row.prefix === "f3" ? 2 : row.prefix === "f2" ? 3 : 0;
  const r = row.extension === undefined ? (reg >> 3) ^ 1 : 1;
  const x = ((vsib === true ? index : 0) >> 3) ^ 1, b = (isMemory ? 0 : rm >> 3) ^ 1;
  const last = ((~vvvv & 15) << 3) | l | pp;
  if (row.map === 1 && !wide && x === 1 && b === 1 && random.chance(80)) code.push(0xc5, (r << 7) | last);
  else code.push(0xc4, (r << 7) | (x << 6) | (b << 5) | row.map, (wide ? 0x80 : 0) | last);
  code.push(row.opcode);
  if (row.hasModrm) {
    if (vsib === true) {
      code.push(((reg & 7) << 3) | 4, (scale << 6) | ((index & 7) << 3) | 5);
      writer.le32(target);
    } else if (isMemory) writer.absolute(reg & 7, target);
    else code.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
  }
  if (row.immediates.length > 0) code.push(random.u32() & (random.chance(50) ? 0xff : 0x1f));
  const uses = /^VMASKMOVDQU/.test(row.text) ? [7] : [];
  const operands = generalOperands(row, reg, isMemory ? undefined : rm);
  if (bare) return { code, gpr, flags: ALWAYS, memory, uses, operands };
  writer.mov32(RAX, STATES);
  writer.mov32(RDX, 0);
  writer.image(4, scratch); // XSAVE
  return { code, gpr, flags: ALWAYS | (random.u32() & ARITHMETIC), memory };
}
