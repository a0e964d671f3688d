// SPDX-License-Identifier: MIT
/**
 * A Linux program that keeps changing its own code: an ELF file of one segment that may be read, written and executed.
 * Each turn writes an immediate and runs a loop over it; at the end it exits with 0 when the sum is right, else with 1.
 * @module
 */
const BASE = 0x40_0000n, HEADERS = 64 + 56;
const INNER = 50;

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];

/** The program, with `turns` changes of its code. */
export function rewritingProgram(turns: number): Uint8Array<ArrayBuffer> {
  const sum = Number(BigInt.asUintN(32, BigInt(INNER) * BigInt(turns) * BigInt(turns + 1) / 2n));
  const code = [
    ...[0x41, 0xbc, ...le32(turns), 0x31, 0xdb], // mov r12d, turns; xor ebx, ebx
    ...[0x44, 0x89, 0x25, ...le32(1)], // turn: mov [immediate], r12d
    ...[0xb8, ...le32(0), 0xb9, ...le32(INNER)], // mov eax, immediate; mov ecx, INNER
    ...[0x01, 0xc3, 0xff, 0xc9, 0x75, 0xfa], // add: add ebx, eax; dec ecx; jnz add
    ...[0x41, 0xff, 0xcc, 0x75, 0xe4], // dec r12d; jnz turn
    ...[0x81, 0xfb, ...le32(sum), 0x0f, 0x95, 0xc0], // cmp ebx, sum; setne al
    ...[0x0f, 0xb6, 0xf8, 0xb8, ...le32(60), 0x0f, 0x05], // movzx edi, al; exit
  ];
  const file = new Uint8Array(HEADERS + code.length), view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BASE + BigInt(HEADERS), true); // e_entry
  view.setBigUint64(32, 64n, true); // e_phoff
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(68, 7, true); // PF_R | PF_W | PF_X
  for (const at of [80, 88]) view.setBigUint64(at, BASE, true); // p_vaddr, p_paddr
  for (const at of [96, 104]) view.setBigUint64(at, BigInt(file.length), true); // p_filesz, p_memsz
  view.setBigUint64(112, 0x1000n, true);
  file.set(code, HEADERS);
  return file;
}
