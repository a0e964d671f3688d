// SPDX-License-Identifier: MIT
/**
 * A kernel that calls Xen by functions of its own (XSA-466) under an engine that does not see VMCALL and VMMCALL: they are
 * replaced by a call through the port, which has the same arguments, result and retries.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { Tracer } from "../cpu/base/trace.ts";
import { engineFactory } from "../cpu/engines.ts";
import { Machine } from "../devices/machine/machine.ts";
import { kvmHost } from "../net/host/kvm.ts";
import { SystemClock } from "../net/host/host_clock.ts";
import { XENVER_version } from "../xen/public/version.ts";
import { __HYPERVISOR_sched_op, __HYPERVISOR_xen_version } from "../xen/public/xen.ts";
import { SCHEDOP_shutdown, SHUTDOWN_poweroff } from "../xen/public/sched.ts";
import { EAX } from "./guests/_assembler.ts";
import { GuestProgram } from "./guests/_guest_program.ts";

const XEN_4_17 = 0x4_0011;
const INT3 = 0xcc;

function program(mode: 32 | 64, calls: "xen_hypercall_amd" | "xen_hypercall_intel"): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.arguments(XENVER_version, 0);
  g.mov(EAX, __HYPERVISOR_xen_version);
  g.call(calls);
  g.store("version", EAX);
  g.storeValue("reason", SHUTDOWN_poweroff);
  g.arguments(SCHEDOP_shutdown, "reason");
  g.mov(EAX, __HYPERVISOR_sched_op);
  g.call(calls);
  g.hlt();
  g.align(16);
  g.label("xen_hypercall_amd");
  g.vmmcall();
  g.ret();
  for (let i = 4; i < 16; i++) g.db(INT3);
  g.label("xen_hypercall_intel");
  g.vmcall();
  g.ret();
  g.variable("version");
  g.variable("reason");
  return g;
}

/** Runs it under the JIT, which says that it sees these instructions or not. */
async function run(g: GuestProgram, options: { readonly sees: boolean; readonly patch?: boolean }) {
  const jit = await engineFactory("jit", kvmHost);
  const { sees, ...more } = options;
  const said: string[] = [];
  const tracer = new Tracer();
  tracer.configure((_, message) => said.push(message));
  const clock = new SystemClock();
  const machine = await Machine.create({
    kernel: { name: "guest", bytes: g.image() },
    memoryBytes: 16 << 20,
    clock,
    tracer,
    engineFactory: {
      reservedBytes: jit.reservedBytes,
      create: (...args) => Object.assign(jit.create(...args), { takesHypercalls: sees }),
    },
    ...more,
  });
  try {
    const { reason } = await machine.run();
    const word = (label: string) =>
      new DataView(machine.readMemory(g.addressOf(label), 4).slice().buffer).getUint32(0, true);
    const code = (label: string) => machine.readMemory(g.addressOf(label), 4).slice().toHex();
    const { counters } = machine.stats();
    return {
      reason,
      version: word("version"),
      code: [code("xen_hypercall_amd"), code("xen_hypercall_intel")],
      said,
      left: counters["microcode.vmcall"] ?? 0,
    };
  } finally {
    await machine.close();
    clock.close();
  }
}

for (const mode of [32, 64] as const) {
  for (const calls of ["xen_hypercall_amd", "xen_hypercall_intel"] as const) {
    Deno.test(`${calls} reaches Xen through the port, ${mode} bit`, async () => {
      const { said, ...ran } = await run(program(mode, calls), { sees: false });
      assertEquals(ran, { reason: "poweroff", version: XEN_4_17, code: ["e7e490c3", "e7e490c3"], left: 0 });
      assertEquals(said.length, 1);
      assertMatch(
        said[0] ?? "",
        /^this engine does not see VMCALL and VMMCALL: 2 of them in kernel "guest" are replaced/,
      );
    });
  }
}

Deno.test("an engine that sees VMCALL and VMMCALL gets the kernel as it is", async () => {
  const { reason, code, said, left } = await run(program(64, "xen_hypercall_intel"), { sees: true });
  assertEquals([reason, code, said, left], ["poweroff", ["0f01d9c3", "0f01c1c3"], [], 2]);
});

Deno.test("patch: false leaves the kernel as it is, and says once that it cannot call Xen", async () => {
  const { code, said } = await run(program(64, "xen_hypercall_intel"), { sees: false, patch: false });
  assertEquals([code, said.length], [["0f01d9c3", "0f01c1c3"], 1]);
  assertMatch(said[0] ?? "", /cannot call Xen by them/);
});
