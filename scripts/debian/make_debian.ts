// SPDX-License-Identifier: MIT
/**
 * `deno task debian [--update]`: makes a whole Debian in .cache/debian/ from Debian's packages by mmdebstrap: the folder
 * `root/` (as root only), and an ext4 image of it without a partition table. Nothing is mounted and no loop device is
 * used: mke2fs reads the folder. Kernel and initrd lie beside the image, and inside it with a grub.cfg.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { DebianPackages, exists } from "../guests/debian_packages.ts";
import { PACKAGE_CACHE } from "../guests/manifest.ts";
import { hasProgram, run } from "../host/processes.ts";
import { customizeScript, IMAGE_SIZE, PACKAGES, SUITE } from "./recipe.ts";

/** Where Debian is kept. */
export const DEBIAN_CACHE = new URL("../../.cache/debian/", import.meta.url);

/** What `deno task debian` makes. */
export interface DebianFiles {
  /** A raw image: ext4 on the whole disk. */
  readonly image: string;
  /** The cloud kernel that is in it. */
  readonly kernel: string;
  readonly initrd: string;
  /** The same as a folder; only where root made it. */
  readonly root: string;
  /** The kernel with 9P that is in it too. */
  readonly genericKernel: string;
}

/** Where its files are. */
export function debianFiles(): DebianFiles {
  const path = (name: string) => decodeURIComponent(new URL(name, DEBIAN_CACHE).pathname);
  return {
    image: path("debian.img"),
    kernel: path("vmlinuz"),
    initrd: path("initrd.img"),
    root: path("root"),
    genericKernel: path("vmlinuz-generic"),
  };
}

/** How to make it. */
export interface DebianOptions {
  /** Makes it anew. */
  readonly update?: boolean;
  /** Told what is being done. */
  readonly progress?: (what: string) => void;
}

/** Makes the image; quick when it is there and the recipe is still the same. */
export async function makeDebian(options: DebianOptions = {}): Promise<DebianFiles> {
  const { update = false, progress = () => {} } = options;
  const files = debianFiles();
  const stamp = new URL("recipe", DEBIAN_CACHE);
  const recipe = [SUITE, ...PACKAGES, IMAGE_SIZE, customizeScript()].join("\n");
  const had = await exists(stamp) ? await Deno.readTextFile(stamp) : "";
  if (!update && had === recipe && await exists(files.image)) return files;
  await Deno.mkdir(DEBIAN_CACHE, { recursive: true });
  if (!await hasProgram("mke2fs")) {
    throw new ConfigError("Cannot make Debian: mke2fs is not installed (package e2fsprogs)", "host");
  }
  const packages = new DebianPackages(PACKAGE_CACHE);
  const mmdebstrap = await findMmdebstrap(packages, progress);
  const mirror = await packages.mirror();
  if (await exists(stamp)) await Deno.remove(stamp);
  const part = new URL(`part-${Deno.pid}/`, DEBIAN_CACHE).pathname;
  await Deno.mkdir(part, { recursive: true });
  try {
    progress(`making a Debian ${SUITE} with mmdebstrap; this takes some minutes`);
    const script = `${part}customize`;
    await Deno.writeTextFile(script, customizeScript(), { mode: 0o755 });
    const isRoot = Deno.uid() === 0;
    const target = isRoot ? `${part}root` : `${part}root.tar`;
    await run(mmdebstrap.command, [
      ...mmdebstrap.args,
      ...[`--mode=${isRoot ? "root" : "unshare"}`, "--variant=minbase", `--include=${PACKAGES.join(",")}`],
      ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"'],
      ...["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"],
      // that would take the identity away again
      "--skip=cleanup/reproducible",
      ...["--dpkgopt=path-exclude=/usr/share/locale/*", `--customize-hook=${script} "$1"`],
      ...[SUITE, target, mirror],
    ], { quiet: true });
    progress("making the ext4 image");
    await run(...imageCommand(isRoot, target, part), { quiet: true });
    for (const [name, to] of [["vmlinuz", files.kernel], ["initrd.img", files.initrd]] as const) {
      await extract(`${part}image`, `/boot/${name}`, to);
    }
    await extract(`${part}image`, "/boot/vmlinuz-generic", files.genericKernel);
    if (await exists(files.root)) await Deno.remove(files.root, { recursive: true });
    if (isRoot) await Deno.rename(target, files.root);
    await Deno.rename(`${part}image`, files.image);
    await Deno.writeTextFile(stamp, recipe);
  } finally {
    await Deno.remove(part, { recursive: true });
  }
  return files;
}

/** mmdebstrap(1): this system's, or the one in Debian's package, which is a Perl script and needs no installation. */
async function findMmdebstrap(
  packages: DebianPackages,
  progress: (what: string) => void,
): Promise<{ readonly command: string; readonly args: readonly string[] }> {
  if (await hasProgram("mmdebstrap")) return { command: "mmdebstrap", args: [] };
  const root = new URL("mmdebstrap-root/", PACKAGE_CACHE);
  const script = new URL("usr/bin/mmdebstrap", root);
  if (!await exists(script)) {
    progress("getting mmdebstrap");
    await packages.require("mmdebstrap");
    await packages.unpack("mmdebstrap", root);
  }
  // it calls another program of its package
  const path = `${new URL(".", script).pathname}:${Deno.env.get("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin"}`;
  return { command: "env", args: [`PATH=${path}`, "mmdebstrap"] };
}

/** The program that makes `image` of what mmdebstrap made. */
function imageCommand(isRoot: boolean, target: string, part: string): [string, string[]] {
  const mke2fs = (
    folder: string,
  ) => ["-q", "-t", "ext4", "-L", "debian", "-d", folder, `${part}image`, IMAGE_SIZE];
  if (isRoot) return ["mke2fs", mke2fs(target)];
  // owners are those of the archive inside a user namespace alone
  const unpack = `mkdir "$1/tree" && tar -xpf "$2" -C "$1/tree" --exclude='./dev/*' && ` +
    `mke2fs ${mke2fs('"$1/tree"').join(" ")} && rm -rf "$1/tree"`;
  return ["unshare", ["--map-root-user", "--map-auto", "sh", "-c", unpack, "sh", part, target]];
}

/** Copies a file out of an image. */
async function extract(image: string, name: string, to: string): Promise<void> {
  await run("debugfs", ["-R", `dump ${name} ${to}.part`, image], { quiet: true });
  if ((await Deno.stat(`${to}.part`)).size === 0) {
    throw new ConfigError(`Cannot find ${name} in the image`, "host");
  }
  await Deno.rename(`${to}.part`, to);
}

if (import.meta.main) {
  try {
    const files = await makeDebian({
      update: Deno.args.includes("--update"),
      progress: (what) => console.error(`debian: ${what}`),
    });
    console.log(files.image);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`debian: ${error.message}`);
    Deno.exit(error.kind === "host" ? 3 : 2);
  }
}
