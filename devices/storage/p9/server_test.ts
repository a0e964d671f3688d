// SPDX-License-Identifier: MIT
/** The server over a folder of the host's: what a well-meaning client does, and what another one tries. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../cpu/base/assert.ts";
import { random, withFolder } from "../_images.ts";
import { Client, message, u32 } from "./_client.ts";
import { libc } from "../libc.ts";
import { HostFolder } from "./host_folder.ts";
import { P9Server } from "./server.ts";
import * as P from "./wire.ts";

// Linux uapi/asm-generic/errno-base.h, errno.h
const EPERM = 1, ENOENT = 2, EBADF = 9, EISDIR = 21, EINVAL = 22, ENFILE = 23, EROFS = 30;
const ENAMETOOLONG = 36, EPROTO = 71, EOPNOTSUPP = 95, ESTALE = 116, ENOTDIR = 20;
const bytes = (text: string) => new TextEncoder().encode(text);

/** A share with a neighbour nobody may see. */
async function withShare(
  body: (share: string, outside: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/share`);
    await Deno.writeTextFile(`${folder}/secret`, "secret");
    await body(`${folder}/share`, `${folder}/secret`);
  });
}

async function readAll(client: Client, fid: number): Promise<string> {
  let text = "";
  for (;;) {
    const answer = await client.ok(P.Tread, u32(fid), BigInt(text.length), u32(60_000));
    const data = answer.data(answer.u32());
    if (data.length === 0) return text;
    text += new TextDecoder().decode(data);
  }
}

Deno.test("9P: a message is laid out as 9P2000.L has it", async () => {
  await withShare(async (share) => {
    const client = new Client(share);
    const version = Uint8Array.of(21, 0, 0, 0, 100, 255, 255, 0, 32, 0, 0, 8, 0, ...bytes("9P2000.L"));
    const answer = await client.server.handle(version, 65536);
    assertEquals(Array.from(answer), [21, 0, 0, 0, 101, 255, 255, 0, 32, 0, 0, 8, 0, ...bytes("9P2000.L")]);
    const clunk = Uint8Array.of(11, 0, 0, 0, 120, 7, 0, 9, 0, 0, 0);
    assertEquals(
      Array.from(await client.server.handle(clunk, 65536)),
      [11, 0, 0, 0, 7, 7, 0, EBADF, 0, 0, 0],
    );
    client.server.close();
  });
});

Deno.test("9P: files are made, written, synced, read, renamed, linked, removed, and the host sees the same", async () => {
  await withShare(async (share) => {
    const c = await Client.attached(share);
    assertEquals(await c.walk(1), 0);
    await c.ok(P.Tlcreate, u32(1), "a", u32(0o102), u32(0o644), u32(0));
    const text = "x".repeat(50_000) + "end";
    const data = bytes(text);
    assertEquals((await c.ok(P.Twrite, u32(1), 0n, u32(data.length), data)).u32(), data.length);
    await c.ok(P.Tfsync, u32(1), u32(0));
    assertEquals(await Deno.readTextFile(`${share}/a`), text);
    assertEquals(await readAll(c, 1), text);
    await c.ok(P.Tmkdir, u32(0), "d", u32(0o755), u32(0));
    assertEquals(await c.walk(2, "d"), 0);
    await c.ok(P.Trenameat, u32(0), "a", u32(2), "b");
    await c.ok(P.Tlink, u32(2), u32(1), "c"); // by the name it has now
    await c.ok(P.Tsymlink, u32(0), "l", "d/b", u32(0));
    assertEquals(await Deno.readTextFile(`${share}/l`), text);
    assertEquals(await Deno.readTextFile(`${share}/d/c`), text);
    assertEquals(await c.walk(3, "l"), 0);
    assertEquals((await c.ok(P.Treadlink, u32(3))).string(), "d/b");
    await c.ok(P.Tunlinkat, u32(2), "c", u32(0));
    await c.ok(P.Trename, u32(1), u32(0), "z");
    await c.ok(P.Tremove, u32(3));
    assertEquals(await c.errno(P.Tgetattr, u32(3), 0x7ffn), ENOENT);
    assertEquals(await c.walk(4, "d"), 0);
    await c.ok(P.Tremove, u32(4));
    assertEquals([...Deno.readDirSync(share)].map(({ name }) => name), ["z"]);
    // size 3, then times: valid[4] mode uid gid[4] size[8] atime mtime[8 8]
    await c.ok(
      P.Tsetattr,
      u32(1),
      u32(0x8 | 0x20 | 0x100 | 1),
      u32(0o6600),
      u32(0),
      u32(0),
      3n,
      0n,
      0n,
      5n,
      0n,
    );
    const stat = Deno.statSync(`${share}/z`);
    assertEquals([stat.size, stat.mtime?.getTime(), stat.mode! & 0o7777], [3, 5000, 0o600]);
    c.server.close();
  });
});

Deno.test("9P: a large folder is listed whole, in pieces, and from where it was left", async () => {
  await withShare(async (share) => {
    const names = Array.from({ length: 2500 }, (_, i) => `file-with-a-name-${i}`);
    for (const name of names) Deno.writeTextFileSync(`${share}/${name}`, "");
    const c = await Client.attached(share);
    await c.walk(1);
    await c.ok(P.Tlopen, u32(1), u32(0o200000));
    const seen: string[] = [];
    for (let at = 0n;;) {
      const answer = await c.ok(P.Treaddir, u32(1), at, u32(1000));
      if (answer.u32() === 0) break;
      while (answer.left > 0) {
        answer.data(13);
        at = answer.u64();
        answer.u8();
        seen.push(answer.string());
      }
    }
    assertEquals(seen.sort(), [".", "..", ...names].sort());
    assertEquals(await c.errno(P.Treaddir, u32(1), 0n, u32(5)), EINVAL);
    c.server.close();
  });
});

Deno.test("9P: no name, link or parent leads out of the folder", async () => {
  await withShare(async (share, outside) => {
    await Deno.symlink(outside, `${share}/link`);
    await Deno.symlink("..", `${share}/up`);
    await Deno.mkdir(`${share}/d`);
    const c = await Client.attached(share);
    for (const name of ["", ".", "/etc", "d/..", "a\0b", "../secret"]) {
      assertEquals(await c.walk(1, name), EINVAL, name);
      assertEquals(await c.errno(P.Tmkdir, u32(0), name, u32(0o755), u32(0)), EINVAL, name);
      assertEquals(await c.errno(P.Trenameat, u32(0), "d", u32(0), name), EINVAL, name);
      assertEquals(await c.errno(P.Tlcreate, u32(0), name, u32(0o102), u32(0o644), u32(0)), EINVAL, name);
    }
    assertEquals(await c.errno(P.Tmkdir, u32(0), "..", u32(0o755), u32(0)), EINVAL);
    assertEquals(await c.walk(1, "x".repeat(256)), ENAMETOOLONG);
    assertEquals(await c.walk(1, "..", "..", "secret"), -1);
    assertEquals(await c.walk(1, "d", "..", "..", ".."), 0);
    const root = await c.ok(P.Tgetattr, u32(1), 0x7ffn);
    const here = await c.ok(P.Tgetattr, u32(0), 0x7ffn);
    assertEquals(root.bytes, here.bytes);
    // links are found, not followed
    assertEquals(await c.walk(2, "link"), 0);
    assertEquals(await c.errno(P.Tlopen, u32(2), u32(0)), EPERM);
    assertEquals(
      await c.errno(P.Tsetattr, u32(2), u32(8), u32(0), u32(0), u32(0), 0n, 0n, 0n, 0n, 0n),
      EINVAL,
    );
    assertEquals(
      await c.errno(P.Tsetattr, u32(2), u32(1), u32(0o777), u32(0), u32(0), 0n, 0n, 0n, 0n, 0n),
      EPERM,
    );
    assertEquals(await c.walk(3, "up", "secret"), -1);
    assertEquals(await c.errno(P.Tlcreate, u32(0), "link", u32(0o1102), u32(0o644), u32(0)), EPERM);
    await c.walk(4, "up");
    assertEquals(await c.errno(P.Tmkdir, u32(4), "x", u32(0o755), u32(0)), ENOTDIR);
    // a hard link to a link is one to the link
    await c.ok(P.Tlink, u32(0), u32(2), "link2");
    assertEquals(Deno.lstatSync(`${share}/link2`).isSymlink, true);
    assertEquals(await Deno.readTextFile(outside), "secret");
    c.server.close();
  });
});

Deno.test("9P: what is swapped for a link while it is in use is not followed", async () => {
  await withShare(async (share, outside) => {
    await Deno.writeTextFile(`${share}/a`, "inside");
    await Deno.mkdir(`${share}/d`);
    await Deno.writeTextFile(`${share}/d/secret`, "inside");
    const c = await Client.attached(share);
    await c.walk(1, "a");
    await c.walk(2, "d");
    await Deno.remove(`${share}/a`);
    await Deno.symlink(outside, `${share}/a`);
    await Deno.rename(`${share}/d`, `${share}/e`);
    await Deno.symlink("..", `${share}/d`);
    await c.ok(P.Tlopen, u32(1), u32(0)); // the file that was found, without a name now
    assertEquals(await readAll(c, 1), "inside");
    await c.ok(P.Twalk, u32(2), u32(3), [1, 2], "secret");
    await c.ok(P.Tlopen, u32(3), u32(0));
    assertEquals(await readAll(c, 3), "inside");
    assertEquals(await c.errno(P.Tremove, u32(1)), ENOENT); // the name is another file's
    assertEquals(Deno.lstatSync(`${share}/a`).isSymlink, true);
    c.server.close();
  });
});

Deno.test("9P: FIFOs are not opened, special files are not made, folders are not written", async () => {
  await withShare(async (share) => {
    assertEquals((await new Deno.Command("mkfifo", { args: [`${share}/fifo`] }).output()).code, 0);
    const c = await Client.attached(share);
    await c.walk(1, "fifo");
    assertEquals(await c.errno(P.Tlopen, u32(1), u32(0)), EPERM);
    assertEquals(await c.errno(P.Tlcreate, u32(0), "fifo", u32(0o101), u32(0o644), u32(0)), EPERM);
    for (const kind of [0o020000, 0o060000, 0o010000, 0o140000]) {
      assertEquals(await c.errno(P.Tmknod, u32(0), "n", u32(kind | 0o666), u32(1), u32(3), u32(0)), EPERM);
    }
    await c.ok(P.Tmknod, u32(0), "n", u32(0o106755), u32(0), u32(0), u32(0));
    assertEquals(Deno.statSync(`${share}/n`).mode! & 0o6000, 0);
    await c.walk(2);
    assertEquals(await c.errno(P.Tlopen, u32(2), u32(2)), EISDIR);
    assertEquals(await c.errno(P.Txattrwalk, u32(0), u32(9), "trusted.a"), EOPNOTSUPP);
    c.server.close();
  });
});

/** Why extended attributes cannot be tried: some file systems have none. */
function noAttributes(): string {
  const file = Deno.makeTempFileSync();
  const { call } = libc((why) => new ConfigError(why));
  const n = call.setxattr(bytes(`${file}\0`), bytes("user.a\0"), bytes("x"), 1n, 0);
  Deno.removeSync(file);
  return n === 0 ? "" : " (skipped: no extended attributes where temporary files are)";
}
const unattributed = noAttributes();

/** The value that the host's C library reads, without the server. */
function hostAttribute(path: string, name: string): string | undefined {
  const { call } = libc((why) => new ConfigError(why));
  const value = new Uint8Array(100);
  const n = call.getxattr(bytes(`${path}\0`), bytes(`${name}\0`), value, 100n);
  return n < 0 ? undefined : new TextDecoder().decode(value.subarray(0, n));
}

async function setAttribute(c: Client, name: string, value: string, flags = 0): Promise<number> {
  await c.walk(99, "a");
  const data = bytes(value);
  const created = await c.errno(P.Txattrcreate, u32(99), name, BigInt(data.length), u32(flags));
  for (let at = 0; created === 0 && at < data.length; at += 3) {
    const part = data.subarray(at, at + 3);
    const answer = await c.ok(P.Twrite, u32(99), BigInt(at), u32(part.length), part);
    assertEquals(answer.u32(), part.length);
  }
  const clunked = await c.errno(P.Tclunk, u32(99));
  return created || clunked;
}

async function getAttribute(c: Client, name: string): Promise<string | number> {
  const answer = await c.ask(P.Txattrwalk, u32(1), u32(98), name);
  if (typeof answer === "number") return answer;
  const size = Number(answer.u64());
  const text = await readAll(c, 98);
  assertEquals(bytes(text).length, size);
  await c.ok(P.Tclunk, u32(98));
  return text;
}

Deno.test({
  name: `9P: extended attributes are set, read, listed and removed, the user's alone${unattributed}`,
  ignore: unattributed !== "",
  fn: () =>
    withShare(async (share) => {
      await Deno.writeTextFile(`${share}/a`, "text");
      const c = await Client.attached(share);
      await c.walk(1, "a");
      const ENODATA = 61, E2BIG = 7;
      assertEquals(await getAttribute(c, "user.a"), ENODATA);
      assertEquals(await setAttribute(c, "user.a", "a value"), 0);
      assertEquals(await setAttribute(c, "user.b", ""), 0);
      assertEquals(hostAttribute(`${share}/a`, "user.a"), "a value");
      assertEquals(hostAttribute(`${share}/a`, "user.b"), "");
      assertEquals(await getAttribute(c, "user.a"), "a value");
      assertEquals(((await getAttribute(c, "")) as string).split("\0").sort(), ["", "user.a", "user.b"]);
      const XATTR_CREATE = 1, XATTR_REPLACE = 2, EEXIST = 17;
      assertEquals(await setAttribute(c, "user.a", "again", XATTR_CREATE), EEXIST);
      assertEquals(await setAttribute(c, "user.a", "again", XATTR_REPLACE), 0);
      assertEquals(hostAttribute(`${share}/a`, "user.a"), "again");
      assertEquals(await setAttribute(c, "user.a", "", XATTR_REPLACE), 0); // as Linux removes one
      assertEquals(hostAttribute(`${share}/a`, "user.a"), undefined);
      assertEquals(await setAttribute(c, "user.a", "", XATTR_REPLACE), ENODATA);
      for (
        const name of [
          "security.capability",
          "trusted.a",
          "system.posix_acl_access",
          "user.",
          "a",
          "user.a\0b",
        ]
      ) {
        assertEquals(await setAttribute(c, name, "x"), EOPNOTSUPP, name);
        assertEquals(await getAttribute(c, name), EOPNOTSUPP, name);
      }
      // what is not all there is not set; nothing but its own bytes is had from such a fid
      await c.walk(2, "a");
      await c.ok(P.Txattrcreate, u32(2), "user.c", 8n, u32(0));
      assertEquals(await c.errno(P.Twrite, u32(2), 1n, u32(1), bytes("x")), EINVAL);
      assertEquals(await c.errno(P.Twrite, u32(2), 0n, u32(9), bytes("123456789")), EINVAL);
      assertEquals(await c.errno(P.Tread, u32(2), 0n, u32(9)), EBADF);
      assertEquals(await c.errno(P.Tlopen, u32(2), u32(0)), EBADF);
      assertEquals(await c.errno(P.Tclunk, u32(2)), EINVAL);
      assertEquals(hostAttribute(`${share}/a`, "user.c"), undefined);
      assertEquals(await c.errno(P.Txattrwalk, u32(1), u32(0), "user.b"), EBADF); // fid 0 is in use
      // the bytes of all fids are bounded
      assertEquals(await c.errno(P.Txattrcreate, u32(1), "user.c", 65537n, u32(0)), E2BIG);
      let held = 0;
      while (held < 100) {
        await c.walk(100 + held, "a");
        if (await c.errno(P.Txattrcreate, u32(100 + held), "user.c", 65536n, u32(0)) !== 0) break;
        held++;
      }
      assertEquals(held, 16);
      for (let i = 0; i <= held; i++) await c.errno(P.Tclunk, u32(100 + i));
      assertEquals(await setAttribute(c, "user.c", "room again"), 0);
      c.server.close();
      const readonly = await Client.attached(share, true);
      await readonly.walk(1, "a");
      assertEquals(await getAttribute(readonly, "user.c"), "room again");
      assertEquals(await readonly.errno(P.Txattrcreate, u32(1), "user.c", 1n, u32(0)), EROFS);
      readonly.server.close();
    }),
});

