// SPDX-License-Identifier: MIT
/**
 * A disk under fio(1) in Debian: ours beside QEMU TCG's virtio-blk, the same kernel, initrd, root image and file, one after
 * the other. The program in the guest is scripts/debian/recipe.ts's `xenner-fio`.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { parseSize } from "../../cpu/base/sizes.ts";
import { createImage } from "../../devices/storage/image_tools.ts";
import { type DiskFormat, openDisk } from "../../devices/storage/open_disk.ts";
import { type DebianFiles, makeDebian } from "../debian/make_debian.ts";
import { FIO_PROGRAM } from "../debian/recipe.ts";
import { guestReports } from "../guests/manifest.ts";
import { Child, type CommandLine, xenner } from "../host/child.ts";
import { QEMU } from "./qemu.ts";

/** Who has the disk. */
export type DiskEmulator = "interp" | "jit" | "qemu";

/** One line of the table. */
export interface DiskFigure {
  /** randread, randwrite: 4 KiB each; read, write: 1 MiB each. */
  readonly rw: string;
  readonly depth: number;
  readonly perSecond: number;
  readonly mibPerSecond: number;
}

const TIMEOUT_MS = 1_800_000;
const MEMORY = "1G";
/** Linux's blkfront asks for 128 KiB at a time unless it is told otherwise; its virtio_blk takes what the device offers. */
const LARGE_REQUESTS = "xen_blkfront.max_indirect_segments=256";

/** Runs fio on `file` (raw) for `seconds` a row. */
export async function measureDisk(
  emulator: DiskEmulator,
  { image, kernel, initrd }: DebianFiles,
  file: string,
  seconds: number,
): Promise<DiskFigure[]> {
  const guest = new Child(commandOf(emulator, { image, kernel, initrd, file, seconds }));
  const timer = setTimeout(() => guest.kill("SIGKILL"), TIMEOUT_MS);
  try {
    await guest.status;
  } finally {
    clearTimeout(timer);
    guest.kill("SIGKILL");
  }
  const figures = guestReports(guest.stdout).filter(({ kind }) => kind === "FIO").map(({ values }) => ({
    rw: values.get("rw") ?? "",
    depth: Number(values.get("depth")),
    perSecond: Number(values.get("iops")),
    mibPerSecond: Number(values.get("kibs")) / 1024,
  }));
  if (figures.length === 8) return figures;
  throw new ConfigError(
    `Cannot measure the disk of ${emulator}: fio said ${figures.length} lines\n${
      guest.stdout.slice(-1500)
    }${guest.stderr}`,
    "host",
  );
}

interface Run {
  readonly image: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly file: string;
  readonly seconds: number;
}

function commandOf(emulator: DiskEmulator, { image, kernel, initrd, file, seconds }: Run): CommandLine {
  const append = (console: string, disk: string) =>
    `root=/dev/${disk} rw console=${console} panic=-1 init=${FIO_PROGRAM} xenner.seconds=${seconds} ${LARGE_REQUESTS}`;
  if (emulator !== "qemu") {
    return xenner([
      ...[
        "run",
        "--engine",
        emulator,
        "--memory",
        MEMORY,
        "--net",
        "none",
        "--kernel",
        kernel,
        "--initrd",
        initrd,
      ],
      ...["--disk", `${image},snapshot`, "--disk", file, "--append", append("hvc0", "xvda")],
    ]);
  }
  const drive = (path: string, more: string) => ["-drive", `file=${path},format=raw,if=virtio,${more}`];
  return {
    command: QEMU,
    args: [
      ...["-M", "pc", "-accel", "tcg", "-cpu", "max", "-m", MEMORY, "-nodefaults", "-display", "none"],
      ...["-no-reboot", "-serial", "stdio", "-kernel", kernel, "-initrd", initrd],
      ...[...drive(image, "snapshot=on"), ...drive(file, "cache=writeback")],
      ...["-append", append("ttyS0", "vda")],
    ],
  };
}

const DISK_MIB = 512, DISK_SECONDS = 10;

/** How {@linkcode benchDisk} measures and prints. */
export interface DiskBench {
  readonly engines: readonly ("interp" | "jit")[];
  /** Beside QEMU. */
  readonly qemu: boolean;
  progress(what: string): void;
  table(head: readonly string[], rows: readonly (readonly string[])[]): void;
}

const OPENED_SIZE = "4G", LAID_OUT_MIB = 64;

/** Opens an image of 4 GiB for writing, of each format; some of it is written, and none of it is in our memory. */
export async function measureOpening(
  folder: string,
): Promise<{ readonly format: DiskFormat; readonly ms: number }[]> {
  const opened: { format: DiskFormat; ms: number }[] = [];
  const bytes = new Uint8Array(1 << 20).fill(0x78);
  for (const format of ["raw", "qcow2"] as const) {
    const path = `${folder}/large.${format}`;
    await createImage(path, { format, size: parseSize(OPENED_SIZE) });
    const made = await openDisk(path, { cache: "unsafe" });
    for (let i = 0; i < LAID_OUT_MIB; i++) await made.write(Math.floor(made.size / LAID_OUT_MIB) * i, bytes);
    await made.flush();
    await made.close?.();
    const before = performance.now();
    const store = await openDisk(path);
    opened.push({ format, ms: performance.now() - before });
    await store.close?.();
  }
  return opened;
}

/** Prints the table. */
export async function benchDisk({ engines, qemu, progress, table }: DiskBench): Promise<void> {
  const debian = await makeDebian({ progress });
  const folder = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "xenner-bench-" });
  try {
    const file = `${folder}/disk.img`;
    const piece = new Uint8Array(1 << 20).fill(0x78); // written, so that reading reads something
    using image = await Deno.open(file, { write: true, create: true });
    for (let i = 0; i < DISK_MIB; i++) {
      for (let at = 0; at < piece.length;) at += await image.write(piece.subarray(at));
    }
    const emulators: readonly DiskEmulator[] = qemu ? [...engines, "qemu"] : engines;
    const columns: DiskFigure[][] = [];
    for (const emulator of emulators) {
      progress(`disk: ${emulator}`);
      columns.push(await measureDisk(emulator, debian, file, DISK_SECONDS));
    }
    const opened = await measureOpening(folder);
    const rows = (columns[0] ?? []).map(({ rw, depth }, i) => [
      `${/^rand/.test(rw) ? "4K" : "1M"} ${rw}, depth ${depth}`,
      ...columns.map((column) => {
        const { perSecond = 0, mibPerSecond = 0 } = column[i] ?? {};
        return /^rand/.test(rw) ? `${perSecond.toFixed(0)}/s` : `${mibPerSecond.toFixed(1)} MiB/s`;
      }),
    ]);
    console.log(`fio in Debian, ${DISK_SECONDS} s a row, on a raw file of ${DISK_MIB} MiB\n`);
    table(["fio", ...emulators.map((name) => name === "qemu" ? "TCG, virtio-blk" : name)], rows);
    console.log(
      `An image of ${OPENED_SIZE}, ${LAID_OUT_MIB} MiB of it written, is opened in ${
        opened.map(({ format, ms }) => `${ms.toFixed(1)} ms (${format})`).join(", ")
      }.\n`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
