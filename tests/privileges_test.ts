// SPDX-License-Identifier: MIT
/**
 * Rights of pages under CR0.WP, SMEP, SMAP and EFLAGS.AC, and what may be done at which privilege, in 64-bit mode: a guest of
 * our own (tests/guests/privileges.asm) tries everything, and finds what it finds on Bochs 2.7.
 * @module
 */
import { assertEquals } from "@std/assert";
import { ENGINES, TestCpu } from "../cpu/_bare_cpu.ts";
import { CS, DS, ES, FS, GS, S, SS } from "../cpu/state/state.ts";
import { PRIVILEGES_EXPECTED, privilegesImage } from "./guests/_privileges.ts";

const START = 0x7e00, DEBUG_CONSOLE = 0xe9;

for (const how of ENGINES) {
  Deno.test(`privileges and rights of pages are what Bochs has, ${how.name}`, async () => {
    let text = "";
    const t = new TestCpu(32, {
      ...how,
      hooks: {
        bus: {
          readPort: () => 0,
          writePort: (port, _size, value) => {
            if (port === DEBUG_CONSOLE) text += String.fromCharCode(value & 0xff);
          },
          readMmio: () => 0xffff_ffff,
          writeMmio: () => {},
        },
      },
    });
    const { core } = t.cpu, { s } = core;
    t.write(START, await privilegesImage());
    // Real mode
    for (const i of [ES, CS, SS, DS, FS, GS]) {
      s.setSegment(i, { selector: 0, base: 0n, limit: 0xffff, attributes: i === CS ? 0x9b : 0x93 });
    }
    s.set64(S.cr0, 0x10n);
    s.set64(S.cr4, 0n);
    core.setRflags(2);
    core.updateMode();
    s.set64(S.rip, BigInt(START));
    assertEquals(t.cpu.run(20_000_000), "halted");
    const lines = (all: string) => all.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    assertEquals(lines(text), lines(PRIVILEGES_EXPECTED));
  });
}

Deno.test({
  name: "the bytes of privileges.asm are what nasm makes of it",
  ignore: !hasNasm(),
  async fn() {
    const source = new URL("guests/privileges.asm", import.meta.url).pathname;
    const made = await Deno.makeTempFile();
    try {
      const { success } = await new Deno.Command("nasm", { args: ["-f", "bin", "-o", made, source] })
        .output();
      const image = await privilegesImage(), behind = (await Deno.readFile(made)).subarray(512);
      assertEquals([success, behind.subarray(0, image.length)], [true, image]);
      assertEquals(behind.subarray(image.length).every((byte) => byte === 0), true);
    } finally {
      await Deno.remove(made);
    }
  },
});

function hasNasm(): boolean {
  try {
    return new Deno.Command("nasm", { args: ["-v"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
