// SPDX-License-Identifier: MIT
/** What the packed fixtures hold: something like machine code, with calls, text, runs and noise. @module */
export function sample(): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(6000);
  const view = new DataView(out.buffer);
  let seed = 2009;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const text = new TextEncoder().encode("hypercall page ");
  for (let at = 0; at < out.length - 40;) {
    switch (random(5)) {
      case 0: // CALL or JMP to one of eight places, often one right after the other
        out[at] = random(2) ? 0xe8 : 0xe9;
        view.setInt32(at + 1, random(8) * 700 - (at + 5), true);
        at += 5;
        break;
      case 1: // opcode bytes that are no opcodes
        for (let i = random(4); i >= 0; i--) out[at++] = [0xe8, 0xe9, 0x00, 0xff][random(4)] ?? 0;
        break;
      case 2:
        out.set(text, at);
        at += text.length;
        break;
      case 3:
        out.fill(random(256), at, at + 30);
        at += random(30);
        break;
      default:
        for (let i = random(6); i >= 0; i--) out[at++] = random(256);
    }
  }
  return out;
}
