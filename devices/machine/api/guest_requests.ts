// SPDX-License-Identifier: MIT
/**
 * What a host asks of a guest, as Xen's tools do: to shut down, to act on a SysRq key, to give memory back, to look at its
 * cables. All of it is nodes in xenstore, and whether anything comes of it is up to the guest's drivers. Wrong values
 * throw ConfigError.
 * @module
 */
import { ConfigError } from "../../../cpu/base/assert.ts";
import { KiB, MiB } from "../../../cpu/base/bits.ts";
import { formatSize, parseSize } from "../../../cpu/base/sizes.ts";
import { domainPath } from "../../../xen/xenstore/path.ts";
import { requestShutdown, type ShutdownRequest } from "../../../xen/xenstore/domain.ts";
import type { XenDomain } from "../board/xen_domain.ts";

const SHUTDOWNS: readonly ShutdownRequest[] = ["poweroff", "reboot", "halt", "suspend", "crash"];
/** A guest with less has nothing left to run in. */
const LEAST_TARGET = 2 * MiB;

/** Writes control/shutdown. */
export function askShutdown(xen: XenDomain, what: ShutdownRequest): void {
  if (!SHUTDOWNS.includes(what)) {
    throw new ConfigError(
      `Cannot ask the guest for ${JSON.stringify(what)}: there are ${SHUTDOWNS.join(", ")}`,
    );
  }
  requestShutdown(xen.store, xen.domid, what);
}

/** Writes control/sysrq: Linux does what Alt+SysRq+`key` does. */
export function pressSysrq(xen: XenDomain, key: string): void {
  if (typeof key !== "string" || !/^[0-9a-zA-Z?]$/.test(key)) {
    throw new ConfigError(
      `Cannot press SysRq ${JSON.stringify(key) ?? String(key)}: it is one letter or digit`,
    );
  }
  xen.store.write(`${domainPath(xen.domid)}/control/sysrq`, key);
}

/** Writes memory/target: the guest's balloon driver gives back what is more, and takes what is less. */
export function setMemoryTarget(xen: XenDomain, size: number | string, ramBytes: number): void {
  const bytes = typeof size === "string" ? parseSize(size) : size;
  if (!Number.isInteger(bytes) || bytes < LEAST_TARGET || bytes > ramBytes) {
    throw new ConfigError(
      `Cannot set the memory target to ${String(size)}: it is ${formatSize(LEAST_TARGET)} to ${
        formatSize(ramBytes)
      }, in bytes or like "256M"`,
    );
  }
  xen.store.write(`${domainPath(xen.domid)}/memory/target`, String(Math.floor(bytes / KiB)));
}

/** Plugs the cable of interface `net` in, or out: then frames are dropped both ways. */
export function setLink(xen: XenDomain, net: number, up: boolean): void {
  const netback = Number.isInteger(net) ? xen.netbacks[net] : undefined;
  if (netback === undefined) {
    const count = xen.netbacks.length;
    throw new ConfigError(
      `Cannot find the network interface ${net}: there ${count === 1 ? "is one, number 0" : `are ${count}`}`,
    );
  }
  if (typeof up !== "boolean") {
    throw new ConfigError(`Cannot set a link to ${JSON.stringify(up)}: it is true or false`);
  }
  netback.setLink(up);
}
