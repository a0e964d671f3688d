// SPDX-License-Identifier: MIT
/**
 * LZMA and LZMA2 decoder into an output of known size; the output is the dictionary. Rules: the LZMA
 * specification (lzma-specification.txt of the LZMA SDK); LZMA2 chunks as in the .xz format's reference.
 *
 * Input comes from the user's file: bad data ends in a {@linkcode ConfigError}, never past a bound.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";

const PROBABILITY_BITS = 11;
const PROBABILITY_INIT = 1 << (PROBABILITY_BITS - 1);
const MOVE_BITS = 5;
const TOP = 2 ** 24;
const STATES = 12;
const POS_STATES_MAX = 16;
const MATCH_MIN = 2;
const END_MARKER = 0xffff_ffff;

// Places in the one array of probabilities.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POS_STATES_MAX;
const IS_REP0 = IS_REP + STATES;
const IS_REP1 = IS_REP0 + STATES;
const IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const DISTANCE_SLOT = IS_REP0_LONG + STATES * POS_STATES_MAX; // 4 trees of 6 bits
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128; // 4 bits, reversed
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
const LENGTH_LOW = 2; // after the two choice bits: 3 bits for each position state
const LENGTH_MID = LENGTH_LOW + POS_STATES_MAX * 8;
const LENGTH_HIGH = LENGTH_MID + POS_STATES_MAX * 8; // 8 bits
const LENGTH_SIZE = LENGTH_HIGH + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
const LITERAL = REP_LENGTH + LENGTH_SIZE;
const LITERAL_SIZE = 0x300;

const corrupt = (why: string) => new ConfigError(`Cannot decompress LZMA data: ${why}`);

/** One stream of LZMA symbols, continued over the chunks of LZMA2. */
export class LzmaDecoder {
  readonly output: Uint8Array;
  /** Bytes of output so far. */
  position = 0;
  #input: Uint8Array;
  #at = 0;
  #end = 0;
  #range = 0;
  #code = 0;
  #lc = 0;
  #lpMask = 0;
  #pbMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  /** Matches reach back to here at most (the last dictionary reset). */
  #dictionaryStart = 0;
  #probabilities = new Uint16Array(0);

  constructor(input: Uint8Array, output: Uint8Array) {
    this.#input = input;
    this.output = output;
  }

  /** Forgets the dictionary. */
  resetDictionary(): void {
    this.#dictionaryStart = this.position;
  }

  /** Sets lc, lp and pb from their packed byte; a reset of the state has to follow. */
  setProperties(packed: number): void {
    if (packed >= 9 * 5 * 5) throw corrupt("bad properties");
    this.#lc = packed % 9;
    const lp = Math.floor(packed / 9) % 5;
    this.#lpMask = (1 << lp) - 1;
    this.#pbMask = (1 << Math.floor(packed / 45)) - 1;
    this.#probabilities = new Uint16Array(LITERAL + (LITERAL_SIZE << (this.#lc + lp)));
  }

