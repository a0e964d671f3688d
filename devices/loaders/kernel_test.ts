// SPDX-License-Identifier: MIT
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { GiB, MiB } from "../../cpu/base/bits.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { guestFile } from "./_guest_files.ts";
import type { EntryState } from "./entry_state.ts";
import { type BootProtocol, loadKernel } from "./kernel.ts";
import { E820_RAM, pcMemoryMap } from "./memory_map.ts";
import { hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info } from "./pvh.ts";
import { makeBzImage } from "./testdata/make_bzimage.ts";
import { makeElf } from "./testdata/make_elf.ts";

const RAM = 64 * MiB;

function rig(ramBytes = RAM) {
  const memory = new GuestMemory(ramBytes);
  memory.bytes.fill(0xa5, memory.map.ram, memory.map.ram + Math.min(ramBytes, 4 * MiB)); // unwritten bytes show
  return { memory, view: new DataView(memory.bytes.buffer, memory.map.ram, ramBytes) };
}
const file = (name: string, bytes: Uint8Array) => ({ name, bytes });
const base = { cmdline: "console=hvc0", e820: pcMemoryMap(RAM), rsdp: 0xe_0000 };

function cString(view: DataView, at: number): string {
  let text = "";
  for (let c; (c = view.getUint8(at++)) !== 0;) text += String.fromCharCode(c);
  return text;
}

Deno.test("hvm_start_info, its modules and its memory map have the sizes of start_info.h", () => {
  assertEquals([hvm_start_info.size, hvm_modlist_entry.size, hvm_memmap_table_entry.size], [56, 32, 24]);
  assertEquals([hvm_start_info.at.rsdp_paddr, hvm_start_info.at.memmap_entries], [32, 48]);
});

for (const bits of [32, 64] as const) {
  Deno.test(`an ELF${bits} with a PVH note starts in 32-bit mode with everything in hvm_start_info`, async () => {
    const { memory, view } = rig();
    const initrd = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff);
    const state = await loadKernel(memory, {
      ...base,
      kernel: file("k", makeElf({ bits, phys32Entry: 0x10_0010 })),
      initrd: file("i", initrd),
    });
    // docs/misc/pvh.pandoc
    assertEquals([state.mode, state.rip, state.cr0 & 0x8000_0001, state.cr4, state.efer], [
      32,
      0x10_0010,
      1,
      0,
      0,
    ]);
    assertEquals([state.cs.base, state.cs.limit, state.cs.access & 0x609b], [0, 0xffff_ffff, 0x409b]);
    assertEquals([state.data.limit, state.data.access & 0xff], [0xffff_ffff, 0x93]);
    assertEquals([state.tr.limit, state.tr.access], [0x67, 0x8b]);
    assertEquals(state.rflags, 2);
    assertEquals([view.getUint8(0x10_0000), view.getUint8(0x10_003f), view.getUint8(0x10_0040)], [1, 64, 0]);
    assertEquals([view.getUint8(0x10_1fff), view.getUint8(0x10_2000)], [0, 0xa5]);

    const info = state.gprs.rbx ?? 0;
    const u64 = (at: number) => Number(view.getBigUint64(at, true));
    assertEquals([view.getUint32(info, true), view.getUint32(info + 4, true)], [0x336e_c578, 1]);
    assertEquals([view.getUint32(info + 8, true), view.getUint32(info + 12, true)], [0, 1]);
    const module = u64(info + 16);
    assertEquals([u64(module + 8), u64(module + 16), u64(module + 24)], [5000, 0, 0]);
    const at = u64(module);
    assertEquals(new Uint8Array(view.buffer, view.byteOffset + at, 5000), initrd);
    assertEquals([at % 4096, at + 8192], [0, RAM]);
    assertEquals(cString(view, u64(info + 24)), "console=hvc0");
    assertEquals(u64(info + 32), 0xe_0000);
    const map = base.e820.map((_, i) => {
      const entry = u64(info + 40) + 24 * i;
      assertEquals(view.getUint32(entry + 20, true), 0);
      return { addr: u64(entry), size: u64(entry + 8), type: view.getUint32(entry + 16, true) };
    });
    assertEquals([view.getUint32(info + 48, true), map], [map.length, base.e820]);
  });
}

