// SPDX-License-Identifier: MIT
/**
 * What domains do to nodes, with permissions and quotas checked: the same code for the tree and for a
 * transaction. An operation either happens completely or answers with an error and changes nothing.
 * Rules: xenstore.txt of Xen's docs/misc; where it is silent, the behaviour of xenstored.
 * @module
 */
import type { XsError } from "../public/io/xs_wire.ts";
import { baseName, childPath, parentPath } from "./path.ts";
import {
  type NodeSpace,
  ownerOf,
  PERM_OWNER,
  PERM_READ,
  PERM_WRITE,
  type Permission,
  permissionsFor,
  type StoreNode,
} from "./tree.ts";

/** Limits of an unprivileged domain; domain 0 has none. */
export interface Quotas {
  /** Nodes it may own. */
  readonly nodes: number;
  /** Bytes of one node: value, children's names, permissions. */
  readonly entryBytes: number;
  /** Entries in a node's permissions. */
  readonly permissions: number;
  /** Watches it may have. */
  readonly watches: number;
  /** Transactions it may have open. */
  readonly transactions: number;
  /** Nodes one transaction may touch. */
  readonly transactionNodes: number;
}

/** xenstored's defaults. */
export const DEFAULT_QUOTAS: Quotas = {
  nodes: 1000,
  entryBytes: 2048,
  permissions: 5,
  watches: 128,
  transactions: 10,
  transactionNodes: 1024,
};

/** The node, when it exists and `domid` may do all of `need` (PERM_*) to it. */
export function lookup(space: NodeSpace, domid: number, path: string, need: number): StoreNode | XsError {
  const node = space.get(path);
  if (node !== undefined) {
    return (permissionsFor(node.permissions, domid) & need) === need ? node : "EACCES";
  }
  // Whether a node exists is told only to those who may ask its nearest ancestor.
  let ancestor = path;
  for (;;) {
    ancestor = parentPath(ancestor);
    const above = space.get(ancestor);
    if (above !== undefined) {
      return (permissionsFor(above.permissions, domid) & need) === need ? "ENOENT" : "EACCES";
    }
    if (ancestor === "/") return "ENOENT";
  }
}

/** XS_READ. */
export function readNode(space: NodeSpace, domid: number, path: string): StoreNode | XsError {
  return lookup(space, domid, path, PERM_READ);
}

/** XS_WRITE: sets the value; makes the node and its ancestors when missing. */
export function writeNode(
  space: NodeSpace,
  domid: number,
  path: string,
  value: string,
  quotas: Quotas,
): XsError | undefined {
  const node = lookup(space, domid, path, PERM_WRITE);
  if (node === "ENOENT") return createNode(space, domid, path, value, quotas);
  if (typeof node === "string") return node;
  const { children, permissions } = node;
  const written = { value, children, permissions };
  if (tooLarge(written, domid, quotas)) return "ENOSPC";
  space.set(path, written);
  space.changed({ path, exact: false, removed: false, permissions: [permissions] });
}

/** XS_MKDIR: makes the node with an empty value; does nothing when it exists. */
export function makeNode(
  space: NodeSpace,
  domid: number,
  path: string,
  quotas: Quotas,
): XsError | undefined {
  const node = lookup(space, domid, path, PERM_WRITE);
  if (node === "ENOENT") return createNode(space, domid, path, "", quotas);
  if (typeof node === "string") return node;
}

function createNode(
  space: NodeSpace,
  domid: number,
  path: string,
  value: string,
  quotas: Quotas,
): XsError | undefined {
  const missing: string[] = []; // leaf first
  let top = path;
  let parent: StoreNode | undefined;
  for (; parent === undefined; parent = space.get(top)) {
    if (top === "/") return "ENOENT";
    missing.push(top);
    top = parentPath(top);
  }
  if (domid !== 0 && space.owned(domid) + missing.length > quotas.nodes) return "ENOSPC";
  // New nodes are like their parent, except that an unprivileged domain owns what it makes.
  const permissions = domid === 0 || ownerOf(parent) === domid
    ? parent.permissions
    : [{ domid, access: parent.permissions[0]?.access ?? 0 }, ...parent.permissions.slice(1)];
  const updates: [string, Omit<StoreNode, "generation">][] = [];
  let child = "";
  for (const name of missing) {
    const children = new Set(child === "" ? [] : [child]);
    updates.push([name, { value: child === "" ? value : "", children, permissions }]);
    child = baseName(name);
  }
  const children = new Set(parent.children).add(child);
  updates.push([top, { value: parent.value, children, permissions: parent.permissions }]);
  if (updates.some(([, node]) => tooLarge(node, domid, quotas))) return "ENOSPC";
  for (const [name, node] of updates) space.set(name, node);
  space.changed({ path, exact: false, removed: false, permissions: [permissions] });
}

/** XS_RM: removes the node and all below. Not an error when only the node itself is missing. */
export function removeNode(space: NodeSpace, domid: number, path: string): XsError | undefined {
  const node = lookup(space, domid, path, PERM_WRITE);
  if (node === "ENOENT") return space.get(parentPath(path)) === undefined ? "ENOENT" : undefined;
  if (typeof node === "string") return node;
  if (path === "/") return "EINVAL";
  const above = parentPath(path);
  const parent = space.get(above);
  if (parent !== undefined) {
    const children = new Set(parent.children);
    children.delete(baseName(path));
    space.set(above, { ...parent, children });
  }
  const doomed: string[] = [path];
  for (let next = doomed.pop(); next !== undefined; next = doomed.pop()) {
    const victim = space.get(next);
    if (victim === undefined) continue;
    space.delete(next);
    space.changed({ path: next, exact: next !== path, removed: true, permissions: [victim.permissions] });
    for (const name of [...victim.children].reverse()) doomed.push(childPath(next, name));
  }
}

/** XS_SET_PERMS. Only domain 0 may give a node to another owner. */
export function setPermissions(
  space: NodeSpace,
  domid: number,
  path: string,
  permissions: readonly Permission[],
  quotas: Quotas,
): XsError | undefined {
  const owner = permissions[0];
  if (owner === undefined) return "EINVAL";
  if (domid !== 0 && permissions.length > quotas.permissions) return "ENOSPC";
  const node = lookup(space, domid, path, PERM_WRITE | PERM_OWNER);
  if (typeof node === "string") return node;
  if (domid !== 0 && owner.domid !== ownerOf(node)) return "EPERM";
  const changed = { value: node.value, children: node.children, permissions };
  if (tooLarge(changed, domid, quotas)) return "ENOSPC";
  space.set(path, changed);
  space.changed({ path, exact: false, removed: false, permissions: [node.permissions, permissions] });
}

function tooLarge(node: Omit<StoreNode, "generation">, domid: number, quotas: Quotas): boolean {
  if (domid === 0) return false;
  let bytes = node.value.length + 8 * node.permissions.length;
  for (const name of node.children) bytes += name.length + 1;
  return bytes > quotas.entryBytes;
}
