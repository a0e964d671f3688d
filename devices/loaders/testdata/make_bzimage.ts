// SPDX-License-Identifier: MIT
/** Writes small bzImages for loader tests, and packs what may be in one. @module */

const SETUP_BYTES = 2 * 512;
const CODE_BYTES = 4096;

/** Protocol 2.15, 4 KiB of NOPs, and `payload` behind those; `patch` changes the header. */
export function makeBzImage(
  patch: (view: DataView) => void = () => {},
  payload: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const codeBytes = CODE_BYTES + Math.ceil(payload.length / 16) * 16;
  const bytes = new Uint8Array(SETUP_BYTES + codeBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, 1); // setup_sects
  view.setUint32(0x1f4, codeBytes / 16, true); // syssize
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x200, 0x6aeb, true); // the header ends at 0x26c
  view.setUint32(0x202, 0x5372_6448, true);
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 1); // LOADED_HIGH
  view.setUint32(0x214, 0x10_0000, true);
  view.setUint32(0x22c, 0x1ff_ffff, true); // initrd_addr_max: 32 MiB
  view.setUint32(0x230, 0x20_0000, true);
  view.setUint8(0x234, 1);
  view.setUint16(0x236, 1, true); // XLF_KERNEL_64
  view.setUint32(0x238, 100, true); // cmdline_size
  if (payload.length > 0) {
    view.setUint32(0x248, CODE_BYTES, true); // payload_offset
    view.setUint32(0x24c, payload.length, true); // payload_length
  }
  view.setBigUint64(0x258, 0x100_0000n, true);
  view.setUint32(0x260, 0x20_0000, true); // init_size
  bytes.fill(0x90, SETUP_BYTES, SETUP_BYTES + CODE_BYTES);
  bytes.set(payload, SETUP_BYTES + CODE_BYTES);
  patch(view);
  return bytes;
}

/** `content` as LZ4 in a legacy frame and its size, as Linux's build appends it; runs of zeros are matches, blocks `blockBytes` long. */
export function packLz4(content: Uint8Array, blockBytes = 1 << 16): Uint8Array<ArrayBuffer> {
  const out: number[] = [0x02, 0x21, 0x4c, 0x18];
  const u32 = (n: number) => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
  for (let at = 0; at < content.length; at += blockBytes) {
    const block = packBlock(content.subarray(at, at + blockBytes));
    out.push(...u32(block.length));
    for (const byte of block) out.push(byte);
  }
  return Uint8Array.from([...out, ...u32(content.length)]);
}

function packBlock(content: Uint8Array): number[] {
  const out: number[] = [];
  const more = (n: number) => {
    for (n -= 15; n >= 0; n -= 255) out.push(Math.min(n, 255));
  };
  let from = 0;
  for (let at = 0; at < content.length;) {
    let end = at;
    while (content[end] === 0) end++;
    const match = end - at - 1; // the first zero is what it repeats
    if (match < 64 || end > content.length - 8) {
      at = Math.max(at + 1, end);
      continue;
    }
    const literals = at + 1 - from;
    out.push(Math.min(literals, 15) << 4 | Math.min(match - 4, 15));
    more(literals);
    for (const byte of content.subarray(from, at + 1)) out.push(byte);
    out.push(1, 0);
    more(match - 4);
    from = at = end;
  }
  out.push(Math.min(content.length - from, 15) << 4);
  more(content.length - from);
  for (const byte of content.subarray(from)) out.push(byte);
  return out;
}
