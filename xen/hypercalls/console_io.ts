// SPDX-License-Identifier: MIT
/**
 * console_io: the hypervisor's emergency console, for writing; reading gives nothing. Rules: Xen public/xen.h; behavior of
 * drivers/char/console.c.
 * @module
 */
import { KiB } from "../../cpu/base/bits.ts";
import type { Hypercall, XenParts } from "./parts.ts";
import { XEN_E2BIG, XEN_EFAULT, XEN_ENOSYS } from "../public/errno.ts";
import * as xen_h from "../public/xen.ts";
import { CONSOLEIO_read, CONSOLEIO_write } from "../public/xen.ts";
import { namesOf } from "../public/abi.ts";

const CHUNK = 1 * KiB;
/** Work of showing a chunk. */
const CHUNK_WORK = 20;
/** Larger counts could not be told from errors. */
const MOST_READABLE = 0x7fff_ffff;
const OPERATIONS = namesOf(xen_h, "CONSOLEIO_");

/** Builds console_io. */
export function consoleIo(parts: XenParts): Hypercall {
  return {
    name: "console_io",
    operations: OPERATIONS,
    run(call) {
      const operation = call.u32(0);
      const count = call.u32(1);
      const text = call.arg(2);
      if (operation === CONSOLEIO_read) return count > MOST_READABLE ? -XEN_E2BIG : 0;
      if (operation !== CONSOLEIO_write) return -XEN_ENOSYS;
      for (let done = 0; done < count; done += CHUNK) {
        if (done > 0 && call.budget.exhausted) {
          return call.continueWith(CONSOLEIO_write, count - done, text + BigInt(done));
        }
        call.budget.spend(CHUNK_WORK);
        const n = Math.min(CHUNK, count - done);
        if (!call.load(text + BigInt(done), n)) return -XEN_EFAULT;
        parts.consoleWrite(call.bytes.subarray(0, n));
      }
      return 0;
    },
  };
}
