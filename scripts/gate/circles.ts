// SPDX-License-Identifier: MIT
/**
 * No file imports itself by way of others, not even for types: `deno task circles` prints each circle. Deno's own
 * module graph (`deno info --json`) says what imports what, so comments are comments.
 * @module
 */
import { ROOT, sourceFiles } from "./sources.ts";

/** What each file imports. */
export type Graph = ReadonlyMap<string, readonly string[]>;

interface Dependency {
  readonly code?: { readonly specifier?: string };
  readonly type?: { readonly specifier?: string };
}
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly Dependency[];
  }[];
}

/** Which of `files` (paths below `root`) import which, for values or types. */
export async function moduleGraph(root: URL, files: readonly string[]): Promise<Graph> {
  const all = await Deno.makeTempFile({ prefix: "xenner-graph-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      all,
      files.map((file) => `import ${JSON.stringify(new URL(file, root).href)};\n`).join(""),
    );
    const config = new URL("deno.json", ROOT).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-lock", `--config=${config}`, all],
      stdin: "null",
      stderr: "piped",
    }).output();
    if (code !== 0) throw new Error(`deno info: ${new TextDecoder().decode(stderr)}`);
    const { modules }: Info = JSON.parse(new TextDecoder().decode(stdout));
    const nameOf = new Map(files.map((file) => [new URL(file, root).href, file]));
    const graph = new Map<string, string[]>();
    for (const { specifier, error, dependencies = [] } of modules) {
      const file = nameOf.get(specifier);
      if (file === undefined) continue;
      if (error !== undefined) throw new Error(`${file}: ${error}`);
      const imported = dependencies.flatMap(({ code, type }) => [code?.specifier, type?.specifier])
        .map((to) => to === undefined ? undefined : nameOf.get(to));
      graph.set(file, [...new Set(imported.filter((to) => to !== undefined))]);
    }
    return graph;
  } finally {
    await Deno.remove(all);
  }
}

/** The files that `from` reaches by one import or more, each with the one before it on a shortest way. */
function reach(graph: Graph, from: string): Map<string, string> {
  const before = new Map<string, string>();
  const queue = [from];
  for (const file of queue) {
    for (const next of graph.get(file) ?? []) {
      if (before.has(next)) continue;
      before.set(next, file);
      queue.push(next);
    }
  }
  return before;
}

/** A circle: files that reach each other, and a shortest way around from the first of them. */
export interface Circle {
  readonly files: readonly string[];
  readonly way: readonly string[];
}

/** Every circle, each file in one of them at most. */
export function circlesIn(graph: Graph): Circle[] {
  const reached = new Map([...graph.keys()].map((file) => [file, reach(graph, file)]));
  const circles: Circle[] = [];
  const done = new Set<string>();
  for (const [first, before] of reached) {
    if (done.has(first) || !before.has(first)) continue;
    const files = [...before.keys()].filter((file) => reached.get(file)?.has(first)).sort();
    for (const file of files) done.add(file);
    const way = [first];
    for (let at = before.get(first); at !== undefined && at !== first; at = before.get(at)) way.unshift(at);
    circles.push({ files, way: [first, ...way] });
  }
  return circles;
}

/** A circle as text. */
export function describeCircle({ files, way }: Circle): string {
  return `circle of ${files.length}: ${way.join(" → ")}\n${files.map((file) => `  ${file}\n`).join("")}`;
}

if (import.meta.main) {
  const circles = circlesIn(await moduleGraph(ROOT, await sourceFiles(ROOT)));
  for (const circle of circles) console.error(describeCircle(circle));
  Deno.exit(circles.length === 0 ? 0 : 1);
}
