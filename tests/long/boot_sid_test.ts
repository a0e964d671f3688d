// SPDX-License-Identifier: MIT
/** The newest Linux that Debian has. @module */
import { bothWays, testRows } from "../_boot.ts";

testRows(bothWays("sid"));
