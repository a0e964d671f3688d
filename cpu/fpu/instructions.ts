// SPDX-License-Identifier: MIT
/**
 * The x87 instruction set, D8..DF: one row per line of the SDM's opcode tables (Vol. 2A, Vol. 2D table A-7 and on),
 * and what each does to the stack. The undocumented aliases that processors accept are rows too.
 * @module
 */
import { add, compare, div, mul, sqrt, sub, UNORDERED } from "./arithmetic.ts";
import { fromBcd, fromI32, fromI64, toBcd, toF32, toF64, toInteger, widenF32, widenF64 } from "./convert.ts";
import {
  BIAS,
  C0,
  C1,
  C2,
  C3,
  DE,
  type Float80,
  type FpEnv,
  Kind,
  kindOf,
  nanResult1,
  RC_NEAREST,
  RC_UP,
  SIGN,
} from "./float80.ts";
import { extract, NO_QUOTIENT, rem, rint, scale } from "./remainder.ts";
import {
  EFLAGS_CF,
  EFLAGS_PF,
  EFLAGS_ZF,
  envBytes,
  FSW_EXCEPTIONS,
  initState,
  legalFcw,
  loadEnv,
  loadRegisters,
  storeEnv,
  storeRegisters,
  withSummary,
  X87_STATE,
} from "./x87_state.ts";
import { atan2, exp2m1, outOfTrigRange, sinCos, tan, yLog2X, yLog2XP1 } from "./transcendental.ts";
import type { X87Stack } from "./x87_stack.ts";

const AT = X87_STATE.at;
const CODES = C0 | C1 | C2 | C3;

/**
 * What the CPU has to do around an instruction: nothing, read memory before, write memory after, copy FSW to AX
 * after, or raise #UD.
 */
export type OperandKind = "none" | "load" | "store" | "ax" | "invalid";

type Run = (x: X87Stack, i: number) => void;

/** One instruction, decoded. */
export interface X87Form {
  /** Mnemonic and operands as in the SDM. */
  readonly name: string;
  readonly kind: OperandKind;
  /** Size of the memory operand; with a 16-bit operand size when `short`. */
  readonly bytes: (short: boolean) => number;
  /** Reports pending exceptions first. */
  readonly waits: boolean;
  /** Control instruction: leaves FOP, FIP and FDP alone. */
  readonly control: boolean;
  /** Reads (FCMOVcc) or writes (FCOMI) EFLAGS. */
  readonly eflags: "none" | "read" | "write";
  /** Does not clear C1 when all is well: FNOP, FCMOVcc, FCOMI and its kin. */
  readonly keepsC1: boolean;
  /** @internal Undefined: no such instruction. */
  readonly run: Run | undefined;
}

/** A result from ST(0) and another operand, in this order whatever the destination. */
type Binary = (r: Float80, st0: Float80, other: Float80, env: FpEnv) => void;
const subr: Binary = (r, a, b, env) => sub(r, b, a, env);
const divr: Binary = (r, a, b, env) => div(r, b, a, env);

/** ST(0) or ST(i) = ST(0) op ST(i). */
function onRegisters(op: Binary, toTop: boolean, pop: boolean): Run {
  return (x, i) => {
    if (x.empty(0) || x.empty(i)) {
      if (!x.underflow(x.c)) return;
    } else {
      op(x.c, x.get(x.a, 0), x.get(x.b, i), x.env);
      if (x.stopped) return;
    }
    x.put(toTop ? 0 : i, x.c);
    if (pop) x.pop();
  };
}

/** Reads the memory operand into x.b; true when it is a denormal there. */
type Load = (x: X87Stack) => boolean;
const loadF32: Load = (x) => widenF32(x.b, x.view, x.operand);
const loadF64: Load = (x) => widenF64(x.b, x.view, x.operand);
const loadI16: Load = (x) => {
  fromI32(x.b, x.view.getInt16(x.operand, true));
  return false;
};
const loadI32: Load = (x) => {
  fromI32(x.b, x.view.getInt32(x.operand, true));
  return false;
};

