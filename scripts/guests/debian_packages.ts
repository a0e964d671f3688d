// SPDX-License-Identifier: MIT
/**
 * Debian packages by apt-get and dpkg-deb: found, downloaded and unpacked into a folder, never installed. Works
 * without root, with package lists of our own when the system has none. Packages of another suite or architecture
 * come from the mirror that this system's apt uses for Debian, and apt checks their signatures and sums as ever.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { run, runText } from "../host/processes.ts";

/** A suite of Debian other than the one this system has, or for another architecture. */
export interface Suite {
  /** Name below `dists/` on the mirror: "trixie". */
  readonly suite: string;
  readonly architecture: Architecture;
}
/** Debian's names of what guests are made for. */
export type Architecture = "amd64" | "i386";

/** Where the package debian-archive-keyring puts the keys of all suites; without it apt's own keyrings must do. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Where apt keeps its lists, sources and packages when it must not be where the system has them. */
function privateState(folder: string): string[] {
  return ["-o", `Dir::State::Lists=${folder}lists`, "-o", `Dir::Cache=${folder}cache`];
}

/** Downloads packages into `folder`: those of this system's sources for amd64, or those of one {@linkcode Suite}. */
export class DebianPackages {
  /** Options that make apt use lists of our own; none while the system's will do. */
  #options: string[];
  /** Set once the lists of a suite are fresh. */
  #fetched = false;

  constructor(readonly folder: URL, readonly suite?: Suite) {
    this.#options = ["-o", "APT::Architecture=amd64"]; // of a suite more is said once the mirror is known
  }

  /** Makes sure that `name` can be found, fetching package lists when there are none. */
  async require(name: string): Promise<void> {
    if (this.suite !== undefined) await this.#fetchSuite(this.suite);
    else if (!await this.#known(name)) await this.#fetchLists();
    if (!await this.#known(name)) {
      const { suite, architecture } = this.suite ?? {};
      const where = suite === undefined
        ? "Debian's package sources"
        : `Debian's ${suite} for ${architecture}`;
      throw new ConfigError(`Cannot find the package "${name}" in ${where}`, "host");
    }
  }

  async #known(name: string): Promise<boolean> {
    const policy = await runText("apt-cache", [...this.#options, "policy", name]);
    return /Candidate: (?!\(none\))/.test(policy);
  }

  /** Lists of this system's own sources. */
  async #fetchLists(): Promise<void> {
    if (Deno.uid() !== 0) {
      const own = await this.#makeState("apt/");
      this.#options.push(...privateState(own));
    }
    const options = Deno.uid() === 0 ? [] : this.#options;
    await run("apt-get", [...options, "update", "-q"], { quiet: true });
  }

  /** Lists of one suite, apart from everything the system has: its sources, lists, preferences, installed packages. */
  async #fetchSuite({ suite, architecture }: Suite): Promise<void> {
    if (this.#fetched) return;
    const mirror = await this.mirror();
    const own = await this.#makeState(`apt-${suite}-${architecture}/`);
    const keyring = await exists(KEYRING) ? KEYRING : undefined;
    await Deno.writeTextFile(`${own}debian.sources`, sourcesFor(mirror, suite, keyring));
    await Deno.writeTextFile(`${own}status`, "");
    this.#options = [
      ...["-o", `APT::Architecture=${architecture}`, "-o", `APT::Architectures=${architecture}`],
      ...["-o", `Dir::Etc::SourceList=${own}debian.sources`, "-o", "Dir::Etc::SourceParts=/dev/null"],
      ...["-o", "Dir::Etc::Preferences=/dev/null", "-o", "Dir::Etc::PreferencesParts=/dev/null"],
      ...["-o", `Dir::State::Status=${own}status`, "-o", "Acquire::Languages=none"],
      ...privateState(own),
    ];
    try {
      await run("apt-get", [...this.#options, "update", "-q", "--error-on=any"], { quiet: true });
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause);
      const why = /^.*?\bE: +([^\n]*)/s.exec(said)?.[1] ?? said; // the first of apt's own errors
      throw new ConfigError(`Cannot get Debian's ${suite} for ${architecture}: ${why}`, "host", { cause });
    }
    this.#fetched = true;
  }

  async #makeState(name: string): Promise<string> {
    const own = new URL(name, this.folder).pathname;
    await Deno.mkdir(`${own}lists/partial`, { recursive: true });
    await Deno.mkdir(`${own}cache/archives/partial`, { recursive: true });
    return own;
  }

