// SPDX-License-Identifier: MIT
/** sched_op. Rules: Xen public/sched.h. @module */
import { layout } from "../../cpu/base/layout.ts";
import { layouts } from "./abi.ts";

/** Operations of sched_op. */
export const SCHEDOP_yield = 0;
export const SCHEDOP_block = 1;
export const SCHEDOP_shutdown = 2;
export const SCHEDOP_poll = 3;
export const SCHEDOP_remote_shutdown = 4;
export const SCHEDOP_shutdown_code = 5;
export const SCHEDOP_watchdog = 6;
export const SCHEDOP_pin_override = 7;

/** The domain exited normally. */
export const SHUTDOWN_poweroff = 0;
/** Start it again. */
export const SHUTDOWN_reboot = 1;
/** It wants to be saved. */
export const SHUTDOWN_suspend = 2;
/** It crashed. */
export const SHUTDOWN_crash = 3;
/** Its watchdog expired. */
export const SHUTDOWN_watchdog = 4;
/** Reset the Xen state of the domain, keep memory and vCPUs. */
export const SHUTDOWN_soft_reset = 5;
/** Largest reason. */
export const SHUTDOWN_MAX = 5;

/** struct sched_shutdown. */
export const sched_shutdown = layout({ reason: "u32" });
/** struct sched_poll. */
export const sched_poll = layouts({ ports: "long", nr_ports: "u32", timeout: "u64" });
/** struct sched_remote_shutdown. */
export const sched_remote_shutdown = layout({ domain_id: "u16", reason: "u32" });
/** struct sched_watchdog. */
export const sched_watchdog = layout({ id: "u32", timeout: "u32" });
