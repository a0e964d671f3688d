; SPDX-License-Identifier: MIT
; Privileges in 64-bit mode. First a page with all rights that an entry can give, read, written and executed with all of
; CR0.WP, CR4.SMEP, CR4.SMAP, EFLAGS.AC and privilege 0 or 3: the error code of the page fault, or none, and the entry's
; accessed and dirty bits. Then pieces of code: vector and error code, or none. All goes to port 0xe9.
;
; nasm -f bin -i tests/guests/ -o privileges.img tests/guests/privileges.asm; it is a boot sector and what that loads. The results in
; _privileges.ts are those of Bochs 2.7, cpu: model=corei7_icelake_u. Tests start it at `start`.
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
%include "flat_start.inc"
%include "long_mode_start.inc"
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
  mov esi, ustub
  mov edi, 0x3f000
  mov ecx, ustub_end - ustub
  rep movsb

  ; ---- the table of rights
  xor ebx, ebx        ; page type 0..15: RW US NX P
.type:
  xor r9d, r9d        ; kind
.kind:
  call newline
  mov al, bl
  call hex2
  mov al, r9b
  call hex2
  mov al, ':'
  call putc
  xor r12d, r12d      ; combination: WP SMEP SMAP AC CPL3
.comb:
  ; control registers
  mov rax, cr0
  btr rax, 16
  test r12b, 1
  jz .nwp
  bts rax, 16
.nwp: mov cr0, rax
  mov rax, cr4
  btr rax, 20
  btr rax, 21
  test r12b, 2
  jz .nsmep
  bts rax, 20
.nsmep: test r12b, 4
  jz .nsmap
  bts rax, 21
.nsmap: mov cr4, rax
  ; the page
  mov eax, ebx
  and eax, 3
  shl eax, 1
  test bl, 8
  jnz .np
  or eax, 1
.np: or eax, 0x30000
  test bl, 4
  jz .nnx
  bts rax, 63
.nnx:
  mov [0x23000], rax
  mov r8d, BASE
  invlpg [r8]
  mov dword [result], 0x100
  mov [saved_rsp], rsp
  test r12b, 16
  jnz .user
  pushfq
  btr qword [rsp], 18
  test r12b, 8
  jz .nac
  bts qword [rsp], 18
.nac: popfq
  cmp r9b, 1
  jb .read
  je .write
  call r8
  jmp after
.read: mov al, [r8]
  jmp after
.write: mov byte [r8], 0xc3
  jmp after
.user:
  push qword 0x2b
  push qword BASE + 14*0x1000 + 0x800
  mov eax, 0x202 & ~0x200
  test r12b, 8
  jz .nac3
  bts rax, 18
.nac3: push rax
  push qword 0x23
  push qword BASE + 15*0x1000
  iretq
after:
  mov rsp, [saved_rsp]
  push qword 2
  popfq
  mov eax, [result]
  test ah, ah
  jnz .none
  call hex2
  jmp .ad
.none: mov al, '.'
  call putc
  call putc
.ad:
  mov al, [0x23000]
  shr al, 5
  and al, 3
  add al, '0'
  call putc
  mov al, ' '
  call putc
  inc r12d
  cmp r12d, 32
  jb lm.comb
  inc r9d
  cmp r9d, 3
  jb lm.kind
  inc ebx
  cmp ebx, 16
  jb lm.type

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
  mov dword [phase], 1
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
  cmp dword [phase], 1
  je .piece
  cmp byte [rsp], 14
  jne .other
  mov eax, [rsp+8]
  mov [result], eax
  jmp after
.other:
  cmp byte [rsp], 0x80
  je after
  mov al, '!'
  call putc
  mov al, [rsp]
  call hex2
  jmp after
.piece:
  mov [regs], rax
  mov [regs+8], rdx
  mov [regs+16], rcx
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
  jmp next

ustub:
  cmp r9b, 1
  jb .read
  je .write
  call r8
  int 0x80
.read: mov al, [r8]
  int 0x80
.write: mov byte [r8], 0xc3
  int 0x80
ustub_end:

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
gdt_end:
phase: dd 0
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
%macro R 2-3 nop
 P %1, 0, NO, {%2}, {%3}
 P %1, 3, NO, {%2}, {%3}
 P %1, 0, 11, {%2}, {%3}
 P %1, 3, 11, {%2}, {%3}
