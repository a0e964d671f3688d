// SPDX-License-Identifier: MIT
/** Regions of warm code: what they compute, how many instructions they count, and that they end with their code. @module */
import { assert, assertEquals } from "@std/assert";
import { CODE_BASE, DATA_BASE, PAGE_TABLES, STACK_TOP, TestCpu } from "../../_bare_cpu.ts";
import { CR0_WP, CR4_SMAP, S, TLB_ENTRIES } from "../../state/state.ts";

const le32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
const RAX = 0;
/** So many instructions that a region of warm code is made without delay. */
const NOPS = new Array<number>(32).fill(0x90);

/** Runs to HLT; slices as a machine has them. */
function finish(t: TestCpu): void {
  let end = t.resume(1_000_000);
  while (end === "budget") end = t.cpu.run(1_000_000);
  assertEquals(end, "halted");
}

/** fib(EDI) by the definition, in EAX; a loop, calls and returns. */
const FIB = [
  ...[0xe8, 1, 0, 0, 0, 0xf4], // call fib; hlt
  ...[0x83, 0xff, 2, 0x72, 0x16, 0x57, 0xff, 0xcf], // fib: cmp edi, 2; jb small; push rdi; dec edi
  ...[0xe8, 0xf3, 0xff, 0xff, 0xff, 0x5f, 0x50], // call fib; pop rdi; push rax
  ...[0x83, 0xef, 2, 0xe8, 0xe9, 0xff, 0xff, 0xff], // sub edi, 2; call fib
  ...[0x5a, 0x01, 0xd0, 0xc3, 0x89, 0xf8, 0xc3], // pop rdx; add eax, edx; ret; small: mov eax, edi; ret
];

Deno.test("recursive calls run as a region, with the result and the instruction count of handlers", () => {
  const counts = (["interp", "jit"] as const).map((engine) => {
    const t = new TestCpu(64, { engine });
    t.write(CODE_BASE, FIB);
    t.cpu.core.s.setGpr(7, 28n);
    finish(t);
    assertEquals(t.cpu.core.s.gpr(RAX), 317811n);
    assertEquals(t.cpu.regions.compiled > 0, engine === "jit");
    return t.cpu.instructions;
  });
  assertEquals(counts[0], counts[1]);
});

Deno.test("a guest that sleeps now and then has its warm code compiled in its sleep", () => {
  const t = new TestCpu(64, { engine: "jit" });
  const { cpu } = t;
  // mov ecx, 1000; loop: as much as a region wants; dec ecx; jnz loop; hlt
  t.write(CODE_BASE, [0xb9, ...le32(1000), ...NOPS, 0xff, 0xc9, 0x75, (-NOPS.length - 4) & 0xff, 0xf4]);
  for (let i = 0; i < 3; i++) {
    assertEquals([cpu.hasIdleWork, cpu.regions.compiled], [i >= 2, 0]);
    finish(t);
  }
  cpu.doIdleWork();
  assertEquals([cpu.hasIdleWork, cpu.regions.compiled], [false, 1]);
});

/**
 * EAX = sum of an immediate over ECX turns of an outer loop with an inner one of 700,000 turns; each outer turn changes
 * the immediate to ECX.
 */
const CHANGING = [
  ...[0x31, 0xc0], // xor eax, eax
  ...[0x89, 0x0c, 0x25, ...le32(CODE_BASE + 15)], // outer: mov [immediate], ecx
  ...[0xbb, ...le32(700_000)], // mov ebx, 700,000
  ...[0xb8 + 2, ...le32(0)], // inner: mov edx, immediate
  ...[0x01, 0xd0, 0xff, 0xcb, 0x75, 0xf5], // add eax, edx; dec ebx; jnz inner
  ...[0xff, 0xc9, 0x75, 0xe5], // dec ecx; jnz outer
  0xf4,
];

Deno.test("a region ends when its code changes, and gives its slot back", () => {
  const t = new TestCpu(64, { engine: "jit" });
  const { cpu } = t;
  const turns = 3;
  const rounds = Array.from({ length: 3 }, () => {
    t.write(CODE_BASE, CHANGING);
    cpu.core.s.setGpr(1, BigInt(turns));
    finish(t);
    assertEquals(cpu.core.s.gpr(RAX), BigInt(700_000 * (turns * (turns + 1) / 2) >>> 0));
    return { used: cpu.modules.slots.used, handlers: cpu.modules.handlers };
  });
  assert(cpu.regions.ended > 0, `${cpu.regions.ended} ended`);
  const [, second, third] = rounds;
  assert(
    (third?.used as number) - (second?.used as number) <= 2,
    `${second?.used} then ${third?.used} slots`,
  );
});

