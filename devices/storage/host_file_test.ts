// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { withFolder } from "./_images.ts";
import { HostFile } from "./host_file.ts";

/** A copy of the descriptor that this process has of `path`, as fork(2) gives one to a child. */
function copyDescriptor(path: string): { close(): void } {
  const { symbols } = Deno.dlopen("libc.so.6", {
    dup: { parameters: ["i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
  });
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`) !== path) continue;
    } catch {
      continue; // the folder's own, closed by now
    }
    const copy = symbols.dup(Number(name));
    if (copy < 0) break;
    return { close: () => void symbols.close(copy) };
  }
  throw new Error(`no descriptor of ${path}`);
}

for (const write of [true, false]) {
  Deno.test(`a file opened for ${write ? "writing" : "reading"} is free once it is closed, also while a child has its descriptor`, () =>
    withFolder(async (folder) => {
      const path = `${await Deno.realPath(folder)}/disk.img`;
      await Deno.writeFile(path, new Uint8Array(512));
      const file = HostFile.open(path, { write });
      const copy = copyDescriptor(path);
      try {
        assertThrows(() => HostFile.open(path, { write: true }), ConfigError, "in use by another program");
        file.close();
        HostFile.open(path, { write: true }).close();
      } finally {
        copy.close();
      }
    }));
}

Deno.test("a file that is closed while a thread reads it is free once that has ended", () =>
  withFolder(async (folder) => {
    const path = `${await Deno.realPath(folder)}/disk.img`;
    await Deno.writeFile(path, new Uint8Array(1 << 20));
    const file = HostFile.open(path, { write: true });
    const copy = copyDescriptor(path);
    try {
      const sync = file.sync();
      file.close();
      assertThrows(() => HostFile.open(path, { write: true }), ConfigError, "in use by another program");
      await sync;
      await file.settle();
      const again = HostFile.open(path, { write: true });
      assertEquals(again.size, 1 << 20);
      again.close();
    } finally {
      copy.close();
    }
  }));
