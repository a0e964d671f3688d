// SPDX-License-Identifier: MIT
/** Permissions as text ("n0", "r1", "w2", "b3"), the form of GET_PERMS and SET_PERMS. @module */
import type { StorePermission } from "../backend/host.ts";
import { PERM_READ, PERM_WRITE, type Permission } from "./tree.ts";

const LETTERS = ["n", "r", "w", "b"] as const; // indexed by PERM_READ | PERM_WRITE

/** Reads one entry; undefined when it is none. Domain ids are 16 bits wide. */
export function parsePermission(text: string): Permission | undefined {
  const match = /^([nrwb])([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const access = LETTERS.indexOf(match[1] as typeof LETTERS[number]);
  const domid = Number(match[2]);
  return domid <= 0xffff ? { domid, access } : undefined;
}

/** Writes one entry. */
export function formatPermission(permission: Permission): StorePermission {
  const letter = LETTERS[permission.access & (PERM_READ | PERM_WRITE)] ?? "n";
  return `${letter}${permission.domid}`;
}
