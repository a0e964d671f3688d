// SPDX-License-Identifier: MIT
/**
 * Our own lint rules: which room may import which (docs/ARCHITECTURE.md), where the host may be touched, bare imports,
 * and the license line. Uses nothing but what `deno lint` brings.
 * @module
 */

/** Doors to the host: only these use Deno, clocks, randomness and the console. */
const DOORS = [
  "mod.ts",
  "devices/loaders/host_file.ts",
  "devices/loaders/root_folder/modules.ts",
  "devices/loaders/root_folder/root_folder.ts",
  "devices/storage/host_file.ts",
  "devices/storage/libc.ts",
  "devices/storage/p9/host_folder.ts",
  "net/host/deno_network.ts",
  "net/host/host_clock.ts",
  "net/host/kvm.ts",
  "net/host/libc.ts",
  "net/host/ping_socket.ts",
  "net/host/stream_socket.ts",
  "net/host/tap.ts",
  "net/host/wait.ts",
  "scripts/",
  "tests/",
];

/**
 * The rooms of each wing, from the ground up: a room may import itself and the rooms before it, and of other wings what
 * stands behind `also`. A room is a folder with all that is in it, unless a folder in it is listed too.
 */
const WINGS: readonly { readonly rooms: readonly string[]; readonly also: readonly string[] }[] = [
  {
    rooms: [
      "cpu/base/",
      "cpu/wasm/",
      "cpu/state/",
      "cpu/fpu/",
      "cpu/emit/",
      "cpu/mmu/",
      "cpu/core/",
      "cpu/segments/",
      "cpu/system/",
      "cpu/isa/row/",
      "cpu/isa/simd/",
      "cpu/isa/avx/",
      "cpu/isa/crypto/",
      "cpu/isa/x87/",
      "cpu/isa/transfer/",
      "cpu/isa/general/",
      "cpu/isa/",
      "cpu/decode/",
      "cpu/translate/",
      "cpu/kvm/",
      "cpu/",
    ],
    also: [],
  },
  {
    rooms: [
      "xen/public/",
      "xen/backend/",
      "xen/xenstore/",
      "xen/time/",
      "xen/memory/",
      "xen/events/",
      "xen/hypercalls/",
      "xen/platform/",
    ],
    also: ["cpu/base/"],
  },
  {
    rooms: ["net/frames/", "net/ends/", "net/netback/", "net/host/"],
    also: ["cpu/base/", "xen/public/", "xen/backend/"],
  },
  {
    rooms: [
      "devices/bus/",
      "devices/interrupts/",
      "devices/legacy/",
      "devices/pci/",
      "devices/firmware/",
      "devices/loaders/compression/",
      "devices/loaders/",
      "devices/storage/",
    ],
    // kernels are unpacked in WebAssembly
    also: [
      "cpu/base/",
      "cpu/wasm/",
      "cpu/emit/builder.ts",
      "cpu/emit/emit.ts",
      "xen/backend/block_store.ts",
      "xen/backend/p9/service.ts",
    ],
  },
  // the rooms that put everything together
  { rooms: ["devices/machine/"], also: ["cpu/base/", "cpu/engines.ts", "xen/", "net/", "devices/"] },
  {
    rooms: ["mod.ts"],
    also: [
      "cpu/base/",
      "devices/",
      "net/",
      "xen/backend/block_store.ts",
      "xen/backend/p9/service.ts",
      "scripts/cli/cli.ts",
    ],
  },
];

/** Globals of the host. */
const HOST_OBJECTS = ["Deno", "performance", "console"];
const HOST_MEMBERS = [["Date", "now"], ["Math", "random"]] as const;

const ROOT = new URL("../..", import.meta.url);

/** Path below the project's root; undefined outside. */
function pathOf(file: string | URL): string | undefined {
  const { href } = typeof file === "string" ? new URL(file, "file:///") : file;
  return href.startsWith(ROOT.href) ? decodeURIComponent(href.slice(ROOT.href.length)) : undefined;
}

