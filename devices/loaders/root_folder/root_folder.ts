// SPDX-License-Identifier: MIT
/**
 * Boots a folder of the host's as a guest's root file system, over Xen's 9P transport: finds a kernel in it, and makes an
 * initramfs of that kernel's own modules and {@linkcode initProgram}. A door to the host: it reads the folder.
 *
 * Not done: modules packed with zstd.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { isBzImage, kernelRelease } from "../bzimage.ts";
import { readHostFile, reason } from "../host_file.ts";
import type { NamedFile } from "../named_file.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import { initProgram } from "./init_program.ts";
import { modulesFor } from "./modules.ts";

/** What the guest mounts its root by. */
export const ROOT_TAG = "xenner-root";
/** Whatever the guest has mapped for writing is written, and what the host changes is seen at the next open. */
const MOUNT_OPTIONS = "trans=xen,version=9p2000.L,access=client,cache=mmap,msize=262144";
/** Drivers that the root needs, and a network; most kernels have some of them built in. */
const DRIVERS = ["9p", "9pnet_xen"];
const OTHER_DRIVERS = ["xen-netfront", "xen-blkfront"];
/** As the kernel tries them itself. */
const INITS = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];

/** What a machine needs to boot a folder. */
export interface RootBoot {
  readonly kernel: NamedFile;
  /** Absent: the kernel mounts the folder itself. */
  readonly initrd?: NamedFile;
  /** Kernel command line. */
  readonly append: string;
}

/** What the user has said besides the folder. */
export interface RootChoices {
  readonly kernel?: NamedFile | undefined;
  readonly initrd?: NamedFile | undefined;
  readonly append: string;
}

/** Prepares the boot of the folder `root`. Rejects with ConfigError when it has no kernel, or one without 9P. */
export async function prepareRoot(root: string, choices: RootChoices): Promise<RootBoot> {
  await mustBeFolder(root);
  const kernel = choices.kernel ?? await findKernel(root);
  const append = `root=${ROOT_TAG} rootfstype=9p rootflags=${MOUNT_OPTIONS} ${
    /(^|\s)ro(\s|$)/.test(choices.append) ? "" : "rw "
  }${choices.append}`.trimEnd();
  if (choices.initrd !== undefined) return { kernel, initrd: choices.initrd, append };
  const release = releaseOf(kernel);
  if (release === undefined) {
    throw new ConfigError(
      `Cannot boot ${
        JSON.stringify(root)
      } with kernel "${kernel.name}": it does not say its version, so that its ` +
        "modules cannot be found: give it an initrd",
    );
  }
  const modules = await modulesFor(root, release, DRIVERS, OTHER_DRIVERS);
  if (modules.length === 0) return { kernel, append };
  const inits = /(?:^|\s)init=(\S+)/.exec(choices.append)?.[1];
  const entries: CpioEntry[] = [
    { type: "character", name: "dev/console", major: 5, minor: 1 },
    { type: "directory", name: "sysroot" },
    ...modules.map(({ name, data }) => ({ type: "file" as const, name: `modules/${name}.ko`, data })),
    {
      type: "file",
      name: "init",
      mode: 0o755,
      data: initProgram({
        modules: modules.map(({ name }) => `/modules/${name}.ko`),
        tag: ROOT_TAG,
        options: MOUNT_OPTIONS,
        readonly: /(^|\s)ro(\s|$)/.test(choices.append),
        inits: inits === undefined ? INITS : [inits],
      }),
    },
  ];
  return { kernel, initrd: { name: "initramfs for --root", bytes: writeCpio(entries) }, append };
}

async function mustBeFolder(root: string): Promise<void> {
  const wrong = (why: string, cause?: unknown) =>
    new ConfigError(`Cannot boot ${JSON.stringify(root)}: ${why}`, "input", { cause });
  try {
    if (!(await Deno.stat(root)).isDirectory) throw wrong("it is no folder");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw wrong(error instanceof Deno.errors.NotFound ? "no such folder" : reason(error), error);
  }
}

function releaseOf({ bytes }: NamedFile): string | undefined {
  return isBzImage(bytes) ? kernelRelease(bytes) : undefined;
}

/** The kernel in /boot whose modules have 9P; of several the last by version. */
async function findKernel(root: string): Promise<NamedFile> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(`${root}/boot`)) {
      if (name.startsWith("vmlinuz-")) names.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !(error instanceof Deno.errors.NotADirectory)) {
      throw new ConfigError(`Cannot look for a kernel in "${root}/boot": ${reason(error)}`, "input", {
        cause: error,
      });
    }
  }
  names.sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  let problem: unknown;
  for (const name of names) {
    try {
      await modulesFor(root, name.slice("vmlinuz-".length), DRIVERS, []);
      return await readHostFile(`${root}/boot/${name}`, "kernel");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problem ??= error;
    }
  }
  if (problem !== undefined) throw problem;
  throw new ConfigError(
    `Cannot boot ${JSON.stringify(root)}: there is no vmlinuz-* in its boot folder; give a kernel`,
  );
}
