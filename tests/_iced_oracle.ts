// SPDX-License-Identifier: MIT
/**
 * Compares our decoder with iced-x86, instruction by instruction: validity, length, mnemonic, registers, operand
 * sizes, memory operand, segment, immediates, branch targets. Where an operand sits (ModRM.reg, ModRM.rm, opcode)
 * is taken from iced's own opcode description, not from our rows.
 *
 * What the two may disagree about is in the tables of this file, each with its reason. An instruction that iced
 * knows and we do not must need a CPU feature that our CPUID does not advertise.
 * @module
 */
import * as iced from "npm:iced-x86@1.21.0";
import {
  ALL_FEATURES,
  type CpuFeature,
  type CpuFeatures,
  FEATURE_WORDS,
  FIXED,
  NEEDS,
} from "../cpu/base/cpu_features.ts";
import { levelFeatures } from "../cpu/base/cpu_model.ts";
import type { CpuVendor } from "../cpu/base/engine.ts";
import { cpuidLeaf } from "../cpu/system/cpuid.ts";
import { Decoder, UNDEFINED_OPCODE } from "../cpu/decode/decoder.ts";
import { type Instruction } from "../cpu/decode/instruction.ts";
import type { Row } from "../cpu/isa/mod.ts";
import { needsOf } from "../cpu/isa/row/row.ts";
import { S, segmentLayout, XMM_BASE } from "../cpu/state/state.ts";
import { TestCpu } from "../cpu/_bare_cpu.ts";
import { formOf } from "../cpu/fpu/instructions.ts";
import { X87_STATE } from "../cpu/fpu/x87_state.ts";

const { CpuidFeature, Mnemonic, OpCodeOperandKind, OpKind, Register, RegisterExt, MemorySizeExt } = iced;

/** CPUID register in the order of a leaf. */
type Output = 0 | 1 | 2 | 3;
const EBX = 1, ECX = 2, EDX = 3;
/** Where CPUID advertises what iced calls so: leaf, register, bit. */
const CPUID_BITS: readonly (readonly [string, number, Output, number])[] = [
  ["FPU", 1, EDX, 0],
  ["FPU287", 1, EDX, 0],
  ["FPU387", 1, EDX, 0],
  ["TSC", 1, EDX, 4],
  ["MSR", 1, EDX, 5],
  ["CX8", 1, EDX, 8],
  ["SEP", 1, EDX, 11],
  ["CMOV", 1, EDX, 15],
  ["CLFSH", 1, EDX, 19],
  ["MMX", 1, EDX, 23],
  ["FXSR", 1, EDX, 24],
  ["SSE", 1, EDX, 25],
  ["SSE2", 1, EDX, 26],
  ["SSE3", 1, ECX, 0],
  ["PCLMULQDQ", 1, ECX, 1],
  ["MONITOR", 1, ECX, 3],
  ["VMX", 1, ECX, 5],
  ["SMX", 1, ECX, 6],
  ["SSSE3", 1, ECX, 9],
  ["FMA", 1, ECX, 12],
  ["CMPXCHG16B", 1, ECX, 13],
  ["SSE4_1", 1, ECX, 19],
  ["SSE4_2", 1, ECX, 20],
  ["MOVBE", 1, ECX, 22],
  ["POPCNT", 1, ECX, 23],
  ["AES", 1, ECX, 25],
  ["XSAVE", 1, ECX, 26],
  ["AVX", 1, ECX, 28],
  ["F16C", 1, ECX, 29],
  ["RDRAND", 1, ECX, 30],
  ["FSGSBASE", 7, EBX, 0],
  ["BMI1", 7, EBX, 3],
  ["AVX2", 7, EBX, 5],
  ["BMI2", 7, EBX, 8],
  ["INVPCID", 7, EBX, 10],
  ["RTM", 7, EBX, 11],
  ["MPX", 7, EBX, 14],
  ["AVX512F", 7, EBX, 16],
  ["RDSEED", 7, EBX, 18],
  ["ADX", 7, EBX, 19],
  ["SMAP", 7, EBX, 20],
  ["CLFLUSHOPT", 7, EBX, 23],
  ["CLWB", 7, EBX, 24],
  ["SHA", 7, EBX, 29],
  ["PREFETCHWT1", 7, ECX, 0],
  ["PKU", 7, ECX, 3],
  ["WAITPKG", 7, ECX, 5],
  ["CET_SS", 7, ECX, 7],
  ["GFNI", 7, ECX, 8],
  ["VAES", 7, ECX, 9],
  ["VPCLMULQDQ", 7, ECX, 10],
  ["RDPID", 7, ECX, 22],
  ["KL", 7, ECX, 23],
  ["CLDEMOTE", 7, ECX, 25],
  ["MOVDIRI", 7, ECX, 27],
  ["MOVDIR64B", 7, ECX, 28],
  ["ENQCMD", 7, ECX, 29],
  ["UINTR", 7, EDX, 5],
  ["SERIALIZE", 7, EDX, 14],
  ["TSXLDTRK", 7, EDX, 16],
  ["PCONFIG", 7, EDX, 18],
  ["CET_IBT", 7, EDX, 20],
  ["LAHF_LM", 0x8000_0001, ECX, 0],
  ["LZCNT", 0x8000_0001, ECX, 5],
  ["SVM", 0x8000_0001, ECX, 2],
  ["SSE4A", 0x8000_0001, ECX, 6],
  ["PREFETCHW", 0x8000_0001, ECX, 8],
  ["XOP", 0x8000_0001, ECX, 11],
  ["SKINIT", 0x8000_0001, ECX, 12],
  ["LWP", 0x8000_0001, ECX, 15],
  ["TBM", 0x8000_0001, ECX, 21],
  ["MONITORX", 0x8000_0001, ECX, 29],
  ["SYSCALL", 0x8000_0001, EDX, 11],
  ["RDTSCP", 0x8000_0001, EDX, 27],
  ["X64", 0x8000_0001, EDX, 29],
  ["D3NOW", 0x8000_0001, EDX, 31],
];
/** What every processor of the model has: no CPUID bit, or (MULTIBYTENOP, PAUSE, RDPMC, CPUID) implied by the family. */
const ALWAYS = new Set([
  ...["INTEL8086", "INTEL186", "INTEL286", "INTEL286_ONLY", "INTEL386", "INTEL386_ONLY", "INTEL486"],
  ...["CPUID", "PAUSE", "RDPMC", "MULTIBYTENOP", "UD"],
]);

