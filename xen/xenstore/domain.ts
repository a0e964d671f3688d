// SPDX-License-Identifier: MIT
/**
 * The nodes a toolstack makes for a domain, as xl and libxl do (docs/misc/xenstore-paths.pandoc). Device nodes
 * are made by `xen/backend/xenbus.ts`.
 * @module
 */
import type { Store, StorePermission } from "../backend/host.ts";
import { domainPath } from "./path.ts";

/** What the skeleton says about a domain. */
export interface DomainDescription {
  readonly domid: number;
  readonly name: string;
  /** "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". */
  readonly uuid: string;
  readonly memoryKiB: number;
  readonly vcpus: number;
  /** The guest's event channel and frame for xenstore. */
  readonly store: { readonly port: number; readonly gfn: number };
  /** The same for the PV console, if there is one. */
  readonly console?: { readonly port: number; readonly gfn: number } | undefined;
}

/** Makes the skeleton. */
export function populateDomain(store: Store, domain: DomainDescription): void {
  const { domid } = domain;
  const home = domainPath(domid);
  const vm = `/vm/${domain.uuid}`;
  const guestReads: StorePermission[] = ["n0", `r${domid}`];
  const guestOwns: StorePermission[] = [`n${domid}`];

  const make = (path: string, value: string | number, permissions: readonly StorePermission[]) => {
    store.write(path, String(value));
    store.setPermissions(path, permissions);
  };

  make(home, "", guestReads);
  make(vm, "", guestReads);
  // What lies below inherits: readable by the guest.
  const nodes: Readonly<Record<string, string | number>> = {
    [`${vm}/uuid`]: domain.uuid,
    [`${vm}/name`]: domain.name,
    [`${home}/vm`]: vm,
    [`${home}/name`]: domain.name,
    [`${home}/domid`]: domid,
    [`${home}/memory/static-max`]: domain.memoryKiB,
    [`${home}/memory/target`]: domain.memoryKiB,
    [`${home}/memory/videoram`]: 0,
    [`${home}/store/port`]: domain.store.port,
    [`${home}/store/ring-ref`]: domain.store.gfn,
    [`${home}/control/platform-feature-multiprocessor-suspend`]: 1,
    [`${home}/control/platform-feature-xs_reset_watches`]: 1,
    [`${home}/device`]: "",
  };
  for (const [path, value] of Object.entries(nodes)) store.write(path, String(value));
  for (let cpu = 0; cpu < domain.vcpus; cpu++) store.write(`${home}/cpu/${cpu}/availability`, "online");

  // What the guest writes: it announces what it can do, and clears a shutdown request to acknowledge it.
  for (
    const name of [
      "control/shutdown",
      "control/feature-poweroff",
      "control/feature-reboot",
      "control/feature-suspend",
      "control/sysrq",
      "device/suspend/event-channel",
      "data",
      "drivers",
      "feature",
      "attr",
      "error",
    ]
  ) make(`${home}/${name}`, "", guestOwns);

  if (domain.console === undefined) return;
  const console: Readonly<Record<string, string | number>> = {
    "backend-id": 0,
    type: "xenconsoled",
    output: "pty",
    tty: "",
    limit: 1048576,
    port: domain.console.port,
    "ring-ref": domain.console.gfn,
  };
  for (const [name, value] of Object.entries(console)) store.write(`${home}/console/${name}`, String(value));
}

/** Asks the guest's kernel to do something: the value it finds in control/shutdown. */
export type ShutdownRequest = "poweroff" | "reboot" | "suspend" | "halt" | "crash";

/** Writes control/shutdown; the guest answers by emptying it and then shutting down. */
export function requestShutdown(store: Store, domid: number, request: ShutdownRequest): void {
  store.write(`${domainPath(domid)}/control/shutdown`, request);
}