%endmacro
 R "sgdt", {sgdt [r8]}
 R "sidt", {sidt [r8]}
 R "sldt r", {sldt eax}
 R "sldt m", {sldt [r8]}
 R "str", {str eax}
 R "smsw r", {smsw eax}
 R "smsw m", {smsw [r8]}
 R "lgdt", {lgdt [gdtr]}
 R "clts", {clts}
 R "lmsw", {lmsw ax}
 R "hlt3 invlpg", {invlpg [r8]}
 R "wbinvd", {wbinvd}
 R "invd", {invd}
 R "mov cr0", {mov rax, cr0}
 R "mov cr8", {mov rax, cr8}
 R "mov dr7", {mov rax, dr7}
 R "rdmsr", {mov ecx, 0xc0000080}, {rdmsr}
 R "cli", {cli}
 R "sti cli", {pushfq}, {pop rax}
 R "in", {in al, 0x80}
 R "stac", {stac}
 R "lldt", {lldt ax}
 R "ltr 0", {ltr ax}
 R "lar", {mov ecx, 0x10}, {lar eax, ecx}
 R "swapgs", {swapgs}
 R "sysret", {o64 sysret}
 R "rdtsc", {rdtsc}
 R "xgetbv", {xgetbv}
 R "int 3", {int 3}
 R "int 14", {int 14}
 P "rdtsc tsd0", 0, 2, {rdtsc}
 P "rdtsc tsd3", 3, 2, {rdtsc}
 P "rdtscp tsd3", 3, 2, {rdtscp}
 P "rdpmc", 3, NO, {rdpmc}
 P "rdfsbase off", 0, NO, {rdfsbase rax}
 P "rdfsbase on", 0, 16, {rdfsbase rax}
 P "rdfsbase on3", 3, 16, {rdfsbase rax}
 P "wrgsbase bad", 3, 16, {mov rax, 0x800000000000}, {wrgsbase rax}
 P "wrgsbase ok", 3, 16, {mov rax, 0x7fffffffffff}, {wrgsbase rax}
 P "stac no smap", 0, NO, {stac}
 P "stac smap", 0, 21, {stac}
 P "clac smap3", 3, 21, {clac}
%macro CR 3
 P %1, 0, NO, {mov rax, %2}, {mov %3, rax}
%endmacro
 CR "cr0 pg0", 0x11, cr0
 CR "cr0 pe0", 0x80000010, cr0
 CR "cr0 nw", 0xa0000011, cr0
 CR "cr0 cd", 0xc0000011, cr0
 CR "cr0 cdnw", 0xe0000011, cr0
 CR "cr0 high", 0x180000011, cr0
 CR "cr0 reserved", 0x80000051, cr0
 CR "cr4 pae0", 0x600, cr4
 CR "cr4 la57", 0x1620, cr4
 CR "cr4 pcide", 0x20620, cr4
 CR "cr4 high", 0x100000620, cr4
 CR "cr4 bit15", 0x8620, cr4
 CR "cr4 bit19", 0x80620, cr4
 CR "cr4 bit31", 0x80000620, cr4
 CR "cr4 smxe", 0x4620, cr4
 CR "cr3 bit63", 0x8000000000020000, cr3
 CR "cr3 bit62", 0x4000000000020000, cr3
 CR "cr3 bit52", 0x0010000000020000, cr3
 CR "cr3 low", 0x20fff, cr3
 CR "cr8 16", 16, cr8
 CR "cr8 15", 15, cr8
 CR "cr8 high", 0x100000000, cr8
 CR "dr7 high", 0x100000400, dr7
 CR "dr6 high", 0x1ffff0ff0, dr6
 CR "dr7 bits", 0xfffff800, dr7
 CR "dr6 all", 0xffffffff, dr6
 CR "dr0 bad", 0x8000000000000000, dr0
 P "pcide, cr3 63", 0, 17, {mov rax, 0x8000000000020001}, {mov cr3, rax}, {mov rbx, cr3}
 P "pcide, pcid, clear", 0, 17, {mov eax, 0x20001}, {mov cr3, rax}, {mov eax, 0x620}, {mov cr4, rax}
 P "pcid then set", 0, NO, {mov eax, 0x20018}, {mov cr3, rax}, {mov eax, 0x20620}, {mov cr4, rax}
 P "dr4 de0", 0, NO, {mov rax, dr4}
 P "dr4 de1", 0, 3, {mov rax, dr4}
 P "dr5 de1", 0, 3, {mov dr5, rax}
 P "cr1", 0, NO, {db 0x0f, 0x20, 0xc8}
 P "cr5", 0, NO, {db 0x0f, 0x20, 0xe8}
 P "cr9", 0, NO, {db 0x44, 0x0f, 0x20, 0xc8}
 P "dr8", 0, NO, {db 0x44, 0x0f, 0x21, 0xc0}
 P "lock mov cr0", 0, NO, {db 0xf0, 0x0f, 0x20, 0xc0}
%macro MSR 4
 P %1, 0, NO, {mov ecx, %2}, {mov edx, %3}, {mov eax, %4}, {wrmsr}
