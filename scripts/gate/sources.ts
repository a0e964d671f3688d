// SPDX-License-Identifier: MIT
/** The project's own TypeScript files, for the checks of the gate. @module */

/** Paths below `root` ("a/b.ts"), sorted. What starts with a dot, and what npm installs, is not ours. */
export async function sourceFiles(root: URL, below = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(new URL(below, root))) {
    if (name.startsWith(".") || name === "node_modules") continue;
    if (isDirectory) found.push(...await sourceFiles(root, `${below}${name}/`));
    else if (isFile && name.endsWith(".ts")) found.push(below + name);
  }
  return found.sort();
}

/** The project's root. */
export const ROOT = new URL("../../", import.meta.url);
