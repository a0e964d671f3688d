// SPDX-License-Identifier: MIT
/**
 * `deno task bench [PART]... [--repeat=N] [--json=FILE] [--chart=FILE]`: measures us next to QEMU TCG, v86, and the host
 * where that means something, and prints tables in Markdown. Parts: cpu, boot, idle, net (all by default); work, which
 * is whole programs in guests; stress, which is all of stress-ng's stressors by jit and TCG; disk, which is fio in the Debian of `deno task debian`; debian, which is a boot of that to
 * its login prompt; and micro, which runs the *_bench.ts files. Figures of single tables are the best of N runs (default
 * 3), since other processes only ever make things slower; the last table has medians and ratios.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { EngineName } from "../../cpu/base/engine.ts";
import { type ProgramRun, runNatively, runOnQemu, runOnTestCpu, whyNotNative } from "./cpu.ts";
import { type Emulator, measureBoot, measureIdle, measureNet } from "./guests.ts";
import { measureDebian } from "./debian.ts";
import { benchDisk, type DiskEmulator } from "./disk.ts";
import { type Program, PROGRAMS } from "./programs.ts";
import { qemuVersion } from "./qemu.ts";
import { chartOf, type Row, tableOf } from "./report.ts";
import { makeVirtioInitramfs } from "./virtio.ts";
import { measureWork, type WorkEmulator } from "./guest_work/guests.ts";
import { WORK, type Work } from "./guest_work/rows.ts";
import { STRESSORS } from "./guest_work/stressors.ts";
import { makeWorkInitramfs } from "./guest_work/userland.ts";
import { whyNoV86 } from "./guest_work/v86_guest.ts";
import { makeDebian } from "../debian/make_debian.ts";
import { makeGuests } from "../guests/make_guests.ts";
import { openTapNamespace, whyNoTap } from "../host/tap_namespace.ts";

const PARTS = ["cpu", "boot", "idle", "net", "work", "stress", "disk", "debian", "micro"] as const;
/** Those that are not measured unless they are asked for. */
const EXTRA: readonly string[] = ["work", "stress", "disk", "debian", "micro"];
type Part = typeof PARTS[number];
const ENGINES = ["interp", "jit"] as const satisfies readonly EngineName[];
const NET_MIB = 128, PINGS = 50;

/** What was asked for. */
interface Choices {
  readonly parts: readonly Part[];
  readonly repeat: number;
  /** Where all rows go, with every run. */
  readonly json?: string;
  /** Where a chart of the ratios goes. */
  readonly chart?: string;
}

function parse(args: readonly string[]): Choices {
  const parts: Part[] = [];
  let repeat = 3;
  const files: { json?: string; chart?: string } = {};
  for (const arg of args) {
    const part = PARTS.find((name) => name === arg);
    const count = /^--repeat=([1-9]\d?)$/.exec(arg);
    const [, option, file] = /^--(json|chart)=(.+)$/.exec(arg) ?? [];
    if (part !== undefined) parts.push(part);
    else if (file !== undefined) files[option as "json" | "chart"] = file;
    else if (count !== null) repeat = Number(count[1]);
    else {
      throw new ConfigError(
        `Cannot measure ${JSON.stringify(arg)}: choose from ${
          PARTS.join(", ")
        } --repeat=N, --json=FILE and --chart=FILE`,
      );
    }
  }
  return {
    parts: parts.length > 0 ? parts : PARTS.filter((part) => !EXTRA.includes(part)),
    repeat,
    ...files,
  };
}

function progress(what: string): void {
  console.error(`bench: ${what}`);
}

