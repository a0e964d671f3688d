// SPDX-License-Identifier: MIT
/**
 * Moving and clearing within a WebAssembly memory, in WebAssembly, without writing zeros where zeros are: two fifths of a
 * kernel's pages hold nothing else, and fresh memory that is only read costs the host no page.
 * @module
 */
import { assert } from "../../../cpu/base/assert.ts";
import { type Val, WasmBuilder } from "../../../cpu/emit/builder.ts";
import { FunctionBody, ModuleBuilder } from "../../../cpu/wasm/encoder.ts";

const PAGE = 65536;
/** Bytes at a time. */
const STEP = 32;

/** From `from` to [to, end). */
type Move = (from: number, to: number, end: number) => void;
/** Of [at, end). */
type Clear = (at: number, end: number) => void;

/** See the module's description. */
export class SparseMover {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #move: Move;
  readonly #clear: Clear;

  constructor(memory: WebAssembly.Memory) {
    this.#bytes = new Uint8Array(memory.buffer as ArrayBuffer);
    const module = new ModuleBuilder();
    module.importMemory("e", "m", memory.buffer.byteLength / PAGE);
    const define = (exportName: string, parameters: number, fill: (b: WasmBuilder) => void) => {
      const body = new FunctionBody(parameters);
      fill(new WasmBuilder(body));
      const type = module.type(Array.from({ length: parameters }, () => "i32" as const), []);
      module.addFunction(type, body, { exportName });
    };
    define("move", 3, (b) => {
      const from = b.variable(b.parameter(0, "i32")), to = b.variable(b.parameter(1, "i32"));
      const end = b.parameter(2, "i32");
      b.doWhile(() => {
        const source = wordsAt(b, b.get(from)), target = b.get(to);
        b.if(
          areZeros(b, source),
          () => clearStep(b, target),
          () => source.forEach((word, i) => b.storeRaw("i64.store", target, word, 8 * i)),
        );
        b.set(from, b.add(32, b.get(from), b.i32(STEP)));
        b.set(to, b.add(32, target, b.i32(STEP)));
        return b.ltU(32, b.get(to), end);
      });
    });
    define("clear", 2, (b) => {
      const at = b.variable(b.parameter(0, "i32")), end = b.parameter(1, "i32");
      b.doWhile(() => {
        const target = b.get(at);
        clearStep(b, target);
        b.set(at, b.add(32, target, b.i32(STEP)));
        return b.ltU(32, b.get(at), end);
      });
    });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      e: { m: memory },
    });
    this.#move = exports.move as Move;
    this.#clear = exports.clear as Clear;
  }

  /** Moves `bytes` bytes: where both places overlap, to a lower one. */
  move(from: number, to: number, bytes: number): void {
    assert(to <= from || to >= from + bytes, "what overlaps moves downwards");
    const whole = bytes - bytes % STEP;
    if (whole > 0) this.#move(from, to, to + whole);
    this.#bytes.copyWithin(to + whole, from + whole, from + bytes);
  }

  /** Clears [at, at + bytes). */
  clear(at: number, bytes: number): void {
    const whole = bytes - bytes % STEP;
    if (whole > 0) this.#clear(at, at + whole);
    this.#bytes.fill(0, at + whole, at + bytes);
  }
}

function wordsAt(b: WasmBuilder, at: Val): Val[] {
  return Array.from({ length: STEP / 8 }, (_, i) => b.loadRaw("i64.load", at, 8 * i));
}
function areZeros(b: WasmBuilder, words: readonly Val[]): Val {
  return b.eqz(64, words.reduce((x, y) => b.or(64, x, y)));
}
function clearStep(b: WasmBuilder, at: Val): void {
  b.if(areZeros(b, wordsAt(b, at)), () => {}, () => {
    for (let i = 0; i < STEP; i += 8) b.storeRaw("i64.store", at, b.i64(0n), i);
  });
}
