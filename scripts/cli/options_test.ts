// SPDX-License-Identifier: MIT
import { assertEquals, assertMatch } from "@std/assert";
import { parseCommandLine, type RunChoices, TRACE_CATEGORIES, VERSION } from "./options.ts";

function run(...args: string[]): RunChoices {
  const result = parseCommandLine(["run", "--kernel", "k", ...args]);
  if (!("run" in result)) throw new Error(JSON.stringify(result));
  return result.run;
}
/** What it prints instead of running anything. */
function printed(...args: string[]): { status: number; stdout: string; stderr: string } {
  const result = parseCommandLine(args);
  if (!("status" in result)) throw new Error("it would run");
  return result;
}
function refused(...args: string[]): string {
  const { status, stdout, stderr } = printed(...args);
  assertEquals([status, stdout], [2, ""]);
  return stderr;
}

Deno.test("the command line has the documented defaults", () => {
  assertEquals(run(), {
    boot: { kernel: "k" },
    modules: [],
    append: "",
    memoryBytes: 512 * 2 ** 20,
    nets: [],
    disks: [],
    shares: [],
    serial: "stdio",
    console: "stdio",
    engine: "jit",
    cpu: "x86-64-v2,+sha_ni",
    cpuVendor: "intel",
    icount: false,
    hypercallPages: 1,
    patch: true,
    xenVersion: "4.17",
    reboot: true,
    maxReboots: 10,
    panic: "end",
    trace: [],
  });
});

Deno.test("every option arrives", () => {
  const args =
    "--initrd i --append console=hvc0\\x20x --memory 1G --type pvh --net tap,ifname=t0,mac=00:16:3e:00:00:05 " +
    "--net hub=a,responder --net none --pcap p --serial none --console file:/tmp/c --engine interp --icount " +
    "--no-patch --cpu v1,+sse4.1,+sse3,+ssse3 --cpu-vendor amd " +
    "--hypercall-pages 2 --xen-version 4.19 --no-reboot --timeout 1.5 --stats=json --trace=net,xenstore " +
    "--module m\\x20a=1\\x20\\x20b --module n " +
    "--rtc 2026-01-31T12:00:00Z --trace-file t --max-reboots 3 --panic ignore --fail-on BUG: --fail-on Oops";
  assertEquals(run(...args.split(" ").map((arg) => arg.replaceAll("\\x20", " "))), {
    boot: { kernel: "k" },
    initrd: "i",
    modules: [{ path: "m", cmdline: "a=1  b" }, { path: "n", cmdline: "" }],
    append: "console=hvc0 x",
    memoryBytes: 2 ** 30,
    type: "pvh",
    nets: [
      { kind: "tap", ifname: "t0", mac: "00:16:3e:00:00:05" },
      { kind: "hub", name: "a", responder: true },
      { kind: "none" },
    ],
    disks: [],
    shares: [],
    pcap: "p",
    serial: "none",
    console: { file: "/tmp/c" },
    engine: "interp",
    cpu: "v1,+sse4.1,+sse3,+ssse3",
    cpuVendor: "amd",
    icount: true,
    hypercallPages: 2,
    patch: false,
    xenVersion: "4.19",
    reboot: false,
    maxReboots: 3,
    panic: "ignore",
    failOn: /BUG:|Oops/,
    timeoutSeconds: 1.5,
    stats: "json",
    trace: ["net", "xenstore"],
    rtc: new Date(Date.UTC(2026, 0, 31, 12)),
    traceFile: "t",
  });
});