/** ST(0) = ST(0) op memory. */
function onMemory(op: Binary, load: Load): Run {
  return (x) => {
    if (x.empty(0)) {
      if (!x.underflow(x.c)) return;
    } else {
      x.get(x.a, 0);
      if (load(x)) {
        const kind = kindOf(x.a);
        if (kind < Kind.QNaN && !(kind === Kind.Zero && op === divr)) x.env.sw |= DE;
        if (x.stopped) return;
      }
      op(x.c, x.a, x.b, x.env);
      if (x.stopped) return;
    }
    x.put(0, x.c);
  };
}

/** Compares ST(0) with ST(i), then pops. */
function compareRegisters(quiet: boolean, pops: number): Run {
  return (x, i) => {
    let order = UNORDERED;
    if (x.empty(0) || x.empty(i)) x.underflow(x.c);
    else order = compare(x.get(x.a, 0), x.get(x.b, i), quiet, x.env);
    x.setConditions(order); // even when an unmasked exception keeps the operands from being popped
    if (x.stopped) return;
    for (let n = 0; n < pops; n++) x.pop();
  };
}

function compareMemory(load: Load, pop: boolean): Run {
  return (x) => {
    let order = UNORDERED;
    if (x.empty(0)) {
      x.underflow(x.c);
    } else {
      const tiny = load(x);
      if (tiny && kindOf(x.get(x.a, 0)) < Kind.QNaN) x.env.sw |= DE;
      order = compare(x.get(x.a, 0), x.b, false, x.env);
    }
    x.setConditions(order);
    if (pop && !x.stopped) x.pop();
  };
}

/** FCOMI, FUCOMI: to EFLAGS. */
function compareToFlags(quiet: boolean, pop: boolean): Run {
  return (x, i) => {
    let order = UNORDERED;
    if (x.empty(0) || x.empty(i)) x.underflow(x.c);
    else order = compare(x.get(x.a, 0), x.get(x.b, i), quiet, x.env);
    x.setEflags(order);
    if (pop && !x.stopped) x.pop();
  };
}

const ftst: Run = (x) => {
  let order = UNORDERED;
  if (x.empty(0)) x.underflow(x.c);
  else order = compare(x.get(x.a, 0), x.b.set(0, 0, 0), false, x.env);
  x.setConditions(order);
};

const fxam: Run = (x) => {
  const kind = kindOf(x.get(x.a, 0));
  const sign = (x.a.se & SIGN) !== 0 ? C1 : 0;
  x.setCodes(CODES, sign | (x.empty(0) ? C3 | C0 : CLASS_CODES[kind] as number));
};
const CLASS_CODES: readonly number[] = [C3, C2, C3 | C2, C2 | C0, C0, C0, 0]; // by Kind

/** FLD m32, m64: exceptions of the conversion. */
function loadReal(load: Load): Run {
  return (x) => {
    if (load(x)) x.env.sw |= DE;
    nanResult1(x.b, x.b, kindOf(x.b), x.env);
    x.load(x.b);
  };
}
function loadInteger(load: Load): Run {
  return (x) => {
    load(x);
    x.load(x.b);
  };
}
const loadI64: Run = (x) => {
  fromI64(x.b, x.view, x.operand);
  x.load(x.b);
};
const loadF80: Run = (x) => {
  const { view, operand } = x;
  x.load(x.b.set(
    view.getUint16(operand + 8, true),
    view.getUint32(operand + 4, true),
    view.getUint32(operand, true),
  ));
};
const fbld: Run = (x) => {
  fromBcd(x.b, x.view, x.operand);
  x.load(x.b);
};
const fldRegister: Run = (x, i) => {
  if (!x.empty(i)) x.load(x.get(x.b, i));
  else if (x.underflow(x.b)) x.push(x.b); // precedes overflow
};

