// SPDX-License-Identifier: MIT
/**
 * Models of the processor as users name them: `x86-64-v2`, `v3,+aes,-sse4.2`, `max`. The features are in
 * cpu_features.ts.
 * @module
 */
import { ConfigError } from "./assert.ts";
import {
  ALIASES,
  ALL_FEATURES,
  type CpuFeature,
  type CpuFeatures,
  type CpuLevel,
  FIXED,
  LEVELS,
  NEEDS,
  NOT_YET,
} from "./cpu_features.ts";

/** A processor to be emulated. */
export interface CpuModel {
  readonly features: CpuFeatures;
  /** The same for the same model however it was written: its level and what differs, in the order of the alphabet. */
  readonly name: string;
}

/**
 * What a machine has unless told otherwise: what distributions build programs for, and of what came later SHA-NI alone,
 * since SHA is faster with it here. AES, products of large numbers and copies are not faster with AES-NI, ADX or AVX2
 * (docs/PERFORMANCE.md, "A larger processor").
 */
export const DEFAULT_CPU = "x86-64-v2,+sha_ni";

const LEVEL_NAMES = Object.keys(LEVELS) as CpuLevel[];
const LEVEL_LIST = "x86-64-v1, x86-64-v2, x86-64-v3 and max";

/** All of a level, as far as it is emulated. */
export function levelFeatures(level: CpuLevel): CpuFeatures {
  const below = LEVEL_NAMES.slice(0, LEVEL_NAMES.indexOf(level) + 1).flatMap((name) => LEVELS[name]);
  return new Set([...FIXED, ...below.filter((name) => !NOT_YET.has(name))]);
}

/** Understands `LEVEL[,+FEATURE|,-FEATURE]...`; without a level DEFAULT_CPU is changed. Throws ConfigError. */
export function parseCpuModel(text: string): CpuModel {
  const all = /^\s*[+-]/.test(text) ? `${DEFAULT_CPU},${text}` : text;
  const [first, ...words] = all.split(",").map((word) => word.trim()) as [string, ...string[]];
  const level = levelCalled(first);
  const base = levelFeatures(level);
  const features = new Set(base);
  for (const word of words) {
    const name = featureCalled(word);
    if (word.startsWith("-")) {
      if (FIXED.has(name)) throw new ConfigError(`Cannot take ${name} from the CPU: every CPU here has it`);
      features.delete(name);
    } else {
      if (NOT_YET.has(name)) throw new ConfigError(`Cannot give ${name} to the CPU: it is not emulated`);
      features.add(name);
    }
  }
  checkNeeds(features);
  const changes = ALL_FEATURES.filter((name) => base.has(name) !== features.has(name)).sort();
  const name = [level, ...changes.map((name) => (features.has(name) ? "+" : "-") + name)].join(",");
  return { features, name };
}

function levelCalled(text: string): CpuLevel {
  const level = LEVEL_NAMES.find((name) => text === name || `x86-64-${text}` === name);
  if (level !== undefined) return level;
  throw new ConfigError(
    `Cannot use ${
      JSON.stringify(text)
    } as CPU: there are ${LEVEL_LIST}, with features like x86-64-v2,+movbe,-sse4.2`,
  );
}

function featureCalled(word: string): CpuFeature {
  const plain = word.slice(1).toLowerCase().replaceAll(/[.-]/g, "_");
  const name = Object.hasOwn(ALIASES, plain) ? ALIASES[plain] : ALL_FEATURES.find((known) => known === plain);
  if (name !== undefined && /^[+-]/.test(word)) return name;
  if (!/^[+-]/.test(word)) {
    throw new ConfigError(
      `Cannot use ${JSON.stringify(word)} in a CPU: behind the first comma come +FEATURE and -FEATURE`,
    );
  }
  const names = ALL_FEATURES.filter((feature) => !FIXED.has(feature) && !NOT_YET.has(feature)).sort();
  throw new ConfigError(
    `Cannot find the CPU feature ${JSON.stringify(word.slice(1))}: there are ${names.join(", ")}`,
  );
}

function checkNeeds(features: CpuFeatures): void {
  for (const [name, needs] of Object.entries(NEEDS) as [CpuFeature, readonly CpuFeature[]][]) {
    const missing = needs.find((need) => !features.has(need));
    if (!features.has(name) || missing === undefined) continue;
    const add = NOT_YET.has(missing) ? "" : `+${missing} or `;
    throw new ConfigError(`Cannot make a CPU with ${name} but without ${missing}: say ${add}-${name}`);
  }
}
