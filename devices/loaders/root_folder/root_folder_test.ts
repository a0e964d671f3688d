// SPDX-License-Identifier: MIT
/** What is made of a folder that a guest boots; tests/long/boot_root_test.ts boots some. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../../cpu/base/assert.ts";
import {
  BOOT_FLAG,
  BOOT_FLAG_MAGIC,
  HEADER,
  HEADER_MAGIC,
  KERNEL_VERSION,
  kernelRelease,
} from "../bzimage.ts";
import { initProgram } from "./init_program.ts";
import { prepareRoot } from "./root_folder.ts";

/** A bzImage as far as its header says that it is Linux `release`. */
function bzImage(release: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(0x600);
  const view = new DataView(bytes.buffer);
  view.setUint16(BOOT_FLAG, BOOT_FLAG_MAGIC, true);
  view.setUint32(HEADER, HEADER_MAGIC, true);
  view.setUint16(KERNEL_VERSION, 0x300, true);
  bytes.set(new TextEncoder().encode(`${release} (nobody@nowhere) #1 SMP\0`), 0x500);
  return bytes;
}

/** A root with kernels of some releases; those in `with9p` have its modules. */
async function withRoot(
  releases: readonly string[],
  with9p: readonly string[],
  body: (root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "xenner-root-" });
  try {
    await Deno.mkdir(`${root}/boot`);
    for (const release of releases) {
      await Deno.writeFile(`${root}/boot/vmlinuz-${release}`, bzImage(release));
      const modules = `${root}/lib/modules/${release}`;
      await Deno.mkdir(`${modules}/kernel`, { recursive: true });
      const names = [
        "xen-netfront",
        ...(with9p.includes(release) ? ["9p", "9pnet", "9pnet_xen", "netfs"] : []),
      ];
      for (const name of names) {
        await Deno.writeTextFile(`${modules}/kernel/${name}.ko`, `module ${name} of ${release}`);
      }
      const dep = with9p.includes(release)
        ? "kernel/9p.ko: kernel/9pnet.ko kernel/netfs.ko\nkernel/9pnet.ko:\nkernel/netfs.ko:\nkernel/9pnet_xen.ko: kernel/9pnet.ko\n"
        : "";
      await Deno.writeTextFile(`${modules}/modules.dep`, `${dep}kernel/xen-netfront.ko:\n`);
      await Deno.writeTextFile(`${modules}/modules.builtin`, "kernel/drivers/block/xen-blkfront.ko\n");
    }
    await body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("the release of a kernel is the first word of its version", () => {
  assertEquals(kernelRelease(bzImage("6.1.0-50-amd64")), "6.1.0-50-amd64");
  assertEquals(kernelRelease(new Uint8Array(16)), undefined);
});

Deno.test("a root boots its last kernel that has 9P, with the modules in an order in which they load", () =>
  withRoot(
    ["6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-11-cloud-amd64"],
    ["6.1.0-9-amd64", "6.1.0-10-amd64"],
    async (root) => {
      const { kernel, initrd, append } = await prepareRoot(root, { append: "console=hvc0" });
      assertEquals(kernel.name, `${root}/boot/vmlinuz-6.1.0-10-amd64`);
      const text = new TextDecoder("latin1").decode(initrd?.bytes);
      const order = [...text.matchAll(/module (\S+) of 6\.1\.0-10-amd64/g)].map(([, name]) => name);
      assertEquals(order, ["netfs", "9pnet", "9p", "9pnet_xen", "xen-netfront"]);
      for (const what of ["dev/console\0", "/sbin/init\0", "xenner-root\0", "trans=xen,version=9p2000.L"]) {
        assert(text.includes(what), what);
      }
      assert(/^root=xenner-root rootfstype=9p rootflags=trans=xen,\S+ rw console=hvc0$/.test(append), append);
      const given = await prepareRoot(root, { append: "ro init=/bin/sh" });
      const other = new TextDecoder("latin1").decode(given.initrd?.bytes);
      assert(other.includes("/bin/sh\0") && !other.includes("/sbin/init\0"));
      assert(!/\brw\b/.test(given.append), given.append);
    },
  ));

Deno.test("a root with a kernel that has no 9P, or none, is refused in one line", () =>
  withRoot(["6.1.0-11-cloud-amd64"], [], async (root) => {
    await assertRejects(
      () => prepareRoot(root, { append: "" }),
      ConfigError,
      "it has no module 9p in lib/modules",
    );
    const strange = { name: "k", bytes: new Uint8Array(1024) };
    await assertRejects(
      () => prepareRoot(root, { append: "", kernel: strange }),
      ConfigError,
      "does not say its version",
    );
    const outside = { name: "k", bytes: bzImage("../../etc") };
    await assertRejects(
      () => prepareRoot(root, { append: "", kernel: outside }),
      ConfigError,
      "Cannot find modules",
    );
    await Deno.remove(`${root}/boot`, { recursive: true });
    await assertRejects(
      () => prepareRoot(root, { append: "" }),
      ConfigError,
      "no vmlinuz-* in its boot folder",
    );
  }));

const native = Deno.build.os === "linux" && Deno.build.arch === "x86_64";
Deno.test({
  name: `the first program says why when there is nothing to mount${
    native ? "" : " (skipped: no Linux on x86-64)"
  }`,
  ignore: !native,
  async fn(t) {
    const path = await Deno.makeTempFile({ prefix: "xenner-init-" });
    try {
      const bytes = initProgram({
        modules: ["/no/such/module"],
        tag: "no-such-tag",
        options: "trans=no-such-transport",
        readonly: true,
        inits: ["/no/such/init"],
      });
      // by another process: what this one has open for writing when it forks for another test cannot be run (ETXTBSY)
      await Deno.writeFile(`${path}.bytes`, bytes);
      const install = ["-m", "755", `${path}.bytes`, path];
      assert((await new Deno.Command("install", { args: install }).output()).success);
      let said: Deno.CommandOutput;
      try {
        said = await new Deno.Command(path, { stdin: "null" }).output();
      } catch {
        await t.step({ name: "skipped: this kernel runs no 32-bit programs", ignore: true, fn() {} });
        return;
      }
      assertEquals(said.code, 1);
      assertEquals(
        new TextDecoder().decode(said.stderr),
        "xenner: cannot mount the folder no-such-tag by 9P: see the kernel's messages\n",
      );
    } finally {
      await Deno.remove(path);
    }
  },
});
