// SPDX-License-Identifier: MIT
/**
 * A Linux TAP device with checksum and segmentation offload. Rules: Linux networking/tuntap.rst, linux/if_tun.h,
 * struct virtio_net_hdr of linux/virtio_net.h.
 *
 * Like QEMU with script=no it never configures the interface: no address, no bridge, not even "up". Who may create
 * one needs CAP_NET_ADMIN; who may not lets root prepare it once:
 *
 *     ip tuntap add dev tap0 mode tap user alice && ip link set tap0 up
 *
 * Frames go out and in without copies: writev gathers slices of guest RAM, readv scatters into the receiver's
 * window. What does not fit in the window lands in a bounce buffer.
 *
 * A device that is down loses frames, and nothing else. One that is deleted under us takes the descriptor with it: `gone`
 * says so until a device of that name is there again and lets itself be opened. We look for it now and then and never make
 * one: whoever deleted it decides.
 *
 * Not done: several queues of one TAP, vhost-net.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import { DeliveryQueue } from "../ends/delivery_queue.ts";
import {
  type EndState,
  Frame,
  type FrameReceiver,
  MAX_FRAME_BYTES,
  MIN_FRAME_BYTES,
  type NetEnd,
  OFFLOAD_ALL,
  OFFLOAD_CSUM,
  OFFLOAD_CSUM6,
  OFFLOAD_NONE,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
  OFFLOAD_TSO_ECN,
} from "../ends/end.ts";
import { isBulk } from "../frames/bulk.ts";
import { Headers } from "../frames/headers.ts";
import { MAX_SEGMENTS, takesAsIs } from "../frames/gso.ts";
import {
  cstring,
  EACCES,
  EAGAIN,
  EBADFD,
  EBUSY,
  EINTR,
  EINVAL,
  EIO,
  ENETDOWN,
  ENODEV,
  ENOENT,
  ENXIO,
  EPERM,
  IoVec,
  libc,
  strerror,
} from "./libc.ts";

export { waitReadable, Waker } from "./wait.ts";

const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_SETFL = 4;

const IFNAMSIZ = 16;
const IFREQ_BYTES = 40;
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUNSETIFF = 0x4004_54ca;
const TUNGETIFF = 0x8004_54d2;
const TUNSETOFFLOAD = 0x4004_54d0;
const TUNSETVNETHDRSZ = 0x4004_54d8;
const TUN_F_CSUM = 1 << 0;
const TUN_F_TSO4 = 1 << 1;
const TUN_F_TSO6 = 1 << 2;
const TUN_F_TSO_ECN = 1 << 3;

// struct virtio_net_hdr, little-endian like the host
const VNET_HDR_BYTES = 10;
const HDR_FLAGS = 0;
const HDR_GSO_TYPE = 1;
const HDR_HDR_LEN = 2;
const HDR_GSO_SIZE = 4;
const HDR_CSUM_START = 6;
const HDR_CSUM_OFFSET = 8;

/** Most slices of a frame written without gathering them first. */
const MAX_SLICES = 64;
/** Most frames per poll, so that a flood does not keep the guest from running. */
const POLL_BUDGET = 256;
/** Most stale frames dropped when a receiver is attached: more than any sensible txqueuelen. */
const DRAIN_LIMIT = 10_000;

/** First and longest time between two looks for a device that was deleted. The first leaves the guest time to let go. */
const FIRST_LOOK_MS = 1000;
const LONGEST_LOOK_MS = 4000;

/** Which TAP device to use. */
export interface TapOptions {
  /** Interface name, made when it does not exist; "tap%d" or nothing lets the kernel number it. */
  readonly name?: string;
  /** An open descriptor of a TAP or macvtap device instead, made with IFF_VNET_HDR; owned from now on. */
  readonly fd?: number;
  /** For counters and warnings. */
  readonly tracer?: Tracer;
  /** Time in milliseconds, for looking now and then; default the host's. */
  readonly nowMs?: () => number;
}

