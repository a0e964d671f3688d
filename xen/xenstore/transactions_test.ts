// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import {
  XS_DIRECTORY,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_SET_PERMS,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_WATCH,
  XS_WRITE,
} from "../public/io/xs_wire.ts";
import { XenstoreServer } from "./server.ts";
import { Client } from "./_client.ts";

function setUp() {
  const server = new XenstoreServer({ defer: () => {} });
  server.write("/local/domain/1/data", "");
  server.setPermissions("/local/domain/1/data", ["n1"]);
  const guest = new Client(server, 1);
  const begin = () => Number((guest.call(XS_TRANSACTION_START, "\0") as string).slice(0, -1));
  const end = (tx: number, how = "T") => guest.call(XS_TRANSACTION_END, `${how}\0`, tx);
  return { server, guest, begin, end };
}

Deno.test("transaction: nobody outside sees it before the commit, everybody after", () => {
  const { server, guest, begin, end } = setUp();
  guest.call(XS_WRITE, "data/old\0x");
  const tx = begin();
  assertEquals(guest.call(XS_WRITE, "data/a/b\x001", tx), "OK\0");
  assertEquals(guest.call(XS_RM, "data/old\0", tx), "OK\0");
  assertEquals(guest.call(XS_READ, "data/a/b\0", tx), "1");
  assertEquals(guest.call(XS_DIRECTORY, "data\0", tx), "a\0");
  assertEquals(guest.call(XS_READ, "data/a/b\0"), ["ENOENT"]);
  assertEquals(server.list("/local/domain/1/data"), ["old"]);
  assertEquals(end(tx), "OK\0");
  assertEquals(server.list("/local/domain/1/data"), ["a"]);
  assertEquals(server.read("/local/domain/1/data/a/b"), "1");
  assertEquals(guest.call(XS_READ, "data/a/b\0", tx), ["ENOENT"]); // the transaction is over
  assertEquals(server.tree.owned(1), 3);
});

Deno.test("transaction: an aborted one changes nothing and fires nothing", () => {
  const { server, guest, begin, end } = setUp();
  guest.call(XS_WATCH, "data\0t\0");
  guest.events();
  const tx = begin();
  guest.call(XS_WRITE, "data/a\x001", tx);
  assertEquals(end(tx, "F"), "OK\0");
  assertEquals(server.list("/local/domain/1/data"), []);
  assertEquals(guest.events(), []);
  assertEquals(server.tree.owned(1), 1);
});

Deno.test("transaction: watches fire at the commit, once per node", () => {
  const { guest, begin, end } = setUp();
  guest.call(XS_WATCH, "data\0t\0");
  guest.events();
  const tx = begin();
  guest.call(XS_WRITE, "data/a\x001", tx);
  guest.call(XS_WRITE, "data/b\x001", tx);
  guest.call(XS_WRITE, "data/a\x002", tx);
  assertEquals(guest.events(), []);
  assertEquals(end(tx), "OK\0");
  assertEquals(guest.events(), ["data/a t", "data/b t"]);
});

/** What happens outside between two accesses in the transaction, and whether it may still commit. */
const conflicts: [
  string,
  (s: ReturnType<typeof setUp>, tx: number) => void,
  (s: ReturnType<typeof setUp>) => void,
  boolean,
][] = [
  [
    "a node it read was written",
    (s, tx) => s.guest.call(XS_READ, "data/x\0", tx),
    (s) => s.server.write("/local/domain/1/data/x", "new"),
    false,
  ],
  [
    "a node it read was removed",
    (s, tx) => s.guest.call(XS_READ, "data/x\0", tx),
    (s) => s.server.remove("/local/domain/1/data/x"),
    false,
  ],
  [
    "a node it found missing was made",
    (s, tx) => s.guest.call(XS_READ, "data/y\0", tx),
    (s) => s.server.write("/local/domain/1/data/y", ""),
    false,
  ],
  ["a node it read was removed and made again", (s, tx) => s.guest.call(XS_READ, "data/x\0", tx), (s) => {
    s.server.remove("/local/domain/1/data/x");
    s.server.write("/local/domain/1/data/x", "x");
  }, false],
  [
    "a directory it listed got a child",
    (s, tx) => s.guest.call(XS_DIRECTORY, "data\0", tx),
    (s) => s.server.write("/local/domain/1/data/y", ""),
    false,
  ],
  [
    "a node it wrote was written",
    (s, tx) => s.guest.call(XS_WRITE, "data/x\0mine", tx),
    (s) => s.guest.call(XS_WRITE, "data/x\0other"),
    false,
  ],
  [
    "permissions of a node it read changed",
    (s, tx) => s.guest.call(XS_READ, "data/x\0", tx),
    (s) => s.guest.call(XS_SET_PERMS, "data/x\0r1\0"),
    false,
  ],
  [
    "something grew below a tree it removed",
    (s, tx) => s.guest.call(XS_RM, "data/x\0", tx),
    (s) => s.guest.call(XS_MKDIR, "data/x/deep\0"),
    false,
  ],
  [
    "another node was written",
    (s, tx) => s.guest.call(XS_READ, "data/x\0", tx),
    (s) => s.server.write("/local/domain/1/data/z", "1"),
    true,
  ],
  [
    "the value of a parent of a node it read changed",
    (s, tx) => s.guest.call(XS_READ, "data/x\0", tx),
    (s) => s.server.write("/local/domain/1/data", "1"),
    true,
  ],
  ["nothing happened", (s, tx) => s.guest.call(XS_WRITE, "data/x\0mine", tx), () => {}, true],
];
for (const [name, inside, outside, commits] of conflicts) {
  Deno.test(`transaction: ${commits ? "commits" : "must be repeated"} when ${name}`, () => {
    const s = setUp();
    s.guest.call(XS_WRITE, "data/x\0x");
    s.guest.call(XS_WRITE, "data/z\0z");
    const tx = s.begin();
    inside(s, tx);
    outside(s);
    s.guest.call(XS_WRITE, "data/result\x001", s.begin());
    assertEquals(s.end(tx), commits ? "OK\0" : ["EAGAIN"]);
  });
}

