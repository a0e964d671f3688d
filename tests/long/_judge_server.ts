// SPDX-License-Identifier: MIT
/**
 * The HTTP server of the network judge, in a process of its own so that it can live in a namespace: GET answers with the
 * file, PUT with the SHA-256 of what came.
 *
 * Usage: deno run -A _judge_server.ts ADDRESS PORT FILE
 * @module
 */

const [hostname = "", port = "", path = ""] = Deno.args;
const file = await Deno.readFile(path);

Deno.serve({ hostname, port: Number(port), onListen: () => console.log("ready") }, async (request) => {
  if (request.method !== "PUT") return new Response(file);
  const bytes = new Uint8Array(await request.arrayBuffer());
  return new Response(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex() + "\n");
});