/**
 * A TAP device of Linux as a network end: frames pass between the guest's memory and the kernel by writev and readv, without a
 * copy of ours, checksums and segments as the device takes them. Needs --allow-ffi.
 */
export class TapDevice implements NetEnd {
  readonly name: string;
  readonly offloads: number = OFFLOAD_ALL;
  #fd: number;
  readonly #call = libc().call;
  readonly #errno = libc().errno;
  readonly #tracer: Tracer | undefined;
  readonly #txHeader = new DataView(new ArrayBuffer(VNET_HDR_BYTES));
  readonly #txHeaderBytes = new Uint8Array(this.#txHeader.buffer);
  readonly #txVec = new IoVec(MAX_SLICES + 1);
  readonly #rxHeader = new DataView(new ArrayBuffer(VNET_HDR_BYTES));
  readonly #rxHeaderBytes = new Uint8Array(this.#rxHeader.buffer);
  readonly #rxVec = new IoVec(MAX_SLICES + 2);
  readonly #bounce = new Uint8Array(MAX_FRAME_BYTES);
  readonly #rxFrame = new Frame();
  #receiver: FrameReceiver | undefined;
  /** Read, but the receiver found no room: one frame, or the segments of one. */
  readonly #held = new DeliveryQueue({ frames: MAX_SEGMENTS, bytes: 2 * MAX_FRAME_BYTES });
  #hasRoom = true;
  #unhurried = false;
  readonly #headers = new Headers();
  #closed = false;
  #gone = false;
  /** When to look for it next, and how long to wait after that. */
  #nextLookMs = Infinity;
  #waitMs = FIRST_LOOK_MS;
  readonly #nowMs: () => number;
  /** Somebody else opened the descriptor: we could not do it again. */
  readonly #lent: boolean;

  private constructor(fd: number, name: string, options: TapOptions) {
    this.#fd = fd;
    this.name = name;
    this.#tracer = options.tracer;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#lent = options.fd !== undefined;
  }

  /** Opens a TAP device. Throws ConfigError with one clear line when that cannot be done. */
  static open(options: TapOptions = {}): TapDevice {
    const name = options.name ?? "";
    const nameError = typeof name === "string" ? badName(name) : "it is the name of an interface";
    if (nameError !== undefined) {
      throw new ConfigError(`Cannot use ${JSON.stringify(name)} as TAP device: ${nameError}`);
    }
    const opened = options.fd === undefined ? openTap(name) : adoptTap(options.fd);
    const tap = new TapDevice(opened.fd, opened.name, options);
    tap.#setOffload(OFFLOAD_NONE);
    return tap;
  }

  /** It was deleted, or moved where a descriptor does not follow. */
  get gone(): boolean {
    return this.#gone;
  }

  /** What was sent last was bulk: its acknowledgements may come together, some slices of the guest later. */
  get unhurried(): boolean {
    return this.#unhurried;
  }

