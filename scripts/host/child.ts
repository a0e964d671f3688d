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
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | undefined;
  #changed: () => void = () => {};
  #ended = false;

  /** Starts `command`; `echo` gets its standard output as it comes; with `stdin` "piped" it can be typed at. */
  constructor(
    { command, args }: CommandLine,
    echo?: (text: string) => void,
    stdin: "null" | "piped" = "null",
  ) {
    this.#process = new Deno.Command(command, { args: [...args], stdin, stdout: "piped", stderr: "piped" })
      .spawn();
    this.#input = stdin === "piped" ? this.#process.stdin.getWriter() : undefined;
    const out = this.#collect(this.#process.stdout, (text) => {
      this.stdout += text;
      echo?.(text);
    });
    const err = this.#collect(this.#process.stderr, (text) => this.stderr += text);
    this.status = Promise.all([this.#process.status, out, err]).then(async ([{ code }]) => {
      this.#ended = true;
      this.#changed();
      await this.#input?.abort().catch(() => {}); // nobody reads it any more
      return code;
    });
  }

  /** Writes to its standard input. False when it does not read any more. */
  async type(text: string): Promise<boolean> {
    try {
      await this.#input?.write(new TextEncoder().encode(text));
      return this.#input !== undefined;
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe || error instanceof TypeError) return false;
      throw error;
    }
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

/** Quiet: what Deno downloads for the first run is not for whoever reads the output. */
const RUN = ["run", "--quiet", "-A"];

/** The command line of `xenner` from the source tree whose root is `tree`, by default this one. */
export function xenner(args: readonly string[], tree = new URL("../../", import.meta.url)): CommandLine {
  return {
    command: Deno.execPath(),
    args: [...RUN, new URL("mod.ts", tree).pathname, ...args],
  };
}

/** The command line of a script below scripts/. */
export function script(name: string, args: readonly string[]): CommandLine {
  return {
    command: Deno.execPath(),
    args: [...RUN, new URL(`../${name}`, import.meta.url).pathname, ...args],
  };
}
