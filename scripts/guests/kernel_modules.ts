// SPDX-License-Identifier: MIT
/**
 * Linux kernel modules of an unpacked package: finds files, reads what they depend on (modinfo's `depends`), and orders
 * them for insmod.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";

/** A module's file, uncompressed. */
export interface KernelModule {
  readonly name: string;
  readonly data: Uint8Array;
}

/**
 * Modules `wanted` and what they depend on, dependencies first, without those that are built into the kernel. `root` is
 * where a kernel package was unpacked.
 */
export async function collectModules(root: URL, wanted: readonly string[]): Promise<KernelModule[]> {
  const files = new Map<string, string>();
  const lists: string[] = [];
  for (const base of ["lib/modules", "usr/lib/modules"]) {
    await walk(new URL(base, root).pathname, (path) => {
      const name = moduleName(path);
      if (name !== undefined) files.set(name, path);
      if (path.endsWith("/modules.builtin")) lists.push(path);
    });
  }
  const builtIn = new Set<string | undefined>();
  for (const list of lists) {
    for (const line of (await Deno.readTextFile(list)).split("\n")) builtIn.add(moduleName(line));
  }
  const done = new Map<string, KernelModule>();
  const add = async (name: string) => {
    const key = canonical(name);
    if (done.has(key) || builtIn.has(key)) return;
    const path = files.get(key);
    if (path === undefined) {
      throw new ConfigError(`Cannot find the kernel module "${name}" in ${root.pathname}`, "host");
    }
    const data = await readModule(path);
    done.set(key, { name: key, data }); // before its dependencies: a loop ends
    for (const dependency of dependencies(data)) await add(dependency);
    const self = done.get(key) as KernelModule;
    done.delete(key); // and now after them
    done.set(key, self);
  };
  for (const name of wanted) await add(name);
  return [...done.values()];
}

/** Names of the modules that `module` needs. */
export function dependencies(module: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(module);
  const list = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return list.split(",").filter((name) => name !== "");
}

/** The name of the module in file `path`; undefined for another file. */
function moduleName(path: string): string | undefined {
  const name = /([^/]+)\.ko(\.xz|\.gz|\.zst)?$/.exec(path)?.[1];
  return name && canonical(name);
}

/** The kernel takes - and _ in names for the same. */
function canonical(name: string): string {
  return name.replaceAll("-", "_");
}

async function readModule(path: string): Promise<Uint8Array> {
  if (path.endsWith(".ko")) return await Deno.readFile(path);
  const tool = path.endsWith(".xz") ? "xz" : path.endsWith(".gz") ? "gzip" : "zstd";
  const { success, stdout } = await new Deno.Command(tool, { args: ["-dc", path], stderr: "null" }).output();
  if (!success) throw new ConfigError(`Cannot decompress ${path} with ${tool}`, "host");
  return stdout;
}

async function walk(folder: string, visit: (path: string) => void): Promise<void> {
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) await walk(path, visit);
      else visit(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
