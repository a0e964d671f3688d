// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { S, STATE_FIELDS } from "../state/state.ts";
import { TestCpu } from "../_bare_cpu.ts";
import type { SavedState } from "../state/saved_state.ts";
import { type ComponentPlace, fromFields, toFields, usesPdptes } from "./exchange.ts";

/** Fields of a processor in whose registers everything differs. */
function fieldsOf(xcr0: number): Record<string, Uint8Array> {
  const cpu = new TestCpu(64);
  const { view } = cpu.memory;
  const fill = (name: string, from: number) => {
    const { at, size } = STATE_FIELDS.find((field) => field.name === name) as typeof STATE_FIELDS[number];
    for (let i = 0; i < size; i++) view.setUint8(at + i, (from + i * 7) & 0xff);
  };
  ["gpr", "dr", "xmm", "ymmHigh", "mtrrFixed", "mtrrVariable"].forEach((name, i) => fill(name, i * 31 + 1));
  view.setBigUint64(S.dr + 4 * 8, 0n, true);
  view.setBigUint64(S.dr + 5 * 8, 0n, true);
  const values = [
    ...[S.rip, S.sysenterCs, S.sysenterEsp, S.sysenterEip, S.star, S.lstar, S.cstar, S.fmask, S.kernelGsBase],
    ...[S.tscAux, S.pat, S.miscEnable, S.debugctl, S.mtrrDefType, S.cr2, S.cr3, S.gdtrBase, S.idtrBase],
  ];
  values.forEach((at, i) => view.setBigUint64(at, 0x1122_3344_0000_0000n + BigInt(i), true));
  view.setBigUint64(S.tscOffset, BigInt.asUintN(64, -5_000_000n), true);
  view.setBigUint64(S.xcr0, BigInt(xcr0), true);
  view.setUint32(S.mxcsr, 0x5fa5, true);
  view.setBigUint64(S.pkru, 0x5555_5554n, true);
  // x87: control word, TOP, what is in use, a pointer, and a value in each register
  view.setUint16(S.x87, 0x127f, true);
  view.setUint16(S.x87 + 2, 0x2800, true);
  view.setUint8(S.x87 + 4, 0xa5);
  view.setBigUint64(S.x87 + 8, 0xffff_8000_1234_5678n, true);
  for (let i = 0; i < 8; i++) {
    view.setBigUint64(S.x87 + 32 + i * 16, 0x8000_0000_0000_0000n + BigInt(i), true);
    view.setUint16(S.x87 + 32 + i * 16 + 8, 0x3fff + i, true);
  }
  cpu.cpu.core.setRflags(0x202 | 0x8d5);
  return { ...(cpu.cpu.save().data as SavedState).fields };
}

/** As AMD's processors have them: PKRU is elsewhere on Intel's. */
const placeOf: ComponentPlace = (component) => ({ 2: 576, 9: 832 })[component];

for (const xcr0 of [3, 7, 0x207]) {
  Deno.test(`the state block becomes KVM's structures and itself again, XCR0 ${xcr0}`, () => {
    const fields = fieldsOf(xcr0);
    const back = toFields(fromFields(fields, placeOf), placeOf);
    for (const [name, bytes] of Object.entries(back)) {
      // what XCR0 does not enable nobody can have put there
      const gone = name === "ymmHigh" && xcr0 === 3 || name === "pkru" && xcr0 !== 0x207;
      const expected = gone ? new Uint8Array(bytes.length) : fields[name];
      assertEquals(bytes, expected, name);
    }
    const kept = [
      "gpr",
      "rip",
      "eflags",
      "flagAux",
      "cs",
      "tr",
      "cr0",
      "efer",
      "dr",
      "lstar",
      "mxcsr",
      "x87",
      "xmm",
    ];
    for (const name of [...kept, "ymmHigh", "xcr0", "tscOffset", "pat", "cpl"]) {
      assertEquals(name in back, true, name);
    }
  });
}

Deno.test("XSAVE's area: where the manual has each part (SDM Vol. 1 table 13-1 and §13.4.2)", () => {
  const { xsave } = fromFields(fieldsOf(0x207), placeOf);
  const view = new DataView(xsave.buffer);
  assertEquals([view.getUint16(0, true), view.getUint16(2, true), view.getUint8(4)], [0x127f, 0x2800, 0xa5]);
  assertEquals(view.getBigUint64(8, true), 0xffff_8000_1234_5678n); // FIP, 64 bits
  assertEquals(view.getUint32(24, true), 0x5fa5);
  assertEquals([view.getBigUint64(32, true), view.getUint16(40, true)], [0x8000_0000_0000_0005n, 0x4004]); // ST0: TOP is 5
  assertEquals(view.getBigUint64(512, true), 0x207n); // XSTATE_BV
  assertEquals(view.getUint32(832, true), 0x5555_5554);
  assertEquals(view.getBigUint64(520, true), 0n); // XCOMP_BV: not compacted
});

Deno.test("PDPTEs are registers with PAE paging outside of IA-32e mode only", () => {
  const with_ = (cr0: bigint, cr4: bigint, efer: bigint) => {
    const { registers } = fromFields({}, placeOf);
    return usesPdptes({ ...registers, control: { ...registers.control, cr0, cr4, efer } });
  };
  assertEquals([with_(1n << 31n, 1n << 5n, 0n), with_(1n << 31n, 1n << 5n, 1n << 10n)], [true, false]);
  assertEquals([with_(1n, 1n << 5n, 0n), with_(1n << 31n, 0n, 0n)], [false, false]);
});
