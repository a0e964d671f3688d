// SPDX-License-Identifier: MIT
/** Linux 6.12, as trixie and bookworm's backports have it. @module */
import { bothWays, testRows } from "../_boot.ts";

testRows([...bothWays("backports"), ...bothWays("trixie")]);
