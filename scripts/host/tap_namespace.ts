// SPDX-License-Identifier: MIT
/**
 * A network namespace with a TAP device, where a guest meets a host of its own: nothing of the real network is touched.
 * Needs root and ip(8).
 * @module
 */
import { run, runText } from "./processes.ts";

/** Addresses in the namespace. */
export const HOST_ADDRESS = "10.77.0.1";
export const GUEST_ADDRESS = "10.77.0.2";
const PREFIX_LENGTH = 24;
const TAP = "tap0";

/** See the module's description. */
export interface TapNamespace {
  readonly name: string;
  /** The TAP device in it. */
  readonly tap: string;
  /** Command and arguments that run `command` inside. */
  inside(command: string, args: readonly string[]): { readonly command: string; readonly args: string[] };
  /** Removes it, with the TAP; harmless when it has gone. */
  close(): void;
}

/** Why there can be no TAP here, or undefined. */
export async function whyNoTap(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "TAP devices need Linux";
  if (Deno.uid() !== 0) return "making a network namespace needs root";
  try {
    Deno.openSync("/dev/net/tun", { read: true, write: true }).close();
  } catch (error) {
    return `/dev/net/tun cannot be opened: ${
      error instanceof Deno.errors.NotFound ? "there is none" : String(error)
    }`;
  }
  const probe = uniqueName();
  try {
    await run("ip", ["netns", "add", probe], { quiet: true });
    await run("ip", ["netns", "del", probe], { quiet: true });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A name of ours that says whose it is; test files share a process, so that its id alone is not enough. */
function uniqueName(): string {
  return `xenner-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Makes a namespace with a TAP that is up. */
export async function openTapNamespace(): Promise<TapNamespace> {
  await removeStale();
  const name = uniqueName();
  await run("ip", ["netns", "add", name], { quiet: true });
  const namespace: TapNamespace = {
    name,
    tap: TAP,
    inside: (command, args) => ({ command: "ip", args: ["netns", "exec", name, command, ...args] }),
    close: () => removeNow(name),
  };
  try {
    const ip = (...args: string[]) => run("ip", ["-n", name, ...args], { quiet: true });
    await ip("link", "set", "lo", "up");
    const { command, args } = namespace.inside("ip", [
      "tuntap",
      "add",
      "dev",
      TAP,
      "mode",
      "tap",
      "vnet_hdr",
    ]);
    await run(command, args, { quiet: true });
    await ip("addr", "add", `${HOST_ADDRESS}/${PREFIX_LENGTH}`, "dev", TAP);
    await ip("link", "set", TAP, "up");
    return namespace;
  } catch (error) {
    namespace.close();
    throw error;
  }
}

/** Synchronous, so that it also works in the last moments of the program. */
function removeNow(name: string): void {
  new Deno.Command("ip", { args: ["netns", "del", name], stdin: "null", stdout: "null", stderr: "null" })
    .outputSync();
}

/** Removes what programs left behind that were killed. */
async function removeStale(): Promise<void> {
  for (const [name, pid] of (await runText("ip", ["netns", "list"])).matchAll(/^xenner-(\d+)-\w+/gm)) {
    try {
      Deno.statSync(`/proc/${pid}`);
    } catch {
      removeNow(name);
    }
  }
}