Deno.test("PVH without initrd has no modules", async () => {
  const { memory, view } = rig();
  const state = await loadKernel(memory, {
    ...base,
    kernel: file("k", makeElf({ bits: 32, phys32Entry: 0x10_0010 })),
  });
  const info = state.gprs.rbx ?? 0;
  assertEquals([view.getUint32(info + 12, true), view.getBigUint64(info + 16, true)], [0, 0n]);
});

for (const mode of [64, 32] as const) {
  Deno.test(`a bzImage starts at its ${mode}-bit entry as boot.rst says`, async () => {
    const { memory, view } = rig();
    const state = await loadKernel(memory, {
      ...base,
      kernel: file("k", makeBzImage()),
      initrd: file("i", new Uint8Array(10_000).fill(0x77)),
      protocol: `bzimage${mode}`,
    });
    assertEquals([state.mode, state.rip], [mode, mode === 64 ? 0x10_0200 : 0x10_0000]);
    assertEquals([state.cs.selector, state.data.selector], [0x10, 0x18]); // __BOOT_CS, __BOOT_DS
    assertEquals(view.getUint8(0x10_0000), 0x90);
    const zero = state.gprs.rsi ?? 0;
    assertEquals([zero % 4096, view.getUint16(zero + 0x1fe, true), view.getUint32(zero + 0x202, true)], [
      0,
      0xaa55,
      0x5372_6448,
    ]);
    assertEquals([view.getUint8(zero + 0x210), view.getUint8(zero + 0x211) & 1], [0xff, 1]);
    assertEquals(cString(view, view.getUint32(zero + 0x228, true)), "console=hvc0");
    const initrd = view.getUint32(zero + 0x218, true);
    assertEquals([view.getUint32(zero + 0x21c, true), initrd + 3 * 4096], [10_000, 32 * MiB]); // initrd_addr_max
    assertEquals(view.getUint8(initrd + 9999), 0x77);
    assertEquals(Number(view.getBigUint64(zero + 0x70, true)), 0xe_0000);
    assertEquals([view.getUint8(zero + 0x1e8), view.getUint8(zero + 0x1ef)], [base.e820.length, 0]);
    base.e820.forEach((range, i) => {
      const at = zero + 0x2d0 + 20 * i;
      const got = [
        view.getBigUint64(at, true),
        view.getBigUint64(at + 8, true),
        view.getUint32(at + 16, true),
      ];
      assertEquals(got, [BigInt(range.addr), BigInt(range.size), range.type]);
    });
    if (mode === 64) checkLongMode(state, view);
    else assertEquals([state.cr0 & 0x8000_0001, state.cr4, state.efer], [1, 0, 0]);
  });
}

/** Walks the page tables as the CPU would and reads CS back from the GDT. */
function checkLongMode(state: EntryState, view: DataView): void {
  assertEquals([state.cr0 & 1, state.cr0 >>> 31, state.cr4 & 0x20, state.efer], [1, 1, 0x20, 0x500]);
  const next = (entry: bigint) => Number(entry & 0xf_ffff_f000n);
  for (const gva of [0, 0x1000, 0x10_0200, 0xc000_0000, 4 * GiB - 1]) {
    const pml4e = view.getBigUint64(state.cr3, true);
    const pdpte = view.getBigUint64(next(pml4e) + Math.floor(gva / 2 ** 30) * 8, true);
    const pde = view.getBigUint64(next(pdpte) + (Math.floor(gva / 2 ** 21) % 512) * 8, true);
    assertEquals([pml4e & 3n, pdpte & 0x83n, pde & 0x83n], [3n, 3n, 0x83n]);
    assertEquals(Number(pde & 0xf_ffe0_0000n) + (gva % 2 ** 21), gva);
  }
  // 0x00af9b000000ffff: flat 64-bit code, as in Linux's own boot GDT
  assertEquals(view.getBigUint64(state.gdtBase + 0x10, true), 0x00af_9b00_0000_ffffn);
  assertEquals(view.getBigUint64(state.gdtBase + 0x18, true), 0x00cf_9300_0000_ffffn);
  assertEquals(state.cs.access & 0x6000, 0x2000);
}

Deno.test("a vmlinux without a PVH note starts at startup_64 with boot_params", async () => {
  const { memory, view } = rig();
  const kernel = file("k", makeElf({ bits: 64, guestOs: "linux" }));
  const state = await loadKernel(memory, { ...base, kernel });
  assertEquals([state.mode, state.rip], [64, 0x10_0000]);
  checkLongMode(state, view);
  const zero = state.gprs.rsi ?? 0;
  assertEquals([view.getUint32(zero + 0x202, true), view.getUint8(zero + 0x210)], [0x5372_6448, 0xff]);
  assertEquals(cString(view, view.getUint32(zero + 0x228, true)), "console=hvc0");
});

