// SPDX-License-Identifier: MIT
/**
 * A guest under v86, as a process of its own: `v86_guest.ts KERNEL INITRD COMMAND-LINE MIB` prints its serial port. Needs
 * `--unstable-raw-imports`, v86 from npm and SeaBIOS where Debian's package has it; ends with status 3 without.
 * @module
 */
const V86 = "npm:v86@0.5.462/build/";
const BIOS = "/usr/share/seabios/bios.bin", VGA_BIOS = "/usr/share/seabios/vgabios-stdvga.bin";

/** What this program uses of v86; its v86.d.ts has all. */
interface V86Module {
  readonly V86: new (options: Record<string, unknown>) => {
    add_listener(event: "serial0-output-byte", listener: (byte: number) => void): void;
  };
}

/** Why no guest runs under v86 here, or undefined. */
export function whyNoV86(): string | undefined {
  try {
    Deno.statSync(BIOS);
    Deno.statSync(VGA_BIOS);
    return undefined;
  } catch {
    return "SeaBIOS is not installed (Debian's package seabios)";
  }
}

async function main([kernel = "", initrd = "", cmdline = "", mib = ""]: readonly string[]): Promise<void> {
  // by a variable: who never measures v86 never downloads it
  const { V86: Emulator }: V86Module = await import(`${V86}libv86.mjs`);
  const { default: wasm }: { default: Uint8Array<ArrayBuffer> } = await import(`${V86}v86.wasm`, {
    with: { type: "bytes" },
  });
  const file = async (path: string) => ({ buffer: (await Deno.readFile(path)).buffer });
  const emulator = new Emulator({
    memory_size: Number(mib) << 20,
    vga_memory_size: 2 << 20,
    bios: await file(BIOS),
    vga_bios: await file(VGA_BIOS),
    bzimage: await file(kernel),
    initrd: await file(initrd),
    cmdline,
    autostart: true,
    disable_speaker: true,
    acpi: true,
    wasm_fn: async (imports: WebAssembly.Imports) =>
      (await WebAssembly.instantiate(wasm, imports)).instance.exports,
  });
  emulator.add_listener("serial0-output-byte", (byte) => Deno.stdout.writeSync(Uint8Array.of(byte)));
}

if (import.meta.main) {
  const missing = whyNoV86();
  if (missing !== undefined) {
    console.error(`v86: ${missing}`);
    Deno.exit(3);
  }
  await main(Deno.args);
}
