// SPDX-License-Identifier: MIT
/** The wire protocol, request by request. Expected replies are those of docs/misc/xenstore.txt and xenstored. */
import { assert, assertEquals } from "@std/assert";
import {
  XS_CONTROL,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_ERROR,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_MKDIR,
  XS_READ,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_RM,
  XS_SET_PERMS,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WATCH_EVENT,
  XS_WRITE,
} from "../public/io/xs_wire.ts";
import { type XenstoreOptions, XenstoreServer } from "./server.ts";
import { Client, latin1 } from "./_client.ts";

/** A server with domain 1, whose directory "data" is its own; another domain's home is beside it. */
function setUp(options: XenstoreOptions = {}) {
  const server = new XenstoreServer({ defer: () => {}, ...options });
  for (const domid of [1, 2]) {
    server.write(`/local/domain/${domid}`, "");
    server.setPermissions(`/local/domain/${domid}`, ["n0", `r${domid}`]);
    server.write(`/local/domain/${domid}/name`, `guest${domid}`);
    server.write(`/local/domain/${domid}/data`, "");
    server.setPermissions(`/local/domain/${domid}/data`, [`n${domid}`]);
  }
  return { server, guest: new Client(server, 1) };
}

/** Requests by domain 1 after setUp, and their replies; an array of one is an error. */
const single: [string, number, string, string | [string]][] = [
  ["READ gives the value without a NUL", XS_READ, "/local/domain/1/name\0", "guest1"],
  ["READ of a relative path starts at the domain's home", XS_READ, "name\0", "guest1"],
  ["READ of a missing node below a readable one", XS_READ, "nothing\0", ["ENOENT"]],
  ["READ of a missing node below a hidden one does not tell", XS_READ, "/local/domain/2/x\0", ["EACCES"]],
  ["READ of another domain's node", XS_READ, "/local/domain/2/name\0", ["EACCES"]],
  ["READ without its NUL", XS_READ, "name", ["EINVAL"]],
  ["READ with something after the NUL", XS_READ, "name\0x\0", ["EINVAL"]],
  ["READ of nothing", XS_READ, "", ["EINVAL"]],
  ["READ of an empty path", XS_READ, "\0", ["EINVAL"]],
  ["READ with a double slash", XS_READ, "/local//domain\0", ["EINVAL"]],
  ["READ with a slash at the end", XS_READ, "name/\0", ["EINVAL"]],
  ["READ with a character that paths have not", XS_READ, "na me\0", ["EINVAL"]],
  ["READ of a dotted path", XS_READ, "../2/name\0", ["EINVAL"]],
  ["READ of a path too long", XS_READ, "/" + "a".repeat(3072) + "\0", ["EINVAL"]],
  ["READ of a relative path too long", XS_READ, "a".repeat(2049) + "\0", ["EINVAL"]],
  ["DIRECTORY lists names, each with a NUL", XS_DIRECTORY, "/local/domain/1\0", "name\0data\0"],
  ["DIRECTORY of a leaf is empty", XS_DIRECTORY, "name\0", ""],
  ["DIRECTORY of the root is not for guests", XS_DIRECTORY, "/\0", ["EACCES"]],
  ["WRITE needs no NUL after the value", XS_WRITE, "data/a\0value", "OK\0"],
  ["WRITE to a node of domain 0", XS_WRITE, "name\0evil", ["EACCES"]],
  ["WRITE below another domain", XS_WRITE, "/local/domain/2/data/a\0x", ["EACCES"]],
  ["WRITE without a NUL after the path", XS_WRITE, "data/a", ["EINVAL"]],
  ["WRITE of more than a node holds", XS_WRITE, "data/a\0" + "x".repeat(2049), ["ENOSPC"]],
  ["MKDIR of a node that exists", XS_MKDIR, "data\0", "OK\0"],
  ["MKDIR where it may not", XS_MKDIR, "other\0", ["EACCES"]],
  ["RM of a missing node whose parent exists", XS_RM, "data/none\0", "OK\0"],
  ["RM of a missing node whose parent is missing", XS_RM, "data/none/none\0", ["ENOENT"]],
  ["RM of a node of domain 0", XS_RM, "name\0", ["EACCES"]],
  ["RM of the root", XS_RM, "/\0", ["EACCES"]],
  ["GET_PERMS", XS_GET_PERMS, "name\0", "n0\0r1\0"],
  ["SET_PERMS by the owner", XS_SET_PERMS, "data\0n1\0r2\0", "OK\0"],
  ["SET_PERMS to another owner", XS_SET_PERMS, "data\0n2\0", ["EPERM"]],
  ["SET_PERMS by another than the owner", XS_SET_PERMS, "name\0b1\0", ["EACCES"]],
  ["SET_PERMS with no permissions", XS_SET_PERMS, "data\0", ["EINVAL"]],
  ["SET_PERMS with nonsense", XS_SET_PERMS, "data\0x1\0", ["EINVAL"]],
  ["SET_PERMS with a domain id beyond 16 bits", XS_SET_PERMS, "data\0n65536\0", ["EINVAL"]],
  ["SET_PERMS with too many", XS_SET_PERMS, "data\0n1\0r2\0r3\0r4\0r5\0r6\0", ["ENOSPC"]],
  ["GET_DOMAIN_PATH", XS_GET_DOMAIN_PATH, "7\0", "/local/domain/7\0"],
  ["GET_DOMAIN_PATH of nonsense", XS_GET_DOMAIN_PATH, "x\0", ["EINVAL"]],
  ["IS_DOMAIN_INTRODUCED is refused", XS_IS_DOMAIN_INTRODUCED, "1\0", ["EACCES"]],
  ["IS_DOMAIN_INTRODUCED of nonsense is refused likewise", XS_IS_DOMAIN_INTRODUCED, "", ["EACCES"]],
  ["WATCH of a bad path", XS_WATCH, "a b\0t\0", ["EINVAL"]],
  ["WATCH without a token", XS_WATCH, "data\0", ["EINVAL"]],
  ["UNWATCH of what is not watched", XS_UNWATCH, "data\0t\0", ["ENOENT"]],
  ["TRANSACTION_END without a transaction", XS_TRANSACTION_END, "T\0", ["ENOENT"]],
  ["TRANSACTION_END with nonsense", XS_TRANSACTION_END, "X\0", ["EINVAL"]],
  ["CONTROL is refused", XS_CONTROL, "help\0", ["EACCES"]],
  ["INTRODUCE is refused", XS_INTRODUCE, "1\x001\x001\0", ["EACCES"]],
  ["RELEASE is refused", XS_RELEASE, "1\0", ["EACCES"]],
  ["RESUME is refused", XS_RESUME, "1\0", ["EACCES"]],
  ["SET_TARGET is refused", XS_SET_TARGET, "1\x002\0", ["EACCES"]],
  ["WATCH_EVENT is no request", XS_WATCH_EVENT, "a\0b\0", ["ENOSYS"]],
  ["ERROR is no request", XS_ERROR, "EINVAL\0", ["ENOSYS"]],
  ["an unknown type is refused", 99, "", ["ENOSYS"]],
  ["a huge type is refused", 0xffff_ffff, "", ["ENOSYS"]],
];
for (const [name, type, payload, reply] of single) {
  Deno.test(`xenstore: ${name}`, () => {
    const { guest } = setUp();
    assertEquals(guest.call(type, payload), reply);
    assertEquals(guest.inbox, []);
  });
}

