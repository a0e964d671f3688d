// SPDX-License-Identifier: MIT
/**
 * Instructions of privilege 0 for random programs (see _control_flow.ts): control, debug and model-specific registers,
 * descriptor tables, segment registers, ports without a device, IRET to the next instruction. RAX, RCX, RDX, RSI and RDI
 * change; R12, in 32-bit code EBP, points to data. HLT is left out: nobody would wake the program.
 * @module
 */
import type { Random } from "../isa/_cases.ts";
import { le32 } from "./_program_place.ts";

/** MP, TS, NE, WP, AM; and, as 32-bit code may go without paging, PG. */
const CR0_BITS = { 64: [1, 3, 5, 16, 18], 32: [1, 3, 5, 16, 18, 31] };
/** TSD, DE, PGE, PCE, OSFXSR, UMIP, FSGSBASE, PCIDE, SMEP, SMAP. */
const CR4_BITS = [2, 3, 7, 8, 9, 11, 16, 17, 20, 21];
/** Plain ones: system calls, KERNEL_GS_BASE, TSC_AUX, SYSENTER; EFER, PAT. */
const MSRS = [
  0xc000_0081,
  0xc000_0082,
  0xc000_0084,
  0xc000_0102,
  0xc000_0103,
  0x174,
  0x175,
  0xc000_0080,
  0x277,
];
/** Flat code, flat data, beyond the table or of privilege 3, in a null LDT. */
const SELECTORS = [8, 0x10, 0x10, 0x10, 0, 0x18, 0x0c];

/** One of them, with what it needs. `addresses`: where breakpoints and INVLPG may point. */
export function privileged(
  random: Random,
  addresses: readonly number[],
  bits: 64 | 32,
): readonly number[] {
  const long = bits === 64, rexW = long ? [0x48] : [];
  const pick = <T>(from: readonly T[]) => from[random.below(from.length)] as T;
  const moveEax = (value: number) => [0xb8, ...le32(value)];
  const moveEcx = (value: number) => [0xb9, ...le32(value)];
  // Reads a control register into RAX, changes one of its bits and writes it back: btc rax, bit.
  const toggle = (register: 0 | 4, bit: number) => {
    const modrm = 0xc0 | (register << 3);
    return [0x0f, 0x20, modrm, ...rexW, 0x0f, 0xba, 0xf8, bit, 0x0f, 0x22, modrm];
  };
  // An instruction whose operand is [R12 + disp8], or [EBP + disp8].
  const atData = (opcode: readonly number[], extension: number, disp: number) =>
    long
      ? [0x41, ...opcode, 0x44 | (extension << 3), 0x24, disp]
      : [...opcode, 0x45 | (extension << 3), disp];
  const kinds: readonly (() => readonly number[])[] = [
    () => [0x0f, 0x20, 0xc0 | (pick([0, 2, 4]) << 3) | pick([0, 1, 2, 6, 7])], // mov r, CRn
    () => toggle(0, pick(CR0_BITS[bits])),
    () => toggle(4, pick(CR4_BITS)),
    () => [0x0f, 0x06], // clts
    () => [0x0f, 0x22, 0xd0], // mov cr2, rax
    () => [0x0f, 0x21, 0xc0 | (random.below(8) << 3) | random.below(3)], // mov r, DRn
    () => [...moveEax(pick(addresses)), 0x0f, 0x23, 0xc0 | (random.below(4) << 3)], // mov DRn, eax
    () => [...moveEax(random.chance(50) ? 0 : 0xf), 0x0f, 0x23, 0xf0], // mov dr6, rax
    // mov dr7, rax: mostly none enabled, else one for writes or accesses, now and then for execution
    () => {
      const kind = random.chance(20) ? 0 : pick([0x1_0000, 0x3_0000]) | pick([0, 0x4_0000, 0xc_0000]);
      return [...moveEax(random.chance(70) ? 0x400 : 0x401 | kind), 0x0f, 0x23, 0xf8];
    },
    () => { // sgdt or sidt, and back
      const table = random.below(2), disp = 16 * random.below(4);
      return [...atData([0x0f, 0x01], table, disp), ...atData([0x0f, 0x01], table | 2, disp)];
    },
    () => [0x0f, 0x01, 0xe0, ...(random.chance(30) ? [0x0c, 8] : []), 0x0f, 0x01, 0xf0], // smsw eax; or al, 8; lmsw ax
    () => [0x0f, 0x01, 0x3c, 0x25, ...le32(pick(addresses))], // invlpg
    () => { // rdmsr, a change of the low bits, wrmsr
      const change = random.chance(60) ? [] : [0x34, random.below(8) << 3];
      return [...moveEcx(pick(MSRS)), 0x0f, 0x32, ...change, 0x0f, 0x30];
    },
    () => [0x0f, 0x01, 0xf8], // swapgs
    () => pick([[0x0f, 0x31], [0x0f, 0x01, 0xf9], [0x0f, 0x01, 0xd0], [0x0f, 0x09]]), // rdtsc rdtscp xgetbv wbinvd
    () => pick([[0xec], [0x66, 0xed], [0xed], [0xe4, 0x99], [0xee], [0xef], [0xe6, 0x99]]), // in, out
    () => [ // lea rdi, [r12+64]; lea rsi, [r12]; mov ecx, n; rep insb, outsb
      ...(long ? [0x49, 0x8d, 0x7c, 0x24, 64, 0x49, 0x8d, 0x34, 0x24] : [0x8d, 0x7d, 64, 0x8d, 0x75, 0]),
      ...[...moveEcx(random.below(9)), 0xf3],
      random.chance(50) ? 0x6c : 0x6e,
    ],
    () => [0x8c, 0xc0 | (random.below(6) << 3)], // mov eax, Sreg
    () => [...moveEax(pick(SELECTORS)), 0x8e, 0xc0 | (pick([0, 2, 3, 4, 5]) << 3)], // mov Sreg, eax
    () => [0x0f, 0xa0, 0x0f, 0xa1], // push fs; pop fs
    () => [...moveEax(pick(SELECTORS)), 0x0f, pick([0x02, 0x03]), 0xc8], // lar, lsl ecx, eax
    () => [...moveEax(pick(SELECTORS)), 0x0f, 0x00, pick([0xe0, 0xe8])], // verr, verw
    () => [0x0f, 0x00, pick([0xc0, 0xc8])], // sldt, str
    () => [0x31, 0xc0, 0x0f, 0x00, pick([0xd0, 0xd8])], // lldt or ltr of the null selector
    () => [0x0f, 0x01, pick([0xca, 0xcb])], // clac, stac
    () => pick([[0xcc], [0xcd, 0x40], [0xf1], [0xcd, 3]]), // int3, int 0x40, int1
    () => [0x68, ...le32(random.chance(30) ? 0x302 : 0x202), 0x9d], // popf: TF, or none
    () => [...atData([0x0f, 0xae], 0, 0), ...atData([0x0f, 0xae], 1, 0)], // fxsave, fxrstor
    // 32-bit code has IRETD in _transfers.ts.
    ...(long
      ? [
        () => [0x44, 0x0f, random.chance(50) ? 0x20 : 0x22, 0xc0], // mov rax, cr8; mov cr8, rax
        () => [ // mov rax, rsp; push SS, RSP, RFLAGS, CS and the address behind; iretq
          ...[0x48, 0x89, 0xe0, 0x6a, 0x10, 0x50, 0x9c, 0x6a, 8],
          ...[0x48, 0x8d, 0x05, 3, 0, 0, 0, 0x50, 0x48, 0xcf],
        ],
      ]
      : []),
  ];
  return pick(kinds)();
}
