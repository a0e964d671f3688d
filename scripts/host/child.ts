// SPDX-License-Identifier: MIT
/** Child processes of scripts and tests whose output is read while they run. @module */

/** A program and its arguments. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** See the module's description. */
export class Child {
  /** What it printed so far. */
  stdout = "";
  stderr = "";
  /** Its exit status. */
  readonly status: Promise<number>;
  readonly #process: Deno.ChildProcess;
  #changed: () => void = () => {};
  #ended = false;

  /** Starts `command`; `echo` gets its standard output as it comes. */
  constructor({ command, args }: CommandLine, echo?: (text: string) => void) {
    this.#process = new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    })
      .spawn();
    const out = this.#collect(this.#process.stdout, (text) => {
      this.stdout += text;
      echo?.(text);
    });
    const err = this.#collect(this.#process.stderr, (text) => this.stderr += text);
    this.status = Promise.all([this.#process.status, out, err]).then(([{ code }]) => {
      this.#ended = true;
      this.#changed();
      return code;
    });
  }

  async #collect(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    take: (text: string) => void,
  ): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      take(text);
      this.#changed();
    }
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /**
   * Waits until its standard output matches, from index `from` on; undefined when it ends without, or after `timeoutMs`.
   */
  async match(pattern: RegExp, timeoutMs = 60_000, from = 0): Promise<RegExpExecArray | undefined> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changed();
    }, timeoutMs);
    try {
      for (;;) {
        const found = pattern.exec(this.stdout.slice(from));
        if (found !== null) return found;
        if (this.#ended || late) return undefined;
        await new Promise<void>((resolve) => this.#changed = resolve);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it if it still runs. */
  kill(signal: Deno.Signal = "SIGTERM"): void {
    try {
      this.#process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended already
    }
  }
}

/** The command line of `xenner` from this source tree. */
export function xenner(args: readonly string[]): CommandLine {
  return {
    command: Deno.execPath(),
    args: ["run", "-A", new URL("../../mod.ts", import.meta.url).pathname, ...args],
  };
}

/** The command line of a script below scripts/. */
export function script(name: string, args: readonly string[]): CommandLine {
  return {
    command: Deno.execPath(),
    args: ["run", "-A", new URL(`../${name}`, import.meta.url).pathname, ...args],
  };
}
