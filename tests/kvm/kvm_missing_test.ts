// SPDX-License-Identifier: MIT
/** What users are told who cannot have KVM. */
import { assertEquals, assertRejects } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { createMachine } from "../../devices/machine/create_machine.ts";
import { SPIN, tinyGuest } from "../_tiny_guest.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

for (
  const [what, permissions, why] of [
    [
      "no right to FFI",
      ["-A", "--deny-ffi"],
      "Cannot use --engine kvm: run with --allow-ffi (for all files)",
    ],
    [
      "FFI for the C library alone",
      [
        "--allow-read",
        "--allow-write",
        "--allow-env",
        "--allow-sys",
        "--allow-ffi=/lib/x86_64-linux-gnu/libc.so.6",
      ],
      "Cannot use --engine kvm: run with --allow-ffi (for all files)",
    ],
  ] as const
) {
  Deno.test(`--engine kvm with ${what}: one line, and status 3`, async () => {
    const kernel = await Deno.makeTempFile();
    try {
      await Deno.writeFile(kernel, tinyGuest(SPIN));
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          "--no-prompt",
          ...permissions,
          `${ROOT}mod.ts`,
          "run",
          "-k",
          kernel,
          "--net",
          "none",
          "--engine",
          "kvm",
        ],
        stdout: "null",
      }).output();
      assertEquals([code, new TextDecoder().decode(stderr)], [3, `xenner: ${why}\n`]);
    } finally {
      await Deno.remove(kernel);
    }
  });
}

Deno.test("KVM counts no instructions: icount is refused", async () => {
  const options = { kernel: tinyGuest(SPIN), engine: "kvm", icount: true } as const;
  await assertRejects(() => createMachine(options), ConfigError, "Cannot use icount with the engine kvm");
});
