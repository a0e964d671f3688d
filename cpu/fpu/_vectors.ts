// SPDX-License-Identifier: MIT
/**
 * Test support: cases for x87 instructions, our results for them, and their comparison with a real processor's. The
 * record is that of tests/_x87_native.c, which judges.
 * @module
 */
import { formOf } from "./instructions.ts";
import { X87, X87_MF, X87_UD } from "./x87.ts";
import { legalFcw, withSummary, X87_STATE } from "./x87_state.ts";

/** Bytes in a record. */
export const RECORD_BYTES = 224;
/** Offsets in a record; see x87_native.c. */
export const REC = {
  fcw: 0,
  fsw: 2,
  ftw: 4,
  prefix: 5,
  op: 6,
  modrm: 7,
  eflags: 8,
  ax: 10,
  signal: 12,
  st: 16,
  mem: 96,
};
const SIGILL = 4, SIGFPE = 8;
const AT = X87_STATE.at;

/** Small seeded generator (mulberry32). */
export class Random {
  constructor(public state: number) {}
  u32(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

const SIGNIFICANDS: readonly [number, number][] = [
  [0x8000_0000, 0],
  [0x8000_0000, 1],
  [0xffff_ffff, 0xffff_ffff],
  [0xc000_0000, 0],
  [0xffff_ffff, 0xffff_f800],
  [0xffff_ffff, 0xffff_fc00],
  [0xffff_ff00, 0],
  [0xffff_ff80, 0],
  [0x8000_0000, 0x400],
  [0x8000_0080, 0],
  [0x8000_0000, 0x800],
  [0xc90f_daa2, 0x2168_c235],
];

/** Writes a random 80-bit value: specials, near neighbors, integers, anything. */
function value(random: Random, view: DataView, at: number, center: number): void {
  const shape = random.below(24);
  let se = random.below(2) << 15;
  let [hi, lo] = random.below(3) === 0 ? random.pick(SIGNIFICANDS) : [random.u32(), random.u32()];
  if (random.below(4) === 0) lo = 0;
  if (shape === 0) {
    se |= random.pick([0, 0, 0x7fff]);
    [hi, lo] = random.pick([[0, 0], [0x8000_0000, 0], [0, 0]] as [number, number][]);
    if ((se & 0x7fff) !== 0) hi = 0x8000_0000;
  } else if (shape === 1) {
    se |= 0x7fff; // NaNs, pseudo-NaNs
    if (random.below(4) !== 0) hi = (hi | 0x8000_0000) >>> 0;
    if (random.below(4) === 0) hi = random.pick([0xc000_0000, 0x8000_0000, 0xa000_0000]);
  } else if (shape === 2) {
    const shift = random.below(32); // denormals
    hi = random.below(4) === 0 ? 0 : (hi >>> shift);
  } else if (shape === 3) {
    se |= random.u32() & 0x7fff; // anything, unnormals too
  } else {
    hi = (hi | 0x8000_0000) >>> 0;
    if (shape < 6) {
      se |= random.pick([1, 2, 0x7ffe, 0x7ffd, 0x3fff, 0x3c01, 0x43fe, 0x3f81, 0x407e, 0x3c00, 0x3bcd]);
    } else if (shape < 9) se |= 1 + random.below(0x7ffe);
    else if (shape < 12) se |= 0x3fff + random.below(70);
    else se |= (center + random.below(8) - 4) & 0x7fff;
  }
  view.setUint32(at, lo, true);
  view.setUint32(at + 4, hi, true);
  view.setUint16(at + 8, se, true);
}

function floats(random: Random, view: DataView, at: number, bytes: number): void {
  for (let n = 0; n < bytes; n += 4) view.setUint32(at + n, random.u32(), true);
  if (bytes === 8 || bytes === 4) { // make a sensible float in half of the cases
    const high = at + bytes - 4;
    const mode = random.below(8);
    const sign = random.u32() & 0x8000_0000;
    const f = bytes === 4 ? 23 : 20;
    const fraction = random.u32() & ((1 << f) - 1);
    const exps = bytes === 4 ? [0, 255, 127, 128, 1, 254] : [0, 2047, 1023, 1024, 1, 2046];
    if (mode < 4) {
      view.setUint32(
        high,
        (sign | random.pick(exps) << f | (random.below(3) === 0 ? 0 : fraction)) >>> 0,
        true,
      );
      if (bytes === 8 && random.below(2) === 0) view.setUint32(at, 0, true);
    } else if (mode < 6) {
      view.setInt32(at, random.below(200) - 100, true);
      if (bytes === 8) view.setInt32(high, view.getInt32(at, true) >> 31, true);
    }
  } else if (bytes === 2 && random.below(2) === 0) {
    view.setInt16(at, random.below(5) - 2, true);
  } else if (bytes === 10) {
    value(random, view, at, 0x3fff);
  }
}

/** Fills the record at `at` with a case for `op`, `modrm`. */
export function makeCase(random: Random, view: DataView, at: number, op: number, modrm: number): void {
  const form = formOf(op, modrm);
  for (let n = 0; n < RECORD_BYTES; n += 4) view.setUint32(at + n, 0, true);
  const masks = random.below(4) === 0 ? random.below(64) : 63;
  const fcw = masks | 0x40 | random.pick([0, 2, 3, 3]) << 8 | random.pick([0, 0, 0, 1, 2, 3]) << 10;
  const top = random.below(8);
  let fsw = top << 11 | (random.u32() & 0x4700);
  if (random.below(8) === 0) fsw |= random.below(64);
  fsw = withSummary(fsw, fcw);
  view.setUint16(at + REC.fcw, fcw, true);
  view.setUint16(at + REC.fsw, fsw, true);
  const full = random.below(16);
  let ftw = full === 0 ? 0xff : full === 1 ? random.below(256) : 0;
  if (full > 1) { for (let n = 0; n < 2 + random.below(5); n++) ftw |= 1 << ((top + n) & 7); }
  if (full > 2 && modrm >= 0xc0) ftw |= 1 << ((top + (modrm & 7)) & 7);
  view.setUint8(at + REC.ftw, ftw);
  view.setUint8(at + REC.op, op);
  view.setUint8(at + REC.modrm, modrm);
  view.setUint16(at + REC.eflags, 0x202 | random.u32() & 0x8d5, true);
  const center = random.pick([0x3fff, 0x3fff, 0x3ff0, 2, 0x7ff0, random.below(0x7fff)]);
  for (let n = 0; n < 8; n++) value(random, view, at + REC.st + 10 * n, center);
  floats(random, view, at + REC.mem, form.bytes(false));
  if (form.name.startsWith("FBLD") && random.below(2) === 0) {
    for (let n = 0; n < 9; n++) view.setUint8(at + REC.mem + n, random.below(10) << 4 | random.below(10));
  }
  if (form.name.startsWith("FLDENV") || form.name.startsWith("FRSTOR")) {
    view.setUint16(at + REC.mem + 2, random.u32() & 0x1f7f, true);
    if (random.below(2) === 0) view.setUint8(at + REC.prefix, 0x66);
    for (let n = 0; n < 8; n++) value(random, view, at + REC.mem + 28 + 10 * n, 0x3fff);
  }
  if (form.name.startsWith("FNSTENV") || form.name.startsWith("FNSAVE")) {
    if (random.below(2) === 0) view.setUint8(at + REC.prefix, 0x66);
  }
}

const STATE_BYTES = X87_STATE.size;
const memory = new DataView(new ArrayBuffer(STATE_BYTES + 128));
const unit = new X87(memory, 0, STATE_BYTES);

/** Runs the record at `at` of `from` on our x87; the result goes to `to`, as x87_native.c would write it. */
export function runOurs(from: DataView, to: DataView, at: number): void {
  for (let n = 0; n < RECORD_BYTES; n++) to.setUint8(at + n, from.getUint8(at + n));
  for (let n = 0; n < STATE_BYTES; n++) memory.setUint8(n, 0);
  const fcw = legalFcw(from.getUint16(at + REC.fcw, true));
  const fsw = from.getUint16(at + REC.fsw, true);
  memory.setUint16(AT.fcw, fcw, true);
  memory.setUint16(AT.fsw, withSummary(fsw, fcw), true);
  memory.setUint8(AT.ftw, from.getUint8(at + REC.ftw));
  const copy = (source: DataView, target: DataView, toState: boolean) => {
    const top = memory.getUint16(AT.fsw, true) >>> 11;
    for (let n = 0; n < 8; n++) {
      const slot = AT.r + (((top + n) & 7) << 4);
      const record = at + REC.st + 10 * n;
      for (let k = 0; k < 10; k++) {
        target.setUint8((toState ? slot : record) + k, source.getUint8((toState ? record : slot) + k));
      }
    }
  };
  copy(from, memory, true);
  for (let n = 0; n < 128; n++) memory.setUint8(STATE_BYTES + n, from.getUint8(at + REC.mem + n));
  const op = from.getUint8(at + REC.op);
  const modrm = from.getUint8(at + REC.modrm);
  unit.envFormat = { short: from.getUint8(at + REC.prefix) === 0x66, real: false };
  unit.eflags = from.getUint16(at + REC.eflags, true);
  const status = unit.execute(op, modrm);
  to.setUint8(at + REC.signal, status === X87_MF ? SIGFPE : status === X87_UD ? SIGILL : 0);
  to.setUint16(at + REC.fcw, memory.getUint16(AT.fcw, true), true);
  to.setUint16(at + REC.fsw, memory.getUint16(AT.fsw, true), true);
  to.setUint8(at + REC.ftw, memory.getUint8(AT.ftw));
  to.setUint16(at + REC.eflags, unit.eflags, true);
  const ax = formOf(op, modrm).kind === "ax" ? memory.getUint16(AT.fsw, true) : 0;
  to.setUint16(at + REC.ax, ax, true);
  copy(memory, to, false);
  for (let n = 0; n < unit.storeBytes; n++) {
    to.setUint8(at + REC.mem + n, memory.getUint8(STATE_BYTES + n));
  }
}

/** Instructions that processors compute to within one unit in the last place, each in its own way. */
const APPROXIMATE = /^(FSIN|FCOS|FSINCOS|FPTAN|FPATAN|F2XM1|FYL2X|FYL2XP1)$/;
const UE = 1 << 4, C1 = 1 << 9;

/** Position of an 80-bit encoding among the numbers of its sign, one step a unit in the last place. */
function ordinal(view: DataView, at: number): bigint {
  const significand = view.getBigUint64(at, true);
  const exp = BigInt(view.getUint16(at + 8, true) & 0x7fff);
  return exp === 0n ? significand : (exp << 63n) + (significand & 0x7fff_ffff_ffff_ffffn);
}

/** Distance of two results in units in the last place; Infinity when the signs differ. */
function distance(a: DataView, b: DataView, at: number): number {
  if (((a.getUint16(at + 8, true) ^ b.getUint16(at + 8, true)) & 0x8000) !== 0) return Infinity;
  const d = ordinal(a, at) - ordinal(b, at);
  return Number(d < 0n ? -d : d);
}

/** Says how our record differs from the processor's beyond what is allowed; empty when it does not. */
export function difference(ours: DataView, real: DataView, at: number): string {
  const name = formOf(real.getUint8(at + REC.op), real.getUint8(at + REC.modrm)).name.split(" ")[0] as string;
  const loose = APPROXIMATE.test(name);
  const found: string[] = [];
  const fields: [string, number, number][] = [
    ["FCW", REC.fcw, 2],
    ["tags", REC.ftw, 1],
    ["EFLAGS", REC.eflags, 2],
    ["AX", REC.ax, 2],
    ["signal", REC.signal, 1],
    ["memory", REC.mem, 128],
  ];
  for (let n = 0; n < 8; n++) {
    const st = REC.st + 10 * n;
    if (!loose || n > 1) fields.push([`ST${n}`, st, 10]);
    else if (distance(ours, real, at + st) > 1) found.push(`ST${n} by ${distance(ours, real, at + st)} ulp`);
  }
  for (const [field, offset, bytes] of fields) {
    for (let n = 0; n < bytes; n++) {
      if (ours.getUint8(at + offset + n) !== real.getUint8(at + offset + n)) {
        found.push(field);
        break;
      }
    }
  }
  // C1 tells of the last rounding, which is the implementation's own; so does UE where that makes a result tiny or not
  const isTiny = (view: DataView, n: number) =>
    (view.getUint16(REC.st + 10 * n + at + 8, true) & 0x7fff) === 0;
  const atTheEdge = [0, 1].some((n) => isTiny(ours, n) !== isTiny(real, n));
  const ignored = !loose ? 0 : atTheEdge ? C1 | UE : C1;
  const sw = ours.getUint16(at + REC.fsw, true) ^ real.getUint16(at + REC.fsw, true);
  if ((sw & ~ignored) !== 0) found.push("FSW");
  return found.join(", ");
}

/** One line that shows a record. */
export function describe(view: DataView, at: number): string {
  const hex = (offset: number, bytes: number) => {
    let text = "";
    for (let n = bytes - 1; n >= 0; n--) text += view.getUint8(at + offset + n).toString(16).padStart(2, "0");
    return text;
  };
  const op = view.getUint8(at + REC.op), modrm = view.getUint8(at + REC.modrm);
  const st = [0, 1, 2, modrm & 7].map((n) => hex(REC.st + 10 * n + 8, 2) + ":" + hex(REC.st + 10 * n, 8));
  return `${formOf(op, modrm).name} (${hex(REC.op, 1)} ${hex(REC.modrm, 1)}) FCW ${hex(0, 2)} FSW ${
    hex(2, 2)
  } ` +
    `tags ${hex(4, 1)} EFLAGS ${hex(8, 2)} ST0,1,2,i ${st.join(" ")} m ${hex(REC.mem, 10)}`;
}

/** Every encoding: eight memory and 64 register forms per opcode. */
export function everyEncoding(): [number, number][] {
  const list: [number, number][] = [];
  for (let op = 0xd8; op <= 0xdf; op++) {
    for (let reg = 0; reg < 8; reg++) list.push([op, reg << 3 | 6]);
    for (let modrm = 0xc0; modrm < 0x100; modrm++) list.push([op, modrm]);
  }
  return list;
}

/** Lists where `ours`, the results of `input`, differs from a real processor's. */
export function differences(input: DataView, ours: DataView, real: DataView): string[] {
  const complaints: string[] = [];
  for (let at = 0; at < input.byteLength && complaints.length < 20; at += RECORD_BYTES) {
    const what = difference(ours, real, at);
    if (what === "") continue;
    complaints.push(
      `${what}\n  in   ${describe(input, at)}\n  ours ${describe(ours, at)}\n  real ${describe(real, at)}`,
    );
  }
  return complaints;
}

/** Runs every record of `input` on our x87 and lists the ones that differ from `real`. */
export function judge(input: DataView, real: DataView): string[] {
  const ours = new DataView(new ArrayBuffer(input.byteLength));
  for (let at = 0; at < input.byteLength; at += RECORD_BYTES) runOurs(input, ours, at);
  return differences(input, ours, real);
}
