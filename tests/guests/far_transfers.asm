; SPDX-License-Identifier: MIT
; Far transfers, IRETQ, segment loads, LAR, LSL, VERR, VERW and INT in 64-bit mode from privilege 0 and 3, with descriptors of
; every kind: vector and error code, or "-" and what CS and SS are then. Left out is what Bochs does not do by the manual:
; IRETQ to privilege 0 with SS 3 (#GP(0)), and to privilege 3 with SS not present (#SS). To be assembled and started as
; privileges.asm.
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  mov ax, 0x0211
  mov bx, 0x7e00
  mov cx, 2
  mov dx, 0
  int 0x13
  mov ax, 0x0212
  mov bx, 0x7e00 + 17*512
  mov cx, 1
  mov dx, 0x0100
  int 0x13
  mov ax, 0x0212
  mov bx, 0x7e00 + 35*512
  mov cx, 0x0101
  mov dx, 0
  int 0x13
  mov ax, 0x020b
  mov bx, 0x7e00 + 53*512
  mov cx, 0x0101
  mov dx, 0x0100
  int 0x13
%include "flat_start.inc"
%include "long_mode_start.inc"
  xor eax, eax
  lldt ax
  ; pages: phys 0x30000 + i*0x1000, first byte C3
  mov edi, 0x30000
  mov ecx, 32
.f: mov byte [rdi], 0xc3
  add edi, 0x1000
  loop .f
  ; user code page 15: stub, stack page 14
  mov rax, 0x3f007
  mov [0x23000+15*8], rax
  mov rax, 0x3e007
  mov [0x23000+14*8], rax
  mov rax, 0x3d007
  mov [0x23000+13*8], rax
  mov word [0x3f100], 0x80cd

  ; ---- pieces of code
  mov rax, cr4
  btr rax, 20
  btr rax, 21
  mov cr4, rax
  mov qword [current], pieces
next:
  mov rsp, 0x7c00
  push qword 2
  popfq
  mov ax, 0x10
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov rax, 0x80000011
  mov cr0, rax
  mov eax, 0x620
  mov cr4, rax
  mov eax, 0x20000
  mov cr3, rax
  lidt [idtr]
  lgdt [gdtr]
  mov rsi, [current]
  cmp byte [rsi], 0
  je done
  call newline
.n: lodsb
  test al, al
  jz .nn
  call putc
  jmp .n
.nn: mov al, ':'
  call putc
  lodsb       ; ring
  mov dl, al
  lodsw       ; cr4 bits to set (bit number, or ffff)
  cmp ax, 0xffff
  je .nocr4
  movzx eax, ax
  mov rcx, cr4
  bts rcx, rax
  mov cr4, rcx
.nocr4:
  movzx ecx, byte [rsi]
  inc rsi
  mov edi, 0x3d000
  rep movsb
  mov word [rdi], 0x80cd ; int 0x80
  mov [current], rsi
  mov r8d, BASE + 0x800
  mov rax, 0x30007
  mov [0x23000], rax
  mov rbx, cr3
  mov cr3, rbx
  xor eax, eax
  xor ebx, ebx
  xor ecx, ecx
  cmp dl, 3
  mov edx, 0
  je .r3
  mov edi, 0x3d000
  jmp rdi
.r3:
  push qword 0x2b
  push qword BASE + 14*0x1000 + 0x800
  push qword 2
  push qword 0x23
  push qword BASE + 13*0x1000
  iretq
done:
  call newline
  mov rsi, bye
  mov dx, 0x8900
.b: lodsb
  out dx, al
  test al, al
  jnz .b
  cli
  hlt

%include "printing.inc"

handler: ; vector, error, rip ...
  mov ax, 0x10
  mov ds, ax
  mov al, [rsp]
  cmp al, 0x80
  je .ok
  call hex2
  mov al, [rsp+9]
  call hex2
  mov al, [rsp+8]
  call hex2
  jmp next
.ok:
  mov al, '-'
  call putc
  mov al, [rsp+25]
  call hex2
  mov al, [rsp+24]
  call hex2
  mov al, [rsp+49]
  call hex2
  mov al, [rsp+48]
  call hex2
  jmp next

gatecode: int 0x80

align 16
%include "exception_stubs.inc"

bye: db "Shutdown", 0
align 8
gdtr: dw gdt_end - gdt - 1
  dq gdt
idtr: dw 0x81*16-1
  dq idt
align 8
gdt: dq 0
  dq 0x00cf9b000000ffff
  dq 0x00cf93000000ffff
  dq 0x00af9b000000ffff ; 18
  dq 0x00affb000000ffff ; 20
  dq 0x00cff3000000ffff ; 28
  dw 0x67, tss
  db 0, 0x89, 0, 0      ; 30
  dq 0
  ; 40 call gate dpl3 to 18:gatecode
  dw gatecode, 0x18, 0xec00, 0
  dq 0
  dq 0x00af9f000000ffff ; 50 conforming
  dq 0x00cffb000000ffff ; 58 compat r3
  dq 0x00af1b000000ffff ; 60 code np
  dq 0x00cf13000000ffff ; 68 data np
  dq 0x00effb000000ffff ; 70 L and D
  dq 0x00cf73000000ffff ; 78 data r3 np
  ; 80 call gate dpl0
  dw gatecode, 0x18, 0x8c00, 0
  dq 0
  ; 90 call gate np
  dw gatecode, 0x18, 0x6c00, 0
  dq 0
  ; a0 gate to compat code 8
  dw gatecode, 0x08, 0xec00, 0
  dq 0
  ; b0 gate to data
  dw gatecode, 0x10, 0xec00, 0
  dq 0
  ; c0 gate to conforming
  dw gatecode, 0x50, 0xec00, 0
  dq 0
  ; d0 gate null
  dw gatecode, 0, 0xec00, 0
  dq 0
  ; e0 gate with bad upper type
  dw gatecode, 0x18, 0xec00, 0
  dq 0x0000010000000000
  ; f0 gate to np code
  dw gatecode, 0x60, 0xec00, 0
  dq 0
  dq 0x0000020000000000 ; 100 ldt np
  dq 0
  dq 0x0000090000000067 ; 110 tss np
  dq 0
  dq 0x00affb000000ffff ; 120 = user code64
  dq 0x00af99000000ffff ; 128 exec only r0
  dq 0x00cff1000000ffff ; 130 ro data r3
  ; 138 gate non canonical offset
  dw gatecode, 0x18, 0xec00, 0
  dq 0x0000000000008000
gdt_end:
%define NO 0xffff
%macro P 4-*  ; name ring cr4 code lines
  db %1, 0, %2
  dw %3
  db %%e - %%s
%%s:
%rotate 3
%rep %0-3
  %1
%rotate 1
%endrep
%%e:
%endmacro
pieces:
 P "call 0x43 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x43}, {call far [r8]}
 P "jmp 0x43 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x43}, {jmp far [r8]}
 P "call 0x43 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x43}, {call far [r8]}
 P "jmp 0x43 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x43}, {jmp far [r8]}
 P "call 0x40 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x40}, {call far [r8]}
 P "jmp 0x40 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x40}, {jmp far [r8]}
 P "call 0x40 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x40}, {call far [r8]}
 P "jmp 0x40 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x40}, {jmp far [r8]}
 P "call 0x83 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x83}, {call far [r8]}
 P "jmp 0x83 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x83}, {jmp far [r8]}
 P "call 0x83 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x83}, {call far [r8]}
 P "jmp 0x83 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x83}, {jmp far [r8]}
 P "call 0x93 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x93}, {call far [r8]}
 P "jmp 0x93 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x93}, {jmp far [r8]}
 P "call 0x93 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x93}, {call far [r8]}
 P "jmp 0x93 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x93}, {jmp far [r8]}
 P "call 0xa3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xa3}, {call far [r8]}
 P "jmp 0xa3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xa3}, {jmp far [r8]}
 P "call 0xa3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xa3}, {call far [r8]}
 P "jmp 0xa3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xa3}, {jmp far [r8]}
 P "call 0xb3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xb3}, {call far [r8]}
 P "jmp 0xb3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xb3}, {jmp far [r8]}
 P "call 0xb3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xb3}, {call far [r8]}
 P "jmp 0xb3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xb3}, {jmp far [r8]}
 P "call 0xc3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xc3}, {call far [r8]}
 P "jmp 0xc3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xc3}, {jmp far [r8]}
 P "call 0xc3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xc3}, {call far [r8]}
 P "jmp 0xc3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xc3}, {jmp far [r8]}
 P "call 0xd3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xd3}, {call far [r8]}
 P "jmp 0xd3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xd3}, {jmp far [r8]}
 P "call 0xd3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xd3}, {call far [r8]}
 P "jmp 0xd3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xd3}, {jmp far [r8]}
 P "call 0xe3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xe3}, {call far [r8]}
 P "jmp 0xe3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xe3}, {jmp far [r8]}
 P "call 0xe3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xe3}, {call far [r8]}
 P "jmp 0xe3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xe3}, {jmp far [r8]}
 P "call 0xf3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xf3}, {call far [r8]}
 P "jmp 0xf3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0xf3}, {jmp far [r8]}
 P "call 0xf3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xf3}, {call far [r8]}
 P "jmp 0xf3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0xf3}, {jmp far [r8]}
 P "call 0x13b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x13b}, {call far [r8]}
 P "jmp 0x13b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x13b}, {jmp far [r8]}
 P "call 0x13b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x13b}, {call far [r8]}
 P "jmp 0x13b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x13b}, {jmp far [r8]}
 P "call 0x18 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x18}, {call far [r8]}
 P "jmp 0x18 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x18}, {jmp far [r8]}
 P "call 0x18 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x18}, {call far [r8]}
 P "jmp 0x18 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x18}, {jmp far [r8]}
 P "call 0x1b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x1b}, {call far [r8]}
 P "jmp 0x1b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x1b}, {jmp far [r8]}
 P "call 0x1b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x1b}, {call far [r8]}
 P "jmp 0x1b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x1b}, {jmp far [r8]}
 P "call 0x50 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x50}, {call far [r8]}
 P "jmp 0x50 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x50}, {jmp far [r8]}
 P "call 0x50 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x50}, {call far [r8]}
 P "jmp 0x50 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x50}, {jmp far [r8]}
 P "call 0x53 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x53}, {call far [r8]}
 P "jmp 0x53 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x53}, {jmp far [r8]}
 P "call 0x53 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x53}, {call far [r8]}
 P "jmp 0x53 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x53}, {jmp far [r8]}
 P "call 0x58 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x58}, {call far [r8]}
 P "jmp 0x58 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x58}, {jmp far [r8]}
 P "call 0x58 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x58}, {call far [r8]}
 P "jmp 0x58 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x58}, {jmp far [r8]}
 P "call 0x5b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x5b}, {call far [r8]}
 P "jmp 0x5b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x5b}, {jmp far [r8]}
 P "call 0x5b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x5b}, {call far [r8]}
 P "jmp 0x5b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x5b}, {jmp far [r8]}
 P "call 0x60 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x60}, {call far [r8]}
 P "jmp 0x60 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x60}, {jmp far [r8]}
 P "call 0x60 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x60}, {call far [r8]}
 P "jmp 0x60 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x60}, {jmp far [r8]}
 P "call 0x63 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x63}, {call far [r8]}
 P "jmp 0x63 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x63}, {jmp far [r8]}
 P "call 0x63 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x63}, {call far [r8]}
 P "jmp 0x63 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x63}, {jmp far [r8]}
 P "call 0x73 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x73}, {call far [r8]}
 P "jmp 0x73 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x73}, {jmp far [r8]}
 P "call 0x73 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x73}, {call far [r8]}
 P "jmp 0x73 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x73}, {jmp far [r8]}
 P "call 0x70 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x70}, {call far [r8]}
 P "jmp 0x70 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x70}, {jmp far [r8]}
 P "call 0x70 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x70}, {call far [r8]}
 P "jmp 0x70 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x70}, {jmp far [r8]}
 P "call 0x200 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x200}, {call far [r8]}
 P "jmp 0x200 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x200}, {jmp far [r8]}
 P "call 0x200 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x200}, {call far [r8]}
 P "jmp 0x200 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x200}, {jmp far [r8]}
 P "call 0x123 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x123}, {call far [r8]}
 P "jmp 0x123 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x123}, {jmp far [r8]}
 P "call 0x123 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x123}, {call far [r8]}
 P "jmp 0x123 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x123}, {jmp far [r8]}
 P "call 0x120 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x120}, {call far [r8]}
 P "jmp 0x120 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x120}, {jmp far [r8]}
 P "call 0x120 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x120}, {call far [r8]}
 P "jmp 0x120 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x120}, {jmp far [r8]}
 P "call 0x128 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x128}, {call far [r8]}
 P "jmp 0x128 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x128}, {jmp far [r8]}
 P "call 0x128 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x128}, {call far [r8]}
 P "jmp 0x128 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x128}, {jmp far [r8]}
 P "call 0x12b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x12b}, {call far [r8]}
 P "jmp 0x12b r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x12b}, {jmp far [r8]}
 P "call 0x12b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x12b}, {call far [r8]}
 P "jmp 0x12b r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x12b}, {jmp far [r8]}
 P "call 0x33 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x33}, {call far [r8]}
 P "jmp 0x33 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x33}, {jmp far [r8]}
 P "call 0x33 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x33}, {call far [r8]}
 P "jmp 0x33 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x33}, {jmp far [r8]}
 P "call 0x103 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x103}, {call far [r8]}
 P "jmp 0x103 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x103}, {jmp far [r8]}
 P "call 0x103 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x103}, {call far [r8]}
 P "jmp 0x103 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x103}, {jmp far [r8]}
 P "call 0x113 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x113}, {call far [r8]}
 P "jmp 0x113 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x113}, {jmp far [r8]}
 P "call 0x113 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x113}, {call far [r8]}
 P "jmp 0x113 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x113}, {jmp far [r8]}
 P "call 0 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0}, {call far [r8]}
 P "jmp 0 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0}, {jmp far [r8]}
 P "call 0 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0}, {call far [r8]}
 P "jmp 0 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0}, {jmp far [r8]}
 P "call 3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 3}, {call far [r8]}
 P "jmp 3 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 3}, {jmp far [r8]}
 P "call 3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 3}, {call far [r8]}
 P "jmp 3 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 3}, {jmp far [r8]}
 P "call 0x24 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x24}, {call far [r8]}
 P "jmp 0x24 r0", 0, NO, {mov dword [r8], 0x3f100}, {mov dword [r8+4], 0x24}, {jmp far [r8]}
 P "call 0x24 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x24}, {call far [r8]}
 P "jmp 0x24 r3", 3, NO, {mov dword [r8], BASE+15*0x1000+0x100}, {mov dword [r8+4], 0x24}, {jmp far [r8]}
 P "mov ss 0x10 r0", 0, NO, {mov eax, 0x10}, {mov ss, eax}
 P "mov ds 0x10 r0", 0, NO, {mov eax, 0x10}, {mov ds, eax}
 P "mov fs 0x10 r0", 0, NO, {mov eax, 0x10}, {mov fs, eax}
 P "mov ss 0x10 r3", 3, NO, {mov eax, 0x10}, {mov ss, eax}
 P "mov ds 0x10 r3", 3, NO, {mov eax, 0x10}, {mov ds, eax}
 P "mov fs 0x10 r3", 3, NO, {mov eax, 0x10}, {mov fs, eax}
 P "mov ss 0x13 r0", 0, NO, {mov eax, 0x13}, {mov ss, eax}
 P "mov ds 0x13 r0", 0, NO, {mov eax, 0x13}, {mov ds, eax}
 P "mov fs 0x13 r0", 0, NO, {mov eax, 0x13}, {mov fs, eax}
 P "mov ss 0x13 r3", 3, NO, {mov eax, 0x13}, {mov ss, eax}
 P "mov ds 0x13 r3", 3, NO, {mov eax, 0x13}, {mov ds, eax}
 P "mov fs 0x13 r3", 3, NO, {mov eax, 0x13}, {mov fs, eax}
 P "mov ss 0x28 r0", 0, NO, {mov eax, 0x28}, {mov ss, eax}
 P "mov ds 0x28 r0", 0, NO, {mov eax, 0x28}, {mov ds, eax}
 P "mov fs 0x28 r0", 0, NO, {mov eax, 0x28}, {mov fs, eax}
 P "mov ss 0x28 r3", 3, NO, {mov eax, 0x28}, {mov ss, eax}
 P "mov ds 0x28 r3", 3, NO, {mov eax, 0x28}, {mov ds, eax}
 P "mov fs 0x28 r3", 3, NO, {mov eax, 0x28}, {mov fs, eax}
 P "mov ss 0x2b r0", 0, NO, {mov eax, 0x2b}, {mov ss, eax}
 P "mov ds 0x2b r0", 0, NO, {mov eax, 0x2b}, {mov ds, eax}
 P "mov fs 0x2b r0", 0, NO, {mov eax, 0x2b}, {mov fs, eax}
 P "mov ss 0x2b r3", 3, NO, {mov eax, 0x2b}, {mov ss, eax}
 P "mov ds 0x2b r3", 3, NO, {mov eax, 0x2b}, {mov ds, eax}
 P "mov fs 0x2b r3", 3, NO, {mov eax, 0x2b}, {mov fs, eax}
 P "mov ss 0x68 r0", 0, NO, {mov eax, 0x68}, {mov ss, eax}
 P "mov ds 0x68 r0", 0, NO, {mov eax, 0x68}, {mov ds, eax}
 P "mov fs 0x68 r0", 0, NO, {mov eax, 0x68}, {mov fs, eax}
 P "mov ss 0x68 r3", 3, NO, {mov eax, 0x68}, {mov ss, eax}
 P "mov ds 0x68 r3", 3, NO, {mov eax, 0x68}, {mov ds, eax}
 P "mov fs 0x68 r3", 3, NO, {mov eax, 0x68}, {mov fs, eax}
 P "mov ss 0x6b r0", 0, NO, {mov eax, 0x6b}, {mov ss, eax}
 P "mov ds 0x6b r0", 0, NO, {mov eax, 0x6b}, {mov ds, eax}
 P "mov fs 0x6b r0", 0, NO, {mov eax, 0x6b}, {mov fs, eax}
 P "mov ss 0x6b r3", 3, NO, {mov eax, 0x6b}, {mov ss, eax}
 P "mov ds 0x6b r3", 3, NO, {mov eax, 0x6b}, {mov ds, eax}
 P "mov fs 0x6b r3", 3, NO, {mov eax, 0x6b}, {mov fs, eax}
 P "mov ss 0x78 r0", 0, NO, {mov eax, 0x78}, {mov ss, eax}
 P "mov ds 0x78 r0", 0, NO, {mov eax, 0x78}, {mov ds, eax}
 P "mov fs 0x78 r0", 0, NO, {mov eax, 0x78}, {mov fs, eax}
 P "mov ss 0x78 r3", 3, NO, {mov eax, 0x78}, {mov ss, eax}
 P "mov ds 0x78 r3", 3, NO, {mov eax, 0x78}, {mov ds, eax}
 P "mov fs 0x78 r3", 3, NO, {mov eax, 0x78}, {mov fs, eax}
 P "mov ss 0x7b r0", 0, NO, {mov eax, 0x7b}, {mov ss, eax}
 P "mov ds 0x7b r0", 0, NO, {mov eax, 0x7b}, {mov ds, eax}
 P "mov fs 0x7b r0", 0, NO, {mov eax, 0x7b}, {mov fs, eax}
 P "mov ss 0x7b r3", 3, NO, {mov eax, 0x7b}, {mov ss, eax}
 P "mov ds 0x7b r3", 3, NO, {mov eax, 0x7b}, {mov ds, eax}
 P "mov fs 0x7b r3", 3, NO, {mov eax, 0x7b}, {mov fs, eax}
 P "mov ss 0x130 r0", 0, NO, {mov eax, 0x130}, {mov ss, eax}
 P "mov ds 0x130 r0", 0, NO, {mov eax, 0x130}, {mov ds, eax}
 P "mov fs 0x130 r0", 0, NO, {mov eax, 0x130}, {mov fs, eax}
 P "mov ss 0x130 r3", 3, NO, {mov eax, 0x130}, {mov ss, eax}
 P "mov ds 0x130 r3", 3, NO, {mov eax, 0x130}, {mov ds, eax}
 P "mov fs 0x130 r3", 3, NO, {mov eax, 0x130}, {mov fs, eax}
 P "mov ss 0x133 r0", 0, NO, {mov eax, 0x133}, {mov ss, eax}
 P "mov ds 0x133 r0", 0, NO, {mov eax, 0x133}, {mov ds, eax}
 P "mov fs 0x133 r0", 0, NO, {mov eax, 0x133}, {mov fs, eax}
 P "mov ss 0x133 r3", 3, NO, {mov eax, 0x133}, {mov ss, eax}
 P "mov ds 0x133 r3", 3, NO, {mov eax, 0x133}, {mov ds, eax}
 P "mov fs 0x133 r3", 3, NO, {mov eax, 0x133}, {mov fs, eax}
 P "mov ss 0x128 r0", 0, NO, {mov eax, 0x128}, {mov ss, eax}
 P "mov ds 0x128 r0", 0, NO, {mov eax, 0x128}, {mov ds, eax}
 P "mov fs 0x128 r0", 0, NO, {mov eax, 0x128}, {mov fs, eax}
 P "mov ss 0x128 r3", 3, NO, {mov eax, 0x128}, {mov ss, eax}
 P "mov ds 0x128 r3", 3, NO, {mov eax, 0x128}, {mov ds, eax}
 P "mov fs 0x128 r3", 3, NO, {mov eax, 0x128}, {mov fs, eax}
 P "mov ss 0x50 r0", 0, NO, {mov eax, 0x50}, {mov ss, eax}
 P "mov ds 0x50 r0", 0, NO, {mov eax, 0x50}, {mov ds, eax}
 P "mov fs 0x50 r0", 0, NO, {mov eax, 0x50}, {mov fs, eax}
 P "mov ss 0x50 r3", 3, NO, {mov eax, 0x50}, {mov ss, eax}
 P "mov ds 0x50 r3", 3, NO, {mov eax, 0x50}, {mov ds, eax}
 P "mov fs 0x50 r3", 3, NO, {mov eax, 0x50}, {mov fs, eax}
 P "mov ss 0x53 r0", 0, NO, {mov eax, 0x53}, {mov ss, eax}
 P "mov ds 0x53 r0", 0, NO, {mov eax, 0x53}, {mov ds, eax}
 P "mov fs 0x53 r0", 0, NO, {mov eax, 0x53}, {mov fs, eax}
 P "mov ss 0x53 r3", 3, NO, {mov eax, 0x53}, {mov ss, eax}
 P "mov ds 0x53 r3", 3, NO, {mov eax, 0x53}, {mov ds, eax}
 P "mov fs 0x53 r3", 3, NO, {mov eax, 0x53}, {mov fs, eax}
 P "mov ss 0x40 r0", 0, NO, {mov eax, 0x40}, {mov ss, eax}
 P "mov ds 0x40 r0", 0, NO, {mov eax, 0x40}, {mov ds, eax}
 P "mov fs 0x40 r0", 0, NO, {mov eax, 0x40}, {mov fs, eax}
 P "mov ss 0x40 r3", 3, NO, {mov eax, 0x40}, {mov ss, eax}
 P "mov ds 0x40 r3", 3, NO, {mov eax, 0x40}, {mov ds, eax}
 P "mov fs 0x40 r3", 3, NO, {mov eax, 0x40}, {mov fs, eax}
 P "mov ss 0x30 r0", 0, NO, {mov eax, 0x30}, {mov ss, eax}
 P "mov ds 0x30 r0", 0, NO, {mov eax, 0x30}, {mov ds, eax}
 P "mov fs 0x30 r0", 0, NO, {mov eax, 0x30}, {mov fs, eax}
 P "mov ss 0x30 r3", 3, NO, {mov eax, 0x30}, {mov ss, eax}
 P "mov ds 0x30 r3", 3, NO, {mov eax, 0x30}, {mov ds, eax}
 P "mov fs 0x30 r3", 3, NO, {mov eax, 0x30}, {mov fs, eax}
 P "mov ss 0x200 r0", 0, NO, {mov eax, 0x200}, {mov ss, eax}
 P "mov ds 0x200 r0", 0, NO, {mov eax, 0x200}, {mov ds, eax}
 P "mov fs 0x200 r0", 0, NO, {mov eax, 0x200}, {mov fs, eax}
 P "mov ss 0x200 r3", 3, NO, {mov eax, 0x200}, {mov ss, eax}
 P "mov ds 0x200 r3", 3, NO, {mov eax, 0x200}, {mov ds, eax}
 P "mov fs 0x200 r3", 3, NO, {mov eax, 0x200}, {mov fs, eax}
 P "mov ss 0 r0", 0, NO, {mov eax, 0}, {mov ss, eax}
 P "mov ds 0 r0", 0, NO, {mov eax, 0}, {mov ds, eax}
 P "mov fs 0 r0", 0, NO, {mov eax, 0}, {mov fs, eax}
 P "mov ss 0 r3", 3, NO, {mov eax, 0}, {mov ss, eax}
 P "mov ds 0 r3", 3, NO, {mov eax, 0}, {mov ds, eax}
 P "mov fs 0 r3", 3, NO, {mov eax, 0}, {mov fs, eax}
 P "mov ss 3 r0", 0, NO, {mov eax, 3}, {mov ss, eax}
 P "mov ds 3 r0", 0, NO, {mov eax, 3}, {mov ds, eax}
 P "mov fs 3 r0", 0, NO, {mov eax, 3}, {mov fs, eax}
 P "mov ss 3 r3", 3, NO, {mov eax, 3}, {mov ss, eax}
 P "mov ds 3 r3", 3, NO, {mov eax, 3}, {mov ds, eax}
 P "mov fs 3 r3", 3, NO, {mov eax, 3}, {mov fs, eax}
 P "mov ss 0x14 r0", 0, NO, {mov eax, 0x14}, {mov ss, eax}
 P "mov ds 0x14 r0", 0, NO, {mov eax, 0x14}, {mov ds, eax}
 P "mov fs 0x14 r0", 0, NO, {mov eax, 0x14}, {mov fs, eax}
 P "mov ss 0x14 r3", 3, NO, {mov eax, 0x14}, {mov ss, eax}
 P "mov ds 0x14 r3", 3, NO, {mov eax, 0x14}, {mov ds, eax}
 P "mov fs 0x14 r3", 3, NO, {mov eax, 0x14}, {mov fs, eax}
 P "mov ss 0x58 r0", 0, NO, {mov eax, 0x58}, {mov ss, eax}
 P "mov ds 0x58 r0", 0, NO, {mov eax, 0x58}, {mov ds, eax}
 P "mov fs 0x58 r0", 0, NO, {mov eax, 0x58}, {mov fs, eax}
 P "mov ss 0x58 r3", 3, NO, {mov eax, 0x58}, {mov ss, eax}
 P "mov ds 0x58 r3", 3, NO, {mov eax, 0x58}, {mov ds, eax}
 P "mov fs 0x58 r3", 3, NO, {mov eax, 0x58}, {mov fs, eax}
 P "mov ss 0x18 r0", 0, NO, {mov eax, 0x18}, {mov ss, eax}
 P "mov ds 0x18 r0", 0, NO, {mov eax, 0x18}, {mov ds, eax}
 P "mov fs 0x18 r0", 0, NO, {mov eax, 0x18}, {mov fs, eax}
 P "mov ss 0x18 r3", 3, NO, {mov eax, 0x18}, {mov ss, eax}
 P "mov ds 0x18 r3", 3, NO, {mov eax, 0x18}, {mov ds, eax}
 P "mov fs 0x18 r3", 3, NO, {mov eax, 0x18}, {mov fs, eax}
 P "iret 0x18 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x18}, {push 0x3f100}, {iretq}
 P "retf 0x18 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x18}, {push 0x3f100}, {o64 retf}
 P "iret 0x18 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x18}, {push 0x3f100}, {iretq}
 P "retf 0x18 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x18}, {push 0x3f100}, {o64 retf}
 P "iret 0x18 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x18}, {push 0x3f100}, {iretq}
 P "retf 0x18 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x18}, {push 0x3f100}, {o64 retf}
 P "iret 0x18 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x18}, {push 0x3f100}, {iretq}
 P "retf 0x18 0", 0, NO, {push 0}, {push 0x7000}, {push 0x18}, {push 0x3f100}, {o64 retf}
 P "retf 0x18 3", 0, NO, {push 3}, {push 0x7000}, {push 0x18}, {push 0x3f100}, {o64 retf}
 P "iret 0x18 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x18}, {push 0x3f100}, {iretq}
 P "retf 0x18 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x18}, {push 0x3f100}, {o64 retf}
 P "iret3 0x18", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x18}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x18", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x18}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x1b 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x1b 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x1b 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x1b 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x1b 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x1b 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x1b 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x1b 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x1b 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x1b 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x1b 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x1b 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret3 0x1b", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x1b", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x1b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x20 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x20}, {push 0x3f100}, {iretq}
 P "retf 0x20 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x20}, {push 0x3f100}, {o64 retf}
 P "iret 0x20 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x20}, {push 0x3f100}, {iretq}
 P "retf 0x20 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x20}, {push 0x3f100}, {o64 retf}
 P "iret 0x20 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x20}, {push 0x3f100}, {iretq}
 P "retf 0x20 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x20}, {push 0x3f100}, {o64 retf}
 P "iret 0x20 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x20}, {push 0x3f100}, {iretq}
 P "retf 0x20 0", 0, NO, {push 0}, {push 0x7000}, {push 0x20}, {push 0x3f100}, {o64 retf}
 P "iret 0x20 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x20}, {push 0x3f100}, {iretq}
 P "retf 0x20 3", 0, NO, {push 3}, {push 0x7000}, {push 0x20}, {push 0x3f100}, {o64 retf}
 P "iret 0x20 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x20}, {push 0x3f100}, {iretq}
 P "retf 0x20 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x20}, {push 0x3f100}, {o64 retf}
 P "iret3 0x20", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x20}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x20", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x20}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x23 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x23}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x23 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 0x23}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x23 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x23}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x23 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 0x23}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "retf 0x23 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 0x23}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x23 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x23}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x23 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 0x23}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x23 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x23}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x23 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 0x23}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x23 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x23}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x23 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 0x23}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret3 0x23", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x23}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x23", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x23}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x50 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x50}, {push 0x3f100}, {iretq}
 P "retf 0x50 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x50}, {push 0x3f100}, {o64 retf}
 P "iret 0x50 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x50}, {push 0x3f100}, {iretq}
 P "retf 0x50 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x50}, {push 0x3f100}, {o64 retf}
 P "iret 0x50 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x50}, {push 0x3f100}, {iretq}
 P "retf 0x50 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x50}, {push 0x3f100}, {o64 retf}
 P "iret 0x50 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x50}, {push 0x3f100}, {iretq}
 P "retf 0x50 0", 0, NO, {push 0}, {push 0x7000}, {push 0x50}, {push 0x3f100}, {o64 retf}
 P "retf 0x50 3", 0, NO, {push 3}, {push 0x7000}, {push 0x50}, {push 0x3f100}, {o64 retf}
 P "iret 0x50 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x50}, {push 0x3f100}, {iretq}
 P "retf 0x50 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x50}, {push 0x3f100}, {o64 retf}
 P "iret3 0x50", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x50}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x50", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x50}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x53 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x53}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x53 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 0x53}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x53 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x53}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x53 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 0x53}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "retf 0x53 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 0x53}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x53 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x53}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x53 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 0x53}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x53 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x53}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x53 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 0x53}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x53 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x53}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x53 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 0x53}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret3 0x53", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x53}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x53", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x53}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x58 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x58}, {push 0x3f100}, {iretq}
 P "retf 0x58 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x58}, {push 0x3f100}, {o64 retf}
 P "iret 0x58 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x58}, {push 0x3f100}, {iretq}
 P "retf 0x58 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x58}, {push 0x3f100}, {o64 retf}
 P "iret 0x58 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x58}, {push 0x3f100}, {iretq}
 P "retf 0x58 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x58}, {push 0x3f100}, {o64 retf}
 P "iret 0x58 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x58}, {push 0x3f100}, {iretq}
 P "retf 0x58 0", 0, NO, {push 0}, {push 0x7000}, {push 0x58}, {push 0x3f100}, {o64 retf}
 P "iret 0x58 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x58}, {push 0x3f100}, {iretq}
 P "retf 0x58 3", 0, NO, {push 3}, {push 0x7000}, {push 0x58}, {push 0x3f100}, {o64 retf}
 P "iret 0x58 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x58}, {push 0x3f100}, {iretq}
 P "retf 0x58 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x58}, {push 0x3f100}, {o64 retf}
 P "iret3 0x58", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x58}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x58", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x58}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x5b 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x5b 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x5b 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x5b 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "retf 0x5b 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x5b 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x5b 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x5b 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x5b 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x5b 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x5b 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret3 0x5b", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x5b", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x5b}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x60 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x60}, {push 0x3f100}, {iretq}
 P "retf 0x60 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x60}, {push 0x3f100}, {o64 retf}
 P "iret 0x60 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x60}, {push 0x3f100}, {iretq}
 P "retf 0x60 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x60}, {push 0x3f100}, {o64 retf}
 P "iret 0x60 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x60}, {push 0x3f100}, {iretq}
 P "retf 0x60 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x60}, {push 0x3f100}, {o64 retf}
 P "iret 0x60 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x60}, {push 0x3f100}, {iretq}
 P "retf 0x60 0", 0, NO, {push 0}, {push 0x7000}, {push 0x60}, {push 0x3f100}, {o64 retf}
 P "iret 0x60 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x60}, {push 0x3f100}, {iretq}
 P "retf 0x60 3", 0, NO, {push 3}, {push 0x7000}, {push 0x60}, {push 0x3f100}, {o64 retf}
 P "iret 0x60 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x60}, {push 0x3f100}, {iretq}
 P "retf 0x60 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x60}, {push 0x3f100}, {o64 retf}
 P "iret3 0x60", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x60}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x60", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x60}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x63 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x63}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x63 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 0x63}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x63 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x63}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x63 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 0x63}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x63 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x63}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x63 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 0x63}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x63 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x63}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x63 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 0x63}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x63 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x63}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x63 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 0x63}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x63 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x63}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x63 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 0x63}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret3 0x63", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x63}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x63", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x63}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x70 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x70}, {push 0x3f100}, {iretq}
 P "retf 0x70 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x70}, {push 0x3f100}, {o64 retf}
 P "iret 0x70 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x70}, {push 0x3f100}, {iretq}
 P "retf 0x70 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x70}, {push 0x3f100}, {o64 retf}
 P "iret 0x70 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x70}, {push 0x3f100}, {iretq}
 P "retf 0x70 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x70}, {push 0x3f100}, {o64 retf}
 P "iret 0x70 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x70}, {push 0x3f100}, {iretq}
 P "retf 0x70 0", 0, NO, {push 0}, {push 0x7000}, {push 0x70}, {push 0x3f100}, {o64 retf}
 P "iret 0x70 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x70}, {push 0x3f100}, {iretq}
 P "retf 0x70 3", 0, NO, {push 3}, {push 0x7000}, {push 0x70}, {push 0x3f100}, {o64 retf}
 P "iret 0x70 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x70}, {push 0x3f100}, {iretq}
 P "retf 0x70 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x70}, {push 0x3f100}, {o64 retf}
 P "iret3 0x70", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x70}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x70", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x70}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x73 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x73}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x73 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 0x73}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x73 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x73}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x73 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 0x73}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x73 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x73}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x73 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 0x73}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x73 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x73}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x73 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 0x73}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x73 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x73}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x73 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 0x73}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x73 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 2}, {push 0x73}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 0x73 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 0x73}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret3 0x73", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x73}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x73", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x73}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x10 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x10}, {push 0x3f100}, {iretq}
 P "retf 0x10 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x10}, {push 0x3f100}, {o64 retf}
 P "iret 0x10 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x10}, {push 0x3f100}, {iretq}
 P "retf 0x10 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x10}, {push 0x3f100}, {o64 retf}
 P "iret 0x10 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x10}, {push 0x3f100}, {iretq}
 P "retf 0x10 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x10}, {push 0x3f100}, {o64 retf}
 P "iret 0x10 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x10}, {push 0x3f100}, {iretq}
 P "retf 0x10 0", 0, NO, {push 0}, {push 0x7000}, {push 0x10}, {push 0x3f100}, {o64 retf}
 P "iret 0x10 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x10}, {push 0x3f100}, {iretq}
 P "retf 0x10 3", 0, NO, {push 3}, {push 0x7000}, {push 0x10}, {push 0x3f100}, {o64 retf}
 P "iret 0x10 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x10}, {push 0x3f100}, {iretq}
 P "retf 0x10 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x10}, {push 0x3f100}, {o64 retf}
 P "iret3 0x10", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x10}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x10", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x10}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x200 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x200}, {push 0x3f100}, {iretq}
 P "retf 0x200 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x200}, {push 0x3f100}, {o64 retf}
 P "iret 0x200 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x200}, {push 0x3f100}, {iretq}
 P "retf 0x200 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x200}, {push 0x3f100}, {o64 retf}
 P "iret 0x200 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x200}, {push 0x3f100}, {iretq}
 P "retf 0x200 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x200}, {push 0x3f100}, {o64 retf}
 P "iret 0x200 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x200}, {push 0x3f100}, {iretq}
 P "retf 0x200 0", 0, NO, {push 0}, {push 0x7000}, {push 0x200}, {push 0x3f100}, {o64 retf}
 P "iret 0x200 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x200}, {push 0x3f100}, {iretq}
 P "retf 0x200 3", 0, NO, {push 3}, {push 0x7000}, {push 0x200}, {push 0x3f100}, {o64 retf}
 P "iret 0x200 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x200}, {push 0x3f100}, {iretq}
 P "retf 0x200 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x200}, {push 0x3f100}, {o64 retf}
 P "iret3 0x200", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x200}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x200", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x200}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0}, {push 0x3f100}, {iretq}
 P "retf 0 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0}, {push 0x3f100}, {o64 retf}
 P "iret 0 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0}, {push 0x3f100}, {iretq}
 P "retf 0 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0}, {push 0x3f100}, {o64 retf}
 P "iret 0 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0}, {push 0x3f100}, {iretq}
 P "retf 0 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0}, {push 0x3f100}, {o64 retf}
 P "iret 0 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0}, {push 0x3f100}, {iretq}
 P "retf 0 0", 0, NO, {push 0}, {push 0x7000}, {push 0}, {push 0x3f100}, {o64 retf}
 P "iret 0 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0}, {push 0x3f100}, {iretq}
 P "retf 0 3", 0, NO, {push 3}, {push 0x7000}, {push 0}, {push 0x3f100}, {o64 retf}
 P "iret 0 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0}, {push 0x3f100}, {iretq}
 P "retf 0 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0}, {push 0x3f100}, {o64 retf}
 P "iret3 0", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 3 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 2}, {push 3}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 3 0x10", 0, NO, {push 0x10}, {push BASE+14*0x1000+0x800}, {push 3}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 3 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 3}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 3 0x2b", 0, NO, {push 0x2b}, {push BASE+14*0x1000+0x800}, {push 3}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 3 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 2}, {push 3}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 3 0x7b", 0, NO, {push 0x7b}, {push BASE+14*0x1000+0x800}, {push 3}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 3 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 2}, {push 3}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 3 0", 0, NO, {push 0}, {push BASE+14*0x1000+0x800}, {push 3}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 3 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 2}, {push 3}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 3 3", 0, NO, {push 3}, {push BASE+14*0x1000+0x800}, {push 3}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 3 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 2}, {push 3}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf 3 0x133", 0, NO, {push 0x133}, {push BASE+14*0x1000+0x800}, {push 3}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret3 3", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 3}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 3", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 3}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x40 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x40}, {push 0x3f100}, {iretq}
 P "retf 0x40 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x40}, {push 0x3f100}, {o64 retf}
 P "iret 0x40 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x40}, {push 0x3f100}, {iretq}
 P "retf 0x40 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x40}, {push 0x3f100}, {o64 retf}
 P "iret 0x40 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x40}, {push 0x3f100}, {iretq}
 P "retf 0x40 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x40}, {push 0x3f100}, {o64 retf}
 P "iret 0x40 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x40}, {push 0x3f100}, {iretq}
 P "retf 0x40 0", 0, NO, {push 0}, {push 0x7000}, {push 0x40}, {push 0x3f100}, {o64 retf}
 P "iret 0x40 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x40}, {push 0x3f100}, {iretq}
 P "retf 0x40 3", 0, NO, {push 3}, {push 0x7000}, {push 0x40}, {push 0x3f100}, {o64 retf}
 P "iret 0x40 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x40}, {push 0x3f100}, {iretq}
 P "retf 0x40 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x40}, {push 0x3f100}, {o64 retf}
 P "iret3 0x40", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x40}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x40", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x40}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "iret 0x24 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x24}, {push 0x3f100}, {iretq}
 P "retf 0x24 0x10", 0, NO, {push 0x10}, {push 0x7000}, {push 0x24}, {push 0x3f100}, {o64 retf}
 P "iret 0x24 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 2}, {push 0x24}, {push 0x3f100}, {iretq}
 P "retf 0x24 0x2b", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x24}, {push 0x3f100}, {o64 retf}
 P "iret 0x24 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 2}, {push 0x24}, {push 0x3f100}, {iretq}
 P "retf 0x24 0x7b", 0, NO, {push 0x7b}, {push 0x7000}, {push 0x24}, {push 0x3f100}, {o64 retf}
 P "iret 0x24 0", 0, NO, {push 0}, {push 0x7000}, {push 2}, {push 0x24}, {push 0x3f100}, {iretq}
 P "retf 0x24 0", 0, NO, {push 0}, {push 0x7000}, {push 0x24}, {push 0x3f100}, {o64 retf}
 P "iret 0x24 3", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x24}, {push 0x3f100}, {iretq}
 P "retf 0x24 3", 0, NO, {push 3}, {push 0x7000}, {push 0x24}, {push 0x3f100}, {o64 retf}
 P "iret 0x24 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 2}, {push 0x24}, {push 0x3f100}, {iretq}
 P "retf 0x24 0x133", 0, NO, {push 0x133}, {push 0x7000}, {push 0x24}, {push 0x3f100}, {o64 retf}
 P "iret3 0x24", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 2}, {push 0x24}, {push BASE+15*0x1000+0x100}, {iretq}
 P "retf3 0x24", 3, NO, {mov rax, rsp}, {push 0x2b}, {push rax}, {push 0x24}, {push BASE+15*0x1000+0x100}, {o64 retf}
 P "lldt np", 0, NO, {mov eax, 0x100}, {lldt ax}
 P "ltr np", 0, NO, {mov eax, 0x110}, {ltr ax}
 P "lar 0x10 r0", 0, NO, {mov ecx, 0x10}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x10 r3", 3, NO, {mov ecx, 0x10}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x10 r0", 0, NO, {mov ecx, 0x10}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x10 r3", 3, NO, {mov ecx, 0x10}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x10 r0", 0, NO, {mov ecx, 0x10}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x10 r3", 3, NO, {mov ecx, 0x10}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x10 r0", 0, NO, {mov ecx, 0x10}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x10 r3", 3, NO, {mov ecx, 0x10}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x13 r0", 0, NO, {mov ecx, 0x13}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x13 r3", 3, NO, {mov ecx, 0x13}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x13 r0", 0, NO, {mov ecx, 0x13}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x13 r3", 3, NO, {mov ecx, 0x13}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x13 r0", 0, NO, {mov ecx, 0x13}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x13 r3", 3, NO, {mov ecx, 0x13}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x13 r0", 0, NO, {mov ecx, 0x13}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x13 r3", 3, NO, {mov ecx, 0x13}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x28 r0", 0, NO, {mov ecx, 0x28}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x28 r3", 3, NO, {mov ecx, 0x28}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x28 r0", 0, NO, {mov ecx, 0x28}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x28 r3", 3, NO, {mov ecx, 0x28}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x28 r0", 0, NO, {mov ecx, 0x28}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x28 r3", 3, NO, {mov ecx, 0x28}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x28 r0", 0, NO, {mov ecx, 0x28}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x28 r3", 3, NO, {mov ecx, 0x28}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x2b r0", 0, NO, {mov ecx, 0x2b}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x2b r3", 3, NO, {mov ecx, 0x2b}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x2b r0", 0, NO, {mov ecx, 0x2b}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x2b r3", 3, NO, {mov ecx, 0x2b}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x2b r0", 0, NO, {mov ecx, 0x2b}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x2b r3", 3, NO, {mov ecx, 0x2b}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x2b r0", 0, NO, {mov ecx, 0x2b}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x2b r3", 3, NO, {mov ecx, 0x2b}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x68 r0", 0, NO, {mov ecx, 0x68}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x68 r3", 3, NO, {mov ecx, 0x68}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x68 r0", 0, NO, {mov ecx, 0x68}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x68 r3", 3, NO, {mov ecx, 0x68}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x68 r0", 0, NO, {mov ecx, 0x68}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x68 r3", 3, NO, {mov ecx, 0x68}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x68 r0", 0, NO, {mov ecx, 0x68}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x68 r3", 3, NO, {mov ecx, 0x68}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x60 r0", 0, NO, {mov ecx, 0x60}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x60 r3", 3, NO, {mov ecx, 0x60}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x60 r0", 0, NO, {mov ecx, 0x60}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x60 r3", 3, NO, {mov ecx, 0x60}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x60 r0", 0, NO, {mov ecx, 0x60}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x60 r3", 3, NO, {mov ecx, 0x60}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x60 r0", 0, NO, {mov ecx, 0x60}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x60 r3", 3, NO, {mov ecx, 0x60}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x50 r0", 0, NO, {mov ecx, 0x50}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x50 r3", 3, NO, {mov ecx, 0x50}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x50 r0", 0, NO, {mov ecx, 0x50}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x50 r3", 3, NO, {mov ecx, 0x50}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x50 r0", 0, NO, {mov ecx, 0x50}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x50 r3", 3, NO, {mov ecx, 0x50}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x50 r0", 0, NO, {mov ecx, 0x50}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x50 r3", 3, NO, {mov ecx, 0x50}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x128 r0", 0, NO, {mov ecx, 0x128}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x128 r3", 3, NO, {mov ecx, 0x128}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x128 r0", 0, NO, {mov ecx, 0x128}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x128 r3", 3, NO, {mov ecx, 0x128}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x128 r0", 0, NO, {mov ecx, 0x128}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x128 r3", 3, NO, {mov ecx, 0x128}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x128 r0", 0, NO, {mov ecx, 0x128}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x128 r3", 3, NO, {mov ecx, 0x128}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x40 r0", 0, NO, {mov ecx, 0x40}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x40 r3", 3, NO, {mov ecx, 0x40}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x40 r0", 0, NO, {mov ecx, 0x40}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x40 r3", 3, NO, {mov ecx, 0x40}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x40 r0", 0, NO, {mov ecx, 0x40}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x40 r3", 3, NO, {mov ecx, 0x40}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x40 r0", 0, NO, {mov ecx, 0x40}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x40 r3", 3, NO, {mov ecx, 0x40}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x30 r0", 0, NO, {mov ecx, 0x30}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x30 r3", 3, NO, {mov ecx, 0x30}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x30 r0", 0, NO, {mov ecx, 0x30}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x30 r3", 3, NO, {mov ecx, 0x30}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x30 r0", 0, NO, {mov ecx, 0x30}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x30 r3", 3, NO, {mov ecx, 0x30}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x30 r0", 0, NO, {mov ecx, 0x30}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x30 r3", 3, NO, {mov ecx, 0x30}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x100 r0", 0, NO, {mov ecx, 0x100}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x100 r3", 3, NO, {mov ecx, 0x100}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x100 r0", 0, NO, {mov ecx, 0x100}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x100 r3", 3, NO, {mov ecx, 0x100}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x100 r0", 0, NO, {mov ecx, 0x100}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x100 r3", 3, NO, {mov ecx, 0x100}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x100 r0", 0, NO, {mov ecx, 0x100}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x100 r3", 3, NO, {mov ecx, 0x100}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x110 r0", 0, NO, {mov ecx, 0x110}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x110 r3", 3, NO, {mov ecx, 0x110}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x110 r0", 0, NO, {mov ecx, 0x110}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x110 r3", 3, NO, {mov ecx, 0x110}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x110 r0", 0, NO, {mov ecx, 0x110}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x110 r3", 3, NO, {mov ecx, 0x110}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x110 r0", 0, NO, {mov ecx, 0x110}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x110 r3", 3, NO, {mov ecx, 0x110}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x80 r0", 0, NO, {mov ecx, 0x80}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x80 r3", 3, NO, {mov ecx, 0x80}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x80 r0", 0, NO, {mov ecx, 0x80}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x80 r3", 3, NO, {mov ecx, 0x80}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x80 r0", 0, NO, {mov ecx, 0x80}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x80 r3", 3, NO, {mov ecx, 0x80}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x80 r0", 0, NO, {mov ecx, 0x80}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x80 r3", 3, NO, {mov ecx, 0x80}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0x200 r0", 0, NO, {mov ecx, 0x200}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0x200 r3", 3, NO, {mov ecx, 0x200}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x200 r0", 0, NO, {mov ecx, 0x200}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0x200 r3", 3, NO, {mov ecx, 0x200}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0x200 r0", 0, NO, {mov ecx, 0x200}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0x200 r3", 3, NO, {mov ecx, 0x200}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0x200 r0", 0, NO, {mov ecx, 0x200}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0x200 r3", 3, NO, {mov ecx, 0x200}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0 r0", 0, NO, {mov ecx, 0}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0 r3", 3, NO, {mov ecx, 0}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0 r0", 0, NO, {mov ecx, 0}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0 r3", 3, NO, {mov ecx, 0}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0 r0", 0, NO, {mov ecx, 0}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0 r3", 3, NO, {mov ecx, 0}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0 r0", 0, NO, {mov ecx, 0}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0 r3", 3, NO, {mov ecx, 0}, {verw cx}, {jnz $+4}, {ud2}
 P "lar 0xc0 r0", 0, NO, {mov ecx, 0xc0}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lar 0xc0 r3", 3, NO, {mov ecx, 0xc0}, {lar eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0xc0 r0", 0, NO, {mov ecx, 0xc0}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "lsl 0xc0 r3", 3, NO, {mov ecx, 0xc0}, {lsl eax, ecx}, {jnz $+4}, {ud2}
 P "verr 0xc0 r0", 0, NO, {mov ecx, 0xc0}, {verr cx}, {jnz $+4}, {ud2}
 P "verr 0xc0 r3", 3, NO, {mov ecx, 0xc0}, {verr cx}, {jnz $+4}, {ud2}
 P "verw 0xc0 r0", 0, NO, {mov ecx, 0xc0}, {verw cx}, {jnz $+4}, {ud2}
 P "verw 0xc0 r3", 3, NO, {mov ecx, 0xc0}, {verw cx}, {jnz $+4}, {ud2}
 P "int 0 r0", 0, NO, {int 0}
 P "int 0 r3", 3, NO, {int 0}
 P "int 3 r0", 0, NO, {int 3}
 P "int 3 r3", 3, NO, {int 3}
 P "int 4 r0", 0, NO, {int 4}
 P "int 4 r3", 3, NO, {int 4}
 P "int 8 r0", 0, NO, {int 8}
 P "int 8 r3", 3, NO, {int 8}
 P "int 13 r0", 0, NO, {int 13}
 P "int 13 r3", 3, NO, {int 13}
 P "int 32 r0", 0, NO, {int 32}
 P "int 32 r3", 3, NO, {int 32}
 P "int 127 r0", 0, NO, {int 127}
 P "int 127 r3", 3, NO, {int 127}
 P "int 129 r0", 0, NO, {int 129}
 P "int 129 r3", 3, NO, {int 129}
 P "int 255 r0", 0, NO, {int 255}
 P "int 255 r3", 3, NO, {int 255}
 db 0
times (17+18+18+11)*512-($-$$) db 0
absolute 0x1000
current: resq 1
idt: resb 0x81*16
tss: resb 0x68