Deno.test("xenstore: WATCH and UNWATCH ignore the transaction id, the others do not", () => {
  const { guest } = setUp();
  assertEquals(guest.call(XS_WATCH, "data\0t\0", 4711), "OK\0");
  assertEquals(guest.events(), ["data t"]);
  assertEquals(guest.call(XS_UNWATCH, "data\0t\0", 4711), "OK\0");
  const tx = Number((guest.call(XS_TRANSACTION_START, "\0") as string).slice(0, -1));
  assertEquals(guest.call(XS_WATCH, "data\0t\0", tx), "OK\0");
  assertEquals(guest.call(XS_READ, "name\0", 4711), ["ENOENT"]);
  assertEquals(guest.call(XS_GET_DOMAIN_PATH, "1\0", 4711), ["ENOENT"]);
  // what it is is looked at first, then who may, then the transaction
  assertEquals(guest.call(XS_IS_DOMAIN_INTRODUCED, "1\0", 4711), ["EACCES"]);
  assertEquals(guest.call(XS_CONTROL, "help\0", 4711), ["EACCES"]);
  assertEquals(guest.call(XS_WATCH_EVENT, "a\0b\0", 4711), ["ENOSYS"]);
  assertEquals(guest.call(99, "", 4711), ["ENOSYS"]);
});

