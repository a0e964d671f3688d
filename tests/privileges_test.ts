// SPDX-License-Identifier: MIT
/**
 * Rights of pages under CR0.WP, SMEP, SMAP and EFLAGS.AC with every kind of page table, and what may be done at which
 * privilege in 64-bit mode, far transfers among it: guests of our own (tests/guests/privileges.asm, page_rights_32.asm,
 * far_transfers.asm) try everything, and find what they find on Bochs 2.7.
 * @module
 */
import { assertEquals } from "@std/assert";
import { ENGINES, TestCpu } from "../cpu/_bare_cpu.ts";
import { CS, DS, ES, FS, GS, S, SS } from "../cpu/state/state.ts";
import { FAR_TRANSFERS_EXPECTED, FAR_TRANSFERS_IMAGE } from "./guests/_far_transfers.ts";
import { inflated } from "./guests/_inflated.ts";
import { PAGE_RIGHTS_32_EXPECTED, PAGE_RIGHTS_32_IMAGE } from "./guests/_page_rights_32.ts";
import { PRIVILEGES_EXPECTED, PRIVILEGES_IMAGE } from "./guests/_privileges.ts";

const START = 0x7e00, DEBUG_CONSOLE = 0xe9;
const textOf = async (deflated: string) => new TextDecoder().decode(await inflated(deflated));
const GUESTS = [
  { name: "privileges", image: PRIVILEGES_IMAGE, expected: () => PRIVILEGES_EXPECTED },
  { name: "page_rights_32", image: PAGE_RIGHTS_32_IMAGE, expected: () => textOf(PAGE_RIGHTS_32_EXPECTED) },
  { name: "far_transfers", image: FAR_TRANSFERS_IMAGE, expected: () => textOf(FAR_TRANSFERS_EXPECTED) },
];

/** What a guest prints that starts in real mode. */
async function printed(how: typeof ENGINES[number], image: string): Promise<string> {
  let text = "";
  const bus = {
    readPort: () => 0,
    writePort: (port: number, _size: number, value: number) => {
      if (port === DEBUG_CONSOLE) text += String.fromCharCode(value & 0xff);
    },
    readMmio: () => 0xffff_ffff,
    writeMmio: () => {},
  };
  const t = new TestCpu(32, { ...how, hooks: { bus } });
  const { core } = t.cpu, { s } = core;
  t.write(START, await inflated(image));
  for (const i of [ES, CS, SS, DS, FS, GS]) {
    s.setSegment(i, { selector: 0, base: 0n, limit: 0xffff, attributes: i === CS ? 0x9b : 0x93 });
  }
  s.set64(S.cr0, 0x10n);
  s.set64(S.cr4, 0n);
  core.setRflags(2);
  core.updateMode();
  s.set64(S.rip, BigInt(START));
  assertEquals(t.cpu.run(20_000_000), "halted");
  return text;
}

for (const how of ENGINES) {
  for (const { name, image, expected } of GUESTS) {
    Deno.test(`rights of pages and privileges are what Bochs has: ${name}, ${how.name}`, async () => {
      const lines = (all: string) => all.split("\n").map((line) => line.trim()).filter((line) => line !== "");
      assertEquals(lines(await printed(how, image)), lines(await expected()));
    });
  }
}

for (const { name, image } of GUESTS) {
  Deno.test({
    name: `the bytes of ${name}.asm are what nasm makes of it`,
    ignore: !hasNasm(),
    async fn() {
      const source = new URL(`guests/${name}.asm`, import.meta.url).pathname;
      const made = await Deno.makeTempFile();
      try {
        const folder = new URL("guests/", import.meta.url).pathname; // of what is included
        const args = ["-f", "bin", "-i", folder, "-o", made, source];
        const { success } = await new Deno.Command("nasm", { args }).output();
        const bytes = await inflated(image), behind = (await Deno.readFile(made)).subarray(512);
        assertEquals([success, behind.subarray(0, bytes.length)], [true, bytes]);
        assertEquals(behind.subarray(bytes.length).every((byte) => byte === 0), true);
      } finally {
        await Deno.remove(made);
      }
    },
  });
}

function hasNasm(): boolean {
  try {
    return new Deno.Command("nasm", { args: ["-v"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
