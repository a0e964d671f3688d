// SPDX-License-Identifier: MIT
/**
 * Xenstore paths: what is valid, where a relative one points. Rules: xenstore.txt ("Permitted characters in
 * paths", "Relative paths") of Xen's docs/misc.
 * @module
 */
import { XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX } from "../public/io/xs_wire.ts";

const VALID = /^(?:\/|(?:\/[A-Za-z0-9_@-]+)+)$/;
/** The watches that are no nodes. */
export const SPECIAL_WATCHES: readonly string[] = ["@introduceDomain", "@releaseDomain"];

/** A domain's home, where its relative paths begin. */
export function domainPath(domid: number): string {
  return `/local/domain/${domid}`;
}

/** The absolute form of a path as domain `domid` gives it; undefined when it is no valid path. */
export function absolutePath(path: string, domid: number): string | undefined {
  if (path.startsWith("/")) {
    return path.length <= XENSTORE_ABS_PATH_MAX && VALID.test(path) ? path : undefined;
  }
  if (path.length > XENSTORE_REL_PATH_MAX || path.startsWith("@")) return undefined;
  const absolute = `${domainPath(domid)}/${path}`;
  return absolute.length <= XENSTORE_ABS_PATH_MAX && VALID.test(absolute) ? absolute : undefined;
}

/** The path one level up; "/" for "/". */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** The last component of a path other than "/". */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The path of child `name` of `path`. */
export function childPath(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}
