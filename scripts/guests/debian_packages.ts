// SPDX-License-Identifier: MIT
/**
 * Debian packages by apt-get and dpkg-deb: found, downloaded and unpacked into a folder, never installed. Works
 * without root, with package lists of our own when the system has none.
 * @module
 */
import { ConfigError } from "../../cpu/base/assert.ts";
import { run, runText } from "../host/processes.ts";

/** Downloads packages for amd64 into `folder`. */
export class DebianPackages {
  /** Options that make apt use lists of our own; none while the system's will do. */
  #options: string[] = ["-o", "APT::Architecture=amd64"];

  constructor(readonly folder: URL) {}

  /** Makes sure that `name` can be found, fetching package lists when there are none. */
  async require(name: string): Promise<void> {
    if (await this.#known(name)) return;
    if (Deno.uid() === 0) {
      await run("apt-get", ["update", "-q"], { quiet: true });
    } else {
      const own = new URL("apt/", this.folder).pathname;
      await Deno.mkdir(`${own}lists/partial`, { recursive: true });
      await Deno.mkdir(`${own}cache/archives/partial`, { recursive: true });
      this.#options.push("-o", `Dir::State::Lists=${own}lists`, "-o", `Dir::Cache=${own}cache`);
      await run("apt-get", [...this.#options, "update", "-q"], { quiet: true });
    }
    if (!await this.#known(name)) {
      throw new ConfigError(
        `Cannot find the package "${name}": guests come from Debian's package sources`,
        "host",
      );
    }
  }

  async #known(name: string): Promise<boolean> {
    const policy = await runText("apt-cache", [...this.#options, "policy", name]);
    return /Candidate: (?!\(none\))/.test(policy);
  }

  /** The kernel image that `metaPackage` depends on. */
  async kernelPackage(metaPackage: string): Promise<string> {
    const depends = await runText("apt-cache", [...this.#options, "depends", metaPackage]);
    const found = /Depends: (linux-image-\d\S*)/.exec(depends)?.[1];
    if (found === undefined) {
      throw new ConfigError(`Cannot find the kernel behind the package "${metaPackage}"`, "host");
    }
    return found;
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
    const file = async () => {
      for await (const { name: entry } of Deno.readDir(this.folder)) {
        if (entry.startsWith(`${name}_${version}_`) && entry.endsWith(".deb")) {
          return new URL(encodeURI(entry), this.folder);
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
    await run("dpkg-deb", ["--extract", decodeURI(deb.pathname), into.pathname]);
  }
}