/** Prints a table; numbers to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((text, i) => Math.max(text.length, 3, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (cells: readonly string[]) =>
    `| ${
      cells.map((text, i) => i === 0 ? text.padEnd(widths[0] as number) : text.padStart(widths[i] as number))
        .join(" | ")
    } |`;
  console.log(line(head));
  console.log(`| ${widths.map((w, i) => i === 0 ? "-".repeat(w) : "-".repeat(w - 1) + ":").join(" | ")} |`);
  for (const row of rows) console.log(line(row));
  console.log();
}

const NONE = "-";

async function benchCpu(repeat: number, qemu: string | undefined): Promise<Row[]> {
  progress("programs on a bare CPU");
  const best = (runs: readonly ProgramRun[]) => runs.reduce((a, b) => b.seconds < a.seconds ? b : a);
  const times = <T>(f: () => T) => Array.from({ length: repeat }, f);
  const qemuRuns = qemu === undefined ? undefined : await runOnQemu(PROGRAMS, repeat);
  const measured: Row[] = [];
  const rows = PROGRAMS.map((program: Program, p) => {
    const runs = ENGINES.map((engine) => times(() => runOnTestCpu(program, engine)));
    const ours = runs.map(best);
    const secondsOf = (runs: readonly ProgramRun[] | undefined) => (runs ?? []).map((run) => run.seconds);
    measured.push({
      name: program.name,
      what: program.what,
      seconds: { interp: secondsOf(runs[0]), jit: secondsOf(runs[1]), TCG: secondsOf(qemuRuns?.[p]) },
    });
    const tcg = qemuRuns?.[p] && best(qemuRuns[p]);
    const native = whyNotNative() === undefined ? best(times(() => runNatively(program))) : undefined;
    const all = [...ours, ...(tcg ? [tcg] : []), ...(native ? [native] : [])];
    if (new Set(all.map(({ result }) => result)).size !== 1) {
      throw new Error(`Results of ${program.name} differ: ${all.map(({ result }) => result).join(", ")}`);
    }
    const seconds = (run: ProgramRun | undefined) => run === undefined ? NONE : run.seconds.toFixed(3);
    return [
      program.what,
      ...ours.flatMap((run) => [
        seconds(run),
        ((run.instructions ?? 0) / run.seconds / 1e6).toFixed(0),
      ]),
      seconds(tcg),
      seconds(native),
    ];
  });
  console.log("Programs on a bare CPU\n");
  table(["program", "interp s", "M insn/s", "jit s", "M insn/s", "TCG s", "native s"], rows);
  return measured;
}

const OURS: readonly Emulator[] = (["hvm", "pvh"] as const).flatMap((type) =>
  ENGINES.map((engine) => ({ name: `${engine}, ${type}`, kind: `xenner ${engine}` as const, type }))
);
const TCG: readonly Emulator[] = [
  { name: "TCG, bzImage", kind: "qemu", type: "hvm" },
  { name: "TCG, PVH", kind: "qemu", type: "pvh" },
];

async function repeated<T>(times: number, f: () => Promise<T>): Promise<T[]> {
  const out: T[] = [];
  for (let i = 0; i < times; i++) out.push(await f());
  return out;
}

const least = (values: readonly number[]) => Math.min(...values);
const most = (values: readonly number[]) => Math.max(...values);

async function benchBoot(repeat: number, qemu: string | undefined): Promise<Row[]> {
  const rows: string[][] = [];
  const seconds: Record<string, number[]> = {};
  for (const emulator of qemu === undefined ? OURS : [...OURS, ...TCG]) {
    progress(`boot: ${emulator.name}`);
    const boots = await repeated(repeat, () => measureBoot(emulator));
    if (emulator.type === "hvm") {
      seconds[emulator.kind === "qemu" ? "TCG" : emulator.kind.slice("xenner ".length)] = boots.map((boot) =>
        boot.cpuSeconds
      );
    }
    rows.push([
      emulator.name,
      least(boots.map((boot) => boot.seconds)).toFixed(2),
      least(boots.map((boot) => boot.cpuSeconds)).toFixed(2),
      least(boots.map((boot) => boot.uptime)).toFixed(2),
    ]);
  }
  console.log("Debian's cloud kernel from the start of the process to /init\n");
  table(["emulator", "wall s", "CPU s", "guest's uptime s"], rows);
  return [{ name: "boot", what: "boot of a Debian kernel to /init, CPU time", seconds }];
}

async function benchDebian(repeat: number, qemu: string | undefined): Promise<Row[]> {
  const debian = await makeDebian({ progress });
  const emulators: readonly DiskEmulator[] = qemu === undefined ? ["jit"] : ["jit", "qemu"];
  const seconds: Record<string, number[]> = {};
  const rows: string[][] = [];
  for (const emulator of emulators) {
    const name = emulator === "qemu" ? "TCG" : emulator;
    progress(`Debian to its login prompt: ${name}`);
    const boots = await repeated(repeat, () => measureDebian(emulator, debian));
    seconds[name] = boots.map((boot) => boot.seconds);
    const cells = [boots.map((boot) => boot.seconds), boots.map((boot) => boot.cpuSeconds)];
    rows.push([name === "TCG" ? "TCG, virtio" : name, ...cells.map((values) => least(values).toFixed(1))]);
  }
  console.log("A whole Debian from the start of the process to its login prompt\n");
  table(["emulator", "wall s", "CPU s"], rows);
  return [{ name: "debian", what: "boot of a whole Debian to its login prompt, wall time", seconds }];
}

/** Whole programs in guests of each emulator. */
async function benchWork(repeat: number, qemu: string | undefined): Promise<Row[]> {
  const noV86 = whyNoV86();
  if (noV86 !== undefined) progress(`no v86: ${noV86}`);
  else await makeGuests({ names: ["pae"], progress });
  const emulators: WorkEmulator[] = ["interp", "jit"];
  if (qemu !== undefined) emulators.push("tcg");
  if (noV86 === undefined) emulators.push("v86");
  return await benchRows(WORK, emulators, repeat);
}
/** All stressors, by us and by TCG. */
async function benchStress(repeat: number, qemu: string | undefined): Promise<Row[]> {
  return await benchRows(STRESSORS, qemu === undefined ? ["jit"] : ["jit", "tcg"], repeat);
}
const NAMES = { interp: "interp", jit: "jit", tcg: "TCG", v86: "v86" } as const;
async function benchRows(
  works: readonly Work[],
  emulators: readonly WorkEmulator[],
  repeat: number,
): Promise<Row[]> {
  const file = await Deno.makeTempFile({ prefix: "xenner-bench-", suffix: ".cpio" });
  const seconds = new Map<string, Record<string, number[]>>();
  const proofs = new Map<string, Set<string>>();
  try {
    for (let i = 0; i < repeat; i++) {
      for (const emulator of emulators) {
        progress(`programs in guests: ${NAMES[emulator]}, round ${i + 1} of ${repeat}`);
        const rows = works.filter((row) => emulator !== "v86" || row.on32Bit);
        await Deno.writeFile(file, await makeWorkInitramfs(emulator === "v86" ? "i386" : "amd64", rows));
        for (const [name, run] of await measureWork(emulator, file, rows)) {
          const row = seconds.get(name) ?? {};
          (row[NAMES[emulator]] ??= []).push(run.seconds);
          seconds.set(name, row);
          proofs.set(name, (proofs.get(name) ?? new Set()).add(run.proof));
        }
      }
    }
  } finally {
    await Deno.remove(file);
  }
  for (const [name, said] of proofs) {
    if (said.size > 1) progress(`what ${name} said differs: ${[...said].join("; ")}`);
  }
  return works.map(({ name, what }) => ({ name, what, seconds: seconds.get(name) ?? {} }));
}

