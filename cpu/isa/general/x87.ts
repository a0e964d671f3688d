// SPDX-License-Identifier: MIT
/**
 * x87: a row per opcode byte, all of them done by cpu/fpu/x87_unit.ts, which is given opcode and ModRM byte (WAIT: system.ts).
 * SDM Vol. 1 §8, Vol. 2.
 * Not done: FERR# instead of #MF when CR0.NE is clear.
 * @module
 */
import { EXC_UD } from "../../state/state.ts";
import { row } from "../row/row.ts";

for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
  const hex = opcode.toString(16);
  row(`x87 ${hex.toUpperCase()}`, `${hex} /r`, "v", (e, w) => {
    const how = e.or(32, e.imm(8), e.i32((opcode << 8) | (w === 16 ? 1 << 16 : 0)));
    if (!e.form.isMemory) return e.microcode("x87", { how });
    const address = e.address();
    e.microcode("x87_memory", { how, offset: address.offset, linear: e.linear(address) });
  }, { reg: "none", rm: "none", passModrm: true });
}
// FISTTP came with SSE3.
for (const opcode of ["db", "dd", "df"]) {
  row(`x87 ${opcode.toUpperCase()}`, `${opcode} /1 :mem`, "v", (e) => e.fault(EXC_UD), { without: "pni" });
}
