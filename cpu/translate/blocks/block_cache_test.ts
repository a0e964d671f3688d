// SPDX-License-Identifier: MIT
/**
 * What blocks own comes back, and code is found where linear addresses lead: self-modifying code, pages that move,
 * segments that change. Rules: SDM Vol. 3A §4.10 (TLBs), §3.4, §5.3 (limits), §9.3 (self-modifying code).
 * @module
 */
import { assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, ENGINES, TestCpu } from "../../_bare_cpu.ts";
import { MOST_PLACES } from "./block_index.ts";
import { RECORD_BYTES } from "../../state/record.ts";
import { ARENA_BYTES, CS, DS, ES, EXC_GP, FS, GS, S, SS, TLB_ENTRIES } from "../../state/state.ts";

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const le16 = (n: number) => [n & 0xff, (n >>> 8) & 0xff];
const HLT = 0xf4;
const PAGE_TABLE = 0x9000;
/** A linear page of 4 KiB tables, see withPage. */
const LINEAR = 0x20_0000;

/** Maps 4 KiB pages at LINEAR: entry i of the table at PAGE_TABLE. Takes the second 2 MiB page's place. */
function withPages(t: TestCpu, frames: readonly number[]): void {
  const { view } = t.memory;
  view.setBigUint64(t.memory.offsetOf(0x3000) + 8, BigInt(PAGE_TABLE) | 3n, true);
  frames.forEach((gpa, i) =>
    view.setBigUint64(t.memory.offsetOf(PAGE_TABLE) + 8 * i, BigInt(gpa) | 3n, true)
  );
}
/** Runs from `rip` until it ends; registers stay. */
function go(t: TestCpu, rip: number, budget = 100_000): string {
  t.cpu.halted = false;
  t.cpu.core.s.set64(S.rip, BigInt(rip));
  return t.cpu.run(budget);
}