/** Pushes a constant, truncated; rounding up adds 1 in the last place, which nearest does when `nearestUp`. */
function loadConstant(se: number, hi: number, lo: number, nearestUp?: boolean): Run {
  return (x) => {
    const rc = (x.env.cw >>> 10) & 3;
    const up = nearestUp !== undefined && (rc === RC_UP || (rc === RC_NEAREST && nearestUp));
    x.load(x.b.set(se, hi, up ? lo + 1 : lo));
  };
}

/** A store of ST(0) to x.operand; false when suppressed. */
type Store = (x: X87Stack, from: Float80) => boolean;

function store(to: Store, pop: boolean): Run {
  return (x) => {
    const done = x.empty(0) ? x.underflow(x.a) && to(x, x.a) : to(x, x.get(x.a, 0));
    if (!done) x.storeBytes = 0;
    else if (pop) x.pop();
  };
}
const storeF32: Store = (x, from) => toF32(from, x.view, x.operand, x.env);
const storeF64: Store = (x, from) => toF64(from, x.view, x.operand, x.env);
const storeBcd: Store = (x, from) => toBcd(from, x.view, x.operand, x.env);
const storeF80: Store = ({ view, operand }, from) => {
  view.setUint32(operand, from.lo, true);
  view.setUint32(operand + 4, from.hi, true);
  view.setUint16(operand + 8, from.se, true);
  return true;
};
function storeInteger(bytes: 2 | 4 | 8, truncate = false): Store {
  return (x, from) => toInteger(from, bytes, x.view, x.operand, truncate, x.env);
}

function storeRegister(pop: boolean): Run {
  return (x, i) => {
    if (x.empty(0)) {
      if (!x.underflow(x.a)) return;
    } else {
      x.get(x.a, 0);
    }
    x.put(i, x.a);
    if (pop) x.pop();
  };
}

const fxch: Run = (x, i) => {
  const first = x.empty(0);
  const second = x.empty(i);
  if ((first || second) && !x.underflow(x.c)) return;
  const a = first ? x.c : x.get(x.a, 0);
  const b = second ? x.c : x.get(x.b, i);
  x.put(0, b);
  x.put(i, a);
};

/** FCMOVcc: moves when any of the EFLAGS bits is set, or (`not`) when none is. */
function conditionalMove(bits: number, not: boolean): Run {
  return (x, i) => {
    if (x.empty(0) || x.empty(i)) {
      if (x.underflow(x.c)) x.put(0, x.c);
    } else if (((x.eflags & bits) === 0) === not) {
      x.put(0, x.get(x.a, i));
    }
  };
}

/** ST(0) = op(ST(0)). */
function unary(op: (r: Float80, a: Float80, env: FpEnv) => void): Run {
  return (x) => {
    if (x.empty(0)) x.underflow(x.c);
    else op(x.c, x.get(x.a, 0), x.env);
    x.commit(0, x.c);
  };
}

/** ST(1) = op(ST(1), ST(0)), pop. */
function binaryPop(op: (r: Float80, y: Float80, x: Float80, env: FpEnv) => void): Run {
  return (x) => {
    if (x.empty(0) || x.empty(1)) x.underflow(x.c);
    else op(x.c, x.get(x.b, 1), x.get(x.a, 0), x.env);
    if (x.commit(1, x.c)) x.pop();
  };
}

function remainder(nearest: boolean): Run {
  return (x) => {
    let codes = NO_QUOTIENT;
    if (x.empty(0) || x.empty(1)) x.underflow(x.c);
    else codes = rem(x.c, x.get(x.a, 0), x.get(x.b, 1), nearest, x.env);
    x.commit(0, x.c);
    if (codes === NO_QUOTIENT) x.setCodes(C2, 0);
    else x.setCodes(CODES, codes);
  };
}

const fscale: Run = (x) => {
  if (x.empty(0) || x.empty(1)) x.underflow(x.c);
  else scale(x.c, x.get(x.a, 0), x.get(x.b, 1), x.env);
  x.commit(0, x.c);
};

