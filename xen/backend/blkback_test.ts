// SPDX-License-Identifier: MIT
import { assertEquals, assertThrows } from "@std/assert";
import {
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  blkifLayouts,
} from "../public/io/blkif.ts";
import { sring } from "../public/io/ring.ts";
import { Blkback, virtualDevice } from "./blkback.ts";
import { type BlockStore, MemoryBlockStore } from "./block_store.ts";
import { FakeHost, FrontRing } from "./_fake_host.ts";

type Segment = [gref: number, first: number, last: number];

function setUp(
  store: BlockStore = pattern(),
  abi: "x86_32" | "x86_64" = "x86_64",
  maxBytesUnderWay = 1 << 25,
  ordered = false,
) {
  const host = new FakeHost(1, 512);
  const blkback = new Blkback(host, { store, device: "xvda", maxBytesUnderWay, ordered });
  blkback.start();
  host.settle();
  const layouts = blkifLayouts[abi];
  const page = host.grantPage();
  const front = new FrontRing(page.view, layouts.entryBytes);
  const port = host.events.allocate();
  const dir = "/local/domain/1/device/vbd/51712";
  const connect = () => {
    host.guestWrite(`${dir}/ring-ref`, page.gref);
    host.guestWrite(`${dir}/event-channel`, port);
    host.guestWrite(`${dir}/protocol`, `${abi}-abi`);
    host.guestWrite(`${dir}/state`, 3);
    host.settle();
    return host.guestRead("/local/domain/0/backend/vbd/1/51712/state");
  };
  let nextId = 0x1_2345;
  /** Puts a request without sending it; returns its id. */
  const put = (
    operation: number,
    fields: {
      sector?: number;
      segments?: Segment[];
      segmentCount?: number;
      sectors?: number;
      indirect?: number[];
      op?: number;
    },
  ) => {
    const { view } = page;
    const slot = front.nextRequest();
    for (let i = 0; i < layouts.entryBytes; i++) view.setUint8(slot + i, 0xa5);
    const { blkif_request: { at }, blkif_request_discard: discard, blkif_request_indirect: indirect } =
      layouts;
    const id = nextId++;
    view.setUint8(slot + at.operation, operation);
    view.setUint8(slot + at.nr_segments, fields.segmentCount ?? fields.segments?.length ?? 0);
    view.setBigUint64(slot + at.id, BigInt(id) << 20n, true);
    view.setBigUint64(slot + at.sector_number, BigInt(fields.sector ?? 0), true);
    fields.segments?.slice(0, 11).forEach(([gref, first, last], i) => {
      view.setUint32(slot + at.seg + 8 * i, gref, true);
      view.setUint8(slot + at.seg + 8 * i + 4, first);
      view.setUint8(slot + at.seg + 8 * i + 5, last);
    });
    if (fields.sectors !== undefined) {
      view.setBigUint64(slot + discard.at.nr_sectors, BigInt(fields.sectors), true);
    }
    if (fields.indirect !== undefined) {
      view.setUint8(slot + indirect.at.indirect_op, fields.op ?? BLKIF_OP_READ);
      view.setUint16(slot + indirect.at.nr_segments, fields.segmentCount ?? 0, true);
      fields.indirect.forEach((gref, i) =>
        view.setUint32(slot + indirect.at.indirect_grefs + 4 * i, gref, true)
      );
    }
    return id;
  };
  /** Sends what was put; returns [id, operation, status] of each response there is. */
  const exchange = () => {
    if (front.pushRequests()) host.events.send(port);
    return responses();
  };
  const responses = () =>
    front.takeResponses().map((slot) => {
      const { at } = layouts.blkif_response;
      const id = page.view.getBigUint64(slot + at.id, true) >> 20n;
      return [
        Number(id),
        page.view.getUint8(slot + at.operation),
        page.view.getInt16(slot + at.status, true),
      ];
    });
  return { host, blkback, page, front, port, dir, connect, put, exchange, responses };
}

/** 64 KiB of which each sector holds its own number. */
function pattern(): MemoryBlockStore {
  const bytes = new Uint8Array(128 * 512);
  for (let sector = 0; sector < 128; sector++) bytes.fill(sector + 1, sector * 512, (sector + 1) * 512);
  return new MemoryBlockStore(bytes);
}

