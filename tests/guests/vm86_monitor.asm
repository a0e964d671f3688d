; SPDX-License-Identifier: MIT
; A monitor in protected mode and a .COM program under it in virtual-8086 mode, first without VME, then with it.
; Starts as a boot sector; what follows it is loaded by INT 13H if somebody serves that, else it is there already.
; nasm -f bin vm86_monitor.asm; the bytes are in _vm86_monitor.ts. Rules: SDM Vol. 3A chapter 21.
IDT equ 1000h
TSS equ 2000h
REDIRECTION equ TSS + 68h
IO_MAP equ REDIRECTION + 32
STACK equ 6000h
SEGMENT_86 equ 1000h
COM1 equ 3f8h
VM equ 1 << 17
VIF equ 1 << 19
VIP equ 1 << 20
IF equ 1 << 9
; the frame behind PUSHAD, after an error code
%define IP ebp+36
%define CS_ ebp+40
%define FLAGS ebp+44
%define SP_ ebp+48
%define SS_ ebp+52
%define ES_ ebp+56
%define DS_ ebp+60

        bits 16
        org 7c00h
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 7c00h
        mov ax, 0200h + SECTORS - 1
        mov cx, 2
        mov dh, 0
        mov bx, 7e00h
        int 13h
        cli
        lgdt [gdtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:start32
gdt:    dq 0, 00cf9a000000ffffh, 00cf92000000ffffh
        dw 2000h + 88h, TSS, 8900h, 0
gdtr:   dw $ - gdt - 1
        dd gdt
idtr:   dw 256 * 8 - 1
        dd IDT
        times 510 - ($ - $$) db 0
        dw 0aa55h

        bits 32
start32:
        mov ax, 10h
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, STACK
        mov edi, IDT            ; all vectors are fatal, but for two
        mov ecx, 256
        mov eax, fatal
.gate:  mov [edi], ax
        mov word [edi + 2], 8
        mov dword [edi + 4], 8e00h
        add edi, 8
        loop .gate
        mov eax, protection
        mov [IDT + 13 * 8], ax
        mov eax, timer
        mov [IDT + 20h * 8], ax
        lidt [idtr]
        mov edi, TSS
        mov ecx, 4096 / 4
        xor eax, eax
        rep stosd
        mov dword [TSS + 4], STACK
        mov word [TSS + 8], 10h
        mov word [TSS + 66h], IO_MAP - TSS
        mov byte [IO_MAP + 60h / 8], 1 << (60h & 7)     ; this port traps, all others do not
        mov byte [REDIRECTION + 21h / 8], 1 << (21h & 7)  ; and this interrupt
        mov dword [IO_MAP + 8192], 0ffh
        mov word [gdt + 24], 2000h + 0a0h
        mov ax, 24
        ltr ax
        mov al, 11h             ; IRQ 0 is vector 20H, no other comes
        out 20h, al
        mov al, 20h
        out 21h, al
        mov al, 4
        out 21h, al
        mov al, 1
        out 21h, al
        mov al, 0ffh
        out 0a1h, al
        out 21h, al
        mov al, 34h
        out 43h, al
        mov al, 0
        out 40h, al
        mov al, 10h
        out 40h, al
pass:   mov esi, name0
        cmp byte [vme], 0
        je .named
        mov esi, name1
.named: call puts
        mov esi, com            ; the program at 1000:0100
        mov edi, SEGMENT_86 * 16 + 100h
        mov ecx, com_end - com
        rep movsb
        mov edi, counts
        mov ecx, 8
        xor eax, eax
        rep stosd
        mov [virtual_if], eax
        mov [pending], al
        mov eax, cr4
        and al, ~1
        or al, [vme]
        mov cr4, eax
        mov eax, SEGMENT_86
        push eax                ; gs, fs, ds, es
        push eax
        push eax
        push eax
        push eax                ; ss
        push dword 0fffeh
        mov edx, VM | IF | 2
        push edx
        push eax
        push dword 100h
        iretd

; letters of DS:ESI up to 0
puts:   lodsb
        test al, al
        jz done
        call putc
        jmp puts
putc:   push edx
        mov edx, COM1
        out dx, al
        pop edx
done:   ret
hex:    push eax                ; AL
        shr al, 4
        call .digit
        pop eax
.digit: and al, 15
        cmp al, 10
        sbb al, 69h
        das
        jmp putc

fatal:  mov esi, bad
end_of_run:
        mov ax, 10h
        mov ds, ax
        call puts
        mov dx, 0b004h
        mov ax, 2000h
        out dx, ax
        mov dx, 0f4h            ; isa-debug-exit, elsewhere
        out dx, al
        mov dx, 8900h           ; Bochs
        mov esi, shutdown
        mov ecx, 8
        rep outsb
        cli
        hlt

; ---- the virtual interrupt flag: a variable, or with VME the CPU's
get_if: cmp byte [vme], 0
        jne .cpu
        cmp byte [virtual_if], 0
        ret
.cpu:   test dword [FLAGS], VIF
        ret
set_if: cmp byte [vme], 0
        jne .cpu
        mov [virtual_if], al
        ret
.cpu:   and dword [FLAGS], ~VIF
        test al, al
        jz done
        or dword [FLAGS], VIF
        ret
; the program's FLAGS as it sees them, in EAX
seen:   call get_if
        mov eax, [FLAGS]
        jz .off
        or ax, IF
        ret
.off:   and ax, ~IF
        ret
; AX becomes its FLAGS
accept: and eax, 0dd5h | IF     ; arithmetic, DF, no TF
        mov edx, eax
        and eax, 0cd5h
        and dword [FLAGS], ~0cd5h
        or [FLAGS], eax
        shr edx, 9
        mov al, dl
        and al, 1
        jmp set_if
push16: sub word [SP_], 2       ; AX
        movzx edx, word [SS_]
        shl edx, 4
        movzx ecx, word [SP_]
        mov [edx + ecx], ax
        ret
pop16:  movzx edx, word [SS_]
        shl edx, 4
        movzx ecx, word [SP_]
        movzx eax, word [edx + ecx]
        add word [SP_], 2
        ret
; interrupt BL in the program
reflect:
        call seen
        call push16
        mov ax, [CS_]
        call push16
        mov ax, [IP]
        call push16
        mov al, 0
        call set_if
        movzx ebx, bl
        mov ax, [ebx * 4]
        mov [IP], ax
        mov ax, [ebx * 4 + 2]
        mov [CS_], ax
        ret

; ---- IRQ 0
timer:  push eax                ; where an error code would be
        pushad
        mov ebp, esp
        mov ax, 10h
        mov ds, ax
        mov es, ax
        mov al, 20h
        out 20h, al
        call get_if
        jz .later
        mov bl, 8
        call reflect
        jmp leave
.later: mov byte [pending], 1
        cmp byte [vme], 0
        je leave
        or dword [FLAGS], VIP
leave:  popad
        add esp, 4
        iretd

; ---- #GP
protection:
        pushad
        mov ebp, esp
        mov ax, 10h
        mov ds, ax
        mov es, ax
        test dword [FLAGS], VM
        jz fatal
        movzx ebx, word [CS_]
        shl ebx, 4
        movzx eax, word [IP]
        add ebx, eax
        mov al, [ebx]
        inc word [IP]
        mov edi, opcodes
        mov ecx, 8
        repne scasb
        jne fatal
        sub edi, opcodes + 1
        inc dword [counts + edi * 4]
        jmp [actions + edi * 4]
opcodes: db 0fah, 0fbh, 9ch, 9dh, 0cdh, 0cfh, 0e4h, 0f4h
        align 4, db 0
actions: dd do_cli, do_sti, do_pushf, do_popf, do_int, do_iret, do_in, do_hlt
do_cli: mov al, 0
        call set_if
        jmp leave
do_sti: mov al, 1
        call set_if
maybe:  call get_if             ; what waits comes now
        jz leave
        cmp byte [pending], 0
        je leave
        mov byte [pending], 0
        and dword [FLAGS], ~VIP
        mov bl, 8
        call reflect
        jmp leave
do_pushf:
        call seen
        call push16
        jmp leave
do_popf: call pop16
        call accept
        jmp maybe
do_iret: call pop16
        mov [IP], ax
        call pop16
        mov [CS_], ax
        call pop16
        call accept
        jmp maybe
do_in:  inc word [IP]           ; the only port is 60H
        mov byte [ebp + 28], 5ah
        jmp leave
do_hlt: jmp maybe
do_int: mov bl, [ebx + 1]
        inc word [IP]
        cmp bl, 21h
        je dos
        call reflect
        jmp leave
; INT 21H: AH is in the EAX of PUSHAD
dos:    mov ah, [ebp + 29]
        cmp ah, 2
        je .letter
        cmp ah, 9
        je .text
        cmp ah, 25h
        je .vector
        cmp ah, 30h
        je .version
        cmp ah, 4ch
        je .exit
        cmp ah, 0f0h
        jne fatal
        mov esi, counts         ; of this monitor: how often what has trapped
        mov edi, 8
.count: lodsd
        call hex
        mov al, ' '
        call putc
        dec edi
        jnz .count
        mov al, 0feh            ; and the timer begins
        out 21h, al
        jmp leave
.letter: mov al, [ebp + 20]
        call putc
        jmp leave
.text:  movzx esi, word [DS_]
        shl esi, 4
        movzx eax, word [ebp + 20]
        add esi, eax
.next:  lodsb
        cmp al, '$'
        je leave
        call putc
        jmp .next
.vector: movzx ebx, byte [ebp + 28]
        mov ax, [ebp + 20]
        mov [ebx * 4], ax
        mov ax, [DS_]
        mov [ebx * 4 + 2], ax
        jmp leave
.version: mov word [ebp + 28], 5
        jmp leave
.exit:  mov al, 0ffh
        out 21h, al
        mov al, [ebp + 28]
        call hex
        mov al, 10
        call putc
        mov esp, STACK
        xor byte [vme], 1
        jnz pass
        mov esi, good
        jmp end_of_run

vme:    db 0
pending: db 0
        align 4, db 0
virtual_if: dd 0
counts: times 8 dd 0
name0:  db 'without VME: ', 0
name1:  db 'with VME: ', 0
good:   db 'all done', 10, 0
bad:    db 'stray exception', 10, 0
shutdown: db 'Shutdown'

; ---- the program: 16-bit code of the time, with what traps in between
        bits 16
com:
%define AT(x) 100h + (x) - com
        mov ah, 30h
        int 21h
        add al, '0'
        mov dl, al
        mov ah, 2
        int 21h
        mov dx, AT(hello)
        mov ah, 9
        int 21h
        mov bx, 2               ; the primes up to 50, by AAM
prime:  mov cx, 2
.try:   cmp cx, bx
        je .yes
        mov ax, bx
        div cl
        test ah, ah
        jz .no
        inc cx
        jmp .try
.yes:   mov al, bl
        aam
        add ax, 3030h
        push ax
        mov dl, ah
        mov ah, 2
        int 21h
        pop dx
        mov ah, 2
        int 21h
        mov dl, ' '
        int 21h
.no:    inc bx
        cmp bx, 50
        jb prime
        mov si, AT(hello)       ; a CRC-16 of the greeting
        mov cx, 12
        mov dx, -1
        cld
crc:    lodsb
        xor dl, al
        mov bl, 8
.bit:   shr dx, 1
        jnc .zero
        xor dx, 0a001h
.zero:  dec bl
        jnz .bit
        loop crc
        push dx
        mov al, dh
        call byte16
        pop ax
        call byte16
        mov al, 19h             ; decimal: 19 + 28
        add al, 28h
        daa
        call byte16
        cli                     ; the interrupt flag as this program sees it
        call flag
        sti
        call flag
        pushf
        cli
        call flag
        popf
        call flag
        in al, 60h
        call byte16
        mov dx, AT(own)         ; an interrupt of its own, whose handler sets CF for its caller
        mov ax, 2560h
        int 21h
        clc
        int 60h
        mov al, 0
        adc al, 0
        call byte16
        call flag
        mov dx, AT(tick)
        mov ax, 2508h
        int 21h
        mov ah, 0f0h            ; what has trapped so far
        int 21h
wait3:  cli
        mov cx, 200
.slow:  loop .slow
        pushf
        sti
        popf
        sti
        nop
        cmp word [AT(ticks)], 3
        jb wait3
        mov ax, 4c07h
        int 21h
own:    call flag
        push bp
        mov bp, sp
        or byte [bp + 6], 1
        pop bp
        iret
tick:   inc word [cs:AT(ticks)]
        iret
flag:   pushf
        pop ax
        and ax, IF
        mov al, ah
        shr al, 1
byte16: push ax
        mov cl, 4
        shr al, cl
        call digit
        pop ax
        call digit
        mov dl, ' '
        mov ah, 2
        int 21h
        ret
digit:  and al, 15
        cmp al, 10
        sbb al, 69h
        das
        mov dl, al
        mov ah, 2
        int 21h
        ret
hello:  db ' hello, 8086 $'
ticks:  dw 0
com_end:
        times 512 * 6 - ($ - $$) db 0
SECTORS equ ($ - $$) / 512
