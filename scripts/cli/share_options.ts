// SPDX-License-Identifier: MIT
/** What follows --share. @module */
import { InvalidArgumentError } from "npm:@commander-js/extra-typings@15.1.0";
import { isTag, TAG_RULE } from "../../devices/machine/shares.ts";
import { splitOnce } from "./net_options.ts";

/** One --share. */
export interface ShareChoice {
  readonly path: string;
  readonly tag: string;
  readonly readonly: boolean;
}

/** PATH,tag=TAG[,ro]; a comma in a path is written twice. */
export function share(text: string, before: readonly ShareChoice[] = []): ShareChoice[] {
  const parts = text.replaceAll(",,", "\0").split(",").map((part) => part.replaceAll("\0", ","));
  const [path = "", ...words] = parts;
  if (path === "") throw new InvalidArgumentError("It starts with the name of a folder.");
  let tag: string | undefined;
  let readonly = false;
  for (const word of words) {
    const [key, value] = splitOnce(word);
    if ((key === "tag" && tag !== undefined) || (key === "ro" && readonly)) {
      throw new InvalidArgumentError(`"${key}" is there twice.`);
    }
    if (key === "tag") tag = value ?? "";
    else if (word === "ro") readonly = true;
    else if (key === "ro") throw new InvalidArgumentError('"ro" takes no value.');
    else throw new InvalidArgumentError(`a share has no option "${key}".`);
  }
  if (tag === undefined) throw new InvalidArgumentError("The guest needs a name for it: add ,tag=NAME.");
  if (!isTag(tag)) throw new InvalidArgumentError(`A tag is ${TAG_RULE}.`);
  return [...before, { path, tag, readonly }];
}
