// SPDX-License-Identifier: MIT
/**
 * What emitted code imports, said once: functions of TypeScript and functions of the core module. Parameters and results
 * are i32, but for the operands of SSE.
 * @module
 */
import { H_SSE_LOOK, SSE_LOOKS } from "../state/record.ts";
import { S } from "../state/state.ts";
import type { ModuleBuilder } from "../wasm/encoder.ts";
import type { ValueType } from "../wasm/opcodes.ts";

/** Functions of TypeScript, with the names of their parameters. Status results are those of cpu/state/status.ts. */
const CALLBACKS = {
  slowLoad: ["rec", "size"],
  slowStore: ["rec", "size"],
  slowUpdate: ["rec", "size"],
  segmented: ["rec", "segment", "mode"],
  microcode: ["id", "rec"],
  raise: ["rec", "vector", "errorCode"],
  /** The block that ends with this record has run often. */
  warm: ["rec"],
} as const;
/** Functions of the core module (cpu/translate/core_module.ts). */
const CORE = {
  flags: [],
  carry: [],
  leave: ["status", "rec"],
  jump: [],
  jumpSegmented: [],
  sliceEnd: ["rec"],
  /** Does all of an SSE instruction, and goes on with the record behind. */
  sseSlow: ["rec", "how", "a", "b", "result"],
  /**
   * Byte offset of linear address S.memAddr in the WebAssembly memory, up to the end of its page; 0: not to be had here.
   * `bytes`: SPAN_READ, SPAN_WITHOUT_CODE, or how many are about to be written.
   */
  span: ["bytes"],
} as const;
/** Those that descriptions call: see cpu/isa/simd/string_compare.ts and cpu/mmu/emitted_invalidate.ts. */
const CORE_FUNCTIONS = {
  stringCompare: ["imm", "how"],
  invalidatePage: ["low", "high"],
} as const;
/**
 * Functions of three vectors that give one, in the other table from H_VECTOR_FUNCTION on in this order: imports cost
 * every module something.
 */
export const VECTOR_FUNCTIONS = [
  "aesenc",
  "aesenclast",
  "aesdec",
  "aesdeclast",
  "aesimc",
  "aessubword",
  "clmul",
  "sha1rnds4",
  "sha256rnds2",
  "fma_f32",
  "fma_f64",
] as const;
/** Name of one. */
export type VectorFunction = typeof VECTOR_FUNCTIONS[number];
const IMPORTS = { ...CALLBACKS, ...CORE, ...CORE_FUNCTIONS };
const VECTORS: readonly string[] = ["a", "b", "result"];

/** For `span`: bytes will be read; some may be written, if there is no code. */
export const SPAN_READ = 0, SPAN_WITHOUT_CODE = -1;

type Numbers<P extends readonly string[]> = { -readonly [I in keyof P]: number };

/** What emitted code calls in TypeScript. */
export type Callbacks = {
  readonly [N in keyof typeof CALLBACKS]: (...args: Numbers<(typeof CALLBACKS)[N]>) => number;
};
/** Names of the functions the core module exports to emitted code. */
export type CoreExport = keyof typeof CORE | CoreFunction;
/** Functions that descriptions call. */
export type CoreFunction = keyof typeof CORE_FUNCTIONS;
/** Parameters of Links.sseSlow, by name. */
export const SSE_SLOW_PARAMETERS: readonly string[] = CORE.sseSlow;
/** Where a second look puts the result that is right: 128 bits. */
export const LOOK_RESULT = S.arg + 8;
/** Parameters of a second look. */
export const LOOK_PARAMETERS: readonly string[] = VECTORS;
/**
 * Indices that every emitted module has: of its imports, and of the types of a handler, of a second look at SSE and of
 * functions of vectors.
 */
export type Links = {
  readonly [N in keyof typeof IMPORTS | "handlerType" | "lookType" | "vectorType"]: number;
};

/** Name of the module everything is imported from, of the memory and of the tables. */
export const ENVIRONMENT = "e", MEMORY_NAME = "m", TABLE_NAME = "t", OTHER_TABLE_NAME = "o";
/** Number of the table of functions that are no handlers, and its size. That of handlers is table 0. */
export const OTHER_TABLE = 1, OTHER_TABLE_SIZE = H_SSE_LOOK + SSE_LOOKS;
/** Parameters and results of a handler. */
export const HANDLER_PARAMETERS: readonly ValueType[] = ["i32"],
  HANDLER_RESULTS: readonly ValueType[] = ["i32"];

/** Memory and table as modules declare them. */
export interface Sizes {
  /** Pages of 64 KiB. */
  readonly memoryPages: number;
  readonly tableSize: number;
  /** The table of handlers is said to be one of any functions, for tools that know no others. */
  readonly plainTable?: boolean;
}

/** Imports memory and tables; the index of a handler's type. */
export function importSpace(module: ModuleBuilder, sizes: Sizes): number {
  const handlerType = module.type(HANDLER_PARAMETERS, HANDLER_RESULTS);
  module.importMemory(ENVIRONMENT, MEMORY_NAME, sizes.memoryPages);
  module.importTable(ENVIRONMENT, TABLE_NAME, sizes.tableSize, sizes.plainTable ? undefined : handlerType);
  module.importTable(ENVIRONMENT, OTHER_TABLE_NAME, OTHER_TABLE_SIZE);
  return handlerType;
}

/** Index of the type of a function with these parameters. */
export function linkType(module: ModuleBuilder, parameters: readonly string[]): number {
  return module.type(parameters.map((p): ValueType => VECTORS.includes(p) ? "v128" : "i32"), ["i32"]);
}

/** Index of the type of a vector function. */
export function vectorType(module: ModuleBuilder): number {
  return module.type(["v128", "v128", "v128"], ["v128"]);
}

/** Imports all that emitted code needs. */
export function importLinks(module: ModuleBuilder, sizes: Sizes): Links {
  const links: Record<string, number> = {
    handlerType: importSpace(module, sizes),
    lookType: linkType(module, LOOK_PARAMETERS),
    vectorType: vectorType(module),
  };
  for (const [name, parameters] of Object.entries(IMPORTS)) {
    links[name] = module.importFunction(ENVIRONMENT, name, linkType(module, parameters));
  }
  return links as Links;
}

/** For emission whose code is thrown away. */
export const NO_LINKS: Links = Object.fromEntries(
  ["handlerType", "lookType", "vectorType", ...Object.keys(IMPORTS)].map((name) => [name, 0]),
) as Links;