Deno.test("a block that a warm one's region has is hot after twice as many looks as others", () => {
  const t = new TestCpu(64, { engine: "jit" });
  const { cpu } = t, { s } = cpu.core;
  // loop: inc eax, forty times; dec ecx; jnz loop: warm after some four looks
  t.write(CODE_BASE, [...Array.from({ length: 40 }, () => [0xff, 0xc0]).flat(), 0xff, 0xc9, 0x75, 0xac]);
  s.setGpr(1, 100_000_000n);
  s.set64(S.rip, BigInt(CODE_BASE));
  const block = cpu.blocks.blockAt(cpu.blocks.lookup());
  assert(block !== undefined);
  /** Whether some region has it then, and a hot one. */
  const after = (looks: number) => {
    while (block.looks < looks) {
      assertEquals(cpu.run(16_000), "budget");
      if (cpu.hasIdleWork) cpu.doIdleWork();
    }
    return [cpu.regions.has(block), cpu.regions.isInHot(block)];
  };
  assertEquals(after(2), [false, false]);
  assertEquals(after(7), [true, false]);
  assertEquals(after(15), [true, false]);
  assertEquals(after(16), [true, true]);
});

Deno.test("with too much code the oldest regions end, their slots are used again, and what still runs gets others", () => {
  const functions = 128, f0 = CODE_BASE + 0x100, most = 8_000_000;
  const t = new TestCpu(64, { engine: "jit", codeBytes: most });
  const { cpu } = t, { s } = cpu.core;
  // loop: movzx edx, bl; shl edx, 6; lea edx, [rdx + r8]; call rdx; inc ebx; and ebx, r9d; dec ecx; jnz loop; hlt
  t.write(CODE_BASE, [
    ...[0x0f, 0xb6, 0xd3, 0xc1, 0xe2, 6, 0x42, 0x8d, 0x14, 0x02, 0xff, 0xd2],
    ...[0xff, 0xc3, 0x44, 0x21, 0xcb, 0xff, 0xc9, 0x75, 0xeb, 0xf4],
  ]);
  // each: add eax, its number; as much as a region wants; ret
  for (let i = 0; i < 6 * functions; i++) t.write(f0 + 64 * i, [0x05, ...le32(i), ...NOPS, 0xc3]);
  const regionsOf = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => {
      s.set64(S.rip, BigInt(f0 + 64 * (first + i)));
      const block = cpu.blocks.blockAt(cpu.blocks.lookup());
      return block !== undefined && cpu.regions.has(block);
    }).filter((has) => has).length;
  /** Calls `count` functions from `first` on in turn. */
  const run = (first: number, count: number, turns: number): void => {
    s.setGpr(RAX, 0n);
    s.setGpr(1, BigInt(count * turns));
    s.setGpr(3, 0n);
    s.setGpr(8, BigInt(f0 + 64 * first));
    s.setGpr(9, BigInt(count - 1));
    finish(t);
    assertEquals(
      s.gpr32(RAX),
      Number(BigInt.asUintN(32, BigInt(turns * count * (2 * first + count - 1) / 2))),
    );
  };
  run(0, 1, 100_000);
  assertEquals(regionsOf(0, 1), 1);
  for (let part = 1; part < 6; part++) {
    run(part * functions, functions, 6000);
    assert(cpu.regions.bytes <= most, `${cpu.regions.bytes} bytes`);
  }
  const { live, evicted, ended } = cpu.regions;
  assert(live < 3 * functions && evicted > 2 * functions, `${live} live, ${evicted} evicted`);
  assertEquals(ended, 0);
  assert(cpu.modules.slots.used < live + 300, `${cpu.modules.slots.used} slots for ${live} regions`);
  assertEquals(regionsOf(0, 1), 0);
  run(0, 1, 100_000);
  assertEquals(regionsOf(0, 1), 1);
});

Deno.test("a loop of a thousand instructions that all leave the region runs", () => {
  const t = new TestCpu(64, { engine: "jit" });
  const rdtscs = new Array<readonly number[]>(900).fill([0x0f, 0x31]).flat();
  // loop: rdtsc, 900 times; dec r8d; jnz loop; hlt
  const back = le32(-(rdtscs.length + 9));
  t.write(CODE_BASE, [...rdtscs, 0x41, 0xff, 0xc8, 0x0f, 0x85, ...back, 0xf4]);
  t.cpu.core.s.setGpr(8, 5000n);
  finish(t);
  assert(t.cpu.regions.compiled > 0);
  assertEquals(t.cpu.instructions, 5000 * 902 + 1);
});

Deno.test("a register that only some path of a region changes has its value when the region is left", () => {
  const t = new TestCpu(64, { engine: "jit" });
  // loop: test ecx, 1; jz even; inc ebx; jmp next; even: inc r8d; next: mov [DATA], ecx; dec ecx; jnz loop
  t.write(CODE_BASE, [
    ...[0xb9, ...le32(300_001), 0xf7, 0xc1, ...le32(1), 0x74, 4, 0xff, 0xc3, 0xeb, 3, 0x41, 0xff, 0xc0],
    ...[0x89, 0x0c, 0x25, ...le32(DATA_BASE), 0xff, 0xc9, 0x75, 0xe6, 0xf4],
  ]);
  finish(t);
  assertEquals([3, 8].map((r) => t.cpu.core.s.gpr(r)), [150_001n, 150_000n]);
  assert(t.cpu.regions.compiled > 0);
});