const noRoot = Deno.uid() === 0 ? "" : " (skipped: not root)";
Deno.test({
  name: `9P: in a root file system, what is made belongs to who made it in the guest${noRoot}`,
  ignore: noRoot !== "",
  fn: () =>
    withShare(async (share) => {
      const server = new P9Server(HostFolder.open(share), false, undefined, true);
      const c = new Client(share);
      Object.assign(c, { server });
      await c.ok(P.Tversion, u32(65536), "9P2000.L");
      await c.ok(P.Tattach, u32(0), u32(P.NOFID), "root", "", u32(1234)); // n_uname
      assertEquals(await c.walk(1), 0);
      await c.ok(P.Tlcreate, u32(1), "file", u32(0o102), u32(0o666), u32(5678));
      await c.ok(P.Tmkdir, u32(0), "dir", u32(0o777), u32(5678));
      await c.ok(P.Tsymlink, u32(0), "link", "file", u32(5678));
      for (const [name, mode] of [["fifo", 0o010640], ["socket", 0o140755]] as const) {
        await c.ok(P.Tmknod, u32(0), name, u32(mode), u32(0), u32(0), u32(5678));
      }
      for (const mode of [0o020666, 0o060666]) { // devices would be the host's
        assertEquals(await c.errno(P.Tmknod, u32(0), "device", u32(mode), u32(1), u32(3), u32(0)), EPERM);
      }
      for (const name of ["file", "dir", "link", "fifo", "socket"]) {
        const { uid, gid } = await Deno.lstat(`${share}/${name}`);
        assertEquals([name, uid, gid], [name, 1234, 5678]);
      }
      const modeOf = (name: string) => (Deno.statSync(`${share}/${name}`).mode ?? 0) & 0o7777;
      assertEquals([modeOf("file"), modeOf("dir")], [0o666, 0o777]); // our own umask does not count
      assertEquals((await Deno.stat(`${share}/fifo`)).isFifo, true);
      assertEquals((await Deno.stat(`${share}/socket`)).isSocket, true);
      const setattr = (mode: number) =>
        c.ok(P.Tsetattr, u32(1), u32(1), u32(mode), u32(0), u32(0), 0n, 0n, 0n, 0n, 0n);
      await setattr(0o6755);
      assertEquals(modeOf("file"), 0o6755);
      if (unattributed === "") {
        const capability = Uint8Array.of(1, 0, 0, 2, 0, 0x20, ...new Uint8Array(14)); // cap_net_raw=ep
        await c.walk(2, "file");
        await c.ok(P.Txattrcreate, u32(2), "security.capability", BigInt(capability.length), u32(0));
        await c.ok(P.Twrite, u32(2), 0n, u32(capability.length), capability);
        await c.ok(P.Tclunk, u32(2));
        assertEquals(hostAttribute(`${share}/file`, "security.capability")?.length, 20);
      }
      server.close();
      // a share that is nobody's root gives no such rights
      const plain = await Client.attached(share);
      assertEquals(await plain.walk(1), 0);
      await plain.ok(P.Tlcreate, u32(1), "plain", u32(0o102), u32(0o4755), u32(5678));
      await plain.ok(P.Tsetattr, u32(1), u32(1), u32(0o6755), u32(0), u32(0), 0n, 0n, 0n, 0n, 0n);
      assertEquals([modeOf("plain"), Deno.statSync(`${share}/plain`).uid], [0o755, 0]);
      assertEquals(await plain.errno(P.Tmknod, u32(0), "x", u32(0o010640), u32(0), u32(0), u32(0)), EPERM);
      plain.server.close();
    }),
});

