// SPDX-License-Identifier: MIT
/**
 * Work of whole programs inside a guest: each row one shell command of fixed size, the same for every emulator, whose
 * output is its proof. Programs come from Debian's packages (userland.ts).
 * @module
 */

/** One row of the table. */
export interface Work {
  readonly name: string;
  /** What is done, for people. */
  readonly what: string;
  /** Run by `sh`; what it prints must be the same everywhere. */
  readonly command: string;
  /** False where a 32-bit guest cannot do it or says something else. */
  readonly on32Bit: boolean;
}

/** 4 MiB that neither compress to nothing nor stay as they are: numbers as text. Made before the first row. */
export const DATA = "/tmp/data";
/** Makes DATA, and what else rows need. */
export const PREPARE = `seq 1 700000 | head -c 4194304 >${DATA}`;

/** Debian's program, not the applet of busybox, which its shell would prefer. */
const BIN = "/usr/bin";

/** The prime of RFC 3526, group 14: work with numbers as long as RSA's, and the same every time. */
const MODP_2048 = [
  "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B",
  "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6",
  "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D",
  "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718",
  "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
].join("");

/** `ops` rounds of one of stress-ng's stressors, verified by itself. */
export function stress(stressor: string, ops: number, options = ""): string {
  return `cd /tmp && ${BIN}/stress-ng --quiet --${stressor} 1 --${stressor}-ops ${ops} ${options} --verify && echo verified`;
}

/** `ops` rounds of one of the methods of stress-ng's stressor `cpu`. */
export function cpuMethod(method: string, ops: number): Work {
  return {
    name: `cpu-${method}`,
    what: `stress-ng --cpu-method ${method}, ${ops} rounds`,
    command: stress("cpu", ops, `--cpu-method ${method}`),
    on32Bit: false,
  };
}

/** The rows. */
export const WORK: readonly Work[] = [
  {
    name: "gzip",
    what: "busybox gzip of 16 MiB of zeros",
    command: "head -c 16777216 /dev/zero | gzip -c | wc -c",
    on32Bit: true,
  },
  {
    name: "shell",
    what: "shell loop of 20,000 turns",
    command: "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo $i",
    on32Bit: true,
  },
  {
    name: "fork",
    what: "200 times fork and exec",
    command: "i=0; while [ $i -lt 200 ]; do /bin/busybox true; i=$((i + 1)); done; echo $i",
    on32Bit: true,
  },
  {
    name: "pipe",
    what: "64 MiB through a pipe, 4 KiB at a time",
    command:
      "dd if=/dev/zero bs=4k count=16384 2>/dev/null | dd of=/dev/null bs=4k 2>&1 | tail -1 | cut -d' ' -f1",
    on32Bit: true,
  },
  {
    name: "sha256sum",
    what: "busybox sha256sum of 4 MiB",
    command: `busybox sha256sum ${DATA}`,
    on32Bit: true,
  },
  {
    name: "sort",
    what: "coreutils sort of 4 MiB of lines",
    command: `${BIN}/sort -r ${DATA} | sha256sum`,
    on32Bit: true,
  },
  {
    name: "xz",
    what: "xz -1 of 1 MiB",
    command: `head -c 1048576 ${DATA} | ${BIN}/xz -1 -T1 | wc -c`,
    on32Bit: true,
  },
  {
    name: "zstd",
    what: "zstd -3 of 4 MiB",
    command: `${BIN}/zstd -3 -q -c --single-thread ${DATA} | wc -c`,
    on32Bit: true,
  },
  {
    name: "sqlite",
    what: "sqlite3: 50,000 rows in, index, sum",
    command:
      `${BIN}/sqlite3 :memory: "create table t(a integer, b text); with recursive n(i) as (select 1 union all select i+1 from n limit 50000) insert into t select i*7919%50021, 'row '||i from n; create index x on t(a); select sum(a), count(distinct b), max(b) from t where a > 1000;"`,
    on32Bit: true,
  },
  {
    name: "python",
    what: "python3: 300,000 turns of a loop with a dict",
    command: `${BIN}/python3.11 -S -E -c 'd={}
for i in range(300000): d[i % 1000] = d.get(i % 997, 0) + i
print(sum(d.values()))'`,
    on32Bit: true,
  },
  {
    name: "perl",
    what: "perl: 200,000 words split, counted, joined",
    command:
      `${BIN}/perl -e 'my %c; $c{$_ % 5003} .= "x" for 1..200000; my $n = 0; $n += length($_) * 3 for values %c; print "$n\\n"; my $s = join ",", sort keys %c; print length $s, "\\n"'`,
    on32Bit: true,
  },
  {
    name: "openssl-sha256",
    what: "openssl sha256 of 4 MiB",
    command: `${BIN}/openssl dgst -sha256 -r ${DATA}`,
    on32Bit: true,
  },
  {
    name: "openssl-aes",
    what: "openssl aes-256-ctr of 4 MiB",
    command: `${BIN}/openssl enc -aes-256-ctr -K 00112233 -iv 0011 -in ${DATA} 2>/dev/null | sha256sum`,
    on32Bit: true,
  },
  {
    name: "openssl-modexp",
    what: "openssl: 20 rounds of primality for 2,048 bits",
    command: `${BIN}/openssl prime -checks 20 -hex ${MODP_2048}`,
    on32Bit: true,
  },
  cpuMethod("int64", 30),
  cpuMethod("double", 30),
  cpuMethod("longdouble", 30),
  cpuMethod("fft", 30),
  cpuMethod("matrixprod", 30),
  cpuMethod("queens", 100),
  cpuMethod("bitops", 1000),
  cpuMethod("crc16", 300),
  cpuMethod("trig", 30),
  {
    name: "switch",
    what: "20,000 context switches",
    command: stress("switch", 20_000, "--switch-method pipe"),
    on32Bit: false,
  },
  { name: "faults", what: "500 rounds of page faults", command: stress("fault", 500), on32Bit: false },
  {
    name: "mmap",
    what: "stress-ng --mmap of 1 MiB, 2 rounds",
    command: stress("mmap", 2, "--mmap-bytes 1m"),
    on32Bit: false,
  },
];
