// SPDX-License-Identifier: MIT
/**
 * A host for guests to talk to, in a process of its own so that it can live in a network namespace: serves random bytes
 * by HTTP, and takes bytes by TCP. Says what it does in lines of JSON on stdout.
 *
 * Usage: deno run -A file_server.ts ADDRESS MEBIBYTES
 * @module
 */

/** What it prints when it listens. */
export interface ServerReady {
  readonly url: string;
  /** ADDRESS:PORT that takes bytes. */
  readonly sink: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What it prints when somebody has sent bytes and closed. */
export interface ServerReceived {
  readonly received: number;
  readonly sha256: string;
  readonly seconds: number;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

function say(what: ServerReady | ServerReceived): void {
  console.log(JSON.stringify(what));
}

async function receive(connection: Deno.TcpConn): Promise<void> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const start = performance.now();
  for await (const chunk of connection.readable) chunks.push(chunk);
  const seconds = (performance.now() - start) / 1000;
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
  say({ received: bytes.length, sha256: await sha256(bytes), seconds });
}

if (import.meta.main) {
  const [hostname = "127.0.0.1", mebibytes = "1"] = Deno.args;
  const file = randomBytes(Number(mebibytes) * 2 ** 20);
  const http = Deno.serve(
    { hostname, port: 0, onListen: () => {} },
    () => new Response(file, { headers: { "content-type": "application/octet-stream" } }),
  );
  const sink = Deno.listen({ hostname, port: 0 });
  say({
    url: `http://${hostname}:${http.addr.port}/random.bin`,
    sink: `${hostname}:${sink.addr.port}`,
    bytes: file.length,
    sha256: await sha256(file),
  });
  for await (const connection of sink) {
    receive(connection).catch((error) => console.error(`file_server: ${error}`));
  }
}
