// SPDX-License-Identifier: MIT
/**
 * Constants and layouts against Xen's own C headers (Debian: libxen-dev), for 64-bit and 32-bit guests. The judge
 * is the C compiler: every value is compiled to assembly text and read back. Ignored, saying why, when run
 * permission, the compiler or the headers are missing.
 */
import { assertEquals } from "@std/assert";
import type { Layout } from "../../cpu/base/layout.ts";
import * as start_info from "./arch_x86/hvm/start_info.ts";
import * as cpuid from "./arch_x86/cpuid.ts";
import * as errno from "./errno.ts";
import * as event_channel from "./event_channel.ts";
import * as features from "./features.ts";
import * as grant_table from "./grant_table.ts";
import * as hvm_op from "./hvm/hvm_op.ts";
import * as params from "./hvm/params.ts";
import * as memory from "./memory.ts";
import * as physdev from "./physdev.ts";
import * as sched from "./sched.ts";
import * as vcpu from "./vcpu.ts";
import * as version from "./version.ts";
import * as xen from "./xen.ts";

const HEADERS: readonly (readonly [header: string, module: Record<string, unknown>])[] = [
  ["xen/xen.h", xen],
  ["xen/errno.h", errno],
  ["xen/version.h", version],
  ["xen/features.h", features],
  ["xen/memory.h", memory],
  ["xen/event_channel.h", event_channel],
  ["xen/grant_table.h", grant_table],
  ["xen/vcpu.h", vcpu],
  ["xen/sched.h", sched],
  ["xen/physdev.h", physdev],
  ["xen/hvm/params.h", params],
  ["xen/hvm/hvm_op.h", hvm_op],
  ["xen/arch-x86/cpuid.h", cpuid],
  ["xen/arch-x86/hvm/start_info.h", start_info],
];

/** Values of ours that the headers give no name. */
const OURS = new Set([
  "XEN_EXTRAVERSION_LEN",
  "XEN_COMMANDLINE_LEN",
  "E820_ENTRY_BYTES",
  "MEMOP_EXTENT_SHIFT",
]);

/** C types whose name differs from the export's. */
const C_TYPE: Record<string, string> = {
  grant_entry_v2_full_page: "union grant_entry_v2",
  grant_entry_v2_sub_page: "union grant_entry_v2",
  grant_entry_v2_transitive: "union grant_entry_v2",
  vcpu_register_memory_area: "struct vcpu_register_runstate_memory_area",
};

/** Layouts that leave something out, so that only their offsets are compared. */
const OFFSETS_ONLY = new Set(["grant_entry_v2_transitive", "arch_shared_info"]);

function isLayout(value: unknown): value is Layout<string> {
  return typeof value === "object" && value !== null && "at" in value && "size" in value;
}

/** C expression → our value, for one guest width. */
function expectations(bits: 32 | 64): Map<string, number> {
  const wanted = new Map<string, number>();
  for (const [_header, module] of HEADERS) {
    for (const [name, value] of Object.entries(module)) {
      if (typeof value === "number") {
        if (!OURS.has(name)) wanted.set(name, value);
        continue;
      }
      const structure = isLayout(value) ? value : (value as Record<number, unknown>)[bits];
      if (!isLayout(structure)) continue;
      const type = C_TYPE[name] ?? `struct ${name}`;
      if (!OFFSETS_ONLY.has(name)) wanted.set(`sizeof(${type})`, structure.size);
      for (const [field, offset] of Object.entries(structure.at)) {
        const path = name === "shared_info" && bits === 32 && field === "wc_sec_hi"
          ? "arch.wc_sec_hi"
          : field;
        wanted.set(`offsetof(${type}, ${path})`, offset);
      }
    }
  }
  return wanted;
}

async function compile(bits: 32 | 64, expressions: readonly string[]): Promise<Map<string, number>> {
  const source = [
    "#include <stdint.h>",
    "#include <stddef.h>",
    "#define __XEN_TOOLS__ 1",
    ...HEADERS.map(([header]) => `#include <${header}>`),
    "void values(void) {",
    ...expressions.map((e, i) => `__asm__("->${i} %c0" :: "i"((int)(${e})));`),
    "}",
  ].join("\n");
  const gcc = new Deno.Command("gcc", {
    args: [`-m${bits}`, "-ffreestanding", "-w", "-S", "-x", "c", "-o", "-", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = gcc.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { success, stdout, stderr } = await gcc.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const values = new Map<string, number>();
  for (const match of new TextDecoder().decode(stdout).matchAll(/->(\d+) (-?\d+)/g)) {
    values.set(expressions[Number(match[1])] as string, Number(match[2]));
  }
  return values;
}

async function missing(): Promise<string | undefined> {
  if ((await Deno.permissions.query({ name: "run", command: "gcc" })).state !== "granted") {
    return "no permission to run gcc";
  }
  try {
    await compile(64, ["1"]);
    return undefined;
  } catch {
    return "gcc or the Xen headers are not installed";
  }
}

const reason = await missing();
for (const bits of [64, 32] as const) {
  Deno.test({
    name: `public: constants and layouts equal the C headers, ${bits}-bit guest${
      reason ? ` (skipped: ${reason})` : ""
    }`,
    ignore: reason !== undefined,
    fn: async () => {
      const wanted = expectations(bits);
      const found = await compile(bits, [...wanted.keys()]);
      assertEquals(found.size, wanted.size);
      const differences: string[] = [];
      for (const [expression, value] of wanted) {
        if (((found.get(expression) as number) | 0) !== (value | 0)) {
          differences.push(`${expression}: C ${found.get(expression)}, ours ${value}`);
        }
      }
      assertEquals(differences, []);
    },
  });
}
