// SPDX-License-Identifier: MIT
/**
 * A DOS-era program under virtual-8086 mode: a monitor of our own (tests/guests/vm86_monitor.asm) reflects INT 21H, keeps
 * the virtual interrupt flag and delivers the timer, first without VME, then with it. What it prints, the numbers of
 * traps included, is what Bochs 2.7 prints for the same image; QEMU 7.2 does not redirect interrupts.
 * @module
 */
import { assertEquals } from "@std/assert";
import { createMachine } from "../mod.ts";
import { vm86Monitor } from "./guests/_vm86_monitor.ts";

const PROGRAM = "5 hello, 8086 02 03 05 07 11 13 17 19 23 29 31 37 41 43 47 " + // the primes by AAM
  "D9 5E 47 " + // a CRC and a decimal sum
  "00 01 00 01 5A 00 01 01 "; // IF as the program sees it, a port that traps, its own interrupt
/** CLI, STI, PUSHF, POPF, INT, IRET, IN, HLT as they have trapped; then the exit code. */
const EXPECTED = [
  `without VME: ${PROGRAM}02 01 07 01 55 01 01 00 07`,
  `with VME: ${PROGRAM}00 00 00 00 54 00 01 00 07`,
  "all done",
  "",
];

for (const engine of ["jit", "interp"] as const) {
  Deno.test(`a real-mode program runs under virtual-8086 mode, without VME and with it, ${engine}`, async () => {
    let text = "";
    await using machine = await createMachine({
      kernel: vm86Monitor(),
      memory: "4M",
      engine,
      icount: true,
      serial: (bytes) => void (text += new TextDecoder().decode(bytes)),
    });
    assertEquals([(await machine.run()).reason, text.split("\n")], ["poweroff", EXPECTED]);
  });
}

Deno.test({
  name: "the monitor's bytes are what nasm makes of its source",
  ignore: !hasNasm(),
  async fn() {
    const source = new URL("guests/vm86_monitor.asm", import.meta.url).pathname;
    const made = await Deno.makeTempFile();
    try {
      const { success } = await new Deno.Command("nasm", { args: ["-f", "bin", "-o", made, source] })
        .output();
      assertEquals([success, await Deno.readFile(made)], [true, vm86Monitor()]);
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