/** Tests, benches and what only they use go by their own rules. */
function isForTests(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return path.startsWith("tests/") || path.includes("/testdata/") ||
    path.startsWith("scripts/bench/") || path.startsWith("scripts/vectors/") ||
    name.startsWith("_") || /(_test|_bench)\.ts$/.test(name);
}

function fits(path: string, list: readonly string[]): boolean {
  return list.some((entry) => entry.endsWith("/") ? path.startsWith(entry) : path === entry);
}

/** Why `path` may not import `specifier`, or undefined. */
export function importProblem(path: string, specifier: string): string | undefined {
  if (isForTests(path)) return undefined;
  if (/^(npm|node):/.test(specifier)) return undefined;
  if (!/^\.{1,2}\//.test(specifier)) {
    return `"${specifier}" means nothing to those who import mod.ts from a URL: use a relative path or npm:`;
  }
  const target = pathOf(new URL(specifier, new URL(path, ROOT)));
  if (target === undefined) return `"${specifier}" is outside the project`;
  if (isForTests(target)) return `"${target}" is for tests only`;
  if (path.startsWith("scripts/")) {
    // whoever is outside cpu/ sees a CPU as an Engine
    const inside = target.startsWith("cpu/") && !fits(target, ["cpu/base/", "cpu/engines.ts"]);
    return inside
      ? `"${target}" is inside cpu/: scripts/ may import only cpu/base/, cpu/engines.ts`
      : undefined;
  }
  const room = roomOf(path);
  if (room === undefined) return `"${path}" is in no room of scripts/gate/lint_plugin.ts`;
  if (fits(target, room.mayImport)) return undefined;
  return `${room.name} may import only ${room.mayImport.join(", ")}`;
}

/** The room of a file and what it may import; a target counts to the most deeply nested room that has it. */
function roomOf(path: string): { name: string; mayImport: readonly string[] } | undefined {
  let found: { name: string; mayImport: readonly string[] } | undefined;
  for (const { rooms, also } of WINGS) {
    for (const [floor, name] of rooms.entries()) {
      if (!fits(path, [name]) || (found !== undefined && found.name.length > name.length)) continue;
      found = { name, mayImport: [...rooms.slice(0, floor + 1), ...also] };
    }
  }
  return found;
}

/** True when `path` may touch the host. */
export function isDoor(path: string): boolean {
  return isForTests(path) || fits(path, DOORS);
}

const plugin: Deno.lint.Plugin = {
  name: "xenner",
  rules: {
    layers: {
      create(context) {
        const path = pathOf(context.filename);
        if (path === undefined) return {};
        const check = (source: Deno.lint.Expression | Deno.lint.StringLiteral | null) => {
          if (source?.type !== "Literal" || typeof source.value !== "string") return;
          const message = importProblem(path, source.value);
          if (message !== undefined) context.report({ node: source, message });
        };
        return {
          ImportDeclaration: (node) => check(node.source),
          ExportAllDeclaration: (node) => check(node.source),
          ExportNamedDeclaration: (node) => check(node.source),
          ImportExpression: (node) => check(node.source),
        };
      },
    },
    doors: {
      create(context) {
        const path = pathOf(context.filename);
        if (path === undefined || isDoor(path)) return {};
        return {
          MemberExpression(node) {
            const { object, property } = node;
            if (object.type !== "Identifier") return;
            const member = property.type === "Identifier" ? property.name : "";
            const forbidden = HOST_OBJECTS.includes(object.name) ||
              HOST_MEMBERS.some(([name, of]) => name === object.name && of === member);
            if (!forbidden) return;
            context.report({
              node,
              message:
                `${object.name}.${member} touches the host: only its doors may, see scripts/gate/lint_plugin.ts`,
            });
          },
        };
      },
    },
    license: {
      create(context) {
        if (pathOf(context.filename) === undefined) return {};
        return {
          Program(node) {
            if (context.sourceCode.text.startsWith("// SPDX-License-Identifier: MIT\n")) return;
            context.report({ node, message: "the first line is not // SPDX-License-Identifier: MIT" });
          },
        };
      },
    },
  },
};
export default plugin;
