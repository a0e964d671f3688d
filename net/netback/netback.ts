// SPDX-License-Identifier: MIT
/**
 * Network backend: connects a guest's netfront with a host end. Rules: Xen public/io/netif.h. This file negotiates,
 * makes the queues and filters multicast; netback_tx.ts and netback_rx.ts move the packets.
 *
 * When the end's device goes (a TAP is deleted), the guest loses this one: Linux's netfront knows no carrier but that of
 * its connection, and reads no `carrier` node, so the device is unplugged as xl does it and plugged in again when the
 * end's is back. The cable itself ({@linkcode Netback.setLink}) is the `carrier` node, as netif.h has it.
 *
 * Offered: sg, GSO and checksum offload for TCP over IPv4 and IPv6 both ways, rx-copy, several queues, split event
 * channels, multicast control, carrier. Not done: rx-flip and GSO prefix (obsolete), the control ring (hashes, static
 * grants; frontends do without), rate limits.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { Tracer } from "../../cpu/base/trace.ts";
import type { BackendHost, BackendPort, MappedGrant } from "../../xen/backend/host.ts";
import { BackRing, type BackRingState } from "../../xen/backend/ring.ts";
import {
  type BackendDriver,
  type Frontend,
  FrontendError,
  type Nodes,
  XenbusBackend,
  type XenbusBackendState,
} from "../../xen/backend/xenbus.ts";
import { NETIF_RX_ENTRY, NETIF_TX_ENTRY } from "../../xen/public/io/netif.ts";
import { formatMac, parseInterfaceMac } from "../frames/addresses.ts";
import {
  type EndState,
  type Frame,
  type FrameReceiver,
  type NetEnd,
  OFFLOAD_CSUM,
  OFFLOAD_CSUM6,
  OFFLOAD_NONE,
  OFFLOAD_TSO4,
  OFFLOAD_TSO6,
} from "../ends/end.ts";
import { Headers } from "../frames/headers.ts";
import { RxQueue } from "./netback_rx.ts";
import { type MulticastFilter, TxQueue } from "./netback_tx.ts";

/** Queues offered when not said otherwise. */
export const DEFAULT_MAX_QUEUES = 4;
/** Multicast addresses a guest may list; as many as Linux's netback keeps. */
export const MAX_MULTICAST = 64;

/** What to plug in. */
export interface NetbackOptions {
  /** Number of the interface in the guest: vif/0, vif/1, … */
  readonly devid: number;
  /** "00:16:3e:12:34:56". */
  readonly mac: string;
  /** Told to the guest when given; 1500 is understood otherwise. */
  readonly mtu?: number;
  readonly maxQueues?: number;
  readonly tracer?: Tracer;
  /** Called when an unplug is complete. */
  readonly onRemoved?: () => void;
  /** Does something a little later, before the guest goes to sleep; absent: nothing is put off. */
  readonly defer?: (work: () => void) => void;
}

/** What the guest shares for one queue, as it said when it connected; what it writes later changes nothing. */
interface QueueShares {
  readonly txRef: number;
  readonly rxRef: number;
  readonly txPort: number;
  /** The same as `txPort` without split event channels. */
  readonly rxPort: number;
}

interface Queue {
  readonly shares: QueueShares;
  readonly tx: TxQueue;
  readonly rx: RxQueue;
}

/** One queue in a snapshot: what is shared, and how far the rings were worked off. */
export interface QueueState extends QueueShares {
  readonly tx: BackRingState;
  readonly rx: BackRingState;
}

/** What a snapshot keeps of a network backend. Rings and buffers lie in the guest's memory. */
export interface NetbackState {
  readonly xenbus: XenbusBackendState;
  readonly linkUp: boolean;
  /** The end's device had gone. */
  readonly gone: boolean;
  readonly unplugged: boolean;
  /** OFFLOAD_* that the frontend takes. */
  readonly accepts: number;
  /** The frontend takes frames in several buffers. */
  readonly sg: boolean;
  readonly multicast: { readonly active: boolean; readonly addresses: readonly string[] };
  readonly queues: readonly QueueState[];
  /** Of the host's end; null when it keeps nothing. */
  readonly end: EndState | null;
}

