// SPDX-License-Identifier: MIT
/** Tells .xz streams; apart from their decoder, which is loaded when there is one. @module */

/** First bytes of an .xz stream. */
export const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;
