// SPDX-License-Identifier: MIT
/**
 * What emitted code imports, said once: functions of TypeScript and functions of the core module. All parameters and
 * results are i32.
 * @module
 */
import type { ModuleBuilder } from "../wasm/encoder.ts";

/** Functions of TypeScript, with the names of their parameters. Status results are those of cpu/state/status.ts. */
const CALLBACKS = {
  slowLoad: ["rec", "size"],
  slowStore: ["rec", "size"],
  slowUpdate: ["rec", "size"],
  segmented: ["rec", "segment", "mode"],
  microcode: ["id", "rec"],
  raise: ["rec", "vector", "errorCode"],
} as const;
/** Functions of the core module (cpu/translate/core_module.ts). */
const CORE = {
  flags: [],
  carry: [],
  leave: ["status", "rec"],
  jump: [],
  jumpSegmented: [],
  sliceEnd: ["rec"],
} as const;
/** Those that descriptions call: see cpu/isa/simd/string_compare.ts. */
const CORE_FUNCTIONS = {
  stringCompare: ["imm", "how"],
} as const;
const IMPORTS = { ...CALLBACKS, ...CORE, ...CORE_FUNCTIONS };

type Numbers<P extends readonly string[]> = { -readonly [I in keyof P]: number };

/** What emitted code calls in TypeScript. */
export type Callbacks = {
  readonly [N in keyof typeof CALLBACKS]: (...args: Numbers<(typeof CALLBACKS)[N]>) => number;
};
/** Names of the functions the core module exports to emitted code. */
export type CoreExport = keyof typeof CORE | CoreFunction;
/** Functions that descriptions call. */
export type CoreFunction = keyof typeof CORE_FUNCTIONS;
/** Indices that every emitted module has: of its imports, and of the type of a handler. */
export type Links = { readonly [N in keyof typeof IMPORTS | "handlerType"]: number };

/** Name of the module everything is imported from, of the memory and of the table. */
export const ENVIRONMENT = "e", MEMORY_NAME = "m", TABLE_NAME = "t";

/** Memory and table as modules declare them. */
export interface Sizes {
  /** Pages of 64 KiB. */
  readonly memoryPages: number;
  readonly tableSize: number;
}

/** Imports memory and table; the index of a handler's type. */
export function importSpace(module: ModuleBuilder, sizes: Sizes): number {
  module.importMemory(ENVIRONMENT, MEMORY_NAME, sizes.memoryPages);
  module.importTable(ENVIRONMENT, TABLE_NAME, sizes.tableSize);
  return module.type(["i32"], ["i32"]);
}

/** Imports all that emitted code needs. */
export function importLinks(module: ModuleBuilder, sizes: Sizes): Links {
  const links: Record<string, number> = { handlerType: importSpace(module, sizes) };
  for (const [name, parameters] of Object.entries(IMPORTS)) {
    const type = module.type(parameters.map(() => "i32" as const), ["i32"]);
    links[name] = module.importFunction(ENVIRONMENT, name, type);
  }
  return links as Links;
}

/** For emission whose code is thrown away. */
export const NO_LINKS: Links = Object.fromEntries(
  ["handlerType", ...Object.keys(IMPORTS)].map((name) => [name, 0]),
) as Links;
