// SPDX-License-Identifier: MIT
/**
 * Random cases for integer rows, made from the rows' own encodings: registers, memory operands of every shape,
 * prefixes, immediates, and register values that make the instruction do something worth comparing.
 * @module
 */
import { MAX_CODE, type NativeCase, SCRATCH_BYTES } from "./_native_runner.ts";
import type { Row } from "./row/row.ts";

/** Rows that programs may run and whose outcome is the same for every program: the first word of their text. */
const WORDS = new Set(
  ("ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT MOV MOVZX MOVSX MOVSXD CBW/CWDE/CDQE CWD/CDQ/CQO LEA " +
    "XLAT XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B BSWAP CMOVcc SETcc LAHF SAHF SALC ROL ROR RCL RCR SHL SHR SAR " +
    "SHLD SHRD MUL IMUL DIV IDIV BT BTS BTR BTC BSF BSR TZCNT LZCNT POPCNT MOVBE ADCX ADOX " +
    "ANDN BEXTR BLSI BLSMSK BLSR BZHI MULX PDEP PEXT RORX SARX SHLX SHRX DAA DAS AAA AAS AAM AAD MOVS CMPS STOS LODS SCAS " +
    "PUSH POP PUSHA POPA PUSHF POPF LEAVE ENTER JMP CALL RET Jcc JCXZ LOOP LOOPE LOOPNE BOUND UD2 NOP " +
    "PAUSE CLC STC CMC CLD STD").split(" "),
);
const STACK = new Set("PUSH POP PUSHA POPA PUSHF POPF LEAVE ENTER CALL RET".split(" "));
const STRING = new Set("MOVS CMPS STOS LODS SCAS".split(" "));
const BRANCH = new Set("JMP CALL RET Jcc JCXZ LOOP LOOPE LOOPNE".split(" "));

const wordOf = (row: Row) => row.text.split(" ")[0] as string;

/** True when this module makes cases for `row` in `bits`-bit mode. */
export function isComparable(row: Row, bits: 32 | 64): boolean {
  if (row.mode === (bits === 64 ? "no64" : "only64") || !WORDS.has(wordOf(row))) return false;
  if (row.options.reg === "xmm" || row.options.rm === "xmm" || row.immediates[0] === "far") return false;
  return !/Sreg|CRn|DRn|m16:|^(PUSH|POP) [C-GS]S$/.test(row.text);
}

