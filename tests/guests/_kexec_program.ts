// SPDX-License-Identifier: MIT
/**
 * `kexec KERNEL INITRD COMMAND-LINE` as a program of its own: busybox has none, and Debian's needs libraries. It exits with
 * the errno of what failed. Source (nasm):
 *
 * ```asm
 * bits 64
 *  mov rbp,rsp         ; argc, argv[0] "kexec", [1] kernel, [2] initrd, [3] command line
 *  mov eax,2           ; open(kernel, O_RDONLY)
 *  mov rdi,[rbp+16]
 *  xor esi,esi
 *  syscall
 *  mov rbx,rax
 *  mov eax,2           ; open(initrd, O_RDONLY)
 *  mov rdi,[rbp+24]
 *  xor esi,esi
 *  syscall
 *  mov rsi,rax
 *  mov r10,[rbp+32]
 *  xor edx,edx         ; length of the command line with its NUL
 * len: inc rdx
 *  cmp byte [r10+rdx-1],0
 *  jne len
 *  mov eax,320         ; kexec_file_load(kernel, initrd, length, command line, 0)
 *  mov rdi,rbx
 *  xor r8d,r8d
 *  syscall
 *  test rax,rax
 *  jnz fail
 *  mov eax,169         ; reboot(LINUX_REBOOT_MAGIC1, MAGIC2, LINUX_REBOOT_CMD_KEXEC, 0)
 *  mov edi,0xfee1dead
 *  mov esi,672274793
 *  mov edx,0x45584543
 *  xor r10d,r10d
 *  syscall
 * fail: neg eax        ; exit(errno)
 *  mov edi,eax
 *  mov eax,60
 *  syscall
 * ```
 * @module
 */

// deno-fmt-ignore
const CODE = [
  0x48, 0x89, 0xe5, 0xb8, 0x02, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x7d, 0x10, 0x31, 0xf6, 0x0f, 0x05,
  0x48, 0x89, 0xc3, 0xb8, 0x02, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x7d, 0x18, 0x31, 0xf6, 0x0f, 0x05,
  0x48, 0x89, 0xc6, 0x4c, 0x8b, 0x55, 0x20, 0x31, 0xd2, 0x48, 0xff, 0xc2, 0x41, 0x80, 0x7c, 0x12,
  0xff, 0x00, 0x75, 0xf5, 0xb8, 0x40, 0x01, 0x00, 0x00, 0x48, 0x89, 0xdf, 0x45, 0x31, 0xc0, 0x0f,
  0x05, 0x48, 0x85, 0xc0, 0x75, 0x19, 0xb8, 0xa9, 0x00, 0x00, 0x00, 0xbf, 0xad, 0xde, 0xe1, 0xfe,
  0xbe, 0x69, 0x19, 0x12, 0x28, 0xba, 0x43, 0x45, 0x58, 0x45, 0x45, 0x31, 0xd2, 0x0f, 0x05, 0xf7,
  0xd8, 0x89, 0xc7, 0xb8, 0x3c, 0x00, 0x00, 0x00, 0x0f, 0x05,
];
const BASE = 0x40_0000;
const HEADER_BYTES = 64, PROGRAM_HEADER_BYTES = 56;

/** The program: a static ELF file of 64 bits. */
export function kexecProgram(): Uint8Array<ArrayBuffer> {
  const start = HEADER_BYTES + PROGRAM_HEADER_BYTES;
  const file = new Uint8Array(start + CODE.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(BASE + start), true); // entry
  view.setBigUint64(32, BigInt(HEADER_BYTES), true); // program headers
  view.setUint16(52, HEADER_BYTES, true);
  view.setUint16(54, PROGRAM_HEADER_BYTES, true);
  view.setUint16(56, 1, true);
  view.setUint32(HEADER_BYTES, 1, true); // PT_LOAD
  view.setUint32(HEADER_BYTES + 4, 5, true); // readable, executable
  view.setBigUint64(HEADER_BYTES + 16, BigInt(BASE), true);
  view.setBigUint64(HEADER_BYTES + 24, BigInt(BASE), true);
  view.setBigUint64(HEADER_BYTES + 32, BigInt(file.length), true);
  view.setBigUint64(HEADER_BYTES + 40, BigInt(file.length), true);
  view.setBigUint64(HEADER_BYTES + 48, 0x1000n, true);
  file.set(CODE, start);
  return file;
}
