// SPDX-License-Identifier: MIT
/**
 * XSAVE and XRSTOR under KVM, after exits of every kind: the guest's XCR0 is in force, not the host's, so that nothing beyond
 * its own state is written, and what was saved can be restored.
 */
import { assertEquals } from "@std/assert";
import { EAX, ECX, EDX } from "../guests/_assembler.ts";
import { FREE, GuestProgram } from "../guests/_guest_program.ts";
import { hostCpuFlags } from "../../net/host/kvm.ts";
import { noKvm, notHardware, withKvm } from "./_kvm.ts";

const AREA = FREE, AREA_BYTES = 4096;
const ROUNDS = 50;
const FILLER = 0xa5;

/** Saves and restores `ROUNDS` times, each time after an OUT that came to us. */
function program(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.loadHypercallPages();
  g.catchAll("fault");
  g.db(0x0f, 0x20, 0xe0, 0x0d, 0, 6, 4, 0, 0x0f, 0x22, 0xe0); // CR4: OSFXSR, OSXMMEXCPT, OSXSAVE
  g.db(0x0f, 0x20, 0xc0, 0x83, 0xe0, 0xf3, 0x0f, 0x22, 0xc0); // CR0: no EM, no TS
  g.mov(ECX, 0);
  g.mov(EDX, 0);
  g.mov(EAX, 3);
  g.db(0x0f, 0x01, 0xd1); // xsetbv
  g.label("round");
  g.mov(EAX, 0);
  g.db(0xe6, 0x80); // out 0x80, al
  g.mov(ECX, AREA);
  g.mov(EAX, -1);
  g.mov(EDX, -1);
  g.db(0x0f, 0xae, 0x21); // xsave [ecx]
  g.aluMemory("add", "saved", 1);
  g.mov(EAX, 0);
  g.db(0xe6, 0x80);
  g.mov(EAX, -1);
  g.db(0x0f, 0xae, 0x29); // xrstor [ecx]
  g.aluMemory("add", "restored", 1);
  g.load(EAX, "restored");
  g.aluValue("cmp", EAX, ROUNDS);
  g.j("b", "round");
  g.powerOff("page");
  g.label("fault");
  g.aluMemory("add", "faults", 1);
  g.powerOff("page");
  for (const name of ["saved", "restored", "faults"]) g.variable(name);
  return g;
}

const skipped = noKvm() || notHardware() || noXsave();

function noXsave(): string {
  return hostCpuFlags()?.includes("xsave") ? "" : " (skipped: this processor has no XSAVE)";
}
for (const mode of [32, 64] as const) {
  Deno.test({
    name: `KVM: XSAVE and XRSTOR keep to the guest's XCR0, ${mode} bit${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const g = program(mode);
      await withKvm(g.image(), async (machine, run) => {
        machine.writeMemory(AREA, new Uint8Array(AREA_BYTES).fill(FILLER));
        machine.writeMemory(AREA + 512, new Uint8Array(64)); // the header, as XSAVE wants it
        const { exit } = await run();
        assertEquals(exit, { reason: "poweroff" }, machine.crashReport());
        const word = (label: string) =>
          new Uint32Array(machine.readMemory(g.addressOf(label), 4).slice().buffer)[0];
        const area = machine.readMemory(AREA, AREA_BYTES).slice();
        const header = new BigUint64Array(area.slice(512, 576).buffer);
        const beyond = area.subarray(576).findIndex((byte) => byte !== FILLER);
        assertEquals(
          {
            saved: word("saved"),
            restored: word("restored"),
            faults: word("faults"),
            header: [...header],
            beyond,
          },
          {
            saved: ROUNDS,
            restored: ROUNDS,
            faults: 0,
            header: [3n, 0n, 0n, 0n, 0n, 0n, 0n, 0n],
            beyond: -1,
          },
        );
      });
    },
  });
}
