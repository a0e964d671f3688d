// SPDX-License-Identifier: MIT
/**
 * The x87's architectural state as a record in memory, shared with the MMX registers (MMn is R[n]'s significand),
 * and its images: FNSTENV/FNSAVE (SDM Vol. 1 §8.1.10) and the x87 part of FXSAVE (Vol. 1 §10.5.1).
 *
 * The record holds registers by number (R0..R7) and the abridged tag (bit n: R[n] is in use), as the hardware does;
 * the images hold them from the top of stack, the short ones with two tag bits a register.
 * @module
 */
import { layout } from "../base/layout.ts";
import { EXP_MAX, Float80, Kind, kindOf } from "./float80.ts";

const SLOT = layout({ significand: "u64", signExponent: "u16" });

/** The record. `r` is eight 16-byte slots, so that it can be copied into FXSAVE images. */
export const X87_STATE = layout({
  fcw: "u16",
  fsw: "u16",
  ftw: "u8", // abridged: 1 is in use
  fop: "u16",
  fip: "u64",
  fdp: "u64",
  fcs: "u16",
  fds: "u16",
  r: [SLOT, 8],
});
const AT = X87_STATE.at;
/** log2 of a slot's size. */
export const SLOT_SHIFT = 4;

/** FCW after FNINIT. */
export const FCW_INIT = 0x037f;
/** FCW bits that can be written; bit 6 always reads 1. */
const FCW_WRITABLE = 0x1f3f;
const FCW_FIXED = 0x0040;
/** FSW: an unmasked exception waits to be reported. */
export const FSW_ES = 1 << 7;
/** FSW: shadows ES. */
export const FSW_B = 1 << 15;
/** FSW: exception flags, IE..PE. */
export const FSW_EXCEPTIONS = 0x3f;
/** FSW: lowest bit of TOP. */
export const FSW_TOP_SHIFT = 11;
const FSW_TOP = 7 << FSW_TOP_SHIFT;

/** EFLAGS bits that FCOMI writes and FCMOVcc reads. */
export const EFLAGS_CF = 1 << 0, EFLAGS_PF = 1 << 2, EFLAGS_ZF = 1 << 6;

/** FCW as hardware keeps what is loaded. */
export function legalFcw(value: number): number {
  return (value & FCW_WRITABLE) | FCW_FIXED;
}

/** `fsw` with ES and B as its flags and `fcw`'s masks say. */
export function withSummary(fsw: number, fcw: number): number {
  return (fsw & ~fcw & FSW_EXCEPTIONS) !== 0 ? fsw | FSW_ES | FSW_B : fsw & ~(FSW_ES | FSW_B);
}

/** Which of the four environment formats FNSTENV, FNSAVE, FLDENV and FRSTOR use. */
export interface EnvFormat {
  /** 16-bit operand size: 14 bytes instead of 28. */
  readonly short: boolean;
  /** Real or virtual-8086 mode: linear addresses and the opcode instead of selectors. */
  readonly real: boolean;
}

/** Size of the environment. */
export function envBytes(format: { readonly short: boolean }): number {
  return format.short ? 14 : 28;
}

/** The tag word with two bits a register, from contents and abridged tag. */
export function fullTags(view: DataView, base: number): number {
  const ftw = view.getUint8(base + AT.ftw);
  const value = new Float80();
  let tags = 0;
  for (let n = 0; n < 8; n++) {
    let tag = 3; // empty
    if ((ftw >>> n & 1) !== 0) {
      const slot = base + AT.r + (n << SLOT_SHIFT);
      value.lo = view.getUint32(slot, true);
      value.hi = view.getUint32(slot + 4, true);
      value.se = view.getUint16(slot + 8, true);
      const kind = kindOf(value);
      tag = kind === Kind.Normal ? 0 : kind === Kind.Zero ? 1 : 2;
    }
    tags |= tag << (2 * n);
  }
  return tags;
}

function setFullTags(view: DataView, base: number, tags: number): void {
  let ftw = 0;
  for (let n = 0; n < 8; n++) if ((tags >>> (2 * n) & 3) !== 3) ftw |= 1 << n;
  view.setUint8(base + AT.ftw, ftw);
}

