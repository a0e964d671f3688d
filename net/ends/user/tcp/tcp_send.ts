// SPDX-License-Identifier: MIT
/**
 * What the host sends on one TCP connection, on its way to the guest: the guest's window, congestion control (RFC 5681),
 * the retransmission timer (RFC 6298), and what is lost according to SACK (RFC 2018, RFC 6675 in outline) or, from
 * guests without it, to duplicate acknowledgements (RFC 6582). Offsets count the bytes for the guest; the FIN
 * counts as one behind the last.
 *
 * Not done: timestamps, F-RTO.
 * @module
 */
import { ByteRing } from "./byte_ring.ts";
import { Ranges } from "./ranges.ts";

const FIRST_RTO_MS = 1000;
/** RFC 6298 §2.4: the guest of a busy host may be silent for so long, and nothing is lost. */
const LEAST_RTO_MS = 1000;
/** Where something was lost before: with a second that would crawl. */
const LEAST_LOSSY_RTO_MS = 300;
/** When nobody looked for so long, guests had no time either: they get a little more before they are taken for silent. */
const STALL_MS = 30;
const SECOND_CHANCE_MS = 50;
const MIN_PATIENCE_MS = 2;
const LEAST_PROBE_MS = 10;
const LONGEST_RTO_MS = 60_000;
/** So many times nobody answered: the guest has gone. */
const MOST_TRIES = 12;
const DUPLICATES = 3;
const FIRST_WINDOW_SEGMENTS = 10; // RFC 6928
const LONGEST_WINDOW = 4 << 20;
const MAX_SACKED = 32;

/** What `next` found to send. */
export interface TcpPiece {
  from: number;
  length: number;
  fin: boolean;
  again: boolean;
}

/** See the module's description. */
export class TcpSend {
  readonly ring: ByteRing;
  /** All before it is acknowledged. */
  una = 0;
  /** All before it was sent. */
  nxt = 0;
  /** The guest's window, from `una` on. */
  window = 0;
  #largestWindow = 0;
  congestionWindow = 0;
  #threshold = Infinity;
  #duplicates = 0;
  readonly #sacked = new Ranges(MAX_SACKED);
  /** What is taken for lost: [#againFrom, #againTo) but for what was SACKed. Empty when nothing is. */
  #againFrom = 0;
  #againTo = 0;
  /** What was sent up to here when all that was lost had been sent again; -1: not yet. */
  #againMark = -1;
  #hadChance = false;
  /** Something was lost before: frames are kept small, and silence is asked about early (RFC 8985 §7). */
  #lossy = false;
  #tailProbed = false;
  /** This path brings segments out of order: what is missing may be on its way. */
  #reorders = false;
  /** When what is missing is taken for lost all the same; Infinity: nothing is. */
  #patienceMs = Infinity;
  /** Until `una` gets here a loss is being repaired. */
  #recover = 0;
  #repairing: "no" | "fast" | "timeout" = "no";
  #finQueued = false;
  // RFC 6298
  #srtt = -1;
  #rttvar = 0;
  #tries = 0;
  #timedTo = -1; // acknowledging this offset ends a measurement
  #timedAtMs = 0;
  /** When to do something about silence; Infinity: nothing to wait for. */
  deadlineMs = Infinity;
  /** The window is closed, and the guest is to be asked. */
  probe = false;
  /** Counted for the statistics of the stack. */
  retransmitted = 0;
  readonly piece: TcpPiece = { from: 0, length: 0, fin: false, again: false };

  constructor(capacity: number, readonly mss: number, readonly sackPermitted: boolean) {
    this.ring = new ByteRing(capacity);
    this.congestionWindow = FIRST_WINDOW_SEGMENTS * mss;
  }

  /** Behind the last byte there will be no more. */
  finish(): void {
    this.#finQueued = true;
  }
  /** The FIN was sent. */
  get finSent(): boolean {
    return this.#finQueued && this.nxt === this.ring.tail + 1;
  }
  get finAcknowledged(): boolean {
    return this.finSent && this.una === this.nxt;
  }
  get inFlight(): number {
    return this.nxt - this.una;
  }
  /** Nobody has answered for long. */
  get hopeless(): boolean {
    return this.#tries > MOST_TRIES;
  }

  /** Takes the window that a segment announces. */
  announce(window: number): void {
    if (this.window === 0 && window > 0) this.probe = false;
    this.window = window;
    this.#largestWindow = Math.max(this.#largestWindow, window);
  }

  /** The guest has spoken, so it is there. */
  heard(): void {
    if (this.inFlight === 0) this.#tries = 0;
  }

  /** Takes a SACK block. */
  sack(from: number, to: number): void {
    if (from < this.una && from < to) this.#reorders = true; // RFC 2883: it got something twice
    if (from >= to || from < this.una || to > this.nxt) return;
    this.#sacked.add(from, to);
  }

