// SPDX-License-Identifier: MIT
/**
 * KVM's processor in the format that all engines read and write (cpu/state/saved_state.ts), and back: registers as plain
 * data, MSRs that both have, and what XSAVE manages (SDM Vol. 1 §13.4), each component where the host's processor has it.
 *
 * Not done: the shadow of STI and MOV SS.
 * @module
 */
import { CONTROL_NAMES, type CpuRegisters, type Segment, SEGMENT_NAMES } from "../base/engine.ts";
import { GPR_NAMES } from "../base/vcpu.ts";
import { loadFxsave, storeFxsave } from "../fpu/x87_state.ts";
import {
  ARITHMETIC_FLAGS,
  FLAG_KIND_RAW,
  S,
  segmentLayout,
  STATE_FIELDS,
  SYSTEM_FLAGS,
  XMM_BASE,
} from "../state/state.ts";
import { STATES } from "../system/state_components.ts";
import { kvm_xsave } from "./api.ts";

/** MSRs of both, by where the state block has them. */
const MSRS: readonly (readonly [index: number, at: number])[] = [
  [0x174, S.sysenterCs],
  [0x175, S.sysenterEsp],
  [0x176, S.sysenterEip],
  [0x1a0, S.miscEnable],
  [0x1d9, S.debugctl],
  ...Array.from({ length: 16 }, (_, i) => [0x200 + i, S.mtrrVariable + i * 8] as const),
  ...[0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f].map((index, i) =>
    [index, S.mtrrFixed + i * 8] as const
  ),
  [0x277, S.pat],
  [0x2ff, S.mtrrDefType],
  [0xc000_0081, S.star],
  [0xc000_0082, S.lstar],
  [0xc000_0083, S.cstar],
  [0xc000_0084, S.fmask],
  [0xc000_0102, S.kernelGsBase],
  [0xc000_0103, S.tscAux],
];
/** Fields that are not filled: they follow from the others, are of the moment, or count. */
const OWN = new Set([
  ...[
    "zero",
    "constant8192",
    "codeBias",
    "flagResult",
    "flagFirst",
    "tlbBase",
    "codeBits",
    "stackMask",
    "codeMask",
  ],
  ...["modeKey", "budget", "attention", "memAddr", "memData", "arg", "randomState", "tscAdjust"],
]);

/** The XSAVE area: legacy region, header. */
const MXCSR = 24, MXCSR_MASK = 28, XMM = 160, XSTATE_BV = 512;
const MXCSR_BITS = 0xffff;
const X87_SSE = 3n;
const SSE_BYTES = 256;
const CR0_PG = 1n << 31n, CR4_PAE = 1n << 5n, EFER_LMA = 1n << 10n;

/** What is exchanged. */
export interface Exchanged {
  readonly registers: CpuRegisters;
  readonly xcr0: bigint;
  /** KVM_GET_XSAVE. */
  readonly xsave: Uint8Array<ArrayBuffer>;
  /** By index; those that are missing stay. */
  readonly msrs: ReadonlyMap<number, bigint>;
  /** What is added to the clock's TSC to get the guest's. */
  readonly tscOffset: bigint;
}
/** Where the host's processor has a state component in an area that is not compacted; undefined: nowhere. */
export type ComponentPlace = (component: number) => number | undefined;

