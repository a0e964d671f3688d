// SPDX-License-Identifier: MIT
/**
 * What is said about a guest that has crashed: registers, and the code it was in. Each part stands alone: what cannot be
 * had (a disassembler that may not be read, say) is named, and the rest comes all the same.
 * @module
 */
import { reason } from "../../devices/loaders/host_file.ts";
import type { CodeWindow } from "../../devices/machine/machine.ts";
import type { disassemble, DisassemblyOptions } from "./disassembly.ts";

/** Instructions shown of each of the last blocks. */
const LINES_OF_BLOCK = 4;
/** Bytes shown where there is no disassembler. */
const BYTES_SHOWN = 32;

/** What a report needs of a machine. */
export interface CrashedMachine {
  crashReport(): string;
  /** The last blocks, oldest first. */
  recentCode(): readonly CodeWindow[];
  codeAround(): CodeWindow;
}

/** The report, in lines. `load` brings the disassembler. */
export async function crashReport(
  machine: CrashedMachine,
  load: () => Promise<{ readonly disassemble: typeof disassemble }> = () => import("./disassembly.ts"),
): Promise<string> {
  const lines: string[] = [];
  /** Adds what `part` says, or that there is no `what`. */
  const add = (what: string, part: () => readonly string[]) => {
    try {
      lines.push(...part());
    } catch (error) {
      lines.push(`(no ${what}: ${reason(error)})`);
    }
  };
  add("registers", () => [machine.crashReport()]);
  let show: (code: CodeWindow, options?: DisassemblyOptions) => string = bytesOf;
  try {
    show = (await load()).disassemble;
  } catch (error) {
    lines.push(`(no disassembly: ${reason(error)})`);
  }
  const text = (code: CodeWindow, options?: DisassemblyOptions) => {
    try {
      return show(code, options);
    } catch (error) {
      return `(no disassembly: ${reason(error)})\n${bytesOf(code, options)}`;
    }
  };
  add(
    "last blocks",
    () =>
      machine.recentCode().map((block) =>
        block.bytes.length === 0
          ? `(no code at 0x${block.rip.toString(16)})`
          : text(block, { limit: LINES_OF_BLOCK, block: true })
      ),
  );
  add("code", () => {
    const code = machine.codeAround();
    return code.bytes.length === 0 ? ["(no code at RIP)"] : ["the guest is at", text(code)];
  });
  return lines.join("\n") + "\n";
}

/** Code as bytes alone. */
function bytesOf(code: CodeWindow, { block = false }: DisassemblyOptions = {}): string {
  const address = code.rip.toString(16).padStart(code.bits / 4, "0");
  const bytes = Array.from(code.bytes.subarray(0, BYTES_SHOWN), (byte) => byte.toString(16).padStart(2, "0"));
  return `${block ? "--" : "=>"} ${address}  ${bytes.join(" ")}`;
}
