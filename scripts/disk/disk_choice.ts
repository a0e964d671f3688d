// SPDX-License-Identifier: MIT
/** What follows --disk. @module */
import { InvalidArgumentError } from "npm:@commander-js/extra-typings@15.1.0";
import { splitOnce } from "../cli/net_options.ts";

/** One --disk. */
export interface DiskChoice {
  readonly path: string;
  readonly readonly: boolean;
  readonly format?: "raw" | "qcow2";
  readonly vdev?: string;
  readonly cache: "writeback" | "unsafe";
  readonly snapshot: boolean;
}

/** FILE[,OPTION]...; a comma in a name is written twice. */
export function diskChoice(text: string, before: readonly DiskChoice[] = []): DiskChoice[] {
  // as QEMU has it: a comma in a name is written twice
  const parts = text.replaceAll(",,", "\0").split(",").map((part) => part.replaceAll("\0", ","));
  const [path = "", ...words] = parts;
  if (path === "") throw new InvalidArgumentError("It starts with the name of a file.");
  const options = new Map<string, string | undefined>();
  for (const word of words) {
    const [key, value] = splitOnce(word);
    if (options.has(key)) throw new InvalidArgumentError(`"${key}" is there twice.`);
    options.set(key, value);
  }
  const flag = (key: string): boolean => {
    const there = options.has(key);
    if (options.get(key) !== undefined) throw new InvalidArgumentError(`"${key}" takes no value.`);
    options.delete(key);
    return there;
  };
  const choice = <T extends string>(key: string, values: readonly T[]): T | undefined => {
    if (!options.has(key)) return undefined;
    const value = values.find((one) => one === options.get(key));
    if (value === undefined) throw new InvalidArgumentError(`${key} is ${values.join(" or ")}.`);
    options.delete(key);
    return value;
  };
  const format = choice("format", ["raw", "qcow2"]);
  const vdev = options.get("vdev");
  if (options.has("vdev") && !/^xvd[a-p]$/.test(vdev ?? "")) {
    throw new InvalidArgumentError("vdev is xvda to xvdp.");
  }
  options.delete("vdev");
  const found: DiskChoice = {
    path,
    readonly: flag("ro"),
    cache: choice("cache", ["writeback", "unsafe"]) ?? "writeback",
    snapshot: flag("snapshot"),
    ...(format !== undefined && { format }),
    ...(vdev !== undefined && { vdev }),
  };
  const [unknown] = options.keys();
  if (unknown !== undefined) throw new InvalidArgumentError(`a disk has no option "${unknown}".`);
  return [...before, found];
}