/** FNINIT: registers keep their contents, but count as empty. */
export function initState(view: DataView, base: number): void {
  for (let at = 0; at < AT.r; at += 2) view.setUint16(base + at, 0, true);
  view.setUint16(base + AT.fcw, FCW_INIT, true);
}

/** Writes the environment at `to`. */
export function storeEnv(view: DataView, base: number, to: number, format: EnvFormat): void {
  const fop = view.getUint16(base + AT.fop, true) & 0x7ff;
  let fip = view.getUint32(base + AT.fip, true);
  let fdp = view.getUint32(base + AT.fdp, true);
  const fcs = view.getUint16(base + AT.fcs, true);
  const fds = view.getUint16(base + AT.fds, true);
  if (format.real) {
    fip = (fip + fcs * 16) >>> 0;
    fdp = (fdp + fds * 16) >>> 0;
  }
  const words = [
    view.getUint16(base + AT.fcw, true),
    view.getUint16(base + AT.fsw, true),
    fullTags(view, base),
  ];
  if (format.short) {
    words.push(
      fip & 0xffff,
      format.real ? ((fip >>> 16 & 15) << 12) | fop : fcs,
      fdp & 0xffff,
      format.real ? (fdp >>> 16 & 15) << 12 : fds,
    );
    words.forEach((word, n) => view.setUint16(to + 2 * n, word, true));
    return;
  }
  const high = 0xffff_0000;
  words.forEach((word, n) => view.setUint32(to + 4 * n, (high | word) >>> 0, true));
  view.setUint32(to + 12, format.real ? (high | (fip & 0xffff)) >>> 0 : fip, true);
  view.setUint32(to + 16, format.real ? ((fip >>> 16) << 12 | fop) >>> 0 : (fop << 16 | fcs) >>> 0, true);
  view.setUint32(to + 20, format.real ? (high | (fdp & 0xffff)) >>> 0 : fdp, true);
  view.setUint32(to + 24, format.real ? ((fdp >>> 16) << 12) >>> 0 : (high | fds) >>> 0, true);
}

/** Reads the environment at `from`. A flag that its own FCW does not mask is pending afterwards. */
export function loadEnv(view: DataView, base: number, from: number, format: EnvFormat): void {
  const step = format.short ? 2 : 4;
  const fcw = legalFcw(view.getUint16(from, true));
  view.setUint16(base + AT.fcw, fcw, true);
  view.setUint16(base + AT.fsw, withSummary(view.getUint16(from + step, true), fcw), true);
  setFullTags(view, base, view.getUint16(from + 2 * step, true));
  let fip: number, fdp: number, fop: number, fcs = 0, fds = 0;
  if (format.short) {
    fip = view.getUint16(from + 6, true);
    fdp = view.getUint16(from + 10, true);
    fcs = view.getUint16(from + 8, true);
    fds = view.getUint16(from + 12, true);
    fop = format.real ? fcs & 0x7ff : 0;
    if (format.real) {
      fip |= (fcs >>> 12) << 16;
      fdp |= (fds >>> 12) << 16;
    }
  } else {
    fip = view.getUint32(from + 12, true);
    fdp = view.getUint32(from + 20, true);
    const middle = view.getUint32(from + 16, true);
    const last = view.getUint32(from + 24, true);
    if (format.real) {
      fip = ((fip & 0xffff) | (middle >>> 12) << 16) >>> 0;
      fdp = ((fdp & 0xffff) | (last >>> 12) << 16) >>> 0;
      fop = middle & 0x7ff;
    } else {
      fcs = middle & 0xffff;
      fds = last & 0xffff;
      fop = middle >>> 16 & 0x7ff;
    }
  }
  if (format.real) fcs = fds = 0; // the addresses are linear already
  view.setUint16(base + AT.fop, fop, true);
  view.setUint32(base + AT.fip, fip, true);
  view.setUint32(base + AT.fip + 4, 0, true);
  view.setUint32(base + AT.fdp, fdp, true);
  view.setUint32(base + AT.fdp + 4, 0, true);
  view.setUint16(base + AT.fcs, fcs, true);
  view.setUint16(base + AT.fds, fds, true);
}

