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
  #bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  /** Bytes there is room for at first. */
  constructor(room = 256) {
    this.#bytes = new Uint8Array(room);
  }
  #grow(n: number): void {
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + n));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
  /** One byte. */
  u8(value: number): void {
    if (this.length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.length++] = value;
  }
  /** Several bytes. */
  raw(bytes: ArrayLike<number>): void {
    const { length } = bytes;
    if (this.length + length > this.#bytes.length) this.#grow(length);
    const into = this.#bytes;
    let at = this.length;
    // A call of set() costs as much as some hundred bytes.
    if (length > 256 && bytes instanceof Uint8Array) {
      into.set(bytes, at);
      at += length;
    } else for (let i = 0; i < length; i++) into[at++] = bytes[i] as number;
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
  /** Signed LEB128 of an i64, from its halves. */
  s64(low: number, high: number): void {
    while (high !== low >> 31) {
      this.u8((low & 0x7f) | 0x80);
      low = (low >>> 7) | (high << 25);
      high >>= 7;
    }
    this.s32(low);
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
  readonly place: TablePlace | undefined;
  readonly body: FunctionBody;
}

/** An entry of a table; of table 0 when none is said. */
export interface TablePlace {
  readonly table?: number;
  readonly slot: number;
  /** So many entries from there on; 1 when nothing is said. */
  readonly count?: number;
}

const GET = 0, SET = 1;
/** More uses than a local has: it is pinned. */
const PINNED = 1 << 29;
const TYPES: readonly ValueType[] = ["i32", "i64", "f32", "f64", "v128"];

/** Where bodies are put together. */
let common = new Uint8Array(1 << 16);
function roomFor(bytes: number): Uint8Array {
  if (bytes > common.length) common = new Uint8Array(bytes * 2);
  return common;
}
/** Bytes that a number below `end` takes at most. */
function lebLength(end: number): number {
  return end <= 0x80 ? 1 : end <= 0x4000 ? 2 : end <= 0x20_0000 ? 3 : 5;
}
/** Puts a number there; where it ends. */
function leb(bytes: Uint8Array, at: number, value: number): number {
  for (; value >= 0x80; value >>>= 7) bytes[at++] = (value & 0x7f) | 0x80;
  bytes[at++] = value;
  return at;
}

/**
 * A function's code. Whoever writes it takes a fresh local for every value; encoding gives them few real ones, because
 * V8's baseline compiler zeroes every local at each call: with a local per value a block of six instructions took
 * 1 µs to enter. A value that is taken right after it was made, and never again, stays on the stack.
 */
export class FunctionBody {
  /** The instructions, without local.get and local.set: those go through get() and set(). */
  readonly code: ByteBuffer;
  readonly #params: number;
  /** Of each local, parameters not included: its type as a number in TYPES, the last event that it lives at, and how many it has. */
  readonly #types: number[] = [];
  readonly #last: number[] = [];
  readonly #uses: number[] = [];
  /** local.get and local.set in order: where in `code` they stand, and local * 2 + GET or SET. */
  readonly #at: number[] = [];
  readonly #events: number[] = [];
  /** Locals that keep what they hold wherever control goes, by number without parameters. */
  readonly #pinned: number[] = [];
  /** Where in `code` branches stand that are taken hardly ever (0) or nearly always (1), times two. */
  readonly #hints: number[] = [];
  /** Loops that are open: how many locals there were before, and which of those it uses. */
  readonly #loops: { readonly before: number; readonly used: number[] }[] = [];
  /** Of the innermost. */
  #before = 0;
  /** Locals that live up to an event of another local, in pairs of event and local; in order. */
  readonly #prolonged: number[] = [];

  /** `room`: bytes of code to expect. */
  constructor(params: number, room?: number) {
    this.#params = params;
    this.code = new ByteBuffer(room);
  }
  /** A fresh local. It is set before it is read, on every path. */
  local(type: ValueType): number {
    this.#last.push(-1);
    this.#uses.push(0);
    return this.#params + this.#types.push(TYPES.indexOf(type)) - 1;
  }
  /** A fresh local, set to what is on the stack. */
  take(type: ValueType): number {
    const own = this.#types.push(TYPES.indexOf(type)) - 1, local = this.#params + own;
    this.#last.push(this.#events.push(local * 2 + SET) - 1);
    this.#uses.push(1);
    this.#at.push(this.code.length);
    return local;
  }
  /** A local that may be read where it was not set on every path: it is 0 before, and keeps its value across jumps. */
  pinned(type: ValueType): number {
    const local = this.local(type);
    this.#pinned.push(local - this.#params);
    this.#uses[local - this.#params] = PINNED;
    return local;
  }
  /** Whether the if or br_if that is written next is likely to be taken; see ModuleBuilder.encode. */
  hint(likely: 0 | 1): void {
    this.#hints.push(this.code.length * 2 + likely);
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
    this.#event(local, GET);
  }
  /** local.set */
  set(local: number): void {
    this.#event(local, SET);
  }
  #event(local: number, what: number): void {
    const own = local - this.#params, number = this.#events.push(local * 2 + what) - 1;
    this.#at.push(this.code.length);
    if (own < 0) return;
    this.#last[own] = number;
    const uses = (this.#uses[own] as number) + 1;
    this.#uses[own] = uses;
    if (own < this.#before && uses < PINNED) this.#loops[this.#loops.length - 1]!.used.push(own);
  }
  /** Opens a loop block without results. */
  loop(): void {
    this.code.u8(0x03);
    this.code.u8(0x40);
    this.#before = this.#types.length;
    this.#loops.push({ before: this.#before, used: [] });
  }
  /** Closes the innermost loop block. What was there before the loop and is used in it survives to the loop's end. */
  endLoop(): void {
    const loop = this.#loops.pop();
    assert(loop !== undefined, "a loop is open");
    const outer = this.#loops[this.#loops.length - 1], end = this.#events.length - 1;
    this.#before = outer?.before ?? 0;
    for (const local of loop.used) {
      if ((this.#last[local] as number) < end) {
        this.#last[local] = end;
        this.#prolonged.push(end, local);
      }
      if (local < this.#before) outer!.used.push(local);
    }
    this.code.u8(0x0b);
  }

  /**
   * Appends the size-prefixed body; where its hints are, counted from the body's first byte behind the size: offset times
   * two, and whether it is likely.
   */
  encode(out: ByteBuffer): readonly number[] {
    const events = this.#events, at = this.#at, params = this.#params, types = this.#types;
    const last = this.#last, uses = this.#uses, prolonged = this.#prolonged, hints = this.#hints;
    const code = this.code.view();
    const body = roomFor(code.length + events.length * (1 + lebLength(params + types.length)));
    let length = 0, done = 0, nextProlonged = 0;
    const moved: number[] = [];
    let hintAt = hints.length > 0 ? (hints[0] as number) >> 1 : Infinity;
    /** The local's number in the function; -1: none yet. */
    const real = new Array<number>(types.length).fill(-1);
    const free: number[][] = [[], [], [], [], []];
    /** Groups of locals of one type, as they are declared: type and count. */
    const groups: number[] = [];
    let next = params;
    const declare = (type: number): number => {
      const { length } = groups;
      if (length > 0 && groups[length - 2] === type) groups[length - 1]!++;
      else groups.push(type, 1);
      return next++;
    };
    for (const local of this.#pinned) real[local] = declare(types[local] as number);
    const count = events.length;
    for (let i = 0; i < count; i++) {
      const position = at[i] as number, event = events[i] as number;
      while (hintAt < position) {
        moved.push((length + hintAt - done) * 2 + ((hints[moved.length] as number) & 1));
        hintAt = moved.length < hints.length ? (hints[moved.length] as number) >> 1 : Infinity;
      }
      while (done < position) body[length++] = code[done++] as number;
      const local = (event >> 1) - params;
      // A value that is made and taken on the spot.
      const taken = (event & 1) === SET && events[i + 1] === event - 1 && at[i + 1] === position &&
        local >= 0;
      let number = event >> 1;
      if (local >= 0) {
        if (taken && uses[local] === 2) {
          i++;
          continue;
        }
        const type = types[local] as number;
        number = real[local] as number;
        if (number < 0) real[local] = number = (free[type] as number[]).pop() ?? declare(type);
        if (last[local] === (taken ? i + 1 : i) && (uses[local] as number) < PINNED) {
          (free[type] as number[]).push(number);
        }
      }
      body[length++] = taken ? 0x22 : (event & 1) === SET ? 0x21 : 0x20;
      if (number < 0x80) body[length++] = number;
      else length = leb(body, length, number);
      if (taken) i++;
      for (; (prolonged[nextProlonged] ?? Infinity) <= i; nextProlonged += 2) {
        const dead = prolonged[nextProlonged + 1] as number;
        if (last[dead] === prolonged[nextProlonged]) {
          (free[types[dead] as number] as number[]).push(real[dead] as number);
        }
      }
    }
    while (hintAt < Infinity) {
      moved.push((length + hintAt - done) * 2 + ((hints[moved.length] as number) & 1));
      hintAt = moved.length < hints.length ? (hints[moved.length] as number) >> 1 : Infinity;
    }
    while (done < code.length) body[length++] = code[done++] as number;
    body[length++] = 0x0b;
    const head = new ByteBuffer(64);
    head.u32(groups.length / 2);
    for (let i = 0; i < groups.length; i += 2) {
      head.u32(groups[i + 1] as number);
      head.u8(VALUE_TYPE[TYPES[groups[i] as number] as ValueType]);
    }
    out.u32(head.length + length);
    out.raw(head.view());
    out.raw(body.subarray(0, length));
    return moved.map((hint) => hint + head.length * 2);
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
  /** Of each imported table: the type of the functions in it; undefined: any. */
  readonly #tables: (number | undefined)[] = [];

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
  /**
   * Imports a table of exactly `size` entries: of any functions, or of functions of type `of`, none of them null. Calls
   * through the latter check no type.
   */
  importTable(module: string, field: string, size: number, of?: number): void {
    this.#import(module, field);
    this.#imports.u8(1);
    putElementType(this.#imports, of);
    this.#imports.u8(1);
    this.#imports.u32(size);
    this.#imports.u32(size);
    this.#tables.push(of);
  }
  /** Defines a function; its index. `place`: where instantiation puts it. */
  addFunction(
    type: number,
    body: FunctionBody,
    options: { readonly exportName?: string; readonly place?: TablePlace } = {},
  ): number {
    this.#functions.push({ type, body, exportName: options.exportName, place: options.place });
    return this.#functionImports + this.#functions.length - 1;
  }

  /**
   * The module's bytes. Hints go to the section metadata.code.branch_hint (WebAssembly branch hinting proposal), which
   * stands before the code.
   */
  encode(): Uint8Array<ArrayBuffer> {
    const out = new ByteBuffer(1 << 12);
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
      for (const type of this.#types) putFunctionType(b, type);
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
    this.#placeFunctions(section);
    const code = new ByteBuffer(1 << 14);
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
          for (const hint of hints) {
            b.u32(hint >> 1);
            b.u8(1);
            b.u8(hint & 1);
          }
        }
      });
    }
    out.u8(10);
    out.u32(code.length);
    out.raw(code.view());
    return out.view().slice();
  }

  /** The element section: a segment for each run of slots. */
  #placeFunctions(section: (id: number, fill: (b: ByteBuffer) => void) => void): void {
    const runs: { readonly table: number; readonly slot: number; readonly functions: number[] }[] = [];
    this.#functions.forEach(({ place }, i) => {
      if (place === undefined) return;
      const { table = 0, slot, count = 1 } = place;
      const last = runs.at(-1), functions = new Array<number>(count).fill(this.#functionImports + i);
      if (last !== undefined && last.table === table && last.slot + last.functions.length === slot) {
        last.functions.push(...functions);
      } else runs.push({ table, slot, functions });
    });
    if (runs.length === 0) return;
    section(9, (b) => {
      b.u32(runs.length);
      for (const { table, slot, functions } of runs) {
        const of = this.#tables[table];
        b.u8(of === undefined ? 2 : 6);
        b.u32(table);
        b.u8(0x41);
        b.s32(slot);
        b.u8(0x0b);
        // Functions by index are of any type; what goes into a table of one type is written as expressions.
        if (of === undefined) b.u8(0);
        else putElementType(b, of);
        b.u32(functions.length);
        for (const index of functions) {
          if (of !== undefined) b.u8(0xd2);
          b.u32(index);
          if (of !== undefined) b.u8(0x0b);
        }
      }
    });
  }
}

/** funcref, or a reference to a function of type `of` that is never null. */
function putElementType(b: ByteBuffer, of: number | undefined): void {
  b.u8(of === undefined ? 0x70 : 0x64);
  if (of !== undefined) b.s32(of);
}

/** A module that exports a table as `name`: `size` functions of one type, all of them one that traps. */
export function tableModule(
  name: string,
  size: number,
  params: readonly ValueType[],
  results: readonly ValueType[],
): Uint8Array<ArrayBuffer> {
  const out = new ByteBuffer();
  out.raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const section = (id: number, fill: (b: ByteBuffer) => void) => {
    const body = new ByteBuffer();
    body.u8(1);
    fill(body);
    out.u8(id);
    out.u32(body.length);
    out.raw(body.view());
  };
  section(1, (b) => putFunctionType(b, { params, results }));
  section(3, (b) => b.u8(0));
  section(4, (b) => {
    b.raw([0x40, 0]);
    putElementType(b, 0);
    b.u8(1);
    b.u32(size);
    b.u32(size);
    b.raw([0xd2, 0, 0x0b]);
  });
  section(7, (b) => {
    b.name(name);
    b.raw([1, 0]);
  });
  section(10, (b) => b.raw([3, 0, 0, 0x0b]));
  return out.view().slice();
}

function putFunctionType(b: ByteBuffer, { params, results }: FunctionType): void {
  b.u8(0x60);
  for (const list of [params, results]) {
    b.u32(list.length);
    for (const v of list) b.u8(VALUE_TYPE[v]);
  }
}
