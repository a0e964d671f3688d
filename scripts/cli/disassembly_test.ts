// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { disassemble } from "./disassembly.ts";

Deno.test("disassemble shows address, bytes and instruction, the current one marked", () => {
  // as `objdump -d` writes it: ud2; mov %rax,%cr3
  const text = disassemble({
    rip: 0xffff_ffff_8100_0000n,
    bits: 64,
    bytes: Uint8Array.of(0x0f, 0x0b, 0x0f, 0x22, 0xd8),
  });
  assertEquals(
    text.split("\n").map((line) => line.replaceAll(/ +/g, " ")),
    ["=> ffffffff81000000 0f 0b ud2", " ffffffff81000002 0f 22 d8 mov %rax,%cr3"],
  );
});

Deno.test("disassemble ends where bytes are cut off, and takes bad ones", () => {
  assertEquals(
    disassemble({ rip: 0n, bits: 32, bytes: Uint8Array.of(0x90, 0xe8, 0x00) }).split("\n").length,
    1,
  );
  assertEquals(
    disassemble({ rip: 0n, bits: 16, bytes: Uint8Array.of(0x0f, 0xff) }).includes("=> 0000"),
    true,
  );
  assertEquals(disassemble({ rip: 0n, bits: 64, bytes: new Uint8Array(0) }), "");
});

Deno.test("disassemble of a block ends with the instruction that may go elsewhere", () => {
  const text = disassemble({ rip: 0x10n, bits: 64, bytes: Uint8Array.of(0x90, 0x75, 0xfe, 0x90) }, {
    block: true,
  });
  assertEquals(
    text.split("\n").map((line) => line.replaceAll(/ +/g, " ")),
    ["-- 0000000000000010 90 nop", " 0000000000000011 75 fe jne 0x0000000000000011"],
  );
});