  /** The mirror of this system's own sources. */
  async mirror(): Promise<string> {
    const find = async () => {
      const what = ["indextargets", "--format", "$(LABEL)\t$(REPO_URI)", "Identifier: Packages"];
      return mirrorOf(await runText("apt-get", [...this.#options, ...what]));
    };
    let mirror = await find();
    if (mirror === undefined) {
      await this.#fetchLists(); // apt says what a source is only when it has seen its Release file
      mirror = await find();
    }
    if (mirror === undefined) {
      throw new ConfigError(
        "Cannot find a mirror of Debian among the package sources of this system",
        "host",
      );
    }
    return mirror;
  }

  /** The packages that kernel `metaPackage` stands for: image, and its modules where they are apart. */
  async kernelPackages(metaPackage: string): Promise<readonly [string, ...string[]]> {
    const depends = async (name: string) => await runText("apt-cache", [...this.#options, "depends", name]);
    const image = /Depends: (linux-image-\d\S*)/.exec(await depends(metaPackage))?.[1];
    if (image === undefined) {
      throw new ConfigError(`Cannot find the kernel behind the package "${metaPackage}"`, "host");
    }
    const parts = (await depends(image)).matchAll(/Depends: (linux-(?:binary|modules)-\d\S*)/g);
    return [image, ...Array.from(parts, ([, part = ""]) => part)];
  }

  /** `names`, and what they depend on, directly or not, as far as `wanted` says. */
  async withDependencies(names: readonly string[], wanted: (name: string) => boolean): Promise<string[]> {
    const all = new Set(names);
    for (let next = [...names]; next.length > 0;) { // all of one depth at a time: starting apt-cache takes long
      const text = await runText("apt-cache", [...this.#options, "depends", ...next]);
      next = [];
      for (const [, name = ""] of text.matchAll(/^ *\|?(?:Pre)?Depends: ([a-z0-9][\w.+-]*)$/gm)) {
        if (all.has(name) || !wanted(name)) continue;
        all.add(name);
        next.push(name);
      }
    }
    return [...all];
  }

  /** Downloads `names` and unpacks all of them into one folder; keeps none of the packages. */
  async unpackAll(names: readonly string[], into: URL): Promise<void> {
    const folder = await Deno.makeTempDir({ prefix: "xenner-packages-" });
    try {
      await run("apt-get", [...this.#options, "-q", "download", ...names], { cwd: folder, quiet: true });
      await Deno.mkdir(into, { recursive: true });
      for await (const { name } of Deno.readDir(folder)) {
        await run("dpkg-deb", ["--extract", `${folder}/${name}`, into.pathname]);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** The version that would be downloaded. */
  async version(name: string): Promise<string> {
    const policy = await runText("apt-cache", [...this.#options, "policy", name]);
    return /Candidate: (\S+)/.exec(policy)?.[1] ?? "unknown";
  }

  /** Downloads `name`, unless it is there already, and unpacks it into a new folder; returns that. */
  async unpack(name: string, into: URL): Promise<void> {
    await Deno.mkdir(this.folder, { recursive: true });
    const version = (await this.version(name)).replaceAll(":", "%3a");
    const architecture = this.suite?.architecture ?? "amd64";
    const file = async () => {
      for await (const { name: entry } of Deno.readDir(this.folder)) {
        if (!entry.startsWith(`${name}_${version}_`)) continue;
        if (/_(all|\w+)\.deb$/.exec(entry)?.[1] === architecture || entry.endsWith("_all.deb")) {
          return new URL(encodeURIComponent(entry), this.folder);
        }
      }
      return undefined;
    };
    let deb = await file();
    if (deb === undefined) {
      await run("apt-get", [...this.#options, "-q", "download", name], {
        cwd: this.folder.pathname,
        quiet: true,
      });
      deb = await file();
    }
    if (deb === undefined) throw new ConfigError(`Cannot find what apt-get downloaded of "${name}"`, "host");
    await Deno.mkdir(into, { recursive: true });
    await run("dpkg-deb", ["--extract", decodeURIComponent(deb.pathname), into.pathname]);
  }
}

/** The mirror of Debian in what apt-get's indextargets says: lines of label and address, separated by a tab. */
export function mirrorOf(indexTargets: string): string | undefined {
  for (const line of indexTargets.split("\n")) {
    const [label, uri] = line.split("\t");
    if (label === "Debian" && uri !== undefined && uri !== "") return uri;
  }
  return undefined;
}

/** A deb822 sources file for one suite. */
export function sourcesFor(mirror: string, suite: string, keyring?: string): string {
  const lines = ["Types: deb", `URIs: ${mirror}`, `Suites: ${suite}`, "Components: main"];
  if (keyring !== undefined) lines.push(`Signed-By: ${keyring}`);
  return lines.join("\n") + "\n";
}

/** True when there is such a file. */
export async function exists(file: string | URL): Promise<boolean> {
  try {
    await Deno.stat(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
