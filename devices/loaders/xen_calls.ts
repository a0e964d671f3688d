// SPDX-License-Identifier: MIT
/**
 * Replaces the instructions by which a Linux kernel calls Xen. Since XSA-466 there are two functions in it, for either
 * vendor, that are nothing but VMCALL or VMMCALL and a return (Linux arch/x86/xen/xen-head.S: xen_hypercall_intel,
 * xen_hypercall_amd). Both instructions have three bytes; so has what is put in their place.
 *
 * A place counts when both functions are there, within 64 bytes of each other with nothing but padding between them, and end
 * the same way: in RET or in a JMP to the kernel's return thunk. The kernel's other VMCALLs and VMMCALLs are for KVM, VMware
 * and SEV, and stay.
 * @module
 */
import { type ElfFile, PF_X, PT_LOAD } from "./elf.ts";

const VMCALL = 0xc1, VMMCALL = 0xd9;
const CALL_BYTES = 3;
const RET = 0xc3, JMP_REL32 = 0xe9;
const JMP_BYTES = 5;
/** From one function to the other. */
const NEAR = 64;
/** What may be between functions, in hexadecimal: INT3, NOPs as assemblers write them, and the ENDBR64 of the second one. */
const PADDING = /^(?:cc|(?:66)*(?:2e)?(?:90|0f1f(?:00|4000|440000|80(?:00){4}|84(?:00){5}))|f30f1efa)*$/;

/** Where in its file `elf` has the two instructions: offsets, in order. */
export function findXenCalls(elf: ElfFile): number[] {
  const { bytes } = elf.file;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: number[] = [];
  for (const { type, flags, offset, fileBytes } of elf.segments) {
    if (type !== PT_LOAD || (flags & PF_X) === 0) continue;
    const end = offset + fileBytes;
    let before: Candidate | undefined;
    for (let at = bytes.indexOf(0x0f, offset); at >= 0; at = bytes.indexOf(0x0f, at + 1)) {
      if (at + CALL_BYTES + JMP_BYTES > end) break;
      const which = bytes[at + 2];
      if (bytes[at + 1] !== 1 || (which !== VMCALL && which !== VMMCALL)) continue;
      const exit = exitOf(view, at + CALL_BYTES);
      if (exit === undefined) continue;
      const here = { at, which, ...exit };
      if (before !== undefined && arePair(bytes, before, here)) {
        found.push(before.at, at);
        before = undefined;
      } else before = here;
    }
  }
  return found;
}

/** How a function ends: `exit` is -1 for RET, else the place in the file that it jumps to; and where that is over. */
interface Exit {
  readonly exit: number;
  readonly end: number;
}
/** A VMCALL or VMMCALL that ends a function. */
interface Candidate extends Exit {
  readonly at: number;
  readonly which: number;
}

function exitOf(view: DataView, at: number): Exit | undefined {
  const opcode = view.getUint8(at);
  if (opcode === RET) return { exit: -1, end: at + 1 };
  if (opcode !== JMP_REL32) return undefined;
  const end = at + JMP_BYTES;
  return { exit: end + view.getInt32(at + 1, true), end };
}

function arePair(bytes: Uint8Array, a: Candidate, b: Candidate): boolean {
  if (a.which === b.which || a.exit !== b.exit || b.at - a.at > NEAR || b.at < a.end) return false;
  return PADDING.test(bytes.subarray(a.end, b.at).toHex());
}

/** A copy of `elf`'s file with `call`, three bytes, in all places of {@linkcode findXenCalls}; and how many they were. */
export function replaceXenCalls(
  elf: ElfFile,
  call: readonly [number, number, number],
): { readonly bytes: Uint8Array; readonly count: number } {
  const places = findXenCalls(elf);
  if (places.length === 0) return { bytes: elf.file.bytes, count: 0 };
  const bytes = elf.file.bytes.slice();
  for (const at of places) bytes.set(call, at);
  return { bytes, count: places.length };
}
