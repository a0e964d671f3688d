// SPDX-License-Identifier: MIT
/**
 * `deno task forms`: writes the list in cpu/decode/usual_forms.ts. Boots Debian's cloud kernel to a shell that runs a few
 * programs, and takes one instruction of each form in the 64-bit code that ran, or two where one handler does both.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import { DEFAULT_CPU, parseCpuModel } from "../../cpu/base/cpu_model.ts";
import { Cpu } from "../../cpu/cpu.ts";
import { Decoder } from "../../cpu/decode/decoder.ts";
import { instructionsOf } from "../../cpu/decode/usual_forms.ts";
import { fusesWithNext, type Shape } from "../../cpu/translate/shapes.ts";
import { createMachine } from "../../mod.ts";
import { makeGuests } from "../guests/make_guests.ts";
import { guestCommandLine, guestFiles } from "../guests/manifest.ts";

const FILE = new URL("../../cpu/decode/usual_forms.ts", import.meta.url);
/** Characters to a line. */
const WIDTH = 108;

/** Bytes of the instructions that ran in 64-bit code, two together where one handler does both. */
function ran(cpu: Cpu): Set<string> {
  const found = new Set<string>();
  const { memory } = cpu.core;
  for (const block of cpu.blocks.known()) {
    if (block.mode.codeBits !== 64 || block.secondHost !== 0) continue;
    const insns = cpu.blocks.instructionsOf(block);
    const shapes = insns.map((insn) => cpu.modules.shapeOf(insn));
    let at = block.host;
    for (let i = 0; i < insns.length; i++) {
      const covered = fusesWithNext(shapes[i] as Shape, shapes[i + 1])
        ? insns.slice(i, i + 2)
        : insns.slice(i, i + 1);
      if (covered.length === 2) i++;
      const length = covered.reduce((sum, insn) => sum + insn.length, 0);
      found.add(memory.bytes.slice(at, at + length).toHex());
      at += length;
    }
  }
  return found;
}

/** One of each form that the processor of the guest has, the shortest. */
function formsOf(found: Iterable<string>): string[] {
  const mode = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false } as const;
  const decoder = new Decoder(parseCpuModel(DEFAULT_CPU).features);
  const forms = new Map<string, string>();
  for (const hex of [...found].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
    const insns = instructionsOf(decoder, hex, mode);
    const form = insns.map(({ row, formKey }) => `${row.id} ${formKey}`).join();
    if (insns.length > 0 && !forms.has(form)) forms.set(form, hex);
  }
  return [...forms.values()].sort();
}

function lines(words: readonly string[]): string {
  let text = "", line = "";
  for (const word of words) {
    if (line.length + word.length + 1 > WIDTH) {
      text += line.trimEnd() + "\n";
      line = "";
    }
    line += word + " ";
  }
  return text + line.trimEnd() + "\n";
}

await makeGuests({ names: ["cloud"], progress: (what) => console.error(`forms: ${what}`) });
const files = guestFiles("cloud");
const machine = await createMachine({
  ...{ kernel: files.vmlinuz.pathname, initrd: files.initramfs.pathname, memory: "256M", icount: true },
  append: guestCommandLine({ run: ["poweroff"] }),
  console: () => {},
});
const end = await machine.run();
const { engine } = machine.board;
assert(engine instanceof Cpu && end.reason === "poweroff", `the guest ran to its end: ${end.reason}`);
const forms = formsOf(ran(engine));
machine.close();
const text = await Deno.readTextFile(FILE);
const written = text.replace(/USUAL_FORMS = `[^`]*`/, () => `USUAL_FORMS = \`\n${lines(forms)}\``);
await Deno.writeTextFile(FILE, written);
console.log(`${forms.length} forms`);