// Documentation/arch/x86/boot.rst, "setup_data"; arch/x86/include/uapi/asm/bootparam.h
Deno.test("Linux finds a random seed in its setup_data", async () => {
  const seed = Uint8Array.from({ length: 32 }, (_, i) => 200 - i);
  const kernels = {
    bzImage: makeBzImage(),
    vmlinux: makeElf({ bits: 64, guestOs: "linux" }),
    "bzImage of protocol 2.08": makeBzImage((view) => view.setUint16(0x206, 0x0208, true)),
  };
  const found: Record<string, unknown> = {};
  for (const [name, bytes] of Object.entries(kernels)) {
    for (const given of [seed, undefined]) {
      const { memory, view } = rig();
      const state = await loadKernel(memory, { ...base, kernel: file("k", bytes), seed: given });
      const at = Number(view.getBigUint64((state.gprs.rsi ?? 0) + 0x250, true));
      found[`${name}, ${given === undefined ? "none" : "seed"}`] = at === 0 ? at : [
        view.getBigUint64(at, true), // next
        view.getUint32(at + 8, true), // SETUP_RNG_SEED
        ...new Uint8Array(view.buffer, view.byteOffset + at + 12, 4 + 32),
      ];
    }
  }
  const element = [0n, 9, 32, 0, 0, 0, ...seed];
  assertEquals(found, {
    "bzImage, seed": element,
    "bzImage, none": 0,
    "vmlinux, seed": element,
    "vmlinux, none": 0,
    "bzImage of protocol 2.08, seed": 0,
    "bzImage of protocol 2.08, none": 0,
  });
});

/** Two PT_LOADs, the second 32 bytes into the first. */
function overlapping(): Uint8Array {
  const bytes = makeElf({ bits: 64, phys32Entry: 0x10_0010 });
  const view = new DataView(bytes.buffer);
  const [first, second] = [64, 64 + 56]; // program headers: PT_NOTE, PT_LOAD
  const load = bytes.slice(second, second + 56);
  bytes.set(load, first);
  bytes.set(load, second);
  view.setBigUint64(second + 24, 0x10_0020n, true);
  view.setBigUint64(second + 40, 4096n, true);
  view.setUint32(first + 0, 1, true);
  // the note is found as a section
  const notesAt = 64 + 2 * 56;
  const notesBytes = bytes.length - 64 - notesAt;
  const withSection = new Uint8Array(bytes.length + 64);
  withSection.set(bytes);
  const out = new DataView(withSection.buffer);
  out.setBigUint64(40, BigInt(bytes.length), true);
  out.setUint16(58, 64, true);
  out.setUint16(60, 1, true);
  out.setUint32(bytes.length + 4, 7, true);
  out.setBigUint64(bytes.length + 24, BigInt(notesAt), true);
  out.setBigUint64(bytes.length + 32, BigInt(notesBytes), true);
  return withSection;
}