/** iced's names of the features that CPUID of a processor with `features` advertises. */
export function advertisedFeatures(features: CpuFeatures): Set<string> {
  const { core } = new TestCpu(64, { features }).cpu;
  const found = CPUID_BITS.filter(([, leaf, register, bit]) =>
    (cpuidLeaf(core, leaf, 0)[register] >>> bit & 1) !== 0
  ).map(([name]) => name);
  if ((cpuidLeaf(core, 0xd, 1)[0] & 1) !== 0) found.push("XSAVEOPT");
  return new Set([...ALWAYS, ...found]);
}

/** Our name of what iced calls `name`; undefined: every processor here has it. */
function featureCalled(name: string): CpuFeature | undefined {
  if (name === "XSAVEOPT" || name === "XSAVEC" || name === "XSAVES") return name.toLowerCase() as CpuFeature;
  const [, leaf, register, bit] = CPUID_BITS.find(([known]) => known === name) ?? [];
  return ALL_FEATURES.find((feature) =>
    !FIXED.has(feature) && FEATURE_WORDS.some((word) =>
      word.leaf === leaf && word.register === register &&
      (word.bits as Partial<Record<CpuFeature, number>>)[feature] === bit
    )
  );
}
/** All that these features need, themselves included; sorted. */
function withNeeds(features: readonly CpuFeature[]): string[] {
  const all = new Set(features);
  for (const feature of all) for (const need of NEEDS[feature] ?? []) all.add(need);
  return [...all].filter((feature) => !FIXED.has(feature)).sort();
}

/** Instructions of features that are not advertised whose encoding then means an older instruction. */
const OLDER_MEANING: ReadonlyMap<string, string> = new Map([
  ["tzcnt", "bsf"], // F3 is ignored without BMI1
  ["lzcnt", "bsr"], // F3 is ignored without LZCNT
  ["wbnoinvd", "wbinvd"], // made so that it is
  ["vmgexit", "vmmcall"], // so without SEV-ES (AMD APM Vol. 3)
]);
/** Names that differ, and only the names. */
const OTHER_NAME: ReadonlyMap<string, string> = new Map([["xlat", "xlatb"], ["fwait", "wait"]]);