Deno.test("a function that a loop calls through a pointer is in the loop's region", () => {
  // mov r12d, turns; lea rbx, [f]; loop: call rbx; dec r12d; jnz loop; hlt; f: add eax, r12d; ret
  const code = [
    ...[0x41, 0xbc, ...le32(400_000), 0x48, 0x8d, 0x1d, ...le32(8)],
    ...[0xff, 0xd3, 0x41, 0xff, 0xcc, 0x75, 0xf9, 0xf4, 0x44, 0x01, 0xe0, 0xc3],
  ];
  const [interp, jit] = (["interp", "jit"] as const).map((engine) => {
    const t = new TestCpu(64, { engine });
    t.write(CODE_BASE, code);
    finish(t);
    return t;
  }) as [TestCpu, TestCpu];
  assertEquals(jit.cpu.core.s.gpr(RAX), interp.cpu.core.s.gpr(RAX));
  assertEquals(jit.cpu.instructions, interp.cpu.instructions);
  const blockOf = (offset: number) => {
    jit.cpu.core.s.set64(S.rip, BigInt(CODE_BASE + offset));
    return jit.cpu.blocks.blockAt(jit.cpu.blocks.lookup());
  };
  const [loop, f] = [blockOf(13), blockOf(21)];
  assert(loop !== undefined && f !== undefined);
  assert(jit.cpu.regions.together(loop, f));
});

Deno.test("a function of a page that the TLB has lost is in the region of the loop that calls it", () => {
  const turns = 40_000, f = CODE_BASE + 0x1000;
  const t = new TestCpu(64, { engine: "jit" });
  // mov ecx, turns; loop: call f; invlpg [f]; mov edx, 60; inner: dec edx; jnz inner; dec ecx; jnz loop; hlt
  const loop = CODE_BASE + 5, behind = loop + 5, inner = behind + 8 + 5;
  t.write(CODE_BASE, [
    ...[0xb9, ...le32(turns), 0xe8, ...le32(f - behind), 0x0f, 0x01, 0x3c, 0x25, ...le32(f)],
    ...[0xba, ...le32(60), 0xff, 0xca, 0x75, 0xfc, 0xff, 0xc9, 0x75, 0x100 - (inner + 8 - loop), 0xf4],
  ]);
  t.write(f, [0x01, 0xc8, ...NOPS, 0xc3]); // add eax, ecx; ret
  finish(t);
  assertEquals(t.cpu.core.s.gpr(RAX), BigInt(turns * (turns + 1) / 2));
  const blockOf = (linear: number) => {
    t.cpu.core.s.set64(S.rip, BigInt(linear));
    return t.cpu.blocks.blockAt(t.cpu.blocks.lookup());
  };
  const [caller, called] = [blockOf(loop), blockOf(f)];
  assert(caller !== undefined && called !== undefined && t.cpu.regions.has(caller));
  assert(t.cpu.regions.together(caller, called));
});

Deno.test("loops that call the same large function do not each have a copy of it", () => {
  const loops = 8, turns = 60_000, large = 200, f = CODE_BASE + 0x1000;
  const t = new TestCpu(64, { engine: "jit" });
  const nops = (count: number) => new Array<number>(count).fill(0x90);
  const body = 100, call = 5 + body, end = call + 5;
  for (let i = 0; i < loops; i++) {
    const at = CODE_BASE + i * (end + 4);
    // mov ecx, turns; loop: as much as samples find; call f; dec ecx; jnz loop
    t.write(at, [0xb9, ...le32(turns), ...nops(body), 0xe8, ...le32(f - (at + end))]);
    t.write(at + end, [0xff, 0xc9, 0x75, 0x100 - (body + 9)]);
  }
  t.write(CODE_BASE + loops * (end + 4), [0xf4]);
  t.write(f, [...nops(large), 0xff, 0xc0, 0xc3]); // inc eax; ret
  finish(t);
  assertEquals(t.cpu.core.s.gpr(RAX), BigInt(loops * turns));
  assert(t.cpu.regions.codeInstructions > large);
  const most = 2 * loops * (body + 3) + 2 * large;
  assert(t.cpu.regions.codeInstructions < most, `${t.cpu.regions.codeInstructions} instructions in regions`);
});

Deno.test("a program with no block that samples find often runs in regions, too", () => {
  const functions = 256, turns = 4000, f0 = CODE_BASE + 0x100;
  const t = new TestCpu(64, { engine: "jit" });
  // loop: movzx edx, cl; shl edx, 6; add edx, f0; call rdx; dec ecx; jnz loop; hlt
  t.write(CODE_BASE, [
    ...[0xb9, ...le32(functions * turns), 0x0f, 0xb6, 0xd1, 0xc1, 0xe2, 6, 0x81, 0xc2, ...le32(f0)],
    ...[0xff, 0xd2, 0xff, 0xc9, 0x75, 0xee, 0xf4],
  ]);
  // each: add eax, its number; as much as a region wants; ret
  for (let i = 0; i < functions; i++) t.write(f0 + 64 * i, [0x05, ...le32(i), ...NOPS, 0xc3]);
  finish(t);
  assertEquals(t.cpu.core.s.gpr(RAX), BigInt(turns * functions * (functions - 1) / 2) & 0xffff_ffffn);
  const found = Array.from({ length: functions }, (_, i) => {
    t.cpu.core.s.set64(S.rip, BigInt(f0 + 64 * i));
    const block = t.cpu.blocks.blockAt(t.cpu.blocks.lookup());
    return block !== undefined && t.cpu.regions.has(block);
  }).filter((is) => is).length;
  assertEquals(found, functions);
});

