// SPDX-License-Identifier: MIT
/**
 * Looks at the options of createMachine before anything is made of them: they come from programs that no type checker has
 * seen, or from their users. Whatever is wrong is one line that names the option, the value and what fits.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { parseCpuModel } from "../../cpu/base/cpu_model.ts";
import { parseSize } from "../../cpu/base/sizes.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import { UserAddresses, type UserNetworkOptions } from "../../net/ends/user/user_addresses.ts";
import { Hub } from "../../net/ends/hub.ts";
import { parseInterfaceMac } from "../../net/frames/addresses.ts";
import { matchesEveryLine } from "./console_watch.ts";
import { checkRamBytes } from "../loaders/memory_map.ts";
import type { CreateOptions, ModuleSpec, NetSpec } from "./create_options.ts";
import type { HostClock } from "./machine_options.ts";
import { type DiskCommon, type DiskSpec, nameDisks } from "./disks.ts";
import { checkShares, isTag, type ShareSpec, TAG_RULE } from "./shares.ts";

/** What would fit, when `value` does not. Some throw ConfigErrors that say more. */
type Check = (value: unknown) => string | undefined;
type Fields = Readonly<Record<string, unknown>>;
/** Checks for everything that an object may have. */
type Checks<T> = Readonly<Record<keyof Required<T>, Check>>;
type KeysOfUnion<T> = T extends unknown ? keyof T : never;

/** Queues of an interface at most, as Xen's tools allow. */
export const MAX_NET_QUEUES = 8;
/** Items of an array at most. */
const MOST_ITEMS = 1000;
/** Interfaces at most: as many as there are disks. */
const MOST_NETS = 16;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null;
/** An object that has fields, not items. */
const isRecord = (value: unknown): value is Fields => isObject(value) && !Array.isArray(value);
/** `Array.from` makes items of holes, which methods of arrays do not look at. */
const isArrayOf = <T>(value: unknown, fits: (item: unknown) => item is T): value is readonly T[] =>
  Array.isArray(value) && Array.from(value).every(fits);
const isText = (value: unknown): value is string => typeof value === "string";
const unless = (fits: boolean, what: string) => fits ? undefined : what;
const oneOf = (...choices: readonly unknown[]): Check => (value) =>
  unless(choices.includes(value), choices.map((choice) => show(choice)).join(" or "));
const boolean = oneOf(true, false);
const callback: Check = (value) => unless(typeof value === "function", "a function");
const whole = (least: number, most: number): Check => (value) =>
  unless(
    Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
    `a whole number, ${least} to ${most}`,
  );
const withMethods = (what: string, ...names: readonly string[]): Check => (value) =>
  unless(
    isObject(value) && names.every((name) => typeof value[name] === "function"),
    `${what} (with ${names.join(", ")})`,
  );

const file: Check = (value) => {
  if (typeof value === "string") {
    return unless(value !== "" && !value.includes("\0"), "a path that is not empty");
  }
  if (value instanceof Uint8Array) {
    return unless(!isDetached(value), "bytes, and these went to another thread");
  }
  if (value instanceof URL) return undefined;
  const named = isRecord(value) && typeof value.name === "string" && value.bytes instanceof Uint8Array;
  return unless(named, "a path, a URL, bytes, or { name, bytes }");
};
const isDetached = ({ buffer }: Uint8Array): boolean => buffer instanceof ArrayBuffer && buffer.detached;
const memory: Check = (value) => {
  if (typeof value !== "number" && typeof value !== "string") return 'bytes, or like "512M"';
  checkRamBytes(typeof value === "string" ? parseSize(value) : value);
  return undefined;
};
const append: Check = (value) =>
  unless(typeof value === "string" && !value.includes("\0"), "a string without NUL");
const MODULE: Checks<ModuleSpec> = { file, cmdline: append };
const modules: Check = (value) => {
  if (!Array.isArray(value)) return "an array";
  for (const [i, spec] of value.entries()) {
    if (!isRecord(spec)) throw wrong(`modules[${i}]`, spec, "an object with a file");
    if (spec.file === undefined) throw new ConfigError(`Cannot use modules[${i}]: its file is missing`);
    checkFields(MODULE, spec, `modules[${i}]`);
  }
  return undefined;
};
const date: Check = (value) =>
  unless(value === "host" || isDate(value), 'a Date from 1970 to 2099, or "host"');
