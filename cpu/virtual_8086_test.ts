// SPDX-License-Identifier: MIT
// Virtual-8086 mode, from IRETD into it to what brings the CPU out of it. Expected values: SDM Vol. 3A §21.2-21.3 (table 21-2
// for INT n with CR4.VME), Vol. 2 on CLI, STI, PUSHF, POPF, INT n, IRET.
import { assertEquals } from "@std/assert";
import { ENGINES, GDT, STACK_TOP, TestCpu } from "./_bare_cpu.ts";
import { S } from "./state/state.ts";

const HANDLER = 0x11_0000, TSS = 0x7000, TSS_SELECTOR = 24;
const CS_8086 = 0x2000, SS_8086 = 0x3000, SP_8086 = 0x100;
const TF = 0x100, IF = 0x200, IOPL3 = 0x3000, VM = 1 << 17, VIF = 1 << 19, VIP = 1 << 20;
const HLT = 0xf4;

interface Setup {
  readonly flags?: number;
  readonly vme?: boolean;
  /** Vectors whose bit in the redirection bitmap is set. */
  readonly redirected?: readonly number[];
}
interface Outcome {
  /** Vector and error code of what came out, and the IP it has saved. */
  readonly out: string;
  /** EFLAGS that were saved, of the interesting ones. */
  readonly flags: number;
  readonly t: TestCpu;
  /** Words from SS:SP up. */
  readonly stack: (n: number) => number[];
  /** The frame at privilege 0, from EIP up. */
  readonly frame: readonly number[];
}

/** Runs 16-bit code at 2000:0000 until something leads to privilege 0; each handler knows its vector by its address. */
function run(how: typeof ENGINES[number], code: readonly number[], set: Setup = {}): Outcome {
  const t = new TestCpu(32, how);
  const { view } = t.memory, { s } = t.cpu.core;
  const at = (gpa: number) => t.memory.offsetOf(gpa);
  const vectors = [0, 1, 3, 4, 6, 13, 14, 0x21, 0x80];
  t.handlers(Object.fromEntries(vectors.map((v) => [v, HANDLER + v * 16])));
  for (const v of vectors) {
    view.setUint8(at(0x6000 + v * 8 + 5), 0xee); // DPL 3
    t.write(HANDLER + v * 16, [HLT]);
  }
  view.setBigUint64(at(GDT + TSS_SELECTOR), 0x0000_8900_7000_0090n, true);
  view.setUint32(at(TSS + 4), STACK_TOP, true);
  view.setUint32(at(TSS + 8), 16, true);
  view.setUint16(at(TSS + 0x66), 0x88, true); // redirection bitmap from 0x68, I/O map from 0x88
  for (const v of set.redirected ?? []) {
    const byte = at(TSS + 0x68 + (v >> 3));
    view.setUint8(byte, view.getUint8(byte) | (1 << (v & 7)));
  }
  view.setUint32(at(0x21 * 4), (0x2000 << 16) | 0x80, true); // its own vector table
  t.cpu.core.setSegment(7, TSS_SELECTOR, TSS, 0, 0x90, 0x8b);
  t.cpu.writeRegisters({ gdtr: { base: BigInt(GDT), limit: 0x1f } });
  if (set.vme === true) s.set64(S.cr4, s.get64(S.cr4) | 1n);
  t.write(CS_8086 * 16, code);
  t.write(CS_8086 * 16 + 0x80, [0xb8, 0x21, 0x21, 0xcf]); // mov ax,2121h; iret
  const frame = [0, CS_8086, VM | 2 | (set.flags ?? 0), SP_8086, SS_8086, 0x1111, 0x2222, 0x3333, 0x4444];
  const sp = STACK_TOP - 0x100;
  frame.forEach((word, i) => view.setUint32(at(sp + i * 4), word, true));
  t.cpu.writeRegisters({ gprs: { rsp: BigInt(sp), rax: 0n } });
  t.run([0xcf]);
  const vector = Number(t.cpu.vcpu.rip - 1n - BigInt(HANDLER)) / 16;
  const esp = Number(t.cpu.vcpu.readGpr("rsp"));
  const hasCode = vector === 13 || vector === 14;
  const words = Array.from({ length: 10 }, (_, i) => view.getUint32(at(esp) + i * 4, true));
  const saved = hasCode ? words.slice(1) : words.slice(0, 9);
  const [ip = 0, , flags = 0, savedSp = 0] = saved;
  return {
    out: `${vector}${hasCode ? `(${words[0]})` : ""}+${ip}`,
    flags: flags & (TF | IF | IOPL3 | VM | VIF | VIP),
    t,
    stack: (n) =>
      Array.from({ length: n }, (_, i) => view.getUint16(at(SS_8086 * 16 + savedSp) + i * 2, true)),
    frame: saved,
  };
}