  /** Forgets all that was learned. */
  resetState(): void {
    if (this.#probabilities.length === 0) throw corrupt("no properties");
    this.#probabilities.fill(PROBABILITY_INIT);
    this.#state =
      this.#rep0 =
      this.#rep1 =
      this.#rep2 =
      this.#rep3 =
        0;
  }

  /** Stores `length` bytes of input at `from` as they are. */
  copy(from: number, length: number): void {
    if (from + length > this.#input.length) throw corrupt("input is truncated");
    if (this.position + length > this.output.length) throw corrupt("more output than announced");
    this.output.set(this.#input.subarray(from, from + length), this.position);
    this.position += length;
  }

  /**
   * Decodes input [from, to) until `length` more bytes are out, or until the end marker where that is allowed.
   * Returns the offset after the last byte used.
   */
  decode(from: number, to: number, length: number, endMarker = false): number {
    if (from + 5 > to || to > this.#input.length) throw corrupt("input is truncated");
    if (this.position + length > this.output.length) throw corrupt("more output than announced");
    if (this.#probabilities.length === 0) throw corrupt("no properties");
    if (this.#input[from] !== 0) throw corrupt("range coder starts wrong");
    this.#at = from + 1;
    this.#end = to;
    this.#range = 0xffff_ffff;
    this.#code = 0;
    for (let i = 0; i < 4; i++) this.#code = ((this.#code << 8) | this.#next()) >>> 0;
    const ended = this.#symbols(this.position + length);
    if (ended && !endMarker) throw corrupt("unexpected end marker");
    if (this.#range < TOP) this.#normalize();
    return this.#at;
  }

  #next(): number {
    if (this.#at >= this.#end) throw corrupt("input is truncated");
    return this.#input[this.#at++] as number;
  }

  #normalize(): void {
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#next()) >>> 0;
  }

  #bit(index: number): number {
    const p = this.#probabilities;
    if (this.#range < TOP) this.#normalize();
    const probability = p[index] as number;
    const bound = (this.#range >>> PROBABILITY_BITS) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      p[index] = probability + (((1 << PROBABILITY_BITS) - probability) >>> MOVE_BITS);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    p[index] = probability - (probability >>> MOVE_BITS);
    return 1;
  }

  #direct(count: number): number {
    let value = 0;
    for (; count > 0; count--) {
      if (this.#range < TOP) this.#normalize();
      this.#range >>>= 1;
      let bit = 0;
      if (this.#code >= this.#range) {
        this.#code -= this.#range;
        bit = 1;
      }
      value = ((value << 1) | bit) >>> 0;
    }
    return value;
  }

  #tree(base: number, bits: number): number {
    let node = 1;
    for (let i = 0; i < bits; i++) node = (node << 1) | this.#bit(base + node);
    return node - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #length(base: number, posState: number): number {
    if (this.#bit(base) === 0) return this.#tree(base + LENGTH_LOW + posState * 8, 3);
    if (this.#bit(base + 1) === 0) return 8 + this.#tree(base + LENGTH_MID + posState * 8, 3);
    return 16 + this.#tree(base + LENGTH_HIGH, 8);
  }

  /** Distance minus one. */
  #distance(length: number): number {
    const slot = this.#tree(DISTANCE_SLOT + Math.min(length, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >>> 1) - 1;
    const high = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return high + this.#reverseTree(DISTANCE_SPECIAL + high - slot, bits);
    return high + ((this.#direct(bits - 4) << 4) >>> 0) + this.#reverseTree(DISTANCE_ALIGN, 4);
  }

  #literal(): void {
    const { output, position } = this;
    const previous = position > this.#dictionaryStart ? output[position - 1] as number : 0;
    const context = (((position - this.#dictionaryStart) & this.#lpMask) << this.#lc) +
      (previous >>> (8 - this.#lc));
    const base = LITERAL + LITERAL_SIZE * context;
    let symbol = 1;
    if (this.#state >= 7) {
      // After a match: the byte the match would have gone on with helps until the first difference.
      let match = output[position - this.#rep0 - 1] as number;
      while (symbol < 0x100) {
        const matchBit = (match >>> 7) & 1;
        match <<= 1;
        const bit = this.#bit(base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    output[position] = symbol & 0xff;
    this.position = position + 1;
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  /** Decodes up to position `limit`; true when the end marker came first. */
  #symbols(limit: number): boolean {
    const { output } = this;
    while (this.position < limit) {
      const posState = (this.position - this.#dictionaryStart) & this.#pbMask;
      const state = this.#state;
      if (this.#bit(IS_MATCH + state * POS_STATES_MAX + posState) === 0) {
        this.#literal();
        continue;
      }
      let length: number;
      if (this.#bit(IS_REP + state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(MATCH_LENGTH, posState);
        this.#rep0 = this.#distance(length);
        this.#state = state < 7 ? 7 : 10;
        if (this.#rep0 === END_MARKER) return true;
      } else {
        if (this.#bit(IS_REP0 + state) === 0) {
          if (this.#bit(IS_REP0_LONG + state * POS_STATES_MAX + posState) === 0) {
            this.#state = state < 7 ? 9 : 11;
            if (this.#rep0 >= this.position - this.#dictionaryStart) throw corrupt("match before the start");
            output[this.position] = output[this.position - this.#rep0 - 1] as number;
            this.position++;
            continue;
          }
        } else {
          let distance = this.#rep1;
          if (this.#bit(IS_REP1 + state) === 1) {
            distance = this.#rep2;
            if (this.#bit(IS_REP2 + state) === 1) {
              distance = this.#rep3;
              this.#rep3 = this.#rep2;
            }
            this.#rep2 = this.#rep1;
          }
          this.#rep1 = this.#rep0;
          this.#rep0 = distance;
        }
        length = this.#length(REP_LENGTH, posState);
        this.#state = state < 7 ? 8 : 11;
      }
      length += MATCH_MIN;
      const distance = this.#rep0 + 1;
      let to = this.position;
      if (distance > to - this.#dictionaryStart) throw corrupt("match before the start");
      if (to + length > limit) throw corrupt("more output than announced");
      if (distance >= length) output.copyWithin(to, to - distance, to - distance + length);
      else for (let i = 0; i < length; i++, to++) output[to] = output[to - distance] as number;
      this.position += length;
    }
    return false;
  }
}

/** Decodes LZMA2 chunks from `from`; returns the offset after the end chunk. */
export function decodeLzma2(input: Uint8Array, from: number, decoder: LzmaDecoder): number {
  const byte = (at: number) => {
    const value = input[at];
    if (value === undefined) throw corrupt("input is truncated");
    return value;
  };
  const u16 = (at: number) => (byte(at) << 8) | byte(at + 1);
  for (let at = from;;) {
    const control = byte(at);
    if (control === 0) return at + 1;
    if (control < 0x80) {
      if (control > 2) throw corrupt("bad chunk");
      if (control === 1) decoder.resetDictionary();
      const length = u16(at + 1) + 1;
      decoder.copy(at + 3, length);
      at += 3 + length;
      continue;
    }
    const length = (((control & 0x1f) << 16) | u16(at + 1)) + 1;
    const packed = u16(at + 3) + 1;
    const reset = (control >>> 5) & 3;
    let data = at + 5;
    if (reset === 3) decoder.resetDictionary();
    if (reset >= 2) decoder.setProperties(byte(data++));
    if (reset >= 1) decoder.resetState();
    decoder.decode(data, data + packed, length);
    at = data + packed;
  }
}