const pvh = (recipe = {}) => file("k", makeElf({ bits: 64, phys32Entry: 0x10_0010, ...recipe }));
const refusals: [string, Parameters<typeof loadKernel>[1], string][] = [
  [
    "an empty kernel",
    { ...base, kernel: file("k", new Uint8Array()) },
    'Cannot load kernel "k": it is empty',
  ],
  [
    "a text file",
    { ...base, kernel: file("k", new Uint8Array(5000).fill(0x41)) },
    "it is neither a bzImage nor an ELF",
  ],
  [
    "an empty initrd",
    { ...base, kernel: pvh(), initrd: file("i", new Uint8Array()) },
    'initrd "i": it is empty',
  ],
  [
    "an ELF without PVH note",
    { ...base, kernel: file("k", makeElf({ bits: 32 })) },
    "it has no PVH entry point",
  ],
  [
    "a PVH entry outside",
    { ...base, kernel: pvh({ phys32Entry: 0x20_0000 }) },
    "0x200000 is in none of its segments",
  ],
  [
    "a kernel above RAM",
    { ...base, kernel: pvh({ memoryBytes: RAM }) },
    "RAM ends at 0x4000000, give the guest more",
  ],
  [
    "a kernel in the VGA hole",
    { ...base, kernel: pvh({ paddr: 0xa_0000, phys32Entry: 0xa_0000 }) },
    'Cannot place segment 1 of kernel "k" at 0xa0000..0xa2000: video memory at 0xa0000..0xe0000 is in the way',
  ],
  [
    "a segment at the end of the hole below 1 MiB",
    { ...base, kernel: pvh({ paddr: 0xf_f000, phys32Entry: 0xf_f000 }) },
    "at 0xff000..0x101000: the area of ACPI tables and BIOS at 0xe0000..0x100000 is in the way",
  ],
  [
    "a segment over interrupt vectors",
    { ...base, kernel: pvh({ paddr: 0, phys32Entry: 0 }) },
    "the area of interrupt vectors and BIOS data at 0x0..0x1000 is in the way",
  ],
  [
    "segments that overlap",
    { ...base, kernel: file("k", overlapping()) },
    'Cannot place segment 2 of kernel "k" at 0x100020..0x101020: segment 1 of kernel "k" at 0x100000..0x102000 is',
  ],
  [
    "a segment above 4 GiB",
    { ...base, kernel: pvh({ paddr: 0x1_0000_0000 }) },
    "RAM never reaches beyond 0xc0000000, link it lower",
  ],
  [
    "a segment that wraps around",
    { ...base, kernel: pvh({ paddr: -4096 }) },
    "RAM never reaches beyond 0xc0000000, link it lower",
  ],
  [
    "a segment bigger in the file than in memory",
    { ...base, kernel: pvh({ memoryBytes: 63 }) },
    "one of its segments is bigger in the file than in memory",
  ],
  [
    "a PVH entry above 4 GiB",
    {
      ...base,
      kernel: pvh({
        notes: [4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6e, 0, 0, 0, 16, 0, 1, 0, 0, 0],
      }),
    },
    "its PVH entry point 0x100100000 is above 4 GiB",
  ],
  [
    "an ELF whose notes lie",
    { ...base, kernel: pvh({ notes: [4, 0, 0, 0, 0xff, 0xff, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6e, 0] }) },
    "it has no PVH entry point (XEN_ELFNOTE_PHYS32_ENTRY); some of its notes are malformed",
  ],
  [
    "a command line with a NUL",
    { ...base, cmdline: "a\0b", kernel: pvh() },
    "Cannot pass a command line with a NUL in it",
  ],
  [
    "a command line that a Linux would cut, by PVH",
    { ...base, cmdline: "x".repeat(2048), kernel: pvh({ guestOs: "linux" }) },
    "Cannot pass a command line of 2048 bytes: the kernel takes 2047",
  ],
  [
    "a command line that fills low memory",
    { ...base, cmdline: "x".repeat(RAM), kernel: pvh() },
    "Cannot place hvm_start_info: no",
  ],
  [
    "an initrd that does not fit",
    { ...base, kernel: pvh(), initrd: file("i", new Uint8Array(RAM)) },
    'Cannot place initrd "i": no 67108864 bytes of RAM are free',
  ],
  [
    "a truncated bzImage",
    { ...base, kernel: file("k", makeBzImage().subarray(0, 3000)) },
    "it is truncated: 3000 bytes of 5120",
  ],
  ...[0x0200, 0x0201, 0x0202, 0x0204, 0x0205, 0x0105].map((version): typeof refusals[number] => [
    `boot protocol ${version.toString(16)}`,
    { ...base, kernel: file("k", makeBzImage((v) => v.setUint16(0x206, version, true))) },
    "is older than 2.06: it starts in real mode, and there is no loader for that",
  ]),
  [
    "a loader that calls itself a bzImage (ipxe.lkrn: protocol 2.07, no 32-bit entry)",
    {
      ...base,
      kernel: file("k", makeBzImage((v) => (v.setUint16(0x206, 0x0207, true), v.setUint32(0x214, 0, true)))),
    },
    "it has no 32-bit entry point (boot protocol 2.07): it starts in real mode, and there is no loader for that",
  ],
  [
    "a boot sector that is a CD too",
    {
      ...base,
      kernel: file(
        "k",
        Uint8Array.from(
          { length: 0x9000 },
          (_, i) => [0x55, 0xaa][i - 510] ?? "CD001".charCodeAt(i - 0x8001) | 0,
        ),
      ),
    },
    "it is an image of a CD",
  ],
  [
    "an initramfs as kernel",
    { ...base, kernel: file("k", new TextEncoder().encode("070701" + "0".repeat(600))) },
    "it is neither a bzImage nor an ELF file: it is a cpio archive: give it as initrd",
  ],
  [
    "a header that ends early",
    { ...base, kernel: file("k", makeBzImage().subarray(0, 0x220)) },
    "it is truncated: 544 bytes",
  ],
  [
    "gzip of garbage",
    {
      ...base,
      kernel: file("k", Uint8Array.from({ length: 600 }, (_, i) => [0x1f, 0x8b, 8][i] ?? i & 0xff)),
    },
    'Cannot load kernel "k": bad gzip data: ',
  ],
  ["a zImage", { ...base, kernel: file("k", makeBzImage((v) => v.setUint8(0x211, 0))) }, "it is a zImage"],
  [
    "an old boot protocol",
    { ...base, kernel: file("k", makeBzImage((v) => v.setUint16(0x206, 0x0203, true))) },
    "its boot protocol 2.03 is older than 2.06: it starts in real mode, and there is no loader for that",
  ],
  [
    "a bzImage bigger than RAM",
    { ...base, kernel: file("k", makeBzImage((v) => v.setUint32(0x260, RAM, true))) },
    "RAM ends at 0x4000000, give the guest more",
  ],
  [
    "a 64-bit start of a 32-bit kernel",
    { ...base, kernel: file("k", makeBzImage((v) => v.setUint16(0x236, 0, true))), protocol: "bzimage64" },
    "it has no 64-bit entry point",
  ],
  [
    "a command line that is too long",
    { ...base, cmdline: "x".repeat(101), kernel: file("k", makeBzImage()) },
    "Cannot pass a command line of 101 bytes: the kernel takes 100",
  ],
  [
    "an ELF as bzImage",
    { ...base, kernel: pvh(), protocol: "bzimage64" },
    "it is an ELF file, not a bzImage",
  ],
  [
    "a bzImage without payload as PVH",
    { ...base, kernel: file("k", makeBzImage()), protocol: "pvh" },
    "no compressed payload",
  ],
];
for (const [what, options, message] of refusals) {
  Deno.test(`loadKernel refuses ${what}`, async () => {
    await assertRejects(() => loadKernel(rig().memory, options), ConfigError, message);
  });
}

