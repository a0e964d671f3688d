// SPDX-License-Identifier: MIT
/** What was measured, as JSON, as a table in Markdown, and as a chart in SVG. @module */

/** The runs of one row: seconds by emulator. */
export interface Row {
  readonly name: string;
  readonly what: string;
  readonly seconds: Readonly<Record<string, readonly number[]>>;
}

/** Median of `values`; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/** Time of `ours` over time of `peer`, medians; undefined where one was not measured. Below 1 `ours` is faster. */
export function ratio(row: Row, ours: string, peer: string): number | undefined {
  const value = median(row.seconds[ours] ?? []) / median(row.seconds[peer] ?? []);
  return Number.isFinite(value) ? value : undefined;
}

/** Geometric mean of the ratios of all rows that both did; undefined without any. */
export function geometricMean(rows: readonly Row[], ours: string, peer: string): number | undefined {
  const logs = rows.flatMap((row) => {
    const value = ratio(row, ours, peer);
    return value === undefined ? [] : [Math.log(value)];
  });
  return logs.length === 0 ? undefined : Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length);
}

const NONE = "-";

/** Rows of a table in Markdown: median, least and most of each emulator, then ratios of `ours` to each peer. */
export function tableOf(
  rows: readonly Row[],
  emulators: readonly string[],
  ours: string,
): { readonly head: string[]; readonly body: string[][] } {
  const peers = emulators.filter((name) => name !== ours);
  const time = (values: readonly number[] | undefined) =>
    values === undefined || values.length === 0
      ? NONE
      : values.length === 1
      ? median(values).toFixed(3)
      : `${median(values).toFixed(3)} (${Math.min(...values).toFixed(3)}–${Math.max(...values).toFixed(3)})`;
  const factor = (value: number | undefined) => value === undefined ? NONE : value.toFixed(2);
  const body = rows.map((row) => [
    row.what,
    ...emulators.map((name) => time(row.seconds[name])),
    ...peers.map((peer) => factor(ratio(row, ours, peer))),
  ]);
  body.push([
    "geometric mean",
    ...emulators.map(() => ""),
    ...peers.map((peer) => factor(geometricMean(rows, ours, peer))),
  ]);
  return {
    head: ["work", ...emulators.map((name) => `${name} s`), ...peers.map((p) => `${ours}/${p}`)],
    body,
  };
}

const BAR = 14, GAP = 6, LABEL = 330, WIDTH = 400, MARGIN = 20;

/** A bar for each row: time of `ours` over that of `peer`, on a logarithmic scale with a line at 1. */
export function chartOf(rows: readonly Row[], ours: string, peer: string): string {
  const measured = rows.flatMap((row) => {
    const value = ratio(row, ours, peer);
    return value === undefined ? [] : [{ what: row.what, value }];
  });
  const [least, most] = [1 / 8, 8];
  const x = (value: number) =>
    LABEL + WIDTH * Math.log(Math.min(most, Math.max(least, value)) / least) / Math.log(most / least);
  const height = measured.length * (BAR + GAP) + 2 * MARGIN;
  const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const bars = measured.map(({ what, value }, i) => {
    const y = MARGIN + i * (BAR + GAP);
    const [from, to] = [Math.min(x(1), x(value)), Math.max(x(1), x(value))];
    const colour = value <= 1 ? "#2a9d5c" : "#c8553d";
    return `<text x="${LABEL - 8}" y="${y + BAR - 3}" text-anchor="end">${escaped(what)}</text>` +
      `<rect x="${from.toFixed(1)}" y="${y}" width="${
        (to - from).toFixed(1)
      }" height="${BAR}" fill="${colour}"/>` +
      `<text x="${(to + 6).toFixed(1)}" y="${y + BAR - 3}">${value.toFixed(2)}</text>`;
  });
  const grid = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8].map((value) =>
    `<line x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${MARGIN - 6}" y2="${
      height - MARGIN
    }" ` +
    `stroke="${value === 1 ? "#333" : "#ccc"}"/>`
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LABEL + WIDTH + 60}" height="${height}" ` +
    `font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    ...grid,
    ...bars,
    `<text x="${x(1).toFixed(1)}" y="${height - 4}" text-anchor="middle">` +
    `time of ${escaped(ours)} / time of ${escaped(peer)}; left of the line is faster</text>`,
    "</svg>",
    "",
  ].join("\n");
}