/** See the module's description. */
export class Netback {
  readonly xenbus: XenbusBackend;
  /** "vif1.0": domain and device, as Linux names it. */
  readonly name: string;
  readonly #onRemoved: (() => void) | undefined;
  readonly #tracer: Tracer;
  readonly #maxQueues: number;
  readonly #defer: ((work: () => void) => void) | undefined;
  readonly #multicast = new MulticastList();
  readonly #headers = new Headers();
  readonly #anywhere: Uint8Array[] = [];
  #queues: Queue[] = [];
  #mappings: MappedGrant[] = [];
  #ports: BackendPort[] = [];
  #accepts = OFFLOAD_NONE;
  #sg = false;
  #linkUp = true;
  /** The end's device has gone, and with it this one. */
  #gone = false;
  /** The owner does not want it any more. */
  #unplugged = false;
  #moreTx = false;

  /** The end belongs to this device from now on. Nothing happens before {@linkcode start}. */
  constructor(readonly host: BackendHost, readonly end: NetEnd, options: NetbackOptions) {
    const { devid, mtu } = options;
    const mac = parseInterfaceMac(options.mac);
    if (mac === undefined) {
      throw new ConfigError(`Cannot use ${JSON.stringify(options.mac)} as MAC address of a network device`);
    }
    this.#onRemoved = options.onRemoved;
    this.name = `vif${host.domid}.${devid}`;
    this.#tracer = options.tracer ?? new Tracer();
    this.#defer = options.defer;
    this.#maxQueues = options.maxQueues ?? DEFAULT_MAX_QUEUES;
    const nodes = { mac: formatMac(mac), handle: devid };
    this.xenbus = new XenbusBackend(host, this.#driver(), {
      type: "vif",
      devid,
      backendNodes: { ...nodes, type: "vif" },
      frontendNodes: { ...nodes, ...(mtu === undefined ? {} : { mtu }) },
      tracer: this.#tracer,
      onRemoved: () => {
        if (this.#unplugged) options.onRemoved?.();
      },
    });
  }

