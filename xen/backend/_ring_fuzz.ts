// SPDX-License-Identifier: MIT
/**
 * A guest that does anything with the ring, the grants and the nodes of its disk. What must hold whatever it does: nothing
 * throws, the store is asked for whole sectors of the disk and nothing else, memory is bounded, pages that are not granted
 * for writing stay as they are, a neighbour's disk goes on, and in the end everything is given back and a sane frontend
 * is served. Tests only.
 * @module
 */
import { PAGE_SIZE } from "../../cpu/base/bits.ts";
import { blkifLayouts } from "../public/io/blkif.ts";
import { sring } from "../public/io/ring.ts";
import { Blkback } from "./blkback.ts";
import { type BlockStore, MemoryBlockStore } from "./block_store.ts";
import { FakeHost, FrontRing, type GrantedPage } from "./_fake_host.ts";

const DISK = 51712, NEIGHBOUR = 51728; // xvda, xvdb
const SECTORS = 64;
const MOST_BYTES = 1 << 18;
const OPERATIONS = [0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 6, 7, 255];
const NODES = [
  "ring-ref",
  "event-channel",
  "protocol",
  "ring-page-order",
  "multi-queue-num-queues",
  "state",
  "ring-ref0",
];
const VALUES = [
  "",
  "0",
  "1",
  "3",
  "4",
  "5",
  "6",
  "9",
  "17",
  "4294967295",
  "99999999999",
  "-1",
  "x86_32-abi",
  "x86_64-abi",
  "\n",
];

/** Numbers from a seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e37_79b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return Math.floor(((z ^ (z >>> 16)) >>> 0) / 2 ** 32 * below);
  };
}

/** A store that notes what it must never be asked, and takes its time now and then. */
class StrictStore implements BlockStore {
  readonly size = SECTORS * 512;
  readonly bytes = new Uint8Array(this.size);
  readonly wrong: string[] = [];
  readonly #waiting: (() => void)[] = [];

  constructor(readonly next: (below: number) => number, readonly readonly: boolean) {}

  #do(what: string, offset: number, length: number, work: () => void): void | Promise<void> {
    const fits = Number.isInteger(offset) && offset >= 0 && length > 0 && offset + length <= this.size &&
      offset % 512 === 0 && length % 512 === 0;
    if (!fits || this.readonly && what !== "read") this.wrong.push(`${what} ${offset} ${length}`);
    switch (this.next(8)) {
      case 0:
        throw new Error("the store fails at once");
      case 1:
      case 2: {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#waiting.push(resolve);
        return promise.then(work);
      }
      case 3:
        return Promise.reject(new Error("the store fails later"));
      default:
        work();
    }
  }

  read(offset: number, into: Uint8Array<ArrayBuffer>): void | Promise<void> {
    return this.#do(
      "read",
      offset,
      into.length,
      () => into.set(this.bytes.subarray(offset, offset + into.length)),
    );
  }
  /** Does all of it, some of it, or nothing. */
  readAtOnce(offset: number, pieces: readonly Uint8Array<ArrayBuffer>[]): boolean {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const fits = offset % 512 === 0 && length % 512 === 0 && length > 0 && offset + length <= this.size;
    if (!fits || pieces.some((piece) => piece.length > PAGE_SIZE)) {
      this.wrong.push(`at once ${offset} ${length}`);
    }
    for (const piece of pieces) {
      if (this.next(4) === 0) return false;
      piece.set(this.bytes.subarray(offset, offset += piece.length));
    }
    return true;
  }
  write(offset: number, from: Uint8Array<ArrayBuffer>): void | Promise<void> {
    return this.#do("write", offset, from.length, () => this.bytes.set(from, offset));
  }
  discard(offset: number, length: number): void | Promise<void> {
    if (length === 0) return;
    return this.#do("discard", offset, length, () => void this.bytes.fill(0, offset, offset + length));
  }
  flush(): void {}

  /** Some of what waits is done; with `all`, everything. */
  finish(all = false): void {
    while (this.#waiting.length > 0 && (all || this.next(3) > 0)) {
      this.#waiting.splice(this.next(this.#waiting.length), 1)[0]?.();
    }
  }
}

