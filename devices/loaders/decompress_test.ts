// SPDX-License-Identifier: MIT
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { hasProgram } from "../../scripts/host/processes.ts";
import { decompress, unpackKernel } from "./decompress.ts";
import { BoundedOutput } from "./compression/bounded_output.ts";
import { decodeWithReasons } from "./compression/lz4.ts";
import { Lz4Module } from "./compression/lz4_module.ts";
import { packed } from "./testdata/packed.ts";
import { sample } from "./testdata/sample.ts";

const bytesOf = (base64: string) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

for (const [format, base64] of Object.entries(packed)) {
  Deno.test(`decompress undoes what the real tool made: ${format}`, async () => {
    assertEquals(await decompress({ name: "k", bytes: bytesOf(base64) }), sample());
  });

  Deno.test(`decompress answers damaged ${format} data with a ConfigError or the right length, always`, async () => {
    const good = bytesOf(base64);
    let seed = 1;
    const random = (n: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const bad = good.slice(0, i % 3 === 0 ? 8 + random(good.length - 8) : good.length);
      for (let n = i % 3; n > 0; n--) bad[6 + random(bad.length - 6)] = random(256);
      if (i % 3 === 0) bad.set(good.subarray(-4), bad.length - 4); // truncated, but the size is believable
      try {
        const size = new DataView(bad.buffer).getUint32(bad.length - 4, true);
        assertEquals((await decompress({ name: "k", bytes: bad })).length, size);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        refused++;
      }
    }
    if (refused < 100) throw new Error(`only ${refused} of 300 refused`);
  });
}

Deno.test("decompress names what it cannot read", async () => {
  const cases: [number[], string][] = [
    [[0x42, 0x5a, 0x68, 0x39], 'Cannot load kernel "k": bzip2 compression is not supported'],
    [[0x89, 0x4c, 0x5a, 0x4f], 'Cannot load kernel "k": lzo compression is not supported'],
    [[1, 2, 3, 4], 'Cannot load kernel "k": it is compressed in an unknown way'],
    [[], 'Cannot load kernel "k": it is compressed in an unknown way'],
    [[0x1f, 0x8b], 'Cannot load kernel "k": its payload is truncated'],
  ];
  for (const [magic, message] of cases) {
    await assertRejects(() => decompress({ name: "k", bytes: Uint8Array.from(magic) }), ConfigError, message);
  }
  const huge = bytesOf(packed.lz4);
  huge.fill(0xff, huge.length - 4);
  await assertRejects(
    () => decompress({ name: "k", bytes: huge }),
    ConfigError,
    "it would decompress to 4294967295 bytes, more than 512 MiB",
  );
});

Deno.test("an LZ4 match may not reach before its block", () => {
  const output = new Uint8Array(100);
  for (const block of [[0x10, 0x41, 0x02, 0x00, 0x00], [0x10, 0x41, 0x00, 0x00, 0x00]]) {
    assertThrows(() => decodeWithReasons(Uint8Array.from(block), output, 50, 50), ConfigError);
    assertEquals(new Lz4Module(100, 10).decode(Uint8Array.from(block), 50, 50), 0);
  }
});

Deno.test("LZ4 blocks decode in WebAssembly as in TypeScript, or are refused by both", () => {
  let seed = 7;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const length = (n: number) =>
    n < 15 ? [] : [...Array(Math.floor((n - 15) / 255)).fill(255), (n - 15) % 255];
  const module = new Lz4Module(4000, 8000);
  const output = new Uint8Array(4000);
  let good = 0, bad = 0;
  for (let i = 0; i < 1000; i++) {
    const block: number[] = [];
    for (let n = random(6); n >= 0; n--) {
      const literals = random([4, 20, 400][random(3)]!),
        match = n === 0 ? 0 : random([8, 40, 900][random(3)]!);
      block.push(Math.min(15, literals) << 4 | Math.min(15, match), ...length(literals));
      for (let k = 0; k < literals; k++) block.push(random(256));
      if (n === 0) break;
      const offset = 1 + random([3, 20, 300][random(3)]!);
      block.push(offset & 255, offset >> 8, ...length(match));
    }
    if (i % 4 === 0) block[random(block.length)] = random(256);
    if (i % 7 === 0) block.length = random(block.length + 1);
    const start = random(300), oldest = random(2) * start;
    for (const bytes of [output, module.output]) for (let k = 0; k < 300; k++) bytes[k] = k;
    let end = 0;
    try {
      end = decodeWithReasons(Uint8Array.from(block), output, start, oldest);
      good++;
    } catch (error) {
      assertEquals(error instanceof ConfigError, true, String(error));
      bad++;
    }
    assertEquals(module.decode(Uint8Array.from(block), start, oldest), end, `block ${i}`);
    assertEquals(module.output.slice(0, end), output.slice(0, end), `block ${i}`);
  }
  assertEquals(good > 300 && bad > 100, true, `${good} good, ${bad} bad`);
});