async function benchIdle(qemu: string | undefined): Promise<void> {
  const rows: string[][] = [];
  for (const emulator of [...OURS.slice(0, 2), ...(qemu === undefined ? [] : TCG.slice(0, 1))]) {
    progress(`idle: ${emulator.name}`);
    const idle = await measureIdle(emulator);
    rows.push([
      emulator.name,
      idle.cpuPercent.toFixed(1),
      idle.residentMiB.toFixed(0),
      idle.peakMiB.toFixed(0),
    ]);
  }
  console.log("An idle guest with 512 MiB\n");
  table(["emulator", "CPU %", "resident MiB", "peak MiB"], rows);
}

async function benchNet(repeat: number, qemu: string | undefined): Promise<void> {
  const emulators = [...OURS.slice(0, 2)];
  if (qemu !== undefined) {
    const why = await makeVirtioInitramfs();
    if (why === undefined) emulators.push({ name: "TCG, virtio-net", kind: "qemu", type: "hvm" });
    else progress(`no virtio-net for QEMU: ${why}`);
  }
  const noTap = await whyNoTap();
  if (noTap !== undefined) progress(`net: over a TAP not measured, ${noTap}`);
  const rows: string[][] = [];
  for (const over of noTap === undefined ? ["user network", "TAP"] : ["user network"]) {
    for (const emulator of emulators) {
      const name = `${emulator.name}, ${over === "TAP" || emulator.kind !== "qemu" ? over : "slirp"}`;
      progress(`net: ${name}`);
      const nets = await repeated(repeat, async () => {
        const namespace = over === "TAP" ? await openTapNamespace() : undefined;
        try {
          return await measureNet(emulator, namespace, NET_MIB, PINGS);
        } finally {
          namespace?.close();
        }
      });
      rows.push([
        name,
        most(nets.map((net) => net.sendMbits)).toFixed(0),
        most(nets.map((net) => net.receiveMbits)).toFixed(0),
        least(nets.map((net) => net.pingMs)).toFixed(2),
      ]);
    }
  }
  console.log(`Network: TCP of ${NET_MIB} MiB each way, average of ${PINGS} pings\n`);
  table(["emulator", "send Mbit/s", "receive Mbit/s", "ping ms"], rows);
}

