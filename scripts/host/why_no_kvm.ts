// SPDX-License-Identifier: MIT
/** Whether KVM is to be taken without being asked for by name. @module */
import { whyNoKvmEngine } from "../../cpu/engines.ts";
import { kvmHost, whyNotHardware } from "../../net/host/kvm.ts";

/** Why not; undefined: a machine can be made with it, on a processor made for it. */
export async function whyNoKvm(): Promise<string | undefined> {
  return await whyNoKvmEngine(kvmHost) ?? whyNotHardware();
}
