// SPDX-License-Identifier: MIT
/**
 * The backend's side of a xenbus connection, for any kind of device: makes the nodes libxl makes, walks through
 * the states of Xen public/io/xenbus.h against whatever the frontend does, and calls a {@linkcode BackendDriver}
 * when there is something to connect or to let go. The frontend's state is read anew on each watch event, so
 * transitions that were overwritten before we looked do no harm. A {@linkcode FrontendError} from the driver
 * closes this device only.
 *
 * | frontend is             | we are                       | we do                                      |
 * |-------------------------|------------------------------|--------------------------------------------|
 * | Initialising            | Initialising, Closed         | offer, InitWait                            |
 * | Initialising            | Connected, Closing           | disconnect, offer, InitWait (driver rebind)|
 * | Initialised, Connected  | Initialising, InitWait, Closed | connect, Connected                       |
 * | Closing                 | any                          | disconnect, Closing                        |
 * | Closed, gone            | any                          | disconnect, Closed (unplug: remove nodes)  |
 * | Closed, watches our state | Closed                     | remove nodes, make them again              |
 *
 * Closed is said when the driver's requests are done.
 *
 * The last row is a driver that is bound again in Linux, or whose module is loaded again. Linux remembers a device's state
 * as long as it knows the device, and of its drivers only netfront says Initialising when it begins: blkfront would wait
 * in Closed for ever, under Xen as well. So when a driver begins to watch us while the device is Closed, the device goes,
 * as with `xl block-detach`, and when the guest has found out, it comes back: the guest has a new device in
 * Initialising, which the driver takes.
 *
 * Not done: Reconfiguring.
 * @module
 */
import { assert } from "../../cpu/base/assert.ts";
import type { Tracer } from "../../cpu/base/trace.ts";
import {
  XENBUS_STATE_NAMES,
  type XenbusState,
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
  XenbusStateUnknown,
} from "../public/io/xenbus.ts";
import { FrontendError } from "./frontend_error.ts";
import type { BackendHost, StorePermission } from "./host.ts";

export { FrontendError } from "./frontend_error.ts";

/** Names (relative, with "/" for subdirectories) and values of xenstore nodes. */
export type Nodes = Readonly<Record<string, string | number>>;

/** What a kind of backend implements. Any method may throw {@linkcode FrontendError}. */
export interface BackendDriver {
  /** Nodes to publish before InitWait: feature-* and limits. */
  offer(): Nodes;
  /** The frontend published its rings: map and bind. Returns nodes to publish before Connected. */
  connect(frontend: Frontend): Nodes;
  /** Unmap and unbind. Called once after each connect, also after one that threw half-way. */
  disconnect(): void;
  /** True: it is not done yet with what it was asked for before `disconnect`, and will call {@linkcode XenbusBackend.drained}. */
  readonly draining?: boolean;
  /** A node below the frontend's directory changed while connected (`name` relative to it, not "state"). */
  frontendChanged?(frontend: Frontend, name: string): void;
}

/** What to plug in. */
export interface XenbusOptions {
  /** "vif", "vbd": the directory's name at both ends. */
  readonly type: string;
  readonly devid: number;
  /** Nodes of the backend's directory besides the standard ones ("mac", "handle", "params", …). */
  readonly backendNodes?: Nodes;
  /** Nodes of the frontend's directory besides the standard ones ("mac", "virtual-device", …). */
  readonly frontendNodes?: Nodes;
  /** Called when an unplug is complete and the nodes are gone. */
  readonly onRemoved?: () => void;
  readonly tracer?: Tracer;
}

/** What a snapshot keeps of a xenbus connection. */
export interface XenbusBackendState {
  readonly state: XenbusState;
  readonly frontendState: XenbusState;
  /** The driver had a connection with the frontend. */
  readonly connected: boolean;
  readonly online: boolean;
  readonly started: boolean;
  /** The device has gone, and comes back when the guest has found out. */
  readonly absent?: boolean;
  /** Closed is said when the driver is done. */
  readonly closing?: boolean;
}

/** Reads the frontend's directory. Everything in it is the guest's word. */
export class Frontend {
  /** `path`: the frontend's directory. */
  constructor(readonly path: string, readonly host: BackendHost) {}

  /** Value of `name`, if there. */
  read(name: string): string | undefined {
    return this.host.store.read(`${this.path}/${name}`);
  }

  /** An unsigned decimal of 32 bits; undefined when missing or anything else. */
  readU32(name: string): number | undefined {
    return parseU32(this.read(name));
  }

  /** Like readU32, but missing or malformed is an error of the frontend. */
  requireU32(name: string): number {
    const text = this.read(name);
    const value = parseU32(text);
    if (value !== undefined) return value;
    throw new FrontendError(`Frontend node "${name}" is ${text === undefined ? "missing" : "not a number"}`);
  }

  /** A feature flag: true for a decimal other than 0. */
  readFlag(name: string): boolean {
    return (this.readU32(name) ?? 0) !== 0;
  }
}