const CONDITIONS = [
  ...["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"],
];
const BY_WIDTH: Readonly<Record<string, readonly [string, string, string]>> = {
  "CBW/CWDE/CDQE": ["cbw", "cwde", "cdqe"],
  "CWD/CDQ/CQO": ["cwd", "cdq", "cqo"],
  IRET: ["iret", "iretd", "iretq"],
  PUSHF: ["pushf", "pushfd", "pushfq"],
  POPF: ["popf", "popfd", "popfq"],
  PUSHA: ["pusha", "pushad", ""],
  POPA: ["popa", "popad", ""],
  "MOVD/Q": ["", "movd", "movq"],
  "PINSRD/Q": ["", "pinsrd", "pinsrq"],
  "PEXTRD/Q": ["", "pextrd", "pextrq"],
  "VMOVD/Q": ["", "vmovd", "vmovq"],
  "VPINSRD/Q": ["", "vpinsrd", "vpinsrq"],
  "VPEXTRD/Q": ["", "vpextrd", "vpextrq"],
};
/** REX.W gives these a name of their own in iced. */
const WITH_REX_W: Readonly<Record<string, string>> = {
  SYSRET: "sysretq",
  SYSEXIT: "sysexitq",
  FXSAVE: "fxsave64",
  FXRSTOR: "fxrstor64",
  XSAVE: "xsave64",
  XRSTOR: "xrstor64",
  XSAVEOPT: "xsaveopt64",
  XSAVEC: "xsavec64",
  XSAVES: "xsaves64",
  XRSTORS: "xrstors64",
  PCMPESTRM: "pcmpestrm64",
  PCMPESTRI: "pcmpestri64",
  VPCMPESTRM: "vpcmpestrm64",
  VPCMPESTRI: "vpcmpestri64",
};
/** iced knows which control and debug registers there are; we find out when the instruction runs, and raise #UD. */
const UNDEFINED_WHEN_RUN: ReadonlySet<string> = new Set([
  "MOV r, CRn",
  "MOV CRn, r",
  "MOV r, DRn",
  "MOV DRn, r",
]);
/** Hint and reserved-NOP space: everything in it does nothing here. */
const HINTS: ReadonlySet<string> = new Set(["NOP r/m", "PREFETCHW m"]);

/** Our mnemonic, spelled as iced does. */
function mnemonicOf(i: Instruction): string {
  const word = i.row.text.split(" ")[0] as string;
  const size = i.width === 64 ? 2 : i.width === 32 ? 1 : 0;
  if (word === "x87") return (formOf(i.row.opcode, i.immLow).name.split(" ")[0] as string).toLowerCase();
  if (/^(J|CMOV|SET)cc$/.test(word)) {
    return word.slice(0, -2).toLowerCase() + CONDITIONS[i.form.opcodeLow];
  }
  if (/^(MOVS|CMPS|STOS|LODS|SCAS|INS|OUTS)$/.test(word) && i.row.map === 0) {
    const io = word === "INS" || word === "OUTS";
    return word.toLowerCase() +
      (i.width === 8 ? "b" : i.width === 16 ? "w" : i.width === 64 && !io ? "q" : "d");
  }
  if (word === "JCXZ") return i.form.asize === 16 ? "jcxz" : i.form.asize === 32 ? "jecxz" : "jrcxz";
  if (i.row.text === "XCHG rAX, r" && i.reg === S.gpr) return "nop";
  if (word === "SHL" && i.row.extension === 6) return "sal"; // the undocumented alias
  const byWidth = BY_WIDTH[word];
  if (byWidth !== undefined) return byWidth[size] as string;
  const wide = i.form.rexW ? WITH_REX_W[word] : undefined;
  if (wide !== undefined) return wide;
  const name = word.toLowerCase();
  return OTHER_NAME.get(name) ?? name;
}

const MMX_BASE = S.x87 + X87_STATE.at.r;

