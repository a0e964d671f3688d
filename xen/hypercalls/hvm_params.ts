// SPDX-License-Identifier: MIT
/** HVM parameters and which of them the guest may read and write. Rules: Xen public/hvm/params.h; hvm_allow_set_param. @module */
import { XEN_EINVAL, XEN_EPERM } from "../public/errno.ts";
import {
  HVM_NR_PARAMS,
  HVM_PARAM_ACPI_IOPORTS_LOCATION,
  HVM_PARAM_ALTP2M,
  HVM_PARAM_BUFIOREQ_EVTCHN,
  HVM_PARAM_CALLBACK_IRQ,
  HVM_PARAM_CONSOLE_EVTCHN,
  HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM_DM_DOMAIN,
  HVM_PARAM_MEMORY_EVENT_CR0,
  HVM_PARAM_MEMORY_EVENT_CR3,
  HVM_PARAM_MEMORY_EVENT_CR4,
  HVM_PARAM_MEMORY_EVENT_INT3,
  HVM_PARAM_MEMORY_EVENT_MSR,
  HVM_PARAM_MEMORY_EVENT_SINGLE_STEP,
  HVM_PARAM_NESTEDHVM,
  HVM_PARAM_PAE_ENABLED,
  HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM_STORE_PFN,
  HVM_PARAM_VM86_TSS,
  HVM_PARAM_VM86_TSS_SIZED,
  HVM_PARAM_VM_GENERATION_ID_ADDR,
  HVM_PARAM_X87_FIP_WIDTH,
} from "../public/hvm/params.ts";

const GUEST_MAY_SET: ReadonlySet<number> = new Set([
  HVM_PARAM_CALLBACK_IRQ,
  HVM_PARAM_VM86_TSS,
  HVM_PARAM_VM86_TSS_SIZED,
  HVM_PARAM_ACPI_IOPORTS_LOCATION,
  HVM_PARAM_VM_GENERATION_ID_ADDR,
  HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM_CONSOLE_EVTCHN,
  HVM_PARAM_X87_FIP_WIDTH,
]);
const GUEST_MAY_GET: ReadonlySet<number> = new Set([
  ...GUEST_MAY_SET,
  HVM_PARAM_STORE_PFN,
  HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM_ALTP2M,
]);

const DEPRECATED: ReadonlySet<number> = new Set([
  HVM_PARAM_PAE_ENABLED,
  HVM_PARAM_DM_DOMAIN,
  HVM_PARAM_MEMORY_EVENT_CR0,
  HVM_PARAM_MEMORY_EVENT_CR3,
  HVM_PARAM_MEMORY_EVENT_CR4,
  HVM_PARAM_MEMORY_EVENT_INT3,
  HVM_PARAM_NESTEDHVM,
  HVM_PARAM_MEMORY_EVENT_SINGLE_STEP,
  HVM_PARAM_BUFIOREQ_EVTCHN,
  HVM_PARAM_MEMORY_EVENT_MSR,
]);

/** The parameters of the guest's domain. */
export class HvmParams {
  readonly #values = new BigUint64Array(HVM_NR_PARAMS);

  /** Value of a parameter, for us. */
  get(index: number): bigint {
    return this.#values[index] ?? 0n;
  }

  /** Sets a parameter as the tools do. */
  set(index: number, value: bigint): void {
    this.#values[index] = value;
  }

  /** 0 when the guest may set `index`, else a negative errno. */
  maySet(index: number): number {
    if (index >= HVM_NR_PARAMS || DEPRECATED.has(index)) return -XEN_EINVAL;
    return GUEST_MAY_SET.has(index) ? 0 : -XEN_EPERM;
  }

  /** 0 when the guest may read `index`, else a negative errno. */
  mayGet(index: number): number {
    if (index >= HVM_NR_PARAMS || DEPRECATED.has(index)) return -XEN_EINVAL;
    return GUEST_MAY_GET.has(index) ? 0 : -XEN_EPERM;
  }

  /** All zero. */
  reset(): void {
    this.#values.fill(0n);
  }

  /** The plain record of a snapshot. */
  save(): BigUint64Array {
    return this.#values.slice();
  }

  /** Restores what `save` gave. */
  restore(state: BigUint64Array): void {
    this.#values.set(state.subarray(0, HVM_NR_PARAMS));
  }
}
