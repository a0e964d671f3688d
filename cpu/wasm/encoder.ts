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
  /** Bytes there is room for. */
  get room(): number {
    return this.#bytes.length;
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
  /** Two bytes. */
  pair(first: number, second: number): void {
    if (this.length + 2 > this.#bytes.length) this.#grow(2);
    this.#bytes[this.length] = first;
    this.#bytes[this.length + 1] = second;
    this.length += 2;
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
    if (this.length + MOST_LEB > this.#bytes.length) this.#grow(MOST_LEB);
    this.length = leb(this.#bytes, this.length, value >>> 0);
  }
  /** Signed LEB128 of an i32. */
  s32(value: number): void {
    if (this.length + MOST_LEB > this.#bytes.length) this.#grow(MOST_LEB);
    this.length = signedLeb(this.#bytes, this.length, value);
  }
  /** i32.const */
  i32Const(value: number): void {
    if (this.length + 1 + MOST_LEB > this.#bytes.length) this.#grow(1 + MOST_LEB);
    this.#bytes[this.length] = 0x41;
    this.length = signedLeb(this.#bytes, this.length + 1, value);
  }
  /** i64.const, of its halves. */
  i64Const(low: number, high: number): void {
    if (this.length + 1 + MOST_LEB > this.#bytes.length) this.#grow(1 + MOST_LEB);
    const bytes = this.#bytes;
    let at = this.length;
    bytes[at++] = 0x42;
    while (high !== low >> 31) {
      bytes[at++] = (low & 0x7f) | 0x80;
      low = (low >>> 7) | (high << 25);
      high >>= 7;
    }
    this.length = signedLeb(bytes, at, low);
  }
  /** A load or store that promises no alignment: guests keep none. */
  access(opcode: number, offset: number): void {
    if (this.length + 2 + MOST_LEB > this.#bytes.length) this.#grow(2 + MOST_LEB);
    const bytes = this.#bytes, at = this.length;
    bytes[at] = opcode;
    bytes[at + 1] = 0;
    this.length = leb(bytes, at + 2, offset >>> 0);
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

/** Most bytes of a number. */
const MOST_LEB = 10;
/** Puts an unsigned number there; where it ends. */
function leb(bytes: Uint8Array, at: number, value: number): number {
  for (; value >= 0x80; value >>>= 7) bytes[at++] = (value & 0x7f) | 0x80;
  bytes[at++] = value;
  return at;
}
/** The same with a signed one. */
function signedLeb(bytes: Uint8Array, at: number, value: number): number {
  value |= 0;
  for (; value < -64 || value > 63; value >>= 7) bytes[at++] = (value & 0x7f) | 0x80;
  bytes[at++] = value & 0x7f;
  return at;
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
  /** Where its hints are: see FunctionBody.encode. */
  readonly hints: readonly number[];
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
/** Number of a type in TYPES. */
function typeNumber(type: ValueType): number {
  return type === "i32" ? 0 : type === "i64" ? 1 : TYPES.indexOf(type);
}

/** Numbers of an event: where in the code it stands, and local * 2 + GET or SET. */
const EVENT = 2;
/**
 * Numbers of a local: its type, the last event that it lives at, how many it has, and once it is encoded its number in the
 * function, or -1: none yet.
 */
const LOCAL = 4, LAST = 1, USES = 2, REAL = 3;

/** What a body is written into. */
interface Room {
  readonly code: ByteBuffer;
  readonly events: Int32Array;
  readonly locals: Int32Array;
}
/**
 * The room of a body that is done, for the next one. A region's is a megabyte, which is dear to get, and for the garbage
 * collector to look after.
 */
let spare: Room | undefined;
/** Beyond all events and bytes of code. */
const NEVER = 1 << 30;
/** Bytes of code in a room that is kept. */
const MOST_KEPT = 1 << 20;

const NO_ROOM = new Int32Array(0);
function longer(numbers: Int32Array): Int32Array {
  assert(numbers.length > 0, "nothing is written to a body that is done");
  const grown = new Int32Array(numbers.length * 2);
  grown.set(numbers);
  return grown;
}

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

/** A value of a function: a local that is assigned once, or a constant. */
export class Val {
  private constructor(
    readonly type: ValueType,
    /** Number of the local; CONSTANT: there is none. */
    readonly local: number,
    /** Of a constant: the low and high 32 bits, signed. */
    readonly low: number,
    readonly high: number,
  ) {}
  /** A local's. */
  static of(type: ValueType, local: number): Val {
    return new Val(type, local, 0, 0);
  }
  /** A constant of type i32. */
  static i32(value: number): Val {
    return new Val("i32", CONSTANT, value | 0, 0);
  }
  /** A constant of type i64, of its signed halves. */
  static i64(low: number, high: number): Val {
    return new Val("i64", CONSTANT, low, high);
  }
  get isConstant(): boolean {
    return this.local === CONSTANT;
  }
  /** The constant without a sign, rounded beyond 2^53; undefined: it is none. */
  get constant(): number | undefined {
    return this.local === CONSTANT ? (this.high >>> 0) * 2 ** 32 + (this.low >>> 0) : undefined;
  }
}
const CONSTANT = -1;

/**
 * A function's code. Whoever writes it takes a fresh local for every value; encoding gives them few real ones, because
 * V8's baseline compiler zeroes every local at each call: with a local per value a block of six instructions took
 * 1 µs to enter. A value that is taken right after it was made, and never again, stays on the stack.
 */
export class FunctionBody {
  /** The instructions, without local.get and local.set: those go through get() and set(). */
  readonly code: ByteBuffer;
  readonly #params: number;
  /** local.get and local.set in order: EVENT numbers each. */
  #events: Int32Array;
  #eventCount = 0;
  /** Parameters not included: LOCAL numbers each. */
  #locals: Int32Array;
  #localCount = 0;
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

  constructor(params: number) {
    this.#params = params;
    const { code, events, locals } = spare ??
      { code: new ByteBuffer(1 << 12), events: new Int32Array(1 << 11), locals: new Int32Array(1 << 11) };
    spare = undefined;
    code.length = 0;
    this.code = code;
    this.#events = events;
    this.#locals = locals;
  }
  /** Gives its room to the next body: for one that is not encoded. Nothing more is written. */
  release(): void {
    if (this.code.room <= MOST_KEPT) {
      spare = { code: this.code, events: this.#events, locals: this.#locals };
    }
    this.#events = this.#locals = NO_ROOM;
    this.#eventCount = this.#localCount = 0;
  }
  // What happens for each value of each instruction is written out: V8 does not inline before it optimizes.

  /** Pushes a value on the stack: a {@linkcode Val}. */
  push(value: { readonly type: ValueType }): void {
    const { type, local, low, high } = value as Val;
    if (local !== CONSTANT) this.#event(local, GET);
    else if (type === "i32") this.code.i32Const(low);
    else this.code.i64Const(low, high);
  }
  /** Takes the top of the stack into a fresh local. */
  pop(type: ValueType): Val {
    return Val.of(type, this.take(type));
  }
  /** A fresh local. It is set before it is read, on every path. */
  local(type: ValueType): number {
    return this.#params + this.#newLocal(type, -1, 0);
  }
  /** A fresh local, set to what is on the stack. */
  take(type: ValueType): number {
    const number = this.#eventCount++, at = number * EVENT;
    if (at === this.#events.length) this.#events = longer(this.#events);
    const local = this.#params + this.#newLocal(type, number, 1), events = this.#events;
    events[at] = this.code.length;
    events[at + 1] = local * 2 + SET;
    return local;
  }
  #newLocal(type: ValueType, last: number, uses: number): number {
    const own = this.#localCount++, at = own * LOCAL;
    if (at === this.#locals.length) this.#locals = longer(this.#locals);
    const locals = this.#locals;
    locals[at] = typeNumber(type);
    locals[at + LAST] = last;
    locals[at + USES] = uses;
    locals[at + REAL] = -1;
    return own;
  }
  /** A local that may be read where it was not set on every path: it is 0 before, and keeps its value across jumps. */
  pinned(type: ValueType): number {
    const own = this.#newLocal(type, -1, PINNED);
    this.#pinned.push(own);
    return this.#params + own;
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
    const number = this.#eventCount++, at = number * EVENT;
    if (at === this.#events.length) this.#events = longer(this.#events);
    const events = this.#events;
    events[at] = this.code.length;
    events[at + 1] = local * 2 + what;
    const own = local - this.#params;
    if (own < 0) return;
    const locals = this.#locals, uses = (locals[own * LOCAL + USES] as number) + 1;
    locals[own * LOCAL + LAST] = number;
    locals[own * LOCAL + USES] = uses;
    if (own < this.#before && uses < PINNED) this.#loops[this.#loops.length - 1]!.used.push(own);
  }
  /** Opens a loop block without results. */
  loop(): void {
    this.code.u8(0x03);
    this.code.u8(0x40);
    this.#before = this.#localCount;
    this.#loops.push({ before: this.#before, used: [] });
  }
  /** Closes the innermost loop block. What was there before the loop and is used in it survives to the loop's end. */
  endLoop(): void {
    const loop = this.#loops.pop();
    assert(loop !== undefined, "a loop is open");
    const outer = this.#loops[this.#loops.length - 1], end = this.#eventCount - 1;
    this.#before = outer?.before ?? 0;
    for (const local of loop.used) {
      if ((this.#locals[local * LOCAL + LAST] as number) < end) {
        this.#locals[local * LOCAL + LAST] = end;
        this.#prolonged.push(end, local);
      }
      if (local < this.#before) outer!.used.push(local);
    }
    this.code.u8(0x0b);
  }

  /**
   * Appends the size-prefixed body, which is done then; where its hints are, counted from the body's first byte behind the size: offset times
   * two, and whether it is likely.
   */
  encode(out: ByteBuffer): readonly number[] {
    const events = this.#events, locals = this.#locals, params = this.#params;
    const prolonged = this.#prolonged, hints = this.#hints;
    const count = this.#eventCount, end = count * EVENT;
    const code = this.code.view();
    const body = roomFor(code.length + count * (1 + lebLength(params + this.#localCount)));
    let length = 0, done = 0, nextProlonged = 0;
    let prolongedTo = prolonged.length > 0 ? prolonged[0] as number : NEVER;
    const moved: number[] = [];
    let hintAt = hints.length > 0 ? (hints[0] as number) >> 1 : NEVER;
    const free: number[][] = [[], [], [], [], []];
    /** Groups of locals of one type, as they are declared: type and count. */
    const groups: number[] = [];
    let declared = params;
    const declare = (type: number): number => {
      const { length } = groups;
      if (length > 0 && groups[length - 2] === type) groups[length - 1]!++;
      else groups.push(type, 1);
      return declared++;
    };
    for (const local of this.#pinned) {
      locals[local * LOCAL + REAL] = declare(locals[local * LOCAL] as number);
    }
    for (let i = 0; i < count; i++) {
      const position = events[i * EVENT] as number, event = events[i * EVENT + 1] as number;
      while (hintAt < position) {
        moved.push((length + hintAt - done) * 2 + ((hints[moved.length] as number) & 1));
        hintAt = moved.length < hints.length ? (hints[moved.length] as number) >> 1 : NEVER;
      }
      while (done < position) body[length++] = code[done++] as number;
      const local = (event >> 1) - params;
      // A value that is made and taken on the spot.
      const next = (i + 1) * EVENT;
      const taken = (event & 1) === SET && next < end && events[next + 1] === event - 1 &&
        events[next] === position && local >= 0;
      let number = event >> 1;
      if (local >= 0) {
        const own = local * LOCAL, uses = locals[own + USES] as number;
        if (taken && uses === 2) {
          i++;
          continue;
        }
        const type = locals[own] as number;
        number = locals[own + REAL] as number;
        if (number < 0) locals[own + REAL] = number = (free[type] as number[]).pop() ?? declare(type);
        if (locals[own + LAST] === (taken ? i + 1 : i) && uses < PINNED) {
          (free[type] as number[]).push(number);
        }
      }
      body[length++] = taken ? 0x22 : (event & 1) === SET ? 0x21 : 0x20;
      if (number < 0x80) body[length++] = number;
      else length = leb(body, length, number);
      if (taken) i++;
      while (prolongedTo <= i) {
        const dead = (prolonged[nextProlonged + 1] as number) * LOCAL;
        if (locals[dead + LAST] === prolongedTo) {
          (free[locals[dead] as number] as number[]).push(locals[dead + REAL] as number);
        }
        nextProlonged += 2;
        prolongedTo = nextProlonged < prolonged.length ? prolonged[nextProlonged] as number : NEVER;
      }
    }
    while (hintAt < NEVER) {
      moved.push((length + hintAt - done) * 2 + ((hints[moved.length] as number) & 1));
      hintAt = moved.length < hints.length ? (hints[moved.length] as number) >> 1 : NEVER;
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
    this.release();
    for (let i = 0; i < moved.length; i++) moved[i]! += head.length * 2;
    return moved;
  }
}

/** Builds one module: imports first, then functions; table slots are filled by an active element segment. */
export class ModuleBuilder {
  readonly #types: FunctionType[];
  readonly #typeIndex: Map<string, number>;
  readonly #imports = new ByteBuffer();
  #importCount = 0;
  #functionImports = 0;
  #functions: Func[] = [];
  /** Their bodies. */
  readonly #code = new ByteBuffer(1 << 12);
  /** Of each imported table: the type of the functions in it; undefined: any. */
  readonly #tables: (number | undefined)[];

  /** `like`: has the types and imports of that module at first. */
  constructor(like?: ModuleBuilder) {
    this.#types = like === undefined ? [] : [...like.#types];
    this.#typeIndex = new Map(like === undefined ? [] : like.#typeIndex);
    this.#tables = like === undefined ? [] : [...like.#tables];
    if (like === undefined) return;
    this.#imports.raw(like.#imports.view());
    this.#importCount = like.#importCount;
    this.#functionImports = like.#functionImports;
  }

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
  /** Defines a function; its index. Its body is done. `place`: where instantiation puts it. */
  addFunction(
    type: number,
    body: FunctionBody,
    options: { readonly exportName?: string; readonly place?: TablePlace } = {},
  ): number {
    const hints = body.encode(this.#code);
    this.#functions.push({ type, hints, exportName: options.exportName, place: options.place });
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
    const hinted = this.#functions.flatMap(({ hints }, i) =>
      hints.length === 0 ? [] : [{ index: this.#functionImports + i, hints }]
    );
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
    const count = new ByteBuffer(8);
    count.u32(this.#functions.length);
    out.u8(10);
    out.u32(count.length + this.#code.length);
    out.raw(count.view());
    out.raw(this.#code.view());
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