for (const how of ENGINES) {
  const test = (name: string, body: () => void) => Deno.test(`virtual-8086: ${name} (${how.name})`, body);

  test("an exception leaves by the stack of privilege 0, with all segments below SS", () => {
    const { frame, t } = run(how, [0x90, 0x0f, 0x0b], { flags: IF });
    assertEquals(frame, [
      1,
      CS_8086,
      VM | IF | 2 | (1 << 16),
      SP_8086,
      SS_8086,
      0x1111,
      0x2222,
      0x3333,
      0x4444,
    ]);
    const { core } = t.cpu;
    assertEquals([core.cpl, core.codeBits, core.virtual8086, core.rflags & (VM | IF)], [0, 32, false, 0]);
    assertEquals([0, 3, 4, 5].map((i) => core.selector(i)), [0, 0, 0, 0]);
    assertEquals(t.cpu.vcpu.readGpr("rsp"), BigInt(STACK_TOP - 36));
  });

  test("segments are selectors times 16, of 64 KiB; far transfers and loads as in real mode", () => {
    // mov ax,4000h; mov ds,ax; mov word [10h],1234h; call 2010h:0000; ud2  ...  at 2010:0000: mov es,[10h]; retf
    const code = [
      0xb8,
      0,
      0x40,
      0x8e,
      0xd8,
      0xc7,
      6,
      0x10,
      0,
      0x34,
      0x12,
      0x9a,
      0,
      0,
      0x10,
      0x20,
      0x0f,
      0x0b,
    ];
    const target = [...code, ...new Array(0x100 - code.length).fill(0x90), 0x8e, 6, 0x10, 0, 0xcb];
    const { out, frame, t } = run(how, target);
    assertEquals([out, frame[5]], ["6+16", 0x1234]);
    assertEquals(t.memory.view.getUint16(t.memory.offsetOf(0x4_0010), true), 0x1234);
    assertEquals(run(how, [0x66, 0xb8, 0, 0, 1, 0, 0x67, 0x8b, 0x18]).out, "13(0)+6"); // mov bx,[eax] beyond 64 KiB
  });

  test("what IOPL below 3 forbids, and what privilege does", () => {
    const forbidden: readonly (readonly [string, readonly number[]])[] = [
      ["cli", [0xfa]],
      ["sti", [0xfb]],
      ["pushf", [0x9c]],
      ["popf", [0x9d]],
      ["int 21h", [0xcd, 0x21]],
      ["iret", [0xcf]],
    ];
    for (const [name, code] of forbidden) assertEquals(run(how, code).out, "13(0)+0", name);
    for (
      const [name, code] of [["hlt", [HLT]], ["clts", [0x0f, 6]], ["lgdt", [0x0f, 1, 0x16, 0, 0]]] as const
    ) {
      assertEquals(run(how, code, { flags: IOPL3 }).out, "13(0)+0", name);
    }
    for (
      const [name, code] of [["lldt", [0x0f, 0, 0xd0]], ["lar", [0x0f, 2, 0xc0]], ["arpl", [
        0x63,
        0xc0,
      ]]] as const
    ) {
      assertEquals(run(how, code, { flags: IOPL3 }).out, "6+0", name);
    }
    assertEquals(run(how, [0xcc]).out, "3+1"); // INT3 and INTO do not look at IOPL
    assertEquals(run(how, [0xb0, 0x7f, 0x04, 1, 0xce]).out, "4+5");
  });

  test("IN and OUT look at the bitmap whatever IOPL is", () => {
    assertEquals(run(how, [0xe4, 0x10, 0x0f, 0x0b], { flags: IOPL3 }).out, "6+2");
    assertEquals(run(how, [0xe4, 0x80, 0x0f, 0x0b], { flags: IOPL3 }).out, "13(0)+0"); // beyond the TSS
  });

  test("with IOPL 3: CLI, STI, PUSHF, POPF, IRET as in real mode, but IOPL and VM stay; INT n by the IDT", () => {
    assertEquals(run(how, [0xfa, 0xcd, 0x21], { flags: IOPL3 | IF }).flags, IOPL3 | VM);
    assertEquals(run(how, [0xfb, 0x90, 0xcd, 0x21], { flags: IOPL3 }).flags, IOPL3 | VM | IF);
    const pushed = run(how, [0x9c, 0xcd, 0x21], { flags: IOPL3 | IF });
    assertEquals([pushed.out, pushed.stack(1)], ["33+3", [IOPL3 | IF | 2]]);
    const popped = run(how, [0x6a, 0, 0x9d, 0xcd, 0x21], { flags: IOPL3 | IF });
    assertEquals([popped.out, popped.flags], ["33+5", IOPL3 | VM]);
    // push 0; push 2000h; push 20h; iret -> 2000:0020, int 21h
    const iret = [0x6a, 0, 0x68, 0, 0x20, 0x6a, 0x20, 0xcf];
    const back = run(how, [...iret, ...new Array(0x20 - iret.length).fill(0x90), 0xcd, 0x21], {
      flags: IOPL3 | IF,
    });
    assertEquals([back.out, back.flags], ["33+34", IOPL3 | VM]);
  });

  test("CR4.VME, bit clear: INT n through its own vectors, and back", () => {
    const code = [0xcd, 0x21, 0x0f, 0x0b];
    for (const flags of [0, VIF, IOPL3 | IF]) {
      const { out, t, flags: after } = run(how, code, { flags, vme: true });
      assertEquals([out, t.cpu.vcpu.readGpr("rax"), after], ["6+2", 0x2121n, flags | VM]);
    }
    // The handler sees IOPL 3 and VIF as IF in the image, VIF clear.
    const inside = run(how, [0xcd, 0x22], { flags: VIF, vme: true }); // vector 0x22 is 0000:0000: not ours
    assertEquals(
      inside.t.memory.view.getUint16(inside.t.memory.offsetOf(SS_8086 * 16 + SP_8086 - 2), true) &
        (IOPL3 | IF),
      IOPL3 | IF,
    );
  });

  test("CR4.VME, bit set: by the IDT with IOPL 3, else #GP", () => {
    assertEquals(run(how, [0xcd, 0x21], { vme: true, redirected: [0x21], flags: IOPL3 }).out, "33+2");
    assertEquals(run(how, [0xcd, 0x21], { vme: true, redirected: [0x21] }).out, "13(0)+0");
  });

  test("CR4.VME: VIF stands in for IF, VIP makes STI and POPF fault", () => {
    const end = [0x0f, 0x0b];
    assertEquals(run(how, [0xfb, ...end], { vme: true }).flags, VM | VIF);
    assertEquals(run(how, [0xfa, ...end], { vme: true, flags: VIF | IF }).flags, VM | IF);
    assertEquals(run(how, [0xfb, ...end], { vme: true, flags: VIP }).out, "13(0)+0");
    assertEquals(run(how, [0x68, 0, 2, 0x9d, ...end], { vme: true }).flags, VM | VIF);
    assertEquals(run(how, [0x68, 0, 2, 0x9d, ...end], { vme: true, flags: VIP }).out, "13(0)+3");
    assertEquals(run(how, [0x68, 0, 1, 0x9d, ...end], { vme: true }).out, "13(0)+3"); // TF
    assertEquals(run(how, [0x66, 0x9c], { vme: true }).out, "13(0)+0"); // 32 bits
    const pushed = run(how, [0x9c, ...end], { vme: true, flags: VIF });
    assertEquals(pushed.stack(1), [IOPL3 | IF | 2]);
  });
}
