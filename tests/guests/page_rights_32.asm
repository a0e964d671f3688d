; SPDX-License-Identifier: MIT
; Rights of pages in 32-bit mode: tables of 4-byte entries with pages of 4 KiB (00) and 4 MiB (01), PAE with 4 KiB (02) and
; 2 MiB (03); in each all rights of a page (R/W, U/S, and XD or not present) and of its directory entry; read, written,
; executed; with all of CR0.WP, CR4.SMEP, CR4.SMAP, EFLAGS.AC and privilege 0 or 3: the error code of the page fault, or none,
; and the entry's accessed and dirty bits. All goes to port 0xe9. To be assembled and started as privileges.asm.
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
  cld
  mov edi, 0x20000
  mov ecx, 0x8000/4
  xor eax, eax
  rep stosd
  mov edi, 0x30000
  mov ecx, 16
.f: mov byte [edi], 0xc3
  add edi, 0x1000
  loop .f
  mov byte [0x400000], 0xc3   ; what large pages lead to
  ; legacy tables: PD 20000, PT 23000 (0x800000), user PT 27000 (0xc00000)
  mov dword [0x20000], 0x83
  mov dword [0x2000c], 0x27007
  mov dword [0x27000], 0x3f007
  mov dword [0x27004], 0x3e007
  ; PAE: PDPT 24000, PD 25000, PT 26000
  mov dword [0x24000], 0x25001
  mov dword [0x25000], 0x83
  mov dword [0x25008], 0x200083
  mov dword [0x25030], 0x28007   ; 0xc00000
  mov dword [0x28000], 0x3f007
  mov dword [0x28008], 0x3e007
  mov esi, ustub
  mov edi, 0x3f000
  mov ecx, ustub_end-ustub
  rep movsb
  ; idt, tss
  mov edi, idt
  mov esi, stubs
  mov ecx, 0x81
.g: mov [edi], si
  mov word [edi+2], 8
  mov word [edi+4], 0xee00
  mov word [edi+6], 0
  add esi, 16
  add edi, 8
  loop .g
  lidt [idtr]
  mov edi, tss
  mov ecx, 26
  xor eax, eax
  rep stosd
  mov dword [tss+4], 0x7800
  mov dword [tss+8], 0x10
  mov word [tss+0x66], 0x68
  mov ax, 0x28
  ltr ax
  mov ecx, 0xc0000080
  rdmsr
  or eax, 0x800
  wrmsr
  mov dword [mode], 0
.mode:
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  mov eax, 0x10    ; PSE
  mov ebx, 0x20000
  test byte [mode], 2
  jz .np
  mov eax, 0x20
  mov ebx, 0x24000
.np: mov cr4, eax
  mov cr3, ebx
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  mov dword [type], 0
.type:
  mov dword [kind], 0
.kind:
  call newline
  mov al, [mode]
  call hex2
  mov al, [type]
  call hex2
  mov al, [kind]
  call hex2
  mov al, ':'
  call putc
  mov dword [comb], 0
.comb:
  mov cl, [comb]
  mov eax, cr0
  btr eax, 16
  test cl, 1
  jz .nwp
  bts eax, 16
.nwp: mov cr0, eax
  mov eax, cr4
  btr eax, 20
  btr eax, 21
  test cl, 2
  jz .nsmep
  bts eax, 20
.nsmep: test cl, 4
  jz .nsmap
  bts eax, 21
.nsmap: mov cr4, eax
  ; entries: edx low, ebx nx
  mov bl, [type]
  movzx edx, bl
  and edx, 3
  shl edx, 1
  or edx, 1
  movzx esi, bl
  shr esi, 3
  and esi, 3
  shl esi, 1
  or esi, 1
  xor edi, edi
  test bl, 4
  jz .nnx
  bts edi, 31
.nnx:
  cmp byte [mode], 1
  je .pse
  cmp byte [mode], 2
  je .pae
  cmp byte [mode], 3
  je .pae2
  or esi, 0x23000
  mov [0x20008], esi
  or edx, 0x30000
  test bl, 4
  jz .l4
  and edx, ~1
.l4: mov [0x23000], edx
  mov dword [where], 0x23000
  jmp .set