/** Real mode with the given CS base; other segments at 0. */
function real(t: TestCpu, csBase: number, limit = 0xffff): void {
  const { core } = t.cpu;
  core.s.set64(S.cr0, 0x10n);
  core.s.set64(S.efer, 0n);
  core.s.set64(S.cr4, 0n);
  for (const i of [ES, SS, DS, FS, GS]) {
    core.s.setSegment(i, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
  }
  core.s.setSegment(CS, { selector: csBase >> 4, base: BigInt(csBase), limit, attributes: 0x9b });
  core.mmu.flush();
  core.updateMode();
  core.s.setGpr(4, 0x8000n);
}

for (const how of ENGINES) {
  const test = (name: string, f: () => void) => Deno.test(`${name} (${how.name})`, f);

  test("a guest that rewrites its code forever uses no more of anything", () => {
    const t = new TestCpu(64, how);
    // ecx turns: writes ecx into the immediate of the MOV of the loop behind it, runs that loop 3 times
    const code = [
      ...[0x89, 0x0c, 0x25, ...le32(CODE_BASE + 0x101)], // mov [patch + 1], ecx
      ...[0xbe, ...le32(3)], // mov esi, 3
      ...[0xe9, ...le32(0x100 - 17)], // jmp patch
    ];
    const patch = [
      ...[0xb8, ...le32(0)], // patch: mov eax, imm
      ...[0x01, 0xc3], // add ebx, eax
      ...[0xff, 0xce], // dec esi
      ...[0x75, 0xf5], // jnz patch
      ...[0xff, 0xc9], // dec ecx
      ...[0x0f, 0x85, ...le32(-0x100 - 11 - 8)], // jnz CODE_BASE
      HLT,
    ];
    t.write(CODE_BASE, code);
    t.write(CODE_BASE + 0x100, patch);
    const measure = (turns: number) => {
      t.cpu.core.s.setGpr(1, BigInt(turns));
      t.cpu.core.s.setGpr(3, 0n);
      assertEquals(go(t, CODE_BASE, 10_000_000), "halted");
      assertEquals(t.cpu.core.s.gpr32(3), 3 * turns * (turns + 1) / 2);
      // A slot belongs to a handler or to a block that is there.
      const { slots, handlers } = t.cpu.modules;
      const { occupancy } = t.cpu.blocks;
      assertEquals(slots.used <= handlers + occupancy.blocks, true, `${slots.used} slots`);
      return { ...occupancy, handlers };
    };
    const before = measure(100);
    const invalidated = t.cpu.blocks.invalidated;
    assertEquals(measure(1500), before);
    assertEquals(t.cpu.blocks.invalidated - invalidated >= 1500, true);
    assertEquals(t.cpu.blocks.resets, 1); // that of the start
  });

  test("a block's function goes with the block", () => {
    const t = new TestCpu(64, how);
    const used: number[] = [];
    for (let turn = 0; turn < 50; turn++) {
      t.write(CODE_BASE, [0xb8, ...le32(turn), 0x01, 0xc3, HLT]); // mov eax, turn; add ebx, eax
      assertEquals(go(t, CODE_BASE), "halted");
      used.push(t.cpu.modules.slots.used);
    }
    assertEquals(used, Array(50).fill(used[0]));
    assertEquals(t.cpu.core.s.gpr32(3), 50 * 49 / 2);
    assertEquals(t.cpu.compiled, how.compileAtOnce ? 50 : 0);
  });

  test("more kinds of instructions than there are slots: everything is dropped, nothing breaks", () => {
    const t = new TestCpu(64, { ...how, tableSize: 256 });
    // Adds of every width, register and memory form, with each kind of index: many handlers.
    const shapes: number[][] = [];
    for (const opcode of [0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38]) {
      for (const more of [0, 1, 2, 3]) {
        for (const prefix of [[], [0x66], [0x48], [0x67], [0x64]]) {
          shapes.push([...prefix, opcode + more, 0x03], [...prefix, opcode + more, 0x04, 0x0b]);
        }
      }
    }
    for (let round = 0; round < 3; round++) {
      for (const shape of shapes) {
        t.cpu.core.s.setGpr(3, BigInt(DATA_BASE)); // rbx
        t.cpu.core.s.setGpr(1, 0n); // rcx
        t.write(CODE_BASE, [...shape, 0xba, ...le32(round), HLT]); // mov edx, round
        assertEquals(go(t, CODE_BASE), "halted");
        assertEquals(t.cpu.core.s.gpr32(2), round);
      }
    }
    assertEquals(t.cpu.modules.slots.used <= 256 - 16, true);
    assertEquals(t.cpu.blocks.resets > 3, true);
  });

  test("the second page of a crossing instruction moves", () => {
    const t = new TestCpu(64, how);
    withPages(t, [0x40_0000, 0x50_0000]);
    t.write(0x40_0ffe, [0xb8, 0x11]); // mov eax, imm32: 2 bytes here
    t.write(0x50_0000, [0x22, 0x33, 0x44, HLT]);
    t.write(0x60_0000, [0x55, 0x66, 0x77, HLT]);
    const results: number[] = [];
    const entry = t.memory.offsetOf(PAGE_TABLE) + 8;
    for (const frame of [0x50_0000, 0x60_0000, 0x50_0000, 0x60_0000]) {
      t.memory.view.setBigUint64(entry, BigInt(frame) | 3n, true);
      t.cpu.core.mmu.flush();
      assertEquals(go(t, LINEAR + 0xffe), "halted");
      results.push(t.cpu.core.s.gpr32(0));
    }
    assertEquals(results, [0x4433_2211, 0x7766_5511, 0x4433_2211, 0x7766_5511]);
    // Rewriting the first page over and over leaves nothing in the list of the second.
    const before = t.cpu.blocks.occupancy;
    for (let i = 0; i < 50; i++) {
      t.write(0x40_0fff, [i]);
      assertEquals(go(t, LINEAR + 0xffe), "halted");
      assertEquals(t.cpu.core.s.gpr32(0), 0x7766_5500 + i);
    }
    assertEquals(t.cpu.blocks.occupancy, before);
  });

  test("links to a block that was rewritten, shorter and longer, lead to the new one", () => {
    const t = new TestCpu(64, how);
    const bodies = [
      [0xb8, ...le32(1)], // mov eax, 1
      [0x31, 0xc0], // xor eax, eax
      [0x31, 0xc0, 0xff, 0xc0, 0xff, 0xc0, 0xff, 0xc0], // 3
      [0xb8, ...le32(9)],
    ];
    t.write(CODE_BASE, [0xeb, 0x3e]); // jmp CODE_BASE + 0x40
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (const body of bodies) {
        t.write(CODE_BASE + 0x40, [...body, HLT]);
        for (let i = 0; i < 2; i++) {
          assertEquals(go(t, CODE_BASE), "halted");
          seen.push(t.cpu.core.s.gpr32(0));
        }
      }
    }
    assertEquals(seen, Array(3).fill([1, 1, 0, 0, 3, 3, 9, 9]).flat());
  });

  for (const says of [false, true]) {
    const name = says
      ? "code goes on elsewhere when the guest says INVLPG"
      : "code stays where it is until then";
    test(`the page tables say otherwise, and a data access asks them: ${name}`, () => {
      const t = new TestCpu(64, { ...how, ramBytes: 2 * TLB_ENTRIES * 4096 });
      const code = [
        ...[0x89, 0x0c, 0x25, ...le32(PAGE_TABLE)], // mov [PTE of this page], ecx
        ...[0x8b, 0x04, 0x25, ...le32(LINEAR + TLB_ENTRIES * 4096)], // its TLB entry is the other page's now
        ...[0x8b, 0x14, 0x25, ...le32(LINEAR + 0x80)], // mov edx, [page]
        ...says ? [0x0f, 0x01, 0x3c, 0x25, ...le32(LINEAR)] : [], // invlpg [page]
        ...[0xe8, ...le32(says ? 0x60 - 34 : 0x60 - 26)], // call offset 0x60
      ];
      for (const [frame, value] of [[0x40_0000, 4], [0x50_0000, 5]] as const) {
        t.write(frame, code);
        t.write(frame + 0x60, [0x58, 0xff, 0x25, ...le32(0x80 - 0x67)]); // pop rax; jmp [0x80]
        t.write(frame + 0x80, [...le32(LINEAR + 0xa0), 0, 0, 0, 0]);
        t.write(frame + 0xa0, [0xb8, ...le32(value), HLT]); // mov eax, value
      }
      withPages(t, [0x40_0000]);
      t.cpu.core.mmu.flush();
      t.cpu.core.s.setGpr(1, 0x50_0003n);
      t.cpu.core.s.setGpr(4, 0x8000n);
      assertEquals(go(t, LINEAR), "halted");
      assertEquals(t.cpu.core.s.gpr32(2), LINEAR + 0xa0);
      assertEquals(t.cpu.core.s.gpr32(0), says ? 5 : 4);
    });
  }

  test("a link leads into the page of its branch only, whatever is mapped there when it is made", () => {
    const hooks = {
      cpuid: () => { // as if the machine had changed what is where
        withPages(t, [frame]);
        t.cpu.core.mmu.flush();
        return undefined;
      },
    };
    const t: TestCpu = new TestCpu(64, { ...how, hooks });
    const code = [0xb8, ...le32(0x4000_0000), 0x0f, 0xa2, 0xe9, ...le32(0x80 - 12)]; // cpuid; jmp to offset 0x80
    for (const [frame, value] of [[0x40_0000, 4], [0x50_0000, 5]] as const) {
      t.write(frame, code);
      t.write(frame + 0x80, [0xb8, ...le32(value), HLT]);
    }
    let frame = 0;
    const results: number[] = [];
    for (frame of [0x50_0000, 0x40_0000]) {
      withPages(t, [0x40_0000]);
      t.cpu.core.mmu.flush();
      assertEquals(go(t, LINEAR), "halted");
      results.push(t.cpu.core.s.gpr32(0));
    }
    assertEquals(results, [5, 4]);
  });

  test("a branch into another page that knows its target follows mappings and code", () => {
    const t = new TestCpu(64, how);
    const frames = [0x40_0000, 0x50_0000] as const, { mmu, s } = t.cpu.core;
    const map = (frame: number) => withPages(t, [0x60_0000, frame]);
    const answer = (value: number) => [0xb8, ...le32(value), HLT]; // mov eax, value; hlt
    t.write(0x60_0000, [0xe9, ...le32(0x1000 - 5)]); // jmp to the next page
    frames.forEach((frame, i) => t.write(frame, answer(i)));
    const results: number[] = [];
    const steps: readonly (() => void)[] = [
      () => (map(frames[0]), mmu.flush()),
      () => {},
      () => (map(frames[1]), mmu.invalidatePage(LINEAR + 0x1000, 0)),
      () => {},
      () => t.write(frames[1], answer(2)),
      () => t.write(frames[1], [0x90, 0x90, 0x90, ...answer(3)]), // needs more room
      () => {},
      () => (map(frames[0]), mmu.flush()),
    ];
    for (const step of steps) {
      step();
      assertEquals(go(t, LINEAR), "halted");
      results.push(s.gpr32(0));
    }
    assertEquals(results, [0, 0, 1, 1, 2, 3, 3, 0]);
  });

  test("a branch into another page, where longer code stands now, comes there without leaving", () => {
    const t = new TestCpu(64, how);
    withPages(t, [0x60_0000, 0x40_0000]);
    t.cpu.core.mmu.flush();
    t.write(0x60_0000, [0xe9, ...le32(0x1000 - 5)]); // jmp to the next page
    const target = (nops: number) => [
      ...Array<number>(nops).fill(0x90),
      ...[0xff, 0xc9, 0x74, 5], // dec ecx; jz end
      ...[0xe9, ...le32(-0x1000 - nops - 9), HLT], // jmp back; end: hlt
    ];
    const turns = (count: number) => {
      t.cpu.core.s.setGpr(1, BigInt(count));
      const before = t.cpu.exits.dispatch;
      assertEquals(go(t, LINEAR), "halted");
      return t.cpu.exits.dispatch - before;
    };
    t.write(0x40_0000, target(0));
    turns(5);
    t.write(0x40_0000, target(3));
    turns(5);
    const left = turns(5000);
    assertEquals(left < 50, true, `left ${left} times`);
  });

  test("code remapped by a load of CR3 and by INVLPG", () => {
    const t = new TestCpu(64, how);
    withPages(t, [0x40_0000]);
    t.write(0x40_0000, [0xb8, ...le32(4), 0xc3]); // mov eax, 4; ret
    t.write(0x50_0000, [0xb8, ...le32(5), 0xc3]);
    const entry = PAGE_TABLE; // identity-mapped
    const call = [0xbb, ...le32(LINEAR), 0xff, 0xd3]; // mov ebx, LINEAR; call rbx
    const keep = [0x01, 0xc6, 0xc1, 0xe6, 4]; // add esi, eax; shl esi, 4
    const map = (gpa: number) => [0xc7, 0x04, 0x25, ...le32(entry), ...le32(gpa | 3)];
    const invlpg = [0x0f, 0x01, 0x3c, 0x25, ...le32(LINEAR)];
    const cr3 = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8]; // mov rax, cr3; mov cr3, rax
    const code = [
      ...[0x31, 0xf6, ...call, ...keep, ...call, ...keep],
      ...[...map(0x50_0000), ...invlpg, ...call, ...keep],
      ...[...map(0x40_0000), ...cr3, ...call, ...keep],
      ...[...map(0x50_0000), ...cr3, ...call, ...keep],
    ];
    for (let round = 0; round < 2; round++) {
      t.memory.view.setBigUint64(t.memory.offsetOf(entry), 0x40_0003n, true);
      t.cpu.core.mmu.flush();
      assertEquals(t.run(code), "halted");
      assertEquals(t.cpu.core.s.gpr32(6), 0x44_5450);
    }
  });

  test("16-bit code in segments whose base is not 0 runs out of the jump cache", () => {
    const t = new TestCpu(32, how);
    real(t, 0x7c30);
    // far away within the segment, so that each turn takes branches that leave the page
    t.write(0x7c30 + 0x10, [
      ...[0xb9, ...le16(5000)], // mov cx, 5000
      ...[0x40], // turn: inc ax
      ...[0xe8, ...le16(0x2000 - 0x17)], // call 0x2000
      ...[0xe2, 0xfa], // loop turn
      HLT,
    ]);
    t.write(0x7c30 + 0x2000, [0x43, 0xc3]); // inc bx; ret
    const before = t.cpu.exits.dispatch;
    assertEquals(go(t, 0x10), "halted");
    assertEquals([t.cpu.core.s.gpr32(0) & 0xffff, t.cpu.core.s.gpr32(3) & 0xffff], [5000, 5000]);
    assertEquals(t.cpu.exits.dispatch - before < 20, true, `${t.cpu.exits.dispatch - before} dispatches`);
  });

  test("32-bit code in a segment whose base is not 0 runs out of the jump cache, and follows its base", () => {
    const t = new TestCpu(32, how);
    const { core } = t.cpu;
    const code = [
      ...[0xb9, ...le32(5000)], // mov ecx, 5000
      ...[0x31, 0xc0], // xor eax, eax
      ...[0xe8, ...le32(0x2000 - 12)], // turn: call 0x2000
      ...[0xff, 0xc9], // dec ecx
      ...[0x75, 0xf7], // jnz turn
      HLT,
    ];
    [0x1_0000, 0x3_0000].forEach((base, i) => {
      t.write(base, code);
      t.write(base + 0x2000, [0x83, 0xc0, 1 + i, 0xc3]); // add eax, 1 or 2; ret
    });
    for (let round = 0; round < 2; round++) {
      [0x1_0000, 0x3_0000].forEach((base, i) => {
        core.s.setSegment(CS, { selector: 8, base: BigInt(base), limit: 0xffff, attributes: 0x409b });
        core.updateMode();
        const before = t.cpu.exits.dispatch;
        assertEquals(go(t, 0), "halted");
        assertEquals(core.s.gpr32(0), 5000 * (1 + i));
        assertEquals(t.cpu.exits.dispatch - before < 20, true, `${t.cpu.exits.dispatch - before} dispatches`);
      });
    }
  });

  test("one page of code run with two bases of CS: RIP, wrap and return addresses are those of each", () => {
    const t = new TestCpu(32, how);
    // At linear 0x1_1000: call the next instruction, pop ax: AX = IP of the POP. Then a jump within the page, HLT.
    t.write(0x1_1000, [0xe8, 0, 0, 0x58, 0xeb, 0x10]);
    t.write(0x1_1016, [HLT]);
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (const base of [0x1_0000, 0x1_1000, 0x8000, 0x1230]) {
        real(t, base);
        assertEquals(go(t, 0x1_1000 - base), "halted");
        seen.push(t.cpu.core.s.gpr32(0) & 0xffff);
      }
    }
    const expected = [0x1003, 0x0003, 0x9003, 0xfdd3];
    assertEquals(seen, Array(3).fill(expected).flat());
  });

  test("a jump past IP 0xffff goes to the start of the segment, whatever is linked in the page", () => {
    const t = new TestCpu(32, how);
    // CS base 0x1008: IP 0xfff0 is linear 0x1_0ff8; IP 0x0010 is 0x1018, and 32 bytes on is 0x1_1018.
    t.write(0x1_0010, [0xeb, 0x1e]); // jmp +0x20
    t.write(0x1_0030, [0xbb, ...le16(1), HLT]);
    // base 0x10: IP 0xfff8 is linear 0x1_0008+8: the page 0x1_0000 holds both ends of the segment's last bytes
    t.write(0x10 + 0x18, [0xbb, ...le16(2), HLT]);
    real(t, 0);
    t.cpu.core.s.setSegment(CS, { selector: 0, base: 0x1_0000n, limit: 0xffff, attributes: 0x9b });
    t.cpu.core.updateMode();
    assertEquals([go(t, 0x10), t.cpu.core.s.gpr32(3) & 0xffff], ["halted", 1]);
    // base 0x18: linear 0x1_0010 is IP 0xfff8, and the jump's target wraps to 0x18
    t.write(0x18 + 0x18, [0xbb, ...le16(2), HLT]);
    for (let i = 0; i < 3; i++) {
      real(t, 0x18);
      assertEquals([go(t, 0xfff8), t.cpu.core.s.gpr32(3) & 0xffff], ["halted", 2]);
      real(t, 0x1_0000);
      assertEquals([go(t, 0x10), t.cpu.core.s.gpr32(3) & 0xffff], ["halted", 1]);
    }
  });

  test("the limit of CS holds for every byte of code, also for blocks that are known", () => {
    const t = new TestCpu(32, how);
    t.write(0x1_0100, [0x40, 0x40, 0x40, 0xbb, ...le16(7), HLT]); // inc ax three times; mov bx, 7; hlt
    const under = (limit: number) => {
      real(t, 0x1_0000, limit);
      t.cpu.core.s.setGpr(0, 0n);
      t.cpu.core.s.setGpr(3, 0n);
      const before = t.cpu.exceptions[EXC_GP] as number;
      assertEquals(go(t, 0x100), "halted");
      return [t.cpu.core.s.gpr32(0), t.cpu.core.s.gpr32(3), (t.cpu.exceptions[EXC_GP] as number) > before];
    };
    t.write(EXC_GP * 4, [0x10, 0, 0, 0]); // the handler is below every limit: real mode does not change that of CS
    t.write(0x10, [HLT]);
    for (let round = 0; round < 2; round++) {
      assertEquals(under(0xffff), [3, 7, false]);
      assertEquals(under(0x106), [3, 7, false]); // the HLT is the last byte
      assertEquals(under(0x104), [3, 0, true]); // the MOV is cut off
      assertEquals(under(0x101), [2, 0, true]);
      assertEquals(under(0x0ff), [0, 0, true]);
    }
  });
}

