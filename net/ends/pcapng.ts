// SPDX-License-Identifier: MIT
/**
 * Captures the frames of an end as pcapng (draft-ietf-opsawg-pcapng; Wireshark and tcpdump read it). Directions are the
 * guest's: what it sends is outbound. Frames are written as they pass, that is before segmentation and with blank
 * checksums where those are offloaded; the flags word says so.
 *
 * Not done: name resolution, statistics and hash blocks.
 * @module
 */
import type { Clock } from "../../cpu/base/clock.ts";
import {
  type Frame,
  type NetEnd,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
} from "./end.ts";
import { type Direction, ObservedEnd } from "./observed_end.ts";

const SHB_TYPE = 0x0a0d_0d0a; // section header block
const SHB_BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const SHB_USERAPPL = 4;
const IDB_TYPE = 1; // interface description block
const IF_NAME = 2;
const IF_TSRESOL = 9;
const IF_TSRESOL_NS = 9; // 10^-9 s
const LINKTYPE_ETHERNET = 1;
const EPB_TYPE = 6; // enhanced packet block
const EPB_FLAGS = 2;
const EPB_FLAGS_INBOUND = 0b01;
const EPB_FLAGS_OUTBOUND = 0b10;
const EPB_FLAGS_CHECKSUM_NOT_READY = 1 << 9;
const EPB_FLAGS_CHECKSUM_VALID = 1 << 10;
const EPB_FLAGS_TCP_SEGMENTATION_OFFLOADED = 1 << 11;

/** What a capture is made with. */
export interface CaptureOptions {
  /** Name of the interface in the file; the end's by default. */
  readonly interfaceName?: string;
  readonly clock: Clock;
  /** Nanoseconds from the Unix epoch to the clock's zero. */
  readonly epochNs?: bigint;
  /** Most bytes kept of each frame; all by default. */
  readonly snapLength?: number;
}

/** An end that behaves like the one it wraps, and writes every frame to `sink`, one whole block per call. */
export class PcapngCapture extends ObservedEnd<Uint8Array<ArrayBuffer>> {
  readonly #snapLength: number;
  readonly #epochNs: bigint;
  readonly #clock: Clock;

  constructor(
    inner: NetEnd,
    readonly sink: (block: Uint8Array<ArrayBuffer>) => void,
    options: CaptureOptions,
  ) {
    super(inner);
    this.#snapLength = options.snapLength ?? 0;
    this.#epochNs = options.epochNs ?? 0n;
    this.#clock = options.clock;
    sink(sectionHeader());
    sink(interfaceDescription(options.interfaceName ?? inner.name, this.#snapLength));
  }

  protected look(frame: Frame, direction: Direction): Uint8Array<ArrayBuffer> {
    return this.#block(frame, direction === "tx" ? EPB_FLAGS_OUTBOUND : EPB_FLAGS_INBOUND);
  }
  protected passed(block: Uint8Array<ArrayBuffer>): void {
    this.sink(block);
  }

  #block(frame: Frame, direction: number): Uint8Array<ArrayBuffer> {
    const kept = this.#snapLength === 0 ? frame.length : Math.min(frame.length, this.#snapLength);
    const time = this.#epochNs + BigInt(this.#clock.nowNs());
    let flags = direction;
    if ((frame.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) flags |= EPB_FLAGS_CHECKSUM_NOT_READY;
    if ((frame.flags & VIRTIO_NET_HDR_F_DATA_VALID) !== 0) flags |= EPB_FLAGS_CHECKSUM_VALID;
    if (frame.gsoType !== VIRTIO_NET_HDR_GSO_NONE) flags |= EPB_FLAGS_TCP_SEGMENTATION_OFFLOADED;
    const b = new Block(EPB_TYPE, 20 + padded(kept) + 12);
    b.u32(0); // interface
    b.u32(Number(time >> 32n));
    b.u32(Number(time & 0xffff_ffffn));
    b.u32(kept);
    b.u32(frame.length);
    frame.copyTo(b.reserve(kept));
    b.option(EPB_FLAGS, new Uint8Array(new Uint32Array([flags]).buffer));
    return b.end();
  }
}

function sectionHeader(): Uint8Array<ArrayBuffer> {
  const application = new TextEncoder().encode("Xenner");
  const b = new Block(SHB_TYPE, 16 + 4 + padded(application.length) + 4);
  b.u32(SHB_BYTE_ORDER_MAGIC);
  b.u16(1); // version 1.0
  b.u16(0);
  b.u32(0xffff_ffff); // section length: not said
  b.u32(0xffff_ffff);
  b.option(SHB_USERAPPL, application);
  return b.end();
}

function interfaceDescription(name: string, snapLength: number): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  const b = new Block(IDB_TYPE, 8 + 4 + padded(bytes.length) + 8 + 4);
  b.u16(LINKTYPE_ETHERNET);
  b.u16(0);
  b.u32(snapLength);
  b.option(IF_NAME, bytes);
  b.option(IF_TSRESOL, new Uint8Array([IF_TSRESOL_NS]));
  return b.end();
}

function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** Builds one block: type, length, body, options, length again. */
class Block {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  #at = 8;

  constructor(type: number, bodyBytes: number) {
    const total = 12 + bodyBytes;
    this.#bytes = new Uint8Array(total);
    this.#view = new DataView(this.#bytes.buffer);
    this.#view.setUint32(0, type, true);
    this.#view.setUint32(4, total, true);
    this.#view.setUint32(total - 4, total, true);
  }
  u16(value: number): void {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }
  u32(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }
  /** Padded room for `length` bytes. */
  reserve(length: number): Uint8Array {
    const room = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += padded(length);
    return room;
  }
  option(code: number, value: Uint8Array): void {
    this.u16(code);
    this.u16(value.length);
    this.reserve(value.length).set(value);
  }
  /** The block; the zeros left before the trailing length are opt_endofopt. */
  end(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }
}
