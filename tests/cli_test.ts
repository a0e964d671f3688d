// SPDX-License-Identifier: MIT
/** The program from outside: exit statuses, messages, signals, a closed stdout, the terminal. @module */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { onTerminal, terminalTest } from "./_terminal.ts";
import { faultLoopGuest } from "./guests/_fault_loop_guest.ts";
import { debugPrint, SERIAL_TO_DEBUG, SPIN, tinyGuest, TRIPLE_FAULT, YES_ON_SERIAL } from "./_tiny_guest.ts";

const MOD = new URL("../mod.ts", import.meta.url).pathname;
/** The same without the way around that keeps it away from those who import mod.ts. */
const CLI = new URL("../scripts/cli/cli.ts", import.meta.url).pathname;
const dir = await Deno.makeTempDir({ prefix: "xenner-cli-" });
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));

async function file(name: string, content: Uint8Array | string): Promise<string> {
  const path = `${dir}/${name}`;
  await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  return path;
}
const crash = await file("crash", tinyGuest([...debugPrint("hi"), ...TRIPLE_FAULT]));
const spin = await file("spin", tinyGuest([...debugPrint("spinning"), ...SPIN]));
const faults = await file("faults", faultLoopGuest());
const yes = await file("yes", tinyGuest(YES_ON_SERIAL));
const echo = await file("echo", tinyGuest([...debugPrint("ready"), ...SERIAL_TO_DEBUG]));
const empty = await file("empty", "");
const noKernel = await file("text", "no kernel\n");
const noNote = await file("no-note", tinyGuest(SPIN).map((byte, i) => i >= 0x208 && i < 0x20c ? 0 : byte));
const cut = await file("cut", tinyGuest(SPIN).subarray(0, 0x1f0));
const big = await file("big", new Uint8Array(8 << 20).fill(1));

