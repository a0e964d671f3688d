// SPDX-License-Identifier: MIT
/** The error for a frontend that breaks its protocol. It closes that device and nothing else. @module */

/** Thrown inside a backend; `XenbusBackend.guard` turns it into a closed device. Never on a normal path. */
export class FrontendError extends Error {
  override readonly name = "FrontendError";
}
