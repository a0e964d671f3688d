// SPDX-License-Identifier: MIT
import { assertEquals } from "@std/assert";
import { OutputQueue } from "./output_queue.ts";

const text = (s: string) => new TextEncoder().encode(s);

/** A writer that takes a few bytes at a time, when told to. */
class SlowWriter {
  written = "";
  #go: (() => void) | undefined;
  constructor(readonly most: number, public open = true) {}
  async write(bytes: Uint8Array): Promise<number> {
    while (!this.open) await new Promise<void>((resolve) => this.#go = resolve);
    const part = bytes.subarray(0, this.most);
    this.written += new TextDecoder().decode(part);
    return part.length;
  }
  release(): void {
    this.open = true;
    this.#go?.();
  }
}

Deno.test("OutputQueue writes everything in order, whatever the writer takes at once", async () => {
  const writer = new SlowWriter(3);
  const queue = new OutputQueue(writer, () => {});
  const bytes = text("hello, ");
  queue.push(bytes);
  bytes.fill(0); // it keeps a copy
  queue.push(text("world"));
  await queue.flush();
  queue.push(text("!"));
  await queue.flush();
  assertEquals(writer.written, "hello, world!");
});

Deno.test("OutputQueue drops and counts what is too much, and goes on later", async () => {
  const writer = new SlowWriter(100, false);
  const queue = new OutputQueue(writer, () => {}, 8);
  queue.push(text("12345678"));
  queue.push(text("9"));
  assertEquals(queue.dropped, 1);
  writer.release();
  await queue.flush();
  queue.push(text("ok"));
  await queue.flush();
  assertEquals(writer.written, "12345678ok");
});

Deno.test("OutputQueue tells once that writing failed, and swallows the rest", async () => {
  const failures: unknown[] = [];
  const error = new Deno.errors.BrokenPipe("gone");
  const queue = new OutputQueue({ write: () => Promise.reject(error) }, (e) => failures.push(e));
  queue.push(text("a"));
  await queue.flush();
  queue.push(text("b"));
  await queue.flush();
  assertEquals(failures, [error]);
});
