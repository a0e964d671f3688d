// SPDX-License-Identifier: MIT
/**
 * QEMU's firmware configuration device, as SeaBIOS looks for it: a selector and a data port that gives one byte after
 * the other, named files among them. Rules: QEMU docs/specs/fw_cfg.rst.
 * Not done: the DMA interface, writing, the items from before there were files (they read as zeros).
 * @module
 */
import type { AccessSize, PortDevice } from "../../cpu/base/bus.ts";

const FW_CFG_SIGNATURE = 0x00;
const FW_CFG_ID = 0x01;
const FW_CFG_FILE_DIR = 0x19;
const FW_CFG_FILE_FIRST = 0x20;
const VERSION_TRADITIONAL = 1;
const NAME_BYTES = 56;
const ENTRY_BYTES = 8 + NAME_BYTES;

/** What a snapshot keeps. */
export interface FwCfgState {
  selected: number;
  at: number;
}

/** The two ports. */
export class FwCfg implements PortDevice<FwCfgState> {
  readonly portCount = 2;
  readonly #items = new Map<number, Uint8Array>();
  #s: FwCfgState = { selected: 0, at: 0 };

  /** `files`: by name, up to 55 letters of ASCII. */
  constructor(readonly name: string, files: Readonly<Record<string, Uint8Array>>) {
    const entries = Object.entries(files);
    const directory = new Uint8Array(4 + entries.length * ENTRY_BYTES);
    const view = new DataView(directory.buffer);
    view.setUint32(0, entries.length); // big endian, as all of the directory
    entries.forEach(([name, bytes], i) => {
      const at = 4 + i * ENTRY_BYTES;
      view.setUint32(at, bytes.length);
      view.setUint16(at + 4, FW_CFG_FILE_FIRST + i);
      directory.set(new TextEncoder().encode(name).subarray(0, NAME_BYTES - 1), at + 8);
      this.#items.set(FW_CFG_FILE_FIRST + i, bytes);
    });
    this.#items.set(FW_CFG_SIGNATURE, new TextEncoder().encode("QEMU"));
    this.#items.set(FW_CFG_ID, Uint8Array.of(VERSION_TRADITIONAL, 0, 0, 0));
    this.#items.set(FW_CFG_FILE_DIR, directory);
  }

  reset(): void {
    this.#s = { selected: 0, at: 0 };
  }
  save(): FwCfgState {
    return { ...this.#s };
  }
  restore(state: FwCfgState): void {
    this.#s = { ...state };
  }

  /** Port 1 is the next byte of the item; behind its end there are zeros. */
  readPort(offset: number, size: AccessSize): number {
    const s = this.#s;
    if (offset !== 1 || size !== 1) return offset === 0 && size === 2 ? s.selected : 2 ** (8 * size) - 1;
    const item = this.#items.get(s.selected);
    if (item === undefined || s.at >= item.length) return 0;
    return item[s.at++] as number;
  }

  /** Port 0, two bytes wide, selects. */
  writePort(offset: number, size: AccessSize, value: number): void {
    if (offset === 0 && size === 2) this.#s = { selected: value, at: 0 };
  }
}

/** A number as SeaBIOS reads one. */
export function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