/**
 * R8D turns of `repeat` at pseudo-random places of the 8 KiB from DATA_BASE on, with a count below 64: within a page and
 * over its end, apart, overlapping either way, on the same place, none at all. What they move is pseudo-random, too.
 */
function repeating(repeat: readonly number[]): number[] {
  const loop = [
    ...[0x45, 0x69, 0xc9, ...le32(1_103_515_245), 0x41, 0x81, 0xc1, ...le32(12_345)], // imul r9d, r9d, …; add r9d, …
    ...[0x44, 0x89, 0xca, 0xc1, 0xea, 16, 0x81, 0xe2, ...le32(0x1fff)], // mov edx, r9d; shr edx, 16; and edx, 0x1fff
    ...[0x44, 0x89, 0x8a, ...le32(DATA_BASE), 0x8d, 0xba, ...le32(DATA_BASE)], // mov [rdx+data], r9d; lea edi, [rdx+data]
    ...[0x44, 0x89, 0xce, 0xc1, 0xee, 8, 0x83, 0xe6, 0x7f], // mov esi, r9d; shr esi, 8; and esi, 0x7f
    ...[0x8d, 0x74, 0x37, 0xc0], // lea esi, [rdi+rsi-64]
    ...[0x44, 0x89, 0xc9, 0xc1, 0xe9, 26], // mov ecx, r9d; shr ecx, 26
    ...[...repeat, 0x48, 0x01, 0xf3, 0x48, 0x01, 0xfb, 0x48, 0x01, 0xcb], // repeat; add rbx, rsi; add rbx, rdi; add rbx, rcx
    ...[0x41, 0xff, 0xc8], // dec r8d
  ];
  return [...loop, 0x75, 256 - loop.length - 2, 0xf4]; // jnz loop; hlt
}
const SPREAD = 0x4242_4242_4242_4242n, UNEVEN = 0x0123_4567_89ab_cdefn;
for (
  const [what, repeat, rax, stays] of [
    ["REP MOVSB", [0xf3, 0xa4], SPREAD, false],
    ["REP MOVSQ", [0xf3, 0x48, 0xa5], SPREAD, false],
    ["REP MOVSB downwards", [0xfd, 0xf3, 0xa4, 0xfc], SPREAD, false],
    ["REP STOSB", [0xf3, 0xaa], UNEVEN, true],
    ["REP STOSQ of one byte", [0xf3, 0x48, 0xab], SPREAD, true],
    ["REP STOSQ of several bytes", [0xf3, 0x48, 0xab], UNEVEN, false],
    ["REP STOSB downwards", [0xfd, 0xf3, 0xaa, 0xfc], UNEVEN, false],
  ] as const
) {
  Deno.test(`${what} in a region does what it does in a handler${stays ? ", and goes on there" : ""}`, () => {
    const turns = 300_000;
    const [interp, jit] = (["interp", "jit"] as const).map((engine) => {
      const t = new TestCpu(64, { engine });
      t.write(CODE_BASE, repeating(repeat));
      t.cpu.core.s.setGpr(RAX, rax);
      t.cpu.core.s.setGpr(8, BigInt(turns));
      finish(t);
      return t;
    }) as [TestCpu, TestCpu];
    const dataOf = ({ memory }: TestCpu) =>
      memory.bytes.slice(memory.offsetOf(DATA_BASE - 0x1000), memory.offsetOf(DATA_BASE + 0x3000));
    assertEquals(dataOf(jit), dataOf(interp));
    for (let r = 0; r < 16; r++) assertEquals(jit.cpu.core.s.gpr(r), interp.cpu.core.s.gpr(r));
    assertEquals(jit.cpu.instructions, interp.cpu.instructions);
    assert(jit.cpu.regions.compiled > 0);
    const { "instructions.handlers": handlers = 0 } = jit.cpu.counters();
    // Before there is a region, and for those over the end of a page.
    if (stays) {
      assert(handlers < jit.cpu.instructions / 4, `${handlers} of ${jit.cpu.instructions} in handlers`);
    }
  });
}

