// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { PERM_READ, Tree } from "./tree.ts";
import { type Watcher, Watches } from "./watches.ts";

const readable = [{ domid: 0, access: PERM_READ }];
const hidden = [{ domid: 0, access: 0 }];

function setUp() {
  const tree = new Tree();
  const watches = new Watches();
  const heard: string[] = [];
  const watcher = (domid: number): Watcher => ({
    domid,
    event: (path, watch) => void heard.push(`${domid} ${watch.token} ${path}`),
  });
  const add = (domid: number, path: string, token: string, relative = false) =>
    watches.add({ path, token, relative, watcher: watcher(domid) });
  const fire = (path: string, permissions = readable, exact = false, removed = false) => {
    watches.fire({ path, exact, removed, permissions: [permissions] }, tree);
    return heard.splice(0);
  };
  return { tree, watches, heard, add, fire };
}

Deno.test("xenstore watches: hear of what is at their path and below, oldest first", () => {
  const { add, fire, watches } = setUp();
  add(1, "/a/b", "deep");
  const top = add(1, "/", "top");
  add(1, "/a", "middle");
  add(1, "/ab", "beside");
  assertEquals(fire("/a/b"), ["1 deep /a/b", "1 top /a/b", "1 middle /a/b"]);
  assertEquals(fire("/a"), ["1 top /a", "1 middle /a"]);
  watches.delete(top);
  assertEquals(fire("/x"), []);
});

Deno.test("xenstore watches: of a node that went with its ancestor only its own watches hear", () => {
  const { add, fire } = setUp();
  add(1, "/a", "above");
  add(1, "/a/b", "at");
  assertEquals(fire("/a/b", readable, true, true), ["1 at /a/b"]);
});

Deno.test("xenstore watches: nobody hears of what he may not read; who may read the parent hears of the child", () => {
  const { add, fire, tree } = setUp();
  add(1, "/a", "guest");
  add(0, "/a", "dom0");
  assertEquals(fire("/a/b", hidden), ["0 dom0 /a/b"]);
  tree.set("/a", { value: "", children: new Set(), permissions: readable });
  assertEquals(fire("/a/b", hidden), ["1 guest /a/b", "0 dom0 /a/b"]);
});

Deno.test("xenstore watches: a relative watch hears relative paths; special ones are for domain 0", () => {
  const { add, fire, watches, heard } = setUp();
  add(3, "/local/domain/3/data", "t", true);
  assertEquals(fire("/local/domain/3/data/x"), ["3 t data/x"]);
  add(3, "@releaseDomain", "guest");
  add(0, "@releaseDomain", "dom0");
  watches.fireSpecial("@releaseDomain");
  assertEquals(heard, ["0 dom0 @releaseDomain"]);
});
