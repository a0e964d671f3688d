// SPDX-License-Identifier: MIT
/**
 * `deno task test:kvm --ratios [--repeat=N]`: Debian's boot to /init and the bench's programs under `--engine kvm` beside
 * `qemu-system-x86_64 -accel kvm`, on the same host in turn, as a table with ratios.
 * @module
 */
import { type ProgramRun, runInGuest } from "./cpu.ts";
import { type Emulator, measureBoot } from "./guests.ts";
import { type Program, PROGRAMS } from "./programs.ts";
import { QEMU, QEMU_FIRMWARE } from "./qemu.ts";
import { type CommandLine, xenner } from "../host/child.ts";

const OURS = "Xenner, kvm", QEMUS = "QEMU, kvm";
const DEFAULT_REPEAT = 3;
/**
 * Runs of a program for each boot. As many before do not count: a thread of V8's still compiles what starts a machine, which
 * takes half of the time where there is one processor.
 */
const PROGRAM_RUNS = 5;

/** Two lists of times, run by run in turn. */
interface Compared {
  readonly what: string;
  readonly ours: readonly number[];
  readonly qemus: readonly number[];
}

/** The best of each, which other processes disturb least. */
function line({ what, ours, qemus }: Compared): string {
  const [a, b] = [Math.min(...ours), Math.min(...qemus)];
  return `| ${what} | ${a.toFixed(2)} | ${b.toFixed(2)} | ${(a / b).toFixed(2)} |`;
}

async function boots(type: Emulator["type"], repeat: number): Promise<Compared[]> {
  const both: Emulator[] = [
    { name: OURS, kind: "xenner kvm", type },
    { name: QEMUS, kind: "qemu kvm", type },
  ];
  const whole: number[][] = [[], []], inside: number[][] = [[], []];
  for (let i = 0; i < repeat; i++) {
    for (const [n, emulator] of both.entries()) {
      const { seconds, uptime } = await measureBoot(emulator, undefined, "quiet");
      whole[n]?.push(seconds);
      inside[n]?.push(uptime);
    }
  }
  const rows = [[`boot to /init, ${type}, s`, whole], [
    `the same by the guest's clock, ${type}, s`,
    inside,
  ]] as const;
  return rows.map(([what, [ours = [], qemus = []]]) => ({ what, ours, qemus }));
}

function ourCommand(image: string): CommandLine {
  return xenner([
    "run",
    "--engine",
    "kvm",
    "--memory",
    "64M",
    "--net",
    "none",
    "--console",
    "none",
    "--kernel",
    image,
  ]);
}
function qemuCommand(image: string): CommandLine {
  const machine = [
    "-M",
    "pc",
    "-accel",
    "kvm",
    "-cpu",
    "host",
    "-m",
    "64M",
    "-nodefaults",
    "-display",
    "none",
  ];
  return {
    command: QEMU,
    args: [...QEMU_FIRMWARE, ...machine, "-no-reboot", "-debugcon", "stdio", "-kernel", image],
  };
}

/** By the TSC, which is the host's in both guests: what comes to the port arrives here in batches. */
async function compared(program: Program, repeat: number): Promise<Compared> {
  const [ours = []] = await runInGuest([program], 2 * repeat, ourCommand);
  const [qemus = []] = await runInGuest([program], 2 * repeat, qemuCommand);
  const results = new Set([...ours, ...qemus].map(({ result }) => result));
  if (results.size !== 1) throw new Error(`${program.name}: results differ: ${[...results].join(", ")}`);
  const gigaticks = (runs: readonly ProgramRun[]) => runs.slice(repeat).map(({ ticks = NaN }) => ticks / 1e9);
  return { what: `${program.name}, 10^9 ticks of the TSC`, ours: gigaticks(ours), qemus: gigaticks(qemus) };
}

if (import.meta.main) {
  const repeat = Number(/^--repeat=(\d+)$/.exec(Deno.args[0] ?? "")?.[1] ?? DEFAULT_REPEAT);
  console.log(`| best | ${OURS} | ${QEMUS} | ratio |\n| --- | --- | --- | --- |`);
  for (const program of PROGRAMS) console.log(line(await compared(program, repeat * PROGRAM_RUNS)));
  for (const type of ["pvh", "hvm"] as const) {
    for (const boot of await boots(type, repeat)) console.log(line(boot));
  }
}
