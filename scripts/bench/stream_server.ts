// SPDX-License-Identifier: MIT
/**
 * The host's end of the network bench, in a process of its own so that it can live in a network namespace: one port takes
 * bytes, another sends zeros. Says what it does in lines of JSON on stdout.
 *
 * Usage: deno run -A stream_server.ts ADDRESS MEBIBYTES
 * @module
 */

/** What it prints when it listens. */
export interface StreamsReady {
  /** ADDRESS:PORT that takes bytes. */
  readonly discard: string;
  /** ADDRESS:PORT that sends MEBIBYTES of zeros. */
  readonly source: string;
}

/** What it prints after a connection: seconds from its start until the guest has closed it. */
export interface StreamDone {
  readonly stream: "discard" | "source";
  readonly bytes: number;
  readonly seconds: number;
}

const CHUNK = new Uint8Array(1 << 20);

/** Reads until the other side is done. */
async function drain(connection: Deno.TcpConn): Promise<number> {
  const buffer = new Uint8Array(1 << 18);
  let bytes = 0;
  for (let count; (count = await connection.read(buffer)) !== null;) bytes += count;
  return bytes;
}

async function discard(connection: Deno.TcpConn): Promise<number> {
  return await drain(connection);
}

async function source(connection: Deno.TcpConn, mebibytes: number): Promise<number> {
  for (let i = 0; i < mebibytes; i++) {
    for (let at = 0; at < CHUNK.length;) at += await connection.write(CHUNK.subarray(at));
  }
  await connection.closeWrite();
  await drain(connection);
  return mebibytes * CHUNK.length;
}

async function serve(
  stream: StreamDone["stream"],
  listener: Deno.TcpListener,
  move: (connection: Deno.TcpConn) => Promise<number>,
): Promise<void> {
  for await (const connection of listener) {
    const start = performance.now();
    try {
      const bytes = await move(connection);
      const done: StreamDone = { stream, bytes, seconds: (performance.now() - start) / 1000 };
      console.log(JSON.stringify(done));
    } catch (error) {
      console.error(`stream_server: ${error}`);
    } finally {
      connection.close();
    }
  }
}

if (import.meta.main) {
  const [hostname = "127.0.0.1", mebibytes = "1"] = Deno.args;
  const takes = Deno.listen({ hostname, port: 0 }), sends = Deno.listen({ hostname, port: 0 });
  const ready: StreamsReady = {
    discard: `${hostname}:${takes.addr.port}`,
    source: `${hostname}:${sends.addr.port}`,
  };
  console.log(JSON.stringify(ready));
  await Promise.all([
    serve("discard", takes, discard),
    serve("source", sends, (connection) => source(connection, Number(mebibytes))),
  ]);
}