/** Copies the registers, top of stack first, to `to` at `stride` bytes each (10 or 16). */
export function storeRegisters(view: DataView, base: number, to: number, stride: number): void {
  const top = view.getUint16(base + AT.fsw, true) >>> FSW_TOP_SHIFT;
  for (let n = 0; n < 8; n++) {
    const slot = base + AT.r + (((top + n) & 7) << SLOT_SHIFT);
    for (let at = 0; at < 10; at += 2) {
      view.setUint16(to + n * stride + at, view.getUint16(slot + at, true), true);
    }
  }
}

/** The way back. TOP must be loaded already. */
export function loadRegisters(view: DataView, base: number, from: number, stride: number): void {
  const top = view.getUint16(base + AT.fsw, true) >>> FSW_TOP_SHIFT;
  for (let n = 0; n < 8; n++) {
    const slot = base + AT.r + (((top + n) & 7) << SLOT_SHIFT);
    for (let at = 0; at < 10; at += 2) {
      view.setUint16(slot + at, view.getUint16(from + n * stride + at, true), true);
    }
  }
}

/**
 * Writes the x87 part of an FXSAVE image at `to`: bytes 0..23 and the low ten bytes of each slot from 32 on.
 * MXCSR and XMM are the caller's. `wide`: FXSAVE64 (REX.W), 64-bit pointers without selectors.
 */
export function storeFxsave(view: DataView, base: number, to: number, wide: boolean): void {
  for (let at = 0; at < 24; at += 4) view.setUint32(to + at, view.getUint32(base + at, true), true);
  view.setUint8(to + 5, 0);
  if (!wide) {
    view.setUint32(to + 12, view.getUint16(base + AT.fcs, true), true);
    view.setUint32(to + 20, view.getUint16(base + AT.fds, true), true);
  }
  storeRegisters(view, base, to + 32, 16);
}

/** The way back: FXRSTOR or FXRSTOR64. */
export function loadFxsave(view: DataView, base: number, from: number, wide: boolean): void {
  for (let at = 0; at < 24; at += 4) view.setUint32(base + at, view.getUint32(from + at, true), true);
  const fcw = legalFcw(view.getUint16(from, true));
  view.setUint16(base + AT.fcw, fcw, true);
  view.setUint16(base + AT.fsw, withSummary(view.getUint16(from + 2, true), fcw), true);
  view.setUint16(base + AT.fop, view.getUint16(from + 6, true) & 0x7ff, true);
  view.setUint16(base + AT.fcs, wide ? 0 : view.getUint16(from + 12, true), true);
  view.setUint16(base + AT.fds, wide ? 0 : view.getUint16(from + 20, true), true);
  if (!wide) {
    view.setUint32(base + AT.fip + 4, 0, true);
    view.setUint32(base + AT.fdp + 4, 0, true);
  }
  loadRegisters(view, base, from + 32, 16);
}

/** What any MMX instruction but EMMS does first: all registers in use, TOP 0. */
export function enterMmx(view: DataView, base: number): void {
  view.setUint8(base + AT.ftw, 0xff);
  const fsw = view.getUint16(base + AT.fsw, true);
  view.setUint16(base + AT.fsw, fsw & ~FSW_TOP, true);
}

/** Writes MMn: the significand, and an exponent of all ones. */
export function writeMmx(view: DataView, base: number, n: number, lo: number, hi: number): void {
  const slot = base + AT.r + ((n & 7) << SLOT_SHIFT);
  view.setUint32(slot, lo, true);
  view.setUint32(slot + 4, hi, true);
  view.setUint16(slot + 8, SIGN_AND_EXPONENT, true);
}
const SIGN_AND_EXPONENT = 0x8000 | EXP_MAX;

/** EMMS: all registers empty. */
export function emms(view: DataView, base: number): void {
  view.setUint8(base + AT.ftw, 0);
}
