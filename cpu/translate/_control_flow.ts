// SPDX-License-Identifier: MIT
/**
 * Random programs of many small blocks for comparing engines: branches, calls, computed jumps, loops, code that
 * changes itself, faults in the middle of blocks, accesses and instructions that cross pages, the same code at two
 * addresses, mappings that change, interrupts, and slices that end anywhere. 64-bit code at privilege 0 or 3, 32-bit
 * code at privilege 3 in compatibility mode, and 32-bit code of 32-bit kernels at privilege 0 or 3 with PAE paging:
 * that one goes to the other privilege and back, too.
 *
 * What a program does is no use to anybody; that two engines do the same, instruction for instruction, is. Faults and
 * interrupts have handlers: a fault goes on at the first block with a fresh stack. Places are in _program_place.ts,
 * programs in _random_program.ts, and _judge.ts has the engine to compare with.
 * @module
 */
import type { WasmEngineName } from "../base/engine.ts";
import { Random } from "../isa/_cases.ts";
import { BREAK_ACCESS, BREAK_WRITE } from "../state/breakpoints.ts";
import { CS, DS, ES, FS, GS, S, SS, XMM_BASE } from "../state/state.ts";
import {
  at,
  type ControlFlowPlace,
  DATA,
  DATA_ALIAS,
  enterPlace,
  IN_USE,
  JUMP_TABLE,
  preparePlace,
  RAM_BYTES,
  REGISTERS,
  STACK,
  USUAL_PLACE,
  VECTOR,
} from "./_program_place.ts";
import { type ControlFlowProgram, randomProgram } from "./_random_program.ts";
import { TestCpu } from "../_bare_cpu.ts";
import type { Instead } from "./handler_table.ts";

const XMM1 = XMM_BASE + 16, XMM2 = XMM_BASE + 32;

/** A CPU that runs one program. */
export class ControlFlowCpu {
  readonly t: TestCpu;
  /** What the counters said when the program was loaded. */
  #before = { instructions: 0, interrupts: 0 };
  readonly #interrupts = { pending: false, acknowledge: () => (this.#interrupts.pending = false, VECTOR) };

