// SPDX-License-Identifier: MIT
/** Random graphs as WebAssembly take the path that walking the graph takes. @module */
import { assertEquals } from "@std/assert";
import { Random } from "../../isa/_cases.ts";
import { FunctionBody, ModuleBuilder } from "../../wasm/encoder.ts";
import { WasmBuilder } from "../builder.ts";
import { randomGraph } from "./_random_graph.ts";
import { analyse, type Flow, type Graph } from "./graph.ts";
import { type Label, MAX_NODES, structure, type StructureSink } from "./structure.ts";

/** What a node does to the path's number, and which way it goes on. */
const step = (path: number, node: number) => (Math.imul(path, 0x0101_0193) + node + 1) | 0;
const turns = (path: number, ways: number) => ways < 2 ? 0 : (path >>> 13) & 1;

/** Walks the graph from an entry, `steps` nodes at most. */
function walk(graph: Graph, entry: number, seed: number, steps: number): number {
  let path = seed;
  for (let node = entry; steps > 0; steps--) {
    path = step(path, node);
    const ways = graph.successors[node] as readonly number[];
    if (ways.length === 0) break;
    node = ways[turns(path, ways.length)] as number;
  }
  return path;
}

class Sink extends WasmBuilder implements StructureSink {
  open = 0;
  readonly state: number;
  readonly #path: number;
  readonly #steps: number;
  readonly #kinds: ("block" | "loop")[] = [];

  constructor(readonly flow: Flow, body: FunctionBody) {
    super(body);
    const parameters = [0, 1, 2].map((i) => this.parameter(i, "i32"));
    [this.state, this.#path, this.#steps] = parameters.map((p) => {
      const local = body.pinned("i32");
      this.body.push(p);
      body.set(local);
      return local;
    }) as [number, number, number];
  }
  #get(local: number) {
    this.body.get(local);
    return this.body.pop("i32");
  }
  #set(local: number, value: ReturnType<WasmBuilder["op"]>) {
    this.body.push(value);
    this.body.set(local);
  }
  block(): Label {
    this.body.code.raw([0x02, 0x40]);
    this.#kinds.push("block");
    return this.open++ as Label;
  }
  loop(): Label {
    this.body.loop();
    this.#kinds.push("loop");
    return this.open++ as Label;
  }
  end(): void {
    this.open--;
    if (this.#kinds.pop() === "loop") this.body.endLoop();
    else this.body.code.u8(0x0b);
  }
  goTo(label: Label): void {
    this.body.code.u8(0x0c);
    this.body.code.u32(this.open + this.depth - 1 - label);
  }
  branchByState(labels: readonly Label[]): void {
    this.body.get(this.state);
    this.body.brTable(labels.map((l) => this.open - 1 - l), this.open - 1 - (labels[0] as number));
  }
  setState(state: number): void {
    this.#set(this.state, this.i32(state));
  }
  opened(): void {}
  closing(): void {}
  enter(): void {}
  node(node: number, follow: (edge: number) => void): void {
    const left = this.#get(this.#steps);
    this.if(this.op("i32.eqz", left), () => this.return(this.#get(this.#path)));
    this.#set(this.#steps, this.op("i32.sub", left, this.i32(1)));
    const scaled = this.op("i32.mul", this.#get(this.#path), this.i32(0x0101_0193));
    this.#set(this.#path, this.op("i32.add", scaled, this.i32(node + 1)));
    const ways = (this.flow.graph.successors[node] as readonly number[]).length;
    if (ways === 0) return this.return(this.#get(this.#path));
    if (ways === 1) return follow(0);
    const bit = this.op("i32.and", this.op("i32.shr_u", this.#get(this.#path), this.i32(13)), this.i32(1));
    this.if(bit, () => this.#follow(follow, 1), () => this.#follow(follow, 0));
    this.unreachable();
  }
  #follow(follow: (edge: number) => void, edge: number): void {
    const saved = this.depth;
    this.open += saved;
    for (let i = 0; i < saved; i++) this.#kinds.push("block");
    this.depth = 0;
    follow(edge);
    this.depth = saved;
    this.#kinds.length -= saved;
    this.open -= saved;
  }
}

function compile(flow: Flow): (state: number, seed: number, steps: number) => number {
  const module = new ModuleBuilder();
  const type = module.type(["i32", "i32", "i32"], ["i32"]);
  const body = new FunctionBody(3);
  const sink = new Sink(flow, body);
  structure(flow, sink);
  sink.unreachable();
  assertEquals(sink.open, 0);
  module.addFunction(type, body, { exportName: "run" });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
  return instance.exports.run as (state: number, seed: number, steps: number) => number;
}

function compare(graph: Graph, random: Random, what: string): void {
  for (const headersAreEntries of [false, true]) {
    const flow = analyse(graph, headersAreEntries);
    const run = compile(flow);
    flow.entries.forEach((entry, state) => {
      for (let n = 0; n < 6; n++) {
        const seed = random.below(2 ** 31), steps = random.below(200);
        assertEquals(run(state, seed, steps), walk(graph, entry, seed, steps), `${what}, entry ${entry}`);
      }
    });
  }
}

Deno.test("the walk is a fair judge: it tells different paths apart", () => {
  const graph = { successors: [[1, 2], [0, 3], [3, 0], [2]], entries: [0] };
  const seen = new Set(Array.from({ length: 64 }, (_, seed) => walk(graph, 0, seed * 977, 6)));
  assertEquals(seen.size > 32, true);
});

for (const size of [1, 2, 3, 5, 8, 13, 30, 80]) {
  Deno.test(`random graphs of ${size} nodes run as they are walked`, () => {
    const random = new Random(size);
    for (let n = 0; n < (size > 20 ? 40 : 120); n++) compare(randomGraph(random, size), random, `graph ${n}`);
  });
}

const SHAPES: readonly (readonly [string, Graph])[] = [
  ["a loop of one node", { successors: [[0]], entries: [0] }],
  ["a node that goes to itself both ways", { successors: [[0, 0]], entries: [0] }],
  ["a node whose two ways meet at once", { successors: [[1, 1], []], entries: [0] }],
  ["a loop entered in its middle", { successors: [[1, 2], [2], [1]], entries: [0] }],
  ["nodes that nothing leads to", { successors: [[], [2], [1]], entries: [0] }],
  ["every node an entry", { successors: [[1, 2], [2, 0], [0, 1]], entries: [2, 1, 0] }],
  ["entries that share no path", { successors: [[0], [1], []], entries: [0, 1, 2] }],
  [
    "150 loops in each other",
    {
      successors: Array.from(
        { length: 300 },
        (_, i) => i < 150 ? [i + 1] : i < 299 ? [i + 1, 299 - i] : [],
      ),
      entries: [0],
    },
  ],
  [
    "a chain of the most nodes with a way out of each",
    {
      successors: Array.from(
        { length: MAX_NODES },
        (_, i) => i < MAX_NODES - 1 ? [i + 1, MAX_NODES - 1] : [],
      ),
      entries: [0],
    },
  ],
];
for (const [name, graph] of SHAPES) {
  Deno.test(`structured: ${name}`, () => compare(graph, new Random(1), name));
}
