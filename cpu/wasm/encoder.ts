// SPDX-License-Identifier: MIT
/**
 * A WebAssembly module encoder: bytes into one growing buffer. Source: WebAssembly Core Specification §5.
 * Knows nothing of x86.
 * @module
 */
import { assert } from "../base/assert.ts";
import { VALUE_TYPE, type ValueType } from "./opcodes.ts";

/** A growing byte buffer with the LEB128 encodings. */
export class ByteBuffer {
  #bytes = new Uint8Array(256);
  length = 0;

  #room(n: number): void {
    if (this.length + n <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + n));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
  /** One byte. */
  u8(value: number): void {
    if (this.length === this.#bytes.length) this.#room(1);
    this.#bytes[this.length++] = value;
  }
  /** Several bytes. */
  raw(bytes: ArrayLike<number>): void {
    this.range(bytes, 0, bytes.length);
  }
  /** Bytes [from, to) of these. */
  range(bytes: ArrayLike<number>, from: number, to: number): void {
    this.#room(to - from);
    const into = this.#bytes;
    let at = this.length;
    // A call of set() costs as much as some hundred bytes.
    if (to - from > 256 && bytes instanceof Uint8Array) {
      into.set(bytes.subarray(from, to), at);
      at += to - from;
    } else for (let i = from; i < to; i++) into[at++] = bytes[i] as number;
    this.length = at;
  }
  /** Unsigned LEB128 of a u32. */
  u32(value: number): void {
    value >>>= 0;
    while (value >= 0x80) {
      this.u8((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    this.u8(value);
  }
  /** Signed LEB128 of an i32. */
  s32(value: number): void {
    value |= 0;
    while (value < -64 || value > 63) {
      this.u8((value & 0x7f) | 0x80);
      value >>= 7;
    }
    this.u8(value & 0x7f);
  }
  /** Signed LEB128 of an i64. */
  s64(value: bigint): void {
    value = BigInt.asIntN(64, value);
    if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) return this.s32(Number(value));
    while (value < -64n || value > 63n) {
      this.u8(Number(value & 0x7fn) | 0x80);
      value >>= 7n;
    }
    this.u8(Number(value & 0x7fn));
  }
  /** A name: length and UTF-8 (ASCII here). */
  name(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i));
  }
  /** The bytes written so far; valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }
}

/** A function type. */
export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

interface Func {
  readonly type: number;
  readonly exportName: string | undefined;
  readonly tableIndex: number | undefined;
  readonly body: FunctionBody;
}

/** Whether a branch of a function body is likely to be taken. */
export interface BranchHint {
  /** Of the if or br_if, from the first byte of the function's body (its locals). */
  readonly offset: number;
  readonly likely: 0 | 1;
}

const GET = 0, SET = 1;
const TYPES: readonly ValueType[] = ["i32", "i64", "f32", "f64", "v128"];

/**
 * A function's code. Whoever writes it takes a fresh local for every value; encoding gives them few real ones, because
 * V8's baseline compiler zeroes every local at each call: with a local per value a block of six instructions took
 * 1 µs to enter. A value that is taken right after it was made, and never again, stays on the stack.
 */
export class FunctionBody {
  /** The instructions, without local.get and local.set: those go through get() and set(). */
  readonly code = new ByteBuffer();
  readonly #params: number;
  /** Type of each local, parameters not included. */
  readonly #types: ValueType[] = [];
  /** local.get and local.set in order: where in `code` they stand, and local * 2 + GET or SET. */
  readonly #at: number[] = [];
  readonly #events: number[] = [];
  /** Locals that keep what they hold wherever control goes, by number without parameters. */
  readonly #pinned = new Set<number>();
  /** Where in `code` branches stand that are taken hardly ever (0) or nearly always (1). */
  readonly #hints: { readonly at: number; readonly likely: 0 | 1 }[] = [];
  /** Loops as ranges of events, inner before outer. */
  readonly #loops: { readonly from: number; readonly to: number }[] = [];
  readonly #open: number[] = [];

  constructor(params: number) {
    this.#params = params;
  }
  /** A fresh local. It is set before it is read, on every path. */
  local(type: ValueType): number {
    return this.#params + this.#types.push(type) - 1;
  }
  /** A local that may be read where it was not set on every path: it is 0 before, and keeps its value across jumps. */
  pinned(type: ValueType): number {
    const local = this.local(type);
    this.#pinned.add(local - this.#params);
    return local;
  }
  /** Whether the if or br_if that is written next is likely to be taken; see ModuleBuilder.encode. */
  hint(likely: 0 | 1): void {
    this.#hints.push({ at: this.code.length, likely });
  }
  /** br_table */
  brTable(depths: readonly number[], otherwise: number): void {
    this.code.u8(0x0e);
    this.code.u32(depths.length);
    for (const depth of depths) this.code.u32(depth);
    this.code.u32(otherwise);
  }
  /** local.get */
  get(local: number): void {
    this.#at.push(this.code.length);
    this.#events.push(local * 2 + GET);
  }
  /** local.set */
  set(local: number): void {
    this.#at.push(this.code.length);
    this.#events.push(local * 2 + SET);
  }
  /** Opens a loop block without results. */
  loop(): void {
    this.code.raw([0x03, 0x40]);
    this.#open.push(this.#events.length);
  }
  /** Closes the innermost loop block. */
  endLoop(): void {
    const from = this.#open.pop();
    assert(from !== undefined, "a loop is open");
    this.#loops.push({ from, to: this.#events.length });
    this.code.u8(0x0b);
  }

  /** Appends the size-prefixed body; where its hints are, counted from the body's first byte behind the size. */
  encode(out: ByteBuffer): readonly BranchHint[] {
    const events = this.#events, at = this.#at, params = this.#params, types = this.#types;
    const first = new Int32Array(types.length).fill(-1), last = new Int32Array(types.length).fill(-1);
    const uses = new Int32Array(types.length);
    for (let i = 0; i < events.length; i++) {
      const local = ((events[i] as number) >> 1) - params;
      if (local < 0) continue;
      if (first[local] === -1) first[local] = i;
      last[local] = i;
      uses[local]!++;
    }
    // What is set before a loop and used in it must survive to the loop's end.
    for (const { from, to } of this.#loops) {
      for (let local = 0; local < types.length; local++) {
        const end = last[local] as number;
        if ((first[local] as number) < from && end >= from && end < to) last[local] = to - 1;
      }
    }
    for (const local of this.#pinned) last[local] = -1;
    // Lists of the locals that die at an event: the first, and behind each the next.
    const dying = new Int32Array(events.length).fill(-1), another = new Int32Array(types.length);
    for (let local = types.length - 1; local >= 0; local--) {
      const end = last[local] as number;
      if (end < 0) continue;
      another[local] = dying[end] as number;
      dying[end] = local;
    }
    // Linear scan: `slot` is a number among the locals of its type.
    const slot = new Int32Array(types.length).fill(-1);
    const free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
    const count: Record<ValueType, number> = { i32: 0, i64: 0, f32: 0, f64: 0, v128: 0 };
    for (const local of this.#pinned) slot[local] = count[types[local] as ValueType]++;
    const onStack = (i: number): boolean =>
      at[i] === at[i + 1] && (events[i] as number) % 2 === SET &&
      (events[i + 1] as number) === (events[i] as number) - 1;
    for (let i = 0; i < events.length; i++) {
      const local = ((events[i] as number) >> 1) - params;
      if (local >= 0 && slot[local] === -1 && !(onStack(i) && uses[local] === 2)) {
        const type = types[local] as ValueType;
        if (!(i > 0 && onStack(i - 1) && uses[local] === 2)) slot[local] = free[type].pop() ?? count[type]++;
      }
      for (let dead = dying[i] as number; dead >= 0; dead = another[dead] as number) {
        if (slot[dead] !== -1) free[types[dead] as ValueType].push(slot[dead] as number);
      }
    }
    const base = {} as Record<ValueType, number>;
    let next = params;
    for (const type of TYPES) {
      base[type] = next;
      next += count[type];
    }
    const body = new ByteBuffer();
    const used = TYPES.filter((type) => count[type] > 0);
    body.u32(used.length);
    for (const type of used) {
      body.u32(count[type]);
      body.u8(VALUE_TYPE[type]);
    }
    const code = this.code.view();
    const hints: BranchHint[] = [];
    let done = 0, nextHint = 0;
    /** Copies the code up to `position`; hints for what is copied, or stands there, know their place then. */
    const copyTo = (position: number, end: boolean): void => {
      for (; nextHint < this.#hints.length; nextHint++) {
        const hint = this.#hints[nextHint] as { at: number; likely: 0 | 1 };
        if (hint.at > position || (hint.at === position && !end)) break;
        hints.push({ offset: body.length + hint.at - done, likely: hint.likely });
      }
      if (position > done) {
        body.range(code, done, position);
        done = position;
      }
    };
    for (let i = 0; i < events.length; i++) {
      const position = at[i] as number, event = events[i] as number;
      copyTo(position, false);
      const local = (event >> 1) - params;
      const tee = local >= 0 && onStack(i);
      if (tee && uses[local] === 2) {
        i++; // made and taken on the spot
        continue;
      }
      body.u8(tee ? 0x22 : event % 2 === SET ? 0x21 : 0x20);
      body.u32(local < 0 ? event >> 1 : base[types[local] as ValueType] + (slot[local] as number));
      if (tee) i++;
    }
    copyTo(code.length, true);
    body.u8(0x0b);
    out.u32(body.length);
    out.raw(body.view());
    return hints;
  }
}

/** Builds one module: imports first, then functions; table slots are filled by an active element segment. */
export class ModuleBuilder {
  #types: FunctionType[] = [];
  readonly #typeIndex = new Map<string, number>();
  #imports = new ByteBuffer();
  #importCount = 0;
  #functionImports = 0;
  #functions: Func[] = [];

  /** Index of a function type. */
  type(params: readonly ValueType[], results: readonly ValueType[]): number {
    const key = params.join() + ">" + results.join();
    let index = this.#typeIndex.get(key);
    if (index === undefined) this.#typeIndex.set(key, index = this.#types.push({ params, results }) - 1);
    return index;
  }

  #import(module: string, field: string): void {
    this.#imports.name(module);
    this.#imports.name(field);
    this.#importCount++;
  }
  /** Imports a function; its index. All imports come before the first defined function. */
  importFunction(module: string, field: string, type: number): number {
    assert(this.#functions.length === 0, "imports come first");
    this.#import(module, field);
    this.#imports.u8(0);
    this.#imports.u32(type);
    return this.#functionImports++;
  }
  /** Imports the memory, `pages` of 64 KiB, not growable. */
  importMemory(module: string, field: string, pages: number): void {
    this.#import(module, field);
    this.#imports.raw([2, 1]);
    this.#imports.u32(pages);
    this.#imports.u32(pages);
  }
  /** Imports a funcref table of exactly `size` entries. */
  importTable(module: string, field: string, size: number): void {
    this.#import(module, field);
    this.#imports.raw([1, 0x70, 1]);
    this.#imports.u32(size);
    this.#imports.u32(size);
  }
  /** Defines a function; its index. `tableIndex`: where instantiation puts it in table 0. */
  addFunction(
    type: number,
    body: FunctionBody,
    options: { exportName?: string; tableIndex?: number } = {},
  ): number {
    this.#functions.push({ type, body, exportName: options.exportName, tableIndex: options.tableIndex });
    return this.#functionImports + this.#functions.length - 1;
  }

  /**
   * The module's bytes. Hints go to the section metadata.code.branch_hint (WebAssembly branch hinting proposal), which
   * stands before the code.
   */
  encode(): Uint8Array<ArrayBuffer> {
    const out = new ByteBuffer();
    out.raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const section = (id: number, fill: (b: ByteBuffer) => void) => {
      const body = new ByteBuffer();
      fill(body);
      out.u8(id);
      out.u32(body.length);
      out.raw(body.view());
    };
    section(1, (b) => {
      b.u32(this.#types.length);
      for (const t of this.#types) {
        b.u8(0x60);
        for (const list of [t.params, t.results]) {
          b.u32(list.length);
          for (const v of list) b.u8(VALUE_TYPE[v]);
        }
      }
    });
    section(2, (b) => {
      b.u32(this.#importCount);
      b.raw(this.#imports.view());
    });
    section(3, (b) => {
      b.u32(this.#functions.length);
      for (const f of this.#functions) b.u32(f.type);
    });
    const exported = this.#functions.flatMap((f, i) =>
      f.exportName === undefined ? [] : [[f.exportName, i] as const]
    );
    if (exported.length > 0) {
      section(7, (b) => {
        b.u32(exported.length);
        for (const [name, i] of exported) {
          b.name(name);
          b.u8(0);
          b.u32(this.#functionImports + i);
        }
      });
    }
    const placed = this.#functions.flatMap((f, i) =>
      f.tableIndex === undefined ? [] : [[f.tableIndex, i] as const]
    );
    if (placed.length > 0) {
      section(9, (b) => {
        b.u32(placed.length);
        for (const [slot, i] of placed) {
          b.raw([0, 0x41]);
          b.s32(slot);
          b.raw([0x0b, 1]);
          b.u32(this.#functionImports + i);
        }
      });
    }
    const code = new ByteBuffer();
    code.u32(this.#functions.length);
    const hinted = this.#functions.flatMap((f, i) => {
      const hints = f.body.encode(code);
      return hints.length === 0 ? [] : [{ index: this.#functionImports + i, hints }];
    });
    if (hinted.length > 0) {
      section(0, (b) => {
        b.name("metadata.code.branch_hint");
        b.u32(hinted.length);
        for (const { index, hints } of hinted) {
          b.u32(index);
          b.u32(hints.length);
          for (const { offset, likely } of hints) {
            b.u32(offset);
            b.raw([1, likely]);
          }
        }
      });
    }
    section(10, (b) => b.raw(code.view()));
    return out.view().slice();
  }
}
