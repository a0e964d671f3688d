// SPDX-License-Identifier: MIT
/**
 * Offloads done in software, for a peer that does not take them: TCP segmentation (what Linux documents in
 * networking/segmentation-offloads.rst) and checksum completion. VLAN tags and IPv6 extension headers are
 * kept in every segment.
 *
 * Not done: UDP fragmentation and segmentation (no end offers them; such frames are dropped).
 * @module
 */
import {
  completeChecksum,
  fold,
  storeChecksum,
  storeSum,
  sumFrame,
  sumPseudoHeader,
  TCP_CHECKSUM_OFFSET,
  UDP_CHECKSUM_OFFSET,
} from "./checksum.ts";
import { OFFLOAD_CSUM, OFFLOAD_CSUM6, OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_TSO_ECN } from "./offloads.ts";
import {
  Frame,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from "./frame.ts";
import {
  be16,
  be32,
  Headers,
  IPPROTO_TCP,
  IPV4_TOTAL_LENGTH,
  IPV6_HEADER_BYTES,
  IPV6_PAYLOAD_LENGTH,
  putBe16,
  putBe32,
  TCP_FLAGS,
  TH_CWR,
  TH_FIN,
  TH_PSH,
} from "./headers.ts";

/** Most segments made of one frame. 64 KiB at TCP's least sensible MSS; below that a guest wants to hurt us. */
export const MAX_SEGMENTS = 1024;

const TCP_SEQ = 4;
const IPV4_ID = 4;
const IPV4_CHECKSUM = 10;

/** OFFLOAD_* needed to take `frame` as it is. Costs a look at the headers when it matters whether it is IPv6. */
export function takesAsIs(frame: Frame, accepts: number): boolean {
  if (frame.gsoType === VIRTIO_NET_HDR_GSO_NONE) {
    if ((frame.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0) return true;
    const both = accepts & (OFFLOAD_CSUM | OFFLOAD_CSUM6);
    if (both === 0) return false;
    if (both === (OFFLOAD_CSUM | OFFLOAD_CSUM6)) return true;
    const headers = new Headers();
    headers.parse(frame);
    return (both & (headers.version === 6 ? OFFLOAD_CSUM6 : OFFLOAD_CSUM)) !== 0;
  }
  if ((frame.gsoType & VIRTIO_NET_HDR_GSO_ECN) !== 0 && (accepts & OFFLOAD_TSO_ECN) === 0) return false;
  switch (frame.gsoType & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
      return (accepts & OFFLOAD_TSO4) !== 0;
    case VIRTIO_NET_HDR_GSO_TCPV6:
      return (accepts & OFFLOAD_TSO6) !== 0;
    default:
      return false;
  }
}

/**
 * Hands `frame` to `emit` in a form that a peer with `accepts` takes: as it is, with its checksum completed, or cut
 * into segments. False when the frame is bad, or when `emit` refused something (then the rest is not emitted).
 */
export function conform(frame: Frame, accepts: number, emit: (frame: Frame) => boolean): boolean {
  if (takesAsIs(frame, accepts)) return emit(frame);
  if (frame.gsoType !== VIRTIO_NET_HDR_GSO_NONE) return segment(frame, accepts, emit);
  const complete = completeChecksum(frame);
  return complete !== undefined && emit(complete);
}

/**
 * Cuts a TCP GSO frame into segments. They keep a blank checksum where `accepts` has OFFLOAD_CSUM (OFFLOAD_CSUM6).
 * Emitted frames share one header buffer per call: they are valid until `emit` returns.
 */
export function segment(frame: Frame, accepts: number, emit: (frame: Frame) => boolean): boolean {
  const headers = new Headers();
  const type = frame.gsoType & ~VIRTIO_NET_HDR_GSO_ECN;
  if (!headers.parse(frame) || headers.protocol !== IPPROTO_TCP) return false;
  const version = headers.version;
  if (type !== (version === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6)) return false;
  const { l3, l4 } = headers;
  const headerBytes = l4 + headers.l4Bytes;
  const payload = frame.length - headerBytes;
  const count = Math.max(1, Math.ceil(payload / frame.gsoSize));
  if (!(count <= MAX_SEGMENTS)) return false; // also gsoSize 0

  const template = headers.bytes.subarray(0, headerBytes);
  const header = new Uint8Array(headerBytes);
  const sequence = be32(template, l4 + TCP_SEQ);
  const id = be16(template, l3 + IPV4_ID);
  const flags = template[l4 + TCP_FLAGS] as number;
  const blank = (accepts & (version === 4 ? OFFLOAD_CSUM : OFFLOAD_CSUM6)) !== 0;
  const out = new Frame();
  for (let i = 0; i < count; i++) {
    const from = headerBytes + i * frame.gsoSize;
    const to = Math.min(frame.length, from + frame.gsoSize);
    const tcpBytes = headers.l4Bytes + (to - from);
    header.set(template);
    if (version === 4) {
      putBe16(header, l3 + IPV4_TOTAL_LENGTH, l4 - l3 + tcpBytes);
      putBe16(header, l3 + IPV4_ID, id + i);
      putBe16(header, l3 + IPV4_CHECKSUM, 0);
      storeChecksum(header, l3 + IPV4_CHECKSUM, sumFrame(out.reset().append(header), l3, l4));
    } else {
      putBe16(header, l3 + IPV6_PAYLOAD_LENGTH, l4 - l3 - IPV6_HEADER_BYTES + tcpBytes);
    }
    putBe32(header, l4 + TCP_SEQ, sequence + i * frame.gsoSize);
    let f = flags;
    if (i > 0) f &= ~TH_CWR; // RFC 3168 §6.1.2: once, on the first
    if (i < count - 1) f &= ~(TH_FIN | TH_PSH);
    header[l4 + TCP_FLAGS] = f;
    out.reset().append(header).appendRange(frame, from, to);
    const pseudo = sumPseudoHeader(header, l3, {
      version: version === 4 ? 4 : 6,
      protocol: IPPROTO_TCP,
      length: tcpBytes,
    });
    if (blank) {
      storeSum(header, l4 + TCP_CHECKSUM_OFFSET, pseudo);
      out.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
      out.csumStart = l4;
      out.csumOffset = TCP_CHECKSUM_OFFSET;
    } else {
      storeSum(header, l4 + TCP_CHECKSUM_OFFSET, 0);
      storeChecksum(header, l4 + TCP_CHECKSUM_OFFSET, fold(pseudo + sumFrame(out, l4)));
    }
    if (!emit(out)) return false;
  }
  return true;
}

/**
 * Fills in the checksum metadata of a TCP or UDP frame whose checksum is blank, from its headers. With `pseudo` the
 * header is copied and the pseudo-header's sum stored in it: for senders that did not (GSO frames without
 * NETTXF_csum_blank). Returns the frame to send, undefined when it is not whole TCP or UDP.
 */
export function setUpChecksum(frame: Frame, headers: Headers, pseudo: boolean): Frame | undefined {
  if (!headers.parse(frame) || headers.version === 0) return undefined;
  const tcp = headers.protocol === IPPROTO_TCP;
  let out = frame;
  if (pseudo) {
    const header = headers.bytes.slice(0, headers.l4 + headers.l4Bytes);
    const ip = { version: headers.version, protocol: headers.protocol, length: frame.length - headers.l4 };
    storeSum(
      header,
      headers.l4 + (tcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET),
      sumPseudoHeader(header, headers.l3, ip),
    );
    out = new Frame().append(header).appendRange(frame, header.length, frame.length).copyOffload(frame);
  }
  out.flags |= VIRTIO_NET_HDR_F_NEEDS_CSUM;
  out.csumStart = headers.l4;
  out.csumOffset = tcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET;
  out.hdrLen = headers.l4 + headers.l4Bytes;
  return out;
}