  /** Makes the nodes and waits for the guest's driver; later, when the end's device is not there now. */
  start(): void {
    this.#unplugged = false;
    this.#gone = this.end.gone ?? false;
    if (!this.#gone) this.xenbus.start();
  }

  /** Polling brings nothing: no frontend is connected, or its end never gets frames, and nothing was left over. */
  get quiet(): boolean {
    if (this.#queues.length === 0) return true;
    return (this.end.silent ?? false) && !this.#moreTx;
  }

  /** Moves what arrived at the end to the guest, and goes on with what a turn left over. Returns frames received. See NetEnd. */
  poll(idle?: boolean): number {
    if ((this.end.gone ?? false) !== this.#gone) this.#followEnd();
    if (this.#moreTx) {
      this.#moreTx = false;
      for (const queue of this.#queues) this.#processTx(queue.tx);
    }
    return this.end.poll(idle);
  }

  /** The end's device went or came back. */
  #followEnd(): void {
    if (!this.#gone) {
      this.#gone = true;
      this.#tracer.log("net", `${this.name}: ${this.end.name} has gone, unplugging`);
      this.xenbus.publish({ carrier: 0 });
      this.xenbus.unplug();
    } else if (!this.xenbus.started) { // else the guest still has to let go of the old one
      this.#gone = false;
      this.#tracer.log("net", `${this.name}: ${this.end.name} is back`);
      if (!this.#unplugged) this.xenbus.start();
    }
  }

  /** Plugs the cable in or out: the guest sees the carrier, frames are dropped meanwhile. */
  setLink(up: boolean): void {
    if (this.#linkUp === up) return;
    this.#linkUp = up;
    this.xenbus.publish({ carrier: Number(up) });
    if (this.#queues.length > 0) this.end.attach(up ? this.#receiver : undefined);
  }

  /** Asks the guest to let go of the device, then removes it. */
  unplug(): void {
    if (this.#unplugged) return;
    this.#unplugged = true;
    if (this.xenbus.started) this.xenbus.unplug();
    else this.#onRemoved?.();
  }

  /** Removes the device at once and closes the end. */
  close(): void {
    this.#unplugged = true;
    this.xenbus.remove();
    this.end.close();
  }

  /** Lets go of everything shared, without a word, and offers the device anew. The end and the link stay. */
  reset(): void {
    if (this.#gone) this.xenbus.remove();
    else this.xenbus.reset();
  }

  /** The plain record of a snapshot. Between turns only: what a turn does is in the rings when it ends. */
  save(): NetbackState {
    return {
      xenbus: this.xenbus.save(),
      linkUp: this.#linkUp,
      gone: this.#gone,
      unplugged: this.#unplugged,
      accepts: this.#accepts,
      sg: this.#sg,
      multicast: { active: this.#multicast.active, addresses: this.#multicast.list() },
      queues: this.#queues.map(({ shares, tx, rx }) => ({
        ...shares,
        tx: tx.save(),
        rx: rx.save(),
      })),
      end: this.end.save?.() ?? null,
    };
  }

  /**
   * Restores what `save` gave, after memory, grants, events and store: maps, binds and goes on. No
   * {@linkcode start} is needed. A guest that took away what it shares loses this device, as at any other time.
   */
  restore(state: NetbackState): void {
    this.xenbus.restore(state.xenbus);
    this.#linkUp = state.linkUp;
    this.#gone = state.gone;
    this.#unplugged = state.unplugged;
    this.#multicast.restore(state.multicast.addresses);
    this.#multicast.active = state.multicast.active;
    if (!state.xenbus.connected) return;
    this.xenbus.guard(() => {
      this.#accepts = state.accepts;
      this.#sg = state.sg;
      state.queues.forEach((queue, i) => {
        const opened = this.#openQueue(queue, this.#queueName(i, state.queues.length), state.sg);
        opened.tx.restore(queue.tx);
        opened.rx.restore(queue.rx);
        this.#queues.push(opened);
      });
      this.end.attach(this.#linkUp ? this.#receiver : undefined);
      if (state.end !== null) this.end.restore?.(state.end);
    });
  }

  #driver(): BackendDriver {
    return {
      offer: () => this.#offer(),
      connect: (frontend) => this.#connect(frontend),
      disconnect: () => this.#disconnect(),
      frontendChanged: (frontend, name) => {
        if (name === "request-multicast-control") this.#multicast.active = frontend.readFlag(name);
      },
    };
  }

  #offer(): Nodes {
    return {
      "feature-sg": 1,
      "feature-gso-tcpv4": 1,
      "feature-gso-tcpv6": 1,
      "feature-ipv6-csum-offload": 1,
      "feature-rx-copy": 1,
      "feature-rx-flip": 0,
      "feature-multicast-control": 1,
      "feature-dynamic-multicast-control": 1,
      "feature-split-event-channels": 1,
      "multi-queue-max-queues": this.#maxQueues,
      carrier: Number(this.#linkUp),
    };
  }

  #connect(frontend: Frontend): Nodes {
    if (!frontend.readFlag("request-rx-copy")) throw new FrontendError("Frontend does not use rx-copy");
    const count = frontend.readU32("multi-queue-num-queues") ?? 1;
    if (count < 1 || count > this.#maxQueues) {
      throw new FrontendError(`Frontend wants ${count} queues, 1 to ${this.#maxQueues} are offered`);
    }
    const sg = this.#sg = frontend.readFlag("feature-sg");
    this.#accepts = accepted(frontend, sg);
    this.#multicast.clear();
    this.#multicast.active = frontend.readFlag("request-multicast-control");
    for (let i = 0; i < count; i++) {
      const shares = readShares(frontend, count === 1 ? "" : `queue-${i}/`);
      this.#queues.push(this.#openQueue(shares, this.#queueName(i, count), sg));
    }
    this.end.attach(this.#linkUp ? this.#receiver : undefined);
    this.#tracer.log("net", `${this.name} connected: ${count} queues, accepts ${this.#accepts}, sg ${sg}`);
    return {};
  }

  #queueName(index: number, count: number): string {
    return count === 1 ? this.name : `${this.name} queue-${index}`;
  }

  /** Maps the rings and binds the ports. */
  #openQueue(shares: QueueShares, name: string, sg: boolean): Queue {
    const { grants } = this.host;
    const { txRef, rxRef, txPort: txRemote, rxPort: rxRemote } = shares;
    const txRing = new BackRing([this.#map(txRef)], NETIF_TX_ENTRY);
    const rxRing = new BackRing([this.#map(rxRef)], NETIF_RX_ENTRY);
    const tracer = this.#tracer;
    const onTx = (): void => {
      this.#processTx(tx);
    };
    const onRx = (): void => {
      this.end.poll();
    };
    let txPort: BackendPort;
    let rxPort: BackendPort;
    if (txRemote !== rxRemote) {
      txPort = this.#bind(txRemote, onTx);
      rxPort = this.#bind(rxRemote, onRx);
    } else {
      txPort = rxPort = this.#bind(txRemote, () => {
        onTx();
        onRx();
      });
    }
    const rx = new RxQueue({ ring: rxRing, grants, port: rxPort, sg, name, tracer });
    const tx = new TxQueue({
      ring: txRing,
      grants,
      end: this.end,
      port: txPort,
      multicast: this.#multicast,
      linkUp: () => this.#linkUp,
      defer: this.#defer,
      name,
      tracer,
    });
    this.#moreTx = true; // it may have sent before we were there to hear its event
    return { shares: { txRef, rxRef, txPort: txRemote, rxPort: rxRemote }, tx, rx };
  }

  #map(gref: number): MappedGrant {
    const mapping = this.host.grants.map(gref, false);
    if (typeof mapping === "number") {
      throw new FrontendError(`Cannot map ring reference ${gref}: status ${mapping}`);
    }
    this.#mappings.push(mapping);
    return mapping;
  }

  #bind(port: number, handler: () => void): BackendPort {
    const bound = this.host.events.bindInterdomain(port, handler);
    if (bound === undefined) throw new FrontendError(`Cannot bind event channel ${port}`);
    this.#ports.push(bound);
    return bound;
  }

  #disconnect(): void {
    this.#multicast.clear();
    this.#multicast.active = false;
    for (const queue of this.#queues) queue.tx.closed = true;
    this.#queues = [];
    this.#accepts = OFFLOAD_NONE;
    this.#sg = false;
    this.end.attach(undefined);
    for (const port of this.#ports) port.close();
    for (const mapping of this.#mappings) mapping.unmap();
    this.#ports = [];
    this.#mappings = [];
    this.#moreTx = false;
  }

  #processTx(tx: TxQueue): void {
    this.xenbus.guard(() => {
      if (tx.process()) this.#moreTx = true;
    });
  }

  readonly #receiver: FrameReceiver = this.#makeReceiver();

  /** What the end sees. Ring errors close this device and nothing else, whoever's frame it was. */
  #makeReceiver(): FrameReceiver {
    // deno-lint-ignore no-this-alias -- the getter below has a `this` of its own
    const self = this;
    return {
      get accepts() {
        return self.#accepts;
      },
      window: () => this.#guarded(undefined, () => this.#window()),
      deliver: (frame, inPlace) => this.#guarded(true, () => this.#deliver(frame, inPlace)),
      flush: () =>
        this.#guarded(undefined, () => {
          for (const queue of this.#queues) queue.rx.flush();
        }),
    };
  }

  #guarded<T>(otherwise: T, fn: () => T): T {
    try {
      return fn();
    } catch (error) {
      if (!(error instanceof FrontendError)) throw error;
      this.xenbus.fail(error);
      return otherwise;
    }
  }

  #window(): readonly Uint8Array[] | undefined {
    const only = this.#queues[0];
    if (this.#queues.length === 1 && only !== undefined) return only.rx.window();
    // the frame decides the queue: read it elsewhere first, as soon as any queue has room
    return this.#queues.some((queue) => queue.rx.window() !== undefined) ? this.#anywhere : undefined;
  }

  #deliver(frame: Frame, inPlace: number): boolean {
    if (this.#multicast.refuses(frame)) {
      this.#tracer.counters.add("net.rx.filtered");
      return true;
    }
    const queue = this.#queues.length === 1
      ? this.#queues[0]
      : this.#queues[this.#flowHash(frame) % this.#queues.length];
    return queue === undefined || queue.rx.deliver(frame, inPlace); // no queue: disconnected, the frame is lost
  }

  /** Frames of one flow have one hash: they stay in order. */
  #flowHash(frame: Frame): number {
    const headers = this.#headers;
    const whole = headers.parse(frame);
    if (headers.version === 0) return 0;
    const from = headers.l3 + (headers.version === 4 ? 12 : 8);
    const to = headers.l3 + (headers.version === 4 ? 20 : 40);
    let hash = headers.protocol;
    for (let i = from; i < to; i++) hash = Math.imul(hash, 31) + (headers.bytes[i] as number);
    if (whole) {
      for (let i = headers.l4; i < headers.l4 + 4; i++) {
        hash = Math.imul(hash, 31) + (headers.bytes[i] as number);
      }
    }
    return (hash ^ (hash >>> 15)) >>> 0;
  }
}