/** What has Date's prototype need not be one. */
const isDate = (value: unknown): boolean =>
  Object.prototype.toString.call(value) === "[object Date]" && value instanceof Date &&
  value.getTime() >= 0 && value.getUTCFullYear() < 2100;
const mac: Check = (value) =>
  unless(
    typeof value === "string" && parseInterfaceMac(value) !== undefined,
    'the MAC address of an interface, like "00:16:3e:00:00:01"',
  );

const text: Check = (value) => unless(typeof value === "string", "a string");
const forwards: Check = (value) =>
  unless(
    isArrayOf(value, isText),
    'an array of strings like "tcp:127.0.0.1:2222-:22"',
  );
const USER: Checks<Record<keyof UserNetworkOptions, unknown>> = {
  net: text,
  host: text,
  dns: text,
  restrict: boolean,
  hostfwd: forwards,
  guestfwd: forwards,
};
const NET: Checks<Record<KeysOfUnion<Exclude<NetSpec, string>>, unknown>> = {
  mac,
  queues: whole(1, MAX_NET_QUEUES),
  capture: callback,
  tap: (value) =>
    unless(
      isRecord(value) && Object.keys(value).every((key) => key === "ifname") &&
        (value.ifname === undefined || (typeof value.ifname === "string" && value.ifname !== "")),
      '{} or { ifname: "tap0" }',
    ),
  hub: (value) =>
    unless(value instanceof Hub || (typeof value === "string" && value !== ""), "a Hub or the name of one"),
  user: (value) => {
    if (value === true) return undefined;
    if (!isRecord(value)) return 'true or { hostfwd: ["tcp:127.0.0.1:2222-:22"] }';
    checkFields(USER, value, "user");
    new UserAddresses(value, () => undefined); // says itself what is wrong
    return undefined;
  },
  stream: (value) => {
    if (!isRecord(value)) return '{ connect: "127.0.0.1:1234" } or { listen: "unix:/tmp/socket" }';
    checkFields({ connect: text, listen: text }, value, "stream");
    return undefined;
  },
  passt: (value) =>
    unless(
      value === true || isArrayOf(value, (word): word is string => isText(word) && /^[^\0]+$/.test(word)),
      "true or an array of its arguments",
    ),
  end: withMethods("a NetEnd", "send", "attach", "receiverChanged", "poll", "pollFd", "close"),
  none: oneOf(true),
};
/** What an interface is connected to: one of these. */
const NET_ENDS = ["tap", "hub", "user", "stream", "passt", "end", "none"];

const nets: Check = (value) => {
  if (!Array.isArray(value)) return "an array";
  if (value.length > MOST_NETS) {
    throw new ConfigError(`Cannot attach ${value.length} interfaces: a guest has at most ${MOST_NETS}`);
  }
  const macs = new Map<string, number>();
  for (const [i, spec] of value.entries()) {
    if (spec === "none") continue;
    const name = `nets[${i}]`;
    if (!isRecord(spec)) throw wrong(name, spec, '"none" or an object');
    checkFields(NET, spec, name);
    const ends = NET_ENDS.filter((end) => spec[end] !== undefined);
    if (typeof spec.mac === "string") {
      const same = macs.get(spec.mac.toLowerCase());
      if (same !== undefined) {
        throw new ConfigError(`Cannot use ${spec.mac} as ${name}.mac: nets[${same}] has it already`);
      }
      macs.set(spec.mac.toLowerCase(), i);
    }
    if (ends.length !== 1) {
      throw new ConfigError(
        `Cannot use ${name}: it has ${ends.join(" and ") || "no end"}, give it one of ${NET_ENDS.join(", ")}`,
      );
    }
  }
  return undefined;
};

const path: Check = (value) =>
  unless(
    (typeof value === "string" && value !== "" && !value.includes("\0")) || value instanceof URL,
    "a path that is not empty, or a file: URL",
  );