Deno.test("9P: a read-only share refuses whatever writes", async () => {
  await withShare(async (share) => {
    await Deno.writeTextFile(`${share}/a`, "a");
    const c = await Client.attached(share, true);
    await c.walk(1, "a");
    for (const flags of [1, 2, 0o1000]) assertEquals(await c.errno(P.Tlopen, u32(1), u32(flags)), EROFS);
    assertEquals(
      await c.errno(P.Tsetattr, u32(1), u32(8), u32(0), u32(0), u32(0), 0n, 0n, 0n, 0n, 0n),
      EROFS,
    );
    assertEquals(await c.errno(P.Tunlinkat, u32(0), "a", u32(0)), EROFS);
    assertEquals(await c.errno(P.Tmkdir, u32(0), "b", u32(0o755), u32(0)), EROFS);
    assertEquals(await c.errno(P.Trenameat, u32(0), "a", u32(0), "b"), EROFS);
    assertEquals(await c.errno(P.Tremove, u32(1)), EROFS);
    await c.ok(P.Tlopen, u32(1), u32(0));
    assertEquals(await readAll(c, 1), "a");
    assertEquals(await Deno.readTextFile(`${share}/a`), "a");
    c.server.close();
  });
});

Deno.test("9P: a share that vanishes answers with ENOENT", async () => {
  await withShare(async (share) => {
    await Deno.mkdir(`${share}/d`);
    const c = await Client.attached(share);
    await c.walk(1, "d");
    await Deno.remove(share, { recursive: true });
    assertEquals(await c.walk(2, "d"), ENOENT);
    assertEquals(await c.errno(P.Tmkdir, u32(1), "x", u32(0o755), u32(0)), ENOENT);
    assertEquals(await c.errno(P.Tlcreate, u32(0), "x", u32(0o101), u32(0o644), u32(0)), ENOENT);
    c.server.close();
  });
});

