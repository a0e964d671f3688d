// SPDX-License-Identifier: MIT
/** Loads every instruction row. Files follow the SDM's groups (Vol. 1 §5). @module */
import "./avx/avx_masked.ts";
import "./avx/avx_move.ts";
import "./avx/avx_permute.ts";
import "./avx/avx_state.ts";
import "./avx/f16c.ts";
import "./avx/fma.ts";
import "./avx/twins.ts";
import "./crypto/aes.ts";
import "./crypto/pclmulqdq.ts";
import "./crypto/sha.ts";
import "./general/arith.ts";
import "./general/bcd.ts";
import "./general/bit.ts";
import "./general/bmi.ts";
import "./general/control.ts";
import "./general/data.ts";
import "./simd/mmx.ts";
import "./general/multiply.ts";
import "./general/shift.ts";
import "./simd/sse4.ts";
import "./simd/sse_convert.ts";
import "./simd/sse_float.ts";
import "./simd/sse_horizontal.ts";
import "./simd/sse_integer.ts";
import "./simd/sse_move.ts";
import "./simd/sse_shuffle.ts";
import "./general/stack.ts";
import "./general/string.ts";
import "./general/system.ts";
import "./x87/x87.ts";

export { type Row, rows } from "./row/row.ts";
