// SPDX-License-Identifier: MIT
/**
 * Opens ends that speak QEMU's socket format (see stream_end.ts): by TCP or a UNIX socket, as client or as server, and by
 * a passt(1) of our own. A door to the host.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { parseStreamAddress, type StreamAddress, type StreamOptions } from "../ends/stream_address.ts";
import { StreamEnd } from "../ends/stream_end.ts";
import { DenoTcp, nameOf, why } from "./deno_network.ts";

/** When a client looks again for a server that has gone. */
const AGAIN_MS = 1000;
/** How long passt may take until its socket is there. */
const PASST_MS = 5000;
const PASST_LOOK_MS = 20;

const NOBODY = 65_534;

function show(address: StreamAddress): string {
  return address.transport === "unix"
    ? `unix:${address.path}`
    : nameOf({ address: address.hostname, port: address.port });
}

async function dial(address: StreamAddress): Promise<Deno.TcpConn | Deno.UnixConn> {
  return address.transport === "unix" ? await Deno.connect(address) : await Deno.connect(address);
}

/** Opens a stream end. Rejects with ConfigError when the server is not there, or the address cannot be had. */
export async function openStream(options: StreamOptions, tracer?: Tracer): Promise<StreamEnd> {
  const { connect, listen } = options;
  if ((connect === undefined) === (listen === undefined)) {
    throw new ConfigError("Cannot open a stream: it needs either connect= or listen=");
  }
  return connect === undefined
    ? openServer(parseStreamAddress(listen as string), tracer)
    : await openClient(parseStreamAddress(connect), tracer);
}

function use(end: StreamEnd, conn: Deno.TcpConn | Deno.UnixConn): void {
  const stream = new DenoTcp();
  stream.adopt(conn);
  const events = end.connect(stream);
  if (events === undefined) return stream.close();
  stream.events = events;
  end.begin();
}

async function openClient(address: StreamAddress, tracer?: Tracer): Promise<StreamEnd> {
  let first: Deno.TcpConn | Deno.UnixConn;
  try {
    first = await dial(address);
  } catch (error) {
    throw new ConfigError(`Cannot connect to ${show(address)}: ${why(error)}`, "host", { cause: error });
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  const again = (): void => {
    timer = setTimeout(async () => {
      const conn = await dial(address).catch(() => undefined);
      if (conn === undefined) return closed ? undefined : again();
      if (closed) return conn.close();
      use(end, conn);
    }, AGAIN_MS);
  };
  const end = new StreamEnd(show(address), {
    closed: () => {
      closed = true;
      clearTimeout(timer);
    },
    lost: () => {
      tracer?.warnOnce("net.stream.gone", `${show(address)} has gone, trying again`);
      again();
    },
  }, tracer);
  use(end, first);
  return end;
}

function openServer(address: StreamAddress, tracer?: Tracer): StreamEnd {
  let listener: Deno.Listener<Deno.TcpConn> | Deno.Listener<Deno.UnixConn>;
  try {
    listener = address.transport === "unix" ? Deno.listen(address) : Deno.listen(address);
  } catch (error) {
    throw new ConfigError(`Cannot listen on ${show(address)}: ${why(error)}`, "host", { cause: error });
  }
  const end = new StreamEnd(show(address), {
    closed: () => {
      listener.close();
      if (address.transport === "unix") remove(address.path);
    },
    lost: () => {}, // somebody may come again
  }, tracer);
  (async () => {
    for await (const conn of listener) use(end, conn);
  })().catch((error) => {
    tracer?.warnOnce("net.stream.accept", `${show(address)} takes no more connections: ${why(error)}`);
  });
  return end;
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch { // gone, or not ours to remove
  }
}

/** Runs passt with `args` besides what it needs, and connects to it. Rejects with ConfigError when that does not work. */
export async function openPasst(args: readonly string[], tracer?: Tracer): Promise<StreamEnd> {
  const directory = await makeDirectory();
  const path = `${directory}/socket`;
  const clean = () => {
    remove(path);
    remove(directory);
  };
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("passt", {
      args: ["--foreground", "--one-off", "--quiet", "--socket", path, ...args],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    clean();
    const reason = error instanceof Deno.errors.NotFound ? "it is not installed" : why(error);
    throw new ConfigError(`Cannot run passt: ${reason}`, "host", { cause: error });
  }
  let ended = false;
  const said = new Response(child.stderr).text();
  child.status.then(() => ended = true);
  for (let waited = 0; waited < PASST_MS && !ended; waited += PASST_LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, PASST_LOOK_MS));
    let conn: Deno.TcpConn | Deno.UnixConn;
    try {
      conn = await dial({ transport: "unix", path });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotCapable)) continue; // it is not there yet
      kill(child);
      clean();
      throw new ConfigError(`Cannot connect to passt: ${why(error)}`, "host", { cause: error });
    }
    const end = new StreamEnd("passt", {
      closed: () => {
        kill(child);
        clean();
      },
      lost: () => tracer?.warnOnce("net.passt.gone", "passt has ended: the guest's network is down"),
    }, tracer);
    use(end, conn);
    return end;
  }
  kill(child);
  clean();
  throw new ConfigError(
    `Cannot use passt: ${complaintOf(await said) ?? "its socket does not appear"}`,
    "host",
  );
}

/** Of what passt says: its last word before it tells how it is used, but nothing about its log or its user. */
function complaintOf(said: string): string | undefined {
  const [complaints = ""] = said.split(/^Usage:/m, 1);
  const lines = complaints.split("\n").filter((line) => !/^\s*$|syslog|^Don't run as root/.test(line));
  return lines.at(-1)?.trim().replace(/:$/, "");
}

async function makeDirectory(): Promise<string> {
  try {
    const directory = await Deno.makeTempDir({ prefix: "xenner-passt-" });
    if (Deno.uid() === 0) await Deno.chown(directory, NOBODY, NOBODY); // as whom root's passt runs
    return directory;
  } catch (error) {
    throw new ConfigError(`Cannot make a directory for passt: ${why(error)}`, "host", { cause: error });
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch { // it has ended
  }
}