/** One guest's life, from `seed`. Returns what was wrong, and how many requests were served. */
export async function fuzzRing(
  seed: number,
  steps: number,
): Promise<{ readonly wrong: readonly string[]; readonly taken: number }> {
  const next = numbers(seed);
  const pick = <T>(from: readonly T[]): T => from[next(from.length)] as T;
  const host = new FakeHost(1, 64);
  const store = new StrictStore(next, next(8) === 0);
  const deferred: (() => void)[] = [];
  const blkback = new Blkback(host, {
    store,
    device: "xvda",
    maxBytesUnderWay: MOST_BYTES,
    defer: (fn) => deferred.push(fn),
  });
  const other = new Blkback(host, {
    store: new MemoryBlockStore(new Uint8Array(512).fill(7)),
    device: "xvdb",
  });
  for (const one of [blkback, other]) one.start();
  host.settle();
  const abi = pick(["x86_32", "x86_64"] as const);
  const layouts = blkifLayouts[abi];
  const ring = host.grantPage();
  const pages: GrantedPage[] = Array.from({ length: 8 }, (_, i) => host.grantPage(i >= 5));
  const secret = host.allocatePage();
  const untouched = [secret, ...pages.slice(5).map(({ gpa }) => gpa)];
  for (const gpa of untouched) host.memory.sliceForWrite(gpa, PAGE_SIZE)?.fill(0x5e);
  for (const page of pages.slice(0, 5)) {
    for (let i = 0; i < PAGE_SIZE; i += 4) page.view.setUint32(i, next(2 ** 32));
  }
  const ports = [host.events.allocate(), host.events.allocate()];
  const dir = (devid: number) => `/local/domain/1/device/vbd/${devid}`;
  const connect = (devid: number, page: GrantedPage, port: number, protocol: string) => {
    const state = `${dir(devid)}/state`;
    for (const value of [1, 3]) {
      if (value === 3) {
        host.guestWrite(`${dir(devid)}/ring-page-order`, 0);
        host.guestWrite(`${dir(devid)}/multi-queue-num-queues`, 1);
        host.guestWrite(`${dir(devid)}/ring-ref`, page.gref);
        host.guestWrite(`${dir(devid)}/event-channel`, port);
        host.guestWrite(`${dir(devid)}/protocol`, protocol);
      }
      host.guestWrite(state, value);
      host.settle();
    }
  };
  const wrong: string[] = [];
  const near = host.grantPage();
  const nearFront = new FrontRing(near.view, blkifLayouts.x86_64.entryBytes);
  connect(NEIGHBOUR, near, ports[1] as number, "x86_64-abi");
  let front = new FrontRing(ring.view, layouts.entryBytes);
  connect(DISK, ring, ports[0] as number, `${abi}-abi`);
  const gref = () => next(10) === 0 ? pick([0, 1, 7, 99, 2 ** 32 - 1]) : pick(pages).gref;
  const sector = () => pick([next(SECTORS), next(SECTORS), SECTORS - 1, SECTORS, 2 ** 32, 2 ** 53]);
  const segment = (view: DataView, at: number) => {
    const first = next(8), last = next(6) === 0 ? next(256) : first + next(8 - first);
    view.setUint32(at, gref(), true);
    view.setUint8(at + 4, first);
    view.setUint8(at + 5, last);
  };
  const request = () => {
    const slot = front.nextRequest() % PAGE_SIZE;
    const { view } = ring;
    if (next(6) === 0) {
      for (let i = 0; i < layouts.entryBytes; i++) view.setUint8(slot + i, next(256));
      return;
    }
    const { blkif_request: { at }, blkif_request_indirect: indirect, blkif_request_discard: discard } =
      layouts;
    const operation = pick(OPERATIONS);
    view.setUint8(slot + at.operation, operation);
    if (operation === 6) {
      view.setUint8(slot + indirect.at.indirect_op, pick(OPERATIONS));
      view.setUint16(slot + indirect.at.nr_segments, pick([0, 1, 3, 256, 257, 65535]), true);
      view.setBigUint64(slot + at.sector_number, BigInt(sector()), true);
      for (let i = 0; i < 4; i++) view.setUint32(slot + indirect.at.indirect_grefs + 4 * i, gref(), true);
      const list = pick(pages.slice(0, 5));
      for (let i = 0; i < PAGE_SIZE; i += 8) segment(list.view, i);
      return;
    }
    view.setUint8(slot + at.nr_segments, pick([0, 1, 1, 2, 11, 12, 255]));
    view.setBigUint64(slot + at.sector_number, BigInt(sector()), true);
    for (let i = 0; i < 11; i++) segment(view, slot + at.seg + 8 * i);
    if (operation === 5) view.setBigUint64(slot + discard.at.nr_sectors, BigInt(sector()), true);
  };
  let taken = 0;
  try {
    for (let step = 0; step < steps; step++) {
      switch (next(16)) {
        case 0: // an index that cannot be, or may be
          ring.view.setUint32(
            pick([sring.at.req_prod, sring.at.rsp_prod, sring.at.req_event]),
            next(2 ** 32),
            true,
          );
          break;
        case 1:
          host.guestWrite(`${dir(DISK)}/${pick(NODES)}`, pick(VALUES));
          break;
        case 2: {
          front = new FrontRing(ring.view, layouts.entryBytes);
          connect(DISK, ring, ports[0] as number, `${abi}-abi`);
          break;
        }
        case 3:
          host.settle();
          break;
        case 4:
          store.finish();
          await Promise.resolve();
          break;
        case 5:
          for (let i = 0; i < 64; i++) pick(pages.slice(0, 5)).view.setUint8(next(PAGE_SIZE), next(256));
          break;
        case 6:
          for (const fn of deferred.splice(0)) fn();
          break;
        case 7:
          blkback.resized();
          break;
        default:
          for (let n = 1 + next(4); n > 0; n--) request();
          if (front.pushRequests() || next(4) === 0) host.events.send(ports[0] as number);
      }
      taken = Math.max(taken, blkback.taken);
      if (blkback.underWay > 64 + MOST_BYTES / 512) wrong.push(`${blkback.underWay} requests under way`);
    }
    // the neighbour has heard nothing of it
    const { at } = blkifLayouts.x86_64.blkif_request;
    const slot = nearFront.nextRequest();
    near.view.setUint8(slot + at.operation, 0);
    near.view.setUint8(slot + at.nr_segments, 1);
    near.view.setUint32(slot + at.seg, pages[0]?.gref ?? 0, true);
    near.view.setUint8(slot + at.seg + 4, 0);
    near.view.setUint8(slot + at.seg + 5, 0);
    if (nearFront.pushRequests()) host.events.send(ports[1] as number);
    const answers = nearFront.takeResponses().length;
    if (answers !== 1 || pages[0]?.bytes[0] !== 7) wrong.push("the neighbour is not served");
    // and the disk serves the next frontend
    for (let i = 0; i < 100 && (deferred.length > 0 || blkback.underWay > 0); i++) {
      store.finish(true);
      for (const fn of deferred.splice(0)) fn();
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    host.guestWrite(`${dir(DISK)}/state`, 6);
    host.settle();
    for (let i = 0; i < 100 && blkback.underWay > 0; i++) {
      store.finish(true);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (blkback.underWay > 0) wrong.push(`${blkback.underWay} requests never end`);
    if (host.grants.mapCount !== 1) wrong.push(`${host.grants.mapCount} pages are mapped in the end, not 1`);
    if (host.events.boundCount !== 1) {
      wrong.push(`${host.events.boundCount} ports are bound in the end, not 1`);
    }
    front = new FrontRing(ring.view, layouts.entryBytes);
    connect(DISK, ring, ports[0] as number, `${abi}-abi`);
    if (host.guestRead(`/local/domain/0/backend/vbd/1/${DISK}/state`) !== "4") {
      wrong.push("it does not connect again");
    }
  } catch (error) {
    wrong.push(error instanceof Error ? error.stack ?? error.message : String(error));
  }
  for (const gpa of untouched) {
    if (host.memory.slice(gpa, PAGE_SIZE)?.some((byte) => byte !== 0x5e)) {
      wrong.push(`the page at ${gpa} was written`);
    }
  }
  return { wrong: [...wrong, ...store.wrong], taken };
}
