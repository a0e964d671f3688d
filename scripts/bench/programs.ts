// SPDX-License-Identifier: MIT
/**
 * Programs that the CPU bench runs: 64-bit machine code, written out byte by byte so that no compiler is needed and
 * every emulator (and the host itself) runs the very same. Each is a function by the System V convention: RDI memory
 * of MEMORY_BYTES, ESI how much to do; result in RAX; position independent; clobbers only RAX, RCX, RDX, RSI, RDI
 * and R8 to R10. Rules: SDM Vol. 2.
 * @module
 */

/** How much memory a program may use. */
export const MEMORY_BYTES = 8 << 20;

/** One program. */
export interface Program {
  readonly name: string;
  /** What is done, for people. */
  readonly what: string;
  readonly code: Uint8Array<ArrayBuffer>;
  /** ESI of the bench. */
  readonly amount: number;
}

/** Bytes from lines of "hex bytes ; comment". */
function code(text: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const line of text.split("\n")) {
    for (const byte of line.replace(/;.*/, "").trim().split(/\s+/)) {
      if (byte !== "") bytes.push(Number.parseInt(byte, 16));
    }
  }
  return Uint8Array.from(bytes);
}

/** CRC-32 of ESI times 1 MiB; the table and the data (a linear congruential generator's) are made first. */
const CRC32 = code(`
  31 c9                ;        xor ecx, ecx
  89 c8                ; table: mov eax, ecx
  ba 08 00 00 00       ;        mov edx, 8
  d1 e8                ; bit:   shr eax, 1
  73 05                ;        jnc zero
  35 20 83 b8 ed       ;        xor eax, 0xedb88320
  ff ca                ; zero:  dec edx
  75 f3                ;        jnz bit
  89 04 8f             ;        mov [rdi + rcx*4], eax
  ff c1                ;        inc ecx
  81 f9 00 01 00 00    ;        cmp ecx, 256
  72 df                ;        jb table
  4c 8d 87 00 04 00 00 ;        lea r8, [rdi + 1024]
  4d 8d 88 00 00 10 00 ;        lea r9, [r8 + 1 MiB]
  4c 89 c2             ;        mov rdx, r8
  b8 01 00 00 00       ;        mov eax, 1
  69 c0 6d 4e c6 41    ; fill:  imul eax, eax, 1103515245
  05 39 30 00 00       ;        add eax, 12345
  89 c1                ;        mov ecx, eax
  c1 e9 10             ;        shr ecx, 16
  88 0a                ;        mov [rdx], cl
  48 ff c2             ;        inc rdx
  4c 39 ca             ;        cmp rdx, r9
  75 e6                ;        jne fill
  b8 ff ff ff ff       ;        mov eax, -1
  4c 89 c2             ; pass:  mov rdx, r8
  0f b6 0a             ; byte:  movzx ecx, byte [rdx]
  41 89 c2             ;        mov r10d, eax
  48 ff c2             ;        inc rdx
  c1 e8 08             ;        shr eax, 8
  44 31 d1             ;        xor ecx, r10d
  0f b6 c9             ;        movzx ecx, cl
  33 04 8f             ;        xor eax, [rdi + rcx*4]
  4c 39 ca             ;        cmp rdx, r9
  75 e6                ;        jne byte
  ff ce                ;        dec esi
  75 df                ;        jnz pass
  f7 d0                ;        not eax
  c3                   ;        ret
`);

/** How many primes there are up to ESI, by the sieve of Eratosthenes on bytes. */
const SIEVE = code(`
  49 89 f8             ;        mov r8, rdi
  8d 4e 01             ;        lea ecx, [rsi + 1]
  31 c0                ;        xor eax, eax
  fc                   ;        cld
  f3 aa                ;        rep stosb
  b9 02 00 00 00       ;        mov ecx, 2
  89 ca                ; next:  mov edx, ecx
  0f af d1             ;        imul edx, ecx
  39 f2                ;        cmp edx, esi
  77 16                ;        ja sum
  41 80 3c 08 00       ;        cmp byte [r8 + rcx], 0
  75 0b                ;        jne skip
  41 c6 04 10 01       ; cross: mov byte [r8 + rdx], 1
  01 ca                ;        add edx, ecx
  39 f2                ;        cmp edx, esi
  76 f5                ;        jbe cross
  ff c1                ; skip:  inc ecx
  eb e1                ;        jmp next
  b9 02 00 00 00       ; sum:   mov ecx, 2
  41 80 3c 08 01       ; count: cmp byte [r8 + rcx], 1
  83 d0 00             ;        adc eax, 0
  ff c1                ;        inc ecx
  39 f1                ;        cmp ecx, esi
  76 f2                ;        jbe count
  c3                   ;        ret
`);

/** ESI rounds of a 64-bit xorshift and a multiplication. */
const XORSHIFT = code(`
  48 b8 15 7c 4a 7f b9 79 37 9e ; mov rax, 0x9e3779b97f4a7c15
  49 b8 1d dd 6c 4f 91 f4 45 25 ; mov r8, 0x2545f4914f6cdd1d
  48 89 c2             ; round: mov rdx, rax
  48 c1 ea 0c          ;        shr rdx, 12
  48 31 d0             ;        xor rax, rdx
  48 89 c2             ;        mov rdx, rax
  48 c1 e2 19          ;        shl rdx, 25
  48 31 d0             ;        xor rax, rdx
  48 89 c2             ;        mov rdx, rax
  48 c1 ea 1b          ;        shr rdx, 27
  48 31 d0             ;        xor rax, rdx
  49 0f af c0          ;        imul rax, r8
  ff ce                ;        dec esi
  75 da                ;        jnz round
  c3                   ;        ret
`);

/** The ESI-th Fibonacci number by the definition: calls and returns. */
const FIB = code(`
  89 f7                ;        mov edi, esi
  83 ff 02             ; fib:   cmp edi, 2
  72 16                ;        jb small
  57                   ;        push rdi
  ff cf                ;        dec edi
  e8 f3 ff ff ff       ;        call fib
  5f                   ;        pop rdi
  50                   ;        push rax
  83 ef 02             ;        sub edi, 2
  e8 e9 ff ff ff       ;        call fib
  5a                   ;        pop rdx
  01 d0                ;        add eax, edx
  c3                   ;        ret
  89 f8                ; small: mov eax, edi
  c3                   ;        ret
`);

/** The programs of the bench. */
export const PROGRAMS: readonly Program[] = [
  { name: "crc32", what: "crc32 of 40 MiB, table-driven", code: CRC32, amount: 40 },
  { name: "sieve", what: "sieve to 5 M", code: SIEVE, amount: 5_000_000 },
  { name: "xorshift", what: "64-bit xorshift-multiply, 20 M rounds", code: XORSHIFT, amount: 20_000_000 },
  { name: "fib", what: "fib(32), recursive", code: FIB, amount: 32 },
];
