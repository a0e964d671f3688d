// SPDX-License-Identifier: MIT
/** @std/assert as npm has it, with types: deno.json maps the bare name to this file. @module */
// @ts-types="./std_assert.d.ts"
export * from "deno-std/assert";
