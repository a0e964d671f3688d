// SPDX-License-Identifier: MIT
/** Loads every instruction row. Files follow the SDM's groups (Vol. 1 §5). @module */
import "./arith.ts";
import "./bcd.ts";
import "./bit.ts";
import "./control.ts";
import "./data.ts";
import "./mmx.ts";
import "./multiply.ts";
import "./shift.ts";
import "./sse4.ts";
import "./sse_float.ts";
import "./sse_integer.ts";
import "./sse_move.ts";
import "./sse_shuffle.ts";
import "./stack.ts";
import "./string.ts";
import "./system.ts";
import "./x87.ts";

export { type Row, rows } from "./row.ts";