Deno.test("every kind of network arrives", () => {
  const nets = [
    "user",
    "user,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::53-10.0.2.16:53,restrict,mac=00:16:3e:00:00:05",
    "user,net=192.168.9.0/24,host=192.168.9.1,dns=192.0.2.53,restrict=off,guestfwd=tcp:192.168.9.8:80-:8080",
    "stream,connect=127.0.0.1:1234",
    "stream,listen=unix:/tmp/s",
    "passt,arg=-t,arg=2222:22",
  ];
  assertEquals(run(...nets.flatMap((net) => ["--net", net])).nets, [
    { kind: "user", options: {} },
    {
      kind: "user",
      mac: "00:16:3e:00:00:05",
      options: { restrict: true, hostfwd: ["tcp:127.0.0.1:2222-:22", "udp::53-10.0.2.16:53"] },
    },
    {
      kind: "user",
      options: {
        net: "192.168.9.0/24",
        host: "192.168.9.1",
        dns: "192.0.2.53",
        restrict: false,
        guestfwd: ["tcp:192.168.9.8:80-:8080"],
      },
    },
    { kind: "stream", stream: { connect: "127.0.0.1:1234" } },
    { kind: "stream", stream: { listen: "unix:/tmp/s" } },
    { kind: "passt", args: ["-t", "2222:22"] },
  ]);
});

Deno.test("--engine auto is for the run to decide", () =>
  assertEquals(run("--engine", "auto").engine, "auto"));

Deno.test("--stats needs no format, --trace adds up, --append may look like an option", () => {
  assertEquals(run("--stats").stats, "text");
  assertEquals(run("--trace", "net", "--trace", "cpu").trace, ["net", "cpu"]);
  assertEquals(run("--trace", "all").trace, [...TRACE_CATEGORIES]);
  assertEquals(run("--append", "-- single").append, "-- single");
});

Deno.test("what is booted: a kernel, GRUB from a disk, or a folder", () => {
  const bootOf = (...args: string[]) => {
    const result = parseCommandLine(["run", ...args]);
    return "run" in result ? result.run.boot : result;
  };
  assertEquals(bootOf("--disk", "d", "--kernel", "k"), { kernel: "k" });
  assertEquals(bootOf("--disk", "d"), { firmware: undefined });
  assertEquals(bootOf("--disk", "d", "--firmware", "f"), { firmware: "f" });
  assertEquals(bootOf("--root", "r"), { root: "r", kernel: undefined });
  assertEquals(bootOf("--root", "r", "--kernel", "k", "--append", "quiet"), { root: "r", kernel: "k" });
});

