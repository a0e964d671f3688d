// SPDX-License-Identifier: MIT
/**
 * A guest that brings up netfront by hand and sends frames back with the addresses exchanged: xenstore, grant table
 * v1, event channel, both rings, SCHEDOP_poll to wait for events; in the end it closes the device and powers off.
 * Rules: Xen public/io/netif.h, public/io/xenbus.h, public/grant_table.h.
 * @module
 */
import {
  evtchn_alloc_unbound,
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_send,
} from "../../xen/public/event_channel.ts";
import { grant_entry_v1, GTF_permit_access } from "../../xen/public/grant_table.ts";
import {
  NETIF_RX_ENTRY,
  netif_rx_request,
  netif_rx_response,
  NETIF_TX_ENTRY,
  netif_tx_request,
  netif_tx_response,
} from "../../xen/public/io/netif.ts";
import { CONST_RING_SIZE, sring, SRING_HEADER } from "../../xen/public/io/ring.ts";
import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitWait,
} from "../../xen/public/io/xenbus.ts";
import { XS_READ } from "../../xen/public/io/xs_wire.ts";
import {
  xen_add_to_physmap,
  XENMAPSPACE_grant_table,
  XENMAPSPACE_shared_info,
  XENMEM_add_to_physmap,
} from "../../xen/public/memory.ts";
import {
  sched_poll,
  SCHEDOP_poll,
  SCHEDOP_shutdown,
  SCHEDOP_yield,
  SHUTDOWN_soft_reset,
} from "../../xen/public/sched.ts";
import {
  __HYPERVISOR_event_channel_op,
  __HYPERVISOR_memory_op,
  __HYPERVISOR_sched_op,
  shared_info,
} from "../../xen/public/xen.ts";
import { EAX, EBX, ECX, EDI, EDX, ESI } from "./_assembler.ts";
import { FREE, GuestProgram } from "./_guest_program.ts";
import { XenstoreClient } from "./_xenstore_client.ts";

/** Pages of the guest. */
export const TX_RING = FREE, RX_RING = FREE + 0x1000;
export const GRANT_TABLE = FREE + 0x2000, SHARED_INFO = FREE + 0x3000;
const XENSTORE_BUFFERS = FREE + 0x4000;
const BACKEND_PATH = FREE + 0x6000, BUFFERS = FREE + 0x1_0000;
/** Receive buffers; small, so that they are used again. */
export const BUFFER_COUNT = 4;
const TX_GREF = 8, RX_GREF = 9, BUFFER_GREF = 16;
const DOMID_SELF = 0x7ff0;
const DEVICE = "device/vif/0";
const PAGE = 0x1000;
const TX_MASK = CONST_RING_SIZE(PAGE, NETIF_TX_ENTRY) - 1,
  RX_MASK = CONST_RING_SIZE(PAGE, NETIF_RX_ENTRY) - 1;

/** Prints "ready" when frames may come, sends `frames` of them back, then powers off. */
export function netfrontEcho(mode: 32 | 64, frames: number): GuestProgram {
  const g = new GuestProgram(mode);
  const xs = new XenstoreClient(g, XENSTORE_BUFFERS);
  connect(g, xs);
  echo(g, xs, frames);
  data(g, xs);
  return g;
}

/**
 * Like netfrontEcho, but after `frames` it starts over in the middle of the connection, by SHUTDOWN_soft_reset as kexec
 * does: `rounds` times "ready", then it powers off.
 */
