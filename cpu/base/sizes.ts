// SPDX-License-Identifier: MIT
/** Sizes as people write them: "512M". @module */
import { ConfigError } from "./assert.ts";
import { GiB, KiB, MiB } from "./bits.ts";

/** So much of what is no size is shown. */
const MOST_SHOWN = 40;
const UNITS: ReadonlyMap<string, number> = new Map([["", 1], ["K", KiB], ["M", MiB], ["G", GiB]]);

/** "512M" in bytes: a number with K, M or G (powers of 1024, either case), or bytes. Throws ConfigError. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?$/i.exec(text.trim());
  const unit = UNITS.get((match?.[2] ?? "").toUpperCase());
  const bytes = match === null || unit === undefined ? NaN : Number(match[1]) * unit;
  if (!Number.isSafeInteger(bytes)) {
    const short = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
    throw new ConfigError(`Cannot use ${JSON.stringify(short)} as a size: write it like 512M or 2G`);
  }
  return bytes;
}

/** Bytes as "512 MiB", with one decimal where it is not whole. */
export function formatSize(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${Number.isInteger(bytes) ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}
