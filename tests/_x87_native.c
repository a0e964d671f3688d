// SPDX-License-Identifier: MIT
/*
 * Runs x87 instructions on the host's own FPU, as the judge of cpu/x87. Reads 224-byte records from stdin, executes
 * each, writes the record back with its results. x86-64 only; build: cc -O1 -o x87_native x87_native.c
 *
 * Record: 0 FCW u16, 2 FSW u16, 4 abridged tag u8, 5 prefix byte (0: none), 6 opcode u8 (d8..df), 7 modrm u8 (a
 * memory form is re-encoded to address the operand), 8 EFLAGS u16, 10 AX u16, 12 signal u8 (out), 16 ST0..ST7 of
 * 10 bytes each, 96 memory operand of 128 bytes. The FPU state goes in and out by FXRSTOR and FXSAVE, which neither
 * report nor raise pending exceptions, so unmasked exceptions can be looked at too.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { RECORD = 224 };
static uint8_t record[RECORD];
static uint8_t image[512] __attribute__((aligned(64)));
static uint8_t blank[512] __attribute__((aligned(64)));
static uint8_t memory[128] __attribute__((aligned(64)));
static uint64_t result[2];
static sigjmp_buf resume;

static void on_signal(int number) { siglongjmp(resume, number); }

int main(void) {
  uint8_t *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return 1;
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGFPE, &action, 0);
  sigaction(SIGILL, &action, 0);
  sigaction(SIGSEGV, &action, 0);
  sigaction(SIGTRAP, &action, 0);
  __asm__ volatile("fninit; fxsave64 %0" : "=m"(blank));
  while (fread(record, RECORD, 1, stdin) == 1) {
    memcpy(image, blank, sizeof image);
    memcpy(image, record, 5);
    image[5] = 0;
    for (int i = 0; i < 8; i++) memcpy(image + 32 + 16 * i, record + 16 + 10 * i, 10);
    memcpy(memory, record + 96, 128);
    uint8_t modrm = record[7], *p = code;
    static const uint8_t before[] = {0x48, 0x0f, 0xae, 0x0f, 0x31, 0xc0, 0x52, 0x9d}; // fxrstor64 [rdi]; xor eax,eax; push rdx; popf
    static const uint8_t after[] = {0x48, 0x0f, 0xae, 0x07, 0x9c, 0x5a,               // fxsave64 [rdi]; pushf; pop rdx
                                    0x48, 0x89, 0x01, 0x48, 0x89, 0x51, 0x08, 0xdb, 0xe3, 0xc3}; // mov [rcx],rax; mov [rcx+8],rdx; fninit; ret
    memcpy(p, before, sizeof before), p += sizeof before;
    if (record[5]) *p++ = record[5];
    *p++ = record[6];
    *p++ = modrm >= 0xc0 ? modrm : (modrm & 0x38) | 6; // [rsi]
    memcpy(p, after, sizeof after);
    uint64_t flags = 0x202 | ((record[8] | record[9] << 8) & 0x8d5);
    result[0] = 0, result[1] = flags;
    int number = sigsetjmp(resume, 1);
    if (number == 0) ((void (*)(void *, void *, uint64_t, void *))code)(image, memory, flags, result);
    else __asm__ volatile("fninit");
    __asm__ volatile("" ::: "memory");
    memcpy(record, image, 5);
    record[12] = number;
    memcpy(record + 8, &result[1], 2);
    memcpy(record + 10, &result[0], 2);
    for (int i = 0; i < 8; i++) memcpy(record + 16 + 10 * i, image + 32 + 16 * i, 10);
    memcpy(record + 96, memory, 128);
    fwrite(record, RECORD, 1, stdout);
  }
  return 0;
}
