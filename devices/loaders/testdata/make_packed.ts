// SPDX-License-Identifier: MIT
/**
 * Makes packed.ts: one sample, packed by each tool a Linux build uses, with the size appended as it does. Run in
 * this folder: `deno run -A make_packed.ts > packed.ts` (made with xz 5.4.1, lz4 1.9.4, zstd 1.5.4, gzip 1.12).
 * @module
 */
import { sample } from "./sample.ts";

const data = sample();
const size = new Uint8Array(4);
new DataView(size.buffer).setUint32(0, data.length, true);

async function pack(name: string, appendSize: boolean, command: string, ...args: string[]): Promise<void> {
  const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(data);
  await writer.close();
  const { stdout, success } = await child.output();
  if (!success) throw new Error(`${command} failed`);
  const bytes = [...stdout, ...(appendSize ? size : [])];
  console.log(`  ${name}: "${btoa(String.fromCharCode(...bytes))}",`);
}

console.log(`// SPDX-License-Identifier: MIT
// deno-fmt-ignore-file
/** Made by make_packed.ts: the sample as Linux's build packs kernels, in base64. @module */
export const packed = {`);
await pack("gzip", false, "gzip", "-n", "-9");
await pack("xz", true, "xz", "--check=crc32", "--x86", "--lzma2=dict=1MiB,lc=3,lp=0,pb=2");
await pack("xzPlain", true, "xz", "--check=crc64", "--lzma2=dict=1MiB,lc=1,lp=2,pb=0");
await pack("lz4", true, "lz4", "-l", "-9", "-c");
await pack("zstd", true, "zstd", "-19", "-c");
await pack("lzma", true, "lzma", "-9", "-c");
console.log("};");
