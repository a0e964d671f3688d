// SPDX-License-Identifier: MIT
import { assert, assertEquals } from "@std/assert";
import {
  VCPUOP_down,
  VCPUOP_get_physid,
  VCPUOP_get_runstate_info,
  VCPUOP_initialise,
  VCPUOP_is_up,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_register_vcpu_time_memory_area,
  VCPUOP_send_nmi,
  VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_stop_singleshot_timer,
} from "../public/vcpu.ts";
import { EVTCHNOP_bind_virq } from "../public/event_channel.ts";
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_set_timer_op,
  __HYPERVISOR_vcpu_op,
  VIRQ_TIMER,
} from "../public/xen.ts";
import { XEN_EEXIST, XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS, XEN_ETIME } from "../public/errno.ts";
import { timeScale } from "../memory/shared_info.ts";
import { type XenRig, xenRig } from "../_rig.ts";

const ARGS = 0x1000;
const MS = 1_000_000;

function op(rig: XenRig, operation: number, vcpu = 0, arg: number | bigint = ARGS): number {
  return rig.hypercall(__HYPERVISOR_vcpu_op, operation, vcpu, arg);
}

/** Binds VIRQ_TIMER; the result tells and clears whether it fired. */
function timerEvents(rig: XenRig): () => boolean {
  rig.ram.setUint32(ARGS, VIRQ_TIMER, true);
  rig.ram.setUint32(ARGS + 4, 0, true);
  assertEquals(rig.hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, ARGS), 0);
  const port = rig.ram.getUint32(ARGS + 8, true);
  return () => {
    const at = rig.platform.sharedInfo.evtchnPending + (port >> 3);
    const fired = rig.platform.events.isPending(port);
    rig.memory.bytes[at] = 0;
    return fired;
  };
}

function singleshot(rig: XenRig, deadlineNs: number, flags = 0): number {
  rig.ram.setBigUint64(ARGS, BigInt(deadlineNs), true);
  rig.ram.setUint32(ARGS + 8, flags, true);
  return op(rig, VCPUOP_set_singleshot_timer);
}

for (const bits of [64, 32] as const) {
  Deno.test(`the single-shot timer raises VIRQ_TIMER once, ${bits}-bit`, () => {
    const rig = xenRig();
    rig.vcpu.codeBits = bits;
    const fired = timerEvents(rig);
    assertEquals(singleshot(rig, 5 * MS), 0);
    rig.clock.advance(5 * MS - 1);
    assertEquals(fired(), false);
    rig.clock.advance(1);
    assertEquals(fired(), true);
    rig.clock.advance(100 * MS);
    assertEquals(fired(), false);
  });
}

Deno.test("the single-shot timer is replaced, stopped, or late", () => {
  const rig = xenRig();
  const fired = timerEvents(rig);
  rig.clock.advance(10 * MS);
  assertEquals(singleshot(rig, 5 * MS, 1), -XEN_ETIME);
  assertEquals(singleshot(rig, 5 * MS), 0); // in the past: at once
  rig.clock.advance(0);
  assertEquals(fired(), true);
  assertEquals(singleshot(rig, 20 * MS), 0);
  assertEquals(singleshot(rig, 40 * MS), 0);
  rig.clock.advance(20 * MS);
  assertEquals(fired(), false);
  assertEquals(op(rig, VCPUOP_stop_singleshot_timer, 0, 0), 0);
  rig.clock.advance(20 * MS);
  assertEquals(fired(), false);
});

Deno.test("set_timer_op takes a signed time, in two arguments from 32-bit code; far times mean soon", () => {
  for (const bits of [64, 32] as const) {
    const rig = xenRig();
    rig.vcpu.codeBits = bits;
    const fired = timerEvents(rig);
    const set = (time: bigint) =>
      bits === 64
        ? rig.hypercall(__HYPERVISOR_set_timer_op, BigInt.asUintN(64, time))
        : rig.hypercall(__HYPERVISOR_set_timer_op, time & 0xffff_ffffn, (time >> 32n) & 0xffff_ffffn);
    assertEquals(set(5_000_000_000n), 0);
    rig.clock.advance(5_000_000_000);
    assertEquals(fired(), true);
    for (const wrapped of [-5n, 1n << 60n]) {
      assertEquals(set(wrapped), 0);
      rig.clock.advance(99 * MS);
      assertEquals(fired(), false);
      rig.clock.advance(1 * MS);
      assertEquals(fired(), true);
    }
    assertEquals(set(6_000_000_000n), 0);
    assertEquals(set(0n), 0);
    rig.clock.advance(6_000_000_000);
    assertEquals(fired(), false);
  }
});

Deno.test("the periodic timer ticks until stopped and drops missed ticks", () => {
  const rig = xenRig();
  const fired = timerEvents(rig);
  rig.ram.setBigUint64(ARGS, 999_999n, true);
  assertEquals(op(rig, VCPUOP_set_periodic_timer), -XEN_EINVAL);
  rig.ram.setBigUint64(ARGS, BigInt(10 * MS), true);
  assertEquals(op(rig, VCPUOP_set_periodic_timer), 0);
  for (let tick = 0; tick < 3; tick++) {
    rig.clock.advance(10 * MS - 1);
    assertEquals(fired(), false);
    rig.clock.advance(1);
    assertEquals(fired(), true);
  }
  assertEquals(op(rig, VCPUOP_stop_periodic_timer, 0, 0), 0);
  rig.clock.advance(100 * MS);
  assertEquals(fired(), false);
});

