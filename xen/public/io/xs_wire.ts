// SPDX-License-Identifier: MIT
/** The xenstore wire protocol: message types, headers, the ring page, limits. Rules: Xen public/io/xs_wire.h. @module */
import { layout } from "../../../cpu/base/layout.ts";

/** enum xsd_sockmsg_type. */
export const XS_CONTROL = 0;
export const XS_DIRECTORY = 1;
export const XS_READ = 2;
export const XS_GET_PERMS = 3;
export const XS_WATCH = 4;
export const XS_UNWATCH = 5;
export const XS_TRANSACTION_START = 6;
export const XS_TRANSACTION_END = 7;
export const XS_INTRODUCE = 8;
export const XS_RELEASE = 9;
export const XS_GET_DOMAIN_PATH = 10;
export const XS_WRITE = 11;
export const XS_MKDIR = 12;
export const XS_RM = 13;
export const XS_SET_PERMS = 14;
export const XS_WATCH_EVENT = 15;
export const XS_ERROR = 16;
export const XS_IS_DOMAIN_INTRODUCED = 17;
export const XS_RESUME = 18;
export const XS_SET_TARGET = 19;
export const XS_RESET_WATCHES = XS_SET_TARGET + 2;
export const XS_DIRECTORY_PART = 22;
/** Number of valid types. */
export const XS_TYPE_COUNT = 23;
/** Guaranteed to remain an invalid type. */
export const XS_INVALID = 0xffff;

/** Names of the types, for traces; index 20 was XS_RESTRICT. */
export const XS_TYPE_NAMES: readonly string[] = [
  "CONTROL",
  "DIRECTORY",
  "READ",
  "GET_PERMS",
  "WATCH",
  "UNWATCH",
  "TRANSACTION_START",
  "TRANSACTION_END",
  "INTRODUCE",
  "RELEASE",
  "GET_DOMAIN_PATH",
  "WRITE",
  "MKDIR",
  "RM",
  "SET_PERMS",
  "WATCH_EVENT",
  "ERROR",
  "IS_DOMAIN_INTRODUCED",
  "RESUME",
  "SET_TARGET",
  "RESTRICT",
  "RESET_WATCHES",
  "DIRECTORY_PART",
];

/** The error strings of xsd_errors[]. */
export type XsError =
  | "EINVAL"
  | "EACCES"
  | "EEXIST"
  | "EISDIR"
  | "ENOENT"
  | "ENOMEM"
  | "ENOSPC"
  | "EIO"
  | "ENOTEMPTY"
  | "ENOSYS"
  | "EROFS"
  | "EBUSY"
  | "EAGAIN"
  | "EISCONN"
  | "E2BIG"
  | "EPERM";

/** struct xsd_sockmsg, the header of each message. */
export const xsd_sockmsg = layout({ type: "u32", req_id: "u32", tx_id: "u32", len: "u32" });

/** Bytes of each of the two rings. */
export const XENSTORE_RING_SIZE = 1024;
/** struct xenstore_domain_interface, one page shared with the guest. */
export const xenstore_domain_interface = layout({
  req: ["u8", XENSTORE_RING_SIZE],
  rsp: ["u8", XENSTORE_RING_SIZE],
  req_cons: "u32",
  req_prod: "u32",
  rsp_cons: "u32",
  rsp_prod: "u32",
  server_features: "u32",
  connection: "u32",
  error: "u32",
});

/** Longest payload; a longer one breaks the connection. */
export const XENSTORE_PAYLOAD_MAX = 4096;
/** Longest absolute path. */
export const XENSTORE_ABS_PATH_MAX = 3072;
/** Longest path relative to the domain's home. */
export const XENSTORE_REL_PATH_MAX = 2048;

/** The ring can be reconnected. */
export const XENSTORE_SERVER_FEATURE_RECONNECTION = 1;
/** The ring page has the field `error`. */
export const XENSTORE_SERVER_FEATURE_ERROR = 2;

/** `connection`: the steady state. */
export const XENSTORE_CONNECTED = 0;
/** `connection`: the guest asks for a new connection. */
export const XENSTORE_RECONNECT = 1;

/** `error`: none. */
export const XENSTORE_ERROR_NONE = 0;
/** `error`: communication problem. */
export const XENSTORE_ERROR_COMM = 1;
/** `error`: invalid ring index. */
export const XENSTORE_ERROR_RINGIDX = 2;
/** `error`: payload too long. */
export const XENSTORE_ERROR_PROTO = 3;