const store: Check = (value) => {
  const problem = withMethods("a BlockStore", "read", "write", "flush")(value);
  if (problem !== undefined) return problem;
  const { size, sectorBytes = 512 } = value as Fields;
  const whole = typeof size === "number" && Number.isSafeInteger(size) && size > 0 &&
    size % Number(sectorBytes) === 0;
  return unless(
    (sectorBytes === 512 || sectorBytes === 4096) && whole,
    "a BlockStore whose size is a multiple of its sectorBytes, 512 or 4096",
  );
};
const DISK: Checks<Record<KeysOfUnion<Extract<DiskSpec, DiskCommon>>, unknown>> = {
  path,
  store,
  vdev: (value) => unless(typeof value === "string" && /^xvd[a-p]$/.test(value), "xvda to xvdp"),
  format: oneOf("raw", "qcow2"),
  readonly: boolean,
  cache: oneOf("writeback", "unsafe"),
  snapshot: boolean,
};
const disks: Check = (value) => {
  if (!Array.isArray(value)) return "an array";
  for (const [i, spec] of value.entries()) {
    const name = `disks[${i}]`;
    if (!isRecord(spec)) {
      const problem = path(spec);
      if (problem !== undefined) throw wrong(name, spec, problem);
    } else if (typeof spec.read === "function") {
      const problem = store(spec);
      if (problem !== undefined) throw wrong(name, spec, problem);
    } else if (!(spec instanceof URL)) {
      checkFields(DISK, spec, name);
      if ((spec.path === undefined) === (spec.store === undefined)) {
        throw new ConfigError(`Cannot use ${name}: give it a path or a store`);
      }
      const others = ["format", "readonly", "cache", "snapshot"].filter((key) => spec[key] !== undefined);
      if (spec.store !== undefined && others.length > 0) {
        throw new ConfigError(`Cannot use ${name}: a store of yours has no ${others.join(", ")}`);
      }
    }
  }
  nameDisks(value.map((spec) => isObject(spec) ? spec.vdev as string | undefined : undefined));
  return undefined;
};

const SHARE: Checks<ShareSpec> = {
  path,
  tag: (value) => unless(typeof value === "string" && isTag(value), TAG_RULE),
  readonly: boolean,
  owners: boolean,
};
const shares: Check = (value) => {
  if (!Array.isArray(value)) return "an array";
  for (const [i, spec] of value.entries()) {
    if (!isRecord(spec)) throw wrong(`shares[${i}]`, spec, "an object with a path and a tag");
    for (const key of ["path", "tag"]) {
      if (spec[key] === undefined) throw new ConfigError(`Cannot use shares[${i}]: its ${key} is missing`);
    }
    checkFields(SHARE, spec, `shares[${i}]`);
  }
  checkShares(value as ShareSpec[]);
  return undefined;
};

const CREATE: Checks<CreateOptions & { readonly worker: boolean }> = {
  kernel: file,
  root: path,
  initrd: file,
  modules,
  append,
  memory,
  type: oneOf("hvm", "pvh"),
  nets,
  disks,
  shares,
  serial: callback,
  console: callback,
  engine: oneOf("interp", "jit", "kvm"),
  cpu: (value) => {
    if (typeof value !== "string") return 'a string like "x86-64-v2,+movbe"';
    parseCpuModel(value); // says itself what is wrong
    return undefined;
  },
  cpuVendor: oneOf("intel", "amd"),
  icount: boolean,
  rtc: date,
  hypercallPages: oneOf(1, 2),
  patch: boolean,
  xenVersion: (value) => unless(typeof value === "string" && /^\d{1,4}\.\d{1,4}$/.test(value), 'like "4.17"'),
  noReboot: boolean,
  panic: oneOf("end", "ignore"),
  failOn: (value) =>
    unless(
      value instanceof RegExp && !matchesEveryLine(value),
      "a regular expression that does not match every line",
    ),
  maxReboots: whole(0, Number.MAX_SAFE_INTEGER),
  tracer: (value) => unless(value instanceof Tracer, "a Tracer"),
  clock: (value) => {
    const problem = withMethods("a HostClock", "monotonicNs", "unixSeconds", "sleep", "breathe")(value);
    if (problem !== undefined) return problem;
    const { monotonicNs, unixSeconds } = value as HostClock;
    const tells = [monotonicNs, unixSeconds].every((time) => Number.isFinite(time.call(value)));
    return unless(tells, "a HostClock whose monotonicNs and unixSeconds give numbers");
  },
  worker: boolean,
};

