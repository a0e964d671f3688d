// SPDX-License-Identifier: MIT
/**
 * Guests that write nonsense everywhere: random code at privilege 0, random hypercalls, MSRs, ports and memory, rings
 * that change under the backends. They may hang, crash or end; the process must never throw. Seeds are in the names.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { EngineName } from "../cpu/base/engine.ts";
import { type Row, rows } from "../cpu/isa/mod.ts";
import { DATA_BASE, TestCpu } from "../cpu/_bare_cpu.ts";
import { frameOf } from "../net/ends/end.ts";
import { Hub } from "../net/ends/hub.ts";
import {
  SCHEDOP_block,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown,
} from "../xen/public/sched.ts";
import {
  __HYPERVISOR_console_io,
  __HYPERVISOR_grant_table_op,
  __HYPERVISOR_multicall,
  __HYPERVISOR_sched_op,
} from "../xen/public/xen.ts";
import { ENGINES } from "./_engines.ts";
import { EAX, EBX, ECX, EDI, EDX, ESI } from "./guests/_assembler.ts";
import { GuestProgram } from "./guests/_guest_program.ts";
import { GRANT_TABLE, netfrontNoise, RX_RING, SHARED_INFO, TX_RING } from "./guests/_netfront_guest.ts";
import { RAM_BYTES, runGuest } from "./guests/_run_guest.ts";
import { digest } from "./vectors/_recording.ts";

/** SplitMix32. */
class Random {
  constructor(private state: number) {}
  u32(): number {
    this.state = (this.state + 0x9e37_79b9) | 0;
    let z = this.state ^ (this.state >>> 16);
    z = Math.imul(z, 0x21f0_aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a_2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }
  below(n: number): number {
    return this.u32() % n;
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
  bytes(n: number): Uint8Array {
    return Uint8Array.from({ length: n }, () => this.u32());
  }
}

// Random code

const CODE_AT = 0x40_0000, CODE_BYTES = 0x4000;
const HYPERCALL_MSRS = [
  0x4000_0000,
  0xc000_0080,
  0x1b,
  0x6e0,
  0x800,
  0x830,
  0x174,
  0xc000_0082,
  0x277,
  0x2ff,
];

/** One instruction of `row` with everything random that its encoding leaves open. */
function instruction(row: Row, random: Random, mode: 32 | 64): number[] {
  const out: number[] = [];
  if (random.below(4) === 0) out.push(random.of([0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x64, 0x65, 0x2e, 0x36]));
  if (row.prefix !== undefined && row.prefix !== "np") out.push(parseInt(row.prefix, 16));
  if (mode === 64 && (row.rexW === true || random.below(3) === 0)) {
    out.push(0x40 | random.below(16) | (row.rexW === true ? 8 : 0));
  }
  out.push(...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][row.map] as number[]);
  out.push(row.opcode + random.below(row.span));
  if (row.hasModrm) {
    let modrm = row.exactModrm ?? random.below(256);
    if (row.extension !== undefined && row.exactModrm === undefined) {
      modrm = (modrm & 0xc7) | (row.extension << 3);
    }
    if (row.modrmForm === "reg") modrm |= 0xc0;
    out.push(modrm);
  }
  for (let i = 0; i < 4; i++) out.push(random.of([0, 0xff, random.below(256)]));
  return out;
}

/** An exception goes on somewhere else in the random code. */
function wanderer(mode: 32 | 64): GuestProgram {
  const g = new GuestProgram(mode);
  g.label("main");
  g.catchAll("wander");
  g.loadHypercallPages();
  g.label("wander");
  g.aluMemory("add", "rounds", 1);
  g.load(EAX, "state");
  g.db(0x69, 0xc0); // imul eax, eax, 1103515245
  g.dd(1103515245);
  g.aluValue("add", EAX, 12345);
  g.store("state", EAX);
  g.shr(EAX, 8);
  g.aluValue("and", EAX, CODE_BYTES - 1);
  g.aluValue("add", EAX, CODE_AT);
  g.push(EAX);
  g.mov(ECX, 0x4000_0000);
  g.mov(EDX, 0x30_0000);
  g.mov(ESI, 0x30_1000);
  g.mov(EDI, 0x30_2000);
  g.mov(EBX, 0x30_3000);
  g.load(EAX, "state");
  g.ret();
  g.align(4);
  g.label("state");
  g.dd(1);
  g.variable("rounds");
  return g;
}

/** What came of a run, comparable between engines. */
interface Wandering {
  readonly reason: string;
  /** How often the guest went somewhere new: once at the start, then after each exception. */
  readonly rounds: number;
  /** Registers and a digest of RAM; only of guests that ended by themselves: where time ends is the engine's own. */
  readonly state: unknown;
}

async function wander(mode: 32 | 64, engine: EngineName, seed: number, code: Uint8Array): Promise<Wandering> {
  const random = new Random(seed);
  const g = wanderer(mode);
  const { exit, machine, u32 } = await runGuest({
    image: g.image(),
    engine,
    slices: 6,
    type: random.below(2) === 0 ? "pvh" : "hvm",
    hypercallPages: random.below(2) === 0 ? 1 : 2,
    prepare: (m) => m.writeMemory(CODE_AT, code),
  });
  // what a person gets to see of it works, whatever the registers point to
  assertMatch(machine.crashReport(), /rip/i);
  machine.codeAround();
  const state = exit.reason === "stopped" ? undefined : {
    registers: machine.registers(),
    ram: digest([machine.readMemory(0, RAM_BYTES)]),
  };
  return { reason: exit.reason, rounds: u32(g.addressOf("rounds")), state };
}

const SEEDS = 12;
/** Every seed on both engines: they end the same way, and the guest got around. */
async function wanderOnBoth(mode: 32 | 64, codeOf: (seed: number) => Uint8Array): Promise<void> {
  const reasons = new Set<string>();
  let rounds = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const code = codeOf(seed);
    const interpreted = await wander(mode, "interp", seed, code);
    assertEquals(await wander(mode, "jit", seed, code), interpreted, `seed ${seed}`);
    reasons.add(interpreted.reason);
    rounds += interpreted.rounds;
  }
  // Their time ends most guests, triple faults and shutdowns some, HLT with interrupts off a few; nothing ends the process.
  assert(reasons.delete("stopped"), Deno.inspect(reasons));
  for (const end of ["crash", "halted"]) reasons.delete(end);
  assertEquals([...reasons], []);
  // Every round after the first is an exception delivered, and a start at another place.
  assert(rounds > 8 * SEEDS, `${rounds} rounds`);
}