Deno.test("loadKernel answers any damaged bzImage header with a result or a ConfigError", async () => {
  const { memory } = rig();
  let seed = 42;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  let refused = 0;
  for (let i = 0; i < 500; i++) {
    const bytes = makeBzImage();
    for (let n = 0; n <= i % 4; n++) bytes[0x1f1 + random(0x268 - 0x1f1)] = random(256);
    try {
      await loadKernel(memory, { ...base, kernel: file("k", bytes) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      refused++;
    }
  }
  assert(refused > 50 && refused < 500, `${refused}`);
});

Deno.test("loadKernel answers any damaged ELF file with a result or a ConfigError", async () => {
  const { memory } = rig();
  let seed = 11;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = makeElf({
      bits: i & 1 ? 64 : 32,
      phys32Entry: 0x10_0010,
      align: i & 2 ? 8 : 4,
      inSection: (i & 4) !== 0,
    });
    for (let n = 0; n <= i % 4; n++) bytes[4 + random(bytes.length - 4)] = random(256);
    try {
      await loadKernel(memory, { ...base, kernel: file("k", bytes) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      assertEquals(error.message.includes("\n"), false, error.message);
      refused++;
    }
  }
  assert(refused > 100 && refused < 1000, `${refused}`);
});

const cloud = guestFile("cloud/vmlinuz");
const starts: [BootProtocol, 32 | 64, (rip: number) => boolean][] = [
  ["auto", 64, (rip) => rip === 0x100_0000],
  ["pvh", 32, (rip) => rip > 0x100_0000 && rip < 0x101_0000],
  ["bzimage64", 64, (rip) => rip === 0x10_0200],
];
for (const [protocol, mode, rip] of starts) {
  Deno.test({
    name: `Debian's cloud kernel loads by protocol ${protocol}${cloud.skip}`,
    ignore: cloud.skip !== "",
    async fn() {
      const ramBytes = 128 * MiB;
      const { memory } = rig(ramBytes);
      const e820 = pcMemoryMap(ramBytes);
      const state = await loadKernel(memory, { ...base, e820, kernel: cloud.read(), protocol });
      assertEquals([state.mode, rip(state.rip)], [mode, true]);
      const ram = e820.some((e) => e.type === E820_RAM && state.rip >= e.addr && state.rip < e.addr + e.size);
      assertEquals(ram, true);
    },
  });
}
