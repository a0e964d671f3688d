// SPDX-License-Identifier: MIT
/** The command line of `xenner disk`. Touches nothing of the host. @module */
import { Command, InvalidArgumentError, Option } from "npm:@commander-js/extra-typings@15.1.0";
import { parseSize } from "../../cpu/base/sizes.ts";

/** What `disk` was asked to do. */
export type DiskTask =
  | {
    readonly what: "create";
    readonly path: string;
    readonly format: "raw" | "qcow2";
    readonly size?: number;
    readonly backing?: string;
    readonly backingFormat?: "raw" | "qcow2";
    readonly clusterBits?: number;
    readonly force: boolean;
  }
  | {
    readonly what: "convert";
    readonly path: string;
    readonly target: string;
    readonly format: "raw" | "qcow2";
    readonly force: boolean;
  }
  | { readonly what: "info"; readonly path: string }
  | { readonly what: "check"; readonly path: string; readonly repair: boolean };

const FORMATS = ["raw", "qcow2"] as const;

/** `disk` with its subcommands. */
export function diskCommand(done: (task: DiskTask) => void) {
  const formatOption = () =>
    new Option("-f, --format <format>", "default: qcow2, or raw for a name that ends in .img or .raw")
      .choices(FORMATS);
  const disk = new Command("disk").description("makes, copies, describes and checks disk images");
  disk.addCommand(
    new Command("create").description("makes an empty image").argument("<file>").argument(
      "[size]",
      "like 10G; default: the backing file's",
    )
      .addOption(formatOption())
      .option(
        "-b, --backing <file>",
        "what the image does not have is read from there; relative to the image",
      )
      .addOption(new Option("-F, --backing-format <format>").choices(FORMATS))
      .option("--cluster-size <size>", "512 to 2M", clusterBits)
      .option("--force", "overwrites a file that is there", false)
      .action((path, size, o) => {
        done({
          what: "create",
          path,
          format: o.format ?? formatOf(path),
          force: o.force,
          ...(size !== undefined && { size: parseSize(size) }),
          ...(o.backing !== undefined && { backing: o.backing }),
          ...(o.backingFormat !== undefined && { backingFormat: o.backingFormat }),
          ...(o.clusterSize !== undefined && { clusterBits: o.clusterSize }),
        });
      }),
  );
  disk.addCommand(
    new Command("convert").description("copies a disk to a new image").argument("<from>").argument("<to>")
      .addOption(formatOption()).option("--force", "overwrites a file that is there", false)
      .action((path, target, o) => {
        done({ what: "convert", path, target, format: o.format ?? formatOf(target), force: o.force });
      }),
  );
  disk.addCommand(
    new Command("info").description("says what an image is").argument("<file>")
      .action((path) => done({ what: "info", path })),
  );
  disk.addCommand(
    new Command("check")
      .description("counts anew; status 1: damaged, 4: clusters that nobody uses")
      .argument("<file>").option("--repair", "puts the counts right", false)
      .action((path, o) => done({ what: "check", path, repair: o.repair })),
  );
  return disk;
}

function formatOf(path: string): "raw" | "qcow2" {
  return /\.(img|raw)$/i.test(path) ? "raw" : "qcow2";
}

function clusterBits(text: string): number {
  const bits = Math.log2(parseSize(text));
  if (!Number.isInteger(bits) || bits < 9 || bits > 21) {
    throw new InvalidArgumentError("It is a power of two, 512 to 2M.");
  }
  return bits;
}