Deno.test("a full arena is used again from its start", () => {
  const t = new TestCpu(64);
  // 96 NOPs and one record behind them to a block, and one begins at every byte.
  const most = Math.floor(ARENA_BYTES / RECORD_BYTES / (96 + 1));
  const pages = Math.ceil(2.5 * most / 4096);
  t.write(CODE_BASE, Array(4096 * pages).fill(0x90));
  t.write(CODE_BASE + 4096 * pages, [HLT]);
  const blocks: number[] = [];
  for (let at = 0; at < 4096 * pages; at++) {
    go(t, CODE_BASE + at, 1);
    if (at % 1024 === 0) blocks.push(t.cpu.blocks.occupancy.blocks);
  }
  assertEquals(t.cpu.blocks.resets, 1 + 2);
  assertEquals(Math.max(...blocks) <= most, true, `${blocks}`);
  assertEquals(go(t, CODE_BASE), "halted");
});

Deno.test("there are only so many blocks, however short they are", () => {
  const t = new TestCpu(64);
  const count = MOST_PLACES + 1000;
  t.write(CODE_BASE, Array.from({ length: 2 * count }, (_, i) => i % 2 === 0 ? 0xeb : 0)); // jmp to the next one
  t.write(CODE_BASE + 2 * count, [HLT]);
  assertEquals(go(t, CODE_BASE, 1_000_000_000), "halted");
  assertEquals(t.cpu.blocks.decoded, count + 1);
  assertEquals([t.cpu.blocks.resets, t.cpu.blocks.occupancy.blocks], [1 + 1, 1001]);
});