function xenner(args: readonly string[], options: Deno.CommandOptions = {}): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MOD, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
    ...options,
  });
}
async function outcome(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await xenner(args).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

const BAD: readonly (readonly [what: string, args: string[], code: number, message: RegExp])[] = [
  ["unknown option", ["run", "-k", spin, "--bogus"], 2, /unknown option '--bogus'/],
  ["missing kernel", ["run", "-k", `${dir}/nothing`], 2, /Cannot read kernel ".*nothing": no such file/],
  ["directory", ["run", "-k", dir], 2, /it is a directory/],
  ["empty kernel", ["run", "-k", empty], 2, /it is empty/],
  ["no kernel", ["run", "-k", noKernel], 2, /neither a bzImage nor an ELF file/],
  ["truncated kernel", ["run", "-k", cut], 2, /truncated/],
  ["kernel without PVH note", ["run", "-k", noNote, "--type", "pvh"], 2, /no PVH entry point/],
  ["empty initrd", ["run", "-k", spin, "--initrd", empty], 2, /initrd ".*empty": it is empty/],
  [
    "initrd that does not fit",
    ["run", "-k", spin, "--initrd", big, "--memory", "4M"],
    2,
    /Cannot place initrd/,
  ],
  ["too little memory", ["run", "-k", spin, "--memory", "1M"], 2, /2 MiB to 3 GiB/],
  ["absurd memory", ["run", "-k", spin, "--memory", "999999999G"], 2, /as a size/],
  [
    "unwritable capture",
    ["run", "-k", spin, "--net", "none", "--pcap", `${dir}/no/p`],
    2,
    /Cannot write capture/,
  ],
  [
    "unwritable console",
    ["run", "-k", spin, "--console", `file:${dir}/no/c`],
    2,
    /Cannot write console file/,
  ],
  [
    "TAP name too long",
    ["run", "-k", spin, "--net", "tap,ifname=a123456789012345"],
    2,
    /longer than 15 bytes/,
  ],
  ["no TAP", ["run", "-k", spin, "--net", "tap,ifname=lo"], 3, /Cannot open/],
];
for (const [what, args, code, message] of BAD) {
  Deno.test(`xenner refuses ${what}: status ${code}, one line`, async () => {
    const result = await outcome(...args);
    assertEquals([result.code, result.out], [code, ""], result.err);
    assertMatch(result.err, message);
    assertMatch(result.err, /^xenner: [^\n]+\n$/);
  });
}

Deno.test("a triple fault is status 1, with registers and a disassembly", async () => {
  const { code, out, err } = await outcome("run", "-k", crash, "--serial", "stdio");
  assertEquals([code, out], [1, "hi"]);
  assertMatch(err, /the guest crashed: triple fault/);
  assertMatch(err, /rip +0x0000000000100008/);
  assertMatch(err, /last blocks seen:\n +0x0000000000100000\n/);
  assertMatch(err, /\n-- 00100000 +b0 68 +mov \$0x68,%al\n +00100002 +e6 e9 +out %al,\$0xE9\n/);
  assertMatch(err, /the guest is at\n=> 00100008 +0f 0b +ud2/);
});

/** Files that hold "mine", and are to hold it still after `args` have been refused. */
const mine = await file("mine", "mine");
await Deno.link(mine, `${dir}/mine too`);
await Deno.symlink("mine", `${dir}/mine by link`);
const LOSSES: readonly (readonly [what: string, args: string[], code: number, message: RegExp])[] = [
  ["a missing kernel", ["-k", `${dir}/nothing`, "--console", `file:${mine}`], 2, /no such file/],
  ["a bad kernel", ["-k", noKernel, "--serial", `file:${mine}`], 2, /neither a bzImage nor/],
  ["a missing initrd", ["-k", spin, "-i", `${dir}/nothing`, "--console", `file:${mine}`], 2, /no such file/],
  ["an initrd too big", ["-k", spin, "-i", big, "-m", "4M", "--console", `file:${mine}`], 2, /place initrd/],
  ["no TAP", ["-k", spin, "--net", "tap,ifname=lo", "--pcap", mine], 3, /Cannot open/],
  [
    "another output that cannot be",
    ["-k", spin, "--console", `file:${mine}`, "--serial", `file:${dir}/no/s`],
    2,
    /Cannot write serial file/,
  ],
  ["the kernel as output", ["-k", mine, "--console", `file:${dir}/mine too`], 2, /same file as the kernel/],
  ["the initrd as output", ["-k", spin, "-i", mine, "--net", "none", "--pcap", mine], 2, /as the initrd/],
  [
    "two consoles in a file",
    ["-k", spin, "--console", `file:${mine}`, "--serial", `file:${dir}/mine by link`],
    2,
    /Cannot write console file ".*mine": it is the same file as serial file ".*mine by link", name another/,
  ],
  [
    "a second capture in the console's file",
    ["-k", spin, ...["--net", "none", "--net", "none", "--pcap", `${dir}/p`, "--console", `file:${dir}/p.1`]],
    2,
    /Cannot write capture ".*p\.1": it is the same file as console file/,
  ],
];
for (const [what, args, code, message] of LOSSES) {
  Deno.test(`nothing is lost or left behind because of ${what}`, async () => {
    const before = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    const result = await outcome("run", "--timeout", "5", ...args);
    assertEquals([result.code, result.out], [code, ""], result.err);
    assertMatch(result.err, message);
    assertMatch(result.err, /^xenner: [^\n]+\n$/);
    assertEquals(await Deno.readTextFile(mine), "mine");
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), before);
  });
}

Deno.test("a file that standard output goes to is no output of another kind", async () => {
  const log = await file("stdout", "");
  const line =
    `exec "${Deno.execPath()}" run -A "${MOD}" run -k "${spin}" --timeout 5 --console "file:${log}" >>"${log}"`;
  const { code, stderr } = await new Deno.Command("sh", { args: ["-c", line] }).output();
  assertEquals(code, 2);
  assertMatch(new TextDecoder().decode(stderr), /it is the same file as standard output, name another/);
});

Deno.test("a crash is status 1 and reported whatever else fails: no right to read the disassembler", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", `--allow-read=${crash}`, CLI, "run", "-k", crash],
    stdin: "null",
  }).output();
  const err = new TextDecoder().decode(stderr);
  assertEquals([code, new TextDecoder().decode(stdout)], [1, "hi"], err);
  assertMatch(err, /the guest crashed: triple fault/);
  assertMatch(err, /rip +0x0000000000100008/);
  assertMatch(err, /\(no disassembly: [^\n]+\)\n-- 00100000 +b0 68 e6 e9/);
  assertMatch(err, /the guest is at\n=> 00100008 +0f 0b/);
});