/** A seeded generator of 32-bit numbers (mulberry32). */
export class Random {
  constructor(private state: number) {}
  u32(): number {
    this.state = (this.state + 0x6d2b_79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
  /** Small, extreme, or anything. */
  value(): bigint {
    const edge = [0n, 1n, -1n, 0x7fn, 0x80n, 0x7fffn, 0x8000n, 0x7fff_ffffn, 0x8000_0000n, 1n << 63n];
    if (this.chance(25)) return BigInt.asUintN(64, edge[this.below(edge.length)] as bigint);
    return this.chance(40) ? this.u64() >> BigInt(this.below(64)) : this.u64();
  }
}

const ARITHMETIC = 0x8d5, DF = 0x400, ALWAYS = 0x202;

/** Where a case lives. */
export interface Place {
  readonly bits: 32 | 64;
  readonly code: number;
  readonly scratch: number;
  /** Memory operands need no registers. */
  readonly fixedMemory?: boolean;
}

/** A case for `row`. */
export function randomCase(row: Row, random: Random, place: Place): NativeCase {
  const { bits, code, scratch } = place;
  const word = wordOf(row);
  const long = bits === 64, registers = long ? 16 : 8;
  const gpr = Array.from({ length: 16 }, () => random.value());
  let flags = ALWAYS | (random.u32() & (ARITHMETIC | (STRING.has(word) ? DF : 0)));
  const memory = Uint8Array.from({ length: SCRATCH_BYTES }, () => random.u32());
  const view = new DataView(memory.buffer);
  const middle = SCRATCH_BYTES / 2;
  const uses = new Set<number>(), stores: { at: number; value: number }[] = [];

  // Operand and address size
  const branch = BRANCH.has(word);
  const vex = row.vex !== undefined;
  let opsize = !vex && row.size !== 8 && (row.prefix === undefined || /^([TL]ZCNT|POPCNT)$/.test(word)) &&
    !branch &&
    random.chance(33);
  const rexW = row.rexW ?? (long && row.size !== 8 && !branch && random.chance(40));
  if (word === "POPCNT" || word === "CMPXCHG8B") opsize = opsize && word === "POPCNT" && !rexW;
  if (row.size === "y") opsize = false; // 32 or 64 bits
  const byDefault64 = row.size === "q" || row.size === "f";
  const w = row.size === 8
    ? 8
    : long && (rexW || (byDefault64 && !opsize))
    ? 64
    : typeof row.size === "number"
    ? row.size
    : opsize
    ? 16
    : 32;
  const implicit = STRING.has(word) || word === "XLAT" || row.immediates[0] === "mo";
  const adsize = (long || word === "LEA" || word.startsWith("LOOP") || word === "JCXZ") && random.chance(20);
  const asize = long ? (adsize ? 32 : 64) : adsize ? 16 : 32;

  const pick = () => random.below(registers);
  const rexBit = (r: number) => r >> 3;
  let rex = rexW ? 8 : 0;
  let rexGiven = rexW || (long && random.chance(20));
  const tail: number[] = [];
  const le = (value: bigint | number, bytes: number) => {
    const v = BigInt.asUintN(64, BigInt(value));
    for (let i = 0; i < bytes; i++) tail.push(Number((v >> BigInt(i * 8)) & 0xffn));
  };
  let opcode = row.opcode;
  if (row.span === 16) opcode += random.below(16);
  let reg = row.extension ?? pick();
  const named = row.extension === undefined ? reg : -1;
  let rm = -1;
  let isMemory = false;
  let target = middle + random.below(32);
  if (word === "CMPXCHG16B" && random.chance(90)) target &= ~15;

  if (row.span === 8) {
    rm = pick();
    opcode += rm & 7;
    rex |= rexBit(rm);
  }
  let ripDisplacement = -1; // where in `tail` a RIP-relative displacement stands
  if (row.hasModrm) {
    isMemory = row.modrmForm === "mem" || (row.modrmForm === "any" && random.chance(50));
    const regField = (reg & 7) << 3;
    if (row.extension === undefined) rex |= rexBit(reg) << 2;
    if (!isMemory) {
      rm = pick();
      while (branch && word === "CALL" && rm === 4) rm = pick();
      if (word === "POP" && random.chance(10)) rm = 4;
      tail.push(0xc0 | regField | (rm & 7));
      rex |= rexBit(rm);
    } else if (asize === 16) {
      const mod = random.below(3), short = random.below(8);
      tail.push((mod << 6) | regField | short);
      if (mod === 1) le(random.u32(), 1);
      else if (mod === 2 || short === 6) le(random.u32(), 2);
    } else {
      const address = BigInt(scratch + target);
      const mod = random.below(3);
      const free = word === "LEA"; // its address may be anything
      const put = (r: number, value: bigint) => {
        if (free) return;
        uses.add(r);
        const high = long && asize === 32 ? random.u64() & 0xffff_ffff_0000_0000n : 0n;
        gpr[r] = BigInt.asUintN(long ? 64 : 32, asize === 32 ? (value & 0xffff_ffffn) | high : value);
      };
      const byte = (random.u32() << 24) >> 24;
      const disp = mod === 0 ? 0 : mod === 1 ? byte : STACK.has(word) ? byte : random.u32() >> 2;
      const kind = place.fixedMemory === true ? 0 : random.below(10);
      if (kind === 0) {
        // [RIP + disp32], or [disp32]
        tail.push(regField | 5);
        ripDisplacement = tail.length;
        le(long ? 0 : address, 4);
      } else if (kind === 1) {
        tail.push(regField | 4, 0x25); // SIB without base and index: [disp32]
        le(address, 4);
      } else if (kind < 6) {
        let base = pick();
        while ((base & 7) === 4 || (mod === 0 && (base & 7) === 5)) base = pick();
        if (word === "PUSH" || word === "POP" || word === "CALL") { while ((base & 7) === 4) base = pick(); }
        tail.push((mod << 6) | regField | (base & 7));
        rex |= rexBit(base);
        put(base, address - BigInt(disp));
        if (mod !== 0) le(disp, mod === 1 ? 1 : 4);
      } else {
        let base = pick(), index = pick();
        while (mod === 0 && (base & 7) === 5) base = pick();
        while (index === base || index === 4) index = pick();
        const stack = STACK.has(word) && base === 4;
        const scale = random.below(4);
        tail.push((mod << 6) | regField | 4, (scale << 6) | ((index & 7) << 3) | (base & 7));
        rex |= rexBit(base) | (rexBit(index) << 1);
        if (index === reg && row.extension === undefined) reg = -1;
        if (!free) {
          uses.add(index);
          gpr[index] = random.chance(50) ? BigInt(random.below(64)) : random.u64();
          if (!long) gpr[index] = (gpr[index] as bigint) & 0xffff_ffffn;
        }
        if (stack) gpr[index] = BigInt(random.below(8));
        const bias = (BigInt.asIntN(64, gpr[index] as bigint) << BigInt(scale)) + BigInt(disp);
        put(base, BigInt.asUintN(64, address - bias));
        if (mod !== 0) le(disp, mod === 1 ? 1 : 4);
      }
    }
  }

  // VEX.vvvv: a control word, or anything
  const vvvv = vex && row.options.vvvv === "gpr" ? pick() : -1;
  if (vvvv >= 0 && !(isMemory && isAddressRegister(tail, rex, vvvv)) && random.chance(60)) {
    gpr[vvvv] = BigInt(random.below(w + 8) | (random.below(w + 8) << 8)) | (random.u64() & ~0xffffn);
  }

  // Implicit operands
  if (STRING.has(word)) {
    const high = asize === 32 && long ? 0xdead_beef_0000_0000n : 0n;
    gpr[6] = BigInt(scratch + middle + random.below(64) - 32) | high;
    gpr[7] = BigInt(scratch + middle + random.below(64) - 32) | high;
    gpr[1] = BigInt(random.below(w === 64 ? 16 : 24)) | (high !== 0n && gpr[1] !== 0n ? high : 0n);
    if (random.chance(50)) memory.fill(random.below(3), middle - 64, middle + 64 + random.below(64));
    if (random.chance(30)) gpr[0] = BigInt(memory[middle] as number) * 0x0101_0101_0101_0101n;
    for (const r of [1, 6, 7]) uses.add(r);
  }
  if (word === "XLAT") {
    gpr[3] = BigInt(scratch + random.below(128)) | (asize === 32 && long ? 0xdn << 40n : 0n);
    uses.add(3);
  }
  if (STACK.has(word)) {
    const isBase = isMemory && gpr[4] !== undefined && BigInt.asUintN(64, gpr[4]) >= BigInt(scratch) &&
      gpr[4] < BigInt(scratch + SCRATCH_BYTES);
    if (!isBase) gpr[4] = BigInt(scratch + middle + random.below(32) - 16);
    if (word === "ENTER" || word === "LEAVE") {
      gpr[5] = BigInt(scratch + middle + random.below(32));
      uses.add(5);
    }
    uses.add(4);
  }
  const inAddress = (r: number) => isMemory && isAddressRegister(tail, rex, r);
  if ((word === "DIV" || word === "IDIV") && !inAddress(2) && random.chance(70)) {
    gpr[2] = random.chance(50) ? 0n : BigInt(random.below(256));
    if (word === "IDIV" && random.chance(50)) gpr[2] = -1n;
    gpr[2] = BigInt.asUintN(64, gpr[2] as bigint);
    uses.add(2);
  }
  // A 16-bit operand shifted by more than 16 is undefined, and vendors differ.
  const shortDouble = /^SH[LR]D$/.test(word) && w === 16;
  if (shortDouble) {
    if (inAddress(1)) return randomCase(row, random, place);
    gpr[1] = BigInt(random.below(17) | 0xe0);
    uses.add(1);
  }
  if (word.startsWith("LOOP") || word === "JCXZ") {
    gpr[1] = BigInt(random.below(3)) | (random.chance(50) ? 0xabcd_0000_0000n : 0n);
    uses.add(1);
  }
  if (/^BT[SRC]? r\/m, r$/.test(row.text) && isMemory) {
    const inUse = (r: number) =>
      gpr[r] as bigint >= BigInt(scratch) && gpr[r] as bigint < BigInt(scratch + SCRATCH_BYTES);
    if (reg < 0 || inUse(reg) || reg === 4) return randomCase(row, random, place);
    const offset = BigInt(random.below(1024) - 512);
    // The register may serve the address, too: then the address is off, and the case is made anew.
    const before = gpr[reg];
    gpr[reg] = BigInt.asUintN(64, offset);
    if (inAddress(reg)) {
      gpr[reg] = before as bigint;
      return randomCase(row, random, place);
    }
    uses.add(reg);
  }
  if (word.startsWith("CMPXCHG") && random.chance(50)) {
    if (isMemory) {
      view.setBigUint64(target, gpr[0] as bigint, true);
      if (word === "CMPXCHG8B") view.setUint32(target + 4, Number((gpr[2] as bigint) & 0xffff_ffffn), true);
      if (word === "CMPXCHG16B") view.setBigUint64(target + 8, gpr[2] as bigint, true);
    } else if (rm !== 4) gpr[rm] = gpr[0] as bigint;
  }

  // Immediates
  const skip = 4;
  for (const kind of row.immediates) {
    if (kind === "ib" || kind === "ub") {
      if (word === "ENTER") le(random.below(9) | (random.u32() & 0xe0), 1);
      else if (shortDouble) le(random.below(17) | (random.u32() & 0xe0), 1);
      else le(random.u32(), 1);
    } else if (kind === "iw") le(word === "ENTER" ? random.below(64) : random.u32(), 2);
    else if (kind === "iz") le(random.value(), w === 16 ? 2 : 4);
    else if (kind === "iv") le(random.value(), w / 8);
    else if (kind === "mo") le(scratch + target, asize / 8);
    else if (kind === "cb") le(skip, 1);
    else if (kind === "cz") le(skip, 4);
  }

  // Prefixes, in any order but REX last
  const bytes: number[] = [];
  if (opsize) bytes.push(0x66);
  if (adsize) bytes.push(0x67);
  if (row.options.repeats === true && random.chance(70)) bytes.push(random.chance(50) ? 0xf3 : 0xf2);
  if (row.options.lockable === true && isMemory && random.chance(20)) bytes.push(0xf0);
  if ((isMemory || implicit) && random.chance(15)) {
    const choices = long ? [0x64, 0x65, 0x2e, 0x3e] : [0x26, 0x36, 0x3e];
    bytes.push(choices[random.below(choices.length)] as number);
  }
  if (vex) bytes.push(...vexPrefix(row, long ? rex : rexW ? 8 : 0, vvvv));
  else if (row.prefix !== undefined && row.prefix !== "np") bytes.push(parseInt(row.prefix, 16));
  rexGiven ||= rex !== 0;
  if (long && rexGiven && !vex) bytes.push(0x40 | rex);
  if (row.map > 0 && !vex) bytes.push(0x0f);
  if (row.map > 1 && !vex) bytes.push(row.map === 2 ? 0x38 : 0x3a);
  bytes.push(opcode);
  const tailAt = bytes.length;
  bytes.push(...tail);
  if (ripDisplacement >= 0 && long) {
    const at = tailAt + ripDisplacement;
    const displacement = scratch + target - (code + bytes.length);
    for (let i = 0; i < 4; i++) bytes[at + i] = (displacement >> (i * 8)) & 0xff;
  }

  // Branches skip an instruction that leaves a mark
  if (branch) {
    const goal = BigInt(code + bytes.length + skip);
    const store = (at: number) => {
      stores.push({ at: scratch + at, value: Number(goal) });
      if (long) view.setBigUint64(at, goal, true);
      else view.setUint32(at, Number(goal), true);
    };
    if (word === "RET") store(Number(gpr[4] as bigint) - scratch);
    else if (row.hasModrm && isMemory) store(target);
    else if (row.hasModrm) {
      gpr[rm] = goal;
      uses.add(rm);
    }
    bytes.push(...(long ? [0x48, 0x8d, 0x52, 1] : [0x8d, 0x52, 1, 0x90]));
  }
  if (word === "POPF") {
    const at = Number(gpr[4] as bigint) - scratch;
    const value = ALWAYS | (random.u32() & (ARITHMETIC | DF | 1 << 21));
    view.setUint32(at, value, true);
    stores.push({ at: scratch + at, value });
  }
  if (bytes.length > MAX_CODE) throw new RangeError("a case's code is too long");
  if (!long) { for (let r = 0; r < 16; r++) gpr[r] = r < 8 ? (gpr[r] as bigint) & 0xffff_ffffn : 0n; }
  flags >>>= 0;
  const operands = [named, isMemory ? -1 : rm, vvvv].filter((r) => r >= 0);
  return { code: bytes, gpr, flags, memory, uses: Array.from(uses), operands, stores };
}

/**
 * Rows for sequences: all flags defined, no pointers in registers. What they leave undefined would be seen by the
 * instructions behind them.
 */
export function fitsSequence(row: Row, bits: 32 | 64): boolean {
  const word = wordOf(row);
  if (!isComparable(row, bits) || (row.options.undefinedFlags ?? 0) !== 0) return false;
  if (STACK.has(word) || STRING.has(word) || (BRANCH.has(word) && word !== "Jcc")) return false;
  return !/^(XLAT|UD2|BOUND|CMPXCHG16B|CLD|STD|MOV .*moffs|(LEA|RC[LR]|RO[LR]) .*(m|CL|imm8))/.test(
    row.text,
  ) ||
    /^(RC[LR]|RO[LR]) .*, 1$/.test(row.text);
}

/** Several instructions in a row. */
export function randomSequence(rows: readonly Row[], random: Random, place: Place): NativeCase {
  const code: number[] = [];
  let last: NativeCase | undefined;
  for (let n = 3 + random.below(5); n > 0; n--) {
    const row = rows[random.below(rows.length)] as Row;
    last = randomCase(row, random, { ...place, code: place.code + code.length, fixedMemory: true });
    code.push(...last.code);
  }
  if (last === undefined || code.length > MAX_CODE) throw new RangeError("a sequence is too long");
  return { ...last, code };
}

/** C4 with the fields of `rex`; `vvvv` below 0: it names nothing. */
function vexPrefix(row: Row, rex: number, vvvv: number): number[] {
  const pp = { np: 0, 66: 1, f3: 2, f2: 3 }[row.prefix ?? "np"];
  const second = (~rex & 7) << 5 | row.map;
  return [0xc4, second, ((rex & 8) << 4) | ((vvvv < 0 ? 15 : ~vvvv & 15) << 3) | pp];
}

/** Whether the ModRM and SIB bytes in `tail` name `reg` in the address. */
function isAddressRegister(tail: readonly number[], rex: number, reg: number): boolean {
  const modrm = tail[0] as number;
  if ((modrm & 7) !== 4) return ((modrm & 7) | ((rex & 1) << 3)) === reg;
  const sib = tail[1] as number;
  return ((sib & 7) | ((rex & 1) << 3)) === reg || (((sib >> 3) & 7) | ((rex & 2) << 2)) === reg;
}
