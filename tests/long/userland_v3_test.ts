// SPDX-License-Identifier: MIT
/**
 * A userland that asks the processor what it can: glibc's choice of libraries, OpenSSL's of instructions, a Go and a Rust
 * program. Results with the extensions and without are the same, and those of the host's Web Crypto.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { missing } from "../_boot.ts";
import { runUserland, sampleFile } from "./_userland.ts";

const CPU = "x86-64-v3,+aes,+pclmulqdq,+sha_ni";
const KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const IV = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
const GMAC_IV = "cafebabefacedbaddecaf888";
const SAMPLE = sampleFile(200_003);
const TEXT =
  Array.from({ length: 4000 }, (_, i) => `line ${i} ${(i * i) % 9973}${i % 7 ? "" : " needle"}`).join("\n") +
  "\n";

const SCRIPT = `
loader=/lib64/ld-linux-x86-64.so.2
report hwcaps "$($loader --help | busybox grep -o 'x86-64-v[234] (supported[^)]*)' | busybox tr '\\n' ' ')"
mkdir -p /usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3
cp /usr/lib/x86_64-linux-gnu/libcrypto.so.3 /usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/
report chosen "$($loader --list /usr/bin/openssl | busybox grep -o '/[^ ]*libcrypto[^ ]*')"
for with in all none; do
  if [ $with = none ]; then export OPENSSL_ia32cap=0:0; fi
  report sha256-$with "$(openssl dgst -sha256 -r /sample | busybox cut -c1-64)"
  report sha512-$with "$(openssl dgst -sha512 -r /sample | busybox cut -c1-128)"
  report ctr-$with "$(openssl enc -aes-256-ctr -K ${KEY} -iv ${IV} -in /sample | busybox sha256sum | busybox cut -c1-64)"
  report cbc-$with "$(openssl enc -aes-256-cbc -K ${KEY} -iv ${IV} -in /sample | busybox sha256sum | busybox cut -c1-64)"
  report back-$with "$(openssl enc -aes-256-cbc -K ${KEY} -iv ${IV} -in /sample | openssl enc -d -aes-256-cbc -K ${KEY} -iv ${IV} | busybox sha256sum | busybox cut -c1-64)"
  report gmac-$with "$(openssl mac -cipher AES-256-GCM -macopt hexkey:${KEY} -macopt hexiv:${GMAC_IV} -in /sample GMAC)"
done
unset OPENSSL_ia32cap
report rust "$(rg --version | busybox tail -n 1)"
report rust-count "$(rg -c needle /text) $(rg -o '[0-9]+ needle$' /text | busybox sha256sum | busybox cut -c1-64)"
report go "$(fzf --version) $(fzf --filter 'line 39 needle' </text | busybox wc -l)"
`;

const hex = (bytes: ArrayBuffer) =>
  Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytesOf = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** By the host. GMAC is what GCM makes of additional data alone. */
async function judged(): Promise<Record<string, string>> {
  const { subtle } = crypto;
  const key = (name: string) => subtle.importKey("raw", bytesOf(KEY), name, false, ["encrypt"]);
  const sha = async (bytes: BufferSource) => hex(await subtle.digest("SHA-256", bytes));
  const ctr = { name: "AES-CTR", counter: bytesOf(IV), length: 128 };
  const cbc = { name: "AES-CBC", iv: bytesOf(IV) };
  const gcm = { name: "AES-GCM", iv: bytesOf(GMAC_IV), additionalData: SAMPLE };
  return {
    sha256: await sha(SAMPLE),
    sha512: hex(await subtle.digest("SHA-512", SAMPLE)),
    ctr: await sha(await subtle.encrypt(ctr, await key("AES-CTR"), SAMPLE)),
    cbc: await sha(await subtle.encrypt(cbc, await key("AES-CBC"), SAMPLE)),
    back: await sha(SAMPLE),
    gmac: hex(await subtle.encrypt(gcm, await key("AES-GCM"), new Uint8Array(0))).toUpperCase(),
  };
}

const skipped = missing("cloud");
for (const engine of ["jit"] as const) {
  Deno.test({
    name: `a v3 userland on ${CPU}: the same results with the extensions and without, ${engine}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const results = await runUserland({
        guest: "cloud",
        programs: "v3",
        cpu: CPU,
        engine,
        script: SCRIPT,
        files: { sample: SAMPLE, text: new TextEncoder().encode(TEXT) },
      });
      const of = (name: string) => results.get(name) ?? "";
      assertEquals(of("hwcaps"), "x86-64-v3 (supported, searched) x86-64-v2 (supported, searched)");
      assertMatch(of("chosen"), /glibc-hwcaps\/x86-64-v3\/libcrypto\.so\.3$/);
      for (const [name, expected] of Object.entries(await judged())) {
        assertEquals([name, of(`${name}-all`)], [name, expected]);
        assertEquals([name, of(`${name}-none`)], [name, expected]);
      }
      assertMatch(of("rust"), /\+AVX \(runtime\)/);
      const lines = TEXT.split("\n").filter((line) => line.endsWith(" needle"));
      const found = lines.map((line) => `${line.split(" ").slice(2).join(" ")}\n`).join("");
      const sum = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(found)));
      assertEquals(of("rust-count"), `${lines.length} ${sum}`);
      const [, count = "0"] = /^0\.\d+.* (\d+)$/.exec(of("go")) ?? [];
      // fzf's filter: each word as a subsequence
      const matches = lines.filter((line) => /l.*i.*n.*e/.test(line) && /3.*9/.test(line));
      assert(matches.length > 0);
      assertEquals(Number(count), matches.length);
    },
  });
}
