// SPDX-License-Identifier: MIT
/**
 * `deno task isa`: writes docs/ISA.md, a table of every instruction there is, from the rows (cpu/isa/), the features
 * (cpu/base/cpu_features.ts) and the recorded vectors. `--check`: says whether it is up to date.
 * @module
 */
import { type CpuFeature, type CpuLevel, LEVELS, NOT_YET } from "../../cpu/base/cpu_features.ts";
import { DEFAULT_CPU } from "../../cpu/base/cpu_model.ts";
import { formOf } from "../../cpu/fpu/instructions.ts";
import { groupName } from "../../cpu/isa/_oracle.ts";
import { type Row, rows } from "../../cpu/isa/mod.ts";
import { needsOf } from "../../cpu/isa/row/row.ts";
import { readRecording } from "../../tests/vectors/_recording.ts";

const FILE = new URL("../../docs/ISA.md", import.meta.url);
const VECTORS = new URL("../../tests/vectors/", import.meta.url);

const HEAD = `# Instructions

Every instruction there is, from the rows by \`deno task isa\`; \`deno task ok\` looks whether this is up to date.

- **Operands** as in the manuals; r and r/m without a number have the operand's size. "cc" is any condition.
- **Feature**: what a processor needs to have it (\`--cpu\`), as in /proc/cpuinfo; none: every processor has it. Without
  the feature the encoding is #UD or means what it meant before. The levels: LEVELS.
- **Code**: in which code it exists, 16, 32 or 64 bits; with VEX not in real and virtual-8086 mode.
- **Vectors**: whether a real processor's results are recorded in \`tests/vectors/\` for all forms, some, or none.
  What is privileged or reaches the machine has none: its tests take expected values from the manuals.

What the decoder and iced-x86 disagree about, each with its reason, stands in \`tests/_iced_oracle.ts\`.

`;

/** Rows whose mnemonic and features are the same. */
interface Entry {
  readonly name: string;
  readonly needs: readonly CpuFeature[];
  readonly operands: Set<string>;
  readonly modes: Set<string>;
  recorded: number;
  rows: number;
}

/** Names of groups in the recordings. */
async function recordedGroups(): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const { name } of Deno.readDir(VECTORS)) {
    if (!name.endsWith(".gz")) continue;
    for (const group of (await readRecording(name.slice(0, -3))).groups) names.add(group.name);
  }
  return names;
}

const MODES = { any: ["16", "32", "64"], no64: ["16", "32"], only64: ["64"] } as const;

/** Mnemonics and operands that a row stands for: several for an opcode byte of the x87. */
function textsOf(row: Row): readonly string[] {
  if (!row.text.startsWith("x87")) return [row.text];
  const names = new Set<string>();
  for (let modrm = 0; modrm < 256; modrm++) {
    const form = formOf(row.opcode, modrm);
    if (form.run !== undefined) names.add(form.name);
  }
  return [...names];
}

function entriesOf(recorded: ReadonlySet<string>): Entry[] {
  const entries = new Map<string, Entry>();
  for (const row of rows) {
    if (row.text.startsWith("#") || row.options.without !== undefined) continue;
    for (const text of textsOf(row)) {
      const space = (text + " ").indexOf(" ");
      const name = text.slice(0, space), operands = text.slice(space + 1).replace("<XMM0>", "XMM0").trim();
      const needs: readonly CpuFeature[] = name === "FISTTP" ? ["pni"] : needsOf(row);
      const key = `${name} ${needs}`;
      let entry = entries.get(key);
      if (entry === undefined) {
        entry = { name, needs, operands: new Set(), modes: new Set(), recorded: 0, rows: 0 };
        entries.set(key, entry);
      }
      if (operands !== "") entry.operands.add(operands);
      for (const mode of MODES[row.mode]) entry.modes.add(mode);
      entry.rows++;
      if (recorded.has(groupName(row))) entry.recorded++;
    }
  }
  return [...entries.values()].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function table(lines: readonly (readonly string[])[]): string {
  const escaped = lines.map((cells) => cells.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = (escaped[0] as string[]).map((_, i) =>
    Math.max(3, ...escaped.map((cells) => cells[i]?.length ?? 0))
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(escaped[0] as string[]), rule, ...escaped.slice(1).map(line)].join("\n") + "\n";
}

/** The levels and what each adds. */
function levels(): string {
  return (Object.keys(LEVELS) as CpuLevel[]).map((level) => {
    const names = LEVELS[level].map((name) => NOT_YET.has(name) ? `${name} (not yet)` : name);
    return `\`${level}\` adds ${[...names].sort().join(", ")}`;
  }).join("; ") + `; the default is \`${DEFAULT_CPU}\``;
}

/** Words in lines of at most 110 characters, indented as items of a list are. */
function wrapped(text: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && `${line} ${word}`.length > 108) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n  ");
}

async function isaTable(): Promise<string> {
  const head = HEAD.replace(
    /- \*\*[^]*?(?=\n- \*\*|\n\n)/g,
    (item) => wrapped(item.replace("LEVELS", levels())),
  );
  const lines = entriesOf(await recordedGroups()).map((entry) => [
    entry.name,
    [...entry.operands].join("; "),
    entry.needs.map((name) => NOT_YET.has(name) ? `${name} (not yet)` : name).join(", "),
    [...entry.modes].sort().join(", "),
    entry.recorded === 0 ? "none" : entry.recorded === entry.rows ? "all" : "some",
  ]);
  return head + table([["Instruction", "Operands", "Feature", "Code", "Vectors"], ...lines]);
}

/** As `deno fmt` writes it. */
async function formatted(text: string): Promise<string> {
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "--line-width", "110", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  return new TextDecoder().decode((await fmt.output()).stdout);
}

if (import.meta.main) {
  const text = await formatted(await isaTable());
  if (!Deno.args.includes("--check")) await Deno.writeTextFile(FILE, text);
  else if (await Deno.readTextFile(FILE) !== text) {
    console.error("docs/ISA.md is not up to date: run `deno task isa`");
    Deno.exit(1);
  }
}
