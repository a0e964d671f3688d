// SPDX-License-Identifier: MIT
/**
 * The loop of a running machine: fires timers, polls network ends, runs what backends put off, runs a slice of CPU, prints,
 * and sleeps when the guest does. Knows when a run is over, and why.
 * @module
 */
import type { Timer } from "../../cpu/base/clock.ts";
import type { RunResult } from "../../cpu/base/engine.ts";
import {
  SHUTDOWN_crash,
  SHUTDOWN_poweroff,
  SHUTDOWN_reboot,
  SHUTDOWN_suspend,
  SHUTDOWN_watchdog,
} from "../../xen/public/sched.ts";
import type { Board } from "./board/board.ts";
import type { ExitInfo, HostClock } from "./machine_options.ts";

/** Guest instructions in one slice at most; about a millisecond. */
const SLICE_INSTRUCTIONS = 200_000;
/** The same where nothing comes from outside but by the event loop, and the engine ends slices for timers. */
const UNDISTURBED_INSTRUCTIONS = 800_000;
/** And at least, however slow the instructions are that the guest runs. */
const SHORTEST_SLICE_INSTRUCTIONS = 2_000;
/**
 * For this long after the guest sent a packet, slices are this short: answers on a LAN take some 50 µs.
 */
const ANSWER_NS = 1_000_000;
const ANSWER_INSTRUCTIONS = 16_384;
/** Longest time the event loop of the host waits for us. */
const BREATHE_EVERY_NS = 4_000_000;
/** The same while a disk works for the guest: the event loop brings its answers. */
const BREATHE_FOR_DISKS_NS = 200_000;
/** The same while a network end waits for something that comes by the event loop. */
const BREATHE_FOR_SOCKETS_NS = 1_000_000;
/** Slices are no longer while a network end waits: what sockets took and brought is to be seen before the rings are full. */
const STREAM_INSTRUCTIONS = 65_536;
/** Requests to disks are collected for so long, unless the guest goes to sleep before. */
const COLLECT_INSTRUCTIONS = 65_536;
/** So many make a batch worth its wait. */
const DISK_BATCH = 2;
/** Whether there are more is tried once in so many events. */
const DISK_TRY_EVERY = 64;
/** Longest sleep: a missed wake-up costs no more. */
const LONGEST_SLEEP_MS = 500;
/**
 * What the engine has put off is done when the guest has slept for so long: answers from near come before, and nothing
 * hurries after.
 */
const SOUND_SLEEP_MS = 1;
/** A run that is stopped from outside ends its slice first, if that takes no more goes of the engine than this. */
const GOES_AFTER_STOP = 64;
/** Guest time that a guest which has failed may go on printing. */
const LAST_WORDS_NS = 1_000_000_000;
/** A system that runs longer is not in a loop of reboots. */
const QUICK_REBOOT_NS = 60_000_000_000;
const FLAG_IF = 1 << 9;

const REASONS: ReadonlyMap<number, ExitInfo> = new Map([
  [SHUTDOWN_poweroff, { reason: "poweroff" }],
  [SHUTDOWN_suspend, { reason: "suspend" }],
  [SHUTDOWN_crash, { reason: "crash", detail: "the guest reported a crash (SHUTDOWN_crash)" }],
  [SHUTDOWN_watchdog, { reason: "crash", detail: "the guest's watchdog expired (SHUTDOWN_watchdog)" }],
]);

/** What the machine does for its loop. */
export interface LoopDuties {
  /** Gives the guest what was typed. */
  feed(): void;
  /** Prints what the guest wrote. */
  flush(): void;
  /** Resets the system and loads the kernel again. */
  reboot(): Promise<void>;
}

/** How a loop runs. */
export interface LoopOptions {
  readonly clock: HostClock;
  readonly icount: boolean;
  /** A reset ends the run. */
  readonly noReboot: boolean;
  /** So many quick reboots are no loop. */
  readonly maxReboots: number;
}

/** See the module's description. */
export class RunLoop {
  /** True between the start and the end of `run`. */
  running = false;
  readonly #board: Board;
  readonly #options: LoopOptions;
  readonly #duties: LoopDuties;
  #exit: ExitInfo | undefined;
  #restart = false;
  #init = false;
  #stopping = false;
  /** Somebody has paused the run; `reached`: told when it stands still. */
  #pause: PromiseWithResolvers<void> | undefined;
  /** So many readers of the guest's output hold it back. */
  #holds = 0;
  #wake: (() => void) | undefined;
  #startedNs = 0;
  #ranNs = 0;
  #answerUntilNs = 0;
  /** The slice that runs is short, since an answer is expected. */
  #answers = false;
  #diskEvents = 0;
  #diskBatches = false;
  #suspicion: { readonly info: ExitInfo; readonly timer: Timer } | undefined;
  #quickReboots = 0;
  #rebootedNs = 0;
  #sliceInstructions = SLICE_INSTRUCTIONS;
  /** By instruction count: what is left of a slice that the engine has not finished; below 0: nothing is. */
  #rest = -1;
  #goesAfterStop = 0;
  /** Instructions the guest had executed when it slept last. */
  #sleptAt = -1;