/** For instructions that replace ST(0) and push. True when a stack fault settles the matter. */
function cannotPush(x: X87Stack): boolean {
  let masked: boolean;
  if (x.empty(0)) masked = x.underflow(x.c);
  else if (!x.empty(7)) masked = x.overflow(x.c);
  else return false;
  if (masked) {
    x.put(0, x.c);
    x.push(x.c);
  }
  return true;
}

const fxtract: Run = (x) => {
  if (cannotPush(x)) return;
  extract(x.b, x.c, x.get(x.a, 0), x.env);
  if (x.commit(0, x.b)) x.push(x.c);
};

/** FSIN and FCOS. */
function trigonometric(op: (r: Float80, a: Float80, env: FpEnv) => void): Run {
  return (x) => {
    x.setCodes(C2, 0);
    if (x.empty(0)) x.underflow(x.c);
    else if (outOfTrigRange(x.get(x.a, 0))) return x.setCodes(C2, C2);
    else op(x.c, x.a, x.env);
    x.commit(0, x.c);
  };
}

/** FSINCOS and FPTAN: `first` replaces ST(0), `second` is pushed. */
function trigonometricPair(op: (first: Float80, second: Float80, a: Float80, env: FpEnv) => void): Run {
  return (x) => {
    x.setCodes(C2, 0);
    if (cannotPush(x)) return;
    if (outOfTrigRange(x.get(x.a, 0))) return x.setCodes(C2, C2);
    op(x.c, x.b, x.a, x.env);
    if (x.commit(0, x.c)) x.push(x.b);
  };
}
function tanAndOne(first: Float80, second: Float80, a: Float80, env: FpEnv): void {
  tan(first, a, env);
  const kind = kindOf(a);
  if (kind >= Kind.Infinity) second.copy(first);
  else second.set(BIAS, 0x8000_0000, 0);
}

const changeSign: Run = unary((r, a) => r.set(a.se ^ SIGN, a.hi, a.lo));
const absolute: Run = unary((r, a) => r.set(a.se & ~SIGN, a.hi, a.lo));

// Control instructions work on the record alone.

const fninit: Run = ({ view, base }) => initState(view, base);
const fnclex: Run = ({ view, base }) => {
  const fsw = view.getUint16(base + AT.fsw, true);
  view.setUint16(base + AT.fsw, fsw & 0x7f00, true);
};
const nothing: Run = () => {};

function setFcw({ view, base }: X87Stack, value: number): void {
  const fcw = legalFcw(value);
  view.setUint16(base + AT.fcw, fcw, true);
  view.setUint16(base + AT.fsw, withSummary(view.getUint16(base + AT.fsw, true), fcw), true);
}
const fldcw: Run = (x) => setFcw(x, x.view.getUint16(x.operand, true));
const fnstcw: Run = ({ view, base, operand }) =>
  view.setUint16(operand, view.getUint16(base + AT.fcw, true), true);
const fnstsw: Run = ({ view, base, operand }) =>
  view.setUint16(operand, view.getUint16(base + AT.fsw, true), true);
const fldenv: Run = ({ view, base, operand, envFormat }) => loadEnv(view, base, operand, envFormat);
const fnstenv: Run = (x) => {
  storeEnv(x.view, x.base, x.operand, x.envFormat);
  setFcw(x, x.view.getUint16(x.base + AT.fcw, true) | FSW_EXCEPTIONS);
};
const frstor: Run = ({ view, base, operand, envFormat }) => {
  loadEnv(view, base, operand, envFormat);
  loadRegisters(view, base, operand + envBytes(envFormat), 10);
};
const fnsave: Run = ({ view, base, operand, envFormat }) => {
  storeEnv(view, base, operand, envFormat);
  storeRegisters(view, base, operand + envBytes(envFormat), 10);
  initState(view, base);
};

interface RowOptions {
  readonly kind?: OperandKind;
  /** Memory operand; a pair is 32-bit and 16-bit operand size. */
  readonly bytes?: number | readonly [number, number];
  readonly waits?: boolean;
  readonly control?: boolean;
  readonly eflags?: "read" | "write";
}

