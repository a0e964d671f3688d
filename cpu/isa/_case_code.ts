// SPDX-License-Identifier: MIT
/** The code of a case being written: absolute addresses, state images in memory, immediates. @module */

/** See the module's description. */
export class CaseCode {
  readonly bytes: number[] = [];
  constructor(readonly bits: 32 | 64) {}

  put(...bytes: readonly number[]): void {
    this.bytes.push(...bytes);
  }
  /** Little-endian, four bytes. */
  le32(value: number): void {
    for (let i = 0; i < 4; i++) this.bytes.push((value >>> (8 * i)) & 0xff);
  }
  /** ModRM (and SIB) for an absolute address. */
  absolute(field: number, address: number): void {
    if (this.bits === 64) this.put((field << 3) | 4, 0x25);
    else this.put((field << 3) | 5);
    this.le32(address);
  }
  /** 0F AE /field, with REX.W in 64-bit code: FXSAVE, FXRSTOR, XSAVE, XRSTOR of a state image. */
  image(field: number, address: number): void {
    if (this.bits === 64) this.put(0x48);
    this.put(0x0f, 0xae);
    this.absolute(field, address);
  }
  /** MOV of an immediate to EAX, ECX, EDX ... */
  mov32(register: number, value: number): void {
    this.put(0xb8 | register);
    this.le32(value);
  }
}
