// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import type { InstructionForm, Operands } from "../emit/form.ts";
import { mayUseFpu } from "../decode/instruction.ts";
import { importLinks, NO_LINKS } from "../emit/links.ts";
import { InterpreterEmit } from "../emit/interpreter.ts";
import { describe, summarize } from "../emit/region/summary.ts";
import type { Width } from "../emit/emit.ts";
import { FunctionBody, ModuleBuilder } from "../wasm/encoder.ts";
import { type Row, rows } from "./mod.ts";

/** True when both rows can claim one instruction and neither is the more specific one by its ModRM byte. */
function collide(a: Row, b: Row): boolean {
  if (a.options.without !== undefined || b.options.without !== undefined) return false;
  const differs = <T>(x: T | undefined, y: T | undefined) => x !== undefined && y !== undefined && x !== y;
  if ((a.vex === undefined) !== (b.vex === undefined)) return false;
  if (a.vex !== b.vex && a.vex !== "ig" && b.vex !== "ig") return false;
  if (a.map !== b.map || a.opcode + a.span <= b.opcode || b.opcode + b.span <= a.opcode) return false;
  if (a.prefix !== b.prefix || differs(a.rexW, b.rexW) || differs(a.extension, b.extension)) return false;
  if ((a.exactModrm === undefined) !== (b.exactModrm === undefined)) return false;
  if (differs(a.exactModrm, b.exactModrm)) return false;
  if (a.modrmForm !== "any" && b.modrmForm !== "any" && a.modrmForm !== b.modrmForm) return false;
  return a.mode === "any" || b.mode === "any" || a.mode === b.mode;
}

Deno.test("no two rows have the same encoding", () => {
  const found: string[] = [];
  rows.forEach((a, i) => {
    for (const b of rows.slice(0, i)) if (collide(a, b)) found.push(`${a.text} and ${b.text}`);
  });
  assertEquals(found, []);
});

/** Operand widths a row can have in a mode, with the operand size that goes with each. */
function widthsOf(row: Row, codeBits: 16 | 32 | 64): readonly (readonly [Width, 16 | 32 | 64])[] {
  const long = codeBits === 64;
  switch (row.size) {
    case "v":
      return long ? [[16, 16], [32, 32], [64, 64]] : [[16, 16], [32, 32]];
    case "q":
      return long ? [[16, 16], [64, 64]] : [[16, 16], [32, 32]];
    case "f":
      return long ? [[16, 16], [64, 64]] : [[16, 16], [32, 32]];
    case "d":
      return long ? [[16, 16], [32, 16], [32, 32], [32, 64]] : [];
    case "y":
      return long ? [[32, 32], [64, 64]] : [[32, 32]];
    case 128:
      return [[64, 32]];
    default:
      return [[row.size, row.size === 16 ? 16 : row.size === 64 ? 64 : 32]];
  }
}

/** What the interpreter's handlers read from records instead. */
const NO_OPERANDS: Omit<Operands, "form"> = {
  poff: 0,
  length: 0,
  reg: 0,
  rm: 0,
  base: 0,
  index: 0,
  scale: 0,
  disp: 0,
  segment: 0,
  immLow: 0,
  immHigh: 0,
  vvvv: 0,
};

function* formsOf(row: Row): Generator<readonly [Width, InstructionForm]> {
  const shapes = row.hasModrm
    ? [true, false].filter((m) => row.modrmForm === "any" || (row.modrmForm === "mem") === m)
    : [false];
  for (const codeBits of [16, 32, 64] as const) {
    if (row.mode === (codeBits === 64 ? "no64" : "only64")) continue;
    for (const [w, osize] of widthsOf(row, codeBits)) {
      for (const isMemory of shapes) {
        for (const rep of row.options.repeats === true ? [0, 0xf2, 0xf3] as const : [0] as const) {
          for (const segment of codeBits === 64 ? ["none", "base"] as const : ["none", "checked"] as const) {
            yield [w, {
              osize,
              asize: codeBits,
              codeBits,
              stackBits: codeBits,
              isMemory,
              rep,
              rexW: w === 64,
              opcodeLow: row.span === 16 ? 5 : 0,
              addressForm: { hasIndex: true, segment },
              flat: segment !== "checked",
              fpuTrap: true,
              countNonZero: row.options.shiftCount === true && isMemory,
              vector: row.vex === "ig" ? 128 : row.vex ?? 0,
              threeOperands: row.options.vvvv !== undefined,
            }];
          }
        }
      }
    }
  }
}

Deno.test("every row emits valid WebAssembly in every form", () => {
  const module = new ModuleBuilder();
  const links = importLinks(module, { memoryPages: 1, tableSize: 1 });
  let functions = 0;
  for (const row of rows) {
    for (const [w, form] of formsOf(row)) {
      for (const flagsLive of [true, false]) {
        const body = new FunctionBody(1);
        const emit = new InterpreterEmit(body, links);
        emit.begin({ ...NO_OPERANDS, form }, 0, undefined, flagsLive);
        row.semantics(emit, w);
        emit.finish();
        module.addFunction(links.handlerType, body);
        functions++;
        if (flagsLive) continue;
        // What the liveness pass is told does not depend on its answer.
        const again = new InterpreterEmit(new FunctionBody(1), links);
        again.begin({ ...NO_OPERANDS, form }, 0);
        row.semantics(again, w);
        assertEquals(
          emit.facts,
          again.facts,
          row.text,
        );
      }
    }
  }
  assertEquals(functions > 4 * rows.length, true);
  assertEquals(WebAssembly.validate(module.encode()), true);
});

Deno.test("one run of a description finds what a handler's run and a region's find, or says that they differ", () => {
  const differ = new Set<string>();
  for (const row of rows) {
    for (const [width, form] of formsOf(row)) {
      const insn = { ...NO_OPERANDS, form, row, width };
      const body = new FunctionBody(1), emit = new InterpreterEmit(body, NO_LINKS);
      emit.begin(insn, 0);
      row.semantics(emit, width);
      body.release();
      const { facts, summary } = describe(insn);
      // As text: assertEquals takes minutes for as many objects.
      assertEquals(JSON.stringify(facts), JSON.stringify(emit.facts), row.text);
      if (summary === undefined) differ.add(row.text);
      else assertEquals(JSON.stringify(summary), JSON.stringify(summarize(insn)), row.text);
    }
  }
  assertEquals(differ, new Set(["MOVS", "STOS"]));
});

Deno.test("what cannot be of the FPU emits the same code with and without it", () => {
  const code = (row: Row, w: Width, form: InstructionForm) => {
    const body = new FunctionBody(1);
    const emit = new InterpreterEmit(body, NO_LINKS);
    emit.begin({ ...NO_OPERANDS, form }, 0);
    row.semantics(emit, w);
    return body.code.view().join();
  };
  const differ = new Set<string>();
  for (const row of rows) {
    if (row.vex !== undefined) continue;
    const opcodes = Array.from({ length: row.span }, (_, i) => row.opcode + i);
    const sorts = new Set(opcodes.map((opcode) => mayUseFpu(row.map, opcode)));
    for (const [w, form] of formsOf(row)) {
      if (code(row, w, form) === code(row, w, { ...form, fpuTrap: false })) continue;
      assertEquals([...sorts], [true], row.text);
      differ.add(row.text);
    }
  }
  for (const text of ["x87 D8", "LDMXCSR m32", "EMMS"]) assertEquals(differ.has(text), true, text);
});
