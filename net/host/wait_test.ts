// SPDX-License-Identifier: MIT
/** Sleeping on descriptors. Needs Linux and --allow-ffi. @module */
import { assertEquals } from "@std/assert";
import { waitReadable, Waker } from "./wait.ts";

const able = Deno.build.os === "linux" && Deno.permissions.querySync({ name: "ffi" }).state === "granted";
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: able ? name : `${name} (skipped: needs Linux and --allow-ffi)`, ignore: !able, fn });

test("waitReadable: times out, sees a waker, and survives no descriptors", async () => {
  const waker = new Waker();
  try {
    assertEquals(await waitReadable([waker.fd], 0), []);
    assertEquals(await waitReadable([], 0.5), []);
    const waiting = waitReadable([-1, waker.fd], Infinity);
    waker.wake();
    let ready = await waiting;
    while (ready.length === 0) ready = await waitReadable([waker.fd], Infinity); // a signal came in between
    assertEquals(ready, [waker.fd]);
    assertEquals(await waitReadable([waker.fd], -1), [waker.fd]);
    waker.clear();
    waker.clear();
    assertEquals(await waitReadable([waker.fd], 0), []);
  } finally {
    waker.close();
  }
});

test("waitReadable names only those that are ready, broken ones among them", async () => {
  const wakers = [new Waker(), new Waker(), new Waker()];
  const fds = wakers.map((waker) => waker.fd);
  try {
    wakers[1]?.wake();
    wakers[1]?.wake(); // once more changes nothing
    assertEquals(await waitReadable(fds, 0), [fds[1]]);
    wakers[2]?.wake();
    assertEquals(await waitReadable(fds, 0), [fds[1], fds[2]]);
    const closed = fds[0] as number;
    wakers[0]?.close();
    assertEquals(await waitReadable([closed], 10_000), [closed], "reading it will tell");
  } finally {
    for (const waker of wakers.slice(1)) waker.close();
  }
});

test("two waits at once end each by its own waker", async () => {
  const [a, b] = [new Waker(), new Waker()];
  try {
    const forever = async (fd: number) => {
      while ((await waitReadable([fd], Infinity)).length === 0);
    };
    const done: string[] = [];
    const first = forever(a.fd).then(() => done.push("a"));
    const second = forever(b.fd).then(() => done.push("b"));
    b.wake();
    await second;
    assertEquals(done, ["b"]);
    a.wake();
    await first;
  } finally {
    a.close();
    b.close();
  }
});

const libc = able
  ? /\S*\/libc\.so\.6|\S*\/libc\.musl\S*/.exec(Deno.readTextFileSync("/proc/self/maps"))?.[0]
  : undefined;

test("the permission for the C library alone suffices", async () => {
  const source = `
    import { Waker, waitReadable } from ${JSON.stringify(new URL("./wait.ts", import.meta.url).href)};
    import { libc } from ${JSON.stringify(new URL("./libc.ts", import.meta.url).href)};
    const waker = new Waker();
    waker.wake();
    console.log((await waitReadable([waker.fd], 1000)).length);
    waker.clear();
    console.log((await waitReadable([waker.fd], 1)).length);
    waker.close();
    console.log(libc().call.close(-1), libc().errno());
  `;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      `--allow-ffi=${libc}`,
      `data:application/typescript,${encodeURIComponent(source)}`,
    ],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "1\n0\n-1 9\n", new TextDecoder().decode(stderr));
});