Deno.test("a region has no more entries than a byte can number", () => {
  const leaving = 300, turns = 2500;
  const t = new TestCpu(64, { engine: "jit" });
  // mov edi, turns; loop: 300 times (cpuid, which regions leave for; add esi, its number); dec edi; jnz loop; hlt
  const start = CODE_BASE + 5, end = start + 8 * leaving;
  t.write(CODE_BASE, [0xbf, ...le32(turns)]);
  for (let i = 0; i < leaving; i++) t.write(start + 8 * i, [0x0f, 0xa2, 0x81, 0xc6, ...le32(i)]);
  t.write(end, [0xff, 0xcf, 0x0f, 0x85, ...le32(start - (end + 8)), 0xf4]);
  finish(t);
  assertEquals(t.cpu.core.s.gpr32(6), turns * leaving * (leaving - 1) / 2);
  assert(t.cpu.regions.compiled > 0);
});

Deno.test("a block that its region always leaves before its end gets no other one, however often handlers run the rest", () => {
  const turns = 600_000;
  const t = new TestCpu(64, { engine: "jit" });
  // mov edi, 2 before the end of a page; mov edx, turns; loop: mov eax, [rdi]; dec edx; jnz loop; hlt
  const loop = [0x8b, 0x07, ...NOPS, 0xff, 0xca];
  t.write(CODE_BASE, [0xbf, ...le32((DATA_BASE & ~0xfff) + 0xffe), 0xba, ...le32(turns)]);
  t.write(CODE_BASE + 10, [...loop, 0x0f, 0x85, ...le32(-(loop.length + 6)), 0xf4]);
  finish(t);
  const { compiled } = t.cpu.regions;
  assert(compiled >= 1 && compiled <= 3, `${compiled} regions`);
});
Deno.test("blocks that only branches within their page lead to are warm by their own count, and have one region each", () => {
  const blocks = 256, turns = 10_000;
  const t = new TestCpu(64, { engine: "jit" });
  // mov ecx, turns; loop: 256 times (add eax, its number; jmp to the next one); dec ecx; jnz loop; hlt
  const start = CODE_BASE + 5;
  t.write(CODE_BASE, [0xb9, ...le32(turns)]);
  for (let i = 0; i < blocks; i++) t.write(start + 8 * i, [0x05, ...le32(i), 0xeb, 1, 0x90]);
  const end = start + 8 * blocks;
  t.write(end, [0xff, 0xc9, 0x0f, 0x85, ...le32(start - (end + 8)), 0xf4]);
  finish(t);
  assertEquals(t.cpu.core.s.gpr(RAX), BigInt(turns * blocks * (blocks - 1) / 2) & 0xffff_ffffn);
  const { "instructions.handlers": handlers = 0, "regions.code_instructions": code = 0 } = t.cpu.counters();
  assert(handlers < 0.4 * t.cpu.instructions, `${handlers} of ${t.cpu.instructions} in handlers`);
  assert(code >= 2 * blocks && code < 2.2 * blocks, `${code} instructions compiled`);
});

Deno.test("CF of a product of 64 bits goes around a loop, into another turn and out of it", () => {
  const signed = (v: bigint) => BigInt.asIntN(64, v);
  for (
    const [first, factor] of [[5n, 1n], [5n, -1n], [-7n, 3n], [1n << 62n, 1n], [0x9e37_79b9_7f4a_7c15n, 5n]]
  ) {
    const turns = 500_001;
    let rax = signed(first as bigint), carries = 0n, carry = 0n;
    for (let i = 0; i < turns; i++) {
      carries += carry;
      const product = rax * (factor as bigint);
      rax = signed(product);
      carry = rax === product ? 0n : 1n;
    }
    for (const engine of ["interp", "jit"] as const) {
      const t = new TestCpu(64, { engine });
      // mov ecx, turns; xor ebx, ebx; loop: adc rbx, 0; imul rax, r8; dec ecx; jnz loop; setc dl; hlt
      t.write(CODE_BASE, [
        ...[0xb9, ...le32(turns), 0x31, 0xdb, 0x48, 0x83, 0xd3, 0, 0x49, 0x0f, 0xaf, 0xc0],
        ...[0xff, 0xc9, 0x75, 0xf4, 0x0f, 0x92, 0xc2, 0xf4],
      ]);
      const { s } = t.cpu.core;
      s.setGpr(RAX, BigInt.asUintN(64, first as bigint));
      s.setGpr(2, 0n);
      s.setGpr(8, BigInt.asUintN(64, factor as bigint));
      finish(t);
      assertEquals([signed(s.gpr(RAX)), s.gpr(3), s.gpr(2)], [rax, carries, carry], engine);
      assertEquals(t.cpu.regions.compiled > 0, engine === "jit");
      // the same without looking at CF on the way: imul rax, r8; dec ecx; jnz loop; setc dl; hlt
      t.write(CODE_BASE + 0x100, [
        ...[0xb9, ...le32(turns), 0x49, 0x0f, 0xaf, 0xc0, 0xff, 0xc9, 0x75, 0xf8, 0x0f, 0x92, 0xc2, 0xf4],
      ]);
      s.set64(S.rip, BigInt(CODE_BASE + 0x100));
      s.setGpr(RAX, BigInt.asUintN(64, first as bigint));
      s.setGpr(2, 0n);
      t.cpu.halted = false;
      let end = t.cpu.run(1_000_000);
      while (end === "budget") end = t.cpu.run(1_000_000);
      assertEquals([end, signed(s.gpr(RAX)), s.gpr(2)], ["halted", rax, carry], engine);
    }
  }
});