/** The state-block address of iced's register `r`, or its number where we keep numbers. */
function addressOf(r: iced.Register): number {
  if (r >= Register.AL && r <= Register.BL) return S.gpr + (r - Register.AL) * 8;
  if (r >= Register.AH && r <= Register.BH) return S.gpr + (r - Register.AH) * 8 + 1;
  if (r >= Register.SPL && r <= Register.R15L) return S.gpr + (r - Register.SPL + 4) * 8;
  if (RegisterExt.isGPR16(r) || RegisterExt.isGPR32(r) || RegisterExt.isGPR64(r)) {
    return S.gpr + RegisterExt.number(r) * 8;
  }
  if (RegisterExt.isXMM(r) || RegisterExt.isYMM(r)) return XMM_BASE + RegisterExt.number(r) * 16;
  if (RegisterExt.isMM(r)) return MMX_BASE + RegisterExt.number(r) * 16;
  return RegisterExt.number(r);
}

const SEGMENT_ORDER = [Register.ES, Register.CS, Register.SS, Register.DS, Register.FS, Register.GS];
/** Bits of an immediate, and to how many bits it is sign-extended (iced's reading). */
const IMMEDIATE_BITS: ReadonlyMap<number, number> = new Map([
  [OpKind.Immediate8, 8],
  [OpKind.Immediate16, 16],
  [OpKind.Immediate32, 32],
  [OpKind.Immediate64, 64],
  [OpKind.Immediate8to16, 16],
  [OpKind.Immediate8to32, 32],
  [OpKind.Immediate8to64, 64],
  [OpKind.Immediate32to64, 64],
]);

/** Features of an instruction's code, once found: asking iced is slow. */
type FeatureCache = Map<number, string[]>;
/** Features that iced says the instruction needs. It leaves out that the first 64-bit processors had no LAHF there. */
function featuresOf(cache: FeatureCache, bits: number, i: iced.Instruction): string[] {
  const names = cache.get(i.code) ??
    Array.from(i.cpuidFeatures(), (feature) => CpuidFeature[feature] as string);
  cache.set(i.code, names);
  const lahf = i.mnemonic === Mnemonic.Lahf || i.mnemonic === Mnemonic.Sahf;
  if (bits === 64 && lahf) return [...names, "LAHF_LM"];
  return names;
}

/** Code of these sizes is compared. */
export type Bits = 16 | 32 | 64;
/** Where instructions begin in their page. */
const POFF = 0x123;

