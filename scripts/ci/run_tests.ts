// SPDX-License-Identifier: MIT
/**
 * `xenner test`: one boot in this process, its output as it comes; or a matrix of boots, each in a process of its own (here,
 * or on whatever hosts Slurm has), and a line about each. Every process does `--only` one and leaves its result as JSON.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { readHostFile, reason } from "../../devices/loaders/host_file.ts";
import { makeInitramfs } from "./initramfs.ts";
import { type JobResult, runJob } from "./job.ts";
import { endOfLog, jobName, junitXml } from "./reports.ts";
import type { TestChoices } from "./test_options.ts";

/** Stands for the number of a boot until Slurm says it. */
const TASK = "@xenner-task@";
/** Exit status for a matrix in which something failed. */
const STATUS_FAILED = 1;

/** Runs them; returns the exit status. `args`: the command line, for the processes of a matrix. */
export async function runTests(choices: TestChoices, args: readonly string[]): Promise<number> {
  for (const path of [choices.junit, choices.json]) if (path !== undefined) await begin(path, choices);
  const { only = choices.matrix.length === 1 ? 0 : undefined } = choices;
  if (only !== undefined && !choices.slurm) {
    const result = await runOne(choices, only);
    await report(choices, [result]);
    return result.status;
  }
  const results = choices.slurm ? await bySlurm(choices, args) : await byProcesses(choices, args);
  await report(choices, results);
  const passed = results.filter(({ status }) => status === 0).length;
  say(`${passed} of ${results.length} passed`);
  return passed === results.length ? 0 : STATUS_FAILED;
}

async function runOne(choices: TestChoices, index: number): Promise<JobResult> {
  const base = choices.initrd === undefined ? undefined : await readHostFile(choices.initrd, "initrd");
  const initramfs = await makeInitramfs({
    folder: choices.folder,
    commands: choices.commands,
    ...(choices.busybox !== undefined && { busybox: choices.busybox }),
    ...(base && { base: base.bytes }),
  });
  const job = choices.matrix[index];
  if (job === undefined) throw new Error("the command line was checked");
  const result = await runJob(job, {
    commands: choices.commands,
    initramfs,
    append: choices.append,
    timeoutSeconds: choices.timeoutSeconds,
    network: choices.network,
    print: (text, to) => writeAll(Deno[to], text),
    ...(choices.memoryBytes !== undefined && { memoryBytes: choices.memoryBytes }),
    ...(choices.failOn && { failOn: choices.failOn }),
  });
  if (result.outcome !== "ran") {
    writeAll(Deno.stderr, endOfLog(result.log).map((line) => `| ${line.trimEnd()}\n`).join(""));
  }
  if (result.why !== undefined) say(result.why);
  return result;
}

/** The command line that does boot `index` and leaves its result in `json`: every report but this one is ours to make. */
function oneOf(
  args: readonly string[],
  index: number | string,
  json: string,
): { command: string; args: string[] } {
  const kept: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === "--slurm" || /^--(junit|json)=/.test(arg)) continue;
    if (arg === "--junit" || arg === "--json") i++;
    else kept.push(arg);
  }
  const own = Deno.build.standalone ? [] : ["run", "-A", Deno.mainModule];
  return { command: Deno.execPath(), args: [...own, ...kept, "--only", String(index), "--json", json] };
}

async function byProcesses(choices: TestChoices, args: readonly string[]): Promise<JobResult[]> {
  const folder = await Deno.makeTempDir({ prefix: "xenner-test-" });
  const results: JobResult[] = [];
  let next = 0, ended = 0;
  const count = choices.matrix.length;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) {
      const json = `${folder}/${index}.json`;
      const { command, args: line } = oneOf(args, index, json);
      const { code, stderr } = await new Deno.Command(command, { args: line, stdin: "null", stdout: "null" })
        .output();
      const result = results[index] = await resultOf(
        choices,
        index,
        json,
        code,
        new TextDecoder().decode(stderr),
      );
      say(lineOf(result, ++ended, count));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(choices.processes, count) }, worker));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return results;
}

