// SPDX-License-Identifier: MIT
/**
 * Asks the C compiler for the offsets and numbers of api.ts. Needs gcc and Linux' headers (Debian: linux-libc-dev), and
 * --allow-run, --allow-read; ignored where they are missing.
 */
import { assertEquals } from "@std/assert";
import type { Layout } from "../base/layout.ts";
import * as api from "./api.ts";

const HEADER = "/usr/include/linux/kvm.h";

function available(): boolean {
  const wanted: Deno.PermissionDescriptor[] = [
    { name: "run", command: "gcc" },
    { name: "read", path: HEADER },
  ];
  if (Deno.build.arch !== "x86_64") return false;
  if (wanted.some((permission) => Deno.permissions.querySync(permission).state !== "granted")) return false;
  try {
    Deno.statSync(HEADER);
    return new Deno.Command("gcc", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The values of constant C expressions, by way of the assembler text of an array. */
async function evaluate(expressions: readonly string[]): Promise<number[]> {
  const source = [
    "#include <stddef.h>",
    "#include <linux/kvm.h>",
    `const unsigned long facts[] = { ${
      expressions.map((e) => `0x4000000000000000ul + (unsigned)(${e})`).join(", ")
    } };`,
  ].join("\n");
  const child = new Deno.Command("gcc", {
    args: ["-m64", "-S", "-o", "-", "-x", "c", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { success, stdout } = await child.output();
  assertEquals(success, true, "gcc accepts the program");
  const values = new TextDecoder().decode(stdout).matchAll(/^\s*\.quad\s+(\d+)$/gm);
  return [...values].map((match) => Number(BigInt(match[1] as string) - 0x4000_0000_0000_0000n));
}

/** Structures whose fields all have the header's names. */
const STRUCTURES: Readonly<Record<string, Layout<string>>> = {
  kvm_userspace_memory_region: api.kvm_userspace_memory_region,
  kvm_regs: api.kvm_regs,
  kvm_segment: api.kvm_segment,
  kvm_dtable: api.kvm_dtable,
  kvm_sregs: api.kvm_sregs,
  kvm_msr_entry: api.kvm_msr_entry,
  kvm_msrs: api.kvm_msrs,
  kvm_msr_list: api.kvm_msr_list,
  kvm_msr_filter_range: api.kvm_msr_filter_range,
  kvm_msr_filter: api.kvm_msr_filter,
  kvm_cpuid_entry2: api.kvm_cpuid_entry2,
  kvm_cpuid2: api.kvm_cpuid2,
  kvm_xen_hvm_config: api.kvm_xen_hvm_config,
  kvm_enable_cap: api.kvm_enable_cap,
  kvm_debugregs: api.kvm_debugregs,
  kvm_xsave: api.kvm_xsave,
  kvm_xcr: api.kvm_xcr,
  kvm_xcrs: api.kvm_xcrs,
  kvm_mp_state: api.kvm_mp_state,
  kvm_interrupt: api.kvm_interrupt,
  kvm_signal_mask: api.kvm_signal_mask,
  kvm_run: api.kvm_run,
};
/** What lies in the union of kvm_run, by the name of its member there. */
const UNION: Readonly<Record<string, Layout<string>>> = {
  io: api.kvm_run_io,
  mmio: api.kvm_run_mmio,
  msr: api.kvm_run_msr,
  internal: api.kvm_run_internal,
  emulation_failure: api.kvm_run_emulation_failure,
  fail_entry: api.kvm_run_fail_entry,
};

const skipped = available() ? "" : ` (skipped: needs gcc and ${HEADER})`;
Deno.test({
  name: `gcc lays out the structures of KVM as we do, and knows the same numbers${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const facts: [string, number][] = [["sizeof(struct kvm_vcpu_events)", api.kvm_vcpu_events.size]];
    for (const [name, { size, at }] of Object.entries(STRUCTURES)) {
      facts.push([`sizeof(struct ${name})`, size]);
      for (const [field, offset] of Object.entries(at)) {
        facts.push([`offsetof(struct ${name}, ${field})`, offset]);
      }
    }
    for (const [member, { at }] of Object.entries(UNION)) {
      for (const [field, offset] of Object.entries(at)) {
        facts.push([`offsetof(struct kvm_run, ${member}.${field})`, api.kvm_run.at.io + offset]);
      }
    }
    const { type, ...hcall } = api.kvm_run_xen.at; // its union has a member for each type
    facts.push(["offsetof(struct kvm_run, xen.type)", api.kvm_run.at.io + type]);
    for (const [field, offset] of Object.entries(hcall)) {
      if (field === "pad") continue;
      facts.push([`offsetof(struct kvm_run, xen.u.hcall.${field})`, api.kvm_run.at.io + offset]);
    }
    const numbers = Object.entries(api).filter(([name]) => name.startsWith("KVM_"));
    assertEquals(numbers.length > 50, true);
    for (const [name, value] of numbers) facts.push([name, value as number]);
    const values = await evaluate(facts.map(([expression]) => expression));
    assertEquals(facts.map(([expression], i) => [expression, values[i]]), facts);
  },
});