/** Compares one instruction at a time. Keep one: iced's objects live in its own memory. */
export class Oracle {
  readonly #decoder: Decoder;
  readonly #advertised: ReadonlySet<string>;
  readonly #options: iced.DecoderOptions;
  readonly #instruction = new iced.Instruction();
  readonly #features: FeatureCache = new Map();
  readonly #modes: { readonly [bits: number]: Parameters<Decoder["decode"]>[4] } = {
    16: { codeBits: 16, stackBits: 16, flat: false, fpuTrap: false, avxTrap: false },
    32: { codeBits: 32, stackBits: 32, flat: false, fpuTrap: false, avxTrap: false },
    64: { codeBits: 64, stackBits: 64, flat: false, fpuTrap: false, avxTrap: false },
  };
  /** Instructions compared that both know. */
  valid = 0;
  /** Rows that were compared. */
  readonly reached = new Set<Row>();
  /** The first bytes of each of iced's codes that both know. */
  readonly examples = new Map<iced.Code, Uint8Array>();
  /** Instructions we refuse, by the first feature that is not advertised. */
  readonly refused = new Map<string, Set<string>>();
  /** Encodings that only we decode, by row: they must fault when they run. */
  readonly onlyOurs = new Map<string, Uint8Array>();

  /** `features`, `vendor`: of the processor whose decoder is compared; default: Intel's with every row there is. */
  constructor(features?: CpuFeatures, vendor: CpuVendor = "GenuineIntel") {
    this.#decoder = new Decoder(features ?? new Set(ALL_FEATURES), vendor);
    this.#options = vendor === "AuthenticAMD" ? iced.DecoderOptions.AMD : iced.DecoderOptions.None;
    this.#advertised = advertisedFeatures(features ?? levelFeatures("max"));
  }

  /** What differs for the instruction at the start of `bytes`; undefined when nothing does. */
  compare(bits: Bits, bytes: Uint8Array): string | undefined {
    let found: string | undefined;
    this.compareAll(bits, bytes, bytes.length, (difference) => found = difference);
    return found;
  }

  /** The same for an instruction every `stride` bytes; `report` gets what differs, and where. */
  compareAll(
    bits: Bits,
    bytes: Uint8Array,
    stride: number,
    report: (difference: string, at: number) => void,
  ): void {
    const reference = new iced.Decoder(bits, bytes, this.#options);
    try {
      for (let at = 0; at < bytes.length; at += stride) {
        reference.position = at;
        reference.ip = BigInt(POFF);
        reference.decodeOut(this.#instruction);
        const difference = this.#compareAt(bits, bytes, at);
        if (difference !== undefined) report(difference, at);
      }
    } finally {
      reference.free();
    }
  }

  #compareAt(bits: Bits, bytes: Uint8Array, at: number): string | undefined {
    const mode = this.#modes[bits] as Parameters<Decoder["decode"]>[4];
    const ours = this.#decoder.decode(bytes, at, bytes.length, POFF, mode);
    const theirs = this.#instruction;
    const weKnow = ours !== undefined && ours.row !== UNDEFINED_OPCODE && !isUndefinedX87(ours);
    if (theirs.isInvalid) {
      return weKnow ? this.#onlyOurs(bits, ours, bytes.slice(at, at + ours.length)) : undefined;
    }
    if (!weKnow) return this.#onlyTheirs(bits, theirs);
    this.valid++;
    if (!this.examples.has(theirs.code)) this.examples.set(theirs.code, bytes.slice(at, at + 16));
    this.reached.add(ours.row);
    return this.#difference(bits, ours, theirs, POFF);
  }

  #onlyOurs(bits: number, ours: Instruction, bytes: Uint8Array): string | undefined {
    if (!UNDEFINED_WHEN_RUN.has(ours.row.text)) return `iced refuses it, we take it for ${ours.row.text}`;
    const number = (ours.reg << 1) | (ours.form.rexW ? 1 : 0);
    this.onlyOurs.set(`${bits}-bit ${ours.row.text} ${number}`, bytes);
    return undefined;
  }

  #onlyTheirs(bits: number, theirs: iced.Instruction): string | undefined {
    const names = featuresOf(this.#features, bits, theirs);
    const mnemonic = (Mnemonic[theirs.mnemonic] as string).toLowerCase();
    if (/^ud[012]$/.test(mnemonic)) return undefined;
    // LOCK MOV CR0 is another way to CR8 with AMD's feature AltMovCr8
    const alternative = this.#options === iced.DecoderOptions.AMD && mnemonic === "mov" &&
      [theirs.op0Register, theirs.op1Register].some((register) => RegisterExt.isCR(register));
    const missing = alternative ? "ALT_MOV_CR8" : names.find((name) => !this.#advertised.has(name));
    if (missing === undefined) return `we refuse ${mnemonic} (${names})`;
    let set = this.refused.get(missing);
    if (set === undefined) this.refused.set(missing, set = new Set());
    set.add(mnemonic);
    return undefined;
  }

  #difference(bits: Bits, ours: Instruction, theirs: iced.Instruction, poff: number): string | undefined {
    if (ours.length !== theirs.length) return `length ${ours.length}, iced says ${theirs.length}`;
    if (HINTS.has(ours.row.text)) return undefined;
    const theirName = (Mnemonic[theirs.mnemonic] as string).toLowerCase();
    const name = mnemonicOf(ours);
    const names = featuresOf(this.#features, bits, theirs);
    const older = name !== theirName && name === OLDER_MEANING.get(theirName) &&
      names.some((feature) => !this.#advertised.has(feature));
    if (name !== theirName && !older) return `mnemonic ${name}, iced says ${theirName}`;
    const needs = withNeeds(needsOf(ours.row)).join();
    const theirNeeds = withNeeds(names.flatMap((feature) => featureCalled(feature) ?? [])).join();
    if (!older && needs !== theirNeeds && ours.row.text.startsWith("x87") === false) {
      return `${name} needs ${needs || "nothing"}, iced says ${theirNeeds || "nothing"}`;
    }
    const info = theirs.opCode;
    try {
      for (let op = 0; op < theirs.opCount; op++) {
        const place = OpCodeOperandKind[info.opKind(op)] as string;
        const different = this.#operand(bits, ours, theirs, op, place, poff);
        if (different !== undefined) return `operand ${op} (${place}): ${different}`;
      }
    } finally {
      info.free();
    }
    return undefined;
  }

  #operand(
    bits: Bits,
    ours: Instruction,
    theirs: iced.Instruction,
    op: number,
    place: string,
    poff: number,
  ): string | undefined {
    const kind = theirs.opKind(op);
    const token = ours.row.text.slice(ours.row.text.indexOf(" ") + 1).split(", ")[op] ?? "";
    if (kind === OpKind.Register) {
      const register = theirs.opRegister(op);
      const mine = /_(reg|opcode)$/.test(place)
        ? ours.reg
        : /_(rm|or_mem)$/.test(place)
        ? ours.rm
        : place.endsWith("_vvvv")
        ? ours.vvvv
        : place.endsWith("_is4")
        ? ours.immLow
        : -1;
      if (mine < 0) return undefined; // implied by the opcode: AL, CL, DX, ST(i)
      if (place.startsWith("st")) return undefined;
      if (place === "seg_reg") {
        const number = ours.row.extension;
        return number === RegisterExt.number(register) ? undefined : `segment register ${number}`;
      }
      if (mine !== addressOf(register)) return `register at ${mine}, iced says ${Register[register]}`;
      if (!/^r\d*(\/m)?\d*$/.test(token)) return undefined;
      // Names like r/m16 and r32 say what is used of the register; prefixes do not change that.
      const size = /^r(\/m)?$/.test(token)
        ? expectedBits(bits, ours)
        : token === "r8" || token === "r/m8"
        ? 8
        : 0;
      const theirSize = RegisterExt.size(register) * 8;
      return size === 0 || size === theirSize
        ? undefined
        : `register of ${size} bits, iced says ${theirSize}`;
    }
    if (place === "seg_rBX_al") return segmentDifference(bits, ours, theirs); // XLAT
    if (kind === OpKind.Memory) return this.#memory(bits, ours, theirs, token);
    const immediateBits = IMMEDIATE_BITS.get(kind);
    if (immediateBits !== undefined) {
      if (place === "imm8_const_1") return undefined;
      const second = kind === OpKind.Immediate8 && place === "imm8" && op > 0 &&
        ours.row.immediates.length > 1;
      const value = second
        ? BigInt(ours.disp)
        : (BigInt(ours.immHigh | 0) << 32n) | BigInt(ours.immLow >>> 0);
      const theirValue = BigInt(theirs.immediate(op));
      const same = BigInt.asUintN(immediateBits, value) === BigInt.asUintN(immediateBits, theirValue);
      return same ? undefined : `immediate ${value}, iced says ${theirValue}`;
    }
    if (kind === OpKind.NearBranch16 || kind === OpKind.NearBranch32 || kind === OpKind.NearBranch64) {
      const wide = ours.width === 16 ? 16 : bits === 64 ? 64 : 32;
      const target = BigInt.asUintN(wide, BigInt(poff + ours.length + ours.immLow));
      const theirTarget = theirs.nearBranchTarget;
      return target === theirTarget ? undefined : `target ${target}, iced says ${theirTarget}`;
    }
    if (kind === OpKind.FarBranch16 || kind === OpKind.FarBranch32) {
      const offset = kind === OpKind.FarBranch16 ? theirs.farBranch16 : theirs.farBranch32;
      return ours.immLow >>> 0 === offset >>> 0 && ours.disp === theirs.farBranchSelector
        ? undefined
        : `far pointer ${ours.disp}:${ours.immLow}`;
    }
    // String operands: only the size of the address and the segment can differ.
    const usesSegment = kind <= OpKind.MemorySegRDI && kind >= OpKind.MemorySegSI;
    return usesSegment ? segmentDifference(bits, ours, theirs) : undefined;
  }

  #memory(bits: Bits, ours: Instruction, theirs: iced.Instruction, token: string): string | undefined {
    if (ours.row.immediates.includes("mo")) {
      const value = (BigInt(ours.immHigh >>> 0) << 32n) | BigInt(ours.immLow >>> 0);
      const theirValue = BigInt.asUintN(64, theirs.memoryDisplacement);
      if (BigInt.asUintN(ours.form.asize, value) !== theirValue) {
        return `offset ${value}, iced says ${theirValue}`;
      }
      return segmentDifference(bits, ours, theirs);
    }
    if (!ours.form.isMemory) return "no memory operand of ours";
    let { base, index, disp } = ours;
    if (index === S.constant8192) {
      index = S.zero;
      disp += 8192;
    }
    const theirBase = theirs.memoryBase, theirIndex = theirs.memoryIndex;
    const relative = theirBase === Register.RIP || theirBase === Register.EIP;
    const wantedBase = theirBase === Register.None ? S.zero : relative ? S.codeBias : addressOf(theirBase);
    const wantedIndex = theirIndex === Register.None ? S.zero : addressOf(theirIndex);
    // With 16-bit addresses iced calls SI or DI alone the base; ours is the index. The sum is the same.
    const swapped = ours.form.asize === 16 && base === wantedIndex && index === wantedBase;
    if (!swapped && (base !== wantedBase || index !== wantedIndex)) {
      return `base ${base} index ${index}, iced says ${Register[theirBase]} ${Register[theirIndex]}`;
    }
    if (wantedIndex !== S.zero && 1 << ours.scale !== theirs.memoryIndexScale) {
      return `scale ${1 << ours.scale}, iced says ${theirs.memoryIndexScale}`;
    }
    const { asize } = ours.form;
    const wanted = BigInt.asUintN(asize, theirs.memoryDisplacement);
    if (BigInt.asUintN(asize, BigInt(disp)) !== wanted) return `displacement ${disp}, iced says ${wanted}`;
    const size = memoryBytes(bits, ours, token);
    const theirSize = MemorySizeExt.size(theirs.memorySize);
    if (size !== 0 && size !== theirSize) return `${size} bytes of memory, iced says ${theirSize}`;
    return segmentDifference(bits, ours, theirs);
  }
}

