// SPDX-License-Identifier: MIT
/**
 * Programs that the CPU bench runs: 64-bit machine code, written out byte by byte so that no compiler is needed and
 * every emulator (and the host itself) runs the very same. Each is a function by the System V convention: RDI memory
 * of MEMORY_BYTES, ESI how much to do; result in RAX; position independent; clobbers only RAX, RCX, RDX, RSI, RDI,
 * R8 to R10, XMM0 to XMM7, MXCSR's flags and the x87, which is empty and initialized at the end. Rules: SDM Vol. 2.
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

/**
 * The Mandelbrot set on ESI by ESI points from -2 - i on, three units wide: up to 256 rounds a point, whose number is the
 * result. Doubles as scalars, then two points at a time while one of them is within (the other may become infinite), then
 * the x87's 80 bits.
 */
const MANDELBROT = code(`
  f2 0f 2a f6    ;        cvtsi2sd xmm6, esi
  b8 03 00 00 00 ;        mov eax, 3
  f2 0f 2a e8    ;        cvtsi2sd xmm5, eax
  f2 0f 5e ee    ;        divsd xmm5, xmm6
  b8 04 00 00 00 ;        mov eax, 4
  f2 0f 2a f8    ;        cvtsi2sd xmm7, eax
  31 c0          ;        xor eax, eax
  41 89 f0       ;        mov r8d, esi
  f2 41 0f 2a e0 ; row:   cvtsi2sd xmm4, r8d
  f2 0f 59 e5    ;        mulsd xmm4, xmm5
  ba ff ff ff ff ;        mov edx, -1
  f2 0f 2a c2    ;        cvtsi2sd xmm0, edx
  f2 0f 58 e0    ;        addsd xmm4, xmm0
  41 89 f1       ;        mov r9d, esi
  f2 41 0f 2a d9 ; col:   cvtsi2sd xmm3, r9d
  f2 0f 59 dd    ;        mulsd xmm3, xmm5
  ba fe ff ff ff ;        mov edx, -2
  f2 0f 2a c2    ;        cvtsi2sd xmm0, edx
  f2 0f 58 d8    ;        addsd xmm3, xmm0
  66 0f 57 c0    ;        xorpd xmm0, xmm0
  66 0f 57 c9    ;        xorpd xmm1, xmm1
  b9 00 01 00 00 ;        mov ecx, 256
  66 0f 28 d0    ; iter:  movapd xmm2, xmm0
  f2 0f 59 d2    ;        mulsd xmm2, xmm2
  66 0f 28 f1    ;        movapd xmm6, xmm1
  f2 0f 59 f6    ;        mulsd xmm6, xmm6
  f2 0f 59 c8    ;        mulsd xmm1, xmm0
  f2 0f 58 c9    ;        addsd xmm1, xmm1
  f2 0f 58 cc    ;        addsd xmm1, xmm4
  66 0f 28 c2    ;        movapd xmm0, xmm2
  f2 0f 5c c6    ;        subsd xmm0, xmm6
  f2 0f 58 c3    ;        addsd xmm0, xmm3
  f2 0f 58 d6    ;        addsd xmm2, xmm6
  ff c0          ;        inc eax
  66 0f 2f d7    ;        comisd xmm2, xmm7
  77 04          ;        ja out
  ff c9          ;        dec ecx
  75 c8          ;        jnz iter
  41 ff c9       ; out:   dec r9d
  75 a0          ;        jnz col
  41 ff c8       ;        dec r8d
  75 82          ;        jnz row
  c3             ;        ret
`);
const MANDELBROT_PACKED = code(`
  f2 0f 2a f6       ;        cvtsi2sd xmm6, esi
  b8 03 00 00 00    ;        mov eax, 3
  f2 0f 2a e8       ;        cvtsi2sd xmm5, eax
  f2 0f 5e ee       ;        divsd xmm5, xmm6
  66 0f 14 ed       ;        unpcklpd xmm5, xmm5
  b8 04 00 00 00    ;        mov eax, 4
  f2 0f 2a f8       ;        cvtsi2sd xmm7, eax
  66 0f 14 ff       ;        unpcklpd xmm7, xmm7
  31 c0             ;        xor eax, eax
  41 89 f0          ;        mov r8d, esi
  f2 41 0f 2a e0    ; row:   cvtsi2sd xmm4, r8d
  66 0f 14 e4       ;        unpcklpd xmm4, xmm4
  66 0f 59 e5       ;        mulpd xmm4, xmm5
  ba ff ff ff ff    ;        mov edx, -1
  f2 0f 2a c2       ;        cvtsi2sd xmm0, edx
  66 0f 14 c0       ;        unpcklpd xmm0, xmm0
  66 0f 58 e0       ;        addpd xmm4, xmm0
  41 89 f1          ;        mov r9d, esi
  f2 41 0f 2a d9    ; col:   cvtsi2sd xmm3, r9d
  41 8d 51 ff       ;        lea edx, [r9-1]
  f2 0f 2a c2       ;        cvtsi2sd xmm0, edx
  66 0f 14 d8       ;        unpcklpd xmm3, xmm0
  66 0f 59 dd       ;        mulpd xmm3, xmm5
  ba fe ff ff ff    ;        mov edx, -2
  f2 0f 2a c2       ;        cvtsi2sd xmm0, edx
  66 0f 14 c0       ;        unpcklpd xmm0, xmm0
  66 0f 58 d8       ;        addpd xmm3, xmm0
  66 0f 57 c0       ;        xorpd xmm0, xmm0
  66 0f 57 c9       ;        xorpd xmm1, xmm1
  b9 00 01 00 00    ;        mov ecx, 256
  66 0f 28 d0       ; iter:  movapd xmm2, xmm0
  66 0f 59 d2       ;        mulpd xmm2, xmm2
  66 0f 28 f1       ;        movapd xmm6, xmm1
  66 0f 59 f6       ;        mulpd xmm6, xmm6
  66 0f 59 c8       ;        mulpd xmm1, xmm0
  66 0f 58 c9       ;        addpd xmm1, xmm1
  66 0f 58 cc       ;        addpd xmm1, xmm4
  66 0f 28 c2       ;        movapd xmm0, xmm2
  66 0f 5c c6       ;        subpd xmm0, xmm6
  66 0f 58 c3       ;        addpd xmm0, xmm3
  66 0f 58 d6       ;        addpd xmm2, xmm6
  66 0f c2 d7 02    ;        cmplepd xmm2, xmm7
  66 0f 50 d2       ;        movmskpd edx, xmm2
  41 89 d2          ;        mov r10d, edx
  41 d1 ea          ;        shr r10d, 1
  83 e2 01          ;        and edx, 1
  01 d0             ;        add eax, edx
  44 01 d0          ;        add eax, r10d
  44 09 d2          ;        or edx, r10d
  74 04             ;        jz out
  ff c9             ;        dec ecx
  75 b4             ;        jnz iter
  41 83 e9 02       ; out:   sub r9d, 2
  0f 85 77 ff ff ff ;        jnz col
  41 ff c8          ;        dec r8d
  0f 85 4d ff ff ff ;        jnz row
  c3                ;        ret
`);
const MANDELBROT_X87 = code(`
  db e3                ;        fninit
  89 37                ;        mov [rdi], esi
  db 07                ;        fild dword [rdi]
  c7 07 03 00 00 00    ;        mov dword [rdi], 3
  db 07                ;        fild dword [rdi]
  de f1                ;        fdivrp st1, st0
  db 7f 10             ;        fstp tword [rdi + 16]
  c7 47 08 00 00 80 40 ;        mov dword [rdi + 8], 0x40800000
  31 c0                ;        xor eax, eax
  41 89 f0             ;        mov r8d, esi
  44 89 07             ; row:   mov [rdi], r8d
  db 07                ;        fild dword [rdi]
  db 6f 10             ;        fld tword [rdi + 16]
  de c9                ;        fmulp st1, st0
  d9 e8                ;        fld1
  de e9                ;        fsubp st1, st0
  db 7f 20             ;        fstp tword [rdi + 32]
  41 89 f1             ;        mov r9d, esi
  44 89 0f             ; col:   mov [rdi], r9d
  db 07                ;        fild dword [rdi]
  db 6f 10             ;        fld tword [rdi + 16]
  de c9                ;        fmulp st1, st0
  d9 e8                ;        fld1
  dc e9                ;        fsub st1, st0
  de e9                ;        fsubp st1, st0
  db 7f 30             ;        fstp tword [rdi + 48]
  d9 ee                ;        fldz
  d9 ee                ;        fldz
  b9 00 01 00 00       ;        mov ecx, 256
  d9 c1                ; iter:  fld st1
  dc c8                ;        fmul st0, st0
  d9 c1                ;        fld st1
  dc c8                ;        fmul st0, st0
  d9 ca                ;        fxch st2
  de cb                ;        fmulp st3, st0
  d9 ca                ;        fxch st2
  dc c0                ;        fadd st0, st0
  db 6f 20             ;        fld tword [rdi + 32]
  de c1                ;        faddp st1, st0
  d9 c2                ;        fld st2
  d8 e2                ;        fsub st0, st2
  db 6f 30             ;        fld tword [rdi + 48]
  de c1                ;        faddp st1, st0
  d9 cb                ;        fxch st3
  de c2                ;        faddp st2, st0
  ff c0                ;        inc eax
  d9 c9                ;        fxch st1
  d9 47 08             ;        fld dword [rdi + 8]
  df f1                ;        fcomip st0, st1
  dd d8                ;        fstp st0
  72 04                ;        jc out
  ff c9                ;        dec ecx
  75 cd                ;        jnz iter
  dd d8                ; out:   fstp st0
  dd d8                ;        fstp st0
  41 ff c9             ;        dec r9d
  75 a8                ;        jnz col
  41 ff c8             ;        dec r8d
  75 8f                ;        jnz row
  c3                   ;        ret
`);

