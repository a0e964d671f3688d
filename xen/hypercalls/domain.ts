// SPDX-License-Identifier: MIT
/** Whom a domain id in a hypercall means. There are two domains: the guest, and dom0 with the backends. @module */
import { BACKEND_DOMID } from "../backend/host.ts";
import { XEN_EPERM, XEN_ESRCH } from "../public/errno.ts";
import { GNTST_bad_domain, GNTST_okay, GNTST_permission_denied } from "../public/grant_table.ts";
import { DOMID_SELF } from "../public/xen.ts";

/** True when `domid` is the guest itself. */
export function isSelf(domid: number, self: number): boolean {
  return domid === DOMID_SELF || domid === self;
}

/** 0 when `domid` is the guest; -EPERM for dom0, -ESRCH for the others. */
export function checkDomid(domid: number, self: number): number {
  if (isSelf(domid, self)) return 0;
  return domid === BACKEND_DOMID ? -XEN_EPERM : -XEN_ESRCH;
}

/** The same as a GNTST_* status. */
export function checkGrantDomid(domid: number, self: number): number {
  if (isSelf(domid, self)) return GNTST_okay;
  return domid === BACKEND_DOMID ? GNTST_permission_denied : GNTST_bad_domain;
}
