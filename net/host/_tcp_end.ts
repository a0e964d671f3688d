// SPDX-License-Identifier: MIT
/**
 * One end of a TCP connection as a program of its own, for tests that need the host's sockets in a network namespace:
 *
 *     deno run -A _tcp_end.ts listen PORT           one connection; what it brings goes to stdout
 *     deno run -A _tcp_end.ts connect ADDRESS PORT  stdin goes there
 * @module
 */
if (import.meta.main) {
  const [what, ...rest] = Deno.args;
  const port = Number(rest.at(-1));
  if (what === "listen") {
    const listener = Deno.listen({ hostname: "::", port });
    const connection = await listener.accept();
    listener.close();
    await connection.readable.pipeTo(Deno.stdout.writable);
  } else {
    const connection = await Deno.connect({ hostname: rest[0] as string, port });
    await Deno.stdin.readable.pipeTo(connection.writable); // closes it, with a FIN
  }
}