/** An unsigned decimal of 32 bits, as xenbus nodes carry them. */
export function parseU32(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 0xffff_ffff ? value : undefined;
}

/** See the module's description. */
export class XenbusBackend {
  /** "/local/domain/0/backend/TYPE/DOMID/DEVID". */
  readonly path: string;
  /** The other end's directory. */
  readonly frontend: Frontend;
  #state: XenbusState = XenbusStateUnknown;
  #frontendState: XenbusState = XenbusStateUnknown;
  #connected = false; // the driver's connect was called and its disconnect was not
  #online = false;
  #closing = false;
  #watch: { cancel(): void } | undefined;
  /** Waits for a driver that begins with a closed device. */
  #rebind: { cancel(): void } | undefined;
  /** Waits for the guest to find out that the device has gone. */
  #absent: { cancel(): void } | undefined;

  /** Nothing happens before {@linkcode start}. */
  constructor(readonly host: BackendHost, readonly driver: BackendDriver, readonly options: XenbusOptions) {
    const { type, devid } = options;
    this.path = `/local/domain/0/backend/${type}/${host.domid}/${devid}`;
    this.frontend = new Frontend(`/local/domain/${host.domid}/device/${type}/${devid}`, host);
  }

  /** The device is there, or about to come back: between {@linkcode start} and the end of an unplug or removal. */
  get started(): boolean {
    return this.#watch !== undefined || this.#absent !== undefined;
  }

  /** Our state. */
  get state(): XenbusState {
    return this.#state;
  }

  /** The frontend's state when it was last read. */
  get frontendState(): XenbusState {
    return this.#frontendState;
  }