  /** A system call said that there is no device behind the descriptor any more. */
  #lost(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#held.clear();
    this.#call.close(this.#fd);
    this.#fd = -1;
    this.#waitMs = FIRST_LOOK_MS;
    this.#nextLookMs = this.#lent ? Infinity : this.#nowMs() + this.#waitMs;
    const hope = this.#lent ? "" : ", waiting for one of that name";
    this.#tracer?.counters.add("net.tap.lost");
    this.#tracer?.warnOnce("net.tap.gone", `${this.name} was deleted${hope}`);
  }

  /** Looks whether the device is back, when it is time to. */
  #look(): void {
    const now = this.#nowMs();
    if (now < this.#nextLookMs) return;
    this.#waitMs = Math.min(LONGEST_LOOK_MS, 2 * this.#waitMs);
    this.#nextLookMs = now + this.#waitMs;
    if (this.#call.if_nametoindex(cstring(this.name)) === 0) return; // opening it would make it
    try {
      this.#fd = openTap(this.name).fd;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#tracer?.warnOnce("net.tap.reopen", error.message);
      return;
    }
    this.#gone = false;
    this.#tracer?.counters.add("net.tap.reopened");
    this.receiverChanged();
  }

  attach(receiver: FrameReceiver | undefined): void {
    this.#drain();
    this.#receiver = receiver;
    this.receiverChanged();
  }

  receiverChanged(): void {
    this.#hasRoom = true;
    this.#setOffload(this.#receiver?.accepts ?? OFFLOAD_NONE);
  }

  send(frame: Frame): boolean {
    if (this.#closed || this.#gone || frame.length < MIN_FRAME_BYTES) return false;
    this.#unhurried = isBulk(frame, this.#headers);
    const h = this.#txHeader;
    h.setUint8(HDR_FLAGS, frame.flags);
    h.setUint8(HDR_GSO_TYPE, frame.gsoType);
    h.setUint16(HDR_HDR_LEN, frame.hdrLen, true);
    h.setUint16(HDR_GSO_SIZE, frame.gsoSize, true);
    h.setUint16(HDR_CSUM_START, frame.csumStart, true);
    h.setUint16(HDR_CSUM_OFFSET, frame.csumOffset, true);
    const vec = this.#txVec;
    vec.count = 0;
    vec.add(this.#txHeaderBytes);
    if (frame.slices.length <= MAX_SLICES) {
      for (const slice of frame.slices) vec.add(slice);
    } else {
      vec.add(frame.bytes());
    }
    for (;;) {
      if (this.#call.writev(this.#fd, vec.bytes, vec.count) >= 0) return true;
      const errno = this.#errno();
      if (errno === EINTR) continue;
      this.#sendFailed(errno);
      return false;
    }
  }

  #sendFailed(errno: number): void {
    if (errno === EBADFD) this.#lost();
    else if (errno === EIO || errno === ENETDOWN) {
      this.#tracer?.warnOnce(
        "net.tap.down",
        `${this.name} is down, frames are lost: ip link set ${this.name} up`,
      );
    } else {
      this.#tracer?.warnOnce("net.tap.send_errors", `${this.name} refused a frame: ${strerror(errno)}`);
    }
  }

  poll(): number {
    if (this.#gone && !this.#closed) this.#look();
    const receiver = this.#receiver;
    if (receiver === undefined || this.#closed || this.#gone) return 0;
    let delivered = 0;
    delivered += this.#held.drain(receiver);
    this.#hasRoom = this.#held.waiting === 0;
    while (this.#hasRoom && delivered < POLL_BUDGET) {
      const window = receiver.window();
      if (window === undefined) this.#hasRoom = false;
      else if (!this.#receive(window)) break;
      else delivered += this.#deliver(receiver, window);
    }
    if (delivered > 0) receiver.flush();
    return delivered;
  }

  pollFd(): number {
    return this.#receiver === undefined || !this.#hasRoom || this.#closed || this.#gone ? -1 : this.#fd;
  }

  /** Frames that were read and found no room. */
  save(): EndState {
    return { waiting: this.#held.save() };
  }

  /** Restores what `save` gave. */
  restore(state: EndState): void {
    this.#held.restore(state.waiting);
    this.#hasRoom = true;
  }

  /** Reads one frame into the window and the bounce buffer; false when there is none. */
  #receive(window: readonly Uint8Array[]): boolean {
    const vec = this.#rxVec;
    vec.count = 0;
    vec.add(this.#rxHeaderBytes);
    const slices = Math.min(window.length, MAX_SLICES);
    for (let i = 0; i < slices; i++) vec.add(window[i] as Uint8Array);
    vec.add(this.#bounce);
    let bytes: number;
    while ((bytes = this.#call.readv(this.#fd, vec.bytes, vec.count)) < 0) {
      const errno = this.#errno();
      if (errno === EINTR) continue;
      if (errno === EBADFD) this.#lost();
      else if (errno !== EAGAIN) {
        this.#hasRoom = false; // whatever it is, do not wake up for it: it is tried again at the next poll
        this.#tracer?.warnOnce("net.tap.receive_errors", `Cannot read from ${this.name}: ${strerror(errno)}`);
      }
      return false;
    }
    const h = this.#rxHeader;
    const frame = this.#rxFrame.reset();
    let left = bytes - VNET_HDR_BYTES;
    for (let i = 0; i < slices && left > 0; i++) {
      const slice = window[i] as Uint8Array;
      frame.append(slice.length <= left ? slice : slice.subarray(0, left));
      left -= Math.min(left, slice.length);
    }
    if (left > 0) frame.append(this.#bounce.subarray(0, left));
    frame.flags = h.getUint8(HDR_FLAGS);
    frame.gsoType = h.getUint8(HDR_GSO_TYPE);
    frame.hdrLen = h.getUint16(HDR_HDR_LEN, true);
    frame.gsoSize = h.getUint16(HDR_GSO_SIZE, true);
    frame.csumStart = h.getUint16(HDR_CSUM_START, true);
    frame.csumOffset = h.getUint16(HDR_CSUM_OFFSET, true);
    return true;
  }

  #deliver(receiver: FrameReceiver, window: readonly Uint8Array[]): number {
    const frame = this.#rxFrame;
    if (frame.length < MIN_FRAME_BYTES) return 0;
    let room = 0;
    for (let i = 0; i < window.length && i < MAX_SLICES; i++) room += (window[i] as Uint8Array).length;
    if (takesAsIs(frame, receiver.accepts) && receiver.deliver(frame, Math.min(room, frame.length))) return 1;
    // a copy, because the frame lies in the receiver's window, which is scratch for what follows
    const delivered = this.#held.offer(receiver, frame.clone());
    this.#hasRoom = this.#held.waiting === 0;
    return delivered;
  }

  /** Which frames the host's stack may hand us unfinished. */
  #setOffload(accepts: number): void {
    if (this.#closed || this.#gone) return;
    let value = 0;
    // TUN_F_CSUM does not tell IPv4 from IPv6; for a receiver that takes only one, #held finishes the other
    if ((accepts & (OFFLOAD_CSUM | OFFLOAD_CSUM6)) !== 0) {
      value |= TUN_F_CSUM;
      if ((accepts & OFFLOAD_TSO4) !== 0) value |= TUN_F_TSO4;
      if ((accepts & OFFLOAD_TSO6) !== 0) value |= TUN_F_TSO6;
      if ((accepts & OFFLOAD_TSO_ECN) !== 0 && (value & (TUN_F_TSO4 | TUN_F_TSO6)) !== 0) {
        value |= TUN_F_TSO_ECN;
      }
    }
    if (this.#call.ioctl_value(this.#fd, BigInt(TUNSETOFFLOAD), BigInt(value)) < 0) {
      const why = strerror(this.#errno());
      this.#tracer?.warnOnce("net.tap.offload_errors", `Cannot set offloads of ${this.name}: ${why}`);
    }
  }

  #drain(): void {
    this.#held.clear();
    for (let i = 0; i < DRAIN_LIMIT && !this.#closed && !this.#gone && this.#receive([]); i++);
  }

  /** Closes the device; a TAP that is not persistent goes away. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#receiver = undefined;
    this.#held.clear();
    if (!this.#gone) this.#call.close(this.#fd);
  }
}

/** A descriptor of the TAP device `name`, which is made when it does not exist. Throws ConfigError. */
function openTap(name: string): { fd: number; name: string } {
  const { call, errno } = libc();
  const fd = call.open(cstring("/dev/net/tun"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw new ConfigError(`Cannot open /dev/net/tun: ${openError(errno())}`, "host");
  return orClose(fd, () => {
    const ifreq = new Uint8Array(IFREQ_BYTES);
    const flags = new DataView(ifreq.buffer, IFNAMSIZ);
    ifreq.set(new TextEncoder().encode(name));
    flags.setUint16(0, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, true);
    let result = call.ioctl(fd, BigInt(TUNSETIFF), ifreq);
    let error = result < 0 ? errno() : 0;
    if (error === EINVAL) { // an existing device made with multi_queue wants to hear it (libvirt makes such)
      flags.setUint16(0, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE, true);
      result = call.ioctl(fd, BigInt(TUNSETIFF), ifreq);
      error = result < 0 ? errno() : 0;
    }
    if (error !== 0) {
      const wanted = name === "" ? "TAP device" : `TAP device "${name}"`;
      throw new ConfigError(`Cannot open ${wanted}: ${attachError(error, name)}`, "host");
    }
    return setUp(fd, ifreq);
  });
}

/** The same for a descriptor that somebody else opened. */
function adoptTap(fd: number): { fd: number; name: string } {
  const { call, errno } = libc();
  return orClose(fd, () => {
    const ifreq = new Uint8Array(IFREQ_BYTES);
    if (call.ioctl(fd, BigInt(TUNGETIFF), ifreq) < 0) {
      throw new ConfigError(`Cannot use descriptor ${fd} as TAP device: ${strerror(errno())}`);
    }
    const flags = new DataView(ifreq.buffer, IFNAMSIZ).getUint16(0, true);
    if ((flags & (IFF_VNET_HDR | IFF_NO_PI)) !== (IFF_VNET_HDR | IFF_NO_PI)) {
      throw new ConfigError(`Cannot use descriptor ${fd} as TAP device: it lacks IFF_VNET_HDR or IFF_NO_PI`);
    }
    call.fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    return setUp(fd, ifreq);
  });
}

function setUp(fd: number, ifreq: Uint8Array): { fd: number; name: string } {
  const { call, errno } = libc();
  const name = new TextDecoder().decode(ifreq.subarray(0, ifreq.subarray(0, IFNAMSIZ).indexOf(0)));
  const headerBytes = new Uint8Array(new Int32Array([VNET_HDR_BYTES]).buffer);
  if (call.ioctl(fd, BigInt(TUNSETVNETHDRSZ), headerBytes) < 0) {
    throw new ConfigError(`Cannot set the header size of TAP device "${name}": ${strerror(errno())}`, "host");
  }
  return { fd, name };
}

/** What `fn` gives; when it throws, `fd` is closed. */
function orClose<T>(fd: number, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    libc().call.close(fd);
    throw error;
  }
}

/** Why the kernel would not take `name` (dev_valid_name in its net/core/dev.c), or undefined when it is fine. */
function badName(name: string): string | undefined {
  if (new TextEncoder().encode(name).length >= IFNAMSIZ) return `it is longer than ${IFNAMSIZ - 1} bytes`;
  // deno-lint-ignore no-control-regex -- control characters are what the kernel refuses
  if (name === "." || name === ".." || /[/:\s\x00]/.test(name)) return "it is no interface name";
  if (name.replace("%d", "").includes("%")) return "the only pattern is one %d";
  return undefined;
}

function openError(errno: number): string {
  switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return `${strerror(errno)} (is the tun module loaded?)`;
    case EACCES:
    case EPERM:
      return `${strerror(errno)} (its mode is usually 0666)`;
    default:
      return strerror(errno);
  }
}

function attachError(errno: number, name: string): string {
  switch (errno) {
    case EPERM:
      return `${strerror(errno)}; root can prepare it with: ip tuntap add dev ${
        name || "tap0"
      } mode tap user $USER`;
    case EBUSY:
      return `${strerror(errno)} (another program has it open)`;
    case EINVAL:
      return `${strerror(errno)} (an interface of that name is no TAP device)`;
    default:
      return strerror(errno);
  }
}