Deno.test("a page that a region knows is elsewhere after INVLPG, a load of CR3, and when the TLB has lost it", () => {
  const LARGE = 1 << 21, entry = 100;
  const away = TLB_ENTRIES * 4096 / LARGE; // so many further on, a page has the same entry of the TLB
  const ways: readonly (readonly [string, readonly number[]])[] = [
    ["invlpg [rsi]", [0x0f, 0x01, 0x3e]],
    ["mov cr3, r10", [0x41, 0x0f, 0x22, 0xda]],
    ["mov rax, [r11 + 0], which has its entry of the TLB", [0x49, 0x8b, 0x43, 0]],
  ];
  for (const [how, bytes] of ways) {
    const t = new TestCpu(64, { engine: "jit" });
    const { s } = t.cpu.core, { view } = t.memory;
    const directory = PAGE_TABLES + 0x2000 + entry * 8;
    const pageOf = (turn: number) => BigInt(turn * LARGE | 0x83);
    const put = (gpa: number, value: bigint) => view.setBigUint64(t.memory.offsetOf(gpa), value, true);
    put(directory, pageOf(3));
    put(directory + away * 8, pageOf(0));
    // Where the page is in the turn after.
    for (const turn of [3, 2, 1]) put(DATA_BASE + turn * 8, pageOf(Math.max(1, turn - 1)));
    // outer: mov ecx, 300,000; inner: push rcx; add rsp, 8; mov [rsi], rcx; dec ecx; jnz inner; push rbx; add rsp, 8
    // mov [rsi], rbx; mov rax, [r8 + rbx * 8]; mov [r9], rax; how; dec ebx; jnz outer; hlt
    const code = [
      ...[0xb9, ...le32(300_000), 0x51, 0x48, 0x83, 0xc4, 8, 0x48, 0x89, 0x0e, 0xff, 0xc9, 0x75, 0xf4],
      ...[0x53, 0x48, 0x83, 0xc4, 8, 0x48, 0x89, 0x1e, 0x49, 0x8b, 0x04, 0xd8, 0x49, 0x89, 0x01],
      ...[...bytes, 0xff, 0xcb, 0x75],
    ];
    t.write(CODE_BASE, [...code, 0xff - code.length, 0xf4]);
    s.setGpr(3, 3n);
    s.setGpr(4, BigInt(entry * LARGE + 0x800));
    s.setGpr(6, BigInt(entry * LARGE + 0x840));
    s.setGpr(8, BigInt(DATA_BASE));
    s.setGpr(9, BigInt(directory));
    s.setGpr(10, BigInt(PAGE_TABLES));
    s.setGpr(11, BigInt((entry + away) * LARGE + 0x800));
    finish(t);
    assert(t.cpu.regions.compiled > 0);
    for (const place of [0x7f8, 0x840]) {
      const found = [3, 2, 1].map((turn) => view.getBigUint64(t.memory.offsetOf(turn * LARGE + place), true));
      assertEquals(found, [3n, 2n, 1n], how);
    }
  }
});

