// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { collectModules, dependencies } from "./kernel_modules.ts";

const modinfo = (depends: string) =>
  new TextEncoder().encode(`\x7fELF\0license=GPL\0depends=${depends}\0name=x\0`);

Deno.test("dependencies reads modinfo's depends", () => {
  assertEquals(dependencies(modinfo("")), []);
  assertEquals(dependencies(modinfo("virtio,virtio_ring")), ["virtio", "virtio_ring"]);
  assertEquals(dependencies(new Uint8Array(16)), []);
});

Deno.test("collectModules puts dependencies first, once, whatever the spelling of names, and leaves out what is built in", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const root = new URL(`file://${dir}/`);
    const write = async (path: string, depends: string) => {
      const file = new URL(`lib/modules/6.1/kernel/${path}`, root);
      await Deno.mkdir(new URL(".", file), { recursive: true });
      await Deno.writeFile(file, modinfo(depends));
    };
    await write("net/xen-netfront.ko", "ptp_core,bus");
    await write("ptp/ptp-core.ko", "bus");
    await write("bus/bus.ko", "");
    await write("other.ko", "");
    await Deno.writeTextFile(new URL("lib/modules/6.1/modules.builtin", root), "kernel/net/xen-blk.ko\n");
    const found = await collectModules(root, ["xen_netfront", "bus", "xen-blk"]);
    assertEquals(found.map((module) => module.name), ["bus", "ptp_core", "xen_netfront"]);
    await assertRejects(() => collectModules(root, ["nothing"]), ConfigError, 'the kernel module "nothing"');
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