Deno.test("xenstore: one request makes only so many events, and is answered", () => {
  // 128 watches hear of each of 900 nodes: with their long tokens half a gigabyte, were it all built.
  const { server, guest } = setUp();
  let bytes = 0;
  const hungry = server.introduce(3, (message) => bytes += message.length);
  server.setPermissions("/local/domain/1/data", ["n3", "b1"]);
  for (let i = 0; i < 128; i++) {
    hungry.handle(XS_WATCH, 1, 0, latin1(`/local/domain/1/data\0${i}${"t".repeat(4000)}\0`));
  }
  assertEquals(hungry.watchCount, 128);
  hungry.handle(XS_TRANSACTION_START, 2, 0, latin1("\0"));
  for (let i = 0; i < 900; i++) hungry.handle(XS_WRITE, 3, 1, latin1(`/local/domain/1/data/${i % 3}/${i}\0`));
  bytes = 0;
  hungry.handle(XS_TRANSACTION_END, 4, 1, latin1("T\0"));
  assertEquals(server.tree.owned(3), 904);
  assert(bytes > 1 << 19 && bytes < 2 << 20, `${bytes} bytes`);
  assertEquals(guest.call(XS_READ, "name\0"), "guest1");
});

Deno.test("xenstore: WRITE makes missing parents, owned by the writer, in the order of creation", () => {
  const { server, guest } = setUp();
  assertEquals(guest.call(XS_WRITE, "data/b/c\0\xff\0\x01"), "OK\0");
  assertEquals(guest.call(XS_WRITE, "data/a\0"), "OK\0");
  assertEquals(guest.call(XS_READ, "data/b/c\0"), "\xff\0\x01");
  assertEquals(guest.call(XS_READ, "data/b\0"), "");
  assertEquals(guest.call(XS_DIRECTORY, "data\0"), "b\0a\0");
  assertEquals(guest.call(XS_GET_PERMS, "data/b/c\0"), "n1\0");
  assertEquals(server.read("/local/domain/1/data/b/c"), "\xff\0\x01");
});

Deno.test("xenstore: a guest owns what it makes below a node that another owner let it write", () => {
  const { server, guest } = setUp();
  server.write("/shared", "");
  server.setPermissions("/shared", ["r0", "b1"]);
  assertEquals(guest.call(XS_WRITE, "/shared/mine\0x"), "OK\0");
  assertEquals(guest.call(XS_GET_PERMS, "/shared/mine\0"), "r1\0b1\0");
  assertEquals(guest.call(XS_SET_PERMS, "/shared\0r0\0"), ["EACCES"]);
});

