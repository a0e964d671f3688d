// SPDX-License-Identifier: MIT
/** Debian's other kernels of Linux 6.1: the one for PCs, the one with PREEMPT_RT, the one of 32 bits. @module */
import { bothWays, HUB, HVM, NETWORK, testRows } from "../_boot.ts";

testRows([
  { name: "generic, HVM", guest: "generic", options: HUB, run: NETWORK, status: 0, shows: HVM },
  ...bothWays("rt"),
  ...bothWays("pae"),
]);