export function netfrontSoftReset(mode: 32 | 64, frames: number, rounds: number): GuestProgram {
  const g = new GuestProgram(mode);
  const xs = new XenstoreClient(g, XENSTORE_BUFFERS);
  connect(g, xs);
  echoFrames(g, frames);
  g.aluMemory("add", "round", 1);
  g.aluMemory("cmp", "round", rounds);
  g.j("b", "once_more");
  g.powerOff();
  g.label("once_more");
  g.storeValue("shutdown", SHUTDOWN_soft_reset);
  g.hypercall(__HYPERVISOR_sched_op, [SCHEDOP_shutdown, "shutdown"]);
  g.expect(0);
  for (const name of ["rx_cons", "tx_prod", "tx_cons"]) g.storeValue(name, 0);
  for (const ring of [TX_RING, RX_RING]) {
    for (const index of [sring.at.req_prod, sring.at.rsp_prod]) g.storeValue(ring + index, 0);
  }
  g.jmp("main");
  data(g, xs);
  g.variable("round");
  g.variable("shutdown");
  return g;
}

/** Brings up netfront, prints "ready", then sends events on every port for ever and looks at nothing. */
export function netfrontNoise(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  const xs = new XenstoreClient(g, XENSTORE_BUFFERS);
  connect(g, xs);
  g.label("noise");
  g.load(EAX, "noise_port");
  g.aluValue("add", EAX, 1);
  g.aluValue("and", EAX, 15);
  g.store("noise_port", EAX);
  g.hypercall(__HYPERVISOR_event_channel_op, [EVTCHNOP_send, "noise_port"], "port");
  g.jmp("noise");
  data(g, xs);
  g.variable("noise_port");
  return g;
}

/** From the start until the backend is connected and has buffers. */
function connect(g: GuestProgram, xs: XenstoreClient): void {
  g.label("main");
  g.loadHypercallPages();
  g.openConsole();
  xs.open();
  addToPhysmap(g, XENMAPSPACE_shared_info, SHARED_INFO);
  addToPhysmap(g, XENMAPSPACE_grant_table, GRANT_TABLE);
  const grant = (gref: number, page: number) => {
    const at = GRANT_TABLE + gref * grant_entry_v1.size;
    g.storeValue(at + grant_entry_v1.at.frame, page / PAGE);
    g.storeValue(at, GTF_permit_access); // flags and domid, which is 0
  };
  grant(TX_GREF, TX_RING);
  grant(RX_GREF, RX_RING);
  for (let i = 0; i < BUFFER_COUNT; i++) grant(BUFFER_GREF + i, BUFFERS + i * PAGE);
  for (const ring of [TX_RING, RX_RING]) {
    g.storeValue(ring + sring.at.req_event, 1);
    g.storeValue(ring + sring.at.rsp_event, 1);
  }
  g.storeValue("alloc_unbound", DOMID_SELF); // remote_dom, in the upper half, is 0
  g.hypercall(__HYPERVISOR_event_channel_op, [EVTCHNOP_alloc_unbound, "alloc_unbound"]);
  g.expect(0);
  g.mov(ESI, "alloc_unbound");
  g.load(EAX, { base: ESI, disp: evtchn_alloc_unbound.at.port });
  g.store("port", EAX);

  // The backend's directory, and its state until it offers
  xs.read(`${DEVICE}/backend`);
  g.store("backend_length", ECX);
  g.mov(ESI, xs.reply);
  g.mov(EDI, BACKEND_PATH);
  g.repMovsb();
  waitForBackend(g, xs, XenbusStateInitWait);
  xs.write(`${DEVICE}/tx-ring-ref`, String(TX_GREF));
  xs.write(`${DEVICE}/rx-ring-ref`, String(RX_GREF));
  g.load(EAX, "port");
  xs.write(`${DEVICE}/event-channel`, undefined);
  xs.write(`${DEVICE}/request-rx-copy`, "1");
  xs.write(`${DEVICE}/feature-rx-notify`, "1");
  xs.write(`${DEVICE}/state`, String(XenbusStateConnected));
  waitForBackend(g, xs, XenbusStateConnected);

  // All buffers to the backend
  for (let i = 0; i < BUFFER_COUNT; i++) {
    const at = RX_RING + SRING_HEADER + i * NETIF_RX_ENTRY;
    g.storeValue(at + netif_rx_request.at.id, i);
    g.storeValue(at + netif_rx_request.at.gref, BUFFER_GREF + i);
  }
  g.storeValue(RX_RING + sring.at.req_prod, BUFFER_COUNT);
  g.notify("port");
  g.print("ready\n");
}