Deno.test("blkback announces the disk and its features", () => {
  const { host, connect } = setUp();
  assertEquals(connect(), "4");
  const nodes = {
    "sectors": "128",
    "sector-size": "512",
    "info": "0",
    "mode": "w",
    "feature-flush-cache": "1",
    "feature-discard": "1",
    "feature-max-indirect-segments": "256",
    "feature-persistent": "0",
    "max-ring-page-order": "4",
  };
  for (const [name, value] of Object.entries(nodes)) {
    assertEquals([name, host.guestRead(`/local/domain/0/backend/vbd/1/51712/${name}`)], [name, value]);
  }
  assertEquals(host.guestRead("/local/domain/1/device/vbd/51712/virtual-device"), "51712");
});

for (const abi of ["x86_32", "x86_64"] as const) {
  Deno.test(`blkback reads and writes pieces of pages for a frontend of ${abi}`, () => {
    const store = pattern();
    const { host, connect, put, exchange, port } = setUp(store, abi);
    connect();
    const [a, b] = [host.grantPage(), host.grantPage()];
    const read = put(BLKIF_OP_READ, { sector: 10, segments: [[a.gref, 0, 7], [b.gref, 6, 7]] });
    assertEquals(exchange(), [[read, BLKIF_OP_READ, BLKIF_RSP_OKAY]]);
    assertEquals(host.events.take(port), 1);
    assertEquals([a.bytes[0], a.bytes[511], a.bytes[512], a.bytes[4095]], [11, 11, 12, 18]);
    assertEquals([b.bytes[3071], b.bytes[3072], b.bytes[4095]], [0, 19, 20]);
    a.bytes.fill(0xee);
    const write = put(BLKIF_OP_WRITE, { sector: 127, segments: [[a.gref, 3, 3]] });
    assertEquals(exchange(), [[write, BLKIF_OP_WRITE, BLKIF_RSP_OKAY]]);
    assertEquals([store.bytes[127 * 512 - 1], store.bytes[127 * 512], store.bytes[128 * 512 - 1]], [
      127,
      0xee,
      0xee,
    ]);
  });

  Deno.test(`blkback takes indirect segments from a frontend of ${abi}`, () => {
    const { host, connect, put, exchange } = setUp(new MemoryBlockStore(pattern().bytes.slice()), abi);
    connect();
    const list = host.grantPage(true);
    const target = host.grantPage();
    for (let i = 0; i < 100; i++) {
      list.view.setUint32(8 * i, target.gref, true);
      list.bytes[8 * i + 4] = list.bytes[8 * i + 5] = i % 8;
    }
    const id = put(BLKIF_OP_INDIRECT, { sector: 5, indirect: [list.gref], segmentCount: 100 });
    // Linux disables the disk when the answer names anything but the operation inside.
    assertEquals(exchange(), [[id, BLKIF_OP_READ, BLKIF_RSP_OKAY]]);
    const refused = put(BLKIF_OP_INDIRECT, { indirect: [9999], segmentCount: 1, op: BLKIF_OP_WRITE });
    assertEquals(exchange(), [[refused, BLKIF_OP_WRITE, BLKIF_RSP_ERROR]]);
    // The last segments that went to sectors 0..7 of the page: numbers 96..99, 92..95.
    assertEquals([0, 3, 4, 7].map((s) => target.bytes[s * 512]), [102, 105, 98, 101]);
  });
}

Deno.test("blkback flushes, also with data, and discards", () => {
  const log: string[] = [];
  const memory = pattern();
  const { host, connect, put, exchange } = setUp({
    size: memory.size,
    readonly: false,
    read: () => {},
    write: (offset, from) => {
      log.push(`write ${offset} ${from.length}`);
    },
    flush: () => {
      log.push("flush");
    },
    discard: (offset, length) => {
      log.push(`discard ${offset} ${length}`);
    },
  });
  connect();
  const a = host.grantPage(true);
  put(BLKIF_OP_FLUSH_DISKCACHE, {});
  put(BLKIF_OP_FLUSH_DISKCACHE, { sector: 2, segments: [[a.gref, 0, 0]] });
  put(BLKIF_OP_DISCARD, { sector: 8, sectors: 16 });
  assertEquals(exchange().map((r) => r[2]), [0, 0, 0]);
  assertEquals(log, ["flush", "flush", "write 1024 512", "discard 4096 8192"]);
});

