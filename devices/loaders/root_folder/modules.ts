// SPDX-License-Identifier: MIT
/**
 * Modules of an installed Linux, by its own lists: modules.dep and modules.builtin, as depmod(8) writes them. A door to
 * the host. What the folder says is not trusted further than that the guest gets it.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { reason } from "../host_file.ts";
import { unpackKernel } from "../decompress.ts";

/** A module's file, unpacked. */
export interface RootModule {
  readonly name: string;
  readonly data: Uint8Array;
}

/**
 * Modules `needed` and, as far as they are there, `wanted`, with what they depend on first; none of what is built in.
 * Rejects with ConfigError when one that is needed is missing.
 */
export async function modulesFor(
  root: string,
  release: string,
  needed: readonly string[],
  wanted: readonly string[],
): Promise<RootModule[]> {
  if (release.includes("/") || release === "" || release === "..") {
    throw new ConfigError(`Cannot find modules of a kernel called ${JSON.stringify(release)}`);
  }
  const folder = `${root}/lib/modules/${release}`;
  const dependencies = new Map<string, readonly string[]>(); // paths by path
  const paths = new Map<string, string>();
  for (const line of (await list(folder, "modules.dep")).split("\n")) {
    const [path, rest = ""] = line.split(":");
    if (path === undefined || path === "") continue;
    paths.set(moduleName(path), path);
    dependencies.set(path, rest.split(" ").filter((word) => word !== ""));
  }
  const builtIn = new Set((await list(folder, "modules.builtin")).split("\n").map(moduleName));
  const order: string[] = [];
  for (const name of [...needed, ...wanted]) {
    const key = canonical(name);
    const path = paths.get(key);
    if (path !== undefined) {
      // modules.dep has the nearest first: what a module needs stands behind those that need it
      for (const one of [...dependencies.get(path) ?? []].reverse().concat(path)) {
        if (!order.includes(one)) order.push(one);
      }
    } else if (needed.includes(name) && !builtIn.has(key)) {
      throw new ConfigError(
        `Cannot boot ${
          JSON.stringify(root)
        } with Linux ${release}: it has no module ${name} in lib/modules ` +
          "(Debian's cloud kernels have none; linux-image-amd64 has)",
      );
    }
  }
  return await Promise.all(
    order.map(async (path) => ({ name: moduleName(path), data: await read(folder, path) })),
  );
}

async function list(folder: string, name: string): Promise<string> {
  try {
    return await Deno.readTextFile(`${folder}/${name}`);
  } catch (cause) {
    throw new ConfigError(`Cannot read ${JSON.stringify(`${folder}/${name}`)}: ${reason(cause)}`, "input", {
      cause,
    });
  }
}

async function read(folder: string, path: string): Promise<Uint8Array> {
  const name = path.startsWith("/") ? path : `${folder}/${path}`;
  try {
    const { bytes } = await unpackKernel({ name, bytes: await Deno.readFile(name) }); // packed as kernels are
    return bytes;
  } catch (cause) {
    throw new ConfigError(`Cannot read the module ${JSON.stringify(name)}: ${reason(cause)}`, "input", {
      cause,
    });
  }
}

/** The kernel takes - and _ in names for the same. */
function canonical(name: string): string {
  return name.replaceAll("-", "_");
}

/** The name of the module in file `path`. */
function moduleName(path: string): string {
  return canonical(/([^/]*?)(?:\.ko(?:\.\w+)?)?$/.exec(path)?.[1] ?? "");
}