function echo(g: GuestProgram, xs: XenstoreClient, frames: number): void {
  echoFrames(g, frames);
  xs.write(`${DEVICE}/state`, String(XenbusStateClosing));
  waitForBackend(g, xs, XenbusStateClosing);
  xs.write(`${DEVICE}/state`, String(XenbusStateClosed));
  waitForBackend(g, xs, XenbusStateClosed);
  g.print("closed\n");
  g.powerOff();
}

function echoFrames(g: GuestProgram, frames: number): void {
  g.label("next_frame");
  waitForResponse(g, RX_RING, "rx_cons");
  // EBX: the response; EDI: where the frame is
  g.load(EBX, "rx_cons");
  g.aluValue("and", EBX, RX_MASK);
  g.shl(EBX, 3);
  g.aluValue("add", EBX, RX_RING + SRING_HEADER);
  g.load(EAX, { base: EBX, disp: netif_rx_response.at.id }, 2);
  g.store("id", EAX);
  g.shl(EAX, 12);
  g.load(ECX, { base: EBX, disp: netif_rx_response.at.offset }, 2);
  g.store("offset", ECX);
  g.alu("add", EAX, ECX);
  g.aluValue("add", EAX, BUFFERS);
  g.movRegister(EDI, EAX);
  g.load(EAX, { base: EBX, disp: netif_rx_response.at.status }, 2);
  g.store("size", EAX);
  // Exchange the addresses: six bytes and six bytes
  g.load(EAX, { base: EDI });
  g.load(ECX, { base: EDI, disp: 4 }, 2);
  g.load(EDX, { base: EDI, disp: 6 });
  g.load(EBX, { base: EDI, disp: 10 }, 2);
  g.store({ base: EDI }, EDX);
  g.store({ base: EDI, disp: 4 }, EBX, 2);
  g.store({ base: EDI, disp: 6 }, EAX);
  g.store({ base: EDI, disp: 10 }, ECX, 2);

  // Out again
  g.load(ECX, "tx_prod");
  g.aluValue("and", ECX, TX_MASK);
  g.mov(EAX, 0);
  for (let i = 0; i < NETIF_TX_ENTRY / 4; i++) g.alu("add", EAX, ECX);
  g.shl(EAX, 2);
  g.aluValue("add", EAX, TX_RING + SRING_HEADER);
  g.movRegister(EBX, EAX);
  g.store("tx_slot", EBX);
  g.load(EAX, "id");
  g.store({ base: EBX, disp: netif_tx_request.at.id }, EAX, 2);
  g.aluValue("add", EAX, BUFFER_GREF);
  g.store({ base: EBX, disp: netif_tx_request.at.gref }, EAX);
  g.load(EAX, "offset");
  g.store({ base: EBX, disp: netif_tx_request.at.offset }, EAX, 2);
  g.mov(EAX, 0);
  g.store({ base: EBX, disp: netif_tx_request.at.flags }, EAX, 2);
  g.load(EAX, "size");
  g.store({ base: EBX, disp: netif_tx_request.at.size }, EAX, 2);
  g.aluMemory("add", "tx_prod", 1);
  g.load(EAX, "tx_prod");
  g.store(TX_RING + sring.at.req_prod, EAX);
  g.notify("port");
  waitForResponse(g, TX_RING, "tx_cons");
  g.aluMemory("add", "tx_cons", 1);
  g.load(EBX, "tx_slot");
  g.load(EAX, { base: EBX, disp: netif_tx_response.at.status }, 2);
  g.expect(0); // NETIF_RSP_OKAY
  g.load(EAX, { base: EBX, disp: netif_tx_response.at.id }, 2);
  g.load(ECX, "id");
  g.alu("sub", EAX, ECX);
  g.expect(0);

  // The buffer back to the backend
  g.load(EBX, RX_RING + sring.at.req_prod);
  g.aluValue("and", EBX, RX_MASK);
  g.shl(EBX, 3);
  g.aluValue("add", EBX, RX_RING + SRING_HEADER);
  g.load(EAX, "id");
  g.store({ base: EBX, disp: netif_rx_request.at.id }, EAX);
  g.aluValue("add", EAX, BUFFER_GREF);
  g.store({ base: EBX, disp: netif_rx_request.at.gref }, EAX);
  g.aluMemory("add", RX_RING + sring.at.req_prod, 1);
  g.notify("port");
  g.aluMemory("add", "rx_cons", 1);
  g.aluMemory("cmp", "rx_cons", frames);
  g.j("b", "next_frame");
}

