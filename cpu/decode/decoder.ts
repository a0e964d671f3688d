// SPDX-License-Identifier: MIT
/**
 * The table-driven instruction decoder: bytes and mode in, an {@linkcode Instruction} out. It knows encodings
 * (SDM Vol. 2A §2) and nothing of what instructions do: that is in the rows.
 * Not done: EVEX and XOP prefixes (62 decodes as BOUND or #UD, 8F as POP).
 * @module
 */
import type { CpuFeatures } from "../base/cpu_features.ts";
import type { CpuVendor } from "../base/engine.ts";
import type { InstructionForm } from "../emit/form.ts";
import type { Width } from "../emit/emit.ts";
import { needsOf, type RegisterClass, type Row, row, rows } from "../isa/row/row.ts";
import { type DecodeMode, type Instruction, MAX_LENGTH, mayUseFpu } from "./instruction.ts";
import { KnownEncodings } from "./known_encodings.ts";
import { DS, EXC_UD, FS, GS, S, segmentLayout, SS, XMM_BASE } from "../state/state.ts";
import { X87_STATE } from "../fpu/x87_state.ts";
import "../isa/mod.ts";

/** The row that undefined opcodes decode to. */
export const UNDEFINED_OPCODE = row("#UD", "0fff", "v", (e) => e.fault(EXC_UD));

function specificity(r: Row): number {
  return (r.vex === 128 || r.vex === 256 ? 32 : 0) + (r.exactModrm !== undefined ? 16 : 0) +
    (r.prefix !== undefined ? 8 : 0) +
    (r.rexW !== undefined ? 4 : 0) + (r.modrmForm !== "any" ? 2 : 0) + (r.mode !== "any" ? 1 : 0);
}

/** Whether a processor with `features` has the row. */
export function hasRow(r: Row, features: CpuFeatures): boolean {
  const { without } = r.options;
  return needsOf(r).every((name) => features.has(name)) && (without === undefined || !features.has(without));
}

/** Behind the opcode maps of legacy instructions are those of VEX-encoded ones. */
const VEX_MAPS = 4;
function buildTable(features: CpuFeatures): (Row[] | undefined)[] {
  const table: (Row[] | undefined)[] = new Array(2 * VEX_MAPS * 256);
  for (const r of rows) {
    if (r === UNDEFINED_OPCODE || !hasRow(r, features)) continue;
    const map = r.vex === undefined ? r.map : VEX_MAPS + r.map;
    for (let i = 0; i < r.span; i++) (table[map * 256 + r.opcode + i] ??= []).push(r);
  }
  for (const candidates of table) candidates?.sort((a, b) => specificity(b) - specificity(a));
  return table;
}

const WIDTH_INDEX: Record<number, number> = { 8: 0, 16: 1, 32: 2, 64: 3 };
const SEGMENT_KIND = { none: 0, base: 1, checked: 2 } as const;
/** Forms a decoder remembers at most; the guest chooses which there are. */
const MOST_FORMS = 16_384;

/** Decodes one instruction at a time; fields hold the state of the one in progress. */
export class Decoder {
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;
  #limit = 0;
  #overrun = false;
  readonly #forms = new Map<number, InstructionForm>();
  readonly #amd: boolean;
  readonly #table: readonly (readonly Row[] | undefined)[];
  /** Encodings that have been decoded. */
  readonly known: KnownEncodings;

