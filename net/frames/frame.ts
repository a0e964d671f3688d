// SPDX-License-Identifier: MIT
/**
 * A frame on its way between a guest and a host end: a scatter-gather list of byte ranges (often slices of guest
 * RAM) and the offload metadata of struct virtio_net_hdr (virtio 1.2 §5.1.6), which TAP devices use as it is.
 *
 * Frames are borrowed: the slices are valid until the call that hands the frame over returns. Whoever wants to
 * keep one copies it.
 * @module
 */

/** The checksum from csumStart to the end of the frame is to be stored at csumStart + csumOffset. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1 << 0;
/** The checksum has been checked. */
export const VIRTIO_NET_HDR_F_DATA_VALID = 1 << 1;

/** Not a GSO frame. */
export const VIRTIO_NET_HDR_GSO_NONE = 0;
/** TCP over IPv4, to be cut into segments of gsoSize. */
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
/** UDP, to be fragmented (UFO). No end of ours produces it; it is dropped. */
export const VIRTIO_NET_HDR_GSO_UDP = 3;
/** TCP over IPv6, to be cut into segments of gsoSize. */
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
/** Or-ed to the type: TCP has ECN's CWR flag set, which belongs to the first segment only. */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;

/** Most bytes in a frame: 64 KiB of IP and an Ethernet header with two VLAN tags. */
export const MAX_FRAME_BYTES = 65535 + 14 + 8;
/** Least bytes in a frame: an Ethernet header. */
export const MIN_FRAME_BYTES = 14;

/** A frame in a snapshot: a plain record with a copy of the bytes. */
export interface FrameState {
  /** All of it, from the Ethernet header on. */
  readonly bytes: Uint8Array;
  /** As {@linkcode Frame.flags}; the others likewise. */
  readonly flags: number;
  /** VIRTIO_NET_HDR_GSO_*. */
  readonly gsoType: number;
  /** Bytes of headers. */
  readonly hdrLen: number;
  /** Bytes of payload per segment. */
  readonly gsoSize: number;
  /** Where summing starts. */
  readonly csumStart: number;
  /** Where the sum goes. */
  readonly csumOffset: number;
}

/** A frame. Senders keep one and fill it again for each send. */
export class Frame {
  /** The bytes, in order. Change them with append and reset only. */
  readonly slices: Uint8Array[] = [];
  /** Sum of the slices' lengths. */
  length = 0;
  /** VIRTIO_NET_HDR_F_*. */
  flags = 0;
  /** VIRTIO_NET_HDR_GSO_*. */
  gsoType: number = VIRTIO_NET_HDR_GSO_NONE;
  /** Bytes of Ethernet, IP and TCP headers: a hint, from a GSO sender. */
  hdrLen = 0;
  /** Bytes of payload per segment of a GSO frame. */
  gsoSize = 0;
  /** Where summing starts: the TCP or UDP header. */
  csumStart = 0;
  /** Where the sum goes, from csumStart. */
  csumOffset = 0;

  /** Makes it an empty frame without offloads. */
  reset(): this {
    this.slices.length = 0;
    this.length = 0;
    this.clearOffload();
    return this;
  }

  /** Adds bytes at the end; they are not copied. */
  append(slice: Uint8Array): this {
    this.slices.push(slice);
    this.length += slice.length;
    return this;
  }

  /** No checksum to fill in, nothing to segment. */
  clearOffload(): this {
    this.flags = 0;
    this.gsoType = VIRTIO_NET_HDR_GSO_NONE;
    this.hdrLen =
      this.gsoSize =
      this.csumStart =
      this.csumOffset =
        0;
    return this;
  }

  /** Takes over the offload metadata of `other`. */
  copyOffload(other: Omit<FrameState, "bytes">): this {
    this.flags = other.flags;
    this.gsoType = other.gsoType;
    this.hdrLen = other.hdrLen;
    this.gsoSize = other.gsoSize;
    this.csumStart = other.csumStart;
    this.csumOffset = other.csumOffset;
    return this;
  }

  /** Copies bytes [from, from + into.length) into `into`; returns how many there were. */
  copyTo(into: Uint8Array, from = 0): number {
    let done = 0;
    let skip = from;
    for (const slice of this.slices) {
      if (done === into.length) break;
      if (skip >= slice.length) {
        skip -= slice.length;
        continue;
      }
      const n = Math.min(slice.length - skip, into.length - done);
      into.set(n === slice.length ? slice : slice.subarray(skip, skip + n), done);
      done += n;
      skip = 0;
    }
    return done;
  }

  /** Appends bytes [from, to) of `other` without copying them. */
  appendRange(other: Frame, from: number, to: number): this {
    let at = 0;
    for (const slice of other.slices) {
      if (at >= to) break;
      const start = Math.max(from - at, 0);
      const end = Math.min(to - at, slice.length);
      if (start < end) this.append(start === 0 && end === slice.length ? slice : slice.subarray(start, end));
      at += slice.length;
    }
    return this;
  }

  /** All bytes, copied. */
  bytes(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length);
    this.copyTo(out);
    return out;
  }

  /** The plain record of a snapshot. */
  save(): FrameState {
    const { flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset } = this;
    return { bytes: this.bytes(), flags, gsoType, hdrLen, gsoSize, csumStart, csumOffset };
  }

  /** The frame that `save` recorded, with bytes of its own. */
  static from(state: FrameState): Frame {
    return new Frame().append(state.bytes.slice()).copyOffload(state);
  }

  /** A frame of its own with a copy of the bytes and the metadata: what a queue keeps. */
  clone(): Frame {
    return new Frame().append(this.bytes()).copyOffload(this);
  }
}

/** A frame of one slice without offloads. */
export function frameOf(bytes: Uint8Array): Frame {
  return new Frame().append(bytes);
}
