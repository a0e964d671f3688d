// SPDX-License-Identifier: MIT
/** Frames and receivers for tests of net/. @module */
import { storeChecksum, storeSum, sumBytes, sumPseudoHeader } from "./checksum.ts";
import {
  Frame,
  type FrameReceiver,
  MAX_FRAME_BYTES,
  type NetEnd,
  OFFLOAD_ALL,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from "../ends/end.ts";
import { ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, IPPROTO_TCP, putBe16, putBe32 } from "./headers.ts";

/** Collects what an end delivers. */
export class Collector implements FrameReceiver {
  frames: Frame[] = [];
  flushes = 0;
  /** How many more frames it takes. */
  room = Infinity;
  /** Called for each frame taken. */
  onFrame: (frame: Frame) => void = () => {};
  readonly #window: Uint8Array[];

  /** `windowBytes`: sizes of the slices it offers to read into. */
  constructor(end: NetEnd, public accepts = OFFLOAD_ALL, windowBytes: readonly number[] = []) {
    this.#window = windowBytes.map((bytes) => new Uint8Array(bytes));
    end.attach(this);
  }
  window(): readonly Uint8Array[] | undefined {
    return this.room > 0 ? this.#window : undefined;
  }
  deliver(frame: Frame): boolean {
    if (this.room <= 0) return false;
    this.room--;
    const kept = frame.clone();
    this.frames.push(kept);
    this.onFrame(kept);
    return true;
  }
  flush(): void {
    this.flushes++;
  }
}

/** What {@linkcode tcpGso} builds. */
export interface TcpOptions {
  readonly payload: number;
  readonly gsoSize: number;
  readonly version?: 4 | 6;
  readonly vlan?: number;
  readonly flags?: number;
  readonly sequence?: number;
  /** Bytes of TCP options (NOPs), a multiple of 4. */
  readonly tcpOptions?: number;
  /** Where to cut the frame into slices. */
  readonly cuts?: readonly number[];
}

/** A TCP GSO frame as a guest's stack makes it: blank checksum holding the pseudo-header's sum. */
export function tcpGso(options: TcpOptions): Frame {
  const version = options.version ?? 4;
  const l3 = 14 + (options.vlan === undefined ? 0 : 4);
  const l4 = l3 + (version === 4 ? 20 : 40);
  const tcpBytes = 20 + (options.tcpOptions ?? 0);
  const bytes = new Uint8Array(l4 + tcpBytes + options.payload);
  if (bytes.length > MAX_FRAME_BYTES) throw new RangeError("too long for a frame");
  bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
  if (options.vlan !== undefined) {
    putBe16(bytes, 12, ETH_P_8021Q);
    putBe16(bytes, 14, options.vlan);
  }
  putBe16(bytes, l3 - 2, version === 4 ? ETH_P_IP : ETH_P_IPV6);
  const length = tcpBytes + options.payload;
  if (version === 4) {
    bytes.set([0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, IPPROTO_TCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], l3);
    putBe16(bytes, l3 + 2, 20 + length);
    storeChecksum(bytes, l3 + 10, sumBytes(bytes, l3, l4));
  } else {
    bytes[l3] = 0x60;
    putBe16(bytes, l3 + 4, length);
    bytes[l3 + 6] = IPPROTO_TCP;
    bytes[l3 + 7] = 64;
    bytes.set([0xfd, 0], l3 + 8);
    bytes[l3 + 23] = 1;
    bytes.set([0xfd, 0], l3 + 24);
    bytes[l3 + 39] = 2;
  }
  putBe16(bytes, l4, 1000);
  putBe16(bytes, l4 + 2, 2000);
  putBe32(bytes, l4 + 4, options.sequence ?? 0xffff_ff00);
  bytes[l4 + 12] = (tcpBytes / 4) << 4;
  bytes[l4 + 13] = options.flags ?? 0x10;
  putBe16(bytes, l4 + 14, 0xffff);
  storeSum(bytes, l4 + 16, sumPseudoHeader(bytes, l3, { version, protocol: IPPROTO_TCP, length }));
  bytes.fill(1, l4 + 20, l4 + tcpBytes);
  for (let i = 0; i < options.payload; i++) bytes[l4 + tcpBytes + i] = i * 31;
  const frame = new Frame();
  let from = 0;
  for (const cut of [...(options.cuts ?? []), bytes.length]) {
    frame.append(bytes.subarray(from, cut));
    from = cut;
  }
  frame.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  frame.gsoType = version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  frame.gsoSize = options.gsoSize;
  frame.csumStart = l4;
  frame.csumOffset = 16;
  frame.hdrLen = l4 + tcpBytes;
  return frame;
}
