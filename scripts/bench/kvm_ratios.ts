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
import { median } from "./report.ts";
import { type CommandLine, xenner } from "../host/child.ts";

const OURS = "Xenner, kvm", QEMUS = "QEMU, kvm";
const DEFAULT_REPEAT = 3;
/**
 * Runs of a program for each boot, of which the first half does not count: a thread of V8's still compiles what starts a
 * machine, which takes half of the time where there is one processor.
 */
const PROGRAM_RUNS = 6;

/** Two lists of times, run by run in turn. */
interface Compared {
  readonly what: string;
  readonly ours: readonly number[];
  readonly qemus: readonly number[];
}

/** `typical`: of a list, median or mean. */
function line({ what, ours, qemus }: Compared, typical: (values: readonly number[]) => number): string {
  const [a, b] = [typical(ours), typical(qemus)];
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
  const rows = [[`boot to /init, ${type}`, whole], [
    `the same by the guest's clock, ${type}`,
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

/** What comes to the port arrives in batches, so that runs are long and short; all of them together are right. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function compared(program: Program, repeat: number): Promise<Compared> {
  const [ours = []] = await runInGuest([program], repeat, ourCommand);
  const [qemus = []] = await runInGuest([program], repeat, qemuCommand);
  const results = new Set([...ours, ...qemus].map(({ result }) => result));
  if (results.size !== 1) throw new Error(`${program.name}: results differ: ${[...results].join(", ")}`);
  const seconds = (runs: readonly ProgramRun[]) => runs.slice(runs.length / 2).map((run) => run.seconds);
  return { what: program.name, ours: seconds(ours), qemus: seconds(qemus) };
}

if (import.meta.main) {
  const repeat = Number(/^--repeat=(\d+)$/.exec(Deno.args[0] ?? "")?.[1] ?? DEFAULT_REPEAT);
  console.log(
    `| seconds, of ${repeat} boots and ${
      repeat * PROGRAM_RUNS
    } runs | ${OURS} | ${QEMUS} | ratio |\n| --- | --- | --- | --- |`,
  );
  for (const program of PROGRAMS) {
    console.log(line(await compared(program, repeat * PROGRAM_RUNS), mean));
  }
  for (const type of ["pvh", "hvm"] as const) {
    for (const boot of await boots(type, repeat)) console.log(line(boot, median));
  }
}