const INVALID: X87Form = {
  name: "(invalid)",
  kind: "invalid",
  bytes: () => 0,
  waits: false,
  control: true,
  eflags: "none",
  keepsC1: true,
  run: undefined,
};
/** By (opcode & 7) * 72 + index: 0..7 the /r of a memory form, 8..71 modrm - 0xc0. */
const forms: X87Form[] = new Array<X87Form>(8 * 72).fill(INVALID);

/** Adds a row. `encoding` as in the SDM: "D8 /0" (memory), "D8 C0+i", "D9 E0". */
function row(name: string, encoding: string, run: Run, options: RowOptions = {}): void {
  const match = /^(D[89A-F]) (?:\/([0-7])|([C-F][0-9A-F])(\+i)?)$/.exec(encoding);
  if (match === null) throw new Error(`Bad encoding ${encoding} of ${name}`);
  const [, opcode = "", reg, modrm = "", plus] = match;
  const { bytes = 0 } = options;
  const [long, short] = typeof bytes === "number" ? [bytes, bytes] : bytes;
  const form: X87Form = {
    name,
    kind: options.kind ?? "none",
    bytes: (is16) => is16 ? short : long,
    waits: options.waits ?? true,
    control: options.control ?? false,
    eflags: options.eflags ?? "none",
    keepsC1: options.eflags !== undefined || name === "FNOP",
    run,
  };
  const base = (parseInt(opcode, 16) & 7) * 72;
  const first = reg !== undefined ? Number(reg) : parseInt(modrm, 16) - 0xc0 + 8;
  for (let n = first; n < first + (plus !== undefined ? 8 : 1); n++) {
    if (forms[base + n] !== INVALID) throw new Error(`Two rows for ${encoding}: ${name}`);
    forms[base + n] = form;
  }
}

const load = (bytes: number): RowOptions => ({ kind: "load", bytes });
const stores = (bytes: number): RowOptions => ({ kind: "store", bytes });
const CONTROL = { control: true } as const;
const NO_WAIT = { control: true, waits: false } as const;

row("FADD m32fp", "D8 /0", onMemory(add, loadF32), load(4));
row("FMUL m32fp", "D8 /1", onMemory(mul, loadF32), load(4));
row("FCOM m32fp", "D8 /2", compareMemory(loadF32, false), load(4));
row("FCOMP m32fp", "D8 /3", compareMemory(loadF32, true), load(4));
row("FSUB m32fp", "D8 /4", onMemory(sub, loadF32), load(4));
row("FSUBR m32fp", "D8 /5", onMemory(subr, loadF32), load(4));
row("FDIV m32fp", "D8 /6", onMemory(div, loadF32), load(4));
row("FDIVR m32fp", "D8 /7", onMemory(divr, loadF32), load(4));
row("FADD ST(0), ST(i)", "D8 C0+i", onRegisters(add, true, false));
row("FMUL ST(0), ST(i)", "D8 C8+i", onRegisters(mul, true, false));
row("FCOM ST(i)", "D8 D0+i", compareRegisters(false, 0));
row("FCOMP ST(i)", "D8 D8+i", compareRegisters(false, 1));
row("FSUB ST(0), ST(i)", "D8 E0+i", onRegisters(sub, true, false));
row("FSUBR ST(0), ST(i)", "D8 E8+i", onRegisters(subr, true, false));
row("FDIV ST(0), ST(i)", "D8 F0+i", onRegisters(div, true, false));
row("FDIVR ST(0), ST(i)", "D8 F8+i", onRegisters(divr, true, false));

