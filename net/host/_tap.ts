// SPDX-License-Identifier: MIT
/** A TAP whose host side is a network namespace of its own, for tests. Needs root and -A. @module */
import { assert } from "@std/assert";
import { Tracer } from "../../cpu/base/trace.ts";
import { TapDevice, type TapOptions, waitReadable } from "./tap.ts";

/** Why these tests cannot run here, if so. */
function missing(): string | undefined {
  for (const name of ["run", "ffi", "read", "sys", "write", "env"] as const) {
    if (Deno.permissions.querySync({ name }).state !== "granted") return `needs --allow-${name}`;
  }
  if (Deno.build.os !== "linux") return "needs Linux";
  if (Deno.uid() !== 0) return "needs root";
  for (const program of ["ip", "ping", "setpriv"]) {
    if (!exists(program)) return `needs ${program}`;
  }
  try {
    Deno.statSync("/dev/net/tun");
  } catch {
    return "needs /dev/net/tun";
  }
  const { success } = new Deno.Command("ip", { args: ["netns", "list"], stdout: "null", stderr: "null" })
    .outputSync();
  return success ? undefined : "needs a working ip netns";
}

function exists(program: string): boolean {
  try {
    new Deno.Command(program, { args: ["--version"], stdin: "null", stdout: "null", stderr: "null" })
      .outputSync();
    return true;
  } catch {
    return false;
  }
}
const reason = missing();
/** A test that needs a TAP: skipped, with the reason in its name, where there can be none. */
export const tapTest = (name: string, fn: () => Promise<void> | void): void =>
  Deno.test({
    name: reason === undefined ? name : `${name} (skipped: ${reason})`,
    ignore: reason !== undefined,
    fn,
  });

/** Runs ip(8); throws when it fails. */
export function ip(...args: string[]): void {
  const { success, stderr } = new Deno.Command("ip", { args, stdout: "null", stderr: "piped" }).outputSync();
  if (!success) throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Addresses of the host's side, and of the guest behind the TAP. */
export const HOST4 = "10.77.0.1";
export const GUEST4 = "10.77.0.2";
export const HOST6 = "fd77::1";
export const GUEST6 = "fd77::2";
/** How long a test waits for the host before it counts as hung: programs of a busy one start late. */
const PATIENCE_MS = 300_000;
/** Silence after which something may have been lost. */
const SILENCE_MS = 300;

/**
 * Eight characters that nobody else has: names of interfaces and namespaces are the whole machine's, and test files run
 * in one process, several runs at once.
 */
export function uniqueId(): string {
  return crypto.randomUUID().slice(0, 8);
}

/** What a test works with. */
export interface Net {
  readonly namespace: string;
  readonly tap: TapDevice;
  readonly tracer: Tracer;
  /** A command in the namespace. */
  command(command: string, args: string[], options?: Deno.CommandOptions): Deno.Command;
  /** Polls until `done`, minutes if it must; calls `silence` whenever nothing has come for a while. */
  until(done: () => boolean, silence?: () => void): Promise<void>;
}

/** Runs `fn` with a TAP whose other side is a namespace of its own. */
export async function withTap(fn: (net: Net) => Promise<void>, options: TapOptions = {}): Promise<void> {
  const id = uniqueId();
  const namespace = `xntest${id}`;
  const name = `xt${id}`;
  const tracer = new Tracer();
  ip("netns", "add", namespace);
  const tap = TapDevice.open({ ...options, name, tracer });
  try {
    ip("link", "set", name, "netns", namespace);
    const inside = ["-n", namespace];
    ip(...inside, "addr", "add", `${HOST4}/24`, "dev", name);
    ip(...inside, "addr", "add", `${HOST6}/64`, "dev", name, "nodad");
    ip(...inside, "link", "set", name, "up");
    await fn({
      namespace,
      tap,
      tracer,
      command: (command, args, options = {}) =>
        new Deno.Command("ip", { ...options, args: ["netns", "exec", namespace, command, ...args] }),
      until: async (done, silence = () => {}) => {
        const deadline = performance.now() + PATIENCE_MS;
        while (!done()) {
          assert(performance.now() < deadline, "it did not happen in time");
          const ready = await waitReadable([tap.pollFd()], SILENCE_MS);
          while (tap.poll() > 0);
          if (ready.length === 0 && !done()) silence();
        }
      },
    });
  } finally {
    tap.close();
    ip("netns", "del", namespace);
  }
}