  /** Takes an acknowledgement of all before `offset`; `duplicate`: it has nothing else to say. */
  acknowledge(offset: number, duplicate: boolean, nowMs: number): void {
    if (offset > this.una) this.#progress(offset, nowMs);
    else if (duplicate && this.inFlight > 0) this.#duplicates++;
    this.#detectLoss(nowMs);
  }

  #progress(offset: number, nowMs: number): void {
    const bytes = offset - this.una;
    // the hole was filled by what was sent first
    if (this.#repairing === "no" && this.#sacked.list.length > 0) this.#reorders = true;
    this.una = offset;
    this.ring.consume(Math.min(offset, this.ring.tail) - this.ring.head);
    this.#sacked.dropBefore(offset);
    this.#duplicates = 0;
    this.#tries = 0;
    this.#hadChance = false;
    if (this.#timedTo >= 0 && offset >= this.#timedTo) {
      this.#measure(nowMs - this.#timedAtMs);
      this.#timedTo = -1;
    }
    this.#patienceMs = Infinity;
    this.#againFrom = Math.max(this.#againFrom, offset);
    if (this.#repairing !== "no") {
      if (offset >= this.#recover) {
        if (this.#repairing === "fast") this.congestionWindow = this.#threshold;
        this.#repairing = "no";
        this.#againTo = this.#againFrom;
        this.#againMark = -1;
      } else if (this.#repairing === "fast" && !this.sackPermitted) { // RFC 6582 §3.2: the next hole
        this.#againFrom = offset;
        this.#againTo = Math.min(this.#recover, offset + this.mss);
      }
    }
    if (this.#repairing !== "fast") this.#openWindow(bytes);
    this.#tailProbed = false;
    this.deadlineMs = this.inFlight > 0 ? nowMs + this.#silence() : Infinity;
  }

  #openWindow(bytes: number): void {
    const grown = this.congestionWindow < this.#threshold
      ? this.congestionWindow + bytes
      : this.congestionWindow + this.mss * Math.min(1, bytes / this.congestionWindow);
    this.congestionWindow = Math.min(LONGEST_WINDOW, grown);
  }

  #detectLoss(nowMs: number): void {
    const end = this.#sacked.end;
    if (this.#repairing !== "no") {
      // what was sent after the repairs has arrived, they have not: they are lost as well
      if (this.#againMark >= 0 && end >= this.#againMark + DUPLICATES * this.mss) {
        this.#againMark = -1;
        this.#recover = this.nxt;
        this.#againFrom = this.una;
        this.#againTo = end;
      } else if (this.#repairing === "fast" && this.sackPermitted && end > this.#againTo) {
        this.#againTo = end;
        if (this.#sacked.missing(this.#againFrom, end) > 0) this.#againMark = -1; // more to send again first
      }
      return;
    }
    if (this.inFlight === 0) return;
    if (this.#duplicates < DUPLICATES && this.#sacked.bytes < DUPLICATES * this.mss) {
      this.#patienceMs = Infinity;
      return;
    }
    if (this.#reorders && this.#srtt > 0) { // as RFC 8985 does
      if (this.#patienceMs === Infinity) this.#patienceMs = nowMs + Math.max(MIN_PATIENCE_MS, this.#srtt / 2);
      this.deadlineMs = Math.min(this.deadlineMs, this.#patienceMs);
      if (nowMs < this.#patienceMs) return;
    }
    this.#patienceMs = Infinity;
    this.#lossy = true;
    this.#repairing = "fast";
    this.#recover = this.nxt;
    this.#threshold = Math.max(this.inFlight / 2, 2 * this.mss);
    this.congestionWindow = this.#threshold;
    this.#againFrom = this.una;
    this.#againTo = Math.max(end, Math.min(this.nxt, this.una + this.mss));
    this.#againMark = -1;
    this.#timedTo = -1;
  }

  #measure(ms: number): void {
    if (this.#srtt < 0) {
      this.#srtt = ms;
      this.#rttvar = ms / 2;
    } else {
      this.#rttvar = 0.75 * this.#rttvar + 0.25 * Math.abs(this.#srtt - ms);
      this.#srtt = 0.875 * this.#srtt + 0.125 * ms;
    }
  }

  get #rto(): number {
    if (this.#srtt < 0) return FIRST_RTO_MS;
    const least = this.#lossy ? LEAST_LOSSY_RTO_MS : LEAST_RTO_MS;
    return Math.min(LONGEST_RTO_MS, Math.max(least, this.#srtt + 4 * this.#rttvar));
  }

  /** Bytes that are on their way as far as we know. */
  #pipe(): number {
    const lost = this.#sacked.missing(this.#againFrom, this.#againTo);
    const left = this.sackPermitted ? 0 : this.#duplicates * this.mss;
    return Math.max(0, this.inFlight - this.#sacked.bytes - lost - left);
  }

  /** Finds in `piece` what to send now, at most `most` bytes; false: nothing. */
  next(most: number): boolean {
    return this.#nextAgain() || this.#nextNew(most);
  }

  #nextAgain(): boolean {
    if (this.#againFrom >= this.#againTo) return false;
    const from = this.#sacked.firstMissing(this.#againFrom);
    if (from >= this.#againTo) {
      this.#againFrom = this.#againTo;
      return false;
    }
    const paced = this.#repairing !== "no"; // a probe is not
    if (paced && from > this.una && this.#pipe() + this.mss > this.congestionWindow) return false;
    const { piece, ring } = this;
    const to = Math.min(this.#againTo, from + this.mss, this.#sacked.nextAfter(from));
    piece.from = from;
    piece.length = Math.min(to, ring.tail) - from;
    piece.fin = to > ring.tail;
    piece.again = true;
    return true;
  }

  #nextNew(most: number): boolean {
    const { piece, ring, mss } = this;
    const available = Math.max(0, ring.tail - this.nxt);
    const fin = this.#finQueued && !this.finSent;
    if (available === 0 && !fin) return false;
    const room = Math.min(this.una + this.window - this.nxt, this.congestionWindow - this.#pipe());
    if (available === 0) { // the FIN alone
      if (room < 1 && this.inFlight > 0) return false;
    } else if (room < Math.min(available, mss) && !(room > 0 && this.#worthSending(room))) return false;
    // a frame that is lost takes all its segments with it: not the whole window at once
    const largest = this.#lossy ? Math.max(mss, Math.min(most, this.congestionWindow / 4)) : most;
    let length = Math.floor(Math.min(available, room, largest));
    if (length > mss && length < available) length -= length % mss;
    piece.from = this.nxt;
    piece.length = Math.max(0, length);
    piece.fin = fin && length === available;
    piece.again = false;
    return true;
  }

  /** Less than a segment's worth of window is used only when nothing better can be hoped for (RFC 9293 §3.8.6.2.1). */
  #worthSending(room: number): boolean {
    return room >= this.#largestWindow / 2 || (this.inFlight === 0 && room >= this.mss);
  }

  /** `piece` was sent. */
  sent(nowMs: number): void {
    const { from, length, fin, again } = this.piece;
    const to = from + length + Number(fin);
    if (again) {
      this.#againFrom = to;
      this.retransmitted++;
      if (this.#sacked.firstMissing(to) >= this.#againTo) this.#againMark = this.nxt;
    } else {
      this.nxt = to;
      if (this.#timedTo < 0 && this.#repairing === "no") {
        this.#timedTo = to;
        this.#timedAtMs = nowMs;
      }
    }
    if (this.deadlineMs === Infinity || again) this.deadlineMs = nowMs + this.#silence();
  }

  /** How long nothing may be heard. */
  #silence(): number {
    const early = this.#lossy && !this.#tailProbed && this.#repairing === "no" && this.#srtt >= 0;
    return early ? Math.min(this.#rto, Math.max(LEAST_PROBE_MS, 2 * this.#srtt)) : this.#backedOff();
  }

  #backedOff(): number {
    return Math.min(LONGEST_RTO_MS, this.#rto * 2 ** Math.min(this.#tries, 16));
  }

  /** Starts asking when there is something to say and no window for it. */
  checkWindow(nowMs: number): void {
    const waiting = this.ring.tail > this.nxt || (this.#finQueued && !this.finSent);
    if (!waiting || this.inFlight > 0 || this.deadlineMs !== Infinity) return;
    this.deadlineMs = nowMs + this.#backedOff();
  }

  /** The deadline is over. `lookedMs`: the turn before this one. */
  expired(nowMs: number, lookedMs: number): void {
    if (nowMs >= this.#patienceMs) {
      this.deadlineMs = nowMs + this.#rto;
      return this.#detectLoss(nowMs);
    }
    if (this.inFlight > 0 && nowMs - lookedMs > STALL_MS && !this.#hadChance) {
      this.#hadChance = true;
      this.deadlineMs = nowMs + SECOND_CHANCE_MS;
      return;
    }
    this.#hadChance = false;
    if (this.#lossy && !this.#tailProbed && this.#repairing === "no" && this.inFlight > 0) {
      this.#tailProbed = true; // the last segment again: the answer tells what is missing
      this.#againFrom = Math.max(this.una, this.nxt - this.mss);
      this.#againTo = this.nxt;
      this.deadlineMs = nowMs + this.#rto;
      return;
    }
    this.#lossy ||= this.inFlight > 0;
    this.#tries++;
    this.#timedTo = -1;
    if (this.inFlight === 0) {
      this.probe = this.ring.tail > this.nxt || (this.#finQueued && !this.finSent);
      this.deadlineMs = this.probe ? nowMs + this.#backedOff() : Infinity;
      return;
    }
    if (this.#repairing !== "timeout") this.#threshold = Math.max(this.inFlight / 2, 2 * this.mss);
    this.#repairing = "timeout";
    this.congestionWindow = this.mss;
    this.#duplicates = 0;
    this.#sacked.clear(); // RFC 2018 §8: the guest may have thrown it away
    this.#recover = this.nxt;
    this.#againFrom = this.una;
    this.#againTo = this.nxt;
    this.#againMark = -1;
    this.deadlineMs = nowMs + this.#backedOff();
  }
}