row("FLD m32fp", "D9 /0", loadReal(loadF32), load(4));
row("FST m32fp", "D9 /2", store(storeF32, false), stores(4));
row("FSTP m32fp", "D9 /3", store(storeF32, true), stores(4));
row("FLDENV m14/28byte", "D9 /4", fldenv, { ...CONTROL, kind: "load", bytes: [28, 14] });
row("FLDCW m2byte", "D9 /5", fldcw, { ...CONTROL, kind: "load", bytes: 2 });
row("FNSTENV m14/28byte", "D9 /6", fnstenv, { ...NO_WAIT, kind: "store", bytes: [28, 14] });
row("FNSTCW m2byte", "D9 /7", fnstcw, { ...NO_WAIT, kind: "store", bytes: 2 });
row("FLD ST(i)", "D9 C0+i", fldRegister);
row("FXCH ST(i)", "D9 C8+i", fxch);
row("FNOP", "D9 D0", nothing);
row("FSTPNCE ST(i) (alias)", "D9 D8+i", (x, i) => {
  if (!x.empty(0)) x.put(i, x.get(x.a, 0)); // an empty ST(0) is popped without a word
  x.pop();
});
row("FCHS", "D9 E0", changeSign);
row("FABS", "D9 E1", absolute);
row("FTST", "D9 E4", ftst);
row("FXAM", "D9 E5", fxam);
row("FLD1", "D9 E8", loadConstant(0x3fff, 0x8000_0000, 0));
row("FLDL2T", "D9 E9", loadConstant(0x4000, 0xd49a_784b, 0xcd1b_8afe, false));
row("FLDL2E", "D9 EA", loadConstant(0x3fff, 0xb8aa_3b29, 0x5c17_f0bb, true));
row("FLDPI", "D9 EB", loadConstant(0x4000, 0xc90f_daa2, 0x2168_c234, true));
row("FLDLG2", "D9 EC", loadConstant(0x3ffd, 0x9a20_9a84, 0xfbcf_f798, true));
row("FLDLN2", "D9 ED", loadConstant(0x3ffe, 0xb172_17f7, 0xd1cf_79ab, true));
row("FLDZ", "D9 EE", loadConstant(0, 0, 0));
row("F2XM1", "D9 F0", unary(exp2m1));
row("FYL2X", "D9 F1", binaryPop(yLog2X));
row("FPTAN", "D9 F2", trigonometricPair(tanAndOne));
row("FPATAN", "D9 F3", binaryPop(atan2));
row("FXTRACT", "D9 F4", fxtract);
row("FPREM1", "D9 F5", remainder(true));
row("FDECSTP", "D9 F6", (x) => x.turn(-1));
row("FINCSTP", "D9 F7", (x) => x.turn(1));
row("FPREM", "D9 F8", remainder(false));
row("FYL2XP1", "D9 F9", binaryPop(yLog2XP1));
row("FSQRT", "D9 FA", unary(sqrt));
row("FSINCOS", "D9 FB", trigonometricPair(sinCos));
row("FRNDINT", "D9 FC", unary(rint));
row("FSCALE", "D9 FD", fscale);
row("FSIN", "D9 FE", trigonometric((r, a, env) => sinCos(r, undefined, a, env)));
row("FCOS", "D9 FF", trigonometric((r, a, env) => sinCos(undefined, r, a, env)));

row("FIADD m32int", "DA /0", onMemory(add, loadI32), load(4));
row("FIMUL m32int", "DA /1", onMemory(mul, loadI32), load(4));
row("FICOM m32int", "DA /2", compareMemory(loadI32, false), load(4));
row("FICOMP m32int", "DA /3", compareMemory(loadI32, true), load(4));
row("FISUB m32int", "DA /4", onMemory(sub, loadI32), load(4));
row("FISUBR m32int", "DA /5", onMemory(subr, loadI32), load(4));
row("FIDIV m32int", "DA /6", onMemory(div, loadI32), load(4));
row("FIDIVR m32int", "DA /7", onMemory(divr, loadI32), load(4));
row("FCMOVB ST(0), ST(i)", "DA C0+i", conditionalMove(EFLAGS_CF, false), { eflags: "read" });
row("FCMOVE ST(0), ST(i)", "DA C8+i", conditionalMove(EFLAGS_ZF, false), { eflags: "read" });
row("FCMOVBE ST(0), ST(i)", "DA D0+i", conditionalMove(EFLAGS_CF | EFLAGS_ZF, false), { eflags: "read" });
row("FCMOVU ST(0), ST(i)", "DA D8+i", conditionalMove(EFLAGS_PF, false), { eflags: "read" });
row("FUCOMPP", "DA E9", compareRegisters(true, 2));

