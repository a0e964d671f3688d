// SPDX-License-Identifier: MIT
/** What an ATA disk says of itself, IDENTIFY DEVICE. Rules: ATA/ATAPI-7 (T13/1532D) Vol. 1 §6.17. @module */

export const SECTOR_BYTES = 512;
/** Most sectors of READ and WRITE MULTIPLE between two interrupts. */
export const MOST_MULTIPLE = 16;
/** The geometry that everybody assumes. */
export const HEADS = 16, SECTORS_PER_TRACK = 63;
const MOST_CYLINDERS = 16383;
const MOST_LBA28 = 0x0fff_ffff;
const MODEL = "XENNER DISK", FIRMWARE = "1";
const WORD_54_TO_58_VALID = 1 << 0, WORD_64_TO_70_VALID = 1 << 1;
const LBA = 1 << 9, IORDY = 1 << 11;
const PIO_3_AND_4 = 3;
const ATA_4_TO_7 = 0xf0;
const FLUSH_EXT = 1 << 13, FLUSH = 1 << 12, LBA48 = 1 << 10, ALWAYS = 1 << 14;

/** The 512 bytes of a disk with so many sectors; `multiple`: as SET MULTIPLE MODE has set it. */
export function identify(sectors: number, name: string, multiple: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SECTOR_BYTES);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: number) => view.setUint16(2 * at, value, true);
  // the first letter of two is the upper byte
  const text = (at: number, words: number, value: string) => {
    for (let i = 0; i < 2 * words; i++) view.setUint8(2 * at + (i ^ 1), value.charCodeAt(i) || 0x20);
  };
  const cylinders = Math.min(MOST_CYLINDERS, Math.floor(sectors / (HEADS * SECTORS_PER_TRACK)));
  const inGeometry = cylinders * HEADS * SECTORS_PER_TRACK;
  word(0, 1 << 6); // fixed disk
  [[1, cylinders], [3, HEADS], [6, SECTORS_PER_TRACK]].forEach(([at = 0, value = 0]) => word(at, value));
  text(10, 10, name);
  text(23, 4, FIRMWARE);
  text(27, 20, MODEL);
  word(47, 0x8000 | MOST_MULTIPLE);
  word(49, LBA | IORDY);
  word(53, WORD_54_TO_58_VALID | WORD_64_TO_70_VALID);
  [[54, cylinders], [55, HEADS], [56, SECTORS_PER_TRACK]].forEach(([at = 0, value = 0]) => word(at, value));
  view.setUint32(2 * 57, inGeometry, true);
  if (multiple > 0) word(59, 1 << 8 | multiple);
  view.setUint32(2 * 60, Math.min(sectors, MOST_LBA28), true);
  word(64, PIO_3_AND_4);
  [67, 68].forEach((at) => word(at, 120)); // nanoseconds of a PIO cycle
  word(80, ATA_4_TO_7);
  for (const at of [83, 86]) word(at, (at === 83 ? ALWAYS : 0) | FLUSH_EXT | FLUSH | LBA48);
  for (const at of [84, 87]) word(at, ALWAYS);
  view.setBigUint64(2 * 100, BigInt(sectors), true);
  return bytes;
}
