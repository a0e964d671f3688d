// SPDX-License-Identifier: MIT
/**
 * Debian's programs judge the network: curl, wget, dig, iperf3, ssh and rsync from a guest against real servers, over the
 * user network and over a TAP, on a clean link and on one that loses, delays and reorders. On the clean one a capture
 * must not have one bad checksum, nor anything that was sent twice. Needs root and Debian's packages.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ConfigError } from "../../mod.ts";
import { whyNoTap } from "../../scripts/host/tap_namespace.ts";
import { netTools } from "../../scripts/guests/net_tools.ts";
import { missing } from "../_boot.ts";
import { readCapture } from "../_capture.ts";
import { EXPECTED, Judge, type Kind } from "./_judge.ts";

async function whyNot(): Promise<string> {
  const noTap = await whyNoTap();
  if (noTap !== undefined) return ` (skipped: ${noTap})`;
  const noGuest = missing("cloud");
  if (noGuest !== "") return noGuest;
  try {
    await netTools((what) => console.log(`guests: ${what}`));
    return "";
  } catch (error) {
    if (error instanceof ConfigError) return ` (skipped: ${error.message.split("\n")[0]})`;
    throw error;
  }
}

const skipped = await whyNot();
const KINDS: readonly (readonly [name: string, kind: Kind])[] = [
  ["the user network", { net: "user", clean: true, seconds: 3 }],
  ["a TAP", { net: "tap", clean: true, seconds: 3 }],
  ["the user network over a bad link", { net: "user", clean: false, seconds: 3 }],
  ["a TAP over a bad link", { net: "tap", clean: false, seconds: 3 }],
];
for (const [name, kind] of KINDS) {
  Deno.test({
    name: `Debian's programs judge ${name}${skipped}`,
    ignore: skipped !== "",
    async fn() {
      const judge = await Judge.open();
      try {
        const file = `${judge.folder}/capture.pcapng`;
        const { tools, outside, output, errors, status } = await judge.run(kind, file);
        const all = `${output.slice(-4000)}\n${errors}`;
        for (const [tool, line] of EXPECTED) {
          assertMatch(tools.get(tool) ?? "no line", line, `${tool}\n${all}`);
        }
        assertEquals(outside, "inside: Linux", all);
        assertEquals(status, 0, all);
        const capture = readCapture(await Deno.readFile(file));
        console.log(`${name}: ${[...tools].map(([tool, line]) => `\n  ${tool} ${line}`).join("")}`);
        console.log(`  ${JSON.stringify(capture)}`);
        assertEquals(capture.badChecksums, 0, capture.wrong.join("\n"));
        assert(capture.connections >= 15 && capture.data > 1000);
        if (kind.clean) assertEquals(capture.again, 0, capture.wrong.join("\n"));
        else assert(capture.again > 0, "nothing was lost: the link is not bad");
      } finally {
        await judge.close();
      }
    },
  });
}
