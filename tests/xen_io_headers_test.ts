// SPDX-License-Identifier: MIT
/**
 * Asks the C compiler for every offset of the structures in `xen/public/io`, for both ABIs. Needs gcc, Xen's
 * headers (Debian: libxen-dev) and --allow-run, --allow-read; ignored where they are missing.
 */
import { assertEquals } from "@std/assert";
import type { Layout } from "../cpu/base/layout.ts";
import { xen_9pfs_data_intf } from "../xen/public/io/9pfs.ts";
import { blkif_request_segment, blkifLayouts } from "../xen/public/io/blkif.ts";
import { xencons_interface } from "../xen/public/io/console.ts";
import * as netif from "../xen/public/io/netif.ts";
import { CONST_RING_SIZE } from "../xen/public/io/ring.ts";
import { xenstore_domain_interface, xsd_sockmsg } from "../xen/public/io/xs_wire.ts";

const HEADERS = "/usr/include/xen";

async function compilerAvailable(): Promise<boolean> {
  const wanted: Deno.PermissionDescriptor[] = [
    { name: "run", command: "gcc" },
    { name: "read", path: HEADERS },
  ];
  for (const permission of wanted) {
    if ((await Deno.permissions.query(permission)).state !== "granted") return false;
  }
  try {
    Deno.statSync(`${HEADERS}/io/netif.h`);
    return new Deno.Command("gcc", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The values of constant C expressions, by way of the assembler text of an array. */
async function evaluate(expressions: string[], flag: string): Promise<number[]> {
  const source = [
    "#include <stddef.h>",
    "#include <stdint.h>",
    "void *memcpy(void *, const void *, size_t);", // 9pfs.h wants it
    ...["xs_wire", "console", "netif", "blkif", "9pfs"].map((name) => `#include <xen/io/${name}.h>`),
    `const unsigned int facts[] = { ${expressions.map((e) => `0x40000000u + (${e})`).join(", ")} };`,
  ].join("\n");
  const child = new Deno.Command("gcc", {
    args: [flag, "-ffreestanding", "-S", "-o", "-", "-x", "c", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { success, stdout } = await child.output();
  assertEquals(success, true, "gcc accepts the program");
  const values = new TextDecoder().decode(stdout).matchAll(/^\s*\.long\s+(\d+)$/gm);
  return [...values].map((match) => Number(match[1]) - 0x4000_0000);
}

const common: Record<string, Layout<string>> = {
  "struct xsd_sockmsg": xsd_sockmsg,
  "struct xenstore_domain_interface": xenstore_domain_interface,
  "struct xencons_interface": xencons_interface,
  "struct netif_tx_request": netif.netif_tx_request,
  "struct netif_tx_response": netif.netif_tx_response,
  "struct netif_rx_request": netif.netif_rx_request,
  "struct netif_rx_response": netif.netif_rx_response,
  "struct netif_extra_info": netif.netif_extra_info,
  "struct xen_netif_ctrl_request": netif.xen_netif_ctrl_request,
  "struct xen_netif_ctrl_response": netif.xen_netif_ctrl_response,
  "struct xen_netif_gref": netif.xen_netif_gref,
  "struct blkif_request_segment": blkif_request_segment,
  "struct xen_9pfs_data_intf": xen_9pfs_data_intf,
};

const skipped = await compilerAvailable() ? "" : ` (skipped: needs gcc and ${HEADERS})`;
for (const [flag, abi] of [["-m64", blkifLayouts.x86_64], ["-m32", blkifLayouts.x86_32]] as const) {
  Deno.test({
    name: `gcc ${flag} lays out the io/ structures as we do${skipped}`,
    ignore: skipped !== "",
    fn: async () => {
      const { entryBytes, ...blkif } = abi;
      const structures = { ...common };
      for (const [name, measured] of Object.entries(blkif)) structures[`struct ${name}`] = measured;
      const facts: [string, number][] = [];
      for (const [type, measured] of Object.entries(structures)) {
        facts.push([`sizeof(${type})`, measured.size]);
        for (const field of Object.keys(measured.at)) {
          facts.push([`offsetof(${type}, ${field})`, measured.at[field] as number]);
        }
      }
      facts.push(["__CONST_RING_SIZE(blkif, 4096)", CONST_RING_SIZE(4096, entryBytes)]);
      facts.push(["__CONST_RING_SIZE(blkif, 16384)", CONST_RING_SIZE(16384, entryBytes)]);
      facts.push(["__CONST_RING_SIZE(netif_tx, 4096)", CONST_RING_SIZE(4096, netif.NETIF_TX_ENTRY)]);
      facts.push(["__CONST_RING_SIZE(netif_rx, 4096)", CONST_RING_SIZE(4096, netif.NETIF_RX_ENTRY)]);
      facts.push([
        "offsetof(struct netif_extra_info, u.gso.features)",
        2 + netif.netif_extra_info_gso.at.features,
      ]);
      facts.push([
        "offsetof(struct netif_extra_info, u.hash.value)",
        2 + netif.netif_extra_info_hash.at.value,
      ]);
      facts.push(["offsetof(struct netif_tx_sring, rsp_event)", 12]);
      facts.push(["offsetof(struct netif_tx_sring, ring)", 64]);
      const values = await evaluate(facts.map(([expression]) => expression), flag);
      assertEquals(facts.map(([expression], i) => [expression, values[i]]), facts);
    },
  });
}