Deno.test("a page that regions know is not there for writing if one of them read it only, nor without AC under SMAP", () => {
  const user = 0x40_0000, turns = 400_000, loops = CODE_BASE + 0x100;
  for (const engine of ["interp", "jit"] as const) {
    const t = new TestCpu(64, { engine });
    const { core } = t.cpu, { s } = core, { view } = t.memory;
    const setEntry = (table: number, index: number, value: number) =>
      view.setBigUint64(t.memory.offsetOf(table + index * 8), BigInt(value), true);
    for (const table of [PAGE_TABLES, PAGE_TABLES + 0x1000]) setEntry(table, 0, table + 0x1000 | 7);
    setEntry(PAGE_TABLES + 0x2000, user >> 21, user | 0x85); // only to be read
    s.set64(S.cr0, s.get64(S.cr0) | BigInt(CR0_WP));
    s.set64(S.cr4, s.get64(S.cr4) | BigInt(CR4_SMAP));
    core.mmu.flush();
    core.updateMode();
    // stac; opened: mov eax, [rsi]; dec ecx; jnz opened; clac; jmp reads
    // reads: mov ebx, [rsi]; dec edx; jnz reads; hlt. writes: mov [rsi], ebx; dec edx; jnz writes; hlt
    const opened = [0x0f, 0x01, 0xcb, 0x8b, 0x06, 0xff, 0xc9, 0x75, 0xfa];
    const reads = loops + 0x40, writes = loops + 0x80;
    const jumpTo = (to: number, from: number) => [0xe9, ...le32(to - (from + 5))];
    const then = loops + opened.length;
    t.write(loops, [...opened, 0x0f, 0x01, 0xca, ...jumpTo(reads, then + 3)]);
    t.write(reads, [0x8b, 0x1e, 0xff, 0xca, 0x75, 0xfa, 0xf4]);
    t.write(writes, [0x89, 0x1e, 0xff, 0xca, 0x75, 0xfa, 0xf4]);
    const run = (rip: number, address: number): string => {
      core.setRflags(2);
      core.updateMode();
      s.set64(S.rip, BigInt(rip));
      s.setGpr(6, BigInt(address));
      s.setGpr(1, BigInt(turns));
      s.setGpr(2, BigInt(turns));
      t.cpu.halted = false;
      let end = t.cpu.run(1_000_000);
      while (end === "budget") end = t.cpu.run(1_000_000);
      return end;
    };
    assertEquals(run(reads, DATA_BASE), "halted");
    assertEquals(run(writes, DATA_BASE), "halted");
    assertEquals(run(loops, DATA_BASE), "halted");
    assert(t.cpu.regions.compiled >= (engine === "jit" ? 3 : 0));
    assertEquals(run(loops, user), "shutdown");
    assertEquals([s.get64(S.cr2), s.gpr32(2)], [BigInt(user), turns]);
    t.write(then, jumpTo(writes, then));
    assertEquals(run(loops, user), "shutdown");
    assertEquals([s.get64(S.cr2), s.gpr32(2)], [BigInt(user), turns]);
    // Within a block: loop: mov rsi, [rdi]; stac; mov eax, [rsi]; clac; mov ebx, [rsi]; dec ecx; jnz loop; hlt
    const block = loops + 0xc0;
    t.write(block, [
      ...[0x48, 0x8b, 0x37, 0x0f, 0x01, 0xcb, 0x8b, 0x06, 0x0f, 0x01, 0xca, 0x8b, 0x1e],
      ...[0xff, 0xc9, 0x75, 0xef, 0xf4],
    ]);
    s.setGpr(7, BigInt(DATA_BASE));
    view.setBigUint64(t.memory.offsetOf(DATA_BASE), BigInt(DATA_BASE), true);
    const compiled = t.cpu.regions.compiled;
    assertEquals(run(block, 0), "halted");
    assertEquals(t.cpu.regions.compiled > compiled, engine === "jit");
    view.setBigUint64(t.memory.offsetOf(DATA_BASE), BigInt(user), true);
    for (let n = 0; n < 2; n++) { // the second time the TLB has the page for accesses with AC
      assertEquals(run(block, 0), "shutdown");
      assertEquals([s.get64(S.cr2), s.gpr32(1)], [BigInt(user), turns]);
    }
  }
});

Deno.test("from region to region: into another page, to code that has changed, and to a page that has moved", () => {
  const functions = 64, turns = 7000, pages = 0x20_0000, pageTable = 0x9000;
  const [first, second, other] = [0x40_0000, 0x50_0000, 0x60_0000] as const;
  const all = (["interp", "jit"] as const).map((engine) => {
    const t = new TestCpu(64, { engine });
    const map = (page: number, place: number) => {
      t.memory.view.setBigUint64(t.memory.offsetOf(pageTable) + 8 * page, BigInt(place) | 3n, true);
      t.cpu.core.mmu.flush();
    };
    t.memory.view.setBigUint64(t.memory.offsetOf(0x3000) + 8, BigInt(pageTable) | 3n, true);
    map(0, first);
    map(1, second);
    // loop: mov edx, ecx; and edx, 63; shl edx, 6; add edx, pages; call rdx; dec ecx; jnz loop; hlt
    t.write(CODE_BASE, [
      ...[0x89, 0xca, 0x83, 0xe2, functions - 1, 0xc1, 0xe2, 6, 0x81, 0xc2, ...le32(pages)],
      ...[0xff, 0xd2, 0xff, 0xc9, 0x75, 0xec, 0xf4],
    ]);
    // each: add eax, its number; jmp g, in the next page. g: add eax, imm32; ret
    for (let i = 0; i < functions; i++) {
      const jump = 64 * i + 5 + NOPS.length;
      t.write(first + 64 * i, [0x05, ...le32(i), ...NOPS, 0xe9, ...le32(0x1000 - (jump + 5))]);
    }
    t.write(second, [0x05, ...le32(1000), 0xc3]);
    t.write(other, [0x05, ...le32(3000), 0xc3]);
    const { core } = t.cpu;
    const sum = (count: number): number => {
      core.s.setGpr(RAX, 0n);
      core.s.setGpr(1, BigInt(count));
      finish(t);
      return core.s.gpr32(RAX);
    };
    const sums = [sum(functions * turns)];
    if (engine === "jit") {
      const blockAt = (linear: number) => {
        core.s.set64(S.rip, BigInt(linear));
        const block = t.cpu.blocks.blockAt(t.cpu.blocks.lookup());
        assert(block !== undefined && t.cpu.regions.has(block));
        return block;
      };
      const g = blockAt(pages + 0x1000);
      const apart = Array.from({ length: functions }, (_, i) => blockAt(pages + 64 * i))
        .filter((block) => !t.cpu.regions.together(block, g)).length;
      assert(apart >= functions / 2, `${apart} functions have regions without what they go to`);
    }
    const turn = () => sum(functions) - functions * (functions - 1) / 2;
    map(1, other);
    sums.push(turn());
    map(1, second);
    sums.push(turn());
    t.write(second + 1, le32(2000));
    sums.push(turn());
    return { sums, instructions: t.cpu.instructions };
  });
  assertEquals(all[1], all[0]);
  assertEquals(all[1]!.sums.slice(1), [3000, 1000, 2000].map((n) => n * functions));
});

