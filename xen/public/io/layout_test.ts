// SPDX-License-Identifier: MIT
/**
 * Sizes and offsets of the io/ structures. Numbers as gcc 12 gives them for the headers of Xen 4.17;
 * `tests/xen_io_headers_test.ts` asks the compiler again where there is one.
 */
import { assertEquals } from "@std/assert";
import type { Layout } from "../../../cpu/base/layout.ts";
import { blkif_request_segment, blkifLayouts } from "./blkif.ts";
import { xencons_interface } from "./console.ts";
import * as netif from "./netif.ts";
import { CONST_RING_SIZE, sring } from "./ring.ts";
import { xenstore_domain_interface, xsd_sockmsg } from "./xs_wire.ts";

const { x86_32, x86_64 } = blkifLayouts;

/** Layout, size, and one late offset. */
const rows: [string, Layout<string>, number, string, number][] = [
  ["xsd_sockmsg", xsd_sockmsg, 16, "len", 12],
  ["xenstore_domain_interface", xenstore_domain_interface, 2076, "error", 2072],
  ["xencons_interface", xencons_interface, 3088, "out_prod", 3084],
  ["sring", sring, 64, "pvt_pad", 16],
  ["netif_tx_request", netif.netif_tx_request, 12, "size", 10],
  ["netif_tx_response", netif.netif_tx_response, 4, "status", 2],
  ["netif_rx_request", netif.netif_rx_request, 8, "gref", 4],
  ["netif_rx_response", netif.netif_rx_response, 8, "status", 6],
  ["netif_extra_info", netif.netif_extra_info, 8, "u", 2],
  ["xen_netif_ctrl_request", netif.xen_netif_ctrl_request, 16, "data", 4],
  ["xen_netif_ctrl_response", netif.xen_netif_ctrl_response, 12, "data", 8],
  ["xen_netif_gref", netif.xen_netif_gref, 8, "status", 6],
  ["blkif_request_segment", blkif_request_segment, 8, "last_sect", 5],
  ["blkif_request x86_64", x86_64.blkif_request, 112, "seg", 24],
  ["blkif_request x86_32", x86_32.blkif_request, 108, "seg", 20],
  ["blkif_request_discard x86_64", x86_64.blkif_request_discard, 32, "nr_sectors", 24],
  ["blkif_request_discard x86_32", x86_32.blkif_request_discard, 28, "nr_sectors", 20],
  ["blkif_request_indirect x86_64", x86_64.blkif_request_indirect, 64, "indirect_grefs", 28],
  ["blkif_request_indirect x86_32", x86_32.blkif_request_indirect, 64, "indirect_grefs", 24],
  ["blkif_response x86_64", x86_64.blkif_response, 16, "status", 10],
  ["blkif_response x86_32", x86_32.blkif_response, 12, "status", 10],
];

for (const [name, measured, size, field, offset] of rows) {
  Deno.test(`${name} has the size and offsets of the C structure`, () => {
    assertEquals(measured.size, size);
    assertEquals(measured.at[field], offset);
  });
}

/** Entries in one page, as __CONST_RING_SIZE computes them. */
const rings: [string, number, number][] = [
  ["netif_tx", netif.NETIF_TX_ENTRY, 256],
  ["netif_rx", netif.NETIF_RX_ENTRY, 256],
  ["xen_netif_ctrl", netif.XEN_NETIF_CTRL_ENTRY, 128],
  ["blkif x86_64", x86_64.entryBytes, 32],
  ["blkif x86_32", x86_32.entryBytes, 32],
];
for (const [name, entryBytes, entries] of rings) {
  Deno.test(`a page holds ${entries} entries of the ${name} ring`, () => {
    assertEquals(CONST_RING_SIZE(4096, entryBytes), entries);
  });
}