  constructor(board: Board, options: LoopOptions, duties: LoopDuties) {
    this.#board = board;
    this.#options = options;
    this.#duties = duties;
  }

  /** Host nanoseconds spent in `run` so far. */
  get ranNs(): number {
    return this.#ranNs + (this.running ? this.#options.clock.monotonicNs() - this.#startedNs : 0);
  }

  /** The run ends with `info`, unless the guest has ended already; that it was being stopped is no end of the guest. */
  finish(info: ExitInfo): void {
    if (this.#exit === undefined || this.#exit.reason === "stopped") this.#exit = info;
    this.#board.engine.requestStop();
  }

  /**
   * The guest seems to have failed: however the run ends, that is why. It ends after a moment for the guest's last words.
   * The first suspicion counts; undefined: it is none after all.
   */
  suspect(info: ExitInfo | undefined): void {
    if (info === undefined) {
      this.#suspicion?.timer.cancel();
      this.#suspicion = undefined;
      return;
    }
    if (this.#suspicion !== undefined) return;
    const { clock } = this.#board;
    const timer = clock.at(clock.nowNs() + LAST_WORDS_NS, () => this.finish(info));
    this.#suspicion = { info, timer };
  }
  /** The last words have been said. */
  finishSuspect(): void {
    if (this.#suspicion !== undefined) this.finish(this.#suspicion.info);
  }

  /** What the guest printed is known now: what ends the run, or restarts the guest, is what it is suspected of. */
  #blame(): void {
    if (this.#suspicion === undefined || this.#stopping) return;
    if (this.#exit === undefined && !this.#restart) return;
    this.#exit = this.#suspicion.info;
    this.#restart = false;
  }

  /** Resets the system whatever is said about reboots: the button on the case. A guest that has ended begins anew. */
  pressReset(): void {
    if (!this.#stopping) this.#exit = undefined;
    this.suspect(undefined);
    this.#restart = true;
    this.#interrupt();
  }

  /** The guest wants a system reset. */
  reset(): void {
    if (this.#options.noReboot) return this.finish({ reason: "reboot" });
    const now = this.#board.clock.nowNs();
    this.#quickReboots = now - this.#rebootedNs < QUICK_REBOOT_NS ? this.#quickReboots + 1 : 1;
    this.#rebootedNs = now;
    if (this.#quickReboots > this.#options.maxReboots) {
      return this.finish({
        reason: "reboot-loop",
        detail: `${this.#quickReboots} reboots, none later than a minute after the one before`,
      });
    }
    this.#restart = true;
    this.#board.engine.requestStop();
  }

  /** The guest has sent INIT to its CPU. */
  init(): void {
    this.#init = true;
    this.#board.engine.requestStop();
  }

  /** The guest asked for SHUTDOWN_* `reason`. */
  shutdown(reason: number): void {
    if (reason === SHUTDOWN_reboot) return this.reset();
    this.finish(REASONS.get(reason) ?? { reason: "poweroff" });
  }

  /**
   * Ends the run from outside: "stopped". By instruction count at the end of the slice, so that a run that was stopped and
   * goes on is the same as one that was not; unless the guest does something that keeps the slice from ending.
   */
  stop(): void {
    this.#stopping = true;
    this.#exit ??= { reason: "stopped" };
    this.resume();
    this.#interrupt();
  }

  /** Ends a sleep early: something outside has changed. */
  wake(): void {
    this.#wake?.();
  }

  /** Has the run stand still, guest time too, until {@linkcode resume}; resolves when it does. */
  pause(): Promise<void> {
    this.#pause ??= Promise.withResolvers();
    if (!this.running) this.#pause.resolve(); // and the next run begins so
    this.#interrupt();
    return this.#pause.promise;
  }
  /** Goes on. */
  resume(): void {
    this.#pause?.resolve();
    this.#pause = undefined;
    this.#wake?.();
  }
  /** True between `pause` and `resume`. */
  get paused(): boolean {
    return this.#pause !== undefined;
  }
  /** Has the run stand still as long as one of them wants it. */
  hold(held: boolean): void {
    this.#holds += held ? 1 : -1;
    if (held) this.#interrupt();
    else this.#wake?.();
  }

  /** Has the loop look around soon: by instruction count at the end of the slice, which must not depend on who asks. */
  #interrupt(): void {
    if (!this.#options.icount) this.#board.engine.requestStop();
    this.#wake?.();
  }

  /** Waits while the run is paused or held back. Guest time stands still. */
  async #standStill(): Promise<void> {
    const { time, clock, engine } = this.#board;
    time.freeze(clock.nowNs());
    while ((this.#pause !== undefined || this.#holds > 0) && this.#exit === undefined && !this.#restart) {
      this.#pause?.resolve();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#wake = undefined;
    time.resume(engine.instructions);
  }

  /** Another state was loaded into the board. */
  restored(): void {
    this.suspect(undefined);
    this.#exit = undefined;
    this.#restart = this.#init = this.#stopping = false;
    this.#rest = -1;
  }

  /**
   * The guest has sent something. The host's own answer to a ping, or to a connection, is there by now, and the guest has it
   * before it goes to sleep; for others look soon: guests spend a millisecond on their way to HLT.
   */
  expectAnswer(): void {
    const { icount, clock } = this.#options;
    if (icount) return;
    this.#answerUntilNs = clock.monotonicNs() + ANSWER_NS;
    if (this.#pollEnds(false) === 0 && !this.#answers) this.#board.engine.requestStop();
  }

  /**
   * The guest has asked a disk for something. A guest that does one thing at a time is served within the hypercall: what
   * is in the host's memory is there before it would go to sleep. One that asks for many things at a time is better served
   * a little later, many requests at once with one interrupt; whether it does is tried now and then. By instruction count
   * everything waits for the end of the slice and the guest waits for the disk: when an answer comes must not depend on
   * the host.
   */
  diskNotified(): boolean {
    if (!this.#options.icount && !this.#diskBatches && ++this.#diskEvents % DISK_TRY_EVERY !== 0) return true;
    this.#board.engine.requestStop();
    return false;
  }

  /** Runs until the guest ends or somebody stops it. */
  async run(): Promise<ExitInfo> {
    const board = this.#board;
    const { xen, chips: { interrupts } } = board;
    const { clock, icount } = this.#options;
    this.running = true;
    this.#goesAfterStop = 0;
    this.#startedNs = clock.monotonicNs();
    let breathedNs = this.#startedNs;
    try {
      while (this.#exit === undefined || this.#endsSlice()) {
        if (this.#rest < 0) {
          if (this.#restart) await this.#reboot(); // the button was pressed
          if (this.#pause !== undefined || this.#holds > 0) {
            await this.#standStill();
            breathedNs = clock.monotonicNs();
            continue;
          }
          board.clock.poll();
          this.#pollEnds(false);
          if (icount && board.disksWork) await this.#settleDisks();
          xen.runDeferred();
          this.#duties.feed();
          xen.platform.resample();
        }
        const collects = !icount && xen.disksAsked; // by instruction count they are served already
        if (!xen.platform.blocked) {
          if (this.#runSlice() === "shutdown") this.finish({ reason: "crash", detail: "triple fault" });
        }
        if (this.#init) {
          this.#init = false;
          if (!board.restartCpu()) this.reset();
        }
        if (collects) this.#diskBatches = xen.pollDisks() >= DISK_BATCH;
        if (this.#rest < 0) xen.runDeferred();
        this.#duties.flush();
        this.#blame();
        if (this.#restart && (this.#exit === undefined || this.#stopping)) await this.#reboot();
        if (this.#exit !== undefined) continue;
        if (xen.platform.blocked || (board.engine.halted && !(this.#interruptible() && interrupts.pending))) {
          if (this.#awaiting() && this.#pollEnds(true) > 0) continue; // an answer from within this turn
          await this.#sleep();
          breathedNs = clock.monotonicNs();
        } else if (clock.monotonicNs() - breathedNs > this.#breatheEveryNs()) {
          await clock.breathe();
          breathedNs = clock.monotonicNs();
        }
      }
    } finally {
      this.#ranNs = this.ranNs;
      this.running = false;
      this.#duties.flush();
    }
    this.#blame();
    const info = this.#exit;
    if (info.reason === "stopped") this.#exit = undefined;
    this.#stopping = false;
    return info;
  }

  async #reboot(): Promise<void> {
    this.#restart = false;
    this.#rest = -1;
    await this.#duties.reboot();
  }

  /** True when the run was stopped within a slice that ought to be ended. */
  #endsSlice(): boolean {
    if (!this.#stopping || this.#exit?.reason !== "stopped" || this.#rest < 0) return false;
    if (this.#goesAfterStop++ < GOES_AFTER_STOP) return true;
    this.#rest = -1;
    return false;
  }

  /**
   * A slice by instruction count, or what is left of one: the engine comes back early when it had much to do besides
   * instructions, such as translating, and that depends on what it remembers.
   */
  #runCounted(): RunResult {
    const { engine } = this.#board;
    const budget = this.#rest < 0 ? SLICE_INSTRUCTIONS : this.#rest;
    const before = engine.instructions;
    const result = engine.run(budget);
    this.#rest = result === "budget" ? budget - (engine.instructions - before) : -1;
    return result;
  }

  /** How long the event loop may wait. */
  #breatheEveryNs(): number {
    if (this.#board.disksWork) return BREATHE_FOR_DISKS_NS;
    return this.#awaiting() ? BREATHE_FOR_SOCKETS_NS : BREATHE_EVERY_NS;
  }

  /** A network end waits for something outside. */
  #awaiting(): boolean {
    for (const { end } of this.#board.xen.netbacks) if (end.awaiting ?? false) return true;
    return false;
  }

  /** Nothing is polled for that the guest may wait for: what comes, the event loop brings. */
  #isUndisturbed(): boolean {
    return this.#board.xen.netbacks.every(({ quiet }) => quiet) && !this.#board.disksWork;
  }

  /** Moves what arrived at the network ends; returns how many frames. `idle`: the guest has nothing else to do. */
  #pollEnds(idle: boolean): number {
    let frames = 0;
    for (const netback of this.#board.xen.netbacks) frames += netback.poll(idle);
    return frames;
  }

  /** One slice. After a long one the next is shorter, unless what comes next must not depend on the host's time. */
  #runSlice(): RunResult {
    const { clock, icount } = this.#options;
    const { engine } = this.#board;
    if (icount) return this.#runCounted();
    const inTime = engine.endsInTime === true;
    const before = clock.monotonicNs();
    const answers = this.#answers = before < this.#answerUntilNs;
    const collects = this.#board.xen.disksAsked;
    const longest = answers
      ? ANSWER_INSTRUCTIONS
      : collects
      ? COLLECT_INSTRUCTIONS
      : this.#awaiting()
      ? STREAM_INSTRUCTIONS
      : inTime && this.#isUndisturbed()
      ? UNDISTURBED_INSTRUCTIONS
      : SLICE_INSTRUCTIONS;
    const result = engine.run(inTime ? longest : Math.min(longest, this.#sliceInstructions));
    if (answers || collects || inTime) return result;
    const tookNs = clock.monotonicNs() - before;
    if (tookNs > 2 * BREATHE_EVERY_NS) {
      this.#sliceInstructions = Math.max(SHORTEST_SLICE_INSTRUCTIONS, this.#sliceInstructions >> 1);
    } else if (tookNs < BREATHE_EVERY_NS / 2) {
      this.#sliceInstructions = Math.min(SLICE_INSTRUCTIONS, this.#sliceInstructions << 1);
    }
    return result;
  }

  /** Serves the disks' rings until nothing is under way. */
  async #settleDisks(): Promise<void> {
    const { xen } = this.#board;
    for (xen.pollDisks(); this.#board.disksWork && this.#exit === undefined; xen.pollDisks()) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#wake = undefined;
  }

  #interruptible(): boolean {
    return (this.#board.engine.vcpu.rflags & FLAG_IF) !== 0;
  }

  /**
   * The CPU halts with interrupts off: no timer, device or event ends that, only an NMI would. Xen's watchdog would end
   * the domain, so it is waited for. This is how an operating system stops for good that cannot switch the power off.
   */
  #haltedForGood(): boolean {
    const { engine, xen: { platform }, chips: { interrupts } } = this.#board;
    return engine.halted && !platform.blocked && !this.#interruptible() && !interrupts.canRaiseNmi &&
      !platform.timers.watchdogRuns;
  }

  async #sleep(): Promise<void> {
    const { board, clock: host, icount } = { board: this.#board, ...this.#options };
    if (this.#haltedForGood()) {
      return this.finish({
        reason: "halted",
        detail: "HLT with interrupts off, and nothing that could end it",
      });
    }
    const next = board.clock.nextDeadlineNs();
    const now = board.clock.nowNs();
    if (next <= now) return;
    const paced = icount && this.#awaiting();
    if (icount && !paced && next !== Infinity) return board.time.skip(next - now); // nothing but time moves
    let ms = Math.min(LONGEST_SLEEP_MS, (next - now) / 1e6);
    if (!icount && board.engine.hasIdleWork === true && ms > 2 * SOUND_SLEEP_MS) {
      if (this.#sleptAt === board.engine.instructions) return board.engine.doIdleWork?.();
      ms = SOUND_SLEEP_MS;
    }
    const fds = board.xen.netbacks.map((netback) => netback.end.pollFd()).filter((fd) => fd >= 0);
    const wake = new Promise<void>((resolve) => this.#wake = resolve);
    const before = host.monotonicNs();
    await host.sleep(ms, wake, fds);
    this.#wake = undefined;
    this.#sleptAt = board.engine.instructions;
    if (paced) board.time.skip(Math.min(next - now, Math.max(0, Math.round(host.monotonicNs() - before))));
  }
}
