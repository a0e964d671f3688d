// SPDX-License-Identifier: MIT
/**
 * Boots Debian's kernel on a model of the processor and looks at what it says of it: nothing is inconsistent, and
 * /proc/cpuinfo has the features that were chosen. By instruction count, so that no load of the host matters.
 * @module
 */
import { assertEquals } from "@std/assert";
import { createMachine } from "../mod.ts";
import { ALL_FEATURES, type CpuFeature, FIXED } from "../cpu/base/cpu_features.ts";
import { parseCpuModel } from "../cpu/base/cpu_model.ts";
import { guestCommandLine, guestFiles, type GuestName } from "../scripts/guests/manifest.ts";
import { missing } from "./_boot.ts";

/** A boot and its processor. */
export interface CpuBoot {
  readonly guest: GuestName;
  readonly cpu: string;
  readonly cpuVendor: "intel" | "amd";
  readonly engine?: "interp" | "jit";
}

/** What a kernel says when its processor contradicts itself, or does not do what it promises. */
const COMPLAINTS =
  /WARNING|BUG:|Oops|Call Trace|inconsisten|mismatch|unchecked MSR|unhandled|\[Firmware (Bug|Warn)|x86\/fpu: .*(fail|bad)|disabl.*(XSAVE|xsave)/;
/** Of the host: it may be busy. */
const LIMIT_MS = 1_200_000;
/** Linux says so of every AMD processor with 64-bit mode (arch/x86/kernel/cpu/amd.c, init_amd). */
const TAKEN_FOR_GRANTED = { intel: [] as CpuFeature[], amd: ["3dnowprefetch"] as CpuFeature[] };

/** Boots it and checks what it says. */
export async function bootCpu({ guest, cpu, cpuVendor, engine }: CpuBoot): Promise<void> {
  const { vmlinuz, initramfs } = guestFiles(guest);
  let log = "";
  const decoder = new TextDecoder();
  await using machine = await createMachine({
    kernel: vmlinuz,
    initrd: initramfs,
    append: guestCommandLine({ run: ["shell"] }),
    cpu,
    cpuVendor,
    icount: true,
    engine: engine ?? "jit",
    console: (bytes) => void (log += decoder.decode(bytes, { stream: true })),
  });
  const run = machine.run();
  await machine.console.expect("Welcome.", { timeoutMs: LIMIT_MS });
  const cpuinfo = (await machine.console.exec("cat /proc/cpuinfo", { timeoutMs: LIMIT_MS })).output;
  machine.requestShutdown("poweroff");
  assertEquals((await run).reason, "poweroff");
  assertEquals(log.split(/\r?\n/).filter((line) => COMPLAINTS.test(line)), []);
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*?)\\r?$`, "m").exec(cpuinfo)?.[1] ?? "";
  assertEquals(field("vendor_id"), cpuVendor === "intel" ? "GenuineIntel" : "AuthenticAMD");
  const flags = field("flags").split(" ");
  const { features } = parseCpuModel(cpu);
  const chosen = ALL_FEATURES.filter((name) =>
    !FIXED.has(name) && !TAKEN_FOR_GRANTED[cpuVendor].includes(name)
  );
  assertEquals(
    chosen.filter((name) => flags.includes(name)),
    chosen.filter((name) => features.has(name)),
  );
}

/** A test for each boot. */
export function testCpuBoots(boots: readonly CpuBoot[]): void {
  for (const boot of boots) {
    const why = missing(boot.guest);
    Deno.test({
      name: `${boot.guest} finds nothing wrong with ${boot.cpu} of ${boot.cpuVendor}${why}`,
      ignore: why !== "",
      fn: () => bootCpu(boot),
    });
  }
}
