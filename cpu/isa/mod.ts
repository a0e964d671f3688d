// SPDX-License-Identifier: MIT
/** Loads every instruction row. Files follow the SDM's groups (Vol. 1 §5). @module */
import "./integer/arith.ts";
import "./integer/bcd.ts";
import "./integer/bit.ts";
import "./control.ts";
import "./integer/data.ts";
import "./simd/mmx.ts";
import "./integer/multiply.ts";
import "./integer/shift.ts";
import "./simd/sse4.ts";
import "./simd/sse_float.ts";
import "./simd/sse_integer.ts";
import "./simd/sse_move.ts";
import "./simd/sse_shuffle.ts";
import "./integer/stack.ts";
import "./integer/string.ts";
import "./system.ts";
import "./x87.ts";

export { type Row, rows } from "./row.ts";
