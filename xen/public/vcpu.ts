// SPDX-License-Identifier: MIT
/** vcpu_op. Rules: Xen public/vcpu.h. @module */
import { layout } from "../../cpu/base/layout.ts";
import { layouts } from "./abi.ts";

/** Operations of vcpu_op. */
export const VCPUOP_initialise = 0;
export const VCPUOP_up = 1;
export const VCPUOP_down = 2;
export const VCPUOP_is_up = 3;
export const VCPUOP_get_runstate_info = 4;
export const VCPUOP_register_runstate_memory_area = 5;
export const VCPUOP_set_periodic_timer = 6;
export const VCPUOP_stop_periodic_timer = 7;
export const VCPUOP_set_singleshot_timer = 8;
export const VCPUOP_stop_singleshot_timer = 9;
export const VCPUOP_register_vcpu_info = 10;
export const VCPUOP_send_nmi = 11;
export const VCPUOP_get_physid = 12;
export const VCPUOP_register_vcpu_time_memory_area = 13;

/** The vCPU runs. */
export const RUNSTATE_running = 0;
/** It could run, but the host does something else. */
export const RUNSTATE_runnable = 1;
/** It is idle. */
export const RUNSTATE_blocked = 2;
/** It is neither runnable nor idle. */
export const RUNSTATE_offline = 3;

/** struct vcpu_runstate_info. */
export const vcpu_runstate_info = layouts({ state: "i32", state_entry_time: "u64", time: ["u64", 4] });
/** struct vcpu_register_runstate_memory_area and struct vcpu_register_time_memory_area; `addr.v` comes first. */
export const vcpu_register_memory_area = layout({ "addr.p": "u64" });
/** struct vcpu_set_periodic_timer. */
export const vcpu_set_periodic_timer = layout({ period_ns: "u64" });
/** struct vcpu_set_singleshot_timer. */
export const vcpu_set_singleshot_timer = layouts({ timeout_abs_ns: "u64", flags: "u32" });
/** vcpu_set_singleshot_timer.flags: fail with -ETIME when the time has passed. */
export const VCPU_SSHOTTMR_future = 1 << 0;
/** struct vcpu_register_vcpu_info. */
export const vcpu_register_vcpu_info = layout({ mfn: "u64", offset: "u32", rsvd: "u32" });
/** struct vcpu_get_physid. */
export const vcpu_get_physid = layout({ phys_id: "u64" });
