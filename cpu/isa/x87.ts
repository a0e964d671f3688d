// SPDX-License-Identifier: MIT
/** x87: one row per opcode byte; what each ModRM does is in cpu/x87/instructions.ts. SDM Vol. 2, Vol. 1 §8. @module */
import { row } from "./row.ts";

for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
  row(`x87 ${opcode.toString(16).toUpperCase()}`, `${opcode.toString(16)} /r`, "v", (e) => {
    const linear = e.form.isMemory ? e.linear(e.address()) : e.i64(0);
    e.microcode("x87", [e.i32(opcode), e.imm(8), linear, e.i32(e.form.osize === 16 ? 1 : 0)]);
  }, { passModrm: true });
}