const hostile: [string, (s: ReturnType<typeof setUp>) => void, number][] = [
  [
    "a read past the end",
    (s) => s.put(BLKIF_OP_READ, { sector: 127, segments: [[s.host.grantPage().gref, 0, 1]] }),
    BLKIF_RSP_ERROR,
  ],
  [
    "a sector number of 64 bits",
    (s) => s.put(BLKIF_OP_READ, { sector: 2 ** 63, segments: [[s.host.grantPage().gref, 0, 0]] }),
    BLKIF_RSP_ERROR,
  ],
  [
    "a sector number that wraps in bytes",
    (s) => s.put(BLKIF_OP_READ, { sector: 2 ** 55, segments: [[s.host.grantPage().gref, 0, 0]] }),
    BLKIF_RSP_ERROR,
  ],
  ["a grant that is none", (s) => s.put(BLKIF_OP_READ, { segments: [[9999, 0, 0]] }), BLKIF_RSP_ERROR],
  [
    "a write from a grant that is none",
    (s) => s.put(BLKIF_OP_WRITE, { segments: [[9999, 0, 0]] }),
    BLKIF_RSP_ERROR,
  ],
  [
    "a read into a read-only grant",
    (s) => s.put(BLKIF_OP_READ, { segments: [[s.host.grantPage(true).gref, 0, 0]] }),
    BLKIF_RSP_ERROR,
  ],
  [
    "a segment that ends before it starts",
    (s) => s.put(BLKIF_OP_READ, { segments: [[s.host.grantPage().gref, 3, 2]] }),
    BLKIF_RSP_ERROR,
  ],
  [
    "a segment that leaves its page",
    (s) => s.put(BLKIF_OP_READ, { segments: [[s.host.grantPage().gref, 0, 8]] }),
    BLKIF_RSP_ERROR,
  ],
  ["no segments", (s) => s.put(BLKIF_OP_READ, { segments: [] }), BLKIF_RSP_ERROR],
  [
    "more segments than a request holds",
    (s) => s.put(BLKIF_OP_READ, { segments: [[s.host.grantPage().gref, 0, 0]], segmentCount: 12 }),
    BLKIF_RSP_ERROR,
  ],
  [
    "more indirect segments than offered",
    (s) => s.put(BLKIF_OP_INDIRECT, { indirect: [s.host.grantPage().gref], segmentCount: 257 }),
    BLKIF_RSP_ERROR,
  ],
  [
    "no indirect segments",
    (s) => s.put(BLKIF_OP_INDIRECT, { indirect: [s.host.grantPage().gref], segmentCount: 0 }),
    BLKIF_RSP_ERROR,
  ],
  [
    "an indirect page that is not granted",
    (s) => s.put(BLKIF_OP_INDIRECT, { indirect: [9999], segmentCount: 1 }),
    BLKIF_RSP_ERROR,
  ],
  [
    "an indirect request inside an indirect one",
    (s) => s.put(BLKIF_OP_INDIRECT, { indirect: [9999], segmentCount: 1, op: BLKIF_OP_INDIRECT }),
    BLKIF_RSP_ERROR,
  ],
  ["a discard past the end", (s) => s.put(BLKIF_OP_DISCARD, { sector: 100, sectors: 29 }), BLKIF_RSP_ERROR],
  [
    "a discard of 2^63 sectors",
    (s) => s.put(BLKIF_OP_DISCARD, { sector: 0, sectors: 2 ** 63 }),
    BLKIF_RSP_ERROR,
  ],
  ["an unknown operation", (s) => s.put(200, {}), BLKIF_RSP_EOPNOTSUPP],
];
for (const [name, put, status] of hostile) {
  Deno.test(`blkback answers ${status} to ${name}, and goes on`, () => {
    const store = pattern();
    const before = store.bytes.slice();
    const s = setUp(store);
    s.connect();
    put(s);
    assertEquals(s.exchange().map((r) => r[2]), [status]);
    assertEquals(store.bytes, before);
    s.put(BLKIF_OP_READ, { segments: [[s.host.grantPage().gref, 0, 0]] });
    assertEquals(s.exchange().map((r) => r[2]), [BLKIF_RSP_OKAY]);
  });
}