const BROKEN_OUTPUTS:
  readonly (readonly [what: string, options: string, redirections: string, says: RegExp])[] = [
    [
      "a full disk under a console",
      "--serial file:/dev/full",
      "",
      /warning: Cannot write serial file "\/dev\/full": /,
    ],
    ["a full disk under stdout", "", ">/dev/full", /warning: Cannot write to standard output: /],
    ["a full disk under a capture", "--net none --pcap /dev/full", "", /warning: Cannot write capture/],
    ["a full disk under stderr", "--stats", "2>/dev/full", /^$/],
    ["no stderr", "--stats", "2>&-", /^$/],
    ["no stdout", "", ">&-", /the guest crashed/],
  ];
for (const [what, options, redirections, says] of BROKEN_OUTPUTS) {
  Deno.test(`a crash stays a crash with ${what}`, async () => {
    const line = `exec "${Deno.execPath()}" run -A "${MOD}" run -k "${crash}" ${options} ${redirections}`;
    const { code, stderr } = await new Deno.Command("sh", { args: ["-c", line], stdin: "null" }).output();
    const err = new TextDecoder().decode(stderr);
    assertEquals(code, 1, err);
    assertMatch(err, says);
    if (err !== "") assertMatch(err, /the guest is at\n=> 00100008 +0f 0b +ud2/);
  });
}

Deno.test("a packed kernel runs like any other", async () => {
  const packed = new Blob([await Deno.readFile(crash)]).stream().pipeThrough(new CompressionStream("gzip"));
  const { code, out, err } = await outcome(
    ...["run", "-k", await file("packed", new Uint8Array(await new Response(packed).arrayBuffer()))],
  );
  assertEquals([code, out], [1, "hi"], err);
});

Deno.test("--timeout is status 124; --stats=json is a line of its own; consoles go to files", async () => {
  const log = `${dir}/log`;
  const { code, out, err } = await outcome(
    ...["run", "-k", spin, "--serial", `file:${log}`, "--timeout", "0.5", "--stats=json"],
  );
  assertEquals([code, out], [124, ""], err);
  assertEquals(await Deno.readTextFile(log), "spinning");
  const [first, second] = err.trim().split("\n");
  assertEquals(first, "xenner: timeout after 0.5 s");
  assert(JSON.parse(second ?? "").instructions > 1000);
});

Deno.test("--trace-file has the traces, with guest time; stderr is left to others", async () => {
  const trace = `${dir}/trace`;
  const { code, err } = await outcome(
    ...["run", "-k", crash, "--trace=exception,cpu", "--trace-file", trace, "--stats=json"],
  );
  assertEquals(code, 1);
  const lines = (await Deno.readTextFile(trace)).trim().split("\n");
  assertMatch(lines[0] ?? "", /^\[ +0\.\d{6}\] exception: vector 6 rip 0x100008$/);
  assertMatch(lines.at(-1) ?? "", /cpu: triple fault/);
  assert(!/exception:/.test(err), err);
  assert(JSON.parse(err.trim().split("\n").at(-1) ?? "").instructions > 0);
});

for (const engine of ["interp", "jit"]) {
  Deno.test(`--timeout ends a guest that does nothing but fault: ${engine}`, async () => {
    const { code, out, err } = await outcome("run", "-k", faults, "--engine", engine, "--timeout", "0.5");
    assertEquals([code, out, err], [124, "f", "xenner: timeout after 0.5 s\n"]);
  });
}

for (const [signal, status] of [["SIGTERM", 143], ["SIGINT", 130], ["SIGHUP", 129]] as const) {
  for (
    const [what, guest] of [["a busy machine", spin], [
      "a guest that does nothing but fault",
      faults,
    ]] as const
  ) {
    Deno.test(`${signal} ends ${what} cleanly, with status ${status}`, async () => {
      const child = xenner(["run", "-k", guest]).spawn();
      const reader = child.stdout.getReader();
      await reader.read(); // it runs
      child.kill(signal);
      reader.releaseLock();
      const { code, stderr } = await child.output();
      assertEquals([code, new TextDecoder().decode(stderr)], [status, ""]);
    });
  }
}