Deno.test("transaction: a failed commit leaves nothing behind", () => {
  const { server, guest, begin, end } = setUp();
  const tx = begin();
  guest.call(XS_WRITE, "data/a\x001", tx);
  guest.call(XS_WRITE, "data/b\x001");
  assertEquals(end(tx), ["EAGAIN"]);
  assertEquals(server.list("/local/domain/1/data"), ["b"]);
  assertEquals(guest.connection.transactionCount, 0);
});

Deno.test("transaction: ten at a time, ids are not reused while open, none inside another", () => {
  const { guest, begin, end } = setUp();
  const open = Array.from({ length: 10 }, begin);
  assertEquals(new Set(open).size, 10);
  assertEquals(guest.call(XS_TRANSACTION_START, "\0"), ["ENOSPC"]);
  assertEquals(guest.call(XS_TRANSACTION_START, "\0", open[0]), ["EBUSY"]);
  assertEquals(end(open[3] as number), "OK\0");
  assertEquals(open.includes(begin()), false);
  assertEquals(end(12345), ["ENOENT"]);
});

Deno.test("transaction: one may look at so many nodes and no more", () => {
  const server = new XenstoreServer({ defer: () => {}, quotas: { transactionNodes: 10 } });
  server.write("/local/domain/1/data", "");
  server.setPermissions("/local/domain/1/data", ["n1"]);
  const guest = new Client(server, 1);
  guest.call(XS_TRANSACTION_START, "\0");
  let last: string | [string] = "";
  for (let i = 0; i < 20; i++) last = guest.call(XS_WRITE, `data/${i}\0`, 1);
  assertEquals(last, ["ENOSPC"]);
  assertEquals(guest.call(XS_TRANSACTION_END, "T\0", 1), "OK\0");
});

Deno.test("transaction: the quota of nodes counts once more at the end", () => {
  const server = new XenstoreServer({ defer: () => {}, quotas: { nodes: 100 } });
  const guest = new Client(server, 1);
  for (let dir = 0; dir < 3; dir++) {
    server.write(`/local/domain/1/${dir}`, "");
    server.setPermissions(`/local/domain/1/${dir}`, ["n1"]);
  }
  // each of them fits, by what the tree had when it was made; they touch different directories
  for (let dir = 0; dir < 3; dir++) guest.call(XS_TRANSACTION_START, "\0");
  for (let dir = 0; dir < 3; dir++) {
    for (let i = 0; i < 60; i++) assertEquals(guest.call(XS_WRITE, `${dir}/${i}\0`, dir + 1), "OK\0");
  }
  assertEquals(guest.call(XS_TRANSACTION_END, "T\0", 1), "OK\0");
  assertEquals(guest.call(XS_TRANSACTION_END, "T\0", 2), ["ENOSPC"]);
  assertEquals(server.tree.owned(1), 63);
  assertEquals(server.list("/local/domain/1/1"), []);
  assertEquals(guest.call(XS_RM, "0\0"), "OK\0");
  assertEquals(guest.call(XS_TRANSACTION_END, "T\0", 3), "OK\0");
  assertEquals(server.tree.owned(1), 62);
});
