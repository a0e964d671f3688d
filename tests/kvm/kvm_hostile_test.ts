// SPDX-License-Identifier: MIT
/**
 * Guests that run nonsense under KVM: they may hang, crash or end, and KVM may refuse to go on with one, in one line. The
 * process never throws anything else, and makes the next machine. Seeds are in the names.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ConfigError } from "../../cpu/base/assert.ts";
import { Child, xenner } from "../../scripts/host/child.ts";
import { EAX, EBX, ECX, EDI, EDX, ESI } from "../guests/_assembler.ts";
import { FREE, GuestProgram } from "../guests/_guest_program.ts";
import { debugPrint, SPIN, tinyGuest } from "../_tiny_guest.ts";
import { noKvm, withKvm } from "./_kvm.ts";

const CODE_AT = 0x40_0000, CODE_BYTES = 0x1000;
const RUN_MS = 300;

/** Bytes that repeat for a seed: xorshift32. */
function noise(seed: number, length: number): Uint8Array<ArrayBuffer> {
  let x = seed * 2_654_435_761 | 1;
  return Uint8Array.from({ length }, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 24;
  });
}

/** Another round: EAX = its number, scattered over 32 bits. */
function countRound(g: GuestProgram): void {
  g.aluMemory("add", "rounds", 1);
  g.load(EAX, "rounds");
  g.db(0x69, 0xc0); // imul eax, eax, 2654435761
  g.dd(2_654_435_761);
}

/** Random code, entered again somewhere else after each exception. */
function wanderer(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.catchAll("wander");
  g.loadHypercallPages();
  g.label("wander");
  countRound(g);
  g.shr(EAX, 8);
  g.aluValue("and", EAX, CODE_BYTES - 1);
  g.aluValue("add", EAX, CODE_AT);
  g.push(EAX);
  g.mov(EAX, 0);
  for (const [i, reg] of [EBX, ECX, EDX, ESI, EDI].entries()) g.mov(reg, FREE + i * 0x1000);
  g.ret();
  g.variable("rounds");
  return g;
}

/** Hypercalls of every number, with arguments that point nowhere in particular. */
function caller(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.catchAll("again");
  g.loadHypercallPages();
  g.label("again");
  countRound(g);
  for (const reg of [EBX, ECX, EDX, ESI, EDI]) {
    g.movRegister(reg, EAX);
    g.shr(EAX, 3);
  }
  g.aluValue("and", EDI, 15);
  g.aluValue("and", EBX, 15);
  g.aluValue("and", EAX, 63);
  g.db(0xe7, 0xe4); // out 0xe4, eax
  g.jmp("again");
  g.variable("rounds");
  return g;
}

const skipped = noKvm();
for (const mode of [32, 64] as const) {
  for (const [what, program] of [["random code", wanderer], ["random hypercalls", caller]] as const) {
    for (let seed = 1; seed <= 4; seed++) {
      Deno.test({
        name: `KVM: ${what} ends nothing but its guest, ${mode} bit, seed ${seed}${skipped}`,
        ignore: skipped !== "",
        async fn() {
          const g = program(mode);
          await withKvm(g.image(), async (machine, run) => {
            machine.writeMemory(CODE_AT, noise(seed, CODE_BYTES));
            const timer = setTimeout(() => machine.stop(), RUN_MS);
            try {
              const { exit } = await run();
              const ends = ["stopped", "crash", "halted", "poweroff", "reboot", "suspend"];
              assert(ends.includes(exit.reason), exit.reason);
            } catch (error) {
              if (!(error instanceof ConfigError)) throw error;
              assertMatch(error.message, /^Cannot go on with KVM: [^\n]+$/);
            } finally {
              clearTimeout(timer);
            }
            assertMatch(machine.crashReport(), /rip/i);
          });
        },
      });
    }
  }
}

/** Machines of process `pid` that KVM knows of, by its debugfs; undefined: it cannot be looked at. */
function machinesOf(pid: number): string[] | undefined {
  try {
    const all = [...Deno.readDirSync("/sys/kernel/debug/kvm")];
    return all.map(({ name }) => name).filter((name) => name.startsWith(`${pid}-`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  }
}

Deno.test({
  name: `KVM: a process killed while its guest runs leaves no machine and no file behind${skipped}`,
  ignore: skipped !== "",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const kernel = `${folder}/kernel`, temporary = `${folder}/temporary`;
      await Deno.mkdir(temporary);
      await Deno.writeFile(kernel, tinyGuest([...debugPrint("up"), ...SPIN]));
      const { command, args } = xenner(["run", "-k", kernel, "--net", "none", "--engine", "kvm"]);
      const child = new Child({ command: "env", args: [`TMPDIR=${temporary}`, command, ...args] });
      assert(await child.match(/up/, 300_000) !== undefined, child.stderr);
      const { pid } = child;
      const machines = machinesOf(pid);
      assert(machines === undefined || machines.length === 1, machines?.join());
      child.kill("SIGKILL");
      assertEquals(await child.status, 137);
      assertEquals(machinesOf(pid), machines && []);
      assertEquals([...Deno.readDirSync(temporary)], []);
      await withKvm(tinyGuest(SPIN), async (machine, run) => {
        setTimeout(() => machine.stop(), 10);
        assertEquals((await run()).exit.reason, "stopped");
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