/**
 * The options as they are now, in records of our own: what was checked is what is used, whatever getters say later.
 * Throws ConfigError for the first that cannot work.
 */
export function checkedOptions<T extends CreateOptions>(options: T): T {
  if (!isRecord(options)) throw wrong("the options", options, "an object");
  try {
    const copy = copyFields(options);
    if (copy.kernel === undefined && copy.root === undefined) {
      throw new ConfigError("Cannot make a machine: the option kernel is missing");
    }
    checkFields(CREATE, copy);
    return copy;
  } catch (cause) { // a getter, or the clock
    if (cause instanceof ConfigError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`Cannot read the options: ${why.split("\n")[0]}`, "input", { cause });
  }
}

/** The signal among the options of run(). Throws ConfigError. */
export function signalOf(options: unknown): AbortSignal | undefined {
  const { signal } = fieldsOf(options, "the options of run()", ["signal"]);
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw new ConfigError("Cannot run the machine: its signal is no AbortSignal");
}

/** The time limit among the options of what waits. Throws ConfigError. */
export function timeoutOf(options: unknown): number | undefined {
  const { timeoutMs } = fieldsOf(options, "the options", ["timeoutMs"]);
  if (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs > 0)) return timeoutMs;
  throw wrong("timeoutMs", timeoutMs, "a number of milliseconds above 0");
}

/** Throws ConfigError for what are no bytes. */
export function checkBytes(bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) throw wrong("bytes", bytes, "a Uint8Array");
}

/** `options` with no other fields than `names`. */
function fieldsOf<N extends string>(
  options: unknown,
  what: string,
  names: readonly N[],
): { [name in N]?: unknown } {
  if (!isRecord(options)) throw wrong(what, options, "an object");
  const other = Object.keys(options).find((key) => !names.some((name) => name === key));
  if (other === undefined) return options as { [name in N]?: unknown };
  throw new ConfigError(`Cannot use the option ${nameOf(other)}: there is ${names.join(", ")}`);
}

/** A copy, and one of everything below that is plain data; what has methods is itself. */
function copyFields<T extends Fields>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, copyOf(key, value)])) as T;
}
function copyOf(key: string, value: unknown): unknown {
  if (Array.isArray(value)) {
    if (value.length > MOST_ITEMS) throw wrong(nameOf(key), value, `one of at most ${MOST_ITEMS} items`);
    return Array.from(value, (item) => copyOf(key, item));
  }
  if (!isRecord(value)) return value;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const isOurs = !Object.values(Object.getOwnPropertyDescriptors(value)).some((own) =>
    typeof own.value === "function" && own.value !== value.capture
  );
  return isOurs ? copyFields(value) : value;
}

/** `of`: what has the fields, for messages. */
function checkFields<T>(checks: Checks<T>, fields: Fields, of?: string): void {
  for (const [key, value] of Object.entries(fields)) {
    if (!Object.hasOwn(checks, key)) {
      throw new ConfigError(
        `Cannot use the option ${nameOf(key, of)}: there are ${Object.keys(checks).join(", ")}`,
      );
    }
    const fits = value === undefined ? undefined : checks[key as keyof T](value);
    if (fits !== undefined) throw wrong(nameOf(key, of), value, fits);
  }
}

/** An option's name on one line, however strange it is. */
function nameOf(key: string, of?: string): string {
  const shown = /^\w{1,40}$/.test(key) ? key : show(key);
  return of === undefined ? shown : `${of}.${shown}`;
}

/** The error for a value that does not fit. */
export function wrong(name: string, value: unknown, fits: string): ConfigError {
  return new ConfigError(`Cannot use ${show(value)} as ${name}: it is ${fits}`);
}

/** A value as messages have it: short, on one line. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? value.slice(0, 40) + "…" : value);
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return "an array";
  if (value instanceof RegExp) return String(value).slice(0, 40);
  if (isObject(value)) return value instanceof Date ? "that date" : "an object";
  return String(value);
}
