// SPDX-License-Identifier: MIT
/** Debian's other kernels of this system's suite. @module */
import { HUB, HVM, NETWORK, testRows } from "./_boot.ts";

testRows([
  { name: "generic, HVM", guest: "generic", options: HUB, run: NETWORK, status: 0, shows: HVM },
]);
