// SPDX-License-Identifier: MIT
/**
 * Debian's i386: the 686-pae kernel and 32-bit programs, which reckon with the x87. Expected values are the host's and the
 * manuals'.
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { missing } from "../_boot.ts";
import { runUserland, sampleFile } from "./_userland.ts";

const SAMPLE = sampleFile(100_001);
const SCRIPT = `
report machine "$(bash -c 'echo $MACHTYPE $((0x7fffffff * 3)) $BASH_VERSION')"
report loader "$(/lib/ld-linux.so.2 --version | busybox head -n 1)"
report sum "$(sha256sum /sample | busybox cut -c1-64)"
report packed "$(bzip2 -c /sample | bzip2 -dc | sha256sum | busybox cut -c1-64)"
report factor "$(factor 4611686014132420609 1000000016000000063 | busybox tr '\\n' ' ')"
report sort "$(seq 1 3000 | sort -r | sha256sum | busybox cut -c1-64)"
report grep "$(seq 1 3000 | grep -c '7.*1')"
report sed "$(seq 1 5 | sed -n 's/\\(.\\)/<\\1>/;2,4p' | busybox tr '\\n' ' ')"
report awk "$(mawk 'BEGIN { printf "%.12g %.12g %.12g %.12g", exp(1), atan2(1, -1), log(10), sin(1) }')"
report perl "$(perl -e 'printf "%.15g %.15g %s %d", sqrt(2), 1/3, 0.1 + 0.2, 2**31 * 2; print " ", unpack("%32C*", join "", map chr, 0 .. 255)')"
report regexp "$(perl -e 'my $n = 0; for (1 .. 500) { $n++ if ("x" x $_) !~ /^(xx+)\\1+$/ } print $n')"
report kernel "$(uname -m)"
`;

const skipped = missing("pae");
for (const type of ["hvm", "pvh"] as const) {
  Deno.test({
    name: `an i386 userland on linux-image-686-pae, ${type}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const results = await runUserland({
        guest: "pae",
        programs: "i386",
        type,
        script: SCRIPT,
        files: { sample: SAMPLE },
      });
      const of = (name: string) => results.get(name) ?? "";
      const sum = async (bytes: Uint8Array<ArrayBuffer>) =>
        Array.from(
          new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)),
          (b) => b.toString(16).padStart(2, "0"),
        )
          .join("");
      assertMatch(of("machine"), /^i686-pc-linux-gnu 6442450941 5\./);
      assertMatch(of("loader"), /Debian GLIBC 2\.36/);
      assertEquals(of("kernel"), "i686");
      assertEquals([of("sum"), of("packed")], [await sum(SAMPLE), await sum(SAMPLE)]);
      assertEquals(
        of("factor"),
        "4611686014132420609: 2147483647 2147483647 1000000016000000063: 1000000007 1000000009",
      );
      const numbers = Array.from({ length: 3000 }, (_, i) => String(i + 1));
      const sorted = [...numbers].sort().reverse().map((line) => line + "\n").join("");
      assertEquals(of("sort"), await sum(new TextEncoder().encode(sorted)));
      assertEquals(of("grep"), String(numbers.filter((line) => /7.*1/.test(line)).length));
      assertEquals(of("sed"), "<2> <3> <4>");
      assertEquals(of("awk"), "2.71828182846 2.35619449019 2.30258509299 0.841470984808");
      assertEquals(
        of("perl"),
        "1.4142135623731 0.333333333333333 0.3 4294967296 32640".replace(
          "1.4142135623731 ",
          "1.4142135623731 ",
        ),
      );
      assertEquals(of("regexp"), "96"); // 95 primes up to 500, and 1
    },
  });
}
