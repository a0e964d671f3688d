// SPDX-License-Identifier: MIT
/** Machine code as text, by iced-x86. Loaded only when something has crashed. @module */
import { Decoder, DecoderOptions, FlowControl, Formatter, FormatterSyntax } from "npm:iced-x86@1.21.0";
import type { CodeWindow } from "../../devices/machine/machine.ts";

/** How much to show. */
export interface DisassemblyOptions {
  /** Most instructions; default 12. */
  readonly limit?: number;
  /** A block of the past: not beyond the first instruction that may go elsewhere, and marked "--". */
  readonly block?: boolean;
}

/** One line per instruction: address, bytes, instruction in GNU syntax; stops where the bytes end. */
export function disassemble(
  code: CodeWindow,
  { limit = 12, block = false }: DisassemblyOptions = {},
): string {
  const decoder = new Decoder(code.bits, code.bytes, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Gas);
  const lines: string[] = [];
  try {
    decoder.ip = code.rip;
    while (decoder.canDecode && lines.length < limit) {
      const start = decoder.position;
      const instruction = decoder.decode();
      const bytes = code.bytes.subarray(start, decoder.position);
      const cut = instruction.isInvalid && decoder.position === code.bytes.length; // maybe only cut off
      const text = instruction.isInvalid ? "(bad)" : formatter.format(instruction);
      if (!cut || start === 0) {
        const address = BigInt.asUintN(64, code.rip + BigInt(start)).toString(16).padStart(
          code.bits / 4,
          "0",
        );
        const dump = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
        lines.push(`${lines.length > 0 ? "  " : block ? "--" : "=>"} ${address}  ${dump.padEnd(30)} ${text}`);
      }
      const leaves = instruction.flowControl !== FlowControl.Next;
      instruction.free();
      if (block && leaves) break;
    }
  } finally {
    formatter.free();
    decoder.free();
  }
  return lines.join("\n");
}