%endmacro
 MSR "efer lme0", 0xc0000080, 0, 0x800
 MSR "efer lma0", 0xc0000080, 0, 0x900
 MSR "efer reserved", 0xc0000080, 0, 0x902
 MSR "efer high", 0xc0000080, 1, 0xd00
 MSR "efer sce", 0xc0000080, 0, 0xd01
 MSR "pat bad 2", 0x277, 0x00070406, 0x00070402
 MSR "pat bad 3", 0x277, 0x00070406, 0x03070406
 MSR "pat reserved", 0x277, 0x00070406, 0x08070406
 MSR "pat ok", 0x277, 0x00070406, 0x01050406
 MSR "lstar bad", 0xc0000082, 0x8000, 0
 MSR "cstar bad", 0xc0000083, 0x8000, 0
 MSR "fsbase bad", 0xc0000100, 0xffff7fff, 0
 MSR "kgs ok", 0xc0000102, 0xffff8000, 0
 MSR "sysenter cs high", 0x174, 1, 0
 MSR "sysenter eip bad", 0x176, 0x8000, 0
 MSR "apic base bad", 0x1b, 0x100000, 0
 MSR "apic base res", 0x1b, 0, 0xfee00901
 P "ss null r0", 0, NO, {mov ss, eax}
 P "ss null 3 r0", 0, NO, {mov al, 3}, {mov ss, eax}
 P "ss null r3", 3, NO, {mov ss, eax}
 P "ss null 3 r3", 3, NO, {mov al, 3}, {mov ss, eax}
 P "ss dpl", 3, NO, {mov al, 0x10}, {mov ss, eax}
 P "ds r0 r3", 3, NO, {mov al, 0x10}, {mov ds, eax}
 P "ds code", 3, NO, {mov al, 0x23}, {mov ds, eax}
 P "ds tss", 0, NO, {mov al, 0x30}, {mov ds, eax}
 P "ds outside", 0, NO, {mov eax, 0x1000}, {mov ds, eax}
 P "ds ldt", 0, NO, {mov al, 0x14}, {mov ds, eax}
 P "ltr busy", 0, NO, {mov al, 0x30}, {ltr ax}
 P "ltr data", 0, NO, {mov al, 0x10}, {ltr ax}
 P "ltr ti", 0, NO, {mov al, 0x34}, {ltr ax}
 P "lldt data", 0, NO, {mov al, 0x10}, {lldt ax}
 P "lgdt bad", 0, NO, {mov rax, 0x800000000000}, {mov [r8+2], rax}, {lgdt [r8]}
 P "iret nt", 0, NO, {push 0x4002}, {popfq}, {iretq}
 P "iret ss3", 0, NO, {mov rax, rsp}, {push 0x13}, {push rax}, {push 2}, {push 0x18}, {push 0x7c00}, {iretq}
 P "iret cs data", 0, NO, {mov rax, rsp}, {push 0x10}, {push rax}, {push 2}, {push 0x10}, {push 0x7c00}, {iretq}
 P "iret cs 0", 0, NO, {mov rax, rsp}, {push 0x10}, {push rax}, {push 2}, {push 0}, {push 0x7c00}, {iretq}
 P "iret rip bad", 0, NO, {mov rax, 0x800000000000}, {push 0x10}, {push 0x7000}, {push 2}, {push 0x18}, {push rax}, {iretq}
 P "iret r3 ss null", 0, NO, {push 3}, {push 0x7000}, {push 2}, {push 0x23}, {push BASE+13*0x1000}, {iretq}
 P "iret r3 ss 0", 0, NO, {push 0x10}, {push 0x7000}, {push 2}, {push 0x23}, {push BASE+13*0x1000}, {iretq}
 P "retf r3", 0, NO, {push 0x2b}, {push 0x7000}, {push 0x23}, {push 0x800000}, {o64 retf}
 P "retf null", 0, NO, {push 0}, {push 0x7000}, {o64 retf}
 P "retf out", 0, NO, {push 0x1000}, {push 0x7000}, {o64 retf}
 P "jmp far", 0, NO, {mov dword [r8+8], 0x10}, {mov qword [r8], 0}, {o64 jmp far [r8]}
 P "jmp far null", 0, NO, {mov dword [r8+4], 0}, {jmp far [r8]}
 P "jmp far tss", 0, NO, {mov dword [r8+4], 0x30}, {jmp far [r8]}
 P "cpl3 iopl popf", 3, NO, {push 0x3202}, {popfq}, {pushfq}, {pop rax}, {and eax, 0x3200}, {jz $+4}, {ud2}
 P "vm popf", 0, NO, {push 0x20002}, {popfq}, {pushfq}, {pop rax}, {and eax, 0x20000}, {jz $+4}, {ud2}
 P "rip relative noncanon", 0, NO, {mov rax, 0x7fffffffffff}, {mov rbx, [rax]}
 P "stack noncanon", 0, NO, {mov rax, 0x800000000000}, {mov rbx, [rsp+rax]}
 P "lock nop", 0, NO, {db 0xf0, 0x90}
 P "lock add r", 0, NO, {db 0xf0, 0x01, 0xc0}
 P "long insn", 0, NO, {times 15 db 0x66}, {nop}
 P "15 bytes", 0, NO, {times 14 db 0x66}, {nop}
 P "push es", 0, NO, {db 6}
 P "into", 0, NO, {db 0xce}
 P "salc", 0, NO, {db 0xd6}
 P "aam", 0, NO, {db 0xd4, 0}
 P "sysenter", 3, NO, {sysenter}
 P "sysexit", 0, NO, {sysexit}
 P "sysexit3", 3, NO, {sysexit}
 P "ud0", 0, NO, {db 0x0f, 0xff, 0xc0}
 P "vmcall", 3, NO, {vmxon [r8]}
 P "monitor3", 3, NO, {monitor}
 P "fpu em", 0, NO, {mov rax, 0x80000015}, {mov cr0, rax}, {fnop}
 P "fpu ts", 0, NO, {mov rax, 0x80000019}, {mov cr0, rax}, {fnop}
 P "wait ts", 0, NO, {mov rax, 0x80000019}, {mov cr0, rax}, {wait}
 P "wait ts mp", 0, NO, {mov rax, 0x8000001b}, {mov cr0, rax}, {wait}
 P "sse em", 0, NO, {mov rax, 0x80000015}, {mov cr0, rax}, {addps xmm0, xmm0}
 P "sse ts", 0, NO, {mov rax, 0x80000019}, {mov cr0, rax}, {addps xmm0, xmm0}
 P "sse osfxsr", 0, NO, {mov eax, 0x20}, {mov cr4, rax}, {addps xmm0, xmm0}
 P "sse both", 0, NO, {mov eax, 0x20}, {mov cr4, rax}, {mov rax, 0x80000019}, {mov cr0, rax}, {addps xmm0, xmm0}
 P "mmx em", 0, NO, {mov rax, 0x80000015}, {mov cr0, rax}, {paddb mm0, mm0}
 P "mmx ts", 0, NO, {mov rax, 0x80000019}, {mov cr0, rax}, {emms}
 P "avx no osxsave", 0, NO, {vaddps xmm0, xmm0, xmm0}
 P "avx xcr0", 0, 18, {vaddps xmm0, xmm0, xmm0}
 P "xsetbv 0", 0, 18, {mov al, 0}, {xsetbv}
 P "xsetbv 4", 0, 18, {mov al, 5}, {xsetbv}
 P "xsetbv 1", 0, 18, {mov cl, 1}, {mov al, 1}, {xsetbv}
 P "xsetbv 3", 3, 18, {mov al, 1}, {xsetbv}
 P "xgetbv 2", 0, 18, {mov cl, 2}, {xgetbv}
 P "xsave off", 0, NO, {xsave [r8]}
 P "xsave unaligned", 0, 18, {xsave [r8+8]}
 P "invpcid type", 0, NO, {mov eax, 4}, {invpcid rax, [r8]}
 P "invpcid res", 0, NO, {mov qword [r8], 0x1000}, {mov eax, 1}, {invpcid rax, [r8]}
 P "invpcid pcid no pcide", 0, NO, {mov qword [r8], 1}, {mov eax, 1}, {invpcid rax, [r8]}
 P "invpcid 0", 0, NO, {mov qword [r8], 0}, {mov qword [r8+8], 0}, {xor eax, eax}, {invpcid rax, [r8]}
 P "invpcid 0 bad", 0, NO, {mov qword [r8], 0}, {mov rax, 0x800000000000}, {mov qword [r8+8], rax}, {xor eax, eax}, {invpcid rax, [r8]}
 P "invpcid 3", 3, NO, {mov eax, 2}, {invpcid rax, [r8]}
 P "rdpid", 3, NO, {rdpid rax}
 P "rdrand", 3, NO, {rdrand eax}
 P "clflushopt", 3, NO, {clflushopt [r8]}
 P "wrpkru off", 3, NO, {db 0x0f, 0x01, 0xef}
 P "rdpkru on", 3, 22, {db 0x0f, 0x01, 0xee}
 P "wrpkru ecx", 3, 22, {mov cl, 1}, {db 0x0f, 0x01, 0xef}
 P "wrpkru on", 3, 22, {db 0x0f, 0x01, 0xef}
 db 0
times (17+18+1)*512-($-$$) db 0
absolute 0x1000
regs: resq 4
result: resd 1
 resd 1
saved_rsp: resq 1
current: resq 1
idt: resb 0x81*16
tss: resb 0x68
