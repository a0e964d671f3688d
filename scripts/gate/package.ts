// SPDX-License-Identifier: MIT
/**
 * The package as JSR would take it: types without inference across files, neither tests nor benches in it, and classes whose
 * documentation says what they are.
 * @module
 */
import { ROOT } from "./sources.ts";

/** Files that are in the package and should not be. */
export function strayFiles(files: readonly string[]): string[] {
  return files.filter((file) =>
    /(^|\/)(_[^/]*|[^/]*_(test|bench)\.ts)$/.test(file) || /(^|\/)(tests|testdata|\.ci|\.cache)\//.test(file)
  );
}

/** What `deno doc --json` prints, as far as we look. */
interface Documentation {
  readonly nodes: Readonly<
    Record<string, {
      readonly symbols: readonly {
        readonly name: string;
        readonly declarations: readonly {
          readonly kind: string;
          readonly jsDoc?: { readonly doc?: string };
        }[];
      }[];
    }>
  >;
}

/** Names of exported classes whose documentation is none, or leads elsewhere. */
export function vagueClasses({ nodes }: Documentation): string[] {
  return Object.values(nodes).flatMap(({ symbols }) =>
    symbols.filter(({ declarations }) =>
      declarations.some(({ kind, jsDoc }) => kind === "class" && /^$|See the module/.test(jsDoc?.doc ?? ""))
    ).map(({ name }) => name)
  );
}

async function deno(...args: string[]): Promise<{ readonly code: number; readonly out: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  const out = new TextDecoder().decode(stdout);
  return { code, out: code === 0 && args[0] === "doc" ? out : out + new TextDecoder().decode(stderr) };
}

if (import.meta.main) {
  const { code, out } = await deno("publish", "--dry-run", "--allow-dirty", "--no-check");
  if (code !== 0) console.error(out);
  const files = Array.from(out.matchAll(/^ *(file:\S+) \(/gm), ([, url = ""]) => url.slice(ROOT.href.length));
  const stray = strayFiles(files);
  for (const file of stray) console.error(`${file} would be published: exclude it in deno.json`);
  const documentation = await deno("doc", "--json", "mod.ts");
  const vague = documentation.code === 0 ? vagueClasses(JSON.parse(documentation.out)) : [documentation.out];
  for (const name of vague) console.error(`${name} is exported: its documentation has to say what it is`);
  Deno.exit(code !== 0 || stray.length + vague.length > 0 || files.length === 0 ? 1 : 0);
}