row("FILD m32int", "DB /0", loadInteger(loadI32), load(4));
row("FISTTP m32int", "DB /1", store(storeInteger(4, true), true), stores(4));
row("FIST m32int", "DB /2", store(storeInteger(4), false), stores(4));
row("FISTP m32int", "DB /3", store(storeInteger(4), true), stores(4));
row("FLD m80fp", "DB /5", loadF80, load(10));
row("FSTP m80fp", "DB /7", store(storeF80, true), stores(10));
row("FCMOVNB ST(0), ST(i)", "DB C0+i", conditionalMove(EFLAGS_CF, true), { eflags: "read" });
row("FCMOVNE ST(0), ST(i)", "DB C8+i", conditionalMove(EFLAGS_ZF, true), { eflags: "read" });
row("FCMOVNBE ST(0), ST(i)", "DB D0+i", conditionalMove(EFLAGS_CF | EFLAGS_ZF, true), { eflags: "read" });
row("FCMOVNU ST(0), ST(i)", "DB D8+i", conditionalMove(EFLAGS_PF, true), { eflags: "read" });
row("FNENI (8087)", "DB E0", nothing, NO_WAIT);
row("FNDISI (8087)", "DB E1", nothing, NO_WAIT);
row("FNCLEX", "DB E2", fnclex, NO_WAIT);
row("FNINIT", "DB E3", fninit, NO_WAIT);
row("FNSETPM (80287)", "DB E4", nothing, NO_WAIT);
row("FUCOMI ST(0), ST(i)", "DB E8+i", compareToFlags(true, false), { eflags: "write" });
row("FCOMI ST(0), ST(i)", "DB F0+i", compareToFlags(false, false), { eflags: "write" });

row("FADD m64fp", "DC /0", onMemory(add, loadF64), load(8));
row("FMUL m64fp", "DC /1", onMemory(mul, loadF64), load(8));
row("FCOM m64fp", "DC /2", compareMemory(loadF64, false), load(8));
row("FCOMP m64fp", "DC /3", compareMemory(loadF64, true), load(8));
row("FSUB m64fp", "DC /4", onMemory(sub, loadF64), load(8));
row("FSUBR m64fp", "DC /5", onMemory(subr, loadF64), load(8));
row("FDIV m64fp", "DC /6", onMemory(div, loadF64), load(8));
row("FDIVR m64fp", "DC /7", onMemory(divr, loadF64), load(8));
row("FADD ST(i), ST(0)", "DC C0+i", onRegisters(add, false, false));
row("FMUL ST(i), ST(0)", "DC C8+i", onRegisters(mul, false, false));
row("FCOM ST(i) (alias)", "DC D0+i", compareRegisters(false, 0));
row("FCOMP ST(i) (alias)", "DC D8+i", compareRegisters(false, 1));
row("FSUBR ST(i), ST(0)", "DC E0+i", onRegisters(sub, false, false));
row("FSUB ST(i), ST(0)", "DC E8+i", onRegisters(subr, false, false));
row("FDIVR ST(i), ST(0)", "DC F0+i", onRegisters(div, false, false));
row("FDIV ST(i), ST(0)", "DC F8+i", onRegisters(divr, false, false));

row("FLD m64fp", "DD /0", loadReal(loadF64), load(8));
row("FISTTP m64int", "DD /1", store(storeInteger(8, true), true), stores(8));
row("FST m64fp", "DD /2", store(storeF64, false), stores(8));
row("FSTP m64fp", "DD /3", store(storeF64, true), stores(8));
row("FRSTOR m94/108byte", "DD /4", frstor, { ...CONTROL, kind: "load", bytes: [108, 94] });
row("FNSAVE m94/108byte", "DD /6", fnsave, { ...NO_WAIT, kind: "store", bytes: [108, 94] });
row("FNSTSW m2byte", "DD /7", fnstsw, { ...NO_WAIT, kind: "store", bytes: 2 });
row("FFREE ST(i)", "DD C0+i", (x, i) => x.free(i));
row("FXCH ST(i) (alias)", "DD C8+i", fxch);
row("FST ST(i)", "DD D0+i", storeRegister(false));
row("FSTP ST(i)", "DD D8+i", storeRegister(true));
row("FUCOM ST(i)", "DD E0+i", compareRegisters(true, 0));
row("FUCOMP ST(i)", "DD E8+i", compareRegisters(true, 1));