Deno.test("9P: fids and handles are bounded, and come back", async () => {
  await withShare(async (share) => {
    await Deno.mkdir(`${share}/d`);
    const c = await Client.attached(share, false, 10);
    const found: number[] = [];
    for (let fid = 1; fid < 30; fid++) found.push(await c.walk(fid, "d"));
    assertEquals(found.filter((errno) => errno === 0).length, 9); // and the root
    assertEquals(found.at(-1), ENFILE);
    assertEquals(await c.walk(1, "d"), EBADF); // in use
    for (let fid = 1; fid < 10; fid++) await c.ok(P.Tclunk, u32(fid));
    assertEquals(await c.walk(1, "d"), 0);
    await c.ok(P.Tversion, u32(8192), "9P2000.L");
    assertEquals(await c.errno(P.Tgetattr, u32(1), 0n), ENOENT);
    c.server.close();
  });
});

Deno.test("9P: a snapshot finds its files by name, and what is gone or another file is stale", async () => {
  await withShare(async (share) => {
    for (const name of ["a", "b", "c"]) await Deno.writeTextFile(`${share}/${name}`, name);
    const c = await Client.attached(share);
    for (const [i, name] of ["a", "b", "c"].entries()) {
      await c.walk(i + 1, name);
      await c.ok(P.Tlopen, u32(i + 1), u32(0o1002 - 0o1000));
    }
    const state = structuredClone(c.server.save());
    c.server.close();
    await Deno.remove(`${share}/b`);
    await Deno.writeTextFile(`${share}/new`, "");
    await Deno.rename(`${share}/new`, `${share}/c`);
    const later = new Client(share);
    later.server.restore(state);
    assertEquals(await readAll(later, 1), "a");
    assertEquals(await later.errno(P.Tread, u32(2), 0n, u32(1)), ESTALE);
    assertEquals(await later.errno(P.Tread, u32(3), 0n, u32(1)), ESTALE);
    assertEquals(await later.errno(P.Tclunk, u32(3)), 0);
    assertEquals(later.server.save().fids.length, 3);
    later.server.close();
  });
});