Deno.test("blkback does what came before a write barrier first, and what comes behind it later", async () => {
  const log: string[] = [];
  const waiting: (() => void)[] = [];
  const later = (what: string) => {
    log.push(what);
    return new Promise<void>((done) => waiting.push(done));
  };
  const { host, connect, put, exchange, responses } = setUp({
    size: 1 << 20,
    read: () => later("read"),
    write: () => later("write"),
    flush: () => later("flush"),
  });
  connect();
  const segments: Segment[] = [[host.grantPage().gref, 0, 7]];
  const ids = [BLKIF_OP_WRITE, BLKIF_OP_WRITE_BARRIER, BLKIF_OP_READ].map((op) => put(op, { segments }));
  exchange();
  const steps: [string, number[]][] = [
    ["flush", [0]], // the first write is done
    ["write", []],
    ["flush", []],
    ["read", [1]],
  ];
  for (const [next, answered] of steps) {
    assertEquals(waiting.length, 1);
    waiting.shift()?.();
    await turns();
    assertEquals([log.at(-1), responses().map(([id]) => id)], [next, answered.map((i) => ids[i])]);
  }
});

Deno.test("blkback writes nothing to a read-only disk", () => {
  const store = new MemoryBlockStore(pattern().bytes, true);
  const { host, connect, put, exchange } = setUp(store);
  connect();
  assertEquals(host.guestRead("/local/domain/0/backend/vbd/1/51712/info"), "4");
  put(BLKIF_OP_WRITE, { segments: [[host.grantPage().gref, 0, 0]] });
  put(BLKIF_OP_DISCARD, { sectors: 1 });
  put(BLKIF_OP_FLUSH_DISKCACHE, {});
  assertEquals(exchange().map((r) => r[2]), [BLKIF_RSP_ERROR, BLKIF_RSP_ERROR, BLKIF_RSP_OKAY]);
  assertEquals(store.bytes[0], 1);
});

/** A store that finishes each read when told to. */
function slowStore(size = 64 * 1024 * 1024) {
  const waiting: { into: Uint8Array; done: () => void; fail: (why: Error) => void }[] = [];
  const store: BlockStore = {
    size,
    readonly: false,
    read: (_offset, into) => new Promise((done, fail) => waiting.push({ into, done, fail })),
    write: () => {},
    flush: () => Promise.reject(new Error("disk on fire")),
  };
  return { store, waiting };
}
/** Lets promise reactions run. */
const turns = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

Deno.test("blkback answers as the store finishes, in any order", async () => {
  const { store, waiting } = slowStore();
  const { host, connect, put, exchange, responses, port } = setUp(store);
  connect();
  const pages = [host.grantPage(), host.grantPage()];
  const ids = pages.map((page) => put(BLKIF_OP_READ, { segments: [[page.gref, 0, 7]] }));
  assertEquals(exchange(), []);
  waiting[1]?.into.fill(7);
  waiting[1]?.done();
  await turns();
  assertEquals(responses(), [[ids[1], BLKIF_OP_READ, BLKIF_RSP_OKAY]]);
  assertEquals(pages.map((page) => page.bytes[4095]), [0, 7]);
  waiting[0]?.fail(new Error("bad sector"));
  await turns();
  assertEquals(responses(), [[ids[0], BLKIF_OP_READ, BLKIF_RSP_ERROR]]);
  assertEquals(host.events.take(port), 2);
  const flush = put(BLKIF_OP_FLUSH_DISKCACHE, {});
  assertEquals(exchange(), []);
  await turns();
  assertEquals(responses(), [[flush, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_RSP_ERROR]]);
});

