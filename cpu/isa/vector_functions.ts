// SPDX-License-Identifier: MIT
/** The functions of the core module that rows call by Emit.callVector: vectors in, a vector out. @module */
import type { WasmBuilder } from "../emit/builder.ts";
import type { Value } from "../emit/emit.ts";
import type { VectorFunction } from "../emit/links.ts";
import { fusedFunctions } from "./avx/fused.ts";
import { aesFunctions } from "./crypto/aes.ts";
import { carrylessFunctions } from "./crypto/pclmulqdq.ts";
import { shaFunctions } from "./crypto/sha.ts";

/** Each by name. */
export const VECTOR_FUNCTION_BODIES: Readonly<
  Record<VectorFunction, (b: WasmBuilder, first: Value, second: Value, third: Value) => Value>
> = { ...aesFunctions, ...shaFunctions, ...fusedFunctions, ...carrylessFunctions };
