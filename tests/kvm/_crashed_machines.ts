// SPDX-License-Identifier: MIT
/**
 * Makes three machines under KVM one after the other that crash, and prints as JSON what each leaves and how many files
 * and mappings of KVM are open meanwhile. In a process of its own, since other tests open and close the same.
 * @module
 */
import { tinyGuest, TRIPLE_FAULT } from "../_tiny_guest.ts";
import { withKvm } from "./_kvm.ts";

/** Open files of KVM, and mapped vCPUs. */
export type Held = readonly [files: number, vcpus: number];
/** What is printed. */
export interface CrashedMachines {
  readonly before: Held;
  readonly after: Held;
  readonly crashes: readonly {
    readonly exit: { readonly reason: string; readonly detail?: string };
    /** Before the machine is closed. */
    readonly held: Held;
    /** RIP of the closed machine, hexadecimal. */
    readonly rip: string | undefined;
  }[];
}

function held(): Held {
  const files = [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return /^(\/dev\/kvm$|anon_inode:.*kvm)/.test(Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      return false; // the folder's own
    }
  });
  const maps = Deno.readTextFileSync("/proc/self/maps").split("\n");
  return [files.length, maps.filter((line) => line.includes("kvm-vcpu")).length];
}

if (import.meta.main) {
  const before = held();
  const crashes: CrashedMachines["crashes"][number][] = [];
  for (let i = 0; i < 3; i++) {
    await withKvm(tinyGuest(TRIPLE_FAULT), async (machine, run) => {
      const { exit } = await run();
      const meanwhile = held();
      await machine.close();
      crashes.push({ exit, held: meanwhile, rip: machine.registers().rip?.toString(16) }); // can still be looked at
    });
  }
  console.log(JSON.stringify({ before, after: held(), crashes } satisfies CrashedMachines));
}
