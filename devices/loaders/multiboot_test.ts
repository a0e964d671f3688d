// SPDX-License-Identifier: MIT
// What a Multiboot kernel is given: Multiboot Specification 0.6.96, sections 3.1 to 3.3.
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { MiB } from "../../cpu/base/bits.ts";
import { GuestMemory } from "../../cpu/base/guest_memory.ts";
import { loadKernel, platformOf } from "./kernel.ts";
import { pcMemoryMap } from "./memory_map.ts";
import { multiboot_info, multiboot_module } from "./multiboot.ts";
import { makeElf } from "./testdata/make_elf.ts";

const RAM = 64 * MiB;
const MAGIC = 0x1bad_b002;
const e820 = pcMemoryMap(RAM);
const module = (name: string, length: number, cmdline: string) => ({
  file: { name, bytes: Uint8Array.from({ length }, (_, i) => i & 0xff) },
  cmdline,
});

/** A header and what follows it. */
function header(flags: number, more: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const words = [MAGIC, flags, -(MAGIC + flags) >>> 0, ...more];
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(i * 4, word, true));
  return bytes;
}
/** An ELF file with a Multiboot header in the first bytes that it loads. */
function elfKernel(flags: number, phys32Entry?: number): Uint8Array<ArrayBuffer> {
  const bytes = makeElf({ bits: 32, ...(phys32Entry !== undefined && { phys32Entry }) });
  const loaded = Array.from(bytes.keys()).findLast((i) => bytes[i] === 1 && bytes[i + 1] === 2) ?? 0; // 1..64
  bytes.set(header(flags), Math.ceil(loaded / 4) * 4);
  new DataView(bytes.buffer).setUint32(24, 0x10_0010, true);
  return bytes;
}
/** No ELF file: 0x40 bytes in front, then a header with addresses, and code up to 0x200. */
function flatKernel(changes: Partial<Record<"load" | "loadEnd" | "bssEnd" | "entry", number>> = {}) {
  const { load = 0x20_0000, loadEnd = 0, bssEnd = 0x20_1000, entry = 0x20_0060 } = changes;
  const bytes = new Uint8Array(0x200).fill(0x90);
  bytes.set(header(1 << 16, [0x20_0020, load, loadEnd, bssEnd, entry]), 0x40);
  return bytes;
}

function rig(options: Omit<Parameters<typeof loadKernel>[1], "cmdline" | "e820">) {
  const memory = new GuestMemory(RAM);
  memory.bytes.fill(0xa5, memory.map.ram, memory.map.ram + 4 * MiB); // unwritten bytes show
  const view = new DataView(memory.bytes.buffer, memory.map.ram, RAM);
  const text = (at: number) => {
    let out = "";
    for (let c; (c = view.getUint8(at++)) !== 0;) out += String.fromCharCode(c);
    return out;
  };
  return { view, text, state: loadKernel(memory, { cmdline: "loglvl=all", e820, ...options }) };
}

Deno.test("a Multiboot ELF file gets its command line, modules and the memory map", async () => {
  const { view, text, state } = rig({
    kernel: { name: "/boot/xen 4.elf", bytes: elfKernel(3) },
    modules: [module("/boot/vmlinuz", 5000, "console=hvc0 quiet"), module("two", 10, "")],
    initrd: { name: "initrd.img", bytes: new Uint8Array(4097).fill(7) },
  });
  const { mode, rip, cr0, gprs, rflags, cs, data } = await state;
  assertEquals([mode, rip, cr0 & 0x8000_0001, rflags & 0x200], [32, 0x10_0010, 1, 0]);
  assertEquals([cs.limit, data.limit], [0xffff_ffff, 0xffff_ffff]);
  assertEquals(gprs.rax, 0x2bad_b002);
  const info = gprs.rbx ?? 0;
  const field = (name: keyof typeof multiboot_info.at) =>
    view.getUint32(info + multiboot_info.at[name], true);
  assertEquals(field("flags"), 0b10_0100_1101);
  assertEquals([field("mem_lower"), field("mem_upper")], [639, RAM / 1024 - 1024]);
  assertEquals(text(field("cmdline")), "xen_4.elf loglvl=all");
  assertEquals(text(field("boot_loader_name")), "Xenner");
  const modules = Array.from({ length: field("mods_count") }, (_, i) => {
    const at = field("mods_addr") + i * multiboot_module.size;
    const [start = 0, end = 0, string = 0] = [0, 4, 8].map((offset) => view.getUint32(at + offset, true));
    assertEquals([start % 4096, view.getUint32(at + 12, true)], [0, 0]);
    return [end - start, view.getUint8(end - 1), text(string)];
  });
  assertEquals(modules, [[5000, 4999 & 0xff, "vmlinuz console=hvc0 quiet"], [10, 9, "two"], [
    4097,
    7,
    "initrd.img",
  ]]);
  assertEquals(field("mmap_length"), e820.length * 24);
  assertEquals(
    e820.map((_, i) => {
      const at = field("mmap_addr") + 24 * i;
      assertEquals(view.getUint32(at, true), 20);
      const u64 = (offset: number) => Number(view.getBigUint64(at + offset, true));
      return { addr: u64(4), size: u64(12), type: view.getUint32(at + 20, true) };
    }),
    e820,
  );
});

