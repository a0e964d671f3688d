// SPDX-License-Identifier: MIT
/**
 * Builds and runs x87_native.c, the host's own FPU as a judge. As a program it makes cpu/fpu/vectors.json anew:
 * `deno run -A tests/_x87_native.ts [seed]`.
 * @module
 */
import { everyEncoding, makeCase, Random, REC, RECORD_BYTES } from "../cpu/fpu/_vectors.ts";
import { formOf } from "../cpu/fpu/instructions.ts";
import {
  digest,
  readRecording,
  recordedBytes,
  type RecordedGroup,
  writeRecording,
} from "./vectors/_recording.ts";

/** Why this host cannot judge; undefined when it can. */
export function whyNot(): string | undefined {
  if (Deno.env.has("XENNER_TEST_NO_NATIVE")) return "XENNER_TEST_NO_NATIVE is set";
  if (Deno.build.arch !== "x86_64" || Deno.build.os !== "linux") return "not an x86-64 Linux host";
  for (const permission of ["run", "read", "write"] as const) {
    const granted = Deno.permissions.querySync({ name: permission }).state === "granted";
    if (!granted) return `no --allow-${permission}`;
  }
  try {
    new Deno.Command("cc", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
  } catch {
    return "no C compiler";
  }
  return undefined;
}

/** Runs the records on the host's FPU. */
export async function runNative(input: DataView): Promise<DataView> {
  const folder = await Deno.makeTempDir({ prefix: "x87" });
  try {
    const source = new URL("./_x87_native.c", import.meta.url).pathname;
    const program = `${folder}/x87_native`;
    const built = await new Deno.Command("cc", { args: ["-O1", "-o", program, source] }).output();
    if (!built.success) throw new Error(new TextDecoder().decode(built.stderr));
    const child = new Deno.Command(program, { stdin: "piped", stdout: "piped" }).spawn();
    const writer = child.stdin.getWriter();
    const written = writer.write(new Uint8Array(input.buffer as ArrayBuffer)).then(() => writer.close());
    const { stdout, success } = await child.output();
    await written;
    if (!success || stdout.length !== input.byteLength) throw new Error("x87_native failed");
    return new DataView(stdout.buffer, stdout.byteOffset, stdout.byteLength);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** `count` random cases for each of the encodings. */
export function makeCases(encodings: readonly [number, number][], count: number, seed: number): DataView {
  const random = new Random(seed);
  const input = new DataView(new ArrayBuffer(encodings.length * count * RECORD_BYTES));
  let at = 0;
  for (const [op, modrm] of encodings) {
    for (let n = 0; n < count; n++, at += RECORD_BYTES) makeCase(random, input, at, op, modrm);
  }
  return input;
}

/** Seeds of the cases for every encoding; each is a group of tests/vectors/x87.gz. */
export const SEEDS: readonly number[] = [1, 2];
const CASES_PER_ENCODING = 60;
const RECORDING = "x87";

/** The cases of a seed. */
export function casesOf(seed: number): DataView {
  return makeCases(everyEncoding(), CASES_PER_ENCODING, seed);
}

const bytesOf = (view: DataView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const topOf = (view: DataView, at: number) => view.getUint16(at + REC.fsw, true) >>> 11 & 7;
const ST_BYTES = 10, ST_END = REC.st + 8 * ST_BYTES;

/**
 * Differences between `input` and results (xor), ST0..ST7 as the registers R0..R7 that they were, so that a push
 * changes one. The same again turns differences into results when `back`.
 */
function delta(input: DataView, other: DataView, back: boolean): DataView {
  const out = new DataView(new ArrayBuffer(input.byteLength));
  for (let at = 0; at < input.byteLength; at += RECORD_BYTES) {
    for (let n = 0; n < RECORD_BYTES; n++) {
      if (n < REC.st || n >= ST_END) out.setUint8(at + n, input.getUint8(at + n) ^ other.getUint8(at + n));
    }
    const before = topOf(input, at), after = topOf(back ? out : other, at);
    for (let r = 0; r < 8; r++) {
      const packed = at + REC.st + r * ST_BYTES, st = at + REC.st + ((r - after) & 7) * ST_BYTES;
      const from = at + REC.st + ((r - before) & 7) * ST_BYTES;
      for (let k = 0; k < ST_BYTES; k++) {
        const byte = other.getUint8((back ? packed : st) + k) ^ input.getUint8(from + k);
        out.setUint8((back ? st : packed) + k, byte);
      }
    }
  }
  return out;
}

/** Runs the cases of every seed on the host's FPU and records what it did. */
export async function recordX87(cpu: string): Promise<number> {
  const groups: RecordedGroup[] = [];
  for (const seed of SEEDS) {
    const input = casesOf(seed);
    const bytes = bytesOf(delta(input, await runNative(input), false));
    groups.push({ name: `seed ${seed}`, inputs: digest([bytesOf(input)]), bytes });
  }
  const about = "x87: results of tests/_x87_native.ts's cases on a real CPU, differences from the inputs; " +
    "by scripts/vectors/record.ts";
  await writeRecording(RECORDING, { about, cpu, groups });
  return groups.length;
}

/** What was recorded for the cases of a seed. */
export async function readX87(seed: number, input: DataView): Promise<DataView> {
  const { groups } = await readRecording(RECORDING);
  const byName = new Map(groups.map((group) => [group.name, group]));
  const bytes = recordedBytes(RECORDING, byName, `seed ${seed}`, digest([bytesOf(input)]));
  return delta(input, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), true);
}

/** The cases that go into vectors.json: two encodings of each "+i" row; registers that do not matter are zero. */
function vectorCases(seed: number): DataView {
  const random = new Random(seed);
  const seen = new Map<string, number>();
  const encodings = everyEncoding().filter(([op, modrm]) => {
    const { name } = formOf(op, modrm);
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 || (name !== "(invalid)" && count === 1 + random.below(6));
  });
  const input = makeCases(encodings, 14, seed);
  for (let at = 0; at < input.byteLength; at += RECORD_BYTES) {
    const i = input.getUint8(at + REC.modrm) & 7;
    const { name } = formOf(input.getUint8(at + REC.op), input.getUint8(at + REC.modrm));
    for (let n = 2; n < 8; n++) {
      if (n === i || name.startsWith("FNSAVE")) continue;
      for (let k = 0; k < 10; k++) input.setUint8(at + REC.st + 10 * n + k, 0);
    }
  }
  return input;
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  let text = "";
  for (const byte of packed) text += String.fromCharCode(byte);
  return btoa(text);
}

if (import.meta.main) {
  const seed = Number(Deno.args[0] ?? 80387);
  const input = vectorCases(seed);
  const real = await runNative(input);
  const both = new Uint8Array(2 * input.byteLength);
  for (let n = 0; n < input.byteLength; n++) {
    both[n] = input.getUint8(n);
    both[input.byteLength + n] = input.getUint8(n) ^ real.getUint8(n);
  }
  const cpu = /model name\s*: (.*)/.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "unknown";
  const text = JSON.stringify(
    {
      about:
        "x87 instructions run on a real processor; see _vectors.ts for the record. All inputs, then all " +
        "outputs xor inputs; deflated",
      by: "tests/_x87_native.ts and x87_native.c",
      cpu,
      seed,
      records: input.byteLength / RECORD_BYTES,
      deflate: await deflate(both),
    },
    null,
    2,
  );
  await Deno.writeTextFile(new URL("../cpu/fpu/vectors.json", import.meta.url), text + "\n");
}
