// SPDX-License-Identifier: MIT
/** States of either end of a xenbus connection. Rules: Xen public/io/xenbus.h. @module */

/** No state node, or one that cannot be read. */
export const XenbusStateUnknown = 0;
/** The toolstack made the nodes. */
export const XenbusStateInitialising = 1;
/** Early initialisation finished; waits for information from the peer or for hotplug scripts. */
export const XenbusStateInitWait = 2;
/** Waits for a connection from the peer. */
export const XenbusStateInitialised = 3;
/** In operation. */
export const XenbusStateConnected = 4;
/** Closing because of an error or an unplug event. */
export const XenbusStateClosing = 5;
/** Nothing is shared any more. */
export const XenbusStateClosed = 6;
/** The device is being reconfigured. */
export const XenbusStateReconfiguring = 7;
/** Reconfiguration is done. */
export const XenbusStateReconfigured = 8;

/** enum xenbus_state. */
export type XenbusState = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** Names for traces, indexed by state. */
export const XENBUS_STATE_NAMES: readonly string[] = [
  "Unknown",
  "Initialising",
  "InitWait",
  "Initialised",
  "Connected",
  "Closing",
  "Closed",
  "Reconfiguring",
  "Reconfigured",
];
