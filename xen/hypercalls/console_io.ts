// SPDX-License-Identifier: MIT
/**
 * console_io: the hypervisor's emergency console, for writing; reading gives nothing. Rules: Xen public/xen.h. One
 * call takes at most 64 KiB, more is -E2BIG.
 * @module
 */
import { KiB } from "../../cpu/base/bits.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { XEN_E2BIG, XEN_EFAULT, XEN_ENOSYS } from "../public/errno.ts";
import * as xen_h from "../public/xen.ts";
import { CONSOLEIO_read, CONSOLEIO_write } from "../public/xen.ts";
import { namesOf } from "../public/abi.ts";

const MAX_BYTES = 64 * KiB;
const CHUNK = 1 * KiB;
const OPERATIONS = namesOf(xen_h, "CONSOLEIO_");

/** Builds console_io. */
export function consoleIo(parts: XenParts): Hypercall {
  return {
    name: "console_io",
    operations: OPERATIONS,
    run(call) {
      const operation = call.u32(0);
      if (operation === CONSOLEIO_read) return 0;
      if (operation !== CONSOLEIO_write) return -XEN_ENOSYS;
      const count = call.u32(1);
      if (count > MAX_BYTES) return -XEN_E2BIG;
      for (let done = 0; done < count; done += CHUNK) {
        const n = Math.min(CHUNK, count - done);
        if (!call.load(call.arg(2) + BigInt(done), n)) return -XEN_EFAULT;
        parts.consoleWrite(call.bytes.subarray(0, n));
      }
      return 0;
    },
  };
}
