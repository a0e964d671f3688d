// SPDX-License-Identifier: MIT
/**
 * LZ4 blocks decoded in WebAssembly: kernels are decoded once, before TypeScript would be fast. What is not as it should
 * be is left to TypeScript, which says what is wrong (lz4.ts).
 * @module
 */
import type { Value } from "../../../cpu/emit/emit.ts";
import { type Val, WasmBuilder } from "../../../cpu/emit/builder.ts";
import { FunctionBody, ModuleBuilder } from "../../../cpu/wasm/encoder.ts";

const PAGE = 65536;
/** Copies may go on for so many bytes behind their end. */
const SLACK = 64;
/** From this length on memory.copy is faster. */
const LONG = 256;
/** Bytes that are cleared at a time. */
const CLEAR_STEP = 32;
const MIN_MATCH = 4;

/** Body of a function: the block at [at, end) goes to `to`; answers where it ends, or 0 for any kind of mistake. */
function decoder(b: WasmBuilder): void {
  const [first, end, start, outputEnd, oldest] = [0, 1, 2, 3, 4].map((i) => b.parameter(i, "i32")) as [
    Val,
    Val,
    Val,
    Val,
    Val,
  ];
  const at = b.variable(first), to = b.variable(start), length = b.variable(b.i32(0));
  const k = (n: number) => b.i32(n);
  const failIf = (condition: Value) => b.if(condition, () => b.return(k(0)));
  const byte = () => {
    failIf(b.eq(32, b.get(at), end));
    const value = b.loadRaw("i32.load8_u", b.get(at));
    b.set(at, b.add(32, b.get(at), k(1)));
    return value;
  };
  const readLength = (nibble: Val) => {
    b.set(length, nibble);
    b.if(b.eq(32, nibble, k(15)), () =>
      b.doWhile(() => {
        const more = byte();
        b.set(length, b.add(32, b.get(length), more));
        return b.eq(32, more, k(255));
      }));
  };
  /** Copies `bytes` from `from`, `step` of them at a time. */
  const copy = (from: Val, bytes: Val, step: 1 | 8 | 16) => {
    const name = step === 16 ? "v128" : step === 8 ? "i64" : undefined;
    const target = b.get(to), i = b.variable(k(0));
    b.doWhile(() => {
      const source = b.add(32, from, b.get(i)), place = b.add(32, target, b.get(i));
      if (name === undefined) b.storeRaw("i32.store8", place, b.loadRaw("i32.load8_u", source));
      else b.storeRaw(`${name}.store`, place, b.loadRaw(`${name}.load`, source));
      b.set(i, b.add(32, b.get(i), k(step)));
      return b.ltU(32, b.get(i), bytes);
    });
  };
  /**
   * Clears `bytes`, at least, without writing where zeros are: two fifths of a kernel's pages have nothing else, and fresh
   * memory that is not written costs nothing.
   */
  const clear = (bytes: Val) => {
    const target = b.get(to), i = b.variable(k(0));
    b.doWhile(() => {
      const place = b.add(32, target, b.get(i));
      const words = Array.from({ length: CLEAR_STEP / 8 }, (_, n) => b.add(32, place, k(8 * n)));
      const all = words.map((word) => b.loadRaw("i64.load", word)).reduce((x, y) => b.or(64, x, y));
      b.if(b.eqz(64, all), () => {}, () => words.forEach((word) => b.storeRaw("i64.store", word, b.i64(0n))));
      b.set(i, b.add(32, b.get(i), k(CLEAR_STEP)));
      return b.ltU(32, b.get(i), bytes);
    });
  };

  b.doWhile(() => {
    const token = byte();
    readLength(b.op("i32.shr_u", token, k(4)));
    const literals = b.get(length), from = b.get(at);
    failIf(b.ltU(32, b.op("i32.sub", end, from), literals));
    failIf(b.ltU(32, b.op("i32.sub", outputEnd, b.get(to)), literals));
    b.if(
      b.ltU(32, literals, k(LONG)),
      () => b.if(literals, () => copy(from, literals, 16)),
      () => b.copyRaw(b.get(to), from, literals),
    );
    b.set(at, b.add(32, from, literals));
    b.set(to, b.add(32, b.get(to), literals));
    b.if(b.eq(32, b.get(at), end), () => b.return(b.get(to))); // the last sequence has no match
    const low = byte();
    const offset = b.or(32, low, b.shl(32, byte(), k(8)));
    readLength(b.and(32, token, k(15)));
    const matched = b.add(32, b.get(length), k(MIN_MATCH));
    failIf(b.eqz(32, offset));
    failIf(b.ltU(32, b.op("i32.sub", b.get(to), oldest), offset));
    failIf(b.ltU(32, b.op("i32.sub", outputEnd, b.get(to)), matched));
    const match = b.op("i32.sub", b.get(to), offset);
    b.if(b.ltU(32, offset, k(16)), () => {
      b.if(
        b.and(32, b.eq(32, offset, k(1)), b.ltU(32, k(LONG), matched)),
        () => {
          const byte = b.loadRaw("i32.load8_u", match);
          b.if(byte, () => b.fillRaw(b.get(to), byte, matched), () => clear(matched));
        },
        () => b.if(b.ltU(32, offset, k(8)), () => copy(match, matched, 1), () => copy(match, matched, 8)),
      );
    }, () => copy(match, matched, 16));
    b.set(to, b.add(32, b.get(to), matched));
    return b.ltU(32, b.get(at), end);
  });
  b.return(k(0)); // it ends in a match
}