Deno.test("a Multiboot header with addresses says what of the file goes where", async () => {
  const { view, state } = rig({ kernel: { name: "k", bytes: flatKernel() } });
  assertEquals((await state).rip, 0x20_0060);
  // header_addr is 20H above load_addr and lies 40H into the file: what is loaded starts 20H into it
  assertEquals(view.getUint32(0x20_0020, true), MAGIC);
  assertEquals([view.getUint8(0x20_01df), view.getUint8(0x20_01e0), view.getUint8(0x20_0fff)], [0x90, 0, 0]);
  assertEquals(view.getUint8(0x20_1000), 0xa5);
});

Deno.test("Multiboot kernels that cannot be loaded are refused by name", async () => {
  const wrong: readonly (readonly [Uint8Array, RegExp])[] = [
    [header(3), /"k": its Multiboot header has no addresses, and it is no ELF file/],
    [elfKernel(1 << 5), /"k": its Multiboot header wants what is not there: 0x20/],
    [header(1 << 16), /"k": its Multiboot header is truncated/],
    [flatKernel({ loadEnd: 0x20_0800 }), /do not fit the file/],
    [flatKernel({ entry: 0x20_0200 }), /its entry point 0x200200 is not in what is loaded/],
    [flatKernel({ bssEnd: 0xf000_0000 }), /RAM never reaches/],
  ];
  for (const [bytes, message] of wrong) {
    const { message: said } = await assertRejects(
      () => rig({ kernel: { name: "k", bytes } }).state,
      ConfigError,
    );
    assertMatch(said, message);
  }
});

Deno.test("the platform is a PC for Multiboot kernels, unless they have a PVH entry too", async () => {
  const kernel = (bytes: Uint8Array) => ({ name: "k", bytes });
  assertEquals(platformOf(kernel(elfKernel(3))), "hvm");
  assertEquals(platformOf(kernel(flatKernel())), "hvm");
  const both = elfKernel(3, 0x10_0020);
  assertEquals(platformOf(kernel(both)), "pvh");
  assertEquals((await rig({ kernel: kernel(both) }).state).rip, 0x10_0020);
  assertEquals((await rig({ kernel: kernel(both), protocol: "multiboot" }).state).rip, 0x10_0010);
});

Deno.test("a PVH kernel gets modules with their texts, the initrd last", async () => {
  const { view, text, state } = rig({
    kernel: { name: "k", bytes: makeElf({ bits: 32, phys32Entry: 0x10_0010 }) },
    modules: [module("a", 100, "console=hvc0"), module("b", 200, "")],
    initrd: { name: "i", bytes: new Uint8Array(300) },
  });
  const info = (await state).gprs.rbx ?? 0;
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  assertEquals(view.getUint32(info + 12, true), 3);
  const list = u64(info + 16);
  assertEquals([0, 1, 2].map((i) => u64(list + 32 * i + 8)), [100, 200, 300]);
  assertEquals([text(u64(list + 16)), u64(list + 32 + 16), u64(list + 64 + 16)], ["console=hvc0", 0, 0]);
});

Deno.test("modules are for kernels that take them, and not empty", async () => {
  const bzImage = new Uint8Array(2 * 512 + 4096);
  const view = new DataView(bzImage.buffer);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x5372_6448, true);
  const refused = async (bytes: Uint8Array, length: number) =>
    (await assertRejects(
      () => rig({ kernel: { name: "k", bytes }, modules: [module("m", length, "")] }).state,
      ConfigError,
    )).message;
  assertEquals(
    await refused(bzImage, 1),
    'Cannot give modules to "k": only Multiboot and PVH kernels take them; Linux has its initrd',
  );
  assertEquals(await refused(elfKernel(3), 0), 'Cannot load module "m": it is empty');
});
