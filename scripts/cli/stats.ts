// SPDX-License-Identifier: MIT
/** What --stats prints. @module */
import type { MachineStats } from "../../devices/machine/machine_options.ts";

/** Of this section people want to know how many there are in a second. */
const EXITS = "exit";

/** Counters as people read them: first the machine, then every counter, grouped by the first part of its name. */
export function formatStats(stats: MachineStats): string {
  const lines = [
    `instructions  ${group(stats.instructions)}`,
    `seconds       ${stats.seconds.toFixed(3)}`,
    `MIPS          ${stats.mips.toFixed(1)}`,
  ];
  const sections = new Map<string, [string, number][]>();
  for (const [name, value] of Object.entries(stats.counters)) {
    const dot = name.indexOf(".");
    const section = dot < 0 ? "machine" : name.slice(0, dot);
    const entries = sections.get(section) ?? [];
    entries.push([dot < 0 ? name : name.slice(dot + 1), value]);
    sections.set(section, entries);
  }
  for (const [section, entries] of [...sections].sort(([a], [b]) => a < b ? -1 : 1)) {
    lines.push("", section);
    const shown = entries.filter(([, value]) => value !== 0).sort((a, b) => b[1] - a[1]);
    const width = Math.max(0, ...shown.map(([name]) => name.length));
    for (const [name, value] of shown) {
      const rate = section === EXITS && stats.seconds > 0
        ? ` (${group(Math.round(value / stats.seconds))}/s)`
        : "";
      lines.push(`  ${name.padEnd(width)}  ${group(value)}${rate}`);
    }
    if (shown.length === 0) lines.pop(), lines.pop();
  }
  return lines.join("\n") + "\n";
}

/** The same for programs: one line of JSON. */
export function statsJson(stats: MachineStats): string {
  return JSON.stringify(stats) + "\n";
}

function group(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 3 });
}