Deno.test("blkback has the store read into the guest's pages when that needs no waiting", async () => {
  const disk = pattern();
  const log: string[] = [];
  const behaviour = { waits: false };
  const store: BlockStore = {
    size: disk.size,
    read: (offset, into) => {
      log.push("read");
      disk.read(offset, into);
    },
    readAtOnce: (offset, pieces) => {
      log.push(`at once ${pieces.map(({ length }) => length)}`);
      for (const piece of pieces) {
        if (behaviour.waits && piece !== pieces[0]) return false; // part of it is there, which does no harm
        disk.read(offset, piece);
        offset += piece.length;
      }
      return true;
    },
    write: () => {},
    flush: () => {},
  };
  const { host, connect, put, exchange } = setUp(store);
  connect();
  const pages = [host.grantPage(), host.grantPage(), host.grantPage(true)] as const;
  for (const waits of [false, true]) {
    behaviour.waits = waits;
    for (const page of pages) page.bytes.fill(0);
    put(BLKIF_OP_READ, { sector: 3, segments: [[pages[0].gref, 1, 2], [pages[1].gref, 7, 7]] });
    assertEquals(exchange().map((r) => r[2]), [BLKIF_RSP_OKAY]);
    assertEquals([0, 511, 512, 1535, 1536].map((at) => pages[0].bytes[at]), [0, 0, 4, 5, 0]);
    assertEquals([3583, 3584, 4095].map((at) => pages[1].bytes[at]), [0, 6, 6]);
    assertEquals(log.splice(0), ["at once 1024,512", ...(waits ? ["read"] : [])]);
  }
  // a page that is granted for reading only stays as it is, and so does one beside it
  pages[0].bytes.fill(0);
  put(BLKIF_OP_READ, { segments: [[pages[2].gref, 0, 7]] });
  assertEquals(exchange().map((r) => r[2]), [BLKIF_RSP_ERROR]);
  assertEquals([log.splice(0), pages[2].bytes[0]], [["read"], 0]);
  // by instruction count nothing is answered at once
  const counted = setUp(store, "x86_64", 1 << 25, true);
  counted.connect();
  const page = counted.host.grantPage();
  counted.put(BLKIF_OP_READ, { segments: [[page.gref, 0, 7]] });
  assertEquals(counted.exchange(), []);
  await turns();
  assertEquals([counted.responses().length, page.bytes[0], log], [1, 1, ["read"]]);
});

Deno.test("blkback fails a read whose grant was taken back meanwhile", async () => {
  const { store, waiting } = slowStore();
  const { host, connect, put, exchange, responses } = setUp(store);
  connect();
  const page = host.grantPage();
  put(BLKIF_OP_READ, { segments: [[page.gref, 0, 7]] });
  exchange();
  host.grants.revoke(page.gref);
  waiting[0]?.into.fill(7);
  waiting[0]?.done();
  await turns();
  assertEquals(responses().map((r) => r[2]), [BLKIF_RSP_ERROR]);
  assertEquals(page.bytes[0], 0);
});

Deno.test("blkback forgets what is under way when the frontend closes, and gives everything back", async () => {
  const { store, waiting } = slowStore();
  const { host, connect, put, exchange, responses, dir } = setUp(store);
  connect();
  assertEquals([host.grants.mapCount, host.events.boundCount], [1, 1]);
  const page = host.grantPage();
  put(BLKIF_OP_READ, { segments: [[page.gref, 0, 7]] });
  exchange();
  host.guestWrite(`${dir}/state`, 5);
  host.settle();
  assertEquals([host.grants.mapCount, host.events.boundCount], [0, 0]);
  waiting[0]?.into.fill(7);
  waiting[0]?.done();
  await turns();
  assertEquals(responses(), []);
  assertEquals(page.bytes[0], 0);
});

Deno.test("blkback lets the store finish an old connection's requests before it serves a new one", async () => {
  const log: string[] = [];
  const waiting: (() => void)[] = [];
  const { host, connect, put, exchange, responses, dir, page, front } = setUp({
    size: 1 << 20,
    readonly: false,
    read: () => void log.push("read"),
    write: () => {
      log.push("write");
      return new Promise((done) => waiting.push(done));
    },
    flush: () => {},
  });
  connect();
  put(BLKIF_OP_WRITE, { segments: [[host.grantPage().gref, 0, 7]] });
  put(BLKIF_OP_WRITE, { segments: [[host.grantPage().gref, 0, 7]] });
  exchange();
  for (const state of [5, 6, 1]) {
    host.guestWrite(`${dir}/state`, state);
    host.settle();
  }
  page.view.setUint32(sring.at.req_prod, front.reqProdPvt = 0, true); // a new ring in the same page
  assertEquals(connect(), "4");
  const read = put(BLKIF_OP_READ, { segments: [[host.grantPage().gref, 0, 7]] });
  assertEquals(exchange(), []);
  waiting[0]?.();
  await turns();
  assertEquals([responses(), log], [[], ["write", "write"]]);
  waiting[1]?.();
  await turns();
  assertEquals([responses(), log], [[[read, BLKIF_OP_READ, BLKIF_RSP_OKAY]], ["write", "write", "read"]]);
});

