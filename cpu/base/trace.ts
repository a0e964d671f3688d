// SPDX-License-Identifier: MIT
/**
 * Counters and traces. Whoever adds a subsystem counts what it does and traces it under its own category; the
 * command line decides where both go. Counters are plain numbers, so that tests can assert them.
 * @module
 */

/** Named counters, created on first use. */
export class Counters {
  /** Every counter by name. */
  readonly values: Map<string, number> = new Map();
  /** Adds `n` to counter `name`. */
  add(name: string, n = 1): void {
    this.values.set(name, (this.values.get(name) ?? 0) + n);
  }
  /** Value of `name`, 0 when never counted. */
  get(name: string): number {
    return this.values.get(name) ?? 0;
  }
}

/** Sink of trace lines and warnings. */
export type TraceSink = (category: string, message: string) => void;

/** Different warnings of one machine at most: guests choose numbers that stand in them. */
const MOST_WARNINGS = 200;

/** One per machine; handed to everything that has something to say. */
export class Tracer {
  /** What happened how often. */
  readonly counters: Counters = new Counters();
  #enabled = new Set<string>();
  #sink: TraceSink = () => {};
  #warned = new Set<string>();

  /** Chooses the categories to trace and where lines go. Warnings use category "warning" and always pass. */
  configure(sink: TraceSink, categories: Iterable<string> = []): void {
    this.#sink = sink;
    this.#enabled = new Set(categories);
  }

  /** True when `category` is traced; test it before building an expensive message. */
  on(category: string): boolean {
    return this.#enabled.has(category);
  }

  /** Emits one line when `category` is on. */
  log(category: string, message: string): void {
    if (this.#enabled.has(category)) this.#sink(category, message);
  }

  /**
   * Counts under `key`, and says `message` the first time only: for what a guest can provoke without end. After 200
   * keys further ones are counted together as "warnings.more".
   */
  warnOnce(key: string, message: string): void {
    if (this.#warned.has(key)) return this.counters.add(key);
    if (this.#warned.size === MOST_WARNINGS) return this.counters.add("warnings.more");
    this.counters.add(key);
    this.#warned.add(key);
    this.#sink("warning", message);
  }

  /** A guest asked for something not implemented: counted, said once. The caller returns the ABI's refusal. */
  unimplemented(what: string): void {
    this.warnOnce(`unimplemented.${what}`, `not implemented: ${what}`);
  }
}