Deno.test("xenstore: permissions decide per domain, the first entry for everybody else", () => {
  const { server, guest } = setUp();
  const other = new Client(server, 2);
  const stranger = new Client(server, 3);
  assertEquals(guest.call(XS_WRITE, "data/a\0v"), "OK\0");
  assertEquals(guest.call(XS_SET_PERMS, "data/a\0w1\0r2\0"), "OK\0");
  const path = "/local/domain/1/data/a\0";
  assertEquals(other.call(XS_READ, path), "v");
  assertEquals(other.call(XS_WRITE, path + "w"), ["EACCES"]);
  assertEquals(stranger.call(XS_READ, path), ["EACCES"]);
  assertEquals(stranger.call(XS_WRITE, path + "w"), "OK\0");
  assertEquals(guest.call(XS_READ, path), "w");
});

Deno.test("xenstore: RM takes the whole subtree", () => {
  const { server, guest } = setUp();
  const nodes = server.tree.size;
  for (const path of ["data/a", "data/a/b", "data/a/b/c", "data/d"]) guest.call(XS_MKDIR, path + "\0");
  assertEquals(server.tree.owned(1), 5);
  assertEquals(guest.call(XS_RM, "data/a\0"), "OK\0");
  assertEquals(guest.call(XS_DIRECTORY, "data\0"), "d\0");
  assertEquals(server.tree.size, nodes + 1);
  assertEquals(server.tree.owned(1), 2);
});

Deno.test("xenstore: a directory too long for a message comes in parts", () => {
  const { server, guest } = setUp();
  const names = Array.from({ length: 300 }, (_, i) => `child-number-${i}`);
  for (const name of names) server.write(`/local/domain/1/many/${name}`, "");
  assertEquals(guest.call(XS_DIRECTORY, "many\0"), ["E2BIG"]);
  const got: string[] = [];
  let generation = "";
  for (let offset = 0, end = false; !end;) {
    const reply = guest.call(XS_DIRECTORY_PART, `many\0${offset}\0`);
    if (typeof reply !== "string") throw new Error(reply[0]);
    assert(reply.length <= 4096);
    const parts = reply.split("\0");
    assertEquals(parts.pop(), "");
    generation ||= parts[0] as string;
    assertEquals(parts[0], generation);
    end = parts.at(-1) === "";
    const part = end ? parts.slice(1, -1) : parts.slice(1);
    assert(part.length > 0);
    got.push(...part);
    offset += part.reduce((sum, name) => sum + name.length + 1, 0);
  }
  assertEquals(got, names);
  assertEquals(guest.call(XS_DIRECTORY_PART, "many\x00999999\0"), `${generation}\0\0`);
  server.write("/local/domain/1/many/one-more", "");
  const after = guest.call(XS_DIRECTORY_PART, "many\x000\0");
  assert(typeof after === "string" && !after.startsWith(`${generation}\0`));
  assertEquals(guest.call(XS_DIRECTORY_PART, "many\0-1\0"), ["EINVAL"]);
  assertEquals(guest.call(XS_DIRECTORY_PART, "many\0"), ["EINVAL"]);
});

Deno.test("xenstore: a domain may own so many nodes and no more", () => {
  const { guest } = setUp({ quotas: { nodes: 4 } });
  assertEquals(guest.call(XS_MKDIR, "data/a/b/c\0"), "OK\0"); // with "data" itself that is 4
  assertEquals(guest.call(XS_MKDIR, "data/d\0"), ["ENOSPC"]);
  assertEquals(guest.call(XS_WRITE, "data/a\0x"), "OK\0");
  assertEquals(guest.call(XS_RM, "data/a/b\0"), "OK\0");
  assertEquals(guest.call(XS_MKDIR, "data/d/e\0"), "OK\0");
  assertEquals(guest.call(XS_MKDIR, "data/d/f/g/h\0"), ["ENOSPC"]);
  assertEquals(guest.call(XS_DIRECTORY, "data/d\0"), "e\0");
});

