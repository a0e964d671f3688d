// SPDX-License-Identifier: MIT
/**
 * Loads of segment registers and changes of privilege for random programs of 32-bit kernels (see _control_flow.ts). EAX,
 * ECX, EDX and EDI change.
 * @module
 */
import type { Random } from "../isa/_cases.ts";
import {
  FRESH_DATA,
  KERNEL_CODE,
  KERNEL_DATA,
  le32,
  OUTER,
  SHIFTED_DATA,
  USER_CODE_32,
  USER_DATA,
} from "./_program_place.ts";

/** Null, a TSS, in a null LDT, beyond the table. */
const WRONG = [0, 1, 0x28, 0x0c, 0x40];
const ODD = [SHIFTED_DATA, SHIFTED_DATA & ~3, FRESH_DATA];
const SELECTORS = [KERNEL_DATA, KERNEL_CODE, USER_CODE_32, ...ODD, ...ODD, ...WRONG];
const ES = 0, SS = 2, DS = 3, FS = 4, GS = 5;
/** PUSH and POP of segment registers. */
const PUSH = { [ES]: [0x06], [SS]: [0x16], [DS]: [0x1e], [FS]: [0x0f, 0xa0], [GS]: [0x0f, 0xa8] };
const POP = { [ES]: [0x07], [SS]: [0x17], [DS]: [0x1f], [FS]: [0x0f, 0xa1], [GS]: [0x0f, 0xa9] };
/** LES and its like. */
const FAR_POINTER = {
  [ES]: [0xc4],
  [SS]: [0x0f, 0xb2],
  [DS]: [0xc5],
  [FS]: [0x0f, 0xb4],
  [GS]: [0x0f, 0xb5],
};

/** Pushes the address behind itself. */
const callNext = [0xe8, 0, 0, 0, 0];
const push32 = (value: number) => [0x68, ...le32(value)];

/** One of them. */
export function transfer(random: Random, ring: 0 | 3): readonly number[] {
  const pick = <T>(from: readonly T[]) => from[random.below(from.length)] as T;
  const segment = pick([ES, SS, DS, FS, GS] as const);
  // What programs use is mostly flat afterwards.
  const flat = segment === SS && ring === 0 ? KERNEL_DATA : USER_DATA;
  const inUse = segment !== FS && segment !== GS;
  const selector = random.chance(inUse ? 80 : 40) ? flat : pick(SELECTORS);
  const kinds: readonly (() => readonly number[])[] = [
    () => [0xb8, ...le32(selector), 0x8e, 0xc0 | (segment << 3)], // mov eax, selector; mov Sreg, eax
    () => [0x6a, selector, ...POP[segment]],
    () => [...PUSH[segment], ...POP[segment]],
    // push selector; push eax; les ecx, [esp]; lea esp, [esp + 8]
    () => [0x6a, selector, 0x50, ...FAR_POINTER[segment], 0x0c, 0x24, 0x8d, 0x64, 0x24, 8],
    () => [0x64, pick([0x8b, 0x89]), 0x45 | pick([0, 1, 2]) << 3, 8 * random.below(8)], // with fs:[ebp + disp]
    ring === 0 ? () => outwards(random.chance(50)) : systemCall,
    ring === 0 ? () => outwards(random.chance(50)) : systemCall,
    () => { // pushfd; push CS; push the address behind; iretd
      const cs = ring === 0 ? KERNEL_CODE : USER_CODE_32;
      return [0x9c, 0x6a, random.chance(90) ? cs : pick(SELECTORS), ...callNext, 0x83, 0x04, 0x24, 5, 0xcf];
    },
  ];
  return pick(kinds)();
}

/** mov ecx, esp; the address behind to EDX; sysenter. */
function systemCall(): readonly number[] {
  return [0x89, 0xe1, ...callNext, 0x5a, 0x83, 0xc2, 6, 0x0f, 0x34];
}

/** To OUTER's program at privilege 3, which comes back by SYSENTER; ESP, with the address behind on top, in EDI. */
function outwards(sysexit: boolean): readonly number[] {
  const way = sysexit
    ? [0xb9, ...le32(OUTER.stack), 0xba, ...le32(OUTER.program), 0x0f, 0x35] // mov ecx, stack; mov edx, program
    : [0x6a, USER_DATA, ...push32(OUTER.stack), 0x9c, 0x6a, USER_CODE_32, ...push32(OUTER.program), 0xcf]; // iretd
  return [...callNext, 0x83, 0x04, 0x24, 4 + 2 + way.length, 0x89, 0xe7, ...way];
}
