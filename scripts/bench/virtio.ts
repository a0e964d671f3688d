// SPDX-License-Identifier: MIT
/**
 * The guest's initramfs with virtio drivers, so that QEMU's guest has a network: Debian's modules in a second archive behind
 * the first, whose files replace those of the first.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { writeCpio } from "../../devices/loaders/root_folder/cpio.ts";
import { DebianPackages } from "../guests/debian_packages.ts";
import { guestFiles, PACKAGE_CACHE } from "../guests/manifest.ts";
import { collectModules } from "../guests/kernel_modules.ts";
import { VIRTIO_INITRAMFS } from "./guests.ts";

const DRIVERS = ["virtio_pci", "virtio_net", "virtio_blk"];

/** Makes VIRTIO_INITRAMFS; says why when it cannot. */
export async function makeVirtioInitramfs(): Promise<string | undefined> {
  try {
    const first = await Deno.readFile(guestFiles("cloud").initramfs);
    const second = await drivers();
    const both = new Uint8Array(first.length + second.length);
    both.set(first);
    both.set(second, first.length);
    await Deno.writeFile(VIRTIO_INITRAMFS, both);
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

/** What `uname -r` says in a bzImage's guest; Linux Documentation/arch/x86/boot.rst, kernel_version. */
export function releaseOf(bzImage: Uint8Array): string {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  const KERNEL_VERSION = 0x20e, SECTOR = 0x200;
  const from = view.getUint16(KERNEL_VERSION, true) + SECTOR;
  return new TextDecoder().decode(bzImage.subarray(from, from + 128)).split(" ", 1)[0] ?? "";
}

/** The second archive, of the guest's own kernel; kept, since unpacking a kernel takes a while. */
async function drivers(): Promise<Uint8Array> {
  const release = releaseOf(await Deno.readFile(guestFiles("cloud").vmlinuz));
  const file = new URL(`virtio-${release}.cpio`, VIRTIO_INITRAMFS);
  try {
    return await Deno.readFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const packages = new DebianPackages(PACKAGE_CACHE);
  const image = `linux-image-${release}`;
  await packages.require(image);
  const folder = await Deno.makeTempDir({ prefix: "xenner-bench-" });
  try {
    const root = new URL(`file://${folder}/`);
    await packages.unpack(image, root);
    const modules = await collectModules(root, DRIVERS);
    const order = modules.map(({ name }) => `${name}.ko\n`).join("");
    const archive = writeCpio([
      ...modules.map(({ name, data }) => ({ type: "file" as const, name: `lib/modules/${name}.ko`, data })),
      { type: "file", name: "lib/modules/order", data: new TextEncoder().encode(order) },
    ]);
    await Deno.writeFile(file, archive);
    return archive;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