  /** `features`, `vendor`: of the processor whose instructions these are. */
  constructor(features: CpuFeatures, vendor: CpuVendor = "GenuineIntel") {
    this.#table = buildTable(features);
    this.known = new KnownEncodings(this.#table);
    this.#amd = vendor === "AuthenticAMD";
  }

  #u8(): number {
    if (this.#at >= this.#limit) {
      this.#overrun = true;
      return 0;
    }
    return this.#bytes[this.#at++] as number;
  }
  #u16(): number {
    return this.#u8() | (this.#u8() << 8);
  }
  #i32(): number {
    return this.#u16() | (this.#u16() << 16);
  }
  #i8(): number {
    return (this.#u8() << 24) >> 24;
  }
  #i16(): number {
    return (this.#u16() << 16) >> 16;
  }

  /**
   * Decodes the instruction at `bytes[at]`, using bytes below `limit`. `poff` is its offset in the physical
   * page. Undefined: it needs bytes at or beyond `limit` (or is longer than 15 bytes: see MAX_LENGTH).
   */
  decode(
    bytes: Uint8Array,
    at: number,
    limit: number,
    poff: number,
    mode: DecodeMode,
  ): Instruction | undefined {
    return this.known.decode(bytes, at, limit, poff, mode) ?? this.#decode(bytes, at, limit, poff, mode);
  }

  #decode(
    bytes: Uint8Array,
    at: number,
    limit: number,
    poff: number,
    mode: DecodeMode,
  ): Instruction | undefined {
    this.#bytes = bytes;
    this.#at = at;
    this.#limit = Math.min(limit, at + MAX_LENGTH);
    this.#overrun = false;
    const is64 = mode.codeBits === 64;

    // Prefixes
    let rex = 0, opsize = false, adsize = false, rep: 0 | 0xf2 | 0xf3 = 0, lock = false, override = -1;
    let opcode: number;
    prefixes: for (;;) {
      opcode = this.#u8();
      switch (opcode) {
        case 0x66:
          opsize = true;
          break;
        case 0x67:
          adsize = true;
          break;
        case 0xf2:
        case 0xf3:
          rep = opcode;
          break;
        case 0xf0:
          lock = true;
          break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
          if (!is64) override = (opcode - 0x26) >> 3;
          break;
        case 0x64:
          override = FS;
          break;
        case 0x65:
          override = GS;
          break;
        default:
          if (is64 && (opcode & 0xf0) === 0x40) {
            rex = opcode;
            continue;
          }
          break prefixes;
      }
      rex = 0; // a REX prefix counts only right before the opcode
      if (this.#overrun) return undefined;
    }
    let map = 0, vector: 0 | 128 | 256 = 0, vvvv = 0, malformed = false;
    if (opcode === 0x0f) {
      map = 1;
      opcode = this.#u8();
      if (opcode === 0x38 || opcode === 0x3a) {
        map = opcode === 0x38 ? 2 : 3;
        opcode = this.#u8();
      }
    } else if (
      (opcode === 0xc4 || opcode === 0xc5) &&
      (is64 || (this.#at < this.#limit && (this.#bytes[this.#at] as number) >= 0xc0))
    ) {
      // SDM Vol. 2A §2.3.5: a prefix of these in front of VEX is #UD; outside 64-bit code this is no LES and no LDS.
      malformed = lock || opsize || rep !== 0 || rex !== 0;
      const long = opcode === 0xc4;
      const first = this.#u8(), last = long ? this.#u8() : first;
      rex = 0x40 | (first & 0x80 ? 0 : 4);
      map = VEX_MAPS + 1;
      if (long) {
        rex |= (first & 0x40 ? 0 : 2) | (first & 0x20 ? 0 : 1) | (last & 0x80 ? 8 : 0);
        map = (first & 0x1f) + VEX_MAPS;
        malformed ||= map <= VEX_MAPS || map >= 2 * VEX_MAPS;
      }
      vector = last & 4 ? 256 : 128;
      vvvv = (~last >> 3) & 15;
      opsize = (last & 3) === 1;
      rep = (last & 3) === 2 ? 0xf3 : (last & 3) === 3 ? 0xf2 : 0;
      opcode = this.#u8();
    }

    // Row
    let rexW = (rex & 8) !== 0;
    const candidates = malformed ? undefined : this.#table[map * 256 + opcode];
    const next = this.#at < this.#limit ? this.#bytes[this.#at] as number : -1;
    let found: Row = UNDEFINED_OPCODE;
    if (candidates !== undefined) {
      for (const r of candidates) {
        if (r.mode !== "any" && (r.mode === "only64") !== is64) continue;
        if (r.rexW !== undefined && r.rexW !== rexW) continue;
        if (vector !== 0) {
          if (r.vex !== "ig" && r.vex !== vector) continue;
          if (vvvv !== 0 && r.options.vvvv === undefined) continue;
        }
        if (r.prefix !== undefined) {
          const mandatory = rep === 0xf3 ? "f3" : rep === 0xf2 ? "f2" : opsize ? "66" : "np";
          if (r.prefix !== mandatory) continue;
        }
        if (r.hasModrm) {
          if (next < 0) return undefined;
          if (r.exactModrm !== undefined && r.exactModrm !== next) continue;
          if (r.extension !== undefined && r.extension !== ((next >> 3) & 7)) continue;
          if (r.modrmForm !== "any" && (r.modrmForm === "reg") !== (next >= 0xc0)) continue;
        }
        found = r;
        break;
      }
    }

    // Sizes
    if (vector !== 0) {
      opsize = false; // it was part of the opcode
      if (!is64) { // fields that lead to more than eight registers, or to 64 bits, are ignored there
        if (rexW && this.#amd && found.options.quadword === true) found = UNDEFINED_OPCODE;
        rex = 0;
        rexW = false;
        vvvv &= 7;
      }
      if (found.vex === "ig") vector = 128;
    }
    if (rexW && this.#amd && found.options.farPointer === true) rexW = opsize = false;
    const osize: 16 | 32 | 64 = rexW ? 64 : (opsize !== (mode.codeBits === 16)) ? 16 : 32;
    const asize: 16 | 32 | 64 = is64 ? (adsize ? 32 : 64) : (adsize !== (mode.codeBits === 16)) ? 16 : 32;
    let width: Width;
    switch (found.size) {
      case "v":
        width = osize;
        break;
      case "q":
        width = is64 ? (opsize && !rexW ? 16 : 64) : osize;
        break;
      case "f": // AMD's processors take 66 for what it says, as for a stack operand
        width = is64 ? (this.#amd && opsize && !rexW ? 16 : 64) : osize;
        break;
      case "y":
        width = rexW ? 64 : 32;
        break;
      case "d":
        width = this.#amd || osize !== 16 ? 32 : 16;
        break;
      case 128:
        width = 64;
        break;
      default:
        width = found.size;
    }
    const effective = found.size === "q" || found.size === "f" || found.size === "y"
      ? width as 16 | 32 | 64
      : osize;

    // ModRM and SIB
    const options = found.options;
    const defaultClass: RegisterClass = found.size === 8 ? "gpr8" : "gpr";
    const regClass = options.reg ?? defaultClass;
    const rmClass = options.rm ?? defaultClass;
    let isMemory = false, hasIndex = false, scale = 0, disp = 0, dispBytes = 0, ripRelative = false;
    let reg = 0, rm = 0, base: number = S.zero, index: number = S.zero, segmentIndex = DS;
    if (found.hasModrm) {
      const modrm = this.#u8();
      const mod = modrm >> 6;
      reg = register(regClass, ((modrm >> 3) & 7) | ((rex & 4) << 1), rex !== 0);
      if (mod === 3 || options.ignoresMod === true) {
        rm = register(rmClass, (modrm & 7) | ((rex & 1) << 3), rex !== 0);
      } else {
        isMemory = true;
        if (asize === 16) {
          const pair = modrm & 7;
          const baseReg = [3, 3, 5, 5, 6, 7, 5, 3][pair] as number; // BX BX BP BP SI DI BP BX
          if (pair < 4) {
            hasIndex = true;
            index = S.gpr + (pair & 1 ? 7 : 6) * 8;
          }
          if (pair === 6 && mod === 0) disp = this.#i16();
          else {
            base = S.gpr + baseReg * 8;
            if (baseReg === 5) segmentIndex = SS;
            if (mod === 1) disp = this.#i8();
            else if (mod === 2) disp = this.#i16();
          }
        } else {
          let baseNumber = (modrm & 7) | ((rex & 1) << 3);
          let noBase = false;
          if ((modrm & 7) === 4) {
            const sib = this.#u8();
            const indexNumber = ((sib >> 3) & 7) | ((rex & 2) << 2);
            if (options.vsib === true) {
              hasIndex = true;
              index = XMM_BASE + indexNumber * 16;
              scale = sib >> 6;
            } else if (indexNumber !== 4) {
              hasIndex = true;
              index = S.gpr + indexNumber * 8;
              scale = sib >> 6;
            }
            baseNumber = (sib & 7) | ((rex & 1) << 3);
            noBase = (sib & 7) === 5 && mod === 0;
          } else if ((modrm & 7) === 5 && mod === 0) {
            noBase = true;
            ripRelative = is64;
          }
          if (!noBase) {
            base = S.gpr + baseNumber * 8;
            if (baseNumber === 4 || baseNumber === 5) segmentIndex = SS;
          }
          dispBytes = noBase || mod === 2 ? 4 : mod;
          if (dispBytes === 1) disp = this.#i8();
          else if (dispBytes === 4) disp = this.#i32();
        }
      }
    } else if (found.span === 8) {
      reg = register(regClass, (opcode & 7) | ((rex & 1) << 3), rex !== 0);
    }

    // Immediates
    let immLow = options.passModrm === true ? next : 0, immHigh = 0;
    let first = true;
    for (const kind of found.immediates) {
      let low = 0, high = 0;
      switch (kind) {
        case "ib":
        case "cb":
          low = this.#i8();
          high = low >> 31;
          break;
        case "ub":
          low = this.#u8();
          break;
        case "is4":
          low = register("xmm", (this.#u8() >> 4) & (is64 ? 15 : 7), false);
          break;
        case "iw":
          low = this.#u16();
          break;
        case "iz":
        case "cz":
          low = width === 16 ? this.#i16() : this.#i32();
          high = low >> 31;
          break;
        case "iv":
          low = width === 16 ? this.#u16() : this.#i32();
          if (width === 64) high = this.#i32();
          break;
        case "mo":
          low = asize === 16 ? this.#u16() : this.#i32();
          if (asize === 64) high = this.#i32();
          break;
        case "far":
          low = width === 16 ? this.#u16() : this.#i32();
          disp = this.#u16();
          break;
      }
      if (first) {
        immLow = low;
        immHigh = high;
      } else {
        disp = low;
      }
      first = false;
    }
    if (this.#overrun) return undefined;
    const length = this.#at - at;
    if (options.without !== undefined) found = UNDEFINED_OPCODE;
    const third = options.vvvv === undefined ? 0 : register(options.vvvv, vvvv, true);
    if (third !== 0) immHigh = third; // see RECORD_VVVV
    if (options.vsib === true && !isVsib(hasIndex, asize, [reg, index, third])) found = UNDEFINED_OPCODE;
    if (lock && !(options.lockable === true && isMemory)) found = UNDEFINED_OPCODE;

    if (ripRelative) {
      // codeBias + offset of the next instruction is the next RIP; the sum may leave the i32 range.
      base = S.codeBias;
      disp += poff + length;
      if (disp > 0x7fff_ffff) {
        disp -= 8192;
        hasIndex = true;
        index = S.constant8192;
      }
    }
    // 64-bit mode knows FS and GS only: the others are as if not there, and RSP and RBP still mean the stack.
    if (override >= 0 && (!is64 || override >= FS)) segmentIndex = override;
    const usesSource = isMemory || options.implicitSource === true || found.immediates.includes("mo");
    const segmentKind = !usesSource
      ? "none"
      : is64
      ? (segmentIndex >= FS ? "base" : "none")
      : mode.flat && segmentIndex <= DS
      ? "none"
      : "checked";
    const countNonZero = options.shiftCount === true && (immLow & (width === 64 ? 63 : 31)) !== 0;
    const trap = vector === 0 ? mode.fpuTrap && mayUseFpu(map, opcode) : mode.avxTrap;
    const repeat = options.repeats === true ? rep : 0;
    const low = found.span === 16 ? opcode & 15 : 0;
    const formKey = (WIDTH_INDEX[width] as number) | ((WIDTH_INDEX[effective] as number) << 2) |
      ((WIDTH_INDEX[asize] as number) << 4) | ((WIDTH_INDEX[mode.codeBits] as number) << 6) |
      ((WIDTH_INDEX[mode.stackBits] as number) << 8) | (isMemory ? 1 << 10 : 0) |
      (repeat === 0 ? 0 : repeat === 0xf2 ? 1 << 11 : 2 << 11) | (rexW ? 1 << 13 : 0) | (low << 14) |
      (hasIndex ? 1 << 18 : 0) | (SEGMENT_KIND[segmentKind] << 19) | (mode.flat ? 1 << 21 : 0) |
      (trap ? 1 << 22 : 0) | (countNonZero ? 1 << 23 : 0) | (vector << 17) | (third !== 0 ? 1 << 26 : 0);
    let form = this.#forms.get(formKey);
    if (form === undefined) {
      form = {
        osize: effective,
        asize,
        codeBits: mode.codeBits,
        stackBits: mode.stackBits,
        isMemory,
        rep: repeat,
        rexW,
        opcodeLow: low,
        addressForm: { hasIndex, segment: segmentKind },
        flat: mode.flat,
        fpuTrap: trap,
        countNonZero,
        vector,
        threeOperands: third !== 0,
      };
      if (this.#forms.size === MOST_FORMS) this.#forms.clear();
      this.#forms.set(formKey, form);
    }
    const insn: Instruction = {
      row: found,
      form,
      formKey,
      width,
      poff,
      length,
      reg,
      rm,
      base,
      index,
      scale,
      disp,
      segment: S.es + segmentIndex * segmentLayout.size,
      immLow,
      immHigh,
      vvvv: third,
    };
    if (found !== UNDEFINED_OPCODE) this.known.learn(bytes, at, mode, insn, dispBytes);
    return insn;
  }
}

/** VSIB wants an index, which has no 16-bit form, and three different registers (SDM Vol. 2, VGATHERDPS). */
function isVsib(hasIndex: boolean, asize: number, [reg, index, mask]: readonly number[]): boolean {
  return hasIndex && asize !== 16 && reg !== index && reg !== mask && index !== mask;
}

/** Address (or plain number, for class none and segment) of register `n`. */
function register(kind: RegisterClass, n: number, hasRex: boolean): number {
  switch (kind) {
    case "gpr8":
      return !hasRex && n >= 4 && n < 8 ? S.gpr + (n & 3) * 8 + 1 : S.gpr + n * 8;
    case "gpr":
      return S.gpr + n * 8;
    case "xmm":
      return XMM_BASE + n * 16;
    case "mmx":
      return MMX_BASE + (n & 7) * 16;
    case "segment":
    case "none":
      return n;
  }
}

/** MM0..7 are the significands of the x87 registers; see cpu/x87. */
const MMX_BASE = S.x87 + X87_STATE.at.r;