Deno.test("a closed stdout ends the machine quietly, as SIGPIPE would", async () => {
  const child = xenner(["run", "-k", yes]).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assertEquals([code, stderr], [141, ""]);
});

terminalTest("Ctrl-A x quits with status 0 and restores the terminal", async () => {
  // stty(1) shows what is left of it
  const line = `stty -g >${dir}/before; ${Deno.execPath()} run -A ${MOD} run -k ${spin}; ` +
    `echo "status $?"; stty -g >${dir}/after`;
  let typed = 0;
  const screen = await onTerminal(line, async (screen, terminal) => {
    if (typed === 0 && screen.includes("spinning")) {
      await terminal.type("\x01h");
      typed = 1;
    }
    if (typed === 1 && screen.includes("this help")) {
      await terminal.type("\x01x");
      typed = 2;
    }
    if (screen.includes("status ")) await terminal.hangUp();
  });
  assertMatch(screen, /Ctrl-A x +quit/);
  assertMatch(screen, /status 0/);
  assertEquals(await Deno.readTextFile(`${dir}/after`), await Deno.readTextFile(`${dir}/before`));
});

Deno.test("a guest that halts for good ends with status 0 and one line", async () => {
  const kernel = await file("halt", tinyGuest([...debugPrint("bye"), 0xfa, 0xf4, 0xeb, 0xfd])); // cli; hlt; jmp back to hlt
  assertEquals(await outcome("run", "-k", kernel, "--memory", "4M", "--timeout", "60"), {
    code: 0,
    out: "bye",
    err: "xenner: the guest halted: HLT with interrupts off, and nothing that could end it\n",
  });
});

terminalTest("typing follows Ctrl-A c, not what was printed last", async () => {
  /** What to type once the screen shows something. */
  const steps: [string, string][] = [
    ["ready", "A\x01c"], // A is for the Xen console, where nobody reads
    ["ttyS0", "B"],
    ["B", "\x01cC\x01cD"],
    ["D", "\x01x"],
  ];
  const line = `${Deno.execPath()} run -A ${MOD} run -k ${echo} --append console=hvc0`;
  const screen = await onTerminal(line, async (screen, terminal) => {
    while (steps[0] !== undefined && screen.includes(steps[0][0])) {
      await terminal.type(steps.shift()?.[1] ?? "");
    }
  });
  assertEquals(steps.length, 0, screen);
  assertMatch(screen, /typing goes to the serial port \(ttyS0\)/);
  assertMatch(screen, /typing goes to the Xen console \(hvc0\)/);
  assertEquals(screen.replaceAll(/\r+\nxenner: [^\n]*\n/g, ""), "readyBD");
});

Deno.test("deno bundle makes one file that runs", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--output", `${dir}/xenner.js`, CLI],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const run = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "xenner.js", "run", "-k", crash],
    cwd: dir,
    stdin: "null",
  }).output();
  const err = new TextDecoder().decode(run.stderr);
  assertEquals([run.code, new TextDecoder().decode(run.stdout)], [1, "hi"], err);
  assertMatch(err, /the guest crashed: triple fault/);
});

