// SPDX-License-Identifier: MIT
/** `xenner disk …`. @module */
import { formatSize } from "../../cpu/base/sizes.ts";
import {
  checkImageFile,
  convertImage,
  createImage,
  describeImage,
} from "../../devices/storage/image_tools.ts";
import type { DiskTask } from "./disk_options.ts";

const STATUS_DAMAGED = 1;
const STATUS_LEAKS = 4;

/** Does it; the lines to print, and the exit status. Throws ConfigError for what the user has to change. */
export async function doDiskTask(
  task: DiskTask,
): Promise<{ readonly status: number; readonly lines: readonly string[] }> {
  switch (task.what) {
    case "create":
      return {
        status: 0,
        lines: [`${task.path}: ${task.format}, ${formatSize(await createImage(task.path, task))}`],
      };
    case "convert": {
      const size = await convertImage(task.path, task.target, task);
      return { status: 0, lines: [`${task.target}: ${task.format}, ${formatSize(size)}`] };
    }
    case "info":
      return { status: 0, lines: describeImage(task.path) };
    case "check": {
      const result = await checkImageFile(task.path, task.repair);
      if (result === undefined) return { status: 0, lines: ["a raw image: there is nothing to check"] };
      const { errors, leaks, repaired, lines } = result;
      const summary = errors === 0 && leaks === 0
        ? "nothing is wrong"
        : `${errors} errors, ${leaks} clusters that nobody uses` +
          (task.repair ? `; ${repaired} counts were put right` : "");
      const status = task.repair || errors + leaks === 0 ? 0 : errors > 0 ? STATUS_DAMAGED : STATUS_LEAKS;
      return { status, lines: [...lines, summary] };
    }
  }
}