/** All boots as one array job; the folder of results is here, where the hosts of a cluster see it too. */
async function bySlurm(choices: TestChoices, args: readonly string[]): Promise<JobResult[]> {
  let folder: string;
  try {
    folder = await Deno.makeTempDir({ dir: Deno.cwd(), prefix: ".xenner-test-" });
  } catch (cause) {
    throw new ConfigError(`Cannot make a folder for results here: ${reason(cause)}`, "input", { cause });
  }
  try {
    const count = choices.matrix.length;
    const { command, args: line } = oneOf(args, TASK, `${folder}/${TASK}.json`);
    const text = [command, ...line].map((word) => quote(word).replaceAll(TASK, `'"$SLURM_ARRAY_TASK_ID"'`))
      .join(" ");
    const script = `#!/bin/sh\n${text} 2>${quote(folder)}/"$SLURM_ARRAY_TASK_ID".err\n`;
    await Deno.writeTextFile(`${folder}/job.sh`, script);
    say(`${count} boots as an array job of Slurm`);
    const limit = `%${choices.processes}`;
    const sbatch = new Deno.Command("sbatch", {
      args: [
        "--wait",
        `--array=0-${count - 1}${limit}`,
        "--job-name=xenner-test",
        "--output=/dev/null",
        `${folder}/job.sh`,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    });
    const { stderr } = await sbatch.output().catch((cause) => {
      throw new ConfigError(`Cannot run sbatch: ${reason(cause)}`, "host", { cause });
    });
    const said = new TextDecoder().decode(stderr).trim().replaceAll(/\s*\n\s*/g, " ");
    const results: JobResult[] = [];
    for (let index = 0; index < count; index++) {
      const errors = await Deno.readTextFile(`${folder}/${index}.err`).catch(() => said);
      const result = await resultOf(choices, index, `${folder}/${index}.json`, STATUS_FAILED, errors);
      results.push(result);
      say(lineOf(result, index + 1, count));
    }
    return results;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a process has left; one that left nothing has said why. */
async function resultOf(
  choices: TestChoices,
  index: number,
  json: string,
  code: number,
  errors: string,
): Promise<JobResult> {
  try {
    const [result] = JSON.parse(await Deno.readTextFile(json)) as JobResult[];
    if (result !== undefined) return result;
  } catch {
    // it could not even begin, or was killed
  }
  const job = choices.matrix[index];
  if (job === undefined) throw new Error("the matrix is as long as its results");
  const why = errors.trim().split("\n").at(-1)?.replace(/^xenner: /, "") ||
    `its process ended with status ${code}`;
  return {
    ...job,
    outcome: "error",
    status: code || STATUS_FAILED,
    why,
    commands: [],
    log: errors,
    seconds: 0,
  };
}

function lineOf(result: JobResult, ended: number, count: number): string {
  const what = result.status === 0 ? "ok" : `FAILED (${result.why ?? result.outcome})`;
  return `[${ended}/${count}] ${jobName(result)}: ${what}, ${result.seconds.toFixed(1)} s`;
}

async function report(choices: TestChoices, results: readonly JobResult[]): Promise<void> {
  if (choices.json !== undefined) await write(choices.json, JSON.stringify(results, undefined, 2) + "\n");
  if (choices.junit !== undefined) await write(choices.junit, junitXml(results, choices.commands));
}

/** Whether results can be written is known before anything is booted; what is booted is not written over. */
async function begin(path: string, { matrix, initrd, busybox }: TestChoices): Promise<void> {
  const there = await Deno.realPath(path).catch(() => undefined);
  for (const input of [...matrix.map(({ kernel }) => kernel), initrd, busybox]) {
    if (there === undefined || input === undefined) continue;
    if (there === await Deno.realPath(input).catch(() => undefined)) {
      throw new ConfigError(
        `Cannot write results to "${path}": it is the same file as "${input}", name another`,
      );
    }
  }
  await write(path, "");
}

async function write(path: string, text: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, text);
  } catch (cause) {
    throw new ConfigError(`Cannot write results to "${path}": ${reason(cause)}`, "input", { cause });
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function say(line: string): void {
  writeAll(Deno.stderr, `xenner: ${line}\n`);
}

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch {
    // nobody reads it, or the disk is full: the reports and the status come all the same
  }
}