async function main(args: readonly string[]): Promise<number> {
  const { parts, repeat, json, chart } = parse(args);
  const has = (part: Part) => parts.includes(part);
  if (parts.some((part) => part !== "micro")) {
    const qemu = await qemuVersion();
    const cores = navigator.hardwareConcurrency;
    console.log(
      `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}, ${cores} cores, ${
        qemu ?? "QEMU is not installed"
      }; best of ${repeat}\n`,
    );
    if (has("boot") || has("idle") || has("net")) await makeGuests({ names: ["cloud"], progress });
    const rows: Row[] = [];
    if (has("cpu")) rows.push(...await benchCpu(repeat, qemu));
    if (has("boot")) rows.push(...await benchBoot(repeat, qemu));
    if (has("idle")) await benchIdle(qemu);
    if (has("net")) await benchNet(repeat, qemu);
    if (has("disk")) await benchDisk({ engines: ENGINES, qemu: qemu !== undefined, progress, table });
    if (has("debian")) rows.push(...await benchDebian(repeat, qemu));
    if (has("work")) rows.push(...await benchWork(repeat, qemu));
    if (has("stress")) rows.push(...await benchStress(repeat, qemu));
    if (rows.length > 0) {
      console.log(`Medians of ${repeat}, and ratios of jit to each of the others\n`);
      const { head, body } = tableOf(rows, ["jit", "interp", "TCG", ...(has("work") ? ["v86"] : [])], "jit");
      table(head, body);
    }
    if (json !== undefined) await Deno.writeTextFile(json, JSON.stringify(rows, undefined, 2) + "\n");
    if (chart !== undefined) await Deno.writeTextFile(chart, chartOf(rows, "jit", "TCG"));
  }
  if (!has("micro")) return 0;
  const { code } = await new Deno.Command(Deno.execPath(), { args: ["bench", "-A"], stdin: "null" }).spawn()
    .status;
  return code;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`bench: ${error.message}`);
    Deno.exit(error.kind === "host" ? 3 : 2);
  }
}
