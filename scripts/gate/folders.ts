// SPDX-License-Identifier: MIT
/** No folder is a heap: at most 14 files in each, besides tests, benches and their helpers. @module */
import { ROOT, sourceFiles } from "./sources.ts";

/** About a dozen. */
export const MOST_FILES = 14;

/** One line for each folder with too many files. */
export function crowdedFolders(files: readonly string[]): string[] {
  const count = new Map<string, number>();
  for (const file of files) {
    const slash = file.lastIndexOf("/"), name = file.slice(slash + 1);
    if (name.startsWith("_") || /_(test|bench)\.ts$/.test(name)) continue;
    const folder = file.slice(0, slash + 1) || "./";
    count.set(folder, (count.get(folder) ?? 0) + 1);
  }
  return [...count].filter(([, files]) => files > MOST_FILES).map(([folder, files]) =>
    `${folder} has ${files} files besides tests, benches and _helpers, more than ${MOST_FILES}: make a folder in it`
  );
}

if (import.meta.main) {
  const problems = crowdedFolders(await sourceFiles(ROOT));
  for (const problem of problems) console.error(problem);
  Deno.exit(problems.length === 0 ? 0 : 1);
}
