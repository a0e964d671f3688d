// SPDX-License-Identifier: MIT
/**
 * Checks for our own bugs, and the error for wrong input from the user. Guest behaviour reaches neither.
 * @module
 */

/** Throws when an invariant of ours does not hold. Never call it on something a guest controls. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${why}`);
}

/** Marks a branch the type checker proves unreachable. */
export function never(value: never, why = "unreachable"): never {
  throw new Error(`${why}: ${String(value)}`);
}

/** What kind of host-side failure a {@linkcode ConfigError} is; the command line maps it to an exit status. */
export type ConfigErrorKind = "input" | "host";

/** Wrong input from our user ("input") or a missing host resource ("host"). One line, no full stop. */
export class ConfigError extends Error {
  /** For those who see the error without its class. */
  override readonly name = "ConfigError";
  /** `kind`: whose fault it is; `options.cause`: the underlying error, if any. */
  constructor(message: string, readonly kind: ConfigErrorKind = "input", options?: ErrorOptions) {
    super(message, options);
  }
}