for (const mode of [32, 64] as const) {
  Deno.test(`hostile guest: random bytes as code, ${mode} bit, both engines, seeds 1 to ${SEEDS}`, async () => {
    await wanderOnBoth(mode, (seed) => new Random(seed).bytes(CODE_BYTES));
  });

  Deno.test(`hostile guest: random instructions, ${mode} bit, both engines, seeds 1 to ${SEEDS}`, async () => {
    const usable = rows.filter((row) => row.mode !== (mode === 64 ? "no64" : "only64"));
    await wanderOnBoth(mode, (seed) => {
      const random = new Random(seed * 7919);
      const code: number[] = [];
      while (code.length < CODE_BYTES) {
        code.push(...instruction(random.of(usable), random, mode));
        // Values that lead somewhere: addresses in RAM, MSRs that exist
        if (random.below(6) === 0) {
          const value = random.of([random.below(0x100_0000), random.of(HYPERCALL_MSRS), random.u32()]);
          code.push(
            0xb8 + random.of([0, 1, 2, 3, 5, 6, 7]),
            value,
            value >>> 8,
            value >>> 16,
            value >>> 24,
          );
        }
      }
      return Uint8Array.from(code.slice(0, CODE_BYTES));
    });
  });
}

for (const mode of [32, 64] as const) {
  Deno.test(`hostile guest: random instructions, ${mode} bit, compiled at once as interpreted, seeds 1 to 100`, () => {
    const usable = rows.filter((row) => row.mode !== (mode === 64 ? "no64" : "only64"));
    const cpus = [
      new TestCpu(mode, { engine: "jit", compileAtOnce: true }),
      new TestCpu(mode, { engine: "interp" }),
    ] as const;
    const ends = new Map<string, number>();
    for (let seed = 1; seed <= 100; seed++) {
      const [compiled, interpreted] = cpus.map((t) => {
        const random = new Random(seed * 65_537 + mode);
        t.reset();
        t.write(DATA_BASE, new Random(seed).bytes(8192));
        for (let i = 0; i < 16; i++) {
          t.cpu.core.s.setGpr(i, BigInt(random.of([DATA_BASE + random.below(4096), random.u32()])));
        }
        const code: number[] = [];
        for (let n = 0; n < 12; n++) code.push(...instruction(random.of(usable), random, mode));
        const end = t.run(code, 1_000);
        const data = t.memory.offsetOf(DATA_BASE);
        // where the budget ends is the engine's own
        return end === "budget" ? { end } : {
          end,
          gpr: Array.from({ length: 16 }, (_, r) => t.cpu.core.s.gpr(r)),
          flags: t.cpu.core.rflags,
          data: digest([t.memory.bytes.subarray(data, data + 8192)]),
        };
      });
      assertEquals(compiled, interpreted, `seed ${seed}`);
      const end = compiled?.end ?? "none";
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    // without an IDT an exception is a shutdown
    assert((ends.get("shutdown") ?? 0) > 50, Deno.inspect(ends));
    assert(cpus[0].cpu.compiled > 30, `${cpus[0].cpu.compiled} blocks compiled`);
  });
}

// A script of hypercalls, MSR writes, port accesses and stores

const SCRIPT_AT = 0x50_0000, ENTRY_BYTES = 64, ENTRIES = 4000;
const HYPERCALL = 0, WRMSR = 1, RDMSR = 2, OUT = 3, IN = 4, STORE = 5;
/** Memory full of random words for pointers to point to. */
const SCRATCH_AT = 0x60_0000, SCRATCH_BYTES = 0x1_0000;

/** Performs the entries of the script, one after the other, whatever they do. */
function scripted(mode: 32 | 64, way: "port" | "vmcall"): GuestProgram {
  const g = new GuestProgram(mode);
  const rexW = (base: number) => mode === 64 ? g.db(0x48 | base) : undefined;
  /** Native-size load from the entry, whose address is in EBP. */
  const field = (register: number, i: number) => {
    rexW(register >= 8 ? 4 : 0);
    g.db(0x8b, 0x45 | ((register & 7) << 3), i * 8);
  };
  g.label("main");
  g.catchAll("next");
  g.loadHypercallPages();
  g.storeValue("at", SCRIPT_AT - ENTRY_BYTES);
  g.label("next");
  g.aluMemory("add", "at", ENTRY_BYTES);
  g.load(EAX, "at");
  g.aluValue("cmp", EAX, SCRIPT_AT + ENTRIES * ENTRY_BYTES);
  const more = g.unique("more");
  g.j("b", more);
  g.powerOff();
  g.label(more);
  g.movRegister(5, EAX); // EBP
  const kinds: (() => void)[] = [];
  kinds[HYPERCALL] = () => {
    if (mode === 64) { for (const [i, r] of [[2, 7], [3, 6], [4, 2], [5, 10], [6, 8]] as const) field(r, i); }
    else for (const [i, r] of [[2, 3], [3, 1], [4, 2], [5, 6], [6, 7]] as const) field(r, i);
    field(EAX, 1);
    g.callXen(way);
  };
  const port = (access: () => void) => () => {
    field(EDX, 1);
    field(EAX, 2);
    access();
  };
  kinds[WRMSR] = () => {
    field(ECX, 1);
    field(EAX, 2);
    field(EDX, 3);
    g.wrmsr();
  };
  kinds[RDMSR] = () => {
    field(ECX, 1);
    g.rdmsr();
  };
  kinds[OUT] = port(() => g.db(0xef));
  kinds[IN] = port(() => g.db(0xed));
  kinds[STORE] = () => {
    field(EDX, 1);
    field(EAX, 2);
    g.store({ base: EDX }, EAX);
  };
  kinds.forEach((kind, i) => {
    const other = g.unique("kind");
    g.load(EAX, { base: 5 });
    g.aluValue("cmp", EAX, i);
    g.j("ne", other);
    kind();
    g.jmp("next");
    g.label(other);
  });
  g.jmp("next");
  g.variable("at");
  return g;
}

/** Numbers and pointers, good and bad. */
function argument(random: Random): bigint {
  switch (random.below(8)) {
    case 0:
      return BigInt(random.u32()) << 32n | BigInt(random.u32());
    case 1:
      return BigInt(random.u32());
    case 2:
      return 0x7fff_ffff_f000n;
    case 3:
      return random.of([0n, 0xffff_ffff_ffff_ffffn, 0x8000_0000_0000n, 0xfeff_f000n, 0x00ff_fff8n, 0x7ff0n]);
    case 4:
      return BigInt(random.below(64));
    default:
      return BigInt(SCRATCH_AT + random.below(SCRATCH_BYTES));
  }
}

const OP_COUNT = 48;
/** They end the guest, or put it to sleep for good. */
const ENDING = new Set([SCHEDOP_block, SCHEDOP_shutdown, SCHEDOP_poll, SCHEDOP_remote_shutdown]);
/** Which argument says how long a list is. */
const COUNT_ARGUMENT = new Map([
  [__HYPERVISOR_multicall, 1],
  [__HYPERVISOR_console_io, 1],
  [__HYPERVISOR_grant_table_op, 2],
]);
const LONGEST_LIST = 4096;
const PORTS = [0xe4, 0x10, 0x12, 0xcf8, 0xcfc, 0x70, 0x71, 0x20, 0x21, 0x40, 0x43, 0x3f8, 0xb000, 0xe9, 0x80];

function script(random: Random): Uint8Array {
  const bytes = new Uint8Array(ENTRIES * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < ENTRIES; i++) {
    const put = (j: number, value: bigint) =>
      view.setBigUint64(i * ENTRY_BYTES + j * 8, BigInt.asUintN(64, value), true);
    const kind = random.of([HYPERCALL, HYPERCALL, HYPERCALL, HYPERCALL, WRMSR, RDMSR, OUT, IN, STORE]);
    put(0, BigInt(kind));
    for (let j = 1; j < 8; j++) put(j, argument(random));
    switch (kind) {
      case HYPERCALL: {
        const nr = random.below(OP_COUNT);
        put(1, BigInt(nr));
        let op = random.below(32);
        if (nr === __HYPERVISOR_sched_op && ENDING.has(op)) op = 0;
        if (random.below(16) !== 0 || nr === __HYPERVISOR_sched_op) put(2, BigInt(op));
        // A longer list sweeps over all RAM, and the program with it
        const count = COUNT_ARGUMENT.get(nr);
        if (count !== undefined) put(2 + count, BigInt(random.below(LONGEST_LIST)));
        break;
      }
      case WRMSR:
      case RDMSR:
        put(1, BigInt(random.of([...HYPERCALL_MSRS, 0x4000_0000, random.below(0x2000), random.u32()])));
        break;
      case OUT:
      case IN:
        put(1, BigInt(random.of([...PORTS, random.below(0x1_0000)])));
        // Not the ways to switch off or reset
        if (view.getUint32(i * ENTRY_BYTES + 8, true) >= 0xb000) put(1, 0xe4n);
        break;
      case STORE:
        // Anything but the program: scratch, rings, MMIO
        put(
          1,
          BigInt(
            random.of([SCRATCH_AT + random.below(SCRATCH_BYTES), 0xfeff_c000, 0xfeff_f000, 0xfec0_0000]) +
              4 * random.below(1024),
          ),
        );
        break;
    }
  }
  return bytes;
}

for (const mode of [32, 64] as const) {
  for (const { engine, skipped, way } of ENGINES) {
    const name =
      `hostile guest: nonsense to hypercalls, MSRs, ports and rings, ${mode} bit, ${engine}${skipped}`;
    Deno.test({ name, ignore: skipped !== "" }, async () => {
      const g = scripted(mode, way);
      const image = g.image();
      let through = 0;
      for (let seed = 1; seed <= 6; seed++) {
        const random = new Random(seed * 104_729 + mode);
        const hub = new Hub();
        const { u32 } = await runGuest({
          image,
          engine,
          type: seed % 2 === 0 ? "hvm" : "pvh",
          hypercallPages: 2,
          slices: 100,
          nets: [{ end: hub.port("guest") }],
          prepare(machine) {
            machine.writeMemory(SCRIPT_AT, script(random));
            const words = new DataView(new ArrayBuffer(SCRATCH_BYTES));
            for (let i = 0; i < SCRATCH_BYTES; i += 8) words.setBigUint64(i, argument(random), true);
            machine.writeMemory(SCRATCH_AT, new Uint8Array(words.buffer));
          },
        });
        through += (u32(g.addressOf("at")) - SCRIPT_AT) / ENTRY_BYTES;
      }
      assertEquals(through, 6 * ENTRIES);
    });
  }
}

// Rings that change all the time

Deno.test("hostile guest: rings, grants and event bits overwritten while backends use them, seeds 1 to 8", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const random = new Random(seed * 31_337);
    const hub = new Hub();
    const port = hub.port("test");
    const g = netfrontNoise(seed % 2 === 0 ? 32 : 64);
    const result = await runGuest({
      image: g.image(),
      slices: 25,
      nets: [{ end: hub.port("guest") }],
      between(machine, printed) {
        if (!printed.includes("ready")) return;
        const store = variable(machine, g, "xs_page"), console = variable(machine, g, "console_page");
        for (let n = 0; n < 20; n++) {
          const page = random.of([
            TX_RING,
            TX_RING,
            RX_RING,
            RX_RING,
            GRANT_TABLE,
            SHARED_INFO,
            store,
            console,
          ]);
          // Indices sit at the start of netif rings, behind the data in the others
          const indices = page === store ? 2048 : page === console ? 3072 : 0;
          const at = random.below(2) === 0 ? indices + 4 * random.below(8) : 4 * random.below(1020);
          const value = random.of([random.below(300), random.u32(), 0, 0xffff_ffff]);
          const bytes = Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
          machine.writeMemory(page + at, bytes);
        }
        port.send(frameOf(random.bytes(14 + random.below(1500))));
      },
    });
    assertEquals(result.exit.reason, "stopped", `seed ${seed}`);
    assert(result.console.startsWith("ready\n"), result.console);
    // The noise arrived: each peer's ring was found broken, and that was said once.
    const { counters } = result.machine.stats();
    const found = ["backend.vif.failed", "console.overrun", "xenstore.broken"].filter((name) =>
      (counters[name] ?? 0) > 0
    );
    assertEquals(found.length, 3, `seed ${seed}: only ${found}`);
    assertEquals(result.warnings.length, 3, result.warnings.join("\n"));
  }
});

function variable(
  machine: { readMemory(gpa: number, n: number): Uint8Array },
  g: GuestProgram,
  name: string,
): number {
  const bytes = machine.readMemory(g.addressOf(name), 4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
