// SPDX-License-Identifier: MIT
/** `--net`: what a network interface is connected to, checked and turned into plain data. @module */
import { InvalidArgumentError } from "npm:@commander-js/extra-typings@15.1.0";
import { UserAddresses, type UserNetworkOptions } from "../../net/ends/user/user_addresses.ts";
import { parseStreamAddress, type StreamOptions } from "../../net/ends/stream_address.ts";
import { parseInterfaceMac } from "../../net/frames/addresses.ts";

/** One --net. */
export type NetChoice =
  & {
    readonly mac?: string;
    readonly queues?: number;
  }
  & (
    | { readonly kind: "user"; readonly options: UserNetworkOptions }
    | {
      readonly kind: "tap";
      readonly ifname?: string;
    }
    | {
      readonly kind: "hub";
      readonly name: string;
      /** Puts the built-in gateway (ARP, ICMP, DHCP) on the hub. */
      readonly responder: boolean;
    }
    | { readonly kind: "stream"; readonly stream: StreamOptions }
    | {
      readonly kind: "passt";
      /** Words for passt's command line. */
      readonly args: readonly string[];
    }
    | { readonly kind: "none" }
  );

/** Options that are on when they have no value. */
const SWITCHES = ["responder", "restrict"];

/** Adds one --net to those before it. */
export function net(text: string, before: readonly NetChoice[] = []): NetChoice[] {
  const [head = "", ...rest] = text.split(",");
  const [kind = "", name] = splitOnce(head);
  const options = new Map<string, string>();
  const args: string[] = [];
  const forwards = { hostfwd: [] as string[], guestfwd: [] as string[] };
  for (const part of rest) {
    const [key, value] = splitOnce(part);
    if (kind === "user" && (key === "hostfwd" || key === "guestfwd")) {
      forwards[key].push(value ?? "");
      continue;
    }
    if (kind === "passt" && key === "arg") {
      args.push(value ?? "");
      continue;
    }
    if (options.has(key)) throw new InvalidArgumentError(`"${key}" is there twice.`);
    if (value === "" && SWITCHES.includes(key)) throw new InvalidArgumentError(`${key} is on or off.`);
    options.set(key, value ?? "");
  }
  const take = (key: string) => {
    const value = options.get(key);
    options.delete(key);
    return value;
  };
  const mac = take("mac");
  if (mac !== undefined && parseInterfaceMac(mac) === undefined) {
    throw new InvalidArgumentError(`"${mac}" is no MAC address of an interface.`);
  }
  const queues = take("queues");
  if (queues !== undefined && !/^[1-8]$/.test(queues)) throw new InvalidArgumentError("queues is 1 to 8.");
  const common = {
    ...(mac !== undefined && { mac }),
    ...(queues !== undefined && { queues: Number(queues) }),
  };
  let choice: NetChoice;
  if (kind === "user" && name === undefined) {
    choice = { ...common, kind, options: userOptions(take, forwards) };
  } else if (kind === "tap" && name === undefined) {
    const ifname = take("ifname");
    if (ifname === "") throw new InvalidArgumentError("ifname needs a name.");
    choice = { ...common, kind, ...(ifname !== undefined && { ifname }) };
  } else if (kind === "hub" && name !== undefined && name !== "") {
    const responder = take("responder");
    choice = { ...common, kind, name, responder: responder !== undefined && onOff("responder", responder) };
  } else if (kind === "stream" && name === undefined) {
    const [connect, listen] = [take("connect"), take("listen")];
    if ((connect === undefined) === (listen === undefined)) {
      throw new InvalidArgumentError(
        "stream needs either connect=HOST:PORT or listen=HOST:PORT, or unix:PATH.",
      );
    }
    parseStreamAddress((connect ?? listen) as string); // refuses what is none
    choice = { ...common, kind, stream: connect === undefined ? { listen: listen as string } : { connect } };
  } else if (kind === "passt" && name === undefined) {
    choice = { ...common, kind, args };
  } else if (kind === "none" && name === undefined) {
    choice = { ...common, kind };
  } else {
    throw new InvalidArgumentError(
      "It is user, stream,connect=HOST:PORT, passt, tap,ifname=NAME or hub=NAME or none.",
    );
  }
  const [unknown] = options.keys();
  if (unknown !== undefined) throw new InvalidArgumentError(`${kind} has no option "${unknown}".`);
  return [...before, choice];
}

/** A switch: "on" when nothing is said. */
export function onOff(name: string, value: string): boolean {
  if (value !== "" && value !== "on" && value !== "off") {
    throw new InvalidArgumentError(`${name} is on or off.`);
  }
  return value !== "off";
}

/** Options of --net user, checked. */
function userOptions(
  take: (key: string) => string | undefined,
  forwards: { readonly hostfwd: readonly string[]; readonly guestfwd: readonly string[] },
): UserNetworkOptions {
  const [net, host, dns, restrict] = [take("net"), take("host"), take("dns"), take("restrict")];
  const options = {
    ...(net !== undefined && { net }),
    ...(host !== undefined && { host }),
    ...(dns !== undefined && { dns }),
    ...(restrict !== undefined && { restrict: onOff("restrict", restrict) }),
    ...(forwards.hostfwd.length > 0 && { hostfwd: forwards.hostfwd }),
    ...(forwards.guestfwd.length > 0 && { guestfwd: forwards.guestfwd }),
  };
  new UserAddresses(options, () => undefined); // refuses what cannot be used
  return options;
}

/** What stands before and behind the first "=". */
export function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