const SHARING: readonly (readonly [string, readonly number[]])[] = [
  ["in a block", []],
  // test esi, esi; jz behind the store; mov r8d, [rbx + 8]; test esi, esi; jz behind the store
  ["over blocks", [0x85, 0xf6, 0x74, 11, 0x44, 0x8b, 0x43, 8, 0x85, 0xf6, 0x74, 3]],
];
for (const [where, branch] of SHARING) {
  Deno.test(`accesses with one base share a page ${where}: beyond it, over its end, read-only and missing ones are seen`, () => {
    const pages = 0x40_0000, pageTable = 0x9000, pointers = DATA_BASE, count = 64, turns = 4000;
    const all = (["interp", "jit"] as const).map((engine) => {
      const t = new TestCpu(64, { engine });
      const { core } = t.cpu, { s } = core, { view } = t.memory;
      const put = (gpa: number, value: bigint) => view.setBigUint64(t.memory.offsetOf(gpa), value, true);
      put(PAGE_TABLES + 0x2000 + 2 * 8, BigInt(pageTable) | 3n);
      // Two that may be written, one that may not, one that is missing; the later ones are before the earlier in memory.
      [3n, 3n, 1n, 0n].forEach((bits, i) => put(pageTable + i * 8, BigInt(0x60_0000 - i * 0x1000) | bits));
      t.write(0x5f_d000, Uint8Array.from({ length: 0x4000 }, (_, i) => i * 37 >> 3));
      t.handlers({ 14: CODE_BASE + 0x100 });
      t.write(CODE_BASE + 0x100, [0xf4]);
      s.set64(S.cr0, s.get64(S.cr0) | 0x1_0000n); // WP
      core.updateMode();
      core.mmu.flush();
      // outer: mov eax, [the third]: the TLB knows it; mov ecx, count - 1; inner: mov rbx, [rsi + rcx * 8]; mov eax, [rbx]
      // add eax, [rbx + 16]; the branch; add [rbx + 32], eax; xor edx, [rbx + 48]; dec ecx; jns inner; dec edi; jnz outer; hlt
      t.write(CODE_BASE, [
        ...[0x8b, 0x04, 0x25, ...le32(pages + 0x2000), 0xb9, ...le32(count - 1)],
        ...[0x48, 0x8b, 0x1c, 0xce, 0x8b, 0x03, 0x03, 0x43, 0x10, ...branch],
        ...[0x01, 0x43, 0x20, 0x33, 0x53, 0x30, 0xff, 0xc9, 0x79, 0xed - branch.length],
        ...[0xff, 0xcf, 0x75, 0xdd - branch.length, 0xf4],
      ]);
      const bytesAt = (gpa: number, count: number) => {
        const bytes = new Uint8Array(count);
        t.memory.read(gpa, bytes);
        return Array.from(bytes);
      };
      const point = (i: number, offset: number) => put(pointers + i * 8, BigInt(pages + offset));
      const run = (times: number) => {
        s.setGpr(4, BigInt(STACK_TOP));
        s.setGpr(6, BigInt(pointers));
        s.setGpr(7, BigInt(times));
        finish(t);
        const frame = STACK_TOP - 48;
        return {
          registers: [0, 1, 2, 3, 4, 7].map((r) => s.gpr(r)),
          frame: bytesAt(frame, 48),
          errorCode: view.getUint32(t.memory.offsetOf(frame), true),
          cr2: s.get64(S.cr2),
          memory: bytesAt(0x5f_d000, 0x4000).reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 0),
          instructions: t.cpu.instructions,
        };
      };
      // Within the first page, a piece in the second, over the border in the middle of an access.
      const ends = [0xfc0, 0xfd0, 0xfe0, 0xff0, 0xff8, 0xffd, 0xfed, 0xfdd, 0xfcd];
      for (let i = 0; i < count; i++) point(i, i % 4 === 0 ? ends[(i >> 2) % ends.length] as number : i * 44);
      const warm = run(turns);
      assertEquals(t.cpu.regions.compiled > 0, engine === "jit");
      const faults = [0x2100, 0x1fe8, 0x1fdd, 0x2ff4].map((offset) => {
        point(7, offset);
        return run(2);
      });
      return { warm, faults };
    });
    const [interp, jit] = all;
    assertEquals(jit, interp);
    assertEquals(
      interp!.faults.map(({ cr2, errorCode }) => [cr2 - BigInt(pages), errorCode]),
      [[0x2120n, 3], [0x2008n, 3], [0x2000n, 3], [0x3004n, 0]],
    );
  });
}