function isUndefinedX87(i: Instruction): boolean {
  return i.row.text.startsWith("x87") && formOf(i.row.opcode, i.immLow).run === undefined;
}

/** Operand size in bits of a bare r or r/m. */
function expectedBits(bits: Bits, i: Instruction): number {
  const word = i.row.text.split(" ")[0];
  // These move whole registers; MOVSXD reads half of the size it writes.
  if (/[CD]Rn|^(INVPCID|RDPID) /.test(i.row.text)) return bits === 64 ? 64 : 32;
  if (word === "MOVSXD") return 0;
  return i.width;
}

/** Size of the memory operand that the row's text, or the x87 table, gives; 0: it does not say. */
function memoryBytes(bits: Bits, i: Instruction, token: string): number {
  if (i.row.text.startsWith("x87")) return formOf(i.row.opcode, i.immLow).bytes(i.width === 16);
  if (/Sreg|^(SLDT|STR|SMSW)\b/.test(i.row.text)) return 2;
  const explicit = /m(\d+)$/.exec(token);
  if (explicit !== null) return Number(explicit[1]) / 8;
  return token === "r/m" ? expectedBits(bits, i) / 8 : 0;
}

function segmentDifference(bits: Bits, ours: Instruction, theirs: iced.Instruction): string | undefined {
  const wanted = SEGMENT_ORDER.indexOf(theirs.memorySegment);
  const index = (ours.segment - S.es) / segmentLayout.size;
  if (bits === 64 && wanted < 4 && index < 4) return undefined; // all of them are flat
  return index === wanted ? undefined : `segment ${index}, iced says ${wanted}`;
}

/**
 * Codes of iced's that a processor with `features` must know in `bits`-bit code, by iced's own table. Left out: those with
 * FWAIT in front, which is an instruction of its own, and what iced decodes only when told to.
 */
export function codesOf(bits: Bits, features: CpuFeatures): iced.Code[] {
  const advertised = advertisedFeatures(features), instruction = new iced.Instruction();
  return Object.values(iced.Code).filter((code) => typeof code === "number").filter((code) => {
    const info = iced.CodeExt.opCode(code);
    instruction.code = code;
    try {
      const lacking = bits === 64 && !features.has("lahf_lm") && /^[LS]ahf$/.test(codeName(code));
      // UD0 is an instruction that is undefined on purpose.
      if (lacking || codeName(code).startsWith("Ud0")) return false;
      return info.isInstruction &&
        (bits === 64 ? info.intelDecoder64 : bits === 32 ? info.mode32 : info.mode16) &&
        !info.fwait && info.decoderOption === iced.DecoderOptions.None &&
        Array.from(instruction.cpuidFeatures()).every((f) => advertised.has(CpuidFeature[f] as string));
    } finally {
      info.free();
    }
  });
}
/** Its name. */
export function codeName(code: iced.Code): string {
  return iced.Code[code] as string;
}
