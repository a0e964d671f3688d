// SPDX-License-Identifier: MIT
/**
 * The table for the CRC32 instruction (CRC-32C, polynomial 11EDC6F41H reflected; SDM Vol. 2A, CRC32), in the
 * constant pool below the guest's memory where emitted code reads it.
 * @module
 */
import { CONSTANT_POOL } from "../../state/state.ts";

/** Address of 256 u32: what a byte adds to the remainder. */
export const CRC32C_TABLE = CONSTANT_POOL;

const POLYNOMIAL = 0x82f6_3b78;

/** Fills the table. */
export function fillCrc32cTable(view: DataView): void {
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    view.setUint32(CRC32C_TABLE + 4 * byte, crc >>> 0, true);
  }
}
