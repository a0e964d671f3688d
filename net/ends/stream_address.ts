// SPDX-License-Identifier: MIT
/** Where the other end of a stream is, as the user writes it. @module */
import { ConfigError } from "../../cpu/base/assert.ts";

/** Where the other end is: "HOST:PORT", "[ADDRESS]:PORT" or "unix:PATH"; one of the two. */
export interface StreamOptions {
  /** A server to go to. */
  readonly connect?: string;
  /** Where to wait for a client. */
  readonly listen?: string;
}

/** The same, taken apart. */
export type StreamAddress =
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
  | {
    readonly transport: "unix";
    readonly path: string;
  };

/** "127.0.0.1:1234", "unix:/tmp/socket". Throws ConfigError. */
export function parseStreamAddress(text: string): StreamAddress {
  if (text.startsWith("unix:") && text.length > 5) return { transport: "unix", path: text.slice(5) };
  const match = /^(?:tcp:)?(\[[\da-fA-F:.]+\]|[^:\[\]]*):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || !(port >= 1 && port <= 65_535)) {
    throw new ConfigError(
      `Cannot use ${JSON.stringify(text)} as address: write it like 127.0.0.1:1234 or unix:PATH`,
    );
  }
  const hostname = (match[1] as string).replace(/^\[|\]$/g, "");
  return { transport: "tcp", hostname: hostname === "" ? "127.0.0.1" : hostname, port };
}
