// SPDX-License-Identifier: MIT
/** The functions of the core module that rows call by Emit.callVector: vectors in, a vector out. @module */
import type { WasmBuilder } from "../../emit/builder.ts";
import type { Value } from "../../emit/emit.ts";
import type { VectorFunction } from "../../emit/links.ts";
import { aesFunctions } from "./aes.ts";
import { carrylessProduct } from "./pclmulqdq.ts";
import { shaFunctions } from "./sha.ts";

/** Each by name. */
export const VECTOR_FUNCTION_BODIES: Readonly<
  Record<VectorFunction, (b: WasmBuilder, first: Value, second: Value, third: Value) => Value>
> = { ...aesFunctions, ...shaFunctions, clmul: carrylessProduct };
