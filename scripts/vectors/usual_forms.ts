// SPDX-License-Identifier: MIT
/**
 * `deno task forms`: writes the list in cpu/decode/usual_forms.ts. Boots Debian's cloud kernel to a shell that runs a few
 * programs, and takes one instruction of each form in the 64-bit code that ran, or two where one handler does both. Then
 * those that two of the bench's programs have in common.
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
import { guestCommandLine, guestFiles, type GuestStep } from "../guests/manifest.ts";
import { WORK } from "../bench/guest_work/rows.ts";
import { makeWorkInitramfs } from "../bench/guest_work/userland.ts";

const FILE = new URL("../../cpu/decode/usual_forms.ts", import.meta.url);
/** Characters to a line. */
const WIDTH = 108;
/** Rows of the bench whose programs are run; that of a form to be usual it must be in so many of them. */
const PROGRAMS = ["gzip", "shell", "fork", "sort", "xz", "zstd", "sqlite", "python", "perl"];
const COMMON = 2;

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

/** Of each form that the processor of the guest has, the shortest. */
function formsOf(found: Iterable<string>): Map<string, string> {
  const mode = { codeBits: 64, stackBits: 64, flat: true, fpuTrap: false, avxTrap: false } as const;
  const decoder = new Decoder(parseCpuModel(DEFAULT_CPU).features);
  const forms = new Map<string, string>();
  for (const hex of [...found].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
    const insns = instructionsOf(decoder, hex, mode);
    const form = insns.map(({ row, formKey }) => `${row.id} ${formKey}`).join();
    if (insns.length > 0 && !forms.has(form)) forms.set(form, hex);
  }
  return forms;
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

/** The forms of a guest that runs to its end. */
async function formsOfGuest(
  { initrd, run, memory }: {
    readonly initrd: string | Uint8Array<ArrayBuffer>;
    readonly run: readonly GuestStep[];
    readonly memory: string;
  },
): Promise<Map<string, string>> {
  const machine = await createMachine({
    ...{ kernel: guestFiles("cloud").vmlinuz.pathname, initrd, memory, icount: true },
    append: guestCommandLine({ run }),
    console: () => {},
  });
  const end = await machine.run();
  const { engine } = machine.board;
  assert(engine instanceof Cpu && end.reason === "poweroff", `the guest ran to its end: ${end.reason}`);
  const forms = formsOf(ran(engine));
  machine.close();
  return forms;
}

await makeGuests({ names: ["cloud"], progress: (what) => console.error(`forms: ${what}`) });
const usual = await formsOfGuest({
  initrd: guestFiles("cloud").initramfs.pathname,
  run: ["poweroff"],
  memory: "256M",
});
const others = new Map<string, number>();
for (const name of PROGRAMS) {
  const initrd = await makeWorkInitramfs("amd64", WORK.filter((row) => row.name === name));
  for (const [form, hex] of await formsOfGuest({ initrd, run: ["script", "poweroff"], memory: "1G" })) {
    if (usual.has(form)) continue;
    const seen = (others.get(form) ?? 0) + 1;
    others.set(form, seen);
    if (seen === COMMON) usual.set(form, hex);
  }
}
const text = await Deno.readTextFile(FILE);
const written = text.replace(
  /USUAL_FORMS = `[^`]*`/,
  () => `USUAL_FORMS = \`\n${lines([...usual.values()].sort())}\``,
);
await Deno.writeTextFile(FILE, written);
console.log(`${usual.size} forms`);