/** mov dx,port; mov al,value; out dx,al */
const outByte = (port: number, value: number) => [0x66, 0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];
const PANIC_LINE = "[    1.000000] Kernel panic - not syncing: ";
const RESET = outByte(0xcf9, 6);
/** Prints `text` on the debug port, then goes on with `code`: mov esi,text; lodsb; test al,al; jz end; out 0xe9,al; jmp. */
function prints(text: string, code: readonly number[]): number[] {
  const loop = [0xac, 0x84, 0xc0, 0x74, 0x04, 0xe6, 0xe9, 0xeb, 0xf7];
  const at = 0x10_0000 + 5 + loop.length + code.length;
  return [
    0xbe,
    ...[0, 8, 16, 24].map((n) => (at >>> n) & 0xff),
    ...loop,
    ...code,
    ...new TextEncoder().encode(text),
    0,
  ];
}
const ENDS: readonly (readonly [
  what: string,
  code: readonly number[],
  options: string[],
  status: number,
  says: RegExp,
])[] = [
  [
    "a panic that reboots",
    prints(PANIC_LINE + "bad\n", RESET),
    [],
    4,
    /the guest panicked: bad\n/,
  ],
  [
    "a panic that reboots, --no-reboot",
    prints(PANIC_LINE + "bad\n", RESET),
    ["--no-reboot"],
    4,
    /panicked: bad/,
  ],
  ["a panic that spins", prints(PANIC_LINE + "bad\n", SPIN), [], 4, /panicked: bad/],
  ["a panic that halts", prints(PANIC_LINE + "x\n", [0xfa, 0xf4]), [], 4, /panicked: x/],
  ["a panic that faults", prints(PANIC_LINE + "x\n", TRIPLE_FAULT), [], 4, /panicked: x/],
  ["pvpanic", [...outByte(0x505, 1), ...SPIN], [], 4, /panicked: the guest says so \(pvpanic\)/],
  [
    "a panic that is ignored",
    prints(PANIC_LINE + "x\n", RESET),
    ["--panic", "ignore", "--no-reboot"],
    0,
    /^$/,
  ],
  [
    "pvpanic that is ignored",
    [...outByte(0x505, 1), ...RESET],
    ["--panic", "ignore", "--no-reboot"],
    0,
    /^$/,
  ],
  [
    "--fail-on",
    prints("ok\nBUG: it\n", SPIN),
    ["--fail-on", "^BUG:"],
    5,
    /--fail-on matches: BUG: it\n/,
  ],
  [
    "an init that fails",
    prints(`${PANIC_LINE}Attempted to kill init! exitcode=0x00000300\n`, RESET),
    [],
    6,
    /the guest has ended: init exited with status 3\n/,
  ],
  [
    "an init that succeeds",
    prints(`${PANIC_LINE}Attempted to kill init! exitcode=0x00000000\n`, RESET),
    [],
    0,
    /init exited with status 0\n/,
  ],
  ["a loop of reboots", RESET, [], 7, /does nothing but reboot: 11 reboots, none later than/],
  ["a shorter one", RESET, ["--max-reboots", "2"], 7, /does nothing but reboot: 3 reboots/],
  ["one reboot", RESET, ["--no-reboot"], 0, /^$/],
];
for (const [what, code, options, status, says] of ENDS) {
  Deno.test(`${what} ends with status ${status} and at most one line`, async () => {
    const kernel = await file("end", tinyGuest(code));
    const result = await outcome("run", "-k", kernel, "--memory", "4M", "--timeout", "60", ...options);
    assertEquals(result.code, status, result.err);
    assertMatch(result.err, says);
    assertMatch(result.err, /^(xenner: [^\n]+\n)?$/);
  });
}

terminalTest("the terminal's size stands in xenstore, and so does what it becomes", async () => {
  const trace = `${dir}/size trace`;
  const line = `stty cols 101 rows 31; ${Deno.execPath()} run -A ${MOD} run -k ${spin} --net none ` +
    `--trace=xenstore --trace-file "${trace}"`;
  let tty: string | undefined;
  const written = (size: string) => Deno.readTextFileSync(trace).includes(`console/size ${size}`);
  const until = async (size: string) => {
    for (let tries = 0; tries < 600 && !written(size); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert(written(size), `no ${size} in xenstore`);
  };
  const screen = await onTerminal(line, async (screen, terminal) => {
    if (tty !== undefined || !screen.includes("spinning")) return;
    await until("101x31");
    const children = await Deno.readTextFile(`/proc/${terminal.pid}/task/${terminal.pid}/children`);
    tty = await Deno.readLink(`/proc/${children.split(" ")[0]}/fd/0`);
    await new Deno.Command("stty", { args: ["-F", tty, "cols", "99", "rows", "29"] }).output();
    await until("99x29");
    await terminal.type("\x01x");
    await terminal.hangUp();
  });
  assert(tty !== undefined, screen);
});
