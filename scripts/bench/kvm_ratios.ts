// SPDX-License-Identifier: MIT
/**
 * `deno task test:kvm --ratios [--repeat=N]`: Debian's boot to /init and the bench's programs under `--engine kvm` beside
 * `qemu-system-x86_64 -accel kvm`, on the same host in turn, as a table with ratios. In the outer guest amounts are small.
 * @module
 */
import { type ProgramRun, runInGuest } from "./cpu.ts";
import { type Emulator, measureBoot } from "./guests.ts";
import { PROGRAMS } from "./programs.ts";
import { QEMU } from "./qemu.ts";
import { median } from "./report.ts";
import { type CommandLine, xenner } from "../host/child.ts";

const OURS = "Xenner, kvm", QEMUS = "QEMU, kvm";
const DEFAULT_REPEAT = 3;
/** Programs do this part of what the bench has them do; but fib(n), which takes 1.6 times as long for each more. */
const SMALLER = 16, FIB_LESS = 6;

/** Two lists of times, run by run in turn. */
interface Compared {
  readonly what: string;
  readonly ours: readonly number[];
  readonly qemus: readonly number[];
}

function line({ what, ours, qemus }: Compared): string {
  const [a, b] = [median(ours), median(qemus)];
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
  return { command: QEMU, args: [...machine, "-no-reboot", "-debugcon", "stdio", "-kernel", image] };
}

async function programs(repeat: number): Promise<Compared[]> {
  const small = PROGRAMS.map((program) => ({
    ...program,
    amount: program.name === "fib" ? program.amount - FIB_LESS : Math.ceil(program.amount / SMALLER),
  }));
  const ours = await runInGuest(small, repeat, ourCommand);
  const qemus = await runInGuest(small, repeat, qemuCommand);
  return small.map(({ name }, p) => {
    const [a, b] = [ours[p] ?? [], qemus[p] ?? []];
    const results = new Set([...a, ...b].map(({ result }) => result));
    if (results.size !== 1) throw new Error(`${name}: results differ: ${[...results].join(", ")}`);
    const seconds = (runs: readonly ProgramRun[]) => runs.map((run) => run.seconds);
    return { what: name, ours: seconds(a), qemus: seconds(b) };
  });
}

if (import.meta.main) {
  const repeat = Number(/^--repeat=(\d+)$/.exec(Deno.args[0] ?? "")?.[1] ?? DEFAULT_REPEAT);
  console.log(`| seconds, median of ${repeat} | ${OURS} | ${QEMUS} | ratio |\n| --- | --- | --- | --- |`);
  for (const compared of await programs(repeat)) console.log(line(compared));
  for (const type of ["pvh", "hvm"] as const) {
    for (const compared of await boots(type, repeat)) console.log(line(compared));
  }
}