Deno.test("blkback says Closed when the store has finished with the last request, in a restored machine too", async () => {
  const { store, waiting } = slowStore();
  const { host, blkback, connect, put, exchange, dir } = setUp(store);
  const state = (of: FakeHost) => of.guestRead("/local/domain/0/backend/vbd/1/51712/state");
  connect();
  put(BLKIF_OP_READ, { segments: [[host.grantPage().gref, 0, 7]] });
  exchange();
  for (const next of [5, 6]) {
    host.guestWrite(`${dir}/state`, next);
    host.settle();
  }
  assertEquals(state(host), "5");
  const copy = host.copy();
  const other = new Blkback(copy, { store, device: "xvda" });
  other.restore(structuredClone(blkback.save()));
  copy.settle();
  assertEquals([state(copy), waiting.length], ["5", 2]);
  waiting[0]?.done();
  await turns();
  assertEquals([state(host), state(copy)], ["6", "5"]);
  waiting[1]?.done();
  await turns();
  assertEquals(state(copy), "6");
});

Deno.test("blkback offers a disk anew after a reset, and serves the next guest", () => {
  const { host, blkback, connect, dir, put, exchange } = setUp();
  connect();
  host.guestWrite(`${dir}/of-the-old-guest`, "1");
  blkback.reset();
  assertEquals([host.grants.mapCount, host.events.boundCount], [0, 0]);
  host.settle();
  assertEquals(host.guestRead("/local/domain/0/backend/vbd/1/51712/state"), "2");
  assertEquals(host.guestRead(`${dir}/of-the-old-guest`), undefined);
  assertEquals(connect(), "4");
  const id = put(BLKIF_OP_READ, { segments: [[host.grantPage().gref, 0, 7]] });
  assertEquals(exchange(), [[id, BLKIF_OP_READ, BLKIF_RSP_OKAY]]);
});

Deno.test("blkback restored where its ring is not granted closes this device, and nothing is left mapped", () => {
  const first = setUp();
  first.connect();
  const { blkback, host, page } = setUp();
  host.grants.revoke(page.gref);
  host.store.restore(structuredClone(first.host.store.save()));
  blkback.restore(structuredClone(first.blkback.save()));
  host.settle();
  assertEquals(blkback.xenbus.state, 5);
  assertEquals([host.grants.mapCount, host.events.boundCount], [0, 0]);
  assertEquals(
    host.store.read("/local/domain/0/error/backend/vbd/1/51712/error"),
    "Ring page 0 cannot be mapped: status -3",
  );
});

Deno.test("blkback holds a bounded amount of data at a time", async () => {
  const { store, waiting } = slowStore();
  const { host, connect, put, exchange, responses } = setUp(store, "x86_64", 3 << 20);
  connect();
  const list = host.grantPage();
  const target = host.grantPage();
  for (let i = 0; i < 256; i++) {
    list.view.setUint32(8 * i, target.gref, true);
    list.bytes[8 * i + 5] = 7;
  }
  for (let i = 0; i < 32; i++) put(BLKIF_OP_INDIRECT, { indirect: [list.gref], segmentCount: 256 });
  exchange();
  let served = 0;
  for (let round = 1; round <= 32; round++) {
    assertEquals(waiting.length, Math.min(3, 33 - round)); // of 1 MiB each
    waiting.shift()?.done();
    await turns();
    served += responses().length;
    assertEquals(served, round);
  }
});

Deno.test("blkback moves only so much per event, and goes on by itself", async () => {
  const { host, connect, put, exchange, responses, port } = setUp(
    new MemoryBlockStore(new Uint8Array(1 << 20)),
  );
  connect();
  const list = host.grantPage();
  const target = host.grantPage();
  for (let i = 0; i < 256; i++) {
    list.view.setUint32(8 * i, target.gref, true);
    list.bytes[8 * i + 5] = 7;
  }
  for (let i = 0; i < 32; i++) put(BLKIF_OP_INDIRECT, { indirect: [list.gref], segmentCount: 256 }); // 32 MiB
  const first = exchange().length;
  assertEquals([first > 0, first <= 5], [true, true]);
  await turns();
  await turns();
  assertEquals(first + responses().length, 32);
  put(BLKIF_OP_FLUSH_DISKCACHE, {}); // and it listens again
  assertEquals(exchange().length, 1);
  host.events.take(port);
});

