// SPDX-License-Identifier: MIT
/**
 * Messages of 9P2000.L: numbers, and how fields lie in them. Rules: Linux include/net/9p/9p.h and the description of the
 * protocol by its makers (diod, protocol.md). Strings are byte strings here: a character is a byte.
 * @module
 */

export const Rlerror = 7;
export const Tstatfs = 8;
export const Tlopen = 12;
export const Tlcreate = 14;
export const Tsymlink = 16;
export const Tmknod = 18;
export const Trename = 20;
export const Treadlink = 22;
export const Tgetattr = 24;
export const Tsetattr = 26;
export const Txattrwalk = 30;
export const Txattrcreate = 32;
export const Treaddir = 40;
export const Tfsync = 50;
export const Tlock = 52;
export const Tgetlock = 54;
export const Tlink = 70;
export const Tmkdir = 72;
export const Trenameat = 74;
export const Tunlinkat = 76;
export const Tversion = 100;
export const Tauth = 102;
export const Tattach = 104;
export const Tflush = 108;
export const Twalk = 110;
export const Tread = 116;
export const Twrite = 118;
export const Tclunk = 120;
export const Tremove = 122;

/** size[4] type[1] tag[2] */
export const HEADER = 7;
/** Names in one Twalk. */
export const MAXWELEM = 16;
/** "No fid". */
export const NOFID = 0xffff_ffff;
export const QTDIR = 0x80;
export const QTSYMLINK = 0x02;
export const QTFILE = 0x00;

/** What the server calls a file. */
export interface Qid {
  readonly type: number;
  readonly version: number;
  readonly path: bigint;
}

/** Reads the fields of a message; what lies beyond its end reads as nothing and is remembered. */
export class MessageReader {
  /** A field was not all there. */
  bad = false;
  #at = HEADER;
  readonly #view: DataView<ArrayBuffer>;

  constructor(readonly bytes: Uint8Array<ArrayBuffer>) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** What follows; its end is the message's. */
  get left(): number {
    return this.bytes.length - this.#at;
  }

  u8(): number {
    return this.#has(1) ? this.#view.getUint8(this.#at++) : 0;
  }

  u16(): number {
    if (!this.#has(2)) return 0;
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2, true);
  }

  u32(): number {
    if (!this.#has(4)) return 0;
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  u64(): bigint {
    if (!this.#has(8)) return 0n;
    this.#at += 8;
    return this.#view.getBigUint64(this.#at - 8, true);
  }

  string(): string {
    return byteString(this.data(this.u16()));
  }

  data(length: number): Uint8Array<ArrayBuffer> {
    if (!this.#has(length)) return new Uint8Array();
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  #has(n: number): boolean {
    if (this.bad || n > this.left) this.bad = true;
    return !this.bad;
  }
}

/** Writes a message of at most `capacity` bytes, which the caller knows to be enough. */
export class MessageWriter {
  #at = HEADER;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes so far. */
  get length(): number {
    return this.#at;
  }

  u8(value: number): this {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
    return this;
  }

  u64(value: bigint): this {
    this.#view.setBigUint64(this.#at, BigInt.asUintN(64, value), true);
    this.#at += 8;
    return this;
  }

  qid({ type, version, path }: Qid): this {
    return this.u8(type).u32(version).u64(path);
  }

  string(text: string): this {
    this.u16(text.length);
    return this.data(textBytes(text));
  }

  data(bytes: Uint8Array): this {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  /** Room for `length` bytes that somebody else writes; {@linkcode skip} says how many it were. */
  room(length: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#at, this.#at + length);
  }

  skip(length: number): this {
    this.#at += length;
    return this;
  }

  /** Writes again what was written at `at`. */
  patch16(at: number, value: number): this {
    this.#view.setUint16(at, value, true);
    return this;
  }

  patch32(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** The message. */
  finish(type: number, tag: number): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(0, this.#at, true);
    this.#view.setUint8(4, type);
    this.#view.setUint16(5, tag, true);
    return this.#bytes.subarray(0, this.#at);
  }
}

/** One character for each byte. */
export function byteString(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The bytes of such a string. */
export function textBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