.pse:
  or edx, 0x400080
  test bl, 4
  jz .l5
  and edx, ~1
.l5:
  mov [0x20008], edx
  mov dword [where], 0x20008
  jmp .set
.pae:
  or esi, 0x26000
  mov [0x25020], esi
  mov dword [0x25024], 0
  or edx, 0x30000
  mov [0x26000], edx
  mov [0x26004], edi
  mov dword [where], 0x26000
  jmp .set
.pae2:
  or edx, 0x400080
  mov [0x25020], edx
  mov [0x25024], edi
  mov dword [where], 0x25020
.set:
  mov eax, 0x800000
  invlpg [eax]
  mov dword [result], 0x100
  mov [saved], esp
  mov ebp, 0x800000
  mov edx, [kind]
  test byte [comb], 16
  jnz .user
  pushfd
  btr dword [esp], 18
  test byte [comb], 8
  jz .nac
  bts dword [esp], 18
.nac: popfd
  cmp dl, 1
  jb .read
  je .write
  call ebp
  jmp after
.read: mov al, [ebp]
  jmp after
.write: mov byte [ebp], 0xc3
  jmp after
.user:
  push dword 0x23
  push dword 0xc01800
  mov eax, 2
  test byte [comb], 8
  jz .nac3
  bts eax, 18
.nac3: push eax
  push dword 0x1b
  push dword 0xc00000
  mov ax, 0x23
  mov ds, ax
  iretd
after:
  mov ax, 0x10
  mov ds, ax
  mov esp, [saved]
  push dword 2
  popfd
  mov eax, [result]
  test ah, ah
  jnz .none
  call hex2
  jmp .ad
.none: mov al, '.'
  call putc
  call putc
.ad:
  mov esi, [where]
  mov al, [esi]
  shr al, 5
  and al, 3
  add al, '0'
  call putc
  inc dword [comb]
  cmp dword [comb], 32
  jb pm.comb
  inc dword [kind]
  cmp dword [kind], 3
  jb pm.kind
  inc dword [type]
  cmp dword [type], 32
  jb pm.type
  inc dword [mode]
  cmp dword [mode], 4
  jb pm.mode
  call newline
  mov esi, bye
  mov dx, 0x8900
.b: lodsb
  out dx, al
  test al, al
  jnz .b
  cli
  hlt
newline: mov al, 10
putc: out 0xe9, al
  ret
hex2:
  push eax
  shr al, 4
  call .d
  pop eax
.d: and al, 15
  add al, '0'
  cmp al, '9'
  jbe putc
  add al, 39
  jmp putc
handler:
  push eax
  mov ax, 0x10
  mov ds, ax
  pop eax
  cmp byte [esp], 14
  jne .o
  mov eax, [esp+4]
  mov [result], eax
  jmp after
.o: cmp byte [esp], 0x80
  je after
  mov al, '!'
  call putc
  mov al, [esp]
  call hex2
  jmp after
ustub:
  cmp dl, 1
  jb .read
  je .write
  call ebp
  int 0x80
.read: mov al, [ebp]
  int 0x80
.write: mov byte [ebp], 0xc3
  int 0x80
ustub_end:
align 16
stubs:
%assign v 0
%rep 0x81
%if v = 8 || (v >= 10 && v <= 14) || v = 17
  nop
  nop
%else
  push dword -1
%endif
  push dword v
  jmp handler
  times 16*(v+1)-($-stubs) db 0x90
%assign v v+1
%endrep
bye: db "Shutdown", 0
align 8
gdtr: dw gdt_end - gdt - 1
  dd gdt
idtr: dw 0x81*8-1
  dd idt
align 8
gdt: dq 0
  dq 0x00cf9b000000ffff
  dq 0x00cf93000000ffff
  dq 0x00cffb000000ffff
  dq 0x00cff3000000ffff
  dw 0x67, tss
  db 0, 0x89, 0, 0
gdt_end:
times (17+18+1)*512-($-$$) db 0
absolute 0x1000
result: resd 1
saved: resd 1
mode: resd 1
type: resd 1
kind: resd 1
comb: resd 1
where: resd 1
idt: resb 0x81*8
tss: resb 0x68