Deno.test("blkback closes the device of a frontend whose ring index is impossible", () => {
  const { host, connect, page, port, blkback } = setUp();
  connect();
  page.view.setUint32(sring.at.req_prod, 33, true);
  host.events.send(port);
  assertEquals(blkback.xenbus.state, 5);
  assertEquals([host.grants.mapCount, host.events.boundCount], [0, 0]);
  assertEquals(host.events.send(port), false);
});

Deno.test("blkback refuses a connection it cannot make, and leaves nothing mapped", () => {
  const broken: [string, string | number][] = [
    ["ring-ref", 9999],
    ["event-channel", 9999],
    ["protocol", "arm-abi"],
    ["ring-page-order", 5],
    ["ring-page-order", 2], // then ring-ref0 is missing
  ];
  for (const [name, value] of broken) {
    const { host, dir, page, port } = setUp();
    host.guestWrite(`${dir}/ring-ref`, page.gref);
    host.guestWrite(`${dir}/event-channel`, port);
    host.guestWrite(`${dir}/${name}`, value);
    host.guestWrite(`${dir}/state`, 3);
    host.settle();
    assertEquals(host.guestRead("/local/domain/0/backend/vbd/1/51712/state"), "5");
    assertEquals([host.grants.mapCount, host.events.boundCount], [0, 0]);
  }
});

Deno.test("blkback serves a ring of four pages, whose slots straddle pages", () => {
  const { host, dir, blkback } = setUp();
  const { blkif_request: { at }, entryBytes, blkif_response } = blkifLayouts.x86_64;
  const pages = Array.from({ length: 4 }, () => host.grantPage());
  pages.reverse(); // so that they are not contiguous
  const bytes = (offset: number) => pages[offset >>> 12]?.view as DataView;
  const put8 = (offset: number, value: number) => bytes(offset).setUint8(offset & 4095, value);
  const get8 = (offset: number) => bytes(offset).getUint8(offset & 4095);
  bytes(0).setUint32(sring.at.rsp_event, 1, true);
  pages.forEach((page, i) => host.guestWrite(`${dir}/ring-ref${i}`, page.gref));
  const port = host.events.allocate();
  host.guestWrite(`${dir}/ring-page-order`, 2);
  host.guestWrite(`${dir}/event-channel`, port);
  host.guestWrite(`${dir}/state`, 3);
  host.settle();
  assertEquals(blkback.xenbus.state, 4);
  for (let i = 0; i < 128; i++) {
    const slot = 64 + i * entryBytes;
    for (let b = 0; b < entryBytes; b++) put8(slot + b, 0);
    put8(slot + at.operation, BLKIF_OP_FLUSH_DISKCACHE);
    for (let b = 0; b < 8; b++) put8(slot + at.id + b, i + b);
  }
  bytes(0).setUint32(sring.at.req_prod, 128, true);
  host.events.send(port);
  assertEquals(bytes(0).getUint32(sring.at.rsp_prod, true), 128);
  for (let i = 0; i < 128; i++) {
    const slot = 64 + i * entryBytes;
    for (let b = 0; b < 8; b++) assertEquals(get8(slot + blkif_response.at.id + b), i + b);
    assertEquals([get8(slot + blkif_response.at.status), get8(slot + blkif_response.at.status + 1)], [0, 0]);
  }
});

