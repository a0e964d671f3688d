// SPDX-License-Identifier: MIT
/**
 * What a capture of ours tells about a link: checksums that are wrong, and what was sent twice. Reads what
 * net/ends/pcapng.ts writes. Tests only.
 * @module
 */
import { fold, sumFrame, sumPseudoHeader } from "../net/frames/checksum.ts";
import { frameOf } from "../net/frames/frame.ts";
import {
  be16,
  be32,
  Headers,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from "../net/frames/headers.ts";

const EPB_TYPE = 6;
const EPB_FLAGS = 2;
const CHECKSUM_NOT_READY = 1 << 9;
const TH_FIN = 1;
const TH_SYN = 2;

/** See the module's description. */
export interface CaptureReport {
  frames: number;
  /** TCP segments with data, and those with data that had been sent before. */
  data: number;
  again: number;
  /** IP, TCP, UDP or ICMP checksums that do not fit; those left to the receiver cannot be wrong. */
  badChecksums: number;
  /** TCP connections. */
  connections: number;
  /**
   * Sent again on connections whose SYN already had to wait: then no round trip was measured (RFC 6298 §5.7), and silence of
   * some seconds, on a busy host, is taken for loss.
   */
  impatient: number;
  /** What went wrong, one line each, the first few. */
  readonly wrong: string[];
}

/** Reads a capture. */
export function readCapture(file: Uint8Array): CaptureReport {
  const report: CaptureReport = {
    frames: 0,
    data: 0,
    again: 0,
    badChecksums: 0,
    connections: 0,
    impatient: 0,
    wrong: [],
  };
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  /** By direction of a connection: the first sequence number that was not sent yet. */
  const ends = new Map<string, number>();
  /** Connections, as the end that opened them or the other sees them, whose SYN was sent twice. */
  const late = new Set<string>();
  const headers = new Headers();
  const complain = (what: string) => {
    if (report.wrong.length < 10) report.wrong.push(`frame ${report.frames}: ${what}`);
  };
  for (let at = 0, total; at + 12 <= file.length; at += total) {
    total = view.getUint32(at + 4, true);
    if (view.getUint32(at, true) !== EPB_TYPE) continue;
    report.frames++;
    const length = view.getUint32(at + 20, true);
    const bytes = file.subarray(at + 28, at + 28 + length);
    const frame = frameOf(bytes);
    const flags = flagsOf(view, at + 28 + ((length + 3) & ~3), at + total - 4);
    headers.parse(frame);
    const { version, l3, l4, l4Bytes, protocol, fragment } = headers;
    if (version === 0) continue;
    if (version === 4 && fold(sumFrame(frame, l3, l4)) !== 0xffff) {
      report.badChecksums++;
      complain("IP header checksum");
    }
    if (fragment) continue;
    const end = version === 4 ? l3 + be16(bytes, l3 + 2) : l3 + 40 + be16(bytes, l3 + 4);
    const summed = protocol === IPPROTO_TCP || protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6 ||
      (protocol === IPPROTO_UDP && be16(bytes, l4 + 6) !== 0);
    if (summed && (flags & CHECKSUM_NOT_READY) === 0) {
      const pseudo = protocol === IPPROTO_ICMP
        ? 0
        : sumPseudoHeader(bytes, l3, { version, protocol, length: end - l4 });
      if (fold(pseudo + sumFrame(frame, l4, end)) !== 0xffff) {
        report.badChecksums++;
        complain(`checksum of protocol ${protocol}`);
      }
    }
    if (protocol !== IPPROTO_TCP || l4Bytes === 0) continue;
    const addresses = bytes.subarray(version === 4 ? l3 + 12 : l3 + 8, version === 4 ? l3 + 20 : l3 + 40);
    const key = `${addresses.toHex()} ${bytes.subarray(l4, l4 + 4).toHex()}`;
    const seq = be32(bytes, l4 + 4), control = bytes[l4 + 13] as number;
    if ((control & TH_SYN) !== 0) { // whoever has to wait long sends it again: that is no loss yet
      if (!ends.has(key)) report.connections += 0.5;
      else late.add(key);
      ends.set(key, (seq + 1) >>> 0);
      continue;
    }
    const payload = end - l4 - l4Bytes + Number((control & TH_FIN) !== 0);
    if (payload === 0) continue;
    report.data++;
    const next = ends.get(key);
    const again = next !== undefined && ((seq - next) | 0) < 0;
    if (again && late.has(key)) report.impatient++;
    else if (again) {
      report.again++;
      complain(`TCP ${key}: ${payload} bytes from ${seq} again, ${next} was next`);
    }
    if (next === undefined || ((seq + payload - next) | 0) > 0) ends.set(key, (seq + payload) >>> 0);
  }
  return report;
}

/** The flags word among the options in [at, end). */
function flagsOf(view: DataView, at: number, end: number): number {
  while (at + 4 <= end) {
    const code = view.getUint16(at, true), length = view.getUint16(at + 2, true);
    if (code === EPB_FLAGS) return view.getUint32(at + 4, true);
    if (code === 0) return 0;
    at += 4 + ((length + 3) & ~3);
  }
  return 0;
}
