// SPDX-License-Identifier: MIT
/** Debian's kernel for clouds, the one of most tests: every way to enter it, to execute it, and to end. @module */
import { assertEquals } from "@std/assert";
import { HUB, HVM, NETWORK, PVH, testRows } from "./_boot.ts";

const HALTED = "xenner: the guest halted: HLT with interrupts off, and nothing that could end it\n";

testRows([
  { name: "cloud, HVM", guest: "cloud", options: HUB, run: NETWORK, status: 0, shows: HVM },
  {
    name: "cloud, PVH",
    guest: "cloud",
    options: ["--type", "pvh", ...HUB],
    run: NETWORK,
    status: 0,
    shows: PVH,
  },
  {
    name: "cloud, HVM, interp, two hypercall pages",
    guest: "cloud",
    options: ["--engine", "interp", "--hypercall-pages", "2", ...HUB],
    run: NETWORK,
    status: 0,
    shows: HVM,
  },
  {
    name: "cloud, PVH, interp",
    guest: "cloud",
    options: ["--type", "pvh", "--engine", "interp", ...HUB],
    run: NETWORK,
    status: 0,
    shows: PVH,
  },
  {
    name: "cloud, HVM, serial console",
    guest: "cloud",
    options: ["--console", "none"],
    run: { run: ["poweroff"], console: "ttyS0" },
    status: 0,
    shows: ["printk: console [ttyS0] enabled", "XENNER-DONE"],
  },
  {
    name: "cloud, HVM, panic",
    guest: "cloud",
    options: [],
    run: { run: ["crash"] },
    status: 4,
    shows: ["Kernel panic - not syncing: sysrq triggered crash"],
  },
  {
    name: "cloud, HVM, reboot with --no-reboot",
    guest: "cloud",
    options: ["--no-reboot"],
    run: { run: ["reboot"] },
    status: 0,
    shows: ["reboot: Restarting system"],
  },
  {
    name: "cloud, HVM, halt",
    guest: "cloud",
    options: [],
    run: { run: ["halt"] },
    status: 0,
    shows: ["reboot: System halted"],
    check: ({ errors }) => assertEquals(errors, HALTED),
  },
  {
    name: "cloud, HVM, poweroff without ACPI",
    guest: "cloud",
    options: [],
    run: { run: ["poweroff"], extra: "acpi=off" },
    status: 0,
    shows: ["XENNER-DONE"],
    check: ({ errors }) => assertEquals(errors, HALTED),
  },
]);