Deno.test("blkback serves two rings, and a number of them that cannot be closes the device", () => {
  const layouts = blkifLayouts.x86_64;
  const connect = (count: number) => {
    const { host, dir, blkback } = setUp();
    assertEquals(host.guestRead("/local/domain/0/backend/vbd/1/51712/multi-queue-max-queues"), "4");
    const queues = Array.from({ length: Math.min(count, 2) }, (_, i) => {
      const page = host.grantPage();
      const port = host.events.allocate();
      host.guestWrite(`${dir}/queue-${i}/ring-ref`, page.gref);
      host.guestWrite(`${dir}/queue-${i}/event-channel`, port);
      return { front: new FrontRing(page.view, layouts.entryBytes), page, port };
    });
    host.guestWrite(`${dir}/multi-queue-num-queues`, count);
    host.guestWrite(`${dir}/state`, 3);
    host.settle();
    return { host, blkback, queues };
  };
  const { host, blkback, queues } = connect(2);
  assertEquals(blkback.xenbus.state, 4);
  assertEquals([host.grants.mapCount, host.events.boundCount], [2, 2]);
  for (const { front, page, port } of queues) {
    const { at } = layouts.blkif_request;
    const slot = front.nextRequest();
    page.view.setUint8(slot + at.operation, BLKIF_OP_FLUSH_DISKCACHE);
    front.pushRequests();
    host.events.send(port);
    assertEquals(front.takeResponses().length, 1);
  }
  const saved = structuredClone(blkback.save());
  blkback.restore(saved);
  assertEquals([saved.connections.length, host.grants.mapCount, host.events.boundCount], [2, 2, 2]);
  for (const count of [0, 5, 4_000_000_000]) assertEquals(connect(count).blkback.xenbus.state, 5);
  const missing = connect(3); // the third queue says nothing
  assertEquals(missing.blkback.xenbus.state, 5);
  assertEquals([missing.host.grants.mapCount, missing.host.events.boundCount], [0, 0]);
});

Deno.test("blkback has disks of 4096-byte sectors, and answers -1 to parts of them", () => {
  const memory = pattern();
  const { host, connect, put, exchange } = setUp({
    size: memory.size,
    sectorBytes: 4096,
    read: (offset, into) => memory.read(offset, into),
    write: (offset, from) => memory.write(offset, from),
    flush() {},
  });
  connect();
  const node = (name: string) => host.guestRead(`/local/domain/0/backend/vbd/1/51712/${name}`);
  assertEquals([node("sector-size"), node("physical-sector-size"), node("sectors")], ["4096", "4096", "128"]);
  const page = host.grantPage();
  const read = (sector: number, first: number, last: number) => {
    put(BLKIF_OP_READ, { sector, segments: [[page.gref, first, last]] });
    return exchange().map((r) => r[2]);
  };
  assertEquals([read(8, 0, 7), read(8, 0, 0), read(1, 0, 7)], [
    [BLKIF_RSP_OKAY],
    [BLKIF_RSP_ERROR],
    [BLKIF_RSP_ERROR],
  ]);
  assertEquals(page.bytes[0], 9);
});

Deno.test("blkback tells the guest that the disk has grown, and serves the new part", () => {
  const store = {
    size: 65536,
    read: (_: number, into: Uint8Array) => void into.fill(5),
    write() {},
    flush() {},
  };
  const { host, blkback, connect, put, exchange } = setUp(store);
  connect();
  const segments: Segment[] = [[host.grantPage().gref, 0, 7]];
  put(BLKIF_OP_READ, { sector: 128, segments });
  assertEquals(exchange().map((r) => r[2]), [BLKIF_RSP_ERROR]);
  const changes: string[] = [];
  host.store.watch(
    "/local/domain/0/backend/vbd/1/51712",
    (path) => changes.push(path.split("/").at(-1) ?? ""),
  );
  host.settle();
  changes.length = 0;
  store.size *= 2;
  blkback.resized();
  host.settle();
  assertEquals(changes, ["sectors", "state"]);
  assertEquals(host.guestRead("/local/domain/0/backend/vbd/1/51712/sectors"), "256");
  put(BLKIF_OP_READ, { sector: 128, segments });
  assertEquals(exchange().map((r) => r[2]), [BLKIF_RSP_OKAY]);
});

Deno.test("virtual device numbers are those of xen-vbd-interface", () => {
  assertEquals(["xvda", "xvdb", "xvda1", "xvdp15", "xvdq", "xvdaa"].map(virtualDevice), [
    51712,
    51728,
    51713,
    51967,
    268439552,
    268442112,
  ]);
  assertEquals(["sda", "xvd", "xvdA", "xvda100"].map(virtualDevice), [
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  assertThrows(() => new Blkback(new FakeHost(), { store: pattern(), device: "hda" }), RangeError);
});