Deno.test("9P: cut, grown and random messages are answered, and the folder's neighbour is untouched", async () => {
  await withShare(async (share, outside) => {
    await Deno.writeTextFile(`${share}/a`, "a");
    await Deno.mkdir(`${share}/d`);
    const c = await Client.attached(share);
    const whole = message(P.Tsetattr, [u32(0), u32(1), u32(0o755), u32(0), u32(0), 0n, 0n, 0n, 0n, 0n]);
    for (let n = 7; n < whole.length; n++) {
      const answer = await c.server.handle(whole.slice(0, n), 65536);
      assertEquals([answer[4], answer[7]], [P.Rlerror, EPROTO], `${n} bytes`);
    }
    assertEquals(await c.errno(P.Twrite, u32(0), 0n, u32(0xffff_ffff)), EPROTO);
    const next = random(9);
    const types = [...Array(128).keys(), 255];
    const words = ["a", "d", "..", "link", "", "x/y"];
    for (let i = 0; i < 6000; i++) {
      const fields = Array.from({ length: next(8) }, () => {
        const kind = next(4);
        if (kind === 0) return words[next(words.length)] as string;
        if (kind === 1) return BigInt(next(3)) << BigInt(next(63));
        return [next(4) === 0 ? next(2 ** 32) : next(6), kind === 2 ? 4 : 2] as const;
      });
      const type = types[next(types.length)] as number;
      const answer = await c.server.handle(message(type, fields), 65536);
      assert(answer[4] === P.Rlerror || answer[4] === type + 1, `type ${type}`);
      assert(answer.length <= 65536);
    }
    assertEquals(await Deno.readTextFile(outside), "secret");
    c.server.close();
  });
});

Deno.test("9P: folders that cannot be shared are said in one line", async () => {
  await withShare((_share, outside) => {
    for (const path of ["/no/such", outside, "", "a\0b"]) {
      const error = assertThrows(() => HostFolder.open(path), ConfigError);
      assert(/^Cannot share .*: .+/.test(error.message) && !error.message.includes("\n"), error.message);
    }
    return Promise.resolve();
  });
});
