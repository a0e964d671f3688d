// SPDX-License-Identifier: MIT
/** From 32-bit code without paging into 64-bit code, for guests of our own. SDM Vol. 3A §11.8.5. @module */
import { type Assembler, EAX, ECX } from "./_assembler.ts";

const EFER = 0xc000_0080, EFER_LME = 1 << 8, CR4_PAE = 1 << 5, CR0_PG = 0x8000_0000;

/** What the guest has prepared. */
export interface LongMode {
  /** Address of the page tables; the code that runs is identity mapped. */
  readonly pml4: number;
  /** Label of the descriptor table's limit and base. */
  readonly gdtr: string;
  /** Selector of a 64-bit code segment in it. */
  readonly code: number;
}

/** Goes on behind itself in 64-bit mode; clobbers EAX, ECX and EDX. */
export function enterLongMode(a: Assembler, { pml4, gdtr, code }: LongMode): void {
  a.readCr(4);
  a.aluValue("or", EAX, CR4_PAE);
  a.writeCr(4);
  a.mov(EAX, pml4);
  a.writeCr(3);
  a.mov(ECX, EFER);
  a.rdmsr();
  a.aluValue("or", EAX, EFER_LME);
  a.wrmsr();
  a.readCr(0);
  a.aluValue("or", EAX, CR0_PG);
  a.writeCr(0);
  a.lgdt(gdtr);
  const long = a.unique("long");
  a.jmpFar(code, long);
  a.bits = 64;
  a.label(long);
}