Deno.test("xenstore: by default a domain may own 1000 nodes, transaction or not", () => {
  const { server, guest } = setUp();
  for (let dir = 0; dir < 9; dir++) {
    for (let i = 0; i < 110; i++) assertEquals(guest.call(XS_MKDIR, `data/d${dir}/${i}\0`), "OK\0");
  }
  assertEquals(server.tree.owned(1), 1000); // data, 9 directories, 990 below
  assertEquals(guest.call(XS_MKDIR, "data/e\0"), ["ENOSPC"]);
  const tx = Number((guest.call(XS_TRANSACTION_START, "\0") as string).slice(0, -1));
  assertEquals(guest.call(XS_MKDIR, "data/e\0", tx), ["ENOSPC"]);
  assertEquals(guest.call(XS_RM, "data/d0/0\0", tx), "OK\0");
  assertEquals(guest.call(XS_MKDIR, "data/e\0", tx), "OK\0");
  assertEquals(guest.call(XS_TRANSACTION_END, "T\0", tx), "OK\0");
  assertEquals(server.tree.owned(1), 1000);
});

Deno.test("xenstore: the children's names count as bytes of the directory", () => {
  const { guest } = setUp();
  let made = 0;
  while (guest.call(XS_MKDIR, `data/${String(made).padStart(99, "0")}\0`) === "OK\0") made++;
  assertEquals(made, Math.floor((2048 - 8) / 100));
});

Deno.test("xenstore: a watch fires at once and then for changes at and below its path", () => {
  const { server, guest } = setUp();
  assertEquals(guest.call(XS_WATCH, "/local/domain/1/data\0my token\0"), "OK\0");
  assertEquals(guest.events(), ["/local/domain/1/data my token"]);
  guest.call(XS_WRITE, "data\0x");
  guest.call(XS_WRITE, "data/a/b\0x");
  guest.call(XS_MKDIR, "data/a/b\0"); // exists: no change
  server.write("/local/domain/1/name", "other"); // elsewhere
  server.write("/local/domain/1/data/c", "1");
  guest.call(XS_SET_PERMS, "data/a\0r1\0");
  guest.call(XS_RM, "data/a\0");
  assertEquals(guest.events(), [
    "/local/domain/1/data my token",
    "/local/domain/1/data/a/b my token",
    "/local/domain/1/data/c my token",
    "/local/domain/1/data/a my token",
    "/local/domain/1/data/a my token",
  ]);
});

Deno.test("xenstore: a watch on a relative path reports relative paths", () => {
  const { server, guest } = setUp();
  guest.call(XS_WATCH, "data\0t\0");
  server.write("/local/domain/1/data/a", "");
  assertEquals(guest.events(), ["data t", "data/a t"]);
  assertEquals(guest.call(XS_WATCH, "/local/domain/1/data\0t\0"), ["EEXIST"]);
  assertEquals(guest.call(XS_UNWATCH, "/local/domain/1/data\0t\0"), "OK\0");
  server.write("/local/domain/1/data/a", "again");
  assertEquals(guest.events(), []);
});

Deno.test("xenstore: the reply comes before the events its request caused", () => {
  const { guest } = setUp();
  guest.call(XS_WATCH, "data\0t\0");
  guest.events();
  guest.connection.handle(XS_WRITE, 7, 0, new TextEncoder().encode("data\0v"));
  assertEquals(guest.inbox.map((m) => [m.type, m.reqId]), [[XS_WRITE, 7], [XS_WATCH_EVENT, 0]]);
});

Deno.test("xenstore: removing an ancestor fires watches below it at their own path, in order of registration", () => {
  const { guest } = setUp();
  guest.call(XS_WRITE, "data/a/b/c\0x");
  guest.call(XS_WATCH, "data/a/b/c\0deep\0");
  guest.call(XS_WATCH, "data/a/b/missing\0missing\0");
  guest.call(XS_WATCH, "data\0second\0");
  guest.call(XS_WATCH, "data\0first\0");
  guest.events();
  guest.call(XS_RM, "data/a\0");
  assertEquals(guest.events(), ["data/a second", "data/a first", "data/a/b/c deep"]);
});