type Decode = (at: number, end: number, to: number, outputEnd: number, oldest: number) => number;

/** A part of a WebAssembly memory that holds zeros, and that nobody else looks at meanwhile. */
export interface Room {
  readonly memory: WebAssembly.Memory;
  /** Where it begins, in bytes. */
  readonly at: number;
}

/** Room for the output of a frame, and for one block of its input at a time: in a memory of its own, or in that of others. */
export class Lz4Module {
  readonly output: Uint8Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #decode: Decode;
  readonly #start: number;
  /** Where the input is, and where the room ends. */
  readonly #input: number;
  readonly #end: number;

  /** Bytes of a {@linkcode Room} that it takes. */
  static roomOf(outputBytes: number, longestBlock: number): number {
    return outputBytes + SLACK + longestBlock + SLACK;
  }

  constructor(outputBytes: number, longestBlock: number, room?: Room) {
    const bytes = Lz4Module.roomOf(outputBytes, longestBlock);
    const pages = room === undefined ? Math.ceil(bytes / PAGE) : room.memory.buffer.byteLength / PAGE;
    const memory = room?.memory ?? new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#bytes = new Uint8Array(memory.buffer as ArrayBuffer);
    this.#start = room?.at ?? 0;
    this.#input = this.#start + outputBytes + SLACK;
    this.#end = this.#start + bytes;
    this.output = this.#bytes.subarray(this.#start, this.#start + outputBytes);
    const module = new ModuleBuilder();
    module.importMemory("e", "m", pages);
    const type = module.type(["i32", "i32", "i32", "i32", "i32"], ["i32"]);
    const body = new FunctionBody(5);
    const b = new WasmBuilder(body);
    decoder(b);
    b.unreachable();
    module.addFunction(type, body, { exportName: "decode" });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { e: { m: memory } });
    this.#decode = instance.exports.decode as Decode;
  }

  /** Decodes a block to `start`, with matches back to `oldest`; where it ends, 0: something is wrong with it. */
  decode(block: Uint8Array, start: number, oldest: number): number {
    if (block.length === 0) return 0;
    this.#bytes.set(block, this.#input);
    const base = this.#start, from = this.#input;
    const end = this.#decode(
      from,
      from + block.length,
      base + start,
      base + this.output.length,
      base + oldest,
    );
    return end === 0 ? 0 : (end >>> 0) - base;
  }

  /** The room behind the output holds zeros again. */
  tidy(): void {
    this.#bytes.fill(0, this.#start + this.output.length, this.#end);
  }
}