/** Where a queue's rings and ports are, from the frontend's nodes; `prefix`: "queue-N/" when there are several. */
function readShares(frontend: Frontend, prefix: string): QueueShares {
  const txRef = frontend.requireU32(`${prefix}tx-ring-ref`);
  const rxRef = frontend.requireU32(`${prefix}rx-ring-ref`);
  if (frontend.readU32(`${prefix}event-channel-tx`) === undefined) {
    const port = frontend.requireU32(`${prefix}event-channel`);
    return { txRef, rxRef, txPort: port, rxPort: port };
  }
  const txPort = frontend.requireU32(`${prefix}event-channel-tx`);
  const rxPort = frontend.requireU32(`${prefix}event-channel-rx`);
  if (txPort === rxPort) throw new FrontendError(`Frontend splits event channel ${txPort} into itself`);
  return { txRef, rxRef, txPort, rxPort };
}

/** OFFLOAD_* that the frontend takes. GSO frames have blank checksums, so one without the other is none. */
function accepted(frontend: Frontend, sg: boolean): number {
  let accepts = OFFLOAD_NONE;
  if (!frontend.readFlag("feature-no-csum-offload")) {
    accepts |= OFFLOAD_CSUM;
    if (sg && frontend.readFlag("feature-gso-tcpv4")) accepts |= OFFLOAD_TSO4;
  }
  if (frontend.readFlag("feature-ipv6-csum-offload")) {
    accepts |= OFFLOAD_CSUM6;
    if (sg && frontend.readFlag("feature-gso-tcpv6")) accepts |= OFFLOAD_TSO6;
  }
  return accepts;
}

/** The guest's multicast list; filters once the guest asks for it. */
class MulticastList implements MulticastFilter {
  active = false;
  readonly #addresses = new Set<string>();

  add(address: Uint8Array): boolean {
    if (this.#addresses.size >= MAX_MULTICAST) return this.#addresses.has(formatMac(address));
    this.#addresses.add(formatMac(address));
    return true;
  }
  remove(address: Uint8Array): void {
    this.#addresses.delete(formatMac(address));
  }
  clear(): void {
    this.#addresses.clear();
  }
  list(): string[] {
    return [...this.#addresses];
  }
  restore(addresses: readonly string[]): void {
    this.clear();
    for (const address of addresses.slice(0, MAX_MULTICAST)) this.#addresses.add(address);
  }
  /** True for a multicast frame that is not wanted. */
  refuses(frame: Frame): boolean {
    if (!this.active) return false;
    const first = frame.slices[0]?.[0] ?? 0;
    if ((first & 1) === 0) return false;
    const destination = new Uint8Array(6);
    frame.copyTo(destination);
    const text = formatMac(destination);
    return text !== "ff:ff:ff:ff:ff:ff" && !this.#addresses.has(text);
  }
}