  /** Makes both directories, offers the features and waits for the frontend. */
  start(): void {
    assert(this.#watch === undefined, "a backend is started once");
    const { domid } = this.host;
    const backendPerms: StorePermission[] = ["n0", `r${domid}`];
    const frontendPerms: StorePermission[] = [`n${domid}`, "r0"];
    this.#makeDirectory(this.frontend.path, frontendPerms, {
      backend: this.path,
      "backend-id": 0,
      ...this.options.frontendNodes,
      state: XenbusStateInitialising,
    });
    this.#makeDirectory(this.path, backendPerms, {
      frontend: this.frontend.path,
      "frontend-id": domid,
      online: 1,
      ...this.options.backendNodes,
      state: XenbusStateInitialising,
    });
    this.#online = true;
    this.#state = XenbusStateInitialising;
    this.publish({ "hotplug-status": "connected" });
    this.guard(() => this.#offer());
    this.#watchFrontend();
  }

  /** Writes nodes in the backend's directory. */
  publish(nodes: Nodes): void {
    for (const [name, value] of Object.entries(nodes)) {
      this.host.store.write(`${this.path}/${name}`, String(value));
    }
  }

  /** Runs `fn`, an event handler of the driver: a {@linkcode FrontendError} closes the device. */
  guard(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      if (!(error instanceof FrontendError)) throw error;
      this.fail(error);
    }
  }

  /** The frontend broke the protocol: lets go of everything it shares and says why where Linux says it. */
  fail(error: FrontendError): void {
    this.#trace(`failed: ${error.message}`);
    this.options.tracer?.warnOnce(
      `backend.${this.options.type}.failed`,
      `${this.path}: closed because of the frontend: ${error.message}`,
    );
    this.#disconnect();
    const errorPath = this.path.replace("/local/domain/0/", "/local/domain/0/error/");
    this.host.store.write(`${errorPath}/error`, error.message);
    this.#setState(XenbusStateClosing);
  }

  /** Unplugs: asks the frontend to close; the nodes go when it has. */
  unplug(): void {
    if (!this.#online) return;
    this.#online = false;
    if (this.#absent !== undefined) return this.remove();
    this.publish({ online: 0 });
    if (this.#frontendState === XenbusStateClosed || this.#frontendState === XenbusStateUnknown) {
      return this.remove();
    }
    this.#setState(XenbusStateClosing);
  }

  /** Takes the device away without asking: unmaps everything and removes both directories. */
  remove(): void {
    if (!this.started) return;
    this.#online = false;
    this.#disconnect();
    if (this.#absent === undefined) this.#setState(XenbusStateClosed);
    this.#vanish();
    this.options.onRemoved?.();
  }

  /**
   * Takes the device from the guest without a word and offers it anew, as to a guest that has just been started: after a
   * soft reset or a reset of the machine. Grants and ports may be gone already.
   */
  reset(): void {
    if (!this.started) return;
    this.#disconnect();
    this.#vanish();
    this.start();
  }

  /** The driver is done with what it was asked for before `disconnect`. */
  drained(): void {
    if (this.#closing) this.#close();
  }

  /** The plain record of a snapshot. The nodes are the store's; the driver saves what it shares with the frontend. */
  save(): XenbusBackendState {
    return {
      state: this.#state,
      frontendState: this.#frontendState,
      connected: this.#connected,
      online: this.#online,
      started: this.#watch !== undefined,
      absent: this.#absent !== undefined,
      closing: this.#closing,
    };
  }

  /**
   * Restores what `save` gave, after the store. The driver's connection is closed; when the snapshot has one
   * ("connected"), the driver opens it again itself, within {@linkcode guard}.
   */
  restore(state: XenbusBackendState): void {
    this.#disconnect();
    this.#state = state.state;
    this.#frontendState = state.frontendState;
    this.#connected = state.connected;
    this.#online = state.online;
    this.#closing = state.closing ?? false;
    this.#absent?.cancel();
    this.#absent = undefined;
    if (state.absent ?? false) this.#awaitAbsence();
    this.#awaitDriver();
    if (state.started === (this.#watch !== undefined)) return;
    this.#watch?.cancel();
    this.#watch = undefined;
    if (state.started) this.#watchFrontend();
  }

  #watchFrontend(): void {
    this.#watch = this.host.store.watch(this.frontend.path, (changed) => this.#frontendNodeChanged(changed));
  }

  /** The nodes go. */
  #vanish(): void {
    this.#watch?.cancel();
    this.#absent?.cancel();
    this.#rebind?.cancel();
    this.#watch = this.#absent = this.#rebind = undefined;
    this.#closing = false;
    this.#frontendState = XenbusStateUnknown;
    this.host.store.remove(this.frontend.path);
    this.host.store.remove(this.path);
  }

  #awaitAbsence(): void {
    this.#absent = this.host.store.whenGuest("misses", this.frontend.path, () => {
      this.#absent = undefined;
      this.start();
    });
  }

  /** As long as we are closed: a driver that begins is given a new device. */
  #awaitDriver(): void {
    this.#rebind?.cancel();
    this.#rebind = undefined;
    if (this.#state !== XenbusStateClosed || !this.#online) return;
    this.#rebind = this.host.store.whenGuest("watches", `${this.path}/state`, () => {
      if (this.frontend.readU32("state") !== XenbusStateClosed) return this.#awaitDriver();
      this.#trace("plugged in anew");
      this.#vanish();
      this.#awaitAbsence();
    });
  }

  #makeDirectory(path: string, permissions: readonly StorePermission[], nodes: Nodes): void {
    const { store } = this.host;
    store.write(path, "");
    store.setPermissions(path, permissions);
    for (const [name, value] of Object.entries(nodes)) {
      store.write(`${path}/${name}`, String(value));
      store.setPermissions(`${path}/${name}`, permissions);
    }
  }

  #frontendNodeChanged(changed: string): void {
    const below = this.frontend.path + "/";
    if (changed === below + "state" || changed.length < below.length) return this.#frontendStateChanged();
    if (!this.#connected || this.#state !== XenbusStateConnected || !changed.startsWith(below)) return;
    const name = changed.slice(below.length);
    this.guard(() => this.driver.frontendChanged?.(this.frontend, name));
  }

  #frontendStateChanged(): void {
    if (this.#watch === undefined) return;
    const value = this.frontend.readU32("state") ?? XenbusStateUnknown;
    if (value >= XENBUS_STATE_NAMES.length) return this.#trace(`frontend state ${value} ignored`);
    this.#frontendState = value as XenbusState;
    this.#trace(`frontend is ${XENBUS_STATE_NAMES[value]}`);
    this.#closing = false;
    switch (this.#frontendState) {
      case XenbusStateInitialising:
        if (!this.#online || this.#state === XenbusStateInitWait) return;
        this.#disconnect();
        return this.guard(() => this.#offer());
      case XenbusStateInitialised:
      case XenbusStateConnected:
        if (!this.#online || this.#connected || this.#state === XenbusStateClosing) return;
        return this.guard(() => this.#connect());
      case XenbusStateClosing:
        this.#disconnect();
        return this.#setState(XenbusStateClosing);
      case XenbusStateClosed:
      case XenbusStateUnknown:
        this.#disconnect();
        return this.#close();
      default: // Reconfiguring, Reconfigured, InitWait: nothing to do for a backend
        return;
    }
  }

  /** The frontend is Closed or gone, and the driver is disconnected: says so when the driver is done. */
  #close(): void {
    this.#closing = this.driver.draining ?? false;
    if (this.#closing) return;
    this.#setState(XenbusStateClosed);
    if (!this.#online) this.remove();
  }

  #offer(): void {
    this.publish(this.driver.offer());
    this.#setState(XenbusStateInitWait);
  }

  #connect(): void {
    if (this.#state !== XenbusStateInitWait) this.#offer();
    this.#connected = true;
    this.publish(this.driver.connect(this.frontend));
    this.#setState(XenbusStateConnected);
  }

  #disconnect(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.driver.disconnect();
  }

  #setState(state: XenbusState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#trace(XENBUS_STATE_NAMES[state] as string);
    this.publish({ state });
    this.#awaitDriver();
  }

  #trace(message: string): void {
    this.options.tracer?.log("xenbus", `${this.path}: ${message}`);
  }
}
