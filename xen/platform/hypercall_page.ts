// SPDX-License-Identifier: MIT
/**
 * The hypercall pages: a position-independent binary that the guest has loaded into its RAM by writing
 * `guest physical address | page number` to an MSR. Rules: Xen public/arch-x86/cpuid.h (leaf 2) and
 * arch-x86/xen-x86_64.h; the two-page layout is this project's own (docs/ARCHITECTURE.md).
 *
 * Page 0 has an entry point every 32 bytes: `mov eax,n; out port,eax; ret`, usable alone, which is all that Linux
 * up to 6.12, iPXE and GRUB load. When the guest loads page 1 too, the entry points become `jmp` into page 1, which
 * then holds that code. All four instructions have the same encoding in 32-bit and 64-bit code, so one binary is
 * both; what the width of the code that writes the MSR decides is the layout of shared_info (the caller's affair).
 * Entry point 23 (iret) is `ud2`, as for every HVM guest; the rest of the pages is `int3`.
 *
 * The port is 0xe4: ports 0xe4..0xe7, which `out port,eax` covers, belong to no device of a PC since the PS/2.
 * @module
 */
import { PAGE_MASK, PAGE_SIZE } from "../../cpu/base/bits.ts";
import type { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { __HYPERVISOR_iret } from "../public/xen.ts";

/** The port that page 0 and page 1 write the hypercall number to, 32 bits wide. */
export const HYPERCALL_PORT = 0xe4;
/** The MSR, also in leaf 2's EBX. */
export const XEN_HYPERCALL_MSR = 0x4000_0000;
/** Bytes between entry points. */
export const STUB_BYTES = 32;
/** Pages the binary has. */
export const HYPERCALL_PAGES = 2;

const STUBS = PAGE_SIZE / STUB_BYTES;
const INT3 = 0xcc;
const UD2 = [0x0f, 0x0b] as const;
const MOV_EAX_IMM32 = 0xb8;
const OUT_IMM8_EAX = 0xe7;
const RET = 0xc3;
const NOP = 0x90;
/** As long as VMCALL and VMMCALL, and in their place the same call. */
export const PORT_CALL = [OUT_IMM8_EAX, HYPERCALL_PORT, NOP] as const;
const JMP_REL32 = 0xe9;
const JMP_BYTES = 5;

function build(stub: (view: DataView, at: number, nr: number) => void): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PAGE_SIZE).fill(INT3);
  const view = new DataView(bytes.buffer);
  for (let nr = 0; nr < STUBS; nr++) {
    if (nr === __HYPERVISOR_iret) bytes.set(UD2, nr * STUB_BYTES);
    else stub(view, nr * STUB_BYTES, nr);
  }
  return bytes;
}

function call(view: DataView, at: number, nr: number): void {
  view.setUint8(at, MOV_EAX_IMM32);
  view.setUint32(at + 1, nr, true);
  view.setUint8(at + 5, OUT_IMM8_EAX);
  view.setUint8(at + 6, HYPERCALL_PORT);
  view.setUint8(at + 7, RET);
}

function jump(view: DataView, at: number): void {
  view.setUint8(at, JMP_REL32);
  view.setInt32(at + 1, PAGE_SIZE - JMP_BYTES, true); // to the same offset in the next page
}

/** Entry points that do the work themselves; also the code in page 1, which is entered at the same offsets. */
const CALLS = build(call);
/** Entry points that jump to page 1. */
const JUMPS = build(jump);

/** Loads the pages. A page 0 and a page 1 form a pair when nothing else was loaded between them. */
export class HypercallPages {
  readonly #memory: GuestMemory;
  readonly #count: number;
  /** Address of the page that waits for its other half; -1: none. */
  #waiting = -1;
  #waitingPage = 0;

  /** `count`: pages the guest is told of. */
  constructor(memory: GuestMemory, count: 1 | 2) {
    this.#memory = memory;
    this.#count = count;
  }

  /** The MSR write; false (#GP) for a page number out of range or an address outside RAM. */
  load(value: bigint): boolean {
    const page = Number(value & BigInt(PAGE_MASK));
    const gpa = Number(value) - page;
    if (page >= this.#count) return false;
    if (!this.#memory.contains(gpa, PAGE_SIZE)) return false;
    const paired = this.#waiting >= 0 && this.#waitingPage !== page && this.#intact(this.#waiting);
    if (page === 0) {
      this.#write(gpa, paired ? JUMPS : CALLS);
    } else {
      this.#write(gpa, CALLS);
      if (paired) this.#write(this.#waiting, JUMPS);
    }
    this.#waiting = paired || this.#count === 1 ? -1 : gpa;
    this.#waitingPage = page;
    return true;
  }

  /** Forgets the half that was loaded. */
  reset(): void {
    this.#waiting = -1;
  }

  /** The half that waits. */
  save(): { waiting: number; waitingPage: number } {
    return { waiting: this.#waiting, waitingPage: this.#waitingPage };
  }

  /** Restores what `save` gave. */
  restore(state: { waiting: number; waitingPage: number }): void {
    this.#waiting = state.waiting;
    this.#waitingPage = state.waitingPage;
  }

  /** True while the page is as we loaded it. A guest that was replaced (boot loader, kexec) may use it otherwise. */
  #intact(gpa: number): boolean {
    const bytes = this.#memory.slice(gpa, PAGE_SIZE);
    return bytes !== undefined && CALLS.every((byte, i) => byte === bytes[i]);
  }

  #write(gpa: number, page: Uint8Array): void {
    this.#memory.write(gpa, page);
  }
}