const MISTAKES: readonly (readonly [string, RegExp])[] = [
  ["run", /give a kernel with --kernel, a disk with --disk, or a folder with --root/],
  ["run -k x --module=", /--module.*path of a file/],
  ["run --kernel x --firmware y", /give --kernel or --firmware/],
  ["run --root x --firmware y", /give --root or --firmware/],
  ["run --disk x --initrd y", /from a disk with --initrd: add --kernel/],
  ["run --disk x --append y", /from a disk with --append/],
  ["run --disk x --type hvm", /GRUB needs pvh/],
  ["run -k x --bogus", /unknown option '--bogus'/],
  ["run -k x --memroy 5M", /unknown option '--memroy'.*--memory/],
  ["run -k x more", /too many arguments/],
  ["boot", /unknown command 'boot'/],
  ["run -k x --memory 12Q", /"12Q" as a size/],
  ["run -k x --memory 4097", /whole pages/],
  ["run -k x --memory 4G", /2 MiB to 3 GiB/],
  ["run -k x --memory 99999999999999999999G", /as a size/],
  ["run -k x --type xen", /Allowed choices are hvm, pvh/],
  ["run -k x --engine fast", /Allowed choices/],
  ["run -k x --hypercall-pages 3", /Allowed choices/],
  ["run -k x --xen-version four", /looks like 4.17/],
  ["run -k x --timeout -1", /number of seconds/],
  ["run -k x --timeout Infinity", /number of seconds/],
  ["run -k x --serial tcp", /stdio, none or file:PATH/],
  ["run -k x --console file:", /stdio, none or file:PATH/],
  ["run -k x --trace net,nonsense", /no category "nonsense"/],
  ["run -k x --stats=xml", /Allowed choices/],
  ["run -k x --net bridge", /tap,ifname=NAME or hub=NAME or none/],
  ["run -k x --net hub", /tap,ifname=NAME or hub=NAME or none/],
  ["run -k x --net tap=x", /tap,ifname=NAME or hub=NAME or none/],
  ["run -k x --net user,ifname=a", /user has no option "ifname"/],
  ["run -k x --net user=a", /It is user, stream/],
  ["run -k x --net user,net=10.0.2.0", /write it like 10\.0\.2\.0\/24/],
  ["run -k x --net user,dns=a", /"a" as IPv4 address/],
  ["run -k x --net user,restrict=maybe", /restrict is on or off/],
  ["run -k x --net user,hostfwd=2222:22", /hostfwd=2222:22: it is no forward; write it like/],
  ["run -k x --net user,hostfwd", /hostfwd=: it is no forward/],
  ["run -k x --net user,net=10.0.2.0/24,net=10.0.3.0/24", /twice/],
  ["run -k x --net stream", /either connect=HOST:PORT or listen=/],
  ["run -k x --net stream,connect=a:1,listen=b:2", /either/],
  ["run -k x --net stream,connect=here", /write it like 127\.0\.0\.1:1234 or unix:PATH/],
  ["run -k x --net passt,hostfwd=a", /passt has no option "hostfwd"/],
  ["run -k x --net tap,ifname=", /ifname needs a name/],
  ["run -k x --net tap,ifname=a,ifname=b", /twice/],
  ["run -k x --net none,ifname=a", /none has no option "ifname"/],
  ["run -k x --net tap,mac=01:00:5e:00:00:01", /no MAC address/],
  ["run -k x --net tap,mac=zz", /no MAC address/],
  ["run -k x --net tap,queues=0", /queues/],
  ["run -k x --net none,queues=NaN", /queues/],
  ["run -k x --net none,mac=", /no MAC address/],
  ["run -k x --net none,mac=00:00:00:00:00:00", /no MAC address/],
  ["run -k x --fail-on .*", /It would match every line/],
  ["run -k x --fail-on x|", /It would match every line/],
  ["run -k x --net user,net=127.0.0.0/8", /"127\.0\.0\.0\/8" as network: guests have no addresses there/],
  ["run -k x --net user,net=224.0.0.0/24", /guests have no addresses there/],
  ["run -k x --net user,host=10.0.2.0", /10\.0\.2\.0 as gateway: it is the network's own/],
  ["run -k x --net user,dns=10.0.2.15", /10\.0\.2\.15 as name server: it is the first guest's/],
  ["run -k x --net user,hostfwd=tcp::22-:22,hostfwd=tcp::22-:23", /that port leads somewhere already/],
  ["run -k x --net user,host=10.0.2.3", /as name server: it is the gateway/],
  ["run -k x --net passt,args=-t", /passt has no option "args"/],
  ["run -k x --net tap,tap0", /tap has no option "tap0"/],
  ["run -k x --net stream,connect=::1:1234", /write it like 127\.0\.0\.1:1234 or unix:PATH/],
  ["run -k x --net User", /It is user, stream/],
  ["run -k x --net hub=", /tap,ifname=NAME or hub=NAME or none/],
  ["run -k x --net hub=a,responder=maybe", /responder is on or off/],
  ["run -k x --net hub=a,responder=", /responder is on or off/],
  ["run -k x --share /tmp,tag=", /A tag is 1 to 31 letters/],
  ["run -k x --share /tmp,tag=a/b", /A tag is 1 to 31 letters/],
  ["run -k x --net user,restrict=", /restrict is on or off/],
  ["run -k x --icount=yes", /option '--icount' takes no value/],
  ["run -k x --no-reboot=1", /option '--no-reboot' takes no value/],
  ["run -k x --no-such=1", /unknown option '--no-such=1'/],
  ["help frobnicate", /unknown command 'frobnicate'/],
  ["run -k x --net user,hostfwd=tcp::22-10.0.2.2:22", /to 10\.0\.2\.2: it is the gateway/],
  ["run -k x --net user,hostfwd=tcp::22-10.0.2.3:22", /to 10\.0\.2\.3: it is the name server/],
  ["run -k x --net user,guestfwd=tcp:10.0.2.15:80-:80", /from 10\.0\.2\.15: it is the first guest's/],
  ["run -k x --net hub=a,responder,responder=off", /twice/],
  ["run -k x --net", /argument missing/],
  ["run -k", /argument missing/],
  ["run -k x -m 512", /2 MiB to 3 GiB, in whole pages; for MiB write 512M/],
  ["run -k x -m 2", /for MiB write 2M/],
  ["run -k x -m 0", /2 MiB to 3 GiB/],
  ["run -k x -m -5M", /"-5M" as a size/],
  ["run -k x --icount --pcap p", /no network interface, add --net/],
  ["run -k x --trace-file t", /nothing is traced, add --trace/],
  ["run -k x --rtc yesterday", /It is host, or UTC like 2026-01-31/],
  ["run -k x --rtc 2026-13-41", /It is host, or UTC/],
  ["run -k x --rtc 2026-01-31T12:00:00", /It is host, or UTC/],
  ["run -k x --rtc 1969-12-31", /1970 to 2099/],
  ["run -k x --timeout 5m", /number of seconds/],
  ["run -k x --timeout 0", /number of seconds/],
  ["run -k x --timeout 1.2.3", /number of seconds/],
  ["run -k x --max-reboots -1", /whole number/],
  ["run -k x --max-reboots few", /whole number/],
  ["run -k x --panic stop", /Allowed choices are end, ignore/],
  ["run -k x --fail-on (", /Invalid regular expression/],
  ["run -k x --fail-on=", /It would match every line/],
  ["run -k x --icount=yes", /--icount/],
  ["run -k x --reboot", /unknown option '--reboot'/],
  ["run -k x --serial=", /stdio, none or file:PATH/],
  ["run -k x --trace=", /no category ""/],
  ["test", /required option '-k, --kernel <file,...>' not specified/],
  ["test -k x", /required option '-r, --run <command>' not specified/],
  ["test -k x, -r true", /One of them has no name/],
  ["test -k x -r true --type pv", /Allowed choices are hvm, pvh/],
  ["test -k x -r true --engine fast,jit", /Allowed choices are interp, jit/],
  ["test -k x -r true --jobs 0", /whole number, 1 to 1024/],
  ["test -k x -r true --only 1", /Cannot do only boot 1: there are 0 to 0/],
  ["test -k x -r true --memory 64", /for MiB write 64M/],
  ["test -k x -r true --timeout soon", /number of seconds/],
  ["test -k x -r true --fail-on [", /Invalid regular expression/],
  ["test -k x -r true more", /too many arguments/],
  ["run -k x -k y", /Cannot use --kernel twice: it has one value/],
  ["run -k x -m 64M --memory 64M", /Cannot use --memory twice/],
  ["run -k x -i a -i b", /Cannot use --initrd twice/],
  ["run -k x --append a --append b", /Cannot use --append twice/],
  ["run -k x --console none --console stdio", /Cannot use --console twice/],
  ["run -k x --timeout 5 --timeout=6", /Cannot use --timeout twice/],
  ["run -k x --stats --stats=json", /Cannot use --stats twice/],
  ["run -k x --engine kvm --icount", /KVM does not count instructions/],
  ["run -k x --rtc 2026-02-30", /It is host, or UTC/],
  ["run -k x --timeout 5s", /number of seconds/],
  ["run -k x --timeout 1e3", /number of seconds/],
  ["run -k x -m 512MiBs", /"512MiBs" as a size/],
  ["run -k x -m 0x2000000", /"0x2000000" as a size/],
  ["run -k x -m 1T", /"1T" as a size/],
  ["run -k x --net user,queues=2x", /queues is 1 to 8/],
  ["run -k x --net user,", /user has no option ""/],
  ["run -k x --net user,dns=", /"" as IPv4 address/],
  ["run -k x --disk a,ro=yes", /"ro" takes no value/],
  ["run -k x --disk a,format=", /format is raw or qcow2/],
  ["run -k x --panic", /argument missing/],
  ["run -k x --type HVM", /Allowed choices are hvm, pvh/],
  ["test -k x,x -r true", /One of them is there twice/],
  ["test -k x -k x -r true", /One of them is there twice/],
  ["test -k x -r true --type hvm,hvm", /One of them is there twice/],
  ["test -k x -r true --jobs 2x", /whole number, 1 to 1024/],
  ["test -k x -r true --jobs 1 --jobs 2", /Cannot use --jobs twice/],
  ["test -k x -r true --slurm --only 0", /one boot is no array job/],
  ["test -k x -r true --junit a --json a", /to the same file "a"/],
  ["disk create a 10X", /"10X" as a size/],
  ["disk create a 5G --cluster-size 3K", /power of two, 512 to 2M/],
  ["disk create a 5G -f raw -f qcow2", /Cannot use --format twice/],
  ["disk check a b", /too many arguments/],
  ["completions tcsh", /Allowed choices are bash, zsh, fish/],
  ["--verbose", /unknown option '--verbose'/],
];
Deno.test("files have names", () => {
  for (const option of ["-k", "-i", "--pcap", "--trace-file"]) {
    assertMatch(refused("run", "-k", "x", option, ""), /It is the path of a file/);
  }
});

Deno.test("responder is a switch", () => {
  const responder = (text: string) => run("--net", `hub=a${text}`).nets[0];
  assertEquals(responder(",responder"), { kind: "hub", name: "a", responder: true });
  assertEquals(responder(",responder=on"), { kind: "hub", name: "a", responder: true });
  assertEquals(responder(",responder=off"), { kind: "hub", name: "a", responder: false });
});

for (const [args, message] of MISTAKES) {
  Deno.test(`"${args}" is refused in one line`, () => {
    const said = refused(...args.split(" "));
    assertMatch(said, message);
    assertMatch(said, /^xenner: [^\n]+\n$/);
  });
}

Deno.test("no arguments at all show the usage, with status 2", () => {
  assertMatch(refused(), /^Usage: xenner/);
});

Deno.test("--help and --version go to stdout, with status 0", () => {
  for (
    const [args, message] of [
      [["--help"], /Usage/],
      [["run", "--help"], /--net/],
      [["help"], /Usage/],
      [
        ["help", "run"],
        /--net/,
      ],
      [["help", "disk", "create"], /makes an empty image/],
      [
        ["--version"],
        /\d/,
      ],
    ] as const
  ) {
    const result = printed(...args);
    assertEquals([result.status, result.stderr], [0, ""]);
    assertMatch(result.stdout, message);
  }
  assertEquals(printed("--version").stdout, VERSION + "\n");
});

Deno.test("the version is that of deno.json", async () => {
  const config = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  assertEquals(config.version, VERSION);
});

Deno.test("what can be traced is what the sources trace", async () => {
  const used = new Set<string>();
  for (const folder of ["cpu", "devices", "net", "xen"]) {
    await collect(new URL(`../../${folder}/`, import.meta.url));
  }
  async function collect(folder: URL): Promise<void> {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.isDirectory) await collect(new URL(`${entry.name}/`, folder));
      else if (entry.name.endsWith(".ts") && !entry.name.endsWith("_test.ts")) {
        const text = await Deno.readTextFile(new URL(entry.name, folder));
        for (const [, category = ""] of text.matchAll(/tracer\??\.log\(\s*"(\w+)"/g)) used.add(category);
      }
    }
  }
  assertEquals([...used].sort(), [...TRACE_CATEGORIES]);
});