Deno.test("xenstore: events are only for those who may read the node", () => {
  const { server, guest } = setUp();
  const other = new Client(server, 2);
  for (const client of [guest, other]) client.call(XS_WATCH, "/local/domain/1\0t\0");
  for (const client of [guest, other]) client.events();
  server.write("/local/domain/1/name", "x");
  guest.call(XS_WRITE, "data/a\0x");
  assertEquals(other.events(), []);
  guest.call(XS_SET_PERMS, "data/a\0r1\0");
  guest.call(XS_RM, "data/a\0");
  assertEquals(other.events(), ["/local/domain/1/data/a t", "/local/domain/1/data/a t"]);
  assertEquals(guest.events().length, 4);
});

Deno.test("xenstore: special watches fire for their registration, and later for domain 0 only", () => {
  const deferred: (() => void)[] = [];
  const { server, guest } = setUp({ defer: (fn) => deferred.push(fn) });
  assertEquals(guest.call(XS_WATCH, "@releaseDomain\0t\0"), "OK\0");
  assertEquals(guest.call(XS_WATCH, "@nonsense\0t\0"), ["EINVAL"]);
  assertEquals(guest.events(), ["@releaseDomain t"]);
  const heard: string[] = [];
  server.watch("@introduceDomain", (path) => heard.push(path));
  deferred.splice(0).forEach((fn) => fn());
  new Client(server, 5);
  server.release(5);
  deferred.splice(0).forEach((fn) => fn());
  assertEquals(heard, ["@introduceDomain", "@introduceDomain"]);
  assertEquals(guest.events(), []);
  assertEquals([server.isIntroduced(1), server.isIntroduced(5)], [true, false]);
});

Deno.test("xenstore: a domain may have 128 watches; RESET_WATCHES drops them and the transactions", () => {
  const { server, guest } = setUp();
  for (let i = 0; i < 128; i++) assertEquals(guest.call(XS_WATCH, `data\0${i}\0`), "OK\0");
  assertEquals(guest.call(XS_WATCH, "data\0more\0"), ["E2BIG"]);
  guest.call(XS_TRANSACTION_START, "\0");
  assertEquals(guest.call(XS_RESET_WATCHES, "\0"), "OK\0");
  guest.events();
  server.write("/local/domain/1/data", "changed");
  assertEquals(guest.events(), []);
  assertEquals([guest.connection.watchCount, guest.connection.transactionCount], [0, 0]);
  assertEquals(guest.call(XS_WATCH, "data\0more\0"), "OK\0");
});

Deno.test("xenstore: any bytes get exactly one reply each", () => {
  const { server, guest } = setUp();
  let seed = 0x1234_5678; // xorshift32
  const next = (limit: number) => {
    seed ^= seed << 13, seed ^= seed >>> 17, seed ^= seed << 5;
    return (seed >>> 0) % limit;
  };
  const words = [
    "data",
    "/local/domain/1/data",
    "a",
    "/",
    "\0",
    "T",
    "1",
    "n1",
    "@",
    "\xff",
    "",
    "@releaseDomain",
  ];
  for (let i = 0; i < 3000; i++) {
    let payload = "";
    for (let n = next(6); n > 0; n--) {
      payload += (words[next(words.length)] as string) + (next(2) ? "\0" : "/");
    }
    guest.inbox = [];
    guest.connection.handle(
      next(25),
      i,
      next(4) === 0 ? next(12) : 0,
      Uint8Array.from(payload, (c) => c.charCodeAt(0)),
    );
    const replies = guest.inbox.filter((m) => m.type !== XS_WATCH_EVENT);
    assertEquals(replies.map((m) => m.reqId), [i]);
    assert(guest.inbox.every((m) => m.payload.length <= 4096));
  }
  assert(server.tree.owned(1) <= 1000);
});