Deno.test("LZ4 runs of one byte decode in WebAssembly, zeros also where something else was", () => {
  for (const byte of [0, 7]) {
    for (const match of [200, 300, 1000]) {
      const more = match - 4 - 15; // behind the nibble
      const block = [0x1f, byte, 1, 0, ...Array(Math.floor(more / 255)).fill(255), more % 255, 0x10, 9];
      const module = new Lz4Module(2000, block.length);
      module.output.fill(0xa5);
      assertEquals(module.decode(Uint8Array.from(block), 3, 3), 3 + 1 + match + 1);
      const expected = [0xa5, 0xa5, 0xa5, ...Array(1 + match).fill(byte), 9];
      assertEquals([...module.output.subarray(0, expected.length)], expected);
    }
  }
});

// A payload without the size that Linux's build appends is what the tool itself has made.
for (const [format, base64] of Object.entries(packed)) {
  const bytes = format === "gzip" ? bytesOf(base64) : bytesOf(base64).subarray(0, -4);
  Deno.test(`unpackKernel undoes what the real tool made: ${format}`, async () => {
    assertEquals((await unpackKernel({ name: "k", bytes })).bytes, sample());
  });

  Deno.test(`unpackKernel answers damaged ${format} files with a ConfigError or bytes, always`, async () => {
    let seed = 3;
    const random = (n: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const bad = bytes.slice(0, i % 3 === 0 ? 4 + random(bytes.length - 4) : bytes.length);
      for (let n = i % 3; n > 0; n--) bad[4 + random(bad.length - 4)] = random(256);
      try {
        await unpackKernel({ name: "k", bytes: bad });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        assertEquals(error.message.includes("\n"), false, error.message);
        refused++;
      }
    }
    assertEquals(refused > 80, true, `only ${refused} of 300 refused`);
  });
}

/** Enough for several blocks of every format, with matches from one into another. */
function long(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(300_000);
  for (let at = 0; at < bytes.length; at += 6000) bytes.set(sample().subarray(0, bytes.length - at), at);
  return bytes;
}
const TOOLS: readonly (readonly [string, ...string[]])[] = [
  ["gzip", "-c"],
  ["xz", "-c"],
  ["xz", "-c", "--x86", "--lzma2", "--check=sha256"],
  ["xz", "-c", "--format=lzma"],
  ["zstd", "-c"], // says how long it is
  ["zstd", "-c", "--no-content-size"],
  ["zstd", "-19", "--no-check"],
  ["lz4", "-c"],
  ["lz4", "-c", "-B4", "-BD", "-BX", "--content-size"],
  ["lz4", "-c", "-B4", "--no-frame-crc"],
  ["lz4", "-l", "-c"],
];
for (const [tool, ...args] of TOOLS) {
  const there = await hasProgram(tool);
  Deno.test({
    name: `unpackKernel undoes ${tool} ${args.join(" ")}${there ? "" : ` (skipped: needs ${tool})`}`,
    ignore: !there,
    async fn() {
      const file = await Deno.makeTempFile();
      try {
        await Deno.writeFile(file, long());
        const { stdout } = await new Deno.Command(tool, { args: [...args, "-c", file] }).output();
        assertEquals((await unpackKernel({ name: "k", bytes: stdout })).bytes, long());
      } finally {
        await Deno.remove(file);
      }
    },
  });
}

Deno.test("BoundedOutput takes what it is for and not a byte more", () => {
  const output = new BoundedOutput(5);
  output.push(Uint8Array.of(1, 2));
  output.push(Uint8Array.of(3, 4, 5));
  assertEquals(output.bytes(), Uint8Array.of(1, 2, 3, 4, 5));
  assertThrows(() => output.push(Uint8Array.of(6)), ConfigError, "more than 5 bytes of output");
});

const zeros = (length: number, start: readonly number[]) => {
  const bytes = new Uint8Array(length);
  bytes.set(start);
  return bytes;
};

Deno.test("unpackKernel leaves other files alone, and says what it cannot unpack", async () => {
  const elf = { name: "k", bytes: Uint8Array.of(0x7f, 0x45, 0x4c, 0x46) };
  assertEquals(await unpackKernel(elf), elf);
  const gzip = async (bytes: Uint8Array) => {
    const packed = new Blob([bytes.slice()]).stream().pipeThrough(new CompressionStream("gzip"));
    return new Uint8Array(await new Response(packed).arrayBuffer());
  };
  // one LZ4 block: a literal, and a match of 255 bytes for each byte of 255
  const bomb = new Uint8Array(2_200_000).fill(255);
  bomb.set([0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0, 0x1f, 0x41, 1, 0]);
  new DataView(bomb.buffer).setUint32(4, bomb.length - 8, true);
  bomb[bomb.length - 1] = 0;
  const cases: [Uint8Array, string][] = [
    [Uint8Array.of(0x42, 0x5a, 0x68, 0x39), "it is packed, and bzip2 is not supported: unpack it first"],
    [await gzip(new Uint8Array()), "there is nothing in it but gzip data of length 0"],
    [await gzip(await gzip(sample())), "it is packed more than once: unpack it first"],
    [bomb, "bad lz4 data: more than 536870912 bytes of output"],
    // a zstd frame of 2^32 - 1 bytes; an LZMA stream of 2^40 bytes
    [
      zeros(20, [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 255, 255, 255, 255]),
      "bad zstd data: more than 536870912 bytes",
    ],
    [zeros(20, [0x5d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "bad lzma data: more than 536870912 bytes"],
  ];
  for (const [bytes, message] of cases) {
    await assertRejects(() => unpackKernel({ name: "k", bytes }), ConfigError, message);
  }
});