Deno.test("vcpu_op on the only vCPU and on others", () => {
  const rig = xenRig();
  assertEquals(op(rig, VCPUOP_is_up, 0, 0), 1);
  assertEquals(op(rig, VCPUOP_is_up, 1, 0), -XEN_ENOENT);
  assertEquals(op(rig, VCPUOP_initialise), -XEN_EEXIST);
  assertEquals(op(rig, VCPUOP_get_physid), -XEN_EINVAL);
  assertEquals(op(rig, VCPUOP_send_nmi, 0, 1), -XEN_EINVAL);
  assertEquals(op(rig, VCPUOP_send_nmi, 0, 0), -XEN_ENOSYS); // the rig has no NMI wire
  assertEquals(op(rig, 77), -XEN_ENOSYS);
  assertEquals(op(rig, VCPUOP_set_singleshot_timer, 0, 0xf000_0000n), -XEN_EFAULT);
  assertEquals(op(rig, VCPUOP_down, 0, 0), 0);
  assertEquals([rig.wires.shutdowns, rig.platform.blocked], [[0], true]);
});

Deno.test("runstate: time is accounted to running and blocked, and written when the vCPU runs again", () => {
  const rig = xenRig();
  rig.ram.setBigUint64(ARGS, 0x2000n, true);
  assertEquals(op(rig, VCPUOP_register_runstate_memory_area), 0);
  rig.clock.advance(7);
  rig.platform.scheduler.block();
  rig.clock.advance(100);
  rig.platform.wake();
  rig.clock.advance(3);
  const u64 = (at: number) => Number(rig.ram.getBigUint64(at, true));
  // struct vcpu_runstate_info, 64-bit: state 0, state_entry_time 8, time[4] 16
  assertEquals([rig.ram.getInt32(0x2000, true), u64(0x2008), u64(0x2010), u64(0x2020)], [0, 107, 7, 100]);
  assertEquals(op(rig, VCPUOP_get_runstate_info, 0, 0x3000), 0);
  assertEquals([u64(0x3008), u64(0x3010), u64(0x3018), u64(0x3020), u64(0x3028)], [107, 10, 0, 100, 0]);
  rig.ram.setBigUint64(ARGS, 0xf000_0000n, true);
  assertEquals(op(rig, VCPUOP_register_runstate_memory_area), 0); // Xen does not mind
});

Deno.test("pvclock: guests compute system time from the TSC, and a second copy says the same", () => {
  const rig = xenRig();
  rig.clock.advance(1_000_000_007);
  rig.platform.sharedInfo.latch(64);
  const at = rig.platform.sharedInfo.vcpuInfo + 32;
  const view = rig.memory.view;
  assertEquals(view.getUint32(at, true) % 2, 0);
  assertEquals(view.getUint8(at + 29), 1); // XEN_PVCLOCK_TSC_STABLE_BIT
  const systemTime = (): number => {
    // The formula of struct vcpu_time_info in Xen's public/xen.h.
    const delta = rig.vcpu.readTsc() - view.getBigUint64(at + 8, true);
    const shift = view.getInt8(at + 28);
    const shifted = shift < 0 ? delta >> BigInt(-shift) : delta << BigInt(shift);
    return Number(
      view.getBigUint64(at + 16, true) + ((shifted * BigInt(view.getUint32(at + 24, true))) >> 32n),
    );
  };
  assertEquals(systemTime(), 1_000_000_007);
  rig.clock.advance(3_600_000_000_000);
  assert(Math.abs(systemTime() - rig.clock.nowNs()) <= 1_000, `${systemTime()}`);
  rig.ram.setBigUint64(ARGS, 0x3000n, true);
  assertEquals(op(rig, VCPUOP_register_vcpu_time_memory_area), 0);
  assertEquals(rig.ram.getBigUint64(0x3008, true), view.getBigUint64(at + 8, true));
  assertEquals(rig.ram.getBigUint64(0x3010, true), 1_000_000_007n);
});

Deno.test("pvclock scales are those of Xen's set_time_scale for frequencies around a gigahertz", () => {
  // (frequency, shift) by hand: the ticks of a second are brought into (1e9, 2e9]; mul = 1e9 * 2^32 / that.
  assertEquals(timeScale(2_000_000_000), { tsc_to_system_mul: 0x8000_0000, tsc_shift: 0 });
  assertEquals(timeScale(1_000_000_000), { tsc_to_system_mul: 0x8000_0000, tsc_shift: 1 });
  assertEquals(timeScale(3_000_000_000), { tsc_to_system_mul: 2_863_311_530, tsc_shift: -1 });
  assertEquals(timeScale(250_000_000).tsc_shift, 3);
});

for (const bits of [64, 32] as const) {
  Deno.test(`wall clock: seconds and nanoseconds at system time zero, ${bits}-bit`, () => {
    const rig = xenRig();
    rig.clock.advance(2_500_000_000);
    rig.platform.sharedInfo.latch(bits);
    const at = rig.platform.sharedInfo.page + (bits === 64 ? 3072 : 2304);
    const view = rig.memory.view;
    assertEquals(view.getUint32(at, true), 2);
    assertEquals(view.getUint32(at + 4, true), 1_700_000_000);
    assert(Math.abs(view.getUint32(at + 8, true) - 250_000_000) < 1_000);
    const high = bits === 64 ? at + 12 : at + 12 + 24;
    assertEquals(view.getUint32(high, true), 0);
  });
}