  constructor(
    how: { readonly engine: WasmEngineName; readonly compileAtOnce: boolean; readonly instead?: Instead },
    readonly place: ControlFlowPlace = USUAL_PLACE,
  ) {
    this.t = new TestCpu(place.kernel, {
      ...how,
      ramBytes: RAM_BYTES,
      hooks: { interrupts: this.#interrupts },
    });
  }

  load(program: ControlFlowProgram): void {
    const { t } = this;
    preparePlace(t, this.place, program);
    t.cpu.exceptions.fill(0);
    this.#interrupts.pending = false;
    const { instructions, interrupts } = t.cpu;
    this.#before = { instructions, interrupts };
  }

  /** Breakpoints for data in DR0 to DR3: where, and R/W and LEN as in DR7. */
  watch(breakpoints: readonly { readonly at: number; readonly how: number }[]): void {
    const { core } = this.t.cpu;
    let dr7 = 0x400;
    breakpoints.forEach(({ at, how }, n) => {
      core.s.set64(S.dr + 8 * n, BigInt(at));
      dr7 |= (how << (16 + 4 * n)) | (1 << (2 * n));
    });
    core.s.set32(S.dr + 7 * 8, dr7 >>> 0);
    core.mmu.flush();
    core.updateMode();
  }

  interrupt(): void {
    this.#interrupts.pending = true;
    this.t.cpu.interruptsChanged();
  }

  /** Goes on elsewhere; out of a handler of another privilege as it would return to the program's start. */
  goTo(address: number, bits: bigint): void {
    const { s, cpl } = this.t.cpu.core;
    const { ring, bits: size } = this.place;
    if (cpl !== ring) enterPlace(this.t, this.place);
    s.set64(S.rip, BigInt(address));
    s.setGpr(REGISTERS[size].bits, BigInt.asUintN(size, bits));
  }

  /** Runs a slice; everything that must not depend on the engine. */
  run(budget: number): string {
    const { cpu } = this.t;
    cpu.halted = false;
    const end = cpu.run(budget);
    const { core } = cpu;
    const gpr = Array.from({ length: 16 }, (_, r) => core.s.gpr(r).toString(16));
    const xmm = [XMM1, XMM1 + 8, XMM2, XMM2 + 8].map((field) => core.s.get64(field).toString(16));
    return `${end} rip ${core.s.get64(S.rip).toString(16)} flags ${core.rflags.toString(16)} ` +
      `instructions ${cpu.instructions - this.#before.instructions} exceptions ${
        [...cpu.exceptions].join("")
      } interrupts ${cpu.interrupts - this.#before.interrupts} ` +
      `gpr ${gpr.join(" ")} xmm ${xmm.join(" ")} system ${systemState(core.s).join(" ")}`;
  }

  /** Offset of the first difference in all of the memory that a program uses, page tables included; -1 for none. */
  differsAt({ t: other }: ControlFlowCpu): number {
    const { memory } = this.t;
    for (const [start, pages] of IN_USE) {
      for (let gpa = start; gpa < start + pages * 4096; gpa += 4) {
        const offset = memory.offsetOf(gpa);
        if (memory.view.getUint32(offset) !== other.memory.view.getUint32(offset)) return gpa;
      }
    }
    return -1;
  }
}

const SYSTEM = [
  ...[
    S.cr0,
    S.cr2,
    S.cr3,
    S.cr4,
    S.efer,
    S.star,
    S.lstar,
    S.kernelGsBase,
    S.tscAux,
    S.sysenterEsp,
    S.pat,
    S.sysenterCs,
  ],
  ...[0, 1, 2, 3, 6, 7].map((n) => S.dr + 8 * n),
];
function systemState(s: TestCpu["cpu"]["core"]["s"]): string[] {
  const segments = [CS, SS, DS, ES, FS, GS].map((n) => {
    const { selector, base, attributes } = s.segment(n);
    return `${selector.toString(16)}:${base.toString(16)}:${attributes.toString(16)}`;
  });
  return [...SYSTEM.map((field) => s.get64(field).toString(16)), ...segments];
}

/** Runs a program on both, slice by slice; what they differ in. `system`: with privileged instructions. */
export function compareControlFlow(
  random: Random,
  one: ControlFlowCpu,
  other: ControlFlowCpu,
  system = false,
): string | undefined {
  const program = randomProgram(random, system, one.place);
  one.load(program);
  other.load(program);
  if (random.chance(25)) {
    const pages = [DATA, DATA + 1, DATA_ALIAS, STACK - 1, STACK, JUMP_TABLE];
    const watched = Array.from({ length: 1 + random.below(4) }, () => ({
      at: at(pages[random.below(pages.length)] as number) + random.below(random.chance(50) ? 64 : 4096),
      how: (random.chance(50) ? BREAK_WRITE : BREAK_ACCESS) | (random.below(4) << 2),
    }));
    one.watch(watched);
    other.watch(watched);
  }
  for (let slice = 0; slice < 60; slice++) {
    const budget = random.below(random.chance(50) ? 60 : 4000);
    if (random.chance(15)) {
      one.interrupt();
      other.interrupt();
    }
    if (random.chance(30)) {
      const block = program.blocks[random.below(program.blocks.length)] as number, bits = random.u64();
      one.goTo(block, bits);
      other.goTo(block, bits);
    }
    const want = one.run(budget), got = other.run(budget);
    const where = `slice ${slice} of ${budget} instructions`;
    if (got !== want) return `${where}:\n${got}\n${want}`;
    if (slice % 10 === 0 || want.startsWith("shutdown")) {
      const differs = one.differsAt(other);
      if (differs >= 0) return `${where}: memory at 0x${differs.toString(16)}`;
    }
    if (want.startsWith("shutdown")) return undefined;
  }
  return undefined;
}
