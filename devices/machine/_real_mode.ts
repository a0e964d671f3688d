// SPDX-License-Identifier: MIT
/** A machine that starts in real mode: a flat binary at a segment, as a boot sector or an option ROM would. @module */
import { SPIN, tinyGuest } from "../../tests/_tiny_guest.ts";
import { Machine } from "./machine.ts";
import type { MachineOptions } from "./machine_options.ts";

const LIMIT = 0xffff, CODE = 0x9b, DATA = 0x93;

/** Puts `image` at `segment`:0 and lets the CPU start there: all segments alike, SP 0, the vector table at 0. */
export async function realModeMachine(
  image: Uint8Array,
  segment: number,
  options: Partial<MachineOptions> & Pick<MachineOptions, "clock">,
): Promise<Machine> {
  const machine = await Machine.create({
    kernel: { name: "flat", bytes: tinyGuest(SPIN) },
    memoryBytes: 4 << 20,
    type: "hvm",
    ...options,
  });
  const { engine, memory } = machine.board;
  const at = { selector: segment, base: BigInt(segment * 16), limit: LIMIT };
  const data = { ...at, attributes: DATA };
  engine.reset();
  memory.write(segment * 16, image);
  engine.writeRegisters({
    rip: 0n,
    rflags: 2n,
    gprs: { rsp: 0n },
    segments: { cs: { ...at, attributes: CODE }, ds: data, es: data, ss: data, fs: data, gs: data },
    gdtr: { base: 0n, limit: LIMIT },
    idtr: { base: 0n, limit: 0x3ff },
  });
  return machine;
}

/** A clock for guests that never sleep. */
export const SLEEPLESS: MachineOptions["clock"] = {
  monotonicNs: () => performance.now() * 1e6,
  unixSeconds: () => 1_700_000_000,
  breathe: () => Promise.resolve(),
  sleep: () => Promise.reject(new Error("nobody sleeps here")),
};

/** Runs what `make` makes with this serial port to its end: what came out of it, a blank, and how it ended. */
export async function serialOf(
  make: (serial: NonNullable<MachineOptions["serial"]>) => Promise<Machine>,
): Promise<string> {
  let text = "";
  const machine = await make({ output: (bytes) => void (text += new TextDecoder().decode(bytes)) });
  const { reason } = await machine.run();
  machine.close();
  return `${text} ${reason}`;
}
