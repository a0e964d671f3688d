// SPDX-License-Identifier: MIT
/**
 * The state components that XSAVE manages and XCR0 enables, and where they lie in an area that is not compacted. Rules:
 * SDM Vol. 1 §13.1-13.5; offsets are those of every processor with AVX and protection keys.
 * @module
 */
import type { CpuFeature, CpuFeatures } from "../base/cpu_features.ts";
import { S, XCR0_SSE, XCR0_X87, XMM_BASE, YMM_HIGH } from "../state/state.ts";

/** One component beyond x87 and SSE: its bit in XCR0, the feature it comes with, its place. */
export interface StateComponent {
  readonly component: number;
  readonly feature: CpuFeature;
  readonly offset: number;
  readonly bytes: number;
  /** Where it is in the state block. */
  readonly at: number;
}

/** Bytes of the legacy region and the header. */
export const XSAVE_BYTES = 576;
/** The others, by their offset. */
export const STATES: readonly StateComponent[] = [
  { component: 2, feature: "avx", offset: 576, bytes: 256, at: XMM_BASE + YMM_HIGH },
  { component: 9, feature: "pku", offset: 2688, bytes: 8, at: S.pkru },
];

/** Bits that XCR0 may have. */
export function supportedStates(features: CpuFeatures): number {
  return STATES.reduce(
    (sum, { component, feature }) => features.has(feature) ? sum | (1 << component) : sum,
    XCR0_X87 | XCR0_SSE,
  );
}

/** Where the components in `held` lie in a compacted area: one behind the other. */
export function compactedPlaces(held: number): readonly StateComponent[] {
  let offset = XSAVE_BYTES;
  return STATES.filter(({ component }) => (held & (1 << component)) !== 0).map((state) => {
    const place = { ...state, offset };
    offset += state.bytes;
    return place;
  });
}

/** Bytes of an area for the components in `xcr0`. */
export function areaBytes(xcr0: number, places: readonly StateComponent[] = STATES): number {
  return places.reduce(
    (bytes, { component, offset, bytes: own }) => (xcr0 & (1 << component)) !== 0 ? offset + own : bytes,
    XSAVE_BYTES,
  );
}
