// SPDX-License-Identifier: MIT
/** A 9P client for tests: fields in, fields out. Tests only. @module */
import { assertEquals } from "@std/assert";
import { HostFolder } from "./host_folder.ts";
import { P9Server } from "./server.ts";
import { MessageReader, MessageWriter, NOFID, Rlerror, Tattach, Tversion, Twalk } from "./wire.ts";

/** A field: text is a string[s], a bigint 8 bytes, [n, bytes] a number of that many bytes. */
export type Field = string | bigint | readonly [value: number, bytes: 1 | 2 | 4] | Uint8Array;

/** 4 bytes. */
export const u32 = (value: number): Field => [value, 4];

/** A message. */
export function message(type: number, fields: readonly Field[], tag = 1): Uint8Array<ArrayBuffer> {
  const out = new MessageWriter(70_000);
  for (const field of fields) {
    if (typeof field === "string") out.string(field);
    else if (typeof field === "bigint") out.u64(field);
    else if (field instanceof Uint8Array) out.data(field);
    else if (field[1] === 4) out.u32(field[0]);
    else if (field[1] === 2) out.u16(field[0]);
    else out.u8(field[0]);
  }
  return out.finish(type, tag).slice();
}

/** A server over a folder, and its client. Fid 0 is the root. */
export class Client {
  readonly server: P9Server;

  constructor(path: string, readonly = false, maxHandles?: number) {
    this.server = new P9Server(HostFolder.open(path), readonly, maxHandles);
  }

  /** Version and attach. */
  static async attached(path: string, readonly = false, maxHandles?: number): Promise<Client> {
    const client = new Client(path, readonly, maxHandles);
    await client.ok(Tversion, u32(65536), "9P2000.L");
    await client.ok(Tattach, u32(0), u32(NOFID), "root", "", u32(0));
    return client;
  }

  /** The answer's fields, or the errno. */
  async ask(type: number, ...fields: Field[]): Promise<MessageReader | number> {
    const bytes = await this.server.handle(message(type, fields, 0x1234), 65536);
    const answer = new MessageReader(Uint8Array.from(bytes));
    assertEquals(new DataView(answer.bytes.buffer).getUint32(0, true), answer.bytes.length);
    assertEquals([answer.bytes[5], answer.bytes[6]], [0x34, 0x12]);
    if (answer.bytes[4] === Rlerror) return answer.u32();
    assertEquals(answer.bytes[4], type + 1);
    return answer;
  }

  /** The answer, which is no error. */
  async ok(type: number, ...fields: Field[]): Promise<MessageReader> {
    const answer = await this.ask(type, ...fields);
    if (typeof answer === "number") throw new Error(`request ${type}: errno ${answer}`);
    return answer;
  }

  /** The errno, 0 when it works. */
  async errno(type: number, ...fields: Field[]): Promise<number> {
    const answer = await this.ask(type, ...fields);
    return typeof answer === "number" ? answer : 0;
  }

  /** Walks from the root; the errno, -1 when it stopped on its way. */
  async walk(fid: number, ...names: string[]): Promise<number> {
    const answer = await this.ask(Twalk, u32(0), u32(fid), [names.length, 2], ...names);
    if (typeof answer === "number") return answer;
    return answer.u16() === names.length ? 0 : -1;
  }
}