function data(g: GuestProgram, xs: XenstoreClient): void {
  const { mode } = g;
  xs.routines();
  for (
    const name of [
      "port",
      "backend_length",
      "rx_cons",
      "tx_prod",
      "tx_cons",
      "tx_slot",
      "id",
      "offset",
      "size",
    ]
  ) {
    g.variable(name);
  }
  g.variable("alloc_unbound", evtchn_alloc_unbound.size / 4);
  g.align(8);
  g.variable("physmap", xen_add_to_physmap[mode].size / 4);
  g.align(8);
  g.variable("poll", sched_poll[mode].size / 4);
}

/** Puts frame 0 of a Xen space at `gpa`. */
function addToPhysmap(g: GuestProgram, space: number, gpa: number): void {
  const { at } = xen_add_to_physmap[g.mode];
  g.mov(ESI, "physmap");
  g.storeValue({ base: ESI, disp: at.domid }, DOMID_SELF);
  g.storeValue({ base: ESI, disp: at.space }, space);
  g.storeValue({ base: ESI, disp: at.gpfn }, gpa / PAGE);
  g.hypercall(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, "physmap"]);
  g.expect(0);
}

/** Reads the backend's state until it is `state`. */
function waitForBackend(g: GuestProgram, xs: XenstoreClient, state: number): void {
  const again = g.unique("backend_state"), done = g.unique("backend_done");
  g.label(again);
  xs.begin();
  g.mov(ESI, BACKEND_PATH);
  g.load(ECX, "backend_length");
  xs.append();
  xs.text("/state\0");
  xs.request(XS_READ);
  g.load(EAX, xs.reply, 1);
  g.aluValue("cmp", EAX, 0x30 + state);
  g.j("e", done);
  g.hypercall(__HYPERVISOR_sched_op, [SCHEDOP_yield, 0]);
  g.jmp(again);
  g.label(done);
}

/** Sleeps until the ring has a response beyond the index in `consumed`. */
function waitForResponse(g: GuestProgram, ring: number, consumed: string): void {
  const again = g.unique("wait"), done = g.unique("response");
  const { at } = sched_poll[g.mode];
  g.label(again);
  for (let i = 0; i < 8; i += 4) g.storeValue(SHARED_INFO + shared_info[g.mode].at.evtchn_pending + i, 0);
  g.load(ECX, consumed);
  g.load(EAX, ring + sring.at.rsp_prod);
  g.alu("cmp", EAX, ECX);
  g.j("ne", done);
  g.aluValue("add", ECX, 1);
  g.store(ring + sring.at.rsp_event, ECX);
  g.mov(ESI, "poll");
  g.storeValue({ base: ESI, disp: at.ports }, "port");
  g.storeValue({ base: ESI, disp: at.nr_ports }, 1);
  g.hypercall(__HYPERVISOR_sched_op, [SCHEDOP_poll, "poll"]);
  g.expect(0);
  g.jmp(again);
  g.label(done);
}