row("FIADD m16int", "DE /0", onMemory(add, loadI16), load(2));
row("FIMUL m16int", "DE /1", onMemory(mul, loadI16), load(2));
row("FICOM m16int", "DE /2", compareMemory(loadI16, false), load(2));
row("FICOMP m16int", "DE /3", compareMemory(loadI16, true), load(2));
row("FISUB m16int", "DE /4", onMemory(sub, loadI16), load(2));
row("FISUBR m16int", "DE /5", onMemory(subr, loadI16), load(2));
row("FIDIV m16int", "DE /6", onMemory(div, loadI16), load(2));
row("FIDIVR m16int", "DE /7", onMemory(divr, loadI16), load(2));
row("FADDP ST(i), ST(0)", "DE C0+i", onRegisters(add, false, true));
row("FMULP ST(i), ST(0)", "DE C8+i", onRegisters(mul, false, true));
row("FCOMP ST(i) (alias)", "DE D0+i", compareRegisters(false, 1));
row("FCOMPP", "DE D9", compareRegisters(false, 2));
row("FSUBRP ST(i), ST(0)", "DE E0+i", onRegisters(sub, false, true));
row("FSUBP ST(i), ST(0)", "DE E8+i", onRegisters(subr, false, true));
row("FDIVRP ST(i), ST(0)", "DE F0+i", onRegisters(div, false, true));
row("FDIVP ST(i), ST(0)", "DE F8+i", onRegisters(divr, false, true));

row("FILD m16int", "DF /0", loadInteger(loadI16), load(2));
row("FISTTP m16int", "DF /1", store(storeInteger(2, true), true), stores(2));
row("FIST m16int", "DF /2", store(storeInteger(2), false), stores(2));
row("FISTP m16int", "DF /3", store(storeInteger(2), true), stores(2));
row("FBLD m80dec", "DF /4", fbld, load(10));
row("FILD m64int", "DF /5", loadI64, load(8));
row("FBSTP m80bcd", "DF /6", store(storeBcd, true), stores(10));
row("FISTP m64int", "DF /7", store(storeInteger(8), true), stores(8));
row("FFREEP ST(i) (alias)", "DF C0+i", (x, i) => {
  x.free(i);
  x.pop();
});
row("FXCH ST(i) (alias)", "DF C8+i", fxch);
row("FSTP ST(i) (alias)", "DF D0+i", storeRegister(true));
row("FSTP ST(i) (alias)", "DF D8+i", storeRegister(true));
row("FNSTSW AX", "DF E0", nothing, { ...NO_WAIT, kind: "ax" });
row("FUCOMIP ST(0), ST(i)", "DF E8+i", compareToFlags(true, true), { eflags: "write" });
row("FCOMIP ST(0), ST(i)", "DF F0+i", compareToFlags(false, true), { eflags: "write" });

/** The instruction that `opcode` (0xd8..0xdf) and `modrm` encode; kind "invalid" when there is none. */
export function formOf(opcode: number, modrm: number): X87Form {
  const index = modrm >= 0xc0 ? modrm - 0xc0 + 8 : modrm >>> 3 & 7;
  return forms[(opcode & 7) * 72 + index] ?? INVALID;
}

/** Decode-time classification: what the CPU moves before or after, and how many bytes. */
export function x87Operand(
  opcode: number,
  modrm: number,
  short = false,
): { kind: OperandKind; bytes: number } {
  const form = formOf(opcode, modrm);
  return { kind: form.kind, bytes: form.bytes(short) };
}