/** A state block of its own. */
function block(): { readonly bytes: Uint8Array<ArrayBuffer>; readonly view: DataView<ArrayBuffer> } {
  const end = Math.max(...STATE_FIELDS.map(({ at, size }) => at + size));
  const bytes = new Uint8Array(end);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** Fields of the state block. */
export function toFields(state: Exchanged, placeOf: ComponentPlace): Record<string, Uint8Array> {
  const { bytes, view } = block(), { registers } = state;
  const put64 = (at: number, value: bigint) => view.setBigUint64(at, value, true);
  GPR_NAMES.forEach((name, i) => put64(S.gpr + i * 8, registers.gprs[name]));
  put64(S.rip, registers.rip);
  const flags = Number(registers.rflags);
  view.setUint32(S.flagKind, FLAG_KIND_RAW, true);
  view.setUint32(S.flagAux, flags & ARITHMETIC_FLAGS, true);
  view.setUint32(S.eflags, (flags & SYSTEM_FLAGS) | 2, true);
  view.setUint32(S.cpl, (registers.segments.ss.attributes >> 5) & 3, true);
  for (const name of SEGMENT_NAMES) {
    const { selector, base, limit, attributes } = registers.segments[name], at = S[name];
    put64(at + segmentLayout.at.base, base);
    view.setUint32(at + segmentLayout.at.limit, limit, true);
    view.setUint32(at + segmentLayout.at.attributes, attributes, true);
    view.setUint32(at + segmentLayout.at.selector, selector, true);
  }
  for (
    const [value, base, limit] of [
      [registers.gdtr, S.gdtrBase, S.gdtrLimit],
      [registers.idtr, S.idtrBase, S.idtrLimit],
    ] as const
  ) {
    put64(base, value.base);
    view.setUint32(limit, value.limit, true);
  }
  for (const name of CONTROL_NAMES) put64(S[name], registers.control[name]);
  registers.debug.forEach((value, i) => put64(S.dr + i * 8, value));
  put64(S.xcr0, state.xcr0);
  for (const [index, at] of MSRS) put64(at, state.msrs.get(index) ?? 0n);
  put64(S.tscOffset, BigInt.asUintN(64, state.tscOffset));

  const area = new DataView(state.xsave.buffer, state.xsave.byteOffset, state.xsave.byteLength);
  const scratch = new Uint8Array(bytes.length + SSE_BYTES * 2); // the block, and behind it the legacy region
  scratch.set(state.xsave.subarray(0, SSE_BYTES * 2), bytes.length);
  loadFxsave(new DataView(scratch.buffer), S.x87, bytes.length, true);
  const x87 = STATE_FIELDS.find(({ name }) => name === "x87");
  if (x87 !== undefined) bytes.set(scratch.subarray(x87.at, x87.at + x87.size), x87.at);
  view.setUint32(S.mxcsr, area.getUint32(MXCSR, true) & MXCSR_BITS, true);
  bytes.set(state.xsave.subarray(XMM, XMM + SSE_BYTES), XMM_BASE);
  for (const { component, bytes: size, at } of STATES) {
    const from = placeOf(component);
    if (from !== undefined && from + size <= state.xsave.length) {
      bytes.set(state.xsave.subarray(from, from + size), at);
    }
  }

  const fields: Record<string, Uint8Array> = {};
  for (const { name, at, size } of STATE_FIELDS) {
    if (!OWN.has(name) && !name.endsWith("Pad")) fields[name] = bytes.slice(at, at + size);
  }
  return fields;
}

/** The way back. */
export function fromFields(fields: Readonly<Record<string, Uint8Array>>, placeOf: ComponentPlace): Exchanged {
  const { bytes, view } = block();
  for (const { name, at, size } of STATE_FIELDS) {
    const field = fields[name];
    if (field?.length === size) bytes.set(field, at);
  }
  const get64 = (at: number) => view.getBigUint64(at, true);
  const segment = (at: number): Segment => ({
    selector: view.getUint32(at + segmentLayout.at.selector, true),
    base: get64(at + segmentLayout.at.base),
    limit: view.getUint32(at + segmentLayout.at.limit, true),
    attributes: view.getUint32(at + segmentLayout.at.attributes, true),
  });
  const named = <N extends string, V>(names: readonly N[], of: (name: N, i: number) => V) =>
    Object.fromEntries(names.map((name, i) => [name, of(name, i)])) as Record<N, V>;
  const flags = (view.getUint32(S.flagAux, true) & ARITHMETIC_FLAGS) | view.getUint32(S.eflags, true) | 2;
  const registers: CpuRegisters = {
    gprs: named(GPR_NAMES, (_, i) => get64(S.gpr + i * 8)),
    rip: get64(S.rip),
    rflags: BigInt(flags >>> 0),
    control: named(CONTROL_NAMES, (name) => get64(S[name])),
    segments: named(SEGMENT_NAMES, (name) => segment(S[name])),
    gdtr: { base: get64(S.gdtrBase), limit: view.getUint32(S.gdtrLimit, true) },
    idtr: { base: get64(S.idtrBase), limit: view.getUint32(S.idtrLimit, true) },
    debug: Array.from({ length: 8 }, (_, i) => i === 4 || i === 5 ? 0n : get64(S.dr + i * 8)),
  };
  const xcr0 = get64(S.xcr0);
  return {
    registers,
    xcr0,
    xsave: xsaveArea(bytes, view, xcr0, placeOf),
    msrs: new Map(MSRS.map(([index, at]) => [index, get64(at)])),
    tscOffset: BigInt.asIntN(64, get64(S.tscOffset)),
  };
}

function xsaveArea(
  bytes: Uint8Array<ArrayBuffer>,
  view: DataView<ArrayBuffer>,
  xcr0: bigint,
  placeOf: ComponentPlace,
): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(bytes.length + kvm_xsave.size); // the block, and behind it the area
  both.set(bytes);
  storeFxsave(new DataView(both.buffer), S.x87, bytes.length, true);
  const xsave = both.slice(bytes.length), area = new DataView(xsave.buffer);
  area.setUint32(MXCSR, view.getUint32(S.mxcsr, true), true);
  area.setUint32(MXCSR_MASK, MXCSR_BITS, true);
  xsave.set(bytes.subarray(XMM_BASE, XMM_BASE + SSE_BYTES), XMM);
  let held = X87_SSE;
  for (const { component, bytes: size, at } of STATES) {
    const to = placeOf(component);
    if ((xcr0 >> BigInt(component) & 1n) === 0n || to === undefined || to + size > xsave.length) continue;
    xsave.set(bytes.subarray(at, at + size), to);
    held |= 1n << BigInt(component);
  }
  area.setBigUint64(XSTATE_BV, held, true);
  return xsave;
}

/** Whether the processor has loaded the four PDPTEs that CR3 points to. */
export function usesPdptes({ control: { cr0, cr4, efer } }: CpuRegisters): boolean {
  return (cr0 & CR0_PG) !== 0n && (cr4 & CR4_PAE) !== 0n && (efer & EFER_LMA) === 0n;
}
