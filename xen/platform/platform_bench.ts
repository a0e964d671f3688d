// SPDX-License-Identifier: MIT
/** The paths a packet takes through the platform. The rig's vCPU adds its own cost to hypercalls. */
import { EVTCHNOP_send } from "../public/event_channel.ts";
import { GTF_permit_access } from "../public/grant_table.ts";
import { __HYPERVISOR_event_channel_op, __HYPERVISOR_vcpu_op } from "../public/xen.ts";
import { VCPUOP_set_singleshot_timer } from "../public/vcpu.ts";
import { xenRig } from "../_rig.ts";

const ARGS = 0x1000;
const rig = xenRig();
const { events, grants, upcall, sharedInfo } = rig.platform;
const port = events.allocUnbound(0);
const backend = events.bindInterdomain(port, () => {});
const table = grants.framePage(0) as number;
for (let gref = 8; gref < 264; gref++) {
  rig.memory.view.setUint32(table + 8 * gref, GTF_permit_access, true);
  rig.memory.view.setUint32(table + 8 * gref + 4, 0x100 + gref, true);
}
upcall.setCallbackVia((2n << 56n) | 0xf3n);
rig.ram.setUint32(ARGS, port, true);
rig.ram.setBigUint64(0x2000, 1n << 40n, true);
rig.vcpu.writeGpr("rdi", BigInt(EVTCHNOP_send));
rig.vcpu.writeGpr("rsi", BigInt(ARGS));

let gref = 0;
let sum = 0;

Deno.bench("EVTCHNOP_send by the guest, registers set", () => {
  rig.vcpu.writeGpr("rax", BigInt(__HYPERVISOR_event_channel_op));
  rig.platform.hypercall();
});
Deno.bench("set_singleshot_timer by the guest", () => {
  rig.hypercall(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, 0x2000);
});
Deno.bench("events.send", () => {
  events.send(port);
});
Deno.bench("backend notify, upcall taken, guest clears all", () => {
  backend?.notify();
  sum += upcall.acknowledge();
  rig.memory.bytes[sharedInfo.vcpuInfo] = 0;
  rig.memory.bytes[sharedInfo.evtchnPendingSel] = 0;
  rig.memory.bytes[sharedInfo.evtchnPending + (port >> 3)] = 0;
});
Deno.bench("grant locate", () => {
  gref = (gref + 1) & 255;
  sum += grants.locate(8 + gref, 64, 1500, false);
});
Deno.bench("grant access, same range as before", () => {
  gref = (gref + 1) & 255;
  sum += (grants.access(8 + gref, 64, 1500, false) as Uint8Array).length;
});
Deno.bench("grant access, new range", () => {
  gref = (gref + 1) & 255;
  sum += (grants.access(8 + gref, sum & 63, 1500, true) as Uint8Array).length;
});
Deno.bench("grant map and unmap", () => {
  const grant = grants.map(8, false);
  if (typeof grant !== "number") grant.unmap();
});
