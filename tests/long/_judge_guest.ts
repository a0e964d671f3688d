// SPDX-License-Identifier: MIT
/**
 * A guest of the network judge, in a process of its own so that it can live in a namespace.
 *
 * Usage: deno run -A _judge_guest.ts KERNEL INITRD APPEND CAPTURE TAP|user:PORT clean|lossy
 * @module
 */
import { createMachine, type NetSpec, TapDevice, Tracer } from "../../mod.ts";
import { ImpairedEnd } from "../../net/ends/_impaired_end.ts";
import { UserNetwork } from "../../net/ends/user/user_network.ts";
import { DenoNetwork } from "../../net/host/deno_network.ts";

const BAD_LINK = { loss: 10, delayMs: 5, reorder: 20, seed: 4711 };

const [kernel = "", initrd = "", append = "", path = "", where = "", link = ""] = Deno.args;
const port = /^user:(\d+)$/.exec(where)?.[1];
const hostfwd = [`tcp:127.0.0.1:${port}-:22`];
using file = await Deno.open(path, { write: true, create: true, truncate: true });
const capture = (block: Uint8Array) => void file.writeSync(block);
const tracer = new Tracer();
let net: NetSpec;
if (link === "clean") net = port === undefined ? { tap: { ifname: where } } : { user: { hostfwd } };
else {
  const inner = port === undefined
    ? TapDevice.open({ name: where })
    : new UserNetwork(new DenoNetwork(tracer), { hostfwd, tracer });
  net = { end: new ImpairedEnd(inner, BAD_LINK) };
}
const machine = await createMachine({
  ...{ kernel, initrd, append, tracer, memory: "1G", nets: [{ ...net, capture }] },
  console: (bytes) => Deno.stdout.writeSync(bytes),
});
const { reason } = await machine.run();
await machine.close();
console.log(`\nXENNER-END reason=${reason} ${JSON.stringify(machine.stats().counters)}`);
Deno.exit(reason === "poweroff" ? 0 : 1);