/** ESI rounds of x = 3.7 x (1 - x) on eight floats in two vectors; the bits of all of them, combined. */
const LOGISTIC = code(`
  48 b8 33 33 33 3f 9a 99 99 3e ;        mov rax, 0x3e99999a3f333333
  66 48 0f 6e c0                ;        movq xmm0, rax
  48 b8 9a 99 19 3f cd cc cc 3d ;        mov rax, 0x3dcccccd3f19999a
  66 48 0f 6e c8                ;        movq xmm1, rax
  66 0f 14 c1                   ;        unpcklpd xmm0, xmm1
  b8 cd cc 6c 40                ;        mov eax, 0x406ccccd
  66 0f 6e d0                   ;        movd xmm2, eax
  0f c6 d2 00                   ;        shufps xmm2, xmm2, 0
  b8 00 00 80 3f                ;        mov eax, 0x3f800000
  66 0f 6e d8                   ;        movd xmm3, eax
  0f c6 db 00                   ;        shufps xmm3, xmm3, 0
  0f 28 c8                      ;        movaps xmm1, xmm0
  0f 59 c9                      ;        mulps xmm1, xmm1
  0f 28 e3                      ; round: movaps xmm4, xmm3
  0f 28 eb                      ;        movaps xmm5, xmm3
  0f 5c e0                      ;        subps xmm4, xmm0
  0f 5c e9                      ;        subps xmm5, xmm1
  0f 59 c2                      ;        mulps xmm0, xmm2
  0f 59 ca                      ;        mulps xmm1, xmm2
  0f 59 c4                      ;        mulps xmm0, xmm4
  0f 59 cd                      ;        mulps xmm1, xmm5
  ff ce                         ;        dec esi
  75 e4                         ;        jnz round
  0f 57 c1                      ;        xorps xmm0, xmm1
  0f 12 c8                      ;        movhlps xmm1, xmm0
  0f 57 c1                      ;        xorps xmm0, xmm1
  66 48 0f 7e c0                ;        movq rax, xmm0
  c3                            ;        ret
`);

/** The programs of the bench. */
export const PROGRAMS: readonly Program[] = [
  { name: "crc32", what: "crc32 of 40 MiB, table-driven", code: CRC32, amount: 40 },
  { name: "sieve", what: "sieve to 5 M", code: SIEVE, amount: 5_000_000 },
  { name: "xorshift", what: "64-bit xorshift-multiply, 20 M rounds", code: XORSHIFT, amount: 20_000_000 },
  { name: "fib", what: "fib(32), recursive", code: FIB, amount: 32 },
  { name: "mandelbrot", what: "Mandelbrot, 400 x 400, scalar doubles", code: MANDELBROT, amount: 400 },
  { name: "packed", what: "Mandelbrot, 400 x 400, packed doubles", code: MANDELBROT_PACKED, amount: 400 },
  { name: "logistic", what: "logistic map, packed floats, 10 M rounds", code: LOGISTIC, amount: 10_000_000 },
  { name: "x87", what: "Mandelbrot, 100 x 100, x87", code: MANDELBROT_X87, amount: 100 },
];
